//! An event as a line: text for people and journald, or a JSON object. Nothing in it can steer a terminal.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::Format;
use super::mask::Mask;
use crate::clock::UnixTime;

/// Of a longer text the beginning is shown: a payload may have hundreds of thousands of octets.
const MAX_TEXT_OCTETS: usize = 1024;

/// What is said of an event: masked and cut, not escaped yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    level: Level,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(super) fn new(event: &Event<'_>, mask: &Mask) -> Self {
        let record = Self { level: *event.metadata().level(), message: String::new(), fields: Vec::new() };
        let mut reading = Reading { record, mask };
        event.record(&mut reading);
        reading.record
    }

    #[cfg(test)]
    pub(super) fn of(level: Level, message: &str) -> Self {
        Self { level, message: message.to_owned(), fields: Vec::new() }
    }
}

struct Reading<'a> {
    record: Record,
    mask: &'a Mask,
}

impl Reading<'_> {
    fn value(&mut self, field: &Field, value: Value) {
        self.record.fields.push((field.name(), value));
    }
}

impl Visit for Reading<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = cut(&self.mask.apply(value));
        if field.name() == "message" {
            self.record.message = text;
        } else {
            self.value(field, text.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value.into());
    }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT_OCTETS {
        return text.to_owned();
    }
    let mut end = MAX_TEXT_OCTETS;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} octets)", &text[..end], text.len())
}

/// How lines look in this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) is_journal: bool,
    pub(super) in_colour: bool,
}

impl Style {
    /// The line with its end. `repeats`: how often it happened again, and within which time.
    pub(super) fn line(
        self,
        record: &Record,
        repeats: Option<(u64, Duration)>,
        time: Option<UnixTime>,
    ) -> String {
        let mut line = String::new();
        if self.is_journal {
            line = format!("<{}>", priority(record.level));
        }
        match self.format {
            Format::Json => line.push_str(&json_object(record, repeats, time)),
            Format::Text => self.text(record, repeats, time, &mut line),
        }
        line.push('\n');
        line
    }

    fn text(
        self,
        record: &Record,
        repeats: Option<(u64, Duration)>,
        time: Option<UnixTime>,
        line: &mut String,
    ) {
        if !self.is_journal {
            let time = time.map(rfc3339).unwrap_or_default();
            line.push_str(&time);
            if self.in_colour {
                line.push_str(&format!(" \x1b[{}m{:>5}\x1b[0m ", colour(record.level), record.level));
            } else {
                line.push_str(&format!(" {:>5} ", record.level));
            }
        }
        escape(&record.message, line);
        for (name, value) in &record.fields {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Value::String(text) => push_text(text, line),
                other => line.push_str(&other.to_string()),
            }
        }
        if let Some((repeats, within)) = repeats {
            let times = if repeats == 1 { "once".to_owned() } else { format!("{repeats} times") };
            line.push_str(&format!(" (repeated {times} in {} s)", within.as_secs()));
        }
    }
}

/// Syslog's priorities, as journald takes them (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// A terminal's colour (ECMA-48 SGR).
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 90,
    }
}

fn rfc3339(time: UnixTime) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(time.millis).unwrap_or_default());
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch).to_string()
}

/// A field's text: in quotes where it would not be seen as one word.
fn push_text(text: &str, line: &mut String) {
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=');
    if is_word {
        return escape(text, line);
    }
    line.push('"');
    escape(&text.replace('\\', "\\\\").replace('"', "\\\""), line);
    line.push('"');
}

