//! From messages to values: which mappings a message feeds, and what becomes of each value in it.
//!
//! A message may lack what one of its mappings, or one of their resources, looks for; it is refused where it has nothing
//! for any of them. Nothing in a payload is fatal.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::clock::Deadline;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::SampleId;

use super::decode::readings;
use super::explain::{Explanation, explain};
use super::gate::{Gates, Verdict};
use super::index::Index;
use super::instances::{InstanceError, Instances};
use super::mapping::{Mapping, RetainedSettings, Selector};
use super::message::Message;
use super::pointer::Pointer;
use super::{Event, Stats};

/// Most topics whose first refusal is remembered; refusals on further ones are counted, not reported as first.
const MAX_REPORTED_TOPICS: usize = 256;
/// Of a longer topic the first octets are remembered.
const MAX_REPORTED_OCTETS: usize = 512;

/// Most places that are named when a payload has none of them.
const MOST_NAMED: usize = 8;

/// The way up.
#[derive(Debug)]
pub struct Uplink {
    mappings: Vec<Mapping>,
    index: Index,
    /// Numbers of the mappings that the message at hand is for; kept for its memory.
    found: Vec<u32>,
    gates: Gates,
    /// What each mapping has fed, in their order.
    fed: Vec<Fed>,
    last_sample: u64,
    reported: BTreeSet<String>,
}

/// What one mapping has done since it was loaded.
#[derive(Debug, Clone, Copy, Default)]
struct Fed {
    values: u64,
    refused: u64,
    last: Option<(Path, Instant)>,
}

/// One mapping that listens, and what it has done since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingStatus {
    /// Its place in the configuration, counted from 0.
    pub number: usize,
    /// Its topic as written.
    pub topic: String,
    /// Object ID.
    pub object: u16,
    /// Good values that it found.
    pub values: u64,
    /// What was refused: values, and messages that had nothing for it or for any other mapping.
    pub refused: u64,
    /// The resource that the last good value was for, and when it came.
    pub last: Option<(Path, Instant)>,
}

impl Uplink {
    pub fn new(mappings: Vec<Mapping>) -> Self {
        Self {
            index: index_of(&mappings),
            fed: vec![Fed::default(); mappings.len()],
            mappings,
            found: vec![],
            gates: Gates::default(),
            last_sample: 0,
            reported: BTreeSet::new(),
        }
    }

    /// Other mappings from now on; what they refuse is worth a word again.
    pub fn reload(&mut self, mappings: Vec<Mapping>) {
        self.index = index_of(&mappings);
        let before = std::mem::take(&mut self.fed).into_iter().zip(&self.mappings);
        self.fed = before
            .zip(&mappings)
            .map(|((fed, old), new)| if old == new { fed } else { Fed::default() })
            .collect();
        self.fed.resize(mappings.len(), Fed::default());
        self.mappings = mappings;
        self.reported.clear();
    }

    /// Of other paths no value is held or remembered any more.
    pub fn keep(&mut self, is_kept: impl FnMut(Path) -> bool, events: &mut VecDeque<Event>) {
        let gone = self.gates.keep(is_kept);
        events.extend(gone.into_iter().map(|sample| Event::Withdrawn { sample }));
    }

