//! Bodies of ours that peers fetch block by block (RFC 7959 §2.4, Block2): all blocks come from one snapshot, although the value
//! changes meanwhile (BLK-14).
//!
//! Bounds: [`MAX_PER_PEER`] bodies of a peer, [`MAX_TOTAL`] and [`MAX_OCTETS`] in all; when full, the one longest unused is
//! forgotten. So is one that nobody asked for in EXCHANGE_LIFETIME. A peer that goes on with a forgotten body gets blocks of the
//! current one, whose ETag tells whether it is another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::block::{BlockSize, ETag, Key};
use super::types::{ContentFormat, NotificationId, Response};
use crate::net::Peer;

/// Most snapshots for one peer.
const MAX_PER_PEER: usize = 16;
/// Most snapshots.
const MAX_TOTAL: usize = 64;
/// Most octets of all bodies together; the newest is kept whatever its size.
const MAX_OCTETS: usize = 4 * 1024 * 1024;

/// For whom and of what: peer, request and its Accept.
type Name = (Peer, Key, Option<ContentFormat>);

/// The bodies that peers may be fetching.
#[derive(Debug, Default)]
pub struct Snapshots {
    by_name: BTreeMap<Name, Snapshot>,
    octets: usize,
}

/// A response at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// All but the body, without Observe.
    pub head: Response,
    /// The whole body.
    pub body: Vec<u8>,
    /// Tells it from others.
    pub etag: ETag,
    /// The size of the latest block; no later one may be larger (BLK-13).
    pub size: BlockSize,
    /// The notification that brought its first block, until the last one was asked for.
    pub notification: Option<NotificationId>,
    /// When a block of it was last sent.
    pub used: Instant,
}

impl Snapshots {
    /// Keeps a body. Gives back those that had to go.
    pub fn insert(&mut self, name: Name, snapshot: Snapshot) -> Vec<Snapshot> {
        let peer = name.0;
        let mut gone: Vec<_> = self.remove(&name).into_iter().collect();
        self.octets += snapshot.body.len();
        self.by_name.insert(name.clone(), snapshot);
        while let Some(oldest) = self.too_many(peer, &name) {
            gone.extend(self.remove(&oldest));
        }
        gone
    }

    /// The body of which this request wants a block. One without Accept gets the latest, whatever its format: some peers name the
    /// format in the first request alone.
    pub fn find(
        &mut self,
        (peer, key, accept): Name,
        now: Instant,
        lifetime: Duration,
    ) -> Option<&mut Snapshot> {
        let named = self.by_name.range_mut((peer, key.clone(), None)..=(peer, key, Some(ContentFormat::MAX)));
        named
            .filter(|((.., format), _)| accept.is_none() || accept == *format)
            .map(|(_, snapshot)| snapshot)
            .filter(|snapshot| now.saturating_duration_since(snapshot.used) < lifetime)
            .max_by_key(|snapshot| snapshot.used)
    }

    /// Forgets what nobody asked for in this time, and gives it back.
    pub fn expire(&mut self, now: Instant, lifetime: Duration) -> Vec<Snapshot> {
        let stale = |snapshot: &Snapshot| now.saturating_duration_since(snapshot.used) >= lifetime;
        let stale = self.by_name.iter().filter(|(_, snapshot)| stale(snapshot));
        let names: Vec<_> = stale.map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| self.remove(name)).collect()
    }

    /// The bodies at hand.
    pub fn iter(&self) -> impl Iterator<Item = &Snapshot> {
        self.by_name.values()
    }

    fn remove(&mut self, name: &Name) -> Option<Snapshot> {
        let snapshot = self.by_name.remove(name)?;
        self.octets -= snapshot.body.len();
        Some(snapshot)
    }

    /// The one to forget, never `newest`, when a bound is passed.
    fn too_many(&self, peer: Peer, newest: &Name) -> Option<Name> {
        let others = || self.by_name.iter().filter(|(name, _)| *name != newest);
        let oldest = |of: &dyn Fn(&Name) -> bool| {
            let candidates = others().filter(|(name, _)| of(name));
            candidates.min_by_key(|(_, snapshot)| snapshot.used).map(|(name, _)| name.clone())
        };
        if others().filter(|(name, _)| name.0 == peer).count() >= MAX_PER_PEER {
            return oldest(&|name| name.0 == peer);
        }
        if self.by_name.len() > MAX_TOTAL || self.octets > MAX_OCTETS {
            return oldest(&|_| true);
        }
        None
    }
}
