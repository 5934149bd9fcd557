//! The LwM2M client's only door: samples, facts and the endpoint's events go in; actions for the endpoint, orders
//! for the bridge and the books' entries come out.
//!
//! Puts the parts together (`registration`, `management`, `reporting`, `books`, the tree) and holds no rule of theirs.

mod accounts;
mod attributes;
mod contents;
mod observing;
mod serving;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::attributes::{Defaults, Written};
use super::books::{self, Books};
use super::downlink::{Operation, Outcome, TransactionId};
use super::held::Held;
use super::lost::Lost;
use super::management::{AccessTable, View};
use super::model::Model;
use super::objects::errors::Errors;
use super::objects::statistics::Statistics;
use super::objects::{security, server, statistics};
use super::path::Path;
use super::registration::Account;
use super::reporting::{Numbers, Reporting, Target};
use super::tree::{Revision, Tree};
use crate::clock::{Deadline, UnixTime};
use crate::coap::{Action, Code, ObservationId, RequestId, Response};
use crate::net::{LinkFacts, Peer};
use crate::seed::Seed;
use accounts::facts;
use contents::set_native;

pub use super::objects::device::{Battery, BatteryStatus, HostFacts, PowerSource};
pub use super::objects::location::Location;
pub use types::{Event, OnStop, Refusal, ServerSettings, ServerStatus, Settings, Stats};

/// The LwM2M client.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    model: Arc<Model>,
    tree: Tree,
    access: AccessTable,
    books: Books,
    held: Held,
    errors: Errors,
    statistics: Statistics,
    /// What link and host told last.
    facts: (LinkFacts, HostFacts),
    reporting: Reporting,
    /// What servers have written about notifications, by their instances of object 1.
    attributes: BTreeMap<Path, Written>,
    /// The servers' default periods as they are in force.
    defaults: BTreeMap<Path, Defaults>,
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
    /// Rejected at a time when the server may not have known our address; told again after an Update.
    doubted: BTreeSet<ObservationId>,
    /// When a server last gave a sign of life.
    heard: BTreeMap<Peer, Instant>,
    link_up: bool,
    opening: Opening,
    wall_clock: Option<(UnixTime, Instant)>,
    /// Shutting down; done at this time whatever comes.
    stop_at: Option<Instant>,
    stats: Stats,
}

/// When the first request to any server may leave. Counted from the first link, as it comes about equally soon
/// everywhere after a power cut; what comes later, links and servers, is not held up.
#[derive(Debug, Clone, Copy)]
enum Opening {
    /// There was no link yet; with it begins a pause of this length.
    Held(Duration),
    /// The pause goes on until then.
    Until(Instant),
    Over,
}

#[derive(Debug)]
struct Starting {
    target: Target,
    answered: Instant,
    /// The first answer showed the tree as of this change.
    shown: Revision,
    /// And these numbers, where numbers can have limits.
    numbers: Numbers,
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
            let names = (id, server, lifetime_secs);
            accounts.push(Account::new(names, &one.uri, one.peer, settings.retry, lost, seed.rng()));
        }
        let opening = Opening::Held(seed.child("start").rng().between(Duration::ZERO, settings.start_jitter));
        let held = Held::new(settings.held_objects.iter().copied());
        held.objects()
            .filter(|object| model.object(*object).is_some())
            .for_each(|object| tree.add_object(object));
        let mut client = Self {
            settings,
            model,
            tree,
            access: AccessTable::new(),
            books: Books::default(),
            held,
            errors: Errors::default(),
            statistics: Statistics::default(),
            facts: <(LinkFacts, HostFacts)>::default(),
            reporting: Reporting::new(seed),
            attributes: BTreeMap::new(),
            defaults: BTreeMap::new(),
            accounts,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            starting: BTreeMap::new(),
            transactions: BTreeMap::new(),
            last_transaction: 0,
            last_exchange: 0,
            gathering_until: None,
            doubted: BTreeSet::new(),
            heard: BTreeMap::new(),
            link_up: false,
            opening,
            wall_clock: None,
            stop_at: None,
            stats: Stats::default(),
        };
        client.set_facts(LinkFacts::default(), HostFacts::default());
        set_native(&mut client.tree, &client.model, statistics::INSTANCE, client.statistics.facts());
        client.refresh_periods();
        client
    }

    // What comes from the bridge, the link and the host.

    /// What servers may do with mapped resources from now on, in every instance: this and nothing else.
    pub fn replace_access(&mut self, access: AccessTable) {
        self.access = access;
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
        if self
            .accounts
            .iter()
            .any(|account| account.short_server_id != short_server_id && account.peer() == Some(peer))
        {
            // Its requests could not be told from the other's.
            return warn!(server = short_server_id, %peer, "another server has this address; not used for this one");
        }
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
        match self.opening {
            Opening::Held(pause) if up && pause.is_zero() => self.opening = Opening::Over,
            Opening::Held(pause) if up => {
                let secs = pause.as_secs();
                tracing::info!(secs, "the first registration waits, by chance up to lwm2m.start_jitter");
                self.opening = Opening::Until(now + pause);
            }
            _ => {}
        }
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
            Outcome::Unavailable { retry_after, why } => {
                warn!(why, "a server's order was not carried out, and may be given again");
                unavailable(retry_after)
            }
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
        if matches!(self.opening, Opening::Until(at) if at <= now) {
            self.opening = Opening::Over;
        }
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
            account.poll_timeout(facts(
                &self.settings,
                &self.model,
                self.tree.shape(),
                surroundings,
                account.lifetime_secs,
            ))
        });
        let opening = match self.opening {
            Opening::Until(at) => Some(Deadline::new(at, "first registration")),
            _ => None,
        };
        let gathering = self.gathering_until.map(|at| Deadline::new(at, "announce new instances"));
        Deadline::earliest(accounts.chain([opening, gathering, self.reporting.poll_timeout()]))
    }

    // What can be looked at.

    /// The servers that we listen to: those whose address is known, but for one that has disabled us.
    pub fn peers(&self) -> impl Iterator<Item = Peer> + '_ {
        self.accounts.iter().filter(|account| !account.is_deaf()).filter_map(Account::peer)
    }

    /// All server accounts.
    pub fn servers(&self) -> impl Iterator<Item = ServerStatus> + '_ {
        self.accounts.iter().map(|account| ServerStatus {
            short_server_id: account.short_server_id,
            peer: account.peer(),
            state: account.state(),
            trouble: account.trouble.clone(),
            location: account.location(),
            updated: account.updated(),
            expires: account.expires(),
            observations: account.peer().map_or(0, |peer| self.reporting.count_of(peer)),
        })
    }

    /// Our name at the servers; empty while it is not known.
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
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

    /// What the server with this instance of object 1 sees.
    fn view(&self, server: Path) -> View<'_> {
        /// Most servers write no attributes.
        static NONE: Written = Written::new();
        let attributes = self.attributes.get(&server).unwrap_or(&NONE);
        View { tree: &self.tree, model: &self.model, access: &self.access, held: &self.held, attributes }
    }

    fn respond(&mut self, request: RequestId, response: Response, accept_observation: bool) {
        self.actions.push_back(Action::Respond { request, response, accept_observation });
    }
}

/// 5.03: nothing was done, it may work later.
fn unavailable(retry_after: Duration) -> Response {
    let max_age = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
    Response { max_age: Some(max_age), ..Response::new(Code::SERVICE_UNAVAILABLE) }
}

#[cfg(test)]
mod tests;
