//! The LwM2M client's only door: samples, facts and the endpoint's events go in; actions for the endpoint, orders
//! for the bridge and the books' entries come out.
//!
//! Puts the parts together (`registration`, `management`, `reporting`, `books`, the tree) and holds no rule of theirs.

mod contents;
mod serving;
mod types;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::books::{self, Books};
use super::codecs::ObjectList;
use super::downlink::{Operation, Outcome, TransactionId};
use super::lost::Lost;
use super::management::{self, Access, AccessTable, View};
use super::model::Model;
use super::objects::{security, server};
use super::path::Path;
use super::registration::{Account, Facts, Step};
use super::reporting::{Reporting, Snapshot, Target};
use super::tree::{Revision, Tree};
use crate::clock::{Deadline, UnixTime};
use crate::coap::{Action, Code, ExchangeId, RequestId, Response};
use crate::net::{LinkFacts, Peer};
use crate::seed::Seed;
use contents::set_native;

pub use super::objects::device::HostFacts;
pub use types::{Event, OnStop, Refusal, ServerSettings, ServerStatus, Settings, Stats};

/// The LwM2M client.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    model: Arc<Model>,
    tree: Tree,
    access: AccessTable,
    books: Books,
    reporting: Reporting,
    accounts: Vec<Account>,
    /// Responses and what goes with them, in order; as many as the endpoint has open requests.
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    /// Answered with an observation that the endpoint has not named yet.
    starting: BTreeMap<RequestId, Starting>,
    transactions: BTreeMap<TransactionId, (RequestId, Vec<Operation>)>,
    last_transaction: u64,
    last_exchange: u64,
    gathering_until: Option<Instant>,
    /// When a server last gave a sign of life.
    heard: BTreeMap<Peer, Instant>,
    link_up: bool,
    wall_clock: Option<(UnixTime, Instant)>,
    /// Shutting down; done at this time whatever comes.
    stop_at: Option<Instant>,
    stats: Stats,
}

#[derive(Debug)]
struct Starting {
    target: Target,
    answered: Instant,
    /// The first answer showed the tree as of this change.
    shown: Revision,
}

