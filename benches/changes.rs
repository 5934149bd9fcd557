//! What one changed value costs, from the MQTT message to the acknowledged notification, by number of observations.
//!
//! `cargo bench --bench changes`. The goal: with 10,000 observations no more than 1.2 times the cost with 10. Changes of all
//! values in turn find little of their memory in the processor's caches; changes of the same ten, with all others observed
//! as well, show what the look-ups alone cost. Sizes take turns, the best round of each counts. Nothing but the gateway's
//! core runs between the two readings of the clock.

mod gateway;

use std::time::Duration;

use nbgate::link::clock;

use gateway::{Extent, Gateway};

/// Simulated time from one change to the next: Message IDs are given out again after EXCHANGE_LIFETIME only.
const BETWEEN: Duration = Duration::from_millis(10);
const GOAL_GROWTH: f64 = 1.2;
/// Where not all values change, so many do.
const FEW: usize = 10;

fn main() {
    let extent = Extent::of_this_run();
    println!("a changed value, one observer of it among all; goal: growth <= {GOAL_GROWTH}");
    let mut watched: Vec<Watched> = extent.sizes.iter().map(|size| Watched::new(*size)).collect();
    for (which, most) in [("all of them change", usize::MAX), ("ten of them change", FEW)] {
        let mut best = [Duration::MAX; 3];
        for _ in 0..extent.rounds {
            for (watched, best) in watched.iter_mut().zip(&mut best) {
                *best = (*best).min(watched.cost(most, extent.steps));
            }
        }
        for (size, cost) in extent.sizes.iter().zip(best) {
            let growth = cost.as_secs_f64() / best[0].as_secs_f64();
            let verdict = extent.verdict(growth <= GOAL_GROWTH);
            println!(
                "{size:6} observations, {which}  {:6.2} us a change  growth {growth:.2}  {verdict}",
                cost.as_secs_f64() * 1e6
            );
        }
    }
}

/// A gateway each of whose instances is observed.
struct Watched {
    gateway: Gateway,
    size: usize,
    changes: usize,
}

impl Watched {
    fn new(size: usize) -> Self {
        let mut gateway = Gateway::registered(size);
        for number in 0..size {
            let [high, low] = u16::try_from(number).expect("few enough").to_be_bytes();
            let id = number.to_string();
            let length = u8::try_from(id.len()).expect("a short number");
            // CON GET, token = number; Observe 0, Uri-Path 3303, the instance; Accept 11542.
            let head = [0x42, 0x01, high, low, high, low, 0x60, 0x54, 0x33, 0x33, 0x30, 0x33, length];
            gateway.receive(&[&head[..], id.as_bytes(), &[0x62, 0x2d, 0x16]].concat());
            let answer = gateway.poll_datagram().expect("the request is answered");
            assert!(
                answer.len() > 6 && answer[1] == 0x45 && answer[6] >> 4 == 6,
                "2.05 with Observe: {answer:02x?}"
            );
            acknowledge_all(&mut gateway);
        }
        // What was owed from before the observations is told.
        acknowledge_all(&mut gateway);
        Self { gateway, size, changes: 0 }
    }

    /// The mean of one round, in which so many values change at the most.
    fn cost(&mut self, most: usize, changes: usize) -> Duration {
        let start = clock::now();
        for _ in 0..changes {
            self.changes += 1;
            self.gateway.now += BETWEEN;
            // An instance never gets the value that it has.
            let celsius = 20.0 + self.changes as f64 / 8.0;
            let spread = self.size.min(most);
            // The ten lie far from one another.
            let number = self.changes * 7919 % spread * (self.size / spread);
            self.gateway.sample(number, celsius);
            let told = acknowledge_all(&mut self.gateway);
            assert_eq!(told, 1, "one observer is told of change {} of {}", self.changes, self.size);
        }
        clock::now().saturating_duration_since(start) / u32::try_from(changes).expect("few enough")
    }
}

/// Acknowledges Confirmable notifications until there are no more; says how many there were.
fn acknowledge_all(gateway: &mut Gateway) -> usize {
    let mut told = 0;
    while let Some(notification) = gateway.poll_datagram() {
        assert_eq!(notification[0] >> 4, 0b0100, "a Confirmable message: {notification:02x?}");
        gateway.receive(&[0x60, 0, notification[2], notification[3]]);
        told += 1;
    }
    told
}
