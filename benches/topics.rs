//! What a message costs the bridge, by the number of mappings: each has a topic of its own.
//!
//! `cargo bench --bench topics`. The goal: where ten topics speak, 9,990 further mappings cost no more than a fifth on top.
//! Where all of them speak in turn, little of what is needed is in the processor's caches: that is shown, and has no goal.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use nbgate::bridge::{Bridge, Message};
use nbgate::config;
use nbgate::link::clock;

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const GOAL_GROWTH: f64 = 1.2;
/// Where not all topics speak, so many do.
const FEW: usize = 10;

fn main() {
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let (rounds, messages) = if is_measured { (7, 50_000) } else { (1, 200) };
    println!("a message on one of so many mapped topics; goal where ten speak: growth <= {GOAL_GROWTH}");
    let mut benches: Vec<_> = SIZES.iter().map(|size| Mapped::new(*size)).collect();
    for (which, most) in [("all of them speak", usize::MAX), ("ten of them speak", FEW)] {
        let mut best = [Duration::MAX; 3];
        for _ in 0..rounds {
            for (mapped, best) in benches.iter_mut().zip(&mut best) {
                *best = (*best).min(mapped.cost(most, messages));
            }
        }
        for (size, cost) in SIZES.iter().zip(best) {
            let growth = cost.as_secs_f64() / best[0].as_secs_f64();
            let verdict = match (is_measured, most == FEW, growth <= GOAL_GROWTH) {
                (false, ..) => "tried",
                (true, false, _) => "shown",
                (true, true, true) => "met",
                (true, true, false) => "MISSED",
            };
            println!(
                "{size:6} topics, {which}  {:5} ns a message  growth {growth:.2}  {verdict}",
                cost.as_nanos()
            );
        }
    }
}

/// A bridge with a mapping for each topic, and a message on each.
struct Mapped {
    bridge: Bridge,
    messages: Vec<Message>,
    now: Instant,
}

impl Mapped {
    fn new(size: usize) -> Self {
        let mut text = String::new();
        let topic = |number: usize| format!("district/{}/sensors/{number}/temperature", number % 7);
        for number in 0..size {
            let topic = topic(number);
            writeln!(
                text,
                "[[mappings]]\ntopic = {topic:?}\nobject = 3303\nresource = 5700\ninstance = {number}"
            )
            .expect("a string takes everything");
        }
        let read = config::parse_mappings(&text).expect("they are without fault");
        let message = |number| Message { topic: topic(number), payload: b"21.5".to_vec(), retain: false };
        Self {
            bridge: Bridge::new(read.mappings),
            messages: (0..size).map(message).collect(),
            now: clock::now(),
        }
    }

    /// The mean of one round, in which so many topics speak at the most.
    fn cost(&mut self, most: usize, messages: usize) -> Duration {
        let spread = self.messages.len().min(most);
        let apart = self.messages.len() / spread;
        // The messages are made before, as the broker's edge makes them.
        let messages: Vec<_> =
            (0..messages).map(|n| self.messages[n * 7919 % spread * apart].clone()).collect();
        let count = u32::try_from(messages.len()).expect("few enough");
        let start = clock::now();
        for message in messages {
            self.bridge.handle_message(message, self.now);
            assert!(black_box(self.bridge.poll_event()).is_some(), "a message gives a value");
        }
        clock::now().saturating_duration_since(start) / count
    }
}
