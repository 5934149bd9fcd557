//! What the object registry says: names, types, operations, ranges and units of objects and resources.
//!
//! Which version of an object counts is decided here too ([`Model`]); values are kept elsewhere.

mod range;
mod registry;
mod version;

pub use range::Range;
pub use registry::{ObjectDef, Operations, ResourceDef};
pub use version::{Version, VersionError, implied_version};

use std::collections::BTreeMap;

use super::value::{Value, ValueType};

/// One version of every registered object: the definitions that one client goes by.
///
/// A core object has the version that the enabler implies, so that no `ver` is spent on it and every server
/// has it. Any other object has the newest version that does not ask for a later enabler; if all do, the oldest.
/// [`Model::select`] takes another one, e.g. the version that a client announced.
#[derive(Debug, Clone)]
pub struct Model {
    enabler: Version,
    objects: BTreeMap<u16, &'static ObjectDef>,
}

/// Why a value is none of this resource (TYP-03).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another type than the registry's.
    #[error("{name} takes {expected:?}, not {found:?}")]
    Type {
        /// Name of the resource.
        name: &'static str,
        /// Its type.
        expected: ValueType,
        /// Type of the value.
        found: ValueType,
    },
    /// Outside the range or enumeration of the registry.
    #[error("{name} takes {range}")]
    Range {
        /// Name of the resource.
        name: &'static str,
        /// The range as the registry writes it.
        range: &'static str,
    },
    /// NaN or an infinity (TYP-05).
    #[error("{name} takes finite numbers only")]
    NotFinite {
        /// Name of the resource.
        name: &'static str,
    },
}

impl Model {
    /// The registry built into the program, for LwM2M 1.1.
    pub fn builtin() -> Self {
        Self::for_enabler(Version::V1_1)
    }

    /// The registry built into the program, for this version of the enabler.
    pub fn for_enabler(enabler: Version) -> Self {
        let mut objects = BTreeMap::new();
        for candidate in registry::all() {
            let chosen = objects.entry(candidate.id).or_insert(candidate);
            if is_better(candidate, chosen, enabler) {
                *chosen = candidate;
            }
        }
        Self { enabler, objects }
    }

    /// Goes by this version of the object from now on; false (and no change) if the registry has no such version.
    pub fn select(&mut self, object: u16, version: Version) -> bool {
        let Some(found) = registry::find(object, version) else { return false };
        self.objects.insert(object, found);
        true
    }

    /// The enabler this model was made for.
    pub const fn enabler(&self) -> Version {
        self.enabler
    }

    /// All objects by ascending ID.
    pub fn objects(&self) -> impl Iterator<Item = &'static ObjectDef> + '_ {
        self.objects.values().copied()
    }

    /// The object with this ID.
    pub fn object(&self, object: u16) -> Option<&'static ObjectDef> {
        self.objects.get(&object).copied()
    }

    /// The resource with this ID in this object.
    pub fn resource(&self, object: u16, resource: u16) -> Option<&'static ResourceDef> {
        self.object(object)?.resource(resource)
    }

    /// The version to announce with `ver`: that of the object unless the enabler implies it (REG-12).
    pub fn announced_version(&self, object: u16) -> Option<Version> {
        let version = self.object(object)?.version;
        (version != implied_version(self.enabler, object)).then_some(version)
    }
}

impl ResourceDef {
    /// The value has the type of this resource and lies in its range.
    ///
    /// # Errors
    /// Says which of them it fails.
    pub fn check(&self, value: &Value) -> Result<(), Misfit> {
        let name = self.name;
        if value.value_type() != self.value_type {
            return Err(Misfit::Type { name, expected: self.value_type, found: value.value_type() });
        }
        if matches!(value, Value::Float(number) if !number.is_finite()) {
            return Err(Misfit::NotFinite { name });
        }
        match &self.range {
            Some(range) if !range.contains(value) => Err(Misfit::Range { name, range: self.range_text }),
            _ => Ok(()),
        }
    }
}