impl Client {
    /// A client that has not registered anywhere yet.
    pub fn new(settings: Settings, model: Arc<Model>, seed: Seed) -> Self {
        let mut tree = Tree::default();
        let mut accounts = vec![];
        let seed = seed.child("lwm2m");
        for one in &settings.servers {
            let server = Path::instance_of(server::ID, one.instance);
            let lifetime_secs = u32::try_from(one.lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
            let id = one.short_server_id;
            set_native(
                &mut tree,
                &model,
                Path::instance_of(security::ID, one.security_instance),
                security::facts(&one.uri, id),
            );
            set_native(&mut tree, &model, server, server::facts(id, lifetime_secs));
            let seed = seed.child(&format!("server {id}"));
            let lost = Lost::new(settings.nat_idle, seed.child("lost").rng());
            accounts.push(Account::new((id, server), &one.uri, one.peer, settings.retry, lost, seed.rng()));
        }
        let mut client = Self {
            settings,
            model,
            tree,
            access: AccessTable::new(),
            books: Books::default(),
            reporting: Reporting::new(seed),
            accounts,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            starting: BTreeMap::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            last_exchange: 0,
            gathering_until: None,
            heard: BTreeMap::new(),
            link_up: false,
            wall_clock: None,
            stop_at: None,
            stats: Stats::default(),
        };
        client.set_facts(&LinkFacts::default(), &HostFacts::default());
        client.refresh_periods();
        client
    }

    // What comes from the bridge, the link and the host.

    /// What servers may do with a mapped resource, in every instance.
    pub fn set_access(&mut self, object: u16, resource: u16, access: Access) {
        self.access.insert((object, resource), access);
    }

    /// Our name at the servers, once it is known (it may hang on the modem's IMEI). Nothing registers without one;
    /// another name than before means new registrations.
    pub fn set_endpoint(&mut self, endpoint: String) {
        if self.settings.endpoint != endpoint {
            self.settings.endpoint = endpoint;
            for account in &mut self.accounts {
                self.actions.extend(account.start_over());
            }
        }
    }

    /// A server has this address (found by name); another one than before means a new registration (REG-28).
    pub fn set_peer(&mut self, short_server_id: u16, peer: Peer, now: Instant) {
        let found = self.accounts.iter().position(|account| account.short_server_id == short_server_id);
        let Some(index) = found else { return };
        match self.accounts[index].peer() {
            Some(before) if before == peer => return,
            Some(before) => self.forget_observations(before, "the server has another address", now),
            None => {}
        }
        self.actions.extend(self.accounts[index].set_peer(peer));
        self.refresh_periods();
    }

    /// The link carries datagrams, or no longer does. After `address_changed` servers do not know us (REG-29).
    pub fn handle_link(&mut self, up: bool, address_changed: bool, now: Instant) {
        let is_back = up && !self.link_up;
        self.link_up = up;
        for account in &mut self.accounts {
            if up && address_changed {
                self.actions.extend(account.start_over());
            } else if is_back {
                account.link_is_back(now);
            }
        }
    }

    /// How a transaction ended; its request is answered.
    pub fn handle_downlink(&mut self, id: TransactionId, outcome: Outcome) {
        let Some((request, operations)) = self.transactions.remove(&id) else { return };
        let response = match outcome {
            Outcome::Confirmed => {
                let written = operations.into_iter().filter_map(|operation| match operation {
                    Operation::Write { path, content } => Some((path, Some(content))),
                    Operation::Execute { .. } => None,
                });
                self.apply(written.collect());
                Response::new(Code::CHANGED)
            }
            Outcome::Unavailable { retry_after } => unavailable(retry_after),
            Outcome::Failed { why } => {
                warn!(why, "a server's order was not carried out");
                Response::new(Code::INTERNAL_SERVER_ERROR)
            }
        };
        self.respond(request, response, false);
    }

    // What goes to the endpoint.

    /// The next thing for the endpoint to do: answers first, then what registrations need.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.handle_timeout(now);
        if self.actions.is_empty() && self.stop_at.is_none() {
            self.ask_for_updates_after_silence(now);
            for index in 0..self.accounts.len() {
                self.poll_account(index, now);
            }
        }
        self.actions.pop_front()
    }

    /// The next notification for this peer. To be called only while the endpoint is free for it: the representation
    /// is made now, so that all changes up to now are in it.
    pub fn poll_notification(&mut self, peer: Peer, now: Instant) -> Option<Action> {
        let is_registered = self.account_of(peer).is_some_and(Account::is_registered);
        if !self.link_up || self.stop_at.is_some() || !is_registered || self.is_silent(peer, now) {
            return None;
        }
        let (id, target) = self.reporting.next_due(peer, now)?;
        self.refresh_clock(now);
        let response = management::representation(self.view(), target.path, target.format);
        let is_readable = response.code.is_success();
        let samples = if is_readable { self.books.carry(target.path) } else { vec![] };
        let snapshot = Snapshot { shown: self.tree.revision(), samples };
        let (notification, confirmable) =
            self.reporting.sent(id, snapshot, self.settings.confirmable, now)?;
        self.stats.notifications_sent += 1;
        if !is_readable {
            // Its own error ends the observation (OBS-13).
            self.end_observation(id, "nothing to read there any more");
        }
        Some(Action::Notify { notification, observation: id, response, confirmable })
    }

