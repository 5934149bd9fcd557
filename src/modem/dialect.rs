//! What a modem family has to answer for: intent to command, and line to fact.
//!
//! Pure translation. No timer, retry, socket or state: those are the driver's. A new family is one file in
//! `dialects/` and its transcripts.

use std::fmt;
use std::net::{IpAddr, SocketAddrV4};
use std::time::Duration;

use crate::at::{Command, Line};
use crate::net::{Cell, Identity, ReleaseHint, Signal};

/// Number of a socket as the host gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u8);

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a family's sockets can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most octets of UDP payload that one send may carry.
    pub max_send_octets: usize,
    /// Most octets of UDP payload that one datagram may bring down uncut.
    pub max_receive_octets: usize,
}

/// Whether the answer to a read says that nothing is to be done.
pub type Holds = Box<dyn Fn(&[Line]) -> bool + Send>;

/// A setting that the driver needs and the modem may have already: read first, written only if it differs.
pub struct Setting {
    /// What it is for, for the log.
    pub what: &'static str,
    /// How to read it; `None` for what a modem forgets at power-off anyway and may be written each time.
    pub read: Option<Command>,
    /// Whether the answer to `read` says that nothing is to be done.
    pub holds: Holds,
    /// How to write it.
    pub write: Command,
    /// The write takes effect only with the radio off.
    pub radio_off: bool,
    /// Bring-up cannot go on without it; otherwise a refusal is logged and passed over.
    pub vital: bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("what", &self.what).finish_non_exhaustive()
    }
}

/// State of the PDN context that carries the datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pdn {
    /// No context.
    Inactive,
    /// Active, with our own address where the modem names it.
    Active(Option<IpAddr>),
}

/// State of one socket of the modem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// The modem has no such socket.
    Absent,
    /// It is there and bound to this local port.
    Open(u16),
    /// It is there but not in a state that carries data.
    Unusable,
}

/// What a read of the socket brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Nothing waits.
    Empty,
    /// One whole datagram.
    Datagram {
        /// Its sender.
        from: SocketAddrV4,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// The answer makes no sense; its lines are worth a log line and nothing else.
    Garbled,
}

/// A fact in an answer to one of [`Dialect::status_reads`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Radio signal.
    Signal(Signal),
    /// Access technology, as the modem names it.
    Technology(String),
    /// Serving cell.
    Cell(Cell),
    /// Operator's name; `None` while not registered.
    Operator(Option<String>),
}

/// Why a socket did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The number is taken: a socket was left over from before.
    InUse,
    /// The PDN context is not active.
    NoPdn,
    /// Anything else, in words.
    Other(String),
}

/// An unsolicited result code of the family's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Urc {
    /// The modem has restarted: everything it was told is lost.
    Restarted,
    /// The modem is going off or has gone off.
    PoweredDown,
    /// A line that boot brings; between commands of normal work it is a sign of a restart.
    BootNotice,
    /// An open came to its end.
    SocketOpened {
        /// Which one.
        socket: SocketId,
        /// How it went.
        result: Result<(), OpenError>,
    },
    /// At least one datagram waits. Not repeated before the socket was read empty.
    DatagramReady {
        /// Where.
        socket: SocketId,
    },
    /// The network or the modem has dropped our PDN context.
    PdnLost,
    /// First part of the answer to [`Dialect::resolve`]: how many addresses follow, or why there are none.
    ResolveResult(Result<usize, String>),
    /// One address of the answer to [`Dialect::resolve`].
    ResolvedAddress(IpAddr),
}

/// Translation for one family of modems.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// The family's name in the configuration.
    fn name(&self) -> &'static str;
    /// What its sockets can carry.
    fn limits(&self) -> Limits;
    /// Octets of payload that follow this line of an answer, if it announces any.
    fn counted(&self) -> fn(&str) -> Option<usize>;
    /// Settings before the SIM is looked at.
    fn boot_settings(&self, identity: &Identity) -> Vec<Setting>;
    /// Settings of the access point name, for the attach and for the sockets.
    fn apn_settings(&self, apn: &str) -> Vec<Setting>;
    /// Settings before a socket is opened.
    fn socket_settings(&self) -> Vec<Setting>;
    /// Asks for the SIM's number (ICCID); any answer with a run of digits will do.
    fn read_iccid(&self) -> Command;
    /// Asks for the state of the PDN context.
    fn read_pdn(&self) -> Command;
    /// Reads the answer to [`Self::read_pdn`].
    fn pdn(&self, lines: &[Line]) -> Pdn;
    /// Activates the PDN context.
    fn activate_pdn(&self) -> Command;
    /// Deactivates the PDN context.
    fn deactivate_pdn(&self) -> Command;
    /// Asks which APN the PDN context has.
    fn read_apn(&self) -> Command;
    /// Reads the answer to [`Self::read_apn`].
    fn apn(&self, lines: &[Line]) -> Option<String>;
    /// Opens a UDP socket for any peer at a fixed local port; [`Urc::SocketOpened`] ends it.
    fn open_socket(&self, socket: SocketId, local_port: u16) -> Command;
    /// How long [`Urc::SocketOpened`] may take.
    fn open_limit(&self) -> Duration;
    /// Closes a socket; a refusal means that there is none.
    fn close_socket(&self, socket: SocketId) -> Command;
    /// Asks for the state of a socket.
    fn read_socket(&self, socket: SocketId) -> Command;
    /// Reads the answer to [`Self::read_socket`].
    fn socket(&self, socket: SocketId, lines: &[Line]) -> SocketState;
    /// Brings the URCs to the port that the answer to [`Self::read_socket`] came from; `None` where it names none.
    fn urcs_here(&self, lines: &[Line]) -> Option<Command>;
    /// Sends one datagram.
    fn send_to(&self, socket: SocketId, peer: SocketAddrV4, payload: &[u8], release: ReleaseHint) -> Command;
    /// Takes one datagram out of the socket's buffer.
    fn receive(&self, socket: SocketId) -> Command;
    /// Reads the answer to [`Self::receive`].
    fn reading(&self, lines: &[Line]) -> Reading;
    /// Asks for the addresses of a host name; [`Urc::ResolveResult`] and [`Urc::ResolvedAddress`] bring them.
    fn resolve(&self, name: &str) -> Command;
    /// How long the addresses may take.
    fn resolve_limit(&self) -> Duration;
    /// Reads of the radio's state, beside the registration, which is the same for all families.
    fn status_reads(&self) -> Vec<Command>;
    /// Facts in one line of an answer to one of [`Self::status_reads`].
    fn facts(&self, line: &Line) -> Vec<Fact>;
    /// Asks why the last socket or PDN command was refused.
    fn explain(&self) -> Command;
    /// Reads the answer to [`Self::explain`]; `None` when it explains nothing.
    fn explanation(&self, lines: &[Line]) -> Option<String>;
    /// `None` when the line is not one of this family's own URCs.
    fn urc(&self, line: &Line) -> Option<Urc>;
}

/// Which family the configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DialectName {
    /// Found out from the modem's own words (`AT+CGMI`, `AT+CGMM`).
    #[default]
    Auto,
    /// Quectel BG95, BG96, BG77, BG600L.
    QuectelBg9x,
}

impl std::str::FromStr for DialectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "quectel-bg9x" => Ok(Self::QuectelBg9x),
            other => Err(format!("{other:?} is no modem dialect; there are \"auto\" and \"quectel-bg9x\"")),
        }
    }
}
