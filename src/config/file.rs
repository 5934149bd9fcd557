//! The configuration in types. The table of keys has their kinds and defaults; `config::build` judges the values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::bridge::mapping;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// How datagrams leave.
    pub uplink: Uplink,
    /// Where everything that must last lives.
    pub state_dir: PathBuf,
    /// Where the socket for `nbgate status` lives while the service runs.
    pub runtime_dir: PathBuf,
    /// How it logs.
    pub log: Log,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// The modem and its port.
    pub modem: Modem,
    /// The LwM2M client.
    pub lwm2m: Lwm2m,
    /// Where the gateway stands.
    pub location: Option<Location>,
    /// The broker.
    pub mqtt: Mqtt,
    /// Between both.
    pub bridge: Bridge,
    /// From topics to resources and back.
    #[serde(default)]
    pub mappings: Vec<mapping::Settings>,
}

/// `uplink`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uplink {
    /// The modem's UDP sockets.
    Modem,
    /// The kernel's.
    Udp,
}

/// `[modem]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modem {
    /// Device file of the AT port.
    pub port: Option<String>,
    /// Baud rate; USB modems ignore it.
    pub baud: u32,
    /// `auto`, or a modem family.
    pub dialect: String,
    /// Access point name; without one the modem's own setting stays.
    pub apn: Option<String>,
}

/// `[lwm2m]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lwm2m {
    /// Endpoint name with placeholders.
    pub endpoint: String,
    /// Enabler version.
    pub version: Version,
    /// A Register names the version.
    pub lwm2m_parameter: bool,
    /// Longest wait before the first Register after the start.
    pub start_jitter: Span,
    /// How long the carrier remembers our UDP mapping, `"0s"` for ever.
    pub nat_idle: Span,
    /// Objects whose instances servers create, write and delete.
    pub held_objects: Vec<u16>,
    /// What becomes of the registrations at the end.
    pub on_stop: OnStop,
    /// Transmission parameters.
    pub coap: Coap,
    /// The servers.
    #[serde(default)]
    pub servers: Vec<Server>,
}

/// `lwm2m.version`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Version {
    /// LwM2M 1.0
    #[serde(rename = "1.0")]
    V1_0,
    /// LwM2M 1.1
    #[serde(rename = "1.1")]
    V1_1,
}

/// `lwm2m.on_stop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// De-register.
    Deregister,
    /// Leave the registrations alone.
    Keep,
}

/// `[lwm2m.coap]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coap {
    /// The set of parameters that the others override.
    pub profile: Profile,
    /// ACK_TIMEOUT
    pub ack_timeout: Option<Span>,
    /// ACK_RANDOM_FACTOR
    pub ack_random_factor: Option<f64>,
    /// MAX_RETRANSMIT
    pub max_retransmit: Option<u32>,
    /// NSTART
    pub nstart: Option<usize>,
}

/// `lwm2m.coap.profile`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// RFC 7252 as written.
    Lan,
    /// For round trips of seconds.
    Nbiot,
}

/// `[[lwm2m.servers]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `coap://host:port`
    pub uri: String,
    /// 1..=65534
    pub short_server_id: u16,
    /// Registration lifetime.
    pub lifetime: Span,
    /// Binding mode; the table of keys lets only UDP pass.
    pub binding: String,
    /// Object Instance ID in object 1; counted from 0 by default.
    pub instance: Option<u16>,
    /// Object Instance ID in object 0; counted from 1 by default.
    pub security_instance: Option<u16>,
}

/// `[location]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// Metres above sea level.
    pub altitude: Option<f64>,
}

/// `[mqtt]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// `mqtt://host:port`
    pub url: String,
    /// Our name at the broker.
    pub client_id: String,
    /// PEM file of the authorities that may vouch for the broker; with `mqtts://`, the system's if absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate and its chain.
    pub client_cert_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub client_key_file: Option<PathBuf>,
    /// User name.
    pub user: Option<String>,
    /// File that holds the user name, in place of `user`.
    pub user_file: Option<PathBuf>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// The broker remembers us while we are away.
    pub persistent_session: bool,
    /// Longest silence before a ping.
    pub keep_alive: Span,
    /// Where the retained status is published; empty: nowhere.
    pub status_topic: String,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// From which level on; `--log` wins.
    pub level: Level,
    /// `--log-format` wins.
    pub format: LogFormat,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// A person must act.
    Error,
    /// Worth a look.
    Warn,
    /// What a technician wants to follow.
    Info,
    /// For the search of a fault.
    Debug,
    /// Everything.
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event; under journald without time stamps and with priorities.
    Text,
    /// One JSON object an event.
    Json,
}

/// `[metrics]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Loopback address and port where Prometheus may ask; nowhere if absent.
    pub listen: Option<SocketAddr>,
}

/// `[bridge]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// How long new instances gather before one Update announces them.
    pub announce_after: Span,
}

/// A duration written like `"30s"`, `"2m"`, `"1d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!("{text:?} is no duration like \"30s\": {error}"))
        })
    }
}
