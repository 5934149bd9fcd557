//! The message that a Write or Execute becomes: topic and payload from templates.
//!
//! In a payload that is JSON, what replaces a placeholder is written so that it stays JSON: text is escaped, and
//! quoted unless the template has the quotes already. Any other payload takes it as it is.
//!
//! | placeholder | what it stands for |
//! |---|---|
//! | `{value}` | what was written; of an Execute its arguments as sent |
//! | `{args}` | of an Execute its arguments as sent, e.g. `0='30',1` |
//! | `{arg0}` … `{arg9}` | of an Execute the value of that argument, empty if it has none or is not there |
//! | `{name}` | a capture that the instance stands for |

use crate::lwm2m::downlink::Operation;
use crate::lwm2m::model::Operations;
use crate::lwm2m::value::Content;

use super::instances::Key;
use super::message::Message;
use super::pointer::Scalar;
use super::reply::{Awaited, Reply};
use super::rules::Rules;
use super::topic::{Piece, Template, is_topic};

/// The placeholder for what was written, or for the arguments of an Execute.
pub const VALUE: &str = "value";
/// The placeholder for the arguments of an Execute as they were sent.
const ARGUMENTS: &str = "args";
/// With a digit behind it: the placeholder for the value of one argument of an Execute.
const ARGUMENT: &str = "arg";

/// One resource's way back to the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Object ID.
    pub object: u16,
    /// Resource ID.
    pub resource: u16,
    /// Write, Execute or both.
    pub operations: Operations,
    /// Which instances of the object.
    pub target: Target,
    /// What the payload holds for a value, as on the way up.
    pub rules: Rules,
    /// Where to publish.
    pub topic: Template,
    /// What to publish.
    pub payload: Payload,
    /// Who carries it out answers; without, the broker's confirmation is all there is.
    pub reply: Option<Reply>,
}

/// What goes out for one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// To publish.
    pub message: Message,
    /// What shows that it is done; `None`: that the broker has it.
    pub reply: Option<Awaited>,
}

/// The instances that a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Fixed(u16),
    /// Those allocated for as many captures; these are their names in the templates.
    Captured(Vec<String>),
}

/// A payload template that knows whether it is JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    template: Template,
    is_json: bool,
}

/// What replaces a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filling {
    /// A number, true or false: the same in JSON and outside.
    Literal(String),
    /// Text, possibly with characters that JSON must escape.
    Text(String),
}

impl Command {
    /// What goes out for this operation on the instance that stands for `key`.
    ///
    /// # Errors
    /// It cannot be put into a message, with the reason.
    pub fn errand(&self, operation: &Operation, key: &[String]) -> Result<Errand, String> {
        let value = match operation {
            Operation::Execute { arguments, .. } => Filling::Text(arguments.clone()),
            Operation::Write { content: Content::Single(value), .. } => filling(&self.rules.scalar(value)?),
            Operation::Write { content: Content::Multiple(_), path } => {
                return Err(format!("{path} was written with several values, and the command carries one"));
            }
        };
        let capture = |name: &str| match &self.target {
            Target::Captured(names) => {
                names.iter().zip(key).find(|(n, _)| *n == name).map(|(_, value)| value.clone())
            }
            Target::Fixed(_) => None,
        };
        // Names were checked when the mapping was compiled: every placeholder is `value` or a capture.
        let topic = self.topic.fill(|name| capture(name).unwrap_or_default());
        if !is_topic(&topic) {
            return Err(format!("{topic:?} is no topic to publish to"));
        }
        let payload = self.payload.fill(|name| match name {
            VALUE => value.clone(),
            name => Filling::Text(argument(operation, name).or_else(|| capture(name)).unwrap_or_default()),
        });
        let reply = self.reply.as_ref().map(|reply| Awaited {
            topic: reply.topic.fill(|name| capture(name).unwrap_or_default()),
            value: reply.value.clone(),
            success: reply.success.iter().map(|word| word.fill(|_| value.text().to_owned())).collect(),
            within: reply.within,
        });
        Ok(Errand { message: Message { topic, payload: payload.into_bytes(), retain: false }, reply })
    }

