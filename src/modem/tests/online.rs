//! A link that is up: datagrams both ways, names, status, and everything that can break.

use super::bench::{Bench, peer, secs};
use crate::net::{Datagram, LinkEvent, LinkRequest, NetworkRegistration, TransmitId};

const OPEN: &str = "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0";
const SEND: &str = "AT+QISEND=0,4,\"198.51.100.7\",5683";

fn failure(events: &[LinkEvent]) -> Option<(u64, &str)> {
    events.iter().find_map(|event| match event {
        LinkEvent::SendFailed { id, reason } => Some((id.0, reason.as_str())),
        _ => None,
    })
}

#[test]
fn a_datagram_goes_out_at_the_prompt_and_is_counted() {
    let mut bench = Bench::online();
    bench.send(7, &[0x40, 1, 0x30, 0x39]);
    assert!(!bench.driver.can_send());
    bench.run(secs(1));
    assert_eq!(bench.take_events(), [LinkEvent::Sent(TransmitId(7))]);
    assert_eq!(bench.payloads, [[0x40, 1, 0x30, 0x39]]);
    assert_eq!(bench.count(SEND), 1);
    assert!(bench.driver.can_send());
    let traffic = bench.driver.facts().traffic;
    assert_eq!((traffic.octets_up, traffic.datagrams_up), (4, 1));
}

#[test]
fn a_send_that_takes_the_modem_a_minute_is_waited_for() {
    let mut bench = Bench::online();
    bench.always("SEND", &format!("{}SEND OK", "~".repeat(100)));
    bench.send(7, &[1, 2, 3, 4]);
    bench.run(secs(99));
    assert_eq!(bench.take_events(), []);
    bench.run(secs(3));
    assert_eq!(bench.take_events(), [LinkEvent::Sent(TransmitId(7))]);
}

#[test]
fn one_notice_is_followed_by_reads_until_nothing_waits() {
    let mut bench = Bench::online();
    let header = "+QIRD: 4,\"198.51.100.7\",5683";
    bench.once("AT+QIRD=0", &format!("{header}|<60 45 30 39>||OK"));
    bench.once("AT+QIRD=0", &format!("{header}|<0D 0A 4F 4B>||OK"));
    bench.say("+QIURC: \"recv\",0");
    bench.run(secs(1));
    let datagram =
        |payload: [u8; 4]| LinkEvent::Received(Datagram { peer: peer(), payload: payload.to_vec() });
    let expected = [datagram([0x60, 0x45, 0x30, 0x39]), datagram(*b"\r\nOK")];
    assert_eq!(bench.take_events(), expected);
    assert_eq!(bench.count("AT+QIRD=0"), 3);
    let traffic = bench.driver.facts().traffic;
    assert_eq!((traffic.octets_down, traffic.datagrams_down), (8, 2));
}

#[test]
fn a_notice_within_the_read_that_finds_nothing_is_not_lost() {
    let mut bench = Bench::online();
    bench.once("AT+QIRD=0", "+QIRD: 0||+QIURC: \"recv\",0|OK");
    bench.once("AT+QIRD=0", "+QIRD: 1,\"198.51.100.7\",5683|<60>||OK");
    bench.say("+QIURC: \"recv\",0");
    bench.run(secs(1));
    assert_eq!(bench.driver.facts().traffic.datagrams_down, 1);
    assert_eq!(bench.count("AT+QIRD=0"), 3);
}

#[test]
fn a_lost_notice_is_made_good_by_the_slow_look() {
    let mut bench = Bench::online();
    bench.once("AT+QIRD=0", "+QIRD: 1,\"198.51.100.7\",5683|<60>||OK");
    bench.run(secs(31));
    assert_eq!(bench.driver.facts().traffic.datagrams_down, 1);
}

#[test]
fn sends_and_reads_take_turns() {
    let mut bench = Bench::online();
    bench.always("AT+QIRD=0", "+QIRD: 1,\"198.51.100.7\",5683|<60>||OK");
    bench.say("+QIURC: \"recv\",0");
    bench.run(secs(1));
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(1));
    assert!(bench.has_event(&LinkEvent::Sent(TransmitId(1))), "a flood from below does not stop a send");
}

