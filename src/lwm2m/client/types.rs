//! What passes through the client's door: settings, events, refusals and counts. Values only.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::downlink::Transaction;
use super::super::model::Misfit;
use super::super::path::Path;
use super::super::registration::Retry;
use super::super::value::SampleId;
use super::Location;
use crate::net::Peer;

/// What the client is to be; the values come from the configuration.
///
/// The version of the enabler is that of the model.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Endpoint name.
    pub endpoint: String,
    /// The server accounts, each with its own Short Server ID and instances.
    pub servers: Vec<ServerSettings>,
    /// A Register names the version of the enabler; without, a server takes it for 1.0 if it takes it at all.
    pub lwm2m_parameter: bool,
    /// Longest wait before the first Register: after a power cut a district's gateways must not all come back in one
    /// second.
    pub start_jitter: Duration,
    /// Objects of the registry whose instances servers create, write and delete here; those that are behaviour are
    /// left out.
    pub held_objects: BTreeSet<u16>,
    /// Where the gateway stands; object 6 is there only if this is known.
    pub location: Option<Location>,
    /// New instances gather this long before one Update announces them.
    pub announce_after: Duration,
    /// How long an Update with all its resends may take: MAX_TRANSMIT_WAIT of the CoAP profile (UPD-05).
    pub update_takes: Duration,
    /// Waits between attempts to register.
    pub retry: Retry,
    /// After a longer silence the carrier may have forgotten our address: a notification waits for an Update, and
    /// observations that a server lost with the address are brought back by Updates. `None`: it never forgets.
    pub nat_idle: Option<Duration>,
    /// What becomes of the registrations on shutdown.
    pub on_stop: OnStop,
    /// A shutdown ends after this time, answered or not.
    pub stop_within: Duration,
    /// More observations than these are answered as plain Reads.
    pub max_observations: usize,
    /// Samples that would make more resources and instances than these together are refused; those of held objects do
    /// not count.
    pub max_resources: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            servers: vec![],
            lwm2m_parameter: true,
            start_jitter: Duration::ZERO,
            held_objects: BTreeSet::new(),
            location: None,
            announce_after: Duration::from_secs(30),
            update_takes: Duration::from_secs(93),
            retry: Retry::default(),
            nat_idle: None,
            on_stop: OnStop::Deregister,
            stop_within: Duration::from_secs(10),
            max_observations: 16_384,
            max_resources: 100_000,
        }
    }
}

/// One server account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Its URI, as configured.
    pub uri: String,
    /// Its address, if it is known already; else [`Client::set_peer`](super::Client::set_peer) tells it.
    pub peer: Option<Peer>,
    /// 1..=65534, unlike any other's.
    pub short_server_id: u16,
    /// /1/x/1; kept between one second and 136 years.
    pub lifetime: Duration,
    /// Instance ID in object 1.
    pub instance: u16,
    /// Instance ID in object 0.
    pub security_instance: u16,
}

/// What becomes of the registrations on shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They end (DER-04).
    Deregister,
    /// They are kept, for a short restart.
    Keep,
}

/// What the owner should know.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A server has registered us.
    Registered {
        /// Short Server ID.
        server: u16,
        /// Where, e.g. `/rd/5a3f`.
        location: String,
    },
    /// A registration lives on.
    Updated {
        /// Short Server ID.
        server: u16,
    },
    /// A Register or Update failed.
    RegistrationFailed {
        /// Short Server ID.
        server: u16,
        /// In words.
        why: String,
        /// The next attempt follows after this time.
        retry_in: Duration,
    },
    /// A registration is ended.
    Deregistered {
        /// Short Server ID.
        server: u16,
    },
    /// A server disabled the account, and is no longer listened to.
    Disabled {
        /// Short Server ID.
        server: u16,
    },
    /// The time of a Disable is over, and the server is listened to again.
    Enabled {
        /// Short Server ID.
        server: u16,
    },
    /// A server observes a path from now on.
    ObservationStarted {
        /// Short Server ID.
        server: u16,
        /// What it observes.
        path: Path,
    },
    /// An observation is gone.
    ObservationEnded {
        /// Short Server ID.
        server: u16,
        /// What it observed.
        path: Path,
        /// In words.
        why: &'static str,
    },
    /// A server's request for the bridge, to be answered by [`Client::handle_downlink`](super::Client::handle_downlink).
    Downlink(Transaction),
    /// These samples are with a server.
    SamplesReported(Vec<SampleId>),
    /// A newer value of the same path came before this sample was reported.
    SampleSuperseded(SampleId),
    /// A server wants a reboot; its request is answered.
    RebootRequested {
        /// Short Server ID.
        server: u16,
    },
}

/// Why a value was not set; its sample is not in the client's books.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The registry has no such readable resource, or the path is none of a resource.
    #[error("{0} is no resource that can be read")]
    Unknown(Path),
    /// The object answers for itself, or is held for the servers.
    #[error("{0} belongs to an object that the gateway itself or its servers fill")]
    Native(Path),
    /// Wrong type or range.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// Too many resources and instances.
    #[error("there are {0} resources and instances already")]
    Full(usize),
}

/// A server account as the status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Short Server ID.
    pub short_server_id: u16,
    /// Its address, once known.
    pub peer: Option<Peer>,
    /// In words.
    pub state: &'static str,
    /// Why the last Register or Update failed, until one succeeds.
    pub trouble: Option<String>,
    /// Where we are registered.
    pub location: Option<String>,
    /// When the last successful Register or Update was made.
    pub updated: Option<Instant>,
    /// When the registration ends unless an Update comes before.
    pub expires: Option<Instant>,
    /// Observations that it holds.
    pub observations: usize,
}

/// Counts since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Registers that were answered with success.
    pub registrations: u64,
    /// Updates that were answered with success.
    pub updates: u64,
    /// Registers and Updates that failed.
    pub registration_failures: u64,
    /// Requests of servers.
    pub requests: u64,
    /// Notifications handed to the endpoint.
    pub notifications_sent: u64,
    /// Of these, delivered.
    pub notifications_delivered: u64,
    /// Of these, failed.
    pub notifications_failed: u64,
    /// Samples reported.
    pub samples_reported: u64,
    /// Samples superseded.
    pub samples_superseded: u64,
}
