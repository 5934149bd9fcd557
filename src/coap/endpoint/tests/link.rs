//! Back-pressure: a link that takes its time, fails, or is down.

use super::*;

#[test]
fn the_timer_starts_when_the_link_has_sent_and_a_resend_waits_once() {
    let mut bench = Bench::lan();
    bench.request(1, read());
    let outgoing = bench.hand().unwrap();
    bench.wait(seconds(120));
    assert_eq!((bench.hand(), bench.endpoint.poll_timeout()), (None, None), "a modem may block for minutes");
    bench.endpoint.handle_sent(outgoing.id, bench.now);
    assert!(bench.endpoint.poll_timeout().unwrap().at >= bench.now + seconds(2));
    bench.wait(seconds(600));
    assert!(bench.hand().is_some(), "one resend");
    assert_eq!(bench.hand(), None, "and not a second one");
    assert_eq!(bench.event(), None);
}

#[test]
fn an_answer_before_the_report_of_sending_is_an_answer() {
    let mut bench = Bench::lan();
    bench.request(1, read());
    let outgoing = bench.hand().unwrap();
    let message = Message::decode(&outgoing.datagram.payload).unwrap();
    bench.receive_response(Kind::Acknowledgement, message.mid, message.token, &content("x"));
    assert!(matches!(bench.event(), Some(Event::Response { .. })));
    bench.endpoint.handle_sent(outgoing.id, bench.now);
    assert_eq!((bench.endpoint.poll_timeout(), bench.event()), (None, None));
}

#[test]
fn a_failed_transmission_is_left_to_the_resend_timer() {
    let mut bench = Bench::lan();
    bench.request(1, read());
    for _ in 0..5 {
        let outgoing = bench.hand().unwrap();
        bench.endpoint.handle_send_failed(outgoing.id, bench.now);
        assert_eq!(bench.hand(), None);
        bench.wait(seconds(50));
    }
    let failed = Event::Failed { exchange: ExchangeId(1), why: Failure::TimedOut };
    assert_eq!(bench.event(), Some(failed));
    assert_eq!(bench.endpoint.stats().send_failures, 5);
}

#[test]
fn a_reply_that_fails_is_tried_at_once_a_few_times() {
    let mut bench = Bench::lan();
    bench.receive("40 00 00 99");
    for _ in 0..3 {
        let outgoing = bench.hand().unwrap();
        bench.endpoint.handle_send_failed(outgoing.id, bench.now);
    }
    assert_eq!(bench.hand(), None);
    assert_eq!(bench.endpoint.stats().dropped.unsendable, 1);
}

#[test]
fn a_non_confirmable_notification_that_the_link_cannot_send_has_failed() {
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, false);
    while let Some(outgoing) = bench.hand() {
        bench.endpoint.handle_send_failed(outgoing.id, bench.now);
    }
    let failed = Event::NotificationFailed { notification: NotificationId(1), why: Failure::Unreachable };
    assert_eq!(bench.event(), Some(failed));
    assert_eq!(bench.event(), None);
}

#[test]
fn all_timers_stand_still_while_the_link_is_down() {
    let mut bench = Bench::lan();
    bench.requested(1);
    let due = bench.endpoint.poll_timeout().unwrap().at;
    bench.wait(seconds(1));
    bench.endpoint.handle_link(false, bench.now);
    bench.endpoint.handle_link(false, bench.now + seconds(1)); // said twice
    assert_eq!(bench.endpoint.poll_timeout(), None);
    bench.request(2, read());
    bench.wait(seconds(7200));
    assert_eq!((bench.hand(), bench.event()), (None, None));
    bench.endpoint.handle_link(true, bench.now);
    bench.endpoint.handle_link(true, bench.now + seconds(1));
    assert_eq!(bench.endpoint.poll_timeout().unwrap().at, due + seconds(7200));
    bench.wait(seconds(2));
    assert_eq!(bench.endpoint.stats().resends, 0);
    assert!(bench.hand().is_some());
    assert_eq!((bench.endpoint.stats().resends, bench.event()), (1, None));
}

#[test]
fn what_the_link_had_in_hand_when_it_went_down_is_sent_again() {
    let mut bench = Bench::lan();
    bench.request(1, read());
    bench.receive("40 00 00 99");
    let (rst, request) = (bench.hand().unwrap(), bench.hand().unwrap());
    bench.endpoint.handle_link(false, bench.now);
    bench.endpoint.handle_sent(rst.id, bench.now); // too late to count
    bench.endpoint.handle_send_failed(request.id, bench.now);
    bench.wait(seconds(100));
    bench.endpoint.handle_link(true, bench.now);
    assert_eq!(bench.hand().unwrap().datagram, rst.datagram);
    bench.wait(seconds(3));
    assert_eq!(bench.hand().unwrap().datagram, request.datagram);
}

#[test]
fn what_is_remembered_of_a_peer_expires_though_the_link_is_down() {
    // The peer's clock goes on: it may use the Message ID again.
    let mut bench = Bench::lan();
    bench.receive("41 02 12 34 A1");
    let (id, _) = bench.asked();
    bench.respond(id, Response::new(Code::CHANGED));
    bench.send();
    bench.endpoint.handle_link(false, bench.now);
    bench.wait(seconds(300));
    bench.endpoint.handle_link(true, bench.now);
    bench.receive("41 02 12 34 A1");
    bench.asked();
}

#[test]
fn a_link_that_never_reports_does_not_stop_the_endpoint() {
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, false);
    bench.hand().unwrap(); // never reported
    for mid in 0..100 {
        bench.receive_from(PEER, &[0x40, 0, 0, mid]);
        bench.hand().unwrap();
    }
    let delivered = Event::NotificationDelivered { notification: NotificationId(1) };
    assert_eq!(bench.event(), Some(delivered), "taken as sent");
}

#[test]
fn release_hints_are_given_for_the_last_notification_in_the_queue() {
    let mut bench = Bench::new(Params::lan().with_nstart(2).unwrap());
    let (first, second) = (bench.observed(1, 0xa1), bench.observed(2, 0xa2));
    bench.notify(1, first, true);
    bench.notify(2, second, true);
    assert_eq!(bench.hand().unwrap().release, ReleaseHint::Unknown, "another follows");
    assert_eq!(bench.hand().unwrap().release, ReleaseHint::OneAnswerFollows);
    bench.receive("40 00 00 99");
    assert_eq!(bench.hand().unwrap().release, ReleaseHint::Unknown);
}
