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
    /// The Content-Format option that the answer begins with, behind its token.
    format: &'static [u8],
}

const QUESTIONS: [Question; 2] = [
    // Uri-Path 3, 0; Accept 11542
    Question {
        what: "Read /3/0, TLV",
        options: |_| b"\xb1\x33\x01\x30\x62\x2d\x16".to_vec(),
        format: b"\xc2\x2d\x16",
    },
    Question { what: "Read of a mapped instance, SenML CBOR", options: mapped, format: b"\xc1\x70" },
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
    let mut peers: Vec<Peer> = extent.sizes.iter().map(|size| Peer::start(*size)).collect();
    for question in QUESTIONS {
        let mut best = [0.0_f64; 3];
        for _ in 0..extent.rounds {
            for (peer, best) in peers.iter_mut().zip(&mut best) {
                *best = best.max(peer.rate(question, extent.steps));
            }
        }
        for (size, rate) in extent.sizes.iter().zip(best) {
            let growth = best[0] / rate;
            let is_met = rate >= GOAL_PER_SECOND && growth <= GOAL_GROWTH;
            let verdict = extent.verdict(is_met);
            println!("{:40} {size:6} instances  {rate:8.0} /s  growth {growth:.2}  {verdict}", question.what);
        }
    }
}

/// A gateway that serves in a thread of its own until the socket towards it is gone.
struct Peer {
    socket: UdpSocket,
    instances: usize,
    /// Requests so far, of every round and question: no two are alike.
    asked: u32,
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
        Self { socket: ours, instances, asked: 0 }
    }

    /// Requests a second in one round.
    fn rate(&mut self, question: Question, requests: usize) -> f64 {
        let start = clock::now();
        let mut asked = 0;
        let mut buffer = [0; 2048];
        for answered in 0..requests {
            while asked < requests.min(answered + WINDOW) {
                self.ask(question);
                asked += 1;
            }
            let count = self.socket.recv(&mut buffer).expect("the gateway answers");
            let answer = &buffer[..count];
            // 2.05 on the ACK, in the format that was asked for: a copy of an earlier answer is none to this request.
            let is_ours = answer.starts_with(&[0x62, 0x45]) && answer[6..].starts_with(question.format);
            assert!(is_ours, "{answer:02x?}");
        }
        requests as f64 / since(start).as_secs_f64()
    }

    fn ask(&mut self, question: Question) {
        self.asked += 1;
        // Message ID and token are the number's halves, so the gateway never takes one for a copy of another.
        let [a, b, high, low] = self.asked.to_be_bytes();
        // Spread over all instances.
        let options = (question.options)(self.asked as usize * 7919 % self.instances);
        let message = [&[0x42, 0x01, high, low, a, b][..], &options].concat();
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
