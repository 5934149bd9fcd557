//! `[[mappings]]`: the settings as written, and the rules that they become once [`compile`] found no fault.

use serde::Deserialize;

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
    /// How long it may take, e.g. `"5s"`, which is also the default.
    pub within: Option<String>,
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mappings {
    /// In the order of the configuration.
    pub(super) mappings: Vec<Mapping>,
    /// Every way back to the broker.
    pub(super) commands: Vec<Command>,
}

/// One mapping's way up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    /// Which messages; `None` if there is nothing to feed.
    pub filter: Option<Filter>,
    pub object: u16,
    pub instance: Selector,
    pub feeds: Vec<Feed>,
}

/// One resource that a mapping feeds.
#[derive(Debug, Clone, PartialEq)]
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
