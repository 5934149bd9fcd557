//! What the layer above wants told and asked, as messages: requests, pings, notifications, answers.

use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use super::super::block::Wants;
use super::super::dedup::Answer;
use super::super::exchange::{Carriage, Out, OutId, Purpose};
use super::super::message::{Kind, Message, Token};
use super::super::own::Own;
use super::super::reliability::Delivery;
use super::super::requests::{Acknowledgement, Asked};
use super::super::types::{
    Code, Ending, Event, ExchangeId, Failure, NotificationId, ObservationId, Priority, Request, RequestId,
    Response,
};
use super::Endpoint;
use crate::net::Peer;

impl Endpoint {
    pub(super) fn request(
        &mut self,
        exchange: ExchangeId,
        peer: Peer,
        request: Request,
        priority: Priority,
        now: Instant,
    ) -> Result<(), Failure> {
        self.make_room(peer, now)?;
        let ended = if request.observe == Some(1) { self.observing.cancel(peer, &request) } else { None };
        let token = ended.unwrap_or_else(|| self.new_token(peer));
        self.launch(peer, Box::new(Own::new(exchange, request, priority)), token, now)
    }

    pub(super) fn ping(&mut self, exchange: ExchangeId, peer: Peer, now: Instant) -> Result<(), Failure> {
        self.make_room(peer, now)?;
        let mid = self.mids.next(now).ok_or(Failure::QueueFull)?;
        let octets = Message::empty(Kind::Confirmable, mid);
        let purpose = Purpose::Ping { exchange };
        let carriage = Carriage::Confirmable(Delivery::new());
        self.exchanges.push(Out { peer, mid, token: Token::EMPTY, octets, purpose, carriage });
        Ok(())
    }

    pub(super) fn notify(
        &mut self,
        notification: NotificationId,
        observation: ObservationId,
        response: Response,
        confirmable: bool,
        now: Instant,
    ) -> Result<(), Failure> {
        let (peer, token, wants) = self.observations.get(observation).ok_or(Failure::Abandoned)?;
        let wants = Arc::clone(wants);
        self.make_room(peer, now)?;
        let last = !response.code.is_success();
        let observe = if last { None } else { self.observations.next_sequence(observation) };
        let mid = self.mids.next(now).ok_or(Failure::QueueFull)?;
        let (kind, carriage) = match confirmable {
            true => (Kind::Confirmable, Carriage::Confirmable(Delivery::new())),
            false => (Kind::NonConfirmable, Carriage::ONCE),
        };
        let response = Response { observe, ..response };
        let part_of = (!last).then_some((notification, observation));
        let octets = self.encode_response((peer, kind, mid, token), &wants, response, part_of, now);
        let octets = octets.ok_or(Failure::TooLarge)?;
        if last {
            self.observations.close(observation);
        }
        if !confirmable {
            self.observations.remember(observation, mid, now);
        }
        let purpose = Purpose::Notification { notification, observation, last };
        self.exchanges.push(Out { peer, mid, token, octets, purpose, carriage });
        Ok(())
    }

