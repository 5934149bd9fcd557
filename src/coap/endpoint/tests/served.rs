//! Requests of peers.

use super::*;

#[test]
fn a_quick_answer_rides_on_the_ack() {
    // COAP-04
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    let (id, request) = bench.asked();
    assert_eq!(request, read());
    bench.respond(id, content("x"));
    assert_eq!(bench.send(), Some(hex("62 45 12 34 A1 B2 C0 FF 78")));
    assert_eq!((bench.send(), bench.endpoint.poll_timeout()), (None, None));
}

#[test]
fn a_slow_answer_is_an_empty_ack_after_a_second_and_a_separate_response() {
    // COAP-04, COAP-05
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    assert_eq!(bench.endpoint.poll_timeout().unwrap().why, "coap empty acknowledgement");
    bench.wait(seconds(1));
    assert_eq!(bench.send(), Some(hex("60 00 12 34")));
    bench.wait(seconds(20));
    assert_eq!(bench.send(), None);
    bench.respond(id, content("x"));
    let separate = bench.send_message();
    assert_eq!((separate.kind, separate.token.as_slice()), (Kind::Confirmable, &[0xa1, 0xb2][..]));
    assert_ne!(separate.mid, 0x1234);
    bench.receive_empty(Kind::Acknowledgement, separate.mid);
    bench.wait(seconds(90));
    assert_eq!(bench.send(), None, "acknowledged: no resend");
}

#[test]
fn an_answer_in_time_replaces_the_empty_ack_that_still_waits_for_the_link() {
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.wait(seconds(5));
    bench.respond(id, content("x"));
    assert_eq!(bench.send(), Some(hex("62 45 12 34 A1 B2 C0 FF 78")));
    assert_eq!(bench.send(), None);
    assert_eq!(bench.endpoint.stats().empty_acknowledgements, 0);
}

#[test]
fn a_non_confirmable_request_gets_a_non_confirmable_answer_with_its_own_message_id() {
    // COAP-06
    let mut bench = Bench::lan();
    bench.receive("51 02 12 34 A1 B1 33");
    let (id, request) = bench.asked();
    assert_eq!(request.method, Method::Post);
    bench.wait(seconds(5));
    assert_eq!(bench.send(), None, "no acknowledgement");
    bench.respond(id, Response::new(Code::CHANGED));
    let answer = bench.send_message();
    assert_eq!((answer.kind, answer.code), (Kind::NonConfirmable, Code::CHANGED));
    assert_eq!(answer.token.as_slice(), [0xa1]);
    bench.receive("51 02 12 34 A1 B1 33");
    assert_eq!((bench.event(), bench.send()), (None, None), "a copy is not executed again");
}

#[test]
fn a_repeated_request_gets_the_same_octets_and_is_not_executed_again() {
    // COAP-07
    let mut bench = Bench::lan();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.respond(id, Response::new(Code::CHANGED));
    let first = bench.send().unwrap();
    for _ in 0..3 {
        bench.wait(seconds(60));
        bench.receive("42 02 12 34 A1 B2 B1 33");
        assert_eq!(bench.event(), None);
        assert_eq!(bench.send().as_ref(), Some(&first));
    }
    assert_eq!(bench.endpoint.stats().duplicates, 3);
    bench.wait(seconds(67)); // EXCHANGE_LIFETIME is over
    bench.receive("42 02 12 34 A1 B2 B1 33");
    bench.asked();
}

#[test]
fn a_repeated_request_that_is_being_served_is_acknowledged_at_once() {
    // COAP-05, COAP-07
    let mut bench = Bench::lan();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    bench.asked();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    assert_eq!(bench.event(), None);
    assert_eq!(bench.send(), Some(hex("60 00 12 34")));
    bench.receive("42 02 12 34 A1 B2 B1 33");
    assert_eq!(bench.send(), Some(hex("60 00 12 34")), "again, for the first may be lost");
    bench.wait(seconds(5));
    assert_eq!(bench.send(), None);
}

#[test]
fn copies_of_an_answer_never_wait_twice() {
    let mut bench = Bench::lan();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.respond(id, Response::new(Code::CHANGED));
    for _ in 0..5 {
        bench.receive("42 02 12 34 A1 B2 B1 33");
        bench.receive("40 00 00 99");
    }
    assert_eq!(bench.send(), Some(hex("62 44 12 34 A1 B2")));
    assert_eq!(bench.send(), Some(hex("70 00 00 99")));
    assert_eq!(bench.send(), None);
}

