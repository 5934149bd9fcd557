//! From files and environment to typed settings: figment layers, unknown keys refused, faults with key and remedy.

mod environment;
mod file;
mod uri;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Toml};

use crate::bridge::mapping;
use crate::coap::{BadParameter, Params};
use crate::gateway::settings::{Host, Server, Settings, Uplink};
use crate::lwm2m::client::{Location, OnStop};
use crate::lwm2m::held::is_plain;
use crate::lwm2m::model::{Model, Version};
use crate::lwm2m::objects::location;
use crate::{modem, mqtt};

pub use file::File;

const MAX_START_JITTER: Duration = Duration::from_secs(3600);
const MIN_NAT_IDLE: Duration = Duration::from_secs(1);
const MAX_NAT_IDLE: Duration = Duration::from_secs(30 * 86_400);

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/nbgate/nbgate.toml";

/// Everything the binary needs to run: the core's settings and those of the edges.
#[derive(Debug, Clone)]
pub struct Config {
    /// For the core.
    pub gateway: Settings,
    /// For the serial port; unused with `uplink = "udp"`.
    pub port: Port,
    /// For the broker.
    pub mqtt: mqtt::Settings,
    /// Where everything that must last lives; nothing does yet.
    pub state_dir: PathBuf,
}

/// The serial port of the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Device file.
    pub path: String,
    /// Baud rate.
    pub baud: u32,
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, e.g. `lwm2m.servers[0].uri`; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

/// Why there is no configuration: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map_or_else(|| "text".into(), |file| file.display().to_string());
        write!(f, "{} fault(s) in the configuration ({file}):", self.faults.len())?;
        for fault in &self.faults {
            let colon = if fault.key.is_empty() { "" } else { ": " };
            write!(f, "\n  {}{colon}{}\n    fix: {}", fault.key, fault.problem, fault.fix)?;
        }
        Ok(())
    }
}

/// Reads the configuration: built-in defaults, then the file, then `NBGATE_` variables.
///
/// # Errors
/// Every fault found, with its key and remedy.
pub fn load(path: &Path, host: Host) -> Result<Config, Faults> {
    let faults = |faults| Faults { file: Some(path.to_owned()), faults };
    if let Err(error) = std::fs::metadata(path) {
        return Err(faults(vec![Fault {
            key: String::new(),
            problem: format!("cannot be read: {error}"),
            fix: "name the file with --config, or start from config/nbgate.toml".into(),
        }]));
    }
    let figment = Figment::new().merge(Toml::file_exact(path)).merge(environment::Variables::of_process());
    let mut file: File = figment.extract().map_err(|error| faults(read_faults(error)))?;
    if let Some(path) = state_directory(std::env::var_os("STATE_DIRECTORY")) {
        file.state_dir = path;
    }
    build(file, host).map_err(faults)
}

/// The first of the directories that systemd has made for the service (systemd.exec(5), StateDirectory=).
fn state_directory(variable: Option<OsString>) -> Option<PathBuf> {
    let first = std::env::split_paths(&variable?).next()?;
    (!first.as_os_str().is_empty()).then_some(first)
}

/// Reads a configuration from its text alone: without the environment.
///
/// # Errors
/// Every fault found.
pub fn parse(text: &str, host: Host) -> Result<Config, Faults> {
    let faults = |faults| Faults { file: None, faults };
    let file: File =
        Figment::from(Toml::string(text)).extract().map_err(|error| faults(read_faults(error)))?;
    build(file, host).map_err(faults)
}

