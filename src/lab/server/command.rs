//! What an operator may ask of a client, as values and as one line of text.

use std::fmt;

use crate::coap::{Method, Request};
use crate::lwm2m::codecs::{self, CodecError, Format};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::{Path, PathError};
use crate::lwm2m::value::{Content, Entry};

/// One request to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read; without a format the client chooses for one resource, TLV for more.
    Read {
        /// Object, instance, resource or resource instance.
        path: Path,
        /// Accept.
        format: Option<Format>,
    },
    /// Write. A resource is replaced; of an instance only what is named changes.
    Write {
        /// Instance, resource or resource instance.
        path: Path,
        /// One value in text form, or several as `id=value id=value` where the path takes several.
        values: String,
        /// Text (one value), opaque or TLV; without one, text where it can, else TLV.
        format: Option<Format>,
    },
    /// Execute.
    Execute {
        /// The resource.
        path: Path,
        /// Arguments, possibly empty.
        arguments: String,
    },
    /// Observe; one observation for each path. Without a format, TLV.
    Observe {
        /// Object, instance, resource or resource instance.
        path: Path,
        /// Accept.
        format: Option<Format>,
    },
    /// Discover.
    Discover {
        /// Object, instance or resource.
        path: Path,
    },
    /// End an observation.
    Cancel {
        /// Its path.
        path: Path,
        /// Ask the client to end it (GET with Observe 1); else answer its next notification with RST.
        active: bool,
    },
}

/// A command and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Endpoint name; `None` for the only one that is registered.
    pub endpoint: Option<String>,
    /// What to ask.
    pub command: Command,
}

/// Why a line is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The first word is no command.
    #[error("{0:?} is no command; try help")]
    Verb(String),
    /// There is no path.
    #[error("a path as in /3/0 is missing")]
    PathMissing,
    /// A word that should be a path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// This command needs a path of another length.
    #[error("{verb} takes a path of {takes}")]
    Depth {
        /// The command.
        verb: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// Write without a value.
    #[error("a value is missing")]
    ValueMissing,
    /// A word after the command that it does not know.
    #[error("{0:?} is not understood here")]
    Word(String),
}

/// Every form of a line.
pub const HELP: &str = "\
read     [ENDPOINT] PATH [text|opaque|tlv]
write    [ENDPOINT] PATH [text:|opaque:|tlv:] VALUE   or several: ID=VALUE ID=VALUE
execute  [ENDPOINT] PATH [ARGUMENTS]
observe  [ENDPOINT] PATH [opaque|text|tlv]
discover [ENDPOINT] PATH
cancel   [ENDPOINT] PATH [active]                   passive: the next notification gets RST
ENDPOINT may be left out while only one is registered.";

impl std::str::FromStr for Order {
    type Err = OrderError;

    /// From one line, as in [`HELP`].
    fn from_str(line: &str) -> Result<Self, OrderError> {
        let (verb, rest) = word(line.trim());
        let (first, after) = word(rest);
        let (endpoint, rest) =
            if first.is_empty() || first.starts_with('/') { (None, rest) } else { (Some(first), after) };
        let (path, rest) = word(rest);
        let command = command(verb, path, rest)?;
        Ok(Self { endpoint: endpoint.map(str::to_owned), command })
    }
}

impl fmt::Display for Command {
    /// As a line of [`HELP`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, path) = (self.verb(), self.path());
        write!(f, "{verb} {path}")?;
        match self {
            Self::Read { format: Some(format), .. } | Self::Observe { format: Some(format), .. } => {
                write!(f, " {}", name(*format))
            }
            Self::Write { values, format: Some(format), .. } => write!(f, " {}: {values}", name(*format)),
            Self::Write { values: text, .. } | Self::Execute { arguments: text, .. } if !text.is_empty() => {
                write!(f, " {text}")
            }
            Self::Cancel { active: true, .. } => f.write_str(" active"),
            _ => Ok(()),
        }
    }
}

fn command(verb: &str, path: &str, rest: &str) -> Result<Command, OrderError> {
    if !["read", "write", "execute", "observe", "discover", "cancel"].contains(&verb) {
        return Err(OrderError::Verb(verb.to_owned()));
    }
    if path.is_empty() {
        return Err(OrderError::PathMissing);
    }
    let path: Path = path.parse()?;
    let depth = |verb, range: std::ops::RangeInclusive<usize>, takes| {
        if range.contains(&path.depth()) { Ok(()) } else { Err(OrderError::Depth { verb, takes }) }
    };
    let nothing_more = || if rest.is_empty() { Ok(()) } else { Err(OrderError::Word(rest.to_owned())) };
    match verb {
        "write" => {
            depth("write", 2..=4, "two to four numbers")?;
            let (first, after) = word(rest);
            let format = first.strip_suffix(':').and_then(format);
            let values = if format.is_some() { after } else { rest };
            // No value at all is an empty text, but more often a slip.
            if rest.is_empty() {
                return Err(OrderError::ValueMissing);
            }
            Ok(Command::Write { path, values: values.to_owned(), format })
        }
        "execute" => {
            depth("execute", 3..=3, "three numbers")?;
            Ok(Command::Execute { path, arguments: rest.to_owned() })
        }
        "discover" => {
            depth("discover", 1..=3, "one to three numbers")?;
            nothing_more().map(|()| Command::Discover { path })
        }
        "cancel" => match rest {
            "" | "passive" => Ok(Command::Cancel { path, active: false }),
            "active" => Ok(Command::Cancel { path, active: true }),
            other => Err(OrderError::Word(other.to_owned())),
        },
        "observe" => {
            depth("observe", 1..=4, "one to four numbers")?;
            read_format(rest).map(|format| Command::Observe { path, format })
        }
        _ => {
            depth("read", 1..=4, "one to four numbers")?;
            read_format(rest).map(|format| Command::Read { path, format })
        }
    }
}