#[test]
fn the_same_message_id_from_another_peer_is_another_message() {
    // COAP-08
    let mut bench = Bench::lan();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    bench.asked();
    bench.receive_from(OTHER, &hex("42 02 12 34 A1 B2 B1 33"));
    assert!(matches!(bench.event(), Some(Event::Request { peer: OTHER, .. })));
}

#[test]
fn a_ping_is_answered_by_rst_at_once_and_changes_nothing() {
    // COAP-03
    let mut bench = Bench::lan();
    bench.receive("42 02 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.receive("40 00 00 99");
    assert_eq!(bench.send(), Some(hex("70 00 00 99")));
    assert_eq!(bench.event(), None);
    bench.respond(id, Response::new(Code::CHANGED));
    assert_eq!(bench.send(), Some(hex("62 44 12 34 A1 B2")));
}

#[test]
fn format_errors_meet_rst_or_silence() {
    // COAP-01, COAP-02
    let mut bench = Bench::lan();
    bench.receive("49 01 12 34 01 02 03 04 05 06 07 08 09");
    assert_eq!(bench.send(), Some(hex("70 00 12 34")));
    for silent in ["59 01 12 34", "80 01 12 34", "40", "60 01 12 34", "70 45 12 34", "50 00 12 34"] {
        bench.receive(silent);
        assert_eq!((bench.send(), bench.event()), (None, None), "{silent}");
    }
    bench.receive("40 E1 12 35"); // class 7
    assert_eq!(bench.send(), Some(hex("70 00 12 35")));
    assert_eq!(bench.endpoint.stats().dropped.malformed, 8);
}

#[test]
fn an_unknown_critical_option_is_4_02_for_con_and_silence_for_non() {
    // COAP-20: If-None-Match on a Read, then a plain one
    let mut bench = Bench::lan();
    bench.receive("41 01 12 34 A1 50 61 33");
    assert_eq!(bench.send(), Some(hex("61 82 12 34 A1")));
    bench.receive("41 01 12 34 A1 50 61 33");
    assert_eq!(bench.send(), Some(hex("61 82 12 34 A1")), "a copy gets the same");
    bench.receive("51 01 12 35 A1 50 61 33");
    assert_eq!((bench.send(), bench.event()), (None, None));
    assert_eq!(bench.endpoint.stats().dropped.bad_option, 1);
    bench.receive("41 01 12 36 A2 B1 33");
    bench.asked();
}

#[test]
fn unknown_methods_and_proxies_are_answered_here() {
    // COAP-23, COAP-29
    let mut bench = Bench::lan();
    for (request, code) in [
        ("40 08 00 01", Code::METHOD_NOT_ALLOWED),
        ("40 01 00 02 D1 16 78", Code::PROXYING_NOT_SUPPORTED),
        ("50 08 00 04", Code::METHOD_NOT_ALLOWED),
    ] {
        bench.receive(request);
        assert_eq!(bench.event(), None);
        assert_eq!(bench.send_message().code, code, "{request}");
    }
    assert_eq!(bench.endpoint.stats().requests_refused, 3);
}

#[test]
fn an_empty_token_is_a_token_also_after_a_long_one() {
    // COAP-24
    let mut bench = Bench::lan();
    for request in ["48 01 00 01 01 02 03 04 05 06 07 08 B1 33", "40 01 00 02 B1 33"] {
        bench.receive(request);
        let (id, _) = bench.asked();
        bench.respond(id, content("x"));
        let answer = bench.send().unwrap();
        assert_eq!(answer[0] & 0xf, hex(request)[0] & 0xf);
    }
}

#[test]
fn foreign_peers_are_dropped_unread() {
    // COAP-27
    let mut bench = Bench::lan();
    bench.endpoint.set_peers(Some([PEER].into()));
    for octets in ["40 00 00 99", "42 02 12 34 A1 B2 B1 33", "49 01 00 07"] {
        bench.receive_from(OTHER, &hex(octets));
    }
    assert_eq!((bench.send(), bench.event()), (None, None));
    assert_eq!(bench.endpoint.stats().dropped.foreign_peer, 3);
    bench.receive("40 00 00 99");
    assert!(bench.send().is_some());
    bench.endpoint.set_peers(None);
    bench.receive_from(OTHER, &hex("40 00 00 99"));
    assert!(bench.send().is_some());
}

#[test]
fn one_request_too_many_is_5_03_with_max_age_and_not_executed() {
    // COAP-28
    let mut bench = Bench::lan();
    for mid in 0..16_u8 {
        bench.receive_from(PEER, &[0x41, 0x02, 0, mid, mid]);
        bench.asked();
    }
    bench.receive("41 02 00 20 20");
    assert_eq!(bench.event(), None);
    assert_eq!(bench.send(), Some(hex("61 A3 00 20 20 D1 01 0A"))); // Max-Age 10
    bench.receive_from(OTHER, &hex("41 02 00 20 20"));
    bench.asked();
}

#[test]
fn a_response_larger_than_can_be_cut_is_5_00_without_observation() {
    let mut bench = Bench::lan();
    bench.receive("41 01 12 34 A1 60");
    let (id, _) = bench.asked();
    bench.respond(id, Response::content(42, vec![0; 1024 * 1024 + 1]));
    assert_eq!(bench.send(), Some(hex("61 A0 12 34 A1")));
    assert_eq!(bench.event(), None);
}

#[test]
fn a_separate_response_is_sent_again_until_acknowledged_or_rejected() {
    // COAP-13
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.wait(seconds(1));
    bench.send();
    bench.respond(id, content("x"));
    let first = bench.send().unwrap();
    bench.wait(seconds(3));
    assert_eq!(bench.send().as_ref(), Some(&first), "byte by byte the same");
    bench.receive("42 01 12 34 A1 B2 B1 33");
    assert_eq!(bench.send(), Some(hex("60 00 12 34")), "a copy of the request gets the Empty ACK");
    bench.receive_empty(Kind::Reset, Message::decode(&first).unwrap().mid);
    bench.wait(seconds(90));
    assert_eq!((bench.send(), bench.event()), (None, None));
    assert_eq!((bench.endpoint.stats().rejected, bench.endpoint.stats().resends), (1, 1));
}

#[test]
fn a_separate_response_never_waits_behind_notifications() {
    // COAP-18, as far as the design follows it
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, true);
    bench.send().unwrap(); // outstanding, and never acknowledged
    bench.receive("41 01 00 02 B2 B1 33");
    bench.wait(seconds(1));
    let (id, _) = bench.asked();
    assert_eq!(bench.send(), Some(hex("60 00 00 02")));
    bench.respond(id, content("x"));
    assert_eq!(bench.send_message().token.as_slice(), [0xb2]);
}

