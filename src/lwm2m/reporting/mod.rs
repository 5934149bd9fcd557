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
//! The representation is made when the notification leaves, so changes while waiting are merged into it (OBS-15). Where
//! the server has set limits, only what `watch` finds to cross them is a change. The making of representations is the
//! client's business.
//!
//! Every notification is Confirmable (NTF-15, NTF-16): what was not acknowledged is not reported.

mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::attributes::{Limits, Periods};
use super::books::Books;
use super::codecs::Format;
use super::path::Path;
use super::tree::Revision;
use super::value::{Entry, SampleId};
use crate::clock::Deadline;
use crate::coap::{NotificationId, ObservationId};
use crate::net::Peer;
use crate::seed::{Rng, Seed};
use watch::{Taken, Watch};

pub use watch::{Change, Numbers, Overlay, numbers};

/// After a failed notification the next try waits this long, doubled with each failure in a row.
const FIRST_HOLD: Duration = Duration::from_secs(30);
/// Longest wait after failures.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

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

/// When a server wants to hear of a path, by the attributes and defaults in force.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rule {
    /// Least and longest time between notifications.
    pub periods: Periods,
    /// What counts as a change of a number.
    pub limits: Limits,
}

/// What a notification under way shows and carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// It shows the tree as of this change.
    pub shown: Revision,
    /// It carries these samples.
    pub samples: Vec<SampleId>,
    /// It takes these crossings with it.
    taken: Taken,
}

impl Snapshot {
    /// Every sample that it tells of.
    pub fn into_samples(mut self) -> Vec<SampleId> {
        self.samples.extend(self.taken.samples());
        self.samples
    }
}

/// All observations.
///
/// A change costs look-ups by the path's ancestors, and work for the observations that cover it, whatever the number
/// of others; the next deadline costs one look-up.
#[derive(Debug)]
pub struct Reporting {
    observations: BTreeMap<ObservationId, Observation>,
    by_path: BTreeSet<(Path, ObservationId)>,
    /// How many there are of paths with so many identifiers.
    by_depth: [usize; Path::MOST_IDS + 1],
    under_way: BTreeMap<NotificationId, ObservationId>,
    dues: Dues,
    by_peer: BTreeMap<Peer, BTreeSet<ObservationId>>,
    last_notification: u64,
    /// The latest moment that was told; it dates what changes then.
    now: Option<Instant>,
    chance: Rng,
}

/// Observations by the time when they are due.
#[derive(Debug, Default)]
struct Dues {
    /// Due later.
    waiting: BTreeSet<(Instant, ObservationId)>,
    /// Due since the time given, until the endpoint is free for the peer: the longest due first.
    ready: BTreeMap<Peer, BTreeSet<(Instant, ObservationId)>>,
}

#[derive(Debug)]
struct Observation {
    target: Target,
    rule: Rule,
    watch: Watch,
    /// When the last notification left, or the first answer.
    last: Instant,
    /// When the observer last showed that it knows of the observation: by the request, or by an acknowledgement.
    confirmed: Instant,
    /// The observer has acknowledged the tree as of this change.
    acknowledged: Revision,
    /// There is something to tell, whatever the limits.
    changed: bool,
    /// Notifications that failed in a row.
    failures: u32,
    hold_until: Option<Instant>,
    under_way: Option<(NotificationId, Snapshot)>,
    /// Its key in [`Dues`].
    due: Option<Instant>,
}

