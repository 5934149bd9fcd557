//! Several servers at once, and a server that sees the gateway at another address than before.

use std::time::Duration;

use serde_json::json;

use crate::house::{House, KITCHEN, LAMP, Plan};
use crate::peers::leshan::{Leshan, value};
use crate::peers::relay::Relay;

const READING: &str = "/3303/0/5700";

/// What the NAT in these tests is said to remember, and a silence that is longer.
const NAT_IDLE: &str = "1s";
const LONG_SILENCE: Duration = Duration::from_millis(1500);

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
    let told = other.event("notification", mark_other, |_| true);
    assert_eq!(
        (value(&told, READING), &told["format"]),
        (Some(&json!(25.0)), &json!("SENML_CBOR")),
        "{told}"
    );
    house.warm(45.0);
    let told = house.leshan.event("notification", mark, |_| true);
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

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn an_observation_survives_a_changed_address() {
    let leshan = Leshan::start();
    let relay = Relay::start(leshan.port());
    let plan = Plan { servers: vec![relay.uri()], nat_idle: NAT_IDLE, ..Plan::new("1.1", &leshan) };
    let mut house = House::start(leshan, plan);
    assert_eq!(house.ask("observe", KITCHEN, json!({}))["code"], "2.05");

    for celsius in [31.0, 32.0] {
        assert!(house.leshan.is_silent(LONG_SILENCE), "there is nothing to tell");
        relay.move_client();
        let mark = house.leshan.mark();
        house.warm(celsius);
        // An Update tells the new address before the notification comes from there.
        let told = house.leshan.event("updated", mark, |_| true);
        assert_eq!((&told["newAddress"], &told["newLinks"]), (&json!(true), &json!(false)), "{told}");
        let told = house.leshan.event("notification", mark, |_| true);
        assert_eq!(value(&told, READING), Some(&json!(celsius)), "{told}");
        assert_eq!(house.ask("observations", KITCHEN, json!({}))["observations"], json!([KITCHEN]));
    }
    // The way down is open again, too.
    assert_eq!(house.ask("read", READING, json!({}))["code"], "2.05");
    house.stop();
}
