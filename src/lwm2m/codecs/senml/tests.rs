//! Octets of SenML both ways, and what is refused.

use std::collections::BTreeMap;

use super::super::{CodecError, Format, decode, decode_timed, encode, encode_timed};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value};

const JSON: Format = Format::SenmlJson;
const CBOR: Format = Format::SenmlCbor;

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

fn times(of: &[(&str, i64)]) -> BTreeMap<Path, i64> {
    of.iter().map(|(at, time)| (path(at), *time)).collect()
}

fn json(base: &str, text: &str) -> Result<Vec<Entry>, CodecError> {
    decode(JSON, path(base), text.as_bytes(), &Model::builtin())
}

fn cbor(base: &str, octets: &str) -> Result<Vec<Entry>, CodecError> {
    decode(CBOR, path(base), &hex(octets), &Model::builtin())
}

/// Writing gives this text and these octets, and reading them gives the entries and times back.
fn both_ways(base: &str, entries: &[Entry], of: &[(&str, i64)], text: &str, octets: &str) {
    let base = path(base);
    let times = times(of);
    for (format, payload) in [(JSON, text.as_bytes().to_vec()), (CBOR, hex(octets))] {
        assert_eq!(encode_timed(format, base, entries, &times), Ok(payload.clone()), "{base} {format:?}");
        let read = decode_timed(format, base, &payload, &Model::builtin());
        assert_eq!(read, Ok((entries.to_vec(), times.clone())), "{base} {format:?}");
    }
}

fn float(at: &str, number: f64) -> Entry {
    single(at, Value::Float(number))
}

#[test]
fn one_value_has_its_whole_path_as_base_name_sml_12() {
    both_ways(
        "/3303/0/5700",
        &[float("/3303/0/5700", 22.5)],
        &[],
        r#"[{"bn":"/3303/0/5700","v":22.5}]"#,
        "81 A2 21 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 02 F9 4D A0",
    );
    both_ways(
        "/3303/0/5700",
        &[float("/3303/0/5700", 22.5)],
        &[("/3303/0/5700", 1_767_225_600)],
        r#"[{"bn":"/3303/0/5700","bt":1767225600,"v":22.5}]"#,
        "81 A3 21 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 22 1A 69 55 B9 00 02 F9 4D A0",
    );
    // RD-12: a resource instance has four numbers.
    both_ways(
        "/3/0/6/1",
        &[multiple("/3/0/6", vec![(1, Value::Integer(5))])],
        &[],
        r#"[{"bn":"/3/0/6/1","v":5}]"#,
        "81 A2 21 68 2F 33 2F 30 2F 36 2F 31 02 05",
    );
}

#[test]
fn several_values_share_a_base_name_that_ends_in_a_slash_sml_12() {
    both_ways(
        "/3/0",
        &[
            multiple("/3/0/6", vec![(0, Value::Integer(1)), (1, Value::Integer(5))]),
            single("/3/0/9", Value::Integer(95)),
        ],
        &[],
        r#"[{"bn":"/3/0/","n":"6/0","v":1},{"n":"6/1","v":5},{"n":"9","v":95}]"#,
        "83 A3 21 65 2F 33 2F 30 2F 00 63 36 2F 30 02 01 A2 00 63 36 2F 31 02 05 A2 00 61 39 02 18 5F",
    );
    // One instance of an object has more in common than the object.
    both_ways(
        "/3303",
        &[float("/3303/0/5700", -4.0), single("/3303/0/5701", Value::String("Cel".into()))],
        &[],
        r#"[{"bn":"/3303/0/","n":"5700","v":-4},{"n":"5701","vs":"Cel"}]"#,
        "82 A3 21 68 2F 33 33 30 33 2F 30 2F 00 64 35 37 30 30 02 F9 C4 00
         A2 00 64 35 37 30 31 03 63 43 65 6C",
    );
    both_ways(
        "/3303",
        &[float("/3303/0/5700", 1.0), float("/3303/1/5700", 2.0)],
        &[],
        r#"[{"bn":"/3303/","n":"0/5700","v":1},{"n":"1/5700","v":2}]"#,
        "82 A3 21 66 2F 33 33 30 33 2F 00 66 30 2F 35 37 30 30 02 F9 3C 00
         A2 00 66 31 2F 35 37 30 30 02 F9 40 00",
    );
}