impl Reporting {
    /// No observations yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            observations: BTreeMap::new(),
            by_path: BTreeSet::new(),
            by_depth: [0; Path::MOST_IDS + 1],
            under_way: BTreeMap::new(),
            dues: Dues::default(),
            by_peer: BTreeMap::new(),
            last_notification: 0,
            now: None,
            chance: seed.child("reporting").rng(),
        }
    }

    /// An observation starts. Its first answer was given at `answered` and showed `numbers`; `owed`: it left something
    /// to tell, which limits may keep back.
    pub fn start(
        &mut self,
        id: ObservationId,
        (target, rule): (Target, Rule),
        numbers: Numbers,
        owed: bool,
        answered: Instant,
    ) {
        let mut observation = Observation {
            target,
            rule,
            watch: Watch::new(numbers),
            last: answered,
            confirmed: answered,
            acknowledged: Revision::default(),
            changed: owed && rule.limits.is_none(),
            failures: 0,
            hold_until: None,
            under_way: None,
            due: None,
        };
        self.dues.schedule(id, &mut observation);
        self.observations.insert(id, observation);
        self.by_depth[target.path.depth()] += usize::from(self.by_path.insert((target.path, id)));
        self.by_peer.entry(target.peer).or_default().insert(id);
    }

    /// An observation is gone; gives what it observed and the samples of its notification under way.
    pub fn end(&mut self, id: ObservationId) -> Option<(Target, Vec<SampleId>)> {
        let mut observation = self.observations.remove(&id)?;
        self.dues.unschedule(id, &mut observation);
        let path = observation.target.path;
        self.by_depth[path.depth()] -= usize::from(self.by_path.remove(&(path, id)));
        if let Some(of_peer) = self.by_peer.get_mut(&observation.target.peer) {
            of_peer.remove(&id);
        }
        let mut samples: Vec<_> = observation.watch.samples().collect();
        if let Some((notification, snapshot)) = observation.under_way {
            self.under_way.remove(&notification);
            samples.extend(snapshot.into_samples());
        }
        Some((observation.target, samples))
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

    /// This rule is in force for a running observation from now on; by itself that is no reason to tell anything
    /// (WA-10, NTF-19).
    pub fn set_rule(&mut self, id: ObservationId, rule: Rule) {
        let Some(observation) = self.observations.get_mut(&id) else { return };
        if observation.rule != rule {
            observation.rule = rule;
            self.dues.schedule(id, observation);
        }
    }

    /// Something at `path` came, went or became unreadable by `revision`: every observer is to be told who is not known
    /// to have that, and to whom it is not under way.
    pub fn tell(&mut self, path: Path, revision: Revision, books: &mut Books) {
        for id in self.covering(path) {
            self.with(id, |observation, _| {
                observation.watch.forget(path, books);
                observation.tell(revision);
            });
        }
    }

    /// A resource has another content, or a sample of it is to be reported: every observer is to be told who is not
    /// known to have that and to whom it is not under way, or, where there are limits, for whom it crosses one.
    pub fn tell_content(&mut self, change: Change<'_>, books: &mut Books) {
        for id in self.covering(change.path) {
            self.with(id, |observation, now| {
                let Observation { target, rule, watch, .. } = observation;
                if rule.limits.is_none() {
                    observation.tell(change.revision);
                } else if watch.judge(target.path, rule.limits, change, now, books) {
                    observation.changed = true;
                }
            });
        }
    }

    /// Changes an observation and schedules it anew if it came to have something to tell.
    fn with(&mut self, id: ObservationId, change: impl FnOnce(&mut Observation, Option<Instant>)) {
        let now = self.now;
        let Some(observation) = self.observations.get_mut(&id) else { return };
        let had_news = observation.has_news();
        change(observation, now);
        if observation.has_news() != had_news {
            self.dues.schedule(id, observation);
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
        self.observations.get(&id).is_some_and(|one| one.has_news() || one.under_way.is_some())
    }

    /// A notification to this peer is under way.
    pub fn is_under_way(&self, peer: Peer) -> bool {
        let observations = self.under_way.values().filter_map(|id| self.observations.get(id));
        observations.into_iter().any(|one| one.target.peer == peer)
    }

    /// The observation of this peer that is due for the longest time.
    pub fn next_due(&mut self, peer: Peer, now: Instant) -> Option<(ObservationId, Target)> {
        self.handle_timeout(now);
        let (_, id) = self.dues.ready.get(&peer)?.first()?;
        Some((*id, self.observations.get(id)?.target))
    }

    /// An observation of this peer is due.
    pub fn is_ready(&self, peer: Peer) -> bool {
        self.dues.ready.get(&peer).is_some_and(|ready| !ready.is_empty())
    }

    /// Numbers that the observer is to be told though they are past take the places of the present ones (NTF-12).
    pub fn lay_over(
        &mut self,
        id: ObservationId,
        entries: &mut [Entry],
        revision_of: impl Fn(Path) -> Option<Revision>,
        books: &mut Books,
    ) -> Overlay {
        let Some(Observation { target, rule, watch, .. }) = self.observations.get_mut(&id) else {
            return Overlay::default();
        };
        // Only resources have limits (WA-05).
        if target.path.resource().is_none() {
            return Overlay::default();
        }
        watch.lay_over(rule.limits, entries, revision_of, books)
    }

    /// A notification leaves that shows the tree as of `shown`, but for the overlay; gives its name.
    pub fn sent(
        &mut self,
        id: ObservationId,
        (shown, overlay): (Revision, Overlay),
        now: Instant,
        books: &mut Books,
    ) -> Option<NotificationId> {
        let observation = self.observations.get_mut(&id)?;
        self.dues.unschedule(id, observation);
        self.last_notification += 1;
        let notification = NotificationId(self.last_notification);
        observation.last = now;
        observation.changed = false;
        let shown = overlay.oldest.unwrap_or(shown);
        let samples = books.carry(observation.target.path, |at| overlay.past.contains_key(&at));
        let taken = observation.watch.sent(overlay, books);
        observation.under_way = Some((notification, Snapshot { shown, samples, taken }));
        self.under_way.insert(notification, id);
        Some(notification)
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
        self.dues.schedule(id, observation);
        Some((observation.target, snapshot))
    }

    /// A notification did not arrive: the observation stays and is tried again later (OBS-10); gives what was observed.
    pub fn failed(
        &mut self,
        notification: NotificationId,
        now: Instant,
        books: &mut Books,
    ) -> Option<Target> {
        let id = self.under_way.remove(&notification)?;
        let observation = self.observations.get_mut(&id)?;
        let (_, Snapshot { samples, taken, .. }) = observation.under_way.take()?;
        let hold = FIRST_HOLD.saturating_mul(1 << observation.failures.min(16)).min(LONGEST_HOLD);
        observation.failures += 1;
        observation.hold_until = Some(now + self.chance.between(hold.mul_f64(0.75), hold.mul_f64(1.25)));
        observation.changed = true;
        observation.watch.failed(taken, observation.rule.limits, books);
        books.failed(samples);
        self.dues.schedule(id, observation);
        Some(observation.target)
    }

    /// A notification that failed need not wait any longer, and is told again.
    pub fn retry(&mut self, id: ObservationId) {
        let Some(observation) = self.observations.get_mut(&id) else { return };
        observation.failures = 0;
        observation.hold_until = None;
        observation.changed = true;
        self.dues.schedule(id, observation);
    }

    /// What is observed.
    pub fn target(&self, id: ObservationId) -> Option<Target> {
        self.observations.get(&id).map(|observation| observation.target)
    }

    /// Observations whose time has come are ready from now on.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        while let Some((at, id)) = self.dues.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.dues.waiting.remove(&(at, id));
            if let Some(observation) = self.observations.get(&id) {
                self.dues.ready.entry(observation.target.peer).or_default().insert((at, id));
            }
        }
    }

    /// When the next observation becomes ready.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.dues.waiting.first().map(|(at, _)| Deadline::new(*at, "notification due"))
    }

    /// Observations of the path, of what it lies in and of what lies in it.
    fn covering(&self, path: Path) -> Vec<ObservationId> {
        let above = path.parent().into_iter().flat_map(|parent| self.above(parent));
        let is_any_below = self.by_depth[path.depth()..].iter().any(|count| *count > 0);
        let below = is_any_below.then(|| self.by_path.range((path, ObservationId(0))..));
        let below = below.into_iter().flatten().take_while(|(at, _)| path.covers(*at));
        above.chain(below.map(|(_, id)| *id)).collect()
    }

    /// Observations of the path and of what it lies in.
    fn above(&self, path: Path) -> impl Iterator<Item = ObservationId> + '_ {
        let (least, most) = (ObservationId(0), ObservationId(u64::MAX));
        let paths = std::iter::successors(Some(path), |path| path.parent());
        let observed = paths.filter(|at| self.by_depth[at.depth()] > 0);
        observed.flat_map(move |at| self.by_path.range((at, least)..=(at, most))).map(|(_, id)| *id)
    }
}

