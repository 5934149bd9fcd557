//! The client against a server and an endpoint that are a few lines each, under a clock that the test moves.

mod attributes;
mod books;
mod disabled;
mod held;
mod limits;
mod lost;
mod management;
mod objects;
mod registration;
mod reporting;

use std::collections::BTreeSet;

use super::*;
use crate::coap::{
    Ending, Event as CoapEvent, ExchangeId, Failure, Method, NotificationId, ObservationId, Priority,
    Request as CoapRequest,
};
use crate::lwm2m::codecs::{self, Format};
use crate::lwm2m::management::Access;
use crate::lwm2m::model::Version;
use crate::lwm2m::value::{Content, SampleId, Value};

/// A mapped resource that only reports.
const TEMPERATURE: Path = Path::resource_of(3303, 0, 5700);

fn t0() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    Instant::now()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn peer(number: u8) -> Peer {
    Peer(([203, 0, 113, number], 5683).into())
}

fn server(number: u8) -> ServerSettings {
    ServerSettings {
        uri: format!("coap://server{number}"),
        peer: Some(peer(number)),
        short_server_id: number.into(),
        lifetime: seconds(86_400),
        instance: u16::from(number) - 1,
        security_instance: number.into(),
    }
}

fn settings(servers: u8) -> Settings {
    Settings {
        endpoint: "urn:imei:1".into(),
        servers: (1..=servers).map(server).collect(),
        ..Settings::default()
    }
}

/// An own request of the client that waits for its answer.
struct Asked {
    exchange: ExchangeId,
    peer: Peer,
    request: CoapRequest,
}

/// A notification that waits for its acknowledgement.
struct Notified {
    notification: NotificationId,
    observation: ObservationId,
    response: Response,
    confirmable: bool,
}

/// Client, endpoint and clock.
struct Bench {
    client: Client,
    now: Instant,
    asked: VecDeque<Asked>,
    notified: Vec<Notified>,
    responses: BTreeMap<RequestId, Response>,
    observations: BTreeMap<ObservationId, Peer>,
    events: Vec<Event>,
    last: u64,
}

impl Bench {
    fn new(settings: Settings, version: Version) -> Self {
        Self {
            client: Client::new(settings, Arc::new(Model::for_enabler(version)), Seed::new(7)),
            now: t0(),
            asked: VecDeque::new(),
            notified: vec![],
            responses: BTreeMap::new(),
            observations: BTreeMap::new(),
            events: vec![],
            last: 0,
        }
    }

    /// One server, link up, registered under `/rd/1`.
    fn registered() -> Self {
        Self::registered_at(settings(1))
    }

    /// Link up, registered at every server.
    fn registered_at(settings: Settings) -> Self {
        let mut bench = Self::new(settings, Version::V1_1);
        bench.link_up();
        bench.grant_all();
        bench.events.clear();
        bench
    }

    fn link_up(&mut self) {
        self.client.handle_link(true, false, self.now);
        self.drain();
    }

    /// Moves everything that comes out to where it belongs, until nothing more comes.
    fn drain(&mut self) {
        loop {
            while let Some(action) = self.client.poll_action(self.now) {
                self.act(action);
            }
            let free: Vec<_> = self.client.peers().filter(|peer| self.is_free(*peer)).collect();
            let notes: Vec<_> =
                free.into_iter().filter_map(|peer| self.client.poll_notification(peer, self.now)).collect();
            let is_quiet = notes.is_empty();
            notes.into_iter().for_each(|action| self.act(action));
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            if is_quiet {
                return;
            }
        }
    }

