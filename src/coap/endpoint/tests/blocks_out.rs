//! Answers and notifications that peers fetch block by block (RFC 7959, Block2).

use super::super::super::block::{Block, BlockSize};
use super::super::super::message::Blocks;
use super::*;

fn size(octets: usize) -> BlockSize {
    BlockSize::of_octets(octets).unwrap()
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|octet| octet as u8 ^ (octet >> 8) as u8).collect()
}

/// A GET of /3 for this block.
fn get(mid: u16, number: u32, octets: usize) -> Vec<u8> {
    let blocks =
        Blocks { block2: Some(Block { number, more: false, size: size(octets) }), ..Blocks::default() };
    let token = Token::new(&mid.to_be_bytes()).unwrap(); // any token will do
    Message::request(mid, token, &read()).with_blocks(&blocks).encode(99).unwrap()
}

impl Bench {
    /// What `PEER` gets for these octets without the layer above.
    fn fetch(&mut self, octets: &[u8]) -> Message {
        self.receive_from(PEER, octets);
        assert_eq!(self.event(), None);
        self.send_message()
    }

    /// The first block of a body that the layer above gives.
    fn first(&mut self, octets: &[u8], body: &[u8]) -> Message {
        self.receive_from(PEER, octets);
        let (id, request) = self.asked();
        assert_eq!(request.path, ["3"]);
        self.respond(id, Response::content(42, body.to_vec()));
        self.send_message()
    }

    /// Fetches the rest in blocks of this size; gives the whole.
    fn rest(&mut self, first: &Message, octets: usize) -> Vec<u8> {
        let mut body = payload(first);
        let etag = first.blocks().unwrap().etag;
        for mid in (1..).map(|next: u16| first.mid.wrapping_mul(1000).wrapping_add(next)) {
            let number = (body.len() / octets) as u32;
            let message = self.fetch(&get(mid, number, octets));
            let blocks = message.blocks().unwrap();
            let block = blocks.block2.unwrap();
            assert_eq!((message.code, message.mid, block.number), (Code::CONTENT, mid, number));
            assert_eq!((message.has_observe(), &blocks.etag), (false, &etag));
            assert_eq!(message.to_response().unwrap().content_format, Some(42));
            body.extend(payload(&message));
            if !block.more {
                break;
            }
        }
        body
    }
}

fn payload(message: &Message) -> Vec<u8> {
    message.to_response().unwrap().payload
}

fn block2(message: &Message) -> Option<(u32, bool, usize)> {
    let block = message.blocks().unwrap().block2?;
    Some((block.number, block.more, block.size.octets()))
}

#[test]
fn a_large_answer_goes_block_by_block_under_any_token() {
    // BLK-12, BLK-24: 1024 octets a block where they fit, and less where not
    for (limit, octets) in [(1152, 1024), (1060, 1024), (1030, 512), (545, 512), (128, 64), (48, 16)] {
        let mut bench = Bench::lan();
        bench.endpoint.set_max_datagram(limit);
        let whole = body(3000);
        let first = bench.first(&hex("41 01 00 01 A1 B1 33"), &whole);
        assert_eq!(block2(&first), Some((0, true, octets)), "{limit}");
        assert_eq!(bench.rest(&first, octets), whole);
        assert!(bench.endpoint.stats().blocks_sent >= 2);
    }
}

#[test]
fn an_answer_that_fits_is_not_cut_and_has_no_etag() {
    let mut bench = Bench::lan();
    let answer = bench.first(&hex("41 01 00 01 A1 B1 33"), &body(1100));
    assert_eq!((answer.blocks().unwrap(), payload(&answer).len()), (Blocks::default(), 1100));
}

#[test]
fn a_size_that_is_asked_for_is_kept_to_and_a_later_one_may_be_smaller() {
    // BLK-13
    let mut bench = Bench::lan();
    let whole = body(300);
    let first = bench.first(&get(1, 0, 64), &whole);
    assert_eq!(block2(&first), Some((0, true, 64)));
    let second = bench.fetch(&get(2, 2, 32));
    assert_eq!((block2(&second), payload(&second)), (Some((2, true, 32)), whole[64..96].to_vec()));
    assert_eq!(bench.fetch(&get(3, 2, 64)).code, Code::BAD_OPTION, "a larger one");
    assert_eq!(bench.fetch(&get(4, 3, 32)).code, Code::CONTENT);
    let small = bench.first(&get(5, 0, 64), b"x");
    assert_eq!((block2(&small), payload(&small)), (Some((0, false, 64)), b"x".to_vec()));
}

