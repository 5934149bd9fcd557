//! Block-wise transfer at the door (RFC 7959): whole bodies above, blocks below.
//!
//! A body of ours that fits into a datagram is never cut unless the peer asks for smaller blocks; one that does not goes in the
//! largest blocks that fit (BLK-24).

use std::time::Instant;

use tracing::debug;

use super::super::block::{Block, BlockSize, ETag, Key, MAX_BODY_OUT, Wants};
use super::super::exchange::{Carriage, Out, Purpose};
use super::super::message::{Blocks, Kind, Message, Token};
use super::super::own::Own;
use super::super::reliability::Delivery;
use super::super::snapshots::Snapshot;
use super::super::types::{Code, Event, Failure, NotificationId, ObservationId, Request, Response};
use super::super::uploads::Taken;
use super::{BUSY_SECONDS, Endpoint, Unfetched};
use crate::clock::Deadline;
use crate::net::Peer;

/// Octets that Block2, ETag and the payload marker take at most, and those of Size2.
const OVERHEAD: usize = 5 + 5 + 1;
const SIZE2_OVERHEAD: usize = 5;
/// Octets that a Block1 option takes at most, and the payload marker.
const BLOCK1_OVERHEAD: usize = 2 + 3 + 1;

/// Where a message of ours goes: peer, type, Message ID and token.
pub(super) type Address = (Peer, Kind, u16, Token);

/// What is left of a request for the layer above.
pub(super) enum Arrived {
    /// Its body is whole.
    Whole(Request, Wants),
    /// It ends here, with this answer.
    Answered(Response, Blocks),
    /// It ends here with a block of a body that we have.
    Continued(Block, Wants),
}

impl Endpoint {
    /// Puts the blocks of a request's body together, and finds what it says of the answer.
    pub(super) fn unblock(
        &mut self,
        peer: Peer,
        message: &Message,
        mut request: Request,
        len: usize,
        now: Instant,
    ) -> Arrived {
        let refused = |code| Arrived::Answered(Response::new(code), Blocks::default());
        let Ok(blocks) = message.blocks() else { return refused(Code::BAD_REQUEST) };
        if let Some(hint) = self.cut_on_its_way(&blocks, &request, len) {
            debug!(%peer, octets = len, "request may have been cut on its way: refused");
            return Arrived::Answered(Response::new(Code::REQUEST_ENTITY_TOO_LARGE), hint);
        }
        let key = Key::of(&request);
        if let Some(block) = blocks.block1 {
            let name = (peer, key.clone(), request.content_format);
            self.uploads.expire(now, self.params.exchange_lifetime());
            match self.uploads.take(name, block, &request.payload, blocks.size1, now) {
                Taken::Whole(body) => request.payload = body,
                taken => return self.block_taken(taken, block),
            }
        }
        let wants = Wants {
            observe: request.observe,
            accept: request.accept,
            block1: blocks.block1,
            block2: blocks.block2.map(|block| Block { more: false, ..block }),
            size2: blocks.size2.is_some(),
            key,
        };
        let Some(block) = wants.block2.filter(|block| block.number > 0) else {
            return Arrived::Whole(request, wants);
        };
        // The later blocks of an observed answer are plain reads (RFC 7959 §3.4).
        request.observe = None;
        let wants = Wants { observe: None, ..wants };
        let name = (peer, wants.key.clone(), wants.accept);
        match self.snapshots.find(name, now, self.params.exchange_lifetime()) {
            Some(snapshot) if block.size > snapshot.size => refused(Code::BAD_OPTION),
            Some(_) => Arrived::Continued(block, wants),
            None if request.method.is_safe() => Arrived::Whole(request, wants),
            // Whatever it did, it must not do it again.
            None => refused(Code::REQUEST_ENTITY_INCOMPLETE),
        }
    }

    /// The answer to a request that may be the beginning of one only: the largest size whose whole datagram fits (COAP-30). A block
    /// that has its size is whole.
    fn cut_on_its_way(&self, blocks: &Blocks, request: &Request, len: usize) -> Option<Blocks> {
        let whole = |block: Block| block.more && request.payload.len() == block.size.octets();
        if len < self.max_receive || blocks.block1.is_some_and(whole) {
            return None;
        }
        let option = if blocks.block1.is_some() { 0 } else { BLOCK1_OVERHEAD };
        let overhead = len - request.payload.len() + option;
        let size = BlockSize::fitting((self.max_receive - 1).saturating_sub(overhead));
        Some(Blocks { block1: size.map(|size| Block { number: 0, more: false, size }), ..Blocks::default() })
    }

