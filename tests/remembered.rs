//! Instances over several lives of the gateway: the core, the lab's store and the lab's server under a virtual clock; and the
//! binary with a real database and kernel UDP, against the clock on the wall.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nbgate::bridge::message::{AckHandle, Message};
use nbgate::clock::{Deadline, UnixTime};
use nbgate::config;
use nbgate::gateway::core::Core;
use nbgate::gateway::io::{Input, Output};
use nbgate::gateway::settings::Host;
use nbgate::lab::server::{Event, Server, Settings};
use nbgate::lab::{server_edge, store};
use nbgate::link::clock;
use nbgate::lwm2m::path::Path;
use nbgate::lwm2m::value::Value;
use nbgate::net::{Datagram, Peer};
use nbgate::persist::{Answer, Instance, Request, Write};
use nbgate::seed::Seed;
use nbgate::store::Store;

const SERVER: &str = "192.0.2.1:5683";
const GATEWAY: &str = "192.0.2.2:40000";
const BEGINNING: UnixTime = UnixTime::from_secs(1_767_225_600);
const DAY: Duration = Duration::from_secs(86_400);

const ROOMS: &str =
    "[[mappings]]\ntopic = \"rooms/{room}\"\nobject = 3303\nresource = 5700\ninstance = \"{room}\"\n";
const YARD: &str =
    "[[mappings]]\ntopic = \"yard/{dev}\"\nobject = 3304\nresource = 5700\ninstance = \"{dev}\"\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A gateway that dies and comes back, and what outlives it.
struct House {
    core: Core,
    server: Server,
    store: store::Store,
    start: Instant,
    now: Instant,
    lives: u64,
    stopped: bool,
}

impl House {
    fn new(mappings: &str) -> Self {
        Self::with_store(mappings, store::Settings::default())
    }

    fn with_store(mappings: &str, store: store::Settings) -> Self {
        let now = clock::now();
        let core = Core::new(settings(mappings), Seed::new(0), now);
        let server = Server::new(Settings::default(), Seed::new(99));
        let store = store::Store::new(store);
        let mut house = Self { core, server, store, start: now, now, lives: 0, stopped: false };
        house.begin();
        house
    }

    fn begin(&mut self) {
        let wall = BEGINNING.plus(self.now - self.start);
        self.core.handle(Input::WallClock(wall), self.now);
        self.core.handle(Input::BrokerConnected, self.now);
    }

    /// Power comes back after a cut, perhaps with another configuration.
    fn power_cut(&mut self, mappings: &str) {
        self.store.power_cut();
        self.lives += 1;
        self.core = Core::new(settings(mappings), Seed::new(self.lives), self.now);
        self.stopped = false;
        self.begin();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            while self.server.poll_event().is_some() {}
            let of_models = Deadline::sooner(self.server.poll_timeout(), self.store.poll_timeout());
            let next = Deadline::sooner(self.core.next_deadline(), of_models);
            let Some(next) = next.filter(|next| next.at <= end && !self.stopped) else { break };
            self.now = self.now.max(next.at);
            self.core.handle(Input::Tick, self.now);
            self.server.handle_timeout(self.now);
            self.store.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn exchange(&mut self) {
        let peer = |address: &str| Peer(address.parse::<SocketAddr>().unwrap());
        loop {
            if let Some(output) = self.core.poll() {
                match output {
                    Output::Store(request) => self.store.handle_request(request, self.now),
                    Output::Datagram(outgoing) => {
                        self.core.handle(Input::DatagramSent(outgoing.id), self.now);
                        let payload = outgoing.datagram.payload;
                        self.server.handle_datagram(Datagram { peer: peer(GATEWAY), payload }, self.now);
                    }
                    Output::Stopped => self.stopped = true,
                    _ => {}
                }
            } else if let Some(answer) = self.store.poll_answer() {
                self.core.handle(Input::Store(answer), self.now);
            } else if let Some(outgoing) = self.server.poll_transmit(self.now) {
                self.server.handle_sent(outgoing.id, self.now);
                let payload = outgoing.datagram.payload;
                self.core.handle(Input::Datagram(Datagram { peer: peer(SERVER), payload }), self.now);
            } else {
                return;
            }
        }
    }

    fn publish(&mut self, topic: &str, value: f64) {
        assert!(self.core.takes_messages());
        let message =
            Message { topic: topic.to_owned(), payload: value.to_string().into_bytes(), retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id: 1 };
        self.core.handle(Input::Message { message, acknowledgement }, self.now);
        self.exchange();
    }

    /// The instances of mapped objects that the server knows of.
    fn listed(&self) -> Vec<String> {
        let registration = self.server.registrations().next().unwrap();
        let objects = &registration.objects().objects;
        let mapped = objects.iter().filter(|(id, _)| **id > 3000);
        mapped.flat_map(|(id, of)| of.instances.iter().map(move |at| format!("/{id}/{at}"))).collect()
    }

    fn value(&self, object: u16, instance: u16) -> Option<f64> {
        let registration = self.server.registrations().next()?;
        match registration.value(Path::resource_of(object, instance, 5700))? {
            Value::Float(value) => Some(*value),
            other => panic!("{other:?}"),
        }
    }

    /// Keys of what a power cut would leave.
    fn kept(&self) -> Vec<String> {
        let instances = self.store.contents().instances;
        instances.iter().map(|of| format!("/{}/{} {}", of.object, of.id, of.key.join("/"))).collect()
    }
}

fn settings(mappings: &str) -> nbgate::gateway::settings::Settings {
    let text = format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://{SERVER}\"\n{mappings}"
    );
    config::parse(&text, Host::default()).unwrap().gateway
}

