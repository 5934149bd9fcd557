//! What one format writes, every other that has room for it reads as the same; and no payload upsets a reader.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Format, NewInstance, decode, decode_new, decode_timed, encode, encode_timed};
use crate::lwm2m::model::{Model, ObjectDef, ResourceDef};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value, ValueType};

const MANY: [Format; 4] = [Format::Tlv, Format::OldTlv, Format::SenmlJson, Format::SenmlCbor];
const SENML: [Format; 2] = [Format::SenmlJson, Format::SenmlCbor];

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        any::<f32>().prop_filter("finite", |number| number.is_finite()).prop_map(f64::from),
        any::<i16>().prop_map(|number| f64::from(number) / 16.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
    ]
}

fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), any::<i16>().prop_map(i64::from), Just(i64::MIN), Just(i64::MAX)]
}

fn any_octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 250..260),]
}

/// Any value of this type.
fn any_of(value_type: ValueType) -> BoxedStrategy<Value> {
    match value_type {
        ValueType::String => any::<String>().prop_map(Value::String).boxed(),
        ValueType::CoreLink => {
            "(</[a-z]{0,4}/\\PC{0,4}>(;ver=\"1.1\")?){0,3}".prop_map(Value::CoreLink).boxed()
        }
        ValueType::Integer => any_integer().prop_map(Value::Integer).boxed(),
        ValueType::Time => any_integer().prop_map(Value::Time).boxed(),
        ValueType::Unsigned => prop_oneof![any::<u64>(), any::<u8>().prop_map(u64::from), Just(u64::MAX)]
            .prop_map(Value::Unsigned)
            .boxed(),
        ValueType::Float => any_float().prop_map(Value::Float).boxed(),
        ValueType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ValueType::Opaque => any_octets().prop_map(Value::Opaque).boxed(),
        ValueType::ObjectLink => any::<(u16, u16)>().prop_map(|(a, b)| Value::ObjectLink(a, b)).boxed(),
        ValueType::Execute => unreachable!("an executable has no value"),
    }
}

fn any_content(definition: &ResourceDef) -> BoxedStrategy<Content> {
    let value = any_of(definition.value_type);
    if definition.multiple {
        prop::collection::btree_map(0..u16::MAX, value, 0..4)
            .prop_map(|values| Content::Multiple(values.into_iter().collect()))
            .boxed()
    } else {
        value.prop_map(Content::Single).boxed()
    }
}

/// Some resources of some instances of this object, in ascending order.
fn any_entries(object: &'static ObjectDef) -> BoxedStrategy<Vec<Entry>> {
    let resources = object.resources();
    let with_value: Vec<_> = resources.iter().filter(|def| def.value_type != ValueType::Execute).collect();
    if with_value.is_empty() {
        return Just(vec![]).boxed();
    }
    let one = (prop_oneof![0..3_u16, 0..u16::MAX], prop::sample::select(with_value)).prop_flat_map(
        move |(instance, definition)| {
            let path = Path::resource_of(object.id, instance, definition.id);
            any_content(definition).prop_map(move |content| (path, content))
        },
    );
    prop::collection::vec(one, 0..12)
        .prop_map(|found| {
            let found: BTreeMap<Path, Content> = found.into_iter().collect();
            found.into_iter().map(|(path, content)| Entry { path, content }).collect()
        })
        .boxed()
}

/// An object with entries of its own. The core objects, and those with the rarer types, come more often.
fn any_tree() -> impl Strategy<Value = (Path, Vec<Entry>)> {
    let model = Model::builtin();
    let all: Vec<_> = model.objects().collect();
    let is_rare = |def: &ResourceDef| matches!(def.value_type, ValueType::Unsigned | ValueType::CoreLink);
    let chosen = all
        .iter()
        .copied()
        .filter(|object| object.id < 8 || object.resources().iter().any(is_rare))
        .collect::<Vec<_>>();
    prop_oneof![prop::sample::select(chosen), prop::sample::select(all)].prop_flat_map(|object| {
        any_entries(object).prop_map(|entries| (Path::object_only(object.id), entries))
    })
}

/// What SenML can tell of them: a resource without instances is no record.
fn with_values(entries: &[Entry]) -> Vec<Entry> {
    let is_empty = |entry: &&Entry| !matches!(&entry.content, Content::Multiple(values) if values.is_empty());
    entries.iter().filter(is_empty).cloned().collect()
}

fn below(entries: &[Entry], base: Path) -> Vec<Entry> {
    entries.iter().filter(|entry| base.covers(entry.path)).cloned().collect()
}

