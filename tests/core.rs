//! The core on the kernel's UDP, hand to hand with the lab's server: what the world, which has a modem, does not show.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nbgate::bridge::message::{AckHandle, Message};
use nbgate::clock::{Deadline, UnixTime};
use nbgate::coap::Code;
use nbgate::config;
use nbgate::gateway::core::Core;
use nbgate::gateway::io::{Input, Output};
use nbgate::gateway::settings::Host;
use nbgate::gateway::snapshot::ValueStatus;
use nbgate::lab::server::{Answer, Event, Order, Server, Settings};
use nbgate::link::clock;
use nbgate::lwm2m::client::HostFacts;
use nbgate::lwm2m::{Path, Value};
use nbgate::net::{Datagram, Peer};
use nbgate::persist;
use nbgate::seed::Seed;

const SERVER: &str = "192.0.2.1:5683";
const GATEWAY: &str = "192.0.2.2:40000";

/// A core and a server, a wire between them, and the clock.
struct Bench {
    core: Core,
    server: Server,
    now: Instant,
    /// What the core sent.
    sent: Vec<Vec<u8>>,
    /// Topics that it published to.
    published: Vec<String>,
    statuses: Vec<String>,
}

impl Bench {
    fn new(host: Host) -> Self {
        Self::with_mappings(host, "")
    }

