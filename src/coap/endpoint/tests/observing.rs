//! Observations in both directions.

use super::*;

fn delivered(number: u64) -> Option<Event> {
    Some(Event::NotificationDelivered { notification: NotificationId(number) })
}

fn failed(number: u64, why: Failure) -> Option<Event> {
    Some(Event::NotificationFailed { notification: NotificationId(number), why })
}

fn rejected(id: ObservationId) -> Option<Event> {
    Some(Event::ObservationRejected { id })
}

fn ended(id: ObservationId, why: Ending) -> Option<Event> {
    Some(Event::ObservationEnded { id, why })
}

fn observe(message: &Message) -> Option<u32> {
    message.to_response().unwrap().observe
}

#[test]
fn notifications_carry_token_and_rising_observe_values() {
    // OBS-01, OBS-11, OBS-12
    let mut bench = Bench::lan();
    bench.receive("41 01 00 01 A1 60 51 33");
    let (id, request) = bench.asked();
    assert_eq!(request.observe, Some(0));
    bench.respond(id, content("x"));
    let first = bench.send_message();
    let Some(Event::ObservationStarted { id: observation, .. }) = bench.event() else { panic!() };
    let mut latest = observe(&first).unwrap();
    for number in 0..5 {
        bench.notify(number, observation, true);
        let notification = bench.send_message();
        assert_eq!((notification.kind, notification.token.as_slice()), (Kind::Confirmable, &[0xa1][..]));
        assert!(observe(&notification).unwrap() > latest);
        latest = observe(&notification).unwrap();
        bench.receive_empty(Kind::Acknowledgement, notification.mid);
        assert_eq!(bench.event(), delivered(number));
    }
}

#[test]
fn an_error_answer_makes_no_observation() {
    // OBS-03
    let mut bench = Bench::lan();
    bench.receive("41 01 00 01 A1 60");
    let (id, _) = bench.asked();
    bench.respond(id, Response::new(Code::NOT_FOUND));
    assert_eq!(bench.send(), Some(hex("61 84 00 01 A1")));
    assert_eq!(bench.event(), None);
}

#[test]
fn an_observation_that_is_not_accepted_is_a_plain_read() {
    let mut bench = Bench::lan();
    bench.receive("41 01 00 01 A1 60");
    let (request, _) = bench.asked();
    bench.act(Action::Respond { request, response: content("x"), accept_observation: false });
    assert!(!bench.send_message().has_observe());
    assert_eq!(bench.event(), None);
}

#[test]
fn two_tokens_are_two_observations_and_the_same_token_replaces() {
    // OBS-05
    let mut bench = Bench::lan();
    let first = bench.observed(1, 0xa1);
    let second = bench.observed(2, 0xa2);
    assert_ne!(first, second);
    bench.receive("41 01 00 03 A1 60 51 34");
    let (id, _) = bench.asked();
    bench.respond(id, content("x"));
    assert_eq!(bench.event(), ended(first, Ending::Replaced));
    assert!(matches!(bench.event(), Some(Event::ObservationStarted { id, .. }) if id != first));
    assert!(observe(&bench.send_message()) > Some(1), "the sequence of the token goes on");
    bench.notify(1, first, true);
    assert_eq!(bench.event(), failed(1, Failure::Abandoned));
}

#[test]
fn a_get_with_observe_1_cancels_and_is_a_read() {
    // OBS-06
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, true);
    bench.send();
    bench.receive("41 01 00 02 A1 61 01 51 33");
    assert_eq!(bench.event(), failed(1, Failure::Abandoned));
    assert_eq!(bench.event(), ended(observation, Ending::Cancelled));
    let (id, request) = bench.asked();
    assert_eq!(request.observe, Some(1));
    bench.respond(id, content("x"));
    let answer = bench.send_message();
    assert_eq!((answer.code, answer.has_observe()), (Code::CONTENT, false));
    bench.wait(seconds(100));
    assert_eq!((bench.send(), bench.event()), (None, None), "then silence");
    bench.receive("41 01 00 03 A9 61 01 51 33"); // matches nothing
    assert_eq!(bench.asked().1.observe, Some(1));
}

