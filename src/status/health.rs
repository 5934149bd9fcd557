//! The verdict on a running service, in one word and with the reasons.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gateway::snapshot::Snapshot;
use crate::lwm2m::client::ServerStatus;

/// A modem may take so long to find its network, so nothing is called down before.
const STARTING: Duration = Duration::from_secs(120);

/// How the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Values come in and reach every server.
    Healthy,
    /// Something is away, or the service has just started.
    Degraded,
    /// No value reaches any server.
    Down,
}

/// How the service is, and what stands against a better verdict.
pub fn judge(snapshot: &Snapshot) -> (Health, Vec<String>) {
    let mut reasons = Vec::new();
    let mut is_down = false;
    if snapshot.stopping {
        reasons.push("the service winds down".to_owned());
    }
    if !snapshot.link.up {
        is_down = true;
        let trouble =
            snapshot.link.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
        reasons.push(format!("the link is not up ({}{trouble})", snapshot.link.state));
    }
    let servers = &snapshot.servers;
    let away = servers.iter().filter(|server| server.location.is_none());
    let away: Vec<_> = away.map(away_from).collect();
    is_down |= away.len() == servers.len();
    reasons.extend(away);
    if !snapshot.broker.connected {
        let why = Some(&snapshot.broker.reason).filter(|reason| !reason.is_empty());
        let why = why.map_or_else(String::new, |reason| format!(": {reason}"));
        reasons.push(format!("no connection to the broker{why}"));
    }
    if let Some(trouble) = &snapshot.store.trouble {
        reasons.push(format!("nothing is kept over a restart: {trouble}"));
    }
    if snapshot.books.misfits > 0 {
        reasons.push("the books do not balance: a defect, please report it with the log".to_owned());
    }
    let is_starting = snapshot.taken.saturating_duration_since(snapshot.started) < STARTING;
    let health = match reasons.is_empty() {
        true => Health::Healthy,
        false if is_down && !is_starting => Health::Down,
        false => Health::Degraded,
    };
    (health, reasons)
}

/// The reason, where there is one; else what goes on, where that says more.
fn away_from(server: &ServerStatus) -> String {
    let state = Some(server.state).filter(|state| *state != "not registered");
    let why = server.trouble.as_deref().or(state);
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("not registered at server {}{why}", server.short_server_id)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{registered, snapshot};
    use super::*;

    #[test]
    fn all_there_is_healthy() {
        assert_eq!(judge(&snapshot()), (Health::Healthy, vec![]));
    }

    #[test]
    fn a_broker_or_one_of_two_servers_away_is_degraded_and_says_which() {
        let mut snapshot = snapshot();
        snapshot.broker.connected = false;
        snapshot.broker.reason = "connection refused".to_owned();
        snapshot.servers.push(ServerStatus {
            short_server_id: 7,
            location: None,
            state: "waiting",
            ..registered(snapshot.taken)
        });
        let (health, reasons) = judge(&snapshot);
        assert_eq!(health, Health::Degraded);
        assert_eq!(
            reasons,
            ["not registered at server 7 (waiting)", "no connection to the broker: connection refused"]
        );
    }

    #[test]
    fn why_a_server_does_not_register_us_is_said() {
        let mut snapshot = snapshot();
        let state = "not registered";
        snapshot.servers = vec![ServerStatus { location: None, state, ..registered(snapshot.taken) }];
        assert_eq!(judge(&snapshot).1, ["not registered at server 1"]);
        snapshot.servers[0].trouble = Some("Register was answered 4.03".to_owned());
        assert_eq!(judge(&snapshot).1, ["not registered at server 1 (Register was answered 4.03)"]);
    }

    #[test]
    fn a_store_that_keeps_nothing_is_degraded() {
        let mut snapshot = snapshot();
        snapshot.store.trouble = Some("disk full".to_owned());
        assert_eq!(
            judge(&snapshot),
            (Health::Degraded, vec!["nothing is kept over a restart: disk full".to_owned()])
        );
    }

    #[test]
    fn without_a_link_it_is_down_but_not_while_it_starts() {
        let mut snapshot = snapshot();
        snapshot.link.up = false;
        assert_eq!(judge(&snapshot).0, Health::Down);
        snapshot.started = snapshot.taken;
        assert_eq!(judge(&snapshot).0, Health::Degraded);
    }
}
