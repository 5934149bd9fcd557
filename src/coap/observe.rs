//! Observations (RFC 7641): those that peers hold on us, and those that we hold on peers.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::message::Token;
use super::types::{ExchangeId, ObservationId, Request};
use crate::net::Peer;

/// Most observations that one peer may hold on us.
const MAX_PER_PEER: usize = 256;
/// Most observations in each direction.
const MAX_TOTAL: usize = 1024;
/// Message IDs remembered of one observation, to match a late RST.
const RECENT_MIDS: usize = 8;
/// Values of the Observe option have 24 bits.
const SEQUENCE_MASK: u32 = 0x00ff_ffff;
/// After this long any notification is fresher than the one before (RFC 7641 §3.4).
const FRESH_AFTER: Duration = Duration::from_secs(128);

/// What peers observe here, keyed by peer and token (RFC 7641 §4.1).
#[derive(Debug, Default)]
pub struct Observations {
    by_id: BTreeMap<ObservationId, Observation>,
    last: u64,
    /// The Observe value before the first of a new observation.
    start: u32,
}

#[derive(Debug)]
struct Observation {
    peer: Peer,
    token: Token,
    /// The latest Observe value sent.
    sequence: u32,
    /// Message IDs that may still be answered by RST though nothing waits for an acknowledgement.
    recent: VecDeque<(u16, Instant)>,
    /// Its last notification is on its way.
    closing: bool,
}

impl Observations {
    /// New observations begin after this Observe value.
    pub fn start_after(&mut self, value: u32) {
        self.start = value & SEQUENCE_MASK;
    }

    /// A new observation; `None` when there is no room.
    pub fn start(&mut self, peer: Peer, token: Token) -> Option<ObservationId> {
        let of_peer = self.by_id.values().filter(|observation| observation.peer == peer).count();
        if of_peer >= MAX_PER_PEER || self.by_id.len() >= MAX_TOTAL {
            return None;
        }
        self.last += 1;
        let id = ObservationId(self.last);
        let (sequence, recent) = (self.start, VecDeque::new());
        self.by_id.insert(id, Observation { peer, token, sequence, recent, closing: false });
        Some(id)
    }

    /// The observation that this token names.
    pub fn find(&self, peer: Peer, token: Token) -> Option<ObservationId> {
        self.find_by(|observation| observation.peer == peer && observation.token == token)
    }

    /// The observation to one of whose recent messages this Message ID belonged.
    pub fn by_recent_mid(
        &self,
        peer: Peer,
        mid: u16,
        now: Instant,
        lifetime: Duration,
    ) -> Option<ObservationId> {
        let sent =
            |recent: &(u16, Instant)| recent.0 == mid && now.saturating_duration_since(recent.1) < lifetime;
        self.find_by(|observation| observation.peer == peer && observation.recent.iter().any(sent))
    }

    /// Whose it is and under which token; `None` when it is gone or about to be.
    pub fn get(&self, id: ObservationId) -> Option<(Peer, Token)> {
        let observation = self.by_id.get(&id).filter(|observation| !observation.closing)?;
        Some((observation.peer, observation.token))
    }

    /// The Observe value of the next message: rising modulo 2^24 (OBS-11).
    pub fn next_sequence(&mut self, id: ObservationId) -> Option<u32> {
        let observation = self.by_id.get_mut(&id)?;
        observation.sequence = (observation.sequence + 1) & SEQUENCE_MASK;
        Some(observation.sequence)
    }

    /// Continues the sequence of an observation that `id` replaces under the same token, for the peer compares them.
    pub fn continue_from(&mut self, id: ObservationId, sequence: u32) {
        if let Some(observation) = self.by_id.get_mut(&id) {
            observation.sequence = sequence;
        }
    }

    /// A message of the observation went out that no acknowledgement is awaited for, or not any more.
    pub fn remember(&mut self, id: ObservationId, mid: u16, now: Instant) {
        let Some(observation) = self.by_id.get_mut(&id) else { return };
        observation.recent.truncate(RECENT_MIDS - 1);
        observation.recent.push_front((mid, now));
    }

    /// Its last notification is made: nothing more may be told.
    pub fn close(&mut self, id: ObservationId) {
        if let Some(observation) = self.by_id.get_mut(&id) {
            observation.closing = true;
        }
    }