/// Turns what the file says into settings.
///
/// # Errors
/// Every fault found.
pub fn build(file: File, host: Host) -> Result<Config, Vec<Fault>> {
    let mut faults = Vec::new();
    let version = match file.lwm2m.version {
        file::Version::V1_0 => Version::V1_0,
        file::Version::V1_1 => Version::V1_1,
    };
    let mappings = mapping::compile(&file.mappings, &Model::for_enabler(version)).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|f| Fault { key: f.key, problem: f.problem, fix: f.fix }));
        mapping::Mappings::default()
    });
    let coap = transmission(&file, &mut faults);
    let servers = servers(&file, &mut faults);
    check_endpoint(&file, &host, &mut faults);
    check_version_parameter(&file, &mut faults);
    check_times(&file, &mut faults);
    check_held_objects(&file, &Model::for_enabler(version), &mut faults);
    let location = location_of(&file, &mut faults);
    let uplink = uplink(&file, &mut faults);
    let mqtt = broker(&file, &mut faults);
    let lan = file.lwm2m.coap.profile == file::Profile::Lan;
    let by_profile = |with_lan, with_nbiot| Duration::from_secs(if lan { with_lan } else { with_nbiot });
    let or_by_profile = |given: Option<file::Span>, with_lan, with_nbiot| {
        given.map_or_else(|| by_profile(with_lan, with_nbiot), |given| given.0)
    };
    let nat_idle = or_by_profile(file.lwm2m.nat_idle, 0, 120);
    let gateway = Settings {
        uplink,
        endpoint: file.lwm2m.endpoint.clone(),
        version,
        lwm2m_parameter: file.lwm2m.lwm2m_parameter,
        start_jitter: or_by_profile(file.lwm2m.start_jitter, 0, 60),
        held_objects: file.lwm2m.held_objects.iter().copied().collect(),
        location,
        servers,
        on_stop: match file.lwm2m.on_stop {
            file::OnStop::Deregister => OnStop::Deregister,
            file::OnStop::Keep => OnStop::Keep,
        },
        coap,
        nat_idle: (nat_idle > Duration::ZERO).then_some(nat_idle),
        announce_after: or_by_profile(file.bridge.announce_after, 2, 30),
        mappings,
        host,
        stop_limit: by_profile(5, 20),
    };
    let port = Port { path: file.modem.port.unwrap_or_default(), baud: file.modem.baud };
    match mqtt {
        Some(mqtt) if faults.is_empty() => Ok(Config { gateway, port, mqtt, state_dir: file.state_dir }),
        _ => Err(faults),
    }
}

fn read_faults(error: figment::Error) -> Vec<Fault> {
    error
        .into_iter()
        .map(|error| Fault {
            key: error.path.join("."),
            problem: match &error.metadata {
                Some(metadata) if metadata.name.contains("NBGATE_") => {
                    format!("{} (in the environment)", words::problem(&error.kind))
                }
                _ => words::problem(&error.kind),
            },
            fix: "compare with config/nbgate.toml, which lists every key".into(),
        })
        .collect()
}

fn fault(faults: &mut Vec<Fault>, key: impl Into<String>, problem: impl Into<String>, fix: &str) {
    faults.push(Fault { key: key.into(), problem: problem.into(), fix: fix.into() });
}

fn transmission(file: &File, faults: &mut Vec<Fault>) -> Params {
    let given = &file.lwm2m.coap;
    let mut params = match given.profile {
        file::Profile::Lan => Params::lan(),
        file::Profile::Nbiot => Params::nbiot(),
    };
    override_with(&mut params, faults, "ack_timeout", given.ack_timeout, |p, value| {
        p.with_ack_timeout(value.0)
    });
    override_with(
        &mut params,
        faults,
        "ack_random_factor",
        given.ack_random_factor,
        Params::with_ack_random_factor,
    );
    override_with(&mut params, faults, "max_retransmit", given.max_retransmit, Params::with_max_retransmit);
    override_with(&mut params, faults, "nstart", given.nstart, Params::with_nstart);
    params
}

/// Sets one parameter if the file has it.
fn override_with<T>(
    params: &mut Params,
    faults: &mut Vec<Fault>,
    key: &str,
    given: Option<T>,
    set: fn(Params, T) -> Result<Params, BadParameter>,
) {
    let Some(value) = given else { return };
    match set(*params, value) {
        Ok(changed) => *params = changed,
        Err(problem) => {
            fault(faults, format!("lwm2m.coap.{key}"), problem.to_string(), "or leave it to the profile")
        }
    }
}