impl Dues {
    fn schedule(&mut self, id: ObservationId, observation: &mut Observation) {
        self.unschedule(id, observation);
        observation.due = observation.next_due();
        if let Some(at) = observation.due {
            self.waiting.insert((at, id));
        }
    }

    fn unschedule(&mut self, id: ObservationId, observation: &mut Observation) {
        let Some(at) = observation.due.take() else { return };
        if self.waiting.remove(&(at, id)) {
            return;
        }
        if let Some(ready) = self.ready.get_mut(&observation.target.peer) {
            ready.remove(&(at, id));
        }
    }
}

impl Observation {
    /// What came by `revision` is to be told, unless the observer has it or it is under way.
    fn tell(&mut self, revision: Revision) {
        let is_under_way = self.under_way.as_ref().is_some_and(|(_, snapshot)| snapshot.shown >= revision);
        self.changed |= self.acknowledged < revision && !is_under_way;
    }

    /// There is a reason to notify beside the passing of time.
    fn has_news(&self) -> bool {
        self.changed || self.watch.has_crossed()
    }

    fn next_due(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let Periods { minimum, maximum } = self.rule.periods;
        let due = if self.has_news() { Some(minimum) } else { maximum }.map(|period| self.last + period);
        due.max(due.and(self.hold_until))
    }
}