#[test]
fn a_full_modem_is_asked_again_and_at_last_given_up() {
    let mut bench = Bench::online();
    bench.once("SEND", "SEND FAIL");
    bench.always("SEND", "SEND OK");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(3));
    assert_eq!(bench.take_events(), [LinkEvent::Sent(TransmitId(1))]);
    assert_eq!(bench.count(SEND), 2);

    bench.always("SEND", "SEND FAIL");
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(20));
    let events = bench.take_events();
    let (id, reason) = failure(&events).unwrap();
    assert!(id == 2 && reason.contains("SEND FAIL"), "{reason}");
    assert_eq!(bench.count(SEND), 6);
    assert!(bench.driver.can_send(), "link still stands");
    assert!(bench.count("AT+QIACT?") > 0, "was looked at");
}

#[test]
fn a_refused_send_fails_and_the_link_is_looked_at() {
    let mut bench = Bench::online();
    bench.once("SEND", "instead of a prompt ERROR");
    bench.always("SEND", "SEND OK");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(1));
    let events = bench.take_events();
    assert_eq!(failure(&events).map(|(id, _)| id), Some(1));
    assert_eq!(events.len(), 1, "the link never went down: {events:?}");
    bench.assert_order(&[SEND, "AT+QIACT?", "AT+QISTATE=1,0"]);
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(1));
    assert_eq!(bench.take_events(), [LinkEvent::Sent(TransmitId(2))]);
}

#[test]
fn two_refused_sends_in_a_row_open_the_socket_anew() {
    let mut bench = Bench::online();
    bench.always("SEND", "ERROR");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(1));
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(3));
    bench.assert_order(&[SEND, "AT+QISTATE=1,0", SEND, "AT+QICLOSE=0", OPEN]);
    assert!(bench.driver.facts().up);
    let events = bench.take_events();
    assert!(
        matches!(
            events[1..],
            [LinkEvent::SendFailed { .. }, LinkEvent::Down { .. }, LinkEvent::Up { address_changed: false }]
        ),
        "{events:?}"
    );
}

#[test]
fn a_refused_send_on_a_dead_context_rebuilds_the_link() {
    let mut bench = Bench::online();
    bench.once("SEND", "ERROR");
    bench.always("SEND", "SEND OK");
    bench.once("AT+QIACT?", "OK");
    bench.once("AT+QIACT?", "OK");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(8));
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [
        LinkEvent::SendFailed { .. },
        LinkEvent::Down { reason },
        LinkEvent::Up { address_changed: false }
    ] if reason.contains("PDN context is gone")),
        "{events:?}"
    );
    bench.assert_order(&["AT+QIACT=1", "AT+QICLOSE=0", OPEN]);
}

#[test]
fn a_missing_prompt_fails_the_datagram_and_the_link_recovers() {
    let mut bench = Bench::online();
    bench.once("SEND", "no prompt");
    bench.always("SEND", "SEND OK");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(12));
    let events = bench.take_events();
    let (_, reason) = failure(&events).unwrap();
    assert!(reason.contains("did not leave"), "{reason}");
    assert_eq!(events.len(), 1, "{events:?}");
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(2));
    assert_eq!(bench.take_events(), [LinkEvent::Sent(TransmitId(2))]);
}

#[test]
fn a_send_without_an_end_is_unknown_and_the_state_is_verified() {
    let mut bench = Bench::online();
    bench.once("SEND", "-");
    bench.always("SEND", "SEND OK");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(130));
    let events = bench.take_events();
    let (_, reason) = failure(&events).unwrap();
    assert!(reason.contains("unknown"), "{reason}");
    assert_eq!(events.len(), 1, "{events:?}");
    bench.assert_order(&[SEND, "AT", "AT+QIACT?", "AT+QISTATE=1,0", "AT+QIRD=0"]);
    assert!(bench.driver.can_send());
}

