//! The books, over the whole door: whatever happens, every sample ends once or is pending, and "reported" is true.

use proptest::prelude::*;

use super::*;
use crate::lwm2m::attributes::Limits;

#[test]
fn sample_with_a_value_that_the_server_has_is_reported_without_octets() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
    bench.set(TEMPERATURE, 1.0, 2);
    assert!(bench.notified.is_empty());
    assert_eq!(bench.entries(), ["reported [2]"]);
}

#[test]
fn sample_pending_when_an_observation_starts_is_reported_by_a_notification() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    assert!(bench.entries().is_empty());
    bench.observe("/3303");
    assert!(bench.entries().is_empty());
    assert_eq!(bench.notified.len(), 1);
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
}

#[test]
fn equal_sample_while_its_value_is_under_way_shares_its_fate() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.observe("/3303");
    bench.set(TEMPERATURE, 1.0, 2);
    assert_eq!(bench.notified.len(), 1);
    bench.acknowledge();
    assert!(bench.notified.is_empty());
    assert_eq!(bench.entries(), ["reported [1, 2]"]);

    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.observe("/3303");
    bench.set(TEMPERATURE, 1.0, 2);
    bench.lose(Failure::TooLarge);
    assert_eq!(bench.entries(), ["superseded 1"]);
    assert_eq!(bench.client.pending_samples(), 1);
}

#[test]
fn value_that_came_back_is_not_taken_for_the_one_under_way() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.observe("/3303");
    bench.acknowledge();
    // 2 leaves, then 1 comes back: the server may have 1 or 2, so 1 is told again.
    bench.set(TEMPERATURE, 2.0, 2);
    bench.set(TEMPERATURE, 1.0, 3);
    assert_eq!(bench.entries(), ["reported [1]"]);
    bench.acknowledge();
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [2]", "reported [3]"]);
}

#[test]
fn register_anew_makes_samples_under_way_pending_again() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.observe("/3303");
    assert_eq!(bench.notified.len(), 1);
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    assert!(bench.entries().is_empty() && bench.client.pending_samples() == 1);
    bench.grant();
    // What the server had acknowledged before counts no more either.
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
}

#[test]
fn value_written_by_a_server_overtakes_a_pending_sample() {
    let mut bench = Bench::registered();
    bench.client.replace_access([((3416, 1), Access { writable: true, executable: false })].into());
    let at = path("/3416/0/1");
    bench.client.set_mapped(at, Value::Integer(1), Some(SampleId(1)), bench.now).unwrap();
    bench.drain();
    let write =
        CoapRequest { content_format: Some(0), payload: b"9".into(), ..request(Method::Put, "/3416/0/1") };
    bench.send_from(1, write);
    bench.client.handle_downlink(TransactionId(1), Outcome::Confirmed);
    bench.drain();
    assert_eq!(bench.entries(), ["superseded 1"]);
}

/// Paths with samples: two instances, two resources in one of them, two instances of one resource, of texts and of
/// numbers.
const PATHS: [&str; 7] = [
    "/3303/0/5700",
    "/3303/0/5601",
    "/3303/1/5700",
    "/12/0/11/0",
    "/12/0/11/3",
    "/3349/0/5912/0",
    "/3349/0/5912/3",
];
const TARGETS: [&str; 10] = [
    "/3303",
    "/3303/0",
    "/3303/0/5700",
    "/3303/1",
    "/3349",
    "/3349/0/5912",
    "/3349/0/5912/3",
    "/12/0",
    "/12/0/11",
    "/12/0/11/3",
];
/// What servers write on targets; limits are refused where there are no numbers.
const QUERIES: [&str; 9] =
    ["gt=1.5", "lt=2", "gt=2&lt=1", "st=2", "gt&lt&st", "pmin=10", "pmax=40", "pmin=7&gt=2", "pmin&pmax"];

