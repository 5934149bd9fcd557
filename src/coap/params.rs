//! Transmission parameters (RFC 7252 §4.8) as two profiles, and the times that follow from them.

use std::time::Duration;

/// Longest time that a datagram is expected to be on its way (RFC 7252 §4.8.2).
const MAX_LATENCY: Duration = Duration::from_secs(100);

/// The largest NSTART that can be set.
pub const MAX_NSTART: usize = 16;

/// Transmission parameters of an endpoint.
///
/// With an estimate (profile `nbiot`) the time-out follows the measured round trip upwards, from
/// [`ack_timeout`](Self::ack_timeout) to [`ack_timeout_ceiling`](Self::ack_timeout_ceiling), never below the former. Setting any
/// parameter switches the estimate off: what the operator wrote is what happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    ack_timeout: Duration,
    ack_timeout_ceiling: Duration,
    ack_random_factor: f64,
    max_retransmit: u32,
    nstart: usize,
}

/// A parameter outside the range in which the protocol works.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadParameter {
    /// ACK_TIMEOUT outside 100 ms to 120 s.
    #[error("ack_timeout must be from 100ms to 120s, not {0:?}")]
    AckTimeout(Duration),
    /// ACK_RANDOM_FACTOR outside 1 to 4.
    #[error("ack_random_factor must be from 1.0 to 4.0, not {0}")]
    AckRandomFactor(f64),
    /// MAX_RETRANSMIT above 10.
    #[error("max_retransmit must be from 0 to 10, not {0}")]
    MaxRetransmit(u32),
    /// NSTART outside 1 to 16.
    #[error("nstart must be from 1 to 16, not {0}")]
    Nstart(usize),
}

impl Params {
    /// RFC 7252 §4.8 as written (COAP-14): for Ethernet and for tests.
    pub const fn lan() -> Self {
        let ack_timeout = Duration::from_secs(2);
        Self {
            ack_timeout,
            ack_timeout_ceiling: ack_timeout,
            ack_random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
        }
    }

    /// For NB-IoT: round trips of 2 to 10 s in poor coverage, each resend paid for.
    pub const fn nbiot() -> Self {
        Self {
            ack_timeout: Duration::from_secs(10),
            ack_timeout_ceiling: Duration::from_secs(30),
            ack_random_factor: 1.5,
            max_retransmit: 3,
            nstart: 1,
        }
    }

    /// With this ACK_TIMEOUT, and without the estimate.
    ///
    /// # Errors
    /// Outside 100 ms to 120 s.
    pub fn with_ack_timeout(self, ack_timeout: Duration) -> Result<Self, BadParameter> {
        if !(Duration::from_millis(100)..=Duration::from_secs(120)).contains(&ack_timeout) {
            return Err(BadParameter::AckTimeout(ack_timeout));
        }
        Ok(Self { ack_timeout, ..self }.without_estimate())
    }

    /// With this ACK_RANDOM_FACTOR, and without the estimate.
    ///
    /// # Errors
    /// Outside 1 to 4.
    pub fn with_ack_random_factor(self, ack_random_factor: f64) -> Result<Self, BadParameter> {
        if !(1.0..=4.0).contains(&ack_random_factor) {
            return Err(BadParameter::AckRandomFactor(ack_random_factor));
        }
        Ok(Self { ack_random_factor, ..self }.without_estimate())
    }

    /// With this MAX_RETRANSMIT, and without the estimate.
    ///
    /// # Errors
    /// Above 10.
    pub fn with_max_retransmit(self, max_retransmit: u32) -> Result<Self, BadParameter> {
        if max_retransmit > 10 {
            return Err(BadParameter::MaxRetransmit(max_retransmit));
        }
        Ok(Self { max_retransmit, ..self }.without_estimate())
    }

    /// With this NSTART, and without the estimate.
    ///
    /// # Errors
    /// Outside 1 to [`MAX_NSTART`].
    pub fn with_nstart(self, nstart: usize) -> Result<Self, BadParameter> {
        if !(1..=MAX_NSTART).contains(&nstart) {
            return Err(BadParameter::Nstart(nstart));
        }
        Ok(Self { nstart, ..self }.without_estimate())
    }

    fn without_estimate(self) -> Self {
        Self { ack_timeout_ceiling: self.ack_timeout, ..self }
    }

