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
        Content::Single(value) => {
            write_element(out, Kind::Resource, id, &octets(entry.path, value)?, entry.path)
        }
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
    values.iter().try_for_each(|(id, value)| {
        write_element(out, Kind::ResourceInstance, *id, &octets(path, value)?, path)
    })
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

/// A value in its shortest form (TLV-03).
fn octets(path: Path, value: &Value) -> Result<Vec<u8>, CodecError> {
    Ok(match value {
        Value::String(text) | Value::CoreLink(text) => text.as_bytes().to_vec(),
        Value::Integer(number) | Value::Time(number) => shortest_signed(*number),
        Value::Unsigned(number) => shortest_unsigned(*number),
        Value::Float(number) => shortest_float(*number).ok_or(CodecError::NotFinite(path))?,
        Value::Boolean(truth) => vec![u8::from(*truth)],
        Value::Opaque(octets) => octets.clone(),
        Value::ObjectLink(object, instance) => [object.to_be_bytes(), instance.to_be_bytes()].concat(),
    })
}

fn shortest_signed(number: i64) -> Vec<u8> {
    if let Ok(number) = i8::try_from(number) {
        return number.to_be_bytes().to_vec();
    }
    if let Ok(number) = i16::try_from(number) {
        return number.to_be_bytes().to_vec();
    }
    i32::try_from(number)
        .map_or_else(|_| number.to_be_bytes().to_vec(), |number| number.to_be_bytes().to_vec())
}

fn shortest_unsigned(number: u64) -> Vec<u8> {
    if let Ok(number) = u8::try_from(number) {
        return vec![number];
    }
    if let Ok(number) = u16::try_from(number) {
        return number.to_be_bytes().to_vec();
    }
    u32::try_from(number)
        .map_or_else(|_| number.to_be_bytes().to_vec(), |number| number.to_be_bytes().to_vec())
}

