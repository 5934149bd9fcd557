//! Delivery of one Confirmable message (RFC 7252 §4.2), and the round-trip estimate behind its first time-out.
//!
//! Times here are of the link's clock, which stands still while the link is down (`endpoint::LinkClock`).
//!
//! ```text
//!   Queued ──handed──► InHand ──sent, send failed──► AwaitAck ──Empty ACK (request)──► AwaitResponse
//!     ▲                                                 │
//!     └────────────────── due, resends left ────────────┘   any ACK, RST, response, or due without resends left: over
//! ```

use std::time::{Duration, Instant};

use super::params::Params;
use crate::clock::Deadline;

/// One Confirmable message from the queue to its acknowledgement.
#[derive(Debug)]
pub struct Delivery {
    state: State,
    resent: u32,
    /// Time-out of the latest transmission; zero before the first.
    timeout: Duration,
    /// When the link reported the first transmission as sent; the start of the round trip.
    first_sent: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for the link, with the first transmission or a resend. No timer: never two copies in the queue.
    Queued,
    /// The link has it and has not reported yet.
    InHand,
    /// Sent; due again, or over, at `at`.
    AwaitAck { at: Instant },
    /// Acknowledged without a response, which is waited for until `at` (COAP-16).
    AwaitResponse { at: Instant },
}

/// What a passed deadline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing is due.
    Nothing,
    /// To be queued again.
    Resend,
    /// No acknowledgement after all resends, or no separate response in time.
    TimedOut,
}

impl Delivery {
    /// Waits for its first transmission.
    pub const fn new() -> Self {
        Self { state: State::Queued, resent: 0, timeout: Duration::ZERO, first_sent: None }
    }

    /// The link has taken it. `first_timeout` counts at the first transmission; each later one doubles it.
    pub fn handed(&mut self, first_timeout: Duration) {
        self.timeout = if self.timeout.is_zero() { first_timeout } else { self.timeout * 2 };
        self.state = State::InHand;
    }

    /// The link has sent it: the timer starts.
    pub fn sent(&mut self, now: Instant) {
        if self.state == State::InHand {
            self.first_sent.get_or_insert(now);
            self.state = State::AwaitAck { at: now + self.timeout };
        }
    }

    /// It may or may not have left: the timer starts as if it had, for what went out unseen must not be hurried after.
    pub fn send_failed(&mut self, now: Instant) {
        if self.state == State::InHand {
            self.state = State::AwaitAck { at: now + self.timeout };
        }
    }

    /// An Empty ACK for a request: from here on only the response is waited for.
    pub fn acknowledged(&mut self, now: Instant, patience: Duration) {
        if !matches!(self.state, State::AwaitResponse { .. }) {
            self.state = State::AwaitResponse { at: now + patience };
        }
    }

    /// What is due now; a resend is then `Queued`.
    pub fn handle_timeout(&mut self, now: Instant, max_retransmit: u32) -> Due {
        match self.state {
            State::AwaitAck { at } if at <= now && self.resent < max_retransmit => {
                self.resent += 1;
                self.state = State::Queued;
                Due::Resend
            }
            State::AwaitAck { at } | State::AwaitResponse { at } if at <= now => Due::TimedOut,
            _ => Due::Nothing,
        }
    }

    /// The next deadline, on the link's clock.
    pub const fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Queued | State::InHand => None,
            State::AwaitAck { at } => Some(Deadline::new(at, "coap resend")),
            State::AwaitResponse { at } => Some(Deadline::new(at, "coap separate response overdue")),
        }
    }

    /// Waits for the link.
    pub fn is_queued(&self) -> bool {
        self.state == State::Queued
    }

    /// Was handed to the link at least once, so a peer can know of it.
    pub fn has_left(&self) -> bool {
        !self.timeout.is_zero()
    }

    /// An outstanding interaction in the sense of NSTART (RFC 7252 §4.7): left, and not acknowledged.
    pub fn is_outstanding(&self) -> bool {
        self.has_left() && !matches!(self.state, State::AwaitResponse { .. })
    }

    /// Resends so far.
    pub const fn resent(&self) -> u32 {
        self.resent
    }

    /// Time from the first transmission to `now`, when the acknowledgement came; `None` if that was measured or never sent.
    pub fn round_trip(&self, now: Instant) -> Option<Duration> {
        let first_sent = self.first_sent.filter(|_| self.is_outstanding())?;
        Some(now.saturating_duration_since(first_sent))
    }
}

/// What round trips towards a peer say about the time-out, after CoCoA (draft-ietf-core-cocoa): acknowledgements of a first
/// transmission count strongly; those after one or two resends, measured from the first transmission, weakly. Without the
/// weak ones a round trip longer than the time-out would never be learnt.
#[derive(Debug)]
pub struct RoundTrip {
    floor: Duration,
    ceiling: Duration,
    random_factor: f64,
    timeout: Duration,
    strong: Option<Smoothed>,
    weak: Option<Smoothed>,
}

#[derive(Debug, Clone, Copy)]
struct Smoothed {
    mean: Duration,
    deviation: Duration,
}

impl RoundTrip {
    /// Nothing measured: ACK_TIMEOUT.
    pub const fn new(params: &Params) -> Self {
        Self {
            floor: params.ack_timeout(),
            ceiling: params.ack_timeout_ceiling(),
            random_factor: params.ack_random_factor(),
            timeout: params.ack_timeout(),
            strong: None,
            weak: None,
        }
    }