    /// No own exchange towards the peer is open (NSTART 1).
    fn is_free(&self, peer: Peer) -> bool {
        let is_notified = |note: &Notified| self.observations.get(&note.observation) == Some(&peer);
        !self.asked.iter().any(|asked| asked.peer == peer) && !self.notified.iter().any(is_notified)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Request { exchange, peer, request, priority } => {
                assert_eq!(priority, Priority::Registration);
                self.asked.push_back(Asked { exchange, peer, request });
            }
            Action::Respond { request, response, accept_observation } => {
                let is_success = response.code.is_success();
                assert!(self.responses.insert(request, response).is_none(), "answered twice");
                if accept_observation && is_success {
                    self.last += 1;
                    let id = ObservationId(self.last);
                    // The request's number tells the peer: see `send_from`.
                    self.observations.insert(id, peer((request.0 >> 32) as u8));
                    self.client.handle_event(CoapEvent::ObservationStarted { id, request }, self.now);
                }
            }
            Action::Notify { notification, observation, response, confirmable } => {
                assert!(self.observations.contains_key(&observation), "notification about nothing");
                if !response.code.is_success() {
                    self.responses.insert(RequestId(u64::MAX), response);
                    self.observations.remove(&observation);
                    return;
                }
                self.notified.push(Notified { notification, observation, response, confirmable });
            }
            Action::ForgetObservations { peer } => {
                self.observations.retain(|_, owner| *owner != peer);
                let live = &self.observations;
                self.notified.retain(|note| live.contains_key(&note.observation));
            }
            Action::ForgetObservation { observation } => {
                self.observations.remove(&observation);
                self.notified.retain(|note| note.observation != observation);
            }
            Action::Abandon { exchange } => self.asked.retain(|asked| asked.exchange != exchange),
            Action::Ping { .. } => panic!("nobody asked for a ping"),
        }
    }

    fn send_from(&mut self, number: u8, request: CoapRequest) -> RequestId {
        self.last += 1;
        let id = RequestId(u64::from(number) << 32 | self.last);
        self.client.handle_event(CoapEvent::Request { id, peer: peer(number), request }, self.now);
        self.drain();
        id
    }

    fn send(&mut self, request: CoapRequest) -> Response {
        let id = self.send_from(1, request);
        self.responses.remove(&id).expect("answered at once")
    }

    fn get(&mut self, path: &str) -> Response {
        self.send(request(Method::Get, path))
    }

    fn observe(&mut self, path: &str) -> ObservationId {
        self.observe_from(1, path)
    }

    fn observe_from(&mut self, number: u8, path: &str) -> ObservationId {
        let before: BTreeSet<_> = self.observations.keys().copied().collect();
        self.send_from(number, CoapRequest { observe: Some(0), ..request(Method::Get, path) });
        *self.observations.keys().find(|id| !before.contains(id)).expect("an observation")
    }

    fn set(&mut self, at: Path, value: f64, sample: u64) {
        self.client.set_mapped(at, Value::Float(value), Some(SampleId(sample)), self.now).unwrap();
        self.drain();
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.client.handle_timeout(self.now);
        self.drain();
    }

    /// Runs from deadline to deadline; each moves time forward.
    fn advance_to_next_deadline(&mut self) -> &'static str {
        let deadline = self.client.poll_timeout().expect("a deadline");
        assert!(deadline.at > self.now, "{deadline:?} does not move time forward");
        self.advance(deadline.at - self.now);
        deadline.why
    }

    fn answer(&mut self, response: Response) -> CoapRequest {
        let Asked { exchange, request, .. } = self.asked.pop_front().expect("a request");
        self.client.handle_event(CoapEvent::Response { exchange, response }, self.now);
        self.drain();
        request
    }

    fn fail(&mut self, why: Failure) -> CoapRequest {
        let Asked { exchange, request, .. } = self.asked.pop_front().expect("a request");
        self.client.handle_event(CoapEvent::Failed { exchange, why }, self.now);
        self.drain();
        request
    }

    fn grant(&mut self) -> CoapRequest {
        let location_path = vec!["rd".to_owned(), self.asked[0].peer.0.ip().to_string()];
        self.answer(Response { location_path, ..Response::new(Code::CREATED) })
    }

    fn grant_all(&mut self) {
        while !self.asked.is_empty() {
            self.grant();
        }
    }

    /// The server acknowledges the oldest open notification; gives its body.
    fn acknowledge(&mut self) -> Response {
        let note = self.notified.remove(0);
        let notification = note.notification;
        self.client.handle_event(CoapEvent::NotificationDelivered { notification }, self.now);
        self.drain();
        note.response
    }

    fn lose(&mut self, why: Failure) {
        let notification = self.notified.remove(0).notification;
        self.client.handle_event(CoapEvent::NotificationFailed { notification, why }, self.now);
        self.drain();
    }

    /// What became of samples, in order.
    fn entries(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        let entries = events.into_iter().filter_map(|event| match event {
            Event::SamplesReported(samples) => {
                Some(format!("reported {:?}", samples.iter().map(|sample| sample.0).collect::<Vec<_>>()))
            }
            Event::SampleSuperseded(sample) => Some(format!("superseded {}", sample.0)),
            _ => None,
        });
        entries.collect()
    }
}

fn request(method: Method, path: &str) -> CoapRequest {
    let segments = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
    CoapRequest::new(method, segments)
}

fn read(path: &str, accept: u16) -> CoapRequest {
    CoapRequest { accept: Some(accept), ..request(Method::Get, path) }
}

fn with_body(method: Method, path: &str, format: u16, payload: impl Into<Vec<u8>>) -> CoapRequest {
    CoapRequest { content_format: Some(format), payload: payload.into(), ..request(method, path) }
}

fn put(path: &str, text: &str) -> CoapRequest {
    with_body(Method::Put, path, 0, text)
}

fn write_attributes(path: &str, query: &str) -> CoapRequest {
    let query = query.split('&').map(str::to_owned).collect();
    CoapRequest { query, ..request(Method::Put, path) }
}

fn text(response: &Response) -> String {
    String::from_utf8(response.payload.clone()).unwrap()
}