#[test]
fn the_empty_document_is_an_empty_array_sml_10() {
    both_ways("/3303", &[], &[], "[]", "80");
    both_ways("/3303/0", &[], &[], "[]", "80");
    both_ways("/3/0/6", &[multiple("/3/0/6", vec![])], &[], "[]", "80");
    assert_eq!(cbor("/3303", "9F FF"), Ok(vec![]));
    assert!(matches!(json("/3/0/9", "[]"), Err(CodecError::NotOneValue { .. })));
    assert!(matches!(json("/3/0/6/1", "[]"), Err(CodecError::NotOneValue { .. })));
}

#[test]
fn every_type_has_its_field_sml_05_sml_06_typ_06() {
    both_ways(
        "/3306/0/5850",
        &[single("/3306/0/5850", Value::Boolean(true))],
        &[],
        r#"[{"bn":"/3306/0/5850","vb":true}]"#,
        "81 A2 21 6C 2F 33 33 30 36 2F 30 2F 35 38 35 30 04 F5",
    );
    both_ways(
        "/5/0/0",
        &[single("/5/0/0", Value::Opaque(vec![0xfb, 0xef, 0xff, 1]))],
        &[],
        r#"[{"bn":"/5/0/0","vd":"--__AQ"}]"#,
        "81 A2 21 66 2F 35 2F 30 2F 30 08 44 FB EF FF 01",
    );
    both_ways(
        "/3/0/22/0",
        &[multiple("/3/0/22", vec![(0, Value::ObjectLink(17, 19))])],
        &[],
        r#"[{"bn":"/3/0/22/0","vlo":"17:19"}]"#,
        "81 A2 21 69 2F 33 2F 30 2F 32 32 2F 30 63 76 6C 6F 65 31 37 3A 31 39",
    );
    both_ways(
        "/3/0/13",
        &[single("/3/0/13", Value::Time(1_767_225_600))],
        &[],
        r#"[{"bn":"/3/0/13","v":1767225600}]"#,
        "81 A2 21 67 2F 33 2F 30 2F 31 33 02 1A 69 55 B9 00",
    );
    // TYP-06: a Corelnk is text with a type of its own.
    both_ways(
        "/25/0/3",
        &[single("/25/0/3", Value::CoreLink("</19/0>".into()))],
        &[],
        r#"[{"bn":"/25/0/3","vs":"</19/0>"}]"#,
        "81 A2 21 67 2F 32 35 2F 30 2F 33 03 67 3C 2F 31 39 2F 30 3E",
    );
}

#[test]
fn floats_take_the_narrowest_width_and_stay_floats() {
    let head = hex("81 A2 21 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 02");
    for (number, octets) in [
        (0.0, "F9 00 00"),
        (-0.0, "F9 80 00"),
        (5.0, "F9 45 00"),
        (65504.0, "F9 7B FF"),
        (65505.0, "FA 47 7F E1 00"),
        (2f64.powi(-14), "F9 04 00"),
        (2f64.powi(-24), "F9 00 01"),
        (1023.0 * 2f64.powi(-24), "F9 03 FF"),
        (2f64.powi(-25), "FA 33 00 00 00"),
        (100_000.0, "FA 47 C3 50 00"),
        (0.1, "FB 3F B9 99 99 99 99 99 9A"),
        (1e300, "FB 7E 37 E4 3C 88 00 75 9C"),
    ] {
        let entry = float("/3303/0/5700", number);
        let expected = [head.clone(), hex(octets)].concat();
        assert_eq!(encode(CBOR, entry.path, std::slice::from_ref(&entry)), Ok(expected.clone()), "{number}");
        assert_eq!(decode(CBOR, entry.path, &expected, &Model::builtin()), Ok(vec![entry]), "{number}");
    }
    for number in [f64::NAN, f64::INFINITY] {
        let entry = float("/3303/0/5700", number);
        for format in [JSON, CBOR] {
            // TYP-05
            let refused = encode(format, entry.path, std::slice::from_ref(&entry));
            assert_eq!(refused, Err(CodecError::NotFinite(entry.path)));
        }
    }
}