impl Command {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Execute { .. } => "execute",
            Self::Observe { .. } => "observe",
            Self::Discover { .. } => "discover",
            Self::Cancel { .. } => "cancel",
        }
    }

    /// The path that it is about.
    pub const fn path(&self) -> Path {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Execute { path, .. }
            | Self::Observe { path, .. }
            | Self::Discover { path }
            | Self::Cancel { path, .. } => *path,
        }
    }

    /// The request to a client with these objects, `prefix` in front of its paths.
    pub(super) fn request(&self, prefix: &str, model: &Model) -> Result<Request, CodecError> {
        let path = self.path();
        let ids = path.ids().map(|id| id.to_string());
        let segments = prefix.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).chain(ids);
        let get = Request::new(Method::Get, segments.collect());
        Ok(match self {
            Self::Read { format, .. } => {
                let default = (path.depth() < 3).then_some(Format::Tlv);
                Request { accept: format.or(default).map(Format::number), ..get }
            }
            Self::Observe { format, .. } => {
                let accept = Some(format.unwrap_or(Format::Tlv).number());
                Request { observe: Some(0), accept, ..get }
            }
            Self::Cancel { .. } => Request { observe: Some(1), accept: Some(Format::Tlv.number()), ..get },
            Self::Discover { .. } => Request { accept: Some(Format::Link.number()), ..get },
            Self::Execute { arguments, .. } => Request {
                method: Method::Post,
                content_format: (!arguments.is_empty()).then_some(Format::Text.number()),
                payload: arguments.clone().into_bytes(),
                ..get
            },
            Self::Write { values, format, .. } => {
                let (format, payload) = written(path, values, *format, model)?;
                let method = if path.depth() == 2 { Method::Post } else { Method::Put };
                Request { method, content_format: Some(format.number()), payload, ..get }
            }
        })
    }
}

/// The payload of a Write. Values are typed by the registry, so that a mistake shows here and not at the client.
fn written(
    path: Path,
    values: &str,
    format: Option<Format>,
    model: &Model,
) -> Result<(Format, Vec<u8>), CodecError> {
    let several = match (path.object(), path.resource()) {
        (Some(object), Some(resource)) => {
            let definition = model.resource(object, resource).ok_or(CodecError::Unknown(path))?;
            definition.multiple && path.depth() == 3
        }
        _ => true,
    };
    let entries = if several {
        several_entries(path, values, model)?
    } else {
        codecs::decode(Format::Text, path, values.as_bytes(), model)?
    };
    let format = format.unwrap_or(if several { Format::Tlv } else { Format::Text });
    Ok((format, codecs::encode(format, path, &entries)?))
}

/// `id=value id=value` under an instance or a multiple-instance resource.
fn several_entries(path: Path, values: &str, model: &Model) -> Result<Vec<Entry>, CodecError> {
    let mut entries: Vec<Entry> = vec![];
    for item in values.split_whitespace() {
        let named = item.split_once('=').and_then(|(id, value)| Some((path.child(id.parse().ok()?)?, value)));
        let (child, value) = named.ok_or(CodecError::NotOneValue { format: Format::Text })?;
        for entry in codecs::decode(Format::Text, child, value.as_bytes(), model)? {
            match (entries.last_mut(), entry) {
                (
                    Some(Entry { path: last, content: Content::Multiple(all) }),
                    Entry { path: next, content: Content::Multiple(more) },
                ) if *last == next => all.extend(more),
                (_, entry) => entries.push(entry),
            }
        }
    }
    if entries.is_empty() && path.depth() == 3 {
        entries.push(Entry { path, content: Content::Multiple(vec![]) });
    }
    Ok(entries)
}

/// The first word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (first, rest.trim_start())
}

/// The name of a format, or nothing.
fn read_format(word: &str) -> Result<Option<Format>, OrderError> {
    match (word, format(word)) {
        ("", _) => Ok(None),
        (_, Some(format)) => Ok(Some(format)),
        (other, None) => Err(OrderError::Word(other.to_owned())),
    }
}

