//! Observations that ended although the server may want them still, and the Updates by which it can make them anew.
//!
//! When a carrier's NAT has given our mapping away, the server knows our notification for a stranger's and answers RST
//! (OBS-07). An Update tells it where we are (REG-29), but what it then asks may be lost until that mapping is gone too. From
//! there on nothing of it reaches us, and with no observation left we have nothing to say: silence on both sides. So while
//! anything is missing, Updates go out, each of which opens the way for a while.
//!
//! ```text
//!               RST, or a Register              all observed again, or given up
//!   Complete ──────────────────────► Missing ──────────────────────────────────► Complete
//!                                    │     ▲
//!                                    └─────┘ a pause, an Update
//! ```
//!
//! A server may as well mean its RST, or observe nothing at all. What that costs is bounded: each pause is as long as the
//! youngest loss is old, so it doubles, up to an hour; after [`GIVE_UP_AFTER`] a path is given up. Behind a NAT that forgets
//! after two minutes these are about ten Updates, behind one that does after half a minute about twelve. An Update is 20
//! octets (48 with IP and UDP headers), so a loss costs some 250 octets of payload, and 600 on the air, at the most.
//!
//! A server that observes and rejects in turn, as two machines behind one address may, is met with ever more patience too.
//!
//! Without a NAT none of this happens: then the server can reach us whenever it wants.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::path::Path;
use crate::clock::Deadline;
use crate::seed::Rng;

/// Longest pause between two Updates.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// A path that is missing for longer is not wanted, as it seems.
const GIVE_UP_AFTER: Duration = Duration::from_secs(4 * 3600);
/// Paths that are kept in mind; the loss of a further one passes unnoticed, as Updates go out already.
const MAX_PATHS: usize = 1024;

/// After so many losses in a row without an acknowledged notification the first pause doubles.
const PATIENT_AFTER: u32 = 8;

/// What one server observed and no longer does.
#[derive(Debug)]
pub struct Lost {
    /// The first pause. It is shorter than a NAT's memory: the mapping is still there, and the server need not begin
    /// all over at a new address. `None`: there is no NAT.
    first_pause: Option<Duration>,
    state: State,
    /// Losses since the server last acknowledged a notification.
    in_row: u32,
    chance: Rng,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Complete,
    Missing {
        /// Since when; never empty.
        since: BTreeMap<Path, Instant>,
        update_at: Instant,
    },
}

impl Lost {
    /// Nothing is missing yet. The NAT forgets after `nat_idle`.
    pub fn new(nat_idle: Option<Duration>, chance: Rng) -> Self {
        let first_pause = nat_idle.map(|idle| (idle * 3 / 4).min(LONGEST_PAUSE));
        Self { first_pause, state: State::Complete, in_row: 0, chance }
    }

    /// The observation of a path ended. The root stands for whatever the server will observe.
    pub fn lose(&mut self, path: Path, now: Instant) {
        let Some(pause) = self.first_pause() else { return };
        let mut since = match std::mem::replace(&mut self.state, State::Complete) {
            State::Complete => BTreeMap::new(),
            State::Missing { since, .. } => since,
        };
        if since.len() < MAX_PATHS {
            since.insert(path, now);
        }
        self.in_row = self.in_row.saturating_add(1);
        self.state = State::Missing { since, update_at: now + self.about(pause) };
    }

    /// A path is observed: what lies in it or around it is missing no more, for the server has reached us about it.
    /// True if any of that had been observed before.
    pub fn regain(&mut self, path: Path) -> bool {
        let State::Missing { since, .. } = &mut self.state else { return false };
        let below = since.range(path..).map(|(at, _)| *at).take_while(|at| path.covers(*at));
        let above = std::iter::successors(path.parent(), |above| above.parent());
        let mut had_been = false;
        for at in below.chain(above).collect::<Vec<_>>() {
            had_been |= since.remove(&at).is_some() && at != Path::ROOT;
        }
        if since.is_empty() {
            self.state = State::Complete;
        }
        had_been
    }

    /// The server acknowledged a notification.
    pub const fn note_acknowledgement(&mut self) {
        self.in_row = 0;
    }

    /// The server has registered us anew: it has all the time from now on.
    pub fn handle_register(&mut self, now: Instant) {
        if let State::Missing { since, .. } = &mut self.state {
            since.values_mut().for_each(|at| *at = now);
        }
        self.schedule(now);
    }

    /// The server has answered an Update, whatever that was for: it can reach us for a while.
    pub fn handle_update(&mut self, now: Instant) {
        if let State::Missing { since, .. } = &mut self.state {
            since.retain(|_, at| now < *at + GIVE_UP_AFTER);
        }
        self.schedule(now);
    }

