//! Requests per second that one core of this machine serves over loopback UDP, by number of instances.
//!
//! `cargo bench --bench requests`. The goals are 20,000 a second, and at 10,000 instances no more than 1.2 times the cost at 10.
//! All sizes take turns in one run, so that a noisy neighbour disturbs them alike; the best round of each counts.

mod gateway;

use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nbgate::link::clock;

use gateway::{Extent, Gateway};

/// Requests on their way at once.
const WINDOW: usize = 8;
/// Loopback loses nothing; a bench that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
const GOAL_PER_SECOND: f64 = 20_000.0;
const GOAL_GROWTH: f64 = 1.2;

#[derive(Clone, Copy)]
struct Question {
    what: &'static str,
    /// The request for one of so many instances, but for its header.
    options: fn(number: usize) -> Vec<u8>,
}

const QUESTIONS: [Question; 2] = [
    // Uri-Path 3, 0; Accept 11542
    Question { what: "Read /3/0, TLV", options: |_| b"\xb1\x33\x01\x30\x62\x2d\x16".to_vec() },
    Question { what: "Read of a mapped instance, SenML CBOR", options: mapped },
];

/// Uri-Path 3303 and the instance; Accept 112.
fn mapped(number: usize) -> Vec<u8> {
    let id = number.to_string();
    let length = u8::try_from(id.len()).expect("a short number");
    [b"\xb4\x33\x33\x30\x33", &[length][..], id.as_bytes(), b"\x61\x70"].concat()
}

fn main() {
    let extent = Extent::of_this_run();
    println!(
        "requests a second, one core, {WINDOW} on their way at once; goal {GOAL_PER_SECOND} and growth <= {GOAL_GROWTH}"
    );
    let peers: Vec<Peer> = extent.sizes.iter().map(|size| Peer::start(*size)).collect();
    for question in QUESTIONS {
        let mut best = [0.0_f64; 3];
        for _ in 0..extent.rounds {
            for (peer, best) in peers.iter().zip(&mut best) {
                *best = best.max(peer.rate(question, extent.steps));
            }
        }
        for (size, rate) in extent.sizes.iter().zip(best) {
            let growth = best[0] / rate;
            let is_met = rate >= GOAL_PER_SECOND && growth <= GOAL_GROWTH;
            let verdict = if is_met { "met" } else { "MISSED" };
            println!("{:40} {size:6} instances  {rate:8.0} /s  growth {growth:.2}  {verdict}", question.what);
        }
    }
}

/// A gateway that serves in a thread of its own until the socket towards it is gone.
struct Peer {
    socket: UdpSocket,
    instances: usize,
}

impl Peer {
    fn start(instances: usize) -> Self {
        let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let theirs = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        ours.connect(theirs.local_addr().expect("a bound socket")).expect("loopback");
        theirs.connect(ours.local_addr().expect("a bound socket")).expect("loopback");
        ours.set_read_timeout(Some(PATIENCE)).expect("a time that is not zero");
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            let gateway = Gateway::registered(instances);
            ready.send(()).expect("the bench waits");
            serve(gateway, &theirs);
        });
        is_ready.recv().expect("the gateway starts");
        Self { socket: ours, instances }
    }

    /// Requests a second in one round.
    fn rate(&self, question: Question, requests: usize) -> f64 {
        let start = clock::now();
        let mut asked = 0;
        let mut buffer = [0; 2048];
        for answered in 0..requests {
            while asked < requests.min(answered + WINDOW) {
                self.ask(question, asked);
                asked += 1;
            }
            let count = self.socket.recv(&mut buffer).expect("the gateway answers");
            // 2.05 on the ACK, with a payload.
            assert!(count > 8 && buffer[0] == 0x62 && buffer[1] == 0x45, "{:02x?}", &buffer[..count]);
        }
        requests as f64 / since(start).as_secs_f64()
    }

    fn ask(&self, question: Question, number: usize) {
        let [high, low] = (number as u16).to_be_bytes();
        // Spread over all instances, and never two times the same of Message ID and token.
        let [_, _, round, token] = u32::try_from(number).expect("a small number").to_be_bytes();
        let options = (question.options)(number * 7919 % self.instances);
        let message = [&[0x42, 0x01, high, low, round ^ 0x55, token][..], &options].concat();
        self.socket.send(&message).expect("loopback takes it");
    }
}

fn serve(mut gateway: Gateway, socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok(count) = socket.recv(&mut buffer) {
        gateway.now = gateway.now.max(clock::now());
        gateway.receive(&buffer[..count]);
        while let Some(octets) = gateway.poll_datagram() {
            if socket.send(&octets).is_err() {
                return;
            }
        }
    }
}

fn since(start: Instant) -> Duration {
    clock::now().saturating_duration_since(start)
}
