//! What a datagram that arrived means for the endpoint.
//!
//! | type | Empty | request | response |
//! |---|---|---|---|
//! | CON | ping: RST | duplicate? else to the layer above | ACK and the exchange's end or a notification; unknown: RST |
//! | NON | dropped | the same, answered NON | the same without ACK |
//! | ACK | ends retransmission | dropped | the exchange's end |
//! | RST | ends what has this Message ID | dropped | dropped |

use std::time::Instant;

use tracing::debug;

use super::super::dedup::Answer;
use super::super::exchange::{Carriage, Out, OutId, Purpose};
use super::super::message::{Content, Kind, Message};
use super::super::observe::Freshness;
use super::super::types::{Code, Ending, Event, Failure, Response};
use super::Endpoint;
use crate::net::Peer;

/// Most requests of one peer that are served or answered at the same time.
const MAX_REQUESTS_PER_PEER: usize = 16;
/// Most acknowledgements, resets and repeated answers of one peer that may wait for the link.
const MAX_REPLIES_PER_PEER: usize = 16;
/// The same for all peers together: without a peer filter anybody can ping.
const MAX_REPLIES: usize = 128;
/// Max-Age of the 5.03 for one request too many, in seconds.
const BUSY_SECONDS: u32 = 10;

impl Endpoint {
    pub(super) fn handle_message(&mut self, peer: Peer, message: Message, now: Instant) {
        match (message.kind, message.content()) {
            (Kind::Confirmable, Content::Empty) => {
                self.stats.pings_answered += 1;
                self.reply_once(peer, Message::empty(Kind::Reset, message.mid));
            }
            (Kind::Acknowledgement, Content::Empty) => self.handle_acknowledgement(peer, message.mid, now),
            (Kind::Acknowledgement, Content::Response) => self.handle_piggybacked(peer, &message, now),
            (Kind::Reset, Content::Empty) => self.handle_reset(peer, message.mid, now),
            (Kind::Confirmable | Kind::NonConfirmable, Content::Request) => {
                self.handle_request(peer, &message, now);
            }
            (Kind::Confirmable | Kind::NonConfirmable, Content::Response) => {
                self.handle_response(peer, &message, now);
            }
            (kind, _) => {
                debug!(%peer, code = %message.code, "coap message without meaning dropped");
                self.stats.dropped.malformed += 1;
                if kind == Kind::Confirmable {
                    self.reply_once(peer, Message::empty(Kind::Reset, message.mid));
                }
            }
        }
    }

    fn handle_request(&mut self, peer: Peer, message: &Message, now: Instant) {
        if !self.admit(peer, now) {
            self.stats.dropped.peers_full += 1;
            return;
        }
        if self.is_duplicate(peer, message, now) {
            return;
        }
        let request = match message.to_request() {
            Ok(request) => request,
            Err(code) => return self.refuse(peer, message, &Response::new(code), now),
        };
        if request.observe == Some(1) {
            if let Some(id) = self.observations.find(peer, message.token) {
                self.end_observation(id, Ending::Cancelled);
            }
        }
        let separate = |out: &Out| {
            let reply = matches!(out.purpose, Purpose::Reply { .. });
            reply && out.peer == peer && matches!(out.carriage, Carriage::Confirmable(_))
        };
        if self.requests.count(peer) + self.exchanges.count(separate) >= MAX_REQUESTS_PER_PEER {
            let busy = Response { max_age: Some(BUSY_SECONDS), ..Response::new(Code::SERVICE_UNAVAILABLE) };
            return self.refuse(peer, message, &busy, now);
        }
        self.remember(peer, message, Answer::Pending, now);
        let id = self.requests.open(
            (peer, message.mid, message.token),
            message.kind == Kind::Confirmable,
            request.observe,
            self.clock.reading(now),
            self.params.exchange_lifetime(),
        );
        self.stats.requests += 1;
        self.events.push_back(Event::Request { id, peer, request });
    }

