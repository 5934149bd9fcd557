//! Replies, withdrawal and other commands, through the bridge's door; what needs no reply is tested beside it.

use proptest::prelude::*;

use super::*;
use crate::bridge::{Bridge, Broker, Event, compile, mapping};
use crate::lwm2m::model::Model;
use crate::lwm2m::value::{Content, Value};

#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
fn t0() -> Instant {
    Instant::now()
}

/// A lamp of which one command waits for a reply within 2 s, one within the usual time, and one for the broker alone.
const LAMPS: &str = r#"
    [[mappings]]
    topic = "lamps/{lamp}/order"
    object = 3416
    resource = 1
    instance = "{lamp}"
    command = { topic = "cmnd/{lamp}/Dimmer", reply = { topic = "stat/{lamp}/RESULT", value = "/Dimmer", success = ["{value}"], within = "2s" } }
    [[mappings]]
    object = 3416
    resource = 4
    instance = "{lamp}"
    command = { topic = "cmnd/{lamp}/Default" }
    [[mappings]]
    object = 3416
    resource = 16
    instance = "{lamp}"
    command = { topic = "cmnd/{lamp}/Reset", payload = "{arg0}", reply = { topic = "stat/{lamp}/RESULT", value = "/Reset" } }
"#;

const ORDER: u16 = 1;
const DEFAULT: u16 = 4;
const RESET: u16 = 16;

fn mappings(text: &str) -> mapping::Mappings {
    use figment::providers::{Format, Toml};
    let settings: Vec<mapping::Settings> =
        figment::Figment::from(Toml::string(text)).extract_inner("mappings").unwrap();
    compile(&settings, &Model::builtin()).unwrap()
}

struct Bench {
    bridge: Bridge,
    now: Instant,
    asked: u64,
}

impl Bench {
    /// Connected, with lamp 21 as instance 0.
    fn new() -> Self {
        let mut bench = Self { bridge: Bridge::new(mappings(LAMPS)), now: t0(), asked: 0 };
        bench.bridge.handle_broker(Broker::Connected, bench.now);
        bench.hear("lamps/21/order", "60");
        while bench.bridge.poll_event().is_some() {}
        bench
    }

    fn hear(&mut self, topic: &str, payload: &str) {
        let message =
            Message { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retain: false };
        self.bridge.handle_message(message, self.now);
    }

    /// One request for these resources of lamp 21; gives the messages that go out.
    fn ask(&mut self, resources: &[u16]) -> Vec<PublishId> {
        self.asked += 1;
        let operation = |resource: &u16| {
            let path = Path::resource_of(3416, 0, *resource);
            match *resource {
                RESET => Operation::Execute { path, arguments: "0='all'".to_owned() },
                _ => Operation::Write { path, content: Content::Single(Value::Integer(30)) },
            }
        };
        let operations = resources.iter().map(operation).collect();
        self.bridge.handle_downlink(Transaction { id: TransactionId(self.asked), operations }, self.now);
        std::iter::from_fn(|| self.bridge.poll_publish()).map(|(id, _)| id).collect()
    }

    fn published(&mut self, publish: PublishId) {
        self.bridge.handle_published(publish, Ok(()), self.now);
    }

    /// Lets time pass up to the next deadline; gives how long.
    fn wait(&mut self) -> Duration {
        let deadline = self.bridge.poll_timeout().unwrap();
        let waited = deadline.at - self.now;
        self.now = deadline.at;
        self.bridge.handle_timeout(self.now);
        waited
    }

    /// How the next transaction ended, and which it was.
    fn ended(&mut self) -> Option<(u64, Outcome)> {
        std::iter::from_fn(|| self.bridge.poll_event()).find_map(|event| match event {
            Event::DownlinkDone { id, outcome } => Some((id.0, outcome)),
            _ => None,
        })
    }

    fn why(&mut self) -> String {
        match self.ended() {
            Some((_, Outcome::Unavailable { why, .. })) => format!("unavailable: {why}"),
            Some((_, Outcome::Failed { why })) => format!("failed: {why}"),
            other => format!("{other:?}"),
        }
    }

    fn withdrawn(&mut self) -> Vec<PublishId> {
        std::iter::from_fn(|| self.bridge.poll_withdrawal()).collect()
    }
}

