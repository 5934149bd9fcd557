//! The service's state as a document: what the status socket gives, `nbgate status` shows, and `nbgate health` judges.
//!
//! Times are ages and remainders in seconds. IMSI and ICCID show their last digits only.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::at::Redacted;
use crate::gateway::snapshot::{self, MappingStatus, Snapshot, ValueStatus};
use crate::lwm2m::client::ServerStatus;
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Value;
use crate::net::LinkFacts;

use super::health::{self, Health};

/// Of a longer text value the beginning is told.
const MAX_TEXT_CHARS: usize = 256;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Of the program.
    pub version: String,
    /// Since the start.
    pub uptime_s: u64,
    /// The verdict.
    pub health: Health,
    /// What stands against a better one, in words.
    pub reasons: Vec<String>,
    /// Our name at the servers, once it is known.
    pub endpoint: Option<String>,
    /// It winds down.
    pub stopping: bool,
    /// Modem and radio, or the kernel's network.
    pub link: Link,
    /// The broker.
    pub broker: Broker,
    /// What lasts over restarts.
    pub store: Store,
    /// The servers.
    pub servers: Vec<Server>,
    /// What became of the values that came.
    pub samples: Samples,
    /// Messages of the broker and orders for it.
    pub messages: Messages,
    /// What was not taken of late, the newest last.
    pub refusals: Vec<Refusal>,
    /// Mappings that listen.
    pub mappings_known: usize,
    /// As many of them as were asked for, in the order of the configuration.
    pub mappings: Vec<Mapping>,
    /// Resources that mappings have fed.
    pub values_known: usize,
    /// As many of them as were asked for, in the order of their paths.
    pub values: Vec<Current>,
}

/// The link to the servers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `net::LinkFacts`, where each is explained")]
pub struct Link {
    pub up: bool,
    pub state: String,
    pub trouble: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub imei: Option<String>,
    pub imsi: Option<String>,
    pub iccid: Option<String>,
    pub registration: String,
    pub operator: Option<String>,
    pub technology: Option<String>,
    pub rssi_dbm: Option<i16>,
    pub rsrp_dbm: Option<i16>,
    pub rsrq_db: Option<i16>,
    pub sinr_db: Option<f32>,
    pub cell_id: Option<u32>,
    pub band: Option<u16>,
    pub apn: Option<String>,
    pub address: Option<String>,
    pub octets_up: u64,
    pub octets_down: u64,
    pub datagrams_up: u64,
    pub datagrams_down: u64,
    pub resends: u64,
}

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// The connection stands.
    pub connected: bool,
    /// For how long it has stood or failed.
    pub for_s: Option<u64>,
    /// Why it does not stand.
    pub reason: String,
    /// How often it came about.
    pub connections: u64,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Why nothing is kept at present.
    pub trouble: Option<String>,
    /// It has not told yet what it has.
    pub reading: bool,
    /// Instances that came back from earlier runs.
    pub restored: usize,
    /// Changes that are not on disk yet.
    pub waiting: usize,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Short Server ID.
    pub short_server_id: u16,
    /// Its address, once known.
    pub address: Option<String>,
    /// We are registered.
    pub registered: bool,
    /// In words.
    pub state: String,
    /// Why the last Register or Update failed, until one succeeds.
    pub trouble: Option<String>,
    /// The registration's location.
    pub location: Option<String>,
    /// The age of the last successful Register or Update.
    pub updated_s_ago: Option<u64>,
    /// When the registration ends unless an Update comes before.
    pub expires_in_s: Option<u64>,
    /// Observations that it holds.
    pub observations: usize,
}

/// The books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `gateway::core::books::Totals`, where each is explained")]
pub struct Samples {
    pub received: u64,
    pub reported: u64,
    pub superseded: u64,
    pub refused: u64,
    pub dropped: u64,
    pub pending: u64,
    pub misfits: u64,
}

/// Messages of the broker and orders for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `bridge::Stats`, where each is explained")]
pub struct Messages {
    pub received: u64,
    pub unmatched: u64,
    pub published: u64,
    pub confirmed: u64,
    pub unavailable: u64,
    pub failed: u64,
}

/// Something that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its topic, or the resource that did not take it.
    pub source: String,
    /// Why.
    pub why: String,
    /// How often.
    pub times: u64,
    /// The last time.
    pub last_s_ago: u64,
}

/// A mapping that listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its place in the configuration, counted from 0.
    pub number: usize,
    /// Its topic as written.
    pub topic: String,
    /// Its object.
    pub object: u16,
    /// Good values that it found.
    pub values: u64,
    /// What was refused.
    pub refused: u64,
    /// The last good value; none came yet where there is none.
    pub last: Option<Current>,
}

/// The current value of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Current {
    /// Path of the resource.
    pub path: String,
    /// What its instance stands for; not told with a mapping.
    pub key: String,
    /// Names of object and resource.
    pub name: String,
    /// The value; a long text is cut, and `null` is one that the resource did not take.
    pub value: serde_json::Value,
    /// Its unit, as the registry writes it; empty if it has none.
    pub unit: String,
    /// The age of its last sample.
    pub age_s: u64,
}

