//! Time as the machines see it: deadlines with their reason, and wall time as a plain number.
//!
//! Nothing here can read a clock; `link/clock.rs` does, and passes what it read as an argument.

use std::time::{Duration, Instant};

/// The next moment at which a machine wants to be woken, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When to call `handle_timeout`.
    pub at: Instant,
    /// The reason, for the log.
    pub why: &'static str,
}

impl Deadline {
    /// A deadline at `at` because of `why`.
    pub const fn new(at: Instant, why: &'static str) -> Self {
        Self { at, why }
    }

    /// The earlier of two optional deadlines; on a tie the first.
    pub fn sooner(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (a, b) => a.or(b),
        }
    }

    /// The earliest of several deadlines.
    pub fn earliest(deadlines: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        deadlines.into_iter().fold(None, Self::sooner)
    }
}

/// Wall time in milliseconds since 1970-01-01 UTC, where a protocol puts a date on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime {
    /// Milliseconds since the epoch; negative before it.
    pub millis: i64,
}

impl UnixTime {
    /// From whole seconds since the epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self { millis: seconds.saturating_mul(1000) }
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.millis.div_euclid(1000)
    }

    /// This time moved on by `elapsed`; saturates at the far end.
    pub fn plus(self, elapsed: Duration) -> Self {
        let millis = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        Self { millis: self.millis.saturating_add(millis) }
    }

    /// This time moved back by `age`; saturates at the far end.
    pub fn minus(self, age: Duration) -> Self {
        let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Self { millis: self.millis.saturating_sub(millis) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_takes_the_first_in_time_and_keeps_its_reason() {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let t0 = Instant::now();
        let late = Deadline::new(t0 + Duration::from_secs(2), "late");
        let soon = Deadline::new(t0 + Duration::from_secs(1), "soon");
        assert_eq!(Deadline::earliest([Some(late), None, Some(soon)]), Some(soon));
        assert_eq!(Deadline::earliest([None, None]), None);
    }

    #[test]
    fn seconds_before_the_epoch_round_down() {
        assert_eq!(UnixTime { millis: -1 }.as_secs(), -1);
        assert_eq!(UnixTime::from_secs(7).plus(Duration::from_millis(1500)).as_secs(), 8);
        assert_eq!(UnixTime::from_secs(7).minus(Duration::from_millis(1500)).as_secs(), 5);
    }
}
