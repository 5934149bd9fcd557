//! Message IDs of our own messages: random start, rising by one, none used again while a peer may remember it.

use std::time::{Duration, Instant};

use crate::seed::Rng;

/// The 16-bit space is watched in this many equal parts.
const PARTS: usize = 16;

/// Gives out Message IDs (RFC 7252 §4.4), one sequence for all peers.
#[derive(Debug)]
pub struct MessageIds {
    next: u16,
    lifetime: Duration,
    /// When the last Message ID of each part was given out.
    last_used: [Option<Instant>; PARTS],
}

impl MessageIds {
    /// Starts at random, so that a restart is unlikely to repeat recent numbers (COAP-25).
    pub fn new(rng: &mut Rng, lifetime: Duration) -> Self {
        Self { next: rng.u16(), lifetime, last_used: [None; PARTS] }
    }

    /// The next one; `None` when 65536 messages within one EXCHANGE_LIFETIME have used them all.
    pub fn next(&mut self, now: Instant) -> Option<u16> {
        let mid = self.next;
        let part = usize::from(mid) * PARTS / 0x1_0000;
        let enters = usize::from(mid.wrapping_sub(1)) * PARTS / 0x1_0000 != part;
        let forgotten = |used: Instant| now.saturating_duration_since(used) >= self.lifetime;
        if enters && !self.last_used[part].is_none_or(forgotten) {
            return None;
        }
        self.last_used[part] = Some(now);
        self.next = mid.wrapping_add(1);
        Some(mid)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seed::Seed;

    fn t0() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        Instant::now()
    }

    #[test]
    fn no_message_id_returns_within_the_lifetime() {
        // COAP-25. The first part may have been entered in its middle: at worst that costs a part of the space, never a repeat.
        let lifetime = Duration::from_secs(247);
        let mut ids = MessageIds::new(&mut Seed::new(3).rng(), lifetime);
        let (mut now, mut used) = (t0(), BTreeMap::new());
        for _ in 0..200_000 {
            now += Duration::from_millis(2);
            let Some(mid) = ids.next(now) else { continue };
            if let Some(before) = used.insert(mid, now) {
                assert!(now - before >= lifetime, "{mid} again after {:?}", now - before);
            }
        }
        assert!(used.len() > 60_000, "the whole space is used: {}", used.len());
    }

    #[test]
    fn message_ids_start_at_random() {
        let first = |seed| MessageIds::new(&mut Seed::new(seed).rng(), Duration::ZERO).next(t0()).unwrap();
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
    }
}
