//! The whole gateway among its models, under one virtual clock: sensors, broker, modem, radio cell and server.
//!
//! One seed makes one run. A run fails on anything that must never happen: an ERROR, a deadline that does not move
//! the clock, silence with work undone, samples that the books do not place, octets on the air that differ from the
//! counters, a last value that did not reach the server. See [`Report::failures`].

mod errors;
mod report;
mod sites;
mod surroundings;

use std::time::{Duration, Instant};

use crate::clock::{Deadline, UnixTime};
use crate::gateway::core::Core;
use crate::gateway::io::{Event, Input, Output};
use crate::gateway::settings::{Mappings, Settings};
use crate::lab::sensors::{Kind, Player};
use crate::lab::{broker, cell, modem, store};
use crate::net::Peer;
use crate::seed::Seed;

use report::Digest;
pub use report::Report;
use surroundings::Surroundings;

/// When the world begins: 2026-01-01 00:00 UTC.
const BEGINNING: UnixTime = UnixTime::from_secs(1_767_225_600);
/// Exchanges at one instant. A healthy world needs a few dozen; more go round in circles.
const MAX_ROUNDS: usize = 10_000;
/// A datagram that was on its way when the books were settled is read by then.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// After the last word to the servers the modem still closes its socket.
const SHUTS_DOWN_WITHIN: Duration = Duration::from_secs(10);
/// Turns of the clock that may pass without moving it.
const MAX_STANDSTILL: usize = 100;

/// How the world is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything random comes from here.
    pub seed: u64,
    /// How long the sensors play.
    pub duration: Duration,
    /// How long the gateway then has to report what is pending, and to leave.
    pub settling: Duration,
    /// One message of each sensor every so often.
    pub period: Duration,
    /// The radio cell.
    pub cell: cell::Options,
    /// The modem.
    pub modem: modem::Options,
    /// The servers, at [`SERVER`] and the addresses that follow. The gateway may know of more: they do not answer.
    pub servers: Vec<Site>,
    /// The broker.
    pub broker: broker::Settings,
    /// The store.
    pub store: store::Settings,
    /// The broker goes down after the first, for the second; `None`: it stays up.
    pub broker_away: Option<(Duration, Duration)>,
    /// The gateway. The first of its servers must be at [`SERVER`].
    pub gateway: Settings,
    /// So many further parking bays speak once, after so long; `None`: there are none.
    pub bays: Option<(u16, Duration)>,
    /// The first server dims the lamp every so often; `None`: never.
    pub order_every: Option<Duration>,
    /// The gateway takes these mappings in place of those before, after so long; in the order of time.
    pub reloads: Vec<(Duration, Mappings)>,
    /// What befalls the cell, and how long after the beginning; in the order of time.
    pub mishaps: Vec<(Duration, cell::Order)>,
}

pub use sites::{SERVER, Site, is_same};

/// The gateway, its surroundings, and the clock.
pub struct World {
    options: Options,
    start: Instant,
    now: Instant,
    core: Core,
    around: Surroundings,
    stopped: bool,
    /// It makes no sense to go on.
    broken: bool,
    digest: Digest,
    report: Report,
}

impl World {
    /// A world at its beginning; `start` is only an origin for the virtual clock.
    pub fn new(options: Options, start: Instant) -> Self {
        let seed = Seed::new(options.seed);
        let around = Surroundings::new(&options, seed, start, BEGINNING);
        let mut core = Core::new(options.gateway.clone(), seed.child("gateway"), start);
        core.handle(Input::WallClock(BEGINNING), start);
        Self {
            report: Report { seed: options.seed, ..Report::default() },
            options,
            start,
            now: start,
            core,
            around,
            stopped: false,
            broken: false,
            digest: Digest::new(start),
        }
    }

    /// Lets the world run to its end and tells what came of it.
    pub fn run(mut self) -> Report {
        let errors = errors::watch(|| self.live());
        self.report.failures.extend(errors.into_iter().map(|error| format!("ERROR event: {error}")));
        self.report
    }

    fn live(&mut self) {
        let playing_ends = self.start + self.options.duration;
        let settling_ends = playing_ends + self.options.settling;
        self.run_until(playing_ends);
        self.around.stop_playing();
        // What is pending is reported with the next exchanges; nothing new keeps it from ending.
        while self.now < settling_ends && self.is_unsettled() && !self.broken {
            let Some(next) = self.next_deadline() else { break };
            self.run_until(next.at.min(settling_ends));
        }
        // What is on its way down is read before the octets are compared.
        self.run_until(self.now + READS_WITHIN);
        self.judge();
        let lost = self.around.traffic().up.lost;
        self.core.handle(Input::Stop, self.now);
        self.run_until(self.now + self.options.gateway.stop_limit + SHUTS_DOWN_WITHIN);
        if !self.stopped {
            self.fail("the gateway did not stop");
        }
        self.judge_leave(self.around.traffic().up.lost - lost);
        self.sum_up();
    }