    /// Answers a request that does not reach the layer above.
    fn refuse(&mut self, peer: Peer, message: &Message, response: &Response, now: Instant) {
        let confirmable = message.kind == Kind::Confirmable;
        if !confirmable && response.code == Code::BAD_OPTION {
            // RFC 7252 §5.4.1: rejected, which for a Non-confirmable message means silence.
            self.stats.dropped.bad_option += 1;
            return self.remember(peer, message, Answer::Silence, now);
        }
        debug!(%peer, code = %response.code, "request refused");
        self.stats.requests_refused += 1;
        let (kind, mid) = match confirmable {
            true => (Kind::Acknowledgement, Some(message.mid)),
            false => (Kind::NonConfirmable, self.mids.next(now)),
        };
        let octets = mid
            .and_then(|mid| Message::response(kind, mid, message.token, response).encode(self.max_datagram));
        let Some(octets) = octets else { return self.remember(peer, message, Answer::Silence, now) };
        let answer = if confirmable { Answer::Octets(octets.clone()) } else { Answer::Silence };
        self.remember(peer, message, answer, now);
        self.reply_once(peer, octets);
    }

    /// A response that is no ACK: separate, to a Non-confirmable request, or a notification.
    fn handle_response(&mut self, peer: Peer, message: &Message, now: Instant) {
        if self.is_duplicate(peer, message, now) {
            return;
        }
        let exchange = self.exchanges.by_token(peer, message.token);
        if exchange.is_none() && !self.observing.contains(peer, message.token) {
            self.stats.dropped.unmatched += 1;
            // Also a Non-confirmable notification meets RST: so the peer learns that nobody observes (RFC 7641 §3.6).
            if message.kind == Kind::Confirmable || message.has_observe() {
                self.reply_once(peer, Message::empty(Kind::Reset, message.mid));
            }
            return;
        }
        let response = message.to_response().ok();
        let verdict = if response.is_some() { Kind::Acknowledgement } else { Kind::Reset };
        if message.kind == Kind::Confirmable {
            let octets = Message::empty(verdict, message.mid);
            self.remember(peer, message, Answer::Octets(octets.clone()), now);
            self.reply_once(peer, octets);
        } else {
            self.remember(peer, message, Answer::Silence, now);
        }
        match (exchange, response) {
            (Some(id), Some(response)) if self.is_crossing_notification(id, &response) => {
                self.stats.dropped.stale_notification += 1;
            }
            (Some(id), response) => self.conclude(id, response, now),
            (None, Some(response)) => self.notified(peer, message, response, now),
            (None, None) => {
                if let Some(exchange) = self.observing.forget(peer, message.token) {
                    self.events.push_back(Event::Failed { exchange, why: Failure::BadResponse });
                }
            }
        }
    }

    /// A notification that was on its way when we ended the observation, under the token that the cancelling request uses too.
    fn is_crossing_notification(&self, id: OutId, response: &Response) -> bool {
        let cancels = |out: &Out| matches!(&out.purpose, Purpose::Request { request, .. } if request.observe == Some(1));
        response.observe.is_some() && self.exchanges.get(id).is_some_and(cancels)
    }

    fn notified(&mut self, peer: Peer, message: &Message, response: Response, now: Instant) {
        let sequence = response.observe.filter(|_| response.code.is_success());
        match self.observing.notified(peer, message.token, sequence, now) {
            Freshness::Fresh(exchange) => self.events.push_back(Event::Notified { exchange, response }),
            Freshness::Stale => self.stats.dropped.stale_notification += 1,
            Freshness::Unknown => self.stats.dropped.unmatched += 1,
        }
    }

    fn handle_piggybacked(&mut self, peer: Peer, message: &Message, now: Instant) {
        let Some((id, out)) =
            self.exchanges.by_mid(peer, message.mid).and_then(|id| Some((id, self.exchanges.get(id)?)))
        else {
            self.stats.dropped.unmatched += 1;
            return;
        };
        if !matches!(out.purpose, Purpose::Request { .. }) {
            return self.handle_acknowledgement(peer, message.mid, now);
        }
        if out.token != message.token {
            self.stats.dropped.unmatched += 1;
            return;
        }
        self.measure(peer, id, now);
        self.conclude(id, message.to_response().ok(), now);
    }

    fn handle_acknowledgement(&mut self, peer: Peer, mid: u16, now: Instant) {
        let Some(id) = self.exchanges.by_mid(peer, mid) else {
            self.stats.dropped.unmatched += 1;
            return;
        };
        self.measure(peer, id, now);
        let request = |out: &Out| matches!(out.purpose, Purpose::Request { .. });
        if self.exchanges.get(id).is_some_and(request) {
            let link_now = self.clock.reading(now);
            if let Some(delivery) = self.exchanges.delivery(id) {
                delivery.acknowledged(link_now, self.params.exchange_lifetime());
            }
            return;
        }
        match self.exchanges.remove(id).map(|out| out.purpose) {
            Some(Purpose::Notification { notification, observation, last }) => {
                self.notification_over(notification, observation, last, Ok(()));
            }
            // The proper answer to a ping is RST, but this shows as well that the peer is there.
            Some(Purpose::Ping { exchange }) => self.events.push_back(Event::Pong { exchange }),
            Some(Purpose::Reply { .. } | Purpose::Request { .. }) | None => {}
        }
    }

