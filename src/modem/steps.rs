//! The steps of bring-up: their order, and their names for a technician.
//!
//! ```text
//! echo off → error numbers → maker → model → firmware → IMEI → boot settings → radio state [→ SIM on]
//!   → SIM → IMSI → ICCID → APN settings → registration reports [→ radio on] → attach
//!   → PDN state [→ PDN up → PDN state] → APN → socket settings [→ socket state] [→ close] → open [→ URC port] → ready
//! ```

use crate::net::NetworkRegistration;

/// One step. Listed in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    EchoOff,
    ErrorNumbers,
    Maker,
    Model,
    Firmware,
    Imei,
    BootSettings,
    RadioState,
    SimOn,
    Sim,
    Imsi,
    Iccid,
    ApnSettings,
    Reports,
    RadioOn,
    Attach,
    PdnState,
    PdnDown,
    PdnUp,
    Apn,
    SocketSettings,
    SocketState,
    SocketClose,
    SocketOpen,
    UrcPort,
    Ready,
}

impl Step {
    /// What is going on, in a technician's words. `verifying`: the link is thought to stand.
    pub(super) fn words(self, verifying: bool, registration: NetworkRegistration) -> &'static str {
        match self {
            Self::EchoOff | Self::ErrorNumbers => "starting the dialogue with the modem",
            Self::Maker | Self::Model | Self::Firmware | Self::Imei => "reading who the modem is",
            Self::BootSettings => "setting up the modem",
            Self::RadioState | Self::SimOn | Self::Sim | Self::Imsi | Self::Iccid => "waiting for the SIM",
            Self::ApnSettings => "setting the APN",
            Self::Reports | Self::RadioOn => "switching the radio on",
            Self::Attach if registration == NetworkRegistration::Denied => "the network denies registration",
            Self::Attach => "attaching to the network",
            Self::PdnState | Self::SocketState if verifying => "looking whether the link still stands",
            Self::PdnState | Self::PdnDown | Self::PdnUp | Self::Apn => "activating the PDN context",
            Self::SocketState
            | Self::SocketSettings
            | Self::SocketClose
            | Self::SocketOpen
            | Self::UrcPort => "opening the UDP socket",
            Self::Ready => "online",
        }
    }

    /// The steps from here on stand on an active PDN context.
    pub(super) fn follows_pdn(self) -> bool {
        matches!(
            self,
            Self::Apn
                | Self::SocketSettings
                | Self::SocketState
                | Self::SocketClose
                | Self::SocketOpen
                | Self::UrcPort
                | Self::Ready
        )
    }

    /// The next step in order; from `PdnState` and `PdnUp` bring-up chooses by what it sees.
    pub(super) fn next(self) -> Self {
        match self {
            Self::EchoOff => Self::ErrorNumbers,
            Self::ErrorNumbers => Self::Maker,
            Self::Maker => Self::Model,
            Self::Model => Self::Firmware,
            Self::Firmware => Self::Imei,
            Self::Imei => Self::BootSettings,
            Self::BootSettings => Self::RadioState,
            Self::RadioState => Self::SimOn,
            Self::SimOn => Self::Sim,
            Self::Sim => Self::Imsi,
            Self::Imsi => Self::Iccid,
            Self::Iccid => Self::ApnSettings,
            Self::ApnSettings => Self::Reports,
            Self::Reports => Self::RadioOn,
            Self::RadioOn => Self::Attach,
            Self::Attach => Self::PdnState,
            Self::PdnDown => Self::PdnUp,
            Self::PdnState | Self::PdnUp => Self::Apn,
            Self::Apn => Self::SocketSettings,
            Self::SocketSettings => Self::SocketState,
            Self::SocketState => Self::SocketClose,
            Self::SocketClose => Self::SocketOpen,
            Self::SocketOpen | Self::UrcPort | Self::Ready => Self::Ready,
        }
    }
}
