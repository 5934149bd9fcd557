//! Messages on the wire (RFC 7252 §3, §5.10): octets ⇄ [`Message`] ⇄ requests and responses.
//!
//! The only file that names coap-lite, which packs and unpacks. What that crate lets pass against the rules is refused here:
//! other versions, long tokens, a payload marker with nothing behind it, an Empty message that is not empty. Numbers of
//! Content-Formats and block options are read by our own code, for the crate's tables and widths are too narrow.

use std::fmt;
use std::ops::RangeInclusive;

use coap_lite::{CoapOption, MessageType, Packet};

use super::block::{Block, ETag};
use super::types::{Code, Method, Request, Response};

const URI_HOST: u16 = 3;
const ETAG: u16 = 4;
const OBSERVE: u16 = 6;
const URI_PORT: u16 = 7;
const LOCATION_PATH: u16 = 8;
const URI_PATH: u16 = 11;
const CONTENT_FORMAT: u16 = 12;
const MAX_AGE: u16 = 14;
const URI_QUERY: u16 = 15;
const ACCEPT: u16 = 17;
const BLOCK2: u16 = 23;
const BLOCK1: u16 = 27;
const SIZE2: u16 = 28;
const PROXY_URI: u16 = 35;
const PROXY_SCHEME: u16 = 39;
const SIZE1: u16 = 60;

/// Longest string that a path or query option may hold (RFC 7252 §5.10).
const MAX_STRING_OCTETS: usize = 255;

/// Message type (RFC 7252 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

/// A token of 0 to 8 octets (RFC 7252 §5.3.1); the empty one is a token like any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Token {
    octets: [u8; Self::MAX_OCTETS],
    len: u8,
}

impl Token {
    /// Longest token of the protocol.
    pub const MAX_OCTETS: usize = 8;
    /// The token of Empty messages.
    pub const EMPTY: Self = Self { octets: [0; Self::MAX_OCTETS], len: 0 };

    /// `None` when there are more than eight octets.
    pub fn new(octets: &[u8]) -> Option<Self> {
        let mut token = Self { len: u8::try_from(octets.len()).ok()?, ..Self::EMPTY };
        token.octets.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(token)
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// One CoAP message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub kind: Kind,
    pub code: Code,
    pub mid: u16,
    pub token: Token,
    /// In ascending order of number; equal numbers in order of appearance.
    options: Vec<(u16, Vec<u8>)>,
    payload: Vec<u8>,
}

/// A datagram that is no CoAP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The Message ID to answer with RST, when it was meant as a Confirmable message of our version (RFC 7252 §3, §4.2).
    pub reject: Option<u16>,
}

/// A response or notification that must be rejected: it has an unknown critical option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable;

/// What a message says of the blocks of bodies (RFC 7959), and which version of a body it brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocks {
    /// Which block of the request's body this is, or which one it acknowledges.
    pub block1: Option<Block>,
    /// Which block of the answer this is, or which one is wanted.
    pub block2: Option<Block>,
    /// Octets of the request's whole body.
    pub size1: Option<u32>,
    /// Octets of the answer's whole body; in a request the wish to be told.
    pub size2: Option<u32>,
    /// The version of the answer.
    pub etag: Option<Vec<u8>>,
}

/// A block option with SZX 7, which is reserved (RFC 7959 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedSize;

/// What a message is, by the class of its code (RFC 7252 §12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    Request,
    Response,
    /// Codes without meaning: rejected.
    Reserved,
}

