//! `nbgate map test`: which values messages become.

use std::io::{BufRead, Read as _};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bridge::{self, Bridge, Event, Message};
use crate::cli::output::say;
use crate::link::clock;
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Value;

use super::{Common, printable};

/// Longest line, in octets: a topic and a payload as long as they may be.
const MAX_LINE_OCTETS: u64 = 512 * 1024;
/// From one line to the next: longer than a sensible `min_interval`, which so holds nothing back.
const BETWEEN: Duration = Duration::from_secs(24 * 3600);

/// Show which values the messages on standard input become
///
/// A line is a topic, blanks and the payload, which may contain blanks; a topic with blanks stands in double quotes.
/// Empty lines and lines that start with `#` are skipped. So a recording of the broker can be tried:
/// `mosquitto_sub -t 'sensors/#' -F '"%t" %p' | nbgate map test`.
///
/// Instances are allocated as on a gateway that has never run; messages count as a day apart, so that `min_interval`
/// holds nothing back. The exit code is 1 if a line gives no value, or any of its values is refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

/// What one line became.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Number of the line, counted from 1.
    line: usize,
    topic: String,
    values: Vec<Shown>,
    /// Why there is no value, or one less.
    reasons: Vec<String>,
    #[serde(skip)]
    is_refused: bool,
}

/// A value with what the registry says of it.
#[derive(Debug, Serialize)]
struct Shown {
    path: String,
    object: &'static str,
    resource: &'static str,
    value: serde_json::Value,
    unit: Option<&'static str>,
}