    /// An Update is due.
    pub fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Missing { update_at, .. } if update_at <= now)
    }

    /// When an Update is due, if the server has none before.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let State::Missing { update_at, .. } = self.state else { return None };
        Some(Deadline::new(update_at, "update for observations that are missing"))
    }

    fn schedule(&mut self, now: Instant) {
        let (State::Missing { since, .. }, Some(first)) = (&self.state, self.first_pause()) else { return };
        let Some(youngest) = since.values().max().copied() else {
            self.state = State::Complete;
            return;
        };
        let age = now.saturating_duration_since(youngest).min(LONGEST_PAUSE);
        let pause = self.about(age.max(first));
        if let State::Missing { update_at, .. } = &mut self.state {
            *update_at = now + pause;
        }
    }

    fn first_pause(&self) -> Option<Duration> {
        let doublings = (self.in_row / PATIENT_AFTER).min(16);
        self.first_pause.map(|pause| pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE))
    }

    /// Never two gateways in step (RTY-10).
    fn about(&mut self, pause: Duration) -> Duration {
        self.chance.between(pause.mul_f64(0.75), pause.mul_f64(1.25))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    const OBJECT: Path = Path::object_only(3303);
    const INSTANCE: Path = Path::instance_of(3303, 0);
    const RESOURCE: Path = Path::resource_of(3303, 0, 5700);
    const OTHER: Path = Path::object_only(3304);

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn behind_nat(idle: u64, seed: u64) -> Lost {
        Lost::new(Some(seconds(idle)), Seed::new(seed).rng())
    }

    /// Times of the Updates until the server is given up, none of which brings an observation.
    fn updates(lost: &mut Lost, start: Instant) -> Vec<Duration> {
        let due = std::iter::from_fn(|| {
            let at = lost.poll_timeout()?.at;
            assert!(lost.is_due(at) && !lost.is_due(at - seconds(1)));
            lost.handle_update(at);
            Some(at - start)
        });
        due.take(100).collect()
    }

    #[test]
    fn updates_come_ever_later_and_end_after_a_dozen_obs_07() {
        for (idle, seed) in [30, 60, 120, 300]
            .into_iter()
            .zip(0_u64..)
            .flat_map(|(idle, from)| (0..50).map(move |seed| (idle, from * 100 + seed)))
        {
            let (t0, mut lost) = (t0(), behind_nat(idle, seed));
            lost.lose(OBJECT, t0);
            let updates = updates(&mut lost, t0);
            // The first comes while the mapping lives.
            assert!(updates[0] < seconds(idle), "{updates:?}");
            assert!((6..=14).contains(&updates.len()), "{updates:?}");
            assert!(
                updates.windows(2).all(|two| two[1] - two[0] <= LONGEST_PAUSE.mul_f64(1.25)),
                "{updates:?}"
            );
            let last = *updates.last().unwrap();
            assert!(last >= GIVE_UP_AFTER && last < GIVE_UP_AFTER + LONGEST_PAUSE * 2, "{updates:?}");
        }
    }

    #[test]
    fn an_observation_of_it_around_it_or_of_something_in_it_ends_the_matter() {
        for (lost_path, observed, ends) in [
            (OBJECT, OBJECT, true),
            (RESOURCE, OBJECT, true),
            (OBJECT, RESOURCE, true),
            (Path::ROOT, RESOURCE, true),
            (OBJECT, OTHER, false),
            (RESOURCE, Path::resource_of(3303, 0, 5701), false),
        ] {
            let mut lost = behind_nat(120, 1);
            lost.lose(lost_path, t0());
            assert_eq!(lost.regain(observed), ends && lost_path != Path::ROOT, "{lost_path} {observed}");
            assert_eq!(lost.poll_timeout().is_none(), ends, "{lost_path} {observed}");
        }
    }

    #[test]
    fn what_is_left_goes_on_and_a_new_loss_begins_with_a_short_pause() {
        let (t0, mut lost) = (t0(), behind_nat(120, 1));
        lost.lose(OBJECT, t0);
        lost.lose(INSTANCE, t0);
        lost.lose(OTHER, t0);
        assert!(lost.regain(OBJECT));
        assert!(!lost.regain(OBJECT));
        let late = t0 + seconds(3600);
        lost.handle_update(late);
        assert!(lost.poll_timeout().unwrap().at >= late + seconds(2700));
        lost.lose(OBJECT, late);
        assert!(lost.poll_timeout().unwrap().at < late + seconds(120));
        lost.handle_register(late + seconds(7200));
        assert!(lost.poll_timeout().unwrap().at < late + seconds(7200 + 120));
    }

    #[test]
    fn a_server_that_observes_and_rejects_in_turn_is_asked_ever_less() {
        let (t0, mut lost) = (t0(), behind_nat(120, 1));
        let mut updates = 0;
        let mut now = t0;
        while now < t0 + seconds(86_400) {
            lost.lose(OBJECT, now);
            now = lost.poll_timeout().unwrap().at;
            lost.handle_update(now);
            assert!(lost.regain(OBJECT));
            updates += 1;
        }
        assert!((40..80).contains(&updates), "{updates}");
        lost.note_acknowledgement();
        lost.lose(OBJECT, now);
        assert!(lost.poll_timeout().unwrap().at < now + seconds(120));
    }

    #[test]
    fn after_hours_without_a_link_there_is_one_more_update() {
        let (t0, mut lost) = (t0(), behind_nat(120, 1));
        lost.lose(OBJECT, t0);
        let late = t0 + GIVE_UP_AFTER * 2;
        assert!(lost.is_due(late));
        lost.handle_update(late);
        assert_eq!(lost.state, State::Complete);
    }

    #[test]
    fn without_a_nat_nothing_is_ever_missing() {
        let mut lost = Lost::new(None, Seed::new(1).rng());
        lost.lose(OBJECT, t0());
        assert_eq!(lost.poll_timeout(), None);
    }

    #[test]
    fn the_paths_kept_in_mind_are_bounded() {
        let (t0, mut lost) = (t0(), behind_nat(120, 1));
        (0..2000).for_each(|object| lost.lose(Path::object_only(object), t0));
        let State::Missing { since, .. } = &lost.state else { panic!("nothing is missing") };
        assert_eq!(since.len(), MAX_PATHS);
    }
}
