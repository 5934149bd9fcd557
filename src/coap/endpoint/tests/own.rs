//! Own requests and pings.

use super::*;

fn answered(number: u64, response: Response) -> Option<Event> {
    Some(Event::Response { exchange: ExchangeId(number), response })
}

fn failed(number: u64, why: Failure) -> Option<Event> {
    Some(Event::Failed { exchange: ExchangeId(number), why })
}

#[test]
fn a_piggybacked_response_ends_the_request() {
    // COAP-09
    let mut bench = Bench::lan();
    let (mid, token) = bench.requested(1);
    bench.receive_response(Kind::Acknowledgement, mid, token, &content("x"));
    assert_eq!(bench.event(), answered(1, content("x")));
    assert_eq!(bench.endpoint.poll_timeout(), None);
    bench.receive_response(Kind::Acknowledgement, mid, token, &content("x"));
    assert_eq!((bench.event(), bench.send()), (None, None), "a copy is ordinary");
}

#[test]
fn an_ack_with_a_foreign_message_id_or_token_is_ignored_and_resends_go_on() {
    // COAP-09, COAP-10
    let mut bench = Bench::lan();
    let (mid, token) = bench.requested(1);
    bench.receive_response(Kind::Acknowledgement, mid.wrapping_add(1), token, &content("x"));
    bench.receive_response(Kind::Acknowledgement, mid, Token::new(&[9]).unwrap(), &content("x"));
    bench.receive_from(OTHER, &Bench::response(Kind::Acknowledgement, mid, token, &content("x")));
    bench.receive_empty(Kind::Acknowledgement, mid.wrapping_add(1));
    bench.receive_empty(Kind::Reset, mid.wrapping_add(1));
    assert_eq!(bench.event(), None);
    assert_eq!(bench.endpoint.stats().dropped.unmatched, 5);
    bench.wait(seconds(3));
    assert_eq!(bench.send_message().mid, mid);
}

#[test]
fn resends_are_identical_double_their_waits_and_end_in_a_timeout() {
    // COAP-13, COAP-14
    let mut bench = Bench::lan();
    bench.request(1, read());
    let start = bench.now;
    let first = bench.send().unwrap();
    let mut waits = vec![];
    while let Some(deadline) = bench.endpoint.poll_timeout() {
        assert_eq!(deadline.why, "coap resend");
        waits.push(deadline.at - bench.now);
        bench.wait(deadline.at - bench.now);
        if let Some(again) = bench.send() {
            assert_eq!(again, first);
        }
    }
    assert_eq!(waits.len(), 5);
    assert!(waits[0] >= seconds(2) && waits[0] <= seconds(3));
    assert!(waits.windows(2).all(|pair| pair[1] == pair[0] * 2));
    assert!(bench.now - start <= Params::lan().max_transmit_wait());
    assert_eq!(bench.event(), failed(1, Failure::TimedOut));
    assert_eq!((bench.endpoint.stats().resends, bench.endpoint.stats().timeouts), (4, 1));
}

#[test]
fn first_timeouts_are_drawn_from_their_whole_range() {
    // COAP-13
    let mut bench = Bench::lan();
    let mut waits = vec![];
    for number in 0..100 {
        let (mid, token) = bench.requested(number);
        waits.push(bench.endpoint.poll_timeout().unwrap().at - bench.now);
        bench.receive_response(Kind::Acknowledgement, mid, token, &content("x"));
    }
    assert!(waits.iter().all(|wait| (seconds(2)..=seconds(3)).contains(wait)));
    assert!(waits.iter().any(|wait| *wait < Duration::from_millis(2200)));
    assert!(waits.iter().any(|wait| *wait > Duration::from_millis(2800)));
}

#[test]
fn an_empty_ack_ends_resends_and_the_separate_response_is_acknowledged_every_time() {
    // COAP-11, COAP-16
    let mut bench = Bench::lan();
    let (mid, token) = bench.requested(1);
    bench.receive_empty(Kind::Acknowledgement, mid);
    bench.wait(seconds(60));
    assert_eq!((bench.send(), bench.event()), (None, None));
    bench.receive_response(Kind::Confirmable, 0x777, token, &content("x"));
    assert_eq!(bench.event(), answered(1, content("x")));
    assert_eq!(bench.send(), Some(hex("60 00 07 77")));
    bench.receive_response(Kind::Confirmable, 0x777, token, &content("x"));
    assert_eq!(bench.event(), None);
    assert_eq!(bench.send(), Some(hex("60 00 07 77")));
}

