//! One server account's registration: Register, Update, De-register and what to do when they fail
//! (LwM2M Core 1.1.1 §6.2).
//!
//! ```text
//!            link up and time to try        2.01
//!   Idle ────────────────────────► Registering ────► Registered ◄───────┐
//!    ▲  ▲                               │              │  │  │          │ 2.04
//!    │  └── after a growing delay ──────┘              │  │  └──► Updating
//!    │               any failure                       │  │            │
//!    ├── lifetime over, address changed ───────────────┘  │            │
//!    └── at once, when an Update fails in any way ────────│────────────┘
//!   Deregistering ◄──────── shutdown ─────────────────────┤
//!        └────► Closed                                    │
//!   Disabled ◄───── a server's Disable, by De-register ───┘
//!        └────► Idle, when its time is over
//! ```
//!
//! Answers to the server's requests and notifications are made elsewhere; they go on whatever the state (REG-19).

mod record;
mod state;
mod types;
mod uri;

use std::time::{Duration, Instant};

use super::lost::Lost;
use super::path::Path;
use crate::clock::Deadline;
use crate::coap::{Action, Code, ExchangeId, Failure, Method, Priority, Request, Response};
use crate::net::Peer;
use crate::seed::Rng;
use record::{Announced, Registration};
use state::{Open, Purpose, State, Trust};
use uri::path_and_query;

pub use types::{Facts, Outcome, Retry, Step};

/// Content-Format of the link list.
const LINK_FORMAT: u16 = 40;

/// One server account.
#[derive(Debug)]
pub struct Account {
    /// Short Server ID.
    pub short_server_id: u16,
    /// Its instance of object 1.
    pub server: Path,
    /// /1/x/1 as it is in force, in seconds.
    pub lifetime_secs: u32,
    peer: Option<Peer>,
    /// Path of the server URI, in front of `/rd` (REG-02).
    uri_path: Vec<String>,
    /// Query of the server URI.
    uri_query: Vec<String>,
    retry: Retry,
    state: State,
    /// Attempts that failed in a row.
    failures: u32,
    /// Why the last attempt failed, until one succeeds.
    pub trouble: Option<String>,
    /// The server itself refused the last attempt; a better link changes nothing about that.
    refused: bool,
    /// Why an Update is wanted beyond what changed.
    wanted: Option<(&'static str, Purpose)>,
    /// A Disable that lasts so long is to begin.
    disable_until: Option<Instant>,
    /// When the server last asked us something or answered with success.
    known_at: Option<Instant>,
    trust: Trust,
    /// What the server may want to observe again.
    lost: Lost,
    chance: Rng,
}

impl Account {
    /// An account that has not registered yet. `uri` is that of the server, whose address is `peer` once known.
    pub fn new(
        (short_server_id, server, lifetime_secs): (u16, Path, u32),
        uri: &str,
        peer: Option<Peer>,
        retry: Retry,
        lost: Lost,
        chance: Rng,
    ) -> Self {
        let (uri_path, uri_query) = path_and_query(uri);
        let state = State::Idle { not_before: None };
        Self {
            short_server_id,
            server,
            lifetime_secs,
            peer,
            uri_path,
            uri_query,
            retry,
            state,
            failures: 0,
            trouble: None,
            refused: false,
            wanted: None,
            disable_until: None,
            known_at: None,
            trust: Trust::Known,
            lost,
            chance,
        }
    }

    /// Where the server is, once known.
    pub const fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// The server keeps a registration for us.
    pub const fn is_registered(&self) -> bool {
        self.state.registration().is_some()
    }

