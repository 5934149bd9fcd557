//! From files and environment to typed settings, in steps: `layers` reads, `text` and `tree` keep the line of every
//! value, `shape` holds them against the table of keys, `build` judges what they mean. All faults are told at once.

mod broker;
mod coap;
mod environment;
mod exposed;
mod faults;
mod file;
pub mod keys;
mod layers;
mod lwm2m;
mod mappings;
mod modem;
mod reload;
mod secrets;
mod servers;
mod shape;
mod show;
mod status;
mod table;
mod text;
mod tree;
mod uri;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bridge::mapping;
use crate::gateway::settings::{Host, Settings};
use crate::lwm2m::client::OnStop;
use crate::lwm2m::model::{Model, Version};
use crate::mqtt;

pub use faults::{Fault, Faults};
pub use file::File;
pub use layers::DROP_IN_FOLDER;
pub use mappings::{OnlyMappings, load_mappings, parse_mappings};
pub use reload::needs_restart;
pub use show::{Entry, Written, read};
pub use status::Status;
pub use table::ROOT;
pub use tree::{Origin, Position};

use faults::Gathered;
use layers::Layers;
use secrets::Folders;

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
    /// Where everything that must last lives.
    pub state_dir: PathBuf,
    /// For whoever looks at the service.
    pub status: Status,
    /// What was read, in the order of reading.
    pub files: Vec<PathBuf>,
    /// How many `[[mappings]]` there are.
    pub mapping_count: usize,
    /// What may be meant otherwise.
    pub warnings: Vec<Fault>,
}

/// The serial port of the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Device file.
    pub path: String,
    /// Baud rate.
    pub baud: u32,
}

/// Reads the configuration: built-in defaults, then the file, then those of `conf.d` beside it, then the environment.
///
/// # Errors
/// Every fault found, with its place, key and remedy.
pub fn load(path: &Path, host: Host) -> Result<Config, Faults> {
    judge(Layers::of_file(path), &Folders::of_process(path), host)
}

/// Reads a configuration from its text alone: without the environment.
///
/// # Errors
/// Every fault found.
pub fn parse(text: &str, host: Host) -> Result<Config, Faults> {
    judge(Layers::of_text(text), &Folders::default(), host)
}

/// Turns what was written into settings.
fn judge(mut layers: Layers, folders: &Folders, host: Host) -> Result<Config, Faults> {
    let places = layers.tree.places();
    let shape = shape::check(&mut layers.tree);
    let mut faults = Gathered::new(layers.faults, &places);
    faults.add(shape.faults);
    match layers.tree.to_value().deserialize::<File>() {
        Ok(file) => {
            let mut found = vec![];
            exposed::check(&layers.tree, &mut found);
            let built = build(&file, folders, host, &mut found);
            faults.add_consequent(found, &shape.explained, layers.is_partial);
            match built {
                Some(config) if faults.is_empty() => {
                    let warnings =
                        config.warnings.into_iter().map(|warning| faults::placed(warning, &places));
                    return Ok(Config { files: layers.files, warnings: warnings.collect(), ..config });
                }
                _ => {}
            }
        }
        // The table lets everything pass that the types take, but for what a type judges by itself.
        Err(error) => faults.add(error.into_iter().map(|error| Fault::of_reader(&error)).collect()),
    }
    Err(faults.finish())
}

/// Turns what the file says into settings; `None` if a fault leaves one out.
fn build(file: &File, folders: &Folders, host: Host, faults: &mut Vec<Fault>) -> Option<Config> {
    let version = match file.lwm2m.version {
        file::Version::V1_0 => Version::V1_0,
        file::Version::V1_1 => Version::V1_1,
    };
    let mappings = mapping::compile(&file.mappings, &Model::for_enabler(version)).unwrap_or_else(|found| {
        faults.extend(found.into_iter().map(|f| Fault::new(f.key, f.problem, f.fix)));
        mapping::Mappings::default()
    });
    let doubts = mappings.warnings().iter().cloned();
    let warnings = doubts.map(|doubt| Fault::new(doubt.key, doubt.problem, doubt.fix)).collect();
    let coap = coap::transmission(file, faults);
    let servers = servers::servers(file, faults);
    lwm2m::check_endpoint(file, &host, faults);
    lwm2m::check_version_parameter(file, faults);
    lwm2m::check_held_objects(file, &Model::for_enabler(version), faults);
    let location = lwm2m::location_of(file, faults);
    let uplink = modem::uplink(file, faults);
    let status = status::status(file, faults);
    let mqtt = broker::broker(file, folders, faults);
    let lan = file.lwm2m.coap.profile == file::Profile::Lan;
    let by_profile = |with_lan, with_nbiot| Duration::from_secs(if lan { with_lan } else { with_nbiot });
    let nat_idle = file.lwm2m.nat_idle.0;
    let gateway = Settings {
        uplink,
        endpoint: file.lwm2m.endpoint.clone(),
        version,
        lwm2m_parameter: file.lwm2m.lwm2m_parameter,
        start_jitter: file.lwm2m.start_jitter.0,
        held_objects: file.lwm2m.held_objects.iter().copied().collect(),
        location,
        servers,
        on_stop: match file.lwm2m.on_stop {
            file::OnStop::Deregister => OnStop::Deregister,
            file::OnStop::Keep => OnStop::Keep,
        },
        coap,
        nat_idle: (nat_idle > Duration::ZERO).then_some(nat_idle),
        announce_after: file.bridge.announce_after.0,
        mappings,
        host,
        stop_limit: by_profile(5, 20),
    };
    let port = Port { path: file.modem.port.clone().unwrap_or_default(), baud: file.modem.baud };
    let state_dir = file.state_dir.clone();
    Some(Config {
        gateway,
        port,
        mqtt: mqtt?,
        state_dir,
        status,
        files: vec![],
        mapping_count: file.mappings.len(),
        warnings,
    })
}

fn fault(faults: &mut Vec<Fault>, key: impl Into<String>, problem: impl Into<String>, fix: &str) {
    faults.push(Fault::new(key, problem, fix));
}

#[cfg(test)]
mod tests;
