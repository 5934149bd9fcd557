//! The states of an account, and what else it bears in mind of its server. Values only.

use std::time::Instant;

use super::record::{Announced, Registration};
use crate::coap::ExchangeId;

/// An own request that is not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) exchange: ExchangeId,
    pub(super) since: Instant,
    pub(super) announces: Announced,
}

/// What an Update is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The server is to learn something, or has asked for it: it has to answer.
    Tell,
    /// The server is to see where we are: any request of its own shows as well that it does.
    Show,
}

/// What we know of our address, as the server's observations go. Behind a NAT a server may take our Update at a new
/// address, and yet keep to the old one where it observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing speaks against it.
    Known,
    /// There was a silence, and since then the server has neither acknowledged a notification nor observed anything.
    Doubted,
    /// In such doubt the server rejected all that it observed: to it the address is another one, and it will hardly
    /// observe again before we register anew.
    Changed,
}

/// Where the account stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// `None`: try as soon as the link is up.
    Idle {
        not_before: Option<Instant>,
    },
    Registering {
        open: Open,
    },
    Registered {
        registration: Registration,
    },
    Updating {
        registration: Registration,
        open: Open,
        purpose: Purpose,
    },
    Disabled {
        until: Instant,
        /// The De-register, while it is open.
        exchange: Option<ExchangeId>,
    },
    Deregistering {
        exchange: ExchangeId,
    },
    Closed,
}

impl State {
    /// What the server keeps for us.
    pub(super) const fn registration(&self) -> Option<&Registration> {
        match self {
            Self::Registered { registration } | Self::Updating { registration, .. } => Some(registration),
            _ => None,
        }
    }

    /// The own request that is open.
    pub(super) const fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::Registering { open } | Self::Updating { open, .. } => Some(open.exchange),
            Self::Disabled { exchange, .. } => *exchange,
            Self::Deregistering { exchange } => Some(*exchange),
            _ => None,
        }
    }
}
