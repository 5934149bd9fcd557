//! Messages of one peer that arrived before, with the answer they got (RFC 7252 §4.5).
//!
//! Bounded in number and octets. When full the oldest answered message is forgotten: should a copy of it still come, it is taken
//! as new. Reads go first, for to serve one twice does no harm (RFC 7252 §4.5): a body fetched in a hundred blocks must not push
//! out the Execute before it. Messages still being served are kept; `requests` bounds them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::message::Token;

/// Most messages remembered of one peer: more than any burst that a server opens with.
const MAX_ENTRIES: usize = 512;
/// Most octets of cached answers for one peer; the newest answer is kept whatever its size.
const MAX_OCTETS: usize = 64 * 1024;

/// What is remembered of one peer's messages.
#[derive(Debug, Default)]
pub struct Dedup {
    by_mid: BTreeMap<u16, Entry>,
    /// Message IDs in the order in which they are forgotten.
    by_arrival: BTreeMap<Arrival, u16>,
    octets: usize,
    arrivals: u64,
}

/// What may be done twice before what may not, each as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    effect: Effect,
    number: u64,
}

/// Whether a message may do something when it is taken as new once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// A read.
    None,
    /// Anything else.
    Some,
}

#[derive(Debug)]
struct Entry {
    /// A Message ID with another token is another message: some peers begin again after a restart.
    token: Token,
    arrival: Arrival,
    expires: Instant,
    answer: Answer,
}

/// What a copy of the message gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Still being served.
    Pending,
    /// Non-confirmable: a copy gets nothing.
    Silence,
    /// These octets again.
    Octets(Vec<u8>),
}

impl Answer {
    fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Pending | Self::Silence => 0,
        }
    }
}

impl Dedup {
    /// What a message gets that has arrived before; `None` when it is new.
    pub fn find(&self, mid: u16, token: Token, now: Instant) -> Option<&Answer> {
        let entry = self.by_mid.get(&mid)?;
        (entry.token == token && now < entry.expires).then_some(&entry.answer)
    }

    /// Remembers a message until `expires`.
    pub fn insert(&mut self, mid: u16, token: Token, effect: Effect, answer: Answer, expires: Instant) {
        self.remove(mid);
        self.octets += answer.len();
        self.arrivals += 1;
        let arrival = Arrival { effect, number: self.arrivals };
        self.by_arrival.insert(arrival, mid);
        self.by_mid.insert(mid, Entry { token, arrival, expires, answer });
        self.keep_bounds(mid);
    }

    /// Sets what copies of a remembered message get from now on.
    pub fn answer(&mut self, mid: u16, token: Token, answer: Answer) {
        let Some(entry) = self.by_mid.get_mut(&mid).filter(|entry| entry.token == token) else { return };
        self.octets += answer.len();
        self.octets -= std::mem::replace(&mut entry.answer, answer).len();
        self.keep_bounds(mid);
    }

    /// Forgets what has expired. What arrived after a message that is remembered longer may stay as long as that.
    pub fn expire(&mut self, now: Instant) {
        for effect in [Effect::None, Effect::Some] {
            while let Some(mid) = self.oldest(effect) {
                if self.by_mid.get(&mid).is_some_and(|entry| now < entry.expires) {
                    break;
                }
                self.remove(mid);
            }
        }
    }

    fn oldest(&self, effect: Effect) -> Option<u16> {
        let (arrival, mid) = self.by_arrival.range(Arrival { effect, number: 0 }..).next()?;
        (arrival.effect == effect).then_some(*mid)
    }