    /// It is over. Gives its latest Observe value.
    pub fn end(&mut self, id: ObservationId) -> Option<u32> {
        self.by_id.remove(&id).map(|observation| observation.sequence)
    }

    /// All observations of a peer.
    pub fn of_peer(&self, peer: Peer) -> Vec<ObservationId> {
        let of_peer = self.by_id.iter().filter(|(_, observation)| observation.peer == peer);
        of_peer.map(|(id, _)| *id).collect()
    }

    /// Who observes.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.by_id.values().map(|observation| observation.peer)
    }

    fn find_by(&self, fits: impl Fn(&Observation) -> bool) -> Option<ObservationId> {
        self.by_id.iter().find(|(_, observation)| fits(observation)).map(|(id, _)| *id)
    }
}

/// What we observe at peers.
#[derive(Debug, Default)]
pub struct Observing {
    by_token: BTreeMap<(Peer, Token), Observed>,
}

/// One resource that we observe.
#[derive(Debug)]
struct Observed {
    exchange: ExchangeId,
    /// The request that started it; its end has to repeat it (RFC 7641 §3.6).
    request: Request,
    latest: u32,
    at: Instant,
}

/// A notification seen against those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// We observe nothing under this token.
    Unknown,
    /// Older than one already seen.
    Stale,
    /// The latest so far.
    Fresh(ExchangeId),
}

impl Observing {
    /// The peer took up an observation with this first Observe value. When there is no room its notifications will meet RST.
    pub fn start(
        &mut self,
        (peer, token): (Peer, Token),
        exchange: ExchangeId,
        request: Request,
        sequence: u32,
        now: Instant,
    ) {
        if self.by_token.len() < MAX_TOTAL {
            let observed = Observed { exchange, request, latest: sequence, at: now };
            self.by_token.insert((peer, token), observed);
        }
    }

    /// Takes a notification into account (RFC 7641 §3.4); without `sequence` it is the last one.
    pub fn notified(&mut self, peer: Peer, token: Token, sequence: Option<u32>, now: Instant) -> Freshness {
        let Some(observed) = self.by_token.get_mut(&(peer, token)) else { return Freshness::Unknown };
        let exchange = observed.exchange;
        let Some(sequence) = sequence else {
            self.by_token.remove(&(peer, token));
            return Freshness::Fresh(exchange);
        };
        let ahead = sequence.wrapping_sub(observed.latest) & SEQUENCE_MASK;
        let newer = ahead != 0 && ahead < 1 << 23;
        if !newer && now.saturating_duration_since(observed.at) <= FRESH_AFTER {
            return Freshness::Stale;
        }
        (observed.latest, observed.at) = (sequence, now);
        Freshness::Fresh(exchange)
    }

    /// We observe something under this token.
    pub fn contains(&self, peer: Peer, token: Token) -> bool {
        self.by_token.contains_key(&(peer, token))
    }

    /// The token of the observation that this request ends: the same request but for Observe 1. It is then forgotten here.
    pub fn cancel(&mut self, peer: Peer, request: &Request) -> Option<Token> {
        let fits = |observed: &Observed| {
            let started = &observed.request;
            started.method == request.method
                && started.path == request.path
                && started.query == request.query
                && started.payload == request.payload
        };
        let (key, _) = self.by_token.iter().find(|(key, observed)| key.0 == peer && fits(observed))?;
        let key = *key;
        self.by_token.remove(&key);
        Some(key.1)
    }

    /// Forgets the observation under this token; says whose exchange it was.
    pub fn forget(&mut self, peer: Peer, token: Token) -> Option<ExchangeId> {
        self.by_token.remove(&(peer, token)).map(|observed| observed.exchange)
    }

    /// Forgets the observation that this exchange started: its next notification meets RST.
    pub fn abandon(&mut self, exchange: ExchangeId) {
        self.by_token.retain(|_, observed| observed.exchange != exchange);
    }

    /// Whom we observe.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.by_token.keys().map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::super::types::Method;
    use super::*;

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    fn peer(number: u8) -> Peer {
        Peer(SocketAddr::from((Ipv4Addr::new(192, 0, 2, number), 5683)))
    }

