//! Which Object Instance stands for which capture, e.g. instance 2 of 3303 for the room `cellar`.
//!
//! An instance is allocated when its captures are first seen: the lowest ID of the object that is free, counted
//! from 0. It is kept over restarts ([`Instances::restore`]), whatever order the topics then come in, until the mapping's
//! `forget_after` has passed without a value. Mappings that name the same captures for the same object share the instance.
//!
//! What a mapping that is no longer configured has brought about keeps its ID, but is not shown.

mod entry;
mod forgetting;

use std::collections::{BTreeMap, BTreeSet};

use crate::persist::{self, Day};

use super::mapping::{Mapping, Selector};
pub use entry::Key;
use entry::{Entry, Name};

/// Most instances that one mapping may bring about, whatever `max_instances` says; further ones are refused.
pub const MAX_PER_MAPPING: usize = 16_384;

/// Instances of a mapping that does not say.
pub const DEFAULT_PER_MAPPING: usize = 256;

/// Longest text that a capture may stand for, in octets.
pub const MAX_CAPTURE_OCTETS: usize = 128;

/// The instances of all mapped objects. At most [`MAX_PER_MAPPING`] of each mapping, and 65,535 of an object with those
/// that are remembered of mappings which are gone; then further ones are refused.
#[derive(Debug, Default)]
pub struct Instances {
    sources: Vec<Source>,
    /// Positions among the sources, by object and name.
    by_source_name: BTreeMap<u16, BTreeMap<String, usize>>,
    /// The source of each mapping; `None` for one that allocates nothing.
    by_mapping: Vec<Option<usize>>,
    by_object: BTreeMap<u16, Object>,
    /// What is to be written.
    unwritten: BTreeMap<(u16, u16), Urgency>,
    today: Option<Day>,
}

/// What becomes of the instances with other mappings: objects and IDs, in order.
#[derive(Debug)]
pub struct Reloaded {
    /// A mapping feeds them.
    pub shown: Vec<(u16, u16)>,
    /// They stand for their captures no more.
    pub displaced: BTreeSet<(u16, u16)>,
}

/// How soon a change should be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// An old date is no harm.
    Lazily,
    /// A server may soon know of it.
    Soon,
}

/// What allocates instances: a filter, and the captures in it that tell them apart. Mappings that agree in these and in the
/// object are one source, with the smallest of their bounds and the longest of their memories.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    object: u16,
    /// By this it is known in the next run.
    name: String,
    max: usize,
    /// Days without a value; `None`: for ever.
    forget_after: Option<u32>,
    count: usize,
    is_full_told: bool,
}

#[derive(Debug, Default)]
struct Object {
    by_name: BTreeMap<Name, u16>,
    by_id: BTreeMap<u16, Entry>,
    /// IDs that a mapping names outright, so that they stand for no capture.
    fixed: BTreeSet<u16>,
    /// No ID below is free.
    free_from: u16,
}

/// Why there is no instance for a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// The mapping has as many instances as it may have.
    #[error("this mapping has {max} instances already (max_instances), and gets no more")]
    Full {
        /// How many.
        max: usize,
        /// It is the first refusal of this mapping.
        first: bool,
    },
    /// The object has none left.
    #[error("every instance of object {object} stands for something already")]
    NoneLeft {
        /// Which.
        object: u16,
    },
    /// A level of the topic is longer than [`MAX_CAPTURE_OCTETS`], or empty.
    #[error("what {{capture}} stands for must have 1 to {MAX_CAPTURE_OCTETS} octets")]
    BadCapture,
}

impl Instances {
    /// Knows no instance yet but those that mappings name outright.
    pub fn new(mappings: &[Mapping]) -> Self {
        let mut instances = Self::default();
        for mapping in mappings {
            let source = match (&mapping.instance, &mapping.filter) {
                (Selector::Fixed(id), _) => {
                    instances.by_object.entry(mapping.object).or_default().fixed.insert(*id);
                    None
                }
                (Selector::Captured(_), None) => None,
                (Selector::Captured(positions), Some(filter)) => Some(Source {
                    object: mapping.object,
                    name: source_name(&filter.subscription(), positions),
                    max: mapping.max_instances,
                    forget_after: mapping.forget_after,
                    count: 0,
                    is_full_told: false,
                }),
            };
            let index = source.map(|source| instances.add_source(source));
            instances.by_mapping.push(index);
        }
        instances
    }

    fn add_source(&mut self, new: Source) -> usize {
        let next = self.sources.len();
        let of_object = self.by_source_name.entry(new.object).or_default();
        let index = *of_object.entry(new.name.clone()).or_insert(next);
        let Some(known) = self.sources.get_mut(index) else {
            self.sources.push(new);
            return index;
        };
        known.max = known.max.min(new.max);
        known.forget_after = known.forget_after.zip(new.forget_after).map(|(a, b)| a.max(b));
        index
    }

    /// It is this day, as far as anybody knows.
    pub const fn set_today(&mut self, today: Option<Day>) {
        self.today = today;
    }

