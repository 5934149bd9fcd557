//! `nbgate run`: the service.

use std::path::PathBuf;

use crate::config;
use crate::gateway::host;
use crate::gateway::run::{Followers, run as run_gateway};
use crate::status;

use super::{LogOptions, signals};

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
pub async fn run(args: Args, log: LogOptions) -> anyhow::Result<()> {
    let config = config::load(&args.config, host::read())?;
    log.start(config.status.log_level, config.status.log_format);
    config.mqtt.password().into_iter().for_each(status::log::hide);
    tokio::spawn(status::log::tell_repeats());
    let stop = signals::stop()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), state_dir = %config.state_dir.display(), "starting");
    run_gateway(config, Followers::default(), stop).await
}
