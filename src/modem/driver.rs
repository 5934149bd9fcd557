//! The driver's door: moves lines, commands and facts between the AT channel, bring-up, socket, lookups and polls.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::at::responses::{self, RegistrationForm, SimState};
use crate::at::{self, Channel, Exchange, Line, Redacted, TraceLine};
use crate::clock::Deadline;
use crate::net::{LinkEvent, LinkFacts, LinkRequest, Outgoing};
use crate::seed::Seed;

use super::bring_up::{BringUp, Start};
use super::common::{Common, Facts};
use super::dialect::Urc;
use super::lookups::Lookups;
use super::polls::{Finding, Polls};
use super::sockets::{SOCKET, Socket, Verdict};
use super::{PortEvent, Settings};

/// A shorter loss of registration is a cell change; CoAP's own timers bridge it.
const COVERAGE_GRACE: Duration = Duration::from_secs(30);
/// Time for a tidy end; a command in flight may take longer, and is then left alone.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);
/// Events that nobody has fetched, beyond which no new command is sent: the owner drains after every call.
const MAX_EVENTS: usize = 256;

/// Drives one modem. See the head of `modem` for its states.
#[derive(Debug)]
pub struct Driver {
    common: Common,
    channel: Channel,
    state: State,
    bring_up: BringUp,
    socket: Socket,
    lookups: Lookups,
    polls: Option<Polls>,
    /// Whose command is in flight.
    in_flight: Option<Asker>,
    uncovered_since: Option<Instant>,
    /// The address under which servers know us.
    known_address: Option<IpAddr>,
    events: VecDeque<LinkEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    NoPort,
    /// Bringing up, or online once that is ready.
    Running,
    Closing {
        until: Instant,
        asked: bool,
    },
    ShutDown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    BringUp,
    Socket,
    Lookups,
    Polls,
    Closing,
    /// Whoever asked does not want to know any more.
    Nobody,
}

impl Driver {
    /// A driver without a port.
    pub fn new(settings: Settings, seed: Seed) -> Self {
        let channel = Channel::new(at::Settings { trace: settings.trace, ..at::Settings::default() });
        let rng = seed.child("modem").rng();
        let facts = Facts::default();
        let mut driver = Self {
            common: Common { settings, dialect: None, facts, rng },
            channel,
            state: State::NoPort,
            bring_up: BringUp::new(),
            socket: Socket::default(),
            lookups: Lookups::default(),
            polls: None,
            in_flight: None,
            uncovered_since: None,
            known_address: None,
            events: VecDeque::new(),
        };
        driver.refresh_words();
        driver.common.facts.is_changed = false;
        driver
    }

    /// The serial port was opened or lost.
    pub fn handle_port(&mut self, event: PortEvent, now: Instant) {
        if !matches!(self.state, State::NoPort | State::Running) {
            self.state = State::ShutDown;
            return;
        }
        let reason = match &event {
            PortEvent::Opened => "the serial port was opened anew",
            PortEvent::Lost { reason } => reason,
        };
        let is_news = self.common.facts.now.trouble.as_deref() != Some(reason);
        self.go_down(reason);
        self.abandon_command();
        if let PortEvent::Lost { reason } = event {
            // An unplugged modem is tried again all night: once is enough.
            if is_news {
                warn!(reason, "serial port lost; it is tried again until it is there");
            }
            self.common.facts.change(|facts| facts.trouble = Some(reason));
            self.state = State::NoPort;
        } else {
            self.state = State::Running;
            self.channel.reset(now);
            self.bring_up.start(Start::Opened, &mut self.common, now);
        }
        self.pump(now);
    }

    /// Octets from the port.
    pub fn handle_input(&mut self, octets: &[u8], now: Instant) {
        if matches!(self.state, State::Running | State::Closing { .. }) {
            self.channel.handle_input(octets, now);
            self.pump(now);
        }
    }

    /// The link is up and no datagram is in hand.
    pub fn can_send(&self) -> bool {
        self.is_online() && self.common.facts.now.up && self.socket.can_take()
    }

    /// Takes one datagram in hand; [`LinkEvent::Sent`] or [`LinkEvent::SendFailed`] follows. To be called while
    /// [`Self::can_send`]; otherwise the datagram fails at once.
    pub fn send(&mut self, outgoing: Outgoing, now: Instant) {
        let id = outgoing.id;
        let taken = if self.is_online() && self.common.facts.now.up {
            self.socket.take(outgoing, self.common.facts.now.max_send_octets)
        } else {
            Err(format!("the link is not up: {}", self.common.facts.now.state))
        };
        if let Err(reason) = taken {
            self.events.push_back(LinkEvent::SendFailed { id, reason });
        }
        self.pump(now);
    }

