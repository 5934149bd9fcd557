//! Disable: De-register, silence in both directions, Register.

use super::*;

const ACCOUNT: Path = Path::instance_of(1, 0);
const HOUR: Duration = Duration::from_secs(3600);

/// A server executes /1/0/4; the answer to it goes out before anything else.
fn disable(bench: &mut Bench, time: Duration) {
    bench.client.disable(ACCOUNT, time, bench.now);
    bench.drain();
}

fn listens_to(bench: &Bench, number: u8) -> bool {
    bench.client.peers().any(|one| one == peer(number))
}

/// What was asked, and of whom.
fn asked(bench: &Bench) -> Vec<(Peer, Method, String)> {
    let one = |asked: &Asked| (asked.peer, asked.request.method, asked.request.path.join("/"));
    bench.asked.iter().map(one).collect()
}

#[test]
fn a_disabled_account_deregisters_keeps_silent_and_deaf_and_registers_again_der_02_der_03() {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.observe("/3303/0");
    let disabled = bench.now;
    disable(&mut bench, HOUR);
    assert_eq!(asked(&bench), [(peer(1), Method::Delete, "rd/203.0.113.1".into())]);
    assert!(bench.observations.is_empty() && listens_to(&bench, 1), "its answer is waited for");
    bench.advance(seconds(5));
    bench.answer(Response::new(Code::DELETED));
    assert!(bench.events.contains(&Event::Disabled { server: 1 }) && !listens_to(&bench, 1));
    assert_eq!(bench.client.servers().next().unwrap().state, "disabled");
    bench.set(TEMPERATURE, 2.0, 1);
    bench.advance(seconds(60));
    assert!(bench.asked.is_empty() && bench.notified.is_empty());
    while bench.asked.is_empty() {
        bench.advance_to_next_deadline();
    }
    assert_eq!(bench.now - disabled, HOUR, "counted from the Execute");
    assert!(bench.events.contains(&Event::Enabled { server: 1 }) && listens_to(&bench, 1));
    assert_eq!(asked(&bench), [(peer(1), Method::Post, "rd".into())]);
    bench.grant();
    assert_eq!(bench.client.servers().next().unwrap().state, "registered");
}

#[test]
fn a_deregister_that_fails_disables_all_the_same_der_01_der_02() {
    for why in [Failure::TimedOut, Failure::Rejected, Failure::Unreachable] {
        let mut bench = Bench::registered();
        disable(&mut bench, HOUR);
        bench.fail(why);
        assert!(!listens_to(&bench, 1) && bench.asked.is_empty(), "{why}");
    }
    let mut bench = Bench::registered();
    disable(&mut bench, HOUR);
    bench.answer(Response::new(Code::NOT_FOUND));
    assert!(!listens_to(&bench, 1));
}

#[test]
fn a_disable_during_a_register_or_an_update_ends_what_that_makes_der_02() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    disable(&mut bench, HOUR);
    assert_eq!(asked(&bench)[0].1, Method::Post, "its answer tells what is to end");
    bench.grant();
    assert_eq!(asked(&bench), [(peer(1), Method::Delete, "rd/203.0.113.1".into())]);

    let mut bench = Bench::registered();
    bench.advance_to_next_deadline();
    disable(&mut bench, HOUR);
    assert_eq!(asked(&bench), [(peer(1), Method::Delete, "rd/203.0.113.1".into())]);

    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    disable(&mut bench, HOUR);
    bench.fail(Failure::TimedOut);
    assert!(!listens_to(&bench, 1) && bench.asked.is_empty(), "there is nothing to end");
}

#[test]
fn a_link_that_comes_back_with_another_address_does_not_end_a_disable_der_02() {
    let mut bench = Bench::registered();
    disable(&mut bench, HOUR);
    bench.answer(Response::new(Code::DELETED));
    bench.client.handle_link(false, false, bench.now);
    bench.advance(seconds(60));
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    assert!(bench.asked.is_empty());
    // Its end falls into a time without a link; then the Register is due at once.
    bench.client.handle_link(false, false, bench.now);
    bench.advance(HOUR);
    bench.link_up();
    assert_eq!(asked(&bench), [(peer(1), Method::Post, "rd".into())]);
}

#[test]
fn a_deregister_that_is_not_answered_in_time_makes_way_for_the_register() {
    let mut bench = Bench::registered();
    disable(&mut bench, seconds(10));
    assert_eq!(bench.advance_to_next_deadline(), "end of a disable");
    assert_eq!(asked(&bench), [(peer(1), Method::Post, "rd".into())]);
    // A Disable Timeout of nothing is a new registration.
    bench.grant();
    disable(&mut bench, Duration::ZERO);
    assert_eq!(asked(&bench), [(peer(1), Method::Post, "rd".into())]);
}

#[test]
fn nobody_can_trigger_an_update_of_a_disabled_account_upd_12() {
    let mut bench = Bench::registered_at(settings(2));
    disable(&mut bench, HOUR);
    let trigger = |bench: &mut Bench, path: &str| {
        let id = bench.send_from(2, request(Method::Post, path));
        bench.responses.remove(&id).unwrap().code
    };
    assert_eq!(trigger(&mut bench, "/1/0/8"), Code::BAD_REQUEST, "de-registering");
    bench.answer(Response::new(Code::DELETED));
    assert_eq!(trigger(&mut bench, "/1/0/8"), Code::BAD_REQUEST);
    // The other account lives on.
    assert_eq!(trigger(&mut bench, "/1/1/8"), Code::CHANGED);
    assert_eq!(asked(&bench), [(peer(2), Method::Post, "rd/203.0.113.2".into())]);
}

#[test]
fn requests_that_cross_the_deregister_are_put_off() {
    let mut bench = Bench::registered();
    disable(&mut bench, HOUR);
    let answer = bench.get("/3/0");
    assert_eq!((answer.code, answer.max_age), (Code::SERVICE_UNAVAILABLE, Some(3600)));
}

#[test]
fn shutdown_of_a_disabled_account_waits_for_its_deregister_and_for_nothing_else_der_04() {
    let mut bench = Bench::registered();
    disable(&mut bench, HOUR);
    bench.client.shutdown(bench.now);
    bench.drain();
    assert_eq!(bench.asked.len(), 1);
    bench.answer(Response::new(Code::DELETED));
    assert!(bench.client.is_shut_down());

    let mut bench = Bench::registered();
    disable(&mut bench, HOUR);
    bench.answer(Response::new(Code::DELETED));
    bench.client.shutdown(bench.now);
    bench.drain();
    assert!(bench.client.is_shut_down() && bench.asked.is_empty());
}
