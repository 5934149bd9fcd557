//! A gateway with two thermometers and a lamp, between a broker and Leshan: what the tables ask questions about.

use serde_json::{Value, json};

use crate::STOP_LIMIT;
use crate::peers::leshan::{Leshan, has_link};
use crate::peers::mosquitto::{Mosquitto, Subscriber};
use crate::peers::nbgate::{CLIENT_ID, Gateway, VirtualModem};
use crate::peers::socat::text;

/// What is where once the house stands: instances get their numbers in the order in which their sensors speak.
pub const KITCHEN: &str = "/3303/0";
/// The second thermometer.
pub const ATTIC: &str = "/3303/1";
/// The lamp.
pub const LAMP: &str = "/3416/0";

/// How a house is to be built.
pub struct Plan {
    /// Of LwM2M.
    pub version: &'static str,
    /// Where datagrams go through; `None`: through the kernel.
    pub modem: Option<VirtualModem>,
    /// Where the gateway finds its servers.
    pub servers: Vec<String>,
    /// How long the NAT before the server is said to remember.
    pub nat_idle: &'static str,
}

impl Plan {
    /// For one server, without a modem or NAT.
    pub fn new(version: &'static str, leshan: &Leshan) -> Self {
        Self { version, modem: None, servers: vec![leshan.uri().to_owned()], nat_idle: "0s" }
    }

    /// The test object of this version of LwM2M, with resources of every type.
    pub fn test_object(&self) -> u16 {
        if self.version == "1.0" { 3441 } else { 3442 }
    }
}

/// Everything that runs for one test.
pub struct House {
    /// How it was built.
    pub plan: Plan,
    /// The server.
    pub leshan: Leshan,
    /// Where sensors publish.
    pub broker: Mosquitto,
    /// What the lamp is told.
    pub orders: Subscriber,
    /// The gateway's endpoint name.
    pub ep: String,
    gateway: Gateway,
}

impl House {
    /// Starts all, feeds each sensor once and waits until the server knows its instance.
    pub fn start(leshan: Leshan, plan: Plan) -> Self {
        let broker = Mosquitto::start();
        let orders = broker.subscribe("house", "lamps/+/set");
        let gateway = Gateway::start(&config(&plan, &broker));
        gateway.wait_for_text("registered");
        let registered = leshan.event("registered", 0, |_| true);
        assert_eq!(registered["lwm2m"], plan.version, "{registered}");
        assert_eq!(registered["queue"], false, "{registered}");
        let ep = registered["ep"].as_str().expect("a registration has an endpoint name").to_owned();

        broker.wait_for_subscription_of(CLIENT_ID);
        let feed = [
            (KITCHEN, "sensors/kitchen/temperature", json!({ "t": 21.5, "kind": "oven" })),
            (ATTIC, "sensors/attic/temperature", json!({ "t": -3.25 })),
            (
                LAMP,
                "lamps/l1/state",
                json!({ "dim": 30, "fault": false, "hours": 1234.5, "since": 1_700_000_000 }),
            ),
        ];
        for (instance, topic, payload) in feed {
            broker.publish(topic, &payload.to_string());
            leshan.event("updated", 0, |update| has_link(update, instance));
        }
        Self { plan, leshan, broker, orders, ep, gateway }
    }

    /// Asks the gateway; see [`Leshan::ask`].
    pub fn ask(&mut self, command: &str, path: &str, more: Value) -> Value {
        self.leshan.ask(command, &self.ep, path, more)
    }

    /// A new temperature in the kitchen.
    pub fn warm(&self, celsius: f64) {
        self.broker.publish("sensors/kitchen/temperature", &json!({ "t": celsius }).to_string());
    }

    /// Ends the gateway as a service manager does; the server must see it go. Gives the server back.
    pub fn stop(self) -> Leshan {
        let mark = self.leshan.mark();
        self.gateway.stop(STOP_LIMIT);
        self.leshan.event("deregistered", mark, |gone| gone["ep"] == self.ep.as_str());
        self.leshan
    }
}

fn config(plan: &Plan, broker: &Mosquitto) -> String {
    let uplink = match &plan.modem {
        None => "uplink = \"udp\"\n[lwm2m]\nendpoint = \"house\"\n".to_owned(),
        Some(modem) => format!("uplink = \"modem\"\n[modem]\nport = \"{}\"\n[lwm2m]\n", text(modem.port())),
    };
    let accounts = plan.servers.iter().zip(101..).map(|(uri, ssid)| {
        format!("[[lwm2m.servers]]\nuri = \"{uri}\"\nshort_server_id = {ssid}\nlifetime = \"1h\"\n")
    });
    let accounts: String = accounts.collect();
    format!(
        r#"{uplink}version = "{version}"
held_objects = [16, 19, {test}]
nat_idle = "{nat_idle}"
[lwm2m.coap]
profile = "lan"
{accounts}
[location]
latitude = 52.5186
longitude = 13.4083
altitude = 38.0
[mqtt]
url = "{broker}"
client_id = "{CLIENT_ID}"
[bridge]
announce_after = "100ms"

[[mappings]]
topic = "sensors/{{room}}/temperature"
max_instances = 400
object = 3303
instance = "{{room}}"
resources = [
    {{ resource = 5700, value = "/t" }},
    {{ resource = 5750, value = "/kind" }},
]

[[mappings]]
topic = "lamps/{{lamp}}/state"
object = 3416
instance = "{{lamp}}"
resources = [
    {{ resource = 3, value = "/dim" }},
    {{ resource = 5, value = "/fault" }},
    {{ resource = 15, value = "/hours" }},
    {{ resource = 17, value = "/since" }},
]
{orders}"#,
        version = plan.version,
        test = plan.test_object(),
        nat_idle = plan.nat_idle,
        broker = broker.url(),
        orders = orders(),
    )
}

/// What of the lamp can be written or executed, and as what it is published.
fn orders() -> String {
    let orders = [(1, "dim"), (16, "reset"), (29, "standby"), (34, "cleaned"), (42, "volts")];
    let mapping = |(resource, name): (u16, &str)| {
        // What is executed has no value of its own.
        let (feed, value) = match name {
            "reset" => (String::new(), "\"{value}\""),
            name => (format!("topic = \"lamps/{{lamp}}/{name}\"\nvalue = \"/{name}\"\n"), "{value}"),
        };
        format!(
            r#"
[[mappings]]
{feed}object = 3416
resource = {resource}
instance = "{{lamp}}"
command = {{ topic = "lamps/{{lamp}}/set", payload = '{{"{name}": {value}}}' }}
"#
        )
    };
    orders.map(mapping).concat()
}