#[test]
fn rst_to_a_confirmable_notification_rejects_that_observation_alone_and_the_owner_ends_it() {
    // OBS-07
    let mut bench = Bench::lan();
    let first = bench.observed(1, 0xa1);
    let second = bench.observed(2, 0xa2);
    bench.notify(1, first, true);
    let mid = bench.send_message().mid;
    bench.receive_empty(Kind::Reset, mid);
    assert_eq!(bench.event(), failed(1, Failure::Rejected));
    assert_eq!(bench.event(), rejected(first));
    bench.notify(3, first, true);
    assert_eq!(bench.send_message().token.as_slice(), [0xa1], "it stands until the owner ends it");
    bench.endpoint.handle_action(Action::ForgetObservation { observation: first }, bench.now);
    bench.notify(2, second, true);
    assert_eq!(bench.send_message().token.as_slice(), [0xa2]);
}

#[test]
fn rst_to_a_recent_non_confirmable_notification_rejects_the_observation() {
    // OBS-07
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, false);
    let message = bench.send_message();
    assert_eq!((message.kind, bench.event()), (Kind::NonConfirmable, delivered(1)));
    bench.notify(2, observation, false);
    bench.send();
    bench.receive_empty(Kind::Reset, message.mid);
    assert_eq!(bench.event(), delivered(2));
    assert_eq!(bench.event(), rejected(observation));
}

#[test]
fn rst_with_an_unknown_message_id_is_ignored() {
    // OBS-08
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.receive("70 00 77 77");
    assert_eq!((bench.event(), bench.send()), (None, None));
    bench.notify(1, observation, true);
    assert!(bench.send().is_some());
}

#[test]
fn forgotten_observations_end_silently() {
    // OBS-09
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, true);
    bench.send();
    bench.act(Action::ForgetObservations { peer: PEER });
    assert_eq!((bench.event(), bench.endpoint.poll_timeout()), (None, None));
    bench.notify(2, observation, true);
    assert_eq!(bench.event(), failed(2, Failure::Abandoned));
    assert!(bench.endpoint.is_free(PEER));
}

#[test]
fn one_forgotten_observation_ends_silently_and_the_others_stay() {
    // OBS-05, OBS-15
    let mut bench = Bench::lan();
    let (first, second) = (bench.observed(1, 0xa1), bench.observed(2, 0xa2));
    bench.notify(1, first, true);
    bench.send();
    bench.act(Action::ForgetObservation { observation: first });
    assert_eq!((bench.event(), bench.endpoint.poll_timeout()), (None, None));
    bench.notify(2, first, true);
    assert_eq!(bench.event(), failed(2, Failure::Abandoned));
    bench.notify(3, second, true);
    assert!(bench.send().is_some());
}

#[test]
fn a_confirmable_notification_without_ack_fails_and_the_observation_stays() {
    // OBS-10; a RST that comes after all still ends it
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    bench.notify(1, observation, true);
    let mid = bench.send_message().mid;
    for _ in 0..5 {
        bench.wait(seconds(50));
        bench.send();
    }
    assert_eq!(bench.event(), failed(1, Failure::TimedOut));
    assert_eq!(bench.event(), None);
    bench.receive_empty(Kind::Reset, mid);
    assert_eq!(bench.event(), rejected(observation));
}

#[test]
fn an_error_notification_has_no_observe_and_is_the_last() {
    // OBS-13
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    let last = |number, response| Action::Notify {
        notification: NotificationId(number),
        observation,
        response,
        confirmable: true,
    };
    bench.act(last(1, Response::new(Code::NOT_FOUND)));
    let message = bench.send_message();
    assert_eq!((message.code, message.has_observe()), (Code::NOT_FOUND, false));
    bench.act(last(2, content("x")));
    assert_eq!(bench.event(), failed(2, Failure::Abandoned), "nothing comes after the last");
    bench.receive_empty(Kind::Acknowledgement, message.mid);
    assert_eq!(bench.event(), delivered(1));
    assert_eq!(bench.event(), ended(observation, Ending::Over));
}

#[test]
fn one_notification_of_an_observation_is_in_flight() {
    // OBS-15, with room for more exchanges
    for confirmable in [true, false] {
        let mut bench = Bench::new(Params::lan().with_nstart(4).unwrap());
        let (first, second) = (bench.observed(1, 0xa1), bench.observed(2, 0xa2));
        bench.notify(1, first, confirmable);
        bench.notify(2, first, confirmable);
        bench.notify(3, second, confirmable);
        let one = bench.hand().unwrap();
        let other = bench.hand().unwrap();
        assert_eq!(Message::decode(&other.datagram.payload).unwrap().token.as_slice(), [0xa2]);
        assert_eq!(bench.hand(), None);
        bench.endpoint.handle_sent(one.id, bench.now);
        let mid = Message::decode(&one.datagram.payload).unwrap().mid;
        bench.receive_empty(Kind::Acknowledgement, mid);
        assert_eq!(bench.event(), delivered(1));
        assert!(bench.hand().is_some());
    }
}