    /// Something is asked of the link; names wait until it is up.
    pub fn request(&mut self, request: LinkRequest, now: Instant) {
        let LinkRequest::Resolve { name } = request;
        self.lookups.ask(name, &mut self.events);
        self.pump(now);
    }

    /// A deadline passed; calling early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Closing { until, .. } = self.state {
            if now >= until {
                debug!("the modem did not close its socket in time");
                self.state = State::ShutDown;
            }
        }
        if !matches!(self.state, State::Running | State::Closing { .. }) {
            return;
        }
        self.channel.handle_timeout(now);
        self.drain_channel(now);
        self.bring_up.handle_timeout(&mut self.common, now);
        self.lookups.handle_timeout(now, &mut self.events);
        if self.uncovered_since.is_some_and(|since| now >= since + COVERAGE_GRACE) {
            self.uncovered_since = None;
            self.restart(Start::Attach, "not registered in the network any more", now);
        }
        self.pump(now);
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let idle = self.channel.is_ready() && self.in_flight.is_none();
        match self.state {
            State::NoPort | State::ShutDown => None,
            State::Closing { until, .. } => {
                Deadline::sooner(self.channel.poll_timeout(), Some(Deadline::new(until, "modem shutdown")))
            }
            State::Running if !self.is_online() => {
                Deadline::sooner(self.channel.poll_timeout(), self.bring_up.poll_timeout(idle))
            }
            State::Running => {
                let uncovered = self.uncovered_since.map(|since| since + COVERAGE_GRACE);
                Deadline::earliest([
                    self.channel.poll_timeout(),
                    self.lookups.poll_timeout(),
                    self.socket.poll_timeout().filter(|_| idle),
                    self.polls.as_ref().and_then(Polls::poll_timeout).filter(|_| idle && !self.is_carrying()),
                    uncovered.map(|at| Deadline::new(at, "modem coverage")),
                ])
            }
        }
    }

    /// Octets for the port.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.channel.poll_transmit()
    }

    /// Something the layers above should know.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        let changed = || LinkEvent::FactsChanged;
        self.events.pop_front().or_else(|| std::mem::take(&mut self.common.facts.is_changed).then(changed))
    }

    /// One line of the AT dialogue, if the settings ask for it.
    pub fn poll_trace(&mut self) -> Option<TraceLine> {
        self.channel.poll_trace()
    }

    /// What may be known of the link.
    pub fn facts(&self) -> &LinkFacts {
        self.common.facts.as_ref()
    }

    /// Closes the socket and nothing else: registration and PDN context make the next start faster. Takes a few
    /// seconds at most; [`Self::is_shut_down`] says when it is done.
    pub fn shutdown(&mut self, now: Instant) {
        if matches!(self.state, State::Closing { .. } | State::ShutDown) {
            return;
        }
        self.go_down("shutting down");
        let can_close = self.state == State::Running && self.bring_up.has_socket();
        self.abandon_command();
        self.state = if can_close {
            State::Closing { until: now + SHUTDOWN_LIMIT, asked: false }
        } else {
            State::ShutDown
        };
        self.pump(now);
    }

    /// Nothing more will be asked of the port.
    pub fn is_shut_down(&self) -> bool {
        self.state == State::ShutDown
    }

    fn is_online(&self) -> bool {
        self.state == State::Running && self.bring_up.is_ready()
    }

    /// Something that carries data waits or is under way: not the moment for status.
    fn is_carrying(&self) -> bool {
        self.socket.is_busy() || self.lookups.is_waiting()
    }

    /// Moves everything until nothing moves any more.
    fn pump(&mut self, now: Instant) {
        loop {
            self.drain_channel(now);
            self.settle(now);
            if !self.channel.is_ready() || self.in_flight.is_some() || self.events.len() >= MAX_EVENTS {
                break;
            }
            let Some((asker, command)) = self.next_command(now) else {
                // Bring-up may have passed steps that ask nothing.
                self.settle(now);
                break;
            };
            self.in_flight = Some(asker);
            if let Err(command) = self.channel.submit(command, now) {
                // Cannot be: it was ready. Then its asker waits for nothing, and starts over.
                warn!(%command, "command was not taken");
                self.in_flight = None;
                self.restart(Start::Whole, "the AT channel took no command", now);
                break;
            }
        }
        self.refresh_words();
    }

    fn next_command(&mut self, now: Instant) -> Option<(Asker, at::Command)> {
        match &mut self.state {
            State::NoPort | State::ShutDown => return None,
            State::Closing { asked: true, .. } => return None,
            State::Closing { asked, .. } => {
                *asked = true;
                return Some((Asker::Closing, self.common.dialect?.close_socket(SOCKET)));
            }
            State::Running => {}
        }
        if let Some(command) = self.bring_up.poll_command(&mut self.common, now) {
            return Some((Asker::BringUp, command));
        }
        self.settle(now);
        if !self.is_online() {
            return None;
        }
        let dialect = self.common.dialect?;
        if let Some(command) = self.socket.poll_command(dialect, now) {
            return Some((Asker::Socket, command));
        }
        if let Some(command) = self.lookups.poll_command(dialect, now) {
            return Some((Asker::Lookups, command));
        }
        let polls = self.polls.as_mut().filter(|_| !self.socket.is_busy())?;
        if polls.begins(dialect, self.common.settings.poll_interval, now) {
            // The slow look: a notice may have been lost, and none follows before the buffer was read.
            self.socket.look();
            return self.socket.poll_command(dialect, now).map(|command| (Asker::Socket, command));
        }
        polls.poll_command(dialect).map(|command| (Asker::Polls, command))
    }

    fn drain_channel(&mut self, now: Instant) {
        while let Some(event) = self.channel.poll_event() {
            match event {
                at::Event::Finished(exchange) => self.finished(&exchange, now),
                at::Event::Urc(line) => self.urc(&line, now),
                at::Event::InStep => debug!("in step with the modem"),
                at::Event::LostStep { why } => {
                    debug!(%why, "lost step with the modem");
                    if self.is_online() {
                        self.restart(Start::Verify, "lost step with the modem", now);
                    }
                }
                at::Event::Silent { waited } => self.silent(waited, now),
            }
        }
    }

    fn finished(&mut self, exchange: &Exchange, now: Instant) {
        match self.in_flight.take() {
            None => {}
            Some(Asker::Nobody) => {
                // A datagram that was given up with the link left all the same, one that nobody waits for came.
                if let (Ok(_), Some(payload)) = (&exchange.outcome, exchange.command.payload_octets()) {
                    self.common.facts.count_sent(payload);
                }
                let received = exchange.lines.iter().filter_map(|line| line.payload.as_deref());
                received.for_each(|payload| self.common.facts.count_received(payload));
            }
            Some(Asker::BringUp) => {
                self.bring_up.handle_finished(exchange, &mut self.common, now);
                if let Some(dialect) = self.common.dialect {
                    self.channel.set_counted(dialect.counted());
                }
            }
            Some(Asker::Socket) => {
                let verdict = self.socket.handle_finished(exchange, &mut self.common, &mut self.events, now);
                match verdict {
                    Verdict::Sound => {}
                    Verdict::Suspect(why) => self.restart(Start::Verify, &why, now),
                    Verdict::Broken(why) => self.restart(Start::Reopen, &why, now),
                }
            }
            Some(Asker::Lookups) => {
                if let Some(dialect) = self.common.dialect {
                    self.lookups.handle_finished(exchange, dialect, &mut self.events, now);
                }
            }
            Some(Asker::Polls) => {
                let Some(polls) = self.polls.as_mut() else { return };
                let registered = self.common.facts.now.registration;
                match polls.handle_finished(exchange, &mut self.common) {
                    Finding::Nothing => {}
                    Finding::PdnLost => {
                        self.restart(Start::PdnLost, "the PDN context is gone", now);
                    }
                    Finding::AddressChanged => {
                        self.restart(Start::Reopen, "the modem's own address changed", now);
                    }
                    Finding::Lost(why) => self.restart(Start::Verify, &why, now),
                }
                if registered != self.common.facts.now.registration {
                    self.registration_changed(now);
                }
            }
            Some(Asker::Closing) => self.state = State::ShutDown,
        }
    }

    fn urc(&mut self, line: &Line, now: Instant) {
        if self.common.note_registration(&line.text, RegistrationForm::Urc) {
            return self.registration_changed(now);
        }
        if responses::sim_state(&line.text) == Some(SimState::Ready) {
            self.bring_up.handle_sim_ready();
        }
        let urc = match (self.common.dialect, line.text.as_str()) {
            (Some(dialect), _) => dialect.urc(line),
            // Before the family is known: what most of them say.
            (None, "RDY" | "APP RDY") => Some(Urc::Restarted),
            (None, _) => None,
        };
        let Some(urc) = urc else {
            // A late answer to a question for an identity looks like one.
            return debug!(line = %Redacted(&line.text), "URC that nobody needs");
        };
        if !matches!(self.state, State::Running) {
            return;
        }
        match &urc {
            Urc::Restarted => self.modem_restarted("the modem restarted", now),
            Urc::PoweredDown => self.modem_restarted("the modem powered down", now),
            // Also printed after the radio was switched on.
            Urc::BootNotice if self.is_online() => self.modem_restarted("the modem restarted", now),
            Urc::BootNotice => {}
            Urc::PdnLost if self.bring_up.uses_pdn() => {
                self.restart(Start::PdnLost, "the network dropped the PDN context", now);
            }
            // Not yet active, or just being deactivated.
            Urc::PdnLost => debug!("PDN context dropped amid bring-up"),
            Urc::DatagramReady { socket: SOCKET } => self.socket.look(),
            Urc::DatagramReady { socket } => debug!(%socket, "notice for a socket that is not ours"),
            Urc::SocketOpened { .. } => self.bring_up.handle_urc(&urc, &mut self.common, now),
            Urc::ResolveResult(_) | Urc::ResolvedAddress(_) => {
                self.lookups.handle_urc(&urc, &mut self.events);
            }
        }
    }

    fn registration_changed(&mut self, now: Instant) {
        self.bring_up.handle_registration(&mut self.common);
        let registered = self.common.facts.now.registration.is_registered();
        self.uncovered_since =
            if registered || !self.is_online() { None } else { self.uncovered_since.or(Some(now)) };
    }

    fn modem_restarted(&mut self, why: &str, now: Instant) {
        if self.bring_up.is_fresh() && !self.channel.is_ready() && self.in_flight.is_none() {
            // Boot says it in several lines; it is being waited for already.
            return;
        }
        self.restart(Start::Whole, why, now);
        self.channel.reset(now);
    }

    fn silent(&mut self, waited: Duration, now: Instant) {
        let why = format!("the modem does not answer for {} s", waited.as_secs());
        if !self.bring_up.is_fresh() {
            return self.restart(Start::Whole, &why, now);
        }
        warn!(why, "modem is silent");
        self.common.facts.change(|facts| facts.trouble = Some(why));
    }

    /// Begins bring-up at `start`; whoever has a command in flight is not told of its end.
    fn restart(&mut self, start: Start, why: &str, now: Instant) {
        if self.state != State::Running {
            return;
        }
        if start == Start::Verify {
            debug!(why, "looking whether the link still stands");
            // A notice may have been lost with the step.
            self.socket.look();
        } else {
            self.go_down(why);
        }
        self.abandon_command();
        self.uncovered_since = None;
        self.bring_up.start(start, &mut self.common, now);
    }

    /// Whoever has a command in flight will not be told of its end.
    fn abandon_command(&mut self) {
        if self.in_flight.is_some() {
            self.in_flight = Some(Asker::Nobody);
        }
    }

    /// Goes up or down with bring-up.
    fn settle(&mut self, now: Instant) {
        if self.state != State::Running {
            return;
        }
        let up = self.common.facts.now.up;
        if self.bring_up.is_ready() && !up {
            self.go_up(now);
        } else if up && !self.bring_up.is_ready() && !self.bring_up.keeps_link() {
            let why = self.bring_up.why().to_owned();
            self.go_down(&why);
        }
    }

    fn go_up(&mut self, now: Instant) {
        let Some(dialect) = self.common.dialect else { return };
        let address = self.common.facts.now.address;
        let address_changed = address.is_none() || address != self.known_address;
        self.known_address = address;
        let limits = dialect.limits();
        self.common.facts.change(|facts| {
            facts.up = true;
            facts.max_send_octets = limits.max_send_octets;
            facts.max_receive_octets = limits.max_receive_octets;
        });
        debug!(?address, address_changed, "modem link is up");
        self.events.push_back(LinkEvent::Up { address_changed });
        self.polls = Some(Polls::new(now));
        // Something may have come while nobody listened.
        self.socket.look();
    }

    fn go_down(&mut self, reason: &str) {
        self.socket.give_up(reason, &mut self.events);
        self.lookups.give_up(reason, &mut self.events);
        self.polls = None;
        self.uncovered_since = None;
        if self.common.facts.now.up {
            debug!(reason, "modem link is down");
            self.common.facts.change(|facts| facts.up = false);
            self.events.push_back(LinkEvent::Down { reason: reason.to_owned() });
        }
    }

    fn refresh_words(&mut self) {
        let registration = self.common.facts.now.registration;
        let words = match self.state {
            State::NoPort => "no serial port",
            State::Running if self.channel.is_ready() || self.in_flight.is_some() => {
                self.bring_up.words(registration)
            }
            State::Running => "waiting for the modem to answer",
            State::Closing { .. } => "shutting down",
            State::ShutDown => "shut down",
        };
        if self.common.facts.now.state != words {
            self.common.facts.change(|facts| facts.state = words);
        }
    }
}
