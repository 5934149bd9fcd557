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
//! A server may as well mean its RST, or observe nothing at all. What that costs is bounded: the pause is as long as the
//! youngest loss is old, so it doubles, and after [`GIVE_UP_AFTER`] a path is given up. With a NAT that forgets after two
//! minutes these are about nine Updates, with one that does after half a minute about eleven. An Update is 20 octets
//! (48 with IP and UDP headers), so a loss costs half a kilobyte at the most.
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

/// What one server observed and no longer does.
#[derive(Debug)]
pub struct Lost {
    /// The first pause. It is shorter than a NAT's memory: the mapping is still there, and the server need not begin
    /// all over at a new address. `None`: there is no NAT.
    first_pause: Option<Duration>,
    state: State,
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
        Self { first_pause, state: State::Complete, chance }
    }

    /// The observation of a path ended. The root stands for whatever the server will observe.
    pub fn lose(&mut self, path: Path, now: Instant) {
        let Some(pause) = self.first_pause else { return };
        let mut since = match std::mem::replace(&mut self.state, State::Complete) {
            State::Complete => BTreeMap::new(),
            State::Missing { since, .. } => since,
        };
        if since.len() < MAX_PATHS {
            since.insert(path, now);
        }
        self.state = State::Missing { since, update_at: now + self.about(pause) };
    }

    /// A path is observed: what lies in it or around it is missing no more, for the server has reached us about it.
    /// True if it, or something in it, had been observed before.
    pub fn regain(&mut self, path: Path) -> bool {
        let State::Missing { since, .. } = &mut self.state else { return false };
        let below = since.range(path..).map(|(at, _)| *at).take_while(|at| path.covers(*at));
        let above = std::iter::successors(path.parent(), |above| above.parent());
        let regained: Vec<_> = below.chain(above).filter(|at| since.contains_key(at)).collect();
        since.retain(|at, _| !regained.contains(at));
        if since.is_empty() {
            self.state = State::Complete;
        }
        regained.into_iter().any(|at| path.covers(at))
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
        let State::Missing { since, .. } = &self.state else { return };
        let youngest = since.values().max().copied();
        let pause = youngest.zip(self.first_pause).map(|(youngest, first)| {
            let age = now.saturating_duration_since(youngest);
            self.about(age.max(first).min(LONGEST_PAUSE))
        });
        match (&mut self.state, pause) {
            (State::Missing { update_at, .. }, Some(pause)) => *update_at = now + pause,
            (state, _) => *state = State::Complete,
        }
    }

    /// Never two gateways in step (RTY-10).
    fn about(&mut self, pause: Duration) -> Duration {
        self.chance.between(pause.mul_f64(0.75), pause.mul_f64(1.25))
    }
}
