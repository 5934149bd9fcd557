//! AT commands over a serial line (ITU-T V.250, 3GPP TS 27.007): octets in, answers and unsolicited results out.
//!
//! Three steps, never mixed: [`Framer`] cuts octets into lines, prompts and counted blocks; [`Channel`] decides
//! which command a line belongs to; [`responses`] gives its meaning. Nothing here knows a modem family: those
//! are dialects of `modem`, built from the pieces in [`grammar`].

mod channel;
mod command;
mod final_result;
mod framer;
pub mod grammar;
pub mod responses;
mod resync;
mod trace;
mod types;

pub use channel::Channel;
pub use command::{Command, Finals};
pub use final_result::{ErrorCode, FinalResult};
pub use framer::{Frame, Framer, MAX_BLOCK_OCTETS, MAX_LINE_OCTETS};
pub use trace::{Direction, Redacted, TraceLine};
pub use types::{Event, Exchange, Failure, Line, Settings, Stats, StepLoss};
