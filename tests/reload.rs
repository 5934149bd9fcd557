//! Other mappings while the gateway runs: the core hand to hand with the lab's server, on the kernel's UDP.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nbgate::bridge::message::{AckHandle, Message, PublishId};
use nbgate::clock::Deadline;
use nbgate::coap::Code;
use nbgate::config;
use nbgate::gateway::core::Core;
use nbgate::gateway::io::{Input, Output};
use nbgate::gateway::settings::{self, Host};
use nbgate::lab::server::{Answer, CommandId, Event, Order, Server, Settings};
use nbgate::link::clock;
use nbgate::net::{Datagram, Peer};
use nbgate::seed::Seed;

const SERVER: &str = "192.0.2.1:5683";
const GATEWAY: &str = "192.0.2.2:40000";

const ROOMS: &str = r#"
[[mappings]]
topic = "sensors/{room}/temperature"
object = 3303
resource = 5700
instance = "{room}"
"#;
const LAMPS: &str = r#"
[[mappings]]
topic = "lamps/{lamp}/state"
object = 3416
resource = 3
instance = "{lamp}"
[[mappings]]
topic = "lamps/{lamp}/order"
object = 3416
resource = 1
instance = "{lamp}"
command = { topic = "lamps/{lamp}/set" }
"#;

fn settings(mappings: &str) -> settings::Settings {
    let text = format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://{SERVER}\"\n{mappings}"
    );
    config::parse(&text, Host::default()).unwrap().gateway
}

/// A core and a server, a wire between them, and the clock.
struct Bench {
    core: Core,
    server: Server,
    now: Instant,
    /// What is to be subscribed to.
    filters: Vec<String>,
    published: Vec<(PublishId, String)>,
    withdrawn: Vec<PublishId>,
}

impl Bench {
    /// Registered and connected.
    fn new(mappings: &[&str]) -> Self {
        let now = clock::now();
        let mut bench = Self {
            core: Core::new(settings(&mappings.concat()), Seed::new(1), now),
            server: Server::new(Settings { observe: false, ..Settings::default() }, Seed::new(2)),
            now,
            filters: vec![],
            published: vec![],
            withdrawn: vec![],
        };
        bench.until(|event| matches!(event, Event::Registered { .. }).then_some(()));
        bench.core.handle(Input::BrokerConnected, bench.now);
        bench.exchange();
        bench
    }

    /// Runs until the server tells something for which `wanted` gives a value.
    fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let end = self.now + Duration::from_secs(60);
        while self.now < end {
            self.exchange();
            while let Some(event) = self.server.poll_event() {
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
            let next = Deadline::sooner(self.core.next_deadline(), self.server.poll_timeout()).unwrap();
            self.now = self.now.max(next.at);
            self.core.handle(Input::Tick, self.now);
            self.server.handle_timeout(self.now);
        }
        panic!("it did not come within a minute");
    }

    fn exchange(&mut self) {
        let peer = |address: &str| Peer(address.parse::<SocketAddr>().unwrap());
        loop {
            if let Some(output) = self.core.poll() {
                match output {
                    Output::Subscribe(filters) => self.filters = filters,
                    Output::Publish(id, message) => self.published.push((id, message.topic)),
                    Output::Withdraw(id) => self.withdrawn.push(id),
                    Output::Datagram(outgoing) => {
                        self.core.handle(Input::DatagramSent(outgoing.id), self.now);
                        let payload = outgoing.datagram.payload;
                        self.server.handle_datagram(Datagram { peer: peer(GATEWAY), payload }, self.now);
                    }
                    _ => {}
                }
            } else if let Some(outgoing) = self.server.poll_transmit(self.now) {
                self.server.handle_sent(outgoing.id, self.now);
                let payload = outgoing.datagram.payload;
                self.core.handle(Input::Datagram(Datagram { peer: peer(SERVER), payload }), self.now);
            } else {
                return;
            }
        }
    }

    fn hear(&mut self, topic: &str, payload: &str) {
        let message =
            Message { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id: 1 };
        self.core.handle(Input::Message { message, acknowledgement }, self.now);
        self.exchange();
    }

    fn reload(&mut self, mappings: &[&str]) {
        let mappings = settings(&mappings.concat()).mappings;
        self.core.handle(Input::Reload(Box::new(mappings)), self.now);
        self.exchange();
    }

    fn order(&mut self, line: &str) -> CommandId {
        let asked = self.server.command(line.parse::<Order>().unwrap(), self.now);
        self.exchange();
        asked
    }

    fn answer(&mut self, asked: CommandId) -> Answer {
        self.until(|event| match event {
            Event::Finished { command, outcome, .. } if *command == asked => Some(outcome.clone().unwrap()),
            _ => None,
        })
    }

    fn ask(&mut self, line: &str) -> Answer {
        let asked = self.order(line);
        self.answer(asked)
    }

    fn expect_balanced_books(&self) {
        let books = self.core.snapshot(self.now).books;
        let ended = books.reported + books.superseded + books.refused + books.dropped;
        assert_eq!((books.received, books.misfits), (ended + books.pending, 0), "{books:?}");
    }

    /// The next Update that lists the objects.
    fn updated(&mut self) {
        self.until(|event| matches!(event, Event::Updated { objects: true, .. }).then_some(()));
    }
}

