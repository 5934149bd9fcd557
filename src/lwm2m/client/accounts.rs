//! The server accounts within the client: when each registers, updates and ends, and what became of it.

use std::time::Instant;

use tracing::{debug, info, warn};

use super::{Client, Event, OnStop, Settings};
use crate::coap::{Action, ExchangeId};
use crate::lwm2m::codecs::ObjectList;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::server;
use crate::lwm2m::path::Path;
use crate::lwm2m::registration::{Account, Facts, Outcome, Step};
use crate::lwm2m::tree::Tree;
use crate::net::Peer;

impl Client {
    /// Ends the registrations as the settings say; no Update, notification or Register leaves any more (UPD-13).
    pub fn shutdown(&mut self, now: Instant) {
        if self.stop_at.is_some() {
            return;
        }
        self.stop_at = Some(now + self.settings.stop_within);
        for account in &mut self.accounts {
            if self.settings.on_stop == OnStop::Keep {
                self.actions.extend(account.close());
            } else {
                self.last_exchange += 1;
                // De-register ends them anyway, and must not wait behind the resends of a last notification.
                self.actions.extend(account.peer().map(|peer| Action::ForgetObservations { peer }));
                self.actions.extend(account.stop(self.link_up, ExchangeId(self.last_exchange)));
            }
        }
    }

    /// Every account is closed and every action was fetched.
    pub fn is_shut_down(&self) -> bool {
        self.stop_at.is_some() && self.actions.is_empty() && self.accounts.iter().all(Account::is_closed)
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        // Nobody can be asked before we have a name to give.
        let link_up = self.link_up && !self.settings.endpoint.is_empty();
        Surroundings { gathering: self.gathering_until.is_some(), link_up }
    }

    /// Register or Update, where it is time for it.
    pub(super) fn poll_account(&mut self, index: usize, now: Instant) {
        let surroundings = self.surroundings();
        let Self { settings, model, tree, accounts, .. } = self;
        let Some(account) = accounts.get_mut(index) else { return };
        let facts = facts(settings, model, tree, surroundings, account.server);
        let links = || ObjectList::new(tree.listed(), model, &[]).encode(model.enabler());
        let exchange = ExchangeId(self.last_exchange + 1);
        let Some((step, action)) = account.poll(facts, exchange, links, now) else { return };
        self.last_exchange += 1;
        let (server, peer) = (account.short_server_id, account.peer());
        match (step, peer) {
            (Step::Register, Some(peer)) => {
                info!(server, "registering");
                // The server forgets its observations when it gets this, so they are no more (REG-18).
                self.forget_observations(peer, "registering anew", now);
            }
            (Step::Update { why }, _) => debug!(server, why, "updating the registration"),
            (Step::Register, None) => {}
        }
        self.actions.push_back(action);
    }

    /// An observation is ready, but the way to us may be forgotten: an Update opens it again.
    pub(super) fn ask_for_updates_after_silence(&mut self, now: Instant) {
        for index in 0..self.accounts.len() {
            let Some(peer) = self.accounts[index].peer() else { continue };
            let is_idle = self.accounts[index].is_at_rest() && !self.reporting.is_under_way(peer);
            if is_idle && self.is_silent(peer, now) && self.reporting.is_ready(peer) {
                self.accounts[index].want_contact("silence before a notification");
            }
        }
    }

    /// Nothing came from the peer for so long that the carrier may have forgotten us.
    pub(super) fn is_silent(&self, peer: Peer, now: Instant) -> bool {
        let heard = self.heard.get(&peer);
        self.settings.nat_idle.zip(heard).is_some_and(|(idle, heard)| now >= *heard + idle)
    }

    pub(super) fn account_of(&self, peer: Peer) -> Option<&Account> {
        self.accounts.iter().find(|account| account.peer() == Some(peer))
    }

    pub(super) fn account_of_mut(&mut self, peer: Peer) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.peer() == Some(peer))
    }

    pub(super) fn handle_exchange(
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
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    gathering: bool,
    link_up: bool,
}

pub(super) fn facts<'a>(
    settings: &'a Settings,
    model: &Model,
    tree: &Tree,
    surroundings: Surroundings,
    server: Path,
) -> Facts<'a> {
    Facts {
        endpoint: &settings.endpoint,
        version: model.enabler(),
        lifetime_secs: server::lifetime_secs(tree, server),
        binding: server::UDP,
        shape: tree.shape(),
        gathering: surroundings.gathering,
        margin: settings.update_margin,
        link_up: surroundings.link_up,
    }
}
