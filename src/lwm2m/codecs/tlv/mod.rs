//! TLV, Content-Format 11542 (LwM2M Core 1.1.1 §7.4.3): shortest form out, any valid form in.
//!
//! | addressed | content |
//! |---|---|
//! | object | object instances, each with its resources |
//! | instance | its resources; a reader also takes them wrapped in their instance |
//! | resource | one resource, or one multiple resource with its instances |
//! | resource instance | one resource instance; a reader also takes it wrapped in its resource |

use std::collections::{BTreeMap, BTreeSet};

use super::{CodecError, Format, UNNAMED, resource_at};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value, ValueType};

/// Greatest length that the 24 bits of a length field count.
const MAX_LENGTH: usize = 0xff_ffff;

/// What an element is: bits 7 and 6 of its first octet (TLV-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ObjectInstance = 0b00,
    ResourceInstance = 0b01,
    MultipleResource = 0b10,
    Resource = 0b11,
}

/// Writes the entries as the content of `base`; all lie below it.
pub(super) fn encode(base: Path, entries: &[Entry]) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![];
    match base.depth() {
        0 => return Err(CodecError::NoForm { format: Format::Tlv, base }),
        1 => write_instances(&mut out, entries)?,
        2 => entries.iter().try_for_each(|entry| write_resource(&mut out, entry))?,
        3 => match entries {
            [entry] => write_resource(&mut out, entry)?,
            _ => return Err(CodecError::NotOneValue { format: Format::Tlv }),
        },
        _ => match entries {
            [Entry { path, content: Content::Multiple(values) }] if values.len() == 1 => {
                write_resource_instances(&mut out, *path, values)?;
            }
            _ => return Err(CodecError::NotOneValue { format: Format::Tlv }),
        },
    }
    Ok(out)
}

/// Reads the content of `base`; see [`super::decode`].
pub(super) fn decode(base: Path, payload: &[u8], model: &Model) -> Result<Vec<Entry>, CodecError> {
    let mut reading = Reading { base, model, found: BTreeMap::new() };
    match base.depth() {
        0 => return Err(CodecError::NoForm { format: Format::Tlv, base }),
        1 => reading.object(payload)?,
        2 => reading.instance(base, unwrapped(base, payload))?,
        3 => reading.resource(payload)?,
        _ => reading.resource_instance(payload)?,
    }
    Ok(reading.entries())
}

/// Reads new instances of `object`: each in its wrapper, or the bare resources of one without ID (TLV-06).
///
/// Gives the IDs of the wrappers, and the entries below them; those of a bare one lie under [`UNNAMED`].
pub(super) fn decode_new(
    object: Path,
    payload: &[u8],
    model: &Model,
) -> Result<(BTreeSet<u16>, Vec<Entry>), CodecError> {
    let mut reading = Reading { base: object, model, found: BTreeMap::new() };
    let mut named = BTreeSet::new();
    let is_bare = matches!(
        Elements::new(payload).next().transpose()?,
        Some(Element { kind: Kind::Resource | Kind::MultipleResource, .. })
    );
    if is_bare {
        let unnamed = Path::instance_of(object.object().unwrap_or_default(), UNNAMED);
        reading.instance(unnamed, payload)?;
    } else {
        reading.object(payload)?;
        for element in Elements::new(payload) {
            let id = element?.id;
            if !named.insert(id) {
                return Err(CodecError::Twice(object.child(id).unwrap_or(object)));
            }
        }
    }
    Ok((named, reading.entries()))
}

// Writing.

fn write_instances(out: &mut Vec<u8>, entries: &[Entry]) -> Result<(), CodecError> {
    let mut instances: BTreeMap<u16, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        instances.entry(entry.path.instance().unwrap_or_default()).or_default().push(entry);
    }
    for (id, entries) in instances {
        let mut inner = vec![];
        entries.iter().try_for_each(|entry| write_resource(&mut inner, entry))?;
        let path = entries.first().and_then(|entry| entry.path.parent()).unwrap_or_default();
        write_element(out, Kind::ObjectInstance, id, &inner, path)?;
    }
    Ok(())
}