#[test]
fn instances_of_a_mapping_that_is_gone_leave_the_tree_and_an_update_says_so() {
    let mut bench = Bench::new(&[ROOMS, LAMPS]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.hear("lamps/21/state", "60");
    bench.updated();
    bench.reload(&[LAMPS]);
    assert_eq!(bench.filters, ["lamps/+/order", "lamps/+/state"]);
    bench.updated();
    assert_eq!(bench.ask("read /3303/0").code, Code::NOT_FOUND);
    assert_eq!(bench.ask("read /3416/0").code, Code::CONTENT);
    bench.expect_balanced_books();
}

#[test]
fn an_instance_that_only_the_mapping_which_is_gone_has_fed_leaves_beside_others_of_its_object() {
    let mut bench = Bench::new(&[ROOMS, &ROOMS.replace("sensors/", "house/")]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.hear("house/attic/temperature", "8");
    bench.updated();
    bench.reload(&[ROOMS]);
    bench.updated();
    assert_eq!(bench.ask("read /3303/0").code, Code::CONTENT);
    assert_eq!(bench.ask("read /3303/1").code, Code::NOT_FOUND);
}

#[test]
fn an_observation_of_what_is_gone_ends_with_one_404_obs_13() {
    let mut bench = Bench::new(&[ROOMS, LAMPS]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.updated();
    assert_eq!(bench.ask("observe /3303/0").code, Code::CONTENT);
    bench.hear("sensors/cellar/temperature", "8");
    bench.reload(&[LAMPS]);
    let why = bench.until(|event| match event {
        Event::NotObserving { path, why, .. } => Some(format!("{path} {why}")),
        _ => None,
    });
    assert!(why.starts_with("/3303/0") && why.contains("4.04"), "{why}");
    let snapshot = bench.core.snapshot(bench.now);
    bench.expect_balanced_books();
    assert_eq!((snapshot.books.pending, snapshot.servers[0].observations), (0, 0));
}

#[test]
fn instances_keep_their_ids_whatever_comes_and_goes() {
    let mut bench = Bench::new(&[ROOMS, LAMPS]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.hear("sensors/attic/temperature", "8");
    bench.reload(&[LAMPS]);
    bench.reload(&[LAMPS, &ROOMS.replace("sensors/", "house/")]);
    bench.hear("house/attic/temperature", "9");
    bench.hear("house/cellar/temperature", "10");
    let attic = bench.ask("read /3303/1/5700");
    assert_eq!(format!("{:?}", attic.values[0].value), "Float(9.0)");
}

#[test]
fn an_instance_that_a_mapping_names_now_does_not_show_the_value_of_before() {
    let mut bench = Bench::new(&[&ROOMS.replace("5700", "5700\nmin_interval = \"1h\"")]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.hear("sensors/attic/temperature", "8");
    bench.hear("sensors/cellar/temperature", "9");
    bench.updated();
    let yard = "[[mappings]]\ntopic = \"yard\"\nobject = 3303\nresource = 5700\n";
    bench.reload(&[ROOMS, yard]);
    bench.updated();
    assert_eq!(bench.ask("read /3303/0").code, Code::NOT_FOUND);
    assert_eq!(bench.ask("read /3303/1/5700").code, Code::CONTENT);
    bench.expect_balanced_books();
    bench.hear("yard", "-3");
    let yard = bench.ask("read /3303/0/5700");
    assert_eq!(format!("{:?}", yard.values[0].value), "Float(-3.0)");
}

#[test]
fn one_resource_of_an_instance_may_go_and_the_instance_stay() {
    let mut bench = Bench::new(&[LAMPS]);
    bench.hear("lamps/21/state", "60");
    bench.hear("lamps/21/order", "50");
    let without = LAMPS.split_once("[[mappings]]\ntopic = \"lamps/{lamp}/order\"").unwrap().0;
    bench.reload(&[without]);
    assert_eq!(bench.ask("read /3416/0/1").code, Code::NOT_FOUND);
    assert_eq!(bench.ask("read /3416/0/3").code, Code::CONTENT);
}

#[test]
fn a_command_that_is_gone_is_not_allowed_and_what_waited_for_it_is_answered() {
    let mut bench = Bench::new(&[LAMPS]);
    bench.hear("lamps/21/state", "60");
    bench.hear("lamps/21/order", "50");
    let waiting = bench.order("write /3416/0/1 30");
    let (publish, topic) = bench.published[0].clone();
    assert_eq!(topic, "lamps/21/set");
    bench.reload(&[&LAMPS.replace("command = { topic = \"lamps/{lamp}/set\" }", "")]);
    assert_eq!(bench.answer(waiting).code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(bench.withdrawn, [publish]);
    bench.core.handle(Input::Published(publish), bench.now);
    assert_eq!(bench.ask("write /3416/0/1 30").code, Code::METHOD_NOT_ALLOWED);
    let order = bench.ask("read /3416/0/1");
    assert_eq!(format!("{:?}", order.values[0].value), "Integer(50)");
}

#[test]
fn the_same_mappings_again_change_nothing() {
    let mut bench = Bench::new(&[ROOMS, LAMPS]);
    bench.hear("sensors/cellar/temperature", "7");
    bench.hear("lamps/21/order", "50");
    bench.updated();
    let waiting = bench.order("write /3416/0/1 30");
    let before = bench.core.next_deadline();
    bench.reload(&[ROOMS, LAMPS]);
    assert_eq!(bench.core.next_deadline(), before);
    let publish = bench.published[0].0;
    bench.core.handle(Input::Published(publish), bench.now);
    assert_eq!(bench.answer(waiting).code, Code::CHANGED);
    assert_eq!(bench.ask("read /3303/0/5700").code, Code::CONTENT);
}
