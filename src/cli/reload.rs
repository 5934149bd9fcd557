//! SIGHUP: the configuration is read again, and its mappings are handed to the loop. A faulty one changes nothing.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::bridge::Mappings;
use crate::config::{self, Config, Fault, Faults, Written};
use crate::gateway::host;
use crate::status::notify;

/// What is read again at each SIGHUP, and what it said at the start.
struct Watched {
    path: PathBuf,
    at_start: Written,
}

/// Mappings to take in place of those before, each time the process gets a SIGHUP.
///
/// # Errors
/// The handler cannot be installed.
pub fn on_hangup(path: PathBuf) -> std::io::Result<mpsc::Receiver<Box<Mappings>>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let at_start = config::read(&path);
    let (sender, reloads) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut watched = Watched { path, at_start };
        while hangup.recv().await.is_some() {
            notify::reloading();
            // It reads files, and may compile thousands of mappings.
            let reading = spawn_blocking(move || {
                let mappings = watched.read_again();
                (watched, mappings)
            });
            let Ok((back, mappings)) = reading.await else { return };
            watched = back;
            let Some(mappings) = mappings else {
                notify::ready();
                continue;
            };
            // The loop says that it is ready once it has taken them.
            if sender.send(mappings).await.is_err() {
                return;
            }
        }
    });
    Ok(reloads)
}

impl Watched {
    /// The mappings as they are written now; `None`, and every fault in the log, if the configuration is faulty.
    fn read_again(&self) -> Option<Box<Mappings>> {
        match config::load(&self.path, host::read()) {
            Ok(config) => {
                self.tell(&config);
                Some(Box::new(config.gateway.mappings))
            }
            Err(Faults { faults, .. }) => {
                for Fault { key, problem, fix, origin } in &faults {
                    let place = origin.as_ref().map(tracing::field::display);
                    tracing::error!(place, key, problem, fix, "fault in the configuration");
                }
                tracing::error!(
                    faults = faults.len(),
                    "configuration is faulty: the mappings stay as they are"
                );
                None
            }
        }
    }

    fn tell(&self, config: &Config) {
        for Fault { key, problem, fix, origin } in &config.warnings {
            let place = origin.as_ref().map(tracing::field::display);
            tracing::warn!(place, key, problem, fix, "configuration may be meant otherwise");
        }
        let keys = config::needs_restart(&self.at_start, &config::read(&self.path));
        if !keys.is_empty() {
            let keys = keys.join(" ");
            tracing::warn!(keys, "these keys have changed since the start, and count only after a restart");
        }
    }
}