    /// ACK_TIMEOUT: the least first time-out, before the random factor.
    pub const fn ack_timeout(&self) -> Duration {
        self.ack_timeout
    }

    /// The most that the estimate may make of ACK_TIMEOUT; equal to it when there is no estimate.
    pub const fn ack_timeout_ceiling(&self) -> Duration {
        self.ack_timeout_ceiling
    }

    /// ACK_RANDOM_FACTOR: the first time-out is drawn between once and this many times ACK_TIMEOUT.
    pub const fn ack_random_factor(&self) -> f64 {
        self.ack_random_factor
    }

    /// MAX_RETRANSMIT: resends after the first transmission.
    pub const fn max_retransmit(&self) -> u32 {
        self.max_retransmit
    }

    /// NSTART: own Confirmable exchanges open towards one peer.
    pub const fn nstart(&self) -> usize {
        self.nstart
    }

    /// MAX_TRANSMIT_SPAN: from first transmission to last resend (COAP-15).
    pub fn max_transmit_span(&self) -> Duration {
        self.time_outs((1 << self.max_retransmit) - 1)
    }

    /// MAX_TRANSMIT_WAIT: from first transmission to giving up.
    pub fn max_transmit_wait(&self) -> Duration {
        self.time_outs((1 << (self.max_retransmit + 1)) - 1)
    }

    /// EXCHANGE_LIFETIME: how long a Message ID of a Confirmable message is remembered, and kept from reuse.
    pub fn exchange_lifetime(&self) -> Duration {
        // PROCESSING_DELAY is ACK_TIMEOUT (RFC 7252 §4.8.2).
        self.max_transmit_span() + 2 * MAX_LATENCY + self.ack_timeout_ceiling
    }

    /// NON_LIFETIME: how long a Message ID of a Non-confirmable message is remembered.
    pub fn non_lifetime(&self) -> Duration {
        self.max_transmit_span() + MAX_LATENCY
    }

    fn time_outs(&self, count: u32) -> Duration {
        (self.ack_timeout_ceiling * count).mul_f64(self.ack_random_factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn lan_has_the_defaults_and_derived_times_of_rfc_7252() {
        // COAP-14, COAP-15
        let params = Params::lan();
        assert_eq!((params.ack_timeout(), params.ack_random_factor()), (seconds(2), 1.5));
        assert_eq!((params.max_retransmit(), params.nstart()), (4, 1));
        assert_eq!(params.max_transmit_span(), seconds(45));
        assert_eq!(params.max_transmit_wait(), seconds(93));
        assert_eq!(params.exchange_lifetime(), seconds(247));
        assert_eq!(params.non_lifetime(), seconds(145));
    }

    #[test]
    fn nbiot_derives_its_times_from_the_ceiling_of_the_estimate() {
        // COAP-15: 30 s · 7 · 1.5 and so on
        let params = Params::nbiot();
        assert_eq!(params.max_transmit_span(), seconds(315));
        assert_eq!(params.max_transmit_wait(), seconds(675));
        assert_eq!(params.exchange_lifetime(), seconds(315 + 200 + 30));
        assert_eq!(params.non_lifetime(), seconds(415));
    }

    #[test]
    fn any_parameter_that_is_set_switches_the_estimate_off_and_rederives() {
        // COAP-15
        let set = [
            Params::nbiot().with_ack_timeout(seconds(10)),
            Params::nbiot().with_ack_random_factor(1.5),
            Params::nbiot().with_max_retransmit(3),
            Params::nbiot().with_nstart(1),
        ];
        for params in set {
            let params = params.unwrap();
            assert_eq!(params.ack_timeout_ceiling(), seconds(10));
            assert_eq!(params.max_transmit_span(), seconds(105));
            assert_eq!(params.exchange_lifetime(), seconds(105 + 200 + 10));
        }
    }

    #[test]
    fn parameters_outside_their_range_are_refused_in_words() {
        let refused = Params::lan().with_ack_timeout(Duration::ZERO).unwrap_err();
        assert_eq!(refused.to_string(), "ack_timeout must be from 100ms to 120s, not 0ns");
        assert!(Params::lan().with_ack_random_factor(0.9).is_err());
        assert!(Params::lan().with_ack_random_factor(f64::NAN).is_err());
        assert!(Params::lan().with_max_retransmit(11).is_err());
        assert!(Params::lan().with_nstart(0).is_err());
    }
}
