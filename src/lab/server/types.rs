//! What passes out of the server: events, answers to commands, and why a command has none.

use super::register::Refusal;
use super::registration::Reading;
use crate::coap::{self, Code};
use crate::lwm2m::codecs::{CodecError, Link, LinkError};
use crate::lwm2m::path::Path;
use crate::net::Peer;

/// Names a command until its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What happened at the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A client registered; see [`Server::registration`](super::Server::registration).
    Registered {
        /// Endpoint name.
        endpoint: String,
        /// Where it is.
        peer: Peer,
        /// It had been registered before; that registration and its observations are gone.
        again: bool,
    },
    /// A client sent an Update.
    Updated {
        /// Endpoint name.
        endpoint: String,
        /// Where it is.
        peer: Peer,
        /// The list of objects came along.
        objects: bool,
    },
    /// A client took leave.
    Deregistered {
        /// Endpoint name.
        endpoint: String,
    },
    /// A lifetime ended without an Update.
    Expired {
        /// Endpoint name.
        endpoint: String,
    },
    /// A request to the registration interface was refused.
    Refused {
        /// Who asked.
        peer: Peer,
        /// The answer and its reason.
        refusal: Refusal,
    },
    /// An observation runs.
    Observing {
        /// Endpoint name.
        endpoint: String,
        /// What is observed.
        path: Path,
    },
    /// An observation did not come about, or the client ended it.
    NotObserving {
        /// Endpoint name.
        endpoint: String,
        /// What was to be observed.
        path: Path,
        /// In words.
        why: String,
    },
    /// A notification (or the first answer to an Observe) brought a value.
    Value(Reading),
    /// A notification could not be read.
    Unreadable {
        /// Endpoint name.
        endpoint: String,
        /// What is observed.
        path: Path,
        /// In words.
        why: String,
    },
    /// A command ended.
    Finished {
        /// Which.
        command: CommandId,
        /// Its client.
        endpoint: String,
        /// Any answer is `Ok`, whatever its code.
        outcome: Result<Answer, CommandError>,
    },
}

/// A client's answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The code.
    pub code: Code,
    /// Format of its payload.
    pub content_format: Option<u16>,
    /// Location-Path of what a Create made.
    pub location: Vec<String>,
    /// To an Observe: notifications follow.
    pub observes: bool,
    /// Values of a Read or Observe.
    pub values: Vec<Reading>,
    /// Links of a Discover.
    pub links: Vec<Link>,
}

impl Answer {
    /// One without a payload.
    pub const fn bare(code: Code) -> Self {
        Self { code, content_format: None, location: vec![], observes: false, values: vec![], links: vec![] }
    }
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Nobody of this name is registered, or no name was given and not exactly one is.
    #[error("{0}")]
    Endpoint(String),
    /// The command cannot be written, or its answer not be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The answer's links cannot be read.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The answer is in a format that was not asked for.
    #[error("answered in Content-Format {0:?}")]
    Format(Option<u16>),
    /// The exchange had no proper end.
    #[error("{0}")]
    Exchange(coap::Failure),
    /// Cancel of something that is not observed.
    #[error("{0} is not observed")]
    NotObserved(Path),
    /// Too many commands or observations are open.
    #[error("too much is going on already")]
    TooMany,
    /// The client registered anew, took leave or changed its address meanwhile.
    #[error("the registration ended")]
    Gone,
}
