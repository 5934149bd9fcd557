//! One command in flight on the line to the modem: echo, answer, prompt and payload, time-outs, and everything unasked.
//!
//! | state | left when | to |
//! |---|---|---|
//! | closed | `reset`: the port was opened | resync |
//! | resync (`resync.rs`) | one `AT` had exactly one `OK` | idle |
//! | idle | `submit` | busy |
//! | busy: held, prompt, answer | final result | idle |
//! | | a limit passed, or the framing broke | resync |
//!
//! Counted octets may come in any state but closed: direct-push data does not wait for its turn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::debug;

use super::command::{Command, Finals};
use super::final_result::FinalResult;
use super::framer::{Frame, Framer, MAX_BLOCK_OCTETS};
use super::responses;
use super::resync::{Resync, Step};
use super::trace::{Direction, Trace, TraceLine};
use super::types::{Event, Exchange, Failure, Line, Settings, Stats, StepLoss};
use crate::clock::Deadline;

/// Lines of one answer; more are dropped and counted. The longest known lists have sixteen.
const MAX_ANSWER_LINES: usize = 64;
/// What an octet takes at 4800 baud.
const TIME_PER_OCTET: Duration = Duration::from_millis(2);
/// Unsolicited lines not yet drained; more are dropped and counted.
const MAX_URCS: usize = 256;

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

    /// The port was opened (again), or the modem restarted: what was on its way is forgotten, and a command in flight
    /// has failed. Out of step until [`Event::InStep`].
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
        if let State::Resync(resync) = &mut self.state {
            resync.handle_sound(&self.settings, now);
        }
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
        if let Some(counted) = &self.counted {
            // While a block is coming only its own limit runs.
            if now >= counted.until {
                self.give_up_block(now);
            }
            return;
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
        match &self.counted {
            Some(counted) => Some(Deadline::new(counted.until, "at counted octets")),
            None => self.state.deadline(),
        }
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
                let octets = u32::try_from(len).unwrap_or(u32::MAX);
                let until = now + self.settings.block_limit + TIME_PER_OCTET * octets;
                self.counted = Some(Counted { header: text, until });
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
            (State::Resync(resync), Some(result)) => {
                if !resync.handle_final(&result, &self.settings, now) {
                    self.stats.late_lines += 1;
                }
            }
            (State::Resync(resync), None) => {
                if resync.handle_line(&line.text, &self.settings, now) {
                    self.stats.late_lines += 1;
                } else {
                    self.tell_urc(line);
                }
            }
            (State::Busy(flight), Some(result)) if flight.ends_with(&result) => self.finish(result, now),
            (State::Busy(flight), None) if flight.owns(&line.text) => {
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
        match &mut self.state {
            State::Resync(resync) => resync.await_quiet(&self.settings, now),
            _ => self.lose_step(Failure::LostStep, StepLoss::BlockCut, now),
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
        self.state = State::Resync(Resync::new(late, swallows, &self.settings, now));
    }

    fn go_on_with_resync(&mut self, now: Instant) {
        let State::Resync(resync) = &mut self.state else { return };
        match resync.handle_timeout(&self.settings, now) {
            Step::Wait => {}
            Step::Probe { text, times, after_silence } => {
                if after_silence {
                    // What is left of a line before the silence will not be completed any more.
                    self.framer.reset();
                }
                let waited = resync.tell_silence(&self.settings, now);
                self.events.extend(waited.map(|waited| Event::Silent { waited }));
                match times {
                    1 => self.trace.text(Direction::ToModem, text),
                    _ => self.trace.text(Direction::ToModem, &format!("{text} ({times} times)")),
                }
                self.transmits.push_back(line_octets(text).repeat(times));
            }
            Step::Found => {
                self.state = State::Idle { rested: now };
                self.events.push_back(Event::InStep);
            }
        }
    }

    fn is_echo(&self, text: &str) -> bool {
        match &self.state {
            State::Busy(flight) if text == flight.command.text() => true,
            State::Resync(resync) if resync.late().is_some_and(|late| text == late.text()) => true,
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
            State::Resync(resync) => resync.late(),
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
            Self::Resync(resync) => resync.deadline(),
            Self::Busy(InFlight { command, wait, .. }) => match *wait {
                Wait::Held { until } => Deadline::new(until, "at rest"),
                Wait::Prompt { since } => Deadline::new(since + command.time_to_prompt(), "at prompt"),
                Wait::Answer { since, .. } => Deadline::new(since + command.answer_limit(), "at answer"),
            },
        })
    }
}

impl InFlight {
    fn ends_with(&self, result: &FinalResult) -> bool {
        match (&self.wait, self.command.finals()) {
            (Wait::Held { .. }, _) => false,
            (_, Finals::Standard) => !matches!(result, FinalResult::SendOk | FinalResult::SendFail),
            (Wait::Prompt { .. }, Finals::Send) => !result.is_success(),
            (Wait::Answer { .. }, Finals::Send) => *result != FinalResult::Ok,
        }
    }

    /// Is this line part of the answer?
    fn owns(&self, text: &str) -> bool {
        !matches!(self.wait, Wait::Held { .. }) && responses::is_answer(&self.command, text)
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

#[cfg(test)]
mod tests;
