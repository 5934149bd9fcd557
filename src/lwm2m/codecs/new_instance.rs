//! The payload of a Create: new instances of one object, with or without their IDs (CR-02, CR-03, TLV-06).
//!
//! Whether an ID is free and a resource may be written is not known here.

use std::collections::{BTreeMap, BTreeSet};

use super::senml::{self, Expect, Notation};
use super::{CodecError, Format, tlv};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry};

/// The reserved Object Instance ID: it stands for the instance whose ID the payload leaves open.
pub(super) const UNNAMED: u16 = u16::MAX;

/// An instance to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInstance {
    /// Its ID; `None` if that is left to us.
    pub id: Option<u16>,
    /// Resource IDs in ascending order, with what they are to hold; may be none.
    pub resources: Vec<(u16, Content)>,
}

/// Reads a payload sent to `object`, with the types of `model`: named instances by ascending ID, or one without.
///
/// A payload that says nothing is one instance without ID and resources. Resources that the model does not know
/// are left out (CR-04).
///
/// # Errors
/// `object` is none, or the model does not know it; the format carries one value only (CR-06); the payload is none
/// of this format, names an instance twice, mixes named and unnamed ones, or does not fit the types.
pub fn decode_new(
    format: Format,
    object: Path,
    payload: &[u8],
    model: &Model,
) -> Result<Vec<NewInstance>, CodecError> {
    let known = object.object().filter(|id| object.depth() == 1 && model.object(*id).is_some());
    known.ok_or(CodecError::Unknown(object))?;
    let of_senml = |notation| senml::decode(notation, object, payload, model, Expect::NewInstances);
    let (named, entries) = match format {
        Format::SenmlJson => (BTreeSet::new(), of_senml(Notation::Json)?.0),
        Format::SenmlCbor => (BTreeSet::new(), of_senml(Notation::Cbor)?.0),
        Format::OldTlv | Format::Tlv => tlv::decode_new(object, payload, model)?,
        Format::Text | Format::Opaque => return Err(CodecError::NotOneValue { format }),
        Format::Link => return Err(CodecError::NoForm { format, base: object }),
    };
    grouped(named, entries)
}

fn grouped(named: BTreeSet<u16>, entries: Vec<Entry>) -> Result<Vec<NewInstance>, CodecError> {
    let mut instances: BTreeMap<u16, Vec<(u16, Content)>> =
        named.into_iter().map(|id| (id, vec![])).collect();
    for Entry { path, content } in entries {
        if let (Some(instance), Some(resource)) = (path.instance(), path.resource()) {
            instances.entry(instance).or_default().push((resource, content));
        }
    }
    if instances.is_empty() {
        instances.insert(UNNAMED, vec![]);
    }
    if instances.len() > 1 && instances.contains_key(&UNNAMED) {
        return Err(CodecError::InstanceMissing);
    }
    let new = |(id, resources)| NewInstance { id: Some(id).filter(|id| *id != UNNAMED), resources };
    Ok(instances.into_iter().map(new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::value::Value;

    const TEMPERATURE: Path = Path::object_only(3303);

    fn new(format: Format, payload: &[u8]) -> Result<Vec<NewInstance>, CodecError> {
        decode_new(format, TEMPERATURE, payload, &Model::builtin())
    }

    fn with(id: Option<u16>, value: f64) -> NewInstance {
        NewInstance { id, resources: vec![(5700, Content::Single(Value::Float(value)))] }
    }

    #[test]
    fn tlv_names_instances_or_leaves_the_id_open_tlv_06_cr_02_cr_03() {
        let bare = [0xe4, 0x16, 0x44, 0x41, 0xb4, 0, 0];
        let wrapped = [[7, 3].as_slice(), &bare].concat();
        for format in [Format::Tlv, Format::OldTlv] {
            assert_eq!(new(format, &bare), Ok(vec![with(None, 22.5)]));
            assert_eq!(new(format, &wrapped), Ok(vec![with(Some(3), 22.5)]));
            let empty = NewInstance { id: Some(3), resources: vec![] };
            assert_eq!(new(format, &[0, 3]), Ok(vec![empty]));
            assert_eq!(new(format, &[]), Ok(vec![NewInstance { id: None, resources: vec![] }]));
        }
        let both = [bare.as_slice(), &wrapped].concat();
        assert!(new(Format::Tlv, &both).is_err());
        assert_eq!(new(Format::Tlv, &[wrapped.as_slice(), &bare].concat()), Err(CodecError::InstanceMissing));
        assert!(matches!(new(Format::Tlv, &[0, 3, 0, 3]), Err(CodecError::Twice(_))));
        assert_eq!(new(Format::Tlv, &[0x20, 0xff, 0xff]), Err(CodecError::ReservedId));
    }

    #[test]
    fn senml_names_instances_or_leaves_the_id_open_cr_02_cr_03() {
        let json = |text: &str| new(Format::SenmlJson, text.as_bytes());
        assert_eq!(json(r#"[{"bn":"/3303/3/","n":"5700","v":22.5}]"#), Ok(vec![with(Some(3), 22.5)]));
        assert_eq!(json(r#"[{"bn":"/3303/","n":"5700","v":22.5}]"#), Ok(vec![with(None, 22.5)]));
        assert_eq!(
            json(r#"[{"bn":"/3303/","n":"4/5700","v":1},{"n":"3/5700","v":22.5}]"#),
            Ok(vec![with(Some(3), 22.5), with(Some(4), 1.0)])
        );
        assert_eq!(json("[]"), Ok(vec![NewInstance { id: None, resources: vec![] }]));
        let mixed = json(r#"[{"n":"/3303/5700","v":1},{"n":"/3303/3/5700","v":1}]"#);
        assert_eq!(mixed, Err(CodecError::InstanceMissing));
        assert!(matches!(json(r#"[{"n":"/3304/3/5700","v":1}]"#), Err(CodecError::OutsidePath { .. })));
    }

    #[test]
    fn unknown_resources_are_left_out_and_single_values_refused_cr_04_cr_06() {
        let unknown = new(Format::SenmlJson, br#"[{"n":"/3303/3/5700","v":22.5},{"n":"/3303/3/9","v":1}]"#);
        assert_eq!(unknown, Ok(vec![with(Some(3), 22.5)]));
        for format in [Format::Text, Format::Opaque] {
            assert_eq!(new(format, b"1"), Err(CodecError::NotOneValue { format }));
        }
        let nowhere = decode_new(Format::Tlv, Path::object_only(60000), &[], &Model::builtin());
        assert_eq!(nowhere, Err(CodecError::Unknown(Path::object_only(60000))));
    }
}
