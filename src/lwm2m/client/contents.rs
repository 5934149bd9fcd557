//! What gets into the tree, whom it concerns, and what that means for the books: values of mappings, facts of link
//! and host, what servers write.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Client, HostFacts, ObjectList, Refusal};
use crate::clock::UnixTime;
use crate::lwm2m::attributes::Periods;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::{self, connectivity, device};
use crate::lwm2m::path::Path;
use crate::lwm2m::tree::Tree;
use crate::lwm2m::value::{Content, SampleId, Value};
use crate::net::LinkFacts;

/// Most octets of the list of instances in a Register: the payload that RFC 7252 §4.6 takes for safe, which leaves
/// room for the options in every link's datagram.
const MAX_LIST_OCTETS: usize = 1024;

impl Client {
    /// A value for a mapped resource; its instance is made as needed. For a multiple-instance resource a path
    /// without resource instance means instance 0.
    ///
    /// # Errors
    /// The value is not set, and its sample is not in the books.
    pub fn set_mapped(
        &mut self,
        path: Path,
        value: Value,
        sample: Option<SampleId>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let (resource, path) = self.mapped_resource(path, &value)?;
        let content = match path.resource_instance() {
            None => Content::Single(value),
            Some(id) => Content::Multiple(self.with_instance(resource, id, value)),
        };
        if let Some(instance) = resource.parent() {
            self.note_instance(instance, now);
        }
        let is_change = self.tree.set(resource, content);
        let revision = self.tree.revision_of(resource).unwrap_or_default();
        let is_known = !is_change && self.reporting.is_acknowledged(path, revision);
        match sample {
            // The server has this very value: not an octet for it.
            Some(sample) if is_known => self.books.accept_known(sample, path),
            Some(sample) => self.books.accept(sample, path, revision),
            None if is_change => self.books.overtake(path),
            None => {}
        }
        if is_change || (sample.is_some() && !is_known) {
            self.reporting.tell(path, revision);
        }
        Ok(())
    }

    /// An instance of a mapped object that is known from before, without values yet.
    ///
    /// # Errors
    /// The registry has no such object, or it is not one for mappings.
    pub fn add_instance(&mut self, object: u16, instance: u16, now: Instant) -> Result<(), Refusal> {
        let path =
            Path::object_only(object).child(instance).ok_or(Refusal::Unknown(Path::object_only(object)))?;
        if objects::is_native(object) || objects::is_secret(object) {
            return Err(Refusal::Native(path));
        }
        if !self.may_have(object, instance) {
            return Err(Refusal::Unknown(path));
        }
        if !self.has_room_for(path) {
            return Err(Refusal::ListFull);
        }
        self.note_instance(path, now);
        Ok(())
    }

    /// What is known of link and host; fills objects 3 and 4.
    pub fn set_facts(&mut self, link: &LinkFacts, host: &HostFacts) {
        let device = set_native(&mut self.tree, &self.model, device::INSTANCE, device::facts(link, host));
        let connectivity =
            set_native(&mut self.tree, &self.model, connectivity::INSTANCE, connectivity::facts(link));
        for path in device.into_iter().chain(connectivity) {
            self.reporting.tell(path, self.tree.revision());
        }
    }

    /// It is this wall time now; /3/0/13 goes on from there by itself.
    pub const fn set_wall_clock(&mut self, time: UnixTime, now: Instant) {
        self.wall_clock = Some((time, now));
    }

    /// Sets or takes away resources and tells whom it concerns.
    pub(super) fn apply(&mut self, changes: Vec<(Path, Option<Content>)>) {
        for (path, content) in changes {
            let is_change = match content {
                Some(content) => self.tree.set(path, content),
                None => self.tree.remove(path),
            };
            if is_change {
                self.books.overtake(path);
                self.reporting.tell(path, self.tree.revision());
            }
        }
        self.refresh_periods();
    }

    /// The servers' default periods as they are in the tree now.
    pub(super) fn refresh_periods(&mut self) {
        for account in &self.accounts {
            if let Some(peer) = account.peer() {
                self.reporting.set_periods(peer, Periods::of_server(&self.tree, account.server));
            }
        }
    }

    pub(super) fn refresh_clock(&mut self, now: Instant) {
        let Some((time, at)) = self.wall_clock else { return };
        let time = time.plus(now.saturating_duration_since(at));
        self.tree.set_silently(device::CURRENT_TIME, Content::Single(Value::Time(time.as_secs())));
    }

    /// The resource, and the path that a value of it is filed under.
    fn mapped_resource(&self, path: Path, value: &Value) -> Result<(Path, Path), Refusal> {
        let unknown = Refusal::Unknown(path);
        let (Some(object), Some(instance), Some(id)) = (path.object(), path.instance(), path.resource())
        else {
            return Err(unknown);
        };
        if objects::is_native(object) || objects::is_secret(object) {
            return Err(Refusal::Native(path));
        }
        let definition =
            self.model.resource(object, id).filter(|definition| definition.operations.is_readable());
        let definition =
            definition.filter(|_| self.may_have(object, instance)).ok_or_else(|| unknown.clone())?;
        definition.check(value)?;
        let resource = Path::resource_of(object, instance, id);
        if !self.tree.exists(resource) && self.tree.len() >= self.settings.max_resources {
            return Err(Refusal::Full(self.tree.len()));
        }
        if !resource.parent().is_some_and(|instance| self.has_room_for(instance)) {
            return Err(Refusal::ListFull);
        }
        match (definition.multiple, path.resource_instance()) {
            (true, None) => Ok((resource, resource.child(0).unwrap_or(resource))),
            (true, Some(_)) | (false, None) => Ok((resource, path)),
            (false, Some(_)) => Err(unknown),
        }
    }

    /// The registry has such an object, and with this instance.
    fn may_have(&self, object: u16, instance: u16) -> bool {
        self.model.object(object).is_some_and(|object| object.multiple || instance == 0)
    }

    /// The instance is on the list already, or the list takes it.
    fn has_room_for(&self, instance: Path) -> bool {
        let all = || self.tree.instances(Path::ROOT).chain([instance]);
        self.tree.exists(instance)
            || ObjectList::new(all(), &self.model, &[]).encode().len() <= MAX_LIST_OCTETS
    }

    /// The values of a multiple-instance resource, with this one in its place.
    fn with_instance(&self, resource: Path, id: u16, value: Value) -> Vec<(u16, Value)> {
        let mut values: BTreeMap<u16, Value> = match self.tree.content(resource) {
            Some(Content::Multiple(values)) => values.iter().cloned().collect(),
            _ => BTreeMap::new(),
        };
        values.insert(id, value);
        values.into_iter().collect()
    }

    /// A new instance starts the time in which others may join it in one Update.
    fn note_instance(&mut self, instance: Path, now: Instant) {
        if self.tree.add_instance(instance) && self.gathering_until.is_none() {
            self.gathering_until = Some(now + self.settings.announce_after);
        }
    }
}

/// Sets what is known and takes away what is not; gives the paths that changed.
pub(super) fn set_native(
    tree: &mut Tree,
    model: &Model,
    instance: Path,
    facts: Vec<objects::Fact>,
) -> Vec<Path> {
    let object = instance.object().unwrap_or_default();
    // An older version of the object may lack some of them.
    let known = facts.into_iter().filter(|(id, _)| model.resource(object, *id).is_some());
    let mut changed = vec![];
    for (path, content) in known.filter_map(|(id, content)| Some((instance.child(id)?, content))) {
        let is_change = match content {
            Some(content) => tree.set(path, content),
            None => tree.remove(path),
        };
        if is_change {
            changed.push(path);
        }
    }
    changed
}
