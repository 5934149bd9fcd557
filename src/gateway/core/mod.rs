//! The whole gateway as one machine: moves what one layer gives to the layer that takes it, until all are quiet.
//!
//! Knows no protocol rule. A sample goes down the stairs bridge → lwm2m → coap → link, a request comes up the
//! same way; `Core::settle` is that staircase. Back-pressure: CoAP is asked for a datagram, and the client for a
//! notification, only while the link can take one.

mod announcing;
pub mod books;
mod downlink;
pub mod keeper;
mod link;
mod looking;
mod memory;
mod names;
mod reload;
mod uplink;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::at::TraceLine;
use crate::bridge::Bridge;
use crate::clock::Deadline;
use crate::coap::Endpoint;
use crate::lwm2m::client::{self, Client};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::net::{LinkFacts, Peer};
use crate::persist::Modem;
use crate::seed::Seed;

use super::io::{Event, Input, Output};
use super::settings::Settings;
use announcing::Announcing;
use books::Books;
use keeper::Keeper;
use link::Link;
use looking::Looking;
use names::Names;

/// Rounds of moving outputs to inputs after one input. A healthy gateway needs a handful; more is a fault that
/// would otherwise be an endless loop.
const MAX_ROUNDS: usize = 10_000;

/// So long an end waits for the last changes to be on disk.
const STORE_LIMIT: Duration = Duration::from_secs(2);
/// A deadline that is so far back was not met, though the loop came by.
const MISSED_AFTER: Duration = Duration::from_secs(5);

/// The gateway without its edges.
pub struct Core {
    link: Link,
    coap: Endpoint,
    lwm2m: Client,
    bridge: Bridge,
    names: Names,
    keeper: Keeper,
    books: Books,
    /// Paths whose refusal was logged; bounded, refusals of further ones are counted only.
    refused: BTreeSet<Path>,
    /// The modem as the store knows it, or will.
    remembered: Option<Modem>,
    looking: Looking,
    announcing: Announcing,
    outputs: VecDeque<Output>,
    settings: Settings,
    state: State,
    /// The moment of the last call, so that a link without a clock of its own can ask to be started at once.
    now: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Waiting for the servers' answers to De-register, until `until`.
    Deregistering {
        until: Instant,
    },
    /// Waiting for the modem to close its socket, and until `until` for the store to take the last changes.
    Closing {
        until: Instant,
    },
    Stopped,
}

impl Core {
    /// A gateway at rest; the first outputs can be polled at once.
    pub fn new(settings: Settings, seed: Seed, now: Instant) -> Self {
        let client = client::Settings {
            servers: settings.servers.iter().map(names::server_settings).collect(),
            lwm2m_parameter: settings.lwm2m_parameter,
            start_jitter: settings.start_jitter,
            held_objects: settings.held_objects.clone(),
            location: settings.location,
            announce_after: settings.announce_after,
            update_takes: settings.coap.max_transmit_wait(),
            nat_idle: settings.nat_idle,
            on_stop: settings.on_stop,
            stop_within: settings.stop_limit,
            ..client::Settings::default()
        };
        let bridge = Bridge::new(settings.mappings.clone());
        let mut lwm2m = Client::new(client, Arc::new(Model::for_enabler(settings.version)), seed);
        lwm2m.replace_access(reload::access_table(&bridge));
        let mut core = Self {
            link: Link::new(&settings.uplink, seed.child("modem"), now),
            coap: Endpoint::new(settings.coap, seed.child("coap")),
            lwm2m,
            names: Names::new(&settings),
            keeper: Keeper::new(now),
            books: Books::default(),
            refused: BTreeSet::new(),
            remembered: None,
            looking: Looking::new(now),
            announcing: Announcing::default(),
            outputs: VecDeque::from([Output::Subscribe(bridge.topic_filters())]),
            bridge,
            settings,
            state: State::Running,
            now,
        };
        core.coap.set_peers(Some(core.peers().into_iter().collect()));
        core.link.handle_timeout(now);
        core.settle(now);
        core
    }

    /// Something happened outside. Poll until `None` afterwards.
    pub fn handle(&mut self, input: Input, now: Instant) {
        self.now = now;
        if let Some(input) = self.link.handle(input, now) {
            self.handle_beside_link(input, now);
        }
        self.handle_timeouts(now);
        self.settle(now);
    }

    /// The next thing to do outside.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next line of the AT dialogue, where the settings ask for a trace.
    pub fn poll_trace(&mut self) -> Option<TraceLine> {
        self.link.poll_trace()
    }

    /// When to come back with [`Input::Tick`] if nothing else happens.
    pub fn next_deadline(&self) -> Option<Deadline> {
        let stopping = match self.state {
            State::Deregistering { until } => {
                Some(Deadline::new(until, "give up waiting for de-registration"))
            }
            State::Closing { until } if self.link.is_shut_down() => {
                Some(Deadline::new(until, "give up waiting for the store"))
            }
            _ => None,
        };
        Deadline::earliest([
            stopping,
            self.link.poll_timeout(self.now),
            self.coap.poll_timeout(),
            self.lwm2m.poll_timeout(),
            self.bridge.poll_timeout(),
            self.names.poll_timeout(),
            self.keeper.poll_timeout(),
            self.announcing.poll_timeout(),
        ])
    }

