//! One command in flight on the line to the modem: echo, answer, prompt and payload, time-outs, and everything unasked.
//!
//! | state | left when | to |
//! |---|---|---|
//! | closed | `reset`: the port was opened | resync |
//! | resync: quiet | nothing was heard for `quiet`, or long enough was heard | resync: probe |
//! | resync: probe | `AT` was answered by `OK` | resync: settle |
//! | | by another final result | resync: quiet |
//! | | not at all: `AT` again, for ever | – |
//! | resync: settle | no second final result came | idle |
//! | | one came: it was a late answer | resync: quiet |
//! | idle | `submit` | busy |
//! | busy: held, prompt, answer | final result | idle |
//! | | a limit passed, or the framing broke | resync: quiet |
//!
//! After a lost answer nothing is trusted: every line is late until one `AT` had exactly one `OK` and silence after
//! it. There is no way back from a prompt but to satisfy it: where a length was announced (`AT+QISEND=0,<n>`) ESC and
//! Ctrl-Z are payload like any other octet. So `AT` goes out until the modem has swallowed enough to talk again; what
//! was in flight may or may not have left.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use tracing::debug;

use super::command::{Command, Finals};
use super::final_result::FinalResult;
use super::framer::{Frame, Framer, MAX_BLOCK_OCTETS};
use super::trace::{Direction, Trace, TraceLine};
use super::{grammar, responses};
use crate::clock::Deadline;

/// Lines of one answer; more are dropped and counted. The longest known lists have sixteen.
const MAX_ANSWER_LINES: usize = 64;
/// Unsolicited lines not yet drained; more are dropped and counted.
const MAX_URCS: usize = 256;
/// Octets of `AT`s at once towards a modem that may wait for payload: 30 ms at 115 200 baud.
const MAX_BURST_OCTETS: usize = 300;

/// What a channel must know about the modem, and its times.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Does this line announce counted octets, and how many? They follow the end of the line.
    pub counted: fn(&str) -> Option<usize>,
    /// Where the general rule errs: is this line part of the answer to the command in flight? `None` leaves it to the
    /// rule: same prefix, or no prefix at all.
    pub is_answer: fn(&Command, &str) -> Option<bool>,
    /// Silence that separates what was from what will be.
    pub quiet: Duration,
    /// A modem that never falls silent is probed after this.
    pub quiet_limit: Duration,
    /// From one `AT` to the next while there is no answer.
    pub probe_interval: Duration,
    /// How often [`Event::Silent`] is told while resynchronisation fails.
    pub silent_after: Duration,
    /// Rest between a final result and the next command.
    pub gap: Duration,
    /// Counted octets that pause for longer will not come any more.
    pub block_limit: Duration,
    /// When the port is opened the modem may still wait at a prompt, for what a process before us wanted to send: at
    /// most this many octets.
    pub payload_limit: usize,
    /// Keep the dialogue for [`Channel::poll_trace`].
    pub trace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            counted: |_| None,
            is_answer: |_, _| None,
            quiet: Duration::from_millis(300),
            quiet_limit: Duration::from_secs(5),
            probe_interval: Duration::from_secs(1),
            silent_after: Duration::from_secs(6),
            gap: Duration::from_millis(20),
            block_limit: Duration::from_secs(3),
            payload_limit: 1460,
            trace: false,
        }
    }
}

/// A line of an answer, or an unsolicited result (URC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without blanks around it.
    pub text: String,
    /// The counted octets that followed it, where it announced some.
    pub payload: Option<Vec<u8>>,
}

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The command as submitted.
    pub command: Command,
    /// The lines before the final result.
    pub lines: Vec<Line>,
    /// The final result, or why there is none to be glad of.
    pub outcome: Result<FinalResult, Failure>,
    /// The payload went to the modem. With a failure other than [`Failure::Refused`] it may or may not have left.
    pub data_sent: bool,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The modem said no.
    #[error("refused: {0}")]
    Refused(FinalResult),
    /// No final result in time.
    #[error("no answer within {waited:?}")]
    TimedOut {
        /// Since the command (or its payload) went out.
        waited: Duration,
    },
    /// The modem never asked for the payload, so that did not leave.
    #[error("no prompt for the payload")]
    PromptMissing,
    /// The channel lost step with the modem while the command was in flight.
    #[error("lost step with the modem")]
    LostStep,
}

