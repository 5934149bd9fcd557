//! Observations (RFC 7641): those that peers hold on us, and those that we hold on peers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::{Key, Wants};
use super::message::Token;
use super::types::{ExchangeId, ObservationId, Request};
use crate::net::Peer;

/// Most observations in each direction, of one peer or of all.
const MAX_TOTAL: usize = 16_384;
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
    by_token: BTreeMap<(Peer, Token), ObservationId>,
    /// Message IDs that may still be answered by RST though nothing waits for an acknowledgement.
    by_mid: BTreeMap<(Peer, u16), (ObservationId, Instant)>,
    last: u64,
    /// The Observe value before the first of a new observation.
    start: u32,
}

#[derive(Debug)]
struct Observation {
    peer: Peer,
    token: Token,
    /// What is observed, and how a large representation of it is cut.
    wants: Arc<Wants>,
    /// The latest Observe value sent.
    sequence: u32,
    /// Its latest Message IDs in `by_mid`, the newest first.
    recent: VecDeque<u16>,
    /// Its last notification is on its way.
    closing: bool,
}

impl Observations {
    /// New observations begin after this Observe value.
    pub fn start_after(&mut self, value: u32) {
        self.start = value & SEQUENCE_MASK;
    }

    /// A new observation; `None` when there is no room.
    pub fn start(&mut self, peer: Peer, token: Token, wants: Wants) -> Option<ObservationId> {
        if self.by_id.len() >= MAX_TOTAL {
            return None;
        }
        self.last += 1;
        let id = ObservationId(self.last);
        let (sequence, recent, wants) = (self.start, VecDeque::new(), Arc::new(wants));
        self.by_id.insert(id, Observation { peer, token, wants, sequence, recent, closing: false });
        self.by_token.insert((peer, token), id);
        Some(id)
    }

    /// The observation that this token names.
    pub fn find(&self, peer: Peer, token: Token) -> Option<ObservationId> {
        self.by_token.get(&(peer, token)).copied()
    }

    /// The observation to one of whose recent messages this Message ID belonged.
    pub fn by_recent_mid(
        &self,
        peer: Peer,
        mid: u16,
        now: Instant,
        lifetime: Duration,
    ) -> Option<ObservationId> {
        let (id, sent) = self.by_mid.get(&(peer, mid))?;
        (now.saturating_duration_since(*sent) < lifetime).then_some(*id)
    }

    /// Whose it is, under which token and of what; `None` when it is gone or about to be.
    pub fn get(&self, id: ObservationId) -> Option<(Peer, Token, &Arc<Wants>)> {
        let observation = self.by_id.get(&id).filter(|observation| !observation.closing)?;
        Some((observation.peer, observation.token, &observation.wants))
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
        observation.recent.push_front(mid);
        let forgotten = (observation.recent.len() > RECENT_MIDS).then(|| observation.recent.pop_back());
        let peer = observation.peer;
        self.forget_mid(id, peer, forgotten.flatten());
        self.by_mid.insert((peer, mid), (id, now));
    }

    /// Its last notification is made: nothing more may be told.
    pub fn close(&mut self, id: ObservationId) {
        if let Some(observation) = self.by_id.get_mut(&id) {
            observation.closing = true;
        }
    }

    /// It is over. Gives its latest Observe value.
    pub fn end(&mut self, id: ObservationId) -> Option<u32> {
        let Observation { peer, token, recent, sequence, .. } = self.by_id.remove(&id)?;
        if self.find(peer, token) == Some(id) {
            self.by_token.remove(&(peer, token));
        }
        self.forget_mid(id, peer, recent);
        Some(sequence)
    }

    /// All observations of a peer.
    pub fn of_peer(&self, peer: Peer) -> Vec<ObservationId> {
        let from_peer = self.by_token.range((peer, Token::EMPTY)..);
        from_peer.take_while(|((owner, _), _)| *owner == peer).map(|(_, id)| *id).collect()
    }

    /// Whether this peer observes something.
    pub fn is_held_by(&self, peer: Peer) -> bool {
        self.by_token.range((peer, Token::EMPTY)..).next().is_some_and(|((owner, _), _)| *owner == peer)
    }

    fn forget_mid(&mut self, id: ObservationId, peer: Peer, mids: impl IntoIterator<Item = u16>) {
        for mid in mids {
            if self.by_mid.get(&(peer, mid)).is_some_and(|(owner, _)| *owner == id) {
                self.by_mid.remove(&(peer, mid));
            }
        }
    }
}

