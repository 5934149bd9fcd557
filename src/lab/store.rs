//! A store without a disk: commits take time, fail for a while, and a power cut loses what is not committed. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::persist::{Answer, Contents, Instance, Modem, Request, Write};

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From being asked to load to the answer.
    pub load_takes: Duration,
    /// From being asked to write to the answer; until then nothing is durable.
    pub commit_takes: Duration,
}

impl Default for Settings {
    /// A quick SD card.
    fn default() -> Self {
        Self { load_takes: Duration::from_millis(20), commit_takes: Duration::from_millis(50) }
    }
}

/// The store.
#[derive(Debug)]
pub struct Store {
    settings: Settings,
    instances: BTreeMap<(u16, u16), Instance>,
    modem: Option<Modem>,
    /// Commits fail.
    failing: bool,
    in_hand: VecDeque<(Instant, Request)>,
    answers: VecDeque<Answer>,
    commits: u64,
}

impl Store {
    /// An empty store.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            instances: BTreeMap::new(),
            modem: None,
            failing: false,
            in_hand: VecDeque::new(),
            answers: VecDeque::new(),
            commits: 0,
        }
    }

    /// From now on commits fail, or no longer do; one that is under way, too.
    pub const fn set_failing(&mut self, failing: bool) {
        self.failing = failing;
    }

    /// What was asked and not answered is lost, and what was not committed as well.
    pub fn power_cut(&mut self) {
        self.in_hand.clear();
        self.answers.clear();
    }

    /// What a power cut would leave.
    pub fn contents(&self) -> Contents {
        Contents { instances: self.instances.values().cloned().collect(), modem: self.modem.clone() }
    }

    /// Commits that succeeded.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// The gateway asks.
    pub fn handle_request(&mut self, request: Request, now: Instant) {
        let takes = match request {
            Request::Load => self.settings.load_takes,
            Request::Write { .. } => self.settings.commit_takes,
        };
        self.in_hand.push_back((now + takes, request));
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.in_hand.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, request)) = self.in_hand.pop_front() else { return };
            let answer = self.answer(request);
            self.answers.push_back(answer);
        }
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// When the next answer is due.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.in_hand.front().map(|(at, _)| Deadline::new(*at, "the store answers"))
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Load => {
                Answer::Loaded { contents: self.contents(), moved_aside: None, unwritable: None }
            }
            Request::Write { batch, .. } if self.failing => {
                Answer::Failed { batch, reason: "the disk is full".to_owned(), emptied: false }
            }
            Request::Write { batch, writes } => {
                writes.into_iter().for_each(|write| self.apply(write));
                self.commits += 1;
                Answer::Committed { batch }
            }
        }
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Instance(instance) => {
                self.instances
                    .retain(|(object, _), known| (*object, &known.key) != (instance.object, &instance.key));
                self.instances.insert((instance.object, instance.id), instance);
            }
            Write::Forget { object, id } => drop(self.instances.remove(&(object, id))),
            Write::Modem(modem) => self.modem = Some(modem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: u16, key: &str) -> Write {
        Write::Instance(Instance {
            object: 3303,
            id,
            key: vec![key.to_owned()],
            sources: vec![],
            first_seen: None,
            last_seen: None,
        })
    }

    #[test]
    fn a_commit_is_durable_when_it_is_answered_and_not_before() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let t0 = Instant::now();
        let mut store = Store::new(Settings::default());
        let write = |batch, writes| Request::Write { batch, writes };
        store.handle_request(write(1, vec![instance(0, "a"), instance(1, "b")]), t0);
        store.handle_timeout(store.poll_timeout().unwrap().at);
        assert_eq!(store.poll_answer(), Some(Answer::Committed { batch: 1 }));
        store.handle_request(write(2, vec![instance(2, "a")]), t0);
        store.power_cut();
        assert_eq!((store.poll_timeout(), store.contents().instances.len()), (None, 2));
        store.handle_request(write(3, vec![instance(2, "a"), Write::Forget { object: 3303, id: 1 }]), t0);
        store.set_failing(true);
        store.handle_timeout(t0 + Duration::from_secs(1));
        assert!(matches!(store.poll_answer(), Some(Answer::Failed { batch: 3, .. })));
        assert_eq!(store.contents().instances.len(), 2);
        store.set_failing(false);
        store.handle_request(write(4, vec![instance(2, "a"), Write::Forget { object: 3303, id: 1 }]), t0);
        store.handle_timeout(t0 + Duration::from_secs(1));
        assert_eq!(store.contents().instances.iter().map(|of| of.id).collect::<Vec<_>>(), [2]);
        assert_eq!(store.commits(), 2);
    }
}
