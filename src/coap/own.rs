//! An own request from its first message to the whole answer, block by block where it has to be (RFC 7959).
//!
//! Every block is a Confirmable exchange of its own, with a token of its own. What goes wrong with one of them ends the request.
//!
//! ```text
//!   Whole ──4.13 with a size──► Sending ──2.31──► Sending … ──final code──► over
//!     │                            │
//!     └───────── answer with more blocks ─────► Fetching ──the last block──► over
//! ```

use super::block::{Block, BlockSize, Key, MAX_BODY_OUT};
use super::message::{Blocks, Message, Token};
use super::types::{Code, ExchangeId, Priority, Request, Response};

/// Octets that a Block1 or Block2 option of up to three takes, and the payload marker.
const BLOCK_OVERHEAD: usize = 2 + 3 + 1;

/// A request of the layer above, or the fetching of a notification's rest.
#[derive(Debug)]
pub struct Own {
    pub exchange: ExchangeId,
    pub request: Request,
    pub priority: Priority,
    /// What the blocks of its body and answer have in common.
    key: Key,
    /// The answer completes a notification of the observation that `exchange` began.
    pub notification: bool,
    phase: Phase,
    /// The answer changed under way once: the second time it is given up.
    restarted: bool,
    /// The Observe value of the answer's first block; those that follow have none.
    observe: Option<u32>,
}

#[derive(Debug)]
enum Phase {
    /// In one message.
    Whole,
    /// This block of the body is on its way.
    Sending(Block),
    /// The rest of the answer.
    Fetching(Fetching),
}

#[derive(Debug)]
struct Fetching {
    /// The first block's response; its payload grows to the whole.
    answer: Response,
    etag: Option<Vec<u8>>,
    wanted: Block,
}

/// What an answer means.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// The next message is to be sent.
    Next,
    /// This is the whole answer.
    Done(Response),
    /// It does not fit what was asked, changes without end, or is too large.
    Unusable,
}

impl Own {
    pub fn new(exchange: ExchangeId, request: Request, priority: Priority) -> Self {
        Self {
            key: Key::of(&request),
            exchange,
            request,
            priority,
            notification: false,
            phase: Phase::Whole,
            restarted: false,
            observe: None,
        }
    }

    /// The rest of a notification whose first block is `first`; `request` is the one that began the observation.
    pub fn rest_of_notification(
        exchange: ExchangeId,
        request: Request,
        first: Response,
        blocks: &Blocks,
    ) -> Option<Self> {
        let request = Request { observe: None, ..request };
        let mut own = Self::new(exchange, request, Priority::Ordinary);
        own.notification = true;
        (own.answered(first, blocks) == Step::Next).then_some(own)
    }

    /// Cannot begin while `other` is under way: their blocks would be taken for each other's (RFC 7959 §2.5).
    pub fn collides_with(&self, other: &Self) -> bool {
        let blockwise = |own: &Self| !matches!(own.phase, Phase::Whole);
        self.key == other.key && (blockwise(self) || blockwise(other))
    }

    /// Its first message was answered.
    pub const fn has_begun(&self) -> bool {
        match &self.phase {
            Phase::Whole => false,
            Phase::Sending(block) => block.number > 0,
            Phase::Fetching(_) => true,
        }
    }

    /// The next message; `None` when no block of it is small enough for `limit` octets, or the body is too large to be sent.
    pub fn message(&mut self, mid: u16, token: Token, limit: usize) -> Option<Message> {
        match &self.phase {
            Phase::Whole => {
                let message = Message::request(mid, token, &self.request);
                if message.len_octets() <= limit || self.request.payload.is_empty() {
                    return Some(message);
                }
                if self.request.payload.len() > MAX_BODY_OUT {
                    return None;
                }
                let overhead = message.len_octets() - self.request.payload.len() + BLOCK_OVERHEAD;
                let size = BlockSize::fitting(limit.saturating_sub(overhead))?;
                self.phase = Phase::Sending(Block::cut(&self.request.payload, 0, size)?.0);
                self.message(mid, token, limit)
            }
            Phase::Sending(block) => {
                let (block, payload) = Block::cut(&self.request.payload, block.offset(), block.size)?;
                let blocks = Blocks { block1: Some(block), ..Blocks::default() };
                Some(Message::request(mid, token, &self.request).with_payload(payload).with_blocks(&blocks))
            }
            Phase::Fetching(Fetching { wanted, .. }) => {
                let Request { method, path, query, accept, .. } = self.request.clone();
                let rest = Request { query, accept, ..Request::new(method, path) };
                let blocks = Blocks { block2: Some(*wanted), ..Blocks::default() };
                Some(Message::request(mid, token, &rest).with_blocks(&blocks))
            }
        }
    }