#[test]
fn ids_stay_over_a_power_cut_whatever_order_the_topics_come_in() {
    let mut house = House::new(ROOMS);
    house.run(secs(1));
    for (room, celsius) in [("cellar", 7.0), ("attic", 27.0), ("hall", 17.0)] {
        house.publish(&format!("rooms/{room}"), celsius);
    }
    house.run(secs(10));
    assert_eq!(house.listed(), ["/3303/0", "/3303/1", "/3303/2"]);
    house.power_cut(ROOMS);
    house.run(secs(1));
    // Known from before: in the very first Register, without values.
    assert_eq!(house.listed(), ["/3303/0", "/3303/1", "/3303/2"]);
    assert_eq!(house.value(3303, 0), None);
    for (room, celsius) in [("yard", -3.0), ("hall", 18.0), ("attic", 28.0), ("cellar", 8.0)] {
        house.publish(&format!("rooms/{room}"), celsius);
    }
    house.run(secs(10));
    let values = [0, 1, 2, 3].map(|id| house.value(3303, id).unwrap());
    assert_eq!(values, [8.0, 28.0, 18.0, -3.0]);
    assert_eq!(house.core.store().restored, 3);
}

#[test]
fn a_power_cut_loses_what_was_not_committed_and_nothing_else() {
    let slow = store::Settings { commit_takes: secs(30), ..store::Settings::default() };
    let mut house = House::with_store(ROOMS, slow);
    house.run(secs(1));
    house.publish("rooms/a", 1.0);
    house.run(secs(60));
    house.publish("rooms/b", 2.0);
    house.run(secs(10));
    house.power_cut(ROOMS);
    house.run(secs(1));
    assert_eq!((house.kept(), house.listed()), (vec!["/3303/0 a".to_owned()], vec!["/3303/0".to_owned()]));
    house.publish("rooms/c", 3.0);
    house.publish("rooms/a", 4.0);
    house.run(secs(60));
    assert_eq!(house.kept(), ["/3303/0 a", "/3303/1 c"]);
}

#[test]
fn a_new_instance_is_on_disk_before_the_update_that_announces_it() {
    let mut house = House::new(ROOMS);
    house.run(secs(5));
    house.publish("rooms/a", 1.0);
    while house.listed().is_empty() {
        house.run(Duration::from_millis(10));
    }
    assert_eq!(house.kept(), ["/3303/0 a"]);
}