    fn block_taken(&mut self, taken: Taken, block: Block) -> Arrived {
        let block1 = Some(block);
        match taken {
            Taken::Refused(Code::REQUEST_ENTITY_TOO_LARGE) => {
                let blocks = Blocks {
                    block1,
                    size1: u32::try_from(self.uploads.max_body()).ok(),
                    ..Blocks::default()
                };
                Arrived::Answered(Response::new(Code::REQUEST_ENTITY_TOO_LARGE), blocks)
            }
            Taken::Refused(code) => {
                let max_age = (code == Code::SERVICE_UNAVAILABLE).then_some(BUSY_SECONDS);
                Arrived::Answered(Response { max_age, ..Response::new(code) }, Blocks::default())
            }
            Taken::Continue | Taken::Whole(_) => {
                self.stats.blocks_received += 1;
                Arrived::Answered(Response::new(Code::CONTINUE), Blocks { block1, ..Blocks::default() })
            }
        }
    }

    /// The octets of a block of a body that was begun before; `None` when it is gone.
    pub(super) fn continued(
        &mut self,
        (peer, kind, mid, token): Address,
        block: Block,
        wants: &Wants,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let name = (peer, wants.key.clone(), wants.accept);
        let snapshot = self.snapshots.find(name, now, self.params.exchange_lifetime())?;
        let message = Message::response(kind, mid, token, &snapshot.head);
        let Some((sent, octets)) = block_of(message, snapshot, wants, self.max_datagram) else {
            debug!(%peer, number = block.number, "block after the end refused");
            return Message::response(kind, mid, token, &Response::new(Code::BAD_OPTION))
                .encode(self.max_datagram);
        };
        (snapshot.size, snapshot.used) = (sent.size, now);
        let fetched = if sent.more { None } else { snapshot.notification.take() };
        self.stats.blocks_sent += 1;
        if let Some(notification) = fetched {
            let part = self.unfetched.remove(&notification);
            if part.is_some_and(|part| part.arrived) {
                self.events.push_back(Event::NotificationDelivered { notification });
            }
        }
        Some(octets)
    }

    /// The octets of a response: whole if it fits and nothing smaller is wished, else the block that is wished for, the rest being
    /// kept. `None` when it is too large.
    pub(super) fn encode_response(
        &mut self,
        (peer, kind, mid, token): Address,
        wants: &Wants,
        mut response: Response,
        part_of: Option<(NotificationId, ObservationId)>,
        now: Instant,
    ) -> Option<Vec<u8>> {
        // An error is no representation of which a later block could be wanted.
        let block2 = wants.block2.filter(|_| response.code.is_success());
        let wished = block2.map_or(usize::MAX, |block| block.size.octets());
        let first = block2.is_none_or(|block| block.number == 0);
        if first && response.payload.len() <= wished {
            let size2 = wants.size2.then(|| u32::try_from(response.payload.len()).unwrap_or(u32::MAX));
            let blocks = Blocks { block1: wants.block1, block2, size2, ..Blocks::default() };
            let message = Message::response(kind, mid, token, &response).with_blocks(&blocks);
            if message.len_octets() <= self.max_datagram {
                return message.encode(self.max_datagram);
            }
        }
        let body = std::mem::take(&mut response.payload);
        if body.len() > MAX_BODY_OUT {
            return None;
        }
        let blocks = Blocks { block1: wants.block1, ..Blocks::default() };
        let message = Message::response(kind, mid, token, &response).with_blocks(&blocks);
        let (etag, size) = (ETag::of(&body), BlockSize::MAX);
        let head = Response { observe: None, ..response };
        let notification = part_of.map(|(notification, _)| notification);
        let mut snapshot = Snapshot { head, body, etag, size, notification, used: now };
        if block2.is_some_and(|block| block.number > 0 && block.offset() >= snapshot.body.len()) {
            return Message::response(kind, mid, token, &Response::new(Code::BAD_OPTION))
                .encode(self.max_datagram);
        }
        let (sent, octets) = block_of(message, &snapshot, wants, self.max_datagram)?;
        snapshot.size = sent.size;
        if sent.more {
            let gone = self.snapshots.insert((peer, wants.key.clone(), wants.accept), snapshot);
            self.snapshots_gone(gone);
            let part = part_of.map(|(id, observation)| (id, Unfetched { observation, arrived: false }));
            self.unfetched.extend(part);
        }
        Some(octets)
    }