    /// An acknowledgement came `elapsed` after the first transmission, with `resent` resends meanwhile.
    pub fn measured(&mut self, elapsed: Duration, resent: u32) {
        let (smoothed, deviations, weight) = match resent {
            0 => (&mut self.strong, 4, 0.5),
            1 | 2 => (&mut self.weak, 1, 0.25),
            _ => return,
        };
        let next = Smoothed::next(*smoothed, elapsed);
        *smoothed = Some(next);
        let estimate = next.mean + next.deviation * deviations;
        let mixed = estimate.mul_f64(weight) + self.timeout.mul_f64(1.0 - weight);
        self.timeout = mixed.clamp(self.floor, self.ceiling);
    }

    /// The time-out of a first transmission; `fraction` in [0, 1) is the draw (COAP-13).
    pub fn first_timeout(&self, fraction: f64) -> Duration {
        self.timeout.mul_f64(1.0 + (self.random_factor - 1.0) * fraction)
    }
}

impl Smoothed {
    /// RFC 6298 §2: a quarter of each surprise goes into the deviation, an eighth into the mean.
    fn next(before: Option<Self>, sample: Duration) -> Self {
        let Some(Self { mean, deviation }) = before else {
            return Self { mean: sample, deviation: sample / 2 };
        };
        let surprise = mean.abs_diff(sample);
        Self { mean: (mean * 7 + sample) / 8, deviation: (deviation * 3 + surprise) / 4 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn timeouts_double_from_each_time_the_link_has_sent() {
        // COAP-13
        let (t0, mut delivery) = (t0(), Delivery::new());
        let mut now = t0;
        for (resent, timeout) in [(0, 2), (1, 4), (2, 8)] {
            assert_eq!(delivery.poll_timeout(), None, "no timer before the link has sent it");
            delivery.handed(seconds(2));
            now += seconds(50); // a slow link
            delivery.sent(now);
            assert_eq!(delivery.resent(), resent);
            assert_eq!(delivery.poll_timeout().unwrap().at, now + seconds(timeout));
            assert_eq!(delivery.handle_timeout(now, 2), Due::Nothing);
            now += seconds(timeout);
            let due = delivery.handle_timeout(now, 2);
            assert_eq!(due, if resent < 2 { Due::Resend } else { Due::TimedOut });
        }
    }

    #[test]
    fn a_resend_that_waits_for_the_link_is_not_due_again() {
        let (t0, mut delivery) = (t0(), Delivery::new());
        delivery.handed(seconds(2));
        delivery.sent(t0);
        assert_eq!(delivery.handle_timeout(t0 + seconds(2), 4), Due::Resend);
        assert_eq!(delivery.handle_timeout(t0 + seconds(900), 4), Due::Nothing);
        assert!(delivery.is_queued());
    }

    #[test]
    fn a_failed_transmission_counts_like_a_lost_one() {
        let (t0, mut delivery) = (t0(), Delivery::new());
        delivery.handed(seconds(2));
        delivery.send_failed(t0);
        assert_eq!(delivery.poll_timeout().unwrap().at, t0 + seconds(2));
        assert_eq!(delivery.round_trip(t0 + seconds(1)), None, "nothing to measure");
    }

    #[test]
    fn the_wait_for_a_separate_response_is_bounded() {
        // COAP-16
        let (t0, mut delivery) = (t0(), Delivery::new());
        delivery.handed(seconds(2));
        delivery.sent(t0);
        delivery.acknowledged(t0 + seconds(1), seconds(247));
        assert!(!delivery.is_outstanding());
        delivery.acknowledged(t0 + seconds(100), seconds(247)); // a late copy of the ACK does not prolong it
        assert_eq!(delivery.handle_timeout(t0 + seconds(247), 4), Due::Nothing);
        assert_eq!(delivery.handle_timeout(t0 + seconds(248), 4), Due::TimedOut);
    }

    #[test]
    fn estimate_only_raises_the_timeout_and_only_to_its_ceiling() {
        let mut round_trip = RoundTrip::new(&Params::nbiot());
        for _ in 0..20 {
            round_trip.measured(seconds(1), 0);
        }
        assert_eq!(round_trip.first_timeout(0.0), seconds(10));
        for _ in 0..20 {
            round_trip.measured(seconds(22), 1); // longer than the time-out: always one resend
        }
        let raised = round_trip.first_timeout(0.0);
        assert!(raised >= seconds(20) && raised <= seconds(30), "{raised:?}");
        for _ in 0..20 {
            round_trip.measured(seconds(100), 2);
        }
        assert_eq!(round_trip.first_timeout(0.0), seconds(30));
        assert!(round_trip.first_timeout(0.999) < seconds(45));
        for _ in 0..100 {
            round_trip.measured(seconds(1), 0);
        }
        assert_eq!(round_trip.first_timeout(0.0), seconds(10), "and it comes down again");
    }

    #[test]
    fn without_an_estimate_round_trips_change_nothing() {
        let mut round_trip = RoundTrip::new(&Params::lan());
        round_trip.measured(seconds(60), 1);
        assert_eq!(round_trip.first_timeout(0.0), seconds(2));
        assert_eq!(round_trip.first_timeout(0.5), Duration::from_millis(2500));
    }
}