/// Four octets if they hold the very same number, else eight; `None` for what is not finite.
fn shortest_float(number: f64) -> Option<Vec<u8>> {
    let short = number as f32;
    match number {
        _ if !number.is_finite() => None,
        _ if f64::from(short) == number => Some(short.to_be_bytes().to_vec()),
        _ => Some(number.to_be_bytes().to_vec()),
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
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
    }

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    fn single(at: &str, value: Value) -> Entry {
        Entry { path: path(at), content: Content::Single(value) }
    }

    fn multiple(at: &str, values: Vec<(u16, Value)>) -> Entry {
        Entry { path: path(at), content: Content::Multiple(values) }
    }

    /// Writing gives these octets, and reading them gives the entries back.
    fn both_ways(base: &str, entries: Vec<Entry>, octets: &str) {
        assert_eq!(encode(path(base), &entries), Ok(hex(octets)), "{base}");
        assert_eq!(decode(path(base), &hex(octets), &Model::builtin()), Ok(entries), "{base}");
    }

    fn refused(base: &str, octets: &str) -> CodecError {
        decode(path(base), &hex(octets), &Model::builtin()).unwrap_err()
    }

    #[test]
    fn numbers_take_the_shortest_form_tlv_03() {
        for (number, octets) in [
            (25, "C1 01 19"),
            (-1, "C1 01 FF"),
            (300, "C2 01 01 2C"),
            (86400, "C4 01 00 01 51 80"),
            (1 << 40, "C8 01 08 00 00 01 00 00 00 00 00"),
        ] {
            both_ways("/1/0/1", vec![single("/1/0/1", Value::Integer(number))], octets);
        }
        both_ways("/3/0/13", vec![single("/3/0/13", Value::Time(1_767_225_600))], "C4 0D 69 55 B9 00");
        both_ways("/3303/0/5700", vec![single("/3303/0/5700", Value::Float(22.5))], "E4 16 44 41 B4 00 00");
        both_ways(
            "/3303/0/5700",
            vec![single("/3303/0/5700", Value::Float(0.1))],
            "E8 16 44 08 3F B9 99 99 99 99 99 9A",
        );
    }

    #[test]
    fn other_types_have_their_octets_tlv_03() {
        both_ways("/3306/0/5850", vec![single("/3306/0/5850", Value::Boolean(true))], "E1 16 DA 01");
        both_ways("/3/0/14", vec![single("/3/0/14", Value::String(String::new()))], "C0 0E");
        let maker = Value::String("Open Mobile Alliance".into());
        both_ways(
            "/3/0/0",
            vec![single("/3/0/0", maker)],
            "C8 00 14 4F 70 65 6E 20 4D 6F 62 69 6C 65 20 41 6C 6C 69 61 6E 63 65",
        );
        let links = multiple("/3/0/22", vec![(0, Value::ObjectLink(66, 0))]);
        both_ways("/3/0/22", vec![links], "86 16 44 00 00 42 00 00");
    }

    #[test]
    fn multiple_resources_are_kind_10_also_with_one_instance_or_none_tlv_05() {
        let sources = vec![(0, Value::Integer(1)), (1, Value::Integer(5))];
        both_ways("/3/0/6", vec![multiple("/3/0/6", sources)], "86 06 41 00 01 41 01 05");
        let volts = vec![(0, Value::Integer(3800)), (1, Value::Integer(5000))];
        both_ways("/3/0/7", vec![multiple("/3/0/7", volts)], "88 07 08 42 00 0E D8 42 01 13 88");
        both_ways("/3/0/6", vec![multiple("/3/0/6", vec![])], "80 06");
        both_ways("/3/0/6/300", vec![multiple("/3/0/6", vec![(300, Value::Integer(1))])], "61 01 2C 01");
    }

    #[test]
    fn objects_hold_instances_and_instances_stand_bare_tlv_04() {
        let two =
            vec![single("/3303/0/5700", Value::Float(22.5)), single("/3303/1/5700", Value::Float(-4.0))];
        both_ways("/3303", two.clone(), "07 00 E4 16 44 41 B4 00 00 07 01 E4 16 44 C0 80 00 00");
        both_ways("/3303/0", vec![two[0].clone()], "E4 16 44 41 B4 00 00");
        let server = vec![single("/1/0/0", Value::Integer(1)), single("/1/0/1", Value::Integer(86400))];
        both_ways("/1", server.clone(), "08 00 09 C1 00 01 C4 01 00 01 51 80");
        both_ways("/3303", vec![], "");
        let wrapped = decode(path("/1/0"), &hex("08 00 09 C1 00 01 C4 01 00 01 51 80"), &Model::builtin());
        assert_eq!(wrapped, Ok(server));
    }

    #[test]
    fn header_grows_with_the_length_tlv_02() {
        for (length, header) in [
            (7, "C7 07"),
            (8, "C8 07 08"),
            (255, "C8 07 FF"),
            (256, "D0 07 01 00"),
            (65536, "D8 07 01 00 00"),
        ] {
            let mut out = vec![];
            write_element(&mut out, Kind::Resource, 7, &vec![0; length], Path::ROOT).unwrap();
            assert_eq!(out[..out.len() - length], hex(header));
        }
        let too_long = write_element(&mut vec![], Kind::Resource, 7, &vec![0; MAX_LENGTH + 1], Path::ROOT);
        assert_eq!(too_long, Err(CodecError::TooLong(Path::ROOT)));
    }

    #[test]
    fn longer_forms_than_needed_are_read_tlv_02() {
        let expected = Ok(vec![single("/1/0/1", Value::Integer(25))]);
        for octets in
            ["C8 01 01 19", "D0 01 00 01 19", "D8 01 00 00 01 19", "E1 00 01 19", "C4 01 00 00 00 19"]
        {
            assert_eq!(decode(path("/1/0/1"), &hex(octets), &Model::builtin()), expected, "{octets}");
        }
    }

    #[test]
    fn overrunning_lengths_are_refused_tlv_07() {
        for octets in ["C4 01 00", "C1", "C8 01", "D0 01 00", "FF FF", "C1 01 19 C1"] {
            assert!(matches!(refused("/1/0", octets), CodecError::CutShort(_)), "{octets}");
        }
        // The resource instance is longer than the resource around it.
        assert_eq!(refused("/3/0", "83 06 42 00 01"), CodecError::CutShort(0));
    }

    #[test]
    fn numbers_of_odd_width_and_wrong_values_are_refused() {
        for (base, octets) in [
            ("/1/0/1", "C3 01 00 00 01"),
            ("/1/0/1", "C0 01"),
            ("/3303/0/5700", "E2 16 44 00 00"),
            ("/3303/0/5700", "E4 16 44 7F C0 00 00"),
            ("/3306/0/5850", "E1 16 DA 02"),
            ("/3/0/14", "C1 0E FF"),
        ] {
            assert!(matches!(refused(base, octets), CodecError::Value { .. }), "{base} {octets}");
        }
    }

    #[test]
    fn elements_out_of_place_are_refused_wr_07_wr_08() {
        assert!(matches!(refused("/1/0/1", "C1 02 19"), CodecError::OutsidePath { .. }));
        assert!(matches!(refused("/1/0", "03 01 C1 01 19"), CodecError::OutsidePath { .. }));
        assert!(matches!(refused("/1/0/1", "C1 01 19 C1 01 19"), CodecError::Unexpected(3)));
        assert!(matches!(refused("/1/0", "C1 01 19 C1 01 19"), CodecError::Twice(_)));
        assert!(matches!(refused("/3/0/6", "86 06 41 00 01 41 00 05"), CodecError::Twice(_)));
        assert!(matches!(refused("/1/0/1", "83 01 41 00 01"), CodecError::Shape(_)));
        assert!(matches!(refused("/3/0/6", "C1 06 01"), CodecError::Shape(_)));
        assert_eq!(refused("/1", "C1 01 19"), CodecError::InstanceMissing);
        assert_eq!(refused("/1/0", "E1 FF FF 19"), CodecError::ReservedId);
        assert_eq!(refused("/3/0", "C0 04"), CodecError::Executable(path("/3/0/4")));
        assert_eq!(refused("/60000", "03 01 C1 01 19"), CodecError::Unknown(path("/60000/1")));
    }

    #[test]
    fn unknown_resources_of_an_instance_are_left_out_wr_09() {
        let read = decode(path("/1/0"), &hex("C1 01 19 E1 03 E7 07 80 F0"), &Model::builtin());
        assert_eq!(read, Ok(vec![single("/1/0/1", Value::Integer(25))]));
    }

    #[test]
    fn a_resource_instance_may_come_wrapped_in_its_resource() {
        let expected = Ok(vec![multiple("/3/0/6", vec![(1, Value::Integer(5))])]);
        assert_eq!(decode(path("/3/0/6/1"), &hex("83 06 41 01 05"), &Model::builtin()), expected);
        assert!(matches!(refused("/3/0/6/1", "41 00 05"), CodecError::OutsidePath { .. }));
        assert!(matches!(refused("/3/0/6/1", ""), CodecError::NotOneValue { .. }));
    }

    #[test]
    fn an_empty_payload_empties_a_multiple_resource_only() {
        let read = decode(path("/3/0/6"), &[], &Model::builtin());
        assert_eq!(read, Ok(vec![multiple("/3/0/6", vec![])]));
        assert!(matches!(refused("/1/0/1", ""), CodecError::Shape(..)));
    }

    /// Any value that can be sent.
    pub(in crate::lwm2m::codecs) fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            "\\PC{0,300}".prop_map(Value::String),
            any::<i64>().prop_map(Value::Integer),
            (-300_i64..300).prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            prop::num::f64::NORMAL.prop_map(Value::Float),
            prop::num::f32::NORMAL.prop_map(|number| Value::Float(f64::from(number))),
            any::<bool>().prop_map(Value::Boolean),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Opaque),
            any::<i64>().prop_map(Value::Time),
            any::<(u16, u16)>().prop_map(|(object, instance)| Value::ObjectLink(object, instance)),
            "\\PC{0,20}".prop_map(Value::CoreLink),
        ]
    }

    /// Entries of the Device object with their registered types, in ascending order.
    fn device_entries() -> impl Strategy<Value = Vec<Entry>> {
        let volts = prop::collection::btree_map(0_u16..65535, any::<i64>().prop_map(Value::Integer), 0..5);
        let links = prop::collection::btree_map(
            0_u16..9,
            any::<(u16, u16)>().prop_map(|(o, i)| Value::ObjectLink(o, i)),
            0..3,
        );
        ("\\PC{0,20}", volts, any::<i64>(), links).prop_map(|(maker, volts, time, links)| {
            vec![
                single("/3/0/0", Value::String(maker)),
                multiple("/3/0/7", volts.into_iter().collect()),
                single("/3/0/13", Value::Time(time)),
                multiple("/3/0/22", links.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back(sent in any_value()) {
            let octets = octets(Path::ROOT, &sent).unwrap();
            prop_assert_eq!(value(Path::ROOT, sent.value_type(), &octets), Ok(sent));
        }

        #[test]
        fn every_instance_and_object_reads_back(entries in device_entries()) {
            for base in ["/3/0", "/3"] {
                let octets = encode(path(base), &entries).unwrap();
                prop_assert_eq!(decode(path(base), &octets, &Model::builtin()), Ok(entries.clone()));
            }
        }

        #[test]
        fn damaged_payloads_do_not_panic(entries in device_entries(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut octets = encode(path("/3"), &entries).unwrap();
            let at = at.index(octets.len());
            octets[at] ^= 1 << bit;
            let _ = decode(path("/3"), &octets, &Model::builtin());
            let _ = decode(path("/3"), &octets[..at], &Model::builtin());
        }
    }
}