#[derive(Debug, Clone)]
enum Step {
    Set {
        path: usize,
        value: u8,
    },
    /// Without a sample, as a confirmed Write of a server does.
    SetSilently {
        path: usize,
        value: u8,
    },
    Observe {
        server: u8,
        target: usize,
    },
    Attributes {
        server: u8,
        target: usize,
        query: usize,
    },
    Cancel {
        nth: usize,
    },
    Deliver {
        nth: usize,
    },
    Lose {
        nth: usize,
        why: Failure,
    },
    Answer {
        success: bool,
    },
    Reregister,
    Link {
        up: bool,
    },
    Wait {
        seconds: u64,
    },
    Periods {
        pmin: u8,
        pmax: u8,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let failure = prop::sample::select(vec![Failure::TimedOut, Failure::TooLarge, Failure::Rejected]);
    prop_oneof![
        8 => (path.clone(), 0..5_u8).prop_map(|(path, value)| Step::Set { path, value }),
        1 => (path, 0..5_u8).prop_map(|(path, value)| Step::SetSilently { path, value }),
        3 => (1..=2_u8, 0..TARGETS.len()).prop_map(|(server, target)| Step::Observe { server, target }),
        2 => (1..=2_u8, 0..TARGETS.len(), 0..QUERIES.len())
            .prop_map(|(server, target, query)| Step::Attributes { server, target, query }),
        1 => (0..4_usize).prop_map(|nth| Step::Cancel { nth }),
        6 => (0..2_usize).prop_map(|nth| Step::Deliver { nth }),
        2 => (0..2_usize, failure).prop_map(|(nth, why)| Step::Lose { nth, why }),
        3 => any::<bool>().prop_map(|success| Step::Answer { success }),
        1 => Just(Step::Reregister),
        1 => any::<bool>().prop_map(|up| Step::Link { up }),
        2 => (0..100_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..20_u8, 0..40_u8).prop_map(|(pmin, pmax)| Step::Periods { pmin, pmax }),
    ]
}

/// What the test knows of its samples and of the servers' view.
#[derive(Default)]
struct Ledger {
    /// Path and value of every sample, and whether it has ended.
    samples: BTreeMap<u64, (Path, Value, bool)>,
    /// What each live observation's server acknowledged last.
    acknowledged: BTreeMap<(ObservationId, Path), Value>,
    /// Samples after which another value came that was none of a sample.
    overwritten: BTreeSet<u64>,
    /// The body and target of a notification that was delivered in this very step.
    last: u64,
}

struct Run {
    bench: Bench,
    ledger: Ledger,
    targets: BTreeMap<ObservationId, Path>,
    has_attributes: bool,
}

impl Run {
    fn new() -> Self {
        let settings = Settings { announce_after: seconds(5), ..settings(2) };
        Self {
            bench: Bench::registered_at(settings),
            ledger: Ledger::default(),
            targets: BTreeMap::new(),
            has_attributes: false,
        }
    }

