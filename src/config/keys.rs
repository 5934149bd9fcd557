//! What a key is: its kind with the range, its default, and what it is for.
//!
//! The keys themselves stand in `table`; `shape` holds a configuration against them.

use std::time::Duration;

use super::tree::{Data, Node};

/// One key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name within the table that holds it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What counts without it.
    pub default: Default,
    /// What it is for: sentences.
    pub doc: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Name of a file or folder.
    File,
    /// True or false.
    Flag,
    /// A whole number in this range.
    Integer(i64, i64),
    /// A number in this range.
    Number(f64, f64),
    /// A duration in this range.
    Span(Duration, Duration),
    /// A duration in this range, or none at all (`"0s"`).
    SpanOrZero(Duration, Duration),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address with a port.
    Address,
    /// Text, a number, true or false.
    Plain,
    /// One of two kinds.
    Either(&'static Kind, &'static Kind),
    /// Any number of values.
    List(&'static Kind),
    /// Keys of the user's own, with values of this kind.
    Named(&'static Kind),
    /// A table with these keys.
    Table(&'static [Key]),
    /// Any number of tables with these keys: `[[name]]`.
    Tables(&'static [Key]),
}

/// What counts without a key. Values are in TOML's notation.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// There must be one, such as this.
    Required(&'static str),
    /// This value.
    Is(&'static str),
    /// This value, which the part that reads the key knows by itself.
    Own(&'static str),
    /// One of these, by `lwm2m.coap.profile`.
    Profile {
        /// With `"nbiot"`.
        nbiot: &'static str,
        /// With `"lan"`.
        lan: &'static str,
    },
    /// As `Profile`, but what is given itself counts for more than its value.
    OwnByProfile {
        /// With `"nbiot"`.
        nbiot: &'static str,
        /// With `"lan"`.
        lan: &'static str,
    },
    /// A table that is always there, with the defaults of its keys.
    Below,
    /// No value; what happens then.
    Absent(&'static str),
}

impl Key {
    /// A key.
    pub(super) const fn new(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Self {
        Self { name, kind, default, doc }
    }

    /// The keys below this one.
    pub fn keys(&self) -> &'static [Self] {
        match self.kind {
            Kind::Table(keys) | Kind::Tables(keys) => keys,
            _ => &[],
        }
    }
}

impl Default {
    /// The value with a profile, in TOML's notation.
    pub fn value(self, is_lan: bool) -> Option<&'static str> {
        match self {
            Self::Is(value) | Self::Own(value) => Some(value),
            Self::Profile { nbiot, lan } | Self::OwnByProfile { nbiot, lan } => {
                Some(if is_lan { lan } else { nbiot })
            }
            Self::Required(_) | Self::Below | Self::Absent(_) => None,
        }
    }
}

/// What a key cannot take, and what to write instead.
pub(super) struct Misfit {
    pub problem: String,
    pub fix: String,
}

impl Kind {
    /// Why a value is none of this kind. What tables and lists hold is not looked at.
    pub(super) fn misfit(self, node: &Node) -> Option<Misfit> {
        match (self, &node.data) {
            (Self::Text | Self::File, Data::Text(_))
            | (Self::Flag, Data::Flag(_))
            | (Self::Plain, Data::Text(_) | Data::Integer(_) | Data::Number(_) | Data::Flag(_))
            | (Self::Table(_), Data::Table(_))
            | (Self::List(_) | Self::Tables(_), Data::List(_))
            | (Self::Named(_), Data::Table(_)) => None,
            (Self::Integer(from, to), Data::Integer(value)) => {
                self.unless((from..=to).contains(value), node, "is out of range")
            }
            (Self::Number(from, to), data @ (Data::Integer(_) | Data::Number(_))) => {
                self.unless((from..=to).contains(&as_number(data)), node, "is out of range")
            }
            (Self::Span(..) | Self::SpanOrZero(..), Data::Text(text)) => self.span_misfit(text, node),
            (Self::Choice(words), Data::Text(text)) => {
                self.unless(words.contains(&text.as_str()), node, "is not known here")
            }
            (Self::Address, Data::Text(text)) => {
                self.unless(text.parse::<std::net::SocketAddr>().is_ok(), node, "is no address with a port")
            }
            (Self::Either(one, other), _) => {
                let fits = one.misfit(node).is_none() || other.misfit(node).is_none();
                self.unless(fits, node, "fits neither")
            }
            _ => Some(Misfit { problem: format!("{} is not {}", shown(node), self.name()), fix: self.fix() }),
        }
    }

    fn span_misfit(self, text: &str, node: &Node) -> Option<Misfit> {
        let (from, to, has_zero) = match self {
            Self::Span(from, to) => (from, to, false),
            Self::SpanOrZero(from, to) => (from, to, true),
            _ => return None,
        };
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) if has_zero => None,
            Ok(span) => self.unless((from..=to).contains(&span), node, "is out of range"),
            Err(_) => self.unless(false, node, "is no duration"),
        }
    }

    fn unless(self, fits: bool, node: &Node, what: &str) -> Option<Misfit> {
        (!fits).then(|| Misfit { problem: format!("{} {what}", shown(node)), fix: self.fix() })
    }

    fn fix(self) -> String {
        match self {
            Self::Tables(_) => "begin each with a line [[name]], in double brackets".into(),
            Self::Table(_) => "begin it with a line [name]".into(),
            kind => format!("write {}", kind.described()),
        }
    }

    /// In a few words, without the range.
    fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Choice(_) => "text in quotes",
            Self::File => "the name of a file in quotes",
            Self::Flag => "true or false (without quotes)",
            Self::Integer(..) => "a whole number (without quotes)",
            Self::Number(..) => "a number (without quotes)",
            Self::Span(..) | Self::SpanOrZero(..) => "a duration in quotes",
            Self::Address => "an address in quotes",
            Self::Plain | Self::Either(..) => "a single value",
            Self::List(_) => "a list in [ ]",
            Self::Named(_) | Self::Table(_) => "a table of keys",
            Self::Tables(_) => "a list of tables",
        }
    }

    /// In words, for a person.
    pub fn described(self) -> String {
        match self {
            Self::Text => "text in quotes".into(),
            Self::File => "the name of a file in quotes".into(),
            Self::Flag => "true or false (without quotes)".into(),
            Self::Integer(i64::MIN, i64::MAX) => "a whole number (without quotes)".into(),
            Self::Integer(from, to) => format!("a whole number from {from} to {to} (without quotes)"),
            Self::Number(from, to) if from.is_finite() && to.is_finite() => {
                format!("a number from {from} to {to} (without quotes)")
            }
            Self::Number(f64::MIN_POSITIVE, _) => "a number greater than 0 (without quotes)".into(),
            Self::Number(..) => "a number (without quotes)".into(),
            Self::Span(from, to) => format!("a duration in quotes, from {} to {}", span(from), span(to)),
            Self::SpanOrZero(from, to) if from.is_zero() => {
                format!("a duration in quotes, from 0s to {}", span(to))
            }
            Self::SpanOrZero(from, to) => {
                format!("a duration in quotes, 0s or from {} to {}", span(from), span(to))
            }
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                match words.as_slice() {
                    [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    words => words.concat(),
                }
            }
            Self::Address => "an address with a port in quotes, such as \"127.0.0.1:9464\"".into(),
            Self::Plain => "text in quotes, a number, true or false".into(),
            Self::Either(one, other) => format!("{}, or {}", one.described(), other.described()),
            Self::List(kind) => format!("a list in [ ], each {}", kind.described()),
            Self::Named(kind) => format!("a table {{ name = … }}, each {}", kind.described()),
            Self::Table(_) => "a table of keys".into(),
            Self::Tables(_) => "a list of tables".into(),
        }
    }
}

fn as_number(data: &Data) -> f64 {
    match data {
        // A configuration holds no integer that a double cannot hold.
        #[expect(clippy::cast_precision_loss, reason = "compared with a range only")]
        Data::Integer(value) => *value as f64,
        Data::Number(value) => *value,
        _ => f64::NAN,
    }
}

/// In the largest unit that it is a whole number of.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    if span.subsec_nanos() > 0 {
        return format!("{}ms", span.as_millis());
    }
    let units = [("days", 86_400), ("h", 3600), ("m", 60)];
    let unit = units.into_iter().find(|(_, unit)| seconds > 0 && seconds % unit == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(name, unit)| format!("{}{name}", seconds / unit))
}

/// Longest value that a message repeats.
const SHOWN_CHARS: usize = 60;

fn shown(node: &Node) -> String {
    match &node.data {
        Data::List(_) => "a list".into(),
        Data::Table(_) => "a table".into(),
        _ => {
            let text = node.to_string();
            match text.char_indices().nth(SHOWN_CHARS) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}