    /// The next thing that the owner should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        Some(match self.books.poll()? {
            books::Entry::Reported(samples) => {
                self.stats.samples_reported += samples.len() as u64;
                Event::SamplesReported(samples)
            }
            books::Entry::Superseded(sample) => {
                self.stats.samples_superseded += 1;
                Event::SampleSuperseded(sample)
            }
        })
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.reporting.handle_timeout(now);
        if self.gathering_until.is_some_and(|at| at <= now) {
            self.gathering_until = None;
        }
        if self.stop_at.is_some_and(|at| at <= now) {
            for account in &mut self.accounts {
                self.actions.extend(account.close());
            }
        }
    }

    /// When to call [`Self::handle_timeout`] next, and then [`Self::poll_action`] and the others.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if let Some(at) = self.stop_at {
            return (!self.is_shut_down()).then_some(Deadline::new(at, "end of shutdown"));
        }
        let accounts = self.accounts.iter().map(|account| {
            let surroundings = self.surroundings();
            account.poll_timeout(facts(&self.settings, &self.model, &self.tree, surroundings, account.server))
        });
        let gathering = self.gathering_until.map(|at| Deadline::new(at, "announce new instances"));
        Deadline::earliest(accounts.chain([gathering, self.reporting.poll_timeout()]))
    }

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

    // What can be looked at.

    /// The servers whose address is known.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + '_ {
        self.accounts.iter().filter_map(Account::peer)
    }

    /// All server accounts.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus> + '_ {
        self.accounts.iter().map(|account| ServerStatus {
            short_server_id: account.short_server_id,
            peer: account.peer(),
            state: account.state(),
            location: account.location(),
            expires: account.expires(),
            observations: account.peer().map_or(0, |peer| self.reporting.of_peer(peer).len()),
        })
    }

    /// Samples that are neither reported nor superseded yet.
    pub fn pending_samples(&self) -> usize {
        self.books.pending()
    }

    /// Counts since start.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// What a path holds; for the status page and for tests.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    fn view(&self) -> View<'_> {
        View { tree: &self.tree, model: &self.model, access: &self.access }
    }

    fn surroundings(&self) -> Surroundings {
        // Nobody can be asked before we have a name to give.
        let link_up = self.link_up && !self.settings.endpoint.is_empty();
        Surroundings { gathering: self.gathering_until.is_some(), link_up }
    }

    /// Register or Update, where it is time for it.
    fn poll_account(&mut self, index: usize, now: Instant) {
        let surroundings = self.surroundings();
        let Self { settings, model, tree, accounts, .. } = self;
        let Some(account) = accounts.get_mut(index) else { return };
        let facts = facts(settings, model, tree, surroundings, account.server);
        let links = || ObjectList::new(tree.instances(Path::ROOT), model, &[]).encode(model.enabler());
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
    fn ask_for_updates_after_silence(&mut self, now: Instant) {
        for index in 0..self.accounts.len() {
            let Some(peer) = self.accounts[index].peer() else { continue };
            let is_idle = self.accounts[index].is_at_rest() && !self.reporting.is_under_way(peer);
            if is_idle && self.is_silent(peer, now) && self.reporting.is_ready(peer) {
                self.accounts[index].want_contact("silence before a notification");
            }
        }
    }

    /// Nothing came from the peer for so long that the carrier may have forgotten us.
    fn is_silent(&self, peer: Peer, now: Instant) -> bool {
        let heard = self.heard.get(&peer);
        self.settings.nat_idle.zip(heard).is_some_and(|(idle, heard)| now >= *heard + idle)
    }

    fn account_of(&self, peer: Peer) -> Option<&Account> {
        self.accounts.iter().find(|account| account.peer() == Some(peer))
    }

    fn account_of_mut(&mut self, peer: Peer) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.peer() == Some(peer))
    }

    /// The server and its observations are strangers from now on.
    fn forget_observations(&mut self, peer: Peer, why: &'static str, now: Instant) {
        self.starting.retain(|_, starting| starting.target.peer != peer);
        for id in self.reporting.of_peer(peer) {
            self.lose_observation(id, why, now);
        }
        self.actions.push_back(Action::ForgetObservations { peer });
    }

    fn respond(&mut self, request: RequestId, response: Response, accept_observation: bool) {
        self.actions.push_back(Action::Respond { request, response, accept_observation });
    }
}

#[derive(Debug, Clone, Copy)]
struct Surroundings {
    gathering: bool,
    link_up: bool,
}

fn facts<'a>(
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

/// 5.03: nothing was done, it may work later.
fn unavailable(retry_after: Duration) -> Response {
    let max_age = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
    Response { max_age: Some(max_age), ..Response::new(Code::SERVICE_UNAVAILABLE) }
}

#[cfg(test)]
mod tests;
