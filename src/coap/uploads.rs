//! Bodies of peers' requests that arrive block by block (RFC 7959 §2.5, Block1).
//!
//! Bounds: [`MAX_BODY_IN`] octets of a body or what the owner set, [`MAX_PER_PEER`] bodies of a peer (the one that waits longest for its next block is
//! forgotten; that block is then answered 4.08), [`MAX_TOTAL`] in all (the newcomer is answered 5.03). A body without a new block
//! for EXCHANGE_LIFETIME is forgotten (BLK-11).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::block::{Block, BlockSize, Key, MAX_BODY_IN};
use super::types::{Code, ContentFormat};
use crate::net::Peer;

/// Most bodies of one peer that are under way.
const MAX_PER_PEER: usize = 4;
/// Most bodies that are under way.
const MAX_TOTAL: usize = 16;

/// Whose body for what.
type Name = (Peer, Key, Option<ContentFormat>);

/// The bodies that are not whole yet.
#[derive(Debug)]
pub struct Uploads {
    open: BTreeMap<Name, Upload>,
    max_body: usize,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { open: BTreeMap::new(), max_body: MAX_BODY_IN }
    }
}

#[derive(Debug)]
struct Upload {
    body: Vec<u8>,
    size: BlockSize,
    latest: Instant,
}

/// What became of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// More is to follow: 2.31.
    Continue,
    /// It was the last one, and this is the body.
    Whole(Vec<u8>),
    /// Refused with this code. Nothing is left of the body.
    Refused(Code),
}

impl Uploads {
    /// Bodies may have so many octets from now on.
    pub fn set_max_body(&mut self, octets: usize) {
        self.max_body = octets;
    }

    /// Most octets of a body.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// A block arrived; `announced` is what Size1 says of the whole.
    pub fn take(
        &mut self,
        name: Name,
        block: Block,
        payload: &[u8],
        announced: Option<u32>,
        now: Instant,
    ) -> Taken {
        let taken = self.sort_in(&name, block, payload, announced, now);
        if matches!(taken, Taken::Refused(_)) {
            self.open.remove(&name);
        }
        taken
    }

    /// Forgets what had no block for this long.
    pub fn expire(&mut self, now: Instant, lifetime: Duration) {
        self.open.retain(|_, upload| now.saturating_duration_since(upload.latest) < lifetime);
    }

    fn sort_in(
        &mut self,
        name: &Name,
        block: Block,
        payload: &[u8],
        announced: Option<u32>,
        now: Instant,
    ) -> Taken {
        let size = block.size.octets();
        if payload.len() > size || block.more && payload.len() < size {
            return Taken::Refused(Code::BAD_REQUEST);
        }
        let announced = announced.map_or(0, |octets| octets as usize);
        if announced > self.max_body || block.offset() + payload.len() > self.max_body {
            return Taken::Refused(Code::REQUEST_ENTITY_TOO_LARGE);
        }
        if block.number == 0 {
            return self.begin(name, block, payload, now);
        }
        let Some(upload) = self.open.get_mut(name) else {
            return Taken::Refused(Code::REQUEST_ENTITY_INCOMPLETE);
        };
        if block.size > upload.size {
            return Taken::Refused(Code::BAD_REQUEST);
        }
        // The latest block once more under a new Message ID: the peer did not see our 2.31.
        let again = block.offset() + payload.len() == upload.body.len() && upload.body.ends_with(payload);
        if block.offset() != upload.body.len() && !(again && block.more) {
            return Taken::Refused(Code::REQUEST_ENTITY_INCOMPLETE);
        }
        upload.latest = now;
        upload.size = block.size;
        upload.body.truncate(block.offset());
        upload.body.extend_from_slice(payload);
        if block.more {
            return Taken::Continue;
        }
        Taken::Whole(self.open.remove(name).map(|upload| upload.body).unwrap_or_default())
    }

    fn begin(&mut self, name: &Name, block: Block, payload: &[u8], now: Instant) -> Taken {
        self.open.remove(name);
        if !block.more {
            return Taken::Whole(payload.to_vec());
        }
        let of_peer = self.open.iter().filter(|((peer, ..), _)| *peer == name.0);
        if of_peer.clone().count() >= MAX_PER_PEER {
            if let Some(oldest) =
                of_peer.min_by_key(|(_, upload)| upload.latest).map(|(name, _)| name.clone())
            {
                self.open.remove(&oldest);
            }
        }
        if self.open.len() >= MAX_TOTAL {
            return Taken::Refused(Code::SERVICE_UNAVAILABLE);
        }
        let upload = Upload { body: payload.to_vec(), size: block.size, latest: now };
        self.open.insert(name.clone(), upload);
        Taken::Continue
    }
}