impl Message {
    /// Reads one datagram.
    pub fn decode(octets: &[u8]) -> Result<Self, Malformed> {
        let [first, _, mid_high, mid_low, ..] = *octets else { return Err(Malformed { reject: None }) };
        if first >> 6 != 1 {
            return Err(Malformed { reject: None });
        }
        let mid = u16::from_be_bytes([mid_high, mid_low]);
        let malformed = Malformed { reject: (first >> 4 == 0b01_00).then_some(mid) };
        let packet = Packet::from_bytes(octets).map_err(|_| malformed)?;
        let message = Self {
            kind: match packet.header.get_type() {
                MessageType::Confirmable => Kind::Confirmable,
                MessageType::NonConfirmable => Kind::NonConfirmable,
                MessageType::Acknowledgement => Kind::Acknowledgement,
                MessageType::Reset => Kind::Reset,
            },
            code: Code(packet.header.code.into()),
            mid,
            token: Token::new(packet.get_token()).ok_or(malformed)?,
            options: packet
                .options()
                .flat_map(|(number, values)| values.iter().map(|value| (*number, value.clone())))
                .collect(),
            payload: packet.payload,
        };
        // An Empty message is its header alone (RFC 7252 §4.1). The encoding of a message is unique, so an octet too many is a
        // payload marker with nothing behind it. The library tolerates both.
        let whole = if message.content() == Content::Empty { 4 } else { message.len_octets() };
        if octets.len() != whole {
            return Err(malformed);
        }
        Ok(message)
    }

    /// The octets; `None` when they are more than `limit` or an option is longer than the protocol lets it be.
    pub fn encode(&self, limit: usize) -> Option<Vec<u8>> {
        if self.options.iter().any(|(_, value)| value.len() > MAX_STRING_OCTETS) {
            return None;
        }
        let mut packet = Packet::new();
        packet.header.set_version(1);
        packet.header.set_type(match self.kind {
            Kind::Confirmable => MessageType::Confirmable,
            Kind::NonConfirmable => MessageType::NonConfirmable,
            Kind::Acknowledgement => MessageType::Acknowledgement,
            Kind::Reset => MessageType::Reset,
        });
        packet.header.code = self.code.0.into();
        packet.header.message_id = self.mid;
        packet.set_token(self.token.as_slice().to_vec());
        for (number, value) in &self.options {
            packet.add_option(CoapOption::from(*number), value.clone());
        }
        packet.payload.clone_from(&self.payload);
        packet.to_bytes_with_limit(limit).ok()
    }

    /// How many octets it is on the wire.
    pub fn len_octets(&self) -> usize {
        let extension = |value: usize| match value {
            0..=12 => 0,
            13..=268 => 1,
            _ => 2,
        };
        let mut before = 0;
        let options = self.options.iter().map(|(number, value)| {
            let delta = number - std::mem::replace(&mut before, *number);
            1 + extension(delta.into()) + extension(value.len()) + value.len()
        });
        let payload = if self.payload.is_empty() { 0 } else { 1 + self.payload.len() };
        4 + self.token.as_slice().len() + options.sum::<usize>() + payload
    }

    /// Octets of a message without content: ping, Empty ACK, RST.
    pub fn empty(kind: Kind, mid: u16) -> Vec<u8> {
        let kind = match kind {
            Kind::Confirmable => 0,
            Kind::NonConfirmable => 1,
            Kind::Acknowledgement => 2,
            Kind::Reset => 3,
        };
        let [high, low] = mid.to_be_bytes();
        vec![0x40 | kind << 4, 0, high, low]
    }

    /// A Confirmable request.
    pub fn request(mid: u16, token: Token, request: &Request) -> Self {
        let mut options = vec![];
        push_uint(&mut options, OBSERVE, request.observe);
        push_strings(&mut options, URI_PATH, &request.path);
        push_uint(&mut options, CONTENT_FORMAT, request.content_format.map(u32::from));
        push_strings(&mut options, URI_QUERY, &request.query);
        push_uint(&mut options, ACCEPT, request.accept.map(u32::from));
        let code = Code(method_number(request.method));
        Self { kind: Kind::Confirmable, code, mid, token, options, payload: request.payload.clone() }
    }

    /// A response or notification.
    pub fn response(kind: Kind, mid: u16, token: Token, response: &Response) -> Self {
        let mut options = vec![];
        push_uint(&mut options, OBSERVE, response.observe);
        push_strings(&mut options, LOCATION_PATH, &response.location_path);
        push_uint(&mut options, CONTENT_FORMAT, response.content_format.map(u32::from));
        push_uint(&mut options, MAX_AGE, response.max_age);
        Self { kind, code: response.code, mid, token, options, payload: response.payload.clone() }
    }

