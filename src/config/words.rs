//! What the reader of the file objects to, in words of the file instead of its own.

use figment::error::{Actual, Kind};

pub(super) fn problem(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("{} is not {}", shown(found), described(wanted))
        }
        Kind::UnknownVariant(found, known) => {
            format!("\"{found}\" is not known here; there are {}", list(known))
        }
        Kind::UnknownField(found, known) => {
            format!("there is no key {found} here; there are {}", list(known))
        }
        Kind::MissingField(key) => format!("the key {key} is missing"),
        other => other.to_string(),
    }
}

/// As it stands in the file.
fn shown(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => format!("{value:?}"),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// Types by their names in Rust, or what a type says of itself.
fn described(wanted: &str) -> String {
    match wanted {
        "f64" => "a number (without quotes)".into(),
        "u16" => "a whole number from 0 to 65535 (without quotes)".into(),
        "u32" | "u64" | "usize" => "a whole number from 0 on (without quotes)".into(),
        "a boolean" => "true or false (without quotes)".into(),
        "a sequence" => "a list in [ ]".into(),
        "a string" | "path string" => "text in quotes".into(),
        choice if choice.starts_with("enum ") => "text in quotes".into(),
        block if block.starts_with("struct ") => "a table of keys".into(),
        other => other.into(),
    }
}

fn list(known: &[&str]) -> String {
    known.join(", ")
}