#[test]
fn a_late_send_ok_is_not_taken_for_the_next_datagram() {
    let mut bench = Bench::online();
    bench.once("SEND", &format!("{}SEND OK", "~".repeat(121)));
    bench.always("SEND", "SEND FAIL");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(122));
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(60));
    assert!(!bench.has_event(&LinkEvent::Sent(TransmitId(2))));
    assert!(!bench.has_event(&LinkEvent::Sent(TransmitId(1))));
}

#[test]
fn what_the_socket_cannot_carry_fails_at_once() {
    let mut bench = Bench::online();
    for (payload, words) in [(vec![0; 1359], "1358"), (vec![], "without payload")] {
        bench.send(1, &payload);
        bench.run(secs(1));
        let events = bench.take_events();
        let (_, reason) = failure(&events).unwrap();
        assert!(reason.contains(words), "{reason}");
    }
    let datagram =
        Datagram { peer: crate::net::Peer("[2001:db8::1]:5683".parse().unwrap()), payload: vec![1] };
    let outgoing = crate::net::Outgoing { id: TransmitId(3), datagram, release: Default::default() };
    bench.driver.send(outgoing, bench.now);
    bench.run(secs(1));
    let events = bench.take_events();
    assert!(failure(&events).unwrap().1.contains("IPv4"));
}

#[test]
fn a_second_datagram_in_hand_and_one_without_a_link_fail_at_once() {
    let mut bench = Bench::online();
    bench.send(1, &[1, 2, 3, 4]);
    bench.send(2, &[1, 2, 3, 4]);
    bench.run(secs(1));
    let events = bench.take_events();
    assert_eq!(failure(&events).map(|(id, _)| id), Some(2));
    assert!(events.contains(&LinkEvent::Sent(TransmitId(1))));
    bench.say("RDY");
    bench.run(secs(0) + std::time::Duration::from_millis(100));
    bench.take_events();
    bench.send(3, &[1, 2, 3, 4]);
    bench.run(secs(0));
    assert_eq!(failure(&bench.take_events()).map(|(id, _)| id), Some(3));
}

#[test]
fn a_context_dropped_by_the_network_is_made_again_and_the_socket_opened_anew() {
    let mut bench = Bench::online();
    bench.once("AT+QIACT?", "OK");
    bench.say("+QIURC: \"pdpdeact\",1");
    bench.run(secs(4));
    let down = LinkEvent::Down { reason: "the network dropped the PDN context".into() };
    assert_eq!(bench.take_events()[..1], [down]);
    bench.assert_order(&["AT+QIDEACT=1", "AT+QIACT=1", "AT+QIACT?", "AT+QICLOSE=0", OPEN]);
    assert!(bench.driver.facts().up);
}

#[test]
fn a_context_dropped_amid_a_send_fails_what_was_in_hand_before_the_link_goes_down() {
    let mut bench = Bench::online();
    bench.always("SEND", "+QIURC: \"pdpdeact\",1|~~ERROR");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(8));
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [
        LinkEvent::SendFailed { reason, .. },
        LinkEvent::Down { .. },
        LinkEvent::Up { .. }
    ] if reason.contains("unknown")),
        "{events:?}"
    );
}

#[test]
fn another_address_is_told_when_the_link_is_up_again() {
    let mut bench = Bench::online();
    bench.always("AT+QIACT?", "+QIACT: 1,1,1,\"10.7.157.99\"|OK");
    bench.say("+QIURC: \"pdpdeact\",1");
    bench.run(secs(5));
    assert!(bench.has_event(&LinkEvent::Up { address_changed: true }), "{:?}", bench.events);
}

#[test]
fn a_context_that_changed_unheard_is_found_by_the_poll() {
    let mut bench = Bench::online();
    bench.always("AT+QIACT?", "+QIACT: 1,1,1,\"10.7.157.99\"|OK");
    bench.run(secs(35));
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [LinkEvent::Down { .. }, LinkEvent::Up { address_changed: true }]),
        "{events:?}"
    );
    bench.assert_order(&["AT+QICLOSE=0", OPEN]);
}