/// `candidate` is to be preferred to `chosen`: the implied version first, then the newest within the enabler.
fn is_better(candidate: &ObjectDef, chosen: &ObjectDef, enabler: Version) -> bool {
    let rank = |def: &ObjectDef| {
        let implied = version::is_core(def.id) && def.version == implied_version(enabler, def.id);
        let usable = def.enabler <= enabler;
        // Among versions that all ask for more than we speak, the oldest asks for least.
        (implied, usable, if usable { i32::from(def.version) } else { -i32::from(def.version) })
    };
    rank(candidate) > rank(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_of(model: &Model, object: u16) -> String {
        model.object(object).unwrap().version.to_string()
    }

    #[test]
    fn core_objects_have_the_version_the_enabler_implies_and_are_not_announced() {
        let model = Model::builtin();
        assert_eq!([1, 3, 4, 5].map(|id| version_of(&model, id)), ["1.1", "1.1", "1.2", "1.0"]);
        let old = Model::for_enabler(Version::V1_0);
        assert_eq!([1, 3, 4, 5].map(|id| version_of(&old, id)), ["1.0", "1.0", "1.0", "1.0"]);
        assert!([1, 3, 4, 5].iter().all(|id| model.announced_version(*id).is_none()));
        assert!([1, 3, 4, 5].iter().all(|id| old.announced_version(*id).is_none()));
    }

    #[test]
    fn other_objects_have_their_newest_usable_version_and_announce_all_but_1_0() {
        let model = Model::builtin();
        assert_eq!(model.announced_version(3303).unwrap().to_string(), "1.1");
        assert_eq!(model.announced_version(3301).unwrap(), model.object(3301).unwrap().version);
        let plain =
            model.objects().find(|object| object.id > 3000 && object.version == Version::V1_0).unwrap();
        assert_eq!(model.announced_version(plain.id), None);
        // Event Log 2.1 asks for LwM2M 1.1.
        assert_eq!(version_of(&model, 20), "2.1");
        assert_eq!(version_of(&Model::for_enabler(Version::V1_0), 20), "2.0");
    }

    #[test]
    fn select_takes_a_registered_version_and_refuses_others() {
        let mut model = Model::builtin();
        assert!(model.resource(3303, 5518).is_some());
        assert!(model.select(3303, Version::V1_0));
        assert!(model.resource(3303, 5518).is_none() && model.announced_version(3303).is_none());
        assert!(!model.select(3303, Version::new(7, 0)));
        assert_eq!(version_of(&model, 3303), "1.0");
    }

    #[test]
    fn resources_tell_type_operations_units_and_shape() {
        let model = Model::builtin();
        let value = model.resource(3303, 5700).unwrap();
        assert_eq!((value.name, value.value_type), ("Sensor Value", ValueType::Float));
        assert!(value.operations.is_readable() && !value.operations.is_writable());
        assert!(value.mandatory && !value.multiple && value.units.is_none());
        assert!(model.resource(3, 4).unwrap().operations.is_executable());
        assert!(model.resource(3, 11).unwrap().multiple);
        assert_eq!(model.resource(3, 9).unwrap().units, Some("%"));
        assert_eq!(model.object(3303).unwrap().name, "Temperature");
        assert!(!model.object(3).unwrap().multiple && model.object(3).unwrap().mandatory);
    }

    #[test]
    fn values_outside_type_range_or_reason_are_refused_typ_03_typ_05() {
        let model = Model::builtin();
        let battery = model.resource(3, 9).unwrap();
        assert_eq!(battery.check(&Value::Integer(100)), Ok(()));
        assert!(matches!(battery.check(&Value::Integer(101)), Err(Misfit::Range { range: "0..100", .. })));
        assert!(matches!(battery.check(&Value::Float(1.0)), Err(Misfit::Type { .. })));
        let temperature = model.resource(3303, 5700).unwrap();
        assert!(matches!(temperature.check(&Value::Float(f64::NAN)), Err(Misfit::NotFinite { .. })));
    }
}