#[test]
fn the_wait_for_a_separate_response_ends_as_a_timeout() {
    // COAP-16
    let mut bench = Bench::lan();
    let (mid, _) = bench.requested(1);
    bench.receive_empty(Kind::Acknowledgement, mid);
    bench.wait(seconds(246));
    assert_eq!(bench.event(), None);
    bench.wait(seconds(1));
    assert_eq!(bench.event(), failed(1, Failure::TimedOut));
}

#[test]
fn a_separate_response_that_overtakes_the_empty_ack_counts_as_both() {
    // COAP-12
    for kind in [Kind::Confirmable, Kind::NonConfirmable] {
        let mut bench = Bench::lan();
        let (mid, token) = bench.requested(1);
        bench.receive_response(kind, 0x777, token, &content("x"));
        assert_eq!(bench.event(), answered(1, content("x")));
        assert_eq!(bench.send().is_some(), kind == Kind::Confirmable);
        bench.receive_empty(Kind::Acknowledgement, mid); // the late one
        bench.wait(seconds(100));
        assert_eq!((bench.send(), bench.event()), (None, None));
    }
}

#[test]
fn a_confirmable_response_that_fits_nothing_meets_rst() {
    // COAP-10
    let mut bench = Bench::lan();
    bench.receive("42 45 07 77 A1 B2 FF 78");
    assert_eq!(bench.send(), Some(hex("70 00 07 77")));
    bench.receive("52 45 07 78 A1 B2 FF 78");
    assert_eq!((bench.send(), bench.event()), (None, None));
}

#[test]
fn rst_ends_a_request_at_once() {
    // COAP-17
    let mut bench = Bench::lan();
    let (mid, _) = bench.requested(1);
    bench.receive_empty(Kind::Reset, mid);
    assert_eq!(bench.event(), failed(1, Failure::Rejected));
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn no_more_than_nstart_exchanges_are_open_towards_a_peer() {
    // COAP-18
    for nstart in [1, 3] {
        let mut bench = Bench::new(Params::lan().with_nstart(nstart).unwrap());
        for number in 0..6 {
            bench.request(number, read());
        }
        let sent: Vec<_> = std::iter::from_fn(|| bench.send()).collect();
        assert_eq!(sent.len(), nstart);
        let (exchange, peer) = (ExchangeId(9), OTHER);
        bench.act(Action::Ping { exchange, peer });
        assert!(bench.send().is_some(), "another peer is not held up");
        let first = Message::decode(&sent[0]).unwrap();
        bench.receive_response(Kind::Acknowledgement, first.mid, first.token, &content("x"));
        assert_eq!(bench.event(), answered(0, content("x")), "in order");
        assert!(bench.send().is_some() && bench.send().is_none());
    }
}

#[test]
fn a_request_that_is_acknowledged_makes_way_for_the_next() {
    // COAP-18: outstanding is what is not acknowledged (RFC 7252 §4.7)
    let mut bench = Bench::lan();
    let (mid, _) = bench.requested(1);
    bench.request(2, read());
    assert_eq!(bench.send(), None);
    assert!(!bench.endpoint.is_free(PEER));
    bench.receive_empty(Kind::Acknowledgement, mid);
    assert!(bench.send().is_some());
}

#[test]
fn order_at_the_door_is_replies_registration_notifications_others() {
    let mut bench = Bench::new(Params::lan().with_nstart(8).unwrap());
    let observation = bench.observed(1, 0xa1);
    bench.request(1, read());
    bench.notify(2, observation, true);
    let request = Request::new(Method::Post, vec!["rd".to_owned()]);
    let (exchange, priority) = (ExchangeId(3), Priority::Registration);
    bench.act(Action::Request { exchange, peer: PEER, request, priority });
    bench.receive("40 00 00 99");
    let codes: Vec<_> = std::iter::from_fn(|| bench.send()).map(|octets| octets[1]).collect();
    assert_eq!(codes, [0x00, 0x02, 0x45, 0x01]);
}

#[test]
fn an_unreachable_peer_fails_what_was_sent_at_once() {
    // COAP-19
    let mut bench = Bench::lan();
    bench.requested(1);
    bench.request(2, read());
    bench.endpoint.handle_unreachable(PEER, bench.now);
    assert_eq!(bench.event(), failed(1, Failure::Unreachable));
    assert_eq!(bench.event(), None, "the next one has its own chance");
    assert!(bench.send().is_some());
}

#[test]
fn an_own_ping_ends_in_pong_or_failure() {
    let mut bench = Bench::lan();
    let ping = |number| Action::Ping { exchange: ExchangeId(number), peer: PEER };
    bench.act(ping(1));
    let octets = bench.send().unwrap();
    assert_eq!((octets.len(), &octets[..2]), (4, &[0x40, 0][..]));
    bench.receive_from(PEER, &[0x70, 0, octets[2], octets[3]]);
    assert_eq!(bench.event(), Some(Event::Pong { exchange: ExchangeId(1) }));
    bench.act(ping(2));
    while bench.send().is_some() {
        bench.wait(seconds(50));
    }
    assert_eq!(bench.event(), failed(2, Failure::TimedOut));
}

#[test]
fn a_response_with_an_unknown_critical_option_is_rejected() {
    // COAP-20
    let mut bench = Bench::lan();
    let with_oscore = |kind: u8, mid: u16, token: Token| {
        let [high, low] = mid.to_be_bytes();
        [&[0x40 | kind << 4 | 4, 0x45, high, low], token.as_slice(), &[0x90]].concat()
    };
    let (mid, token) = bench.requested(1);
    bench.receive_from(PEER, &with_oscore(2, mid, token));
    assert_eq!(bench.event(), failed(1, Failure::BadResponse));
    let (_, token) = bench.requested(2);
    bench.receive_from(PEER, &with_oscore(0, 0x777, token));
    assert_eq!(bench.event(), failed(2, Failure::BadResponse));
    assert_eq!(bench.send(), Some(hex("70 00 07 77")));
}

#[test]
fn message_ids_rise_and_tokens_are_unlike() {
    // COAP-25, COAP-26
    let mut bench = Bench::lan();
    let mut seen = vec![];
    for number in 0..1000 {
        let (mid, token) = bench.requested(number);
        assert_eq!(token.as_slice().len(), 4);
        bench.receive_response(Kind::Acknowledgement, mid, token, &content("x"));
        seen.push((mid, token));
    }
    assert!(seen.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)));
    seen.sort_by_key(|(_, token)| *token);
    assert!(seen.windows(2).all(|pair| pair[0].1 != pair[1].1));
}

