//! One seed for the whole run; each layer draws from a named child of its own.
//!
//! A layer's draws therefore never shift another's, and one number reproduces a run.

use std::time::Duration;

use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Where a layer's random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, for a log line that lets a run be repeated.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The seed of the layer called `name`: the same for the same name, unlike for different names.
    pub fn child(self, name: &str) -> Self {
        // FNV-1a over the name, then SplitMix64's finish so that near seeds give far children.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ self.0, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(split_mix(hash))
    }

    /// A generator that starts at this seed.
    pub fn rng(self) -> Rng {
        Rng(rand_pcg::Pcg64Mcg::seed_from_u64(self.0))
    }
}

/// A layer's own random numbers. Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng(rand_pcg::Pcg64Mcg);

impl Rng {
    /// Any 64-bit number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Any 16-bit number, as a Message ID starts with.
    pub fn u16(&mut self) -> u16 {
        (self.number() >> 48) as u16
    }

    /// A fraction in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// True with this probability (0 never, 1 always).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A duration in [low, high); `low` when the range is empty.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.fraction())
    }

    /// Fills `octets` with random values.
    pub fn fill(&mut self, octets: &mut [u8]) {
        self.0.fill_bytes(octets);
    }
}

fn split_mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_name_same_draws_other_name_other_draws() {
        let seed = Seed::new(7);
        assert_eq!(seed.child("coap").rng().number(), seed.child("coap").rng().number());
        assert_ne!(seed.child("coap").rng().number(), seed.child("cell").rng().number());
        assert_ne!(seed.child("coap"), Seed::new(8).child("coap"));
    }

    #[test]
    fn between_stays_in_its_range() {
        let mut rng = Seed::new(1).rng();
        let (low, high) = (Duration::from_secs(2), Duration::from_secs(3));
        assert!((0..1000).all(|_| (low..high).contains(&rng.between(low, high))));
        assert_eq!(rng.between(high, low), high);
    }
}
