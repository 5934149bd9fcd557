//! The endpoint: the only door of this room. What arrives is in `endpoint/incoming.rs`, what leaves in
//! `endpoint/outgoing.rs`.
//!
//! Bounds and what happens when they are reached, per peer unless said otherwise:
//!
//! | what | bound | then |
//! |---|---|---|
//! | peers (in all) | 64 | the one longest silent and with nothing open is forgotten; if there is none, the newcomer is dropped |
//! | own requests, pings, notifications | 64 | refused with [`Failure::QueueFull`] |
//! | requests of the peer being served | 16 | answered 5.03 with Max-Age |
//! | answers, acknowledgements, resets in the queue | 256 (1024 in all) | dropped, as is a request: the peer's resend asks again |
//! | remembered messages | 512, 64 KiB of answers | the oldest answered one is forgotten |
//! | observations, each direction (in all) | 16,384 | the request is answered without Observe |
//! | bodies that arrive in blocks | 4 of 64 KiB, or what the owner set (16 in all) | `uploads` |
//! | bodies that leave in blocks | 16 of 1 MiB (64, 4 MiB in all) | `snapshots`; one that is larger is answered 5.00 |
//! | events | what one call makes | drained by the owner after each call |

mod blockwise;
mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tracing::debug;

use super::dedup::Dedup;
use super::exchange::{Carriage, Exchanges, Failed, Out, Purpose};
use super::message::{Kind, Message, Token};
use super::message_id::MessageIds;
use super::observe::{Observations, Observing};
use super::params::Params;
use super::reliability::RoundTrip;
use super::requests::Requests;
use super::snapshots::Snapshots;
use super::stats::Stats;
use super::types::{Action, Ending, Event, ExchangeId, Failure, NotificationId, ObservationId};
use super::uploads::Uploads;
use crate::clock::Deadline;
use crate::net::{Datagram, Outgoing, Peer, ReleaseHint, TransmitId};
use crate::seed::{Rng, Seed};

/// Most peers remembered.
const MAX_PEERS: usize = 64;
/// Most own requests, pings and notifications towards one peer.
const MAX_OWN_PER_PEER: usize = 64;
/// Octets of a message that every path carries (RFC 7252 §4.6); until the link tells its own limit.
const DEFAULT_MAX_DATAGRAM: usize = 1152;
/// Max-Age of the 5.03 for one request or block-wise transfer too many, in seconds.
const BUSY_SECONDS: u32 = 10;
/// Octets of own tokens: the 32 bits of chance that RFC 7252 §5.3.1 asks for without DTLS; each more is paid for on the air.
const TOKEN_OCTETS: usize = 4;

/// A CoAP endpoint, client and server at once, towards any number of peers.
#[derive(Debug)]
pub struct Endpoint {
    params: Params,
    rng: Rng,
    clock: LinkClock,
    max_datagram: usize,
    /// A datagram of this many octets or more may have been cut on its way to us.
    max_receive: usize,
    allowed: Option<BTreeSet<Peer>>,
    mids: MessageIds,
    peers: BTreeMap<Peer, PeerState>,
    requests: Requests,
    exchanges: Exchanges,
    observations: Observations,
    observing: Observing,
    uploads: Uploads,
    snapshots: Snapshots,
    /// Notifications that are larger than a block, until their last block was asked for.
    unfetched: BTreeMap<NotificationId, Unfetched>,
    events: VecDeque<Event>,
    stats: Stats,
}

/// A notification of which the peer has yet to fetch the rest.
#[derive(Debug, Clone, Copy)]
struct Unfetched {
    observation: ObservationId,
    /// Its first block is acknowledged, or sent if it was Non-confirmable.
    arrived: bool,
}

#[derive(Debug)]
struct PeerState {
    dedup: Dedup,
    round_trip: RoundTrip,
    last_active: Instant,
}