#[test]
fn a_store_that_fails_delays_nothing_and_is_caught_up_with() {
    let mut house = House::new(ROOMS);
    house.run(secs(1));
    house.store.set_failing(true);
    house.publish("rooms/a", 1.0);
    house.publish("rooms/b", 2.0);
    house.run(secs(120));
    assert_eq!((house.listed().len(), house.value(3303, 1)), (2, Some(2.0)));
    let status = house.core.store();
    assert_eq!((status.trouble.as_deref(), status.waiting), (Some("the disk is full"), 2));
    house.store.set_failing(false);
    house.run(secs(600));
    assert_eq!(house.kept().len(), 2);
    assert_eq!((house.core.store().trouble, house.core.store().waiting), (None, 0));
}

#[test]
fn a_stop_waits_for_the_last_batch_but_not_for_a_store_that_hangs() {
    for (commit_takes, kept) in [(Duration::from_millis(1500), 1), (secs(3600), 0)] {
        let mut house =
            House::with_store(ROOMS, store::Settings { commit_takes, ..store::Settings::default() });
        house.run(secs(1));
        house.publish("rooms/a", 1.0);
        house.core.handle(Input::Stop, house.now);
        house.run(secs(5));
        assert!(house.stopped, "commits take {commit_takes:?}");
        assert_eq!(house.kept().len(), kept);
    }
}

#[test]
fn a_store_that_does_not_answer_holds_the_registration_up_for_5_s_and_its_late_answer_still_counts() {
    let mut house = House::with_store(ROOMS, store::Settings::default());
    house.run(secs(1));
    house.publish("rooms/a", 1.0);
    house.publish("rooms/b", 2.0);
    house.run(secs(10));
    let contents = house.store.contents();
    let hung = store::Settings { load_takes: secs(60), ..store::Settings::default() };
    let mut house = House::with_store(ROOMS, hung);
    house.store = filled(hung, &contents.instances);
    house.run(Duration::from_millis(4900));
    assert!(house.server.registrations().next().is_none() && !house.core.takes_messages());
    house.run(Duration::from_millis(200));
    assert!(house.listed().is_empty());
    // Without memory this gets the ID that was another's, and keeps it.
    house.publish("rooms/new", 9.0);
    house.run(secs(100));
    assert_eq!(house.listed(), ["/3303/0", "/3303/1"]);
    house.publish("rooms/a", 3.0);
    house.publish("rooms/b", 4.0);
    house.run(secs(100));
    assert_eq!([0, 1, 2].map(|id| house.value(3303, id)), [Some(9.0), Some(4.0), Some(3.0)]);
    assert_eq!(house.kept(), ["/3303/0 new", "/3303/1 b", "/3303/2 a"]);
}

/// A store with these instances.
fn filled(settings: store::Settings, instances: &[Instance]) -> store::Store {
    let mut store = store::Store::new(settings);
    let writes = instances.iter().cloned().map(Write::Instance).collect();
    let now = clock::now();
    store.handle_request(Request::Write { batch: 0, writes }, now);
    store.handle_timeout(now + secs(1));
    assert!(store.poll_answer().is_some());
    store
}

#[test]
fn what_a_mapping_that_is_gone_had_comes_back_with_it() {
    let both = format!("{YARD}{ROOMS}");
    let mut house = House::new(&both);
    house.run(secs(1));
    house.publish("yard/lamp", 1.0);
    house.publish("rooms/a", 2.0);
    house.run(secs(10));
    house.power_cut(ROOMS);
    house.run(secs(10));
    assert_eq!((house.listed(), house.kept().len()), (vec!["/3303/0".to_owned()], 2));
    house.power_cut(&both);
    house.run(secs(10));
    assert_eq!(house.listed(), ["/3303/0", "/3304/0"]);
    // The same without a restart.
    let mut others = |mappings: &str| {
        house.core.handle(Input::Reload(Box::new(settings(mappings).mappings)), house.now);
        house.run(secs(10));
        house.listed()
    };
    assert_eq!(others(ROOMS), ["/3303/0"]);
    assert_eq!(others(&both), ["/3303/0", "/3304/0"]);
}