fn write_resource(out: &mut Vec<u8>, entry: &Entry) -> Result<(), CodecError> {
    let id = entry.path.resource().unwrap_or_default();
    match &entry.content {
        Content::Single(value) => write_value(out, Kind::Resource, id, value, entry.path),
        Content::Multiple(values) => {
            let mut inner = vec![];
            write_resource_instances(&mut inner, entry.path, values)?;
            write_element(out, Kind::MultipleResource, id, &inner, entry.path)
        }
    }
}

fn write_resource_instances(
    out: &mut Vec<u8>,
    path: Path,
    values: &[(u16, Value)],
) -> Result<(), CodecError> {
    values.iter().try_for_each(|(id, value)| write_value(out, Kind::ResourceInstance, *id, value, path))
}

/// Header in its shortest form (TLV-02), then the content.
fn write_element(
    out: &mut Vec<u8>,
    kind: Kind,
    id: u16,
    content: &[u8],
    path: Path,
) -> Result<(), CodecError> {
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= MAX_LENGTH);
    let [_, high, middle, low] = length.ok_or(CodecError::TooLong(path))?.to_be_bytes();
    let (length_bits, length_octets): (u8, &[u8]) = match content.len() {
        0..=7 => (low, &[]),
        8..=0xff => (0b01 << 3, &[low]),
        0x100..=0xffff => (0b10 << 3, &[middle, low]),
        _ => (0b11 << 3, &[high, middle, low]),
    };
    let [id_high, id_low] = id.to_be_bytes();
    let wide = u8::from(id_high != 0);
    out.push((kind as u8) << 6 | wide << 5 | length_bits);
    if wide == 1 {
        out.push(id_high);
    }
    out.push(id_low);
    out.extend_from_slice(length_octets);
    out.extend_from_slice(content);
    Ok(())
}

/// An element with a value in its shortest form (TLV-03).
fn write_value(out: &mut Vec<u8>, kind: Kind, id: u16, value: &Value, path: Path) -> Result<(), CodecError> {
    let mut write = |octets: &[u8]| write_element(out, kind, id, octets, path);
    match value {
        Value::String(text) | Value::CoreLink(text) => write(text.as_bytes()),
        Value::Integer(number) | Value::Time(number) => {
            write(&number.to_be_bytes()[8 - signed_width(*number)..])
        }
        // With room for a sign: Leshan reads 0xff as -1, and then as 2^64 - 1.
        Value::Unsigned(number) => {
            write(&number.to_be_bytes()[8 - i64::try_from(*number).map_or(8, signed_width)..])
        }
        Value::Float(number) if !number.is_finite() => Err(CodecError::NotFinite(path)),
        // Four octets if they hold the very same number, else eight.
        Value::Float(number) => match *number as f32 {
            short if f64::from(short) == *number => write(&short.to_be_bytes()),
            _ => write(&number.to_be_bytes()),
        },
        Value::Boolean(truth) => write(&[u8::from(*truth)]),
        Value::Opaque(octets) => write(octets),
        Value::ObjectLink(object, instance) => {
            write(&[object.to_be_bytes(), instance.to_be_bytes()].concat())
        }
    }
}

/// Octets that hold this number, of 1, 2, 4 and 8.
fn signed_width(number: i64) -> usize {
    match number {
        _ if i8::try_from(number).is_ok() => 1,
        _ if i16::try_from(number).is_ok() => 2,
        _ if i32::try_from(number).is_ok() => 4,
        _ => 8,
    }
}

// Reading.

/// One element of a payload.
struct Element<'a> {
    kind: Kind,
    id: u16,
    content: &'a [u8],
    /// Where it starts, counted within its parent.
    at: usize,
}

/// The elements of one level, one after another; ends after the first fault.
struct Elements<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.octets.len() {
            return None;
        }
        let at = self.at;
        let element = self.read();
        if element.is_none() {
            self.at = self.octets.len();
        }
        Some(match element {
            Some(element) if element.id == u16::MAX => Err(CodecError::ReservedId),
            Some(element) => Ok(element),
            None => Err(CodecError::CutShort(at)),
        })
    }
}

