//! The server against a client that is scripted on the project's own endpoint, without a link between them.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::coap::ObservationId;
use crate::lwm2m::value::{Content, Value};

const SERVER: Peer = peer(1);
/// `/3303/0/5700` = 22.5, `/3303/0/5701` = "Cel".
const TEMPERATURE: &[u8] =
    &[8, 0, 13, 0xe4, 0x16, 0x44, 0x41, 0xb4, 0, 0, 0xe3, 0x16, 0x45, b'C', b'e', b'l'];

const fn peer(host: u8) -> Peer {
    Peer(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5683))
}

fn t0() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    Instant::now()
}

/// The server and one client; what either sends arrives at once.
struct Bench {
    server: Server,
    client: Endpoint,
    client_peer: Peer,
    now: Instant,
    /// Requests of the server, answered ones too.
    asked: Vec<Request>,
    observations: Vec<ObservationId>,
    ended: Vec<ObservationId>,
    answers: Vec<Response>,
    events: Vec<Event>,
    exchanges: u64,
    /// The client takes nothing and says nothing.
    deaf: bool,
}

impl Bench {
    fn new() -> Self {
        Self {
            server: Server::new(Settings::default(), Seed::new(1)),
            client: Endpoint::new(coap::Params::lan(), Seed::new(2)),
            client_peer: peer(2),
            now: t0(),
            asked: vec![],
            observations: vec![],
            ended: vec![],
            answers: vec![],
            events: vec![],
            exchanges: 0,
            deaf: false,
        }
    }

    /// Registered, and all observations running.
    fn registered() -> Self {
        let mut bench = Self::new();
        bench.register("lt=300");
        bench.pass(Duration::from_secs(1));
        bench
    }

    fn register(&mut self, query: &str) -> Response {
        let mut request = Request::new(Method::Post, vec!["rd".into()]);
        request.query = format!("lwm2m=1.1&ep=gw1&{query}").split('&').map(str::to_owned).collect();
        request.content_format = Some(40);
        request.payload = b"</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>,</3416/0>".to_vec();
        self.client_asks(request)
    }

    fn at_location(&mut self, method: Method, query: &str, payload: &str) -> Response {
        let location = self.server.registration("gw1").map_or("none", Registration::location).to_owned();
        let mut request = Request::new(method, vec!["rd".into(), location]);
        request.query = query.split('&').filter(|item| !item.is_empty()).map(str::to_owned).collect();
        request.content_format = (!payload.is_empty()).then_some(40);
        request.payload = payload.as_bytes().to_vec();
        self.client_asks(request)
    }

    fn client_asks(&mut self, request: Request) -> Response {
        self.exchanges += 1;
        let (exchange, peer, priority) = (ExchangeId(self.exchanges), SERVER, Priority::Ordinary);
        self.client.handle_action(Action::Request { exchange, peer, request, priority }, self.now);
        self.run();
        self.answers.pop().unwrap()
    }

    fn command(&mut self, line: &str) -> Result<Answer, CommandError> {
        let id = self.server.command(line.parse().unwrap(), self.now);
        self.run();
        let finished = self.events.iter().rev().find_map(|event| match event {
            Event::Finished { command, outcome, .. } if *command == id => Some(outcome.clone()),
            _ => None,
        });
        finished.unwrap()
    }

    fn notify(&mut self, observation: ObservationId, payload: &[u8]) {
        self.exchanges += 1;
        let response = Response::content(11542, payload.to_vec());
        let notification = coap::NotificationId(self.exchanges);
        let action = Action::Notify { notification, observation, response, confirmable: true };
        self.client.handle_action(action, self.now);
        self.run();
    }