    fn keep_bounds(&mut self, newest: u16) {
        while self.by_mid.len() > MAX_ENTRIES || self.octets > MAX_OCTETS {
            let may_go = |mid: &&u16| {
                **mid != newest && self.by_mid.get(mid).is_none_or(|entry| entry.answer != Answer::Pending)
            };
            let Some(oldest) = self.by_arrival.values().find(may_go).copied() else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, mid: u16) {
        if let Some(entry) = self.by_mid.remove(&mid) {
            self.by_arrival.remove(&entry.arrival);
            self.octets -= entry.answer.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    fn octets(len: usize) -> Answer {
        Answer::Octets(vec![0; len])
    }

    #[test]
    fn a_message_is_known_until_it_expires() {
        // COAP-07
        let (t0, mut dedup) = (t0(), Dedup::default());
        dedup.insert(7, Token::EMPTY, Effect::Some, Answer::Pending, t0 + Duration::from_secs(247));
        assert_eq!(dedup.find(7, Token::EMPTY, t0), Some(&Answer::Pending));
        dedup.answer(7, Token::EMPTY, octets(4));
        assert_eq!(dedup.find(7, Token::EMPTY, t0 + Duration::from_secs(246)), Some(&octets(4)));
        assert_eq!(dedup.find(7, Token::EMPTY, t0 + Duration::from_secs(247)), None);
        assert_eq!(dedup.find(8, Token::EMPTY, t0), None);
    }

    #[test]
    fn the_same_message_id_with_another_token_is_another_message() {
        let (t0, mut dedup) = (t0(), Dedup::default());
        dedup.insert(7, Token::EMPTY, Effect::Some, octets(4), t0 + Duration::from_secs(9));
        assert_eq!(dedup.find(7, Token::new(&[1]).unwrap(), t0), None);
    }

    #[test]
    fn bounds_hold_and_what_is_being_served_stays() {
        let (t0, mut dedup) = (t0(), Dedup::default());
        let expires = t0 + Duration::from_secs(247);
        dedup.insert(0, Token::EMPTY, Effect::Some, Answer::Pending, expires);
        for mid in 1..1000 {
            dedup.insert(mid, Token::EMPTY, Effect::Some, octets(usize::from(mid % 700)), expires);
            assert!(dedup.by_mid.len() <= MAX_ENTRIES && dedup.octets <= MAX_OCTETS);
        }
        assert!(dedup.find(0, Token::EMPTY, t0).is_some());
        assert!(dedup.find(999, Token::EMPTY, t0).is_some());
        assert!(dedup.find(1, Token::EMPTY, t0).is_none());
        dedup.expire(expires);
        assert_eq!((dedup.by_mid.len(), dedup.by_arrival.len(), dedup.octets), (0, 0, 0));
    }

    #[test]
    fn what_may_be_done_twice_is_forgotten_first() {
        // COAP-07
        let (t0, mut dedup) = (t0(), Dedup::default());
        let expires = t0 + Duration::from_secs(247);
        dedup.insert(0, Token::EMPTY, Effect::Some, octets(4), expires);
        for mid in 1..1000 {
            dedup.insert(mid, Token::EMPTY, Effect::None, octets(1040), expires);
        }
        assert_eq!(dedup.find(0, Token::EMPTY, t0), Some(&octets(4)));
        assert!(dedup.find(999, Token::EMPTY, t0).is_some());
        for mid in 1000..2000 {
            dedup.insert(mid, Token::EMPTY, Effect::Some, octets(4), expires);
        }
        assert_eq!(dedup.find(0, Token::EMPTY, t0), None, "but the bound holds");
        dedup.expire(expires);
        assert!(dedup.by_mid.is_empty() && dedup.by_arrival.is_empty());
    }

    #[test]
    fn an_answer_larger_than_the_bound_is_kept_alone() {
        let (t0, mut dedup) = (t0(), Dedup::default());
        let expires = t0 + Duration::from_secs(247);
        dedup.insert(1, Token::EMPTY, Effect::Some, octets(10), expires);
        dedup.insert(2, Token::EMPTY, Effect::Some, octets(MAX_OCTETS + 1), expires);
        assert_eq!(dedup.find(1, Token::EMPTY, t0), None);
        assert!(dedup.find(2, Token::EMPTY, t0).is_some());
    }
}