#[test]
fn a_separate_first_answer_goes_before_the_notifications() {
    let mut bench = Bench::lan();
    bench.receive("41 01 00 01 A1 60 51 33");
    let (id, _) = bench.asked();
    bench.wait(seconds(1));
    bench.send();
    bench.respond(id, content("x"));
    let Some(Event::ObservationStarted { id: observation, .. }) = bench.event() else { panic!() };
    bench.notify(1, observation, false);
    let answer = bench.send_message();
    assert_eq!((answer.kind, observe(&answer)), (Kind::Confirmable, Some(1)));
    assert_eq!(bench.send(), None, "the notification waits for its acknowledgement");
    bench.receive_empty(Kind::Reset, answer.mid);
    assert_eq!(bench.event(), failed(1, Failure::Abandoned));
    assert_eq!(bench.event(), ended(observation, Ending::Rejected));
}

#[test]
fn observe_values_can_start_from_the_clock() {
    // OBS-11
    let mut bench = Bench::lan();
    bench.endpoint.start_observe_after(0x6955_b900);
    bench.receive("41 01 00 01 A1 60");
    let (id, _) = bench.asked();
    bench.respond(id, content("x"));
    assert_eq!(observe(&bench.send_message()), Some(0x55_b901));
}

#[test]
fn observe_values_wrap_and_every_observer_has_its_own() {
    // OBS-11, OBS-01
    let mut bench = Bench::new(Params::lan().with_nstart(4).unwrap());
    bench.endpoint.start_observe_after(0xff_fffd);
    let ours = bench.observed(1, 0xa1);
    bench.receive_from(OTHER, &hex("41 01 00 01 A1 60 51 33"));
    let Some(Event::Request { id, peer: OTHER, .. }) = bench.event() else { panic!() };
    bench.respond(id, content("x"));
    assert_eq!(observe(&bench.send_message()), Some(0xff_fffe));
    let Some(Event::ObservationStarted { id: theirs, .. }) = bench.event() else { panic!() };
    for (number, value) in [(1, 0xff_ffff), (2, 0), (3, 1)] {
        bench.notify(number, ours, false);
        assert_eq!(observe(&bench.send_message()), Some(value));
    }
    bench.notify(4, theirs, false);
    let outgoing = bench.hand().unwrap();
    let message = Message::decode(&outgoing.datagram.payload).unwrap();
    assert_eq!((outgoing.datagram.peer, observe(&message)), (OTHER, Some(0xff_ffff)));
}

#[test]
fn is_free_says_when_a_notification_would_leave_at_once() {
    let mut bench = Bench::lan();
    let observation = bench.observed(1, 0xa1);
    assert!(bench.endpoint.is_free(PEER));
    bench.notify(1, observation, true);
    assert!(!bench.endpoint.is_free(PEER), "queued");
    let mid = bench.send_message().mid;
    assert!(!bench.endpoint.is_free(PEER), "outstanding");
    assert!(bench.endpoint.is_free(OTHER));
    bench.receive_empty(Kind::Acknowledgement, mid);
    assert!(bench.endpoint.is_free(PEER));
    bench.endpoint.handle_link(false, bench.now);
    assert!(!bench.endpoint.is_free(PEER));
}

/// We observe /3 at `PEER`; gives the token.
fn observing(bench: &mut Bench, number: u64) -> Token {
    bench.request(number, Request { observe: Some(0), ..read() });
    let message = bench.send_message();
    assert!(message.has_observe());
    let first = Response { observe: Some(10), ..content("first") };
    bench.receive_response(Kind::Acknowledgement, message.mid, message.token, &first);
    assert_eq!(bench.event(), Some(Event::Response { exchange: ExchangeId(number), response: first }));
    message.token
}

fn notification(sequence: u32) -> Response {
    Response { observe: Some(sequence), ..content("next") }
}

fn notified(number: u64, sequence: u32) -> Option<Event> {
    Some(Event::Notified { exchange: ExchangeId(number), response: notification(sequence) })
}

