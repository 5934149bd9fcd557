//! The lab's LwM2M server on a UDP socket of the test's own, which keeps what it received: when an answer came, and in what
//! kind of message.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nbgate::coap::Code;
use nbgate::lab::server::{Answer, CommandId, Event, Order, Server, Settings};
use nbgate::link::clock;
use nbgate::net::{Datagram, Peer};
use nbgate::seed::Seed;

use super::process::PATIENCE;

/// Longer than any datagram here.
const DATAGRAM: usize = 2048;

/// A running server; it works only while the test waits for it.
pub struct LabServer {
    socket: UdpSocket,
    server: Server,
    received: Vec<Received>,
}

/// A datagram of the gateway.
pub struct Received {
    /// When it was read.
    pub at: Instant,
    octets: Vec<u8>,
}

impl Received {
    /// An acknowledgement alone: the answer follows.
    pub fn is_empty_ack(&self) -> bool {
        matches!(self.octets.as_slice(), [0x60, 0, ..])
    }

    /// An answer in the acknowledgement of its request.
    pub fn is_piggybacked(&self, code: Code) -> bool {
        self.has(code) && self.octets.first().is_some_and(|first| first >> 4 == 0b0110)
    }

    /// A Confirmable answer of its own.
    pub fn is_separate(&self, code: Code) -> bool {
        self.has(code) && self.octets.first().is_some_and(|first| first >> 4 == 0b0100)
    }

    /// The only option is Max-Age, with this one octet of seconds (RFC 7252 §5.10.5).
    pub fn has_max_age(&self, secs: u8) -> bool {
        self.octets.ends_with(&[0xd1, 14 - 13, secs])
    }

    fn has(&self, code: Code) -> bool {
        self.octets.get(1).is_some_and(|octet| Code(*octet) == code)
    }
}

impl LabServer {
    /// Starts a server on a free port of 127.0.0.1 that observes nothing by itself.
    pub fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let settings =
            Settings { observe: false, params: nbgate::coap::Params::lan(), ..Settings::default() };
        Self { socket, server: Server::new(settings, Seed::new(1)), received: vec![] }
    }

    /// For the gateway's configuration.
    pub fn uri(&self) -> String {
        format!("coap://{}", self.socket.local_addr().expect("a bound socket has an address"))
    }

    /// Works until something happens for which `wanted` gives a value.
    pub fn until<T>(&mut self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let mut found = None;
        self.work(what, |event| {
            found = wanted(event);
            found.is_some()
        });
        found.expect("the work ends when it is found")
    }

    /// Works until the gateway sends such a datagram, counted from `mark`; gives it.
    pub fn until_received(
        &mut self,
        what: &str,
        mark: usize,
        wanted: impl Fn(&Received) -> bool,
    ) -> &Received {
        let end = clock::now() + PATIENCE;
        while !self.received.iter().skip(mark).any(&wanted) {
            assert!(clock::now() < end, "the gateway sent no {what}");
            self.turn(end);
        }
        self.received.iter().skip(mark).find(|received| wanted(received)).expect("it was just there")
    }

    /// How many datagrams have come so far.
    pub fn mark(&self) -> usize {
        self.received.len()
    }

    /// What has come since `mark`.
    pub fn received_since(&self, mark: usize) -> &[Received] {
        self.received.get(mark..).unwrap_or_default()
    }

    /// Sends the request of this line, and does not wait.
    pub fn order(&mut self, line: &str) -> CommandId {
        let id = self.server.command(line.parse::<Order>().expect("an order"), clock::now());
        self.send();
        id
    }

    /// Waits for the answer.
    pub fn answer(&mut self, asked: CommandId) -> Answer {
        self.until("answer", |event| match event {
            Event::Finished { command, outcome, .. } if *command == asked => {
                Some(outcome.clone().expect("the gateway answers"))
            }
            _ => None,
        })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, line: &str) -> Answer {
        let asked = self.order(line);
        self.answer(asked)
    }

    /// The only value that a Read of this path gives, in words.
    pub fn value(&mut self, path: &str) -> String {
        let answer = self.ask(&format!("read {path}"));
        match answer.values.as_slice() {
            [reading] => format!("{:?}", reading.value),
            _ => answer.code.to_string(),
        }
    }

    fn work(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> bool) {
        let end = clock::now() + PATIENCE;
        loop {
            while let Some(event) = self.server.poll_event() {
                if is_it(&event) {
                    return;
                }
            }
            assert!(clock::now() < end, "the lab server has no {what}");
            self.turn(end);
        }
    }

    /// Waits for one datagram, or for the server's next deadline.
    fn turn(&mut self, end: Instant) {
        self.send();
        let wake = self.server.poll_timeout().map_or(end, |deadline| deadline.at.min(end));
        // A time-out of nothing would be none at all.
        let wait = wake.saturating_duration_since(clock::now()).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait)).expect("a time-out can be set");
        let mut buffer = [0; DATAGRAM];
        match self.socket.recv_from(&mut buffer) {
            Ok((count, from)) => {
                let octets = buffer[..count].to_vec();
                self.received.push(Received { at: clock::now(), octets: octets.clone() });
                self.server.handle_datagram(Datagram { peer: Peer(from), payload: octets }, clock::now());
            }
            // Nothing came, or nobody was there for what was sent before.
            Err(_) => self.server.handle_timeout(clock::now()),
        }
        self.send();
    }

    fn send(&mut self) {
        while let Some(outgoing) = self.server.poll_transmit(clock::now()) {
            let Datagram { peer, payload } = &outgoing.datagram;
            self.socket.send_to(payload, peer.0).expect("loopback takes a datagram");
            self.server.handle_sent(outgoing.id, clock::now());
        }
    }
}