/// What the layer above should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The submitted command is over; every command that was accepted is told exactly once.
    Finished(Exchange),
    /// A line that nobody asked for; those of a modem that restarted by itself are among them.
    Urc(Line),
    /// Answers can no longer be told apart; no command is accepted until [`Event::InStep`].
    LostStep {
        /// The reason, for the log.
        why: StepLoss,
    },
    /// `AT` was answered by one clean `OK`: commands are accepted.
    InStep,
    /// The modem has not answered `AT` for this long. Told again and again while that lasts; `AT` goes on.
    Silent {
        /// Since step was lost or the port was opened.
        waited: Duration,
    },
}

/// What made the channel lose step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepLoss {
    /// No final result within the command's limit.
    AnswerMissing,
    /// No prompt within the command's limit: the modem may wait for payload, or never have seen the command.
    PromptMissing,
    /// Counted octets stopped coming.
    BlockCut,
    /// A data call died; the final result of the command may still follow.
    CallEnded,
}

impl fmt::Display for StepLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswerMissing => "an answer is missing",
            Self::PromptMissing => "a prompt is missing",
            Self::BlockCut => "counted octets stopped coming",
            Self::CallEnded => "a data call ended",
        })
    }
}

/// Counts of what the channel survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commands sent.
    pub commands: u64,
    /// Times step was lost.
    pub steps_lost: u64,
    /// Final results that no command waited for.
    pub stray_finals: u64,
    /// Answers that came after their command was given up.
    pub late_lines: u64,
    /// Lines dropped because an answer or the queue of unsolicited lines was full.
    pub lines_dropped: u64,
    /// Octets that no line has.
    pub noise_octets: u64,
    /// Lines longer than [`super::MAX_LINE_OCTETS`].
    pub overlong_lines: u64,
}

/// The dialogue with the modem. See the head of this file for its states.
#[derive(Debug)]
pub struct Channel {
    settings: Settings,
    framer: Framer,
    state: State,
    counted: Option<Counted>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    urcs: usize,
    trace: Trace,
    stats: Stats,
}

#[derive(Debug)]
enum State {
    Closed,
    Resync(Resync),
    Idle { rested: Instant },
    Busy(InFlight),
}

#[derive(Debug)]
struct Resync {
    since: Instant,
    tell_silent: Instant,
    phase: Phase,
    /// The command that was given up; its answer may still come.
    late: Option<Command>,
    /// Octets that the modem may still take for payload.
    swallows: usize,
    /// The modem answers in digits (`ATV0`): `ATV1` goes out in place of `AT`.
    digits: bool,
}

#[derive(Debug)]
enum Phase {
    Quiet { until: Instant, limit: Instant },
    Probe { again: Instant },
    Settle { until: Instant },
}

#[derive(Debug)]
struct InFlight {
    command: Command,
    lines: Vec<Line>,
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    /// The modem rests; the line goes out at `until`.
    Held {
        until: Instant,
    },
    Prompt {
        since: Instant,
    },
    /// `data_sent`: the payload went out at `since`.
    Answer {
        since: Instant,
        data_sent: bool,
    },
}

/// A line whose counted octets are on their way.
#[derive(Debug)]
struct Counted {
    header: String,
    until: Instant,
}

impl Channel {
    /// Closed until [`Channel::reset`] says that the port is open.
    pub fn new(settings: Settings) -> Self {
        Self {
            framer: Framer::new(),
            state: State::Closed,
            counted: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            urcs: 0,
            trace: Trace::new(settings.trace),
            stats: Stats::default(),
            settings,
        }
    }

    /// The modem's family is known now: which of its lines announce counted octets.
    pub fn set_counted(&mut self, counted: fn(&str) -> Option<usize>) {
        self.settings.counted = counted;
    }