    pub(super) fn respond(
        &mut self,
        id: RequestId,
        response: Response,
        accept_observation: bool,
        now: Instant,
    ) {
        let Some(asked) = self.requests.close(id) else {
            debug!(request = id.0, "answer to a request that is not open dropped");
            return;
        };
        let piggybacked = match asked.acknowledgement {
            Acknowledgement::Due { .. } => true,
            Acknowledgement::Queued(empty) => self.take_back_acknowledgement(empty),
            Acknowledgement::None => false,
        };
        let (kind, carriage) = match asked.acknowledgement {
            _ if piggybacked => (Kind::Acknowledgement, Carriage::ONCE),
            Acknowledgement::None => (Kind::NonConfirmable, Carriage::ONCE),
            _ => (Kind::Confirmable, Carriage::Confirmable(Delivery::new())),
        };
        let mid = if piggybacked { Some(asked.mid) } else { self.mids.next(now) };
        let Some(mid) = mid else {
            self.stats.dropped.unsendable += 1;
            return self.answer_copies(&asked, Answer::Silence);
        };
        let observation = self.begin_observation(&asked, &response, accept_observation);
        let observe = observation.and_then(|id| self.observations.next_sequence(id));
        let (address, response) = ((asked.peer, kind, mid, asked.token), Response { observe, ..response });
        let (octets, observation) = match self.encode_response(address, &asked.wants, response, None, now) {
            Some(octets) => (octets, observation),
            None => (self.too_large(kind, mid, asked.token), self.withdraw(observation)),
        };
        if let Some(observation) = observation {
            if kind == Kind::NonConfirmable {
                self.observations.remember(observation, mid, now);
            }
            self.events.push_back(Event::ObservationStarted { id: observation, request: id });
        }
        match kind {
            Kind::Acknowledgement => self.answer_copies(&asked, Answer::Octets(octets.clone())),
            Kind::NonConfirmable => self.answer_copies(&asked, Answer::Silence),
            Kind::Confirmable | Kind::Reset => {} // copies get the Empty ACK again
        }
        let purpose = Purpose::Reply { observation };
        self.exchanges.push(Out { peer: asked.peer, mid, token: asked.token, octets, purpose, carriage });
    }

    /// A response larger than can be sent, even block by block: 5.00.
    fn too_large(&self, kind: Kind, mid: u16, token: Token) -> Vec<u8> {
        debug!("response too large: answered 5.00");
        let message = Message::response(kind, mid, token, &Response::new(Code::INTERNAL_SERVER_ERROR));
        message.encode(usize::MAX).expect("a response without options has no option that is too long")
    }

    fn withdraw(&mut self, observation: Option<ObservationId>) -> Option<ObservationId> {
        self.observations.end(observation?);
        None
    }

    /// Takes up the observation that was asked for, if it is accepted, answered with success, and there is room. Whatever the
    /// answer, an earlier one under the same token is over: the peer has put the token to a new use.
    fn begin_observation(
        &mut self,
        asked: &Asked,
        response: &Response,
        accept: bool,
    ) -> Option<ObservationId> {
        if asked.wants.observe != Some(0) {
            return None;
        }
        let earlier = self.observations.find(asked.peer, asked.token);
        let sequence = earlier.and_then(|earlier| self.end_observation(earlier, Ending::Replaced));
        if !accept || !response.code.is_success() {
            return None;
        }
        let wants = Wants { block1: None, size2: false, ..asked.wants.clone() };
        let id = self.observations.start(asked.peer, asked.token, wants)?;
        if let Some(sequence) = sequence {
            self.observations.continue_from(id, sequence);
        }
        Some(id)
    }

    /// Sends the Empty ACK of a request that takes longer.
    pub(super) fn acknowledge(&mut self, id: RequestId) {
        let Some(asked) = self.requests.get_mut(id) else { return };
        let octets = Message::empty(Kind::Acknowledgement, asked.mid);
        let out = Out::reply(asked.peer, octets.clone());
        asked.acknowledgement = Acknowledgement::Queued(self.exchanges.push(out));
        self.stats.empty_acknowledgements += 1;
        let asked = asked.clone();
        self.answer_copies(&asked, Answer::Octets(octets));
    }

    /// The answer came while the Empty ACK still waited for the link: it can ride on the ACK after all.
    fn take_back_acknowledgement(&mut self, empty: OutId) -> bool {
        let taken = self.exchanges.take_back(empty).is_some();
        self.stats.empty_acknowledgements -= u64::from(taken);
        taken
    }

    fn answer_copies(&mut self, asked: &Asked, answer: Answer) {
        if let Some(state) = self.peers.get_mut(&asked.peer) {
            state.dedup.answer(asked.mid, asked.token, answer);
        }
    }
}
