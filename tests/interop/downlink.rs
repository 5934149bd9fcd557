//! A server's Write and Execute on their way to a real mosquitto that is there, away, restarted in the middle, slow or dead,
//! and to a device that replies or not: what the server is answered, when, and what the tree holds afterwards.

use std::time::Duration;

use nbgate::coap::Code;
use nbgate::lab::server::Event;
use nbgate::link::clock;

use crate::STOP_LIMIT;
use crate::peers::lab_server::LabServer;
use crate::peers::mosquitto::{Mosquitto, Subscriber};
use crate::peers::nbgate::{CLIENT_ID, Gateway};

/// What a server may try again after (Max-Age of the 5.03).
const RETRY_AFTER_SECS: u8 = 30;

/// The lamp's mappings: one command for the broker alone, one that waits for the lamp's own word, one that is executed.
const LAMP: &str = r#"
[[mappings]]
topic = "lamps/{lamp}/state"
object = 3416
instance = "{lamp}"
resources = [
    { resource = 3, value = "/dim" },
    { resource = 1, value = "/order", command = { topic = "lamps/{lamp}/set", payload = '{"dim": {value}}' } },
    { resource = 4, value = "/default", command = { topic = "lamps/{lamp}/default", reply = { topic = "lamps/{lamp}/result", value = "/default", success = ["{value}"], within = "2s" } } },
]
[[mappings]]
object = 3416
resource = 16
instance = "{lamp}"
command = { topic = "lamps/{lamp}/reset", payload = '{"all": "{args}", "first": {arg0}, "second": "{arg1}"}' }
"#;

const THERMOMETER: &str = r#"
[[mappings]]
topic = "sensors/{room}/temperature"
object = 3303
resource = 5700
instance = "{room}"
"#;

const ORDER: &str = "/3416/0/1";
const DEFAULT: &str = "/3416/0/4";

/// A gateway with one lamp between the lab's server and mosquitto.
struct Yard {
    server: LabServer,
    broker: Mosquitto,
    /// What the lamp is told.
    lamp: Subscriber,
    gateway: Gateway,
}

