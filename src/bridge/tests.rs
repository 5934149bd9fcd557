//! The bridge as its owner sees it: messages in, events out.

use std::time::Duration;

use figment::providers::{Format, Toml};
use proptest::prelude::*;

use super::*;
use crate::lwm2m::Content;
use crate::lwm2m::downlink::Operation;
use crate::lwm2m::model::Model;

#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
fn t0() -> Instant {
    Instant::now()
}

const MAPPINGS: &str = r#"
    [[mappings]]
    topic = "sensors/{room}/temperature"
    value = "/t"
    object = 3303
    resource = 5700
    instance = "{room}"
    [[mappings]]
    topic = "city/manhole/{cover}"
    object = 3408
    resources = [{ resource = 2, value = "/tilt" }, { resource = 3, value = "/open", invert = true }]
    instance = "{cover}"
    [[mappings]]
    topic = "lamps/{lamp}/state"
    value = "/dim"
    object = 3416
    resource = 3
    instance = "{lamp}"
    [[mappings]]
    topic = "lamps/{lamp}/order"
    value = "/dim"
    object = 3416
    resource = 1
    instance = "{lamp}"
    command = { topic = "lamps/{lamp}/set", payload = '{"dim": {value}}' }
    [[mappings]]
    object = 3416
    resource = 16
    instance = "{lamp}"
    command = { topic = "lamps/{lamp}/reset", payload = "{value}" }
    [[mappings]]
    topic = "yard/temp"
    object = 3303
    resource = 5700
    instance = 0
"#;

fn settings(toml: &str) -> Vec<mapping::Settings> {
    figment::Figment::from(Toml::string(toml)).extract_inner("mappings").unwrap()
}

fn bridge() -> Bridge {
    let mut bridge = Bridge::new(compile(&settings(MAPPINGS), &Model::builtin()).unwrap());
    bridge.handle_broker(Broker::Connected, t0());
    bridge
}

fn message(topic: &str, payload: impl AsRef<[u8]>) -> Message {
    Message { topic: topic.to_owned(), payload: payload.as_ref().to_vec(), retain: false }
}

