//! `[[mappings]]`: the settings as written, and the rules that they become once [`compile`] found no fault.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::lwm2m::model::ResourceDef;

use super::command::{Command, VALUE};
pub use super::compile::compile;
use super::pointer::Pointer;
use super::topic::Filter;

/// One `[[mappings]]` table as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Topic filter with captures; may be left out where every resource only has a `command`.
    pub topic: Option<String>,
    /// JSON pointer to the value; absent: the payload is the value.
    pub value: Option<String>,
    /// Object ID.
    pub object: u16,
    /// Resource ID; or `resources`.
    pub resource: Option<u16>,
    /// Several resources that one message feeds, in place of `resource`, `value`, `invert`, `command`.
    #[serde(default)]
    pub resources: Vec<ResourceSettings>,
    /// Object Instance ID, or the captures it is allocated for: `"{room}"`, `"{site}/{room}"`. 0 where the topic
    /// has neither captures nor wildcards.
    pub instance: Option<InstanceSettings>,
    /// Most instances that the captures may bring about, 1..=16,384, those of earlier runs included; 256 if absent.
    pub max_instances: Option<usize>,
    /// An instance without a value for so long is forgotten; whole days count. Never if absent.
    #[serde(default, deserialize_with = "span")]
    pub forget_after: Option<Duration>,
    /// Exchange true and false, both ways.
    #[serde(default)]
    pub invert: bool,
    /// What a Write or Execute publishes.
    pub command: Option<CommandSettings>,
}

/// One of several resources of a mapping.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceSettings {
    /// Resource ID.
    pub resource: u16,
    /// JSON pointer to the value; absent: the payload is the value.
    pub value: Option<String>,
    /// Exchange true and false, both ways.
    #[serde(default)]
    pub invert: bool,
    /// What a Write or Execute publishes.
    pub command: Option<CommandSettings>,
}

/// `instance` as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum InstanceSettings {
    /// This instance.
    Number(i64),
    /// One instance for each value of the captures, e.g. `{room}`.
    Captures(String),
}

/// `command` as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Where to publish; may contain captures that `instance` names.
    pub topic: String,
    /// What to publish: text with `{value}` and captures. The value alone if absent.
    #[serde(default = "value_alone")]
    pub payload: String,
}

fn value_alone() -> String {
    format!("{{{VALUE}}}")
}

/// A duration written like `"10s"`.
fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = humantime::parse_duration(&text);
    read.map(Some)
        .map_err(|error| serde::de::Error::custom(format!("{text:?} is no duration like \"10s\": {error}")))
}

/// Something that is wrong with the mappings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, e.g. `mappings[2].resource`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.problem, self.fix)
    }
}

/// Mappings without a fault.
#[derive(Debug, Clone, Default)]
pub struct Mappings {
    /// In the order of the configuration.
    pub(super) mappings: Vec<Mapping>,
    /// Every way back to the broker.
    pub(super) commands: Vec<Command>,
}

/// One mapping's way up.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Which messages; `None` if there is nothing to feed.
    pub filter: Option<Filter>,
    pub object: u16,
    pub instance: Selector,
    /// Bound on its instances.
    pub max_instances: usize,
    /// Days without a value after which an instance is forgotten; `None`: never.
    pub forget_after: Option<u32>,
    pub feeds: Vec<Feed>,
}

/// One resource that a mapping feeds.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pub resource: &'static ResourceDef,
    /// Where the value stands; `None`: the payload is the value.
    pub value: Option<Pointer>,
    pub invert: bool,
}

/// How a mapping finds its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    Fixed(u16),
    /// Positions among the captures of the filter.
    Captured(Vec<usize>),
}

/// What the bridge lets a server do with a resource beyond reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Object ID.
    pub object: u16,
    /// Resource ID.
    pub resource: u16,
    /// A Write becomes a message.
    pub writable: bool,
    /// An Execute becomes a message.
    pub executable: bool,
}

impl Mappings {
    /// The resources that have a command.
    pub fn access(&self) -> impl Iterator<Item = Access> {
        self.commands.iter().map(|command| Access {
            object: command.object,
            resource: command.resource,
            writable: command.operations.is_writable(),
            executable: command.operations.is_executable(),
        })
    }
}
