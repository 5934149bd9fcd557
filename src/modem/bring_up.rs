//! From a modem that answers `AT` to a socket that carries datagrams, one step at a time.
//!
//! A refused step is tried again after a pause that doubles; after several refusals, and whenever an answer was
//! lost, everything starts over: a modem that restarted unheard has forgotten all of it.

mod answers;

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::at::{Command, Exchange};
use crate::clock::Deadline;
use crate::net::NetworkRegistration;

use super::common::{Common, Ended, ended};
use super::dialect::{OpenError, Urc};
use super::settings::{Ask, Settling};
use super::sockets::SOCKET;
use super::steps::Step;

/// Refusals after which everything starts over.
const TRIES: u32 = 5;
/// First pause after a refusal; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause. A person who has just put the SIM in should not wait for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// A link that held for so long starts its pauses anew.
const HELD: Duration = Duration::from_secs(60);
/// Attach in a known cell takes 10 to 60 s, a first scan 180 s and more: then the wait begins again, up to 15 min.
const ATTACH_LIMIT: Duration = Duration::from_secs(180);
/// Reads are answered within 300 ms by the makers; a busy radio stretches that, and a lost answer costs much more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Registration comes by URC; this is the safety net.
const ATTACH_POLL: Duration = Duration::from_secs(10);
/// The end of an open comes by URC, unless that goes to another port.
const OPEN_POLL: Duration = Duration::from_secs(10);
/// Limit and rest for a change of the radio's state (TS 27.007 §8.2 names none; makers 15 s, 30 s from attached).
const RADIO_LIMIT: Duration = Duration::from_secs(30);
const RADIO_REST: Duration = Duration::from_secs(1);
/// Reports of the registration, the fullest first; not every modem knows them all (TS 27.007 §10.1.22).
const REPORT_LEVELS: [u8; 3] = [4, 2, 1];

