//! `[[mappings]]`: the settings as written, and the rules that they become once [`compile`] found no fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::lwm2m::model::ResourceDef;

use super::command::{Command, VALUE};
pub use super::compile::compile;
use super::pick::Picker;
use super::pointer::Pointer;
use super::rules::Rules;
use super::topic::Filter;

/// One `[[mappings]]` table as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Topic filter with captures; may be left out where every resource only has a `command`.
    pub topic: Option<String>,
    /// Where the value stands in a JSON payload; absent: the payload is the value.
    pub value: Option<String>,
    /// Object ID.
    pub object: u16,
    /// Resource ID; or `resources`.
    pub resource: Option<u16>,
    /// Several resources that one message feeds, in place of `resource` and the keys of a value.
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
    /// What becomes of a message that the broker had stored before we subscribed.
    #[serde(default)]
    pub retained: RetainedSettings,
    /// Exchange true and false, both ways; not, if absent.
    pub invert: Option<bool>,
    /// Texts that stand for true and false, beside `true`, `on`, `1` and their opposites.
    pub words: Option<WordsSettings>,
    /// What texts and numbers of the payload stand for; a payload without an entry is refused.
    #[serde(default, rename = "enum")]
    pub table: BTreeMap<String, EntrySettings>,
    /// The payload's number is multiplied by this.
    pub scale: Option<f64>,
    /// This is added to the scaled number.
    pub offset: Option<f64>,
    /// Unit of the scaled number; it is converted to the resource's.
    pub unit: Option<String>,
    /// Step that the value is rounded to, in the resource's unit.
    pub precision: Option<f64>,
    /// A value that differs less than this from the last one that was let out is dropped; in the resource's unit.
    pub deadband: Option<f64>,
    /// Shortest time between two values that are let out; the newest one waits.
    #[serde(default, deserialize_with = "span")]
    pub min_interval: Option<Duration>,
    /// What becomes of null, NaN and an empty payload; [`NullSettings::Skip`] if absent.
    pub null: Option<NullSettings>,
    /// What a Write or Execute publishes.
    pub command: Option<CommandSettings>,
}

/// One of several resources of a mapping.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceSettings {
    /// Resource ID.
    pub resource: u16,
    /// Where the value stands in a JSON payload; absent: the payload is the value.
    pub value: Option<String>,
    /// Exchange true and false, both ways; not, if absent.
    pub invert: Option<bool>,
    /// Texts that stand for true and false, beside `true`, `on`, `1` and their opposites.
    pub words: Option<WordsSettings>,
    /// What texts and numbers of the payload stand for; a payload without an entry is refused.
    #[serde(default, rename = "enum")]
    pub table: BTreeMap<String, EntrySettings>,
    /// The payload's number is multiplied by this.
    pub scale: Option<f64>,
    /// This is added to the scaled number.
    pub offset: Option<f64>,
    /// Unit of the scaled number; it is converted to the resource's.
    pub unit: Option<String>,
    /// Step that the value is rounded to, in the resource's unit.
    pub precision: Option<f64>,
    /// A value that differs less than this from the last one that was let out is dropped; in the resource's unit.
    pub deadband: Option<f64>,
    /// Shortest time between two values that are let out; the newest one waits.
    #[serde(default, deserialize_with = "span")]
    pub min_interval: Option<Duration>,
    /// What becomes of null, NaN and an empty payload; [`NullSettings::Skip`] if absent.
    pub null: Option<NullSettings>,
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

/// `retained` as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetainedSettings {
    /// It is a message like any other: its value is the latest there is.
    #[default]
    Take,
    /// It is passed over, since nobody knows how old it is.
    Ignore,
}

/// `words` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WordsSettings {
    /// Stand for true.
    #[serde(rename = "true")]
    pub yes: Vec<String>,
    /// Stand for false.
    #[serde(rename = "false")]
    pub no: Vec<String>,
}

/// What an entry of `enum` stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum EntrySettings {
    /// For a resource that is a whole number.
    Number(i64),
    /// For a resource that is text.
    Text(String),
}