impl<'a> Elements<'a> {
    const fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    fn read(&mut self) -> Option<Element<'a>> {
        let at = self.at;
        let first = usize::from(*self.take(1)?.first()?);
        let kind = match first >> 6 {
            0b00 => Kind::ObjectInstance,
            0b01 => Kind::ResourceInstance,
            0b10 => Kind::MultipleResource,
            _ => Kind::Resource,
        };
        let id = self.number(1 + (first >> 5 & 1))?;
        let length = match first >> 3 & 0b11 {
            0 => first & 0b111,
            length_octets => self.number(length_octets)?,
        };
        let content = self.take(length)?;
        Some(Element { kind, id: u16::try_from(id).ok()?, content, at })
    }

    /// A big-endian number of up to three octets.
    fn number(&mut self, len_octets: usize) -> Option<usize> {
        Some(self.take(len_octets)?.iter().fold(0, |number, octet| number << 8 | usize::from(*octet)))
    }

    fn take(&mut self, len_octets: usize) -> Option<&'a [u8]> {
        let taken = self.octets.get(self.at..self.at.checked_add(len_octets)?)?;
        self.at += len_octets;
        Some(taken)
    }
}

/// The content of the instance that wraps the whole payload of `base`, or the payload itself (TLV-04).
fn unwrapped(base: Path, payload: &[u8]) -> &[u8] {
    let mut elements = Elements::new(payload);
    match (elements.next(), elements.next()) {
        (Some(Ok(Element { kind: Kind::ObjectInstance, id, content, .. })), None)
            if base.instance() == Some(id) =>
        {
            content
        }
        _ => payload,
    }
}

struct Reading<'a> {
    base: Path,
    model: &'a Model,
    found: BTreeMap<Path, Content>,
}

impl Reading<'_> {
    fn entries(self) -> Vec<Entry> {
        self.found.into_iter().map(|(path, content)| Entry { path, content }).collect()
    }

    fn object(&mut self, payload: &[u8]) -> Result<(), CodecError> {
        for element in Elements::new(payload) {
            let Element { kind, id, content, at } = element?;
            match kind {
                Kind::ObjectInstance => {
                    self.instance(self.base.child(id).ok_or(CodecError::ReservedId)?, content)?;
                }
                Kind::Resource | Kind::MultipleResource => return Err(CodecError::InstanceMissing),
                Kind::ResourceInstance => return Err(CodecError::Unexpected(at)),
            }
        }
        Ok(())
    }

    /// The resources of one instance; unknown ones are left out (WR-09), but of an unknown object all would be.
    fn instance(&mut self, path: Path, payload: &[u8]) -> Result<(), CodecError> {
        if path.object().is_none_or(|object| self.model.object(object).is_none()) {
            return Err(CodecError::Unknown(path));
        }
        for element in Elements::new(payload) {
            let element = element?;
            let resource = path.child(element.id).ok_or(CodecError::ReservedId)?;
            match (element.kind, resource_at(resource, self.model)) {
                (Kind::Resource | Kind::MultipleResource, Err(CodecError::Unknown(_))) => {}
                (Kind::Resource | Kind::MultipleResource, _) => self.content(resource, &element)?,
                (Kind::ObjectInstance, _) => {
                    return Err(CodecError::OutsidePath {
                        base: self.base,
                        found: sibling(path, element.id),
                    });
                }
                (Kind::ResourceInstance, _) => return Err(CodecError::Unexpected(element.at)),
            }
        }
        Ok(())
    }

    fn resource(&mut self, payload: &[u8]) -> Result<(), CodecError> {
        let definition = resource_at(self.base, self.model)?;
        let mut elements = Elements::new(unwrapped(self.base, payload));
        let Some(element) = elements.next().transpose()? else {
            // No element at all is how some writers empty a multiple-instance resource (WR-03).
            let empty = Content::Multiple(vec![]);
            let shape = CodecError::Shape(self.base);
            return if definition.multiple { self.keep(self.base, empty) } else { Err(shape) };
        };
        if !matches!(element.kind, Kind::Resource | Kind::MultipleResource) {
            return Err(CodecError::Unexpected(element.at));
        }
        let found = sibling(self.base, element.id);
        if found != self.base {
            return Err(CodecError::OutsidePath { base: self.base, found });
        }
        self.content(self.base, &element)?;
        elements.next().map_or(Ok(()), |more| Err(CodecError::Unexpected(more?.at)))
    }

    fn resource_instance(&mut self, payload: &[u8]) -> Result<(), CodecError> {
        let resource = self.base.parent().unwrap_or_default();
        if !resource_at(resource, self.model)?.multiple {
            return Err(CodecError::Shape(resource));
        }
        let mut outer = Elements::new(payload);
        let wrapped = match (outer.next(), outer.next()) {
            (Some(Ok(Element { kind: Kind::MultipleResource, id, content, .. })), None)
                if resource.resource() == Some(id) =>
            {
                content
            }
            _ => payload,
        };
        let values = self.resource_instances(resource, wrapped)?;
        match values.as_slice() {
            [(id, _)] if self.base.resource_instance() == Some(*id) => {
                self.keep(resource, Content::Multiple(values))
            }
            [(id, _), ..] => Err(CodecError::OutsidePath { base: self.base, found: sibling(self.base, *id) }),
            [] => Err(CodecError::NotOneValue { format: Format::Tlv }),
        }
    }

    /// The content of one resource or multiple-resource element.
    fn content(&mut self, path: Path, element: &Element<'_>) -> Result<(), CodecError> {
        let definition = resource_at(path, self.model)?;
        let has_instances = element.kind == Kind::MultipleResource;
        if definition.multiple != has_instances {
            return Err(CodecError::Shape(path));
        }
        let content = if has_instances {
            Content::Multiple(self.resource_instances(path, element.content)?)
        } else {
            Content::Single(value(path, definition.value_type, element.content)?)
        };
        self.keep(path, content)
    }

    fn resource_instances(&self, path: Path, payload: &[u8]) -> Result<Vec<(u16, Value)>, CodecError> {
        let value_type = resource_at(path, self.model)?.value_type;
        let mut values = BTreeMap::new();
        for element in Elements::new(payload) {
            let Element { kind, id, content, at } = element?;
            if kind != Kind::ResourceInstance {
                return Err(CodecError::Unexpected(at));
            }
            let instance = path.child(id).ok_or(CodecError::ReservedId)?;
            if values.insert(id, value(instance, value_type, content)?).is_some() {
                return Err(CodecError::Twice(instance));
            }
        }
        Ok(values.into_iter().collect())
    }

    fn keep(&mut self, path: Path, content: Content) -> Result<(), CodecError> {
        match self.found.insert(path, content) {
            Some(_) => Err(CodecError::Twice(path)),
            None => Ok(()),
        }
    }
}

