//! The binary against a scripted server: odd, late, repeated and hostile messages (`tests/interop/aiocoap/README.md`).

use std::time::Duration;

use super::peers::mosquitto::{Mosquitto, Subscriber};
use super::peers::nbgate::{CLIENT_ID, Gateway};
use super::peers::process::PATIENCE;
use super::peers::scripted::{Said, Scripted};
use super::peers::tshark::{Capture, Captured};

/// All rows are through within this time.
const SUITE_LIMIT: Duration = Duration::from_secs(120);
/// The table has no fewer rows than this.
const ROWS: usize = 80;

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn every_row_of_the_table_holds() {
    let mut server = Scripted::start("odd");
    let capture = Capture::start(server.port());
    let mut house = House::start(&config(server.uri(), "1.1"));
    let rows = house.serve(&mut server, SUITE_LIMIT);
    house.gateway.stop(PATIENCE);
    assert!(
        rows.failed.is_empty(),
        "{} of {} rows fail:\n{}",
        rows.failed.len(),
        rows.count,
        rows.failed.join("\n")
    );
    judge(&capture.stop(), &rows.odd);
    assert!(rows.count >= ROWS, "only {} rows", rows.count);
}

/// What is around the gateway besides the server.
struct House {
    broker: Mosquitto,
    orders: Subscriber,
    /// How many lines of `orders` were asked for, and how often.
    told: (usize, usize),
    gateway: Gateway,
}

/// What became of the rows.
struct Rows {
    count: usize,
    failed: Vec<String>,
    /// Datagrams that were sent with a fault on purpose, in hex.
    odd: Vec<String>,
}

impl House {
    /// Starts broker and gateway; `BROKER` in the configuration stands for the broker's address.
    fn start(config: &str) -> Self {
        let broker = Mosquitto::start();
        let orders = broker.subscribe("orders", "+/+/set");
        let gateway = Gateway::start(&config.replace("BROKER", &broker.url()));
        Self { broker, orders, told: (0, 0), gateway }
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
            _ => panic!("the scripted server asks for {words:?}"),
        }
        String::new()
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

fn config(uri: &str, version: &str) -> String {
    format!(
        r#"uplink = "udp"

[lwm2m]
endpoint = "nbgate-odd"
version = "{version}"

[lwm2m.coap]
profile = "lan"

[[lwm2m.servers]]
uri = "{uri}"
short_server_id = 1
lifetime = "1h"

[mqtt]
url = "BROKER"
client_id = "{CLIENT_ID}"

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
