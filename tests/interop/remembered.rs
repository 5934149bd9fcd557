//! Gateway and broker come back after a power cut, and sensors speak in another order than before.

use nbgate::lab::server::{Event, Registration, Server, Settings};
use nbgate::lab::server_edge::Edge;
use nbgate::link::clock;
use nbgate::lwm2m::path::Path;
use nbgate::lwm2m::value::Value;
use nbgate::seed::Seed;
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use crate::peers::mosquitto::Mosquitto;
use crate::peers::nbgate::{CLIENT_ID, Gateway};
use crate::peers::process::PATIENCE;

/// The lab's server on a socket of the kernel; it serves while somebody waits for it.
struct LabServer {
    runtime: Runtime,
    edge: Edge,
}

impl LabServer {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = Server::new(Settings::default(), Seed::new(1));
        let address = "127.0.0.1:0".parse().expect("an address");
        let edge = runtime.block_on(Edge::bind(address, server, clock::now)).expect("a free port");
        Self { runtime, edge }
    }

    fn uri(&self) -> String {
        format!("coap://{}", self.edge.local_address().expect("a bound socket has an address"))
    }

    /// Serves until this holds after an event.
    fn until(&mut self, what: &str, holds: impl Fn(&Event, &Registration) -> bool) {
        let end = clock::now() + PATIENCE;
        loop {
            let next = self.runtime.block_on(async { timeout_at(end.into(), self.edge.next()).await });
            let event = next.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}")).expect("a socket");
            let mut registrations = self.edge.server().registrations();
            if registrations.next().is_some_and(|registration| holds(&event, registration)) {
                return;
            }
        }
    }

    /// Serves until the temperatures of instances 0, 1, … are these.
    fn until_values(&mut self, celsius: &[f64]) {
        let path = |id| Path::resource_of(3303, id, 5700);
        self.until("all values", |_, registration| {
            let mut wanted = (0..).zip(celsius);
            wanted.all(|(id, celsius)| registration.value(path(id)) == Some(&Value::Float(*celsius)))
        });
    }
}

fn config(server: &LabServer, broker: &Mosquitto) -> String {
    format!(
        r#"uplink = "udp"
[lwm2m]
endpoint = "remembered"
[lwm2m.coap]
profile = "lan"
[[lwm2m.servers]]
uri = "{}"
[mqtt]
url = "{}"
client_id = "{CLIENT_ID}"
[[mappings]]
topic = "rooms/{{room}}"
object = 3303
resource = 5700
instance = "{{room}}"
"#,
        server.uri(),
        broker.url()
    )
}

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn instances_keep_their_ids_when_gateway_and_broker_come_back_and_topics_come_in_another_order() {
    let state = tempfile::tempdir().expect("a folder for the state");
    let mut server = LabServer::start();
    let broker = Mosquitto::start();
    let gateway = Gateway::start_on(state.path(), &config(&server, &broker));
    broker.wait_for_subscription_of(CLIENT_ID);
    for (room, celsius) in [("cellar", "7"), ("attic", "27"), ("hall", "17")] {
        broker.publish(&format!("rooms/{room}"), celsius);
    }
    server.until_values(&[7.0, 27.0, 17.0]);

    gateway.kill();
    drop(broker);
    let broker = Mosquitto::start();
    let gateway = Gateway::start_on(state.path(), &config(&server, &broker));
    server.until("the three in the Register", |event, registration| {
        let listed = registration.objects().objects.get(&3303).map(|object| object.instances.len());
        matches!(event, Event::Registered { again: true, .. }) && listed == Some(3)
    });
    broker.wait_for_subscription_of(CLIENT_ID);
    for (room, celsius) in [("yard", "-3"), ("hall", "18"), ("attic", "28"), ("cellar", "8")] {
        broker.publish(&format!("rooms/{room}"), celsius);
    }
    server.until_values(&[8.0, 28.0, 18.0, -3.0]);
    gateway.kill();
}
