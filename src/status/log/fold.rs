//! Repeats that follow closely are counted instead of said again; the count is told each minute while it goes on.
//!
//! What comes back after a while, such as a connection, is said again a few times: a log whose last line is that
//! something was lost must not keep to itself that it is there again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::line::Record;

/// For so long repeats of an event that was said are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// After so long a rest an event is news again …
const REST: Duration = Duration::from_secs(3);
/// … but within the window it is said at most so often.
const MAX_SAID: u8 = 3;
/// Events that are remembered; then the oldest goes, and its repeats are told.
const MAX_EVENTS: usize = 64;

/// What was said of late.
#[derive(Debug, Default)]
pub(super) struct Fold {
    said: VecDeque<Said>,
}

#[derive(Debug)]
struct Said {
    record: Record,
    since: Instant,
    last: Instant,
    said: u8,
    repeats: u64,
}

/// The repeats of an event.
#[derive(Debug, PartialEq)]
pub(super) struct Folded {
    pub(super) record: Record,
    pub(super) repeats: u64,
    pub(super) within: Duration,
}

impl Fold {
    /// An event happened: gives it back if it is to be said, and the repeats that are to be told before.
    pub(super) fn take(&mut self, record: Record, now: Instant) -> (Option<Record>, Vec<Folded>) {
        let mut told = self.due(now);
        if let Some(known) = self.said.iter_mut().find(|said| said.record == record) {
            let rest = now.saturating_duration_since(known.last);
            known.last = now;
            if rest >= REST && known.said < MAX_SAID {
                known.said += 1;
                return (Some(record), told);
            }
            known.repeats += 1;
            return (None, told);
        }
        if self.said.len() == MAX_EVENTS {
            told.extend(self.said.pop_front().and_then(|oldest| oldest.folded(now)));
        }
        self.said.push_back(Said { record: record.clone(), since: now, last: now, said: 1, repeats: 0 });
        (Some(record), told)
    }

    /// Repeats whose minute is over. What did not happen again meanwhile is forgotten, and said when it next happens.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Folded> {
        let mut told = Vec::new();
        // All have the same window, so the oldest stand first.
        while self.said.front().is_some_and(|oldest| now.saturating_duration_since(oldest.since) >= WINDOW) {
            let Some(oldest) = self.said.pop_front() else { break };
            let (record, last) = (oldest.record.clone(), oldest.last);
            if let Some(folded) = oldest.folded(now) {
                told.push(folded);
                self.said.push_back(Said { record, since: now, last, said: MAX_SAID, repeats: 0 });
            }
        }
        told
    }

    /// All repeats that were not told yet.
    pub(super) fn finish(&mut self, now: Instant) -> Vec<Folded> {
        self.said.drain(..).filter_map(|said| said.folded(now)).collect()
    }
}

impl Said {
    fn folded(self, now: Instant) -> Option<Folded> {
        let within = now.saturating_duration_since(self.since);
        (self.repeats > 0).then_some(Folded { record: self.record, repeats: self.repeats, within })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn record(message: &str) -> Record {
        Record::of(tracing::Level::WARN, message)
    }

    #[test]
    fn an_event_is_said_once_a_minute_and_its_repeats_are_counted() {
        let (t0, mut fold) = (t0(), Fold::default());
        let at = |seconds| t0 + Duration::from_secs(seconds);
        assert_eq!(fold.take(record("a"), at(0)), (Some(record("a")), vec![]));
        assert_eq!(fold.take(record("a"), at(1)), (None, vec![]));
        assert_eq!(fold.take(record("b"), at(2)), (Some(record("b")), vec![]), "another text is said");
        assert_eq!(fold.take(record("a"), at(3)), (None, vec![]));
        let folded = Folded { record: record("a"), repeats: 2, within: Duration::from_secs(61) };
        assert_eq!(fold.due(at(61)), [folded]);
        assert_eq!(fold.take(record("a"), at(62)).0, None, "it goes on");
        assert_eq!(fold.due(at(121)).len(), 1);
        assert_eq!(fold.due(at(181)), [], "it has ended");
        assert_eq!(fold.take(record("a"), at(182)), (Some(record("a")), vec![]));
    }

    #[test]
    fn what_comes_back_after_a_rest_is_said_again_a_few_times() {
        let (t0, mut fold) = (t0(), Fold::default());
        let mut said =
            |seconds| fold.take(record("connected"), t0 + Duration::from_secs(seconds)).0.is_some();
        assert_eq!([0, 5, 7, 10, 15, 20, 59].map(&mut said), [true, true, false, true, false, false, false]);
    }

    #[test]
    fn repeats_are_told_when_there_are_too_many_events_and_at_the_end() {
        let (t0, mut fold) = (t0(), Fold::default());
        (0..2).for_each(|_| drop(fold.take(record("a"), t0)));
        (1..MAX_EVENTS).for_each(|n| drop(fold.take(record(&n.to_string()), t0)));
        let (_, told) = fold.take(record("one more"), t0);
        assert_eq!(told, [Folded { record: record("a"), repeats: 1, within: Duration::ZERO }]);
        fold.take(record("one more"), t0);
        assert_eq!(fold.finish(t0).len(), 1);
        assert_eq!(fold.finish(t0), []);
    }

    proptest! {
        #[test]
        fn every_event_is_said_or_counted(events in prop::collection::vec(("[a-d]", 0_u64..40), 0..200)) {
            let (t0, mut fold) = (t0(), Fold::default());
            let (mut elapsed, mut told) = (0, 0);
            for (text, pause) in &events {
                elapsed += pause;
                let (said, folded) = fold.take(record(text), t0 + Duration::from_secs(elapsed));
                told += u64::from(said.is_some()) + folded.iter().map(|one| one.repeats).sum::<u64>();
            }
            told += fold.finish(t0).iter().map(|one| one.repeats).sum::<u64>();
            prop_assert_eq!(told, events.len() as u64);
        }
    }
}