    /// The instance of `object` for these captures, allocated if need be, on behalf of the mapping with this index.
    ///
    /// # Errors
    /// There is none, and none can be made.
    pub fn find_or_allocate(
        &mut self,
        mapping: usize,
        object: u16,
        key: &[&str],
    ) -> Result<u16, InstanceError> {
        if !entry::is_key(key) {
            return Err(InstanceError::BadCapture);
        }
        let none_left = InstanceError::NoneLeft { object };
        let index = self.by_mapping.get(mapping).copied().flatten().ok_or(none_left)?;
        let of_object = self.by_object.entry(object).or_default();
        let name = Name::new(key);
        let existing = of_object.by_name.get(&name).copied();
        if let Some((id, entry)) = existing.and_then(|id| Some((id, of_object.by_id.get_mut(&id)?))) {
            if entry.has(index) {
                if entry.see(self.today) {
                    self.unwritten.entry((object, id)).or_insert(Urgency::Lazily);
                }
                return Ok(id);
            }
        }
        let source = self.sources.get_mut(index).ok_or(none_left)?;
        if source.count >= source.max {
            let first = !std::mem::replace(&mut source.is_full_told, true);
            return Err(InstanceError::Full { max: source.max, first });
        }
        let id = existing.or_else(|| of_object.allocate()).ok_or(none_left)?;
        source.count += 1;
        let entry = of_object.by_id.entry(id).or_insert_with(|| Entry::new(key, self.today));
        entry.add(index, &source.name);
        entry.see(self.today);
        of_object.by_name.insert(name, id);
        self.unwritten.insert((object, id), Urgency::Soon);
        Ok(id)
    }

    /// The instance that was allocated for these captures, if one was.
    pub fn find(&self, object: u16, key: &[&str]) -> Option<u16> {
        self.by_object.get(&object)?.by_name.get(&Name::new(key)).copied()
    }

    /// Takes what was remembered, and gives the instances that a mapping still feeds: objects and IDs, in order.
    ///
    /// What is no instance, or contradicts what this run has allocated before it heard of the old ones, is left out. What goes
    /// beyond the bound of its mapping stays remembered, but is not shown.
    pub fn restore(&mut self, remembered: Vec<persist::Instance>) -> Vec<(u16, u16)> {
        let mut shown = vec![];
        for instance in remembered {
            let at = (instance.object, instance.id);
            let key: Vec<&str> = instance.key.iter().map(String::as_str).collect();
            if !entry::is_key(&key) || instance.id == u16::MAX {
                continue;
            }
            let of_object = self.by_object.entry(instance.object).or_default();
            if of_object.fixed.contains(&instance.id) {
                let (object, id) = at;
                tracing::info!(
                    object,
                    id,
                    ?key,
                    "a mapping names this instance now; forgotten for its captures"
                );
                self.unwritten.insert(at, Urgency::Soon);
                continue;
            }
            let name = Name::new(&key);
            if of_object.by_id.contains_key(&instance.id) || of_object.by_name.contains_key(&name) {
                continue;
            }
            of_object.by_name.insert(name, instance.id);
            let names = self.by_source_name.get(&instance.object);
            let entry = Entry::restored(instance, &mut self.sources, |name| names?.get(name).copied());
            if entry.is_shown() {
                shown.push(at);
            }
            of_object.by_id.insert(at.1, entry);
        }
        shown
    }

    /// The mappings are others from now on. What an instance stands for stays, unless one of them names it outright.
    pub fn reload(&mut self, mappings: &[Mapping]) -> Reloaded {
        let before = std::mem::replace(self, Self::new(mappings));
        self.today = before.today;
        self.unwritten = before.unwritten;
        let all = before.by_object.iter().flat_map(|(object, of)| {
            of.by_id.iter().map(|(id, entry)| entry.to_persist(*object, *id, &before.sources))
        });
        let all: Vec<_> = all.collect();
        let ids: Vec<_> = all.iter().map(|instance| (instance.object, instance.id)).collect();
        let shown = self.restore(all);
        let displaced = ids.into_iter().filter(|(object, id)| self.key(*object, *id).is_none()).collect();
        Reloaded { shown, displaced }
    }

    /// Everything is to be written, as if nothing ever had been.
    pub fn write_all(&mut self) {
        let all = self.by_object.iter().flat_map(|(object, of)| of.by_id.keys().map(|id| (*object, *id)));
        self.unwritten.extend(all.map(|at| (at, Urgency::Soon)));
    }

    /// The next change for the store.
    pub fn poll_write(&mut self) -> Option<(persist::Write, Urgency)> {
        let ((object, id), urgency) = self.unwritten.pop_first()?;
        let entry = self.by_object.get(&object).and_then(|of| of.by_id.get(&id));
        let write = match entry {
            Some(entry) => persist::Write::Instance(entry.to_persist(object, id, &self.sources)),
            None => persist::Write::Forget { object, id },
        };
        Some((write, urgency))
    }

    /// The instance was allocated for captures, and a mapping of now feeds it.
    pub fn is_shown(&self, object: u16, id: u16) -> bool {
        self.by_object.get(&object).and_then(|of| of.by_id.get(&id)).is_some_and(Entry::is_shown)
    }

    /// What this instance stands for; `None` if it was not allocated for captures.
    pub fn key(&self, object: u16, id: u16) -> Option<&Key> {
        self.by_object.get(&object)?.by_id.get(&id).map(|entry| &entry.key)
    }
}

/// A filter without the names of its captures, and which of them make the key: renaming one changes nothing.
fn source_name(subscription: &str, positions: &[usize]) -> String {
    let positions: Vec<_> = positions.iter().map(usize::to_string).collect();
    format!("{subscription} {}", positions.join(","))
}

impl Object {
    /// The lowest free ID, which is free no longer.
    fn allocate(&mut self) -> Option<u16> {
        // 65535 is no Object Instance ID (DM-05).
        let is_free = |id: &u16| !self.by_id.contains_key(id) && !self.fixed.contains(id);
        let id = (self.free_from..u16::MAX).find(is_free)?;
        self.free_from = id + 1;
        Some(id)
    }
}

#[cfg(test)]
mod tests;