/// Where bring-up begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The port was opened: nothing is known.
    Opened,
    /// The modem restarted or fell silent: from the first step.
    Whole,
    /// A command was lost: all should still stand; the link stays up while that is looked at.
    Verify,
    /// The registration was lost.
    Attach,
    /// The PDN context was lost.
    PdnLost,
    /// The socket does not do its work.
    Reopen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// A pause before the step is tried again, or a rest that the modem needs.
    Pause(Deadline),
    Registration {
        poll_at: Instant,
        until: Instant,
    },
    Opened {
        poll_at: Instant,
        until: Instant,
    },
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct BringUp {
    step: Step,
    waiting: Waiting,
    /// The link is thought to stand; this looks whether it does.
    verifying: bool,
    /// Failures since the link last held: the pause grows with them.
    failures: u32,
    /// Failures since starting over.
    tries: u32,
    failed_at: Option<Step>,
    /// Why it last began again, for those above.
    why: String,
    ready_at: Option<Instant>,
    settings: Settling,
    /// `AT+CFUN`, as far as known.
    radio: Option<u8>,
    radio_rests_until: Option<Instant>,
    report_level: usize,
    /// The command in flight is a question why the last one was refused, or shall be.
    explain: Explain,
    /// The step whose command is in flight. When bring-up has moved on meanwhile, the answer is of no use.
    asked: Option<Step>,
    /// The socket is (or may be) open in the modem, by our doing.
    opened: bool,
    must_close: bool,
    /// A socket left over from before was closed; a second one is a fault.
    closed_stale: bool,
    /// The modem has just said that it activated the PDN context.
    activated: bool,
    /// The end of the open overtook its `OK`.
    early: Option<Result<(), OpenError>>,
    /// URCs go to another port; this brings them here.
    urcs_here: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explain {
    No,
    Wanted,
    Asked,
}

impl BringUp {
    pub(super) fn new() -> Self {
        Self {
            step: Step::EchoOff,
            waiting: Waiting::Nothing,
            verifying: false,
            failures: 0,
            tries: 0,
            failed_at: None,
            why: String::new(),
            ready_at: None,
            settings: Settling::default(),
            radio: None,
            radio_rests_until: None,
            report_level: 0,
            explain: Explain::No,
            asked: None,
            opened: false,
            must_close: false,
            closed_stale: false,
            activated: false,
            early: None,
            urcs_here: None,
        }
    }

    /// Begins (again).
    pub(super) fn start(&mut self, start: Start, common: &mut Common, now: Instant) {
        self.verifying = start == Start::Verify;
        self.waiting = Waiting::Nothing;
        self.explain = Explain::No;
        self.closed_stale = false;
        self.activated = false;
        self.early = None;
        self.urcs_here = None;
        self.tries = 0;
        let was_ready = self.ready_at;
        if !self.verifying {
            self.ready_at = None;
        }
        match start {
            Start::Opened | Start::Whole => {
                self.radio = None;
                self.report_level = 0;
                common.facts.change(|facts| facts.registration = NetworkRegistration::Unknown);
                self.go(Step::EchoOff, common);
            }
            Start::Verify => self.go(Step::PdnState, common),
            Start::Attach => self.go(Step::Attach, common),
            Start::PdnLost => self.go(Step::PdnDown, common),
            Start::Reopen => {
                self.must_close = true;
                self.go(Step::PdnState, common);
            }
        }
        match (start, was_ready) {
            (Start::Opened, _) => self.failures = 0,
            (Start::Verify | Start::Attach, _) => {}
            (_, Some(at)) if now.saturating_duration_since(at) >= HELD => self.failures = 0,
            // A link that did not hold for long is rebuilt at once only the first time.
            (_, Some(_)) => {
                self.failures += 1;
                if self.failures > 1 {
                    self.pause(common, now);
                }
            }
            // Amid bring-up the time that a modem takes to boot is pause enough.
            (Start::Whole, None) => self.failures += 1,
            (_, None) => {
                self.failures += 1;
                self.pause(common, now);
            }
        }
    }

    /// All steps are passed.
    pub(super) fn is_ready(&self) -> bool {
        self.step == Step::Ready
    }

    /// So far nothing says that the link is broken.
    pub(super) fn keeps_link(&self) -> bool {
        self.verifying && matches!(self.step, Step::PdnState | Step::SocketState | Step::Ready)
    }

    /// Why the link does not stand any more.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// The first step: nothing has been asked yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.step == Step::EchoOff
    }

    /// The steps so far stand on an active PDN context.
    pub(super) fn uses_pdn(&self) -> bool {
        self.step.follows_pdn() || self.keeps_link()
    }

    /// The modem may hold a socket of ours.
    pub(super) fn has_socket(&self) -> bool {
        self.opened
    }

    /// What is going on, in a technician's words.
    pub(super) fn words(&self, registration: NetworkRegistration) -> &'static str {
        self.step.words(self.verifying, registration)
    }

    /// The next command, when there is one to send now.
    pub(super) fn poll_command(&mut self, common: &mut Common, now: Instant) -> Option<Command> {
        let command = self.next_command(common, now)?;
        self.asked = Some(self.step);
        Some(command)
    }

    fn next_command(&mut self, common: &mut Common, now: Instant) -> Option<Command> {
        if self.explain == Explain::Wanted {
            self.explain = Explain::Asked;
            return common.dialect.map(|dialect| dialect.explain());
        }
        loop {
            match &mut self.waiting {
                Waiting::Pause(_) => return None,
                Waiting::Registration { poll_at, .. } if now >= *poll_at => {
                    *poll_at = now + ATTACH_POLL;
                    return Some(Command::read("+CEREG").limit(PATIENCE));
                }
                Waiting::Opened { poll_at, .. } if now >= *poll_at => {
                    *poll_at = now + OPEN_POLL;
                    return common.dialect.map(|dialect| dialect.read_socket(SOCKET));
                }
                Waiting::Registration { .. } | Waiting::Opened { .. } => return None,
                Waiting::Nothing => {}
            }
            if self.step == Step::Ready {
                return None;
            }
            if let Some(command) = self.command(common, now) {
                return Some(command);
            }
            if self.waiting == Waiting::Nothing {
                self.advance(common);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, common: &mut Common, now: Instant) {
        match self.waiting {
            Waiting::Pause(Deadline { at, .. }) if now >= at => self.waiting = Waiting::Nothing,
            Waiting::Registration { until, .. } if now >= until => {
                let why = match common.facts.as_ref().registration {
                    NetworkRegistration::Denied => "the network denied registration",
                    NetworkRegistration::Searching => "no network found yet",
                    _ => "not registered",
                };
                let why = format!("{why} within {} s", ATTACH_LIMIT.as_secs());
                self.fail(Step::Attach, why, common, now);
            }
            Waiting::Opened { until, .. } if now >= until => {
                self.must_close = true;
                let why = "the modem never said whether the socket is open".to_owned();
                self.fail(Step::SocketClose, why, common, now);
            }
            _ => {}
        }
    }

    /// `idle`: a command could be sent now.
    pub(super) fn poll_timeout(&self, idle: bool) -> Option<Deadline> {
        let (poll_at, until, why) = match self.waiting {
            Waiting::Nothing => return None,
            Waiting::Pause(deadline) => return Some(deadline),
            Waiting::Registration { poll_at, until } => (poll_at, until, "modem attach"),
            Waiting::Opened { poll_at, until } => (poll_at, until, "modem socket open"),
        };
        Some(Deadline::new(if idle { poll_at.min(until) } else { until }, why))
    }

    /// The registration changed.
    pub(super) fn handle_registration(&mut self, common: &mut Common) {
        // Also while it pauses after a wait that was too short.
        if self.step == Step::Attach && common.facts.as_ref().registration.is_registered() {
            info!("registered in the network");
            self.advance(common);
        }
    }

    pub(super) fn handle_urc(&mut self, urc: &Urc, common: &mut Common, now: Instant) {
        let Urc::SocketOpened { socket: SOCKET, result } = urc else { return };
        if self.step == Step::SocketOpen && matches!(self.waiting, Waiting::Opened { .. }) {
            self.opened(result.clone(), common, now);
        } else if self.step == Step::SocketOpen && self.waiting == Waiting::Nothing {
            self.early = Some(result.clone());
        }
    }

    /// The SIM came up by itself: no need to sit out the pause.
    pub(super) fn handle_sim_ready(&mut self) {
        if self.failed_at == Some(Step::Sim) && matches!(self.waiting, Waiting::Pause(_)) {
            self.waiting = Waiting::Nothing;
        }
    }

    pub(super) fn handle_finished(&mut self, exchange: &Exchange, common: &mut Common, now: Instant) {
        let asked = self.asked.take();
        let explained = std::mem::replace(&mut self.explain, Explain::No) == Explain::Asked;
        match ended(exchange) {
            Ended::Lost(why) => self.start_over(why, common, now),
            Ended::Well if explained => {
                let words = common.dialect.and_then(|dialect| dialect.explanation(&exchange.lines));
                if let Some(words) = words {
                    info!(words, "the modem explains its refusal");
                    common.facts.change(|facts| facts.trouble = Some(words));
                }
            }
            Ended::Refused(_) if explained => {}
            _ if asked != Some(self.step) => debug!("answer to a step already left"),
            Ended::Well => self.passed(&exchange.lines, common, now),
            Ended::Refused(result) => self.refused(result, exchange.command.name(), common, now),
        }
    }

    /// What the current step asks; `None` when it asks nothing and is passed, or has to wait.
    fn command(&mut self, common: &mut Common, now: Instant) -> Option<Command> {
        match self.step {
            Step::EchoOff => return Some(Command::basic("E0")),
            Step::ErrorNumbers => return Some(Command::set("+CMEE").arg(1)),
            Step::Maker => return Some(Command::execute("+CGMI").limit(PATIENCE)),
            Step::Model => return Some(Command::execute("+CGMM").limit(PATIENCE)),
            Step::Firmware => return Some(Command::execute("+CGMR").limit(PATIENCE)),
            Step::Imei => return Some(Command::execute("+CGSN").limit(PATIENCE)),
            Step::RadioState => return Some(Command::read("+CFUN").limit(PATIENCE)),
            // Minimum functionality has the SIM off as well; 4 wakes it and leaves the radio off.
            Step::SimOn if self.radio == Some(0) => return Some(self.set_radio(4, now)),
            Step::SimOn => return None,
            Step::Sim => return Some(Command::read("+CPIN").limit(PATIENCE)),
            Step::Imsi => return Some(Command::execute("+CIMI").limit(PATIENCE)),
            Step::Reports => {
                let level = REPORT_LEVELS.get(self.report_level)?;
                return Some(Command::set("+CEREG").arg(level));
            }
            Step::RadioOn if self.radio == Some(1) => return None,
            Step::RadioOn => {
                if let Some(at) = self.radio_rests_until.take().filter(|at| *at > now) {
                    self.waiting = Waiting::Pause(Deadline::new(at, "modem radio rests"));
                    return None;
                }
                return Some(self.set_radio(1, now));
            }
            Step::Attach => {
                let poll_at = now + ATTACH_POLL;
                self.waiting = Waiting::Registration { poll_at, until: now + ATTACH_LIMIT };
                return Some(Command::read("+CEREG").limit(PATIENCE));
            }
            Step::BootSettings | Step::ApnSettings | Step::SocketSettings => {
                return self.setting_command(now);
            }
            Step::UrcPort => return self.urcs_here.clone(),
            _ => {}
        }
        let dialect = common.dialect?;
        match self.step {
            Step::Iccid => Some(dialect.read_iccid()),
            Step::PdnState => Some(dialect.read_pdn()),
            Step::PdnDown => Some(dialect.deactivate_pdn()),
            Step::PdnUp => Some(dialect.activate_pdn()),
            Step::Apn => Some(dialect.read_apn()),
            Step::SocketState => self.opened.then(|| dialect.read_socket(SOCKET)),
            Step::SocketClose => self.must_close.then(|| dialect.close_socket(SOCKET)),
            Step::SocketOpen => Some(dialect.open_socket(SOCKET, common.settings.local_port)),
            _ => None,
        }
    }

    fn setting_command(&mut self, now: Instant) -> Option<Command> {
        Some(match self.settings.ask()? {
            Ask::Command(command) => command,
            Ask::RadioOff => self.set_radio(4, now),
        })
    }

    fn set_radio(&mut self, state: u8, now: Instant) -> Command {
        self.radio_rests_until = Some(now + RADIO_REST);
        Command::set("+CFUN").arg(state).limit(RADIO_LIMIT)
    }

    fn ready(&mut self, common: &mut Common, now: Instant) {
        self.ready_at = self.ready_at.or(Some(now));
        self.go(Step::Ready, common);
        self.failed_at = None;
        common.facts.change(|facts| facts.trouble = None);
    }

    /// To the next step in order.
    fn advance(&mut self, common: &mut Common) {
        if self.failed_at == Some(self.step) {
            self.failed_at = None;
            common.facts.change(|facts| facts.trouble = None);
        }
        self.go(self.step.next(), common);
    }

    fn go(&mut self, step: Step, common: &Common) {
        self.step = step;
        self.waiting = Waiting::Nothing;
        let Some(dialect) = common.dialect else { return };
        self.settings = Settling::new(match step {
            Step::BootSettings => dialect.boot_settings(&common.facts.as_ref().identity),
            Step::ApnSettings => {
                common.settings.apn.as_deref().map(|apn| dialect.apn_settings(apn)).unwrap_or_default()
            }
            Step::SocketSettings => dialect.socket_settings(),
            _ => return,
        });
    }

    /// The current step failed; after a pause bring-up goes on at `retry`, or starts over after several failures.
    fn fail(&mut self, retry: Step, why: String, common: &mut Common, now: Instant) {
        self.failures += 1;
        self.tries += 1;
        self.failed_at = Some(self.step);
        let retry = if self.tries < TRIES {
            retry
        } else {
            self.tries = 0;
            Step::EchoOff
        };
        let step = self.step;
        self.go(retry, common);
        let pause = self.pause(common, now);
        warn!(?step, why, ?pause, next = ?retry, "modem bring-up failed, trying again");
        self.verifying = false;
        self.why.clone_from(&why);
        common.facts.change(|facts| facts.trouble = Some(why));
    }

    /// Nothing of what was set up can be trusted.
    fn start_over(&mut self, why: String, common: &mut Common, now: Instant) {
        let (step, amid) = (self.step, self.ready_at.is_none());
        self.start(Start::Whole, common, now);
        if amid {
            self.pause(common, now);
        }
        warn!(?step, why, "modem bring-up starts over");
        self.why.clone_from(&why);
        self.failed_at = Some(step);
        common.facts.change(|facts| facts.trouble = Some(why));
    }

    /// A modem that nobody here knows is left in peace, but asked again in case its words were garbled.
    fn refuse_modem(&mut self, why: String, common: &mut Common, now: Instant) {
        warn!(why, "modem refused");
        self.failures = u32::MAX / 2;
        self.failed_at = Some(Step::Model);
        self.go(Step::Maker, common);
        self.pause(common, now);
        common.facts.change(|facts| facts.trouble = Some(why));
    }

    fn pause(&mut self, common: &mut Common, now: Instant) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        let pause = common.rng.between(pause / 2, pause);
        self.waiting = Waiting::Pause(Deadline::new(now + pause, "modem retry"));
        pause
    }

    fn radio_is_off(&self) -> bool {
        matches!(self.radio, Some(0 | 4))
    }
}