#[test]
fn restart_signs_amid_work_bring_the_link_up_from_the_first_step() {
    for sign in ["RDY", "APP RDY|RDY", "+CFUN: 1|+CPIN: READY", "RDY|+CFUN: 1|+CPIN: READY"] {
        let mut bench = Bench::online();
        bench.say(sign);
        bench.run(secs(12));
        let events = bench.take_events();
        assert!(
            matches!(&events[..], [LinkEvent::Down { .. }, LinkEvent::Up { address_changed: false }]),
            "{sign}: {events:?}"
        );
        bench.assert_order(&["AT", "ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+QISDE=0"]);
    }
}

#[test]
fn a_modem_that_powers_down_is_waited_for() {
    let mut bench = Bench::online();
    bench.say("POWERED DOWN");
    bench.mute = true;
    bench.run(secs(10));
    assert!(
        matches!(&bench.take_events()[..], [LinkEvent::Down { reason }] if reason.contains("powered down"))
    );
    bench.mute = false;
    bench.say("RDY|+CFUN: 1|+CPIN: READY");
    bench.run(secs(8));
    assert_eq!(bench.take_events(), [LinkEvent::Up { address_changed: false }]);
}

#[test]
fn a_restart_amid_a_send_fails_it_as_unknown() {
    let mut bench = Bench::online();
    bench.always("SEND", "RDY|+CFUN: 1|+CPIN: READY");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(6));
    let events = bench.take_events();
    assert!(failure(&events).unwrap().1.contains("unknown"));
    assert!(bench.driver.facts().up);
}

#[test]
fn a_modem_that_falls_silent_takes_the_link_down() {
    let mut bench = Bench::online();
    bench.mute = true;
    bench.run(secs(60));
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [LinkEvent::Down { reason }] if reason.contains("does not answer")),
        "{events:?}"
    );
    bench.mute = false;
    bench.run(secs(8));
    assert!(bench.driver.facts().up);
}

#[test]
fn lost_coverage_takes_the_link_down_after_a_grace_and_the_socket_is_kept() {
    let mut bench = Bench::online();
    bench.always("AT+CEREG?", "+CEREG: 4,2|OK");
    bench.say("+CEREG: 2");
    bench.run(secs(20));
    assert_eq!(bench.take_events(), []);
    bench.run(secs(15));
    let events = bench.take_events();
    assert!(matches!(&events[..], [LinkEvent::Down { reason }] if reason.contains("not registered")));
    bench.say("+CEREG: 5,\"69C9\",\"DDA1451\",9");
    bench.run(secs(2));
    assert_eq!(bench.take_events(), [LinkEvent::Up { address_changed: false }]);
    assert_eq!(bench.count("AT+QICLOSE=0") + bench.count(OPEN), 0);
}

#[test]
fn a_short_loss_of_coverage_is_not_told() {
    let mut bench = Bench::online();
    bench.say("+CEREG: 2|~~~~~~~~~~+CEREG: 5,\"69C9\",\"DDA1451\",9");
    bench.run(secs(60));
    assert_eq!(bench.take_events(), []);
    assert_eq!(bench.driver.facts().registration, NetworkRegistration::Roaming);
}

#[test]
fn status_is_read_at_the_interval_and_only_while_no_data_waits() {
    let mut bench = Bench::online();
    bench.run(secs(300));
    for command in ["AT+CEREG?", "AT+QIACT?", "AT+QCSQ", "AT+QENG=\"servingcell\"", "AT+COPS?", "AT+QIRD=0"] {
        let count = bench.count(command);
        assert!((9..=10).contains(&count), "{command} {count} times in 300 s");
    }
    bench.log.clear();
    // A full modem keeps a datagram waiting: no status before it is gone.
    bench.always("SEND", "~~~~~~~~~~SEND FAIL");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(40));
    assert_eq!(bench.count("AT+QCSQ"), 0);
    bench.run(secs(60));
    assert!(bench.count("AT+QCSQ") > 0);
}