#[test]
fn who_is_silent_for_longer_than_forget_after_leaves_tree_table_and_registration() {
    let forgetful = format!("{ROOMS}forget_after = \"30days\"\n");
    let mut house = House::new(&forgetful);
    house.run(secs(1));
    house.publish("rooms/silent", 1.0);
    house.publish("rooms/loud", 2.0);
    for day in 0..30_u8 {
        house.run(DAY);
        house.publish("rooms/loud", f64::from(day));
    }
    assert_eq!(house.listed(), ["/3303/0", "/3303/1"]);
    house.run(DAY + DAY);
    assert_eq!((house.listed(), house.kept()), (vec!["/3303/1".to_owned()], vec!["/3303/1 loud".to_owned()]));
    assert!(house.core.books().balance());
    // After a winter without power everybody gets a day to speak up.
    house.now += DAY * 90;
    house.power_cut(&forgetful);
    house.run(DAY - secs(1));
    assert_eq!(house.listed(), ["/3303/1"]);
    house.run(secs(3600));
    assert!(house.listed().is_empty() && house.kept().is_empty());
}

#[test]
fn a_fleet_that_does_not_change_is_written_once_a_day() {
    let mut house = House::new(ROOMS);
    house.run(secs(1));
    for hour in 0..96 {
        for room in 0..50 {
            house.publish(&format!("rooms/{room}"), f64::from(hour));
        }
        house.run(secs(3600));
    }
    let status = house.core.store();
    assert!(house.store.commits() <= 8, "{status:?}");
    assert!(status.writes <= 5 * 50, "{status:?}");
}

// ---- the binary, against the clock on the wall

/// Killed when the test ends.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const REMEMBERED: u16 = 1_000;
/// An unoptimised build on a machine that builds others meanwhile gets more.
const REGISTERED_WITHIN: Duration = if cfg!(debug_assertions) { secs_const(20) } else { secs_const(1) };

const fn secs_const(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_thousand_remembered_instances_are_registered_within_a_second_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fill(&state);
    let server = Server::new(Settings { observe: false, ..Settings::default() }, Seed::new(1));
    let mut edge = server_edge::Edge::bind("127.0.0.1:0".parse().unwrap(), server, clock::now).await.unwrap();
    let file = folder.path().join("nbgate.toml");
    let text = format!(
        "uplink = \"udp\"\nstate_dir = {state:?}\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://{}\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n{ROOMS}max_instances = 1000\n",
        edge.local_address().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let started = clock::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbgate"));
    command.args(["run", "--config", file.to_str().unwrap()]).stdin(Stdio::null()).stderr(Stdio::null());
    let _gateway = Gateway(command.env_remove("STATE_DIRECTORY").spawn().unwrap());
    let registered = tokio::time::timeout_at((started + secs(60)).into(), async {
        while !matches!(edge.next().await.unwrap(), Event::Registered { .. }) {}
    });
    registered.await.unwrap();
    let took = clock::now() - started;
    println!("{REMEMBERED} remembered instances: registered {took:?} after the start");
    let objects = &edge.server().registrations().next().unwrap().objects().objects;
    let listed: BTreeSet<u16> = objects[&3303].instances.iter().copied().collect();
    assert_eq!(listed, (0..REMEMBERED).collect());
    assert!(took < REGISTERED_WITHIN, "{took:?}");
}

/// A database as an earlier run would have left it.
fn fill(folder: &std::path::Path) {
    let (told, answers) = channel();
    let store =
        Store::start(folder.to_owned(), clock::unix_time, move |answer| drop(told.send(answer))).unwrap();
    assert_eq!(store.ask(Request::Load), None);
    assert!(matches!(answers.recv_timeout(secs(30)), Ok(Answer::Loaded { .. })));
    let instance = |id: u16| {
        Write::Instance(Instance {
            object: 3303,
            id,
            key: vec![format!("room {id}")],
            sources: vec!["rooms/+ 1".to_owned()],
            first_seen: None,
            last_seen: None,
        })
    };
    assert_eq!(store.ask(Request::Write { batch: 1, writes: (0..REMEMBERED).map(instance).collect() }), None);
    assert_eq!(answers.recv_timeout(secs(30)), Ok(Answer::Committed { batch: 1 }));
    drop(store);
    assert!(answers.recv_timeout(secs(30)).is_err(), "the database is closed");
}
