//! What a run of the world came to, and whether it may be trusted.

use std::time::{Duration, Instant};

use crate::gateway::core::books::Books;
use crate::lab::server::Step;

/// A fingerprint of everything that passed between the parts of the world, and when (FNV-1a).
///
/// Two runs of one seed must have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    state: u64,
    start: Instant,
}

impl Digest {
    pub(super) const fn new(start: Instant) -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325, start }
    }

    /// Something passed.
    pub(super) fn add(&mut self, now: Instant, what: &str, octets: &[u8]) {
        let elapsed = (now - self.start).as_nanos().to_le_bytes();
        for octet in elapsed.iter().chain(what.as_bytes()).chain(octets) {
            self.state = (self.state ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) const fn value(self) -> u64 {
        self.state
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The run's seed.
    pub seed: u64,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Messages that the sensors published.
    pub published: u64,
    /// What became of the samples.
    pub books: Books,
    /// Values that reached the server.
    pub arrived: u64,
    /// Registrations that the server accepted.
    pub registrations: u64,
    /// Updates that the server accepted.
    pub updates: u64,
    /// When the first registration was accepted.
    pub first_registered: Option<Duration>,
    /// Commands of the servers that the client did not answer with success, and what it said.
    pub refused: Vec<String>,
    /// Requests of OneNET's opening after the last Register, in the order in which they ended.
    pub opening: Vec<Step>,
    /// Times that the server ordered the lamp to dim.
    pub orders: u64,
    /// … and had it confirmed.
    pub orders_taken: u64,
    /// Octets of UDP payload that the modem put on the air.
    pub octets_up: u64,
    /// Octets of UDP payload that reached the modem.
    pub octets_down: u64,
    /// Datagrams up.
    pub datagrams_up: u64,
    /// Datagrams down.
    pub datagrams_down: u64,
    /// CoAP messages that were sent again.
    pub resends: u64,
    /// Times that the clock was moved.
    pub turns: u64,
    /// The same for the same seed and options, on every machine.
    pub digest: u64,
    /// What must never happen and did; empty in a good run.
    pub failures: Vec<String>,
}

impl Report {
    /// Nothing happened that must never happen.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}
