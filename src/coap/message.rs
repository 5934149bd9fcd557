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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    fn read(text: &str) -> Result<Request, Code> {
        Message::decode(&hex(text)).unwrap().to_request()
    }

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_register_encodes_to_the_octets_that_other_encoders_give() {
        // COAP-01, COAP-31
        let request = Request {
            query: strings(&["lwm2m=1.1", "ep=gw1", "lt=300", "b=U", "Q"]),
            content_format: Some(40),
            payload: br#"</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>"#.to_vec(),
            ..Request::new(Method::Post, strings(&["rd"]))
        };
        let token = Token::new(&[0xa1, 0xb2]).unwrap();
        let octets = Message::request(0x1234, token, &request).encode(1152).unwrap();
        let expected =
            hex("42 02 12 34 A1 B2  B2 72 64  11 28 39 6C 77 6D 32 6D 3D 31 2E 31  06 65 70 3D 67 77 31 \
             06 6C 74 3D 33 30 30  03 62 3D 55  01 51  FF \
             3C 2F 3E 3B 72 74 3D 22 6F 6D 61 2E 6C 77 6D 32 6D 22 3B 63 74 3D 31 31 32 \
             2C 3C 2F 31 2F 30 3E 2C 3C 2F 33 2F 30 3E");
        assert_eq!(octets, expected);
        assert_eq!(Message::decode(&expected).unwrap().to_request(), Ok(request));
    }

    #[test]
    fn location_path_keeps_its_segments_in_order() {
        let message = Message::decode(&hex("62 41 12 34 A1 B2  82 72 64  04 35 61 33 66")).unwrap();
        assert_eq!((message.kind, message.mid), (Kind::Acknowledgement, 0x1234));
        let response = message.to_response().unwrap();
        assert_eq!(response.code, Code::CREATED);
        assert_eq!(response.location_path, ["rd", "5a3f"]);
    }

    #[test]
    fn notification_encodes_to_the_octets_that_other_encoders_give() {
        let response = Response { observe: Some(2), ..Response::content(112, vec![0x81]) };
        let message = Message::response(Kind::NonConfirmable, 0x2001, Token::new(&[1]).unwrap(), &response);
        assert_eq!(message.encode(1152).unwrap(), hex("51 45 20 01 01  61 02  61 70  FF  81"));
        assert!(message.has_observe());
    }

    #[test]
    fn observe_is_read_on_get_and_fetch_alone() {
        // COAP-33
        assert_eq!(read("41 01 00 10 01  60").unwrap().observe, Some(0));
        assert_eq!(read("41 01 00 10 01  61 01").unwrap().observe, Some(1));
        assert_eq!(read("41 05 00 10 01  61 01").unwrap().observe, Some(1));
        assert_eq!(read("41 01 00 10 01  61 02").unwrap().observe, None);
        assert_eq!(read("41 03 00 10 01  60").unwrap().observe, None);
    }

    #[test]
    fn content_formats_are_plain_numbers() {
        for format in [0, 40, 42, 112, 1542, 1543, 11542, 11543, 11544, 65535] {
            let request = Request { content_format: Some(format), ..Request::new(Method::Put, vec![]) };
            let octets = Message::request(1, Token::EMPTY, &request).encode(99).unwrap();
            assert_eq!(Message::decode(&octets).unwrap().to_request().unwrap().content_format, Some(format));
        }
    }

    #[test]
    fn format_errors_are_rejected_when_confirmable_and_else_dropped() {
        // COAP-02: token length 9 and 15, option nibbles 15, truncated option, lonely payload marker
        for rest in ["49 01 00 07 010203040506070809", "4F 01 00 07", "42 01 00 07 01"] {
            assert_eq!(Message::decode(&hex(rest)), Err(Malformed { reject: Some(7) }), "{rest}");
        }
        for options in ["F0", "0F", "B4 72", "D0", "E0 00", "FF", "B2 72 64 FF", "E0 FF FF E0 FF FF"] {
            let confirmable = hex(&format!("40 01 00 07 {options}"));
            assert_eq!(Message::decode(&confirmable), Err(Malformed { reject: Some(7) }), "{options}");
            for kind in ["50", "60", "70"] {
                let other = hex(&format!("{kind} 01 00 07 {options}"));
                assert_eq!(Message::decode(&other), Err(Malformed { reject: None }), "{options}");
            }
        }
        // A last octet of FF is no marker when it belongs to an option or to the token.
        assert!(Message::decode(&hex("41 01 00 07 FF")).is_ok());
        assert!(Message::decode(&hex("40 01 00 07 91 FF")).is_ok());
    }

    #[test]
    fn other_versions_and_stumps_are_dropped_silently() {
        // COAP-01
        for octets in ["00 01 00 07", "80 01 00 07", "C0 01 00 07", "40 01 00", "40", ""] {
            assert_eq!(Message::decode(&hex(octets)), Err(Malformed { reject: None }), "{octets}");
        }
    }

    #[test]
    fn an_empty_message_is_its_header_alone() {
        for octets in ["40 00 00 07 FF 01", "41 00 00 07 01", "40 00 00 07 B1 33"] {
            assert_eq!(Message::decode(&hex(octets)), Err(Malformed { reject: Some(7) }), "{octets}");
        }
        assert_eq!(Message::decode(&hex("40 00 00 99")).unwrap().content(), Content::Empty);
        assert_eq!(Message::empty(Kind::Reset, 0x99), hex("70 00 00 99"));
        assert_eq!(Message::empty(Kind::Acknowledgement, 0x99), hex("60 00 00 99"));
    }

    #[test]
    fn unknown_critical_options_give_4_02_and_unknown_elective_ones_nothing() {
        // COAP-20 (If-None-Match), COAP-21 (ETag)
        assert_eq!(read("40 01 00 07 50 61 33"), Err(Code::BAD_OPTION));
        assert_eq!(read("40 01 00 07 41 05 71 33").unwrap().path, ["3"]);
    }

    #[test]
    fn a_repeated_option_counts_as_unknown() {
        // COAP-22: Accept twice (critical), Content-Format twice (elective)
        assert_eq!(read("40 01 00 07 D1 04 70 01 70"), Err(Code::BAD_OPTION));
        assert_eq!(read("40 01 00 07 C1 28 01 2A").unwrap().content_format, Some(40));
    }

    #[test]
    fn an_option_of_a_wrong_length_counts_as_unknown() {
        assert_eq!(read("40 01 00 07 D3 04 00 00 70"), Err(Code::BAD_OPTION)); // Accept
        assert_eq!(read("40 01 00 07 C3 00 00 28").unwrap().content_format, None);
        assert_eq!(read("40 01 00 07 B1 FF"), Err(Code::BAD_OPTION)); // a path that is no UTF-8
    }

    #[test]
    fn host_and_port_are_ignored_and_proxies_refused() {
        // COAP-23
        assert_eq!(read("40 01 00 07 31 68 42 16 33 41 33").unwrap().path, ["3"]);
        assert_eq!(read("40 01 00 07 D1 16 78"), Err(Code::PROXYING_NOT_SUPPORTED));
        assert_eq!(read("40 01 00 07 D1 1A 78"), Err(Code::PROXYING_NOT_SUPPORTED));
    }

    #[test]
    fn unknown_methods_give_4_05() {
        // COAP-29
        assert_eq!(read("40 08 00 07"), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(read("40 1F 00 07"), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(read("40 07 00 07").unwrap().method, Method::Ipatch);
    }

    #[test]
    fn a_single_empty_segment_is_the_root() {
        // COAP-32
        assert!(read("40 01 00 07 B0").unwrap().path.is_empty());
        assert_eq!(read("40 01 00 07 B0 01 33").unwrap().path, ["", "3"]);
    }

    #[test]
    fn block_options_are_read_with_their_full_width() {
        // BLK-01: Block1 (27 = 13 + 14) NUM 4096, which coap-lite cannot read; Block2 (23 = 13 + 10)
        let blocks = |text| Message::decode(&hex(text)).unwrap().blocks();
        let block = blocks("40 03 00 07 D3 0E 01 00 0E FF 00").unwrap().block1.unwrap();
        assert_eq!((block.number, block.more, block.size.octets()), (4096, true, 1024));
        let block = blocks("40 01 00 07 D1 0A 12").unwrap().block2.unwrap();
        assert_eq!((block.number, block.more, block.size.octets()), (1, false, 64));
        assert_eq!(blocks("40 03 00 07 D1 0E 07 FF 00"), Err(ReservedSize));
        assert_eq!(blocks("60 45 00 07 D1 0A 07 FF 00"), Err(ReservedSize));
        assert_eq!(read("40 03 00 07 D4 0E 00 00 00 06"), Err(Code::BAD_OPTION), "four octets");
    }

    #[test]
    fn block_options_are_written_in_their_places() {
        // COAP-31, COAP-34
        let block = Block::read(0x1d);
        let etag = Some(vec![1, 2]);
        let blocks = Blocks { block1: block, block2: block, size1: Some(9), size2: Some(0), etag };
        let message =
            Message::response(Kind::Acknowledgement, 7, Token::EMPTY, &Response::content(40, vec![1]));
        let octets = message.with_blocks(&blocks).encode(99).unwrap();
        assert_eq!(octets, hex("60 45 00 07 42 01 02 81 28 B1 1D 41 1D 10 D1 13 09 FF 01"));
        assert_eq!(Message::decode(&octets).unwrap().blocks(), Ok(blocks));
    }

    #[test]
    fn a_response_with_an_unknown_critical_option_is_unusable() {
        let response = |text| Message::decode(&hex(text)).unwrap().to_response();
        assert_eq!(response("60 45 00 07 91 00"), Err(Unusable)); // OSCORE
        assert_eq!(response("60 8D 00 07 D1 0E 05").unwrap().code, Code::REQUEST_ENTITY_TOO_LARGE);
        assert_eq!(response("60 A3 00 07 D1 01 1E").unwrap().max_age, Some(30));
    }

    #[test]
    fn what_does_not_fit_is_not_encoded() {
        let request = Request { payload: vec![0; 100], ..Request::new(Method::Put, vec![]) };
        let message = Message::request(1, Token::EMPTY, &request);
        assert_eq!(message.encode(105).map(|octets| octets.len()), Some(105));
        assert_eq!(message.encode(104), None);
        let long = Request::new(Method::Get, vec!["x".repeat(256)]);
        assert_eq!(Message::request(1, Token::EMPTY, &long).encode(1152), None);
    }

    #[test]
    fn more_than_1280_octets_encode_when_the_link_takes_them() {
        let response = Response::content(42, vec![1; 1400]);
        let message = Message::response(Kind::Acknowledgement, 1, Token::EMPTY, &response);
        assert!(message.encode(1472).is_some());
    }

    #[test]
    fn tokens_have_up_to_eight_octets() {
        // COAP-01, COAP-24
        assert_eq!(Token::new(&[]), Some(Token::EMPTY));
        assert_eq!(Token::new(&[0]).map(|token| token.as_slice().to_vec()), Some(vec![0]));
        assert_ne!(Token::new(&[0]), Token::new(&[0, 0]));
        assert!(Token::new(&[0; 8]).is_some());
        assert_eq!(Token::new(&[0; 9]), None);
        assert_eq!(Token::new(&[0; 300]), None);
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let format = || prop::option::of(any::<u16>());
        let method = prop::sample::select(METHODS.to_vec());
        let strings = || prop::collection::vec("[a-z0-9=]{1,20}", 0..4);
        let payload = prop::collection::vec(any::<u8>(), 0..80);
        (method, strings(), strings(), format(), format(), payload).prop_map(
            |(method, path, query, content_format, accept, payload)| {
                let observe = (method == Method::Get).then_some(1);
                Request { method, path, query, observe, content_format, accept, payload }
            },
        )
    }

    fn any_response() -> impl Strategy<Value = Response> {
        let code = prop::sample::select(vec![Code::CONTENT, Code::CHANGED, Code::NOT_FOUND, Code::new(5, 3)]);
        let location = prop::collection::vec("[a-z0-9]{0,30}", 0..3);
        let payload = prop::collection::vec(any::<u8>(), 0..80);
        (
            code,
            any::<Option<u16>>(),
            prop::option::of(0..1_u32 << 24),
            location,
            any::<Option<u32>>(),
            payload,
        )
            .prop_map(|(code, content_format, observe, location_path, max_age, payload)| Response {
                code,
                content_format,
                observe,
                location_path,
                max_age,
                payload,
            })
    }

    proptest! {
        #[test]
        fn requests_survive_the_wire(request in any_request(), token in prop::collection::vec(any::<u8>(), 0..9)) {
            let token = Token::new(&token).unwrap();
            let octets = Message::request(9, token, &request).encode(1152).unwrap();
            let message = Message::decode(&octets).unwrap();
            prop_assert_eq!((message.mid, message.token), (9, token));
            prop_assert_eq!(message.to_request(), Ok(request));
        }

        #[test]
        fn responses_survive_the_wire(response in any_response()) {
            let octets = Message::response(Kind::Acknowledgement, 9, Token::EMPTY, &response).encode(1152).unwrap();
            prop_assert_eq!(Message::decode(&octets).unwrap().to_response(), Ok(response));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_octets(mut octets in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(first) = octets.first_mut() {
                *first = *first & 0x37 | 0x40; // version 1 and short tokens, or little of it would decode
            }
            if let Ok(message) = Message::decode(&octets) {
                prop_assert_eq!(message.len_octets(), octets.len());
                prop_assert_eq!(message.encode(usize::MAX), Some(octets));
            }
        }
    }
}
