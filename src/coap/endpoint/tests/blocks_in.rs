//! Requests of peers whose body comes block by block (RFC 7959, Block1), and requests that were cut on their way.

use super::super::super::block::{Block, BlockSize};
use super::super::super::message::Blocks;
use super::*;

const SIZE: BlockSize = match BlockSize::of_octets(16) {
    Some(size) => size,
    None => BlockSize::MAX,
};

/// One block of a Write.
struct Part<'a> {
    mid: u16,
    block: Block,
    payload: &'a [u8],
    size1: Option<u32>,
    kind: Kind,
}

fn part(mid: u16, number: u32, more: bool, payload: &[u8]) -> Part<'_> {
    let block = Block { number, more, size: SIZE };
    Part { mid, block, payload, size1: None, kind: Kind::Confirmable }
}

fn write() -> Request {
    Request { content_format: Some(42), ..Request::new(Method::Put, vec!["5".to_owned()]) }
}

impl Part<'_> {
    fn octets(&self) -> Vec<u8> {
        let blocks = Blocks { block1: Some(self.block), size1: self.size1, ..Blocks::default() };
        // Another token for each block: a transfer does not hang on it.
        let token = Token::new(&self.mid.to_be_bytes()).unwrap();
        let mut message = Message::request(self.mid, token, &write());
        message.kind = self.kind;
        message.with_payload(self.payload).with_blocks(&blocks).encode(70_000).unwrap()
    }
}

impl Bench {
    fn part(&mut self, part: &Part<'_>) {
        self.receive_from(PEER, &part.octets());
    }

    /// The answer to a block that goes no further.
    fn refused(&mut self, part: &Part<'_>) -> Message {
        self.part(part);
        assert_eq!(self.event(), None);
        self.send_message()
    }

    fn goes_on(&mut self, part: &Part<'_>) {
        let answer = self.refused(part);
        assert_eq!((answer.kind, answer.mid, answer.code), (Kind::Acknowledgement, part.mid, Code::CONTINUE));
        assert_eq!(answer.blocks().unwrap().block1, Some(part.block));
    }

    /// The last block makes the request whole.
    fn whole(&mut self, part: &Part<'_>) -> Vec<u8> {
        self.part(part);
        let (id, request) = self.asked();
        assert_eq!(Request { payload: vec![], ..request.clone() }, write());
        self.respond(id, Response::new(Code::CHANGED));
        let answer = self.send_message();
        assert_eq!((answer.mid, answer.code), (part.mid, Code::CHANGED));
        assert_eq!(answer.blocks().unwrap().block1, Some(part.block));
        request.payload
    }
}

#[test]
fn blocks_are_acknowledged_by_2_31_and_the_last_by_the_answer() {
    // BLK-02, BLK-25: the layer above sees one request, and that when it is whole
    let mut bench = Bench::lan();
    bench.goes_on(&part(1, 0, true, &[1; 16]));
    bench.goes_on(&part(2, 1, true, &[2; 16]));
    assert_eq!(bench.whole(&part(3, 2, false, &[3; 5])), [&[1; 16][..], &[2; 16], &[3; 5]].concat());
    assert_eq!((bench.endpoint.stats().requests, bench.endpoint.stats().blocks_received), (1, 2));
}

#[test]
fn every_size_and_a_single_block_work() {
    // BLK-08
    for octets in [16, 32, 64, 128, 256, 512, 1024] {
        let size = BlockSize::of_octets(octets).unwrap();
        for len in [1, octets - 1, octets, octets + 1, octets * 2, octets * 2 + 7] {
            let body: Vec<u8> = (0..len).map(|octet| octet as u8).collect();
            let (mut bench, mut offset) = (Bench::lan(), 0);
            let received = loop {
                let (block, payload) = Block::cut(&body, offset, size).unwrap();
                let part = Part { block, ..part(block.number as u16, 0, false, payload) };
                if !block.more {
                    break bench.whole(&part);
                }
                bench.goes_on(&part);
                offset += octets;
            };
            assert_eq!(received, body, "{len} octets in blocks of {octets}");
        }
    }
}