    fn request(path: &str) -> Request {
        Request { observe: Some(0), ..Request::new(Method::Get, vec![path.to_owned()]) }
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn observe_values_rise_and_wrap_at_24_bits() {
        // OBS-11
        let mut observations = Observations::default();
        observations.start_after(0xff_fffe);
        let id = observations.start(peer(1), Token::EMPTY).unwrap();
        let values: Vec<_> = (0..3).map(|_| observations.next_sequence(id).unwrap()).collect();
        assert_eq!(values, [0xff_ffff, 0, 1]);
    }

    #[test]
    fn observations_are_keyed_by_peer_and_token() {
        // OBS-01, OBS-05, OBS-16
        let mut observations = Observations::default();
        let first = observations.start(peer(1), Token::EMPTY).unwrap();
        let second = observations.start(peer(2), Token::EMPTY).unwrap();
        assert_eq!(observations.find(peer(1), Token::EMPTY), Some(first));
        assert_eq!(observations.find(peer(2), Token::EMPTY), Some(second));
        assert_eq!(observations.find(peer(1), Token::new(&[0]).unwrap()), None);
    }

    #[test]
    fn only_the_latest_message_ids_are_remembered_and_not_for_ever() {
        // OBS-07
        let (t0, mut observations) = (t0(), Observations::default());
        let id = observations.start(peer(1), Token::EMPTY).unwrap();
        for mid in 0..20 {
            observations.remember(id, mid, t0);
        }
        let find = |mid, after| observations.by_recent_mid(peer(1), mid, t0 + after, seconds(247));
        assert_eq!(find(19, seconds(1)), Some(id));
        assert_eq!(find(12, seconds(1)), Some(id));
        assert_eq!(find(11, seconds(1)), None);
        assert_eq!(find(19, seconds(247)), None);
    }

    #[test]
    fn room_for_observations_is_bounded() {
        let mut observations = Observations::default();
        let started = (0..=u16::MAX)
            .filter_map(|number| observations.start(peer(1), Token::new(&number.to_be_bytes())?))
            .count();
        assert_eq!(started, MAX_PER_PEER);
        assert!(observations.start(peer(2), Token::EMPTY).is_some());
    }

    #[test]
    fn freshness_follows_rfc_7641() {
        // RFC 7641 §3.4: V1 < V2 within 2^23, or wrapped, or 128 s later
        let t0 = t0();
        let after = |latest, sequence, elapsed| {
            let mut observing = Observing::default();
            observing.start((peer(1), Token::EMPTY), ExchangeId(1), request("3"), latest, t0);
            observing.notified(peer(1), Token::EMPTY, Some(sequence), t0 + elapsed)
        };
        let fresh = Freshness::Fresh(ExchangeId(1));
        assert_eq!(after(5, 6, seconds(1)), fresh);
        assert_eq!(after(5, 5, seconds(1)), Freshness::Stale);
        assert_eq!(after(5, 4, seconds(1)), Freshness::Stale);
        assert_eq!(after(0xff_ffff, 0, seconds(1)), fresh);
        assert_eq!(after(0, 1 << 23, seconds(1)), Freshness::Stale);
        assert_eq!(after(5, 4, seconds(128)), Freshness::Stale);
        assert_eq!(after(5, 4, seconds(129)), fresh);
    }

    #[test]
    fn a_notification_without_observe_is_the_last() {
        let (t0, mut observing) = (t0(), Observing::default());
        observing.start((peer(1), Token::EMPTY), ExchangeId(1), request("3"), 0, t0);
        assert_eq!(observing.notified(peer(1), Token::EMPTY, None, t0), Freshness::Fresh(ExchangeId(1)));
        assert_eq!(observing.notified(peer(1), Token::EMPTY, Some(9), t0), Freshness::Unknown);
    }

    #[test]
    fn cancelling_finds_the_token_by_the_request() {
        let (t0, mut observing) = (t0(), Observing::default());
        let token = Token::new(&[7]).unwrap();
        observing.start((peer(1), token), ExchangeId(1), request("3"), 0, t0);
        let cancel = Request { observe: Some(1), ..request("3") };
        assert_eq!(observing.cancel(peer(2), &cancel), None);
        assert_eq!(observing.cancel(peer(1), &Request { observe: Some(1), ..request("4") }), None);
        assert_eq!(observing.cancel(peer(1), &cancel), Some(token));
        assert!(!observing.contains(peer(1), token));
    }
}
