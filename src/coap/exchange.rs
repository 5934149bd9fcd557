//! Own messages from the queue to their end: order at the door, NSTART, and finding what an answer belongs to.
//!
//! Order: acknowledgements, resets and responses; registration; notifications; everything else. Within a class first come, first
//! served, but the next block of a transfer goes before what has not begun, and what has to wait for its peer (NSTART, an earlier
//! notification of the same observation, a transfer for the same resource) lets others pass.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::message::Token;
use super::own::Own;
use super::reliability::{Delivery, Due};
use super::types::{ExchangeId, NotificationId, ObservationId, Priority};
use crate::clock::Deadline;
use crate::net::{Peer, TransmitId};

/// Most datagrams that the link may hold without having reported; the oldest then counts as sent.
const MAX_IN_HAND: usize = 64;
/// Times that the link may fail to send a message that has no timer, before it is dropped.
const MAX_SEND_FAILURES: u8 = 3;
/// Classes of the queue.
const CLASSES: usize = 4;

/// Names an own message; rises with the order in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutId(u64);

/// An own message.
#[derive(Debug)]
pub struct Out {
    pub peer: Peer,
    pub mid: u16,
    pub token: Token,
    pub octets: Vec<u8>,
    pub purpose: Purpose,
    pub carriage: Carriage,
}

impl Out {
    /// An ACK, RST or response that is sent once. Nothing is matched to it, so its Message ID is in its octets alone.
    pub fn reply(peer: Peer, octets: Vec<u8>) -> Self {
        let purpose = Purpose::Reply { observation: None };
        Self { peer, mid: 0, token: Token::EMPTY, octets, purpose, carriage: Carriage::ONCE }
    }
}

/// What an own message is for.
#[derive(Debug)]
pub enum Purpose {
    /// ACK, RST or any response. A response to an accepted Observe carries the observation.
    Reply { observation: Option<ObservationId> },
    /// A request, or one block of it.
    Request(Box<Own>),
    /// A notification; `last` when it ends its observation.
    Notification { notification: NotificationId, observation: ObservationId, last: bool },
    /// An Empty Confirmable message.
    Ping { exchange: ExchangeId },
}

impl Purpose {
    fn class(&self) -> usize {
        match self {
            Self::Reply { .. } => 0,
            Self::Request(own) if own.priority == Priority::Registration => 1,
            Self::Notification { .. } => 2,
            Self::Request(_) | Self::Ping { .. } => CLASSES - 1,
        }
    }

    /// The observation that it tells about.
    pub const fn observation(&self) -> Option<ObservationId> {
        match self {
            Self::Reply { observation } => *observation,
            Self::Notification { observation, .. } => Some(*observation),
            Self::Request(_) | Self::Ping { .. } => None,
        }
    }

    /// The own exchange that it belongs to.
    pub fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::Request(own) => Some(own.exchange),
            Self::Ping { exchange } => Some(*exchange),
            Self::Reply { .. } | Self::Notification { .. } => None,
        }
    }
}

/// How an own message gets across.
#[derive(Debug)]
pub enum Carriage {
    /// Acknowledged, else sent again.
    Confirmable(Delivery),
    /// Sent once; the link may fail to some times.
    Once { queued: bool, failures: u8 },
}

impl Carriage {
    /// Not handed to the link yet.
    pub const ONCE: Self = Self::Once { queued: true, failures: 0 };

    fn is_queued(&self) -> bool {
        match self {
            Self::Confirmable(delivery) => delivery.is_queued(),
            Self::Once { queued, .. } => *queued,
        }
    }
}

/// What became of a message that the link reported as failed.
#[derive(Debug)]
pub enum Failed {
    /// It will be tried again, now or when its timer says so.
    Retried,
    /// It was given up.
    Dropped(Out),
}

/// Own Confirmable messages towards one peer that NSTART counts.
#[derive(Debug, Clone, Copy, Default)]
struct Outstanding {
    all: usize,
    responses: usize,
}

/// All own messages that are not over.
#[derive(Debug, Default)]
pub struct Exchanges {
    open: BTreeMap<OutId, Out>,
    queues: [VecDeque<OutId>; CLASSES],
    in_hand: BTreeMap<TransmitId, OutId>,
    last_out: u64,
    last_transmit: u64,
}

impl Exchanges {
    /// Puts a new message into the queue of its class.
    pub fn push(&mut self, out: Out) -> OutId {
        self.last_out += 1;
        let id = OutId(self.last_out);
        self.queues[out.purpose.class()].push_back(id);
        self.open.insert(id, out);
        id
    }