impl Endpoint {
    /// An endpoint without peers, on a link that is up.
    pub fn new(params: Params, seed: Seed) -> Self {
        let mut rng = seed.child("coap").rng();
        let mids = MessageIds::new(&mut rng, params.exchange_lifetime());
        Self {
            params,
            rng,
            clock: LinkClock::default(),
            max_datagram: DEFAULT_MAX_DATAGRAM,
            max_receive: usize::MAX,
            allowed: None,
            mids,
            peers: BTreeMap::new(),
            requests: Requests::default(),
            exchanges: Exchanges::default(),
            observations: Observations::default(),
            observing: Observing::default(),
            uploads: Uploads::default(),
            snapshots: Snapshots::default(),
            unfetched: BTreeMap::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Most octets of UDP payload that the link carries up; 0 stands for not known. Messages made from now on keep to it.
    pub fn set_max_datagram(&mut self, octets: usize) {
        self.max_datagram = if octets == 0 { DEFAULT_MAX_DATAGRAM } else { octets };
    }

    /// Most octets of UDP payload that the link carries down; 0 stands for not known. A request of that length or more may have been
    /// cut on its way: it is answered 4.13 with the largest block size that fits.
    pub fn set_max_receive(&mut self, octets: usize) {
        self.max_receive = if octets == 0 { usize::MAX } else { octets };
    }

    /// Most octets of a body that a peer may send block by block; four times as much of one peer may be under way.
    pub fn set_max_body_in(&mut self, octets: usize) {
        self.uploads.set_max_body(octets);
    }

    /// Takes datagrams from these peers alone (COAP-27), or from anyone. Others are dropped unread.
    pub fn set_peers(&mut self, peers: Option<BTreeSet<Peer>>) {
        self.allowed = peers;
    }

    /// Observe values of new observations begin after this one, of which 24 bits count. After a restart a value from the wall
    /// clock (seconds) makes them fresher than all before, should a peer go on with an old token (OBS-11).
    pub fn start_observe_after(&mut self, value: u32) {
        self.observations.start_after(value);
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, datagram: Datagram, now: Instant) {
        self.stats.received += 1;
        let Datagram { peer, payload } = datagram;
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&peer)) {
            self.stats.dropped.foreign_peer += 1;
            return;
        }
        match Message::decode(&payload) {
            Ok(message) => self.handle_message(peer, &message, payload.len(), now),
            Err(malformed) => {
                debug!(%peer, octets = payload.len(), "malformed coap message dropped");
                self.stats.dropped.malformed += 1;
                if let Some(mid) = malformed.reject {
                    self.reply_once(peer, Message::empty(Kind::Reset, mid));
                }
            }
        }
    }

    /// The link has sent this datagram.
    pub fn handle_sent(&mut self, id: TransmitId, now: Instant) {
        let Some(out) = self.exchanges.sent(id, self.clock.reading(now)) else { return };
        if let Purpose::Notification { notification, observation, last } = out.purpose {
            self.notification_over(notification, observation, last, Ok(()));
        }
    }

    /// The link has not sent this datagram, or cannot tell.
    pub fn handle_send_failed(&mut self, id: TransmitId, now: Instant) {
        let Some(failed) = self.exchanges.send_failed(id, self.clock.reading(now)) else { return };
        self.stats.send_failures += 1;
        let Failed::Dropped(out) = failed else { return };
        self.stats.dropped.unsendable += 1;
        self.fail(out, Failure::Unreachable, now);
    }

    /// Nobody listens at this peer, says the socket: what was sent and is not over has failed (COAP-19).
    pub fn handle_unreachable(&mut self, peer: Peer, now: Instant) {
        let lost = |out: &Out| {
            let left = matches!(&out.carriage, Carriage::Confirmable(delivery) if delivery.has_left());
            left && out.peer == peer
        };
        while let Some(out) = self.exchanges.find(lost).and_then(|id| self.exchanges.remove(id)) {
            self.fail(out, Failure::Unreachable, now);
        }
    }

    /// The link is up or down. While it is down all timers stand still and nothing is given out; what it had in hand counts as
    /// failed.
    pub fn handle_link(&mut self, up: bool, now: Instant) {
        if up {
            self.clock.go_on(now);
            return;
        }
        self.clock.stop(now);
        for id in self.exchanges.in_hand() {
            self.handle_send_failed(id, now);
        }
    }

    /// Does what the layer above wants. What cannot be done at all fails with an event.
    pub fn handle_action(&mut self, action: Action, now: Instant) {
        match action {
            Action::Request { exchange, peer, request, priority } => {
                if let Err(why) = self.request(exchange, peer, request, priority, now) {
                    self.events.push_back(Event::Failed { exchange, why });
                }
            }
            Action::Ping { exchange, peer } => {
                if let Err(why) = self.ping(exchange, peer, now) {
                    self.events.push_back(Event::Failed { exchange, why });
                }
            }
            Action::Notify { notification, observation, response, confirmable } => {
                if let Err(why) = self.notify(notification, observation, response, confirmable, now) {
                    self.events.push_back(Event::NotificationFailed { notification, why });
                }
            }
            Action::Respond { request, response, accept_observation } => {
                self.respond(request, response, accept_observation, now);
            }
            Action::ForgetObservations { peer } => {
                for id in self.observations.of_peer(peer) {
                    self.observations.end(id);
                    self.take_notifications(id);
                }
            }
            Action::ForgetObservation { observation } => {
                self.observations.end(observation);
                self.take_notifications(observation);
            }
            Action::Abandon { exchange } => {
                self.observing.abandon(exchange);
                while let Some(id) = self.exchanges.find(|out| out.purpose.exchange() == Some(exchange)) {
                    self.exchanges.remove(id);
                }
            }
        }
    }