#[test]
fn different_times_stand_with_their_values_and_none_means_now() {
    both_ways(
        "/3303/0",
        &[float("/3303/0/5601", 1.0), float("/3303/0/5700", 22.5)],
        &[("/3303/0/5700", 1_767_225_600)],
        r#"[{"bn":"/3303/0/","n":"5601","v":1},{"n":"5700","t":1767225600,"v":22.5}]"#,
        "82 A3 21 68 2F 33 33 30 33 2F 30 2F 00 64 35 36 30 31 02 F9 3C 00
         A3 00 64 35 37 30 30 06 1A 69 55 B9 00 02 F9 4D A0",
    );
    // The time of a resource is that of its instances.
    let volts = multiple("/3/0/7", vec![(0, Value::Integer(1)), (1, Value::Integer(2))]);
    let written = encode_timed(JSON, path("/3/0/7"), &[volts], &times(&[("/3/0/7", 1_767_225_600)]));
    let expected = r#"[{"bn":"/3/0/7/","bt":1767225600,"n":"0","v":1},{"n":"1","v":2}]"#;
    assert_eq!(written, Ok(expected.as_bytes().to_vec()));
    // A clock that was never set.
    let entry = single("/3/0/9", Value::Integer(95));
    let written = encode_timed(JSON, entry.path, &[entry], &times(&[("/3/0/9", 77)]));
    assert_eq!(written, Ok(br#"[{"bn":"/3/0/9","v":95}]"#.to_vec()));
}

#[test]
fn the_newest_of_several_times_counts_sml_08() {
    let history = r#"[{"bn":"/3303/0/","bt":1767225600,"n":"5700","v":22.5},{"n":"5700","t":-60,"v":22.25},
        {"n":"5701","vs":"Cel"}]"#;
    let expected = vec![float("/3303/0/5700", 22.5), single("/3303/0/5701", Value::String("Cel".into()))];
    let at = times(&[("/3303/0/5700", 1_767_225_600), ("/3303/0/5701", 1_767_225_600)]);
    let octets = "83 A4 21 68 2F 33 33 30 33 2F 30 2F 22 1A 69 55 B9 00 00 64 35 37 30 30 02 FB 40 36 80 00 00
        00 00 00 A3 00 64 35 37 30 30 06 38 3B 02 FB 40 36 40 00 00 00 00 00 A2 00 64 35 37 30 31 03 63 43 65 6C";
    for (format, payload) in [(JSON, history.as_bytes().to_vec()), (CBOR, hex(octets))] {
        let read = decode_timed(format, path("/3303/0"), &payload, &Model::builtin());
        assert_eq!(read, Ok((expected.clone(), at.clone())));
    }
    let now =
        r#"[{"n":"/3/0/9","t":0,"v":3},{"n":"/3/0/9","t":-5,"v":2},{"n":"/3/0/9","t":1767225600.5,"v":1}]"#;
    assert_eq!(json("/3/0/9", now), Ok(vec![single("/3/0/9", Value::Integer(3))]));
    let twice = r#"[{"n":"/3/0/9","v":3},{"n":"/3/0/9","t":0,"v":2}]"#;
    assert_eq!(json("/3/0/9", twice), Err(CodecError::Twice(path("/3/0/9"))));
}

#[test]
fn names_may_be_divided_anywhere_sml_01_sml_02_sml_03() {
    let whole = "/3303/0/5700";
    let expected = Ok(vec![float(whole, 22.5)]);
    for at in 0..=whole.len() {
        let (base, name) = whole.split_at(at);
        for record in [
            format!(r#"[{{"bn":"{base}","n":"{name}","v":22.5}}]"#),
            format!(r#"[{{"v":22.5,"n":"{name}","bn":"{base}"}}]"#),
        ] {
            assert_eq!(json("/3303/0", &record), expected, "{record}");
        }
    }
    let replaced = r#"[{"bn":"/3/0/9","v":95},{"bn":"/3/0","n":"/14","vs":"+02"},{"n":"/15","vs":"x"}]"#;
    let found: Vec<Path> = json("/3", replaced).unwrap().iter().map(|entry| entry.path).collect();
    assert_eq!(found, ["/3/0/9", "/3/0/14", "/3/0/15"].map(path));
    // A base name that goes on into the last number.
    let inside = r#"[{"bn":"/3303/0/570","n":"0","v":22.5},{"n":"1","vs":"Cel"}]"#;
    assert_eq!(json("/3303/0", inside).map(|entries| entries.len()), Ok(2));
}

#[test]
fn names_that_are_no_path_under_the_request_are_refused_sml_11_wr_13() {
    for name in [
        "",
        "/",
        "/3",
        "/3/0",
        "3/0/9",
        "/3/0/9/",
        "/3/0/9/0/0",
        "/3/0/65535",
        "/3//9",
        "/03/0/9",
        "/3/0/x",
        "/3/0/9/1/2/3/4/5/6/7/8/9/10",
    ] {
        let refused = json("/3/0", &format!(r#"[{{"n":"{name}","v":1}}]"#));
        assert!(matches!(refused, Err(CodecError::Name(_))), "{name} {refused:?}");
    }
    let long = "/3/0/9".repeat(10_000);
    let Err(CodecError::Name(kept)) = json("/3/0", &format!(r#"[{{"bn":"{long}","n":"{long}","v":1}}]"#))
    else {
        panic!("a long name is no path")
    };
    assert!(kept.len() <= 50);
    for (base, name) in [("/3/0", "/1/0/1"), ("/3/0/9", "/3/0/10"), ("/3/0/6/1", "/3/0/6/0")] {
        let refused = json(base, &format!(r#"[{{"n":"{name}","v":1}}]"#));
        assert!(matches!(refused, Err(CodecError::OutsidePath { .. })), "{base} {name}");
    }
    // A single value on a whole multiple-instance resource, and the reverse.
    for name in ["/3/0/6", "/3/0/9/0"] {
        assert_eq!(json("/3/0", &format!(r#"[{{"n":"{name}","v":1}}]"#)), Err(CodecError::Shape(path(name))));
    }
    assert_eq!(json("/3/0", r#"[{"n":"/3/0/4","vs":""}]"#), Err(CodecError::Executable(path("/3/0/4"))));
}

#[test]
fn unknown_resources_are_left_out_of_an_instance_wr_09() {
    let payload = r#"[{"bn":"/1/0/","n":"1","v":25},{"n":"999","vs":"?"}]"#;
    assert_eq!(json("/1/0", payload), Ok(vec![single("/1/0/1", Value::Integer(25))]));
    assert_eq!(json("/1/0/999", r#"[{"n":"/1/0/999","v":1}]"#), Err(CodecError::Unknown(path("/1/0/999"))));
    assert_eq!(json("/60000", r#"[{"n":"/60000/0/1","v":1}]"#), Err(CodecError::Unknown(path("/60000/0/1"))));
}

#[test]
fn records_hold_exactly_one_value_sml_04() {
    for fields in [r#""n":"/3/0/9""#, r#""n":"/3/0/9","v":1,"vs":"1""#, r#""n":"/3/0/9","v":1,"v":1"#, ""] {
        let refused = json("/3/0/9", &format!("[{{{fields}}}]"));
        assert!(
            matches!(refused, Err(CodecError::Record { .. } | CodecError::Name(_))),
            "{fields} {refused:?}"
        );
    }
    assert!(json("/3/0/9", r#"[{"n":"/3/0/9","v":null}]"#).is_err());
    assert!(cbor("/3/0/9", "81 A2 00 66 2F 33 2F 30 2F 39 02 F6").is_err());
    // Also under its label; then two values.
    assert!(matches!(
        cbor("/3/0/9", "81 A3 00 66 2F 33 2F 30 2F 39 02 01 02 01"),
        Err(CodecError::Record { .. })
    ));
}

#[test]
fn base_values_add_and_strange_fields_pass_or_not_sml_07_sml_09() {
    let value = |fields: &str| json("/3/0/9", &format!(r#"[{{"n":"/3/0/9",{fields}}}]"#));
    let expected = Ok(vec![single("/3/0/9", Value::Integer(95))]);
    for fields in [
        r#""bv":90,"v":5"#,
        r#""bver":10,"v":95"#,
        r#""bver":5,"bu":"%","u":"x","ut":5,"bs":1,"s":2,"x":{"y":[1,{}]},"v":95"#,
    ] {
        assert_eq!(value(fields), expected, "{fields}");
    }
    for fields in [r#""bver":11,"v":95"#, r#""bver":0,"v":95"#, r#""x_":1,"v":95"#, r#""t":"0","v":95"#] {
        assert!(matches!(value(fields), Err(CodecError::Record { at: 0, .. })), "{fields}");
    }
    // bver 10, bu, an unknown label, a text label, then the value.
    let strange = "81 A6 20 0A 23 61 25 18 63 82 01 A0 61 78 F6 00 66 2F 33 2F 30 2F 39 02 18 5F";
    assert_eq!(cbor("/3/0/9", strange), expected);
    let bound = "81 A3 62 78 5F 01 00 66 2F 33 2F 30 2F 39 02 18 5F";
    assert!(matches!(cbor("/3/0/9", bound), Err(CodecError::Record { .. })));
}

#[test]
fn lengths_may_be_open_and_integers_wide_sml_13() {
    let expected = Ok(vec![single("/3/0/9", Value::Integer(95))]);
    for octets in [
        "81 A2 00 66 2F 33 2F 30 2F 39 02 18 5F",
        "9F BF 00 66 2F 33 2F 30 2F 39 02 18 5F FF FF",
        "81 A2 18 00 7F 63 2F 33 2F 63 30 2F 39 FF 1B 00 00 00 00 00 00 00 02 1B 00 00 00 00 00 00 00 5F",
        "9B 00 00 00 00 00 00 00 01 B9 00 02 02 19 00 5F 39 00 01 66 2F 33 2F 30 2F 39",
        // As a float, and as decimal fractions 95 and 950e-1.
        "81 A2 00 66 2F 33 2F 30 2F 39 02 FA 42 BE 00 00",
        "81 A2 00 66 2F 33 2F 30 2F 39 02 C4 82 00 18 5F",
        "81 A2 00 66 2F 33 2F 30 2F 39 02 C4 82 20 19 03 B6",
    ] {
        assert_eq!(cbor("/3/0/9", octets), expected, "{octets}");
    }
    let octets = "81 A2 00 66 2F 35 2F 30 2F 30 08 5F 41 01 42 02 03 FF";
    assert_eq!(cbor("/5/0/0", octets), Ok(vec![single("/5/0/0", Value::Opaque(vec![1, 2, 3]))]));
    let suite = "82 A4 21 65 2F 33 2F 30 2F 00 61 39 22 FA 47 C3 50 00 02 18 19 A2 00 62 31 34 03 61 78";
    assert_eq!(cbor("/3/0", suite).map(|entries| entries.len()), Ok(2));
}

#[test]
fn broken_documents_are_refused_dm_11_sml_16() {
    for octets in [
        "",
        "00",
        "A0",
        "81",
        "82 A2 00 66 2F 33 2F 30 2F 39 02 01",
        "81 A2 00 66 2F 33 2F 30 2F 39 02",
        // Octets after the array; a huge array, map, text; a break out of place; half a map entry.
        "81 A2 00 66 2F 33 2F 30 2F 39 02 01 00",
        "9B FF FF FF FF FF FF FF FF",
        "81 BB FF FF FF FF FF FF FF FF",
        "81 A1 00 7B FF FF FF FF FF FF FF FF",
        "FF",
        "81 BF 18 63 FF FF",
        "81 BF 00 FF",
        // Text that is not UTF-8, NaN, a tag, a decimal fraction of one number.
        "81 A2 00 66 2F 33 2F 30 2F FF 02 01",
        "81 A2 00 66 2F 33 2F 30 2F 39 02 F9 7E 00",
        "81 A2 00 66 2F 33 2F 30 2F 39 02 C5 01",
        "81 A2 00 66 2F 33 2F 30 2F 39 02 C4 81 01",
    ] {
        let refused = cbor("/3/0/9", octets);
        assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{octets} {refused:?}");
    }
    for text in [
        "",
        "{}",
        "1",
        "[",
        "[1]",
        "[{]",
        r#"[{"n":"/3/0/9","v":1}"#,
        r#"[{"n":"/3/0/9","v":1}] x"#,
        r#"[{"n":"/3/0/9","v":1e999}]"#,
        r#"[{"n":"/3/0/9","v":NaN}]"#,
        r#"[{"n":"/3/0/9","v":01}]"#,
        r#"[{"n":"/3/0/14","vs":"\ud800"}]"#,
        r#"[{"n":"/3/0/9","v":[1]}]"#,
    ] {
        let refused = json("/3/0/9", text);
        assert!(matches!(refused, Err(CodecError::Malformed { .. })), "{text} {refused:?}");
    }
    let not_utf_8 =
        decode(JSON, path("/3/0/14"), b"[{\"n\":\"/3/0/14\",\"vs\":\"\xff\"}]", &Model::builtin());
    assert!(matches!(not_utf_8, Err(CodecError::Malformed { .. })));
    let deep = format!(r#"[{{"x":{}}}]"#, "[".repeat(100_000));
    assert!(json("/3/0/9", &deep).is_err());
    assert!(
        decode(
            CBOR,
            path("/3/0/9"),
            &[vec![0x81, 0xbf, 0x18, 0x63], vec![0x9f; 60_000]].concat(),
            &Model::builtin()
        )
        .is_err()
    );
}

#[test]
fn json_numbers_and_strings_keep_all_they_say_sml_15_sml_16_typ_04() {
    let lifetime = |number: &str| json("/1/0/1", &format!(r#"[{{"n":"/1/0/1","v":{number}}}]"#));
    for (text, number) in [
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("9007199254740993", 9_007_199_254_740_993),
        ("1.0", 1),
        ("1e2", 100),
        ("-25E-0", -25),
    ] {
        assert_eq!(lifetime(text), Ok(vec![single("/1/0/1", Value::Integer(number))]), "{text}");
    }
    for text in ["9223372036854775808", "-9223372036854775809", "1.5", "1e19", "1e300"] {
        assert!(matches!(lifetime(text), Err(CodecError::Value { .. })), "{text}");
    }
    let text = json("/3/0/14", r#"[{"n":"\/3\u002f0/14","vs":"\"\\\n\u00e9\ud83d\ude00"}]"#);
    assert_eq!(text, Ok(vec![single("/3/0/14", Value::String("\"\\\né😀".into()))]));
    assert_eq!(json("/3303/0/5700", r#"[{"n":"/3303/0/5700","v":5}]"#), Ok(vec![float("/3303/0/5700", 5.0)]));
}

#[test]
fn values_in_the_field_of_another_type_are_refused_dm_11() {
    for (name, field) in [
        ("/3/0/9", r#""vs":"95""#),
        ("/3306/0/5850", r#""v":1"#),
        ("/3/0/14", r#""v":1"#),
        ("/5/0/0", r#""vs":"AQ""#),
        ("/3/0/22/0", r#""vs":"1""#),
        ("/3/0/22/0", r#""vlo":"1:65536""#),
    ] {
        let refused = json(name, &format!(r#"[{{"n":"{name}",{field}}}]"#));
        assert!(matches!(refused, Err(CodecError::Value { .. })), "{name} {field} {refused:?}");
    }
    // SML-05: a link in the field of texts is one.
    let link =
        vec![Entry { path: path("/3/0/22"), content: Content::Multiple(vec![(0, Value::ObjectLink(1, 2))]) }];
    assert_eq!(json("/3/0/22/0", r#"[{"n":"/3/0/22/0","vs":"1:2"}]"#), Ok(link));
    for octets in ["*", "A", "AR", "AQ=A"] {
        let refused = json("/5/0/0", &format!(r#"[{{"n":"/5/0/0","vd":"{octets}"}}]"#));
        assert!(matches!(refused, Err(CodecError::Record { .. })), "{octets}");
    }
    // SML-06: padding is let pass.
    let padded = json("/5/0/0", r#"[{"n":"/5/0/0","vd":"--__AQ=="}]"#);
    assert_eq!(padded, Ok(vec![single("/5/0/0", Value::Opaque(vec![0xfb, 0xef, 0xff, 1]))]));
}

/// Octets that other encoders wrote.
#[test]
fn documents_of_other_writers_read_sml_01_sml_02_sml_13() {
    let timed =
        "81 A3 21 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 22 1A 69 55 B9 00 02 FB 40 36 80 00 00 00 00 00";
    assert_eq!(cbor("/3303/0/5700", timed), Ok(vec![float("/3303/0/5700", 22.5)]));
    let two_objects =
        "82 A3 21 65 2F 31 2F 30 2F 00 61 31 02 19 01 2C A3 21 65 2F 33 2F 30 2F 00 62 31 34 03 63 2B 30 32";
    let expected = [single("/1/0/1", Value::Integer(300)), single("/3/0/14", Value::String("+02".into()))];
    assert_eq!(cbor("/", two_objects), Ok(expected.to_vec()));
    // Name before base name in a record, and the base name replaced in each.
    let name_first = "82 A3 00 63 34 2F 31 02 18 1A 21 63 2F 31 2F A2 00 63 33 2F 31 02 18 19";
    let expected = [single("/1/3/1", Value::Integer(25)), single("/1/4/1", Value::Integer(26))];
    assert_eq!(cbor("/1", name_first), Ok(expected.to_vec()));
    // A gateway's prefix is no path of ours, and null is no value.
    let prefixed = r#"[{"bn":"/dev0/3303/0/","n":"5700","v":22.5}]"#;
    assert!(matches!(json("/3303", prefixed), Err(CodecError::Name(_))));
    assert!(cbor("/3/0/6", "81 A2 00 68 2F 33 2F 30 2F 36 2F 31 02 F6").is_err());
}