    /// Puts the next message of something that is under way before all of its class.
    pub fn push_first(&mut self, out: Out) {
        let class = out.purpose.class();
        self.push(out);
        self.queues[class].rotate_right(1);
    }

    /// Takes a message out, wherever it is; the link's report on it will find nothing.
    pub fn remove(&mut self, id: OutId) -> Option<Out> {
        let out = self.open.remove(&id)?;
        self.queues[out.purpose.class()].retain(|queued| *queued != id);
        self.in_hand.retain(|_, handed| *handed != id);
        Some(out)
    }

    /// Takes a message out if the link never had it.
    pub fn take_back(&mut self, id: OutId) -> Option<Out> {
        self.open.get(&id).filter(|out| out.carriage.is_queued())?;
        self.remove(id)
    }

    /// The next message that may leave, by class and age. It is then in the link's hand.
    pub fn hand(
        &mut self,
        nstart: usize,
        first_timeout: impl FnOnce(Peer) -> Duration,
    ) -> Option<(TransmitId, &Out)> {
        let outstanding = self.outstanding();
        let free = |id: &OutId| self.may_leave(*id, nstart, &outstanding);
        let (class, position) = self
            .queues
            .iter()
            .enumerate()
            .find_map(|(class, queue)| queue.iter().position(free).map(|position| (class, position)))?;
        let id = self.queues[class].remove(position)?;
        self.last_transmit += 1;
        let transmit = TransmitId(self.last_transmit);
        self.in_hand.insert(transmit, id);
        let out = self.open.get_mut(&id)?;
        match &mut out.carriage {
            Carriage::Confirmable(delivery) => delivery.handed(first_timeout(out.peer)),
            Carriage::Once { queued, .. } => *queued = false,
        }
        Some((transmit, out))
    }

    /// A datagram that the link has held for far too long, if it holds too many.
    pub fn overdue_report(&self) -> Option<TransmitId> {
        (self.in_hand.len() > MAX_IN_HAND).then(|| self.in_hand.keys().next().copied())?
    }

    /// Everything that the link has and has not reported.
    pub fn in_hand(&self) -> Vec<TransmitId> {
        self.in_hand.keys().copied().collect()
    }

    /// The link has sent it. Gives a message back that is thereby over.
    pub fn sent(&mut self, transmit: TransmitId, now: Instant) -> Option<Out> {
        let id = self.in_hand.remove(&transmit)?;
        if let Carriage::Confirmable(delivery) = &mut self.open.get_mut(&id)?.carriage {
            delivery.sent(now);
            return None;
        }
        self.remove(id)
    }

    /// The link may not have sent it. A Confirmable message leaves that to its timer; others are tried again a few times, at once:
    /// a second copy does no harm, its Message ID gives it away.
    pub fn send_failed(&mut self, transmit: TransmitId, now: Instant) -> Option<Failed> {
        let id = self.in_hand.remove(&transmit)?;
        let out = self.open.get_mut(&id)?;
        match &mut out.carriage {
            Carriage::Confirmable(delivery) => delivery.send_failed(now),
            Carriage::Once { failures, .. } if *failures + 1 >= MAX_SEND_FAILURES => {
                return self.remove(id).map(Failed::Dropped);
            }
            Carriage::Once { queued, failures } => {
                *failures += 1;
                *queued = true;
                self.queues[out.purpose.class()].push_back(id);
            }
        }
        Some(Failed::Retried)
    }

