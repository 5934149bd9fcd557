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

use super::super::block::{Block, Wants};
use super::super::dedup::{Answer, Effect};
use super::super::exchange::{Carriage, Out, OutId, Purpose};
use super::super::message::{Blocks, Content, Kind, Message};
use super::super::observe::Freshness;
use super::super::own::{Own, Step};
use super::super::types::{Code, Ending, Event, ExchangeId, Failure, Response};
use super::blockwise::{Address, Arrived};
use super::{BUSY_SECONDS, Endpoint};
use crate::net::Peer;

/// Most requests of one peer that are served or answered at the same time.
const MAX_REQUESTS_PER_PEER: usize = 16;
/// Most replies of whatever kind to one peer that may wait for the link: more than any burst that a server opens with.
const MAX_REPLIES_PER_PEER: usize = 256;
/// The same for all peers together: without a peer filter anybody can ping.
const MAX_REPLIES: usize = 1024;

impl Endpoint {
    /// Takes a message whose datagram had `len` octets.
    pub(super) fn handle_message(&mut self, peer: Peer, message: &Message, len: usize, now: Instant) {
        match (message.kind, message.content()) {
            (Kind::Confirmable, Content::Empty) => {
                self.stats.pings_answered += 1;
                self.reply_once(peer, Message::empty(Kind::Reset, message.mid));
            }
            (Kind::Acknowledgement, Content::Empty) => self.handle_acknowledgement(peer, message.mid, now),
            (Kind::Acknowledgement, Content::Response) => self.handle_piggybacked(peer, message, len, now),
            (Kind::Reset, Content::Empty) => self.handle_reset(peer, message.mid, now),
            (Kind::Confirmable | Kind::NonConfirmable, Content::Request) => {
                self.handle_request(peer, message, len, now);
            }
            (Kind::Confirmable | Kind::NonConfirmable, Content::Response) => {
                self.handle_response(peer, message, len, now);
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

    fn handle_request(&mut self, peer: Peer, message: &Message, len: usize, now: Instant) {
        if !self.admit(peer, now) {
            self.stats.dropped.peers_full += 1;
            return;
        }
        if self.is_duplicate(peer, message, now) {
            return;
        }
        if self.replies_to(peer) >= MAX_REPLIES_PER_PEER {
            self.stats.dropped.replies_full += 1;
            return;
        }
        let request = match message.to_request() {
            Ok(request) => request,
            Err(Code::BAD_OPTION) if message.kind == Kind::NonConfirmable => {
                // RFC 7252 §5.4.1: rejected, which for a Non-confirmable message means silence.
                self.stats.dropped.bad_option += 1;
                return self.remember(peer, message, Answer::Silence, now);
            }
            Err(code) => return self.refuse(peer, message, &Response::new(code), &Blocks::default(), now),
        };
        let (request, wants) = match self.unblock(peer, message, request, len, now) {
            Arrived::Whole(request, wants) => (request, wants),
            Arrived::Answered(response, blocks) => {
                return self.refuse(peer, message, &response, &blocks, now);
            }
            Arrived::Continued(block, wants) => return self.go_on(peer, message, block, &wants, now),
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
            return self.refuse(peer, message, &busy, &Blocks::default(), now);
        }
        self.remember(peer, message, Answer::Pending, now);
        let id = self.requests.open(
            (peer, message.mid, message.token),
            message.kind == Kind::Confirmable,
            wants,
            self.clock.reading(now),
            self.params.exchange_lifetime(),
        );
        self.stats.requests += 1;
        self.events.push_back(Event::Request { id, peer, request });
    }

    /// Answers a request that does not reach the layer above.
    fn refuse(&mut self, peer: Peer, message: &Message, response: &Response, blocks: &Blocks, now: Instant) {
        if response.code != Code::CONTINUE {
            debug!(%peer, code = %response.code, "request refused");
            self.stats.requests_refused += 1;
        }
        let octets = self.address_of_answer(peer, message, now).and_then(|(_, kind, mid, token)| {
            Message::response(kind, mid, token, response).with_blocks(blocks).encode(self.max_datagram)
        });
        self.answer_here(peer, message, octets, now);
    }

    /// Answers a request for a later block of a body that the peer is fetching.
    fn go_on(&mut self, peer: Peer, message: &Message, block: Block, wants: &Wants, now: Instant) {
        let address = self.address_of_answer(peer, message, now);
        let octets = address.and_then(|address| self.continued(address, block, wants, now));
        self.answer_here(peer, message, octets, now);
    }

    fn address_of_answer(&mut self, peer: Peer, message: &Message, now: Instant) -> Option<Address> {
        let (kind, mid) = match message.kind {
            Kind::Confirmable => (Kind::Acknowledgement, message.mid),
            _ => (Kind::NonConfirmable, self.mids.next(now)?),
        };
        Some((peer, kind, mid, message.token))
    }

    fn answer_here(&mut self, peer: Peer, message: &Message, octets: Option<Vec<u8>>, now: Instant) {
        let Some(octets) = octets else { return self.remember(peer, message, Answer::Silence, now) };
        let confirmable = message.kind == Kind::Confirmable;
        let answer = if confirmable { Answer::Octets(octets.clone()) } else { Answer::Silence };
        self.remember(peer, message, answer, now);
        self.reply_once(peer, octets);
    }

    /// A response that is no ACK: separate, to a Non-confirmable request, or a notification.
    fn handle_response(&mut self, peer: Peer, message: &Message, len: usize, now: Instant) {
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
        let response = self.read_response(message, len);
        let verdict = if response.is_some() { Kind::Acknowledgement } else { Kind::Reset };
        if message.kind == Kind::Confirmable {
            let octets = Message::empty(verdict, message.mid);
            self.remember(peer, message, Answer::Octets(octets.clone()), now);
            self.reply_once(peer, octets);
        } else {
            self.remember(peer, message, Answer::Silence, now);
        }
        match (exchange, response) {
            (Some(id), Some((response, _))) if self.is_crossing_notification(id, &response) => {
                self.stats.dropped.stale_notification += 1;
            }
            (Some(id), response) => self.conclude(id, response, now),
            (None, Some((response, blocks))) => self.notified(peer, message, response, &blocks, now),
            (None, None) => {
                if let Some(exchange) = self.observing.forget(peer, message.token) {
                    self.events.push_back(Event::Failed { exchange, why: Failure::BadResponse });
                }
            }
        }
    }

    /// A notification that was on its way when we ended the observation, under the token that the cancelling request uses too.
    fn is_crossing_notification(&self, id: OutId, response: &Response) -> bool {
        let cancels =
            |out: &Out| matches!(&out.purpose, Purpose::Request(own) if own.request.observe == Some(1));
        response.observe.is_some() && self.exchanges.get(id).is_some_and(cancels)
    }

    /// What a response says; `None` when it cannot be used: it is not understood, or may have been cut on its way.
    fn read_response(&self, message: &Message, len: usize) -> Option<(Response, Blocks)> {
        let blocks = message.blocks().ok().filter(|_| len < self.max_receive)?;
        Some((message.to_response().ok()?, blocks))
    }

    fn notified(&mut self, peer: Peer, message: &Message, response: Response, blocks: &Blocks, now: Instant) {
        let sequence = response.observe.filter(|_| response.code.is_success());
        let request = self.observing.request(peer, message.token).cloned();
        match self.observing.notified(peer, message.token, sequence, now) {
            Freshness::Fresh(exchange) if blocks.block2.is_some_and(|block| block.more) => {
                let rest = request
                    .and_then(|request| Own::rest_of_notification(exchange, request, response, blocks));
                self.fetch_rest(peer, exchange, rest, now);
            }
            Freshness::Fresh(exchange) => self.events.push_back(Event::Notified { exchange, response }),
            Freshness::Stale => self.stats.dropped.stale_notification += 1,
            Freshness::Unknown => self.stats.dropped.unmatched += 1,
        }
    }

    /// Fetches the later blocks of a notification. Those of an earlier one are of no use any more.
    fn fetch_rest(&mut self, peer: Peer, exchange: ExchangeId, rest: Option<Own>, now: Instant) {
        let earlier = |out: &Out| matches!(&out.purpose, Purpose::Request(own) if own.notification && own.exchange == exchange);
        while let Some(id) = self.exchanges.find(earlier) {
            self.exchanges.remove(id);
        }
        let token = self.new_token(peer);
        let launched = rest.map(|own| self.launch(peer, Box::new(own), token, now));
        if launched != Some(Ok(())) {
            self.stats.dropped.incomplete_notification += 1;
        }
    }

    fn handle_piggybacked(&mut self, peer: Peer, message: &Message, len: usize, now: Instant) {
        let Some((id, out)) =
            self.exchanges.by_mid(peer, message.mid).and_then(|id| Some((id, self.exchanges.get(id)?)))
        else {
            self.stats.dropped.unmatched += 1;
            return;
        };
        if !matches!(out.purpose, Purpose::Request(_)) {
            return self.handle_acknowledgement(peer, message.mid, now);
        }
        if out.token != message.token {
            self.stats.dropped.unmatched += 1;
            return;
        }
        self.measure(peer, id, now);
        let response = self.read_response(message, len);
        self.conclude(id, response, now);
    }

    fn handle_acknowledgement(&mut self, peer: Peer, mid: u16, now: Instant) {
        let Some(id) = self.exchanges.by_mid(peer, mid) else {
            self.stats.dropped.unmatched += 1;
            return;
        };
        self.measure(peer, id, now);
        let request = |out: &Out| matches!(out.purpose, Purpose::Request(_));
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
            Some(Purpose::Reply { .. } | Purpose::Request(_)) | None => {}
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

    /// The latest message of an own request has its response; `None` stands for one that cannot be used.
    fn conclude(&mut self, id: OutId, response: Option<(Response, Blocks)>, now: Instant) {
        let Some(out) = self.exchanges.remove(id) else { return };
        let Some((response, blocks)) = response else { return self.fail(out, Failure::BadResponse, now) };
        let Out { peer, token, purpose: Purpose::Request(mut own), .. } = out else { return };
        if let (Some(0), Some(sequence), true) =
            (own.request.observe, response.observe, response.code.is_success())
        {
            self.observing.start((peer, token), own.exchange, own.request.clone(), sequence, now);
        }
        match own.answered(response, &blocks) {
            Step::Next => {
                let (token, exchange, part) = (self.new_token(peer), own.exchange, own.notification);
                if let Err(why) = self.launch(peer, own, token, now) {
                    self.request_failed(exchange, part, why);
                }
            }
            Step::Unusable => self.request_failed(own.exchange, own.notification, Failure::BadResponse),
            Step::Done(response) => self.answered(&own, response),
        }
    }

    fn answered(&mut self, own: &Own, response: Response) {
        let exchange = own.exchange;
        match (own.notification, response.code.is_success()) {
            (true, true) => self.events.push_back(Event::Notified { exchange, response }),
            (true, false) => self.stats.dropped.incomplete_notification += 1,
            (false, success) => {
                if !success {
                    self.observing.abandon(exchange); // begun by a first block whose rest was refused
                }
                self.events.push_back(Event::Response { exchange, response });
            }
        }
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
        let effect = if message.is_read() { Effect::None } else { Effect::Some };
        if let Some(state) = self.peers.get_mut(&peer) {
            state.dedup.insert(message.mid, message.token, effect, answer, now + lifetime);
        }
    }

    /// Queues a reply that needs no delivery of its own, unless a copy waits already or too many do.
    pub(super) fn reply_once(&mut self, peer: Peer, octets: Vec<u8>) {
        if self.exchanges.is_reply_queued(peer, &octets) {
            return;
        }
        let full = self.replies_to(peer) >= MAX_REPLIES_PER_PEER
            || self.exchanges.count(is_reply_waiting) >= MAX_REPLIES;
        match full {
            true => self.stats.dropped.replies_full += 1,
            false => _ = self.exchanges.push(Out::reply(peer, octets)),
        }
    }

    /// Replies to this peer that wait for the link.
    fn replies_to(&self, peer: Peer) -> usize {
        self.exchanges.count(|out| out.peer == peer && is_reply_waiting(out))
    }
}

fn is_reply_waiting(out: &Out) -> bool {
    matches!((&out.carriage, &out.purpose), (Carriage::Once { queued: true, .. }, Purpose::Reply { .. }))
}