#[test]
fn another_seed_begins_with_another_message_id_and_token() {
    // COAP-25, COAP-26
    let first = |seed| {
        let mut bench = Bench::lan();
        bench.endpoint = Endpoint::new(Params::lan(), Seed::new(seed));
        bench.requested(1)
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1).0, first(2).0);
    assert_ne!(first(1).1, first(2).1);
}

#[test]
fn an_abandoned_request_is_not_sent_again_and_its_separate_response_meets_rst() {
    let mut bench = Bench::lan();
    let (_, token) = bench.requested(1);
    bench.request(2, read());
    bench.act(Action::Abandon { exchange: ExchangeId(1) });
    bench.act(Action::Abandon { exchange: ExchangeId(2) });
    assert_eq!((bench.event(), bench.send(), bench.endpoint.poll_timeout()), (None, None, None));
    bench.receive_response(Kind::Confirmable, 0x777, token, &content("x"));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("70 00 07 77"))));
}

#[test]
fn too_much_and_too_large_fail_at_once() {
    let mut bench = Bench::lan();
    bench.request(1, Request { payload: vec![0; 1024 * 1024 + 1], ..read() });
    assert_eq!(bench.event(), failed(1, Failure::TooLarge));
    for number in 0..64 {
        bench.request(number, read());
    }
    assert_eq!(bench.event(), None);
    bench.request(64, read());
    assert_eq!(bench.event(), failed(64, Failure::QueueFull));
}

#[test]
fn a_long_round_trip_raises_the_timeout_on_nbiot_and_not_on_lan() {
    for (params, raised) in [(Params::nbiot(), true), (Params::nbiot().with_nstart(1).unwrap(), false)] {
        let mut bench = Bench::new(params);
        for number in 0..12 {
            let (mid, token) = bench.requested(number);
            bench.wait(seconds(18)); // one resend at first
            while bench.send().is_some() {}
            bench.receive_response(Kind::Acknowledgement, mid, token, &content("x"));
        }
        bench.request(99, read());
        bench.send();
        let wait = bench.endpoint.poll_timeout().unwrap().at - bench.now;
        assert_eq!(wait > seconds(18), raised, "{wait:?}");
        assert!(wait <= seconds(45));
    }
}
