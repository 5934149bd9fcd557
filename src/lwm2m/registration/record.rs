//! A registration as the server has it: where it is, how long it lives, what the server was told last.

use std::time::{Duration, Instant};

use super::LINK_FORMAT;
use super::types::Facts;
use crate::coap::{Method, Request};
use crate::lwm2m::tree::Shape;

/// An Update leaves no later than this before the end: a server counts from our request's arrival, not from its making.
const LEAST_MARGIN: Duration = Duration::from_secs(30);

/// A registration that the server keeps for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    /// Every segment of it, used as it came (REG-16).
    pub(super) location: Vec<String>,
    /// When the last successful Register or Update was made; the server counts from a little later.
    pub(super) since: Instant,
    pub(super) announced: Announced,
}

/// What the server was told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) lifetime_secs: u32,
    pub(super) binding: String,
    pub(super) shape: Shape,
}

impl Registration {
    fn lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.announced.lifetime_secs))
    }

    pub(super) fn expires(&self) -> Instant {
        self.since + self.lifetime()
    }

    /// When the Update is due that the lifetime alone asks for.
    pub(super) fn update_at(&self, update_takes: Duration) -> Instant {
        self.expires() - update_margin(self.lifetime(), update_takes)
    }

    /// Names only what changed since the last success (UPD-01, UPD-02); the link list is whole or absent.
    pub(super) fn update_request(&self, news: &Announced, links: impl FnOnce() -> Vec<u8>) -> Request {
        let mut request = Request::new(Method::Post, self.location.clone());
        if news.lifetime_secs != self.announced.lifetime_secs {
            request.query.push(format!("lt={}", news.lifetime_secs));
        }
        if news.binding != self.announced.binding {
            request.query.push(format!("b={}", news.binding));
        }
        if news.shape != self.announced.shape {
            request.content_format = Some(LINK_FORMAT);
            request.payload = links();
        }
        request
    }
}

impl Announced {
    pub(super) fn of(facts: Facts<'_>) -> Self {
        Self { lifetime_secs: facts.lifetime_secs, binding: facts.binding.to_owned(), shape: facts.shape }
    }
}

/// How long before the end of a registration the Update for its lifetime leaves (UPD-05).
///
/// A tenth of the lifetime: an outage of two hours does not cost the registration of a day. More where an Update with
/// all its resends would not fit into that. But at least half of the lifetime is used, however short it is.
fn update_margin(lifetime: Duration, update_takes: Duration) -> Duration {
    (lifetime / 10).max(update_takes).max(LEAST_MARGIN).min(lifetime / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn an_update_leaves_a_tenth_of_the_lifetime_before_its_end_or_early_enough_for_its_resends_upd_05() {
        // MAX_TRANSMIT_WAIT of the profiles lan and nbiot, and of a link that is not worth the name.
        for (lifetime, update_takes, margin) in [
            (86_400, 93, 8640),
            (86_400, 675, 8640),
            (3600, 93, 360),
            (3600, 675, 675),
            (300, 93, 93),
            (300, 675, 150),
            (60, 93, 30),
            (200, 1, 30),
            (10, 93, 5),
        ] {
            let found = update_margin(seconds(lifetime), seconds(update_takes));
            assert_eq!(found, seconds(margin), "{lifetime} s, {update_takes} s");
        }
    }
}