    /// Registered, and no Update is under way.
    pub const fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Registered { .. })
    }

    /// When the server last showed that it knows us.
    pub const fn known_at(&self) -> Option<Instant> {
        self.known_at
    }

    /// The server asks us something, so it knows us and where we are. An Update that was to show just that has done
    /// its work: sent again from behind a NAT it might come from yet another address, and end what the server has begun.
    pub fn handle_request(&mut self, now: Instant) -> Option<Action> {
        self.known_at = Some(now);
        let State::Updating { registration, open, purpose } = &self.state else { return None };
        if *purpose == Purpose::Tell || registration.announced != open.announces {
            return None;
        }
        let abandoned = self.abandon();
        self.lost.handle_update(now);
        self.state = State::Registered { registration: registration.clone() };
        abandoned
    }

    /// A server has disabled the account, and the time for that is not over (DER-02).
    pub const fn is_disabled(&self) -> bool {
        self.disable_until.is_some() || matches!(self.state, State::Disabled { .. })
    }

    /// Nothing that comes from the server is looked at: it disabled us, and knows that we took it at its word.
    pub const fn is_deaf(&self) -> bool {
        matches!(self.state, State::Disabled { exchange: None, .. })
    }

    /// How long the account stays disabled.
    pub fn disabled_for(&self, now: Instant) -> Option<Duration> {
        let State::Disabled { until, .. } = self.state else { return None };
        Some(until.saturating_duration_since(now))
    }

    /// Nothing more will come from here.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The location that the server gave, with a slash before each segment.
    pub fn location(&self) -> Option<String> {
        let registration = self.state.registration()?;
        Some(registration.location.iter().map(|segment| format!("/{segment}")).collect())
    }

    /// When the last Register or Update that succeeded was made (REG-27).
    pub fn updated(&self) -> Option<Instant> {
        self.state.registration().map(|registration| registration.since)
    }

    /// When the registration ends unless an Update comes before (REG-27).
    pub fn expires(&self) -> Option<Instant> {
        self.state.registration().map(Registration::expires)
    }

    /// The state in words, for the status.
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Idle { .. } => "not registered",
            State::Registering { .. } => "registering",
            State::Registered { .. } => "registered",
            State::Updating { .. } => "updating",
            State::Disabled { .. } => "disabled",
            State::Deregistering { .. } => "de-registering",
            State::Closed => "closed",
        }
    }

    /// This exchange is the account's.
    pub fn owns(&self, exchange: ExchangeId) -> bool {
        self.state.exchange() == Some(exchange)
    }

    /// An Update is to be sent although nothing changed (UPD-04).
    pub const fn want_update(&mut self, why: &'static str) {
        self.wanted = Some((why, Purpose::Tell));
    }

    /// The server is to show that it knows us, and where we are.
    pub fn want_contact(&mut self, why: &'static str) {
        self.wanted.get_or_insert((why, Purpose::Show));
    }

    /// The carrier may have given us another address.
    pub fn doubt_address(&mut self) {
        self.trust = Trust::Doubted;
    }

    /// The server has rejected the last that it observed.
    pub fn note_all_rejected(&mut self) {
        if self.trust == Trust::Doubted {
            self.trust = Trust::Changed;
        }
    }

    /// An observation of the server ended, and it may want it back.
    pub fn lost(&mut self, path: Path, now: Instant) {
        self.lost.lose(path, now);
    }

    /// The server observes this path from now on. True if an observation of it was lost before.
    pub fn observed(&mut self, path: Path) -> bool {
        self.trust = Trust::Known;
        self.lost.regain(path)
    }

    /// The server acknowledged a notification.
    pub const fn note_acknowledgement(&mut self) {
        self.trust = Trust::Known;
        self.lost.note_acknowledgement();
    }

    /// The server has this address from now on. Another one than before needs a new Register (REG-28).
    pub fn set_peer(&mut self, peer: Peer) -> Option<Action> {
        if self.peer == Some(peer) {
            return None;
        }
        self.peer = Some(peer);
        self.start_over()
    }

    /// The server cannot know us any more (REG-29): Register as soon as possible.
    pub fn start_over(&mut self) -> Option<Action> {
        if matches!(self.state, State::Disabled { .. } | State::Deregistering { .. } | State::Closed) {
            return None;
        }
        let abandoned = self.abandon();
        self.failures = 0;
        self.state = State::Idle { not_before: None };
        abandoned
    }

    /// The link is back: what is open was not waiting for the server while it was away, and a server that could
    /// not be reached is tried again.
    pub fn link_is_back(&mut self, now: Instant) {
        match &mut self.state {
            State::Idle { not_before } if !self.refused => *not_before = None,
            State::Registering { open } | State::Updating { open, .. } => open.since = now,
            _ => {}
        }
    }

    /// The server has no more of us for this time from now on, by its own wish or another's: De-register, then nothing
    /// in either direction, then a new Register (DER-02, DER-03). [`Self::poll`] begins it, so that what is to be
    /// answered before goes before.
    pub fn disable(&mut self, time: Duration, now: Instant) -> Option<Action> {
        match &mut self.state {
            State::Disabled { until, .. } => *until = now + time,
            State::Deregistering { .. } | State::Closed => {}
            _ => self.disable_until = Some(now + time),
        }
        let State::Updating { registration, .. } = &self.state else { return None };
        let registration = registration.clone();
        let abandoned = self.abandon();
        self.state = State::Registered { registration };
        abandoned
    }

    /// Ends a Disable whose time is over; a De-register that is still open has waited long enough.
    pub fn end_disable(&mut self, now: Instant) -> Option<Action> {
        if self.disable_until.is_some_and(|at| at <= now) {
            // There was no link all the time, and the server has not seen us since.
            self.disable_until = None;
            return self.start_over();
        }
        let State::Disabled { until, .. } = self.state else { return None };
        if now < until {
            return None;
        }
        let abandoned = self.abandon();
        self.failures = 0;
        self.state = State::Idle { not_before: None };
        abandoned
    }

    /// Ends the account: De-register if there is a registration and it can be told, else close at once (DER-04).
    pub fn stop(&mut self, link_up: bool, exchange: ExchangeId) -> Vec<Action> {
        if let State::Disabled { exchange: Some(exchange), .. } = self.state {
            self.state = State::Deregistering { exchange };
            return vec![];
        }
        let mut actions = Vec::from_iter(self.abandon());
        match (std::mem::replace(&mut self.state, State::Closed), self.peer) {
            (State::Registered { registration } | State::Updating { registration, .. }, Some(peer))
                if link_up =>
            {
                let request = Request::new(Method::Delete, registration.location);
                actions.push(Action::Request { exchange, peer, request, priority: Priority::Registration });
                self.state = State::Deregistering { exchange };
            }
            _ => {}
        }
        actions
    }

    /// Ends the account without a word.
    pub fn close(&mut self) -> Option<Action> {
        let abandoned = self.abandon();
        self.state = State::Closed;
        abandoned
    }

    /// What is to be asked of the server now, if anything. `links` makes the link list, if it is needed.
    pub fn poll(
        &mut self,
        facts: Facts<'_>,
        exchange: ExchangeId,
        links: impl FnOnce() -> Vec<u8>,
        now: Instant,
    ) -> Option<(Step, Action)> {
        if !facts.link_up {
            return None;
        }
        let peer = self.peer?;
        if self.disable_until.is_some() {
            let request = self.begin_disable(exchange)?;
            let priority = Priority::Registration;
            return Some((Step::Deregister, Action::Request { exchange, peer, request, priority }));
        }
        let open = || Open { exchange, since: now, announces: Announced::of(facts) };
        let (step, request) = match &self.state {
            State::Idle { not_before } if not_before.is_some_and(|at| at > now) => return None,
            State::Registered { registration } if registration.expires() > now && !self.is_estranged(now) => {
                let (why, purpose) = self.update_reason(registration, facts, now)?;
                let open = open();
                let request = registration.update_request(&open.announces, links);
                let registration = registration.clone();
                self.state = State::Updating { registration, open, purpose };
                (Step::Update { why }, request)
            }
            State::Idle { .. } | State::Registered { .. } => {
                // The server forgets its observations with this (REG-18). Whatever it then observes will do.
                self.lost.lose(Path::ROOT, now);
                self.trust = Trust::Known;
                self.state = State::Registering { open: open() };
                (Step::Register, self.register_request(facts, links()))
            }
            _ => return None,
        };
        // Either of them tells all that there is to tell.
        self.wanted = None;
        Some((step, Action::Request { exchange, peer, request, priority: Priority::Registration }))
    }

    /// The answer to an own request.
    pub fn handle_response(&mut self, response: Response, now: Instant) -> Option<Outcome> {
        match std::mem::replace(&mut self.state, State::Idle { not_before: None }) {
            State::Registering { open } if response.code.is_success() => {
                if response.location_path.is_empty() {
                    return Some(self.refused(
                        "answer to the Register without a location".into(),
                        false,
                        now,
                    ));
                }
                self.failures = 0;
                let registration = Registration {
                    location: response.location_path,
                    since: open.since,
                    announced: open.announces,
                };
                self.lost.handle_register(now);
                self.known_at = Some(now);
                self.state = State::Registered { registration };
                Some(Outcome::Registered)
            }
            State::Registering { .. } => {
                let forbidden = response.code == Code::FORBIDDEN;
                Some(self.refused(format!("Register was answered {}", response.code), forbidden, now))
            }
            State::Updating { registration, open, .. } if response.code.is_success() => {
                let registration =
                    Registration { since: open.since, announced: open.announces, ..registration };
                self.lost.handle_update(now);
                self.known_at = Some(now);
                self.state = State::Registered { registration };
                Some(Outcome::Updated)
            }
            State::Updating { .. } => {
                let why = format!("Update was answered {}", response.code);
                Some(Outcome::Failed { why, retry_in: Duration::ZERO })
            }
            State::Disabled { until, .. } => Some(self.fall_silent(until)),
            State::Deregistering { .. } => {
                self.state = State::Closed;
                Some(Outcome::Deregistered)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// An own request had no proper end.
    pub fn handle_failure(&mut self, why: Failure, now: Instant) -> Option<Outcome> {
        match std::mem::replace(&mut self.state, State::Idle { not_before: None }) {
            State::Registering { .. } => {
                self.refused = false;
                Some(self.failed(format!("Register: {why}"), false, now))
            }
            State::Updating { .. } => {
                Some(Outcome::Failed { why: format!("Update: {why}"), retry_in: Duration::ZERO })
            }
            State::Disabled { until, .. } => Some(self.fall_silent(until)),
            State::Deregistering { .. } => {
                self.state = State::Closed;
                Some(Outcome::Deregistered)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// When [`Self::poll`] will have something by the clock alone.
    pub fn poll_timeout(&self, facts: Facts<'_>) -> Option<Deadline> {
        if !facts.link_up || self.peer.is_none() {
            return None;
        }
        match &self.state {
            State::Idle { not_before } => Some(Deadline::new((*not_before)?, "registration attempt")),
            State::Registered { registration } => {
                let regular =
                    Deadline::new(registration.update_at(facts.update_takes), "registration update");
                Deadline::sooner(Some(regular), self.lost.poll_timeout())
            }
            State::Disabled { until, .. } => Some(Deadline::new(*until, "end of a disable")),
            _ => None,
        }
    }

    /// De-registers where there is a registration. A Register that is open will tell what to end.
    fn begin_disable(&mut self, exchange: ExchangeId) -> Option<Request> {
        if matches!(self.state, State::Registering { .. }) {
            return None;
        }
        let until = self.disable_until.take()?;
        let before = std::mem::replace(&mut self.state, State::Disabled { until, exchange: None });
        let State::Registered { registration } = before else { return None };
        self.state = State::Disabled { until, exchange: Some(exchange) };
        Some(Request::new(Method::Delete, registration.location))
    }

    fn fall_silent(&mut self, until: Instant) -> Outcome {
        self.state = State::Disabled { until, exchange: None };
        Outcome::Disabled
    }

    /// What is missing was rejected at an address that the server does not connect with it: an Update, which leaves
    /// its observations as they are, would not bring it back.
    fn is_estranged(&self, now: Instant) -> bool {
        self.trust == Trust::Changed && self.lost.is_due(now)
    }

    fn update_reason(
        &self,
        registration: &Registration,
        facts: Facts<'_>,
        now: Instant,
    ) -> Option<(&'static str, Purpose)> {
        let announced = &registration.announced;
        let to_tell = if announced.lifetime_secs != facts.lifetime_secs {
            Some("lifetime changed")
        } else if announced.binding != facts.binding {
            Some("binding changed")
        } else if announced.shape != facts.shape && !facts.gathering {
            Some("object instances changed")
        } else {
            (registration.update_at(facts.update_takes) <= now).then_some("lifetime")
        };
        let missing = self.lost.is_due(now).then_some(("observations are missing", Purpose::Show));
        to_tell.map(|why| (why, Purpose::Tell)).or(self.wanted).or(missing)
    }

    /// The order of the queries means nothing (REG-09).
    fn register_request(&self, facts: Facts<'_>, links: Vec<u8>) -> Request {
        let mut query = self.uri_query.clone();
        query.extend(facts.version.map(|version| format!("lwm2m={version}")));
        query.push(format!("ep={}", facts.endpoint));
        query.push(format!("lt={}", facts.lifetime_secs));
        query.push(format!("b={}", facts.binding));
        let path = self.uri_path.iter().cloned().chain(["rd".to_owned()]).collect();
        Request {
            query,
            content_format: Some(LINK_FORMAT),
            payload: links,
            ..Request::new(Method::Post, path)
        }
    }

    fn refused(&mut self, why: String, patient: bool, now: Instant) -> Outcome {
        self.refused = true;
        self.failed(why, patient, now)
    }

    /// An attempt to register failed: the next one later, and later each time (RTY-10: never two clients in step).
    fn failed(&mut self, why: String, patient: bool, now: Instant) -> Outcome {
        let doubled = self.retry.first.saturating_mul(1 << self.failures.min(20));
        let delay = if patient { self.retry.longest } else { doubled.min(self.retry.longest) };
        let retry_in = self.chance.between(delay.mul_f64(0.75), delay.mul_f64(1.25));
        self.failures = self.failures.saturating_add(1);
        self.state = State::Idle { not_before: Some(now + retry_in) };
        Outcome::Failed { why, retry_in }
    }

    fn abandon(&self) -> Option<Action> {
        self.state.exchange().map(|exchange| Action::Abandon { exchange })
    }
}
