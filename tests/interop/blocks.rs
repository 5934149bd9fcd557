//! What does not fit into one datagram, both ways (RFC 7959).

use serde_json::{Value, json};

use crate::house::{House, Plan};
use crate::peers::leshan::{Leshan, has_link, value};
use crate::peers::nbgate::VirtualModem;
use crate::peers::tshark::Capture;

/// More than Leshan's own block of 512 octets many times over, and less than the 8192 octets that it takes.
const LONG: usize = 5000;

/// So many thermometers, that their list is some 4 KiB.
const MANY: u16 = 300;

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn long_values_in_every_format_over_kernel_udp() {
    // BLK-02 BLK-08 BLK-12 BLK-14 BLK-17 BLK-25
    long_values(None, &["TEXT", "TLV", "SENML_JSON", "SENML_CBOR"]);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn long_values_over_a_virtual_modem() {
    // BLK-24
    long_values(Some(VirtualModem::on_pty()), &["TLV"]);
}

fn long_values(modem: Option<VirtualModem>, formats: &[&str]) {
    let leshan = Leshan::start();
    let capture = Capture::start(leshan.port());
    let plan = Plan { modem, ..Plan::new("1.1", &leshan) };
    let mut house = House::start(leshan, plan);
    let created = house.ask("create", "/3442", json!({ "instance": 0, "value": { "110": long_text('a') } }));
    assert_eq!(created["code"], "2.01", "{created}");
    let path = "/3442/0/110";
    for (format, letter) in formats.iter().zip('b'..) {
        let text = Value::from(long_text(letter));
        let written = house.ask("write", path, json!({ "format": format, "value": text }));
        assert_eq!(written["code"], "2.04", "{format}: {written}");
        for format in formats {
            let read = house.ask("read", path, json!({ "format": format }));
            assert_eq!(value(&read, path), Some(&text), "{format}");
        }
    }
    for (format, letter) in formats.iter().zip('k'..) {
        let observed = house.ask("observe", path, json!({ "format": format }));
        assert_eq!(observed["code"], "2.05", "{observed}");
        let text = Value::from(long_text(letter));
        let mark = house.leshan.mark();
        let written = house.ask("write", path, json!({ "value": text }));
        assert_eq!(written["code"], "2.04", "{written}");
        house.leshan.event("notification", mark, |told| {
            value(told, path) == Some(&text) && told["format"] == *format
        });
    }
    house.stop();
    // In what Leshan sends, tshark takes the first block of a TLV for all of it.
    let ours: Vec<_> = capture.stop().faults().into_iter().filter(|fault| fault.is_of_client).collect();
    assert!(ours.is_empty(), "packets of the gateway that tshark finds fault with: {ours:#?}");
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_long_list_of_instances_is_registered() {
    // BLK-20 REG-11 UPD-02
    let leshan = Leshan::start_with(&["COAP.MAX_RESOURCE_BODY_SIZE=65536"]);
    let plan = Plan::new("1.1", &leshan);
    let mut house = House::start(leshan, plan);
    for room in 2..MANY {
        let celsius = json!({ "t": f64::from(room) });
        house.broker.publish(&format!("sensors/room{room}/temperature"), &celsius.to_string());
    }
    let last = format!("/3303/{}", MANY - 1);
    let told = house.leshan.event("updated", 0, |told| has_link(told, &last));
    assert!((0..MANY).all(|room| has_link(&told, &format!("/3303/{room}"))), "{told}");
    // BLK-12: and all can be read at once.
    for format in ["TLV", "SENML_JSON", "SENML_CBOR"] {
        let read = house.ask("read", "/3303", json!({ "format": format }));
        let is_there =
            |room: u16| value(&read, &format!("/3303/{room}/5700")) == Some(&json!(f64::from(room)));
        assert!((2..MANY).all(is_there), "{format}: {read}");
    }
    let discovered = house.ask("discover", "/3303", json!({}));
    assert!(has_link(&discovered, &last), "{discovered}");
    house.stop();
}

fn long_text(letter: char) -> String {
    std::iter::repeat_n(letter, LONG).collect()
}