#[test]
fn a_reply_that_says_success_confirms_and_the_brokers_word_does_not() {
    let mut bench = Bench::new();
    let publish = bench.ask(&[ORDER])[0];
    bench.published(publish);
    assert_eq!(bench.ended(), None);
    bench.hear("stat/21/RESULT", r#"{"POWER":"ON"}"#);
    bench.hear("stat/7/RESULT", r#"{"Dimmer":30}"#);
    assert_eq!(bench.ended(), None);
    bench.hear("stat/21/RESULT", r#"{"POWER":"ON","Dimmer":30}"#);
    assert_eq!(bench.ended(), Some((1, Outcome::Confirmed)));
    assert_eq!(bench.bridge.poll_timeout(), None);
}

#[test]
fn a_reply_may_come_before_the_brokers_confirmation() {
    let mut bench = Bench::new();
    let publish = bench.ask(&[ORDER])[0];
    bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#);
    assert_eq!(bench.ended(), Some((1, Outcome::Confirmed)));
    bench.published(publish);
    assert_eq!(bench.ended(), None);
}

#[test]
fn a_reply_that_says_otherwise_is_a_failure() {
    let mut bench = Bench::new();
    bench.ask(&[ORDER]);
    bench.hear("stat/21/RESULT", r#"{"Dimmer":60}"#);
    assert_eq!(bench.why(), r#"failed: stat/21/RESULT says "60""#);
}

#[test]
fn without_a_reply_in_its_time_the_order_is_unavailable() {
    let mut bench = Bench::new();
    let publish = bench.ask(&[ORDER])[0];
    bench.published(publish);
    assert_eq!(bench.wait(), Duration::from_secs(2));
    assert_eq!(bench.why(), "unavailable: no reply came");
    assert_eq!(bench.withdrawn(), [], "the broker has it already");
    bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#);
    assert_eq!(bench.ended(), None);
}

#[test]
fn what_the_broker_did_not_take_in_time_is_withdrawn() {
    let mut bench = Bench::new();
    let publish = bench.ask(&[DEFAULT]);
    assert_eq!(bench.wait(), CONFIRM_WITHIN);
    assert_eq!(bench.why(), "unavailable: the broker did not confirm");
    assert_eq!(bench.withdrawn(), publish);
}

#[test]
fn replies_on_one_topic_go_to_the_oldest_that_they_are_for() {
    let mut bench = Bench::new();
    bench.ask(&[ORDER]);
    bench.ask(&[RESET]);
    bench.ask(&[ORDER]);
    bench.hear("stat/21/RESULT", r#"{"Reset":"done"}"#);
    bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#);
    bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#);
    let ended: Vec<_> = std::iter::from_fn(|| bench.ended()).collect();
    assert_eq!(ended, [2, 1, 3].map(|id| (id, Outcome::Confirmed)));
}

#[test]
fn one_message_done_and_another_without_a_reply_is_a_failure() {
    let mut bench = Bench::new();
    let publishes = bench.ask(&[ORDER, DEFAULT]);
    publishes.iter().for_each(|publish| bench.published(*publish));
    bench.wait();
    assert_eq!(bench.why(), "failed: only 1 of 2 messages were carried out: no reply came");
}

#[test]
fn a_refusal_ends_the_whole_transaction_at_once() {
    let mut bench = Bench::new();
    let publishes = bench.ask(&[ORDER, DEFAULT]);
    bench.hear("stat/21/RESULT", r#"{"Dimmer":0}"#);
    assert_eq!(bench.why(), r#"failed: stat/21/RESULT says "0""#);
    assert_eq!(bench.withdrawn(), publishes);
    assert_eq!(bench.bridge.poll_timeout(), None);
}

#[test]
fn reply_topics_are_subscribed_and_what_comes_there_is_not_stray() {
    let mut bench = Bench::new();
    assert_eq!(bench.bridge.topic_filters(), ["lamps/+/order", "stat/+/RESULT"]);
    bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#);
    assert_eq!(bench.bridge.stats().unmatched, 0);
    bench.hear("stat/21/STATE", "");
    assert_eq!(bench.bridge.stats().unmatched, 1);
}

#[test]
fn other_commands_end_what_waits_for_one_that_is_gone_and_nothing_else() {
    let mut bench = Bench::new();
    let order = bench.ask(&[ORDER]);
    bench.ask(&[RESET]);
    bench.bridge.reload(mappings(&LAMPS.replace("cmnd/{lamp}/Dimmer", "cmnd/{lamp}/Level")));
    assert_eq!(bench.why(), "unavailable: the mappings were replaced");
    assert_eq!(bench.withdrawn(), order);
    bench.hear("stat/21/RESULT", r#"{"Reset":1}"#);
    assert_eq!(bench.ended(), Some((2, Outcome::Confirmed)));
}

proptest! {
    #[test]
    fn every_transaction_with_replies_ends_once_and_leaves_nothing(steps in prop::collection::vec((0_u8..8, 0_u64..6), 0..60)) {
        let mut bench = Bench::new();
        let mut ended = 0;
        for (step, publish) in steps {
            match step {
                0 => drop(bench.ask(&[ORDER, DEFAULT])),
                1 => drop(bench.ask(&[RESET, ORDER])),
                2 => bench.published(PublishId(publish)),
                3 => bench.bridge.handle_published(PublishId(publish), Err("no".to_owned()), bench.now),
                4 => bench.hear("stat/21/RESULT", r#"{"Dimmer":30}"#),
                5 => bench.hear("stat/21/RESULT", r#"{"Dimmer":1,"Reset":1}"#),
                6 => {
                    bench.now += Duration::from_secs(publish);
                    bench.bridge.handle_timeout(bench.now);
                }
                _ if publish == 0 => {
                    bench.bridge.handle_broker(Broker::Lost, bench.now);
                    bench.bridge.handle_broker(Broker::Connected, bench.now);
                }
                _ => drop(bench.bridge.reload(mappings(LAMPS))),
            }
            ended += std::iter::from_fn(|| bench.ended()).count() as u64;
        }
        bench.bridge.handle_timeout(bench.now + Duration::from_secs(60));
        ended += std::iter::from_fn(|| bench.ended()).count() as u64;
        prop_assert_eq!(bench.asked, ended);
        let left = &bench.bridge.downlink;
        prop_assert!(left.open.is_empty() && left.owners.is_empty() && left.replies.is_empty());
    }
}
