//! Object 7, Connectivity Statistics: what the link carried since Start, in octets of IP packets (OBJ-04).
//!
//! ```text
//!          Start                          Stop, or the Collection Period is over
//! Resting ───────► Counting until … ───────────────────────────────────────────► Resting, values kept
//! ```

use std::time::{Duration, Instant};

use super::Fact;
use crate::lwm2m::path::Path;
use crate::lwm2m::tree::Tree;
use crate::lwm2m::value::{Content, Value};
use crate::net::Traffic;

/// Object ID.
pub const ID: u16 = 7;
/// Its only instance.
pub const INSTANCE: Path = Path::instance_of(ID, 0);
/// Start, executable: everything to 0, and count.
pub const START: u16 = 6;
/// Stop, executable.
pub const STOP: u16 = 7;
/// Collection Period, seconds; 0 counts until Stop.
pub const PERIOD: u16 = 8;

/// The resources that are counted; SMS is no business of ours.
const TX_KILOBYTES: u16 = 2;
const RX_KILOBYTES: u16 = 3;
const LARGEST_OCTETS: u16 = 4;
const AVERAGE_OCTETS: u16 = 5;

/// UDP header (RFC 768) and IPv4 header without options (RFC 791), or IPv6's (RFC 8200).
const IPV4_OVERHEAD: u64 = 8 + 20;
const IPV6_OVERHEAD: u64 = 8 + 40;

/// How long to count, as the tree says.
pub fn period(tree: &Tree) -> Duration {
    match INSTANCE.child(PERIOD).and_then(|path| tree.value(path)) {
        Some(Value::Integer(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(0)),
        _ => Duration::ZERO,
    }
}

/// Counts one collection period after the other.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    state: State,
    /// The link's counters as they were told last.
    link: Traffic,
    /// Octets of headers for each datagram.
    overhead: u64,
    /// Octets of UDP payload of the largest datagram in this period.
    largest: usize,
    /// The resources do not show the latest counts yet.
    stale: bool,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// Not started, or ended with these counts.
    #[default]
    Fresh,
    Counting {
        /// The link's counters at Start.
        since: Traffic,
        /// `None`: until Stop.
        until: Option<Instant>,
    },
    Ended(Traffic),
}

impl Statistics {
    /// Counting begins, for so long (zero: until [`Self::stop`]).
    pub fn start(&mut self, period: Duration, now: Instant) {
        let until = (!period.is_zero()).then(|| now.checked_add(period)).flatten();
        self.state = State::Counting { since: self.link, until };
        self.largest = 0;
        self.stale = true;
    }

    /// Counting ends; the values stay.
    pub const fn stop(&mut self) {
        if let State::Counting { .. } = self.state {
            self.state = State::Ended(self.counted());
            self.stale = true;
        }
    }

    /// The link's counters and the size of a datagram that it carried, if there was one.
    pub fn note(&mut self, link: Traffic, is_ipv6: bool, datagram: Option<usize>, now: Instant) {
        self.handle_timeout(now);
        self.overhead = if is_ipv6 { IPV6_OVERHEAD } else { IPV4_OVERHEAD };
        self.link = link;
        if let State::Counting { .. } = self.state {
            self.largest = self.largest.max(datagram.unwrap_or(0));
            self.stale = true;
        }
    }

    /// The period may be over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Counting { until: Some(until), .. } = self.state {
            if now >= until {
                self.stop();
            }
        }
    }

    /// The resources of /7/0 that are counted, if they are others than when last asked.
    pub fn poll_facts(&mut self) -> Option<Vec<Fact>> {
        std::mem::take(&mut self.stale).then(|| self.facts())
    }

    /// The resources of /7/0 that are counted.
    pub fn facts(&self) -> Vec<Fact> {
        let Traffic { octets_up, octets_down, datagrams_up, datagrams_down } = self.counted();
        let up = octets_up + datagrams_up * self.overhead;
        let down = octets_down + datagrams_down * self.overhead;
        let largest = if self.largest == 0 { 0 } else { self.largest as u64 + self.overhead };
        let average = (up + down).checked_div(datagrams_up + datagrams_down).unwrap_or(0);
        let number =
            |number: u64| Some(Content::Single(Value::Integer(number.try_into().unwrap_or(i64::MAX))));
        vec![
            (TX_KILOBYTES, number(kilobytes(up))),
            (RX_KILOBYTES, number(kilobytes(down))),
            (LARGEST_OCTETS, number(largest)),
            (AVERAGE_OCTETS, number(average)),
        ]
    }

    const fn counted(&self) -> Traffic {
        match self.state {
            State::Fresh => Traffic { octets_up: 0, octets_down: 0, datagrams_up: 0, datagrams_down: 0 },
            State::Counting { since, .. } => since_then(self.link, since),
            State::Ended(counted) => counted,
        }
    }
}

/// Of 1000 octets, to the nearest.
const fn kilobytes(octets: u64) -> u64 {
    (octets + 500) / 1000
}

const fn since_then(now: Traffic, then: Traffic) -> Traffic {
    Traffic {
        octets_up: now.octets_up.saturating_sub(then.octets_up),
        octets_down: now.octets_down.saturating_sub(then.octets_down),
        datagrams_up: now.datagrams_up.saturating_sub(then.datagrams_up),
        datagrams_down: now.datagrams_down.saturating_sub(then.datagrams_down),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    fn numbers(statistics: &Statistics) -> Vec<i64> {
        let number = |(_, content)| match content {
            Some(Content::Single(Value::Integer(number))) => number,
            other => panic!("{other:?}"),
        };
        statistics.facts().into_iter().map(number).collect()
    }

    fn traffic(octets_up: u64, datagrams_up: u64, octets_down: u64, datagrams_down: u64) -> Traffic {
        Traffic { octets_up, octets_down, datagrams_up, datagrams_down }
    }

    #[test]
    fn kilobytes_with_headers_are_counted_from_start_to_stop_obj_04() {
        let (t0, mut statistics) = (t0(), Statistics::default());
        statistics.note(traffic(9_000, 9, 9_000, 9), false, Some(1_000), t0);
        assert_eq!(numbers(&statistics), [0, 0, 0, 0]);
        statistics.start(Duration::ZERO, t0);
        statistics.note(traffic(11_000, 11, 9_000, 9), false, Some(1_200), t0);
        statistics.note(traffic(11_000, 11, 9_900, 11), false, Some(450), t0 + Duration::from_secs(99_999));
        // 2000 + 2 * 28 up, 900 + 2 * 28 down.
        assert_eq!(numbers(&statistics), [2, 1, 1_228, 753]);
        statistics.stop();
        statistics.note(traffic(99_000, 99, 99_000, 99), false, Some(1_300), t0);
        assert_eq!(numbers(&statistics), [2, 1, 1_228, 753]);
        statistics.start(Duration::ZERO, t0);
        assert_eq!(numbers(&statistics), [0, 0, 0, 0]);
    }

    #[test]
    fn the_collection_period_ends_by_itself_and_what_comes_after_is_not_counted_obj_04() {
        let (t0, mut statistics) = (t0(), Statistics::default());
        statistics.start(Duration::from_secs(60), t0);
        statistics.note(traffic(952, 1, 0, 0), true, Some(952), t0 + Duration::from_secs(59));
        statistics.note(traffic(2_000, 2, 0, 0), true, Some(1_048), t0 + Duration::from_secs(60));
        assert_eq!(numbers(&statistics), [1, 0, 1_000, 1_000]);
        assert!(statistics.poll_facts().is_some() && statistics.poll_facts().is_none());
    }
}
