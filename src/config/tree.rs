//! What files and environment say, as one tree in which each value knows where it was written.
//!
//! It knows neither which keys there are (`table`) nor what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use figment::value::{Dict, Value};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file.
    File(Position),
    /// A variable of the environment, by its name.
    Variable(String),
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Absent for a text that is no file.
    pub file: Option<Arc<Path>>,
    /// Line and column, both counted from 1; absent if the file as a whole is meant.
    pub at: Option<(usize, usize)>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Variable(name) => f.write_str(name),
            Self::File(Position { file, at }) => match (file, at) {
                (Some(file), Some((line, _))) => write!(f, "{}:{line}", file.display()),
                (Some(file), None) => write!(f, "{}", file.display()),
                (None, Some((line, _))) => write!(f, "line {line}"),
                (None, None) => f.write_str("text"),
            },
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Of its key, or of itself within a list.
    pub origin: Origin,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
    /// A date or a time, which no key takes.
    Date(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn empty_table(origin: Origin) -> Self {
        Self { origin, data: Data::Table(BTreeMap::new()) }
    }

    /// The member of a table.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Data::Table(members) = &self.data else { return None };
        members.get(name)
    }

    pub(super) fn text(&self) -> Option<&str> {
        let Data::Text(text) = &self.data else { return None };
        Some(text)
    }

    /// Lays another tree over this one: tables are united, lists appended, all else is replaced.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.data, over.data) {
            (Data::Table(members), Data::Table(others)) => {
                for (name, other) in others {
                    match members.get_mut(&name) {
                        Some(member) => member.merge(other),
                        None => {
                            members.insert(name, other);
                        }
                    }
                }
            }
            (Data::List(items), Data::List(others)) => items.extend(others),
            (data, other) => {
                *data = other;
                self.origin = over.origin;
            }
        }
    }

    /// For figment, which makes typed values of it.
    pub(super) fn to_value(&self) -> Value {
        match &self.data {
            Data::Text(text) | Data::Date(text) => Value::from(text.as_str()),
            Data::Integer(value) => Value::from(*value),
            Data::Number(value) => Value::from(*value),
            Data::Flag(value) => Value::from(*value),
            Data::List(items) => Value::from(items.iter().map(Self::to_value).collect::<Vec<_>>()),
            Data::Table(members) => {
                let dict: Dict =
                    members.iter().map(|(name, member)| (name.clone(), member.to_value())).collect();
                Value::from(dict)
            }
        }
    }

    /// Every key below this node, with where it was written.
    pub(super) fn places(&self) -> BTreeMap<String, Origin> {
        let mut places = BTreeMap::new();
        self.collect_places("", &mut places);
        places
    }

    fn collect_places(&self, at: &str, places: &mut BTreeMap<String, Origin>) {
        places.insert(at.to_owned(), self.origin.clone());
        match &self.data {
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.collect_places(&format!("{at}[{index}]"), places);
                }
            }
            Data::Table(members) => {
                for (name, member) in members {
                    member.collect_places(&joined(at, name), places);
                }
            }
            _ => {}
        }
    }
}

/// As a file would have it, on one line.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Data::Text(text) => f.write_str(&quoted(text)),
            Data::Integer(value) => write!(f, "{value}"),
            Data::Number(value) => f.write_str(&number(*value)),
            Data::Flag(value) => write!(f, "{value}"),
            Data::Date(text) => f.write_str(text),
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Data::Table(members) => {
                let members: Vec<_> =
                    members.iter().map(|(name, member)| format!("{} = {member}", bare(name))).collect();
                write!(f, "{{ {} }}", members.join(", "))
            }
        }
    }
}

/// `nan` and `inf` are TOML's words, too.
fn number(value: f64) -> String {
    if value.is_nan() { "nan".into() } else { format!("{value:?}") }
}

/// A text between quotes, with nothing in it that could steer a terminal.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key as TOML writes it: between quotes where it must be.
fn bare(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

/// The key of a table's member.
pub(super) fn joined(at: &str, name: &str) -> String {
    if at.is_empty() { bare(name) } else { format!("{at}.{}", bare(name)) }
}

/// The key that holds this one: `a.b[2].c`, `a.b[2]`, `a.b`, `a` and the empty one.
pub(super) fn holder(key: &str) -> &str {
    key.rfind(['.', '[']).map_or("", |end| &key[..end])
}

/// Whether a key is among these, or lies below one that is.
pub(super) fn is_within(key: &str, keys: &BTreeSet<String>) -> bool {
    let mut key = key;
    while !key.is_empty() {
        if keys.contains(key) {
            return true;
        }
        key = holder(key);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::text::parse;
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, None).unwrap()
    }

    #[test]
    fn tables_are_united_lists_appended_and_all_else_is_replaced() {
        let mut base = tree("a = 1\nlist = [1]\n[t]\nx = 1\ny = 2\n[[m]]\nk = 1");
        base.merge(tree("a = 2\nlist = [2, 3]\nt.y = 3\n[[m]]\nk = 2"));
        let expected = "{ a = 2, list = [1, 2, 3], m = [{ k = 1 }, { k = 2 }], t = { x = 1, y = 3 } }";
        assert_eq!(base.to_string(), expected);
    }

    #[test]
    fn every_key_has_its_line() {
        let places = tree("\n[t]\nx = 1\n\n[[m]]\nk.l = [\n  1,\n  2]\n[[m]]\n").places();
        let line = |key: &str| places[key].to_string();
        for (key, expected) in
            [("t.x", "line 3"), ("m[0]", "line 5"), ("m[0].k.l[1]", "line 8"), ("m[1]", "line 9")]
        {
            assert_eq!(line(key), expected, "{key}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let text = r#"{ "a b" = "x\"y\\\u001B", c = [-1, 1.5, true, nan], d = 1e300 }"#;
        let shown = tree(&format!("v = {text}")).to_string();
        assert_eq!(tree(&format!("v = {shown}")).get("v").unwrap().to_string(), shown);
        assert!(!shown.contains('\x1b'));
    }

    #[test]
    fn a_key_lies_within_its_holders_and_itself() {
        let keys = BTreeSet::from(["a.b[2]".to_owned()]);
        for key in ["a.b[2]", "a.b[2].c", "a.b[2].c[0].d"] {
            assert!(is_within(key, &keys), "{key}");
        }
        assert!(!is_within("a.b[22]", &keys) && !is_within("a.b", &keys));
    }
}