/// The resource instances, each with its path and as an entry of its own.
fn one_by_one(entry: &Entry) -> Vec<(Path, Entry)> {
    let Content::Multiple(values) = &entry.content else { return vec![(entry.path, entry.clone())] };
    let alone = |(id, value): &(u16, Value)| {
        let content = Content::Multiple(vec![(*id, value.clone())]);
        (entry.path.child(*id).unwrap(), Entry { path: entry.path, content })
    };
    values.iter().map(alone).collect()
}

proptest! {
    #[test]
    fn a_tree_is_the_same_in_every_format_typ_01_typ_04((object, entries) in any_tree()) {
        let model = Model::builtin();
        let mut bases = vec![object];
        bases.extend(entries.iter().flat_map(|entry| [entry.path.parent().unwrap(), entry.path]));
        for base in bases {
            let under = below(&entries, base);
            for format in MANY {
                let payload = encode(format, base, &under).unwrap();
                let told = if SENML.contains(&format) && base.depth() < 3 { with_values(&under) } else { under.clone() };
                prop_assert_eq!(decode(format, base, &payload, &model), Ok(told), "{:?} {}", format, base);
            }
        }
    }

    #[test]
    fn a_value_is_the_same_in_every_format((_, entries) in any_tree()) {
        let model = Model::builtin();
        for (base, entry) in entries.iter().flat_map(one_by_one) {
            let is_opaque = model.resource(base.object().unwrap(), base.resource().unwrap()).unwrap().value_type
                == ValueType::Opaque;
            let single = [Format::Text, Format::Opaque].into_iter().take(1 + usize::from(is_opaque));
            for format in MANY.into_iter().chain(single) {
                let payload = encode(format, base, std::slice::from_ref(&entry)).unwrap();
                prop_assert_eq!(decode(format, base, &payload, &model), Ok(vec![entry.clone()]), "{:?} {}", format, base);
            }
        }
    }

    #[test]
    fn times_come_back_by_value((object, entries) in any_tree(), at in 1_i64 << 28..1 << 40, every in 1_usize..4) {
        let model = Model::builtin();
        let paths = entries.iter().flat_map(one_by_one).map(|(path, _)| path);
        let times: BTreeMap<Path, i64> = paths.step_by(every).zip(at..).collect();
        for format in SENML {
            let payload = encode_timed(format, object, &entries, &times).unwrap();
            let read = decode_timed(format, object, &payload, &model);
            prop_assert_eq!(read, Ok((with_values(&entries), times.clone())), "{:?}", format);
        }
    }

    #[test]
    fn new_instances_are_the_same_in_every_format_cr_02((object, entries) in any_tree()) {
        let entries = with_values(&entries);
        prop_assume!(!entries.is_empty());
        let mut expected: BTreeMap<u16, Vec<(u16, Content)>> = BTreeMap::new();
        for Entry { path, content } in &entries {
            expected.entry(path.instance().unwrap()).or_default().push((path.resource().unwrap(), content.clone()));
        }
        let expected: Vec<_> =
            expected.into_iter().map(|(id, resources)| NewInstance { id: Some(id), resources }).collect();
        for format in MANY {
            let payload = encode(format, object, &entries).unwrap();
            prop_assert_eq!(decode_new(format, object, &payload, &Model::builtin()), Ok(expected.clone()), "{:?}", format);
        }
    }

    /// Whatever became of a payload on the way, it gives entries or an error, and entries that are
    /// written again read as the same.
    #[test]
    fn damaged_payloads_read_or_are_refused_tlv_07(
        (object, entries) in any_tree(),
        cut in any::<Index>(),
        at in any::<Index>(),
        kind in 0..4,
        octet: u8,
    ) {
        let model = Model::builtin();
        for format in MANY {
            let mut payload = encode(format, object, &entries).unwrap();
            prop_assume!(!payload.is_empty());
            let at = at.index(payload.len());
            match kind {
                0 => payload[at] = octet,
                1 => payload[at] ^= 1 << (octet & 7),
                2 => payload.insert(at, octet),
                _ => payload.truncate(cut.index(payload.len())),
            }
            let bases = entries.first().map(|first| first.path.parent().unwrap());
            for base in bases.into_iter().chain([object]) {
                let _ = decode_new(format, base, &payload, &model);
                let Ok(read) = decode(format, base, &payload, &model) else { continue };
                let again = encode(format, base, &read).unwrap();
                prop_assert_eq!(decode(format, base, &again, &model), Ok(read), "{:?} {}", format, base);
            }
        }
    }
}
