//! What is let out of the values that come in: the dead-band and the minimum interval of a resource.
//!
//! A value within the dead-band of the one that was let out last is dropped. One that comes before the interval has
//! passed waits for its end; a newer one takes its place, so that what leaves is always the newest. A value that falls
//! back into the dead-band while another waits ends that one too: it is no longer true.
//!
//! The state is one entry for each path that has or had either rule, so no more than instances times resources.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::clock::Deadline;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{SampleId, Value};

use super::rules::Pace;

/// Floats that differ by the dead-band may differ by a little less in their last digits.
const ALMOST: f64 = 1.0 - 1e-9;

/// All gates.
#[derive(Debug, Default)]
pub struct Gates {
    by_path: BTreeMap<Path, Gate>,
    due: BTreeSet<(Instant, Path)>,
}

#[derive(Debug)]
struct Gate {
    /// The value that was let out last, and when.
    last: (Value, Instant),
    /// The value that waits, and until when.
    held: Option<(SampleId, Value, Instant)>,
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Out(Value),
    /// It waits for the end of the interval.
    Held,
    /// It is within the dead-band.
    Dropped,
}

impl Gates {
    /// A value for `path` came in; gives the sample that it ends, and what becomes of itself.
    pub fn handle(
        &mut self,
        path: Path,
        pace: &Pace,
        value: Value,
        sample: SampleId,
        now: Instant,
    ) -> (Option<SampleId>, Verdict) {
        let is_free = *pace == Pace::default();
        let Some(gate) = self.by_path.get_mut(&path) else {
            if !is_free {
                self.by_path.insert(path, Gate { last: (value.clone(), now), held: None });
            }
            return (None, Verdict::Out(value));
        };
        // Whatever becomes of this value: an older one that leaves later would take its place.
        let ended = gate.held.take().map(|(sample, _, until)| {
            self.due.remove(&(until, path));
            sample
        });
        let is_close = pace.deadband.is_some_and(|band| difference(&gate.last.0, &value) < band * ALMOST);
        if is_close {
            return (ended, Verdict::Dropped);
        }
        let until = pace.min_interval.map(|interval| gate.last.1 + interval).filter(|until| now < *until);
        if let Some(until) = until {
            gate.held = Some((sample, value, until));
            self.due.insert((until, path));
            return (ended, Verdict::Held);
        }
        gate.last = (value.clone(), now);
        (ended, Verdict::Out(value))
    }

    /// Forgets all other paths; gives the samples that were held there.
    pub fn keep(&mut self, mut is_kept: impl FnMut(Path) -> bool) -> Vec<SampleId> {
        let mut ended = vec![];
        self.by_path.retain(|path, gate| {
            let is_kept = is_kept(*path);
            if let Some((sample, _, until)) = gate.held.take_if(|_| !is_kept) {
                self.due.remove(&(until, *path));
                ended.push(sample);
            }
            is_kept
        });
        ended
    }

    /// The next value whose interval is over.
    pub fn poll_released(&mut self, now: Instant) -> Option<(Path, SampleId, Value)> {
        loop {
            let (until, path) = self.due.first().copied().filter(|(until, _)| *until <= now)?;
            self.due.remove(&(until, path));
            let Some(gate) = self.by_path.get_mut(&path) else { continue };
            let Some((sample, value, _)) = gate.held.take() else { continue };
            gate.last = (value.clone(), now);
            return Some((path, sample, value));
        }
    }

    /// When the first interval ends.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.due.first().map(|(until, _)| Deadline::new(*until, "minimum interval of a value"))
    }
}

