//! What a topic means to the mappings, for whoever writes them: which ones match and why the others do not.

use crate::lwm2m::model::ResourceDef;

use super::instances::{Instances, MAX_CAPTURE_OCTETS};
use super::mapping::{Mapping, RetainedSettings, Selector};
use super::topic::{Filter, Level};

/// What a topic means to one mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Place of the mapping in the configuration, counted from 0.
    pub number: usize,
    /// Its topic as written.
    pub filter: String,
    /// What is subscribed to for it.
    pub subscription: String,
    /// Retained messages are passed over.
    pub ignores_retained: bool,
    /// Object ID.
    pub object: u16,
    /// The resources that it feeds, each with the place of its value in the payload.
    pub feeds: Vec<(&'static ResourceDef, Option<String>)>,
    /// Whether it matches.
    pub fit: Fit,
}

/// Whether a filter matches a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Matches {
        /// Names of the captures and what they stand for.
        captures: Vec<(String, String)>,
        /// Which instance it feeds.
        instance: Standing,
    },
    /// It does not.
    Differs(Difference),
}

/// Which instance a topic stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The mapping names it.
    Fixed(u16),
    /// It was allocated for the captures.
    Known(u16),
    /// One will be allocated for the captures when a good value comes.
    New,
    /// There can be none.
    None(String),
}

/// Where a topic stops being one that a filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// So many levels from the start are as the filter wants them.
    pub alike: usize,
    /// What is different then.
    pub why: String,
}

/// What the topic means to each mapping that has one, in their order. `found` are those that match, ascending.
pub(super) fn explain(
    mappings: &[Mapping],
    found: &[u32],
    instances: &Instances,
    topic: &str,
) -> Vec<Explanation> {
    let with_filter = mappings.iter().zip(0..).filter_map(|(mapping, number)| {
        let filter = mapping.filter.as_ref()?;
        let fit = if found.binary_search(&number).is_ok() {
            let instance = standing(mapping, instances, topic);
            Fit::Matches { captures: captures(filter, topic), instance }
        } else {
            Fit::Differs(difference(filter, topic))
        };
        Some(Explanation {
            number: mapping.number,
            filter: filter.to_string(),
            subscription: filter.subscription(),
            ignores_retained: mapping.retained == RetainedSettings::Ignore,
            object: mapping.object,
            feeds: mapping
                .feeds
                .iter()
                .map(|feed| (feed.resource, feed.value.as_ref().map(|value| value.as_str().to_owned())))
                .collect(),
            fit,
        })
    });
    with_filter.collect()
}

fn captures(filter: &Filter, topic: &str) -> Vec<(String, String)> {
    let names = filter.captures().map(str::to_owned);
    let texts = filter.capture_levels().filter_map(|level| topic.split('/').nth(level)).map(str::to_owned);
    names.zip(texts).collect()
}

fn standing(mapping: &Mapping, instances: &Instances, topic: &str) -> Standing {
    match &mapping.instance {
        Selector::Fixed(id) => Standing::Fixed(*id),
        Selector::Captured(levels) => {
            let key: Vec<_> = levels.iter().filter_map(|level| topic.split('/').nth(*level)).collect();
            match instances.find(mapping.object, &key) {
                Some(id) => Standing::Known(id),
                None if key.iter().all(|text| (1..=MAX_CAPTURE_OCTETS).contains(&text.len())) => {
                    Standing::New
                }
                None => Standing::None(format!("a capture must stand for 1 to {MAX_CAPTURE_OCTETS} octets")),
            }
        }
    }
}

/// Where the topic is different from what the filter wants, in words.
fn difference(filter: &Filter, topic: &str) -> Difference {
    let starts_wild = !matches!(filter.levels().first(), Some(Level::Plain(_)));
    if starts_wild && topic.starts_with('$') {
        let why = "no wildcard or capture at the start catches the broker's own topics".to_owned();
        return Difference { alike: 0, why };
    }
    let mut levels = topic.split('/');
    for (alike, level) in filter.levels().iter().enumerate() {
        let why = match (level, levels.next()) {
            (Level::Plain(wanted), Some(there)) if wanted != there => {
                format!("level {} is {there:?}, not {wanted:?}", alike + 1)
            }
            (Level::AnyRest, None) | (_, Some(_)) => continue,
            (_, None) => format!("the topic ends before level {}", alike + 1),
        };
        return Difference { alike, why };
    }
    let alike = filter.levels().len();
    Difference { alike, why: format!("the topic goes on after level {alike}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(filter: &str, topic: &str) -> (usize, String) {
        let Difference { alike, why } = difference(&Filter::parse(filter).unwrap(), topic);
        (alike, why)
    }

    #[test]
    fn the_first_level_that_differs_is_told() {
        for (filter, topic, alike, words) in [
            ("lamps/{lamp}/order", "lamps/21/state", 2, "level 3 is \"state\", not \"order\""),
            ("lamps/{lamp}", "lamps/21/state", 2, "the topic goes on after level 2"),
            ("lamps/{lamp}/state", "lamps/21", 2, "the topic ends before level 3"),
            ("lamps/{lamp}/#", "lamps", 1, "the topic ends before level 2"),
            ("lamp/#", "lamps/21", 0, "level 1 is \"lamps\", not \"lamp\""),
            (
                "{x}/uptime",
                "$SYS/uptime",
                0,
                "no wildcard or capture at the start catches the broker's own topics",
            ),
        ] {
            assert_eq!(why(filter, topic), (alike, words.to_owned()), "{filter} {topic}");
        }
    }
}