impl Yard {
    /// Starts all; the lamp has spoken once.
    fn start() -> Self {
        let mut server = LabServer::start();
        let broker = Mosquitto::start();
        let lamp = broker.subscribe("lamp", "lamps/l1/+");
        let gateway = Gateway::start(&config(&server, &broker, LAMP));
        server.until("registration", |event| matches!(event, Event::Registered { .. }).then_some(()));
        broker.wait_for_subscription_of(CLIENT_ID);
        broker.publish("lamps/l1/state", r#"{"dim": 20, "order": 20, "default": 50}"#);
        server.until("update", |event| matches!(event, Event::Updated { objects: true, .. }).then_some(()));
        Self { server, broker, lamp, gateway }
    }

    fn stop(mut self) {
        self.gateway.terminate();
        self.server.until("farewell", |event| matches!(event, Event::Deregistered { .. }).then_some(()));
        self.gateway.wait_for_end(STOP_LIMIT);
    }

    /// The lamp says of a new default level what it is.
    fn reply(&self, payload: &str) {
        self.broker.publish("lamps/l1/result", payload);
    }

    fn expect_unchanged(&mut self) {
        assert_eq!(self.server.value(ORDER), "Integer(20)");
        assert_eq!(self.server.value(DEFAULT), "Integer(50)");
    }
}

fn config(server: &LabServer, broker: &Mosquitto, mappings: &str) -> String {
    format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"yard\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"{}\"\n[bridge]\nannounce_after = \"100ms\"\n\
         [mqtt]\nurl = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n{mappings}",
        server.uri(),
        broker.url()
    )
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn what_the_broker_confirms_is_changed_at_once_and_read_afterwards() {
    let mut yard = Yard::start();
    let mark = yard.server.mark();
    assert_eq!(yard.server.ask(&format!("write {ORDER} 30")).code, Code::CHANGED);
    yard.server.until_received("2.04 in the ACK", mark, |received| received.is_piggybacked(Code::CHANGED));
    assert_eq!(yard.lamp.message_on("lamps/l1/set"), r#"{"dim": 30}"#);
    assert_eq!(yard.server.value(ORDER), "Integer(30)");

    assert_eq!(yard.server.ask("execute /3416/0/16 0='now',1").code, Code::CHANGED);
    let reset = r#"{"all": "0='now',1", "first": "now", "second": ""}"#;
    assert_eq!(yard.lamp.message_on("lamps/l1/reset"), reset);
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_write_of_several_resources_is_one_transaction() {
    let mut yard = Yard::start();
    let both = "write /3416/0 1=30 4=60";
    let asked = yard.server.order(both);
    assert_eq!(yard.lamp.message_on("lamps/l1/set"), r#"{"dim": 30}"#);
    assert_eq!(yard.lamp.message_on("lamps/l1/default"), "60");
    yard.reply(r#"{"default": 60}"#);
    assert_eq!(yard.server.answer(asked).code, Code::CHANGED);
    assert_eq!(yard.server.value(ORDER), "Integer(30)");
    assert_eq!(yard.server.value(DEFAULT), "Integer(60)");

    // One is done, the other not: neither is taken.
    let mark = yard.lamp.mark();
    let asked = yard.server.order("write /3416/0 1=40 4=70");
    assert!(yard.lamp.hears("lamps/l1/default 70", mark));
    assert_eq!(yard.server.answer(asked).code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(yard.server.value(ORDER), "Integer(30)");
    assert_eq!(yard.server.value(DEFAULT), "Integer(60)");
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_broker_that_is_away_makes_orders_unavailable_until_it_is_back() {
    let Yard { mut server, broker, lamp, gateway } = Yard::start();
    let mark = gateway.mark();
    let port = broker.kill();
    gateway.wait_for_text_since(mark, "no connection to the broker");
    drop(lamp);
    let mark = server.mark();
    assert_eq!(server.ask(&format!("write {ORDER} 30")).code, Code::SERVICE_UNAVAILABLE);
    let answer =
        server.until_received("5.03", mark, |received| received.is_piggybacked(Code::SERVICE_UNAVAILABLE));
    assert!(answer.has_max_age(RETRY_AFTER_SECS));

    let broker = Mosquitto::start_on(port);
    broker.wait_for_subscription_of(CLIENT_ID);
    let lamp = broker.subscribe("lamp", "lamps/l1/+");
    let mut yard = Yard { server, broker, lamp, gateway };
    yard.expect_unchanged();
    assert_eq!(yard.server.ask(&format!("write {ORDER} 40")).code, Code::CHANGED);
    // The order of before was not kept for later.
    assert_eq!(yard.lamp.message_on("lamps/l1/set"), r#"{"dim": 40}"#);
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_broker_that_dies_over_an_order_makes_it_unavailable_in_a_separate_answer() {
    let Yard { mut server, broker, lamp, gateway } = Yard::start();
    broker.pause();
    let mark = server.mark();
    let asked = server.order(&format!("write {ORDER} 30"));
    server.until_received("empty ACK", mark, |received| received.is_empty_ack());
    let port = broker.kill();
    drop(lamp);
    assert_eq!(server.answer(asked).code, Code::SERVICE_UNAVAILABLE);
    let answer =
        server.until_received("5.03", mark, |received| received.is_separate(Code::SERVICE_UNAVAILABLE));
    assert!(answer.has_max_age(RETRY_AFTER_SECS));

    let broker = Mosquitto::start_on(port);
    broker.wait_for_subscription_of(CLIENT_ID);
    let lamp = broker.subscribe("lamp", "lamps/l1/+");
    let mut yard = Yard { server, broker, lamp, gateway };
    yard.expect_unchanged();
    assert_eq!(yard.server.ask(&format!("write {ORDER} 40")).code, Code::CHANGED);
    assert_eq!(yard.lamp.message_on("lamps/l1/set"), r#"{"dim": 40}"#);
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_slow_broker_has_an_empty_ack_after_a_second_and_the_answer_when_it_is_there() {
    let mut yard = Yard::start();
    yard.broker.pause();
    let (asked_at, mark) = (clock::now(), yard.server.mark());
    let asked = yard.server.order(&format!("write {ORDER} 30"));
    let ack = yard.server.until_received("empty ACK", mark, |received| received.is_empty_ack());
    let waited = ack.at - asked_at;
    assert!((Duration::from_millis(900)..Duration::from_secs(2)).contains(&waited), "{waited:?}");
    assert_eq!(yard.server.received_since(mark).len(), 1, "nothing before the broker has said something");
    yard.broker.resume();
    assert_eq!(yard.server.answer(asked).code, Code::CHANGED);
    yard.server.until_received("separate 2.04", mark, |received| received.is_separate(Code::CHANGED));
    assert_eq!(yard.server.value(ORDER), "Integer(30)");
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_broker_that_hangs_for_five_seconds_makes_orders_unavailable() {
    let mut yard = Yard::start();
    yard.broker.pause();
    let (asked_at, mark) = (clock::now(), yard.server.mark());
    let asked = yard.server.order(&format!("write {ORDER} 30"));
    assert_eq!(yard.server.answer(asked).code, Code::SERVICE_UNAVAILABLE);
    let answer =
        yard.server.until_received("5.03", mark, |received| received.is_separate(Code::SERVICE_UNAVAILABLE));
    let waited = answer.at - asked_at;
    assert!((Duration::from_millis(4900)..Duration::from_secs(7)).contains(&waited), "{waited:?}");
    assert!(answer.has_max_age(RETRY_AFTER_SECS));
    yard.broker.resume();
    yard.expect_unchanged();
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_lamp_that_replies_decides_and_one_that_does_not_makes_orders_unavailable() {
    let mut yard = Yard::start();
    let asked = yard.server.order(&format!("write {DEFAULT} 60"));
    assert_eq!(yard.lamp.message_on("lamps/l1/default"), "60");
    yard.reply(r#"{"other": 1}"#);
    yard.reply(r#"{"default": 60}"#);
    assert_eq!(yard.server.answer(asked).code, Code::CHANGED);
    assert_eq!(yard.server.value(DEFAULT), "Integer(60)");

    let mark = yard.lamp.mark();
    let asked = yard.server.order(&format!("write {DEFAULT} 70"));
    assert!(yard.lamp.hears("lamps/l1/default 70", mark));
    yard.reply(r#"{"default": 60}"#);
    assert_eq!(yard.server.answer(asked).code, Code::INTERNAL_SERVER_ERROR);

    let mark = yard.server.mark();
    assert_eq!(yard.server.ask(&format!("write {DEFAULT} 80")).code, Code::SERVICE_UNAVAILABLE);
    let answer =
        yard.server.until_received("5.03", mark, |received| received.is_separate(Code::SERVICE_UNAVAILABLE));
    assert!(answer.has_max_age(RETRY_AFTER_SECS));
    yard.reply(r#"{"default": 80}"#);
    assert_eq!(yard.server.value(DEFAULT), "Integer(60)", "a reply that comes too late counts for nothing");
    yard.stop();
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn a_reload_takes_other_mappings_and_a_bad_one_none() {
    let mut yard = Yard::start();
    let both = config(&yard.server, &yard.broker, &[LAMP, THERMOMETER].concat());
    yard.gateway.reload(&both, "mappings are replaced");
    yard.broker.wait_for_subscription_to("sensors/+/temperature");
    yard.broker.publish("sensors/kitchen/temperature", "21.5");
    yard.server.until("update", |event| matches!(event, Event::Updated { objects: true, .. }).then_some(()));
    assert_eq!(yard.server.value("/3303/0/5700"), "Float(21.5)");

    let bad = config(&yard.server, &yard.broker, &THERMOMETER.replace("5700", "99"));
    yard.gateway.reload(&bad, "the mappings stay as they are");
    yard.broker.publish("sensors/kitchen/temperature", "22.5");
    assert_eq!(yard.server.ask(&format!("write {ORDER} 30")).code, Code::CHANGED);

    let without = config(&yard.server, &yard.broker, THERMOMETER);
    yard.gateway.reload(&without.replace("\"100ms\"", "\"200ms\""), "bridge.announce_after");
    yard.server.until("update", |event| matches!(event, Event::Updated { objects: true, .. }).then_some(()));
    assert_eq!(yard.server.ask(&format!("write {ORDER} 40")).code, Code::NOT_FOUND);
    assert_eq!(yard.server.value("/3303/0/5700"), "Float(22.5)");
    yard.broker.wait_for_end_of_subscription_to("lamps/+/state");
    yard.stop();
}