/// Formats of values, by the names that they have here.
const FORMATS: [(&str, Format); 3] =
    [("text", Format::Text), ("opaque", Format::Opaque), ("tlv", Format::Tlv)];

fn format(word: &str) -> Option<Format> {
    FORMATS.iter().find(|(name, _)| *name == word).map(|(_, format)| *format)
}

fn name(format: Format) -> &'static str {
    FORMATS.iter().find(|(_, other)| *other == format).map_or("link", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(line: &str) -> Order {
        line.parse().unwrap()
    }

    fn request(line: &str) -> Result<Request, CodecError> {
        order(line).command.request("", &Model::builtin())
    }

    #[test]
    fn lines_read_with_and_without_endpoint() {
        assert_eq!(order("read gw1 /3/0").endpoint.as_deref(), Some("gw1"));
        let read = order(" read /3/0/9 text ");
        let command = Command::Read { path: Path::resource_of(3, 0, 9), format: Some(Format::Text) };
        assert_eq!(read, Order { endpoint: None, command });
        let write = order("write gw1 /3/0/14 +01:00 and more");
        assert!(matches!(write.command, Command::Write { values, .. } if values == "+01:00 and more"));
        assert!(matches!(order("cancel /3303 active").command, Command::Cancel { active: true, .. }));
        assert!(
            matches!(order("execute /3/0/4 5").command, Command::Execute { arguments, .. } if arguments == "5")
        );
    }

    #[test]
    fn a_command_is_written_as_the_line_that_it_was_read_from() {
        for line in [
            "read /3/0/9",
            "read /3303 tlv",
            "write /3416/0/1 40",
            "write /3306/0 tlv: 5850=1 5851=50",
            "execute /3/0/4",
            "execute /3/0/4 0='x'",
            "observe /3303/0 text",
            "discover /3",
            "cancel /3303 active",
            "cancel /3303",
        ] {
            assert_eq!(order(line).command.to_string(), line);
        }
    }

    #[test]
    fn lines_that_make_no_sense_say_why() {
        let error = |line: &str| line.parse::<Order>().unwrap_err();
        assert_eq!(error("reed /3"), OrderError::Verb("reed".into()));
        assert_eq!(error("read"), OrderError::PathMissing);
        assert!(matches!(error("read gw1 3/0"), OrderError::Path(_)));
        assert!(matches!(error("execute /3/0"), OrderError::Depth { .. }));
        assert!(matches!(error("discover /3/0/6/1"), OrderError::Depth { .. }));
        assert_eq!(error("write /3/0/14"), OrderError::ValueMissing);
        assert_eq!(error("read /3/0 xml"), OrderError::Word("xml".into()));
    }

    #[test]
    fn writes_are_typed_by_the_registry() {
        let text = request("write /3416/0/1 40").unwrap();
        assert_eq!((text.method, text.content_format, &text.payload[..]), (Method::Put, Some(0), &b"40"[..]));
        let tlv = request("write /3306/0/5850 tlv: 1").unwrap();
        assert_eq!((tlv.content_format, &tlv.payload[..]), (Some(11542), &[0xe1, 0x16, 0xda, 0x01][..]));
        let instance = request("write /3306/0 5850=1 5851=50").unwrap();
        assert_eq!((instance.method, instance.content_format), (Method::Post, Some(11542)));
        let several = request("write /3/0/6 0=1 1=5").unwrap();
        assert_eq!(several.payload, [0x86, 6, 0x41, 0, 1, 0x41, 1, 5]);
        assert!(matches!(request("write /3306/0/5850 on"), Err(CodecError::Value { .. })));
        assert!(matches!(request("write /3306/0/9 1"), Err(CodecError::Unknown(_))));
    }

    #[test]
    fn requests_have_the_options_of_their_operation_dm_01() {
        let observe = request("observe /3303").unwrap();
        assert_eq!((observe.observe, observe.accept), (Some(0), Some(11542)));
        assert_eq!(request("cancel /3303 active").unwrap().observe, Some(1));
        assert_eq!(request("discover /3/0").unwrap().accept, Some(40));
        assert_eq!(
            (request("read /3").unwrap().accept, request("read /3/0/9").unwrap().accept),
            (Some(11542), None)
        );
        let execute = request("execute /3/0/4 0='x'").unwrap();
        assert_eq!((execute.method, execute.content_format), (Method::Post, Some(0)));
        assert_eq!(request("execute /3/0/4").unwrap().content_format, None);
        let prefixed = order("read /3/0").command.request("x", &Model::builtin()).unwrap();
        assert_eq!(prefixed.path, ["x", "3", "0"]);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(read|write|cancel) (gw )?/[0-9/]{0,8} \\PC{0,20}", other in "\\PC{0,40}") {
            for line in [line, other] {
                if let Ok(order) = line.parse::<Order>() {
                    let _ = order.command.request("", &Model::builtin());
                }
            }
        }
    }
}