    fn step(&mut self, step: &Step) {
        let bench = &mut self.bench;
        match *step {
            Step::Set { path, value } => {
                self.ledger.last += 1;
                let (at, value) = (self::path(PATHS[path]), value_at(path, value));
                self.ledger.samples.insert(self.ledger.last, (at, value.clone(), false));
                bench.client.set_mapped(at, value, Some(SampleId(self.ledger.last)), bench.now).unwrap();
            }
            Step::SetSilently { path, value } => {
                let (at, value) = (self::path(PATHS[path]), value_at(path, value));
                let before =
                    self.ledger.samples.iter().filter(|(_, (path, old, _))| *path == at && *old != value);
                self.ledger.overwritten.extend(before.map(|(sample, _)| *sample));
                bench.client.set_mapped(at, value, None, bench.now).unwrap();
            }
            Step::Observe { server, target } => {
                let before: BTreeSet<_> = bench.observations.keys().copied().collect();
                bench.send_from(
                    server,
                    CoapRequest { observe: Some(0), ..request(Method::Get, TARGETS[target]) },
                );
                let new = bench.observations.keys().filter(|id| !before.contains(id));
                self.targets.extend(new.map(|id| (*id, self::path(TARGETS[target]))));
            }
            Step::Attributes { server, target, query } => {
                bench.send_from(server, write_attributes(TARGETS[target], QUERIES[query]));
                self.has_attributes = true;
            }
            Step::Cancel { nth } => {
                let Some(id) = bench.observations.keys().nth(nth).copied() else { return };
                bench.observations.remove(&id);
                bench.notified.retain(|note| note.observation != id);
                bench
                    .client
                    .handle_event(CoapEvent::ObservationEnded { id, why: Ending::Cancelled }, bench.now);
            }
            Step::Deliver { nth } => self.deliver(nth),
            Step::Lose { nth, why } => {
                if nth >= bench.notified.len() {
                    return;
                }
                let Notified { notification, observation, .. } = bench.notified.remove(nth);
                bench.client.handle_event(CoapEvent::NotificationFailed { notification, why }, bench.now);
                if why == Failure::Rejected {
                    bench.observations.remove(&observation);
                    let ended = CoapEvent::ObservationRejected { id: observation };
                    bench.client.handle_event(ended, bench.now);
                }
            }
            Step::Answer { success } => {
                let Some(asked) = bench.asked.front() else { return };
                match (asked.request.path.join("/").as_str(), success) {
                    (_, false) => bench.fail(Failure::TimedOut),
                    ("rd", true) => bench.grant(),
                    (_, true) => bench.answer(Response::new(Code::CHANGED)),
                };
            }
            Step::Reregister => bench.client.handle_link(true, true, bench.now),
            Step::Link { up } => bench.client.handle_link(up, false, bench.now),
            Step::Wait { seconds } => bench.advance(self::seconds(seconds)),
            Step::Periods { pmin, pmax } => {
                let payload = vec![0xc1, 2, pmin, 0xc1, 3, pmax];
                bench.send(CoapRequest {
                    content_format: Some(11542),
                    payload,
                    ..request(Method::Post, "/1/0")
                });
            }
        }
    }

    fn deliver(&mut self, nth: usize) {
        if nth >= self.bench.notified.len() {
            return;
        }
        let note = self.bench.notified.remove(nth);
        let target = self.targets[&note.observation];
        let format = Format::from_number(note.response.content_format.unwrap()).unwrap();
        let shown = codecs::decode(format, target, &note.response.payload, &self.bench.client.model).unwrap();
        for entry in shown {
            let values = match entry.content {
                Content::Single(value) => vec![(entry.path, value)],
                Content::Multiple(values) => {
                    values.into_iter().map(|(id, value)| (entry.path.child(id).unwrap(), value)).collect()
                }
            };
            let shown = values.into_iter().map(|(path, value)| ((note.observation, path), value));
            self.ledger.acknowledged.extend(shown);
        }
        let notification = note.notification;
        self.bench.client.handle_event(CoapEvent::NotificationDelivered { notification }, self.bench.now);
    }

    /// Everything that came of the step is true, and nothing is missing.
    fn check(&mut self) {
        self.bench.drain();
        for event in std::mem::take(&mut self.bench.events) {
            match event {
                Event::SamplesReported(samples) => samples.iter().for_each(|sample| self.reported(*sample)),
                Event::SampleSuperseded(sample) => self.superseded(sample),
                _ => {}
            }
        }
        let live = &self.bench.observations;
        self.ledger.acknowledged.retain(|(id, _), _| live.contains_key(id));
        let open = self.ledger.samples.values().filter(|(.., has_ended)| !has_ended).count();
        assert_eq!(self.bench.client.pending_samples(), open);
        if let Some(deadline) = self.bench.client.poll_timeout() {
            assert!(deadline.at > self.bench.now, "{deadline:?} does not move time forward");
        }
    }

