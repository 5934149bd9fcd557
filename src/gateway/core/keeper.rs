//! What lasts over a restart: asks the store for it, holds back what hangs on it, and hands changes on in groups.
//!
//! ```text
//!   Reading ── loaded ─────────────► Keeping
//!      └── 5 s without answer ► Late ───┘
//! ```
//!
//! Changes gather in memory, the newest of each instance and of the modem, so there are never more than instances; one batch
//! is with the store at a time. What the store does not take stays and is offered again, later each time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::bridge::Urgency;
use crate::clock::Deadline;
use crate::persist::{Answer, Contents, MAX_BATCH, Request, Write};

/// A store that has not answered by then does not hold up the registration.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// A group is written so long after its first change: an SD card wears by each write, not by its length. No longer, so that a
/// new instance is on disk before the Update that announces it (`bridge.announce_after` is 2 s at least).
const GATHER: Duration = Duration::from_secs(1);
/// The same for what may get lost.
const GATHER_LAZILY: Duration = Duration::from_secs(3600);
/// So many changes are not made to wait.
const GROUP_IS_FULL: usize = 256;
/// A store that failed is asked again after this, doubling up to `RETRY_MAX`.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(600);
/// How it stands with what lasts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Why nothing is kept at present; `None` while all is well, or not known yet.
    pub trouble: Option<String>,
    /// The store has not told yet what it has.
    pub reading: bool,
    /// Instances that were remembered from earlier runs and are shown again.
    pub restored: usize,
    /// Changes that are not on disk yet.
    pub waiting: usize,
    /// Batches written since the start.
    pub commits: u64,
    /// Changes in them.
    pub writes: u64,
    /// Batches that the store did not take.
    pub failures: u64,
}

/// Keeps what lasts.
#[derive(Debug)]
pub(super) struct Keeper {
    state: State,
    /// What is neither on disk nor on its way there.
    waiting: BTreeMap<Slot, Write>,
    /// When it is to go.
    due: Option<Instant>,
    /// Not before this, after a failure.
    not_before: Option<Instant>,
    pause: Duration,
    in_hand: Option<Batch>,
    last_batch: u64,
    requests: VecDeque<Request>,
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading { until: Instant },
    Late,
    Keeping,
}

/// What a write is about: a newer one of the same takes the place of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Modem,
    Instance(u16, u16),
}

#[derive(Debug)]
struct Batch {
    id: u64,
    writes: BTreeMap<Slot, Write>,
}

/// What an answer means to the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// What lasted so far.
    Loaded(Contents),
    /// The disk has forgotten what was there: everything is to be put again.
    Emptied,
}