/// `null` as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NullSettings {
    /// It is no sample, as if nothing had come.
    #[default]
    Skip,
    /// It is refused with a reason.
    Refuse,
}

/// `command` as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Where to publish; may contain captures that `instance` names.
    pub topic: String,
    /// What to publish: text with `{value}`, captures, and for an Execute `{args}` and `{arg0}` to `{arg9}`. The value
    /// alone if absent.
    #[serde(default = "value_alone")]
    pub payload: String,
    /// What shows that the command was carried out; if absent, that the broker has it.
    pub reply: Option<ReplySettings>,
}

/// `reply` as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplySettings {
    /// Where it comes from; may contain captures that `instance` names.
    pub topic: String,
    /// Where in the payload the word for success stands; absent: the payload is the word.
    pub value: Option<String>,
    /// What is taken for success; text may contain `{value}` for what was written. Absent: any reply.
    #[serde(default)]
    pub success: Vec<Literal>,
    /// How long it may take; `"5s"` if absent.
    #[serde(default, deserialize_with = "span")]
    pub within: Option<Duration>,
}

/// A word, a number, true or false.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// `true` or `false`
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
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

/// Something that is wrong with the mappings, or looks so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, e.g. `mappings[2].resource`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl Settings {
    /// The short form as an entry of `resources`; `None` if it names no resource.
    pub(super) fn short(&self) -> Option<ResourceSettings> {
        Some(ResourceSettings {
            resource: self.resource?,
            value: self.value.clone(),
            invert: self.invert,
            words: self.words.clone(),
            table: self.table.clone(),
            scale: self.scale,
            offset: self.offset,
            unit: self.unit.clone(),
            precision: self.precision,
            deadband: self.deadband,
            min_interval: self.min_interval,
            null: self.null,
            command: self.command.clone(),
        })
    }

    /// The keys of a value that are there, of which `resources` wants none beside it.
    pub(super) fn value_keys(&self) -> impl Iterator<Item = &'static str> {
        let present = [
            ("value", self.value.is_some()),
            ("invert", self.invert.is_some()),
            ("words", self.words.is_some()),
            ("enum", !self.table.is_empty()),
            ("scale", self.scale.is_some()),
            ("offset", self.offset.is_some()),
            ("unit", self.unit.is_some()),
            ("precision", self.precision.is_some()),
            ("deadband", self.deadband.is_some()),
            ("min_interval", self.min_interval.is_some()),
            ("null", self.null.is_some()),
            ("command", self.command.is_some()),
        ];
        present.into_iter().filter_map(|(key, present)| present.then_some(key))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.problem, self.fix)
    }
}

/// Mappings without a fault.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mappings {
    /// In the order of the configuration.
    pub(super) mappings: Vec<Mapping>,
    /// Every way back to the broker.
    pub(super) commands: Vec<Command>,
    /// What is no fault, and yet probably not meant.
    pub(super) warnings: Vec<Fault>,
}

/// One mapping's way up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    /// Its place in the configuration, counted from 0.
    pub number: usize,
    /// Which messages; `None` if there is nothing to feed.
    pub filter: Option<Filter>,
    pub retained: RetainedSettings,
    pub object: u16,
    pub instance: Selector,
    /// Bound on its instances.
    pub max_instances: usize,
    /// Days without a value after which an instance is forgotten; `None`: never.
    pub forget_after: Option<u32>,
    pub feeds: Vec<Feed>,
    /// Finds what the pointers of `feeds` point to, in their order.
    pub picker: Picker,
}

/// One resource that a mapping feeds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Feed {
    pub resource: &'static ResourceDef,
    /// Where the value stands; `None`: the payload is the value.
    pub value: Option<Pointer>,
    /// What becomes of it.
    pub rules: Rules,
}

/// How a mapping finds its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    Fixed(u16),
    /// Levels of the topic, counted from 0.
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
    /// Filters for all topics that commands publish to, each once.
    pub fn publications(&self) -> BTreeSet<String> {
        self.commands.iter().map(|command| command.topic.filter()).collect()
    }

    /// What is no fault, and yet probably not meant: as [`compile`] met it.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

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
