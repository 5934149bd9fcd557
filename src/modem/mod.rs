//! Drives a cellular modem by AT commands until it carries datagrams, and keeps it there.
//!
//! [`Driver`] is the only door. It owns every timer, retry and socket; what differs between families of modems is
//! pure translation behind [`Dialect`]. No I/O: octets of the port go in and come out.
//!
//! ```text
//!            Opened                       last step passed
//!  no port ────────► bringing up ───────────────────────────────► online
//!     ▲                 ▲  step by step, each with a time limit;    │
//!     │ Lost            │  a failed one is retried with back-off    │
//!     └── (anywhere)    └───────────────────────────────────────────┘
//!                         restart, silence: from the first step
//!                         PDN context lost, no coverage: from there
//!                         command lost: only look whether all still stands; the link stays up
//! ```
//!
//! PSM, eDRX, release assistance and a recovery ladder beyond "start over" are not here.

mod bring_up;
mod dialect;
mod dialects;
mod driver;
mod lookups;
mod polls;
mod settings;
mod sockets;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use dialect::{
    Dialect, DialectName, Fact, Holds, Limits, OpenError, Pdn, Reading, Setting, SocketId, SocketState, Urc,
};
pub use driver::Driver;

/// How the driver shall behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which family the modem is of.
    pub dialect: DialectName,
    /// Access point name; `None` leaves the modem's own and the network's choice alone.
    pub apn: Option<String>,
    /// Local UDP port of the socket. Always the same, so that servers and NATs know us again.
    pub local_port: u16,
    /// How often signal, registration, cell and operator are read while no data waits.
    pub poll_interval: Duration,
    /// Keep the AT dialogue for [`Driver::poll_trace`].
    pub trace: bool,
}

impl Default for Settings {
    /// Any known modem, no APN, port 56830, a look at the radio every 30 s.
    fn default() -> Self {
        Self {
            dialect: DialectName::Auto,
            apn: None,
            local_port: 56830,
            poll_interval: Duration::from_secs(30),
            trace: false,
        }
    }
}

/// What happens to the serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortEvent {
    /// It was opened; whatever the modem was told before counts as forgotten.
    Opened,
    /// It is gone.
    Lost {
        /// Why, in a technician's words.
        reason: String,
    },
}
