//! Requests of peers between arrival and answer. Bounded per peer; one more is answered 5.03 by the endpoint.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::block::Wants;
use super::exchange::OutId;
use super::message::Token;
use super::types::RequestId;
use crate::clock::Deadline;
use crate::net::Peer;

/// How long an answer is waited for before the Empty ACK goes out: well under any peer's ACK_TIMEOUT (COAP-05).
const ACK_DELAY: Duration = Duration::from_secs(1);

/// A request that the layer above has not answered yet.
#[derive(Debug, Clone)]
pub struct Asked {
    pub peer: Peer,
    pub mid: u16,
    pub token: Token,
    pub wants: Wants,
    pub acknowledgement: Acknowledgement,
    /// When it is forgotten, on the link's clock.
    pub expires: Instant,
}

/// How far the message layer is with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The answer may still ride on the ACK; the Empty ACK goes out at `at`.
    Due { at: Instant },
    /// The Empty ACK went to the queue under this name.
    Queued(OutId),
    /// A Non-confirmable request has none.
    None,
}

/// All open requests of peers.
#[derive(Debug, Default)]
pub struct Requests {
    open: BTreeMap<RequestId, Asked>,
    last: u64,
}

impl Requests {
    /// A request arrived; `now` and `patience` are of the link's clock.
    pub fn open(
        &mut self,
        (peer, mid, token): (Peer, u16, Token),
        confirmable: bool,
        wants: Wants,
        now: Instant,
        patience: Duration,
    ) -> RequestId {
        let acknowledgement = match confirmable {
            true => Acknowledgement::Due { at: now + ACK_DELAY },
            false => Acknowledgement::None,
        };
        self.last += 1;
        let id = RequestId(self.last);
        self.open.insert(id, Asked { peer, mid, token, wants, acknowledgement, expires: now + patience });
        id
    }

    /// The request is answered.
    pub fn close(&mut self, id: RequestId) -> Option<Asked> {
        self.open.remove(&id)
    }

    /// Open requests of a peer.
    pub fn count(&self, peer: Peer) -> usize {
        self.open.values().filter(|asked| asked.peer == peer).count()
    }

    /// Who waits for an answer.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.open.values().map(|asked| asked.peer)
    }

    /// An open request whose Empty ACK has not been queued, found by what its copy shows.
    pub fn unacknowledged(&self, peer: Peer, mid: u16) -> Option<RequestId> {
        let fits = |asked: &Asked| {
            asked.peer == peer
                && asked.mid == mid
                && matches!(asked.acknowledgement, Acknowledgement::Due { .. })
        };
        self.open.iter().find(|(_, asked)| fits(asked)).map(|(id, _)| *id)
    }

    /// An open request whose Empty ACK is due.
    pub fn due(&self, now: Instant) -> Option<RequestId> {
        let due = |asked: &Asked| matches!(asked.acknowledgement, Acknowledgement::Due { at } if at <= now);
        self.open.iter().find(|(_, asked)| due(asked)).map(|(id, _)| *id)
    }

    /// The open request of this name.
    pub fn get_mut(&mut self, id: RequestId) -> Option<&mut Asked> {
        self.open.get_mut(&id)
    }

    /// Forgets what was never answered; says how many.
    pub fn expire(&mut self, now: Instant) -> u64 {
        let before = self.open.len();
        self.open.retain(|_, asked| now < asked.expires);
        (before - self.open.len()) as u64
    }

    /// The next deadline, on the link's clock.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        Deadline::earliest(self.open.values().flat_map(|asked| {
            let acknowledge = match asked.acknowledgement {
                Acknowledgement::Due { at } => Some(Deadline::new(at, "coap empty acknowledgement")),
                Acknowledgement::Queued(_) | Acknowledgement::None => None,
            };
            [acknowledge, Some(Deadline::new(asked.expires, "coap request never answered"))]
        }))
    }
}