    /// A notification towards this peer would leave at once: the link is up, and fewer own Confirmable exchanges than NSTART are
    /// open or queued.
    pub fn is_free(&self, peer: Peer) -> bool {
        !self.clock.stands_still() && self.exchanges.is_free(peer, self.params.nstart())
    }

    /// The next datagram, in the order of the queue; call it only while the link can take one. The link reports on it by
    /// [`handle_sent`](Self::handle_sent) or [`handle_send_failed`](Self::handle_send_failed).
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing> {
        if self.clock.stands_still() {
            return None;
        }
        if let Some(overdue) = self.exchanges.overdue_report() {
            self.handle_sent(overdue, now);
        }
        let Self { exchanges, peers, rng, params, .. } = self;
        let first_timeout = |peer| match peers.get(&peer) {
            Some(state) => state.round_trip.first_timeout(rng.fraction()),
            None => RoundTrip::new(params).first_timeout(rng.fraction()),
        };
        let (id, out) = exchanges.hand(params.nstart(), first_timeout)?;
        let outgoing = Outgoing {
            id,
            datagram: Datagram { peer: out.peer, payload: out.octets.clone() },
            release: release_hint(out),
        };
        let resend = matches!(&out.carriage, Carriage::Confirmable(delivery) if delivery.resent() > 0);
        self.stats.handed += 1;
        self.stats.resends += u64::from(resend);
        let release = if self.exchanges.nothing_queued() { outgoing.release } else { ReleaseHint::Unknown };
        Some(Outgoing { release, ..outgoing })
    }

