//! The registry's tables, read once: every version of every object with its resources.

use std::sync::OnceLock;

use super::range::Range;
use super::version::Version;
use crate::lwm2m::value::ValueType;

/// One version of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectDef {
    /// Object ID.
    pub id: u16,
    /// Version of this definition.
    pub version: Version,
    /// Oldest version of the enabler that has it.
    pub enabler: Version,
    /// Name in the registry.
    pub name: &'static str,
    /// May have several instances; else instance 0 alone.
    pub multiple: bool,
    /// Every client has it.
    pub mandatory: bool,
    resources: Vec<ResourceDef>,
}

impl ObjectDef {
    /// Its resources by ascending ID.
    pub fn resources(&self) -> &[ResourceDef] {
        &self.resources
    }

    /// The resource with this ID.
    pub fn resource(&self, resource: u16) -> Option<&ResourceDef> {
        let found = self.resources.binary_search_by_key(&resource, |def| def.id).ok()?;
        self.resources.get(found)
    }
}

/// A resource of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceDef {
    /// Resource ID.
    pub id: u16,
    /// Name in the registry.
    pub name: &'static str,
    /// What a server may do with it.
    pub operations: Operations,
    /// May have several resource instances.
    pub multiple: bool,
    /// Every instance of the object has it.
    pub mandatory: bool,
    /// Type of its values; [`ValueType::Execute`] if it has none.
    pub value_type: ValueType,
    /// Range or enumeration, where the registry's text gives one.
    pub range: Option<Range>,
    /// Range or enumeration as the registry writes it; empty if there is none.
    pub range_text: &'static str,
    /// Unit, e.g. `Cel`.
    pub units: Option<&'static str>,
}

/// What a server may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operations {
    /// Nothing outside bootstrap.
    None,
    /// R
    Read,
    /// W
    Write,
    /// RW
    ReadWrite,
    /// E
    Execute,
}

impl Operations {
    /// R or RW.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// W or RW.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    /// E.
    pub const fn is_executable(self) -> bool {
        matches!(self, Self::Execute)
    }
}

/// `object version lwm2m instances mandatory name`, by ascending object and version.
const OBJECTS: &str = include_str!("../../../registry/objects.tsv");
/// `object version resource name operations instances mandatory type range units`.
const RESOURCES: &str = include_str!("../../../registry/resources.tsv");

/// All definitions, by ascending object ID and version.
pub(super) fn all() -> &'static [ObjectDef] {
    static REGISTRY: OnceLock<Vec<ObjectDef>> = OnceLock::new();
    REGISTRY.get_or_init(|| parse(OBJECTS, RESOURCES))
}

/// The definition of this version of the object.
pub(super) fn find(object: u16, version: Version) -> Option<&'static ObjectDef> {
    let found = all().binary_search_by_key(&(object, version), |def| (def.id, def.version)).ok()?;
    all().get(found)
}

/// A line that does not read is left out; a test sees to it that there is none.
fn parse(objects: &'static str, resources: &'static str) -> Vec<ObjectDef> {
    let mut definitions: Vec<_> = objects.lines().skip(1).filter_map(object).collect();
    definitions.sort_by_key(|def| (def.id, def.version));
    for (id, version, resource) in resources.lines().skip(1).filter_map(resource) {
        if let Ok(found) = definitions.binary_search_by_key(&(id, version), |def| (def.id, def.version)) {
            definitions[found].resources.push(resource);
        }
    }
    for definition in &mut definitions {
        definition.resources.sort_by_key(|resource| resource.id);
    }
    definitions
}

fn object(line: &'static str) -> Option<ObjectDef> {
    let mut fields = line.split('\t');
    Some(ObjectDef {
        id: fields.next()?.parse().ok()?,
        version: fields.next()?.parse().ok()?,
        enabler: fields.next()?.parse().ok()?,
        multiple: choice(fields.next()?, "Multiple", "Single")?,
        mandatory: choice(fields.next()?, "Mandatory", "Optional")?,
        name: fields.next()?,
        resources: vec![],
    })
}

fn resource(line: &'static str) -> Option<(u16, Version, ResourceDef)> {
    let mut fields = line.split('\t');
    let object = fields.next()?.parse().ok()?;
    let version = fields.next()?.parse().ok()?;
    let mut definition = ResourceDef {
        id: fields.next()?.parse().ok()?,
        name: fields.next()?,
        operations: operations(fields.next()?)?,
        multiple: choice(fields.next()?, "Multiple", "Single")?,
        mandatory: choice(fields.next()?, "Mandatory", "Optional")?,
        value_type: value_type(fields.next()?)?,
        range: None,
        range_text: given(fields.next()?).unwrap_or(""),
        units: given(fields.next()?),
    };
    definition.range = Range::read(definition.range_text, definition.value_type);
    Some((object, version, definition))
}

fn given(field: &'static str) -> Option<&'static str> {
    (field != "-").then_some(field)
}

fn choice(field: &str, yes: &str, no: &str) -> Option<bool> {
    if field == yes {
        return Some(true);
    }
    (field == no).then_some(false)
}

fn operations(field: &str) -> Option<Operations> {
    Some(match field {
        "-" => Operations::None,
        "R" => Operations::Read,
        "W" => Operations::Write,
        "RW" => Operations::ReadWrite,
        "E" => Operations::Execute,
        _ => return None,
    })
}

fn value_type(field: &str) -> Option<ValueType> {
    Some(match field {
        "String" => ValueType::String,
        "Integer" => ValueType::Integer,
        "Unsigned Integer" => ValueType::Unsigned,
        "Float" => ValueType::Float,
        "Boolean" => ValueType::Boolean,
        "Opaque" => ValueType::Opaque,
        "Time" => ValueType::Time,
        "Objlnk" => ValueType::ObjectLink,
        "Corelnk" => ValueType::CoreLink,
        "-" => ValueType::Execute,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_reads() {
        assert_eq!(all().len(), OBJECTS.lines().count() - 1);
        let resources: usize = all().iter().map(|object| object.resources.len()).sum();
        assert_eq!(resources, RESOURCES.lines().count() - 1);
    }

    #[test]
    fn no_object_version_and_no_resource_is_there_twice() {
        assert!(all().windows(2).all(|pair| (pair[0].id, pair[0].version) < (pair[1].id, pair[1].version)));
        for object in all() {
            assert!(object.resources.windows(2).all(|pair| pair[0].id < pair[1].id), "{}", object.name);
        }
    }

    #[test]
    fn executables_are_those_without_a_type() {
        for resource in all().iter().flat_map(ObjectDef::resources) {
            assert_eq!(resource.operations.is_executable(), resource.value_type == ValueType::Execute);
        }
    }
}