    /// Both would answer for the same instance.
    pub fn clashes_with(&self, other: &Self) -> bool {
        let same_target = match (&self.target, &other.target) {
            (Target::Fixed(one), Target::Fixed(two)) => one == two,
            (Target::Captured(one), Target::Captured(two)) => one.len() == two.len(),
            _ => false,
        };
        (self.object, self.resource) == (other.object, other.resource) && same_target
    }

    /// What the instance `id` stands for here, given what it was allocated for; `None` if the command is not for it.
    pub fn key_for(&self, id: u16, allocated: Option<&Key>) -> Option<Key> {
        match &self.target {
            Target::Fixed(fixed) => (*fixed == id).then(Key::new),
            Target::Captured(names) => allocated.filter(|key| key.len() == names.len()).cloned(),
        }
    }
}

impl Filling {
    fn text(&self) -> &str {
        let (Self::Literal(text) | Self::Text(text)) = self;
        text
    }
}

impl Payload {
    /// Reads a payload template; any text is one.
    pub fn parse(text: &str) -> Self {
        let template = Template::parse(text);
        // A number fits inside quotes as well as outside, so it tells JSON from other text.
        let probe = template.fill(|_| "0".to_owned());
        let is_json = probe.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<serde::de::IgnoredAny>(&probe).is_ok();
        Self { template, is_json }
    }

    /// The names of the placeholders.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.template.placeholders()
    }

    fn fill(&self, mut value: impl FnMut(&str) -> Filling) -> String {
        let mut filled = String::new();
        let mut in_quotes = false;
        for piece in self.template.pieces() {
            match piece {
                Piece::Plain(text) => {
                    filled.push_str(text);
                    in_quotes = ends_in_quotes(text, in_quotes);
                }
                Piece::Placeholder(name) => match value(name) {
                    Filling::Text(text) if self.is_json => filled.push_str(&json_text(&text, in_quotes)),
                    Filling::Text(text) | Filling::Literal(text) => filled.push_str(&text),
                },
            }
        }
        filled
    }
}

/// The placeholder stands for something of an Execute.
pub fn is_of_execute(name: &str) -> bool {
    name == ARGUMENTS || argument_digit(name).is_some()
}

/// `n` of `argn`.
fn argument_digit(name: &str) -> Option<char> {
    let mut digits = name.strip_prefix(ARGUMENT)?.chars();
    digits.next().filter(|digit| digit.is_ascii_digit() && digits.next().is_none())
}

/// What a placeholder stands for in the arguments of an Execute.
fn argument(operation: &Operation, name: &str) -> Option<String> {
    let Operation::Execute { arguments, .. } = operation else { return None };
    if name == ARGUMENTS {
        return Some(arguments.clone());
    }
    let digit = argument_digit(name)?;
    Some(argument_value(arguments, digit).unwrap_or_default().to_owned())
}

/// The value of one of the arguments, e.g. `10.3` for `2` in `0,2='10.3'`; of several the first (EX-02).
fn argument_value(arguments: &str, digit: char) -> Option<&str> {
    let mut rest = arguments;
    while let Some(number) = rest.chars().next() {
        let after = rest.strip_prefix(number)?;
        // Commas may stand inside the quotes, quotes may not.
        let (value, behind) = match after.strip_prefix("='") {
            Some(quoted) => quoted.split_once('\'')?,
            None => ("", after),
        };
        if number == digit {
            return Some(value);
        }
        rest = behind.strip_prefix(',')?;
    }
    None
}

/// A value as it stands in a message.
fn filling(scalar: &Scalar<'_>) -> Filling {
    match scalar {
        Scalar::Boolean(value) => Filling::Literal(value.to_string()),
        Scalar::Integer(number) => Filling::Literal(number.to_string()),
        Scalar::Float(number) => Filling::Literal(number.to_string()),
        Scalar::Text(text) => Filling::Text(text.clone().into_owned()),
        Scalar::Null | Scalar::Container => Filling::Literal("null".to_owned()),
    }
}

