//! What goes in and out of a [`Channel`](super::Channel): its settings, events and counts.

use std::fmt;
use std::time::Duration;

use super::command::Command;
use super::final_result::FinalResult;

/// What a channel must know about the modem, and its times.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Does this line announce counted octets, and how many? They follow the end of the line.
    pub counted: fn(&str) -> Option<usize>,
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
    /// Counted octets have this long to come, and 2 ms for each.
    pub block_limit: Duration,
    /// When the port is opened the modem may still wait at a prompt, for what a process before us wanted to send: at
    /// most this many octets.
    pub payload_limit: usize,
    /// Keep the dialogue for [`Channel::poll_trace`](super::Channel::poll_trace).
    pub trace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            counted: |_| None,
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