    /// The port was opened (again): what was on its way is forgotten, and a command in flight has failed. Out of step
    /// until [`Event::InStep`].
    pub fn reset(&mut self, now: Instant) {
        self.transmits.clear();
        let late = self.fail(Failure::LostStep);
        self.resync(late, self.settings.payload_limit, now);
    }

    /// In step with the modem, and no command in flight.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Idle { .. })
    }

    /// Sends a command, or gives it back when the channel is not ready for one.
    pub fn submit(&mut self, command: Command, now: Instant) -> Result<(), Command> {
        let State::Idle { rested } = self.state else { return Err(command) };
        self.state = State::Busy(InFlight { command, lines: Vec::new(), wait: Wait::Held { until: rested } });
        self.start_when_rested(now);
        Ok(())
    }

    /// Octets came from the modem.
    pub fn handle_input(&mut self, input: &[u8], now: Instant) {
        if matches!(self.state, State::Closed) || input.is_empty() {
            return;
        }
        self.note_sound(now);
        let mut rest = input;
        while let Some(frame) = self.framer.next_frame(&mut rest) {
            match frame {
                Frame::Line(text) => self.on_line(text, now),
                Frame::Prompt => self.on_prompt(now),
                Frame::Block(octets) => self.on_block(octets, now),
            }
        }
    }

    /// A deadline passed; calling early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.counted.as_ref().is_some_and(|counted| now >= counted.until) {
            self.give_up_block(now);
        }
        self.start_when_rested(now);
        match &self.state {
            State::Busy(InFlight { command, wait: Wait::Prompt { since }, .. }) => {
                if now >= *since + command.time_to_prompt() {
                    self.lose_step(Failure::PromptMissing, StepLoss::PromptMissing, now);
                }
            }
            State::Busy(InFlight { command, wait: Wait::Answer { since, .. }, .. }) => {
                if now >= *since + command.answer_limit() {
                    let waited = now - *since;
                    self.lose_step(Failure::TimedOut { waited }, StepLoss::AnswerMissing, now);
                }
            }
            State::Resync(_) => self.go_on_with_resync(now),
            State::Closed | State::Idle { .. } | State::Busy(_) => {}
        }
    }

    /// Octets for the modem.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Something the layer above should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Urc(_)) {
            self.urcs -= 1;
        }
        Some(event)
    }

    /// When to call [`Channel::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let counted = self.counted.as_ref().map(|counted| Deadline::new(counted.until, "at counted octets"));
        Deadline::sooner(self.state.deadline(), counted)
    }

    /// The dialogue, for a person to read; nothing unless [`Settings::trace`] asks for it.
    pub fn poll_trace(&mut self) -> Option<TraceLine> {
        self.trace.poll()
    }

    /// What was survived so far.
    pub fn stats(&self) -> Stats {
        Stats {
            noise_octets: self.framer.noise_octets(),
            overlong_lines: self.framer.overlong_lines(),
            ..self.stats
        }
    }

    /// A command is sent when the modem has had its rest after the one before.
    fn start_when_rested(&mut self, now: Instant) {
        let State::Busy(flight) = &mut self.state else { return };
        let Wait::Held { until } = flight.wait else { return };
        if now < until {
            return;
        }
        let awaits_prompt = flight.command.payload_octets().is_some();
        flight.wait = if awaits_prompt {
            Wait::Prompt { since: now }
        } else {
            Wait::Answer { since: now, data_sent: false }
        };
        self.framer.expect_prompt(awaits_prompt);
        self.trace.text(Direction::ToModem, &flight.command.to_string());
        self.transmits.push_back(line_octets(flight.command.text()));
        self.stats.commands += 1;
    }

    fn on_prompt(&mut self, now: Instant) {
        let State::Busy(flight) = &mut self.state else { return };
        let Some(payload) = flight.command.payload_octets() else { return };
        self.trace.text(Direction::FromModem, ">");
        self.trace.octets(Direction::ToModem, payload);
        self.framer.expect_echo(payload);
        self.transmits.push_back(payload.to_vec());
        flight.wait = Wait::Answer { since: now, data_sent: true };
    }

    fn on_block(&mut self, octets: Vec<u8>, now: Instant) {
        self.trace.octets(Direction::FromModem, &octets);
        if let Some(Counted { header, .. }) = self.counted.take() {
            self.classify(Line { text: header, payload: Some(octets) }, now);
        }
    }

    fn on_line(&mut self, text: String, now: Instant) {
        let echo = self.is_echo(&text);
        self.trace_line(&text, echo);
        if echo {
            return;
        }
        match glued_to_send_ok(&text) {
            Some(rest) if self.awaits_send_ok() => {
                let rest = rest.to_owned();
                self.finish(FinalResult::SendOk, now);
                self.on_text(rest, now);
            }
            _ => self.on_text(text, now),
        }
    }

    fn on_text(&mut self, text: String, now: Instant) {
        match (self.settings.counted)(&text) {
            Some(0) => self.classify(Line { text, payload: Some(Vec::new()) }, now),
            Some(len) if len <= MAX_BLOCK_OCTETS => {
                self.framer.expect_block(len);
                self.counted = Some(Counted { header: text, until: now + self.settings.block_limit });
            }
            Some(len) => {
                debug!(len, "a line announces more octets than any modem carries: not believed");
                self.classify(Line { text, payload: None }, now);
            }
            None => self.classify(Line { text, payload: None }, now),
        }
    }

    fn classify(&mut self, line: Line, now: Instant) {
        let result = if line.payload.is_none() { FinalResult::parse(&line.text) } else { None };
        match (&mut self.state, result) {
            (State::Resync(_), Some(result)) => self.on_final_in_resync(&result, now),
            (State::Resync(resync), None) => {
                if resync.digits_seen(&line.text) {
                    self.await_quiet(now);
                } else if resync.is_late(&line.text, self.settings.is_answer) {
                    self.stats.late_lines += 1;
                } else {
                    self.tell_urc(line);
                }
            }
            (State::Busy(flight), Some(result)) if flight.ends_with(&result) => self.finish(result, now),
            (State::Busy(flight), None) if flight.owns(&line.text, self.settings.is_answer) => {
                if flight.lines.len() < MAX_ANSWER_LINES {
                    flight.lines.push(line);
                } else {
                    self.stats.lines_dropped += 1;
                }
            }
            (_, Some(result)) => {
                debug!(%result, "final result that no command waits for");
                self.stats.stray_finals += 1;
            }
            (_, None) => self.tell_urc(line),
        }
    }

    fn finish(&mut self, result: FinalResult, now: Instant) {
        let idle = State::Idle { rested: now + self.settings.gap };
        let State::Busy(flight) = std::mem::replace(&mut self.state, idle) else { return };
        self.framer.expect_prompt(false);
        self.framer.forget_echo();
        let asked = !matches!(flight.wait, Wait::Prompt { .. });
        let doubtful = result.may_precede_the_real_one();
        let (late, swallows) = (doubtful.then(|| flight.command.clone()), flight.may_swallow());
        let outcome = match result {
            result if !result.is_success() => Err(Failure::Refused(result)),
            // Done without ever having asked for the payload: nothing was sent.
            _ if !asked => Err(Failure::PromptMissing),
            result => Ok(result),
        };
        self.events.push_back(Event::Finished(flight.into_exchange(outcome)));
        if doubtful {
            self.tell_lost_step(StepLoss::CallEnded);
            self.resync(late, swallows, now);
        }
    }

    fn give_up_block(&mut self, now: Instant) {
        self.counted = None;
        self.framer.reset();
        if matches!(self.state, State::Resync(_)) {
            self.await_quiet(now);
        } else {
            self.lose_step(Failure::LostStep, StepLoss::BlockCut, now);
        }
    }

    fn lose_step(&mut self, failure: Failure, why: StepLoss, now: Instant) {
        let swallows = if let State::Busy(flight) = &self.state { flight.may_swallow() } else { 0 };
        let late = self.fail(failure);
        self.tell_lost_step(why);
        self.resync(late, swallows, now);
    }

    /// Ends the command in flight, if there is one, and gives it back: its answer may still come.
    fn fail(&mut self, failure: Failure) -> Option<Command> {
        let State::Busy(flight) = std::mem::replace(&mut self.state, State::Closed) else { return None };
        let late = flight.command.clone();
        self.events.push_back(Event::Finished(flight.into_exchange(Err(failure))));
        Some(late)
    }

    fn tell_lost_step(&mut self, why: StepLoss) {
        self.stats.steps_lost += 1;
        self.events.push_back(Event::LostStep { why });
    }

    fn resync(&mut self, late: Option<Command>, swallows: usize, now: Instant) {
        self.framer.reset();
        self.counted = None;
        self.state = State::Resync(Resync {
            since: now,
            tell_silent: now + self.settings.silent_after,
            phase: Phase::Quiet { until: now + self.settings.quiet, limit: now + self.settings.quiet_limit },
            late,
            swallows,
            digits: false,
        });
    }

    fn await_quiet(&mut self, now: Instant) {
        if let State::Resync(resync) = &mut self.state {
            let until = now + self.settings.quiet;
            resync.phase = Phase::Quiet { until, limit: now + self.settings.quiet_limit };
        }
    }

    fn on_final_in_resync(&mut self, result: &FinalResult, now: Instant) {
        let State::Resync(resync) = &mut self.state else { return };
        match resync.phase {
            Phase::Probe { .. } if *result == FinalResult::Ok => {
                resync.phase = Phase::Settle { until: now + self.settings.quiet };
            }
            Phase::Probe { .. } | Phase::Settle { .. } => {
                self.stats.stray_finals += 1;
                self.await_quiet(now);
            }
            Phase::Quiet { .. } => self.stats.late_lines += 1,
        }
    }

    fn go_on_with_resync(&mut self, now: Instant) {
        let State::Resync(resync) = &mut self.state else { return };
        match resync.phase {
            Phase::Quiet { until, limit } if now >= until.min(limit) => self.probe(now),
            Phase::Probe { again } if now >= again => self.probe(now),
            Phase::Settle { until } if now >= until => {
                self.state = State::Idle { rested: now };
                self.events.push_back(Event::InStep);
            }
            _ => {}
        }
    }

    fn probe(&mut self, now: Instant) {
        let State::Resync(resync) = &mut self.state else { return };
        if now >= resync.tell_silent {
            resync.tell_silent = now + self.settings.silent_after;
            self.events.push_back(Event::Silent { waited: now - resync.since });
        }
        let retry = matches!(resync.phase, Phase::Probe { .. });
        if !retry {
            // What is left of a line or block before the silence will not be completed any more.
            self.counted = None;
            self.framer.reset();
        }
        resync.phase = Phase::Probe { again: now + self.settings.probe_interval };
        let text = if resync.digits { "ATV1" } else { "AT" };
        let line = line_octets(text);
        // One alone first: the modem may well be awake. Then as many as it may still swallow.
        let times = if retry { resync.swallows.min(MAX_BURST_OCTETS).div_ceil(line.len()).max(1) } else { 1 };
        resync.swallows = resync.swallows.saturating_sub(times * line.len());
        match times {
            1 => self.trace.text(Direction::ToModem, text),
            _ => self.trace.text(Direction::ToModem, &format!("{text} ({times} times)")),
        }
        self.transmits.push_back(line.repeat(times));
    }

    fn note_sound(&mut self, now: Instant) {
        if let State::Resync(Resync { phase: Phase::Quiet { until, .. }, .. }) = &mut self.state {
            *until = now + self.settings.quiet;
        }
        if let Some(counted) = &mut self.counted {
            counted.until = now + self.settings.block_limit;
        }
    }

    fn is_echo(&self, text: &str) -> bool {
        match &self.state {
            State::Busy(flight) if text == flight.command.text() => true,
            State::Resync(Resync { late: Some(late), .. }) if text == late.text() => true,
            _ => text == "AT" || text == "ATV1",
        }
    }

    fn awaits_send_ok(&self) -> bool {
        matches!(&self.state, State::Busy(InFlight { command, wait: Wait::Answer { .. }, .. })
            if command.finals() == Finals::Send)
    }

    fn tell_urc(&mut self, line: Line) {
        if self.urcs == MAX_URCS {
            self.stats.lines_dropped += 1;
            return;
        }
        self.urcs += 1;
        self.events.push_back(Event::Urc(line));
    }

    fn trace_line(&mut self, text: &str, echo: bool) {
        let command = match &self.state {
            State::Busy(flight) => Some(&flight.command),
            State::Resync(resync) => resync.late.as_ref(),
            State::Closed | State::Idle { .. } => None,
        };
        match command {
            Some(command) if echo && text == command.text() => {
                self.trace.text(Direction::FromModem, &command.to_string());
            }
            // An echo that lost some octets shows what is left of the secret.
            Some(command) if command.is_secret() && text.contains("AT") => {
                self.trace.text(Direction::FromModem, "***");
            }
            _ => self.trace.text(Direction::FromModem, text),
        }
    }
}

