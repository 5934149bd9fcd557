//! Which Object Instance stands for which capture, e.g. instance 2 of 3303 for the room `cellar`.
//!
//! An instance is allocated when its captures are first seen: the lowest ID of the object that is free, counted
//! from 0, and kept for the run. Mappings that name the same captures for the same object share the instance.

use std::collections::{BTreeMap, BTreeSet};

/// Most instances that one mapping may bring about; further ones are refused.
pub const MAX_PER_MAPPING: usize = 16_384;

/// Longest text that a capture may stand for, in octets.
pub const MAX_CAPTURE_OCTETS: usize = 128;

/// What an instance stands for: the values of the captures that `instance` names, in its order.
pub type Key = Vec<String>;

/// The instances of all mapped objects.
#[derive(Debug, Default)]
pub struct Instances {
    by_object: BTreeMap<u16, Object>,
    by_mapping: BTreeMap<usize, BTreeSet<u16>>,
}

/// The captures with a `/` between, which none of them contains.
///
/// Its first octets stand before it as a number: most comparisons end there, and need not follow the text to where it lies.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    head: u128,
    text: Box<str>,
}

impl Name {
    fn new(key: &[&str]) -> Self {
        let text = key.join("/");
        let mut head = [0; 16];
        head.iter_mut().zip(text.bytes()).for_each(|(octet, of_text)| *octet = of_text);
        Self { head: u128::from_be_bytes(head), text: text.into() }
    }
}

#[derive(Debug, Default)]
struct Object {
    by_name: BTreeMap<Name, u16>,
    by_id: BTreeMap<u16, Key>,
    /// IDs that a mapping names outright, so that they stand for no capture.
    fixed: BTreeSet<u16>,
    /// No ID below is free: what is allocated stays so.
    free_from: u16,
}

/// Why there is no instance for a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// The mapping has [`MAX_PER_MAPPING`] instances.
    #[error("this mapping has {MAX_PER_MAPPING} instances already, and gets no more")]
    Full,
    /// A level of the topic is longer than [`MAX_CAPTURE_OCTETS`], or empty.
    #[error("what {{capture}} stands for must have 1 to {MAX_CAPTURE_OCTETS} octets")]
    BadCapture,
}

impl Instances {
    /// `id` of `object` stands for no capture; what it stood for gets another one.
    pub fn reserve(&mut self, object: u16, id: u16) {
        let object = self.by_object.entry(object).or_default();
        object.fixed.insert(id);
        if let Some(key) = object.by_id.remove(&id) {
            object.by_name.remove(&Name::new(&key.iter().map(String::as_str).collect::<Vec<_>>()));
        }
    }

    /// The mappings are others: nothing is reserved, and their bounds count anew what they feed. What an instance
    /// stands for stays.
    pub fn forget_mappings(&mut self) {
        self.by_mapping.clear();
        for object in self.by_object.values_mut() {
            object.fixed.clear();
            object.free_from = 0;
        }
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
        if key.iter().any(|value| value.is_empty() || value.len() > MAX_CAPTURE_OCTETS) {
            return Err(InstanceError::BadCapture);
        }
        let name = Name::new(key);
        let known = self.by_mapping.entry(mapping).or_default();
        let object = self.by_object.entry(object).or_default();
        let existing = object.by_name.get(&name).copied();
        if existing.is_some_and(|id| known.contains(&id)) {
            return existing.ok_or(InstanceError::Full);
        }
        if known.len() >= MAX_PER_MAPPING {
            return Err(InstanceError::Full);
        }
        let id = match existing {
            Some(id) => id,
            None => object.allocate().ok_or(InstanceError::Full)?,
        };
        known.insert(id);
        object.by_id.insert(id, key.iter().map(|value| (*value).to_owned()).collect());
        object.by_name.insert(name, id);
        Ok(id)
    }

    /// The instance that was allocated for these captures, if one was.
    pub fn find(&self, object: u16, key: &[&str]) -> Option<u16> {
        self.by_object.get(&object)?.by_name.get(&Name::new(key)).copied()
    }

    /// What this instance stands for; `None` if it was not allocated for captures.
    pub fn key(&self, object: u16, id: u16) -> Option<&Key> {
        self.by_object.get(&object)?.by_id.get(&id)
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_capture_is_the_same_instance_in_all_mappings_of_an_object() {
        let mut instances = Instances::default();
        assert_eq!(instances.find_or_allocate(0, 3416, &["21"]), Ok(0));
        assert_eq!(instances.find_or_allocate(0, 3416, &["7"]), Ok(1));
        assert_eq!(instances.find_or_allocate(1, 3416, &["7"]), Ok(1));
        assert_eq!(instances.find_or_allocate(1, 3303, &["7"]), Ok(0));
        assert_eq!(instances.key(3416, 1), Some(&vec!["7".to_owned()]));
        assert_eq!(instances.key(3416, 2), None);
    }

    #[test]
    fn reserved_ids_are_passed_over() {
        let mut instances = Instances::default();
        instances.reserve(3303, 0);
        instances.reserve(3303, 2);
        let ids = ["a", "b", "c"].map(|room| instances.find_or_allocate(0, 3303, &[room]).unwrap());
        assert_eq!(ids, [1, 3, 4]);
    }

    #[test]
    fn a_mapping_gets_no_more_than_its_bound_and_others_are_not_hindered() {
        let mut instances = Instances::default();
        for room in 0..MAX_PER_MAPPING {
            instances.find_or_allocate(0, 3303, &[&room.to_string()]).unwrap();
        }
        assert_eq!(instances.find_or_allocate(0, 3303, &["one more"]), Err(InstanceError::Full));
        assert_eq!(instances.find_or_allocate(0, 3303, &["0"]), Ok(0));
        assert_eq!(instances.find_or_allocate(1, 3303, &["one more"]), Ok(MAX_PER_MAPPING as u16));
        assert_eq!(instances.find_or_allocate(0, 3303, &["one more"]), Err(InstanceError::Full));
    }

    #[test]
    fn long_and_empty_captures_are_refused() {
        let mut instances = Instances::default();
        let long = "x".repeat(MAX_CAPTURE_OCTETS + 1);
        assert_eq!(instances.find_or_allocate(0, 3303, &[&long]), Err(InstanceError::BadCapture));
        assert_eq!(instances.find_or_allocate(0, 3303, &[""]), Err(InstanceError::BadCapture));
    }

    proptest! {
        #[test]
        fn ids_and_captures_stay_one_to_one(steps in prop::collection::vec((0_usize..3, "[a-c]{1,2}"), 0..60)) {
            let mut instances = Instances::default();
            let mut seen = BTreeMap::new();
            for (mapping, room) in steps {
                let id = instances.find_or_allocate(mapping, 3303, &[&room]).unwrap();
                prop_assert_eq!(*seen.entry(room.clone()).or_insert(id), id);
                prop_assert_eq!(instances.key(3303, id), Some(&vec![room]));
            }
            let ids: BTreeSet<_> = seen.values().collect();
            prop_assert_eq!(ids.len(), seen.len());
        }
    }
}
