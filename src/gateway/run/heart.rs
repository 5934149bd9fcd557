//! What the service manager hears of the loop: a line on how things stand, and that it makes progress.
//!
//! Progress means: turns come to their end, the core meets its deadlines, and the MQTT task answers. A modem, broker or
//! server that is away does not count: a restart would not bring it back.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::gateway::core::Core;
use crate::gateway::snapshot::Snapshot;
use crate::mqtt::Order;
use crate::status::notify;

/// How often the line is made anew.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Of the time that the service manager allows, the part after which it is told again.
const PART_OF_WATCHDOG: u32 = 4;

/// Beats while somebody listens; else it never does.
#[derive(Debug)]
pub(super) struct Heart {
    due: Option<Instant>,
    every: Duration,
    is_watched: bool,
    /// The MQTT task was asked for a sign of life and has not answered.
    waits_for_mqtt: bool,
    is_well: bool,
    line: String,
}

impl Heart {
    /// For whoever the environment names.
    pub(super) fn new(now: Instant) -> Self {
        let watchdog = notify::watchdog();
        let every = watchdog.map_or(LINE_EVERY, |within| LINE_EVERY.min(within / PART_OF_WATCHDOG));
        Self::beating(notify::is_wanted().then_some(now), every, watchdog.is_some())
    }

    fn beating(due: Option<Instant>, every: Duration, is_watched: bool) -> Self {
        Self { due, every, is_watched, waits_for_mqtt: false, is_well: true, line: String::new() }
    }

    /// The loop has to come by at this time.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The MQTT task gave its sign of life.
    pub(super) fn mqtt_answered(&mut self) {
        self.waits_for_mqtt = false;
    }

    /// A turn is over. If a beat is due: feeds the watchdog, unless something stands still.
    pub(super) fn turned(&mut self, core: &Core, orders: &mpsc::Sender<Order>, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now + self.every);
        if self.is_watched && self.is_well(core.stuck(now)) {
            notify::alive();
            // Without takers of messages its answer would wait behind them.
            // With a full queue the loop itself will wait for the task at its next order.
            self.waits_for_mqtt = core.takes_messages() && orders.try_send(Order::Beat).is_ok();
        }
        let line = line(&core.snapshot(now));
        if line != self.line {
            notify::status(&line);
            self.line = line;
        }
    }

    fn is_well(&mut self, stuck: Option<&'static str>) -> bool {
        let why = stuck.or(self.waits_for_mqtt.then_some("the MQTT task does not answer"));
        if let Some(why) = why {
            if self.is_well {
                tracing::error!(why, "the gateway is stuck: the watchdog is not fed any more");
            }
        }
        self.is_well = why.is_none();
        self.is_well
    }
}

/// `link ready, registered at 1 of 2 servers, broker connected`
fn line(snapshot: &Snapshot) -> String {
    if snapshot.stopping {
        return "winding down".to_owned();
    }
    let registered = snapshot.servers.iter().filter(|server| server.location.is_some()).count();
    let broker = if snapshot.broker.connected { "connected" } else { "away" };
    let trouble = snapshot.link.trouble.as_ref().map_or_else(String::new, |trouble| format!(" ({trouble})"));
    format!(
        "link {}{trouble}, registered at {registered} of {} servers, broker {broker}",
        snapshot.link.state,
        snapshot.servers.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_anywhere_is_not_well_and_recovers() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let t0 = Instant::now();
        let mut heart = Heart::beating(Some(t0), Duration::from_secs(1), true);
        assert!(heart.is_well(None));
        assert!(!heart.is_well(Some("a deadline passed")));
        assert!(heart.is_well(None));
        heart.waits_for_mqtt = true;
        assert!(!heart.is_well(None));
        heart.mqtt_answered();
        assert!(heart.is_well(None));
    }
}
