//! From files and environment to typed settings: figment layers, unknown keys refused, faults with key and remedy.

mod broker;
mod coap;
mod environment;
mod file;
mod lwm2m;
mod modem;
mod servers;
mod status;
mod uri;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Toml};

use crate::bridge::mapping;
use crate::gateway::settings::{Host, Settings};
use crate::lwm2m::client::OnStop;
use crate::lwm2m::model::{Model, Version};
use crate::mqtt;

pub use file::File;
pub use status::Status;

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
    /// For whoever looks at the service.
    pub status: Status,
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
    if let Some(path) = first_directory(std::env::var_os("STATE_DIRECTORY")) {
        file.state_dir = path;
    }
    if let Some(path) = first_directory(std::env::var_os("RUNTIME_DIRECTORY")) {
        file.runtime_dir = path;
    }
    build(file, host).map_err(faults)
}

/// The first of the directories that systemd has made for the service (systemd.exec(5), StateDirectory=).
fn first_directory(variable: Option<OsString>) -> Option<PathBuf> {
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
    let coap = coap::transmission(&file, &mut faults);
    let servers = servers::servers(&file, &mut faults);
    lwm2m::check_endpoint(&file, &host, &mut faults);
    lwm2m::check_version_parameter(&file, &mut faults);
    lwm2m::check_times(&file, &mut faults);
    lwm2m::check_held_objects(&file, &Model::for_enabler(version), &mut faults);
    let location = lwm2m::location_of(&file, &mut faults);
    let uplink = modem::uplink(&file, &mut faults);
    let status = status::status(&file, &mut faults);
    let mqtt = broker::broker(&file, &mut faults);
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
        Some(mqtt) if faults.is_empty() => {
            Ok(Config { gateway, port, mqtt, state_dir: file.state_dir, status })
        }
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

#[cfg(test)]
mod tests;