fn servers(file: &File, faults: &mut Vec<Fault>) -> Vec<Server> {
    if file.lwm2m.servers.is_empty() {
        fault(
            faults,
            "lwm2m.servers",
            "no server is configured",
            "add [[lwm2m.servers]] with uri = \"coap://host:5683\"",
        );
    }
    let mut found: Vec<Server> = Vec::new();
    for (index, given) in file.lwm2m.servers.iter().enumerate() {
        let key = |name: &str| format!("lwm2m.servers[{index}].{name}");
        let uri = match uri::parse(&given.uri) {
            Ok(uri) => uri,
            Err(problem) => {
                fault(faults, key("uri"), problem, "write coap://host or coap://host:port");
                continue;
            }
        };
        if given.binding != "U" {
            fault(faults, key("binding"), format!("{:?} is not supported", given.binding), "use \"U\"");
        }
        if given.short_server_id == 0 || given.short_server_id == u16::MAX {
            fault(faults, key("short_server_id"), "is out of range", "use 1 to 65534");
        }
        let seconds = given.lifetime.0.as_secs();
        if !(10..=u64::from(u32::MAX)).contains(&seconds) {
            fault(
                faults,
                key("lifetime"),
                format!("{seconds} s is out of range"),
                "use 10s or more, e.g. \"1d\"",
            );
        }
        let counted = u16::try_from(index).unwrap_or(u16::MAX);
        let instance = given.instance.unwrap_or(counted);
        let security_instance = given.security_instance.unwrap_or(counted.saturating_add(1));
        for (name, id) in [("instance", instance), ("security_instance", security_instance)] {
            if id == u16::MAX {
                fault(faults, key(name), "is no Object Instance ID", "use 0 to 65534");
            }
        }
        for earlier in &found {
            if earlier.short_server_id == given.short_server_id {
                fault(faults, key("short_server_id"), "is used twice", "give each server its own");
            }
            if earlier.instance == instance {
                fault(faults, key("instance"), "is used twice", "give each server its own");
            }
            if (&earlier.host, earlier.port) == (&uri.host, uri.port) {
                fault(
                    faults,
                    key("uri"),
                    "names the same host and port as an earlier one",
                    "register at a server once: servers are told apart by their addresses",
                );
            }
            if earlier.security_instance == security_instance {
                fault(faults, key("security_instance"), "is used twice", "give each server its own");
            }
        }
        found.push(Server {
            uri: given.uri.clone(),
            host: uri.host,
            port: uri.port,
            short_server_id: given.short_server_id,
            lifetime: given.lifetime.0,
            instance,
            security_instance,
        });
    }
    found
}

/// Every placeholder must be one we know, and must have a source.
fn check_endpoint(file: &File, host: &Host, faults: &mut Vec<Fault>) {
    const KEY: &str = "lwm2m.endpoint";
    let endpoint = &file.lwm2m.endpoint;
    if endpoint.is_empty() {
        fault(faults, KEY, "is empty", "use \"urn:imei:{imei}\" or a name of your own");
    }
    if file.uplink == file::Uplink::Udp && (endpoint.contains("{imei}") || endpoint.contains("{imsi}")) {
        fault(
            faults,
            KEY,
            "asks for the modem's IMEI or IMSI, but with uplink = \"udp\" there is no modem",
            "use {hostname}, {machine_id} or a fixed name",
        );
    }
    let mut rest = endpoint.as_str();
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}') else {
            return fault(faults, KEY, "has a { without its }", "close the placeholder");
        };
        match &rest[start + 1..start + end] {
            "imei" | "imsi" => {}
            "hostname" if host.hostname.is_none() => {
                fault(
                    faults,
                    KEY,
                    "asks for the host name, but this machine has none",
                    "use another placeholder",
                );
            }
            "machine_id" if host.machine_id.is_none() => {
                fault(
                    faults,
                    KEY,
                    "asks for /etc/machine-id, which cannot be read",
                    "use another placeholder",
                );
            }
            "hostname" | "machine_id" => {}
            other => fault(
                faults,
                KEY,
                format!("{{{other}}} is no placeholder"),
                "known are {imei}, {imsi}, {hostname}, {machine_id}",
            ),
        }
        rest = &rest[start + end + 1..];
    }
}

/// Who leaves the version out is taken for 1.0.
fn check_version_parameter(file: &File, faults: &mut Vec<Fault>) {
    if !file.lwm2m.lwm2m_parameter && file.lwm2m.version != file::Version::V1_0 {
        fault(
            faults,
            "lwm2m.lwm2m_parameter",
            "is false, but only LwM2M 1.0 can do without",
            "set version = \"1.0\" beside it, or leave it true",
        );
    }
}

