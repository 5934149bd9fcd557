//! A whole gateway for the benches: its core, registered at the lab's server, with as many instances as wanted.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nbgate::bridge::message::{AckHandle, Message};
use nbgate::clock::Deadline;
use nbgate::config;
use nbgate::gateway::core::Core;
use nbgate::gateway::io::{Input, Output};
use nbgate::gateway::settings::Host;
use nbgate::lab::server::{Event, Server, Settings};
use nbgate::link::clock;
use nbgate::net::{Datagram, Peer};
use nbgate::persist;
use nbgate::seed::Seed;

/// A mapping takes so many instances.
const PER_MAPPING: usize = nbgate::bridge::MAX_PER_MAPPING;
/// Simulated time within which the gateway must have announced all its instances.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(600);

/// How much a bench does.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Instances or observations, in turn.
    pub sizes: [usize; 3],
    /// Rounds of each size, the best of which counts.
    pub rounds: usize,
    /// Requests or changes in a round.
    pub steps: usize,
    is_measured: bool,
}

impl Extent {
    /// What `cargo bench` measures; `cargo test` only tries whether it runs to its end.
    pub fn of_this_run() -> Self {
        if std::env::args().any(|argument| argument == "--bench") {
            Self { sizes: [10, 1_000, 10_000], rounds: 5, steps: 20_000, is_measured: true }
        } else {
            Self { sizes: [1, 10, 100], rounds: 1, steps: 200, is_measured: false }
        }
    }

    /// What to say of a goal; a trial, perhaps without optimisation, says nothing of it.
    pub fn verdict(self, is_met: bool) -> &'static str {
        match (self.is_measured, is_met) {
            (false, _) => "tried",
            (true, true) => "met",
            (true, false) => "MISSED",
        }
    }
}

/// The peer that the core takes for its server.
pub fn server() -> Peer {
    Peer(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 5683)))
}

fn client() -> Peer {
    Peer(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 2), 40_000)))
}

/// The core and the time that it was last told.
pub struct Gateway {
    /// The machine under test.
    pub core: Core,
    /// Its clock.
    pub now: Instant,
}

impl Gateway {
    /// A gateway with so many instances of object 3303 that its server knows all of.
    pub fn registered(instances: usize) -> Self {
        let config =
            config::parse(&text(instances), Host::default()).expect("the bench's configuration is good");
        let now = clock::now();
        let mut gateway = Self { core: Core::new(config.gateway, Seed::new(1), now), now };
        gateway.core.handle(Input::Store(persist::Answer::nothing_kept()), now);
        for number in 0..instances {
            gateway.sample(number, 20.0);
        }
        gateway.register();
        gateway
    }

    /// A reading of this sensor comes in.
    pub fn sample(&mut self, number: usize, celsius: f64) {
        let topic = format!("s{}/{number}", number / PER_MAPPING);
        let payload = celsius.to_string().into_bytes();
        let message = Message { topic, payload, retain: false };
        let acknowledgement = AckHandle { session: 1, packet_id: 1 };
        self.core.handle(Input::Message { message, acknowledgement }, self.now);
    }

    /// Takes the next datagram that the core wants to send, which counts as sent.
    pub fn poll_datagram(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Output::Datagram(outgoing) = self.core.poll()? {
                self.core.handle(Input::DatagramSent(outgoing.id), self.now);
                return Some(outgoing.datagram.payload);
            }
        }
    }

    /// A datagram of the server comes in.
    pub fn receive(&mut self, octets: &[u8]) {
        let datagram = Datagram { peer: server(), payload: octets.to_vec() };
        self.core.handle(Input::Datagram(datagram), self.now);
    }

    /// Runs hand to hand with the lab's server, in simulated time, until that has the whole list.
    fn register(&mut self) {
        let mut server = Server::new(Settings { observe: false, ..Settings::default() }, Seed::new(2));
        let end = self.now + ANNOUNCED_WITHIN;
        let mut is_registered = false;
        loop {
            self.exchange(&mut server);
            while let Some(event) = server.poll_event() {
                is_registered |= matches!(event, Event::Registered { .. });
            }
            let next = Deadline::sooner(self.core.next_deadline(), server.poll_timeout());
            let next = next.map_or(end, |deadline| deadline.at);
            // Registered, and nothing more to come for a while: all instances are announced.
            if is_registered && next > self.now + Duration::from_secs(60) {
                let servers = self.core.snapshot(self.now).servers;
                assert!(servers.iter().all(|server| server.state == "registered"), "{servers:?}");
                return;
            }
            self.now = self.now.max(next);
            assert!(self.now < end, "the gateway did not register");
            self.core.handle(Input::Tick, self.now);
            server.handle_timeout(self.now);
        }
    }

    fn exchange(&mut self, peer: &mut Server) {
        loop {
            if let Some(payload) = self.poll_datagram() {
                peer.handle_datagram(Datagram { peer: client(), payload }, self.now);
            } else if let Some(outgoing) = peer.poll_transmit(self.now) {
                peer.handle_sent(outgoing.id, self.now);
                self.receive(&outgoing.datagram.payload);
            } else {
                return;
            }
        }
    }
}

fn text(instances: usize) -> String {
    let mappings = (0..instances.div_ceil(PER_MAPPING)).map(|number| {
        format!("[[mappings]]\ntopic = \"s{number}/{{id}}\"\nobject = 3303\nresource = 5700\ninstance = \"{{id}}\"\nmax_instances = {PER_MAPPING}\n")
    });
    format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://{}\"\n{}",
        server().0,
        mappings.collect::<String>()
    )
}
