//! Serving what the endpoint brings: requests, answers to our own requests, and the life of observations.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::{Client, Event, Starting, unavailable};
use crate::coap::{self, Action, Code, Ending, ExchangeId, Failure, ObservationId, RequestId, Response};
use crate::lwm2m::downlink::{Operation, Transaction, TransactionId};
use crate::lwm2m::management::{self, Decision};
use crate::lwm2m::objects::{device, server};
use crate::lwm2m::path::Path;
use crate::lwm2m::registration::{Account, Outcome};
use crate::lwm2m::reporting::Target;
use crate::net::Peer;

/// Answers with an observation asked for, until the endpoint has taken it up. Beyond that the oldest is forgotten.
const MAX_STARTING: usize = 64;
/// Transactions that wait for the bridge; further ones are answered 5.03.
const MAX_TRANSACTIONS: usize = 16;
/// How long a server is told to wait when there are too many of them.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// A server that showed so shortly ago that it knows us, and rejects a notification, means just that.
pub(super) const REJECTION_IS_MEANT: Duration = Duration::from_secs(60);

impl Client {
    /// Something happened at the CoAP endpoint.
    pub fn handle_event(&mut self, event: coap::Event, now: Instant) {
        match event {
            coap::Event::Request { id, peer, request } => self.handle_request(id, peer, &request, now),
            coap::Event::Response { exchange, response } => {
                self.handle_exchange(exchange, now, |account| account.handle_response(response, now));
            }
            coap::Event::Failed { exchange, why } => {
                self.handle_exchange(exchange, now, |account| account.handle_failure(why, now));
            }
            coap::Event::ObservationStarted { id, request } => self.start_observation(id, request, now),
            coap::Event::ObservationEnded { id, why: Ending::Rejected } => self.handle_rejection(id, now),
            coap::Event::ObservationEnded { id, why } => {
                self.end_observation(id, why.as_str());
            }
            coap::Event::NotificationDelivered { notification } => {
                let Some((target, snapshot)) = self.reporting.delivered(notification, now) else { return };
                self.stats.notifications_delivered += 1;
                self.heard.insert(target.peer, now);
                self.books.delivered(target.path, snapshot.samples, snapshot.shown);
                if let Some(account) = self.account_of_mut(target.peer) {
                    account.note_acknowledgement();
                }
            }
            coap::Event::NotificationFailed { notification, why } => {
                let Some((target, snapshot)) = self.reporting.failed(notification, now) else { return };
                self.stats.notifications_failed += 1;
                if why == Failure::TooLarge {
                    // Said again with each try, which the hold makes rare.
                    warn!(
                        path = %target.path,
                        "what a server observes does not fit into one datagram, and it is told nothing of it; \
                         let it observe the instances or resources one by one"
                    );
                } else {
                    debug!(path = %target.path, %why, "notification failed");
                }
                self.books.failed(snapshot.samples);
                self.doubt(target.peer, why);
            }
            coap::Event::Pong { .. } | coap::Event::Notified { .. } => {}
        }
    }

    fn handle_request(&mut self, id: RequestId, peer: Peer, request: &coap::Request, now: Instant) {
        self.stats.requests += 1;
        let Some(account) = self.account_of_mut(peer) else {
            debug!(%peer, "request from a stranger");
            return self.respond(id, Response::new(Code::UNAUTHORIZED), false);
        };
        let server = account.short_server_id;
        let done = account.handle_request(now);
        self.actions.extend(done);
        self.heard.insert(peer, now);
        self.refresh_clock(now);
        match management::decide(self.view(), request) {
            Decision::Answer(response) => {
                debug!(server, method = ?request.method, path = ?request.path, code = %response.code, "request");
                self.respond(id, response, false);
            }
            Decision::Observe { response, path, format } => {
                self.answer_observe(id, response, Target { peer, path, format }, now);
            }
            Decision::Set(changes) => {
                self.apply(changes);
                self.respond(id, Response::new(Code::CHANGED), false);
            }
            Decision::Run(resource) => {
                self.respond(id, Response::new(Code::CHANGED), false);
                self.run(resource, server);
            }
            Decision::Transact(operations) => self.transact(id, operations),
        }
    }

    fn answer_observe(&mut self, id: RequestId, response: Response, target: Target, now: Instant) {
        if self.reporting.len() + self.starting.len() >= self.settings.max_observations {
            warn!(limit = self.settings.max_observations, "too many observations; answered as a plain read");
            return self.respond(id, response, false);
        }
        if self.starting.len() >= MAX_STARTING {
            self.starting.pop_first();
        }
        self.starting.insert(id, Starting { target, answered: now, shown: self.tree.revision() });
        self.respond(id, response, true);
    }

    fn transact(&mut self, request: RequestId, operations: Vec<Operation>) {
        if self.transactions.len() >= MAX_TRANSACTIONS {
            return self.respond(request, unavailable(BUSY_FOR), false);
        }
        self.last_transaction += 1;
        let id = TransactionId(self.last_transaction);
        self.transactions.insert(id, (request, operations.clone()));
        self.events.push_back(Event::Downlink(Transaction { id, operations }));
    }