/// Neither silence for days after a start nor an Update before every notification is ever meant.
fn check_times(file: &File, faults: &mut Vec<Fault>) {
    let outside = |given: Option<file::Span>, from: Duration, to: Duration| {
        given.is_some_and(|span| span.0 > Duration::ZERO && !(from..=to).contains(&span.0))
    };
    if outside(file.lwm2m.start_jitter, Duration::ZERO, MAX_START_JITTER) {
        fault(faults, "lwm2m.start_jitter", "is longer than an hour", "use \"60s\", or \"0s\" for none");
    }
    if outside(file.lwm2m.nat_idle, MIN_NAT_IDLE, MAX_NAT_IDLE) {
        let fix = "use what the carrier allows, e.g. \"2m\", or \"0s\" if it never forgets";
        fault(faults, "lwm2m.nat_idle", "is not from 1s to 30days", fix);
    }
}

/// Held objects are in the registry, and nobody else's.
fn check_held_objects(file: &File, model: &Model, faults: &mut Vec<Fault>) {
    for (index, object) in file.lwm2m.held_objects.iter().copied().enumerate() {
        let problem = if !is_plain(object) {
            "belongs to the gateway itself"
        } else if model.object(object).is_none() {
            "is not in the registry"
        } else if file.mappings.iter().any(|mapping| mapping.object == object) {
            "is fed by a mapping, so its instances are the sensors'"
        } else {
            continue;
        };
        let key = format!("lwm2m.held_objects[{index}]");
        fault(faults, key, format!("object {object} {problem}"), "leave it out, or name another object");
    }
}

fn location_of(file: &File, faults: &mut Vec<Fault>) -> Option<Location> {
    let given = file.location.as_ref()?;
    let mut check = |name: &str, value: f64, limit: f64| {
        // Not a number is outside of every range.
        if !(-limit..=limit).contains(&value) {
            let problem = format!("{value} is outside of -{limit} to {limit}");
            fault(
                faults,
                format!("location.{name}"),
                problem,
                "write degrees, or metres, with a decimal point",
            );
        }
    };
    check("latitude", given.latitude, 90.0);
    check("longitude", given.longitude, 180.0);
    check("altitude", given.altitude.unwrap_or_default(), 100_000.0);
    let is_mapped = file.mappings.iter().any(|mapping| mapping.object == location::ID);
    if is_mapped || file.lwm2m.held_objects.contains(&location::ID) {
        let other = if is_mapped { "a mapping for" } else { "held_objects with" };
        let problem = format!("stands beside {other} object {}, which would fill it too", location::ID);
        fault(faults, "location", problem, "leave one of them out");
    }
    Some(Location { latitude: given.latitude, longitude: given.longitude, altitude: given.altitude })
}

fn uplink(file: &File, faults: &mut Vec<Fault>) -> Uplink {
    if file.uplink == file::Uplink::Udp {
        return Uplink::Udp;
    }
    if file.modem.port.as_deref().is_none_or(str::is_empty) {
        fault(
            faults,
            "modem.port",
            "is missing: with uplink = \"modem\" there must be a serial port",
            "name it, best as /dev/serial/by-id/…, or set uplink = \"udp\"",
        );
    }
    let dialect = file.modem.dialect.parse().unwrap_or_else(|problem| {
        fault(faults, "modem.dialect", problem, "use \"auto\" or \"quectel-bg9x\"");
        modem::DialectName::Auto
    });
    Uplink::Modem(modem::Settings { dialect, apn: file.modem.apn.clone(), ..modem::Settings::default() })
}

fn broker(file: &File, faults: &mut Vec<Fault>) -> Option<mqtt::Settings> {
    match mqtt::Settings::new(&file.mqtt.url, &file.mqtt.client_id) {
        Ok(settings) => return Some(settings),
        Err(problem @ mqtt::SettingsError::ClientId) => {
            fault(
                faults,
                "mqtt.client_id",
                problem.to_string(),
                "give the gateway a name of its own at the broker",
            );
        }
        Err(problem) => fault(faults, "mqtt.url", problem.to_string(), "write mqtt://127.0.0.1:1883"),
    }
    None
}

#[cfg(test)]
mod tests;