    /// What to subscribe to, each filter once.
    pub fn topic_filters(&self) -> Vec<String> {
        let filters = self.mappings.iter().filter_map(|mapping| mapping.filter.as_ref());
        filters.map(|filter| filter.subscription()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// So many of the mappings that listen, in their order, from this one on.
    pub fn mappings(&self, from: usize, most: usize) -> impl Iterator<Item = MappingStatus> {
        let listening = self
            .mappings
            .iter()
            .zip(&self.fed)
            .filter_map(|(mapping, fed)| Some((mapping, mapping.filter.as_ref()?, fed)));
        listening.skip(from).take(most).map(|(mapping, filter, fed)| MappingStatus {
            number: mapping.number,
            topic: filter.to_string(),
            object: mapping.object,
            values: fed.values,
            refused: fed.refused,
            last: fed.last,
        })
    }

    /// How many mappings listen.
    pub fn mapping_count(&self) -> usize {
        self.mappings.iter().filter(|mapping| mapping.filter.is_some()).count()
    }

    /// What a topic means to each mapping.
    pub fn explain(&self, topic: &str, instances: &Instances) -> Vec<Explanation> {
        let mut found = vec![];
        self.index.find(topic, &mut found);
        explain(&self.mappings, &found, instances, topic)
    }

    /// Feeds every mapping that the message is for.
    pub fn handle_message(
        &mut self,
        message: &Message,
        now: Instant,
        instances: &mut Instances,
        stats: &mut Stats,
        events: &mut VecDeque<Event>,
    ) {
        stats.messages += 1;
        self.index.find(&message.topic, &mut self.found);
        if self.found.is_empty() {
            stats.unmatched += 1;
        }
        let mut is_lacking = !self.found.is_empty();
        for number in &self.found {
            let index = *number as usize;
            let Some(mapping) = self.mappings.get(index) else { continue };
            if message.retain && mapping.retained == RetainedSettings::Ignore {
                stats.ignored += 1;
                is_lacking = false;
                continue;
            }
            let readings = readings(mapping, &message.payload);
            is_lacking &= readings.is_empty();
            let instance = match &mapping.instance {
                // Only a good value is worth an instance.
                _ if !readings.iter().any(|(_, reading)| matches!(reading, Ok(Some(_)))) => None,
                Selector::Fixed(id) => Some(Ok(*id)),
                Selector::Captured(levels) => {
                    let key: Vec<_> =
                        levels.iter().filter_map(|level| message.topic.split('/').nth(*level)).collect();
                    Some(instances.find_or_allocate(index, mapping.object, &key))
                }
            };
            for (feed, reading) in readings {
                let reading = match reading {
                    Ok(None) => {
                        stats.skipped += 1;
                        continue;
                    }
                    Ok(Some(value)) => Ok(value),
                    Err(why) => Err(why),
                };
                self.last_sample += 1;
                let sample = SampleId(self.last_sample);
                // A mapping that is full is full for every topic: said once, not for each.
                let mut first = None;
                let placed = match (reading, instance) {
                    (Err(why), _) => Err(why),
                    (Ok(_), Some(Err(why))) => {
                        if let InstanceError::Full { first: of_mapping, .. } = why {
                            first = Some(of_mapping);
                        }
                        Err(why.to_string())
                    }
                    (Ok(value), Some(Ok(id))) => {
                        Ok((Path::resource_of(mapping.object, id, feed.resource.id), value))
                    }
                    (Ok(_), None) => continue,
                };
                match placed {
                    Ok((path, value)) => {
                        let (ended, verdict) = self.gates.handle(path, &feed.rules.pace, value, sample, now);
                        events.extend(ended.map(|sample| Event::Superseded { sample }));
                        events.push_back(told(path, sample, verdict, stats));
                        if let Some(fed) = self.fed.get_mut(index) {
                            fed.values += 1;
                            fed.last = Some((path, now));
                        }
                    }
                    Err(why) => {
                        stats.refused += 1;
                        self.fed.get_mut(index).into_iter().for_each(|fed| fed.refused += 1);
                        let first = first.unwrap_or_else(|| is_first(&mut self.reported, &message.topic));
                        events.push_back(Event::Refused { sample, topic: message.topic.clone(), why, first });
                    }
                }
            }
        }
        if is_lacking {
            self.last_sample += 1;
            stats.refused += 1;
            for number in &self.found {
                self.fed.get_mut(*number as usize).into_iter().for_each(|fed| fed.refused += 1);
            }
            let first = is_first(&mut self.reported, &message.topic);
            let (sample, topic, why) = (SampleId(self.last_sample), message.topic.clone(), self.lacking());
            events.push_back(Event::Refused { sample, topic, why, first });
        }
    }

    /// That the message at hand has nothing for any of its mappings, in words.
    fn lacking(&self) -> String {
        let mappings = self.found.iter().filter_map(|number| self.mappings.get(*number as usize));
        let wanted = mappings.flat_map(|mapping| &mapping.feeds).filter_map(|feed| feed.value.as_ref());
        let wanted: Vec<_> = wanted.map(Pointer::as_str).collect();
        let more = wanted.len().saturating_sub(MOST_NAMED);
        let named = wanted.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        if more > 0 {
            format!("the payload has no {named} nor {more} more")
        } else {
            format!("the payload has no {named}")
        }
    }

    /// Lets out the values that have waited long enough.
    pub fn handle_timeout(&mut self, now: Instant, events: &mut VecDeque<Event>) {
        while let Some((path, sample, value)) = self.gates.poll_released(now) {
            events.push_back(Event::Released { path, value, sample });
        }
    }

    /// When a value has waited long enough.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.gates.poll_timeout()
    }
}

fn index_of(mappings: &[Mapping]) -> Index {
    let mut index = Index::default();
    for (mapping, number) in mappings.iter().zip(0..) {
        mapping.filter.iter().for_each(|filter| index.insert(filter, number));
    }
    index
}

/// What to tell of a good value, given what its gate says.
fn told(path: Path, sample: SampleId, verdict: Verdict, stats: &mut Stats) -> Event {
    match verdict {
        Verdict::Out(value) => {
            stats.accepted += 1;
            Event::Value { path, value, sample }
        }
        Verdict::Held => {
            stats.accepted += 1;
            Event::Held { path, sample }
        }
        Verdict::Dropped => {
            stats.dropped += 1;
            Event::Dropped { path, sample }
        }
    }
}

/// The first refusal on this topic; remembers it.
fn is_first(reported: &mut BTreeSet<String>, topic: &str) -> bool {
    let mut end = topic.len().min(MAX_REPORTED_OCTETS);
    while !topic.is_char_boundary(end) {
        end -= 1;
    }
    let topic = topic.get(..end).unwrap_or_default();
    !reported.contains(topic) && reported.len() < MAX_REPORTED_TOPICS && reported.insert(topic.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use figment::providers::{Format, Toml};

    use crate::bridge::{Bridge, Event, Mappings, Message, compile, mapping};
    use crate::lwm2m::model::Model;
    use std::time::Instant;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn mappings(toml: &str) -> Mappings {
        let settings: mapping::Settings = figment::Figment::from(Toml::string(toml)).extract().unwrap();
        compile(&[settings], &Model::builtin()).unwrap()
    }

    fn bridge(toml: &str) -> Bridge {
        Bridge::new(mappings(toml))
    }

    fn told(bridge: &mut Bridge) -> Vec<String> {
        let line = |event| match event {
            Event::Value { path, value, sample } => format!("{} {path} {value:?}", sample.0),
            Event::Held { sample, .. } => format!("{} held", sample.0),
            Event::Released { path, value, sample } => format!("{} released {path} {value:?}", sample.0),
            Event::Superseded { sample } => format!("{} superseded", sample.0),
            Event::Dropped { sample, .. } => format!("{} dropped", sample.0),
            Event::Withdrawn { sample } => format!("{} withdrawn", sample.0),
            other => format!("{other:?}"),
        };
        std::iter::from_fn(|| bridge.poll_event()).map(line).collect()
    }

    fn tell(bridge: &mut Bridge, payload: &str, now: Instant) -> Vec<String> {
        let message = Message { topic: "t/a".to_owned(), payload: payload.into(), retain: false };
        bridge.handle_message(message, now);
        told(bridge)
    }

    #[test]
    fn a_dead_band_and_an_interval_say_what_became_of_every_sample() {
        let mut bridge = bridge(
            "topic = \"t/{room}\"\nobject = 3303\nresource = 5700\ninstance = \"{room}\"\nprecision = 0.1\ndeadband = 0.5\nmin_interval = \"10s\"",
        );
        let start = t0();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tell(&mut bridge, "20.04", at(0)), ["1 /3303/0/5700 Float(20.0)"]);
        assert_eq!(tell(&mut bridge, "20.44", at(1)), ["2 dropped"]);
        assert_eq!(tell(&mut bridge, "20.46", at(2)), ["3 held"]);
        assert_eq!(tell(&mut bridge, "21", at(3)), ["3 superseded", "4 held"]);
        assert_eq!(bridge.poll_timeout().unwrap().at, at(10));
        bridge.handle_timeout(at(10));
        assert_eq!(told(&mut bridge), ["4 released /3303/0/5700 Float(21.0)"]);
        assert_eq!(bridge.poll_timeout(), None);
        let stats = bridge.stats();
        assert_eq!((stats.accepted, stats.dropped, stats.refused), (3, 1, 0));
    }

    #[test]
    fn what_is_null_is_no_sample_and_takes_no_instance() {
        let mut bridge = bridge(
            "topic = \"t/{room}\"\nobject = 3303\nresource = 5700\ninstance = \"{room}\"\nvalue = \"t\"",
        );
        assert!(tell(&mut bridge, r#"{"t":null}"#, t0()).is_empty());
        assert_eq!((bridge.stats().skipped, bridge.stats().refused), (1, 0));
        assert_eq!(tell(&mut bridge, r#"{"t":"7 °C"}"#, t0()), ["1 /3303/0/5700 Float(7.0)"]);
    }

    #[test]
    fn what_was_held_by_a_rule_that_is_gone_does_not_come_after_a_newer_value() {
        let mapping = "topic = \"t/a\"\nobject = 3303\nresource = 5700";
        let mut bridge = bridge(&format!("{mapping}\nmin_interval = \"10s\""));
        let start = t0();
        assert_eq!(tell(&mut bridge, "20", start), ["1 /3303/0/5700 Float(20.0)"]);
        assert_eq!(tell(&mut bridge, "22", start), ["2 held"]);
        bridge.reload(mappings(mapping));
        assert_eq!(tell(&mut bridge, "25", start), ["2 superseded", "3 /3303/0/5700 Float(25.0)"]);
        assert_eq!(bridge.poll_timeout(), None);
    }

    #[test]
    fn other_mappings_hear_other_topics_and_what_was_held_for_the_old_ones_is_given_up() {
        let rules = "resource = 5700\ndeadband = 0.5\nmin_interval = \"10s\"";
        let mut bridge = bridge(&format!("topic = \"t/a\"\nobject = 3303\n{rules}"));
        let start = t0();
        assert_eq!(tell(&mut bridge, "20", start), ["1 /3303/0/5700 Float(20.0)"]);
        assert_eq!(tell(&mut bridge, "22", start), ["2 held"]);
        bridge.reload(mappings(&format!("topic = \"t/+\"\ninstance = 0\nobject = 3303\n{rules}")));
        assert!(told(&mut bridge).is_empty());
        bridge.reload(mappings(&format!(
            "topic = \"t/{{id}}\"\nobject = 3315\ninstance = \"{{id}}\"\n{rules}"
        )));
        assert_eq!(told(&mut bridge), ["2 withdrawn"]);
        assert_eq!(bridge.poll_timeout(), None);
        assert_eq!(tell(&mut bridge, "99000", start), ["3 /3315/0/5700 Float(99000.0)"]);
        bridge.reload(mappings("topic = \"u\"\nobject = 3315\nresource = 5700"));
        assert_eq!(told(&mut bridge), ["Forgotten { object: 3315, id: 0 }"]);
        assert!(tell(&mut bridge, "99000", start).is_empty());
    }
}
