//! One registered client: where it is, what it has, what is observed there and the last value of every resource.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use super::register::{Register, Update};
use crate::coap::ExchangeId;
use crate::lwm2m::codecs::ObjectList;
use crate::lwm2m::model::{Model, Version, implied_version};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value};
use crate::net::Peer;

/// Most paths whose last value is kept for one client; of further ones every value counts as changed.
const MAX_VALUES: usize = 65_536;
/// Most observations at one client.
pub(super) const MAX_OBSERVATIONS: usize = 1024;
/// IPSO's resource that holds the unit of its siblings' values.
const SENSOR_UNITS: u16 = 5701;

/// A value as it came, with what the registry knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Endpoint name of the client.
    pub endpoint: String,
    /// Resource, or resource instance of a multiple-instance resource.
    pub path: Path,
    /// Name of the object.
    pub object: &'static str,
    /// Name of the resource.
    pub resource: &'static str,
    /// The value.
    pub value: Value,
    /// Unit: what the client says in a sibling Sensor Units, else the registry's.
    pub unit: Option<String>,
    /// The path had another value before, or none.
    pub changed: bool,
}

/// A client that is registered.
#[derive(Debug, Clone)]
pub struct Registration {
    pub(super) endpoint: String,
    pub(super) location: String,
    pub(super) peer: Peer,
    pub(super) version: Version,
    pub(super) lifetime: Duration,
    pub(super) binding: String,
    pub(super) expires: Instant,
    pub(super) objects: ObjectList,
    pub(super) model: Model,
    pub(super) observations: BTreeMap<Path, Observing>,
    /// The path of the latest Observe.
    pub(super) asked: Path,
    values: BTreeMap<Path, Value>,
}

/// How far an observation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observing {
    /// To be asked for.
    Wanted,
    /// Asked for.
    Asked(ExchangeId),
    /// The client notifies.
    Running(ExchangeId),
    /// The client would not; asked again after its next Update.
    Refused,
    /// An operator ended it; not asked again under this registration.
    Cancelled,
}

impl Observing {
    pub(super) const fn exchange(self) -> Option<ExchangeId> {
        match self {
            Self::Asked(exchange) | Self::Running(exchange) => Some(exchange),
            Self::Wanted | Self::Refused | Self::Cancelled => None,
        }
    }
}

impl Registration {
    pub(super) fn new(register: Register, location: String, peer: Peer, now: Instant) -> Self {
        let mut registration = Self {
            endpoint: register.endpoint,
            location,
            peer,
            version: register.version,
            lifetime: register.lifetime,
            binding: register.binding,
            expires: now + register.lifetime,
            objects: ObjectList::default(),
            model: Model::for_enabler(register.version),
            observations: BTreeMap::new(),
            asked: Path::ROOT,
            values: BTreeMap::new(),
        };
        registration.set_objects(register.objects);
        registration
    }

    /// Takes over what an Update changes, and counts the lifetime anew.
    pub(super) fn update(&mut self, update: Update, now: Instant) {
        self.lifetime = update.lifetime.unwrap_or(self.lifetime);
        self.expires = now + self.lifetime;
        if let Some(binding) = update.binding {
            self.binding = binding;
        }
        if let Some(objects) = update.objects {
            self.set_objects(objects);
        }
    }

    /// Goes by the object versions that the client announced; without `ver`, by the implied ones.
    fn set_objects(&mut self, objects: ObjectList) {
        for (object, listed) in &objects.objects {
            let version = listed.version.unwrap_or_else(|| implied_version(self.version, *object));
            if !self.model.select(*object, version) {
                tracing::debug!(object, %version, "version is not in the registry; its default is used");
            }
        }
        self.objects = objects;
    }

    /// The objects that a gateway maps: all that are not part of the enabler.
    pub(super) fn mapped_objects(&self) -> BTreeSet<u16> {
        self.objects.objects.keys().copied().filter(|object| !matches!(object, 0..=7 | 21)).collect()
    }

    /// The next path to ask for. In turn: a client that can be reached only now and then shall come to all of them.
    pub(super) fn next_wanted(&self) -> Option<Path> {
        let after = self.observations.range((Bound::Excluded(self.asked), Bound::Unbounded));
        let mut in_turn = after.chain(self.observations.range(..=self.asked));
        in_turn.find(|(_, state)| **state == Observing::Wanted).map(|(path, _)| *path)
    }

    /// Keeps the values, and gives them with their names and units.
    pub(super) fn record(&mut self, entries: &[Entry]) -> Vec<Reading> {
        let mut changes = vec![];
        for (path, value) in entries.iter().flat_map(values) {
            let changed = self.values.get(&path) != Some(&value);
            if self.values.len() < MAX_VALUES || self.values.contains_key(&path) {
                self.values.insert(path, value.clone());
            }
            changes.push((path, value, changed));
        }
        // Units may have come along with the values that they are for.
        changes.into_iter().map(|(path, value, changed)| self.reading(path, value, changed)).collect()
    }

    fn reading(&self, path: Path, value: Value, changed: bool) -> Reading {
        let object = path.object().and_then(|id| self.model.object(id));
        let resource = object.zip(path.resource()).and_then(|(object, id)| object.resource(id));
        let said = path.object().zip(path.instance()).and_then(|(object, instance)| {
            match self.values.get(&Path::resource_of(object, instance, SENSOR_UNITS)) {
                Some(Value::String(unit)) if path.resource() == Some(5700) => Some(unit.clone()),
                _ => None,
            }
        });
        Reading {
            endpoint: self.endpoint.clone(),
            path,
            object: object.map_or("", |object| object.name),
            resource: resource.map_or("", |resource| resource.name),
            value,
            unit: said.or_else(|| resource?.units.map(str::to_owned)),
            changed,
        }
    }

    /// Endpoint name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What follows `/rd/` in its location.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Where it registered or updated from last.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Version of the enabler that it speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How long it holds without an Update.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Binding, as the client wrote it.
    pub fn binding(&self) -> &str {
        &self.binding
    }

    /// Its objects and instances.
    pub const fn objects(&self) -> &ObjectList {
        &self.objects
    }

    /// The last value that came for a path: of a resource, or of a resource instance.
    pub fn value(&self, path: Path) -> Option<&Value> {
        self.values.get(&path)
    }

    /// Paths that the client notifies about.
    pub fn observed(&self) -> impl Iterator<Item = Path> + '_ {
        self.observations
            .iter()
            .filter(|(_, state)| matches!(state, Observing::Running(_)))
            .map(|(path, _)| *path)
    }
}

/// The single values of an entry, each under its own path.
fn values(entry: &Entry) -> Vec<(Path, Value)> {
    match &entry.content {
        Content::Single(value) => vec![(entry.path, value.clone())],
        Content::Multiple(values) => {
            values.iter().filter_map(|(id, value)| Some((entry.path.child(*id)?, value.clone()))).collect()
        }
    }
}