/// Whether JSON text is inside a string after `text`, given whether it was before.
fn ends_in_quotes(text: &str, mut in_quotes: bool) -> bool {
    let mut escaped = false;
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
    }
    in_quotes
}

/// `text` as JSON, without the quotes where they are there already.
fn json_text(text: &str, in_quotes: bool) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let bare = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    bare.filter(|_| in_quotes).unwrap_or(&quoted).to_owned()
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};
    use proptest::prelude::*;

    use super::*;
    use crate::bridge::mapping::compile;
    use crate::lwm2m::model::Model;
    use crate::lwm2m::path::Path;
    use crate::lwm2m::value::Value;

    fn command(topic: &str, payload: &str) -> Command {
        Command {
            object: 3416,
            resource: 1,
            operations: Operations::ReadWrite,
            target: Target::Captured(vec!["lamp".to_owned()]),
            rules: Rules::default(),
            topic: Template::parse(topic),
            payload: Payload::parse(payload),
            reply: None,
        }
    }

    fn published(payload: &str, value: Value) -> String {
        let write = Operation::Write { path: Path::resource_of(3416, 0, 1), content: Content::Single(value) };
        let message = command("t/{lamp}", payload).errand(&write, &["21".to_owned()]).unwrap().message;
        String::from_utf8(message.payload).unwrap()
    }

    #[test]
    fn a_write_fills_topic_and_payload() {
        let write = Operation::Write {
            path: Path::resource_of(3416, 4, 1),
            content: Content::Single(Value::Integer(30)),
        };
        let message = command("lamps/{lamp}/set", r#"{"dim": {value}}"#)
            .errand(&write, &["21".to_owned()])
            .unwrap()
            .message;
        assert_eq!(message.topic, "lamps/21/set");
        assert_eq!(message.payload, br#"{"dim": 30}"#);
        assert!(!message.retain);
    }

    #[test]
    fn values_stand_in_json_and_in_plain_text_as_each_wants_them() {
        let quote = || Value::String("say \"hi\"".to_owned());
        assert_eq!(published(r#"{"a":{value}}"#, quote()), r#"{"a":"say \"hi\""}"#);
        assert_eq!(published(r#"{"a":"<{value}>"}"#, quote()), r#"{"a":"<say \"hi\">"}"#);
        assert_eq!(published("{value}", quote()), "say \"hi\"");
        assert_eq!(published(r#"{"a":"{value}"}"#, Value::Float(21.5)), r#"{"a":"21.5"}"#);
        assert_eq!(
            published(r#"{"on":{value},"id":"{lamp}"}"#, Value::Boolean(true)),
            r#"{"on":true,"id":"21"}"#
        );
        assert_eq!(published("dim {value} of {lamp}", Value::Unsigned(7)), "dim 7 of 21");
    }

    #[test]
    fn invert_holds_on_the_way_down_too() {
        let mut command = command("t", "{value}");
        command.rules.invert = true;
        let write = Operation::Write {
            path: Path::resource_of(3311, 0, 5850),
            content: Content::Single(Value::Boolean(true)),
        };
        assert_eq!(command.errand(&write, &[]).unwrap().message.payload, b"false");
    }

    #[test]
    fn scale_unit_words_and_enum_hold_on_the_way_down_too() {
        let down = |keys: &str, value: Value| {
            let toml = format!("object = 3416\nresource = 1\ncommand = {{ topic = \"t\" }}\n{keys}");
            let settings = figment::Figment::from(Toml::string(&toml)).extract().unwrap();
            let rules = compile(&[settings], &Model::builtin()).unwrap().commands.remove(0).rules;
            let mut command = command("t", r#"{"a":{value}}"#);
            command.rules = rules;
            let write =
                Operation::Write { path: Path::resource_of(3416, 0, 1), content: Content::Single(value) };
            command.errand(&write, &[]).map(|errand| String::from_utf8(errand.message.payload).unwrap())
        };
        assert_eq!(down("scale = 0.5", Value::Integer(30)).unwrap(), r#"{"a":60}"#);
        assert_eq!(down("scale = 0.4\noffset = 1", Value::Integer(30)).unwrap(), r#"{"a":72.5}"#);
        assert_eq!(down("unit = \"/\"", Value::Integer(30)).unwrap(), r#"{"a":0.3}"#);
        let table = "enum = { off = 0, low = 30, \"7\" = 50 }";
        assert_eq!(down(table, Value::Integer(30)).unwrap(), r#"{"a":"low"}"#);
        assert_eq!(down(table, Value::Integer(50)).unwrap(), r#"{"a":7}"#);
        assert!(down(table, Value::Integer(31)).unwrap_err().contains("no entry of enum"));
        let words = Rules { words: vec![("open".into(), true), ("shut".into(), false)], ..Rules::default() };
        assert_eq!(words.scalar(&Value::Boolean(false)), Ok(Scalar::Text("shut".into())));
    }

    #[test]
    fn the_value_of_an_execute_is_its_arguments() {
        let execute =
            Operation::Execute { path: Path::resource_of(3416, 0, 16), arguments: "0='7'".to_owned() };
        let message =
            command("t/{lamp}", r#"{"reset":{value}}"#).errand(&execute, &["21".to_owned()]).unwrap().message;
        assert_eq!(message.payload, br#"{"reset":"0='7'"}"#);
    }

    #[test]
    fn each_argument_of_an_execute_has_a_placeholder() {
        let filled = |payload: &str, arguments: &str| {
            let path = Path::resource_of(3416, 0, 16);
            let execute = Operation::Execute { path, arguments: arguments.to_owned() };
            let message = command("t", payload).errand(&execute, &[]).unwrap().message;
            String::from_utf8(message.payload).unwrap()
        };
        assert_eq!(filled("{args}|{arg0}|{arg2}", "0='a,b',1,2='10.3'"), "0='a,b',1,2='10.3'|a,b|10.3");
        assert_eq!(filled("<{arg1}{arg9}>", "0='x',1"), "<>");
        assert_eq!(filled("{arg0}", "0='first',0='second'"), "first");
        assert_eq!(filled("{arg0}", ""), "");
        assert_eq!(filled(r#"{"a":{arg0},"b":"{arg1}"}"#, "0='7'"), r#"{"a":"7","b":""}"#);
    }

    #[test]
    fn a_reply_is_awaited_where_the_instance_answers_and_may_repeat_what_was_written() {
        let mut command = command("t", "{value}");
        command.reply = Some(Reply {
            filter: crate::bridge::topic::Filter::parse("stat/{lamp}").unwrap(),
            topic: Template::parse("stat/{lamp}"),
            value: None,
            success: vec![Template::parse("ok"), Template::parse("is {value}")],
            within: super::super::reply::LONGEST_WAIT,
        });
        let write = Operation::Write {
            path: Path::resource_of(3416, 0, 1),
            content: Content::Single(Value::Integer(30)),
        };
        let reply = command.errand(&write, &["21".to_owned()]).unwrap().reply.unwrap();
        assert_eq!(
            (reply.topic.as_str(), reply.success),
            ("stat/21", vec!["ok".to_owned(), "is 30".to_owned()])
        );
    }

    #[test]
    fn several_values_and_octets_have_no_message() {
        let path = Path::resource_of(3416, 0, 13);
        for content in [Content::Multiple(vec![]), Content::Single(Value::Opaque(vec![1]))] {
            assert!(command("t", "{value}").errand(&Operation::Write { path, content }, &[]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_arguments_panic(arguments in "[0-9=',a]{0,20}", digit in prop::char::range('0', '9')) {
            let _ = argument_value(&arguments, digit);
        }

        #[test]
        fn no_text_breaks_out_of_json(text in any::<String>(), inside in any::<bool>()) {
            let template = if inside { r#"{"a":"{value}"}"# } else { r#"{"a":{value}}"# };
            let payload = published(template, Value::String(text.clone()));
            let json: serde_json::Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(json, serde_json::json!({ "a": text }));
        }
    }
}
