//! Behind a NAT: observations that ended without the server's will, and the Updates that bring them back.

use super::*;
use crate::lwm2m::client::observing::REJECTION_IS_MEANT;

/// Registered behind a NAT that forgets after two minutes, a temperature of 1 announced, and observed.
fn observed() -> (Bench, ObservationId) {
    let lifetime = seconds(30 * 86_400);
    let mut settings = Settings { nat_idle: Some(seconds(120)), ..settings(1) };
    settings.servers[0].lifetime = lifetime;
    let mut bench = Bench::registered_at(settings);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    let id = bench.observe("/3303");
    bench.events.clear();
    (bench, id)
}

/// The server rejects the oldest open notification.
fn reject(bench: &mut Bench) {
    let Notified { notification, observation, .. } = bench.notified.remove(0);
    let failed = CoapEvent::NotificationFailed { notification, why: Failure::Rejected };
    let ended = CoapEvent::ObservationRejected { id: observation };
    bench.client.handle_event(failed, bench.now);
    bench.client.handle_event(ended, bench.now);
    bench.drain();
}

/// A sample that is notified and rejected, shortly after the server asked us something: no reason to doubt it.
fn rejected() -> Bench {
    let (mut bench, _) = observed();
    bench.set(TEMPERATURE, 2.0, 1);
    reject(&mut bench);
    assert!(bench.asked.is_empty() && bench.client.pending_samples() == 1);
    bench
}

/// Answers every Update until none is due for a day; gives how many there were.
fn updates(bench: &mut Bench) -> usize {
    let end = bench.now + seconds(86_400);
    let mut count = 0;
    while bench.client.poll_timeout().is_some_and(|deadline| deadline.at < end) {
        bench.advance_to_next_deadline();
        if !bench.asked.is_empty() {
            let update = bench.answer(Response::new(Code::CHANGED));
            assert!(update.query.is_empty() && update.payload.is_empty());
            count += 1;
        }
    }
    count
}

