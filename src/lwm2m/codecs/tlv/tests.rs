//! Octets of TLV both ways, and what is refused.

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
fn unsigned_numbers_leave_room_for_a_sign_tlv_03() {
    for (number, octets) in [
        (127, "C1 7D 7F"),
        (255, "C2 7D 00 FF"),
        (1 << 63, "C8 7D 08 80 00 00 00 00 00 00 00"),
        (u64::MAX, "C8 7D 08 FF FF FF FF FF FF FF FF"),
    ] {
        both_ways("/3442/0/125", vec![single("/3442/0/125", Value::Unsigned(number))], octets);
    }
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
    // TYP-02: the null link is a value like another.
    let null = multiple("/3/0/22", vec![(1, Value::ObjectLink(u16::MAX, u16::MAX))]);
    both_ways("/3/0/22/1", vec![null], "44 01 FF FF FF FF");
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
    let two = vec![single("/3303/0/5700", Value::Float(22.5)), single("/3303/1/5700", Value::Float(-4.0))];
    both_ways("/3303", two.clone(), "07 00 E4 16 44 41 B4 00 00 07 01 E4 16 44 C0 80 00 00");
    both_ways("/3303/0", vec![two[0].clone()], "E4 16 44 41 B4 00 00");
    let server = vec![single("/1/0/0", Value::Integer(1)), single("/1/0/1", Value::Integer(86400))];
    both_ways("/1", server.clone(), "08 00 09 C1 00 01 C4 01 00 01 51 80");
    both_ways("/3303", vec![], "");
    let wrapped = decode(path("/1/0"), &hex("08 00 09 C1 00 01 C4 01 00 01 51 80"), &Model::builtin());
    assert_eq!(wrapped, Ok(server));
}

#[test]
fn headers_tell_kind_width_and_length_tlv_01() {
    for (kind, id, content, octets) in [
        (Kind::Resource, 3, hex("19"), "C1 03 19"),
        (Kind::Resource, 3, hex("FF"), "C1 03 FF"),
        (Kind::Resource, 3, hex("01 2C"), "C2 03 01 2C"),
        (Kind::Resource, 1, hex("00 42 00 00"), "C4 01 00 42 00 00"),
        (Kind::Resource, 8, hex("00 00 01 00 00 00 00 00"), "C8 08 08 00 00 01 00 00 00 00 00"),
        (Kind::ResourceInstance, 300, hex("01"), "61 01 2C 01"),
        (Kind::ObjectInstance, 3, vec![], "00 03"),
        (Kind::MultipleResource, 6, vec![], "80 06"),
        (Kind::MultipleResource, 6, hex("41 00 01 41 01 05"), "86 06 41 00 01 41 01 05"),
    ] {
        let mut out = vec![];
        write_element(&mut out, kind, id, &content, Path::ROOT).unwrap();
        assert_eq!(out, hex(octets));
        let read = Elements::new(&out).next().unwrap().unwrap();
        assert_eq!((read.kind, read.id, read.content), (kind, id, content.as_slice()));
    }
}

#[test]
fn header_grows_with_the_length_tlv_02() {
    for (length, header) in
        [(7, "C7 07"), (8, "C8 07 08"), (255, "C8 07 FF"), (256, "D0 07 01 00"), (65536, "D8 07 01 00 00")]
    {
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
    for octets in ["C8 01 01 19", "D0 01 00 01 19", "D8 01 00 00 01 19", "E1 00 01 19", "C4 01 00 00 00 19"] {
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
        let mut octets = vec![];
        write_value(&mut octets, Kind::Resource, 7, &sent, Path::ROOT).unwrap();
        let element = Elements::new(&octets).next().unwrap().unwrap();
        prop_assert_eq!(value(Path::ROOT, sent.value_type(), element.content), Ok(sent));
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
