//! Observations that servers hold on us, and when each of them is due for a notification
//! (LwM2M Core 1.1.1 §6.4, RFC 7641).
//!
//! ```text
//!             change, or a sample to report          pmin over            endpoint free
//!   quiet ───────────────────────────────► waiting ────────────► ready ──────────────► under way
//!     │               pmax over                                    ▲                       │
//!     ├────────────────────────────────────────────────────────────┘                       │
//!     ◄──────────────────────────── delivered, nothing new ────────────────────────────────┤
//!                            waiting ◄── delivered but changed meanwhile, or failed ───────┘
//! ```
//!
//! The representation is made when the notification leaves, so changes while waiting are merged into it (OBS-15).
//! Its making and the books of samples are the client's business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::attributes::Periods;
use super::codecs::Format;
use super::path::Path;
use super::tree::Revision;
use super::value::SampleId;
use crate::clock::Deadline;
use crate::coap::{NotificationId, ObservationId};
use crate::net::Peer;
use crate::seed::{Rng, Seed};

/// After a failed notification the next try waits this long, doubled with each failure in a row.
const FIRST_HOLD: Duration = Duration::from_secs(30);
/// Longest wait after failures.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);
/// One notification in this time is Confirmable, so that a dead observer is found (NTF-16, RFC 7641 §4.5).
const CONFIRMABLE_AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What a server observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Whose observation it is.
    pub peer: Peer,
    /// The observed path.
    pub path: Path,
    /// Format of the first answer and thus of every notification (OBS-02).
    pub format: Format,
}

/// What a notification under way shows and carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// It shows the tree as of this change.
    pub shown: Revision,
    /// It carries these samples.
    pub samples: Vec<SampleId>,
}

/// All observations.
///
/// A change costs look-ups by the path's ancestors, and work for the observations that cover it, whatever the number
/// of others; the next deadline costs one look-up.
#[derive(Debug)]
pub struct Reporting {
    observations: BTreeMap<ObservationId, Observation>,
    by_path: BTreeSet<(Path, ObservationId)>,
    under_way: BTreeMap<NotificationId, ObservationId>,
    /// Due later.
    waiting: BTreeSet<(Instant, ObservationId)>,
    /// Due since the time given, until the endpoint is free for the peer: the longest due first.
    ready: BTreeMap<Peer, BTreeSet<(Instant, ObservationId)>>,
    by_peer: BTreeMap<Peer, BTreeSet<ObservationId>>,
    last_notification: u64,
    chance: Rng,
}

#[derive(Debug)]
struct Observation {
    target: Target,
    periods: Periods,
    /// When the last notification left, or the first answer.
    last: Instant,
    /// When the observer last showed that it knows of the observation: by the request, or by an acknowledgement.
    confirmed: Instant,
    last_confirmable: Instant,
    /// The observer has acknowledged the tree as of this change.
    acknowledged: Revision,
    /// There is something to tell.
    changed: bool,
    /// Notifications that failed in a row.
    failures: u32,
    hold_until: Option<Instant>,
    under_way: Option<(NotificationId, Snapshot)>,
    /// Its key in `waiting` or `ready`.
    due: Option<Instant>,
}

