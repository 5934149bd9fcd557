//! What an operator may ask of a client, as values and as one line of text.

use std::fmt;

use crate::lwm2m::codecs::Format;
use crate::lwm2m::path::{Path, PathError};

/// One request to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read; without a format the client chooses for one resource, the server's own format for more.
    Read {
        /// Object, instance, resource or resource instance.
        path: Path,
        /// Accept.
        format: Option<Format>,
    },
    /// Write. A resource is replaced; of an instance only what is named changes, unless it is to be replaced.
    Write {
        /// Instance, resource or resource instance.
        path: Path,
        /// One value in text form, or several as `id=value id=value` where the path takes several; `id/id=value` for a
        /// resource instance.
        values: String,
        /// Without one, text where it can, else the server's own format.
        format: Option<Format>,
        /// Replace the instance (PUT).
        replace: bool,
    },
    /// Create an instance.
    Create {
        /// The object, and the instance unless the client is to choose its ID.
        path: Path,
        /// As for a Write of an instance; possibly empty.
        values: String,
        /// Without one, the server's own format; TLV where the client chooses.
        format: Option<Format>,
    },
    /// Delete.
    Delete {
        /// What to delete; most clients delete only instances.
        path: Path,
    },
    /// Write-Attributes.
    Attributes {
        /// Object, instance, resource or resource instance.
        path: Path,
        /// `name=value`, or `name` alone to unset it.
        attributes: Vec<String>,
    },
    /// Execute.
    Execute {
        /// The resource.
        path: Path,
        /// Arguments, possibly empty.
        arguments: String,
    },
    /// Observe; one observation for each path. Without a format, in the server's own.
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
    /// Write without a value, Write-Attributes without an attribute.
    #[error("a value is missing")]
    ValueMissing,
    /// A word after the command that it does not know.
    #[error("{0:?} is not understood here")]
    Word(String),
}

/// Every form of a line.
pub const HELP: &str = "\
read       [ENDPOINT] PATH [FORMAT]
write      [ENDPOINT] PATH [FORMAT:] VALUE            or several: ID=VALUE ID/ID=VALUE
replace    [ENDPOINT] PATH [FORMAT:] ID=VALUE …       a whole instance
create     [ENDPOINT] PATH [FORMAT:] [ID=VALUE …]     /OBJECT: the client chooses the instance
delete     [ENDPOINT] PATH
execute    [ENDPOINT] PATH [ARGUMENTS]
observe    [ENDPOINT] PATH [FORMAT]
discover   [ENDPOINT] PATH
attributes [ENDPOINT] PATH NAME=VALUE …               NAME alone unsets it
cancel     [ENDPOINT] PATH [active]                   passive: the next notification gets RST
ENDPOINT may be left out while only one is registered.
FORMAT is text, opaque, tlv, old-tlv, senml-json or senml-cbor; without one, SenML CBOR under LwM2M 1.1, else TLV. Ctrl-C ends the server.";

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
            Self::Write { values, format, .. } | Self::Create { values, format, .. } => {
                let gap = if values.is_empty() { "" } else { " " };
                format.map_or(Ok(()), |format| write!(f, " {}:", name(format)))?;
                write!(f, "{gap}{values}")
            }
            Self::Execute { arguments, .. } if !arguments.is_empty() => write!(f, " {arguments}"),
            Self::Attributes { attributes, .. } => write!(f, " {}", attributes.join(" ")),
            Self::Cancel { active: true, .. } => f.write_str(" active"),
            _ => Ok(()),
        }
    }
}

/// The commands, and how long their paths may be.
const VERBS: [(&str, std::ops::RangeInclusive<usize>, &str); 10] = [
    ("read", 1..=4, "one to four numbers"),
    ("write", 2..=4, "two to four numbers"),
    ("replace", 2..=2, "two numbers"),
    ("create", 1..=2, "one or two numbers"),
    ("delete", 1..=4, "one to four numbers"),
    ("execute", 3..=3, "three numbers"),
    ("observe", 1..=4, "one to four numbers"),
    ("discover", 1..=3, "one to three numbers"),
    ("attributes", 1..=4, "one to four numbers"),
    ("cancel", 1..=4, "one to four numbers"),
];

