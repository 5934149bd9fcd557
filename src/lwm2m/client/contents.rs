//! What gets into the tree, whom it concerns, and what that means for the books: values of mappings, facts of link
//! and host, what servers write.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Client, HostFacts, Refusal};
use crate::clock::UnixTime;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::{self, connectivity, device, location, statistics};
use crate::lwm2m::path::Path;
use crate::lwm2m::reporting::Change;
use crate::lwm2m::tree::Tree;
use crate::lwm2m::value::{Content, SampleId, Value};
use crate::net::{LinkFacts, Traffic};

/// A server that creates or deletes one instance may go on to the next, but not for long (UPD-08).
const SERVER_CHANGES_GATHER: Duration = Duration::from_secs(5);

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
        self.reporting.handle_timeout(now);
        let (resource, path) = self.mapped_resource(path, &value)?;
        let content = match path.resource_instance() {
            None => Content::Single(value),
            Some(id) => Content::Multiple(self.with_instance(resource, id, value)),
        };
        let shape = self.tree.shape();
        let is_change = self.tree.set(resource, content);
        if self.tree.shape() != shape {
            // A new instance starts the time in which others may join it in one Update.
            self.gather(now, self.settings.announce_after);
        }
        let changed = if is_change { Some(self.tree.revision()) } else { self.tree.revision_of(resource) };
        let revision = changed.unwrap_or_default();
        let is_known = !is_change && self.reporting.is_acknowledged(path, revision);
        match sample {
            // The server has this very value: not an octet for it.
            Some(sample) if is_known => self.books.accept_known(sample, path),
            Some(sample) => self.books.accept(sample, path, revision),
            None if is_change => self.books.overtake(path),
            None => {}
        }
        if is_change || (sample.is_some() && !is_known) {
            self.note_change(path);
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
        if !self.is_for_mappings(object) {
            return Err(Refusal::Native(path));
        }
        if !self.may_have(object, instance) {
            return Err(Refusal::Unknown(path));
        }
        self.expect_room_for(path)?;
        if self.tree.add_instance(path) {
            self.gather(now, self.settings.announce_after);
        }
        Ok(())
    }

    /// An instance of a mapped object is no more, and with it its values: what was pending of them is superseded. Nothing
    /// happens where there is none.
    pub fn remove_instance(&mut self, object: u16, instance: u16, now: Instant) {
        let path = Path::object_only(object).child(instance);
        let Some(path) = path.filter(|path| self.is_for_mappings(object) && self.tree.exists(*path)) else {
            return;
        };
        self.take_away(path);
        self.gather(now, self.settings.announce_after);
    }

    /// What is known of link and host; fills objects 3 and 4.
    pub fn set_facts(&mut self, link: LinkFacts, host: HostFacts) {
        self.facts = (link, host);
        self.errors.evaluate(&self.facts.0, &self.facts.1);
        self.show_facts();
    }

    /// The host alone is another.
    pub fn set_host(&mut self, host: HostFacts) {
        self.set_facts(self.facts.0.clone(), host);
    }

    /// The link's counters, and the size of a datagram that it carried (octets of UDP payload); object 7 counts them.
    pub fn note_traffic(&mut self, traffic: Traffic, datagram: Option<usize>, now: Instant) {
        let ours = self.facts.0.address;
        let is_ipv6 =
            ours.or_else(|| self.peers().next().map(|peer| peer.0.ip())).is_some_and(|ip| ip.is_ipv6());
        self.statistics.note(traffic, is_ipv6, datagram, now);
    }

    /// It is this wall time now; /3/0/13 goes on from there by itself. The first one dates the location.
    pub fn set_wall_clock(&mut self, time: UnixTime, now: Instant) {
        if self.wall_clock.is_none() {
            let facts = self.settings.location.map(|place| location::facts(place, time));
            set_native(&mut self.tree, &self.model, location::INSTANCE, facts.unwrap_or_default());
        }
        self.wall_clock = Some((time, now));
    }

    /// Every error is forgotten and looked for anew (/3/0/12).
    pub(super) fn reset_errors(&mut self) {
        self.errors.reset(&self.facts.0, &self.facts.1);
        self.show_facts();
    }

    fn show_facts(&mut self) {
        let (link, host) = &self.facts;
        let device = device::facts(link, host, &self.errors);
        let connectivity = connectivity::facts(link);
        let device = set_native(&mut self.tree, &self.model, device::INSTANCE, device);
        let connectivity = set_native(&mut self.tree, &self.model, connectivity::INSTANCE, connectivity);
        for path in device.into_iter().chain(connectivity) {
            self.note_change(path);
        }
        if let Some(free) = self.facts.1.memory_free_kib {
            self.tree.set_silently(device::MEMORY_FREE, Content::Single(Value::Integer(free.into())));
        }
    }

    /// Sets or takes away resources and tells whom it concerns.
    pub(super) fn apply(&mut self, changes: Vec<(Path, Option<Content>)>) {
        for (path, content) in changes {
            self.weigh(path, content.as_ref());
            let is_change = match content {
                Some(content) => self.tree.set(path, content),
                None => self.tree.remove(path),
            };
            if is_change {
                self.forget_attributes(path);
                self.books.overtake(path);
                self.note_change(path);
            }
        }
        self.refresh_periods();
    }

    /// Instances of a held object are made, with these contents.
    pub(super) fn create(&mut self, instances: &[Path], contents: Vec<(Path, Content)>, now: Instant) {
        for instance in instances {
            self.tree.add_instance(*instance);
        }
        self.held.instances_made(instances.len());
        self.apply(contents.into_iter().map(|(path, content)| (path, Some(content))).collect());
        for instance in instances {
            // Who observes the object hears of an instance without resources, too (OBS-14).
            self.note_change(*instance);
        }
        self.gather(now, self.settings.announce_after.min(SERVER_CHANGES_GATHER));
    }

    /// An instance of a held object goes, and with it what is known of it.
    pub(super) fn delete(&mut self, instance: Path, now: Instant) {
        self.take_away(instance);
        self.held.instance_gone();
        self.gather(now, self.settings.announce_after.min(SERVER_CHANGES_GATHER));
    }

    /// Takes away the mapped instances and resources that `stays` is false for: samples that wait there are as good as
    /// overtaken, observations end with the next notification (OBS-13), and an Update tells of the instances. Gives the
    /// number of instances.
    pub fn retain_mapped(&mut self, stays: impl Fn(Path) -> bool, now: Instant) -> usize {
        let is_mapped = |path: &Path| path.object().is_some_and(|object| self.is_for_mappings(object));
        let mapped: Vec<_> = self.tree.instances(Path::ROOT).filter(is_mapped).collect();
        let (staying, going): (Vec<_>, Vec<_>) = mapped.into_iter().partition(|instance| stays(*instance));
        let of_staying = staying.into_iter().flat_map(|instance| self.tree.paths(instance));
        let resources: Vec<_> = of_staying.filter(|path| !stays(*path)).map(|path| (path, None)).collect();
        self.apply(resources);
        going.iter().for_each(|instance| self.take_away(*instance));
        if !going.is_empty() {
            self.gather(now, self.settings.announce_after);
        }
        going.len()
    }

    /// An instance goes with all that is below it.
    fn take_away(&mut self, instance: Path) {
        let below = self.tree.paths(instance).map(|path| (path, None)).collect();
        self.apply(below);
        self.tree.remove_instance(instance);
        self.forget_attributes(instance);
        // Who observes the instance is told that it is gone, even if it had no resource.
        self.note_change(instance);
    }

    /// Keeps account of what held objects hold.
    fn weigh(&mut self, path: Path, after: Option<&Content>) {
        if path.object().is_some_and(|object| self.held.has(object)) {
            self.held.changed(self.tree.content(path), after);
        }
    }

    /// Tells whom it concerns that there is something new at the path: the content of a resource, or that something
    /// came or went.
    pub(super) fn note_change(&mut self, path: Path) {
        let Self { tree, reporting, books, .. } = self;
        let resource = if path.depth() == 4 { path.parent() } else { Some(path) };
        match resource.and_then(|resource| tree.current(resource)) {
            Some((content, revision)) => reporting.tell_content(Change { path, content, revision }, books),
            None => reporting.tell(path, tree.revision(), books),
        }
    }

    /// Whatever goes on by itself: the clock, and what object 7 counts.
    pub(super) fn refresh_clock(&mut self, now: Instant) {
        self.statistics.handle_timeout(now);
        self.set_statistics();
        let Some((time, at)) = self.wall_clock else { return };
        let time = time.plus(now.saturating_duration_since(at));
        self.tree.set_silently(device::CURRENT_TIME, Content::Single(Value::Time(time.as_secs())));
    }

    /// Counters are never the same twice: they are told when asked for, and are no news to observers.
    pub(super) fn set_statistics(&mut self) {
        for (id, content) in self.statistics.poll_facts().into_iter().flatten() {
            if let Some((path, content)) = statistics::INSTANCE.child(id).zip(content) {
                self.tree.set_silently(path, content);
            }
        }
    }

    /// The resource, and the path that a value of it is filed under.
    fn mapped_resource(&self, path: Path, value: &Value) -> Result<(Path, Path), Refusal> {
        let unknown = Refusal::Unknown(path);
        let (Some(object), Some(instance), Some(id)) = (path.object(), path.instance(), path.resource())
        else {
            return Err(unknown);
        };
        if !self.is_for_mappings(object) {
            return Err(Refusal::Native(path));
        }
        let definition =
            self.model.resource(object, id).filter(|definition| definition.operations.is_readable());
        let definition =
            definition.filter(|_| self.may_have(object, instance)).ok_or_else(|| unknown.clone())?;
        definition.check(value)?;
        let resource = Path::resource_of(object, instance, id);
        self.expect_room_for(resource)?;
        match (definition.multiple, path.resource_instance()) {
            (true, None) => Ok((resource, resource.child(0).unwrap_or(resource))),
            (true, Some(_)) | (false, None) => Ok((resource, path)),
            (false, Some(_)) => Err(unknown),
        }
    }

    /// What servers hold here takes no room from the sensors; it has a bound of its own.
    fn expect_room_for(&self, path: Path) -> Result<(), Refusal> {
        let size = self.tree.size().saturating_sub(self.held.size());
        let is_full = size >= self.settings.max_resources && !self.tree.exists(path);
        if is_full { Err(Refusal::Full(size)) } else { Ok(()) }
    }

    fn is_for_mappings(&self, object: u16) -> bool {
        let is_location = object == location::ID && self.settings.location.is_some();
        !objects::is_native(object) && !objects::is_secret(object) && !self.held.has(object) && !is_location
    }

    /// The registry has such an object, and with this instance.
    fn may_have(&self, object: u16, instance: u16) -> bool {
        self.model.object(object).is_some_and(|object| object.multiple || instance == 0)
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

    /// What changed in the list of instances waits so long for more; less if something waits already.
    fn gather(&mut self, now: Instant, at_most: Duration) {
        let until = now + at_most;
        self.gathering_until = Some(self.gathering_until.map_or(until, |earlier| earlier.min(until)));
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