    fn reported(&mut self, sample: SampleId) {
        let (path, value, has_ended) = self.ledger.samples.get_mut(&sample.0).expect("a known sample");
        assert!(!std::mem::replace(has_ended, true), "{sample:?} ends twice");
        let mut views = self.ledger.acknowledged.iter();
        assert!(
            views.any(|((_, at), shown)| at == path && shown == value),
            "{sample:?} is reported but no server has {path} = {value:?}"
        );
    }

    fn superseded(&mut self, sample: SampleId) {
        let (path, _, has_ended) = self.ledger.samples.get_mut(&sample.0).expect("a known sample");
        assert!(!std::mem::replace(has_ended, true), "{sample:?} ends twice");
        let path = *path;
        let newer = self.ledger.samples.range(sample.0 + 1..).any(|(_, (at, ..))| *at == path);
        let is_overwritten = self.ledger.overwritten.contains(&sample.0);
        assert!(newer || is_overwritten, "{sample:?} is superseded by nothing");
    }

    /// From here on everything works: every observer ends up with every value that its limits let through, and no
    /// sample that an observer without limits hears of is pending.
    fn settle(&mut self) {
        self.bench.client.handle_link(true, false, self.bench.now);
        self.check();
        // Strict periods would go on for ever.
        self.step(&Step::Periods { pmin: 0, pmax: 0 });
        if self.has_attributes {
            for (server, target) in
                [1, 2].into_iter().flat_map(|server| (0..TARGETS.len()).map(move |at| (server, at)))
            {
                self.step(&Step::Attributes { server, target, query: QUERIES.len() - 1 });
            }
            // Written attributes count from the next change on: here it is.
            for path in 0..PATHS.len() {
                self.step(&Step::Set { path, value: 9 });
                self.check();
            }
        }
        for _ in 0..400 {
            while !self.bench.asked.is_empty() {
                self.step(&Step::Answer { success: true });
                self.check();
            }
            while !self.bench.notified.is_empty() {
                self.step(&Step::Deliver { nth: 0 });
                self.check();
            }
            let Some(deadline) = self.bench.client.poll_timeout() else { break };
            if deadline.at - self.bench.now > seconds(7200) {
                break;
            }
            self.bench.advance(deadline.at - self.bench.now);
            self.check();
        }
        for (sample, (path, _, has_ended)) in &self.ledger.samples {
            let mut observers = self.bench.observations.keys().filter(|id| self.targets[id].covers(*path));
            let is_heard = observers.any(|id| self.limits(*id).is_none());
            assert!(*has_ended || !is_heard, "sample {sample} of {path} is observed and still pending");
        }
        for ((id, path), shown) in &self.ledger.acknowledged {
            let present = self.bench.client.tree().value(*path).expect("nothing goes away here");
            let numbers = [shown, present].map(|value| match value {
                Value::Float(number) => *number,
                Value::Integer(number) => f64::from(u8::try_from(*number).unwrap()),
                _ => 0.0,
            });
            let limits = self.limits(*id);
            let is_told =
                if limits.is_none() { shown == present } else { !limits.is_reason(numbers[0], numbers[1]) };
            assert!(is_told, "view of {id:?} of {path}: {shown:?}, and it is {present:?}");
        }
    }

    fn limits(&self, id: ObservationId) -> Limits {
        let owner = self.bench.observations[&id];
        let server = if owner == peer(1) { 0 } else { 1 };
        self.bench.client.rule(Path::instance_of(1, server), self.targets[&id]).limits
    }
}

fn value_at(path: usize, value: u8) -> Value {
    match path {
        0..3 => Value::Float(value.into()),
        3..5 => Value::Integer(value.into()),
        _ => Value::String(value.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_sample_ends_once_and_truly_or_is_pending(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
            run.check();
        }
        run.settle();
    }
}
