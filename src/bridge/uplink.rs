//! From messages to values: which mappings a message feeds, and what becomes of each value in it.
//!
//! A message that lacks a value which a mapping knows of is ordinary where it has another one; a mapping that finds
//! none of its values refuses the message. Nothing in a payload is fatal.

use std::collections::{BTreeSet, VecDeque};

use crate::lwm2m::path::Path;
use crate::lwm2m::value::{SampleId, Value};

use super::decode::{MAX_PAYLOAD_OCTETS, convert, plain};
use super::explain::{Explanation, explain};
use super::index::Index;
use super::instances::{InstanceError, Instances};
use super::mapping::{Feed, Mapping, RetainedSettings, Selector};
use super::message::Message;
use super::{Event, Stats};

/// Most topics whose first refusal is remembered; refusals on further ones are counted, not reported as first.
const MAX_REPORTED_TOPICS: usize = 256;
/// Of a longer topic the first octets are remembered.
const MAX_REPORTED_OCTETS: usize = 512;

/// The way up.
#[derive(Debug)]
pub struct Uplink {
    mappings: Vec<Mapping>,
    index: Index,
    /// Numbers of the mappings that the message at hand is for; kept for its memory.
    found: Vec<u32>,
    last_sample: u64,
    reported: BTreeSet<String>,
}

impl Uplink {
    pub fn new(mappings: Vec<Mapping>) -> Self {
        let index = index(&mappings);
        Self { mappings, index, found: vec![], last_sample: 0, reported: BTreeSet::new() }
    }

    /// Other mappings from now on; what they refuse is worth a word again.
    pub fn reload(&mut self, mappings: Vec<Mapping>) {
        self.index = index(&mappings);
        self.mappings = mappings;
        self.reported.clear();
    }

    /// What to subscribe to, each filter once.
    pub fn topic_filters(&self) -> Vec<String> {
        let filters = self.mappings.iter().filter_map(|mapping| mapping.filter.as_ref());
        filters.map(|filter| filter.subscription()).collect::<BTreeSet<_>>().into_iter().collect()
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
        instances: &mut Instances,
        stats: &mut Stats,
        events: &mut VecDeque<Event>,
    ) {
        stats.messages += 1;
        self.index.find(&message.topic, &mut self.found);
        if self.found.is_empty() {
            stats.unmatched += 1;
        }
        for number in &self.found {
            let index = *number as usize;
            let Some(mapping) = self.mappings.get(index) else { continue };
            if message.retain && mapping.retained == RetainedSettings::Ignore {
                stats.ignored += 1;
                continue;
            }
            let values = values(mapping, &message.payload);
            let instance = match &mapping.instance {
                // Only a good value is worth an instance.
                _ if values.iter().all(|(_, value)| value.is_err()) => None,
                Selector::Fixed(id) => Some(Ok(*id)),
                Selector::Captured(levels) => {
                    let key: Vec<_> =
                        levels.iter().filter_map(|level| message.topic.split('/').nth(*level)).collect();
                    Some(instances.find_or_allocate(index, mapping.object, &key))
                }
            };
            for (feed, value) in values {
                self.last_sample += 1;
                let sample = SampleId(self.last_sample);
                // A mapping that is full is full for every topic: said once, not for each.
                let mut first = None;
                let placed = match (value, instance) {
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
                events.push_back(match placed {
                    Ok((path, value)) => {
                        stats.accepted += 1;
                        Event::Value { path, value, sample }
                    }
                    Err(why) => {
                        stats.refused += 1;
                        let first = first.unwrap_or_else(|| is_first(&mut self.reported, &message.topic));
                        Event::Refused { sample, topic: message.topic.clone(), why, first }
                    }
                });
            }
        }
    }
}

fn index(mappings: &[Mapping]) -> Index {
    let mut index = Index::default();
    for (mapping, number) in mappings.iter().zip(0..) {
        mapping.filter.iter().for_each(|filter| index.insert(filter, number));
    }
    index
}

/// What the payload has for this mapping: one entry for each value that is there, or a single refusal.
fn values<'m>(mapping: &'m Mapping, payload: &[u8]) -> Vec<(&'m Feed, Result<Value, String>)> {
    let Some(first) = mapping.feeds.first() else { return vec![] };
    if payload.len() > MAX_PAYLOAD_OCTETS {
        let why = format!("the payload has {} octets, more than {MAX_PAYLOAD_OCTETS}", payload.len());
        return vec![(first, Err(why))];
    }
    let mut values = vec![];
    let mut missing = vec![];
    for feed in &mapping.feeds {
        let scalar = match &feed.value {
            None => plain(payload).map(Some),
            Some(pointer) => match pointer.find(payload) {
                Ok(scalar) => Ok(scalar),
                // The same for every value of the message, so one refusal.
                Err(fault) => return vec![(feed, Err(format!("the payload is not JSON: {fault}")))],
            },
        };
        match scalar {
            Ok(Some(scalar)) => {
                let about = |why: String| match &feed.value {
                    Some(pointer) if !pointer.as_str().is_empty() => format!("{}: {why}", pointer.as_str()),
                    _ => why,
                };
                values.push((feed, convert(&scalar, feed.resource, feed.invert).map_err(about)));
            }
            Ok(None) => missing.extend(feed.value.as_ref().map(|pointer| pointer.as_str())),
            Err(why) => values.push((feed, Err(why))),
        }
    }
    if values.is_empty() {
        values.push((first, Err(format!("the payload has no {}", missing.join(", ")))));
    }
    values
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