    /// Why the core stands still though it should not, a call after the last input: a defect.
    pub fn stuck(&self, now: Instant) -> Option<&'static str> {
        if self.state == State::Stopped {
            return None;
        }
        if self.link.waits_for_nothing() {
            return Some("the modem's driver waits for nothing");
        }
        let missed = self.next_deadline().is_some_and(|deadline| now > deadline.at + MISSED_AFTER);
        missed.then_some("a deadline passed and nothing came of it")
    }

    /// The books.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    fn handle_beside_link(&mut self, input: Input, now: Instant) {
        match input {
            Input::WallClock(time) => {
                self.lwm2m.set_wall_clock(time, now);
                self.bridge.set_wall_clock(time, now);
                // 24 bits count, so the low ones are those that are wanted (OBS-11).
                self.coap.start_observe_after((time.as_secs() & 0xff_ffff) as u32);
            }
            Input::Host(facts) => {
                self.settings.host.facts = *facts;
                self.lwm2m.set_host(self.settings.host.facts.clone());
            }
            Input::Store(answer) => self.handle_store(answer, now),
            Input::Reload(mappings) => self.reload(*mappings, now),
            Input::Stop => self.stop(now),
            Input::Tick => {}
            other => self.handle_broker(other, now),
        }
    }

    fn handle_timeouts(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.coap.handle_timeout(now);
        self.lwm2m.handle_timeout(now);
        self.bridge.handle_timeout(now);
        self.names.handle_timeout(now);
        self.keep_time(now);
    }

    fn stop(&mut self, now: Instant) {
        if self.state == State::Running {
            tracing::info!("stopping");
            self.lwm2m.shutdown(now);
            self.keeper.flush(now);
            self.state = State::Deregistering { until: now + self.settings.stop_limit };
        }
    }

    /// Moves outputs to inputs until every machine is quiet.
    fn settle(&mut self, now: Instant) {
        let mut rounds = 0;
        while self.step(now) {
            rounds += 1;
            if rounds == MAX_ROUNDS {
                self.fault("the gateway does not come to rest: a defect, please report it with the log");
                break;
            }
        }
        self.drain_outputs();
        self.announce(now);
        self.wind_down(now);
    }

    /// One flight of stairs up and down; false when nothing moved.
    fn step(&mut self, now: Instant) -> bool {
        // Upwards first: what arrived may change what should leave.
        let up = self.move_link_events(now) | self.move_coap_events(now) | self.move_client_events(now);
        let across = self.move_bridge_events(now) | self.move_writes(now) | self.ask_for_names(now);
        let down = self.move_actions(now) | self.move_notifications(now) | self.move_datagrams(now);
        up | across | down
    }

    fn drain_outputs(&mut self) {
        while let Some(output) = self.link.poll_output() {
            self.outputs.push_back(output);
        }
        while let Some((id, message)) = self.bridge.poll_publish() {
            self.outputs.push_back(Output::Publish(id, message));
        }
        while let Some(id) = self.bridge.poll_withdrawal() {
            self.outputs.push_back(Output::Withdraw(id));
        }
        while let Some(request) = self.keeper.poll_request() {
            self.outputs.push_back(Output::Store(request));
        }
    }

    /// Takes the next step of a stop when the one before is done.
    fn wind_down(&mut self, now: Instant) {
        if let State::Deregistering { until } = self.state {
            let nobody_listens = !self.link.facts().up;
            // What the link has in hand leaves before the link goes: nobody could say afterwards whether it did.
            let is_done = self.lwm2m.is_shut_down() && self.link.can_send();
            if is_done || nobody_listens || now >= until {
                if !self.lwm2m.is_shut_down() {
                    tracing::warn!("ending without the servers' answer to de-registration");
                }
                self.link.shutdown(now);
                self.state = State::Closing { until: now + STORE_LIMIT };
                self.drain_outputs();
            }
        }
        let State::Closing { until } = self.state else { return };
        if self.link.is_shut_down() && (self.keeper.is_done() || until <= now) {
            self.state = State::Stopped;
            self.outputs.push_back(Output::ClosePort);
            self.outputs.push_back(Output::Stopped);
        }
    }

    fn tell(&mut self, event: Event) {
        self.announcing.note(&event);
        self.outputs.push_back(Output::Event(event));
    }

    fn fault(&mut self, what: &str) {
        tracing::error!("{what}");
        self.tell(Event::Fault(what.to_owned()));
    }

    fn peers(&self) -> Vec<Peer> {
        self.lwm2m.peers().collect()
    }

    fn facts(&self) -> &LinkFacts {
        self.link.facts()
    }
}
