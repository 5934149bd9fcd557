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
use instances::Instances;
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
    /// An instance was silent for too long, and is no more.
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
    /// Instances keep what they stand for; those that these mappings feed are given, objects and IDs. A transaction that
    /// waits for a command which is no longer there ends.
    pub fn reload(&mut self, mappings: Mappings) -> Vec<(u16, u16)> {
        let shown = self.instances.reload(&mappings.mappings);
        self.access = mappings.access().collect();
        self.scope = Scope::of(&mappings);
        self.uplink.reload(mappings.mappings);
        self.uplink.keep(|path| self.scope.has(path, &self.instances), &mut self.events);
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
            self.events.extend(silent.into_iter().map(|(object, id)| Event::Forgotten { object, id }));
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
mod tests {
    use std::time::Duration;

    use figment::providers::{Format, Toml};
    use proptest::prelude::*;

    use super::*;
    use crate::lwm2m::Content;
    use crate::lwm2m::downlink::Operation;
    use crate::lwm2m::model::Model;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    const MAPPINGS: &str = r#"
        [[mappings]]
        topic = "sensors/{room}/temperature"
        value = "/t"
        object = 3303
        resource = 5700
        instance = "{room}"
        [[mappings]]
        topic = "city/manhole/{cover}"
        object = 3408
        resources = [{ resource = 2, value = "/tilt" }, { resource = 3, value = "/open", invert = true }]
        instance = "{cover}"
        [[mappings]]
        topic = "lamps/{lamp}/state"
        value = "/dim"
        object = 3416
        resource = 3
        instance = "{lamp}"
        [[mappings]]
        topic = "lamps/{lamp}/order"
        value = "/dim"
        object = 3416
        resource = 1
        instance = "{lamp}"
        command = { topic = "lamps/{lamp}/set", payload = '{"dim": {value}}' }
        [[mappings]]
        object = 3416
        resource = 16
        instance = "{lamp}"
        command = { topic = "lamps/{lamp}/reset", payload = "{value}" }
        [[mappings]]
        topic = "yard/temp"
        object = 3303
        resource = 5700
        instance = 0
    "#;

    fn settings(toml: &str) -> Vec<mapping::Settings> {
        figment::Figment::from(Toml::string(toml)).extract_inner("mappings").unwrap()
    }

    fn bridge() -> Bridge {
        let mut bridge = Bridge::new(compile(&settings(MAPPINGS), &Model::builtin()).unwrap());
        bridge.handle_broker(Broker::Connected, t0());
        bridge
    }

    fn message(topic: &str, payload: impl AsRef<[u8]>) -> Message {
        Message { topic: topic.to_owned(), payload: payload.as_ref().to_vec(), retain: false }
    }

    /// What the bridge tells about a message, in one line each.
    fn told(bridge: &mut Bridge, topic: &str, payload: impl AsRef<[u8]>) -> Vec<String> {
        bridge.handle_message(message(topic, payload), t0());
        std::iter::from_fn(|| bridge.poll_event())
            .map(|event| match event {
                Event::Value { path, value, sample } => format!("{} {path} {value:?}", sample.0),
                Event::Refused { sample, why, first, .. } => format!("{} refused {first}: {why}", sample.0),
                Event::Forgotten { object, id } => format!("forgotten /{object}/{id}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn write(id: u64, instances: &[u16]) -> Transaction {
        let operation = |instance: &u16| Operation::Write {
            path: Path::resource_of(3416, *instance, 1),
            content: Content::Single(Value::Integer(30)),
        };
        Transaction { id: TransactionId(id), operations: instances.iter().map(operation).collect() }
    }

    fn publishes(bridge: &mut Bridge) -> Vec<PublishId> {
        std::iter::from_fn(|| bridge.poll_publish()).map(|(id, _)| id).collect()
    }

    fn outcome(bridge: &mut Bridge) -> Option<Outcome> {
        match bridge.poll_event() {
            Some(Event::DownlinkDone { outcome, .. }) => Some(outcome),
            _ => None,
        }
    }

    /// A bridge that knows lamps 21 and 7 as instances 0 and 1.
    fn bridge_with_lamps() -> Bridge {
        let mut bridge = bridge();
        told(&mut bridge, "lamps/21/state", r#"{"dim":60}"#);
        told(&mut bridge, "lamps/7/state", r#"{"dim":60}"#);
        bridge
    }

    #[test]
    fn a_message_becomes_a_value_of_the_registrys_type_in_the_instance_of_its_capture() {
        let mut bridge = bridge();
        assert_eq!(
            told(&mut bridge, "sensors/cellar/temperature", r#"{"t":7}"#),
            ["1 /3303/1/5700 Float(7.0)"]
        );
        assert_eq!(
            told(&mut bridge, "sensors/attic/temperature", r#"{"t":"8.5"}"#),
            ["2 /3303/2/5700 Float(8.5)"]
        );
        assert_eq!(
            told(&mut bridge, "sensors/cellar/temperature", r#"{"t":9}"#),
            ["3 /3303/1/5700 Float(9.0)"]
        );
        assert_eq!(told(&mut bridge, "yard/temp", " 7.25\n"), ["4 /3303/0/5700 Float(7.25)"]);
    }

    #[test]
    fn one_message_feeds_several_resources_and_may_lack_some() {
        let mut bridge = bridge();
        let told_all = told(&mut bridge, "city/manhole/mh-7", r#"{"tilt":2.1,"open":false,"water":0}"#);
        assert_eq!(told_all, ["1 /3408/0/2 Integer(2)", "2 /3408/0/3 Boolean(true)"]);
        let told_one = told(&mut bridge, "city/manhole/mh-7", r#"{"open":true,"evt":"alarm"}"#);
        assert_eq!(told_one, ["3 /3408/0/3 Boolean(false)"]);
        let told_none = told(&mut bridge, "city/manhole/mh-7", "{}");
        assert_eq!(told_none, ["4 refused true: the payload has no /tilt, /open"]);
        let toml = MAPPINGS.to_owned()
            + "[[mappings]]\ntopic = \"city/manhole/{cover}\"\nobject = 3303\nresource = 5700\nvalue = \"/temp\"\ninstance = \"{cover}\"";
        let mut bridge = Bridge::new(compile(&settings(&toml), &Model::builtin()).unwrap());
        // What one mapping lacks is ordinary where another one is served.
        assert_eq!(
            told(&mut bridge, "city/manhole/mh-7", r#"{"open":true}"#),
            ["1 /3408/0/3 Boolean(false)"]
        );
        let told_none = told(&mut bridge, "city/manhole/mh-7", "{}");
        assert_eq!(told_none, ["2 refused true: the payload has no /tilt, /open, /temp"]);
    }

    #[test]
    fn good_values_beside_bad_ones_are_taken() {
        let mut bridge = bridge();
        let told = told(&mut bridge, "city/manhole/mh-7", r#"{"tilt":"steep","open":1}"#);
        assert_eq!(told, ["1 refused true: /tilt: \"steep\" is not a number", "2 /3408/0/3 Boolean(false)"]);
    }

    #[test]
    fn a_bad_payload_is_reported_as_first_once_per_topic_and_counted_every_time() {
        let mut bridge = bridge();
        let mut refused = |topic: &str| told(&mut bridge, topic, b"\xff{")[0].contains("refused true");
        assert!(refused("sensors/a/temperature"));
        assert!(!refused("sensors/a/temperature"));
        assert!(refused("sensors/b/temperature"));
        assert!((0..1000).filter(|n| refused(&format!("sensors/{n}/temperature"))).count() < 256);
        assert_eq!((bridge.stats().refused, bridge.stats().accepted), (1003, 0));
    }

    #[test]
    fn a_refused_value_does_not_take_an_instance() {
        let mut bridge = bridge();
        told(&mut bridge, "lamps/broken/state", r#"{"dim":500}"#);
        assert_eq!(told(&mut bridge, "lamps/good/state", r#"{"dim":50}"#), ["2 /3416/0/3 Integer(50)"]);
    }

    #[test]
    fn mappings_share_the_instance_of_a_capture_and_messages_for_none_are_counted() {
        let mut bridge = bridge_with_lamps();
        assert_eq!(told(&mut bridge, "lamps/7/order", r#"{"dim":10}"#), ["3 /3416/1/1 Integer(10)"]);
        assert!(told(&mut bridge, "lamps/7/noise", "x").is_empty());
        assert_eq!(bridge.stats().unmatched, 1);
    }

    #[test]
    fn what_the_broker_had_stored_is_taken_unless_the_mapping_ignores_it() {
        let ignoring = MAPPINGS.replace("value = \"/t\"", "value = \"/t\"\nretained = \"ignore\"");
        let mut bridge = Bridge::new(compile(&settings(&ignoring), &Model::builtin()).unwrap());
        let mut told = |topic: &str, payload: &str, retain: bool| {
            bridge.handle_message(Message { retain, ..message(topic, payload) }, t0());
            std::iter::from_fn(|| bridge.poll_event()).count()
        };
        assert_eq!(told("sensors/a/temperature", r#"{"t":7}"#, true), 0);
        assert_eq!(told("sensors/a/temperature", r#"{"t":7}"#, false), 1);
        assert_eq!(told("yard/temp", "7", true), 1);
        assert_eq!((bridge.stats().ignored, bridge.stats().unmatched), (1, 0));
    }

    #[test]
    fn a_topic_is_explained_by_the_mappings_that_match_and_those_that_do_not() {
        use explain::{Fit, Standing};
        let bridge = bridge_with_lamps();
        let fits: Vec<_> = bridge
            .explain("lamps/7/state")
            .into_iter()
            .map(|mapping| (mapping.number, mapping.fit))
            .collect();
        let captures = vec![("lamp".to_owned(), "7".to_owned())];
        assert_eq!(fits[2], (2, Fit::Matches { captures, instance: Standing::Known(1) }));
        let matching = fits.iter().filter(|(_, fit)| matches!(fit, Fit::Matches { .. })).count();
        // The mapping that only has a command has no topic.
        assert_eq!((matching, fits.len()), (1, 5));
        let standing = |topic: &str, number: usize| match bridge.explain(topic).swap_remove(number).fit {
            Fit::Matches { instance, .. } => instance,
            Fit::Differs(difference) => panic!("{difference:?}"),
        };
        assert_eq!(standing("lamps/8/state", 2), Standing::New);
        assert!(matches!(standing("lamps//state", 2), Standing::None(_)));
        assert_eq!(standing("yard/temp", 4), Standing::Fixed(0));
    }

    #[test]
    fn each_filter_is_subscribed_once_and_only_where_it_feeds() {
        let filters = bridge().topic_filters();
        assert_eq!(
            filters,
            ["city/manhole/+", "lamps/+/order", "lamps/+/state", "sensors/+/temperature", "yard/temp"]
        );
    }

    #[test]
    fn a_write_is_confirmed_when_the_broker_has_every_message() {
        let mut bridge = bridge_with_lamps();
        bridge.handle_downlink(write(1, &[0, 1]), t0());
        let (first, message) = bridge.poll_publish().unwrap();
        assert_eq!(
            (message.topic.as_str(), message.payload.as_slice()),
            ("lamps/21/set", &br#"{"dim": 30}"#[..])
        );
        let (second, message) = bridge.poll_publish().unwrap();
        assert_eq!(message.topic, "lamps/7/set");
        bridge.handle_published(second, Ok(()), t0());
        assert_eq!(outcome(&mut bridge), None);
        bridge.handle_published(first, Ok(()), t0());
        assert_eq!(outcome(&mut bridge), Some(Outcome::Confirmed));
        assert_eq!(bridge.poll_timeout(), None);
    }

    #[test]
    fn an_execute_publishes_its_arguments() {
        let mut bridge = bridge_with_lamps();
        let path = Path::resource_of(3416, 1, 16);
        let operations = vec![Operation::Execute { path, arguments: "5".to_owned() }];
        bridge.handle_downlink(Transaction { id: TransactionId(1), operations }, t0());
        let (_, message) = bridge.poll_publish().unwrap();
        assert_eq!((message.topic.as_str(), message.payload.as_slice()), ("lamps/7/reset", &b"5"[..]));
    }

    #[test]
    fn a_broker_that_is_away_or_lost_makes_a_write_unavailable() {
        let mut bridge = bridge_with_lamps();
        bridge.handle_downlink(write(1, &[0]), t0());
        let late = publishes(&mut bridge)[0];
        bridge.handle_broker(Broker::Lost, t0());
        assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
        bridge.handle_published(late, Ok(()), t0());
        assert_eq!(outcome(&mut bridge), None);
        bridge.handle_downlink(write(2, &[0]), t0());
        assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
        assert!(publishes(&mut bridge).is_empty());
    }

    #[test]
    fn a_broker_that_is_silent_for_5_s_makes_a_write_unavailable_and_the_message_is_withdrawn() {
        let mut bridge = bridge_with_lamps();
        let start = t0();
        bridge.handle_downlink(write(1, &[0]), start);
        let deadline = bridge.poll_timeout().unwrap();
        assert_eq!(deadline.at, start + CONFIRM_WITHIN);
        bridge.handle_timeout(deadline.at - Duration::from_millis(1));
        assert_eq!(outcome(&mut bridge), None);
        bridge.handle_timeout(deadline.at);
        assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
        assert!(publishes(&mut bridge).is_empty());
    }

    #[test]
    fn a_mixed_outcome_is_a_failure_with_the_reason() {
        let mut bridge = bridge_with_lamps();
        bridge.handle_downlink(write(1, &[0, 1]), t0());
        let ids = publishes(&mut bridge);
        bridge.handle_published(ids[0], Ok(()), t0());
        bridge.handle_published(ids[1], Err("queue full".to_owned()), t0());
        let Some(Outcome::Failed { why }) = outcome(&mut bridge) else { panic!("not failed") };
        assert!(why.contains("only 1") && why.contains("queue full"), "{why}");
    }

    #[test]
    fn a_transaction_with_one_operation_that_cannot_be_published_publishes_nothing() {
        let mut bridge = bridge_with_lamps();
        bridge.handle_downlink(write(1, &[0, 5]), t0());
        assert!(matches!(outcome(&mut bridge), Some(Outcome::Failed { .. })));
        assert!(publishes(&mut bridge).is_empty());
    }

    #[test]
    fn open_transactions_are_bounded() {
        let mut bridge = bridge_with_lamps();
        (0..100).for_each(|id| bridge.handle_downlink(write(id, &[0]), t0()));
        assert_eq!(publishes(&mut bridge).len(), 32);
        assert_eq!(std::iter::from_fn(|| outcome(&mut bridge)).count(), 68);
    }

    proptest! {
        #[test]
        fn no_message_panics_and_every_sample_is_accepted_or_refused(
            messages in prop::collection::vec(
                (
                    prop::sample::select(vec!["lamps/1/state", "city/manhole/1", "yard/temp", "sensors//temperature", "x"]),
                    "[{}\\[\\]\":,a-z0-9.é-]{0,30}|\\{\"(tilt|open|dim|t)\":[0-9.]{1,3}\\}",
                ),
                0..20,
            )
        ) {
            let mut bridge = bridge();
            let mut samples = vec![];
            for (topic, payload) in messages {
                bridge.handle_message(message(topic, payload), t0());
                while let Some(event) = bridge.poll_event() {
                    if let Event::Value { sample, .. } | Event::Refused { sample, .. } = event {
                        samples.push(sample.0);
                    }
                }
            }
            let count = samples.len() as u64;
            prop_assert_eq!(samples, (1..=count).collect::<Vec<_>>());
            prop_assert_eq!(bridge.stats().accepted + bridge.stats().refused, count);
        }

        #[test]
        fn every_transaction_ends_exactly_once(steps in prop::collection::vec((0_u8..6, 0_u64..4, 0_u64..8), 0..60)) {
            let mut bridge = bridge_with_lamps();
            let mut now = t0();
            let (mut asked, mut ended) = (0, 0);
            for (step, id, publish) in steps {
                match step {
                    0 | 1 => {
                        asked += 1;
                        bridge.handle_downlink(write(asked, &[0, 1]), now);
                    }
                    2 => bridge.handle_published(PublishId(publish), Ok(()), now),
                    3 => bridge.handle_published(PublishId(publish), Err("no".to_owned()), now),
                    4 => {
                        now += Duration::from_secs(id);
                        bridge.handle_timeout(now);
                    }
                    _ => bridge.handle_broker(if id == 0 { Broker::Lost } else { Broker::Connected }, now),
                }
                publishes(&mut bridge);
                ended += std::iter::from_fn(|| outcome(&mut bridge)).count() as u64;
            }
            bridge.handle_timeout(now + CONFIRM_WITHIN);
            ended += std::iter::from_fn(|| outcome(&mut bridge)).count() as u64;
            prop_assert_eq!(asked, ended);
            prop_assert_eq!(bridge.poll_timeout(), None);
        }
    }
}