impl State {
    fn deadline(&self) -> Option<Deadline> {
        Some(match self {
            Self::Closed | Self::Idle { .. } => return None,
            Self::Resync(resync) => match resync.phase {
                Phase::Quiet { until, limit } => Deadline::new(until.min(limit), "at silence"),
                Phase::Probe { again } => Deadline::new(again, "at probe"),
                Phase::Settle { until } => Deadline::new(until, "at settling"),
            },
            Self::Busy(InFlight { command, wait, .. }) => match *wait {
                Wait::Held { until } => Deadline::new(until, "at rest"),
                Wait::Prompt { since } => Deadline::new(since + command.time_to_prompt(), "at prompt"),
                Wait::Answer { since, .. } => Deadline::new(since + command.answer_limit(), "at answer"),
            },
        })
    }
}

impl Resync {
    /// Does the line say that the modem answers in digits?
    fn digits_seen(&mut self, text: &str) -> bool {
        self.digits |= matches!(self.phase, Phase::Probe { .. }) && text == "0";
        text == "0"
    }

    /// Is this what the command given up had asked for? A lone `>` is its prompt.
    fn is_late(&self, text: &str, dialect: fn(&Command, &str) -> Option<bool>) -> bool {
        let answers =
            |late: &Command| grammar::prefix(text) == Some(late.prefix()) && owns(late, text, dialect);
        text == ">" || self.late.as_ref().is_some_and(answers)
    }
}

