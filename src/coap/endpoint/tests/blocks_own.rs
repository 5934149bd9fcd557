//! Own requests whose body or answer goes block by block.

use super::super::super::block::{Block, BlockSize};
use super::super::super::message::Blocks;
use super::*;

fn size(octets: usize) -> BlockSize {
    BlockSize::of_octets(octets).unwrap()
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|octet| octet as u8 ^ (octet >> 8) as u8).collect()
}

fn register(len: usize) -> Request {
    Request {
        payload: body(len),
        content_format: Some(40),
        ..Request::new(Method::Post, vec!["rd".to_owned()])
    }
}

fn failed(why: Failure) -> Option<Event> {
    Some(Event::Failed { exchange: ExchangeId(1), why })
}

fn code_of(event: Option<Event>) -> Code {
    match event {
        Some(Event::Response { exchange: ExchangeId(1), response }) => response.code,
        other => panic!("no answer but {other:?}"),
    }
}

impl Bench {
    /// `PEER` answers the message with this code and these blocks.
    fn answer(&mut self, to: &Message, response: &Response, blocks: &Blocks) {
        let message =
            Message::response(Kind::Acknowledgement, to.mid, to.token, response).with_blocks(blocks);
        self.receive_from(PEER, &message.encode(9000).unwrap());
    }

    fn acknowledge_block(&mut self, to: &Message, code: Code, octets: usize) {
        let sent = block1(to);
        let block1 = Some(Block { size: size(octets), ..sent });
        self.answer(to, &Response::new(code), &Blocks { block1, ..Blocks::default() });
    }

    /// The next message, which must be a block of the body.
    fn sent_block(&mut self) -> (Message, Block) {
        let message = self.send_message();
        let block = block1(&message);
        (message, block)
    }
}

fn block1(message: &Message) -> Block {
    message.blocks().unwrap().block1.expect("it has Block1")
}

fn payload(message: &Message) -> Vec<u8> {
    message.to_request().unwrap().payload
}

#[test]
fn a_large_request_goes_in_the_largest_blocks_that_fit() {
    // BLK-20, BLK-24, BLK-08; every block has a Message ID and a token of its own
    for (limit, octets) in [(1152, 1024), (1358, 1024), (545, 512), (100, 64)] {
        let mut bench = Bench::lan();
        bench.endpoint.set_max_datagram(limit);
        bench.request(1, register(3000));
        let (mut received, mut seen) = (vec![], vec![]);
        loop {
            let (message, block) = bench.sent_block();
            assert_eq!(block.offset(), received.len());
            assert_eq!(block.size.octets(), octets);
            assert_eq!(message.to_request().unwrap().content_format, Some(40));
            received.extend(payload(&message));
            seen.push((message.mid, message.token));
            if !block.more {
                bench.acknowledge_block(&message, Code::CREATED, octets);
                break;
            }
            bench.acknowledge_block(&message, Code::CONTINUE, octets);
            assert_eq!(bench.event(), None);
        }
        assert_eq!((received, code_of(bench.event())), (body(3000), Code::CREATED));
        assert!(seen.windows(2).all(|pair| pair[0].0 != pair[1].0 && pair[0].1 != pair[1].1));
        assert_eq!(bench.endpoint.poll_timeout(), None);
    }
}

#[test]
fn a_smaller_size_in_2_31_is_obeyed_from_the_next_block_on() {
    // BLK-20, BLK-07
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    let (first, _) = bench.sent_block();
    bench.acknowledge_block(&first, Code::CONTINUE, 256);
    let (second, block) = bench.sent_block();
    assert_eq!((block.number, block.size.octets()), (4, 256));
    assert_eq!(payload(&second), body(2500)[1024..1280]);
    bench.acknowledge_block(&second, Code::CONTINUE, 1024); // a larger one is not
    assert_eq!(bench.sent_block().1.number, 5);
}

#[test]
fn request_entity_too_large_with_a_size_is_repeated_block_by_block() {
    // BLK-22
    let mut bench = Bench::lan();
    bench.request(1, register(900));
    let whole = bench.send_message();
    assert_eq!(whole.blocks().unwrap().block1, None);
    let hint = |octets| Blocks {
        block1: Some(Block { number: 0, more: false, size: size(octets) }),
        ..Blocks::default()
    };
    let too_large = Response::new(Code::REQUEST_ENTITY_TOO_LARGE);
    bench.answer(&whole, &too_large, &hint(512));
    let (first, block) = bench.sent_block();
    assert_eq!((block.number, block.more, block.size.octets()), (0, true, 512));
    bench.answer(&first, &too_large, &hint(64));
    let (first, block) = bench.sent_block();
    assert_eq!((block.number, block.more, block.size.octets()), (0, true, 64), "smaller still");
    bench.answer(&first, &too_large, &hint(64));
    assert_eq!(code_of(bench.event()), Code::REQUEST_ENTITY_TOO_LARGE, "no smaller one: that is the end");
    bench.request(1, register(900));
    let whole = bench.send_message();
    bench.answer(&whole, &too_large, &Blocks::default());
    assert_eq!(code_of(bench.event()), Code::REQUEST_ENTITY_TOO_LARGE, "nor without a size");
}

