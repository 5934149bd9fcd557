//! The server accounts within the client: when each registers, updates and ends, and what became of it.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::{Client, Event, OnStop, Opening, Settings};
use crate::coap::{Action, ExchangeId};
use crate::lwm2m::codecs::ObjectList;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::server;
use crate::lwm2m::path::Path;
use crate::lwm2m::registration::{Account, Facts, Outcome, Step};
use crate::lwm2m::tree::Shape;
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
        let link_up =
            self.link_up && matches!(self.opening, Opening::Over) && !self.settings.endpoint.is_empty();
        Surroundings { gathering: self.gathering_until.is_some(), link_up }
    }

    /// Register or Update, where it is time for it.
    pub(super) fn poll_account(&mut self, index: usize, now: Instant) {
        let Some(account) = self.accounts.get_mut(index) else { return };
        let was_deaf = account.is_deaf();
        self.actions.extend(account.end_disable(now));
        self.ask_server(index, now);
        self.tell_hearing(index, was_deaf, now);
    }

    fn ask_server(&mut self, index: usize, now: Instant) {
        let surroundings = self.surroundings();
        let Self { settings, model, tree, accounts, .. } = self;
        let Some(account) = accounts.get_mut(index) else { return };
        let facts = facts(settings, model, tree.shape(), surroundings, account.lifetime_secs);
        let links = || ObjectList::new(tree.listed(), model, &[]).encode();
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
            (Step::Deregister, Some(peer)) => {
                info!(server, "de-registering, disabled by a server");
                self.forget_observations(peer, "disabled by a server", now);
            }
            (Step::Update { why }, _) => debug!(server, why, "updating the registration"),
            (Step::Register | Step::Deregister, None) => {}
        }
        self.actions.push_back(action);
    }

    /// A server has disabled the account of this instance of object 1, which may be another's (DER-02).
    pub fn disable(&mut self, server: Path, time: Duration, now: Instant) {
        if let Some(account) = self.accounts.iter_mut().find(|account| account.server == server) {
            self.actions.extend(account.disable(time, now));
        }
    }

    /// The owner is to listen to a server no longer, or again.
    fn tell_hearing(&mut self, index: usize, was_deaf: bool, now: Instant) {
        let Some(account) = self.accounts.get(index) else { return };
        let server = account.short_server_id;
        match (was_deaf, account.disabled_for(now).filter(|_| account.is_deaf())) {
            (false, Some(time)) => {
                info!(server, secs = time.as_secs(), "disabled by a server");
                self.events.push_back(Event::Disabled { server });
            }
            (true, None) => {
                info!(server, "no longer disabled");
                self.events.push_back(Event::Enabled { server });
            }
            _ => {}
        }
    }

    /// An observation is ready, but the way to us may be forgotten: an Update opens it again.
    pub(super) fn ask_for_updates_after_silence(&mut self, now: Instant) {
        for index in 0..self.accounts.len() {
            let Some(peer) = self.accounts[index].peer() else { continue };
            let is_idle = self.accounts[index].is_at_rest() && !self.reporting.is_under_way(peer);
            if is_idle && self.is_silent(peer, now) && self.reporting.is_ready(peer) {
                self.accounts[index].doubt_address();
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
        let Some(index) = self.accounts.iter().position(|account| account.owns(exchange)) else { return };
        let account = &mut self.accounts[index];
        let (server, peer) = (account.short_server_id, account.peer());
        let Some(outcome) = handle(account) else { return };
        account.trouble = match &outcome {
            Outcome::Failed { why, .. } => Some(why.clone()),
            _ => None,
        };
        let location = account.location().unwrap_or_default();
        if let (Outcome::Updated, Some(peer)) = (&outcome, peer) {
            self.tell_doubted_again(peer);
        }
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
            Outcome::Disabled => return self.tell_hearing(index, false, now),
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
    shape: Shape,
    surroundings: Surroundings,
    lifetime_secs: u32,
) -> Facts<'a> {
    Facts {
        endpoint: &settings.endpoint,
        version: settings.lwm2m_parameter.then(|| model.enabler()),
        lifetime_secs,
        binding: server::UDP,
        shape,
        gathering: surroundings.gathering,
        update_takes: settings.update_takes,
        link_up: surroundings.link_up,
    }
}