    /// What the layer above should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A peer's memory goes on while our link is down, so what we remember of it expires by the true time.
        for peer in self.peers.values_mut() {
            peer.dedup.expire(now);
        }
        let lifetime = self.params.exchange_lifetime();
        self.uploads.expire(now, lifetime);
        let gone = self.snapshots.expire(now, lifetime);
        self.snapshots_gone(gone);
        if self.clock.stands_still() {
            return;
        }
        let link_now = self.clock.reading(now);
        for out in self.exchanges.handle_timeout(link_now, self.params.max_retransmit()) {
            self.stats.timeouts += 1;
            self.fail(out, Failure::TimedOut, now);
        }
        while let Some(id) = self.requests.due(link_now) {
            self.acknowledge(id);
        }
        self.stats.dropped.unanswered += self.requests.expire(link_now);
    }

    /// The next deadline; none while the link is down.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.clock.stands_still() {
            return None;
        }
        let of_link = Deadline::sooner(self.exchanges.poll_timeout(), self.requests.poll_timeout());
        let of_link = of_link.map(|deadline| Deadline { at: self.clock.true_time(deadline.at), ..deadline });
        Deadline::sooner(of_link, self.unfetched_timeout())
    }

    /// Counts since start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// An own message is over without success.
    fn fail(&mut self, out: Out, why: Failure, now: Instant) {
        match out.purpose {
            Purpose::Request(own) => self.request_failed(own.exchange, own.notification, why),
            Purpose::Ping { exchange } => self.events.push_back(Event::Failed { exchange, why }),
            Purpose::Notification { notification, observation, last } => {
                // A RST may still come, late.
                self.observations.remember(observation, out.mid, now);
                self.notification_over(notification, observation, last, Err(why));
            }
            Purpose::Reply { observation } => {
                debug!(peer = %out.peer, %why, "response not delivered");
                if let (Some(observation), Failure::Rejected) = (observation, why) {
                    self.end_observation(observation, Ending::Rejected);
                }
            }
        }
    }

    /// An own request has failed, or the fetching of a notification's rest.
    fn request_failed(&mut self, exchange: ExchangeId, of_notification: bool, why: Failure) {
        if of_notification {
            debug!(?exchange, %why, "rest of a notification not fetched");
            self.stats.dropped.incomplete_notification += 1;
            return;
        }
        // It may have begun an observation, with an answer that never became whole.
        self.observing.abandon(exchange);
        self.events.push_back(Event::Failed { exchange, why });
    }

    fn notification_over(
        &mut self,
        notification: NotificationId,
        observation: ObservationId,
        last: bool,
        result: Result<(), Failure>,
    ) {
        let Some(result) = self.fetched_or_failed(notification, result) else { return };
        self.events.push_back(match result {
            Ok(()) => Event::NotificationDelivered { notification },
            Err(why) => Event::NotificationFailed { notification, why },
        });
        if last {
            self.end_observation(observation, Ending::Over);
        } else if result == Err(Failure::Rejected) {
            self.reject_observation(observation);
        }
    }

    /// The peer says that it knows nothing of an observation; the owner decides what that means.
    fn reject_observation(&mut self, id: ObservationId) {
        for notification in self.take_notifications(id) {
            self.events.push_back(Event::NotificationFailed { notification, why: Failure::Abandoned });
        }
        self.events.push_back(Event::ObservationRejected { id });
    }

    /// Ends an observation and what was still to be told; gives its latest Observe value.
    fn end_observation(&mut self, id: ObservationId, why: Ending) -> Option<u32> {
        let sequence = self.observations.end(id)?;
        for notification in self.take_notifications(id) {
            self.events.push_back(Event::NotificationFailed { notification, why: Failure::Abandoned });
        }
        self.events.push_back(Event::ObservationEnded { id, why });
        Some(sequence)
    }

    fn take_notifications(&mut self, id: ObservationId) -> Vec<NotificationId> {
        // Those whose first block has not arrived are among the exchanges still.
        let arrived = self.unfetched.iter().filter(|(_, part)| part.observation == id && part.arrived);
        let mut taken: Vec<_> = arrived.map(|(notification, _)| *notification).collect();
        self.unfetched.retain(|_, part| part.observation != id);
        let of_it =
            |out: &Out| matches!(out.purpose, Purpose::Notification { observation, .. } if observation == id);
        while let Some(out) = self.exchanges.find(of_it).and_then(|out| self.exchanges.remove(out)) {
            if let Purpose::Notification { notification, .. } = out.purpose {
                taken.push(notification);
            }
        }
        taken
    }

    /// Room for one more own message towards this peer.
    fn make_room(&mut self, peer: Peer, now: Instant) -> Result<(), Failure> {
        let own = |out: &Out| out.peer == peer && !matches!(out.purpose, Purpose::Reply { .. });
        let room = self.exchanges.count(own) < MAX_OWN_PER_PEER && self.admit(peer, now);
        if room { Ok(()) } else { Err(Failure::QueueFull) }
    }

    /// Makes this peer known; false when there is no room.
    fn admit(&mut self, peer: Peer, now: Instant) -> bool {
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS && !self.forget_a_peer() {
            return false;
        }
        let params = &self.params;
        let state = self.peers.entry(peer).or_insert_with(|| PeerState {
            dedup: Dedup::default(),
            round_trip: RoundTrip::new(params),
            last_active: now,
        });
        state.last_active = now;
        true
    }

    fn forget_a_peer(&mut self) -> bool {
        let mut busy: BTreeSet<Peer> = self.requests.peers().collect();
        busy.extend(self.exchanges.peers());
        let busy = |peer: &Peer| {
            busy.contains(peer) || self.observations.is_held_by(*peer) || self.observing.is_held_on(*peer)
        };
        let idle = self.peers.iter().filter(|(peer, _)| !busy(peer));
        let oldest = idle.min_by_key(|(_, state)| state.last_active).map(|(peer, _)| *peer);
        oldest.is_some_and(|peer| self.peers.remove(&peer).is_some())
    }

    /// A token that no open exchange and no observation of ours uses towards this peer, and that nobody can guess (COAP-26).
    fn new_token(&mut self, peer: Peer) -> Token {
        loop {
            let mut octets = [0; TOKEN_OCTETS];
            self.rng.fill(&mut octets);
            let token = Token::new(&octets).expect("four octets are few enough");
            let open = self.exchanges.find(|out| out.peer == peer && out.token == token).is_some();
            if !open && !self.observing.contains(peer, token) {
                return token;
            }
        }
    }
}

/// What will follow, when nothing else waits: after a notification its acknowledgement at most. After a request or a response the
/// peer may well ask more.
fn release_hint(out: &Out) -> ReleaseHint {
    match (&out.purpose, &out.carriage) {
        (Purpose::Notification { .. }, Carriage::Confirmable(_)) => ReleaseHint::OneAnswerFollows,
        (Purpose::Notification { .. }, Carriage::Once { .. }) => ReleaseHint::NothingFollows,
        _ => ReleaseHint::Unknown,
    }
}

/// A clock that stands still while the link is down.
#[derive(Debug, Default)]
struct LinkClock {
    /// How long the link has been down in all.
    lost: Duration,
    down_since: Option<Instant>,
}

impl LinkClock {
    fn stop(&mut self, now: Instant) {
        self.down_since.get_or_insert(now);
    }

    fn go_on(&mut self, now: Instant) {
        if let Some(since) = self.down_since.take() {
            self.lost += now.saturating_duration_since(since);
        }
    }

    fn stands_still(&self) -> bool {
        self.down_since.is_some()
    }

    /// What it shows at this true time.
    fn reading(&self, now: Instant) -> Instant {
        let now = self.down_since.map_or(now, |since| since.min(now));
        now.checked_sub(self.lost).unwrap_or(now)
    }

    /// When it will show this, if the link stays up.
    fn true_time(&self, reading: Instant) -> Instant {
        reading + self.lost
    }
}