/// Reads the lines and tells what they become.
///
/// # Errors
/// Faulty mappings, a line that is none, or lines that give nothing.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (bridge, model) = args.common.bridge()?;
    let mut trial = Trial { bridge, model, now: clock::now() };
    let mut input = std::io::stdin().lock();
    let (mut tried, mut failed) = (0, 0);
    for number in 1.. {
        let Some(line) = read_line(&mut input, number)? else { break };
        let Some((topic, payload)) = split(&line, number)? else { continue };
        let outcome = trial.message(number, topic, payload);
        tried += 1;
        failed += usize::from(outcome.values.is_empty() || outcome.is_refused);
        match args.common.json {
            true => say(serde_json::to_string(&outcome)?),
            false => say(outcome),
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {tried} messages gave no value, or had one refused");
    Ok(())
}

/// The next line without its end; `None` when there is no more.
fn read_line(input: &mut impl BufRead, number: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = vec![];
    input.by_ref().take(MAX_LINE_OCTETS + 1).read_until(b'\n', &mut line)?;
    anyhow::ensure!(line.len() as u64 <= MAX_LINE_OCTETS, "line {number} is longer than 512 KiB");
    Ok((!line.is_empty()).then(|| line.trim_ascii_end().to_vec()))
}

/// Topic and payload; `None` for a comment or an empty line.
fn split(line: &[u8], number: usize) -> anyhow::Result<Option<(&str, &[u8])>> {
    let line = line.trim_ascii_start();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let (quoted, end) = match line.strip_prefix(b"\"") {
        Some(rest) => (rest, b"\"".as_slice()),
        None => (line, b" \t".as_slice()),
    };
    let at = quoted.iter().position(|octet| end.contains(octet)).unwrap_or(quoted.len());
    let (topic, payload) = quoted.split_at(at);
    let payload = payload.get(1..).unwrap_or_default().trim_ascii_start();
    let topic =
        std::str::from_utf8(topic).map_err(|_| anyhow::anyhow!("line {number}: the topic is not UTF-8"))?;
    Ok(Some((topic, payload)))
}

/// The bridge, and a clock that goes on from line to line.
struct Trial {
    bridge: Bridge,
    model: Model,
    now: Instant,
}

impl Trial {
    fn message(&mut self, line: usize, topic: &str, payload: &[u8]) -> Outcome {
        let mut outcome =
            Outcome { line, topic: topic.to_owned(), values: vec![], reasons: vec![], is_refused: false };
        self.now += BETWEEN;
        let before = *self.bridge.stats();
        let message = Message { topic: topic.to_owned(), payload: payload.to_vec(), retain: false };
        self.bridge.handle_message(message, self.now);
        while let Some(event) = self.bridge.poll_event() {
            match event {
                Event::Value { path, value, .. } => outcome.values.extend(self.shown(path, value)),
                Event::Refused { why, .. } => {
                    outcome.is_refused = true;
                    outcome.reasons.push(format!("refused: {why}"));
                }
                Event::Dropped { path, .. } => {
                    outcome
                        .reasons
                        .push(format!("dropped: {path} is within the dead-band of the value before"));
                }
                Event::Held { path, .. } => {
                    outcome.reasons.push(format!("held: {path} waits for the end of its minimum interval"));
                }
                // A trial lasts too short for most of these, and writes nothing for the last.
                Event::Released { .. }
                | Event::Superseded { .. }
                | Event::Withdrawn { .. }
                | Event::Forgotten { .. }
                | Event::DownlinkDone { .. } => {}
            }
        }
        if self.bridge.stats().skipped > before.skipped {
            outcome.reasons.push("skipped: null, NaN or nothing is no sample".to_owned());
        }
        if self.bridge.stats().unmatched > before.unmatched {
            outcome.reasons.push("no mapping is for this topic".to_owned());
        }
        outcome
    }

    fn shown(&self, path: Path, value: Value) -> Option<Shown> {
        let object = self.model.object(path.object()?)?;
        let resource = object.resource(path.resource()?)?;
        let value = match value {
            Value::Boolean(value) => value.into(),
            Value::Integer(value) | Value::Time(value) => value.into(),
            Value::Unsigned(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::String(text) | Value::CoreLink(text) => text.into(),
            // No payload becomes one of these.
            Value::Opaque(_) | Value::ObjectLink(..) => return None,
        };
        Some(Shown {
            path: path.to_string(),
            object: object.name,
            resource: resource.name,
            value,
            unit: bridge::unit_of(object.id, resource),
        })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", printable(&self.topic))?;
        for shown in &self.values {
            let value = printable(&shown.value.to_string());
            write!(f, "\n  {}  {} = {value}", shown.path, shown.resource)?;
            shown.unit.map_or(Ok(()), |unit| write!(f, " {unit}"))?;
        }
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {}", printable(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_topic_and_the_rest_of_it() {
        let split = |line: &'static str| split(line.as_bytes(), 1).unwrap();
        assert_eq!(split("a/b 21.5 C"), Some(("a/b", &b"21.5 C"[..])));
        assert_eq!(split("  a/b \t {\"t\": 1}"), Some(("a/b", &b"{\"t\": 1}"[..])));
        assert_eq!(split("\"lid sensor 7/x\" {\"t\": 1}"), Some(("lid sensor 7/x", &b"{\"t\": 1}"[..])));
        assert_eq!(split("a/b"), Some(("a/b", &b""[..])));
        assert_eq!(split("\"a"), Some(("a", &b""[..])));
        assert_eq!(split("# a/b 1"), None);
        assert_eq!(split(" "), None);
    }

    #[test]
    fn lines_end_where_they_end_and_are_bounded() {
        let mut input = &b"a 1\r\n\nb 2"[..];
        let read = |input: &mut &[u8]| read_line(input, 1).unwrap();
        assert_eq!(read(&mut input), Some(b"a 1".to_vec()));
        assert_eq!(read(&mut input), Some(vec![]));
        assert_eq!(read(&mut input), Some(b"b 2".to_vec()));
        assert_eq!(read(&mut input), None);
        let long = vec![b'x'; 600 * 1024];
        assert!(read_line(&mut &long[..], 1).is_err());
    }
}