#[test]
fn every_failure_at_every_block_ends_the_request() {
    // BLK-21: first, middle and last block; error code, RST, time-out, unreachable, and what makes no sense
    for at in 0..3 {
        for how in 0..7 {
            let mut bench = Bench::lan();
            bench.request(1, register(2500));
            for _ in 0..at {
                let (message, _) = bench.sent_block();
                bench.acknowledge_block(&message, Code::CONTINUE, 1024);
            }
            let (message, block) = bench.sent_block();
            assert_eq!(block.number, at);
            let expected = match how {
                0 => {
                    bench.acknowledge_block(&message, Code::REQUEST_ENTITY_INCOMPLETE, 1024);
                    assert_eq!(code_of(bench.event()), Code::REQUEST_ENTITY_INCOMPLETE);
                    None
                }
                1 => {
                    bench.answer(&message, &Response::new(Code::FORBIDDEN), &Blocks::default());
                    assert_eq!(code_of(bench.event()), Code::FORBIDDEN);
                    None
                }
                2 => {
                    bench.receive_empty(Kind::Reset, message.mid);
                    failed(Failure::Rejected)
                }
                3 => {
                    for _ in 0..6 {
                        bench.wait(seconds(50));
                        bench.send();
                    }
                    failed(Failure::TimedOut)
                }
                4 => {
                    bench.endpoint.handle_unreachable(PEER, bench.now);
                    failed(Failure::Unreachable)
                }
                5 => {
                    let block1 = Some(Block { number: 9, ..block });
                    let blocks = Blocks { block1, ..Blocks::default() };
                    bench.answer(&message, &Response::new(Code::CONTINUE), &blocks);
                    failed(Failure::BadResponse)
                }
                _ => {
                    bench.answer(&message, &Response::new(Code::CONTINUE), &Blocks::default());
                    failed(Failure::BadResponse)
                }
            };
            assert_eq!(bench.event(), expected, "{how} at block {at}");
            assert_eq!((bench.send(), bench.endpoint.poll_timeout()), (None, None));
        }
    }
}

#[test]
fn a_lost_block_is_sent_again_byte_by_byte() {
    // COAP-13, BLK-20
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    let (first, _) = bench.sent_block();
    bench.acknowledge_block(&first, Code::CONTINUE, 1024);
    let second = bench.send().unwrap();
    bench.wait(seconds(3));
    assert_eq!(bench.send(), Some(second));
}

#[test]
fn requests_of_the_peer_are_served_during_an_own_transfer() {
    // BLK-23
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    let (first, _) = bench.sent_block();
    bench.receive("41 01 00 50 A1 B1 33");
    let (id, _) = bench.asked();
    bench.respond(id, content("x"));
    assert_eq!(bench.send_message().mid, 0x50);
    bench.acknowledge_block(&first, Code::CONTINUE, 1024);
    assert_eq!(bench.sent_block().1.number, 1);
}

#[test]
fn a_separate_2_31_is_acknowledged_and_goes_on() {
    // COAP-16, BLK-20
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    let (first, block) = bench.sent_block();
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    let blocks = Blocks { block1: Some(block), ..Blocks::default() };
    let separate = Message::response(Kind::Confirmable, 0x777, first.token, &Response::new(Code::CONTINUE));
    bench.receive_from(PEER, &separate.with_blocks(&blocks).encode(99).unwrap());
    assert_eq!(bench.send(), Some(hex("60 00 07 77")));
    assert_eq!(bench.sent_block().1.number, 1);
}

