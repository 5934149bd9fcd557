//! What passes between a UE and its cell: the seam between the virtual modem and the radio cell. Values only.

use std::net::{IpAddr, SocketAddr};

/// What the UE asks of the network, or sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// Look for the network and attach to it.
    Attach {
        /// Access point name for the default bearer; empty leaves the choice to the network.
        apn: String,
    },
    /// Leave the network. All ports are closed with it.
    Detach,
    /// A socket was opened on this local UDP port.
    OpenPort(u16),
    /// The socket on this local UDP port was closed.
    ClosePort(u16),
    /// One UDP datagram on its way up.
    Datagram {
        /// The UE's UDP port.
        local_port: u16,
        /// Whom it is for.
        to: SocketAddr,
        /// UDP payload.
        payload: Vec<u8>,
    },
    /// Find the addresses of a host name.
    Resolve {
        /// The host name.
        name: String,
    },
}

/// What the network tells or brings to the UE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// Attached, default bearer included.
    Attached(Serving),
    /// The network refuses the UE; it does not try again by itself.
    Denied {
        /// EMM cause (TS 24.301 §9.9.3.9).
        emm_cause: u8,
    },
    /// No cell is heard any more; the UE goes on searching, and keeps its bearer meanwhile.
    CoverageLost,
    /// The network dropped the bearer; the UE stays registered.
    ContextLost,
    /// One UDP datagram.
    Datagram {
        /// The UE's UDP port.
        local_port: u16,
        /// Who sent it.
        from: SocketAddr,
        /// UDP payload.
        payload: Vec<u8>,
    },
    /// Answer to [`Up::Resolve`].
    Resolved {
        /// The name asked for.
        name: String,
        /// Its addresses (none: the name is not known).
        addresses: Vec<IpAddr>,
    },
}

/// The network and cell that serve a UE, as the UE hears them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The UE's own address in the PDN.
    pub address: IpAddr,
    /// Mobile country code, three digits.
    pub mcc: String,
    /// Mobile network code, two or three digits.
    pub mnc: String,
    /// Operator's name.
    pub operator: String,
    /// The network is not the SIM's own.
    pub roaming: bool,
    /// Tracking area code.
    pub tac: u16,
    /// E-UTRAN cell identity, 28 bits.
    pub cell_id: u32,
    /// Physical cell identity, 0 to 503.
    pub pci: u16,
    /// E-UTRA absolute radio frequency channel number.
    pub earfcn: u32,
    /// LTE band number.
    pub band: u16,
    /// Reference signal received power, dBm.
    pub rsrp_dbm: i16,
    /// Reference signal received quality, dB.
    pub rsrq_db: i16,
    /// Received power of the carrier, dBm.
    pub rssi_dbm: i16,
    /// Signal to interference and noise, dB.
    pub sinr_db: i16,
}

impl Default for Serving {
    /// A cell of the test network 001-01 with fair signal.
    fn default() -> Self {
        Self {
            address: IpAddr::from([10, 7, 157, 1]),
            mcc: "001".into(),
            mnc: "01".into(),
            operator: "Lab Cell".into(),
            roaming: false,
            tac: 0x69C9,
            cell_id: 0x0DDA_1451,
            pci: 217,
            earfcn: 6352,
            band: 20,
            rsrp_dbm: -84,
            rsrq_db: -11,
            rssi_dbm: -67,
            sinr_db: 8,
        }
    }
}
