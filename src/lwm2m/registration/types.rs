//! What goes into an account and comes out of it. Values only.

use std::time::Duration;

use crate::lwm2m::model::Version;
use crate::lwm2m::tree::Shape;

/// How long to wait between attempts to register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure; doubled with each further one (RTY-01).
    pub first: Duration,
    /// Longest wait; also after 4.03, where haste is of no use (RTY-05).
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(60), longest: Duration::from_secs(3600) }
    }
}

/// What the account says of itself when it registers, as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Endpoint name.
    pub endpoint: &'a str,
    /// Version of the enabler; `None`: a Register does not name it.
    pub version: Option<Version>,
    /// /1/x/1, in seconds.
    pub lifetime_secs: u32,
    /// /1/x/7.
    pub binding: &'a str,
    /// Which set of instances the link list shows.
    pub shape: Shape,
    /// New instances still gather: no Update for their sake yet.
    pub gathering: bool,
    /// How long an Update with all its resends may take: MAX_TRANSMIT_WAIT.
    pub update_takes: Duration,
    /// Datagrams can be carried.
    pub link_up: bool,
}

/// What a request to the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new registration: the server forgets all that it knew of us.
    Register,
    /// The registration is to live on.
    Update {
        /// The cause.
        why: &'static str,
    },
    /// The registration is to end, because a server disabled the account.
    Deregister,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Registered anew.
    Registered,
    /// The registration lives on.
    Updated,
    /// Not registered; the next attempt follows after `retry_in`.
    Failed {
        /// In words.
        why: String,
        /// Zero after a failed Update: a Register follows at once (UPD-07).
        retry_in: Duration,
    },
    /// De-registered, or as good as (DER-01).
    Deregistered,
    /// De-registered for a while, and deaf from now on.
    Disabled,
}
