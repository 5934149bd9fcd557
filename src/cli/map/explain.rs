//! `nbgate map explain`: what a topic means to the mappings.

use std::fmt::Write as _;

use serde_json::json;

use crate::bridge::explain::{Explanation, Fit, Standing};
use crate::bridge::{topic_fault, unit_of};
use crate::cli::Usage;
use crate::cli::output::say;
use crate::lwm2m::model::Model;

use super::{Common, printable};

/// Most mappings that are listed as not matching, those with most levels alike first.
const MOST_OTHERS: usize = 10;

/// Show which mappings a topic matches, and why the others do not
///
/// For a mapping that matches: what its captures stand for, the instance and the resources that it feeds, and what is
/// subscribed to for it. Of the others, the ten that come nearest. The exit code is 1 if none matches.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A topic without wildcards, e.g. sensors/cellar/temperature
    topic: String,
    #[command(flatten)]
    common: Common,
}

/// Explains the topic.
///
/// # Errors
/// Faulty mappings, a text that is no topic, or no mapping for it.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(fault) = topic_fault(&args.topic) {
        return Err(Usage(format!("{:?} {fault}", args.topic)).into());
    }
    let (bridge, model) = args.common.bridge()?;
    let (matching, mut others): (Vec<_>, Vec<_>) = bridge
        .explain(&args.topic)
        .into_iter()
        .partition(|mapping| matches!(mapping.fit, Fit::Matches { .. }));
    others.sort_by_key(|mapping| std::cmp::Reverse(alike(&mapping.fit)));
    let left_out = others.len().saturating_sub(MOST_OTHERS);
    others.truncate(MOST_OTHERS);
    let none = matching.is_empty();
    for mapping in matching.iter().chain(&others) {
        match args.common.json {
            true => say(as_json(mapping, &model)),
            false => say(printed(mapping, &model)),
        }
    }
    if left_out > 0 && !args.common.json {
        say(format!("and {left_out} more that do not match"));
    }
    anyhow::ensure!(!none, "no mapping is for {:?}", args.topic);
    Ok(())
}

const fn alike(fit: &Fit) -> usize {
    match fit {
        Fit::Matches { .. } => usize::MAX,
        Fit::Differs(difference) => difference.alike,
    }
}

fn object_name(mapping: &Explanation, model: &Model) -> &'static str {
    model.object(mapping.object).map_or("", |object| object.name)
}

fn printed(mapping: &Explanation, model: &Model) -> String {
    let head = format!("mappings[{}]  {}", mapping.number, printable(&mapping.filter));
    let (captures, instance) = match &mapping.fit {
        Fit::Matches { captures, instance } => (captures, instance),
        Fit::Differs(difference) => return format!("{head}  does not match: {}", printable(&difference.why)),
    };
    let mut text = format!("{head}  matches\n  subscribed as  {}", printable(&mapping.subscription));
    for (name, stands_for) in captures {
        // A string that is written to does not fail.
        let _ = write!(text, "\n  {{{name}}} is  {}", printable(stands_for));
    }
    let _ = write!(text, "\n  feeds  object {} {}, ", mapping.object, object_name(mapping, model));
    text.push_str(&match instance {
        Standing::Fixed(id) => format!("instance {id}"),
        Standing::Known(id) => format!("instance {id}, which is remembered"),
        Standing::New => "a new instance once a good value comes".to_owned(),
        Standing::None(why) => format!("no instance: {why}"),
    });
    for (resource, value) in &mapping.feeds {
        let value = value.as_deref().map_or_else(|| "the payload".to_owned(), printable);
        let _ = write!(text, "\n    {} {}  from {value}", resource.id, resource.name);
    }
    if mapping.ignores_retained {
        text.push_str("\n  retained messages are ignored");
    }
    text
}

fn as_json(mapping: &Explanation, model: &Model) -> serde_json::Value {
    let mut json = json!({
        "mapping": mapping.number,
        "topic": mapping.filter,
        "subscription": mapping.subscription,
        "ignores_retained": mapping.ignores_retained,
        "object": mapping.object,
        "object_name": object_name(mapping, model),
        "resources": mapping.feeds.iter().map(|(resource, value)| json!({
            "resource": resource.id, "name": resource.name, "unit": unit_of(mapping.object, resource), "value": value,
        })).collect::<Vec<_>>(),
    });
    let fit = match &mapping.fit {
        Fit::Differs(difference) => json!({ "matches": false, "reason": difference.why }),
        Fit::Matches { captures, instance } => {
            let captures: serde_json::Map<_, _> =
                captures.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
            let (id, rule) = match instance {
                Standing::Fixed(id) => (Some(*id), "fixed"),
                Standing::Known(id) => (Some(*id), "remembered"),
                Standing::New => (None, "new"),
                Standing::None(why) => (None, why.as_str()),
            };
            json!({ "matches": true, "captures": captures, "instance": id, "instance_rule": rule })
        }
    };
    if let (Some(json), serde_json::Value::Object(fit)) = (json.as_object_mut(), fit) {
        json.extend(fit);
    }
    json
}