/// Characters that steer a terminal, or change what the rest of a line looks like, are shown by their number.
pub(super) fn escape(text: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_steering(c) => {
                // Writing to a text cannot fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// Control characters, and those of Unicode that are invisible or turn the direction of writing.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn json_object(record: &Record, repeats: Option<(u64, Duration)>, time: Option<UnixTime>) -> String {
    let fields: Map<_, _> =
        record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut object = json!({
        "time": time.map(rfc3339),
        "level": record.level.as_str().to_ascii_lowercase(),
        "message": record.message,
        "fields": fields,
    });
    if let Some((repeats, within)) = repeats {
        object["repeated"] = repeats.into();
        object["within_s"] = within.as_secs().into();
    }
    escape_json(&object.to_string())
}

/// A JSON document that steers no terminal: JSON itself escapes only what lies below U+0020.
pub(super) fn escape_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        if is_steering(c) && c != '\n' {
            // Writing to a text cannot fail, and all of these have four digits.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Style = Style { format: Format::Text, is_journal: false, in_colour: false };
    const JOURNAL: Style = Style { is_journal: true, ..PLAIN };
    const JSON: Style = Style { format: Format::Json, ..PLAIN };
    const TIME: Option<UnixTime> = Some(UnixTime { millis: 1_764_000_000_123 });

    fn record() -> Record {
        let fields =
            vec![("topic", Value::from("a/b")), ("why", "no \"number\"".into()), ("times", 3.into())];
        Record { fields, ..Record::of(Level::WARN, "message gives no value") }
    }

    #[test]
    fn a_line_has_its_time_or_under_journald_its_priority() {
        assert_eq!(
            PLAIN.line(&record(), None, TIME),
            "2025-11-24T16:00:00.123Z  WARN message gives no value topic=a/b why=\"no \\\"number\\\"\" times=3\n"
        );
        assert_eq!(
            JOURNAL.line(&Record::of(Level::ERROR, "x"), Some((7, Duration::from_secs(60))), TIME),
            "<3>x (repeated 7 times in 60 s)\n"
        );
    }

    #[test]
    fn json_keeps_the_types_of_fields() {
        let line = JSON.line(&record(), Some((2, Duration::from_secs(60))), TIME);
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            object,
            json!({
                "time": "2025-11-24T16:00:00.123Z", "level": "warn", "message": "message gives no value",
                "fields": { "topic": "a/b", "why": "no \"number\"", "times": 3 },
                "repeated": 2, "within_s": 60,
            })
        );
    }

    #[test]
    fn what_steers_a_terminal_is_shown_by_its_number() {
        let record = Record {
            fields: vec![("topic", "a\u{1b}[2Jb\nc".into())],
            ..Record::of(Level::INFO, "x\u{9b}y\u{202e}z")
        };
        assert_eq!(JOURNAL.line(&record, None, TIME), "<6>x\\u{9b}y\\u{202e}z topic=\"a\\u{1b}[2Jb\\nc\"\n");
        let line = JSON.line(&record, None, TIME);
        assert!(line.contains("x\\u009by\\u202ez") && line.contains("a\\u001b[2Jb\\nc"), "{line}");
    }

    #[test]
    fn a_json_document_steers_no_terminal_and_stays_one() {
        let value = json!({ "key": "a\u{9b}2J\u{7f}\u{202e}" });
        let shown = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(shown, "{\n  \"key\": \"a\\u009b2J\\u007f\\u202e\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = format!("{}é", "x".repeat(MAX_TEXT_OCTETS - 1));
        assert_eq!(cut(&text), format!("{}… (1025 octets)", "x".repeat(MAX_TEXT_OCTETS - 1)));
    }

    proptest! {
        #[test]
        fn any_event_is_one_line_that_steers_nothing(message in "\\PC{0,20}|(?s:.{0,20})", field in "(?s:.{0,20})") {
            let record = Record { fields: vec![("f", field.as_str().into())], ..Record::of(Level::INFO, &message) };
            for style in [PLAIN, JOURNAL, JSON] {
                let line = style.line(&record, None, TIME);
                prop_assert!(!line.trim_end_matches('\n').contains(is_steering), "{line:?}");
                prop_assert!(line.ends_with('\n'));
            }
            let object: Value = serde_json::from_str(&JSON.line(&record, None, TIME)).unwrap();
            prop_assert_eq!(object["fields"]["f"].as_str(), Some(field.as_str()));
        }
    }
}