#[test]
fn a_size_that_does_not_fit_the_link_is_answered_with_one_that_does() {
    // BLK-13, BLK-24
    let mut bench = Bench::lan();
    bench.endpoint.set_max_datagram(300);
    let whole = body(2000);
    let first = bench.first(&get(1, 0, 1024), &whole);
    assert_eq!(block2(&first), Some((0, true, 256)));
    assert_eq!(bench.rest(&first, 256), whole);
}

#[test]
fn all_blocks_come_from_one_snapshot() {
    // BLK-14: nothing reaches the layer above, whatever its value has become
    let mut bench = Bench::lan();
    let (old, new) = (body(2500), vec![9; 2500]);
    let first = bench.first(&hex("41 01 00 01 A1 B1 33"), &old);
    assert_eq!(bench.rest(&first, 1024), old);
    let again = bench.first(&hex("41 01 00 02 A1 B1 33"), &new);
    assert_ne!(again.blocks().unwrap().etag, first.blocks().unwrap().etag);
    assert_eq!(bench.rest(&again, 1024), new);
}

#[test]
fn a_block_after_the_end_is_4_02() {
    // BLK-15
    let mut bench = Bench::lan();
    bench.first(&hex("41 01 00 01 A1 B1 33"), &body(2048));
    assert_eq!(bench.fetch(&get(2, 1, 1024)).code, Code::CONTENT);
    assert_eq!(bench.fetch(&get(3, 2, 1024)).code, Code::BAD_OPTION);
    bench.receive_from(
        PEER,
        &get(4, 1, 16).iter().map(|octet| if *octet == b'3' { b'4' } else { *octet }).collect::<Vec<_>>(),
    );
    let (id, _) = bench.asked();
    bench.respond(id, content("short"));
    assert_eq!(bench.send_message().code, Code::BAD_OPTION);
    assert_eq!(bench.fetch(&hex("41 01 00 05 A1 B1 33 C1 07")).code, Code::BAD_REQUEST, "SZX 7, BLK-01");
}

#[test]
fn a_repeated_first_request_gets_the_first_block_again_and_the_transfer_goes_on() {
    // BLK-16
    let mut bench = Bench::lan();
    let whole = body(2500);
    let first = bench.first(&hex("41 01 00 01 A1 B1 33"), &whole);
    assert_eq!(bench.fetch(&hex("41 01 00 01 A1 B1 33")), first);
    assert_eq!(bench.rest(&first, 1024), whole);
    assert_eq!(bench.fetch(&get(100, 1, 1024)), bench.fetch(&get(100, 1, 1024)));
}

#[test]
fn without_a_snapshot_a_later_block_is_of_the_current_representation_with_its_etag() {
    // BLK-14, COAP-34
    let mut bench = Bench::lan();
    let (old, new) = (body(2500), vec![9; 2500]);
    let first = bench.first(&hex("41 01 00 01 A1 B1 33"), &old);
    bench.wait(seconds(247));
    let second = bench.first(&get(2, 1, 1024), &new);
    assert_eq!((block2(&second), payload(&second)), (Some((1, true, 1024)), new[1024..2048].to_vec()));
    assert_ne!(second.blocks().unwrap().etag, first.blocks().unwrap().etag);
    assert_eq!(bench.fetch(&get(3, 2, 1024)).blocks().unwrap().etag, second.blocks().unwrap().etag);
}

#[test]
fn an_error_is_told_whichever_block_was_asked_for() {
    // BLK-15: it is no block after the end
    let mut bench = Bench::lan();
    for (mid, number) in [(1, 0), (2, 1)] {
        bench.receive_from(PEER, &get(mid, number, 64));
        let (id, _) = bench.asked();
        bench.respond(id, Response::new(Code::NOT_FOUND));
        let answer = bench.send_message();
        assert_eq!((answer.code, answer.blocks().unwrap()), (Code::NOT_FOUND, Blocks::default()));
    }
}

