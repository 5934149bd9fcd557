//! Whatever is written, it is read or refused; and a fault in the shipped file is found at its line.

use proptest::prelude::*;

use super::agreement::uncommented;
use super::*;

/// The line of each fault.
fn lines(text: &str) -> Vec<usize> {
    let Err(faults) = parse(text, Host::default()) else { return vec![] };
    let line = |fault: &Fault| match &fault.origin {
        Some(Origin::File(Position { at, .. })) => at.map(|at| at.0),
        _ => None,
    };
    faults.faults.iter().filter_map(line).collect()
}

/// Every `key = value` of the shipped file once with another line in its place.
fn with_each_line_changed(change: impl Fn(&str, &str) -> String) {
    let text = uncommented(true);
    let lines_of_text: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (index, line) in lines_of_text.iter().enumerate() {
        let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| !key.contains(['#', ' '])) else {
            continue;
        };
        // A list over several lines.
        if value == "[" {
            continue;
        }
        let changed = change(key, value);
        let mut mutated = lines_of_text.clone();
        mutated[index] = &changed;
        let found = lines(&mutated.join("\n"));
        assert!(found.contains(&(index + 1)), "line {} is {changed:?}, told are {found:?}", index + 1);
        tried += 1;
    }
    assert!(tried > 70, "{tried}");
}

#[test]
fn a_value_of_another_kind_is_told_at_its_line() {
    // No key takes a date.
    with_each_line_changed(|key, _| format!("{key} = 1979-05-27"));
}

#[test]
fn a_misspelt_key_is_told_at_its_line() {
    with_each_line_changed(|key, value| format!("zz{key} = {value}"));
}

#[test]
fn what_is_no_toml_is_told_at_its_line() {
    with_each_line_changed(|key, value| format!("{key} == {value}"));
}

/// A line of a configuration, good or bad.
fn line() -> impl Strategy<Value = String> {
    let names = [
        "uplink",
        "lwm2m",
        "servers",
        "mappings",
        "uri",
        "topic",
        "object",
        "resources",
        "words",
        "x",
        "\"\"",
    ];
    let key =
        prop::collection::vec(prop::sample::select(names.to_vec()), 1..4).prop_map(|names| names.join("."));
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "65535",
        "1e400",
        "nan",
        "true",
        "\"udp\"",
        "\"1d\"",
        "\"\\u0007\"",
        "\"coap://h\"",
        "[]",
        "{}",
        "1979-05-27",
        "[[1], {}]",
        "{ a = 1 }",
        "9223372036854775807",
        "",
    ]);
    prop_oneof![
        (key.clone(), leaf).prop_map(|(key, leaf)| format!("{key} = {leaf}")),
        key.clone().prop_map(|key| format!("[{key}]")),
        key.prop_map(|key| format!("[[{key}]]")),
        "\\PC{0,20}",
    ]
}

proptest! {
    #[test]
    fn any_lines_are_read_or_refused(lines in prop::collection::vec(line(), 0..12)) {
        let _ = parse(&lines.join("\n"), Host::default()).map_err(|faults| faults.to_string());
    }

    #[test]
    fn the_shipped_file_with_anything_in_it_is_read_or_refused(at in 0usize..6000, cut in 0usize..40, text in "\\PC{0,8}") {
        let whole = uncommented(true);
        let mut chars: Vec<char> = whole.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, text.chars());
        let changed: String = chars.into_iter().collect();
        let _ = parse(&changed, Host::default()).map_err(|faults| faults.to_string());
    }
}
