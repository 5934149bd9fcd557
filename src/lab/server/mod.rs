//! The lab's LwM2M server: takes registrations as strictly as public servers do, and observes every mapped object.
//!
//! Stands on the project's own `coap` and codecs, so it proves nothing about those: real servers judge them.
//! No bootstrap, no DTLS, no queue for clients that sleep.
//!
//! ```text
//!            Register                     Update: same registration, observations stay
//! (unknown) ──────────► registered ◄───┐
//!     ▲                  │  │  └───────┘  Register again: new location, observations anew
//!     └──────────────────┘  │
//!   De-register, lifetime    └── object by object: Wanted ─► Asked ─► Running   (or Refused, until an Update)
//! ```

mod command;
mod opening;
mod register;
mod registration;
mod request;
#[cfg(test)]
mod tests;
mod types;

pub use command::{Command, HELP, Order, OrderError};
pub use opening::{ANSWER_WITHIN, End, Opening, Step};
pub use register::{Refusal, Rules};
pub use registration::{Reading, Registration};
pub use types::{Answer, CommandError, CommandId, Event};

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::coap::{self, Action, Code, Endpoint, ExchangeId, Method, Priority, Request, RequestId, Response};
use crate::lwm2m::codecs::{self, Format, link};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Entry;
use crate::net::{Datagram, Outgoing, Peer, TransmitId};
use crate::seed::{Rng, Seed};
use register::{Register, Update};
use registration::{MAX_OBSERVATIONS, Observing};

/// Registrations that are kept; a further one is refused with 5.03, before the endpoint runs out of peers.
const MAX_REGISTRATIONS: usize = 48;
/// Commands that may wait for their answers; a further one fails.
const MAX_COMMANDS: usize = 256;
/// Events that wait for the owner; the oldest is dropped.
const MAX_EVENTS: usize = 4096;
/// Max-Age of a 5.03, in seconds.
const RETRY_SECONDS: u32 = 60;
/// After an Observe that got no answer, or 5.xx, the next one to this client waits so long.
const OBSERVE_RETRY: Duration = Duration::from_secs(60);

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// CoAP parameters; its clients are behind NB-IoT.
    pub params: coap::Params,
    /// Observe every object that is not part of the enabler after Register and Update.
    pub observe: bool,
    /// Wait this long after a Register before the first Observe, so that the client has its answer.
    pub observe_after: Duration,
    /// Longest datagram that it sends; longer requests go in blocks. 0: as long as every path carries.
    pub max_datagram: usize,
    /// What is demanded of a Register, or let pass.
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            params: coap::Params::nbiot(),
            observe: true,
            observe_after: Duration::from_millis(500),
            max_datagram: 0,
            rules: Rules::default(),
        }
    }
}

impl Settings {
    /// As OneNET behaves, as far as a Register and the requests after it show: see [`Opening`], which its owner plays.
    pub fn for_onenet(self) -> Self {
        let rules = Rules { version_optional: true, imei_and_imsi: true };
        // The widest that there is: the burst does not wait for answers.
        let params = self.params.with_nstart(coap::MAX_NSTART).unwrap_or(self.params);
        Self { params, observe: false, rules, ..self }
    }
}

/// What an own request was for.
#[derive(Debug, Clone)]
struct Open {
    endpoint: String,
    path: Path,
    /// `None` for an Observe of our own accord.
    command: Option<(CommandId, Command)>,
    /// It is an Observe: stays open while notifications come.
    observe: bool,
    /// Accept of the request, which its cancellation repeats (RFC 7641 §3.6).
    accept: Option<u16>,
}

/// The server.
pub struct Server {
    settings: Settings,
    coap: Endpoint,
    rng: Rng,
    registrations: BTreeMap<String, Registration>,
    open: BTreeMap<ExchangeId, Open>,
    /// Before this time no Observe of our own accord goes to a client.
    observe_at: BTreeMap<String, Instant>,
    last_exchange: u64,
    last_command: u64,
    events: VecDeque<Event>,
}

