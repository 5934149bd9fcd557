//! What the core remembers only to be looked at: when each value came, the broker's state, refusals of late.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Instant;

use crate::bridge;
use crate::gateway::snapshot::{BrokerStatus, MappingStatus, Refusal, Snapshot, ValueStatus};
use crate::lwm2m::path::Path;

use super::{Core, State};

/// Most resources whose last sample has its time; those that come after are not listed. As many as the client takes.
const MAX_PATHS: usize = 100_000;
/// Refusals that are remembered; then the oldest goes.
const MAX_REFUSALS: usize = 16;
/// Of a longer topic the beginning is remembered; a topic may have 65,535 octets.
const MAX_SOURCE_CHARS: usize = 120;

/// The memory for it.
#[derive(Debug)]
pub(super) struct Looking {
    started: Instant,
    broker: BrokerStatus,
    fed: BTreeMap<Path, Instant>,
    refusals: VecDeque<Refusal>,
}

impl Looking {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            broker: BrokerStatus::default(),
            fed: BTreeMap::new(),
            refusals: VecDeque::new(),
        }
    }

    pub(super) fn note_broker(&mut self, connected: bool, reason: &str, now: Instant) {
        let broker = &mut self.broker;
        if broker.connected != connected || broker.since.is_none() {
            broker.since = Some(now);
        }
        broker.connected = connected;
        broker.connections += u64::from(connected);
        reason.clone_into(&mut broker.reason);
    }

    pub(super) fn note_sample(&mut self, path: Path, now: Instant) {
        if let Some(last) = self.fed.get_mut(&path) {
            *last = now;
        } else if self.fed.len() < MAX_PATHS {
            self.fed.insert(path, now);
        }
    }

    /// Mappings feed only these from now on.
    pub(super) fn retain(&mut self, is_fed: impl Fn(Path) -> bool) {
        self.fed.retain(|path, _| is_fed(*path));
    }

    pub(super) fn note_refusal(&mut self, source: &str, why: &str, now: Instant) {
        let source = shortened(source);
        let same = |known: &&mut Refusal| known.source == source && known.why == why;
        if let Some(known) = self.refusals.iter_mut().find(same) {
            known.last = now;
            known.times += 1;
            return;
        }
        if self.refusals.len() == MAX_REFUSALS {
            self.refusals.pop_front();
        }
        self.refusals.push_back(Refusal { source, why: why.to_owned(), last: now, times: 1 });
    }
}

fn shortened(source: &str) -> String {
    let cut = source.char_indices().nth(MAX_SOURCE_CHARS);
    cut.map_or_else(|| source.to_owned(), |(end, _)| format!("{}…", &source[..end]))
}

impl Core {
    /// The state of everything. Ages count up to `now`, which is later than the last turn where nothing happens.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut refusals: Vec<_> = self.looking.refusals.iter().cloned().collect();
        refusals.sort_by_key(|refusal| refusal.last);
        Snapshot {
            taken: now,
            started: self.looking.started,
            stopping: self.state != State::Running,
            endpoint: Some(self.lwm2m.endpoint()).filter(|name| !name.is_empty()).map(str::to_owned),
            link: self.facts().clone(),
            broker: self.looking.broker.clone(),
            store: self.store(),
            books: self.books.totals(),
            bridge: *self.bridge.stats(),
            client: self.lwm2m.stats(),
            coap: *self.coap.stats(),
            servers: self.lwm2m.servers().collect(),
            mappings: self.bridge.mapping_count(),
            values: self.looking.fed.len(),
            refusals,
        }
    }

    /// At most so many of the mappings that listen, in the order of the configuration, from this one on.
    pub fn mappings(&self, from: usize, most: usize) -> Vec<MappingStatus> {
        let now = |mapping: bridge::MappingStatus| {
            let value = mapping.last.and_then(|(path, _)| self.lwm2m.tree().value(path)).cloned();
            MappingStatus { mapping, value }
        };
        self.bridge.mappings(from, most).map(now).collect()
    }

    /// The next values in the order of their paths: at most so many, from the one that follows `after`.
    pub fn values(&self, after: Option<Path>, most: usize) -> Vec<ValueStatus> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let fed = self.looking.fed.range((from, Bound::Unbounded));
        let status = |(path, last): (&Path, &Instant)| {
            let value = self.lwm2m.tree().value(*path)?.clone();
            let key = self.bridge.instance_key(path.object()?, path.instance()?);
            let key = key.cloned().unwrap_or_default();
            Some(ValueStatus { path: *path, key, value, last: *last })
        };
        fed.filter_map(status).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_same_refusal_is_counted_and_the_oldest_goes_when_there_are_too_many() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let t0 = Instant::now();
        let mut looking = Looking::new(t0);
        looking.note_refusal("a", "no number", t0);
        looking.note_refusal("a", "no number", t0 + Duration::from_secs(1));
        let first = looking.refusals.front().unwrap();
        assert_eq!((first.times, first.last), (2, t0 + Duration::from_secs(1)));
        (0..MAX_REFUSALS).for_each(|n| looking.note_refusal(&n.to_string(), "no number", t0));
        assert_eq!(looking.refusals.len(), MAX_REFUSALS);
        assert!(looking.refusals.iter().all(|refusal| refusal.source != "a"));
        looking.note_refusal(&"ü".repeat(30_000), "no number", t0);
        let last = looking.refusals.back().map(|refusal| refusal.source.chars().count());
        assert_eq!(last, Some(MAX_SOURCE_CHARS + 1), "a page stays readable");
    }

    #[test]
    fn the_brokers_state_has_the_time_of_its_change() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let t0 = Instant::now();
        let mut looking = Looking::new(t0);
        for (after, connected) in [(0, false), (1, false), (2, true), (3, true)] {
            looking.note_broker(connected, "", t0 + Duration::from_secs(after));
        }
        assert_eq!(looking.broker.since, Some(t0 + Duration::from_secs(2)));
    }
}