impl Reporting {
    /// No observations yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            observations: BTreeMap::new(),
            by_path: BTreeSet::new(),
            under_way: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ready: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            last_notification: 0,
            chance: seed.child("reporting").rng(),
        }
    }

    /// An observation starts, its first answer was given at `answered`; `owed`: that answer left something to tell.
    pub fn start(
        &mut self,
        id: ObservationId,
        target: Target,
        periods: Periods,
        owed: bool,
        answered: Instant,
    ) {
        self.end(id);
        let observation = Observation {
            target,
            periods,
            last: answered,
            confirmed: answered,
            last_confirmable: answered,
            acknowledged: Revision::default(),
            changed: owed,
            failures: 0,
            hold_until: None,
            under_way: None,
            due: None,
        };
        self.observations.insert(id, observation);
        self.by_path.insert((target.path, id));
        self.by_peer.entry(target.peer).or_default().insert(id);
        self.schedule(id);
    }

    /// An observation is gone; gives what it observed and the samples of its notification under way.
    pub fn end(&mut self, id: ObservationId) -> Option<(Target, Vec<SampleId>)> {
        self.unschedule(id);
        let observation = self.observations.remove(&id)?;
        self.by_path.remove(&(observation.target.path, id));
        if let Some(of_peer) = self.by_peer.get_mut(&observation.target.peer) {
            of_peer.remove(&id);
        }
        let samples = observation.under_way.map(|(notification, snapshot)| {
            self.under_way.remove(&notification);
            snapshot.samples
        });
        Some((observation.target, samples.unwrap_or_default()))
    }

    /// The observations of a peer.
    pub fn of_peer(&self, peer: Peer) -> Vec<ObservationId> {
        self.by_peer.get(&peer).into_iter().flatten().copied().collect()
    }

    /// How many observations a peer has.
    pub fn count_of(&self, peer: Peer) -> usize {
        self.by_peer.get(&peer).map_or(0, BTreeSet::len)
    }

    /// The observations of a peer at and below a path, each with what it observes.
    pub fn of_peer_under(&self, peer: Peer, under: Path) -> Vec<(ObservationId, Path)> {
        let at_and_below = self.by_path.range((under, ObservationId(0))..);
        let at_and_below = at_and_below.take_while(|(at, _)| under.covers(*at)).map(|(at, id)| (*id, *at));
        let is_of_peer =
            |id: &ObservationId| self.by_peer.get(&peer).is_some_and(|of_peer| of_peer.contains(id));
        at_and_below.filter(|(id, _)| is_of_peer(id)).collect()
    }

    /// Number of observations, for a bound on it.
    pub fn len(&self) -> usize {
        self.observations.len()
    }

    /// No observation at all.
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    /// These periods are in force for a running observation from now on (WA-10, NTF-19).
    pub fn set_periods(&mut self, id: ObservationId, periods: Periods) {
        let Some(observation) = self.observations.get_mut(&id) else { return };
        if observation.periods != periods {
            observation.periods = periods;
            self.schedule(id);
        }
    }

    /// There is something to tell about `path`, which got its present content by `revision`: every observer who is
    /// not known to have that, and to whom it is not under way, is to be told.
    pub fn tell(&mut self, path: Path, revision: Revision) {
        for id in self.covering(path) {
            let Some(observation) = self.observations.get_mut(&id) else { continue };
            let is_under_way =
                observation.under_way.as_ref().is_some_and(|(_, snapshot)| snapshot.shown >= revision);
            if observation.acknowledged >= revision || is_under_way || observation.changed {
                continue;
            }
            observation.changed = true;
            self.schedule(id);
        }
    }

    /// An observer of `path` has acknowledged the content that it got by `revision`.
    pub fn is_acknowledged(&self, path: Path, revision: Revision) -> bool {
        let observers = self.covering(path);
        observers.iter().filter_map(|id| self.observations.get(id)).any(|one| {
            // An observer of a single resource instance does not have the others.
            one.target.path.covers(path) && one.acknowledged >= revision
        })
    }

    /// This peer observes the path, or one above it.
    pub fn is_observed(&self, peer: Peer, path: Path) -> bool {
        self.above(path).filter_map(|id| self.observations.get(&id)).any(|one| one.target.peer == peer)
    }

    /// Earlier observations of the same peer, path and format that their observer has not confirmed since `before`.
    pub fn stale_twins(&self, target: Target, before: Instant) -> Vec<ObservationId> {
        let (least, most) = ((target.path, ObservationId(0)), (target.path, ObservationId(u64::MAX)));
        let at_path = self.by_path.range(least..=most).map(|(_, id)| *id);
        let is_stale = |one: &Observation| one.target == target && one.confirmed <= before;
        at_path.filter(|id| self.observations.get(id).is_some_and(is_stale)).collect()
    }

    /// There is something to tell this observer, or it is under way to it.
    pub fn owes(&self, id: ObservationId) -> bool {
        self.observations.get(&id).is_some_and(|one| one.changed || one.under_way.is_some())
    }

    /// A notification to this peer is under way.
    pub fn is_under_way(&self, peer: Peer) -> bool {
        let observations = self.under_way.values().filter_map(|id| self.observations.get(id));
        observations.into_iter().any(|one| one.target.peer == peer)
    }

    /// The observation of this peer that is due for the longest time.
    pub fn next_due(&mut self, peer: Peer, now: Instant) -> Option<(ObservationId, Target)> {
        self.handle_timeout(now);
        let (_, id) = self.ready.get(&peer)?.first()?;
        Some((*id, self.observations.get(id)?.target))
    }

    /// An observation of this peer is due.
    pub fn is_ready(&self, peer: Peer) -> bool {
        self.ready.get(&peer).is_some_and(|ready| !ready.is_empty())
    }

    /// A notification leaves; gives its name and whether it is to be Confirmable.
    pub fn sent(
        &mut self,
        id: ObservationId,
        snapshot: Snapshot,
        confirmable: bool,
        now: Instant,
    ) -> Option<(NotificationId, bool)> {
        self.unschedule(id);
        let observation = self.observations.get_mut(&id)?;
        self.last_notification += 1;
        let notification = NotificationId(self.last_notification);
        let confirmable = confirmable || now >= observation.last_confirmable + CONFIRMABLE_AT_LEAST_EVERY;
        if confirmable {
            observation.last_confirmable = now;
        }
        observation.last = now;
        observation.changed = false;
        observation.under_way = Some((notification, snapshot));
        self.under_way.insert(notification, id);
        Some((notification, confirmable))
    }

    /// A notification arrived; gives what was observed and what it showed and carried.
    pub fn delivered(&mut self, notification: NotificationId, now: Instant) -> Option<(Target, Snapshot)> {
        let id = self.under_way.remove(&notification)?;
        let observation = self.observations.get_mut(&id)?;
        let (_, snapshot) = observation.under_way.take()?;
        observation.acknowledged = observation.acknowledged.max(snapshot.shown);
        observation.confirmed = now;
        observation.failures = 0;
        observation.hold_until = None;
        let target = observation.target;
        self.schedule(id);
        Some((target, snapshot))
    }

    /// A notification did not arrive: the observation stays and is tried again later (OBS-10); gives what it carried.
    pub fn failed(&mut self, notification: NotificationId, now: Instant) -> Option<(Target, Snapshot)> {
        let id = self.under_way.remove(&notification)?;
        let observation = self.observations.get_mut(&id)?;
        let (_, snapshot) = observation.under_way.take()?;
        let hold = FIRST_HOLD.saturating_mul(1 << observation.failures.min(16)).min(LONGEST_HOLD);
        observation.failures += 1;
        observation.hold_until = Some(now + self.chance.between(hold.mul_f64(0.75), hold.mul_f64(1.25)));
        observation.changed = true;
        let target = observation.target;
        self.schedule(id);
        Some((target, snapshot))
    }

    /// Observations whose time has come are ready from now on.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.waiting.remove(&(at, id));
            if let Some(observation) = self.observations.get(&id) {
                self.ready.entry(observation.target.peer).or_default().insert((at, id));
            }
        }
    }

    /// When the next observation becomes ready.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.waiting.first().map(|(at, _)| Deadline::new(*at, "notification due"))
    }

    /// Observations of the path, of what it lies in and of what lies in it.
    fn covering(&self, path: Path) -> Vec<ObservationId> {
        let above = path.parent().into_iter().flat_map(|parent| self.above(parent));
        let below = self.by_path.range((path, ObservationId(0))..).take_while(|(at, _)| path.covers(*at));
        above.chain(below.map(|(_, id)| *id)).collect()
    }

    /// Observations of the path and of what it lies in.
    fn above(&self, path: Path) -> impl Iterator<Item = ObservationId> + '_ {
        let (least, most) = (ObservationId(0), ObservationId(u64::MAX));
        let paths = std::iter::successors(Some(path), |path| path.parent());
        paths.flat_map(move |at| self.by_path.range((at, least)..=(at, most))).map(|(_, id)| *id)
    }

    fn schedule(&mut self, id: ObservationId) {
        self.unschedule(id);
        let Some(observation) = self.observations.get_mut(&id) else { return };
        let periods = observation.periods;
        let due = if observation.under_way.is_some() {
            None
        } else if observation.changed {
            Some(observation.last + periods.minimum)
        } else {
            periods.maximum.map(|maximum| observation.last + maximum)
        };
        observation.due = due.max(due.and(observation.hold_until));
        if let Some(at) = observation.due {
            self.waiting.insert((at, id));
        }
    }

    fn unschedule(&mut self, id: ObservationId) {
        let Some(observation) = self.observations.get_mut(&id) else { return };
        let Some(at) = observation.due.take() else { return };
        self.waiting.remove(&(at, id));
        if let Some(ready) = self.ready.get_mut(&observation.target.peer) {
            ready.remove(&(at, id));
        }
    }
}
