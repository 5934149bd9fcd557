//! `nbgate run`: the service.

use std::path::PathBuf;

use crate::config;
use crate::gateway::run::{Followers, run as run_gateway};
use crate::gateway::settings::Host;
use crate::lwm2m::client::HostFacts;

use super::signals;

/// Run the gateway service until SIGTERM or SIGINT.
///
/// It registers whether or not the broker is there, and keeps trying when a server, the modem or the broker is
/// away. On SIGTERM it de-registers (see `lwm2m.on_stop`) and ends within 5 s on a link that answers; on one that
/// does not, within 10 s with profile "lan" and 25 s with "nbiot". A second signal ends it at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file
    #[arg(long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

/// Runs the service.
///
/// # Errors
/// A faulty configuration ([`config::Faults`]), or edges that cannot start.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let config = config::load(&args.config, host())?;
    let stop = signals::stop()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), state_dir = %config.state_dir.display(), "starting");
    run_gateway(config, Followers::default(), stop).await
}

/// What this machine says about itself.
pub(super) fn host() -> Host {
    Host {
        hostname: read("/proc/sys/kernel/hostname"),
        machine_id: read("/etc/machine-id"),
        facts: HostFacts {
            manufacturer: read("/sys/class/dmi/id/sys_vendor"),
            model: read("/sys/firmware/devicetree/base/model")
                .or_else(|| read("/sys/class/dmi/id/product_name")),
            serial: read("/sys/firmware/devicetree/base/serial-number"),
            software_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            memory_total_kib: read("/proc/meminfo").and_then(|text| memory_total_kib(&text)),
            timezone: read("/etc/timezone"),
        },
    }
}

/// What a file of the system says, if it says something. Texts of a device tree end with a NUL.
fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// `MemTotal:        3884360 kB`
fn memory_total_kib(meminfo: &str) -> Option<u32> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_memory_and_this_programs_version() {
        assert_eq!(memory_total_kib("MemTotal:        3884360 kB\nMemFree: 1 kB\n"), Some(3_884_360));
        assert_eq!(memory_total_kib("MemFree: 1 kB\n"), None);
        let facts = host().facts;
        assert_eq!(facts.software_version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert!(facts.memory_total_kib.is_some_and(|total| total > 0));
    }
}
