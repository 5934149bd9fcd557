//! `nbgate run`: the service.

use std::io;
use std::path::PathBuf;

use tokio::task::JoinHandle;

use crate::config;
use crate::gateway::host;
use crate::gateway::questions::{Asker, questions};
use crate::gateway::run::{Followers, run as run_gateway};
use crate::status;
use crate::status::metrics::Port;
use crate::status::socket::Socket;

use super::{LogOptions, reload, signals};

/// Run the gateway service until SIGTERM or SIGINT.
///
/// On SIGHUP it reads the configuration again and takes its mappings; a faulty one changes nothing, and whatever else
/// has changed counts after a restart.
///
/// It registers whether or not the broker is there, and keeps trying when a server, the modem or the broker is
/// away. On SIGTERM it de-registers (see `lwm2m.on_stop`) and ends within 5 s on a link that answers; on one that
/// does not, within 10 s with profile "lan" and 25 s with "nbiot". A second signal ends it at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; those of conf.d beside it are read as well
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
    for warning in &config.warnings {
        tracing::warn!(key = warning.key, fix = warning.fix, "configuration: {}", warning.problem);
    }
    let stop = signals::stop()?;
    let reloads = Some(reload::on_hangup(args.config)?);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), state_dir = %config.state_dir.display(), "starting");
    let (asker, questions) = questions();
    let looked_at = look_at(&config.status, &asker).await;
    let followers = Followers { questions: Some(questions), reloads, ..Followers::default() };
    let ended = run_gateway(config, followers, stop).await;
    // With them goes the status socket.
    for task in looked_at {
        task.abort();
        let _ = task.await;
    }
    ended
}

/// Opens the status socket and the port for metrics. The gateway works without them, so what fails is only said.
async fn look_at(settings: &config::Status, asker: &Asker) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    match Socket::open(&settings.runtime_dir) {
        Ok(socket) => tasks.push(tokio::spawn(socket.serve(asker.clone()))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            tracing::error!(
                runtime_dir = %settings.runtime_dir.display(),
                "another nbgate is running; both will fight over modem and broker: stop one, or give each a runtime_dir"
            );
        }
        Err(error) => {
            tracing::warn!(runtime_dir = %settings.runtime_dir.display(), %error, "no status socket: `nbgate status` will not reach this service");
        }
    }
    if let Some(address) = settings.metrics {
        match Port::open(address).await {
            Ok(port) => {
                tracing::info!(%address, "metrics are served");
                tasks.push(tokio::spawn(port.serve(asker.clone())));
            }
            Err(error) => tracing::error!(%address, %error, "no metrics: the port cannot be had"),
        }
    }
    tasks
}
