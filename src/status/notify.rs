//! What the service manager is told (sd_notify(3)). Where no `NOTIFY_SOCKET` is named, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

use super::log::escaped;

/// Somebody listens.
pub fn is_wanted() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Within which time [`alive`] is wanted, again and again; `None` if nobody watches.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// The service runs.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the monotonic clock cannot be read"),
    }
}

/// The service winds down.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The loop makes progress.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How things stand, in a line for `systemctl status`. What a modem or a network put into it stays in that line.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(&escaped(line))]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not take a notification");
    }
}
