//! What the core needs to know, free of files: made by `config`, or by a test.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::coap::Params;
use crate::lwm2m::client::{HostFacts, Location, OnStop};
use crate::lwm2m::model::Version;
use crate::modem;

pub use crate::bridge::Mappings;

/// Everything the core is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How datagrams leave.
    pub uplink: Uplink,
    /// Endpoint name, with the placeholders `{imei}`, `{imsi}`, `{hostname}`, `{machine_id}`.
    pub endpoint: String,
    /// LwM2M enabler version.
    pub version: Version,
    /// A Register names that version (`lwm2m=`).
    pub lwm2m_parameter: bool,
    /// Longest wait before the first Register after the start, of which a random part is waited.
    pub start_jitter: Duration,
    /// Objects whose instances servers create, write and delete here.
    pub held_objects: BTreeSet<u16>,
    /// Where the gateway stands, if that was configured.
    pub location: Option<Location>,
    /// The servers, each to register at.
    pub servers: Vec<Server>,
    /// What to do with the registrations at the end.
    pub on_stop: OnStop,
    /// CoAP transmission parameters.
    pub coap: Params,
    /// After so long a silence the carrier may have forgotten our UDP mapping; `None`: there is no such carrier.
    pub nat_idle: Option<Duration>,
    /// How long new instances gather before one Update announces them.
    pub announce_after: Duration,
    /// From topics to resources and back.
    pub mappings: Mappings,
    /// The machine we run on.
    pub host: Host,
    /// After a stop: how long De-register may take before we end without its answer.
    pub stop_limit: Duration,
}

/// How datagrams leave.
#[derive(Debug, Clone)]
pub enum Uplink {
    /// Through a modem on a serial port.
    Modem(modem::Settings),
    /// Through the kernel's UDP sockets.
    Udp,
}

/// One LwM2M server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `coap://host:port`, as configured.
    pub uri: String,
    /// Host name or address literal out of the URI.
    pub host: String,
    /// UDP port out of the URI, 5683 if it has none.
    pub port: u16,
    /// Short Server ID, 1..=65534.
    pub short_server_id: u16,
    /// Registration lifetime.
    pub lifetime: Duration,
    /// Object Instance ID in object 1.
    pub instance: u16,
    /// Object Instance ID in object 0.
    pub security_instance: u16,
}

/// Facts of the machine we run on; `None` where it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Host name.
    pub hostname: Option<String>,
    /// The contents of `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// What object 3 says of the machine.
    pub facts: HostFacts,
}
