//! The seam between the link below and CoAP above: datagrams, what a link can tell, what may be asked of it.
//!
//! Values only. A link is a modem (`modem`) or the kernel's UDP (`link/udp.rs`); CoAP cannot tell which.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The far end of a datagram: a server's address and UDP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one datagram between the layer that made it and the link that reports it sent or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmitId(pub u64);

/// A datagram that came in, or one to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The far end: sender of an incoming, receiver of an outgoing datagram.
    pub peer: Peer,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// What the sender expects to follow, so that the radio can be released early (TS 24.301 §9.9.4.25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReleaseHint {
    /// No information.
    #[default]
    Unknown,
    /// Neither an answer nor more data will follow.
    NothingFollows,
    /// One answer will follow, then nothing.
    OneAnswerFollows,
}

/// A datagram on its way down, with the name under which the link reports on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Name for [`LinkEvent::Sent`] and [`LinkEvent::SendFailed`].
    pub id: TransmitId,
    /// What to send, and to whom.
    pub datagram: Datagram,
    /// Release assistance, where the link knows the word.
    pub release: ReleaseHint,
}

/// What a link tells the layers above.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// Datagrams can be carried from now on. `address_changed`: servers will not know us by our old address.
    Up {
        /// The local address or port is not (or may not be) the one used before.
        address_changed: bool,
    },
    /// Nothing can be carried until the next `Up`; what was in hand is reported as failed first.
    Down {
        /// Why, in a technician's words.
        reason: String,
    },
    /// A datagram arrived.
    Received(Datagram),
    /// The link has taken the datagram off our hands; delivery is not promised.
    Sent(TransmitId),
    /// The datagram certainly or possibly did not leave; CoAP decides about a resend.
    SendFailed {
        /// Which one.
        id: TransmitId,
        /// Why, in a technician's words.
        reason: String,
    },
    /// [`LinkFacts`] changed.
    FactsChanged,
    /// Answer to [`LinkRequest::Resolve`]: an address, or why there is none.
    Resolved {
        /// The host name asked for.
        name: String,
        /// Its address, or the reason in words.
        result: Result<IpAddr, String>,
    },
}

/// What upper layers may ask of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkRequest {
    /// Find the address of a host name.
    Resolve {
        /// The host name.
        name: String,
    },
}

/// Registration in the radio network (TS 27.007 §10.1.22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkRegistration {
    /// Not known yet.
    #[default]
    Unknown,
    /// Not registered and not searching.
    Idle,
    /// Searching for a network.
    Searching,
    /// The network refused us.
    Denied,
    /// Registered in the home network.
    Home,
    /// Registered in a foreign network.
    Roaming,
}

impl NetworkRegistration {
    /// Data can flow.
    pub const fn is_registered(self) -> bool {
        matches!(self, Self::Home | Self::Roaming)
    }
}

/// Radio signal as the modem reports it; `None` where it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Signal {
    /// Received power of the carrier, dBm.
    pub rssi_dbm: Option<i16>,
    /// Reference signal received power, dBm.
    pub rsrp_dbm: Option<i16>,
    /// Reference signal received quality, dB.
    pub rsrq_db: Option<i16>,
    /// Signal to interference and noise, dB.
    pub sinr_db: Option<f32>,
}

/// The serving cell; `None` where it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// E-UTRAN cell identity, 28 bits.
    pub cell_id: Option<u32>,
    /// Tracking area code.
    pub tac: Option<u32>,
    /// Mobile country code, three digits.
    pub mcc: Option<u16>,
    /// Mobile network code, two or three digits.
    pub mnc: Option<u16>,
    /// E-UTRA absolute radio frequency channel number.
    pub earfcn: Option<u32>,
    /// LTE band number.
    pub band: Option<u16>,
}

/// Who the modem and its SIM are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Maker, as `AT+CGMI` says.
    pub manufacturer: Option<String>,
    /// Model, as `AT+CGMM` says.
    pub model: Option<String>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// 15 digits.
    pub imei: Option<String>,
    /// Up to 15 digits.
    pub imsi: Option<String>,
    /// 18 to 20 digits.
    pub iccid: Option<String>,
}

/// What upper layers may know of a link.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinkFacts {
    /// Datagrams can be carried.
    pub up: bool,
    /// What the link is doing, in a technician's words, e.g. "attaching to the network".
    pub state: &'static str,
    /// What stands in the way, with the modem's own words; `None` when nothing does.
    pub trouble: Option<String>,
    /// Modem and SIM.
    pub identity: Identity,
    /// Radio registration.
    pub registration: NetworkRegistration,
    /// Signal.
    pub signal: Signal,
    /// Serving cell.
    pub cell: Cell,
    /// Operator name.
    pub operator: Option<String>,
    /// Access technology as the modem names it, e.g. `NBIoT`.
    pub technology: Option<String>,
    /// Access point name of the active PDN.
    pub apn: Option<String>,
    /// Our own address in the PDN.
    pub address: Option<IpAddr>,
    /// Most octets of UDP payload that one datagram may carry up.
    pub max_send_octets: usize,
    /// Most octets of UDP payload that one datagram may bring down uncut.
    pub max_receive_octets: usize,
    /// Traffic since start.
    pub traffic: Traffic,
}

/// Octets of UDP payload and datagrams since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Octets of UDP payload that the link took.
    pub octets_up: u64,
    /// Octets of UDP payload that arrived.
    pub octets_down: u64,
    /// Datagrams that the link took.
    pub datagrams_up: u64,
    /// Datagrams that arrived.
    pub datagrams_down: u64,
}
