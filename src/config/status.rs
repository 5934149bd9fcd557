//! `runtime_dir`, `[log]` and `[metrics]`: what an operator sees of the service, and where.

use std::net::SocketAddr;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::file::{File, Level, LogFormat};
use super::{Fault, fault};
use crate::status::log::Format;

/// What an operator sees of the service, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the status socket lives.
    pub runtime_dir: PathBuf,
    /// What is logged, unless the command line says otherwise.
    pub log_level: LevelFilter,
    /// How, unless the command line says otherwise.
    pub log_format: Format,
    /// Where Prometheus may ask: a loopback address.
    pub metrics: Option<SocketAddr>,
}

pub(super) fn status(file: &File, faults: &mut Vec<Fault>) -> Status {
    if let Some(listen) = file.metrics.listen {
        if !listen.ip().is_loopback() {
            fault(
                faults,
                "metrics.listen",
                format!("{listen} can be reached from other machines, and whoever asks is answered"),
                "write 127.0.0.1:9464 or [::1]:9464, and let a proxy of this machine guard the way to it",
            );
        }
    }
    Status {
        runtime_dir: file.runtime_dir.clone(),
        log_level: match file.log.level {
            Level::Off => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        },
        log_format: match file.log.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        metrics: file.metrics.listen,
    }
}