#[test]
fn only_fresh_notifications_are_told_and_all_are_acknowledged() {
    // RFC 7641 §3.4
    let mut bench = Bench::lan();
    let token = observing(&mut bench, 1);
    bench.receive_response(Kind::Confirmable, 1, token, &notification(12));
    assert_eq!((bench.event(), bench.send()), (notified(1, 12), Some(hex("60 00 00 01"))));
    bench.receive_response(Kind::Confirmable, 2, token, &notification(11));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("60 00 00 02"))));
    bench.receive_response(Kind::NonConfirmable, 3, token, &notification(13));
    assert_eq!((bench.event(), bench.send()), (notified(1, 13), None));
    bench.receive_response(Kind::Confirmable, 1, token, &notification(12));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("60 00 00 01"))), "a copy");
    assert_eq!(bench.endpoint.stats().dropped.stale_notification, 1);
}

#[test]
fn abandoned_observations_meet_rst() {
    // RFC 7641 §3.6
    let mut bench = Bench::lan();
    let token = observing(&mut bench, 1);
    bench.act(Action::Abandon { exchange: ExchangeId(1) });
    bench.receive_response(Kind::Confirmable, 1, token, &notification(12));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("70 00 00 01"))));
    bench.receive_response(Kind::NonConfirmable, 2, token, &notification(13));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("70 00 00 02"))));
}

#[test]
fn a_request_with_observe_1_ends_the_observation_under_its_token() {
    // RFC 7641 §3.6
    let mut bench = Bench::lan();
    let token = observing(&mut bench, 1);
    bench.request(2, Request { observe: Some(1), ..read() });
    let cancel = bench.send_message();
    assert_eq!(cancel.token, token);
    bench.receive_response(Kind::Confirmable, 1, token, &notification(12)); // was on its way
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("60 00 00 01"))));
    bench.receive_response(Kind::Acknowledgement, cancel.mid, token, &content("x"));
    let answer = Event::Response { exchange: ExchangeId(2), response: content("x") };
    assert_eq!(bench.event(), Some(answer));
    bench.receive_response(Kind::Confirmable, 2, token, &notification(13));
    assert_eq!((bench.event(), bench.send()), (None, Some(hex("70 00 00 02"))));
}

#[test]
fn an_error_or_a_response_without_observe_is_the_last_notification() {
    // RFC 7641 §3.2
    for last in [content("plain"), Response { observe: Some(12), ..Response::new(Code::NOT_FOUND) }] {
        let mut bench = Bench::lan();
        let token = observing(&mut bench, 1);
        bench.receive_response(Kind::Confirmable, 1, token, &last);
        assert_eq!(bench.event(), Some(Event::Notified { exchange: ExchangeId(1), response: last }));
        bench.send();
        bench.receive_response(Kind::Confirmable, 2, token, &notification(13));
        assert_eq!((bench.event(), bench.send()), (None, Some(hex("70 00 00 02"))));
    }
}

#[test]
fn a_notification_that_overtakes_the_first_answer_counts_as_it() {
    let mut bench = Bench::lan();
    bench.request(1, Request { observe: Some(0), ..read() });
    let message = bench.send_message();
    bench.receive_response(Kind::Confirmable, 1, message.token, &notification(12));
    let event = Event::Response { exchange: ExchangeId(1), response: notification(12) };
    assert_eq!((bench.event(), bench.send()), (Some(event), Some(hex("60 00 00 01"))));
    bench.receive_response(Kind::Acknowledgement, message.mid, message.token, &notification(10));
    assert_eq!(bench.event(), None);
    bench.receive_response(Kind::Confirmable, 2, message.token, &notification(13));
    assert_eq!(bench.event(), notified(1, 13));
}

#[test]
fn a_notification_that_cannot_be_understood_is_rejected_and_ends_the_observation() {
    let mut bench = Bench::lan();
    let token = observing(&mut bench, 1);
    let octets = [&[0x44, 0x45, 0, 1], token.as_slice(), &[0x61, 12, 0x30]].concat(); // OSCORE
    bench.receive_from(PEER, &octets);
    assert_eq!(bench.event(), Some(Event::Failed { exchange: ExchangeId(1), why: Failure::BadResponse }));
    assert_eq!(bench.send(), Some(hex("70 00 00 01")));
}