#[test]
fn after_a_rejection_updates_reach_out_until_the_server_observes_again_obs_07_reg_29() {
    let mut bench = rejected();
    let since = bench.now;
    assert_eq!(bench.advance_to_next_deadline(), "update for observations that are missing");
    assert!(bench.now - since < seconds(120), "the mapping still lives");
    bench.answer(Response::new(Code::CHANGED));
    assert!(bench.notified.is_empty());
    bench.advance_to_next_deadline();
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303");
    assert_eq!(bench.acknowledge().code, Code::CONTENT);
    assert_eq!(bench.entries(), ["reported [1]"]);
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_server_that_means_its_rejection_costs_a_dozen_updates_and_then_silence_obs_07() {
    let mut bench = rejected();
    let count = updates(&mut bench);
    assert!((6..=14).contains(&count), "{count}");
    // Another sample of what nobody observes changes nothing about that.
    bench.set(TEMPERATURE, 3.0, 2);
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_server_that_observes_nothing_after_a_register_costs_a_dozen_updates() {
    let mut bench = Bench::registered_at(Settings { nat_idle: Some(seconds(120)), ..settings(1) });
    let regular = 1;
    let count = updates(&mut bench) - regular;
    assert!((6..=14).contains(&count), "{count}");
}

#[test]
fn the_first_update_goes_at_once_if_the_server_may_have_forgotten_us() {
    let (mut bench, _) = observed();
    bench.set(TEMPERATURE, 2.0, 1);
    bench.now += REJECTION_IS_MEANT;
    reject(&mut bench);
    assert_eq!(bench.asked.len(), 1);
}

/// Samples in a notification whose resend comes after the NAT has forgotten us, and is rejected.
fn rejected_after_a_silence() -> (Bench, ObservationId) {
    let (mut bench, id) = observed();
    bench.advance(seconds(100));
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
    bench.advance(seconds(30));
    reject(&mut bench);
    (bench, id)
}

#[test]
fn a_rejection_after_a_silence_ends_nothing_before_an_update_obs_07_reg_29() {
    let (mut bench, id) = rejected_after_a_silence();
    assert!(bench.observations.contains_key(&id));
    let update = bench.answer(Response::new(Code::CHANGED));
    assert_eq!(update.path.join("/"), "rd/203.0.113.1");
    // The server knows us now, and takes the very same observation.
    assert_eq!(bench.notified.iter().map(|note| note.observation).collect::<Vec<_>>(), [id]);
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_request_of_the_server_shows_as_well_that_it_knows_us_again() {
    let (mut bench, id) = rejected_after_a_silence();
    assert_eq!(bench.asked.len(), 1);
    bench.get("/3/0/16");
    assert_eq!(bench.notified.iter().map(|note| note.observation).collect::<Vec<_>>(), [id]);
}

#[test]
fn a_rejection_after_a_silence_that_ends_in_a_register_ends_all_observations_reg_18_reg_29() {
    let (mut bench, _) = rejected_after_a_silence();
    bench.answer(Response::new(Code::NOT_FOUND));
    assert!(bench.observations.is_empty());
    assert_eq!(bench.grant().path.join("/"), "rd");
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
}

#[test]
fn all_rejected_again_after_the_update_means_another_address_and_leads_to_a_register_reg_29() {
    let (mut bench, id) = rejected_after_a_silence();
    bench.answer(Response::new(Code::CHANGED));
    let since = bench.now;
    reject(&mut bench);
    assert!(!bench.observations.contains_key(&id), "now it is meant");
    assert!(bench.asked.is_empty(), "the server may yet observe by itself");
    assert_eq!(bench.advance_to_next_deadline(), "update for observations that are missing");
    assert!(bench.now - since < seconds(120), "the mapping still lives");
    assert_eq!(bench.grant().path.join("/"), "rd");
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_server_that_observes_again_at_the_new_address_is_spared_the_register() {
    let (mut bench, _) = rejected_after_a_silence();
    bench.answer(Response::new(Code::CHANGED));
    reject(&mut bench);
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_server_that_acknowledges_others_means_its_rejection_obs_07() {
    let (mut bench, _) = observed();
    bench.client.set_mapped(path("/3303/0/5601"), Value::Float(1.0), None, bench.now).unwrap();
    let other = bench.observe("/3303/0/5601");
    bench.acknowledge();
    bench.advance(seconds(500));
    bench.client.set_mapped(path("/3303/0/5601"), Value::Float(0.5), None, bench.now).unwrap();
    bench.drain();
    bench.answer(Response::new(Code::CHANGED));
    // One of both is rejected after the silence, the other acknowledged.
    let is_other = bench.notified[0].observation == other;
    if is_other {
        drop(bench.acknowledge())
    } else {
        reject(&mut bench)
    }
    if is_other {
        reject(&mut bench)
    } else {
        drop(bench.acknowledge())
    }
    bench.advance_to_next_deadline();
    assert_eq!(bench.asked[0].request.path.join("/"), "rd/203.0.113.1", "an Update, no Register");
}

#[test]
fn an_end_in_so_many_words_asks_for_nothing_obs_06_obs_05() {
    for why in [Ending::Cancelled, Ending::Replaced, Ending::Over] {
        let (mut bench, id) = observed();
        bench.client.handle_event(CoapEvent::ObservationEnded { id, why }, bench.now);
        assert_eq!(updates(&mut bench), 0, "{why:?}");
    }
}

#[test]
fn without_a_nat_nothing_reaches_out() {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303");
    bench.set(TEMPERATURE, 2.0, 1);
    reject(&mut bench);
    assert_eq!(bench.advance_to_next_deadline(), "registration update");
}

#[test]
fn rejection_of_one_that_is_observed_otherwise_asks_for_nothing() {
    let (mut bench, _) = observed();
    bench.set(TEMPERATURE, 2.0, 1);
    bench.now += REJECTION_IS_MEANT;
    bench.observe("/3303");
    reject(&mut bench);
    assert!(bench.asked.is_empty());
    bench.acknowledge();
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn a_register_asks_for_what_was_observed_before_it_and_confirms_it_reg_18() {
    let (mut bench, _) = observed();
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    bench.grant();
    bench.advance_to_next_deadline();
    bench.answer(Response::new(Code::CHANGED));
    // No sample waits, but only an acknowledged notification shows that the server has the answer.
    bench.observe("/3303");
    bench.acknowledge();
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn observed_anew_after_a_silence_takes_the_place_of_the_earlier_one() {
    let (mut bench, first) = observed();
    bench.advance(seconds(60));
    let second = bench.observe("/3303");
    assert!(bench.observations.contains_key(&first), "a second observation as any (OBS-05)");
    bench.advance(seconds(100));
    let third = bench.observe("/3303");
    let left: Vec<_> = bench.observations.keys().copied().collect();
    assert_eq!(left, [third]);
    assert_ne!(second, third);
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
}

#[test]
fn what_the_earlier_one_had_under_way_goes_out_under_the_new_one() {
    let (mut bench, first) = observed();
    bench.set(TEMPERATURE, 2.0, 1);
    bench.advance(seconds(100));
    let second = bench.observe("/3303");
    assert!(!bench.observations.contains_key(&first));
    assert_eq!(bench.notified.iter().map(|note| note.observation).collect::<Vec<_>>(), [second]);
    bench.acknowledge();
    assert_eq!(bench.entries(), ["reported [1]"]);
}

#[test]
fn a_request_of_the_server_answers_an_update_that_asks_whether_it_sees_us() {
    let mut bench = rejected();
    bench.advance_to_next_deadline();
    assert_eq!(bench.asked.len(), 1);
    bench.observe("/3303");
    assert!(bench.asked.is_empty(), "no resend from yet another address");
    bench.acknowledge();
    assert_eq!(updates(&mut bench), 0);
}

#[test]
fn an_update_that_tells_something_waits_for_its_own_answer_reg_19() {
    let (mut bench, _) = observed();
    bench.client.set_mapped(path("/3304/0/5700"), Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    assert!(!bench.asked[0].request.payload.is_empty());
    bench.get("/3303/0/5700");
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn no_update_for_silence_while_a_notification_is_under_way() {
    let (mut bench, _) = observed();
    bench.observe("/3303/0/5700");
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
    bench.advance(seconds(130));
    // The other one is ready, and may go when this one is over.
    assert!(bench.asked.is_empty());
    bench.acknowledge();
    assert!(bench.asked.is_empty());
    assert_eq!(bench.notified.len(), 1);
}
