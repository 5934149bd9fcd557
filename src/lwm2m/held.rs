//! Held objects: those whose instances servers create, write and delete here, and nothing else feeds. Their values
//! live in the tree, in memory alone; here is which objects they are and how much they may hold together.

use std::collections::BTreeSet;

use super::objects::{is_native, is_secret};
use super::value::{Content, Value};

/// Most octets of all values and instances of held objects together; a write or Create beyond that is answered 5.00.
const MAX_OCTETS: usize = 4 * 1024 * 1024;
/// What an instance or a value takes beside its octets, roughly.
const OVERHEAD_OCTETS: usize = 64;

/// The held objects.
#[derive(Debug, Clone, Default)]
pub struct Held {
    objects: BTreeSet<u16>,
    octets: usize,
}

/// The object is no more than its values, so that holding them, or a mapping that brings them, is all there is to it.
pub const fn is_plain(object: u16) -> bool {
    // Access Control (2) and Firmware Update (5) are behaviour.
    !is_native(object) && !is_secret(object) && object != 2 && object != 5
}

impl Held {
    /// These objects, as far as they can be held.
    pub fn new(objects: impl IntoIterator<Item = u16>) -> Self {
        let objects = objects.into_iter().filter(|object| is_plain(*object)).collect();
        Self { objects, octets: 0 }
    }

    /// The object is one of them.
    pub fn has(&self, object: u16) -> bool {
        self.objects.contains(&object)
    }

    /// All of them, in ascending order.
    pub fn objects(&self) -> impl Iterator<Item = u16> + '_ {
        self.objects.iter().copied()
    }

    /// There is room for so many instances and for these contents.
    pub fn has_room_for<'a>(&self, instances: usize, contents: impl Iterator<Item = &'a Content>) -> bool {
        let wanted = instances * OVERHEAD_OCTETS + contents.map(octets).sum::<usize>();
        self.octets + wanted <= MAX_OCTETS
    }

    /// So many instances were made.
    pub const fn instances_made(&mut self, count: usize) {
        self.octets += count * OVERHEAD_OCTETS;
    }

    /// An instance is gone; its contents are told one by one.
    pub const fn instance_gone(&mut self) {
        self.octets = self.octets.saturating_sub(OVERHEAD_OCTETS);
    }

    /// A resource of a held object has other contents than before.
    pub fn changed(&mut self, before: Option<&Content>, after: Option<&Content>) {
        self.octets = self.octets.saturating_sub(before.map_or(0, octets)) + after.map_or(0, octets);
    }
}

fn octets(content: &Content) -> usize {
    let of = |value: &Value| match value {
        Value::String(text) | Value::CoreLink(text) => text.len() + OVERHEAD_OCTETS,
        Value::Opaque(octets) => octets.len() + OVERHEAD_OCTETS,
        _ => OVERHEAD_OCTETS,
    };
    match content {
        Content::Single(value) => of(value),
        // Even an empty list takes its place in the tree.
        Content::Multiple(values) => {
            OVERHEAD_OCTETS + values.iter().map(|(_, value)| of(value)).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_with_behaviour_of_their_own_are_not_held() {
        let held = Held::new([0, 1, 2, 3, 4, 5, 7, 16, 21, 3303]);
        assert_eq!(held.objects().collect::<Vec<_>>(), [16, 3303]);
    }

    #[test]
    fn room_ends_and_comes_back() {
        let mut held = Held::new([16]);
        let large = Content::Single(Value::Opaque(vec![0; MAX_OCTETS / 2]));
        assert!(held.has_room_for(1, [&large].into_iter()));
        held.instances_made(1);
        held.changed(None, Some(&large));
        assert!(!held.has_room_for(0, [&large].into_iter()));
        held.changed(Some(&large), None);
        held.instance_gone();
        assert_eq!(held.octets, 0);
    }
}