impl InFlight {
    fn ends_with(&self, result: &FinalResult) -> bool {
        match (&self.wait, self.command.finals(), result) {
            (Wait::Held { .. }, _, _)
            | (_, Finals::Standard, FinalResult::SendOk | FinalResult::SendFail)
            | (_, Finals::Send, FinalResult::Ok)
            | (Wait::Prompt { .. }, Finals::Send, FinalResult::SendOk) => false,
            _ => true,
        }
    }

    /// Is this line part of the answer?
    fn owns(&self, text: &str, dialect: fn(&Command, &str) -> Option<bool>) -> bool {
        !matches!(self.wait, Wait::Held { .. }) && owns(&self.command, text, dialect)
    }

    /// How many octets the modem may still take for payload.
    fn may_swallow(&self) -> usize {
        match self.wait {
            Wait::Held { .. } => 0,
            Wait::Prompt { .. } | Wait::Answer { .. } => self.command.payload_octets().map_or(0, <[u8]>::len),
        }
    }

    fn into_exchange(self, outcome: Result<FinalResult, Failure>) -> Exchange {
        let data_sent = matches!(self.wait, Wait::Answer { data_sent: true, .. });
        Exchange { command: self.command, lines: self.lines, outcome, data_sent }
    }
}

fn owns(command: &Command, text: &str, dialect: fn(&Command, &str) -> Option<bool>) -> bool {
    dialect(command, text).unwrap_or_else(|| responses::is_answer(command, text))
}

/// Some modems leave out the line end between `SEND OK` and what follows.
fn glued_to_send_ok(text: &str) -> Option<&str> {
    text.strip_prefix("SEND OK").filter(|rest| !rest.is_empty())
}

fn line_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() + 1);
    octets.extend_from_slice(text.as_bytes());
    octets.push(b'\r');
    octets
}