fn command(verb: &str, path: &str, rest: &str) -> Result<Command, OrderError> {
    let known = VERBS.iter().find(|(known, ..)| *known == verb);
    let (verb, depth, takes) = known.ok_or_else(|| OrderError::Verb(verb.to_owned()))?;
    if path.is_empty() {
        return Err(OrderError::PathMissing);
    }
    let path: Path = path.parse()?;
    if !depth.contains(&path.depth()) {
        return Err(OrderError::Depth { verb, takes });
    }
    let nothing_more = || if rest.is_empty() { Ok(()) } else { Err(OrderError::Word(rest.to_owned())) };
    Ok(match *verb {
        "write" | "replace" => {
            let (format, values) = payload(rest);
            // No value at all is an empty text, but more often a slip.
            if rest.is_empty() {
                return Err(OrderError::ValueMissing);
            }
            Command::Write { path, values, format, replace: *verb == "replace" }
        }
        "create" => {
            let (format, values) = payload(rest);
            Command::Create { path, values, format }
        }
        "delete" => nothing_more().map(|()| Command::Delete { path })?,
        "execute" => Command::Execute { path, arguments: rest.to_owned() },
        "discover" => nothing_more().map(|()| Command::Discover { path })?,
        "cancel" => match rest {
            "" | "passive" => Command::Cancel { path, active: false },
            "active" => Command::Cancel { path, active: true },
            other => return Err(OrderError::Word(other.to_owned())),
        },
        "observe" => Command::Observe { path, format: read_format(rest)? },
        "attributes" if rest.is_empty() => return Err(OrderError::ValueMissing),
        "attributes" => {
            Command::Attributes { path, attributes: rest.split_whitespace().map(str::to_owned).collect() }
        }
        _ => Command::Read { path, format: read_format(rest)? },
    })
}

/// What is to be written, behind the format if one is named.
fn payload(rest: &str) -> (Option<Format>, String) {
    let (first, after) = word(rest);
    let format = first.strip_suffix(':').and_then(format);
    (format, if format.is_some() { after } else { rest }.to_owned())
}

impl Command {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { replace: false, .. } => "write",
            Self::Write { replace: true, .. } => "replace",
            Self::Create { .. } => "create",
            Self::Delete { .. } => "delete",
            Self::Attributes { .. } => "attributes",
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
            | Self::Create { path, .. }
            | Self::Delete { path }
            | Self::Attributes { path, .. }
            | Self::Execute { path, .. }
            | Self::Observe { path, .. }
            | Self::Discover { path }
            | Self::Cancel { path, .. } => *path,
        }
    }
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
const FORMATS: [(&str, Format); 6] = [
    ("text", Format::Text),
    ("opaque", Format::Opaque),
    ("tlv", Format::Tlv),
    ("old-tlv", Format::OldTlv),
    ("senml-json", Format::SenmlJson),
    ("senml-cbor", Format::SenmlCbor),
];

fn format(word: &str) -> Option<Format> {
    FORMATS.iter().find(|(name, _)| *name == word).map(|(_, format)| *format)
}

fn name(format: Format) -> &'static str {
    FORMATS.iter().find(|(_, other)| *other == format).map_or("link", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::model::{Model, Version};
    use proptest::prelude::*;

    fn order(line: &str) -> Order {
        line.parse().unwrap()
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
            "replace /16/0 senml-json: 0/0=a",
            "create /16",
            "create /16/3 old-tlv:",
            "create /16/3 0/0=a",
            "delete /16/3",
            "attributes /3303/0/5700 pmin=5 gt",
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
        assert!(matches!(error("create /3/0/1"), OrderError::Depth { .. }));
        assert_eq!(error("write /3/0/14"), OrderError::ValueMissing);
        assert_eq!(error("attributes /3/0/9"), OrderError::ValueMissing);
        assert_eq!(error("delete /16/0 now"), OrderError::Word("now".into()));
        assert_eq!(error("read /3/0 xml"), OrderError::Word("xml".into()));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(read|write|replace|create|delete|attributes|cancel) (gw )?/[0-9/]{0,8} \\PC{0,20}", other in "\\PC{0,40}") {
            for line in [line, other] {
                if let Ok(order) = line.parse::<Order>() {
                    let _ = order.command.request("", &Model::builtin(), Version::V1_1);
                }
            }
        }
    }
}