impl Server {
    /// A server without registrations.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let mut coap = Endpoint::new(settings.params, seed.child("coap"));
        coap.set_max_datagram(settings.max_datagram);
        coap.set_max_body_in(register::MAX_LIST_OCTETS);
        Self {
            settings,
            coap,
            rng: seed.child("locations").rng(),
            registrations: BTreeMap::new(),
            open: BTreeMap::new(),
            observe_at: BTreeMap::new(),
            last_exchange: 0,
            last_command: 0,
            events: VecDeque::new(),
        }
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, datagram: Datagram, now: Instant) {
        self.coap.handle_datagram(datagram, now);
        self.settle(now);
    }

    /// The link has taken a datagram.
    pub fn handle_sent(&mut self, id: TransmitId, now: Instant) {
        self.coap.handle_sent(id, now);
        self.settle(now);
    }

    /// A datagram may not have left.
    pub fn handle_send_failed(&mut self, id: TransmitId, now: Instant) {
        self.coap.handle_send_failed(id, now);
        self.settle(now);
    }

    /// A deadline passed; calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.coap.handle_timeout(now);
        let expired = self.registrations.values().filter(|registration| registration.expires <= now);
        for endpoint in expired.map(|registration| registration.endpoint.clone()).collect::<Vec<_>>() {
            self.forget(&endpoint, now);
            self.tell(Event::Expired { endpoint });
        }
        self.settle(now);
    }

    /// The next datagram to pass on.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing> {
        self.coap.poll_transmit(now)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let expiry = self.registrations.values().map(|registration| registration.expires).min();
        let observe = self.observe_at.values().min();
        Deadline::earliest([
            self.coap.poll_timeout(),
            expiry.map(|at| Deadline::new(at, "lifetime of a registration")),
            observe.map(|at| Deadline::new(*at, "next observe")),
        ])
    }

    /// All clients that are registered, by name.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values()
    }

    /// The client of this endpoint name.
    pub fn registration(&self, endpoint: &str) -> Option<&Registration> {
        self.registrations.get(endpoint)
    }

    /// Asks a client something; ends in [`Event::Finished`], at once if it cannot be asked.
    pub fn command(&mut self, order: Order, now: Instant) -> CommandId {
        self.last_command += 1;
        let id = CommandId(self.last_command);
        let endpoint = self.addressee(order.endpoint.as_deref());
        let started = match &endpoint {
            Ok(endpoint) => self.start(id, endpoint, order.command, now),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = started {
            let endpoint = endpoint.ok().or(order.endpoint).unwrap_or_default();
            self.tell(Event::Finished { command: id, endpoint, outcome: Err(error) });
        }
        self.settle(now);
        id
    }

    fn addressee(&self, name: Option<&str>) -> Result<String, CommandError> {
        match (name, self.registrations.len()) {
            (Some(name), _) if self.registrations.contains_key(name) => Ok(name.to_owned()),
            (Some(name), _) => Err(CommandError::Endpoint(format!("{name} is not registered"))),
            (None, 1) => Ok(self.registrations.keys().next().cloned().unwrap_or_default()),
            (None, 0) => Err(CommandError::Endpoint("nobody is registered".to_owned())),
            (None, count) => Err(CommandError::Endpoint(format!("{count} are registered: say which one"))),
        }
    }

    fn start(
        &mut self,
        id: CommandId,
        endpoint: &str,
        command: Command,
        now: Instant,
    ) -> Result<(), CommandError> {
        let commands = self.open.values().filter(|open| open.command.is_some()).count();
        let Some(registration) = self.registrations.get_mut(endpoint) else { return Err(CommandError::Gone) };
        let mut request = command.request(
            &registration.objects.alternate_path,
            &registration.model,
            registration.version,
        )?;
        let path = command.path();
        let running = registration.observations.get(&path).and_then(|state| state.exchange());
        match (&command, running) {
            _ if commands >= MAX_COMMANDS => return Err(CommandError::TooMany),
            (Command::Observe { .. }, None) if registration.observations.len() >= MAX_OBSERVATIONS => {
                return Err(CommandError::TooMany);
            }
            (Command::Cancel { .. }, None) => return Err(CommandError::NotObserved(path)),
            (Command::Observe { .. }, Some(exchange)) => self.abandon(exchange, now),
            (Command::Cancel { active, .. }, Some(exchange)) => {
                registration.observations.insert(path, Observing::Cancelled);
                if *active {
                    // The endpoint finds the observation by its path and says goodbye under its token.
                    request.accept = self.open.remove(&exchange).and_then(|open| open.accept);
                } else {
                    self.abandon(exchange, now);
                }
            }
            _ => {}
        }
        if let Command::Cancel { active: false, .. } = command {
            let outcome = Ok(Answer::bare(Code::CONTENT));
            self.tell(Event::Finished { command: id, endpoint: endpoint.to_owned(), outcome });
            return Ok(());
        }
        let observe = matches!(command, Command::Observe { .. });
        let open = Open {
            endpoint: endpoint.to_owned(),
            path,
            command: Some((id, command)),
            observe,
            accept: request.accept,
        };
        self.ask(open, request, now);
        Ok(())
    }

    /// Sends a request to the client that `open` names.
    fn ask(&mut self, open: Open, request: Request, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&open.endpoint) else { return };
        self.last_exchange += 1;
        let exchange = ExchangeId(self.last_exchange);
        if open.observe {
            registration.observations.insert(open.path, Observing::Asked(exchange));
            registration.asked = open.path;
        }
        let (peer, priority) = (registration.peer, Priority::Ordinary);
        self.open.insert(exchange, open);
        self.coap.handle_action(Action::Request { exchange, peer, request, priority }, now);
    }

    fn abandon(&mut self, exchange: ExchangeId, now: Instant) {
        self.coap.handle_action(Action::Abandon { exchange }, now);
        if let Some(Open { endpoint, command: Some((command, _)), .. }) = self.open.remove(&exchange) {
            self.tell(Event::Finished { command, endpoint, outcome: Err(CommandError::Gone) });
        }
    }

    /// Takes all events of the endpoint, then asks for the next observations.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.coap.poll_event() {
                self.handle_event(event, now);
            }
            if !self.observe_next(now) {
                return;
            }
        }
    }

    fn handle_event(&mut self, event: coap::Event, now: Instant) {
        match event {
            coap::Event::Request { id, peer, request } => self.handle_request(id, peer, &request, now),
            coap::Event::Response { exchange, response } => self.handle_response(exchange, &response, now),
            coap::Event::Failed { exchange, why } => self.handle_failure(exchange, why, now),
            coap::Event::Notified { exchange, response } => self.handle_notification(exchange, &response),
            // We ping nobody, and nobody can observe us.
            coap::Event::Pong { .. }
            | coap::Event::ObservationStarted { .. }
            | coap::Event::ObservationEnded { .. }
            | coap::Event::ObservationRejected { .. }
            | coap::Event::NotificationDelivered { .. }
            | coap::Event::NotificationFailed { .. } => {}
        }
    }

    // The registration interface.

    fn handle_request(&mut self, id: RequestId, peer: Peer, request: &Request, now: Instant) {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let answer = match (request.method, path.as_slice()) {
            (Method::Post, ["rd"]) => self.register(peer, request, now),
            (Method::Post, ["rd", location]) => self.update(location, peer, request, now),
            (Method::Delete, ["rd", location]) => self.deregister(location, now),
            (_, ["rd"] | ["rd", _]) => Err(refusal(Code::METHOD_NOT_ALLOWED, "not a method of registration")),
            _ => Err(refusal(Code::NOT_FOUND, "nothing is here but /rd")),
        };
        let response = answer.unwrap_or_else(|refusal| {
            let busy = refusal.code == Code::SERVICE_UNAVAILABLE;
            let response = Response { max_age: busy.then_some(RETRY_SECONDS), ..Response::new(refusal.code) };
            self.tell(Event::Refused { peer, refusal });
            response
        });
        self.coap.handle_action(Action::Respond { request: id, response, accept_observation: false }, now);
    }

    fn register(&mut self, peer: Peer, request: &Request, now: Instant) -> Result<Response, Refusal> {
        let register = Register::read(request, self.settings.rules)?;
        let endpoint = register.endpoint.clone();
        let again = self.registrations.contains_key(&endpoint);
        if !again && self.registrations.len() >= MAX_REGISTRATIONS {
            return Err(refusal(Code::SERVICE_UNAVAILABLE, "no room for another registration"));
        }
        self.forget(&endpoint, now);
        let location = self.new_location();
        let registration = Registration::new(register, location.clone(), peer, now);
        self.registrations.insert(endpoint.clone(), registration);
        self.want_mapped_objects(&endpoint);
        self.observe_at.insert(endpoint.clone(), now + self.settings.observe_after);
        self.tell(Event::Registered { endpoint, peer, again });
        Ok(Response { location_path: vec!["rd".to_owned(), location], ..Response::new(Code::CREATED) })
    }

    fn update(
        &mut self,
        location: &str,
        peer: Peer,
        request: &Request,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let registration = self.at(location)?;
        let update = Update::read(request, registration.version)?;
        let (endpoint, objects) = (registration.endpoint.clone(), update.objects.is_some());
        registration.update(update, now);
        let moved = registration.peer != peer;
        registration.peer = peer;
        if moved {
            // Notifications are known by address and token; those from the new address would be strangers.
            for state in
                registration.observations.values_mut().filter(|state| **state != Observing::Cancelled)
            {
                *state = Observing::Wanted;
            }
            self.drop_exchanges(&endpoint, now);
        }
        self.want_mapped_objects(&endpoint);
        // It can be reached now, and perhaps not for long.
        self.observe_at.remove(&endpoint);
        self.tell(Event::Updated { endpoint, peer, objects });
        Ok(Response::new(Code::CHANGED))
    }

    fn deregister(&mut self, location: &str, now: Instant) -> Result<Response, Refusal> {
        let endpoint = self.at(location)?.endpoint.clone();
        self.forget(&endpoint, now);
        self.tell(Event::Deregistered { endpoint });
        Ok(Response::new(Code::DELETED))
    }

    fn at(&mut self, location: &str) -> Result<&mut Registration, Refusal> {
        let found = self.registrations.values_mut().find(|registration| registration.location == location);
        found.ok_or_else(|| refusal(Code::NOT_FOUND, "no registration has this location"))
    }

    /// Not in use, and unlikely to be one of an earlier run, whose clients have to hear 4.04.
    fn new_location(&mut self) -> String {
        loop {
            let location = format!("{:08x}", self.rng.number() >> 32);
            if self.at(&location).is_err() {
                return location;
            }
        }
    }

    /// Drops a registration and all that is going on with its client.
    fn forget(&mut self, endpoint: &str, now: Instant) {
        self.drop_exchanges(endpoint, now);
        self.observe_at.remove(endpoint);
        self.registrations.remove(endpoint);
    }

    fn drop_exchanges(&mut self, endpoint: &str, now: Instant) {
        let of_endpoint = self.open.iter().filter(|(_, open)| open.endpoint == endpoint);
        for exchange in of_endpoint.map(|(exchange, _)| *exchange).collect::<Vec<_>>() {
            self.abandon(exchange, now);
        }
    }

    // Observing.

    /// Every mapped object of the list is to be observed; those that are observed stay so.
    fn want_mapped_objects(&mut self, endpoint: &str) {
        let Some(registration) = self.registrations.get_mut(endpoint).filter(|_| self.settings.observe)
        else {
            return;
        };
        let room = MAX_OBSERVATIONS.saturating_sub(registration.observations.len());
        for object in registration.mapped_objects().into_iter().take(room) {
            let state =
                registration.observations.entry(Path::object_only(object)).or_insert(Observing::Wanted);
            if *state == Observing::Refused {
                *state = Observing::Wanted;
            }
        }
    }

    /// Asks for one more observation. One at a time for each client: its uplink is thin.
    fn observe_next(&mut self, now: Instant) -> bool {
        self.observe_at.retain(|_, at| *at > now);
        let next = self.registrations.values().find_map(|registration| {
            let waits = self.observe_at.contains_key(&registration.endpoint);
            let asked = registration.observations.values().any(|state| matches!(state, Observing::Asked(_)));
            let path = registration.next_wanted().filter(|_| !waits && !asked)?;
            let command = Command::Observe { path, format: None };
            let request = command
                .request(&registration.objects.alternate_path, &registration.model, registration.version)
                .ok()?;
            Some((registration.endpoint.clone(), path, request))
        });
        let Some((endpoint, path, request)) = next else { return false };
        let accept = request.accept;
        self.ask(Open { endpoint, path, command: None, observe: true, accept }, request, now);
        true
    }

    fn handle_notification(&mut self, exchange: ExchangeId, response: &Response) {
        let Some(open) = self.open.get(&exchange).cloned() else { return };
        let Some(registration) = self.registrations.get_mut(&open.endpoint) else { return };
        if !response.code.is_success() || response.observe.is_none() {
            self.open.remove(&exchange);
            registration.observations.insert(open.path, Observing::Refused);
            let why = format!("ended by the client with {}", response.code);
            return self.tell(Event::NotObserving { endpoint: open.endpoint, path: open.path, why });
        }
        match values(open.path, response, registration) {
            Ok(readings) => readings.into_iter().for_each(|reading| self.tell(Event::Value(reading))),
            Err(error) => {
                let why = error.to_string();
                self.tell(Event::Unreadable { endpoint: open.endpoint, path: open.path, why });
            }
        }
    }

    // Answers to what we asked.

    fn handle_response(&mut self, exchange: ExchangeId, response: &Response, now: Instant) {
        let Some(open) = self.open.get(&exchange).cloned() else { return };
        let observes = open.observe && response.code.is_success() && response.observe.is_some();
        if !observes {
            self.open.remove(&exchange);
        } else if let Some(open) = self.open.get_mut(&exchange) {
            open.command = None;
        }
        if open.observe {
            let why = format!("answered with {} and no observation", response.code);
            let later = (response.code.class() == 5).then_some(now + OBSERVE_RETRY);
            self.set_observing(&open, observes.then_some(exchange).ok_or((why, later)));
        }
        let Some(registration) = self.registrations.get_mut(&open.endpoint) else { return };
        let answer = answer(&open, response, registration);
        match open.command {
            Some((command, _)) => {
                self.tell(Event::Finished { command, endpoint: open.endpoint, outcome: answer });
            }
            None => match answer {
                Ok(answer) => answer.values.into_iter().for_each(|reading| self.tell(Event::Value(reading))),
                Err(error) => {
                    let why = error.to_string();
                    self.tell(Event::Unreadable { endpoint: open.endpoint, path: open.path, why });
                }
            },
        }
    }

    fn handle_failure(&mut self, exchange: ExchangeId, why: coap::Failure, now: Instant) {
        let Some(open) = self.open.remove(&exchange) else { return };
        if open.observe {
            self.set_observing(&open, Err((why.to_string(), Some(now + OBSERVE_RETRY))));
        }
        if let Some((command, _)) = open.command {
            let outcome = Err(CommandError::Exchange(why));
            self.tell(Event::Finished { command, endpoint: open.endpoint, outcome });
        }
    }

    /// Notes how an Observe ended: it runs, or why not and when to ask again, if ever.
    fn set_observing(&mut self, open: &Open, result: Result<ExchangeId, (String, Option<Instant>)>) {
        let Some(registration) = self.registrations.get_mut(&open.endpoint) else { return };
        let (endpoint, path) = (open.endpoint.clone(), open.path);
        match result {
            Ok(exchange) => {
                registration.observations.insert(path, Observing::Running(exchange));
                self.tell(Event::Observing { endpoint, path });
            }
            Err((why, later)) => {
                let state = if later.is_some() { Observing::Wanted } else { Observing::Refused };
                registration.observations.insert(path, state);
                self.observe_at.extend(later.map(|at| (endpoint.clone(), at)));
                self.tell(Event::NotObserving { endpoint, path, why });
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

fn refusal(code: Code, why: &str) -> Refusal {
    Refusal { code, why: why.to_owned() }
}

fn answer(open: &Open, response: &Response, registration: &mut Registration) -> Result<Answer, CommandError> {
    let mut answer = Answer {
        content_format: response.content_format,
        location: response.location_path.clone(),
        observes: open.observe && response.observe.is_some(),
        ..Answer::bare(response.code)
    };
    match open.command.as_ref().map(|(_, command)| command) {
        _ if response.code != Code::CONTENT => {}
        Some(Command::Discover { .. }) if response.content_format == Some(Format::Link.number()) => {
            answer.links = link::decode(&response.payload)?;
        }
        Some(Command::Discover { .. }) => return Err(CommandError::Format(response.content_format)),
        _ => answer.values = values(open.path, response, registration)?,
    }
    Ok(answer)
}

/// The values of a 2.05, kept as the last ones of their paths.
fn values(
    path: Path,
    response: &Response,
    registration: &mut Registration,
) -> Result<Vec<Reading>, CommandError> {
    let format = response.content_format.and_then(Format::from_number);
    let format = format.ok_or(CommandError::Format(response.content_format))?;
    let entries: Vec<Entry> = codecs::decode(format, path, &response.payload, &registration.model)?;
    Ok(registration.record(&entries))
}