/// The path with another last identifier.
fn sibling(path: Path, id: u16) -> Path {
    path.parent().and_then(|parent| parent.child(id)).unwrap_or(path)
}

fn value(path: Path, value_type: ValueType, octets: &[u8]) -> Result<Value, CodecError> {
    let fault = |why| CodecError::Value { path, value_type, why };
    let text = || String::from_utf8(octets.to_vec()).map_err(|_| fault("not UTF-8"));
    let width = || fault("a number has 1, 2, 4 or 8 octets");
    Ok(match value_type {
        ValueType::String => Value::String(text()?),
        ValueType::CoreLink => Value::CoreLink(text()?),
        ValueType::Integer => Value::Integer(signed(octets).ok_or_else(width)?),
        ValueType::Time => Value::Time(signed(octets).ok_or_else(width)?),
        ValueType::Unsigned => Value::Unsigned(unsigned(octets).ok_or_else(width)?),
        ValueType::Float => {
            Value::Float(float(octets).ok_or_else(|| fault("a finite number of 4 or 8 octets is expected"))?)
        }
        ValueType::Boolean => match octets {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            _ => return Err(fault("one octet, 0 or 1, is expected")),
        },
        ValueType::Opaque => Value::Opaque(octets.to_vec()),
        ValueType::ObjectLink => match *octets {
            [a, b, c, d] => Value::ObjectLink(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => return Err(fault("four octets are expected")),
        },
        ValueType::Execute => return Err(CodecError::Executable(path)),
    })
}

fn signed(octets: &[u8]) -> Option<i64> {
    Some(match *octets {
        [a] => i64::from(i8::from_be_bytes([a])),
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        _ => i64::from_be_bytes(octets.try_into().ok()?),
    })
}

fn unsigned(octets: &[u8]) -> Option<u64> {
    matches!(octets.len(), 1 | 2 | 4 | 8)
        .then(|| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

fn float(octets: &[u8]) -> Option<f64> {
    let number = match *octets {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        _ => f64::from_be_bytes(octets.try_into().ok()?),
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
pub(super) mod tests;
