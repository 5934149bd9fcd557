//! The binary against a scripted server: odd, late, repeated and hostile messages (`tests/interop/aiocoap/README.md`).

use std::time::Duration;

use super::peers::mosquitto::{Mosquitto, Subscriber};
use super::peers::nbgate::{CLIENT_ID, Gateway, VirtualModem};
use super::peers::process::PATIENCE;
use super::peers::scripted::{Said, Scripted};
use super::peers::socat::text;
use super::peers::tshark::{Capture, Captured};

/// All rows are through within this time.
const SUITE_LIMIT: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn odd_late_repeated_and_hostile_messages_are_answered_as_the_table_says() {
    run("odd", "1.1");
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn two_servers_side_by_side_are_strangers_to_each_other() {
    run("pair", "1.1");
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn lwm2m_1_0_is_spoken_as_it_was() {
    run("1.0", "1.0");
}

/// Runs a suite against a gateway of this LwM2M version; every row must hold.
fn run(suite: &str, version: &str) {
    let mut server = Scripted::start(suite);
    let capture = Capture::start(server.port());
    let mut house = House::start(Mosquitto::start(), &config(server.uris(), version));
    let rows = house.serve(&mut server, SUITE_LIMIT);
    house.end();
    rows.expect_none_failed();
    judge(&capture.stop(), &rows.odd);
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn onenets_opening_over_a_slow_modem_is_answered_in_time() {
    let mut server = Scripted::start("onenet");
    let capture = Capture::start(server.port());
    let modem = VirtualModem::with_round_trip("1500ms");
    let broker = Mosquitto::start();
    for (topic, payload) in [
        ("sensors/0", r#"{"t": 20.0}"#),
        ("sensors/1", r#"{"t": 21.5}"#),
        ("sensors/2", r#"{"t": -4.0}"#),
        ("lamps/l1/state", r#"{"dim": 30}"#),
    ] {
        broker.retain(topic, payload);
    }
    let mut house = House::start(broker, &onenet_config(&server.uris()[0], text(modem.port())));
    let rows = house.serve(&mut server, SUITE_LIMIT);
    house.end();
    rows.expect_none_failed();
    judge(&capture.stop(), &rows.odd);
}

/// What is around the gateway besides the server.
struct House {
    broker: Mosquitto,
    orders: Subscriber,
    /// How many lines of `orders` were asked for, and how often.
    told: (usize, usize),
    config: String,
    /// `None` once it has ended.
    gateway: Option<Gateway>,
}

/// What became of the rows.
struct Rows {
    count: usize,
    failed: Vec<String>,
    /// Datagrams that were sent with a fault on purpose, in hex.
    odd: Vec<String>,
}

impl Rows {
    fn expect_none_failed(&self) {
        let failed = self.failed.join("\n");
        assert!(self.count > 0, "there are no rows");
        assert!(failed.is_empty(), "{} of {} rows fail:\n{failed}", self.failed.len(), self.count);
    }
}

impl House {
    /// Starts a gateway at this broker, whose address `BROKER` in the configuration stands for.
    fn start(broker: Mosquitto, config: &str) -> Self {
        let orders = broker.subscribe("orders", "+/+/set");
        let config = config.replace("BROKER", &broker.url());
        let gateway = Some(Gateway::start(&config));
        Self { broker, orders, told: (0, 0), config, gateway }
    }

    /// Does what the server asks for until it has told of all rows.
    fn serve(&mut self, server: &mut Scripted, limit: Duration) -> Rows {
        let mut rows = Rows { count: 0, failed: vec![], odd: vec![] };
        loop {
            match server.next(limit) {
                Said::Ask(words) => {
                    let done = self.obey(&words);
                    server.done(&done);
                }
                Said::Row => rows.count += 1,
                Said::Failed(story) => {
                    rows.count += 1;
                    rows.failed.push(story);
                }
                Said::Odd(octets) => rows.odd.push(octets),
                Said::End => return rows,
            }
        }
    }

    fn obey(&mut self, words: &str) -> String {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        match (verb, rest) {
            ("publish", _) => {
                let (topic, payload) = rest.split_once(' ').expect("publish names topic and payload");
                self.broker.wait_for_subscription_of(CLIENT_ID);
                self.broker.publish(topic, payload);
            }
            ("ordered", topic) => return self.ordered(topic),
            ("broker", "pause") => self.broker.pause(),
            ("broker", "resume") => self.broker.resume(),
            ("gateway", "restart") => {
                if let Some(gateway) = self.gateway.take() {
                    gateway.kill();
                }
                self.gateway = Some(Gateway::start(&self.config));
            }
            ("gateway", "terminate") => self.gateway().terminate(),
            ("gateway", "ended") => {
                self.gateway().wait_for_end(PATIENCE);
                self.gateway = None;
            }
            _ => panic!("the scripted server asks for {words:?}"),
        }
        String::new()
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// Ends the gateway, unless it has ended already: the server has gone.
    fn end(mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.kill();
        }
    }

    /// What was published on this topic since the last time, joined by blanks.
    fn ordered(&mut self, topic: &str) -> String {
        let (mark, times) = &mut self.told;
        *times += 1;
        // A message of our own, behind all that came before it.
        let end = format!("end/{times}/set");
        self.broker.publish(&end, "-");
        let messages = self.orders.messages_until(*mark, &format!("{end} -"));
        *mark += messages.len() + 1;
        let prefix = format!("{topic} ");
        messages.iter().filter_map(|line| line.strip_prefix(&prefix)).collect::<Vec<_>>().join(" ")
    }
}

fn config(uris: &[String], version: &str) -> String {
    let server = |(index, uri): (usize, &String)| {
        let id = index + 1;
        format!("[[lwm2m.servers]]\nuri = \"{uri}\"\nshort_server_id = {id}\nlifetime = \"1h\"\n\n")
    };
    let servers: String = uris.iter().enumerate().map(server).collect();
    format!(
        r#"uplink = "udp"

[lwm2m]
endpoint = "nbgate-odd"
version = "{version}"
held_objects = [16, 19]

[lwm2m.coap]
profile = "lan"

{servers}[mqtt]
url = "BROKER"
client_id = "{CLIENT_ID}"

[bridge]
announce_after = "200ms"

[[mappings]]
topic = "sensors/kitchen"
value = "/t"
object = 3303
resource = 5700
instance = 0

[[mappings]]
topic = "lamps/l1/state"
object = 3416
instance = 0
resources = [
    {{ resource = 3, value = "/dim" }},
    {{ resource = 1, value = "/order", command = {{ topic = "lamps/l1/set", payload = '{{"dim": {{value}}}}' }} }},
    {{ resource = 4, value = "/default", command = {{ topic = "lamps/l1/set", payload = '{{"default": {{value}}}}' }} }},
]
"#
    )
}

fn onenet_config(uri: &str, port: &str) -> String {
    format!(
        r#"uplink = "modem"

[modem]
port = "{port}"
apn = "internet"

[lwm2m]
endpoint = "{{imei}};{{imsi}}"
version = "1.0"
lwm2m_parameter = false
start_jitter = "0s"

[bridge]
announce_after = "1s"

[[lwm2m.servers]]
uri = "{uri}"
short_server_id = 1

[mqtt]
url = "BROKER"
client_id = "{CLIENT_ID}"

[[mappings]]
topic = "sensors/{{room}}"
value = "/t"
object = 3303
resource = 5700
instance = "{{room}}"

[[mappings]]
topic = "lamps/l1/state"
value = "/dim"
object = 3416
resource = 3
instance = 0
"#
    )
}

/// An independent decoder finds no fault but those that were made on purpose.
fn judge(captured: &Captured, on_purpose: &[String]) {
    let faults =
        captured.packets("_ws.malformed || _ws.expert.severity >= warning", &["udp.payload", "_ws.expert"]);
    let unexpected: Vec<_> = faults
        .iter()
        .filter(|fault| !on_purpose.iter().any(|octets| fault.starts_with(octets.as_str())))
        .collect();
    assert!(unexpected.is_empty(), "packets that tshark finds fault with: {unexpected:#?}");
    let unread = captured.packets("udp && !coap", &["udp.payload"]);
    let unexpected: Vec<_> = unread.iter().filter(|octets| !on_purpose.contains(octets)).collect();
    assert!(unexpected.is_empty(), "packets that tshark does not read as CoAP: {unexpected:#?}");
}