    fn with_mappings(host: Host, mappings: &str) -> Self {
        let text = format!(
            "uplink = \"udp\"\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
             [[lwm2m.servers]]\nuri = \"coap://{SERVER}\"\n{mappings}"
        );
        let now = clock::now();
        let settings = config::parse(&text, host).unwrap().gateway;
        let mut core = Core::new(settings, Seed::new(1), now);
        core.handle(Input::Store(persist::Answer::nothing_kept()), now);
        Self {
            core,
            server: Server::new(Settings::default(), Seed::new(2)),
            now,
            sent: vec![],
            published: vec![],
            statuses: vec![],
        }
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
                if let Output::Publish(id, message) = output {
                    self.published.push(message.topic);
                    self.core.handle(Input::Published(id), self.now);
                } else if let Output::Status(status) = output {
                    self.statuses.push(status);
                } else if let Output::Datagram(outgoing) = output {
                    self.core.handle(Input::DatagramSent(outgoing.id), self.now);
                    let payload = outgoing.datagram.payload;
                    self.sent.push(payload.clone());
                    self.server.handle_datagram(Datagram { peer: peer(GATEWAY), payload }, self.now);
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

    fn registered(&mut self) {
        self.until(|event| matches!(event, Event::Registered { .. }).then_some(()));
    }

    /// The answer to one line of the server's commands.
    fn ask(&mut self, line: &str) -> Answer {
        let asked = self.server.command(line.parse::<Order>().unwrap(), self.now);
        self.until(|event| match event {
            Event::Finished { command, outcome, .. } if *command == asked => Some(outcome.clone().unwrap()),
            _ => None,
        })
    }
}

#[test]
fn without_a_modem_object_3_is_this_machine() {
    let facts = HostFacts {
        manufacturer: Some("Raspberry Pi".into()),
        model: Some("Raspberry Pi 4 Model B Rev 1.4".into()),
        serial: Some("10000000abcdef01".into()),
        ..HostFacts::default()
    };
    let mut bench = Bench::new(Host { facts, ..Host::default() });
    bench.registered();
    let answer = bench.ask("read /3/0");
    for (resource, text) in
        [(0, "Raspberry Pi"), (1, "Raspberry Pi 4 Model B Rev 1.4"), (2, "10000000abcdef01")]
    {
        let found = answer.values.iter().find(|reading| reading.path.resource() == Some(resource));
        assert_eq!(found.map(|reading| &reading.value), Some(&Value::String(text.into())), "/3/0/{resource}");
    }
}

#[test]
fn observe_values_start_from_the_wall_clock() {
    // OBS-11: fresher than all of an earlier run, should a server go on with an old token.
    let mut bench = Bench::new(Host::default());
    bench.core.handle(Input::WallClock(UnixTime::from_secs(0x6955_b900)), bench.now);
    bench.registered();
    bench.ask("observe /3/0");
    // 2.05 with a token of four octets; its first option is Observe, number 6, three octets long.
    let content = bench.sent.iter().find(|octets| octets[1] == 0x45).unwrap();
    assert_eq!(content[8..12], [0x63, 0x55, 0xb9, 0x01]);
}

#[test]
fn a_server_that_disables_us_hears_nothing_and_is_not_heard_until_we_register_again() {
    // DER-02, EX-05, COAP-27
    let mut bench = Bench::new(Host::default());
    bench.registered();
    bench.ask("write /1/0/5 20");
    let disabled = bench.now;
    assert_eq!(bench.ask("execute /1/0/4").code, Code::CHANGED);
    bench.until(|event| matches!(event, Event::Deregistered { .. }).then_some(()));
    bench.exchange();
    let sent = bench.sent.len();
    // A Confirmable GET of /3/0, and a ping.
    for datagram in [vec![0x41, 0x01, 0x12, 0x34, 0xa1, 0xb1, b'3', 0x01, b'0'], vec![0x40, 0x00, 0x12, 0x35]]
    {
        let peer = Peer(SERVER.parse().unwrap());
        bench.core.handle(Input::Datagram(Datagram { peer, payload: datagram }), bench.now);
        bench.exchange();
    }
    assert_eq!(bench.sent.len(), sent);
    bench.registered();
    assert_eq!(bench.now - disabled, Duration::from_secs(20));
    assert_eq!(bench.sent.len(), sent + 1, "silence up to the Register");
    // It is heard again.
    assert!(bench.ask("read /3/0/16").code.is_success());
}

#[test]
fn an_execute_that_comes_twice_runs_once_and_is_answered_twice_ex_06() {
    const LAMP: &str = "[[mappings]]\ntopic = \"lamp\"\nobject = 3416\nresource = 3\ninstance = 0\n\
                        [[mappings]]\nobject = 3416\nresource = 16\ninstance = 0\n\
                        command = { topic = \"lamp/reset\", payload = \"{value}\" }\n";
    let mut bench = Bench::with_mappings(Host::default(), LAMP);
    bench.registered();
    bench.core.handle(Input::BrokerConnected, bench.now);
    let message = Message { topic: "lamp".into(), payload: b"20".to_vec(), retain: false };
    let acknowledgement = AckHandle { session: 1, packet_id: 1 };
    bench.core.handle(Input::Message { message, acknowledgement }, bench.now);
    bench.exchange();
    // CON POST /3416/0/16, Message ID 0x7777, without a token.
    let execute = [&[0x40, 0x02, 0x77, 0x77, 0xb4][..], b"3416\x010\x0216"].concat();
    for _ in 0..2 {
        let peer = Peer(SERVER.parse::<SocketAddr>().unwrap());
        bench.core.handle(Input::Datagram(Datagram { peer, payload: execute.clone() }), bench.now);
        bench.exchange();
    }
    let changed = [0x60, 0x44, 0x77, 0x77];
    assert_eq!(bench.sent.iter().filter(|sent| **sent == changed).count(), 2);
    assert_eq!(bench.published, ["lamp/reset"]);
}

#[test]
fn values_are_read_in_pages_with_what_their_instance_stands_for() {
    const ROOMS: &str = "[[mappings]]\ntopic = \"room/{room}\"\nobject = 3303\nresource = 5700\ninstance = \"{room}\"\nmax_instances = 1000\n";
    const COUNT: usize = 1000;
    let mut bench = Bench::with_mappings(Host::default(), ROOMS);
    bench.core.handle(Input::BrokerConnected, bench.now);
    for (payload, room) in (0..COUNT).map(|n| ("20", n.to_string())).chain([("warm", "7".to_owned())]) {
        let message = Message { topic: format!("room/{room}"), payload: payload.into(), retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id: 1 };
        bench.core.handle(Input::Message { message, acknowledgement }, bench.now);
        bench.exchange();
    }
    let mut all = vec![];
    loop {
        let page = bench.core.values(all.last().map(|value: &ValueStatus| value.path), 300);
        assert!(page.len() <= 300);
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_eq!((all.len(), &all[7].key, &all[7].value), (COUNT, &vec!["7".to_owned()], &Value::Float(20.0)));
    let later = bench.now + Duration::from_secs(60);
    assert_eq!(bench.core.snapshot(later).taken, later, "ages go on where nothing happens");
    let snapshot = bench.core.snapshot(bench.now);
    assert_eq!(
        (snapshot.values, snapshot.books.received, snapshot.books.refused),
        (COUNT, COUNT as u64 + 1, 1)
    );
    assert_eq!(snapshot.refusals.iter().map(|one| one.source.as_str()).collect::<Vec<_>>(), ["room/7"]);
    assert!(snapshot.broker.connected && snapshot.broker.since == Some(bench.now));
}

#[test]
fn values_that_a_mapping_holds_back_end_in_the_books_too() {
    const TANK: &str = "[[mappings]]\ntopic = \"tank\"\nobject = 3330\nresource = 5700\nunit = \"cm\"\nprecision = 0.01\n\
                        deadband = 0.05\nmin_interval = \"10s\"\n";
    let mut bench = Bench::with_mappings(Host::default(), TANK);
    bench.registered();
    let start = bench.now;
    let mut packet_id = 0;
    let mut tell = |bench: &mut Bench, seconds, payload: &str| {
        packet_id += 1;
        let message = Message { topic: "tank".into(), payload: payload.into(), retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id };
        let now = start + Duration::from_secs(seconds);
        bench.now = bench.now.max(now);
        bench.core.handle(Input::Message { message, acknowledgement }, bench.now);
        bench.exchange();
    };
    for (seconds, payload) in
        [(0, "100"), (1, "103 cm"), (2, "1,5 m"), (3, "1.625 m"), (4, "null"), (5, "nan")]
    {
        tell(&mut bench, seconds, payload);
    }
    assert_eq!(value(&mut bench), Value::Float(1.0));
    let books = bench.core.snapshot(bench.now).books;
    // 103 cm is too close, 1.5 m was overtaken, null and NaN are no samples.
    assert_eq!((books.received, books.dropped, books.superseded, books.refused), (4, 1, 1, 0));
    bench.now = bench.now.max(start + Duration::from_secs(10));
    bench.core.handle(Input::Tick, bench.now);
    bench.exchange();
    assert_eq!(value(&mut bench), Value::Float(1.63));
    let books = bench.core.snapshot(bench.now).books;
    assert_eq!((books.received, books.misfits), (4, 0));
    assert_eq!(books.pending + books.dropped + books.superseded + books.refused + books.reported, 4);
}

/// What the server reads of the tank.
fn value(bench: &mut Bench) -> Value {
    bench.ask("read gw /3330/0/5700").values.remove(0).value
}

#[test]
fn the_status_follows_the_registration_and_is_said_only_when_it_changes() {
    let mut bench = Bench::new(Host::default());
    bench.registered();
    bench.now += Duration::from_secs(2);
    bench.core.handle(Input::Tick, bench.now);
    bench.exchange();
    let registered = |status: &String| {
        let json: serde_json::Value = serde_json::from_str(status).unwrap();
        assert_eq!((&json["state"], &json["servers"]), (&"online".into(), &1.into()), "{status}");
        json["registered"].as_u64().unwrap()
    };
    assert_eq!(bench.statuses.iter().map(registered).collect::<Vec<_>>(), [0, 1]);
    bench.ask("read /3/0");
    bench.now += Duration::from_secs(2);
    bench.core.handle(Input::Tick, bench.now);
    bench.exchange();
    assert_eq!(bench.statuses.len(), 2);
}

#[test]
fn every_mapping_tells_what_came_last_and_one_that_heard_nothing_is_there_too() {
    const TWO: &str = "[[mappings]]\ntopic = \"room/{room}\"\nobject = 3303\nresource = 5700\ninstance = \"{room}\"\n\
                       [[mappings]]\ntopic = \"yard\"\nobject = 3304\nresource = 5700\n";
    let mut bench = Bench::with_mappings(Host::default(), TWO);
    bench.core.handle(Input::BrokerConnected, bench.now);
    for (payload, topic) in [("20", "room/a"), ("21.5", "room/b"), ("warm", "room/b")] {
        let message = Message { topic: topic.to_owned(), payload: payload.into(), retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id: 1 };
        bench.core.handle(Input::Message { message, acknowledgement }, bench.now);
        bench.exchange();
    }
    let all = bench.core.mappings(0, 10);
    let [rooms, yard] = &all[..] else { panic!("{all:?}") };
    let told = (rooms.mapping.topic.as_str(), rooms.mapping.values, rooms.mapping.refused);
    assert_eq!(told, ("room/{room}", 2, 1));
    assert_eq!(rooms.mapping.last, Some((Path::resource_of(3303, 1, 5700), bench.now)));
    assert_eq!(rooms.value, Some(Value::Float(21.5)));
    assert_eq!((yard.mapping.number, yard.mapping.values, yard.mapping.last), (1, 0, None));
    assert_eq!(bench.core.mappings(1, 10), all[1..]);
    assert_eq!(bench.core.snapshot(bench.now).mappings, 2);
}