    /// Lets time pass in steps of a second.
    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.now += Duration::from_secs(1);
            self.server.handle_timeout(self.now);
            if !self.deaf {
                self.client.handle_timeout(self.now);
            }
            self.run();
        }
    }

    /// Carries datagrams to and fro until nobody has anything to say.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(outgoing) = self.server.poll_transmit(self.now) {
                quiet = false;
                self.server.handle_sent(outgoing.id, self.now);
                if outgoing.datagram.peer == self.client_peer && !self.deaf {
                    let datagram = Datagram { peer: SERVER, payload: outgoing.datagram.payload };
                    self.client.handle_datagram(datagram, self.now);
                }
            }
            while let Some(event) = self.client.poll_event() {
                quiet = false;
                self.handle_client_event(event);
            }
            while let Some(outgoing) = self.client.poll_transmit(self.now) {
                quiet = false;
                self.client.handle_sent(outgoing.id, self.now);
                let datagram = Datagram { peer: self.client_peer, payload: outgoing.datagram.payload };
                self.server.handle_datagram(datagram, self.now);
            }
            while let Some(event) = self.server.poll_event() {
                self.events.push(event);
            }
            if quiet {
                return;
            }
        }
    }

    fn handle_client_event(&mut self, event: coap::Event) {
        match event {
            coap::Event::Request { id, request, .. } => {
                let path = request.path.join("/");
                let response = match (request.method, path.as_str()) {
                    (Method::Get, "3303") => Response::content(11542, TEMPERATURE.to_vec()),
                    (Method::Get, "3416") => Response::new(Code::NOT_FOUND),
                    (Method::Get, "3/0") if request.accept == Some(40) => {
                        Response::content(40, b"</3/0>,</3/0/9>;pmin=5".to_vec())
                    }
                    (Method::Get, "3/0/9") => Response::content(0, b"95".to_vec()),
                    (Method::Put | Method::Post, _) => Response::new(Code::CHANGED),
                    _ => Response::new(Code::NOT_FOUND),
                };
                self.asked.push(request);
                let action = Action::Respond { request: id, response, accept_observation: true };
                self.client.handle_action(action, self.now);
            }
            coap::Event::Response { response, .. } => self.answers.push(response),
            coap::Event::ObservationStarted { id, .. } => self.observations.push(id),
            coap::Event::ObservationEnded { id, .. } | coap::Event::ObservationRejected { id } => {
                self.ended.push(id)
            }
            _ => {}
        }
    }

    fn observes(&self) -> Vec<String> {
        let observes = self.asked.iter().filter(|request| request.observe == Some(0));
        observes.map(|request| request.path.join("/")).collect()
    }

    fn values(&self) -> Vec<&Reading> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Value(reading) => Some(reading),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn an_opening_asks_everything_at_once_and_judges_each_answer() {
    let mut bench = Bench::new();
    let rules = Rules { version_optional: true, imei_and_imsi: false };
    bench.server = Server::new(Settings { rules, ..Settings::default().for_onenet() }, Seed::new(1));
    bench.register("lt=300");
    let mut opening = Opening::new(bench.server.registration("gw1").unwrap());
    while let Some(order) = opening.next_order() {
        let id = bench.server.command(order, bench.now);
        opening.asked(id, bench.now);
    }
    assert!(!opening.is_over() && bench.asked.is_empty());
    bench.run();
    // Server, device, and two mapped objects.
    let accepted: Vec<_> = bench.asked.iter().map(|request| request.accept.unwrap()).collect();
    assert_eq!(accepted, [40, 40, 40, 40, 1542, 1542, 1542, 1542, 1542]);
    for event in std::mem::take(&mut bench.events) {
        opening.handle_event(&event, bench.now);
    }
    assert!(opening.is_over() && !opening.passed());
    let end = |what: &str| &opening.steps().iter().find(|step| step.what == what).unwrap().end;
    assert_eq!(*end("read /3/0 old-tlv"), End::Bad("answered 4.04".into()));
    assert_eq!(*end("observe /1/0 old-tlv"), End::Bad("answered 4.04".into()));
    assert_eq!(*end("discover /3"), End::Bad("answered 4.04".into()));
    opening.go_on(bench.server.registration("gw1").unwrap().objects());
    assert!(opening.is_over(), "nothing is new");
    bench.at_location(Method::Post, "", "</1/0>,</3/0>,</3303/0>,</3303/1>,</3416/0>");
    opening.go_on(bench.server.registration("gw1").unwrap().objects());
    let order = opening.next_order().unwrap();
    assert_eq!(order.command.to_string(), "observe /3303/1 old-tlv");
}