    /// RST carries no token: it is matched by Message ID alone (COAP-17).
    fn handle_reset(&mut self, peer: Peer, mid: u16, now: Instant) {
        if let Some(id) = self.exchanges.by_mid(peer, mid) {
            self.measure(peer, id, now);
            match self.exchanges.remove(id) {
                Some(Out { purpose: Purpose::Ping { exchange }, .. }) => {
                    self.events.push_back(Event::Pong { exchange });
                }
                Some(out) => {
                    self.stats.rejected += 1;
                    self.fail(out, Failure::Rejected, now);
                }
                None => {}
            }
            return;
        }
        let lifetime = self.params.exchange_lifetime();
        match self.observations.by_recent_mid(peer, mid, now, lifetime) {
            Some(id) => {
                self.stats.rejected += 1;
                self.reject_observation(id);
            }
            None => self.stats.dropped.unmatched += 1,
        }
    }

    /// An own request has its response; `None` stands for one that cannot be used.
    fn conclude(&mut self, id: OutId, response: Option<Response>, now: Instant) {
        let Some(out) = self.exchanges.remove(id) else { return };
        let Some(response) = response else { return self.fail(out, Failure::BadResponse, now) };
        let Purpose::Request { exchange, request, .. } = out.purpose else { return };
        if let (Some(0), Some(sequence), true) =
            (request.observe, response.observe, response.code.is_success())
        {
            self.observing.start((out.peer, out.token), exchange, *request, sequence, now);
        }
        self.events.push_back(Event::Response { exchange, response });
    }

    fn measure(&mut self, peer: Peer, id: OutId, now: Instant) {
        let link_now = self.clock.reading(now);
        let Some(delivery) = self.exchanges.delivery(id) else { return };
        if let (Some(elapsed), Some(state)) = (delivery.round_trip(link_now), self.peers.get_mut(&peer)) {
            state.round_trip.measured(elapsed, delivery.resent());
        }
    }

    /// Gives a message that came before the answer that it got then.
    fn is_duplicate(&mut self, peer: Peer, message: &Message, now: Instant) -> bool {
        let Some(state) = self.peers.get(&peer) else { return false };
        let Some(answer) = state.dedup.find(message.mid, message.token, now).cloned() else { return false };
        self.stats.duplicates += 1;
        match answer {
            Answer::Octets(octets) => self.reply_once(peer, octets),
            // The peer has begun to send again: it should learn at once that its request is here (COAP-05).
            Answer::Pending => {
                if let Some(id) = self.requests.unacknowledged(peer, message.mid) {
                    self.acknowledge(id);
                }
            }
            Answer::Silence => {}
        }
        true
    }

    fn remember(&mut self, peer: Peer, message: &Message, answer: Answer, now: Instant) {
        let lifetime = match message.kind {
            Kind::NonConfirmable => self.params.non_lifetime(),
            _ => self.params.exchange_lifetime(),
        };
        if let Some(state) = self.peers.get_mut(&peer) {
            state.dedup.insert(message.mid, message.token, answer, now + lifetime);
        }
    }

    /// Queues a reply that needs no delivery of its own, unless a copy waits already or too many do.
    pub(super) fn reply_once(&mut self, peer: Peer, octets: Vec<u8>) {
        if self.exchanges.is_reply_queued(peer, &octets) {
            return;
        }
        let waiting = |out: &Out| {
            matches!(
                (&out.carriage, &out.purpose),
                (Carriage::Once { queued: true, .. }, Purpose::Reply { .. })
            )
        };
        let of_peer = self.exchanges.count(|out| out.peer == peer && waiting(out));
        if of_peer >= MAX_REPLIES_PER_PEER || self.exchanges.count(waiting) >= MAX_REPLIES {
            self.stats.dropped.replies_full += 1;
            return;
        }
        self.exchanges.push(Out::reply(peer, octets));
    }
}
