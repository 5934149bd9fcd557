//! Observations as Leshan holds them: each format, when a notification comes, and how they end.

use serde_json::{Value, json};

use crate::house::{ATTIC, House, KITCHEN, LAMP, Plan};
use crate::peers::leshan::{Leshan, value};
use crate::peers::nbgate::VirtualModem;
use crate::peers::tshark::Capture;

const READING: &str = "/3303/0/5700";

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn observations_in_every_format_over_kernel_udp_under_1_0() {
    // OBS-01 OBS-02 OBS-06 OBS-07 OBS-12 OBS-16
    every_format("1.0", None);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn observations_in_every_format_over_kernel_udp_under_1_1() {
    // OBS-01 OBS-02 OBS-06 OBS-07 OBS-12 OBS-16
    every_format("1.1", None);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn observations_in_every_format_over_a_virtual_modem() {
    // OBS-01 OBS-02 OBS-06 OBS-07 OBS-12 OBS-16
    every_format("1.1", Some(VirtualModem::on_pty()));
}

/// A resource, an instance and an object, each in all formats; cancelled by request or by Reset in turn.
fn every_format(version: &'static str, modem: Option<VirtualModem>) {
    let leshan = Leshan::start();
    let capture = Capture::start(leshan.port());
    let plan = Plan { modem, ..Plan::new(version, &leshan) };
    let mut house = House::start(leshan, plan);
    let many: &[&str] = if version == "1.0" { &["TLV"] } else { &["TLV", "SENML_JSON", "SENML_CBOR"] };
    let mut celsius = 30.0;
    let mut resets = 0;
    for (path, formats) in
        [(READING, [&["TEXT"], many].concat()), (KITCHEN, many.to_vec()), ("/3303", many.to_vec())]
    {
        for (turn, format) in formats.into_iter().enumerate() {
            let observed = house.ask("observe", path, json!({ "format": format }));
            assert_eq!(
                (&observed["code"], &observed["format"]),
                (&json!("2.05"), &json!(format)),
                "{observed}"
            );
            celsius += 1.0;
            let told = warmer(&house, path, celsius);
            assert_eq!(told["format"], format, "{told}");
            let is_reset = turn % 2 == 0;
            let cancelled = house.ask("cancel", path, json!({ "active": !is_reset }));
            assert_eq!(cancelled["cancelled"], 1, "{cancelled}");
            if is_reset {
                // Leshan has forgotten it: what comes next is refused, and after that nothing comes.
                resets += 1;
                celsius += 1.0;
                house.warm(celsius);
                wait_for_value(&mut house, celsius);
            }
        }
    }
    // Whoever went on after a Reset or an active cancel would meet more of them.
    celsius += 1.0;
    house.warm(celsius);
    wait_for_value(&mut house, celsius);
    house.stop();
    let captured = capture.stop();
    assert!(captured.faults().is_empty(), "{:#?}", captured.faults());
    assert_eq!(captured.packets("coap.type == 3", &["frame.number"]).len(), resets);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn notifications_come_when_their_attributes_say() {
    let leshan = Leshan::start();
    let plan = Plan::new("1.1", &leshan);
    let mut house = House::start(leshan, plan);
    let observed = house.ask("observe", READING, json!({ "format": "SENML_CBOR" }));
    assert_eq!(observed["code"], "2.05", "{observed}");

    // NTF-03 WA-10: pmin counts from the last notification, and for an observation that runs already.
    set(&mut house, READING, "pmin=2");
    let first = warmer(&house, READING, 31.0);
    let second = warmer(&house, READING, 32.0);
    let apart = second["at"].as_f64().unwrap_or_default() - first["at"].as_f64().unwrap_or_default();
    assert!(apart > 1.9, "pmin is 2 s, and there were {apart} s");

    // NTF-05 NTF-06 NTF-07 NTF-11: what crosses gt or lt, in either direction, against the value last told.
    set(&mut house, READING, "pmin&gt=40&lt=10");
    expect_next(&house, &[35.0, 40.0, 41.0]);
    expect_next(&house, &[60.0, 40.0, 39.0]);
    expect_next(&house, &[10.0, 9.5]);
    expect_next(&house, &[10.0, 10.5]);

    // NTF-08 NTF-10: a step as wide as st, or a crossing.
    set(&mut house, READING, "st=5");
    expect_next(&house, &[15.0, 15.5]);
    expect_next(&house, &[12.0, 20.5]);
    expect_next(&house, &[38.0]);
    expect_next(&house, &[40.25]);

    // NTF-12: the crossing value is told when pmin is over, although the value has come back.
    set(&mut house, READING, "st&pmin=2");
    expect_next(&house, &[39.0]);
    let mark = house.leshan.mark();
    house.warm(45.0);
    house.warm(30.0);
    let told = house.leshan.event("notification", mark, |_| true);
    assert_eq!(value(&told, READING), Some(&json!(45.0)), "{told}");
    let told = house.leshan.event("notification", mark, |told| value(told, READING) == Some(&json!(30.0)));
    assert_eq!(told["con"], true, "{told}");

    // NTF-04 NTF-17: a strict period tells what has not changed.
    set(&mut house, READING, "gt&lt&pmin=1&pmax=1");
    for _ in 0..2 {
        let mark = house.leshan.mark();
        let told = house.leshan.event("notification", mark, |_| true);
        assert_eq!(value(&told, READING), Some(&json!(30.0)), "{told}");
    }

    // NTF-01 NTF-19: without attributes of its own, the server's default minimum period.
    set(&mut house, READING, "pmin&pmax");
    let written = house.ask("write", "/1/0/2", json!({ "value": 2 }));
    assert_eq!(written["code"], "2.04", "{written}");
    let first = warmer(&house, READING, 31.0);
    let second = warmer(&house, READING, 32.0);
    let apart = second["at"].as_f64().unwrap_or_default() - first["at"].as_f64().unwrap_or_default();
    assert!(apart > 1.9, "the default pmin is 2 s, and there were {apart} s");
    house.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn observations_follow_what_servers_do() {
    let leshan = Leshan::start();
    let plan = Plan::new("1.1", &leshan);
    let mut house = House::start(leshan, plan);

    // WR-14: also to the server that wrote it.
    assert_eq!(house.ask("observe", LAMP, json!({}))["code"], "2.05");
    let mark = house.leshan.mark();
    assert_eq!(house.ask("write", "/3416/0/1", json!({ "value": 77 }))["code"], "2.04");
    house.leshan.event("notification", mark, |told| value(told, "/3416/0/1") == Some(&json!(77)));

    // OBS-14: what is created and deleted is a change of the object.
    assert_eq!(house.ask("observe", "/16", json!({}))["code"], "2.05");
    let mark = house.leshan.mark();
    let created = house.ask("create", "/16", json!({ "instance": 5, "value": { "0": { "0": "x" } } }));
    assert_eq!(created["code"], "2.01", "{created}");
    house.leshan.event("notification", mark, |told| value(told, "/16/5/0/0") == Some(&json!("x")));

    // OBS-13: an observation ends with what it observes.
    assert_eq!(house.ask("observe", "/16/5", json!({}))["code"], "2.05");
    let mark = house.leshan.mark();
    assert_eq!(house.ask("delete", "/16/5", json!({}))["code"], "2.02");
    let told = house.leshan.event("notification", mark, |told| told["path"] == "/16/5");
    assert_eq!(told["code"], "4.04", "{told}");
    let told = house.leshan.event("notification", mark, |told| told["path"] == "/16");
    assert_eq!(told["values"], json!([]), "{told}");

    // OBS-04 OBS-03: what cannot be read cannot be observed.
    for (path, code) in [("/3416/0/16", "4.05"), ("/3303/9", "4.04"), ("/0", "4.01")] {
        assert_eq!(house.ask("observe", path, json!({}))["code"], code, "{path}");
    }
    assert_eq!(house.ask("observe", ATTIC, json!({ "format": "TEXT" }))["code"], "4.06");
    house.stop();
}

fn set(house: &mut House, path: &str, attributes: &str) {
    let answer = house.ask("write-attributes", path, json!({ "attributes": attributes }));
    assert_eq!(answer["code"], "2.04", "{attributes}: {answer}");
}

/// Only the last of these readings is told.
fn expect_next(house: &House, readings: &[f64]) {
    let mark = house.leshan.mark();
    readings.iter().for_each(|celsius| house.warm(*celsius));
    let told = house.leshan.event("notification", mark, |_| true);
    let last = readings.last().expect("there is one");
    assert_eq!(value(&told, READING), Some(&json!(last)), "{told}");
}

/// A new temperature, and the notification that tells it.
fn warmer(house: &House, path: &str, celsius: f64) -> Value {
    let mark = house.leshan.mark();
    house.warm(celsius);
    house.leshan.event("notification", mark, |told| {
        told["path"] == path && value(told, READING) == Some(&json!(celsius))
    })
}

/// Until a Read shows what was published.
fn wait_for_value(house: &mut House, celsius: f64) {
    let shown =
        (0..100).any(|_| value(&house.ask("read", READING, json!({})), READING) == Some(&json!(celsius)));
    assert!(shown, "{celsius} never arrives");
}