#[test]
fn two_transfers_to_the_same_place_go_one_after_the_other() {
    // BLK-20: the peer could not tell their blocks apart
    let mut bench = Bench::new(Params::lan().with_nstart(4).unwrap());
    bench.request(1, register(1500));
    bench.request(2, register(1400));
    bench.request(3, register(3));
    bench.request(4, read());
    let (first, _) = bench.sent_block();
    assert_eq!(bench.send_message().code.to_string(), "0.01", "what goes elsewhere need not wait");
    assert_eq!(bench.send(), None);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    assert_eq!(bench.send(), None, "nor while its answer is still to come");
    let blocks = Blocks { block1: Some(block1(&first)), ..Blocks::default() };
    let separate =
        Message::response(Kind::NonConfirmable, 0x777, first.token, &Response::new(Code::CONTINUE));
    bench.receive_from(PEER, &separate.with_blocks(&blocks).encode(99).unwrap());
    let (last, block) = bench.sent_block();
    assert_eq!((block.number, block.more, bench.send()), (1, false, None));
    bench.acknowledge_block(&last, Code::CREATED, 1024);
    assert_eq!(bench.sent_block().1.number, 0);
}

#[test]
fn the_next_block_goes_before_what_has_not_begun() {
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    bench.request(2, read());
    let (first, _) = bench.sent_block();
    bench.acknowledge_block(&first, Code::CONTINUE, 1024);
    assert_eq!(bench.sent_block().1.number, 1);
}

#[test]
fn an_abandoned_transfer_stops() {
    let mut bench = Bench::lan();
    bench.request(1, register(2500));
    let (first, _) = bench.sent_block();
    bench.act(Action::Abandon { exchange: ExchangeId(1) });
    bench.acknowledge_block(&first, Code::CONTINUE, 1024);
    assert_eq!((bench.event(), bench.send()), (None, None));
}

/// A block of an answer, and its ETag.
fn piece(body: &[u8], number: usize, octets: usize, etag: u8) -> (Response, Blocks) {
    let (block, part) = Block::cut(body, number * octets, size(octets)).unwrap();
    let blocks = Blocks { block2: Some(block), etag: Some(vec![etag]), ..Blocks::default() };
    (Response::content(42, part.to_vec()), blocks)
}

fn wanted(message: &Message) -> (u32, usize) {
    let block = message.blocks().unwrap().block2.expect("it has Block2");
    (block.number, block.size.octets())
}

#[test]
fn the_blocks_of_an_answer_are_put_together() {
    // BLK-20, BLK-12
    let mut bench = Bench::lan();
    let whole = body(200);
    bench.request(1, Request { accept: Some(42), query: vec!["q".to_owned()], ..read() });
    let first = bench.send_message();
    assert_eq!(first.blocks().unwrap(), Blocks::default());
    let (response, blocks) = piece(&whole, 0, 64, 1);
    bench.answer(&first, &response, &blocks);
    let second = bench.send_message();
    let request = second.to_request().unwrap();
    assert_eq!((request.path, request.query, request.accept), (read().path, vec!["q".to_owned()], Some(42)));
    assert_eq!(wanted(&second), (1, 64));
    let (response, blocks) = piece(&whole, 2, 32, 1); // the peer changes to a smaller size
    bench.answer(&second, &response, &blocks);
    for number in 3..7 {
        let message = bench.send_message();
        assert_eq!((wanted(&message), bench.event()), ((number as u32, 32), None));
        let (response, blocks) = piece(&whole, number, 32, 1);
        bench.answer(&message, &response, &blocks);
    }
    let response = Response::content(42, whole);
    assert_eq!(bench.event(), Some(Event::Response { exchange: ExchangeId(1), response }));
    assert_eq!((bench.send(), bench.endpoint.poll_timeout()), (None, None));
}

#[test]
fn an_answer_that_changes_under_way_is_fetched_anew_once() {
    // COAP-34
    let mut bench = Bench::lan();
    let whole = body(100);
    bench.request(1, read());
    for (number, etag) in [(0, 1), (1, 2), (0, 2), (1, 2)] {
        let message = bench.send_message();
        let (response, blocks) = piece(&whole, number, 64, etag);
        bench.answer(&message, &response, &blocks);
    }
    assert_eq!(code_of(bench.event()), Code::CONTENT);
    bench.request(1, read());
    for (number, etag) in [(0, 1), (1, 2), (0, 2), (1, 3)] {
        let message = bench.send_message();
        let (response, blocks) = piece(&whole, number, 64, etag);
        bench.answer(&message, &response, &blocks);
    }
    assert_eq!((bench.event(), bench.send()), (failed(Failure::BadResponse), None));
}