#[test]
fn register_is_answered_with_a_location_and_mapped_objects_are_observed_after_it() {
    let mut bench = Bench::new();
    let answer = bench.register("lt=300");
    assert_eq!(answer.code, Code::CREATED);
    let location = bench.server.registration("gw1").unwrap().location().to_owned();
    assert_eq!(answer.location_path, ["rd".to_owned(), location]);
    assert!(bench.observes().is_empty(), "the client has its answer first");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.observes(), ["3303", "3416"]);
    assert!(bench.asked.iter().all(|request| request.accept == Some(112)));
    let path = Path::object_only(3303);
    assert!(bench.events.contains(&Event::Observing { endpoint: "gw1".into(), path }));
    let refused =
        |event: &Event| matches!(event, Event::NotObserving { path, .. } if *path == Path::object_only(3416));
    assert!(bench.events.iter().any(refused));
}

#[test]
fn values_come_with_names_units_and_whether_they_changed() {
    let mut bench = Bench::registered();
    let first = bench.values()[0].clone();
    assert_eq!((first.path, first.value), (Path::resource_of(3303, 0, 5700), Value::Float(22.5)));
    assert_eq!((first.object, first.resource), ("Temperature", "Sensor Value"));
    assert_eq!((first.unit.as_deref(), first.changed), (Some("Cel"), true));
    bench.events.clear();
    let observation = bench.observations[0];
    bench.notify(observation, &[7, 0, 0xe4, 0x16, 0x44, 0x41, 0xb4, 0, 0]);
    bench.notify(observation, &[7, 0, 0xe4, 0x16, 0x44, 0xc0, 0x80, 0, 0]);
    let seen: Vec<_> =
        bench.values().iter().map(|reading| (reading.value.clone(), reading.changed)).collect();
    assert_eq!(seen, [(Value::Float(22.5), false), (Value::Float(-4.0), true)]);
    let kept = bench.server.registration("gw1").unwrap().value(Path::resource_of(3303, 0, 5700));
    assert_eq!(kept, Some(&Value::Float(-4.0)));
}

#[test]
fn a_notification_that_is_no_tlv_is_told_and_the_observation_goes_on() {
    let mut bench = Bench::registered();
    let observation = bench.observations[0];
    bench.notify(observation, &[0xff]);
    assert!(matches!(bench.events.last(), Some(Event::Unreadable { .. })));
    bench.notify(observation, TEMPERATURE);
    assert!(matches!(bench.events.last(), Some(Event::Value(_))));
}

#[test]
fn an_update_keeps_observations_and_asks_again_for_refused_ones() {
    let mut bench = Bench::registered();
    bench.asked.clear();
    assert_eq!(bench.at_location(Method::Post, "lt=100", "").code, Code::CHANGED);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.observes(), ["3416"]);
    assert_eq!(bench.server.registration("gw1").unwrap().lifetime(), Duration::from_secs(100));
    assert!(bench.ended.is_empty());
    bench.at_location(Method::Post, "", "</1/0>,</3/0>,</3303/0>,</3303/1>,</3304/0>");
    assert_eq!(bench.observes(), ["3416", "3304"]);
}

#[test]
fn register_again_gives_a_new_location_and_observes_anew() {
    let mut bench = Bench::registered();
    let old = bench.server.registration("gw1").unwrap().location().to_owned();
    bench.asked.clear();
    bench.register("lt=300");
    assert!(bench.events.iter().any(|event| matches!(event, Event::Registered { again: true, .. })));
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.observes(), ["3303", "3416"]);
    let mut request = Request::new(Method::Post, vec!["rd".into(), old]);
    request.query = vec!["lt=60".into()];
    assert_eq!(bench.client_asks(request).code, Code::NOT_FOUND);
    // What runs under the old token meets RST.
    let (first, second) = (bench.observations[0], bench.observations[1]);
    bench.notify(first, TEMPERATURE);
    bench.notify(second, TEMPERATURE);
    assert_eq!(bench.ended, [first]);
}

