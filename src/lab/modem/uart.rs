//! The wire to the host: octets leave at the pace of the baud rate, 8N1, or at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clock::Deadline;

/// Octets that may wait for the wire. There is no flow control: what does not fit is lost, whole pieces at a time.
const MAX_WAITING: usize = 64 * 1024;
/// Octets for which the owner is woken together, like the FIFO of a UART.
const FIFO_OCTETS: usize = 16;
/// Start bit, eight data bits, stop bit.
const BITS_PER_OCTET: u32 = 10;

/// Octets on their way to the host.
#[derive(Debug)]
pub struct Uart {
    octet_time: Duration,
    waiting: VecDeque<u8>,
    free_at: Instant,
    lost_octets: u64,
}

impl Uart {
    /// A quiet wire; without `baud` nothing takes time.
    pub fn new(baud: Option<u32>, now: Instant) -> Self {
        let octet_time = baud
            .filter(|&baud| baud > 0)
            .map_or(Duration::ZERO, |baud| Duration::from_secs(1) * BITS_PER_OCTET / baud);
        Self { octet_time, waiting: VecDeque::new(), free_at: now, lost_octets: 0 }
    }

    /// Puts octets behind those that wait.
    pub fn push(&mut self, octets: &[u8], now: Instant) {
        if self.waiting.len() + octets.len() > MAX_WAITING {
            self.lost_octets += octets.len() as u64;
            return;
        }
        if self.waiting.is_empty() {
            self.free_at = self.free_at.max(now);
        }
        self.waiting.extend(octets);
    }

    /// The octets that are over the wire by now.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        let count = self.over_by(now);
        if count == 0 {
            return None;
        }
        self.free_at += self.octet_time * u32::try_from(count).unwrap_or(u32::MAX);
        Some(self.waiting.drain(..count).collect())
    }

    /// When the next octets will be over.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let count = u32::try_from(self.waiting.len().min(FIFO_OCTETS)).unwrap_or(u32::MAX);
        (count > 0).then(|| Deadline::new(self.free_at + self.octet_time * count, "octets on the wire"))
    }

    /// Octets that did not fit.
    pub const fn lost_octets(&self) -> u64 {
        self.lost_octets
    }

    fn over_by(&self, now: Instant) -> usize {
        if self.octet_time.is_zero() {
            return self.waiting.len();
        }
        let count = now.saturating_duration_since(self.free_at).as_nanos() / self.octet_time.as_nanos();
        usize::try_from(count).unwrap_or(usize::MAX).min(self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_hundred_octets_take_their_time_at_115200() {
        let (start, mut at) = (t0(), t0());
        let mut uart = Uart::new(Some(115_200), start);
        uart.push(&[7; 100], at);
        let mut got = 0;
        while let Some(deadline) = uart.poll_timeout() {
            assert!(deadline.at > at);
            at = deadline.at;
            got += uart.poll(at).map_or(0, |octets| octets.len());
        }
        assert_eq!(got, 100);
        let expected = Duration::from_nanos(100 * 10 * 1_000_000_000 / 115_200);
        assert!(at.duration_since(start).abs_diff(expected) < Duration::from_millis(1));
    }

    #[test]
    fn without_baud_everything_leaves_at_once() {
        let mut uart = Uart::new(None, t0());
        uart.push(b"OK", t0());
        assert_eq!(uart.poll(t0()).unwrap(), b"OK");
        assert_eq!(uart.poll_timeout(), None);
    }

    #[test]
    fn what_does_not_fit_is_lost_whole_and_counted() {
        let mut uart = Uart::new(Some(9600), t0());
        uart.push(&vec![0; MAX_WAITING], t0());
        uart.push(b"+QIURC", t0());
        assert_eq!(uart.lost_octets(), 6);
    }
}
