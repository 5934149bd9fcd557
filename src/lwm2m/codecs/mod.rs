//! Content formats: typed entries to octets and back. Octets of a format never reach an object.
//!
//! Ranges are not checked here ([`ResourceDef::check`](super::model::ResourceDef::check) does), nor rights.

#[cfg(test)]
mod differential;
pub mod link;
mod new_instance;
pub mod object_list;
mod opaque;
mod senml;
mod text;
mod tlv;

pub use link::{Link, LinkError};
pub use new_instance::{NewInstance, decode_new};
pub use object_list::{Listed, ObjectList, ObjectListError};

use std::collections::BTreeMap;

use new_instance::UNNAMED;
use senml::{Expect, Notation};

use super::model::{Model, ResourceDef};
use super::path::Path;
use super::value::{Content, Entry, Value, ValueType};

/// A Content-Format that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// text/plain: one value.
    Text,
    /// application/link-format: links, never values.
    Link,
    /// application/octet-stream: one Opaque value.
    Opaque,
    /// application/senml+json: any number of values.
    SenmlJson,
    /// application/senml+cbor: any number of values.
    SenmlCbor,
    /// TLV under the number of a draft, for servers that ask for it: the octets are those of TLV (TLV-08).
    OldTlv,
    /// application/vnd.oma.lwm2m+tlv: any number of values.
    Tlv,
}

impl Format {
    /// From the number in Content-Format or Accept; `None` if it is not spoken here (DM-10).
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Text),
            40 => Some(Self::Link),
            42 => Some(Self::Opaque),
            110 => Some(Self::SenmlJson),
            112 => Some(Self::SenmlCbor),
            1542 => Some(Self::OldTlv),
            11542 => Some(Self::Tlv),
            _ => None,
        }
    }

    /// The number of the option.
    pub const fn number(self) -> u16 {
        match self {
            Self::Text => 0,
            Self::Link => 40,
            Self::Opaque => 42,
            Self::SenmlJson => 110,
            Self::SenmlCbor => 112,
            Self::OldTlv => 1542,
            Self::Tlv => 11542,
        }
    }

    /// Can carry more than one value.
    pub const fn is_multi_value(self) -> bool {
        matches!(self, Self::SenmlJson | Self::SenmlCbor | Self::OldTlv | Self::Tlv)
    }
}

/// Why a payload cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Links are no values, and TLV starts at an object.
    #[error("{format:?} has no form for {base}")]
    NoForm {
        /// The format.
        format: Format,
        /// What was asked for.
        base: Path,
    },
    /// A single-value format and not exactly one value (RD-08, WR-10).
    #[error("{format:?} carries exactly one value")]
    NotOneValue {
        /// The format.
        format: Format,
    },
    /// Opaque format and a value of another type (RD-09, WR-11).
    #[error("{0} is not of type Opaque")]
    NotOpaque(Path),
    /// The payload ends inside an element, or an element inside its parent (TLV-07).
    #[error("payload is cut short at octet {0}")]
    CutShort(usize),
    /// An element of this kind has no place here.
    #[error("unexpected element in the payload at octet {0}")]
    Unexpected(usize),
    /// The payload is no document of this format.
    #[error("payload is no {format:?}: {why}")]
    Malformed {
        /// The format.
        format: Format,
        /// What the reader of the format said.
        why: String,
    },
    /// A record of SenML that says nothing, or too much (SML-04, SML-09).
    #[error("record {at} of the payload: {why}")]
    Record {
        /// Counted from 0.
        at: usize,
        /// In words.
        why: &'static str,
    },
    /// The name of a record is no path of a resource or a resource instance (SML-11).
    #[error("{0:?} is no path of a value")]
    Name(String),
    /// Resources of an object without the instance they belong to, where they cannot be those of a new one (TLV-06).
    #[error("resources without an object instance")]
    InstanceMissing,
    /// The payload names something that the path does not cover (WR-07).
    #[error("{found} does not lie under {base}")]
    OutsidePath {
        /// Path of the request.
        base: Path,
        /// What the payload names.
        found: Path,
    },
    /// The same path comes twice.
    #[error("{0} comes twice")]
    Twice(Path),
    /// The reserved identifier 65535 (DM-05).
    #[error("identifier 65535 is reserved")]
    ReservedId,
    /// The registry has no such object, or not the one resource that was asked for.
    #[error("{0} is not in the registry")]
    Unknown(Path),
    /// An executable resource has no value.
    #[error("{0} is executable and has no value")]
    Executable(Path),
    /// One value for a multiple-instance resource, or the reverse (WR-08).
    #[error("{0} and the payload differ in whether there are resource instances")]
    Shape(Path),
    /// Octets that are no value of the resource's type (DM-11).
    #[error("{path} is no {value_type:?}: {why}")]
    Value {
        /// The resource.
        path: Path,
        /// Its type.
        value_type: ValueType,
        /// In words.
        why: &'static str,
    },
    /// NaN or an infinity is never sent (TYP-05).
    #[error("{0} is not a finite number")]
    NotFinite(Path),
    /// More octets than the format can count.
    #[error("{0} is too long")]
    TooLong(Path),
}

