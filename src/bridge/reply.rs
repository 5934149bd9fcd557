//! The answer of whoever carries out a command: on which topic it comes, and what it says.
//!
//! A message on that topic which lacks the value that is looked for belongs to something else and is passed over; so
//! is a stored one, which is older than the command.

use std::time::Duration;

use super::decode::plain;
use super::message::Message;
use super::pointer::{Pointer, Scalar};
use super::topic::{Filter, Template};

/// Longest wait for a reply: the server that asked still waits, too.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Shortest wait for a reply.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// Most characters of a reply that a reason shows.
const MOST_SHOWN: usize = 40;

/// Where a command's reply comes from and what it must say.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// To subscribe to; every capture is one that the command's instance stands for.
    pub filter: Filter,
    /// The same, to be filled with what the captures stand for.
    pub topic: Template,
    /// Where in the payload the word stands; `None`: the payload is the word.
    pub value: Option<Pointer>,
    /// The words for success, `{value}` for what was written; empty: any.
    pub success: Vec<Template>,
    /// How long it may take.
    pub within: Duration,
}

/// A reply that one message waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    /// The topic that it comes on.
    pub topic: String,
    /// Where in the payload the word stands; `None`: the payload is the word.
    pub value: Option<Pointer>,
    /// The words for success; empty: any.
    pub success: Vec<String>,
    /// How long it may take.
    pub within: Duration,
}

impl Awaited {
    /// What a message on the topic says: done, or not and why; `None` if it is no reply to this.
    pub fn judge(&self, message: &Message) -> Option<Result<(), String>> {
        if message.retain {
            return None;
        }
        let scalar = match &self.value {
            // An empty one removes a retained message, and says nothing.
            None => plain(&message.payload).ok().filter(|scalar| *scalar != Scalar::Null)?,
            Some(pointer) => pointer.find(&message.payload).ok()??,
        };
        let word = word(scalar)?;
        let is_success = self.success.is_empty() || self.success.iter().any(|wanted| is_same(wanted, &word));
        Some(if is_success { Ok(()) } else { Err(format!("{} says {}", self.topic, excerpt(&word))) })
    }
}

/// The text of a scalar; `None` for what is none.
fn word(scalar: Scalar<'_>) -> Option<String> {
    Some(match scalar {
        Scalar::Text(text) => text.into_owned(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Null => "null".to_owned(),
        Scalar::Container => return None,
    })
}

/// The same text, or the same number: `30` is `30.0`.
fn is_same(wanted: &str, found: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    wanted == found || number(wanted).is_some_and(|wanted| number(found) == Some(wanted))
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn awaited(value: Option<&str>, success: &[&str]) -> Awaited {
        Awaited {
            topic: "stat/lamp/RESULT".to_owned(),
            value: value.map(|text| Pointer::parse(text).unwrap()),
            success: success.iter().map(|word| (*word).to_owned()).collect(),
            within: LONGEST_WAIT,
        }
    }

    fn message(payload: &[u8]) -> Message {
        Message { topic: "stat/lamp/RESULT".to_owned(), payload: payload.to_vec(), retain: false }
    }

    fn judged(value: Option<&str>, success: &[&str], payload: &str) -> Option<Result<(), String>> {
        awaited(value, success).judge(&message(payload.as_bytes()))
    }

    #[test]
    fn without_words_for_success_any_reply_will_do() {
        assert_eq!(judged(None, &[], "whatever"), Some(Ok(())));
        assert_eq!(judged(Some("/POWER"), &[], r#"{"POWER":"OFF"}"#), Some(Ok(())));
    }

    #[test]
    fn a_reply_says_success_in_one_of_its_words() {
        assert_eq!(judged(Some("/POWER"), &["ON", "1"], r#"{"POWER":"ON"}"#), Some(Ok(())));
        assert_eq!(judged(Some("/ok"), &["true"], r#"{"ok":true}"#), Some(Ok(())));
        assert_eq!(judged(None, &["30"], " 30.0\n"), Some(Ok(())));
        let refused = judged(Some("/POWER"), &["ON"], r#"{"POWER":"OFF"}"#).unwrap().unwrap_err();
        assert_eq!(refused, r#"stat/lamp/RESULT says "OFF""#);
    }

    #[test]
    fn what_lacks_the_value_or_was_stored_before_is_no_reply() {
        for payload in [r#"{"Dimmer":30}"#, r#"{"POWER":{}}"#, "POWER", ""] {
            assert_eq!(judged(Some("/POWER"), &["ON"], payload), None, "{payload}");
        }
        assert_eq!(judged(None, &["ON"], ""), None);
        let stored = Message { retain: true, ..message(b"ON") };
        assert_eq!(awaited(None, &[]).judge(&stored), None);
    }

    #[test]
    fn a_reason_is_short_and_on_one_line() {
        let why =
            judged(None, &["ok"], &format!("bad\u{1b}[31m\n{}", "x".repeat(1000))).unwrap().unwrap_err();
        assert!(why.len() < 120 && !why.contains(['\n', '\u{1b}']), "{why}");
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in any::<Vec<u8>>(), pointer in any::<bool>()) {
            let _ = awaited(pointer.then_some("/a"), &["1"]).judge(&message(&payload));
        }
    }
}