/// What we observe at peers.
#[derive(Debug, Default)]
pub struct Observing {
    by_token: BTreeMap<(Peer, Token), Observed>,
    /// A peer's tokens by what the request asks for, that they can be found for its end.
    by_key: BTreeSet<(Peer, Key, Token)>,
    by_exchange: BTreeMap<ExchangeId, (Peer, Token)>,
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
            self.by_key.insert((peer, Key::of(&request), token));
            self.by_exchange.insert(exchange, (peer, token));
            let observed = Observed { exchange, request, latest: sequence, at: now };
            self.by_token.insert((peer, token), observed);
        }
    }

    /// Takes a notification into account (RFC 7641 §3.4); without `sequence` it is the last one.
    pub fn notified(&mut self, peer: Peer, token: Token, sequence: Option<u32>, now: Instant) -> Freshness {
        let Some(observed) = self.by_token.get_mut(&(peer, token)) else { return Freshness::Unknown };
        let exchange = observed.exchange;
        let Some(sequence) = sequence else {
            self.forget(peer, token);
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
        let key = Key::of(request);
        let of_key = self.by_key.range((peer, key.clone(), Token::EMPTY)..);
        let tokens =
            of_key.take_while(|(owner, of, _)| *owner == peer && *of == key).map(|(.., token)| *token);
        let fits = |token: &Token| {
            let observed = self.by_token.get(&(peer, *token));
            observed.is_some_and(|observed| observed.request.payload == request.payload)
        };
        let token = { tokens }.find(fits)?;
        self.forget(peer, token);
        Some(token)
    }

    /// Forgets the observation under this token; says whose exchange it was.
    pub fn forget(&mut self, peer: Peer, token: Token) -> Option<ExchangeId> {
        let Observed { exchange, request, .. } = self.by_token.remove(&(peer, token))?;
        self.by_key.remove(&(peer, Key::of(&request), token));
        if self.by_exchange.get(&exchange) == Some(&(peer, token)) {
            self.by_exchange.remove(&exchange);
        }
        Some(exchange)
    }

    /// The request that began the observation under this token.
    pub fn request(&self, peer: Peer, token: Token) -> Option<&Request> {
        self.by_token.get(&(peer, token)).map(|observed| &observed.request)
    }

    /// Forgets the observation that this exchange started: its next notification meets RST.
    pub fn abandon(&mut self, exchange: ExchangeId) {
        if let Some((peer, token)) = self.by_exchange.get(&exchange).copied() {
            self.forget(peer, token);
        }
    }

    /// Whether we observe something at this peer.
    pub fn is_held_on(&self, peer: Peer) -> bool {
        self.by_token.range((peer, Token::EMPTY)..).next().is_some_and(|((owner, _), _)| *owner == peer)
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

    fn wants() -> Wants {
        let key = Key::of(&request("3"));
        Wants { observe: Some(0), key, accept: None, block2: None, size2: false, block1: None }
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn observe_values_rise_and_wrap_at_24_bits() {
        // OBS-11
        let mut observations = Observations::default();
        observations.start_after(0xff_fffe);
        let id = observations.start(peer(1), Token::EMPTY, wants()).unwrap();
        let values: Vec<_> = (0..3).map(|_| observations.next_sequence(id).unwrap()).collect();
        assert_eq!(values, [0xff_ffff, 0, 1]);
    }

    #[test]
    fn observations_are_keyed_by_peer_and_token() {
        // OBS-01, OBS-05, OBS-16
        let mut observations = Observations::default();
        let first = observations.start(peer(1), Token::EMPTY, wants()).unwrap();
        let second = observations.start(peer(2), Token::EMPTY, wants()).unwrap();
        assert_eq!(observations.find(peer(1), Token::EMPTY), Some(first));
        assert_eq!(observations.find(peer(2), Token::EMPTY), Some(second));
        assert_eq!(observations.find(peer(1), Token::new(&[0]).unwrap()), None);
    }

    #[test]
    fn only_the_latest_message_ids_are_remembered_and_not_for_ever() {
        // OBS-07
        let (t0, mut observations) = (t0(), Observations::default());
        let id = observations.start(peer(1), Token::EMPTY, wants()).unwrap();
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
    fn one_peer_may_hold_all_observations_and_no_more() {
        let mut observations = Observations::default();
        let mut token =
            |number: u16| observations.start(peer(1), Token::new(&number.to_be_bytes())?, wants());
        assert_eq!((0..=u16::MAX).filter_map(&mut token).count(), MAX_TOTAL);
        assert!(observations.start(peer(2), Token::EMPTY, wants()).is_none());
        for id in observations.of_peer(peer(1)) {
            observations.remember(id, 7, t0());
            observations.end(id);
        }
        assert!(!observations.is_held_by(peer(1)));
        assert_eq!(
            (observations.by_id.len(), observations.by_token.len(), observations.by_mid.len()),
            (0, 0, 0)
        );
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