    /// With this payload instead of its own.
    pub fn with_payload(self, payload: &[u8]) -> Self {
        Self { payload: payload.to_vec(), ..self }
    }

    /// With options that tell of blocks, where they are set.
    pub fn with_blocks(mut self, blocks: &Blocks) -> Self {
        let etag = blocks.etag.as_ref().map(|etag| (ETAG, etag.clone()));
        self.options.extend(etag);
        push_uint(&mut self.options, BLOCK2, blocks.block2.map(Block::value));
        push_uint(&mut self.options, BLOCK1, blocks.block1.map(Block::value));
        push_uint(&mut self.options, SIZE2, blocks.size2);
        push_uint(&mut self.options, SIZE1, blocks.size1);
        self.options.sort_by_key(|(number, _)| *number); // stable: equal numbers keep their order
        self
    }

    /// What it says of blocks.
    pub fn blocks(&self) -> Result<Blocks, ReservedSize> {
        let mut blocks = Blocks::default();
        let mut before = None;
        for (number, value) in &self.options {
            if before.replace(*number) == Some(*number) || value.len() > 4 && *number != ETAG {
                continue; // what is no good was judged by `recognised`
            }
            match *number {
                BLOCK1 => blocks.block1 = Some(Block::read(uint(value)).ok_or(ReservedSize)?),
                BLOCK2 => blocks.block2 = Some(Block::read(uint(value)).ok_or(ReservedSize)?),
                SIZE1 => blocks.size1 = Some(uint(value)),
                SIZE2 => blocks.size2 = Some(uint(value)),
                ETAG if ETag::LENGTHS.contains(&value.len()) => blocks.etag = Some(value.clone()),
                _ => {}
            }
        }
        Ok(blocks)
    }

    /// What the code says.
    pub fn content(&self) -> Content {
        match (self.code.class(), self.code.0) {
            (_, 0) => Content::Empty,
            (0, _) => Content::Request,
            (2 | 4 | 5, _) => Content::Response,
            _ => Content::Reserved,
        }
    }

    /// A GET or FETCH that begins or ends no observation: it changes nothing.
    pub fn is_read(&self) -> bool {
        method(self.code).is_some_and(Method::is_safe) && !self.has_observe()
    }

    /// Has the Observe option: a notification, if it is a response.
    pub fn has_observe(&self) -> bool {
        self.options.iter().any(|(number, _)| *number == OBSERVE)
    }

    /// Reads a request, its payload as it is: [`blocks`](Self::blocks) says whether it is a whole body. `Err` is the code to answer
    /// with: 4.02, 4.05 or 5.05.
    pub fn to_request(&self) -> Result<Request, Code> {
        let method = method(self.code).ok_or(Code::METHOD_NOT_ALLOWED)?;
        let mut request = Request::new(method, vec![]);
        let mut proxied = false;
        for (number, value) in self.recognised(request_option).map_err(|Unusable| Code::BAD_OPTION)? {
            match number {
                URI_PATH => request.path.push(text(value)?),
                URI_QUERY => request.query.push(text(value)?),
                OBSERVE => request.observe = Some(uint(value)),
                CONTENT_FORMAT => request.content_format = u16::try_from(uint(value)).ok(),
                ACCEPT => request.accept = u16::try_from(uint(value)).ok(),
                PROXY_URI | PROXY_SCHEME => proxied = true,
                _ => {} // Uri-Host and Uri-Port: whatever name we are called by, it is us.
            }
        }
        if proxied {
            return Err(Code::PROXYING_NOT_SUPPORTED);
        }
        // A single empty segment is the root too (RFC 7252 §6.5).
        if request.path == [""] {
            request.path.clear();
        }
        let observable = matches!(method, Method::Get | Method::Fetch);
        request.observe = request.observe.filter(|&wish| observable && wish <= 1);
        request.payload.clone_from(&self.payload);
        Ok(request)
    }

