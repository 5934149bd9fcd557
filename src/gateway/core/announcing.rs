//! What the broker's side is told of us: one line of JSON, renewed when it has changed, at most once a second.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::Deadline;
use crate::gateway::io::{Event, Output};

use super::Core;

/// Least time from one to the next.
const EVERY: Duration = Duration::from_secs(1);

/// What was said, and whether it may have changed.
#[derive(Debug, Default)]
pub(super) struct Announcing {
    said: Option<Said>,
    is_stale: bool,
}

#[derive(Debug)]
struct Said {
    facts: Facts,
    at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    link_up: bool,
    registered: usize,
    servers: usize,
}

impl Announcing {
    /// Takes note of what may change the facts.
    pub(super) fn note(&mut self, event: &Event) {
        self.is_stale |= matches!(
            event,
            Event::Link(_)
                | Event::Registered { .. }
                | Event::RegistrationFailed { .. }
                | Event::Updated { .. }
                | Event::Deregistered { .. }
        );
    }

    /// When the next may be said, if there is something to look at.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let said = self.said.as_ref().filter(|_| self.is_stale)?;
        Some(Deadline::new(said.at + EVERY, "tell the broker how we are"))
    }

    /// Something may be said now.
    fn is_due(&self, now: Instant) -> bool {
        match &self.said {
            None => true,
            Some(said) => self.is_stale && now >= said.at + EVERY,
        }
    }
}

impl Core {
    /// Says how we are if that has changed.
    pub(super) fn announce(&mut self, now: Instant) {
        if !self.announcing.is_due(now) {
            return;
        }
        let states = self.lwm2m.servers().map(|server| usize::from(server.state == "registered"));
        let (servers, registered) = states.fold((0, 0), |(all, sum), one| (all + 1, sum + one));
        let facts = Facts { link_up: self.facts().up, registered, servers };
        self.announcing.is_stale = false;
        if self.announcing.said.as_ref().is_some_and(|said| said.facts == facts) {
            return;
        }
        self.announcing.said = Some(Said { facts, at: now });
        let status = json!({
            "state": "online",
            "link": if facts.link_up { "up" } else { "down" },
            "registered": registered,
            "servers": servers,
            "version": env!("CARGO_PKG_VERSION"),
        });
        self.outputs.push_back(Output::Status(status.to_string()));
    }
}
