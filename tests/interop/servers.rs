//! Several servers at once, and a server that sees the gateway at another address than before.

use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{House, KITCHEN, LAMP, Plan};
use crate::peers::leshan::{Leshan, value};
use crate::peers::relay::Relay;

const READING: &str = "/3303/0/5700";

/// What the NAT in these tests is said to remember, and a silence that is longer. That is also longer than the first resend
/// takes: Leshan drops a notification that comes while it still works on the answer to its Observe.
const NAT_IDLE: &str = "1s";
const LONG_SILENCE: Duration = Duration::from_millis(3500);

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn two_servers_live_side_by_side() {
    // REG-22 SRV-02
    let (leshan, mut other) = (Leshan::start(), Leshan::start());
    let mut plan = Plan::new("1.1", &leshan);
    plan.servers.push(other.uri().to_owned());
    let mut house = House::start(leshan, plan);
    let registered = other.event("registered", 0, |_| true);
    let ep = house.ep.clone();
    assert_eq!(registered["ep"], ep.as_str(), "{registered}");
    other.event("updated", 0, |told| told["links"].to_string().contains(LAMP));

    // WA-03 DSC-08 NTF-18: each has its own attributes.
    let set = house.ask("write-attributes", READING, json!({ "attributes": "gt=40" }));
    assert_eq!(set["code"], "2.04", "{set}");
    assert_eq!(house.ask("discover", READING, json!({}))["links"], json!(["</3303/0/5700>;gt=40"]));
    assert_eq!(other.ask("discover", &ep, READING, json!({}))["links"], json!(["</3303/0/5700>"]));
    assert_eq!(house.ask("observe", READING, json!({ "format": "TLV" }))["code"], "2.05");
    assert_eq!(other.ask("observe", &ep, READING, json!({ "format": "SENML_CBOR" }))["code"], "2.05");
    let (mark, mark_other) = (house.leshan.mark(), other.mark());
    house.warm(25.0);
    let told = other.event("notification", mark_other, is_news);
    assert_eq!(
        (value(&told, READING), &told["format"]),
        (Some(&json!(25.0)), &json!("SENML_CBOR")),
        "{told}"
    );
    house.warm(45.0);
    let told = house.leshan.event("notification", mark, is_news);
    assert_eq!((value(&told, READING), &told["format"]), (Some(&json!(45.0)), &json!("TLV")), "{told}");

    // WR-14: what one writes the other is told.
    assert_eq!(other.ask("observe", &ep, LAMP, json!({}))["code"], "2.05");
    let mark_other = other.mark();
    assert_eq!(house.ask("write", "/3416/0/1", json!({ "value": 66 }))["code"], "2.04");
    other.event("notification", mark_other, |told| value(told, "/3416/0/1") == Some(&json!(66)));

    // Each has an account of its own, and a lifetime of its own.
    let accounts = other.ask("read", &ep, "/1", json!({ "format": "TLV" }));
    assert_eq!(
        (value(&accounts, "/1/0/0"), value(&accounts, "/1/1/0")),
        (Some(&json!(101)), Some(&json!(102)))
    );
    let mark_other = other.mark();
    assert_eq!(other.ask("write", &ep, "/1/1/1", json!({ "value": 1800 }))["code"], "2.04");
    other.event("updated", mark_other, |told| told["lifetime"] == 1800);

    // One that is gone does not hold up the other.
    drop(other);
    let mark = house.leshan.mark();
    house.warm(35.0);
    house.leshan.event("notification", mark, |told| value(told, READING) == Some(&json!(35.0)));
}

/// The first reading may be told twice: the answer to an Observe is not acknowledged, so it does not count as reported.
fn is_news(told: &Value) -> bool {
    value(told, READING) != Some(&json!(21.5))
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn an_observation_survives_a_changed_address_where_the_server_goes_by_the_token() {
    let leshan = Leshan::start_with(&["COAP.RESPONSE_MATCHING=RELAXED"]);
    let relay = Relay::start(leshan.port());
    let mut house = behind(&relay, leshan);
    for celsius in [31.0, 32.0] {
        let mark = move_and_warm(&relay, &house, celsius);
        let told = house.leshan.event("notification", mark, |_| true);
        assert_eq!(value(&told, READING), Some(&json!(celsius)), "{told}");
        assert_eq!(house.ask("observations", KITCHEN, json!({}))["observations"], json!([KITCHEN]));
    }
    // The way down is open again, too.
    assert_eq!(house.ask("read", READING, json!({}))["code"], "2.05");
    house.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_server_that_refuses_notifications_from_a_changed_address_is_told_by_a_register() {
    // As it comes, Leshan takes the Update from the new address and answers the notification with Reset.
    let leshan = Leshan::start();
    let relay = Relay::start(leshan.port());
    let mut house = behind(&relay, leshan);
    for celsius in [31.0, 32.0] {
        let mark = move_and_warm(&relay, &house, celsius);
        let told = house.leshan.event("registered", mark, |_| true);
        assert_eq!((&told["again"], &told["droppedObservations"]), (&json!(true), &json!(1)), "{told}");
        // What a server does that wants to know on.
        let observed = house.ask("observe", KITCHEN, json!({}));
        assert_eq!(value(&observed, READING), Some(&json!(celsius)), "{observed}");
        let mark = house.leshan.mark();
        house.warm(celsius + 0.5);
        house.leshan.event("notification", mark, |told| value(told, READING) == Some(&json!(celsius + 0.5)));
    }
    house.stop();
}

/// A house whose kitchen is observed through a relay.
fn behind(relay: &Relay, leshan: Leshan) -> House {
    let plan = Plan { servers: vec![relay.uri()], nat_idle: NAT_IDLE, ..Plan::new("1.1", &leshan) };
    let mut house = House::start(leshan, plan);
    assert_eq!(house.ask("observe", KITCHEN, json!({}))["code"], "2.05");
    house
}

/// After a long silence the address changes and there is something to tell: first an Update tells the new address.
fn move_and_warm(relay: &Relay, house: &House, celsius: f64) -> usize {
    house.leshan.wait_for_silence(LONG_SILENCE);
    relay.move_client();
    let mark = house.leshan.mark();
    house.warm(celsius);
    let told = house.leshan.event("updated", mark, |_| true);
    assert_eq!((&told["newAddress"], &told["newLinks"]), (&json!(true), &json!(false)), "{told}");
    mark
}