#[test]
fn a_first_block_with_another_number_is_4_08() {
    // BLK-03
    let mut bench = Bench::lan();
    assert_eq!(bench.refused(&part(1, 1, true, &[0; 16])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(bench.refused(&part(2, 4, false, &[0; 3])).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn a_gap_is_4_08_and_discards_the_transfer() {
    // BLK-04
    let mut bench = Bench::lan();
    bench.goes_on(&part(1, 0, true, &[0; 16]));
    assert_eq!(bench.refused(&part(2, 2, true, &[0; 16])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(bench.refused(&part(3, 1, true, &[0; 16])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    bench.goes_on(&part(4, 0, true, &[7; 16]));
    assert_eq!(bench.whole(&part(5, 1, false, &[8])), [&[7; 16][..], &[8]].concat(), "begun anew");
}

#[test]
fn a_repeated_block_gets_the_same_answer_and_counts_once() {
    // BLK-05, also under a new Message ID
    let mut bench = Bench::lan();
    bench.goes_on(&part(1, 0, true, &[1; 16]));
    bench.goes_on(&part(1, 0, true, &[1; 16]));
    bench.goes_on(&part(2, 1, true, &[2; 16]));
    bench.goes_on(&part(2, 1, true, &[2; 16]));
    bench.goes_on(&part(3, 1, true, &[2; 16]));
    let last = part(4, 2, false, &[3]);
    assert_eq!(bench.whole(&last).len(), 33);
    bench.part(&last);
    assert_eq!((bench.event(), bench.send_message().code), (None, Code::CHANGED));
    assert_eq!(bench.endpoint.stats().blocks_received, 3);
}

#[test]
fn a_block_that_is_not_of_its_size_or_grows_is_4_00() {
    // BLK-01, BLK-06
    let mut bench = Bench::lan();
    assert_eq!(bench.refused(&part(1, 0, true, &[0; 15])).code, Code::BAD_REQUEST);
    assert_eq!(bench.refused(&part(2, 0, true, &[0; 17])).code, Code::BAD_REQUEST);
    assert_eq!(bench.refused(&part(3, 0, false, &[0; 17])).code, Code::BAD_REQUEST);
    bench.goes_on(&part(4, 0, true, &[0; 16]));
    bench.goes_on(&part(5, 1, true, &[0; 16]));
    let block = Block { number: 1, more: true, size: BlockSize::of_octets(32).unwrap() };
    assert_eq!(bench.refused(&Part { block, ..part(6, 0, true, &[0; 32]) }).code, Code::BAD_REQUEST);
    assert_eq!(bench.refused(&part(7, 2, true, &[0; 16])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    bench.receive("40 03 00 08 B1 35 D1 03 07 FF 00"); // SZX 7
    assert_eq!(bench.send_message().code, Code::BAD_REQUEST);
}

#[test]
fn a_sender_may_go_on_with_smaller_blocks() {
    // BLK-07, the sender's side of it
    let mut bench = Bench::lan();
    let block = Block { number: 0, more: true, size: BlockSize::of_octets(64).unwrap() };
    bench.goes_on(&Part { block, ..part(1, 0, true, &[1; 64]) });
    bench.goes_on(&part(2, 4, true, &[2; 16]));
    assert_eq!(bench.whole(&part(3, 5, false, &[3])), [&[1; 64][..], &[2; 16], &[3]].concat());
}

#[test]
fn a_body_that_is_too_large_is_4_13_with_the_limit() {
    // BLK-09, COAP-30
    let mut bench = Bench::lan();
    let announced = Part { size1: Some(65_537), ..part(1, 0, true, &[0; 16]) };
    let answer = bench.refused(&announced);
    assert_eq!((answer.code, answer.blocks().unwrap().size1), (Code::REQUEST_ENTITY_TOO_LARGE, Some(65_536)));
    let block = |number| Block { number, more: true, size: BlockSize::MAX };
    for number in 0..64 {
        bench.goes_on(&Part { block: block(number), ..part(number as u16 + 2, 0, true, &[0; 1024]) });
    }
    let answer = bench.refused(&Part { block: block(64), ..part(99, 0, true, &[0; 1024]) });
    assert_eq!((answer.code, answer.blocks().unwrap().size1), (Code::REQUEST_ENTITY_TOO_LARGE, Some(65_536)));
}

#[test]
fn pings_and_other_requests_are_served_in_the_middle() {
    // BLK-10, COAP-03
    let mut bench = Bench::lan();
    bench.goes_on(&part(1, 0, true, &[1; 16]));
    bench.receive("40 00 00 99");
    assert_eq!(bench.send(), Some(hex("70 00 00 99")));
    bench.receive("41 01 00 50 A1 B1 33");
    let (id, request) = bench.asked();
    assert_eq!(request, read());
    bench.respond(id, content("x"));
    assert_eq!(bench.send_message().code, Code::CONTENT);
    bench.receive_from(OTHER, &part(2, 1, false, &[9]).octets()); // another peer has nothing to do with it
    assert_eq!(bench.send_message().code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(bench.whole(&part(2, 1, false, &[2])).len(), 17);
}

#[test]
fn a_transfer_without_a_block_for_exchange_lifetime_is_forgotten() {
    // BLK-11
    let mut bench = Bench::lan();
    bench.goes_on(&part(1, 0, true, &[1; 16]));
    bench.wait(seconds(246));
    bench.goes_on(&part(2, 1, true, &[1; 16]));
    bench.wait(seconds(247));
    assert_eq!(bench.refused(&part(3, 2, false, &[1])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    bench.goes_on(&part(4, 0, true, &[1; 16]));
    bench.now += seconds(247); // nothing else happens: no deadline is met
    assert_eq!(bench.refused(&part(5, 1, false, &[1])).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn non_confirmable_blocks_get_non_confirmable_answers() {
    // BLK-02, COAP-06
    let mut bench = Bench::lan();
    let non = |part| Part { kind: Kind::NonConfirmable, ..part };
    let answer = bench.refused(&non(part(1, 0, true, &[1; 16])));
    assert_eq!((answer.kind, answer.code), (Kind::NonConfirmable, Code::CONTINUE));
    bench.part(&non(part(2, 1, false, &[2])));
    let (id, request) = bench.asked();
    assert_eq!(request.payload.len(), 17);
    bench.respond(id, Response::new(Code::CHANGED));
    assert_eq!(bench.send_message().kind, Kind::NonConfirmable);
}

#[test]
fn many_transfers_push_out_the_oldest_of_their_peer_and_strangers_get_5_03() {
    // BLK-09, BLK-10: bounds
    let mut bench = Bench::lan();
    let begin = |name: u8, mid: u16| {
        let blocks =
            Blocks { block1: Some(Block { number: 0, more: true, size: SIZE }), ..Blocks::default() };
        let request = Request::new(Method::Put, vec![name.to_string()]);
        Message::request(mid, Token::EMPTY, &request)
            .with_payload(&[0; 16])
            .with_blocks(&blocks)
            .encode(99)
            .unwrap()
    };
    let codes = |bench: &mut Bench, from: u8, count: u8| -> Vec<Code> {
        let octets: Vec<_> = (0..count).map(|name| begin(name, name.into())).collect();
        octets
            .iter()
            .map(|octets| {
                bench.wait(seconds(1));
                bench.receive_from(peer(from), octets);
                bench.send_message().code
            })
            .collect()
    };
    bench.goes_on(&part(900, 0, true, &[0; 16]));
    assert!(codes(&mut bench, 1, 4).iter().all(|code| *code == Code::CONTINUE));
    assert_eq!(bench.refused(&part(901, 1, true, &[0; 16])).code, Code::REQUEST_ENTITY_INCOMPLETE);
    for stranger in [3, 4, 5] {
        assert!(codes(&mut bench, stranger, 4).iter().all(|code| *code == Code::CONTINUE));
    }
    assert_eq!(codes(&mut bench, 6, 1), [Code::SERVICE_UNAVAILABLE]);
}

#[test]
fn a_request_that_arrives_cut_is_4_13_with_the_largest_size_that_fits() {
    // COAP-30, BLK-07, BLK-24
    let mut bench = Bench::lan();
    bench.endpoint.set_max_receive(600);
    let block = Block { number: 0, more: true, size: BlockSize::MAX };
    let mut octets = Part { block, ..part(1, 0, true, &[0; 1024]) }.octets();
    octets.truncate(600);
    bench.receive_from(PEER, &octets);
    let answer = bench.send_message();
    assert_eq!((bench.event(), answer.code), (None, Code::REQUEST_ENTITY_TOO_LARGE));
    assert_eq!(answer.blocks().unwrap().block1.map(|block| block.size.octets()), Some(512));
    let block = Block { number: 0, more: true, size: BlockSize::of_octets(512).unwrap() };
    bench.goes_on(&Part { block, ..part(2, 0, true, &[0; 512]) });
    let mut unblocked =
        Message::request(3, Token::EMPTY, &write()).with_payload(&[0; 700]).encode(9000).unwrap();
    unblocked.truncate(600);
    bench.receive_from(PEER, &unblocked);
    let answer = bench.send_message();
    assert_eq!((bench.event(), answer.code), (None, Code::REQUEST_ENTITY_TOO_LARGE));
    assert_eq!(answer.blocks().unwrap().block1.map(|block| block.size.octets()), Some(512));
    unblocked.truncate(599);
    unblocked[3] = 4;
    bench.receive_from(PEER, &unblocked);
    bench.asked();
}

#[test]
fn a_whole_block_at_the_limit_is_no_cut_one() {
    // COAP-30
    let mut bench = Bench::lan();
    let first = part(1, 0, true, &[0; 16]);
    bench.endpoint.set_max_receive(first.octets().len());
    bench.goes_on(&first);
}
