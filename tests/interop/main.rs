//! The binary among real peers: Leshan above, mosquitto below, the virtual modem on real ports between, tshark beside.
//!
//! Ignored by a plain `cargo test`; `scripts/test` builds the Leshan server, names its jar in `LESHAN_JAR` and runs these in a
//! network namespace of their own. Nothing here sleeps: every step waits, within a limit, for a line that a peer prints.

mod aiocoap;
mod blocks;
mod downlink;
mod house;
mod observing;
mod operations;
mod peers;
mod remembered;
mod servers;
mod table;

use std::time::Duration;

use serde_json::{Value, json};

use peers::leshan::{Leshan, has_link, instance_of, value};
use peers::mosquitto::Mosquitto;
use peers::nbgate::{CLIENT_ID, Gateway, VirtualModem};
use peers::socat::text;
use peers::tshark::{Capture, Captured};

/// On a link that answers, the gateway de-registers and ends within this time.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The endpoint name where there is no modem to take an IMEI from.
const NAME_WITHOUT_MODEM: &str = "nbgate-interop";

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn first_light_over_kernel_udp() {
    let mut leshan = Leshan::start();
    let name = first_light(&mut leshan, None);
    assert_eq!(name, NAME_WITHOUT_MODEM);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn first_light_over_a_virtual_modem_on_a_socat_pair() {
    let mut leshan = Leshan::start();
    let name = first_light(&mut leshan, Some(&VirtualModem::on_socat_pair()));
    assert!(is_imei_urn(&name), "{name}");
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn first_light_over_a_virtual_modem_on_a_pty_is_what_tshark_reads() {
    let mut leshan = Leshan::start();
    let capture = Capture::start(leshan.port());
    let name = first_light(&mut leshan, Some(&VirtualModem::on_pty()));
    assert!(is_imei_urn(&name), "{name}");
    judge(&capture.stop(), &name);
}

/// From registration to de-registration: readings go up, a command comes down. Gives the endpoint name.
fn first_light(leshan: &mut Leshan, modem: Option<&VirtualModem>) -> String {
    let broker = Mosquitto::start();
    let lamp_orders = broker.subscribe("lamp", "lamps/+/set");
    let gateway = Gateway::start(&config(leshan, &broker, modem));

    let registered = leshan.event("registered", 0, |_| true);
    let ep = registered["ep"].as_str().expect("a registration has an endpoint name").to_owned();
    for path in ["/1/0", "/3/0"] {
        assert!(has_link(&registered, path), "{path} is missing: {registered}");
    }
    assert!(!has_link(&registered, "/0/0"), "the Security object is not for servers to see: {registered}");
    assert_eq!(registered["lwm2m"], "1.1");

    let device = leshan.ask("read", &ep, "/3/0", json!({ "format": "TLV" }));
    assert_eq!((&device["code"], &device["format"]), (&json!("2.05"), &json!("TLV")), "{device}");
    // Manufacturer and model are the modem's; supported bindings and device type are there in any case.
    let with_modem: &[&str] = if modem.is_some() { &["/3/0/0", "/3/0/1"] } else { &[] };
    for resource in ["/3/0/16", "/3/0/17"].iter().chain(with_modem) {
        let text = value(&device, resource).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{resource} is missing: {device}");
    }

    broker.wait_for_subscription_of(CLIENT_ID);
    broker.publish("sensors/kitchen/temperature", r#"{"t": 21.5}"#);
    broker.publish("lamps/l1/state", r#"{"dim": 30}"#);
    let updated = leshan.event("updated", 0, |update| {
        instance_of(update, 3303).is_some() && instance_of(update, 3416).is_some()
    });
    let kitchen = instance_of(&updated, 3303).expect("waited for it");
    let lamp = instance_of(&updated, 3416).expect("waited for it");

    let reading = format!("{kitchen}/5700");
    let answer = leshan.ask("read", &ep, &kitchen, json!({ "format": "TLV" }));
    assert_eq!((&answer["code"], &answer["format"]), (&json!("2.05"), &json!("TLV")), "{answer}");
    assert_eq!(value(&answer, &reading), Some(&json!(21.5)), "{answer}");

    let observed = leshan.ask("observe", &ep, &kitchen, json!({ "format": "TLV" }));
    assert_eq!(observed["code"], "2.05", "{observed}");
    assert_eq!(value(&observed, &reading), Some(&json!(21.5)), "{observed}");
    for celsius in [22.5, 23.25] {
        let mark = leshan.mark();
        broker.publish("sensors/kitchen/temperature", &json!({ "t": celsius }).to_string());
        // One with the first reading may come before: the answer to the observe was not acknowledged, so it does not count.
        let told = leshan.event("notification", mark, |told| value(told, &reading) == Some(&json!(celsius)));
        assert_eq!(told["con"], true, "a notification that carries samples is Confirmable: {told}");
    }
    let cancelled = leshan.ask("cancel", &ep, &kitchen, json!({ "active": true }));
    assert_eq!((&cancelled["code"], &cancelled["cancelled"]), (&json!("2.05"), &json!(1)), "{cancelled}");

    let command = format!("{lamp}/1");
    let written = leshan.ask("write", &ep, &command, json!({ "value": 40 }));
    assert_eq!(written["code"], "2.04", "{written}");
    let order: Value =
        serde_json::from_str(&lamp_orders.message_on("lamps/l1/set")).expect("the template is JSON");
    assert_eq!(order, json!({ "dim": 40 }));
    let dimmed = leshan.ask("read", &ep, &command, json!({ "format": "TLV" }));
    assert_eq!(value(&dimmed, &command), Some(&json!(40)), "what was confirmed is what is read: {dimmed}");

    let mark = leshan.mark();
    gateway.stop(STOP_LIMIT);
    let gone = leshan.event("deregistered", mark, |gone| gone["ep"] == ep.as_str());
    assert_eq!((&gone["expired"], &gone["replaced"]), (&json!(false), &json!(false)), "{gone}");
    ep
}

fn config(leshan: &Leshan, broker: &Mosquitto, modem: Option<&VirtualModem>) -> String {
    let uplink = match modem {
        None => format!("uplink = \"udp\"\n[lwm2m]\nendpoint = \"{NAME_WITHOUT_MODEM}\"\n"),
        Some(modem) => format!(
            "uplink = \"modem\"\n[modem]\nport = \"{}\"\napn = \"internet\"\n[lwm2m]\nendpoint = \"urn:imei:{{imei}}\"\n",
            text(modem.port())
        ),
    };
    format!(
        r#"{uplink}
[lwm2m.coap]
profile = "lan"

[[lwm2m.servers]]
uri = "{server}"
short_server_id = 1
lifetime = "1h"

[mqtt]
url = "{broker}"
client_id = "{CLIENT_ID}"

[[mappings]]
topic = "sensors/{{room}}/temperature"
value = "/t"
object = 3303
resource = 5700
instance = "{{room}}"

[[mappings]]
topic = "lamps/{{lamp}}/state"
value = "/dim"
object = 3416
resource = 3
instance = "{{lamp}}"

[[mappings]]
topic = "lamps/{{lamp}}/order"
value = "/dim"
object = 3416
resource = 1
instance = "{{lamp}}"
command = {{ topic = "lamps/{{lamp}}/set", payload = '{{"dim": {{value}}}}' }}
"#,
        server = leshan.uri(),
        broker = broker.url(),
    )
}

/// An independent decoder finds no fault in what was captured, and finds in it what the test did.
fn judge(captured: &Captured, endpoint: &str) {
    let faults = captured.faults();
    assert!(faults.is_empty(), "packets that tshark finds fault with: {faults:#?}");

    let register = captured.packets("coap.code == 2 && coap.opt.uri_path == \"rd\"", &["coap.opt.uri_query"]);
    let query = register.first().expect("a Register was captured");
    for parameter in [format!("ep={endpoint}"), "lwm2m=1.1".to_owned(), "lt=3600".to_owned()] {
        assert!(query.contains(&parameter), "{parameter} is missing in {query}");
    }

    // Requests of the server, in the order of the test: their method (GET 1, PUT 3) and path.
    let requests = captured.packets(
        "(coap.code == 1 || coap.code == 3) && coap.type == 0",
        &["coap.code", "coap.opt.uri_path_recon"],
    );
    let expected = ["1|/3/0", "1|/3303/", "1|/3303/", "1|/3303/", "3|/3416/", "1|/3416/"];
    assert_eq!(requests.len(), expected.len(), "{requests:?}");
    for (request, start) in requests.iter().zip(expected) {
        assert!(request.starts_with(start), "{requests:?}");
    }

    let notifications = captured.packets(
        "coap.code == 69 && coap.type == 0 && coap.opt.observe",
        &["lwm2mtlv.identifier", "lwm2mtlv.value.float"],
    );
    for reading in ["5700|22.5", "5700|23.25"] {
        let times = notifications.iter().filter(|read| *read == reading).count();
        assert_eq!(times, 1, "{reading} is told once in a Confirmable notification: {notifications:?}");
    }
}

fn is_imei_urn(name: &str) -> bool {
    name.strip_prefix("urn:imei:")
        .is_some_and(|imei| imei.len() == 15 && imei.bytes().all(|c| c.is_ascii_digit()))
}