/// What the bridge tells about a message, in one line each.
fn told(bridge: &mut Bridge, topic: &str, payload: impl AsRef<[u8]>) -> Vec<String> {
    bridge.handle_message(message(topic, payload), t0());
    std::iter::from_fn(|| bridge.poll_event())
        .map(|event| match event {
            Event::Value { path, value, sample } => format!("{} {path} {value:?}", sample.0),
            Event::Refused { sample, why, first, .. } => format!("{} refused {first}: {why}", sample.0),
            Event::Forgotten { object, id } => format!("forgotten /{object}/{id}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn write(id: u64, instances: &[u16]) -> Transaction {
    let operation = |instance: &u16| Operation::Write {
        path: Path::resource_of(3416, *instance, 1),
        content: Content::Single(Value::Integer(30)),
    };
    Transaction { id: TransactionId(id), operations: instances.iter().map(operation).collect() }
}

fn publishes(bridge: &mut Bridge) -> Vec<PublishId> {
    std::iter::from_fn(|| bridge.poll_publish()).map(|(id, _)| id).collect()
}

fn outcome(bridge: &mut Bridge) -> Option<Outcome> {
    match bridge.poll_event() {
        Some(Event::DownlinkDone { outcome, .. }) => Some(outcome),
        _ => None,
    }
}

/// A bridge that knows lamps 21 and 7 as instances 0 and 1.
fn bridge_with_lamps() -> Bridge {
    let mut bridge = bridge();
    told(&mut bridge, "lamps/21/state", r#"{"dim":60}"#);
    told(&mut bridge, "lamps/7/state", r#"{"dim":60}"#);
    bridge
}

#[test]
fn a_message_becomes_a_value_of_the_registrys_type_in_the_instance_of_its_capture() {
    let mut bridge = bridge();
    assert_eq!(told(&mut bridge, "sensors/cellar/temperature", r#"{"t":7}"#), ["1 /3303/1/5700 Float(7.0)"]);
    assert_eq!(
        told(&mut bridge, "sensors/attic/temperature", r#"{"t":"8.5"}"#),
        ["2 /3303/2/5700 Float(8.5)"]
    );
    assert_eq!(told(&mut bridge, "sensors/cellar/temperature", r#"{"t":9}"#), ["3 /3303/1/5700 Float(9.0)"]);
    assert_eq!(told(&mut bridge, "yard/temp", " 7.25\n"), ["4 /3303/0/5700 Float(7.25)"]);
}

#[test]
fn one_message_feeds_several_resources_and_may_lack_some() {
    let mut bridge = bridge();
    let told_all = told(&mut bridge, "city/manhole/mh-7", r#"{"tilt":2.1,"open":false,"water":0}"#);
    assert_eq!(told_all, ["1 /3408/0/2 Integer(2)", "2 /3408/0/3 Boolean(true)"]);
    let told_one = told(&mut bridge, "city/manhole/mh-7", r#"{"open":true,"evt":"alarm"}"#);
    assert_eq!(told_one, ["3 /3408/0/3 Boolean(false)"]);
    let told_none = told(&mut bridge, "city/manhole/mh-7", "{}");
    assert_eq!(told_none, ["4 refused true: the payload has no /tilt, /open"]);
    let toml = MAPPINGS.to_owned()
        + "[[mappings]]\ntopic = \"city/manhole/{cover}\"\nobject = 3303\nresource = 5700\nvalue = \"/temp\"\ninstance = \"{cover}\"";
    let mut bridge = Bridge::new(compile(&settings(&toml), &Model::builtin()).unwrap());
    // What one mapping lacks is ordinary where another one is served.
    assert_eq!(told(&mut bridge, "city/manhole/mh-7", r#"{"open":true}"#), ["1 /3408/0/3 Boolean(false)"]);
    let told_none = told(&mut bridge, "city/manhole/mh-7", "{}");
    assert_eq!(told_none, ["2 refused true: the payload has no /tilt, /open, /temp"]);
}

#[test]
fn good_values_beside_bad_ones_are_taken() {
    let mut bridge = bridge();
    let told = told(&mut bridge, "city/manhole/mh-7", r#"{"tilt":"steep","open":1}"#);
    assert_eq!(told, ["1 refused true: /tilt: \"steep\" is not a number", "2 /3408/0/3 Boolean(false)"]);
}

#[test]
fn a_bad_payload_is_reported_as_first_once_per_topic_and_counted_every_time() {
    let mut bridge = bridge();
    let mut refused = |topic: &str| told(&mut bridge, topic, b"\xff{")[0].contains("refused true");
    assert!(refused("sensors/a/temperature"));
    assert!(!refused("sensors/a/temperature"));
    assert!(refused("sensors/b/temperature"));
    assert!((0..1000).filter(|n| refused(&format!("sensors/{n}/temperature"))).count() < 256);
    assert_eq!((bridge.stats().refused, bridge.stats().accepted), (1003, 0));
}

#[test]
fn a_refused_value_does_not_take_an_instance() {
    let mut bridge = bridge();
    told(&mut bridge, "lamps/broken/state", r#"{"dim":500}"#);
    assert_eq!(told(&mut bridge, "lamps/good/state", r#"{"dim":50}"#), ["2 /3416/0/3 Integer(50)"]);
}

#[test]
fn mappings_share_the_instance_of_a_capture_and_messages_for_none_are_counted() {
    let mut bridge = bridge_with_lamps();
    assert_eq!(told(&mut bridge, "lamps/7/order", r#"{"dim":10}"#), ["3 /3416/1/1 Integer(10)"]);
    assert!(told(&mut bridge, "lamps/7/noise", "x").is_empty());
    assert_eq!(bridge.stats().unmatched, 1);
}

#[test]
fn what_the_broker_had_stored_is_taken_unless_the_mapping_ignores_it() {
    let ignoring = MAPPINGS.replace("value = \"/t\"", "value = \"/t\"\nretained = \"ignore\"");
    let mut bridge = Bridge::new(compile(&settings(&ignoring), &Model::builtin()).unwrap());
    let mut told = |topic: &str, payload: &str, retain: bool| {
        bridge.handle_message(Message { retain, ..message(topic, payload) }, t0());
        std::iter::from_fn(|| bridge.poll_event()).count()
    };
    assert_eq!(told("sensors/a/temperature", r#"{"t":7}"#, true), 0);
    assert_eq!(told("sensors/a/temperature", r#"{"t":7}"#, false), 1);
    assert_eq!(told("yard/temp", "7", true), 1);
    assert_eq!((bridge.stats().ignored, bridge.stats().unmatched), (1, 0));
}

#[test]
fn a_topic_is_explained_by_the_mappings_that_match_and_those_that_do_not() {
    use explain::{Fit, Standing};
    let bridge = bridge_with_lamps();
    let fits: Vec<_> =
        bridge.explain("lamps/7/state").into_iter().map(|mapping| (mapping.number, mapping.fit)).collect();
    let captures = vec![("lamp".to_owned(), "7".to_owned())];
    assert_eq!(fits[2], (2, Fit::Matches { captures, instance: Standing::Known(1) }));
    let matching = fits.iter().filter(|(_, fit)| matches!(fit, Fit::Matches { .. })).count();
    // The mapping that only has a command has no topic.
    assert_eq!((matching, fits.len()), (1, 5));
    let standing = |topic: &str, number: usize| match bridge.explain(topic).swap_remove(number).fit {
        Fit::Matches { instance, .. } => instance,
        Fit::Differs(difference) => panic!("{difference:?}"),
    };
    assert_eq!(standing("lamps/8/state", 2), Standing::New);
    assert!(matches!(standing("lamps//state", 2), Standing::None(_)));
    assert_eq!(standing("yard/temp", 4), Standing::Fixed(0));
}

#[test]
fn each_filter_is_subscribed_once_and_only_where_it_feeds() {
    let filters = bridge().topic_filters();
    assert_eq!(
        filters,
        ["city/manhole/+", "lamps/+/order", "lamps/+/state", "sensors/+/temperature", "yard/temp"]
    );
}

#[test]
fn a_write_is_confirmed_when_the_broker_has_every_message() {
    let mut bridge = bridge_with_lamps();
    bridge.handle_downlink(write(1, &[0, 1]), t0());
    let (first, message) = bridge.poll_publish().unwrap();
    assert_eq!(
        (message.topic.as_str(), message.payload.as_slice()),
        ("lamps/21/set", &br#"{"dim": 30}"#[..])
    );
    let (second, message) = bridge.poll_publish().unwrap();
    assert_eq!(message.topic, "lamps/7/set");
    bridge.handle_published(second, Ok(()), t0());
    assert_eq!(outcome(&mut bridge), None);
    bridge.handle_published(first, Ok(()), t0());
    assert_eq!(outcome(&mut bridge), Some(Outcome::Confirmed));
    assert_eq!(bridge.poll_timeout(), None);
}

#[test]
fn an_execute_publishes_its_arguments() {
    let mut bridge = bridge_with_lamps();
    let path = Path::resource_of(3416, 1, 16);
    let operations = vec![Operation::Execute { path, arguments: "5".to_owned() }];
    bridge.handle_downlink(Transaction { id: TransactionId(1), operations }, t0());
    let (_, message) = bridge.poll_publish().unwrap();
    assert_eq!((message.topic.as_str(), message.payload.as_slice()), ("lamps/7/reset", &b"5"[..]));
}

#[test]
fn a_broker_that_is_away_or_lost_makes_a_write_unavailable() {
    let mut bridge = bridge_with_lamps();
    bridge.handle_downlink(write(1, &[0]), t0());
    let late = publishes(&mut bridge)[0];
    bridge.handle_broker(Broker::Lost, t0());
    assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
    bridge.handle_published(late, Ok(()), t0());
    assert_eq!(outcome(&mut bridge), None);
    bridge.handle_downlink(write(2, &[0]), t0());
    assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
    assert!(publishes(&mut bridge).is_empty());
}

#[test]
fn a_broker_that_is_silent_for_5_s_makes_a_write_unavailable_and_the_message_is_withdrawn() {
    let mut bridge = bridge_with_lamps();
    let start = t0();
    bridge.handle_downlink(write(1, &[0]), start);
    let deadline = bridge.poll_timeout().unwrap();
    assert_eq!(deadline.at, start + CONFIRM_WITHIN);
    bridge.handle_timeout(deadline.at - Duration::from_millis(1));
    assert_eq!(outcome(&mut bridge), None);
    bridge.handle_timeout(deadline.at);
    assert!(matches!(outcome(&mut bridge), Some(Outcome::Unavailable { .. })));
    assert!(publishes(&mut bridge).is_empty());
}

#[test]
fn a_mixed_outcome_is_a_failure_with_the_reason() {
    let mut bridge = bridge_with_lamps();
    bridge.handle_downlink(write(1, &[0, 1]), t0());
    let ids = publishes(&mut bridge);
    bridge.handle_published(ids[0], Ok(()), t0());
    bridge.handle_published(ids[1], Err("queue full".to_owned()), t0());
    let Some(Outcome::Failed { why }) = outcome(&mut bridge) else { panic!("not failed") };
    assert!(why.contains("only 1") && why.contains("queue full"), "{why}");
}

#[test]
fn a_transaction_with_one_operation_that_cannot_be_published_publishes_nothing() {
    let mut bridge = bridge_with_lamps();
    bridge.handle_downlink(write(1, &[0, 5]), t0());
    assert!(matches!(outcome(&mut bridge), Some(Outcome::Failed { .. })));
    assert!(publishes(&mut bridge).is_empty());
}

#[test]
fn open_transactions_are_bounded() {
    let mut bridge = bridge_with_lamps();
    (0..100).for_each(|id| bridge.handle_downlink(write(id, &[0]), t0()));
    assert_eq!(publishes(&mut bridge).len(), 32);
    assert_eq!(std::iter::from_fn(|| outcome(&mut bridge)).count(), 68);
}

proptest! {
    #[test]
    fn no_message_panics_and_every_sample_is_accepted_or_refused(
        messages in prop::collection::vec(
            (
                prop::sample::select(vec!["lamps/1/state", "city/manhole/1", "yard/temp", "sensors//temperature", "x"]),
                "[{}\\[\\]\":,a-z0-9.é-]{0,30}|\\{\"(tilt|open|dim|t)\":[0-9.]{1,3}\\}",
            ),
            0..20,
        )
    ) {
        let mut bridge = bridge();
        let mut samples = vec![];
        for (topic, payload) in messages {
            bridge.handle_message(message(topic, payload), t0());
            while let Some(event) = bridge.poll_event() {
                if let Event::Value { sample, .. } | Event::Refused { sample, .. } = event {
                    samples.push(sample.0);
                }
            }
        }
        let count = samples.len() as u64;
        prop_assert_eq!(samples, (1..=count).collect::<Vec<_>>());
        prop_assert_eq!(bridge.stats().accepted + bridge.stats().refused, count);
    }

    #[test]
    fn every_transaction_ends_exactly_once(steps in prop::collection::vec((0_u8..6, 0_u64..4, 0_u64..8), 0..60)) {
        let mut bridge = bridge_with_lamps();
        let mut now = t0();
        let (mut asked, mut ended) = (0, 0);
        for (step, id, publish) in steps {
            match step {
                0 | 1 => {
                    asked += 1;
                    bridge.handle_downlink(write(asked, &[0, 1]), now);
                }
                2 => bridge.handle_published(PublishId(publish), Ok(()), now),
                3 => bridge.handle_published(PublishId(publish), Err("no".to_owned()), now),
                4 => {
                    now += Duration::from_secs(id);
                    bridge.handle_timeout(now);
                }
                _ => bridge.handle_broker(if id == 0 { Broker::Lost } else { Broker::Connected }, now),
            }
            publishes(&mut bridge);
            ended += std::iter::from_fn(|| outcome(&mut bridge)).count() as u64;
        }
        bridge.handle_timeout(now + CONFIRM_WITHIN);
        ended += std::iter::from_fn(|| outcome(&mut bridge)).count() as u64;
        prop_assert_eq!(asked, ended);
        prop_assert_eq!(bridge.poll_timeout(), None);
    }
}
