//! Serving what the endpoint brings: requests, answers to our own requests, and the life of observations.

use std::time::{Duration, Instant};

use tracing::{debug, info};

use super::{Client, Event, unavailable};
use crate::coap::{self, Code, Ending, RequestId, Response};
use crate::lwm2m::downlink::{Operation, Transaction, TransactionId};
use crate::lwm2m::management::{self, Decision};
use crate::lwm2m::objects::{device, server, statistics};
use crate::lwm2m::path::Path;
use crate::lwm2m::reporting::Target;
use crate::net::Peer;

/// Transactions that wait for the bridge; further ones are answered 5.03.
const MAX_TRANSACTIONS: usize = 16;
/// How long a server is told to wait when there are too many of them.
const BUSY_FOR: Duration = Duration::from_secs(5);

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
            coap::Event::ObservationRejected { id } => self.handle_rejection(id, now),
            coap::Event::ObservationEnded { id, why: why @ Ending::Rejected } => {
                self.lose_observation(id, why.as_str(), now);
            }
            coap::Event::ObservationEnded { id, why } => {
                self.end_observation(id, why.as_str());
            }
            coap::Event::NotificationDelivered { notification } => {
                self.notification_delivered(notification, now);
            }
            coap::Event::NotificationFailed { notification, why } => {
                self.notification_failed(notification, why, now);
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
        let (server, instance) = (account.short_server_id, account.server);
        if let Some(time) = account.disabled_for(now) {
            debug!(server, "request of a server that has disabled us");
            return self.respond(id, unavailable(time), false);
        }
        let done = account.handle_request(now);
        self.actions.extend(done);
        self.heard.insert(peer, now);
        self.tell_doubted_again(peer);
        self.refresh_clock(now);
        match management::decide(self.view(instance), request) {
            Decision::Answer(response) => {
                debug!(server, method = ?request.method, path = ?request.path, code = %response.code, "request");
                self.respond(id, response, false);
            }
            Decision::Observe { response, path, format } => {
                self.answer_observe(id, response, Target { peer, path, format }, now);
            }
            Decision::WriteAttributes { path, attributes } => {
                let code = self.write_attributes(instance, path, attributes);
                self.respond(id, Response::new(code), false);
            }
            Decision::Set(changes) => {
                self.apply(changes);
                self.respond(id, Response::new(Code::CHANGED), false);
            }
            // UPD-12
            Decision::Run(resource) if self.triggers_a_disabled(resource) => {
                self.respond(id, Response::new(Code::BAD_REQUEST), false);
            }
            Decision::Run(resource) => {
                self.respond(id, Response::new(Code::CHANGED), false);
                self.run(resource, server, now);
            }
            Decision::Create { instances, contents } => {
                for instance in &instances {
                    info!(server, %instance, "instance created");
                }
                let response = created(&instances);
                self.create(&instances, contents, now);
                self.respond(id, response, false);
            }
            Decision::Delete(instance) => {
                info!(server, %instance, "instance deleted");
                self.delete(instance, now);
                self.respond(id, Response::new(Code::DELETED), false);
            }
            Decision::Transact(operations) => self.transact(id, operations),
        }
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

    /// An Update is asked for of a server that wants none.
    fn triggers_a_disabled(&self, resource: Path) -> bool {
        let is_trigger =
            (resource.object(), resource.resource()) == (Some(server::ID), Some(server::UPDATE_TRIGGER));
        let instance = resource.parent();
        is_trigger
            && self.accounts.iter().any(|account| Some(account.server) == instance && account.is_disabled())
    }

    /// The work of a native executable resource, after its answer (EX-05).
    fn run(&mut self, resource: Path, server: u16, now: Instant) {
        match (resource.object(), resource.resource()) {
            (Some(device::ID), Some(device::REBOOT)) => {
                info!(server, "reboot requested");
                self.events.push_back(Event::RebootRequested { server });
            }
            (Some(device::ID), Some(device::RESET_ERRORS)) => self.reset_errors(),
            (Some(statistics::ID), Some(statistics::START)) => {
                self.statistics.start(statistics::period(&self.tree), now);
            }
            (Some(statistics::ID), Some(statistics::STOP)) => self.statistics.stop(),
            (Some(server::ID), Some(server::DISABLE)) => {
                if let Some(instance) = resource.parent() {
                    self.disable(instance, server::disable_timeout(&self.tree, instance), now);
                }
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
}

/// 2.01; Location-Path has room for one instance (CR-01).
fn created(instances: &[Path]) -> Response {
    let location_path = match instances {
        [instance] => instance.ids().map(|id| id.to_string()).collect(),
        _ => vec![],
    };
    Response { location_path, ..Response::new(Code::CREATED) }
}