    /// The work of a native executable resource, after its answer (EX-05).
    fn run(&mut self, resource: Path, server: u16) {
        match (resource.object(), resource.resource()) {
            (Some(device::ID), Some(device::REBOOT)) => {
                info!(server, "reboot requested");
                self.events.push_back(Event::RebootRequested { server });
            }
            (Some(server::ID), Some(server::UPDATE_TRIGGER)) => {
                let instance = resource.parent();
                if let Some(account) =
                    self.accounts.iter_mut().find(|account| Some(account.server) == instance)
                {
                    account.want_update("asked for by a server");
                }
            }
            _ => {}
        }
    }

    fn handle_exchange(
        &mut self,
        exchange: ExchangeId,
        now: Instant,
        handle: impl FnOnce(&mut Account) -> Option<Outcome>,
    ) {
        let Some(account) = self.accounts.iter_mut().find(|account| account.owns(exchange)) else { return };
        let (server, peer) = (account.short_server_id, account.peer());
        let Some(outcome) = handle(account) else { return };
        let location = account.location().unwrap_or_default();
        self.events.push_back(match outcome {
            Outcome::Registered => {
                info!(server, location, "registered");
                self.stats.registrations += 1;
                self.heard.extend(peer.map(|peer| (peer, now)));
                Event::Registered { server, location }
            }
            Outcome::Updated => {
                info!(server, "registration updated");
                self.stats.updates += 1;
                self.heard.extend(peer.map(|peer| (peer, now)));
                Event::Updated { server }
            }
            Outcome::Failed { why, retry_in } => {
                warn!(server, why, retry_in_secs = retry_in.as_secs(), "registration failed");
                self.stats.registration_failures += 1;
                Event::RegistrationFailed { server, why, retry_in }
            }
            Outcome::Deregistered => {
                info!(server, "de-registered");
                Event::Deregistered { server }
            }
        });
    }

    fn start_observation(&mut self, id: ObservationId, request: RequestId, now: Instant) {
        let Some(Starting { target, answered, shown }) = self.starting.remove(&request) else { return };
        let was_owed = self.end_stale_twins(target, now);
        let Some(account) = self.account_of_mut(target.peer) else { return };
        let server = account.short_server_id;
        // The first answer is not acknowledged: samples that it showed are reported by a notification after it. So is
        // what was lost before, for then neither side can be sure of the other.
        let is_back = account.observed(target.path);
        let is_news = self.tree.changed_since(target.path, shown) || self.books.has_pending(target.path);
        self.reporting.start(id, target, was_owed || is_back || is_news, answered);
        debug!(server, path = %target.path, "observation started");
        self.events.push_back(Event::ObservationStarted { server, path: target.path });
    }

    /// Behind a NAT a server asks again for what it observes when it sees us at another address. What it held on the
    /// old one it has forgotten: to notify that as well would only earn a RST for each. True if such a one was still
    /// owed a notification.
    fn end_stale_twins(&mut self, target: Target, now: Instant) -> bool {
        let before = self.settings.nat_idle.and_then(|idle| now.checked_sub(idle * 3 / 4));
        let twins = before.map_or(vec![], |before| self.reporting.stale_twins(target, before));
        let was_owed = twins.iter().any(|twin| self.reporting.owes(*twin));
        for twin in twins {
            self.end_observation(twin, "observed anew");
            self.actions.push_back(Action::ForgetObservation { observation: twin });
        }
        was_owed
    }

    pub(super) fn end_observation(&mut self, id: ObservationId, why: &'static str) -> Option<Target> {
        let (target, samples) = self.reporting.end(id)?;
        self.books.failed(samples);
        if let Some(server) = self.account_of(target.peer).map(|account| account.short_server_id) {
            debug!(server, path = %target.path, why, "observation ended");
            self.events.push_back(Event::ObservationEnded { server, path: target.path, why });
        }
        Some(target)
    }

    /// An observation ended, and not because the server said so in as many words. Gives the account of a server that
    /// now does not observe the path at all, and may want to.
    pub(super) fn lose_observation(
        &mut self,
        id: ObservationId,
        why: &'static str,
        now: Instant,
    ) -> Option<&mut Account> {
        let Target { peer, path, .. } = self.end_observation(id, why)?;
        if self.reporting.is_observed(peer, path) {
            return None;
        }
        let account = self.account_of_mut(peer)?;
        account.lost(path, now);
        Some(account)
    }

    /// Ordinarily a server that wants no more of it (OBS-07); but one that lost its memory says the same.
    fn handle_rejection(&mut self, id: ObservationId, now: Instant) {
        let Some(account) = self.lose_observation(id, Ending::Rejected.as_str(), now) else { return };
        if account.known_at().is_none_or(|at| now >= at + REJECTION_IS_MEANT) {
            account.want_contact("notification rejected");
        }
    }

    /// A notification was not acknowledged: is the server still there?
    fn doubt(&mut self, peer: Peer, why: Failure) {
        let Some(account) = self.account_of_mut(peer) else { return };
        if matches!(why, Failure::TimedOut | Failure::Unreachable) {
            account.want_contact("notification failed");
        }
    }
}