impl Report {
    /// The state of that moment, with these mappings and values.
    pub fn new(snapshot: &Snapshot, mappings: &[MappingStatus], values: &[ValueStatus]) -> Self {
        let now = snapshot.taken;
        let (health, reasons) = health::judge(snapshot);
        let (books, bridge) = (&snapshot.books, &snapshot.bridge);
        let model = Model::builtin();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: age(snapshot.started, now),
            health,
            reasons,
            endpoint: snapshot.endpoint.clone(),
            stopping: snapshot.stopping,
            link: Link::new(&snapshot.link, snapshot.coap.resends),
            broker: Broker {
                connected: snapshot.broker.connected,
                for_s: snapshot.broker.since.map(|since| age(since, now)),
                reason: snapshot.broker.reason.clone(),
                connections: snapshot.broker.connections,
            },
            store: Store {
                trouble: snapshot.store.trouble.clone(),
                reading: snapshot.store.reading,
                restored: snapshot.store.restored,
                waiting: snapshot.store.waiting,
            },
            servers: snapshot.servers.iter().map(|server| Server::new(server, now)).collect(),
            samples: Samples {
                received: books.received,
                reported: books.reported,
                superseded: books.superseded,
                refused: books.refused,
                dropped: books.dropped,
                pending: books.pending,
                misfits: books.misfits,
            },
            messages: Messages {
                received: bridge.messages,
                unmatched: bridge.unmatched,
                published: bridge.published,
                confirmed: bridge.confirmed,
                unavailable: bridge.unavailable,
                failed: bridge.failed,
            },
            refusals: snapshot.refusals.iter().map(|refusal| Refusal::new(refusal, now)).collect(),
            mappings_known: snapshot.mappings,
            mappings: mappings.iter().map(|status| Mapping::new(status, &model, now)).collect(),
            values_known: snapshot.values,
            values: values.iter().map(|value| Current::of(value, &model, now)).collect(),
        }
    }
}

impl Link {
    fn new(facts: &LinkFacts, resends: u64) -> Self {
        let (identity, signal, cell) = (&facts.identity, &facts.signal, &facts.cell);
        let masked = |number: &Option<String>| number.as_deref().map(|number| Redacted(number).to_string());
        Self {
            up: facts.up,
            state: facts.state.to_owned(),
            trouble: facts.trouble.clone(),
            manufacturer: identity.manufacturer.clone(),
            model: identity.model.clone(),
            firmware: identity.firmware.clone(),
            imei: identity.imei.clone(),
            imsi: masked(&identity.imsi),
            iccid: masked(&identity.iccid),
            registration: format!("{:?}", facts.registration).to_lowercase(),
            operator: facts.operator.clone(),
            technology: facts.technology.clone(),
            rssi_dbm: signal.rssi_dbm,
            rsrp_dbm: signal.rsrp_dbm,
            rsrq_db: signal.rsrq_db,
            sinr_db: signal.sinr_db,
            cell_id: cell.cell_id,
            band: cell.band,
            apn: facts.apn.clone(),
            address: facts.address.map(|address| address.to_string()),
            octets_up: facts.traffic.octets_up,
            octets_down: facts.traffic.octets_down,
            datagrams_up: facts.traffic.datagrams_up,
            datagrams_down: facts.traffic.datagrams_down,
            resends,
        }
    }
}

impl Server {
    fn new(server: &ServerStatus, now: Instant) -> Self {
        Self {
            short_server_id: server.short_server_id,
            address: server.peer.map(|peer| peer.to_string()),
            registered: server.location.is_some(),
            state: server.state.to_owned(),
            trouble: server.trouble.clone(),
            location: server.location.clone(),
            updated_s_ago: server.updated.map(|updated| age(updated, now)),
            expires_in_s: server.expires.map(|expires| age(now, expires)),
            observations: server.observations,
        }
    }
}

impl Refusal {
    fn new(refusal: &snapshot::Refusal, now: Instant) -> Self {
        Self {
            source: refusal.source.clone(),
            why: refusal.why.clone(),
            times: refusal.times,
            last_s_ago: age(refusal.last, now),
        }
    }
}

impl Mapping {
    fn new(status: &MappingStatus, model: &Model, now: Instant) -> Self {
        let MappingStatus { mapping, value } = status;
        let last = mapping.last.map(|(path, at)| Current::new(path, value.as_ref(), age(at, now), model));
        Self {
            number: mapping.number,
            topic: mapping.topic.clone(),
            object: mapping.object,
            values: mapping.values,
            refused: mapping.refused,
            last,
        }
    }
}

impl Current {
    fn of(status: &ValueStatus, model: &Model, now: Instant) -> Self {
        let current = Self::new(status.path, Some(&status.value), age(status.last, now), model);
        Self { key: status.key.join("/"), ..current }
    }

    fn new(path: Path, value: Option<&Value>, age_s: u64, model: &Model) -> Self {
        let object = path.object().and_then(|object| model.object(object));
        let ids = path.object().zip(path.resource());
        let resource = ids.and_then(|(object, resource)| model.resource(object, resource));
        let object = object.map(|object| object.name).unwrap_or_default();
        let name = resource.map(|resource| resource.name).unwrap_or_default();
        Self {
            path: path.to_string(),
            key: String::new(),
            name: format!("{object} · {name}"),
            value: value.map_or(serde_json::Value::Null, json),
            unit: resource.and_then(|resource| resource.units).unwrap_or_default().to_owned(),
            age_s,
        }
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) | Value::CoreLink(text) => cut(text).into(),
        Value::Integer(number) | Value::Time(number) => (*number).into(),
        Value::Unsigned(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Opaque(octets) => format!("{} octets", octets.len()).into(),
        Value::ObjectLink(object, instance) => format!("{object}:{instance}").into(),
    }
}

/// Long texts would make the document larger than it may be.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}… ({} octets)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

fn age(then: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(then).as_secs()
}