#[test]
fn a_refused_status_read_is_passed_over() {
    let mut bench = Bench::online();
    bench.always("AT+QENG=\"servingcell\"", "ERROR");
    bench.always("AT+COPS?", "+CME ERROR: 30");
    bench.always("AT+QCSQ", "+QCSQ: \"NOSERVICE\"|OK");
    bench.run(secs(60));
    assert_eq!(bench.take_events(), []);
    assert_eq!(bench.driver.facts().signal.rsrp_dbm, None);
}

#[test]
fn names_are_resolved_one_after_the_other() {
    let mut bench = Bench::online();
    let ask = |bench: &mut Bench, name: &str| {
        bench.driver.request(LinkRequest::Resolve { name: name.into() }, bench.now);
    };
    bench.always(
        "AT+QIDNSGIP=1,\"a.example\"",
        "OK|~~+QIURC: \"dnsgip\",0,2,600|+QIURC: \"dnsgip\",\"192.0.2.1\"|~+QIURC: \"dnsgip\",\"192.0.2.2\"",
    );
    bench.always(
        "AT+QIDNSGIP=1,\"b.example\"",
        "OK|~+QIURC: \"dnsgip\",0,1,600|+QIURC: \"dnsgip\",\"192.0.2.9\"",
    );
    bench.always("AT+QIDNSGIP=1,\"c.example\"", "OK|+QIURC: \"dnsgip\",565");
    bench.always("AT+QIDNSGIP=1,\"d.example\"", "OK");
    for name in ["a.example", "b.example", "c.example", "d.example", "192.0.2.77"] {
        ask(&mut bench, name);
    }
    bench.run(secs(100));
    let resolved = |name: &str, result: Result<&str, &str>| LinkEvent::Resolved {
        name: name.into(),
        result: result.map(|address| address.parse().unwrap()).map_err(str::to_owned),
    };
    let events = bench.take_events();
    assert_eq!(
        events[..4],
        [
            resolved("192.0.2.77", Ok("192.0.2.77")),
            resolved("a.example", Ok("192.0.2.1")),
            resolved("b.example", Ok("192.0.2.9")),
            resolved("c.example", Err("DNS failed (565)")),
        ]
    );
    assert!(matches!(&events[4..], [LinkEvent::Resolved { name, result: Err(_) }] if name == "d.example"));
}

#[test]
fn a_name_asked_for_before_the_link_is_up_is_resolved_then() {
    let mut bench = Bench::closed(crate::modem::Settings::default());
    bench.driver.request(LinkRequest::Resolve { name: "a.example".into() }, bench.now);
    bench.always(
        "AT+QIDNSGIP=1,\"a.example\"",
        "OK|+QIURC: \"dnsgip\",0,1,600|+QIURC: \"dnsgip\",\"192.0.2.1\"",
    );
    bench.open();
    bench.run(secs(5));
    let address = "192.0.2.1".parse().unwrap();
    assert!(bench.has_event(&LinkEvent::Resolved { name: "a.example".into(), result: Ok(address) }));
}

#[test]
fn shutdown_closes_the_socket_and_is_bounded() {
    let mut bench = Bench::online();
    bench.driver.shutdown(bench.now);
    bench.run(secs(1));
    assert!(bench.driver.is_shut_down());
    assert_eq!(bench.count("AT+QICLOSE=0"), 1);
    assert!(matches!(bench.take_events()[..], [LinkEvent::Down { .. }]));
    assert_eq!(bench.driver.poll_timeout(), None);

    let mut bench = Bench::online();
    bench.always("SEND", "-");
    bench.send(1, &[1, 2, 3, 4]);
    bench.run(secs(1));
    bench.driver.shutdown(bench.now);
    bench.run(secs(3));
    assert!(!bench.driver.is_shut_down());
    bench.run(secs(2));
    assert!(bench.driver.is_shut_down());
    assert!(matches!(bench.take_events()[..], [LinkEvent::SendFailed { .. }, LinkEvent::Down { .. }]));
}

#[test]
fn shutdown_without_a_link_is_done_at_once() {
    let mut bench = Bench::opened(crate::modem::Settings::default());
    bench.driver.shutdown(bench.now);
    assert!(bench.driver.is_shut_down());
}