/// How far two numbers are apart; infinitely, where one is no number.
fn difference(one: &Value, other: &Value) -> f64 {
    let whole = |value: &Value| match value {
        Value::Integer(number) => Some(i128::from(*number)),
        Value::Unsigned(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (whole(one), whole(other), one, other) {
        (Some(one), Some(other), ..) => (one - other).unsigned_abs() as f64,
        (_, _, Value::Float(one), Value::Float(other)) => (one - other).abs(),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    const PATH: Path = Path::resource_of(3303, 0, 5700);
    const PACE: Pace = Pace { deadband: Some(0.5), min_interval: Some(Duration::from_secs(10)) };

    /// One path's gate, told values by the second.
    struct Bench {
        gates: Gates,
        start: Instant,
        samples: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { gates: Gates::default(), start: t0(), samples: 0 }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn tell(&mut self, pace: &Pace, seconds: u64, number: f64) -> (Option<u64>, Verdict) {
            self.samples += 1;
            let (sample, now) = (SampleId(self.samples), self.at(seconds));
            let (ended, verdict) = self.gates.handle(PATH, pace, Value::Float(number), sample, now);
            (ended.map(|sample| sample.0), verdict)
        }

        fn released(&mut self, seconds: u64) -> Option<(u64, Value)> {
            let now = self.at(seconds);
            self.gates.poll_released(now).map(|(_, sample, value)| (sample.0, value))
        }
    }

    fn out(number: f64) -> (Option<u64>, Verdict) {
        (None, Verdict::Out(Value::Float(number)))
    }

    #[test]
    fn small_steps_are_dropped_until_they_add_up() {
        let pace = Pace { min_interval: None, ..PACE };
        let mut bench = Bench::new();
        assert_eq!(bench.tell(&pace, 0, 20.0), out(20.0));
        assert_eq!(bench.tell(&pace, 1, 20.3), (None, Verdict::Dropped));
        assert_eq!(bench.tell(&pace, 2, 20.49), (None, Verdict::Dropped));
        assert_eq!(bench.tell(&pace, 3, 20.5), out(20.5));
        let tenth = Pace { deadband: Some(0.1), min_interval: None };
        assert_eq!(bench.tell(&tenth, 4, 20.6), out(20.6));
        assert_eq!(bench.tell(&tenth, 5, 20.7), out(20.7));
    }

    #[test]
    fn the_newest_value_waits_for_the_end_of_the_interval() {
        let mut bench = Bench::new();
        bench.tell(&PACE, 0, 20.0);
        assert_eq!(bench.tell(&PACE, 2, 22.0), (None, Verdict::Held));
        assert_eq!(bench.tell(&PACE, 3, 23.0), (Some(2), Verdict::Held));
        assert_eq!(bench.gates.poll_timeout().unwrap().at, bench.at(10));
        assert_eq!(bench.released(9), None);
        assert_eq!(bench.released(10), Some((3, Value::Float(23.0))));
        assert_eq!((bench.released(10), bench.gates.poll_timeout()), (None, None));
        assert_eq!(bench.tell(&PACE, 19, 24.0), (None, Verdict::Held));
        assert_eq!(bench.tell(&PACE, 20, 25.0), (Some(4), Verdict::Out(Value::Float(25.0))));
        assert_eq!(bench.released(100), None);
    }

    #[test]
    fn a_value_that_falls_back_ends_the_one_that_waits() {
        let mut bench = Bench::new();
        bench.tell(&PACE, 0, 20.0);
        bench.tell(&PACE, 2, 22.0);
        assert_eq!(bench.tell(&PACE, 3, 20.1), (Some(2), Verdict::Dropped));
        assert_eq!((bench.released(100), bench.gates.poll_timeout()), (None, None));
    }

    #[test]
    fn without_rules_nothing_is_held_or_remembered() {
        let mut bench = Bench::new();
        assert_eq!(bench.tell(&Pace::default(), 0, 1.0), out(1.0));
        assert_eq!(bench.tell(&Pace::default(), 0, 1.0), out(1.0));
        assert!(bench.gates.by_path.is_empty());
    }

    #[test]
    fn a_value_without_rules_ends_an_older_one_that_waits() {
        let mut bench = Bench::new();
        bench.tell(&PACE, 0, 20.0);
        bench.tell(&PACE, 2, 22.0);
        let (ended, verdict) = bench.tell(&Pace::default(), 3, 20.1);
        assert_eq!((ended, verdict), (Some(2), Verdict::Out(Value::Float(20.1))));
        assert_eq!((bench.released(100), bench.gates.poll_timeout()), (None, None));
        assert_eq!(bench.tell(&PACE, 20, 20.3), (None, Verdict::Dropped));
    }

    #[test]
    fn what_is_forgotten_gives_up_what_it_held() {
        let mut bench = Bench::new();
        bench.tell(&PACE, 0, 20.0);
        bench.tell(&PACE, 2, 22.0);
        assert!(bench.gates.keep(|_| true).is_empty());
        assert_eq!(bench.gates.keep(|path| path != PATH), [SampleId(2)]);
        assert_eq!((bench.released(100), bench.gates.poll_timeout()), (None, None));
        assert_eq!(bench.tell(&PACE, 3, 20.0), out(20.0));
    }

    #[test]
    fn large_counters_differ_by_their_last_digit() {
        assert_eq!(difference(&Value::Integer(i64::MAX), &Value::Integer(i64::MAX - 1)), 1.0);
        assert_eq!(difference(&Value::Boolean(true), &Value::Boolean(true)), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn every_sample_ends_once_and_intervals_are_kept(steps in prop::collection::vec((0_u64..8, 0_u8..6), 0..60)) {
            let mut bench = Bench::new();
            let (mut now, mut ends, mut outs) = (0, vec![], vec![]);
            for (wait, number) in steps {
                now += wait;
                if let Some((sample, _)) = bench.released(now) {
                    ends.push(sample);
                    outs.push(now);
                }
                let (ended, verdict) = bench.tell(&PACE, now, f64::from(number) / 4.0);
                ends.extend(ended);
                if verdict != Verdict::Held {
                    ends.push(bench.samples);
                }
                if matches!(verdict, Verdict::Out(_)) {
                    outs.push(now);
                }
            }
            ends.extend(bench.released(now + 10).map(|(sample, _)| sample));
            ends.sort_unstable();
            prop_assert_eq!(ends, (1..=bench.samples).collect::<Vec<_>>());
            prop_assert!(outs.windows(2).all(|pair| pair[1] - pair[0] >= 10));
            prop_assert_eq!(bench.gates.poll_timeout(), None);
        }
    }
}