impl Keeper {
    /// Asks the store at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Reading { until: now + READ_WITHIN },
            waiting: BTreeMap::new(),
            due: None,
            not_before: None,
            pause: RETRY_MIN,
            in_hand: None,
            last_batch: 0,
            requests: VecDeque::from([Request::Load]),
            status: Status { reading: true, ..Status::default() },
        }
    }

    /// It is known what there was, or nobody waits for it any longer.
    pub(super) const fn is_settled(&self) -> bool {
        !matches!(self.state, State::Reading { .. })
    }

    /// There is nothing to wait for: all is on disk, or the store does not take it.
    pub(super) fn is_done(&self) -> bool {
        self.in_hand.is_none() && (self.waiting.is_empty() || self.status.trouble.is_some())
    }

    pub(super) fn status(&self) -> Status {
        let in_hand = self.in_hand.as_ref().map_or(0, |batch| batch.writes.len());
        Status { waiting: self.waiting.len() + in_hand, ..self.status.clone() }
    }

    /// So many of what was loaded are shown again.
    pub(super) const fn note_restored(&mut self, count: usize) {
        self.status.restored += count;
    }

    /// Takes a change.
    pub(super) fn put(&mut self, write: Write, urgency: Urgency, now: Instant) {
        let gather = if urgency == Urgency::Soon { GATHER } else { GATHER_LAZILY };
        let slot = match &write {
            Write::Instance(instance) => Slot::Instance(instance.object, instance.id),
            Write::Forget { object, id } => Slot::Instance(*object, *id),
            Write::Modem(_) => Slot::Modem,
        };
        self.waiting.insert(slot, write);
        self.due = Some(self.due.map_or(now + gather, |at| at.min(now + gather)));
        if self.waiting.len() >= GROUP_IS_FULL {
            self.due = Some(now);
        }
    }

    /// The store answered.
    pub(super) fn handle_answer(&mut self, answer: Answer, now: Instant) -> Option<News> {
        match answer {
            Answer::Loaded { contents, moved_aside, unwritable } => {
                self.state = State::Keeping;
                self.status.reading = false;
                self.tell_loaded(moved_aside, unwritable);
                Some(News::Loaded(contents))
            }
            Answer::Committed { batch } => {
                let written = self.in_hand.take_if(|in_hand| in_hand.id == batch)?;
                self.status.commits += 1;
                self.status.writes += written.writes.len() as u64;
                self.pause = RETRY_MIN;
                self.not_before = None;
                if self.status.trouble.take().is_some() {
                    tracing::info!("the store takes writes again: what waited is on disk");
                }
                None
            }
            Answer::Failed { batch, reason, emptied } => {
                let failed = self.in_hand.take_if(|in_hand| in_hand.id == batch)?;
                self.put_back(failed, now);
                self.status.failures += 1;
                if self.status.trouble.is_none() {
                    tracing::warn!(
                        reason,
                        "the store takes nothing: a restart would forget new instances; tried again, said once"
                    );
                } else {
                    tracing::debug!(reason, "the store still takes nothing");
                }
                self.status.trouble = Some(reason);
                emptied.then_some(News::Emptied)
            }
        }
    }

    /// The end is near: what waits goes at once.
    pub(super) fn flush(&mut self, now: Instant) {
        self.due = (!self.waiting.is_empty()).then_some(now);
        self.not_before = None;
        self.handle_timeout(now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.state, State::Reading { until } if until <= now) {
            self.state = State::Late;
            tracing::warn!("the store does not answer: going on without the instances of earlier runs");
        }
        let is_due = self.send_at().is_some_and(|at| at <= now);
        if is_due && self.state == State::Keeping {
            self.send();
        }
    }

    pub(super) fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let reading = match self.state {
            State::Reading { until } => Some(Deadline::new(until, "go on without the store")),
            _ => None,
        };
        let send = self.send_at().filter(|_| self.state == State::Keeping);
        Deadline::sooner(reading, send.map(|at| Deadline::new(at, "write to the store")))
    }

    fn send_at(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.in_hand.is_none())?;
        Some(self.not_before.map_or(due, |at| due.max(at)))
    }

    fn send(&mut self) {
        let rest = self.waiting.keys().nth(MAX_BATCH).copied();
        let rest = rest.map(|from| self.waiting.split_off(&from)).unwrap_or_default();
        let writes = std::mem::replace(&mut self.waiting, rest);
        // What did not fit follows as soon as this is done.
        self.due = self.due.filter(|_| !self.waiting.is_empty());
        self.last_batch += 1;
        let batch = self.last_batch;
        self.requests.push_back(Request::Write { batch, writes: writes.values().cloned().collect() });
        self.in_hand = Some(Batch { id: batch, writes });
    }

    /// What failed waits again, unless something newer took its place.
    fn put_back(&mut self, failed: Batch, now: Instant) {
        for (slot, write) in failed.writes {
            self.waiting.entry(slot).or_insert(write);
        }
        self.due = Some(now);
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }

    fn tell_loaded(&mut self, moved_aside: Option<String>, unwritable: Option<String>) {
        if let Some(where_to) = moved_aside {
            tracing::error!(where_to, "what the store had cannot be read and was moved aside; begun anew");
        }
        if let Some(reason) = &unwritable {
            tracing::error!(reason, "the store cannot be written: a restart will forget new instances");
        }
        self.status.trouble = unwritable;
    }
}

#[cfg(test)]
mod tests;