    /// Reads a response or notification.
    pub fn to_response(&self) -> Result<Response, Unusable> {
        let mut response = Response::new(self.code);
        for (number, value) in self.recognised(response_option)? {
            match number {
                OBSERVE => response.observe = Some(uint(value)),
                LOCATION_PATH => response.location_path.push(text(value).map_err(|_| Unusable)?),
                CONTENT_FORMAT => response.content_format = u16::try_from(uint(value)).ok(),
                MAX_AGE => response.max_age = Some(uint(value)),
                _ => {} // the rest tells of blocks
            }
        }
        response.payload.clone_from(&self.payload);
        Ok(response)
    }

    /// The options that `rule` knows. Others are passed over if elective (RFC 7252 §5.4.1); so are repetitions of an option
    /// that may appear once (§5.4.5) and values of a wrong length (§5.4.3).
    fn recognised(&self, rule: fn(u16) -> Option<Rule>) -> Result<Vec<(u16, &[u8])>, Unusable> {
        let mut known = vec![];
        let mut before = None;
        for (number, value) in &self.options {
            let repeated = before.replace(*number) == Some(*number);
            let good = rule(*number)
                .is_some_and(|rule| rule.octets.contains(&value.len()) && (rule.repeatable || !repeated));
            if good {
                known.push((*number, value.as_slice()));
            } else if number % 2 == 1 {
                return Err(Unusable);
            }
        }
        Ok(known)
    }
}

/// What RFC 7252 §5.10 allows for an option.
struct Rule {
    repeatable: bool,
    octets: RangeInclusive<usize>,
}

fn once(octets: RangeInclusive<usize>) -> Option<Rule> {
    Some(Rule { repeatable: false, octets })
}

fn strings() -> Option<Rule> {
    Some(Rule { repeatable: true, octets: 0..=MAX_STRING_OCTETS })
}

fn request_option(number: u16) -> Option<Rule> {
    match number {
        URI_PATH | URI_QUERY => strings(),
        URI_PORT | CONTENT_FORMAT | ACCEPT => once(0..=2),
        OBSERVE | BLOCK1 | BLOCK2 => once(0..=3),
        SIZE1 | SIZE2 => once(0..=4),
        URI_HOST | PROXY_SCHEME => once(1..=MAX_STRING_OCTETS),
        PROXY_URI => once(1..=1034),
        _ => None,
    }
}

fn response_option(number: u16) -> Option<Rule> {
    match number {
        LOCATION_PATH => strings(),
        CONTENT_FORMAT => once(0..=2),
        OBSERVE | BLOCK1 | BLOCK2 => once(0..=3),
        MAX_AGE | SIZE1 | SIZE2 => once(0..=4),
        ETAG => once(ETag::LENGTHS),
        _ => None,
    }
}

/// An unsigned integer of the fewest octets (RFC 7252 §3.2); leading zeros are tolerated. At most four octets get here.
fn uint(value: &[u8]) -> u32 {
    value.iter().fold(0, |number, &octet| number << 8 | u32::from(octet))
}

fn text(value: &[u8]) -> Result<String, Code> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| Code::BAD_OPTION)
}

fn push_uint(options: &mut Vec<(u16, Vec<u8>)>, number: u16, value: Option<u32>) {
    let Some(value) = value else { return };
    let octets = value.to_be_bytes();
    let zeros = value.leading_zeros() as usize / 8;
    options.push((number, octets[zeros..].to_vec()));
}

fn push_strings(options: &mut Vec<(u16, Vec<u8>)>, number: u16, values: &[String]) {
    options.extend(values.iter().map(|value| (number, value.clone().into_bytes())));
}

const METHODS: [Method; 7] =
    [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Fetch, Method::Patch, Method::Ipatch];

fn method(code: Code) -> Option<Method> {
    METHODS.into_iter().find(|&method| method_number(method) == code.0)
}

fn method_number(method: Method) -> u8 {
    match method {
        Method::Get => 1,
        Method::Post => 2,
        Method::Put => 3,
        Method::Delete => 4,
        Method::Fetch => 5,
        Method::Patch => 6,
        Method::Ipatch => 7,
    }
}

#[cfg(test)]
mod tests;