    /// Who stops takes leave of every server, as far as the radio let the words through: on their way `lost` datagrams were lost.
    fn judge_leave(&mut self, lost: u64) {
        let unseen = self.around.sites().without_leave();
        if unseen.len() as u64 > lost {
            for address in unseen {
                self.report.failures.push(format!("the server at {address} saw no de-registration"));
            }
        }
    }

    /// Something is still to reach the server, or the registration does not stand.
    fn is_unsettled(&self) -> bool {
        let snapshot = self.core.snapshot(self.now);
        // Nobody can register at a server that is not there.
        let is_there = |peer: Peer| self.around.sites().has(peer.0);
        let mut there = snapshot.servers.iter().filter(|server| server.peer.is_some_and(is_there));
        let is_registered = there.all(|server| server.location.is_some());
        self.pending_too_long() > 0 || !is_registered || !self.around.differences().is_empty()
    }

    /// Samples that are pending beyond those that may be for good.
    fn pending_too_long(&self) -> u64 {
        self.core.books().pending().saturating_sub(self.around.may_pend() as u64)
    }

    /// Moves the clock from deadline to deadline until `end`.
    fn run_until(&mut self, end: Instant) {
        let mut standstill = 0;
        self.settle();
        while !self.broken && !self.stopped {
            let Some(next) = self.next_deadline() else {
                if self.pending_too_long() > 0 {
                    self.break_off("silence: samples are pending and nothing is going to happen");
                }
                return;
            };
            if next.at > end {
                self.now = end;
                return;
            }
            standstill = if next.at > self.now { 0 } else { standstill + 1 };
            if standstill > MAX_STANDSTILL {
                self.break_off(&format!("the deadline {:?} does not move the clock", next.why));
                return;
            }
            self.now = self.now.max(next.at);
            self.report.turns += 1;
            self.core.handle(Input::Tick, self.now);
            self.around.handle_timeout(self.now);
            self.settle();
        }
    }

    fn next_deadline(&self) -> Option<Deadline> {
        Deadline::sooner(self.core.next_deadline(), self.around.poll_timeout())
    }

    /// Moves what passes between the gateway and its surroundings until both are quiet.
    fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            while let Some(output) = self.core.poll() {
                moved = true;
                self.take(output);
            }
            let takes_messages = self.core.takes_messages();
            while let Some(input) = self.around.poll_input(takes_messages, self.now, &mut self.digest) {
                moved = true;
                self.core.handle(input, self.now);
            }
            if !moved {
                return;
            }
        }
        self.break_off("the world does not come to rest");
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Event(Event::Fault(what)) => self.fail(&format!("fault: {what}")),
            Output::Event(_) => {}
            Output::Stopped => self.stopped = true,
            other => self.around.take(other, self.now, &mut self.digest),
        }
    }

    /// Everything that can be judged while the registration stands.
    fn judge(&mut self) {
        let books = self.core.books().clone();
        if !books.balance() {
            self.fail(&format!("the books do not balance: {books:?}"));
        }
        if self.pending_too_long() > 0 {
            self.fail(&format!("{} samples are still pending after the settling time", books.pending()));
        }
        for difference in self.around.differences() {
            self.fail(&difference);
        }
        self.compare_octets();
    }

    /// The gateway's counters against the air.
    fn compare_octets(&mut self) {
        let air = self.around.traffic();
        let counted = self.core.snapshot(self.now).link.traffic;
        // Without coverage a modem takes datagrams that never go on the air.
        let taken = air.up.payload_octets + air.up.undeliverable_octets;
        if counted.octets_up != taken {
            let ours = counted.octets_up;
            self.fail(&format!("{ours} octets up were counted, but the modem took {taken}"));
        }
        // What a socket still held when it was lost, nobody could read.
        let read = air.down.payload_octets - self.around.unread_octets();
        if counted.octets_down != read {
            let ours = counted.octets_down;
            self.fail(&format!("{ours} octets down were counted, but {read} were read from the modem"));
        }
    }

    fn sum_up(&mut self) {
        let snapshot = self.core.snapshot(self.now);
        let air = self.around.traffic();
        let report = &mut self.report;
        report.simulated = self.now - self.start;
        report.published = self.around.published();
        report.books = self.core.books().clone();
        report.octets_up = air.up.payload_octets;
        report.octets_down = air.down.payload_octets;
        report.datagrams_up = air.up.datagrams;
        report.datagrams_down = air.down.datagrams;
        report.resends = snapshot.coap.resends;
        report.digest = self.digest.value();
        self.around.sites().add_to(report);
    }

    fn break_off(&mut self, why: &str) {
        self.broken = true;
        self.fail(why);
    }

    fn fail(&mut self, what: &str) {
        let at = humantime::format_duration(self.now - self.start);
        self.report.failures.push(format!("at {at}: {what}"));
    }
}

/// The four sensors of a world.
fn players(seed: Seed, period: Duration, now: Instant) -> Vec<Player> {
    Kind::ALL.into_iter().map(|kind| Player::new(kind, period, seed, now, BEGINNING)).collect()
}