#[test]
fn a_client_is_followed_to_a_new_address_by_register_and_by_update() {
    let mut bench = Bench::registered();
    bench.asked.clear();
    bench.client_peer = peer(3);
    bench.register("lt=300");
    bench.pass(Duration::from_secs(1));
    assert_eq!((bench.server.registration("gw1").unwrap().peer(), bench.observes().len()), (peer(3), 2));
    bench.client_peer = peer(4);
    bench.at_location(Method::Post, "", "");
    assert_eq!((bench.server.registration("gw1").unwrap().peer(), bench.observes().len()), (peer(4), 4));
    let latest = *bench.observations.last().unwrap();
    bench.events.clear();
    bench.notify(latest, TEMPERATURE);
    assert_eq!(bench.values().len(), 2);
}

#[test]
fn deregister_and_the_end_of_the_lifetime_end_a_registration() {
    let mut bench = Bench::registered();
    assert_eq!(bench.at_location(Method::Delete, "", "").code, Code::DELETED);
    assert_eq!(bench.at_location(Method::Delete, "", "").code, Code::NOT_FOUND);
    assert!(bench.server.registration("gw1").is_none());
    bench.register("lt=10");
    bench.pass(Duration::from_secs(9));
    assert!(bench.server.registration("gw1").is_some());
    bench.pass(Duration::from_secs(1));
    assert!(matches!(bench.events.last(), Some(Event::Expired { .. })));
    assert!(bench.server.registration("gw1").is_none());
}

#[test]
fn commands_ask_the_client_and_end_with_its_answer() {
    let mut bench = Bench::registered();
    let read = bench.command("read gw1 /3/0/9").unwrap();
    assert_eq!((read.code, &read.values[0].value), (Code::CONTENT, &Value::Integer(95)));
    assert_eq!((read.values[0].resource, read.values[0].unit.as_deref()), ("Battery Level", Some("%")));
    assert_eq!(bench.command("read /3/0/99").unwrap().code, Code::NOT_FOUND);
    assert_eq!(bench.command("write /3416/0/1 40").unwrap().code, Code::CHANGED);
    let written = bench.asked.last().unwrap();
    assert_eq!((written.content_format, &written.payload[..]), (Some(0), &b"40"[..]));
    assert_eq!(bench.command("execute /3/0/4").unwrap().code, Code::CHANGED);
    assert_eq!(bench.command("discover /3/0").unwrap().links[1].attribute("pmin"), Some("5"));
    assert_eq!(bench.command("observe /3/0/9").unwrap().values.len(), 1);
}

#[test]
fn commands_that_cannot_be_asked_end_at_once() {
    let mut bench = Bench::new();
    assert!(matches!(bench.command("read /3/0"), Err(CommandError::Endpoint(_))));
    bench.register("lt=300");
    assert!(matches!(bench.command("read gw2 /3/0"), Err(CommandError::Endpoint(_))));
    assert!(matches!(bench.command("write /3416/0/1 bright"), Err(CommandError::Codec(_))));
    assert_eq!(bench.command("cancel /3303"), Err(CommandError::NotObserved(Path::object_only(3303))));
}

#[test]
fn passive_cancel_meets_the_next_notification_with_rst_and_lasts_over_an_update() {
    let mut bench = Bench::registered();
    assert_eq!(bench.command("cancel /3303").unwrap().code, Code::CONTENT);
    assert!(bench.ended.is_empty());
    bench.events.clear();
    bench.notify(bench.observations[0], TEMPERATURE);
    assert_eq!((bench.ended.len(), bench.values().len()), (1, 0));
    bench.asked.clear();
    bench.at_location(Method::Post, "", "");
    assert_eq!(bench.observes(), ["3416"]);
}

#[test]
fn active_cancel_ends_the_observation_at_the_client() {
    let mut bench = Bench::registered();
    let answer = bench.command("cancel /3303 active").unwrap();
    assert_eq!((answer.code, answer.values.len()), (Code::CONTENT, 2));
    assert_eq!(bench.ended, bench.observations);
}

