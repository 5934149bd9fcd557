//! Between MQTT topics and LwM2M resources, both ways: a message becomes values, a Write or Execute becomes messages.
//!
//! It keeps no values and knows neither the broker's session nor the server's observations.

mod command;
mod compile;
mod decode;
mod downlink;
mod exact;
pub mod explain;
mod gate;
mod index;
mod instances;
pub mod mapping;
pub mod message;
mod overlap;
mod pick;
mod pointer;
mod quantity;
mod reply;
mod rules;
mod scope;
mod topic;
mod units;
mod uplink;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::{Deadline, UnixTime};
use crate::lwm2m::downlink::{Outcome, Transaction, TransactionId};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{SampleId, Value};
use crate::persist::{self, Day};

pub use downlink::CONFIRM_WITHIN;
pub use instances::{DEFAULT_PER_MAPPING, MAX_CAPTURE_OCTETS, MAX_PER_MAPPING, Urgency};
pub use mapping::{Access, Fault, Mappings, compile};
pub use message::{Message, PublishId};
pub use topic::fault as topic_fault;
pub use units::of_resource as unit_of;
pub use uplink::MappingStatus;

use downlink::Downlink;
use instances::{Instances, Reloaded};
use scope::Scope;
use uplink::Uplink;

/// Nobody is taken for silent before we have listened to the broker for so long without a break: after a winter in the
/// shed every sensor gets its chance to speak.
const LISTEN_BEFORE_FORGETTING: Duration = Duration::from_secs(86_400);
/// How often silent instances are looked for.
const LOOK_FOR_SILENT: Duration = Duration::from_secs(3600);

/// The bridge. Its owner drains [`Bridge::poll_publish`], [`Bridge::poll_withdrawal`], [`Bridge::poll_write`] and
/// [`Bridge::poll_event`] after every call that changes it, so that no queue holds more than one message or transaction
/// brings about.
#[derive(Debug)]
pub struct Bridge {
    uplink: Uplink,
    downlink: Downlink,
    instances: Instances,
    wall_clock: Option<(UnixTime, Instant)>,
    /// When the broker came, while it is there.
    listening_since: Option<Instant>,
    /// When silent instances were looked for last.
    looked_at: Option<Instant>,
    access: Vec<Access>,
    scope: Scope,
    events: VecDeque<Event>,
    stats: Stats,
}

/// What the bridge tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A sample was accepted.
    Value {
        /// The resource it is for; its instance may be new.
        path: Path,
        /// Of the resource's type and in its range.
        value: Value,
        /// Its name in the books.
        sample: SampleId,
    },
    /// A sample was accepted, and waits for the end of its minimum interval.
    Held {
        /// The resource it is for.
        path: Path,
        /// Its name in the books.
        sample: SampleId,
    },
    /// A sample that was held goes on.
    Released {
        /// The resource it is for.
        path: Path,
        /// Of the resource's type and in its range.
        value: Value,
        /// Its name in the books.
        sample: SampleId,
    },
    /// A newer sample of the same resource came while this one was held.
    Superseded {
        /// Its name in the books.
        sample: SampleId,
    },
    /// A sample that was held is dropped: its mapping is gone.
    Withdrawn {
        /// Its name in the books.
        sample: SampleId,
    },
    /// A sample was dropped: it is within the dead-band of its resource.
    Dropped {
        /// The resource it is for.
        path: Path,
        /// Its name in the books.
        sample: SampleId,
    },
    /// A sample was refused, or a message held none that its mapping knows.
    Refused {
        /// Its name in the books.
        sample: SampleId,
        /// Where it came from.
        topic: String,
        /// What is wrong with it.
        why: String,
        /// The first on this topic: worth a line in the log.
        first: bool,
    },
    /// An instance stands for its captures no more: it was silent for too long, or a mapping names it outright now.
    Forgotten {
        /// Object ID.
        object: u16,
        /// Object Instance ID.
        id: u16,
    },
    /// A transaction ended.
    DownlinkDone {
        /// Which.
        id: TransactionId,
        /// How.
        outcome: Outcome,
    },
}

/// The connection to the broker changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// It can take messages.
    Connected,
    /// It cannot.
    Lost,
}

/// Counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Messages that came in.
    pub messages: u64,
    /// Messages that no mapping is for.
    pub unmatched: u64,
    /// Retained messages that a mapping ignores, counted once for each such mapping.
    pub ignored: u64,
    /// Samples accepted, those that were held for a while among them.
    pub accepted: u64,
    /// Values that are null, NaN or nothing, and so no samples.
    pub skipped: u64,
    /// Samples dropped within a dead-band.
    pub dropped: u64,
    /// Samples refused.
    pub refused: u64,
    /// Messages for the broker that were given out.
    pub published: u64,
    /// Transactions that the broker confirmed.
    pub confirmed: u64,
    /// Transactions answered as unavailable.
    pub unavailable: u64,
    /// Transactions that failed.
    pub failed: u64,
}

impl Bridge {
    /// A bridge by these mappings, not connected yet.
    pub fn new(mappings: Mappings) -> Self {
        Self {
            instances: Instances::new(&mappings.mappings),
            wall_clock: None,
            listening_since: None,
            looked_at: None,
            access: mappings.access().collect(),
            scope: Scope::of(&mappings),
            uplink: Uplink::new(mappings.mappings),
            downlink: Downlink::new(mappings.commands),
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Other mappings from now on: ask for [`Bridge::topic_filters`], [`Bridge::access`] and [`Bridge::has`] anew.
    ///
    /// Instances keep what they stand for, but for one that a mapping names outright now: that is forgotten. Those that
    /// these mappings feed are given, objects and IDs. A transaction that waits for a command which is no longer there ends.
    pub fn reload(&mut self, mappings: Mappings) -> Vec<(u16, u16)> {
        let Reloaded { shown, displaced } = self.instances.reload(&mappings.mappings);
        self.access = mappings.access().collect();
        self.scope = Scope::of(&mappings);
        self.uplink.reload(mappings.mappings);
        let is_displaced = |path: Path| {
            path.object().zip(path.instance()).is_some_and(|instance| displaced.contains(&instance))
        };
        let stays = |path| self.scope.has(path, &self.instances) && !is_displaced(path);
        self.uplink.keep(stays, &mut self.events);
        self.events
            .extend(displaced.iter().map(|(object, id)| Event::Forgotten { object: *object, id: *id }));
        self.downlink.reload(mappings.commands, &self.instances);
        self.collect_outcomes();
        shown
    }

    /// The mappings stand for this instance, or resource.
    pub fn has(&self, path: Path) -> bool {
        self.scope.has(path, &self.instances)
    }

    /// What to subscribe to, each filter once.
    pub fn topic_filters(&self) -> Vec<String> {
        let filters: BTreeSet<_> =
            self.uplink.topic_filters().into_iter().chain(self.downlink.topic_filters()).collect();
        filters.into_iter().collect()
    }

    /// So many of the mappings that listen, in their order, from this one on.
    pub fn mappings(&self, from: usize, most: usize) -> impl Iterator<Item = MappingStatus> {
        self.uplink.mappings(from, most)
    }

    /// How many mappings listen.
    pub fn mapping_count(&self) -> usize {
        self.uplink.mapping_count()
    }

    /// What a topic means to each mapping that has one, in their order.
    pub fn explain(&self, topic: &str) -> Vec<explain::Explanation> {
        self.uplink.explain(topic, &self.instances)
    }

    /// The resources that a server may write or execute.
    pub fn access(&self) -> impl Iterator<Item = Access> {
        self.access.iter().copied()
    }

    /// What an instance that was allocated for captures stands for.
    pub fn instance_key(&self, object: u16, instance: u16) -> Option<&Vec<String>> {
        self.instances.key(object, instance)
    }

    /// Takes the instances of earlier runs, and gives those that are to be shown again: objects and IDs, in order. Those of
    /// mappings that are no longer configured keep their IDs.
    pub fn restore(&mut self, remembered: Vec<persist::Instance>) -> Vec<(u16, u16)> {
        self.instances.restore(remembered)
    }

    /// Nothing of what is remembered is on disk: [`Self::poll_write`] gives everything anew.
    pub fn write_all(&mut self) {
        self.instances.write_all();
    }

    /// It is this wall time now, and goes on from there by itself. Without it nothing is forgotten.
    pub fn set_wall_clock(&mut self, time: UnixTime, now: Instant) {
        self.wall_clock = Some((time, now));
        self.refresh_day(now);
    }

    /// A message came from the broker.
    pub fn handle_message(&mut self, message: Message, now: Instant) {
        self.refresh_day(now);
        let unmatched = self.stats.unmatched;
        self.uplink.handle_message(&message, now, &mut self.instances, &mut self.stats, &mut self.events);
        if self.stats.unmatched != unmatched && self.downlink.listens_to(&message.topic) {
            self.stats.unmatched = unmatched;
        }
        self.downlink.handle_message(&message);
        self.collect_outcomes();
    }

    /// The broker came or went.
    pub fn handle_broker(&mut self, broker: Broker, now: Instant) {
        self.listening_since = (broker == Broker::Connected).then_some(now);
        self.downlink.handle_broker(broker == Broker::Connected);
        self.collect_outcomes();
    }

    /// A server's request is to be carried out; it ends in [`Event::DownlinkDone`].
    pub fn handle_downlink(&mut self, transaction: Transaction, now: Instant) {
        self.downlink.handle_downlink(transaction, &self.instances, now);
        self.collect_outcomes();
    }

    /// The broker confirmed a message, or it will never be published.
    pub fn handle_published(&mut self, publish: PublishId, result: Result<(), String>, _now: Instant) {
        self.downlink.handle_published(publish, result);
        self.collect_outcomes();
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.downlink.handle_timeout(now);
        self.uplink.handle_timeout(now, &mut self.events);
        self.collect_outcomes();
        if self.look_for_silent_at().is_some_and(|at| at <= now) {
            self.looked_at = Some(now);
            self.refresh_day(now);
            let silent = self.instances.forget_silent();
            if !silent.is_empty() {
                self.uplink.keep(|path| self.scope.has(path, &self.instances), &mut self.events);
            }
            for (object, id) in silent {
                tracing::info!(
                    object,
                    id,
                    "no value for longer than forget_after: the instance is forgotten"
                );
                self.events.push_back(Event::Forgotten { object, id });
            }
        }
    }

    /// The next change of what is to be remembered.
    pub fn poll_write(&mut self) -> Option<(persist::Write, Urgency)> {
        self.instances.poll_write()
    }

    /// The next message for the broker.
    pub fn poll_publish(&mut self) -> Option<(PublishId, Message)> {
        let publish = self.downlink.poll_publish()?;
        self.stats.published += 1;
        Some(publish)
    }

    /// The next message that was given out and shall not leave any more, if that can still be helped.
    pub fn poll_withdrawal(&mut self) -> Option<PublishId> {
        self.downlink.poll_withdrawal()
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When the broker, a reply or a sensor has been silent, or a value has waited, for long enough.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let silent = self.look_for_silent_at().map(|at| Deadline::new(at, "forget silent instances"));
        Deadline::earliest([self.downlink.poll_timeout(), self.uplink.poll_timeout(), silent])
    }

    /// Counted since start.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    fn refresh_day(&mut self, now: Instant) {
        let time = self.wall_clock.map(|(time, at)| time.plus(now.saturating_duration_since(at)));
        self.instances.set_today(time.and_then(Day::of));
    }

    fn look_for_silent_at(&self) -> Option<Instant> {
        let listened =
            self.listening_since.filter(|_| self.instances.may_forget())? + LISTEN_BEFORE_FORGETTING;
        Some(self.looked_at.map_or(listened, |at| listened.max(at + LOOK_FOR_SILENT)))
    }

    fn collect_outcomes(&mut self) {
        while let Some((id, outcome)) = self.downlink.poll_done() {
            match outcome {
                Outcome::Confirmed => self.stats.confirmed += 1,
                Outcome::Unavailable { .. } => self.stats.unavailable += 1,
                Outcome::Failed { .. } => self.stats.failed += 1,
            }
            self.events.push_back(Event::DownlinkDone { id, outcome });
        }
    }
}

#[cfg(test)]
mod tests;