#[test]
fn an_answer_to_a_request_that_is_not_open_is_dropped() {
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    let (id, _) = bench.asked();
    bench.respond(id, content("x"));
    bench.send();
    bench.respond(id, content("x"));
    bench.respond(RequestId(99), content("x"));
    assert_eq!((bench.send(), bench.event()), (None, None));
}

#[test]
fn a_request_that_is_never_answered_is_forgotten() {
    let mut bench = Bench::lan();
    bench.receive("42 01 12 34 A1 B2 B1 33");
    bench.asked();
    bench.wait(seconds(248));
    assert_eq!(bench.endpoint.poll_timeout(), None);
    assert_eq!(bench.endpoint.stats().dropped.unanswered, 1);
}

#[test]
fn what_many_strangers_send_stays_bounded() {
    let mut bench = Bench::lan();
    for stranger in 0..=90 {
        for mid in 0..20 {
            bench.receive_from(peer(stranger), &[0x40, 0, 0, mid]); // ping
            bench.receive_from(peer(stranger), &[0x40, 1, 1, mid]); // request
            bench.receive_from(peer(stranger), &[0x40, 0x45, 2, mid]); // response
        }
    }
    let requests = std::iter::from_fn(|| bench.event()).count();
    assert_eq!(requests, MAX_PEERS * 16);
    let replies = std::iter::from_fn(|| bench.send()).count();
    assert!(replies <= 1024, "{replies}");
    assert!(bench.endpoint.stats().dropped.peers_full > 0);
    bench.wait(seconds(300));
    bench.receive("42 01 12 34 A1 B2 B1 33");
    bench.asked();
}