    /// Bodies were forgotten: notifications of which the rest was never fetched have failed. One whose first block is under way
    /// still fails when that has arrived.
    pub(super) fn snapshots_gone(&mut self, gone: Vec<Snapshot>) {
        for notification in gone.into_iter().filter_map(|snapshot| snapshot.notification) {
            if self.unfetched.get(&notification).is_some_and(|part| part.arrived) {
                self.unfetched.remove(&notification);
                let why = Failure::TimedOut;
                self.events.push_back(Event::NotificationFailed { notification, why });
            }
        }
    }

    /// What the end of a notification's first or only message means for the whole; `None` while the peer has more to fetch. What
    /// is gone before the peer could know of it was not delivered.
    pub(super) fn fetched_or_failed(
        &mut self,
        notification: NotificationId,
        result: Result<(), Failure>,
    ) -> Option<Result<(), Failure>> {
        let Some(part) = self.unfetched.get_mut(&notification) else { return Some(result) };
        if result.is_ok() && self.snapshots.iter().any(|snapshot| snapshot.notification == Some(notification))
        {
            part.arrived = true;
            return None;
        }
        self.unfetched.remove(&notification);
        Some(result.and(Err(Failure::TimedOut)))
    }

    /// When the first notification is given up whose rest nobody fetches.
    pub(super) fn unfetched_timeout(&self) -> Option<Deadline> {
        if self.unfetched.is_empty() {
            return None;
        }
        let arrived = |id| self.unfetched.get(&id).is_some_and(|part| part.arrived);
        let unfetched = |snapshot: &&Snapshot| snapshot.notification.is_some_and(arrived);
        let used = self.snapshots.iter().filter(unfetched).map(|snapshot| snapshot.used).min()?;
        Some(Deadline::new(used + self.params.exchange_lifetime(), "coap notification not fetched"))
    }

    /// Queues the next message of an own request under this token.
    pub(super) fn launch(
        &mut self,
        peer: Peer,
        mut own: Box<Own>,
        token: Token,
        now: Instant,
    ) -> Result<(), Failure> {
        let mid = self.mids.next(now).ok_or(Failure::QueueFull)?;
        let under_way = own.has_begun();
        let message = own.message(mid, token, self.max_datagram).ok_or(Failure::TooLarge)?;
        let octets = message.encode(self.max_datagram).ok_or(Failure::TooLarge)?;
        let (purpose, carriage) = (Purpose::Request(own), Carriage::Confirmable(Delivery::new()));
        let out = Out { peer, mid, token, octets, purpose, carriage };
        match under_way {
            true => self.exchanges.push_first(out),
            false => _ = self.exchanges.push(out),
        }
        Ok(())
    }
}

/// The block of a body that is wanted, in a size that fits; `None` after the end, or if none fits.
fn block_of(message: Message, snapshot: &Snapshot, wants: &Wants, limit: usize) -> Option<(Block, Vec<u8>)> {
    let overhead = message.len_octets() + OVERHEAD + if wants.size2 { SIZE2_OVERHEAD } else { 0 };
    let size = BlockSize::fitting(limit.saturating_sub(overhead))?;
    let size = wants.block2.map_or(size, |block| block.size.min(size));
    let offset = wants.block2.map_or(0, Block::offset);
    let (block, part) = Block::cut(&snapshot.body, offset, size)?;
    let blocks = Blocks {
        block2: Some(block),
        size2: wants.size2.then(|| u32::try_from(snapshot.body.len()).unwrap_or(u32::MAX)),
        etag: Some(snapshot.etag.octets().to_vec()),
        ..Blocks::default()
    };
    let octets = message.with_payload(part).with_blocks(&blocks).encode(limit)?;
    Some((block, octets))
}