/// Writes what was read at `base`: everything below it that has a value.
///
/// # Errors
/// The entries have no form in this format.
pub fn encode(format: Format, base: Path, entries: &[Entry]) -> Result<Vec<u8>, CodecError> {
    encode_timed(format, base, entries, &BTreeMap::new())
}

/// Writes what was read at `base`, of which some values are older than now.
///
/// `times` are Unix seconds, by the path of the resource or of the resource instance. SenML tells them; the other
/// formats have no place for a time. One before July 1978 is left out: it would be read as a distance from now.
///
/// # Errors
/// The entries have no form in this format.
pub fn encode_timed(
    format: Format,
    base: Path,
    entries: &[Entry],
    times: &BTreeMap<Path, i64>,
) -> Result<Vec<u8>, CodecError> {
    for entry in entries {
        check_place(base, entry)?;
    }
    match format {
        Format::Text => text::encode(one_value(format, base, entries)?),
        Format::Opaque => opaque::encode(one_value(format, base, entries)?),
        Format::SenmlJson => senml::encode(Notation::Json, entries, times),
        Format::SenmlCbor => senml::encode(Notation::Cbor, entries, times),
        Format::OldTlv | Format::Tlv => tlv::encode(base, entries),
        Format::Link => Err(CodecError::NoForm { format, base }),
    }
}

/// Reads a payload sent to or from `base`, with the types of `model`.
///
/// At an object or an instance, resources that the model does not know are left out (WR-09). Entries come in
/// ascending order of their paths. At a resource instance the content is [`Content::Multiple`] with that one.
///
/// # Errors
/// The payload is none of this format, or does not fit the path or the types.
pub fn decode(format: Format, base: Path, payload: &[u8], model: &Model) -> Result<Vec<Entry>, CodecError> {
    decode_timed(format, base, payload, model).map(|(entries, _)| entries)
}

/// As [`decode`], with the Unix seconds of the values that came with a time, by the paths of the values.
///
/// Times that count from now are left out; fractions of a second are cut off.
///
/// # Errors
/// The payload is none of this format, or does not fit the path or the types.
pub fn decode_timed(
    format: Format,
    base: Path,
    payload: &[u8],
    model: &Model,
) -> Result<(Vec<Entry>, BTreeMap<Path, i64>), CodecError> {
    let entries = match format {
        Format::Text => decode_one(format, base, model, |path, def| text::decode(path, def, payload)),
        Format::Opaque => decode_one(format, base, model, |path, def| opaque::decode(path, def, payload)),
        Format::SenmlJson => return senml::decode(Notation::Json, base, payload, model, Expect::Values),
        Format::SenmlCbor => return senml::decode(Notation::Cbor, base, payload, model, Expect::Values),
        Format::OldTlv | Format::Tlv => tlv::decode(base, payload, model),
        Format::Link => Err(CodecError::NoForm { format, base }),
    };
    Ok((entries?, BTreeMap::new()))
}

/// The resource that a path of three or four identifiers names.
fn resource_at(path: Path, model: &Model) -> Result<&'static ResourceDef, CodecError> {
    let (Some(object), Some(resource)) = (path.object(), path.resource()) else {
        return Err(CodecError::Unknown(path));
    };
    let found = model.resource(object, resource).ok_or(CodecError::Unknown(path))?;
    if found.value_type == ValueType::Execute {
        return Err(CodecError::Executable(path));
    }
    Ok(found)
}

fn check_place(base: Path, entry: &Entry) -> Result<(), CodecError> {
    let outside = CodecError::OutsidePath { base, found: entry.path };
    let at_resource = entry.path.depth() == 3;
    match base.resource_instance() {
        _ if !at_resource => Err(outside),
        None if base.covers(entry.path) => Ok(()),
        None => Err(outside),
        Some(instance) => match &entry.content {
            _ if base.parent() != Some(entry.path) => Err(outside),
            Content::Multiple(values) if values.iter().all(|(id, _)| *id == instance) => Ok(()),
            Content::Multiple(_) => Err(outside),
            Content::Single(_) => Err(CodecError::Shape(entry.path)),
        },
    }
}