#[test]
fn a_later_block_of_what_changes_something_is_not_asked_for_again() {
    let mut bench = Bench::lan();
    let mut post = get(1, 1, 64);
    post[1] = 2;
    assert_eq!(bench.fetch(&post).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn the_whole_size_is_told_when_asked_for() {
    // BLK-12: Size2
    let mut bench = Bench::lan();
    let first = bench.first(&hex("41 01 00 01 A1 B1 33 D0 04"), &body(2500));
    assert_eq!(first.blocks().unwrap().size2, Some(2500));
    let small = bench.first(&hex("41 01 00 02 A1 B1 33 D0 04"), b"x");
    assert_eq!(small.blocks().unwrap().size2, Some(1));
}

#[test]
fn separate_and_non_confirmable_answers_are_cut_too() {
    // BLK-12, COAP-04, COAP-06
    let mut bench = Bench::lan();
    let whole = body(1500);
    bench.receive("41 01 00 01 A1 B1 33");
    let (id, _) = bench.asked();
    bench.wait(seconds(1));
    bench.send();
    bench.respond(id, Response::content(42, whole.clone()));
    let separate = bench.send_message();
    assert_eq!((separate.kind, block2(&separate)), (Kind::Confirmable, Some((0, true, 1024))));
    assert_eq!(bench.rest(&separate, 1024), whole);
    let first = bench.first(&hex("51 01 00 02 A1 B1 33"), &whole);
    assert_eq!((first.kind, block2(&first)), (Kind::NonConfirmable, Some((0, true, 1024))));
    let mut next = get(3, 1, 1024);
    next[0] |= 0x10;
    let next = bench.fetch(&next);
    assert_eq!((next.kind, payload(&next)), (Kind::NonConfirmable, whole[1024..].to_vec()));
    let mut after_the_end = get(4, 5, 1024);
    after_the_end[0] |= 0x10;
    assert_eq!(bench.fetch(&after_the_end).code, Code::BAD_OPTION);
}

#[test]
fn snapshots_are_of_one_peer_and_bounded() {
    // BLK-14: the 17th body pushes the oldest out
    let mut bench = Bench::lan();
    let path = |path: u8, number: u32| {
        let blocks =
            Blocks { block2: Some(Block { number, more: false, size: size(1024) }), ..Blocks::default() };
        let request = Request::new(Method::Get, vec![path.to_string()]);
        let mid = u16::from(path) << 8 | number as u16;
        Message::request(mid, Token::EMPTY, &request).with_blocks(&blocks).encode(99).unwrap()
    };
    for number in 0..17 {
        bench.wait(seconds(1));
        bench.receive_from(PEER, &path(number, 0));
        let (id, _) = bench.asked();
        bench.respond(id, Response::content(42, body(2000)));
        bench.send();
    }
    assert_eq!(bench.fetch(&path(1, 1)).code, Code::CONTENT);
    bench.receive_from(PEER, &path(0, 1));
    bench.asked();
    bench.receive_from(OTHER, &path(1, 1));
    assert!(matches!(bench.event(), Some(Event::Request { peer: OTHER, .. })));
}

/// `PEER` observes /3, which is small; gives the observation and a notification of `len` octets as it left.
fn notified(bench: &mut Bench, body: &[u8], confirmable: bool) -> (ObservationId, Message) {
    let observation = bench.observed(1, 0xa1);
    let response = Response::content(42, body.to_vec());
    let notification = NotificationId(1);
    bench.act(Action::Notify { notification, observation, response, confirmable });
    (observation, bench.send_message())
}

fn delivered() -> Option<Event> {
    Some(Event::NotificationDelivered { notification: NotificationId(1) })
}

fn not_delivered(why: Failure) -> Option<Event> {
    Some(Event::NotificationFailed { notification: NotificationId(1), why })
}

#[test]
fn a_large_notification_is_its_first_block_and_the_rest_is_fetched_without_observe() {
    // BLK-17, OBS-12
    for confirmable in [true, false] {
        let mut bench = Bench::lan();
        let whole = body(3000);
        let (_, first) = notified(&mut bench, &whole, confirmable);
        assert_eq!((first.has_observe(), first.token.as_slice()), (true, &[0xa1][..]));
        assert_eq!(block2(&first), Some((0, true, 1024)));
        if confirmable {
            bench.receive_empty(Kind::Acknowledgement, first.mid);
        }
        assert_eq!(bench.event(), None, "delivered when the last block was asked for");
        assert_eq!(payload(&bench.fetch(&get(50, 1, 1024))), whole[1024..2048]);
        bench.receive_from(PEER, &get(51, 2, 1024));
        assert_eq!(bench.event(), delivered());
        assert_eq!(payload(&bench.send_message()), whole[2048..]);
        assert_eq!(bench.rest(&first, 1024), whole, "and again if need be");
    }
}

#[test]
fn a_notification_that_is_fetched_before_its_acknowledgement_is_delivered_by_it() {
    // BLK-17
    let mut bench = Bench::lan();
    let whole = body(3000);
    let (_, first) = notified(&mut bench, &whole, true);
    assert_eq!(bench.rest(&first, 1024), whole);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    assert_eq!(bench.event(), delivered());
    bench.wait(seconds(900));
    assert_eq!(bench.event(), None);
}

#[test]
fn a_notification_of_which_the_rest_is_never_fetched_has_failed() {
    // BLK-17
    let mut bench = Bench::lan();
    let (_, first) = notified(&mut bench, &body(3000), true);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    bench.wait(seconds(100));
    bench.fetch(&get(50, 1, 1024));
    bench.wait(seconds(246));
    assert_eq!(bench.event(), None);
    bench.wait(seconds(1));
    assert_eq!(bench.event(), not_delivered(Failure::TimedOut));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_notification_whose_rest_is_gone_before_its_acknowledgement_was_not_delivered() {
    // BLK-14, BLK-17: by the answer to a read of the same, or because the link was down for too long
    let mut bench = Bench::lan();
    let (_, first) = notified(&mut bench, &body(3000), true);
    bench.first(&hex("41 01 00 40 A2 B1 33"), &[9; 3000]);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    assert_eq!(bench.event(), not_delivered(Failure::TimedOut));
    let mut bench = Bench::lan();
    let (observation, first) = notified(&mut bench, &body(3000), true);
    bench.endpoint.handle_link(false, bench.now);
    bench.wait(seconds(300));
    bench.endpoint.handle_link(true, bench.now);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    assert_eq!(bench.event(), not_delivered(Failure::TimedOut));
    bench.act(Action::ForgetObservation { observation });
    bench.wait(seconds(900));
    assert_eq!(bench.event(), None);
}

#[test]
fn an_unacknowledged_notification_that_is_larger_than_a_block_fails_once() {
    // BLK-17, OBS-07, OBS-10
    let mut bench = Bench::lan();
    let (_, _) = notified(&mut bench, &body(3000), true);
    let end = bench.now + seconds(900);
    while bench.now < end {
        bench.wait(seconds(1));
        bench.send();
    }
    assert_eq!(bench.event(), not_delivered(Failure::TimedOut));
    assert_eq!((bench.event(), bench.endpoint.poll_timeout()), (None, None));
    let mut bench = Bench::lan();
    let (id, first) = notified(&mut bench, &body(3000), true);
    bench.receive_empty(Kind::Reset, first.mid);
    assert_eq!(bench.event(), not_delivered(Failure::Rejected));
    assert_eq!((bench.event(), bench.event()), (Some(Event::ObservationRejected { id }), None));
}

#[test]
fn a_cancelled_or_forgotten_observation_takes_its_half_fetched_notification_with_it() {
    // BLK-17, OBS-06, OBS-07
    let mut bench = Bench::lan();
    let (observation, first) = notified(&mut bench, &body(3000), true);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    bench.receive("41 01 00 02 A1 61 01 51 33");
    assert_eq!(bench.event(), not_delivered(Failure::Abandoned));
    assert_eq!(bench.event(), Some(Event::ObservationEnded { id: observation, why: Ending::Cancelled }));
    let mut bench = Bench::lan();
    let (observation, first) = notified(&mut bench, &body(3000), true);
    bench.receive_empty(Kind::Acknowledgement, first.mid);
    bench.act(Action::ForgetObservation { observation });
    bench.wait(seconds(900));
    assert_eq!(bench.event(), None);
}

#[test]
fn the_size_asked_for_by_the_observe_request_holds_for_its_notifications() {
    // BLK-13, BLK-17
    let mut bench = Bench::lan();
    bench.receive("41 01 00 01 A1 60 51 33 C1 02"); // Observe 0, Block2 of 64
    let (id, _) = bench.asked();
    bench.respond(id, Response::content(42, body(100)));
    let Some(Event::ObservationStarted { id: observation, .. }) = bench.event() else { panic!() };
    let first = bench.send_message();
    assert_eq!((block2(&first), first.has_observe()), (Some((0, true, 64)), true));
    let (notification, response) = (NotificationId(1), Response::content(42, body(200)));
    bench.act(Action::Notify { notification, observation, response, confirmable: true });
    assert_eq!(block2(&bench.send_message()), Some((0, true, 64)));
}
