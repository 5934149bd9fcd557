//! Between MQTT topics and LwM2M resources, both ways: a message becomes values, a Write or Execute becomes messages.
//!
//! It keeps no values and knows neither the broker's session nor the server's observations.

mod command;
mod compile;
mod decode;
mod downlink;
mod instances;
pub mod mapping;
pub mod message;
mod pointer;
mod topic;
mod uplink;

use std::collections::VecDeque;
use std::time::Instant;

use crate::clock::Deadline;
use crate::lwm2m::downlink::{Outcome, Transaction, TransactionId};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{SampleId, Value};

pub use downlink::CONFIRM_WITHIN;
pub use instances::{MAX_CAPTURE_OCTETS, MAX_PER_MAPPING};
pub use mapping::{Access, Fault, Mappings, compile};
pub use message::{Message, PublishId};

use downlink::Downlink;
use instances::Instances;
use mapping::Selector;
use uplink::Uplink;

/// The bridge. Its owner drains [`Bridge::poll_publish`] and [`Bridge::poll_event`] after every call that changes it,
/// so that neither queue holds more than one message or transaction brings about.
#[derive(Debug)]
pub struct Bridge {
    uplink: Uplink,
    downlink: Downlink,
    instances: Instances,
    access: Vec<Access>,
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
    /// Samples accepted.
    pub accepted: u64,
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
        let mut instances = Instances::default();
        for mapping in &mappings.mappings {
            if let Selector::Fixed(id) = mapping.instance {
                instances.reserve(mapping.object, id);
            }
        }
        Self {
            access: mappings.access().collect(),
            uplink: Uplink::new(mappings.mappings),
            downlink: Downlink::new(mappings.commands),
            instances,
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// What to subscribe to.
    pub fn topic_filters(&self) -> Vec<String> {
        self.uplink.topic_filters()
    }

    /// The resources that a server may write or execute.
    pub fn access(&self) -> impl Iterator<Item = Access> {
        self.access.iter().copied()
    }

    /// A message came from the broker.
    pub fn handle_message(&mut self, message: Message, _now: Instant) {
        self.uplink.handle_message(&message, &mut self.instances, &mut self.stats, &mut self.events);
    }

    /// The broker came or went.
    pub fn handle_broker(&mut self, broker: Broker, _now: Instant) {
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
        self.collect_outcomes();
    }

    /// The next message for the broker.
    pub fn poll_publish(&mut self) -> Option<(PublishId, Message)> {
        let publish = self.downlink.poll_publish()?;
        self.stats.published += 1;
        Some(publish)
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When the broker has been silent for too long.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.downlink.poll_timeout()
    }

    /// Counted since start.
    pub const fn stats(&self) -> &Stats {
        &self.stats
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
