//! How long to wait before the next attempt to connect, and whether the failure is worth a warning.

use std::time::Duration;

use crate::seed::{Rng, Seed};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// After the first failure of a row, every tenth is a warning again.
const WARN_EVERY: u32 = 10;

/// Failures in a row.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    rng: Rng,
}

impl Backoff {
    pub fn new(seed: Seed) -> Self {
        Self { failures: 0, rng: seed.rng() }
    }

    /// Another failure: how long to wait. Doubles from 1 s to 60 s, less up to half of it by chance, so that
    /// gateways do not return to a restarted broker as one.
    pub fn failed(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.rng.between(full / 2, full)
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// This failure of a row, counted from 1, is worth a warning and not only a line for debugging.
    pub const fn is_worth_a_warning(failure: u32) -> bool {
        failure % WARN_EVERY == 1
    }

    /// A connection that lasted.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_with_jitter_and_start_again_after_success() {
        let mut backoff = Backoff::new(Seed::new(1));
        for full_secs in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (wait, full) = (backoff.failed(), Duration::from_secs(full_secs));
            assert!(full / 2 <= wait && wait < full, "{wait:?} of {full:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() < FIRST);
    }

    #[test]
    fn the_first_failure_and_every_tenth_are_warnings() {
        let warned: Vec<_> = (1..=31).filter(|failure| Backoff::is_worth_a_warning(*failure)).collect();
        assert_eq!(warned, [1, 11, 21, 31]);
    }
}
