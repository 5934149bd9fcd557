//! What can be read of the core at any time: made when somebody asks, not on every turn.
//!
//! A [`Snapshot`] costs the same whatever the number of samples; values are read in pages.

use std::time::Instant;

use crate::bridge;
use crate::coap;
use crate::lwm2m::client::{self, ServerStatus};
use crate::lwm2m::{Path, Value};
use crate::net::LinkFacts;

use super::core::books::Totals;
use super::core::keeper;

/// The state of the parts, and what they have counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When it was made.
    pub taken: Instant,
    /// When the core was made.
    pub started: Instant,
    /// It winds down.
    pub stopping: bool,
    /// Our name at the servers, once it is known.
    pub endpoint: Option<String>,
    /// The link.
    pub link: LinkFacts,
    /// The broker.
    pub broker: BrokerStatus,
    /// What lasts.
    pub store: keeper::Status,
    /// The books.
    pub books: Totals,
    /// The bridge's counters.
    pub bridge: bridge::Stats,
    /// The client's counters.
    pub client: client::Stats,
    /// CoAP's counters.
    pub coap: coap::Stats,
    /// The servers and what they know of us.
    pub servers: Vec<ServerStatus>,
    /// Mappings that listen.
    pub mappings: usize,
    /// Resources that mappings have fed.
    pub values: usize,
    /// Refusals of late, the newest last.
    pub refusals: Vec<Refusal>,
}

/// The connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerStatus {
    /// It stands.
    pub connected: bool,
    /// Since when it stands or fails; `None` before the first attempt has ended.
    pub since: Option<Instant>,
    /// Why it does not stand.
    pub reason: String,
    /// How often it came about.
    pub connections: u64,
}

/// Something that was not taken, as often as it happened for the same reason in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The topic that it came from, or the resource that did not take it.
    pub source: String,
    /// Why.
    pub why: String,
    /// The last time.
    pub last: Instant,
    /// How often in a row.
    pub times: u64,
}

/// A mapping that listens, and what came of it last.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingStatus {
    /// What it has done.
    pub mapping: bridge::MappingStatus,
    /// What its last resource holds now.
    pub value: Option<Value>,
}

/// The newest value of a resource that a mapping feeds.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueStatus {
    /// The resource.
    pub path: Path,
    /// What its instance stands for, e.g. `["cellar"]`; empty where the instance is fixed.
    pub key: Vec<String>,
    /// The value.
    pub value: Value,
    /// When its last sample came.
    pub last: Instant,
}