    /// Takes the answer to the latest message.
    pub fn answered(&mut self, response: Response, blocks: &Blocks) -> Step {
        match &self.phase {
            Phase::Fetching(_) => self.fetched(response, blocks),
            Phase::Whole | Phase::Sending(_) if response.code == Code::REQUEST_ENTITY_TOO_LARGE => {
                self.refused(response, blocks)
            }
            Phase::Sending(sent)
                if sent.more && (response.code == Code::CONTINUE || response.code.is_success()) =>
            {
                let sent = *sent;
                self.go_on(sent, blocks)
            }
            Phase::Whole | Phase::Sending(_) if response.code == Code::CONTINUE => Step::Unusable,
            Phase::Whole | Phase::Sending(_) => self.begin_fetching(response, blocks),
        }
    }

    /// 4.13: from the beginning with the size that the peer names, as long as that is smaller (BLK-22).
    fn refused(&mut self, response: Response, blocks: &Blocks) -> Step {
        let tried = match self.phase {
            Phase::Sending(block) => block.size.octets(),
            _ => self.request.payload.len(),
        };
        match blocks.block1.map(|block| block.size).filter(|size| size.octets() < tried) {
            Some(size) if self.request.payload.len() <= MAX_BODY_OUT => {
                self.phase = Phase::Sending(Block { number: 0, more: true, size });
                Step::Next
            }
            _ => Step::Done(response),
        }
    }

    /// The block arrived. A smaller size in the answer is obeyed from the next one on (BLK-20). A final code for a block in the
    /// middle comes from a peer that takes each by itself (RFC 7959 §2.3).
    fn go_on(&mut self, sent: Block, blocks: &Blocks) -> Step {
        let Some(acknowledged) = blocks.block1.filter(|block| block.number == sent.number) else {
            return Step::Unusable;
        };
        let size = sent.size.min(acknowledged.size);
        let end = sent.offset() + sent.size.octets();
        let Some((next, _)) = Block::cut(&self.request.payload, end, size) else { return Step::Unusable };
        self.phase = Phase::Sending(next);
        Step::Next
    }

    fn begin_fetching(&mut self, answer: Response, blocks: &Blocks) -> Step {
        let Some(block) = blocks.block2 else { return self.done(answer) };
        if block.number != 0 || block.more && answer.payload.len() != block.size.octets() {
            return Step::Unusable;
        }
        self.observe = self.observe.or(answer.observe);
        if !block.more {
            return self.done(answer);
        }
        let wanted = Block { number: 1, more: false, size: block.size };
        self.phase = Phase::Fetching(Fetching { answer, etag: blocks.etag.clone(), wanted });
        Step::Next
    }

    fn fetched(&mut self, response: Response, blocks: &Blocks) -> Step {
        let Phase::Fetching(fetching) = &mut self.phase else { return Step::Unusable };
        if !response.code.is_success() {
            return Step::Done(response);
        }
        let body = &mut fetching.answer.payload;
        let Some(block) = blocks.block2.filter(|block| block.size <= fetching.wanted.size) else {
            return Step::Unusable;
        };
        if blocks.etag != fetching.etag || response.code != fetching.answer.code {
            return self.start_over();
        }
        let fits =
            block.offset() == body.len() && (!block.more || response.payload.len() == block.size.octets());
        if !fits || body.len() + response.payload.len() > MAX_BODY_OUT {
            return Step::Unusable;
        }
        body.extend_from_slice(&response.payload);
        if !block.more {
            let answer = std::mem::replace(&mut fetching.answer, Response::new(Code::CONTENT));
            return self.done(answer);
        }
        let number = (body.len() / block.size.octets()) as u32;
        fetching.wanted = Block { number, more: false, size: block.size };
        Step::Next
    }

    /// The answer changed between two blocks (COAP-34): what is asked again must be asked without effect, so only a GET or FETCH
    /// is.
    fn start_over(&mut self) -> Step {
        if std::mem::replace(&mut self.restarted, true) || !self.request.method.is_safe() {
            return Step::Unusable;
        }
        self.request.observe = None; // an observation that it began stays under its first token
        self.phase = Phase::Whole;
        Step::Next
    }

    fn done(&self, answer: Response) -> Step {
        Step::Done(Response { observe: answer.observe.or(self.observe), ..answer })
    }
}