#[test]
fn an_answer_with_a_wrong_block_or_an_error_in_the_middle_is_the_end() {
    // BLK-21
    let mut bench = Bench::lan();
    let whole = body(300);
    for wrong in [2, 0] {
        bench.request(1, read());
        let first = bench.send_message();
        let (response, blocks) = piece(&whole, 0, 64, 1);
        bench.answer(&first, &response, &blocks);
        let second = bench.send_message();
        let (response, blocks) = piece(&whole, wrong, 64, 1);
        bench.answer(&second, &response, &blocks);
        assert_eq!(bench.event(), failed(Failure::BadResponse));
    }
    bench.request(1, read());
    let first = bench.send_message();
    let (response, blocks) = piece(&whole, 0, 64, 1);
    bench.answer(&first, &response, &blocks);
    let second = bench.send_message();
    bench.answer(&second, &Response::new(Code::NOT_FOUND), &Blocks::default());
    assert_eq!(code_of(bench.event()), Code::NOT_FOUND);
    bench.request(1, read());
    let first = bench.send_message();
    bench.answer(&first, &Response::content(42, vec![0; 63]), &blocks); // M=1 and not a block
    assert_eq!(bench.event(), failed(Failure::BadResponse));
}

#[test]
fn an_observation_with_large_answers_tells_whole_ones() {
    // BLK-17, the observer's side
    let mut bench = Bench::lan();
    let (old, new) = (body(100), vec![9; 100]);
    bench.request(1, Request { observe: Some(0), ..read() });
    let first = bench.send_message();
    let (response, blocks) = piece(&old, 0, 64, 1);
    bench.answer(&first, &Response { observe: Some(7), ..response }, &blocks);
    let rest = bench.send_message();
    assert_eq!((rest.has_observe(), rest.token != first.token), (false, true));
    let (response, blocks) = piece(&old, 1, 64, 1);
    bench.answer(&rest, &response, &blocks);
    let response = Response { observe: Some(7), ..Response::content(42, old) };
    assert_eq!(bench.event(), Some(Event::Response { exchange: ExchangeId(1), response }));

    let (response, blocks) = piece(&new, 0, 64, 2);
    let notification = Response { observe: Some(8), ..response };
    let message =
        Message::response(Kind::Confirmable, 0x777, first.token, &notification).with_blocks(&blocks);
    bench.receive_from(PEER, &message.encode(999).unwrap());
    assert_eq!((bench.send(), bench.event()), (Some(hex("60 00 07 77")), None));
    let rest = bench.send_message();
    assert_eq!((rest.has_observe(), wanted(&rest)), (false, (1, 64)));
    let (response, blocks) = piece(&new, 1, 64, 2);
    bench.answer(&rest, &response, &blocks);
    let response = Response { observe: Some(8), ..Response::content(42, new) };
    assert_eq!(bench.event(), Some(Event::Notified { exchange: ExchangeId(1), response }));
}

#[test]
fn a_newer_notification_ends_the_fetching_of_an_older_one() {
    // BLK-17, the observer's side
    let mut bench = Bench::lan();
    let large = body(100);
    bench.request(1, Request { observe: Some(0), ..read() });
    let first = bench.send_message();
    bench.answer(&first, &Response { observe: Some(7), ..content("x") }, &Blocks::default());
    bench.event();
    let (response, blocks) = piece(&large, 0, 64, 2);
    for (mid, observe) in [(1, 8), (2, 9)] {
        let notification = Response { observe: Some(observe), ..response.clone() };
        let message =
            Message::response(Kind::NonConfirmable, mid, first.token, &notification).with_blocks(&blocks);
        bench.receive_from(PEER, &message.encode(999).unwrap());
    }
    let rest = bench.send_message();
    assert_eq!(bench.send(), None, "one is fetched");
    bench.receive_empty(Kind::Reset, rest.mid);
    assert_eq!(bench.event(), None, "and it is no failure of the observation");
    assert_eq!(bench.endpoint.stats().dropped.incomplete_notification, 1);
}

#[test]
fn two_endpoints_carry_large_bodies_both_ways() {
    // BLK-02, BLK-12, BLK-20
    let (mut ours, mut theirs) = (Bench::lan(), Bench::lan());
    ours.endpoint.set_max_datagram(200);
    ours.request(1, Request { payload: body(10_000), ..read() });
    let mut answered = None;
    for _ in 0..1000 {
        while let Some(octets) = ours.send() {
            theirs.receive_from(PEER, &octets);
        }
        while let Some(event) = theirs.event() {
            let Event::Request { id, request, .. } = event else { panic!("{event:?}") };
            assert_eq!(request.payload, body(10_000));
            theirs.respond(id, Response::content(42, body(200_000)));
        }
        while let Some(octets) = theirs.send() {
            ours.receive_from(PEER, &octets);
        }
        answered = answered.or(ours.event());
    }
    let response = Response::content(42, body(200_000));
    assert_eq!(answered, Some(Event::Response { exchange: ExchangeId(1), response }));
}