    /// Queues every resend that is due, and gives back what is over because nobody answered.
    pub fn handle_timeout(&mut self, now: Instant, max_retransmit: u32) -> Vec<Out> {
        let mut over = vec![];
        for (id, out) in &mut self.open {
            let Carriage::Confirmable(delivery) = &mut out.carriage else { continue };
            match delivery.handle_timeout(now, max_retransmit) {
                Due::Nothing => {}
                Due::Resend => self.queues[out.purpose.class()].push_back(*id),
                Due::TimedOut => over.push(*id),
            }
        }
        over.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// The next deadline, on the link's clock.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        Deadline::earliest(self.open.values().map(|out| match &out.carriage {
            Carriage::Confirmable(delivery) => delivery.poll_timeout(),
            Carriage::Once { .. } => None,
        }))
    }

    /// The Confirmable message that an ACK or RST with this Message ID belongs to: only one that has left.
    pub fn by_mid(&self, peer: Peer, mid: u16) -> Option<OutId> {
        self.find(|out| {
            let left = matches!(&out.carriage, Carriage::Confirmable(delivery) if delivery.has_left());
            left && out.peer == peer && out.mid == mid
        })
    }

    /// The request that a response with this token answers.
    pub fn by_token(&self, peer: Peer, token: Token) -> Option<OutId> {
        self.find(|out| {
            let left = matches!(&out.carriage, Carriage::Confirmable(delivery) if delivery.has_left());
            let request = matches!(out.purpose, Purpose::Request(_));
            left && request && out.peer == peer && out.token == token
        })
    }

    /// The first message for which `fits` holds.
    pub fn find(&self, fits: impl Fn(&Out) -> bool) -> Option<OutId> {
        self.open.iter().find(|(_, out)| fits(out)).map(|(id, _)| *id)
    }

    /// The message of this name.
    pub fn get(&self, id: OutId) -> Option<&Out> {
        self.open.get(&id)
    }

    /// The delivery of a Confirmable message.
    pub fn delivery(&mut self, id: OutId) -> Option<&mut Delivery> {
        match &mut self.open.get_mut(&id)?.carriage {
            Carriage::Confirmable(delivery) => Some(delivery),
            Carriage::Once { .. } => None,
        }
    }

    /// Messages for which `counts` holds.
    pub fn count(&self, counts: impl Fn(&Out) -> bool) -> usize {
        self.open.values().filter(|out| counts(out)).count()
    }

    /// To whom they go.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.open.values().map(|out| out.peer)
    }

    /// Nothing waits for the link.
    pub fn nothing_queued(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// A copy of this reply waits for the link already.
    pub fn is_reply_queued(&self, peer: Peer, octets: &[u8]) -> bool {
        self.queues[0]
            .iter()
            .filter_map(|id| self.open.get(id))
            .any(|out| out.peer == peer && out.octets == octets)
    }

    /// A notification would leave at once: fewer own exchanges than NSTART are outstanding or wait for the link.
    pub fn is_free(&self, peer: Peer, nstart: usize) -> bool {
        let counts = |out: &Out| match &out.carriage {
            Carriage::Confirmable(delivery) => delivery.is_queued() || delivery.is_outstanding(),
            Carriage::Once { queued, .. } => *queued && matches!(out.purpose, Purpose::Notification { .. }),
        };
        self.count(|out| out.peer == peer && counts(out)) < nstart
    }

    fn outstanding(&self) -> BTreeMap<Peer, Outstanding> {
        let mut peers: BTreeMap<Peer, Outstanding> = BTreeMap::new();
        for out in self.open.values() {
            let Carriage::Confirmable(delivery) = &out.carriage else { continue };
            if delivery.is_outstanding() {
                let peer = peers.entry(out.peer).or_default();
                peer.all += 1;
                peer.responses += usize::from(matches!(out.purpose, Purpose::Reply { .. }));
            }
        }
        peers
    }

    fn may_leave(&self, id: OutId, nstart: usize, outstanding: &BTreeMap<Peer, Outstanding>) -> bool {
        let Some(out) = self.open.get(&id) else { return false };
        let outstanding = outstanding.get(&out.peer).copied().unwrap_or_default();
        let in_turn = match (&out.carriage, &out.purpose) {
            (Carriage::Once { .. }, _) => true,
            (Carriage::Confirmable(delivery), _) if delivery.has_left() => true,
            // A separate response is paced by the request that it answers; held back behind our own exchanges it would come when
            // the peer has stopped waiting.
            (Carriage::Confirmable(_), Purpose::Reply { .. }) => outstanding.responses < nstart,
            (Carriage::Confirmable(_), _) => outstanding.all < nstart,
        };
        in_turn && !self.follows_another(id, out) && !self.collides_with_another(id, out)
    }

    /// Requests for the same thing of which one goes block by block are sent one after the other.
    fn collides_with_another(&self, id: OutId, out: &Out) -> bool {
        let Purpose::Request(own) = &out.purpose else { return false };
        let left =
            |out: &Out| matches!(&out.carriage, Carriage::Confirmable(delivery) if delivery.has_left());
        if left(out) || own.has_begun() {
            return false;
        }
        self.open.iter().any(|(other_id, other)| match &other.purpose {
            Purpose::Request(under_way) => {
                *other_id != id
                    && other.peer == out.peer
                    && (left(other) || under_way.has_begun())
                    && own.collides_with(under_way)
            }
            _ => false,
        })
    }

    /// One notification of an observation at a time, in order (OBS-15); the first answer counts as one.
    fn follows_another(&self, id: OutId, out: &Out) -> bool {
        let observation = out.purpose.observation();
        observation.is_some()
            && self.open.range(..id).any(|(_, earlier)| earlier.purpose.observation() == observation)
    }
}
