//! Mappings of which one message would feed the same resource twice: which of the values counts would be chance.
//!
//! Overlapping topics are fine as long as they feed different resources or instances.

use super::index::Index;
use super::mapping::{Fault, Feed, Mapping, Selector};
use super::topic::{Filter, Level};

/// A fault for each mapping that feeds what an earlier one, or itself, feeds from the same message.
pub fn faults(mappings: &[Mapping]) -> Vec<Fault> {
    let mut index = Index::default();
    let mut faults = vec![];
    for (mapping, number) in mappings.iter().zip(0..) {
        let Some(filter) = &mapping.filter else { continue };
        faults.extend(with_itself(mapping));
        let earlier = index.overlapping(filter);
        let earlier = earlier.into_iter().filter_map(|number| mappings.get(number as usize));
        faults.extend(earlier.filter_map(|earlier| between(earlier, mapping)).next());
        index.insert(filter, number);
    }
    faults
}

/// The fault of a mapping that feeds a resource twice.
fn with_itself(mapping: &Mapping) -> Option<Fault> {
    let id = |feed: &Feed| feed.resource.id;
    let (at, twice) = mapping
        .feeds
        .iter()
        .enumerate()
        .find(|(at, feed)| mapping.feeds.iter().take(*at).any(|earlier| id(earlier) == id(feed)))?;
    Some(Fault {
        key: format!("mappings[{}].resources[{at}].resource", mapping.number),
        problem: format!("{} {} is in this mapping already", twice.resource.id, twice.resource.name),
        fix: "keep one of the two entries".to_owned(),
    })
}

/// The fault of two mappings that feed the same resource of what can be the same instance from one message.
fn between(earlier: &Mapping, mapping: &Mapping) -> Option<Fault> {
    let (one, other) = (earlier.filter.as_ref()?, mapping.filter.as_ref()?);
    if earlier.object != mapping.object || !can_meet(one, &earlier.instance, other, &mapping.instance) {
        return None;
    }
    let feeds = |feed: &&Feed| earlier.feeds.iter().any(|earlier| earlier.resource.id == feed.resource.id);
    let resource = mapping.feeds.iter().find(feeds)?.resource;
    Some(Fault {
        key: format!("mappings[{}].topic", mapping.number),
        problem: format!(
            "a message can match {other} and also {one} of mappings[{}], and both feed {} {} of the same instance",
            earlier.number, resource.id, resource.name
        ),
        fix: "narrow one of the two topics, or feed another resource or instance".to_owned(),
    })
}

/// Some topic that both filters match stands for the same instance in both.
fn can_meet(one: &Filter, of_one: &Selector, other: &Filter, of_other: &Selector) -> bool {
    match (of_one, of_other) {
        (Selector::Fixed(one), Selector::Fixed(other)) => one == other,
        (Selector::Captured(of_one), Selector::Captured(of_other)) => {
            let plain = |level: usize| plain_level(one, level).or_else(|| plain_level(other, level));
            of_one.len() == of_other.len()
                && of_one.iter().zip(of_other).all(|(one, other)| match (plain(*one), plain(*other)) {
                    (Some(one), Some(other)) => one == other,
                    _ => true,
                })
        }
        // A fixed ID is never given to a capture.
        _ => false,
    }
}

/// The text that a filter wants at this level.
fn plain_level(filter: &Filter, level: usize) -> Option<&str> {
    match filter.levels().get(level) {
        Some(Level::Plain(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    use super::super::compile;
    use super::super::mapping::Settings;
    use crate::lwm2m::model::Model;

    /// Keys of the faults of these mappings: topic, instance, and the rest of the table.
    fn faults(mappings: &[(&str, &str, &str)]) -> Vec<String> {
        let settings: Vec<Settings> = mappings
            .iter()
            .map(|(topic, instance, rest)| {
                let toml = format!("topic = {topic:?}\ninstance = {instance}\nobject = 3408\n{rest}");
                Figment::from(Toml::string(&toml)).extract().unwrap()
            })
            .collect();
        let faults = compile(&settings, &Model::builtin()).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    const TILT: &str = "resource = 2\nvalue = \"/tilt\"";
    const OPEN: &str = "resource = 3\nvalue = \"/open\"";

    #[test]
    fn one_message_must_not_feed_a_resource_twice() {
        let faults = faults(&[
            ("city/{cover}/state", "\"{cover}\"", TILT),
            ("other/{cover}/state", "\"{cover}\"", TILT),
            ("city/+/{cover}", "\"{cover}\"", TILT),
        ]);
        insta::assert_snapshot!(faults.join("\n"), @"mappings[2].topic: a message can match city/+/{cover} and also city/{cover}/state of mappings[0], and both feed 2 Manhole Cover Tilt of the same instance; narrow one of the two topics, or feed another resource or instance");
    }

    #[test]
    fn overlapping_topics_may_feed_other_resources_and_other_instances() {
        for (one, other) in [
            // Another resource.
            (("c/{x}", "\"{x}\"", TILT), ("c/{x}", "\"{x}\"", OPEN)),
            // Another instance: fixed, or none that a capture gets.
            (("c/+", "1", TILT), ("c/+", "2", TILT)),
            (("c/+", "1", TILT), ("c/{x}", "\"{x}\"", TILT)),
            // One capture never stands for two.
            (("c/{x}/+", "\"{x}\"", TILT), ("c/{x}/{y}", "\"{x}/{y}\"", TILT)),
            // The captured levels cannot be the same text.
            (("c/{x}/b", "\"{x}\"", TILT), ("c/a/{y}", "\"{y}\"", TILT)),
            // No topic matches both.
            (("c/{x}/b", "\"{x}\"", TILT), ("c/{x}", "\"{x}\"", TILT)),
        ] {
            assert!(faults(&[one, other]).is_empty(), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_can_be_the_same_instance_is_a_fault() {
        for (one, other) in [
            (("c/+", "1", TILT), ("c/x", "1", TILT)),
            (("c/#", "1", TILT), ("c", "1", TILT)),
            (("c/{x}/+", "\"{x}\"", TILT), ("c/+/{y}", "\"{y}\"", TILT)),
            (("c/{x}/a", "\"{x}\"", TILT), ("c/a/{y}", "\"{y}\"", TILT)),
        ] {
            assert_eq!(faults(&[one, other]).len(), 1, "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_mapping_feeds_a_resource_once() {
        let twice = "resources = [{ resource = 2, value = \"/a\" }, { resource = 2, value = \"/b\" }]";
        let faults = faults(&[("c/x", "0", twice)]);
        insta::assert_snapshot!(faults.join("\n"), @"mappings[0].resources[1].resource: 2 Manhole Cover Tilt is in this mapping already; keep one of the two entries");
    }

    #[test]
    fn ten_thousand_mappings_are_compared_in_no_time() {
        let topics: Vec<_> = (0..10_000).map(|n| format!("city/{n}/{{cover}}")).collect();
        let mappings: Vec<_> = topics.iter().map(|topic| (topic.as_str(), "\"{cover}\"", TILT)).collect();
        assert!(faults(&mappings).is_empty());
    }
}