/// The value that a single-value format can carry: that of a resource, or of the resource instance asked for.
fn one_value(format: Format, base: Path, entries: &[Entry]) -> Result<(Path, &Value), CodecError> {
    let not_one = CodecError::NotOneValue { format };
    match (base.depth(), entries) {
        (3, [Entry { path, content: Content::Single(value) }]) => Ok((*path, value)),
        (4, [Entry { content: Content::Multiple(values), .. }]) => match values.as_slice() {
            [(_, value)] => Ok((base, value)),
            _ => Err(not_one),
        },
        _ => Err(not_one),
    }
}

fn decode_one(
    format: Format,
    base: Path,
    model: &Model,
    read: impl FnOnce(Path, &ResourceDef) -> Result<Value, CodecError>,
) -> Result<Vec<Entry>, CodecError> {
    let resource_path = match base.depth() {
        3 => base,
        4 => base.parent().unwrap_or(base),
        _ => return Err(CodecError::NotOneValue { format }),
    };
    let definition = resource_at(resource_path, model)?;
    if definition.multiple != (base.depth() == 4) {
        return Err(CodecError::Shape(base));
    }
    let value = read(base, definition)?;
    let content = match base.resource_instance() {
        Some(instance) => Content::Multiple(vec![(instance, value)]),
        None => Content::Single(value),
    };
    Ok(vec![Entry { path: resource_path, content }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Format; 7] = [
        Format::Text,
        Format::Link,
        Format::Opaque,
        Format::SenmlJson,
        Format::SenmlCbor,
        Format::OldTlv,
        Format::Tlv,
    ];

    #[test]
    fn numbers_of_formats_round_trip_and_others_are_not_spoken() {
        for format in ALL {
            assert_eq!(Format::from_number(format.number()), Some(format));
        }
        // TLV-08: of the drafts' numbers, only that of TLV.
        for number in [1541, 1543, 1544, 60, 320, 322, 11543, 11544] {
            assert_eq!(Format::from_number(number), None);
        }
    }

    #[test]
    fn single_value_formats_refuse_everything_but_one_value_rd_08_wr_10() {
        let model = Model::builtin();
        let several = Entry {
            path: Path::resource_of(3, 0, 7),
            content: Content::Multiple(vec![(0, Value::Integer(1))]),
        };
        let base = several.path;
        let refused = Err(CodecError::NotOneValue { format: Format::Text });
        assert_eq!(encode(Format::Text, base, std::slice::from_ref(&several)), refused);
        assert_eq!(encode(Format::Text, Path::instance_of(3, 0), std::slice::from_ref(&several)), refused);
        let instance = base.child(0).unwrap();
        assert_eq!(encode(Format::Text, instance, std::slice::from_ref(&several)), Ok(b"1".to_vec()));
        assert_eq!(decode(Format::Text, instance, b"1", &model), Ok(vec![several]));
        assert!(matches!(decode(Format::Text, base, b"1", &model), Err(CodecError::Shape(..))));
        assert!(decode(Format::Text, Path::instance_of(3, 0), b"1", &model).is_err());
    }

    #[test]
    fn entries_outside_the_path_are_refused() {
        let entry = Entry { path: Path::resource_of(3, 0, 9), content: Content::Single(Value::Integer(1)) };
        for format in [Format::Text, Format::Tlv] {
            let encoded = encode(format, Path::instance_of(3, 1), std::slice::from_ref(&entry));
            assert!(matches!(encoded, Err(CodecError::OutsidePath { .. })), "{encoded:?}");
        }
    }

    #[test]
    fn executables_and_unknown_resources_have_no_value() {
        let model = Model::builtin();
        let reboot = Path::resource_of(3, 0, 4);
        assert_eq!(decode(Format::Text, reboot, b"", &model), Err(CodecError::Executable(reboot)));
        let unknown = Path::resource_of(3, 0, 999);
        assert_eq!(decode(Format::Tlv, unknown, b"", &model), Err(CodecError::Unknown(unknown)));
    }

    proptest! {
        #[test]
        fn no_payload_panics_at_any_path(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            object in prop::sample::select(vec![0_u16, 1, 3, 4, 5, 3303, 3311, 60000]),
            ids in proptest::collection::vec(0_u16..20, 0..4),
        ) {
            let base = ids.iter().try_fold(Path::object_only(object), |path, id| path.child(*id)).unwrap();
            for format in ALL {
                let _ = decode(format, base, &payload, &Model::builtin());
                let _ = decode_new(format, base, &payload, &Model::builtin());
            }
        }
    }
}