#[test]
fn an_observe_without_answer_is_asked_again_later() {
    let mut bench = Bench::new();
    bench.register("lt=3000");
    bench.deaf = true;
    bench.pass(Duration::from_secs(400));
    let failed = |event: &Event| matches!(event, Event::NotObserving { .. });
    assert!(bench.events.iter().any(failed));
    bench.deaf = false;
    bench.pass(Duration::from_secs(400));
    assert!(
        bench.events.contains(&Event::Observing { endpoint: "gw1".into(), path: Path::object_only(3303) })
    );
}

#[test]
fn an_update_is_the_moment_to_ask_and_each_path_has_its_turn() {
    let mut bench = Bench::new();
    bench.register("lt=3000");
    bench.deaf = true;
    let failed = |event: &Event| matches!(event, Event::NotObserving { .. });
    while !bench.events.iter().any(failed) {
        bench.pass(Duration::from_secs(1));
    }
    bench.deaf = false;
    bench.asked.clear();
    bench.at_location(Method::Post, "", "");
    assert_eq!(bench.observes(), ["3416", "3303"]);
}

#[test]
fn refused_requests_are_answered_and_told() {
    let mut bench = Bench::new();
    assert_eq!(bench.register("lt=0").code, Code::BAD_REQUEST);
    assert!(matches!(bench.events.last(), Some(Event::Refused { .. })));
    let elsewhere = Request::new(Method::Get, vec!["3".into()]);
    assert_eq!(bench.client_asks(elsewhere).code, Code::NOT_FOUND);
    assert_eq!(
        bench.client_asks(Request::new(Method::Get, vec!["rd".into()])).code,
        Code::METHOD_NOT_ALLOWED
    );
}

#[test]
fn one_registration_too_many_is_refused_with_5_03() {
    let mut bench = Bench::new();
    let register = |bench: &mut Bench, name: usize| {
        let mut request = Request::new(Method::Post, vec!["rd".into()]);
        request.query = vec!["lwm2m=1.1".into(), format!("ep=gw{name}")];
        request.content_format = Some(40);
        request.payload = b"</3/0>".to_vec();
        bench.client_asks(request)
    };
    assert!((0..MAX_REGISTRATIONS).all(|name| register(&mut bench, name).code == Code::CREATED));
    let refused = register(&mut bench, MAX_REGISTRATIONS);
    assert_eq!((refused.code, refused.max_age), (Code::SERVICE_UNAVAILABLE, Some(RETRY_SECONDS)));
    assert_eq!(register(&mut bench, 0).code, Code::CREATED);
}

#[test]
fn a_list_of_ten_thousand_instances_is_taken() {
    let mut bench = Bench::registered();
    let list = (0..10_000).map(|id| format!("</3303/{id}>")).collect::<Vec<_>>().join(",");
    assert_eq!(bench.at_location(Method::Post, "", &list).code, Code::CHANGED);
}

#[test]
fn the_version_that_a_client_announces_decides_how_its_values_read() {
    let mut bench = Bench::new();
    let mut request = Request::new(Method::Post, vec!["rd".into()]);
    request.query = vec!["lwm2m=1.1".into(), "ep=gw1".into()];
    request.content_format = Some(40);
    request.payload = b"</3303/0>,</3416>;ver=1.0,</3416/0>".to_vec();
    bench.client_asks(request);
    let registration = bench.server.registrations.get_mut("gw1").unwrap();
    let versions = [3303, 3416].map(|id| registration.model.object(id).unwrap().version.to_string());
    assert_eq!(versions, ["1.0", "1.0"]);
    let several = Content::Multiple(vec![(2, Value::Integer(5)), (3, Value::Integer(6))]);
    let readings = registration.record(&[Entry { path: Path::resource_of(3416, 0, 13), content: several }]);
    assert_eq!(readings[1].path, Path::resource_of(3416, 0, 13).child(3).unwrap());
}

proptest! {
    #[test]
    fn no_datagram_panics(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut bench = Bench::registered();
        for payload in datagrams {
            bench.server.handle_datagram(Datagram { peer: peer(2), payload }, bench.now);
        }
        bench.run();
    }
}
