//! Finding step again after a lost answer or prompt, or on a port just opened.
//!
//! | phase | left when | to |
//! |---|---|---|
//! | quiet | nothing was heard for `quiet`, or something for `quiet_limit` | probe: `AT` goes out |
//! | probe | `OK` | settle |
//! | | another final result | quiet |
//! | | nothing for `probe_interval` | probe: `AT` again, for ever |
//! | settle | no second final result within `quiet` | in step |
//! | | one came: an answer was late | quiet |
//!
//! Nothing is trusted: every answer is late until one `AT` had exactly one `OK`. There is no way back from a prompt but
//! to satisfy it: where a length was announced (`AT+QISEND=0,<n>`), ESC and Ctrl-Z are payload like any other octet.
//! So `AT`s go out until the modem has swallowed enough to talk again. What was in flight may or may not have left.

use std::time::{Duration, Instant};

use super::command::Command;
use super::final_result::FinalResult;
use super::types::Settings;
use super::{grammar, responses};
use crate::clock::Deadline;

/// `AT`s at once towards a modem that may wait for payload: 26 ms at 115 200 baud.
const MAX_BURST: usize = 100;

/// The search for step, from its loss until one clean `OK`.
#[derive(Debug)]
pub(super) struct Resync {
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

/// What to do when a deadline has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It has not, yet.
    Wait,
    /// Send this line so many times.
    Probe { text: &'static str, times: usize, after_silence: bool },
    /// The modem is in step.
    Found,
}

impl Resync {
    /// Begins with listening. `swallows`: octets that the modem may take for payload first.
    pub(super) fn new(late: Option<Command>, swallows: usize, settings: &Settings, now: Instant) -> Self {
        Self {
            since: now,
            tell_silent: now + settings.silent_after,
            phase: Phase::quiet(settings, now),
            late,
            swallows,
            digits: false,
        }
    }

    /// The command that was given up.
    pub(super) fn late(&self) -> Option<&Command> {
        self.late.as_ref()
    }

    /// Octets came: it is not quiet.
    pub(super) fn handle_sound(&mut self, settings: &Settings, now: Instant) {
        if let Phase::Quiet { until, .. } = &mut self.phase {
            *until = now + settings.quiet;
        }
    }

    /// Is this final result the `OK` that was waited for? If not, it was late.
    pub(super) fn handle_final(&mut self, result: &FinalResult, settings: &Settings, now: Instant) -> bool {
        match self.phase {
            Phase::Probe { .. } if *result == FinalResult::Ok => {
                self.phase = Phase::Settle { until: now + settings.quiet };
                true
            }
            Phase::Probe { .. } | Phase::Settle { .. } => {
                self.await_quiet(settings, now);
                false
            }
            Phase::Quiet { .. } => false,
        }
    }

    /// Is this line part of an answer that came late? If not, it is unsolicited.
    pub(super) fn handle_line(&mut self, text: &str, settings: &Settings, now: Instant) -> bool {
        if text == "0" && matches!(self.phase, Phase::Probe { .. }) {
            self.digits = true;
            self.await_quiet(settings, now);
        }
        let answers =
            |late: &Command| grammar::prefix(text) == Some(late.prefix()) && responses::is_answer(late, text);
        // A lone `>` is a prompt that nobody waits for any more, a digit a final result.
        text == ">" || text == "0" || text == "4" || self.late.as_ref().is_some_and(answers)
    }

    /// Listens again before the next `AT`.
    pub(super) fn await_quiet(&mut self, settings: &Settings, now: Instant) {
        self.phase = Phase::quiet(settings, now);
    }

    /// A deadline may have passed.
    pub(super) fn handle_timeout(&mut self, settings: &Settings, now: Instant) -> Step {
        match self.phase {
            Phase::Quiet { until, limit } if now >= until.min(limit) => self.probe(true, settings, now),
            Phase::Probe { again } if now >= again => self.probe(false, settings, now),
            Phase::Settle { until } if now >= until => Step::Found,
            _ => Step::Wait,
        }
    }

    /// For how long there was no answer, each time that this has to be told.
    pub(super) fn tell_silence(&mut self, settings: &Settings, now: Instant) -> Option<Duration> {
        if now < self.tell_silent {
            return None;
        }
        self.tell_silent = now + settings.silent_after;
        Some(now - self.since)
    }

    pub(super) fn deadline(&self) -> Deadline {
        match self.phase {
            Phase::Quiet { until, limit } => Deadline::new(until.min(limit), "at silence"),
            Phase::Probe { again } => Deadline::new(again, "at probe"),
            Phase::Settle { until } => Deadline::new(until, "at settling"),
        }
    }

    fn probe(&mut self, after_silence: bool, settings: &Settings, now: Instant) -> Step {
        self.phase = Phase::Probe { again: now + settings.probe_interval };
        let text = if self.digits { "ATV1" } else { "AT" };
        let octets = text.len() + 1;
        // One alone after silence: the modem may well be awake. Then as many as it may still swallow.
        let times = if after_silence { 1 } else { self.swallows.div_ceil(octets).clamp(1, MAX_BURST) };
        self.swallows = self.swallows.saturating_sub(times * octets);
        Step::Probe { text, times, after_silence }
    }
}

impl Phase {
    fn quiet(settings: &Settings, now: Instant) -> Self {
        Self::Quiet { until: now + settings.quiet, limit: now + settings.quiet_limit }
    }
}
