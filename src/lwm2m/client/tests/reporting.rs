//! Observations: when a notification leaves, what it shows, and what becomes of it.

use super::*;

fn write_periods(bench: &mut Bench, pmin: u8, pmax: u8) {
    let payload = vec![0xc1, 2, pmin, 0xc1, 3, pmax];
    let write = CoapRequest { content_format: Some(11542), payload, ..request(Method::Post, "/1/0") };
    assert_eq!(bench.send(write).code, Code::CHANGED);
}

/// Registered, a temperature of 1 that is set without a sample, observed at `path`.
fn observed(path: &str) -> Bench {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.observe(path);
    bench.events.clear();
    bench
}

#[test]
fn first_answer_is_that_of_read_and_starts_the_observation_obs_01() {
    let mut bench = Bench::registered();
    bench.set(TEMPERATURE, 1.5, 1);
    bench.events.clear();
    let id = bench.send_from(1, CoapRequest { observe: Some(0), ..request(Method::Get, "/3303/0/5700") });
    assert_eq!(bench.responses[&id], Response::content(0, b"1.5".to_vec()));
    assert_eq!(bench.events[0], Event::ObservationStarted { server: 1, path: TEMPERATURE });
}

#[test]
fn errors_start_no_observation_obs_03_obs_04() {
    let mut bench = Bench::registered();
    for path in ["/3303", "/0/1", "/3/0/4", "/"] {
        bench.send(CoapRequest { observe: Some(0), ..request(Method::Get, path) });
    }
    bench.send(CoapRequest { observe: Some(0), accept: Some(60), ..request(Method::Get, "/3/0") });
    bench.send(CoapRequest { observe: Some(0), accept: Some(40), ..request(Method::Get, "/3/0") });
    assert!(bench.observations.is_empty());
}

#[test]
fn cancel_is_a_plain_read_obs_06() {
    let mut bench = observed("/3303");
    let answer = bench.send(CoapRequest { observe: Some(1), ..request(Method::Get, "/3303/0/5700") });
    assert_eq!(answer, Response::content(0, b"1".to_vec()));
    let id = *bench.observations.keys().next().unwrap();
    bench.client.handle_event(CoapEvent::ObservationEnded { id, why: Ending::Cancelled }, bench.now);
    bench.set(TEMPERATURE, 2.0, 1);
    assert!(bench.notified.is_empty());
    assert_eq!(bench.client.servers().next().unwrap().observations, 0);
}

#[test]
fn any_change_at_or_below_the_path_is_a_reason_and_the_format_stays_obs_02_obs_14_ntf_05() {
    for (observed_path, format) in [("/3303", 112), ("/3303/0", 112), ("/3303/0/5700", 0)] {
        let mut bench = observed(observed_path);
        bench.set(TEMPERATURE, 2.0, 1);
        let note = bench.acknowledge();
        assert_eq!((note.code, note.content_format), (Code::CONTENT, Some(format)), "{observed_path}");
    }
}

#[test]
fn changes_elsewhere_are_none() {
    let mut bench = observed("/3303/0/5700");
    bench.set(Path::resource_of(3303, 1, 5700), 2.0, 1);
    bench.client.set_mapped(path("/3303/0/5701"), Value::String("Cel".into()), None, bench.now).unwrap();
    bench.drain();
    assert!(bench.notified.is_empty());
}

#[test]
fn new_instance_under_an_observed_object_is_a_change_obs_14() {
    let mut bench = observed("/3303");
    bench.set(Path::resource_of(3303, 1, 5700), 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn one_notification_is_under_way_and_changes_meanwhile_merge_into_the_next_obs_15() {
    let mut bench = observed("/3303/0/5700");
    for (value, sample) in [(2.0, 1), (3.0, 2), (4.0, 3)] {
        bench.set(TEMPERATURE, value, sample);
        assert_eq!(bench.notified.len(), 1);
    }
    assert_eq!(text(&bench.acknowledge()), "2");
    assert_eq!(bench.notified.len(), 1);
    assert_eq!(text(&bench.acknowledge()), "4");
    assert!(bench.notified.is_empty());
    assert_eq!(bench.entries(), ["superseded 2", "reported [1]", "reported [3]"]);
}

#[test]
fn snapshot_is_taken_when_the_endpoint_is_free() {
    let mut bench = observed("/3303/0/5700");
    bench.client.set_mapped(TEMPERATURE, Value::Float(2.0), None, bench.now).unwrap();
    bench.client.set_mapped(TEMPERATURE, Value::Float(3.0), None, bench.now).unwrap();
    bench.drain();
    assert_eq!(text(&bench.acknowledge()), "3");
    assert!(bench.notified.is_empty());
}

#[test]
fn pmin_delays_and_the_value_of_its_end_is_sent_ntf_03() {
    let mut bench = Bench::registered();
    write_periods(&mut bench, 10, 0);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.observe("/3303/0/5700");
    let answered = bench.now;
    bench.advance(seconds(2));
    bench.set(TEMPERATURE, 2.0, 1);
    bench.advance(seconds(2));
    bench.set(TEMPERATURE, 3.0, 2);
    assert!(bench.notified.is_empty());
    assert_eq!(bench.advance_to_next_deadline(), "notification due");
    assert_eq!(bench.now - answered, seconds(10));
    assert_eq!(text(&bench.acknowledge()), "3");
}

#[test]
fn a_jump_of_the_wall_clock_moves_no_notification_ntf_20() {
    let mut bench = Bench::registered();
    write_periods(&mut bench, 10, 0);
    bench.client.set_wall_clock(UnixTime::from_secs(1_767_225_600), bench.now);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.observe("/3303/0/5700");
    bench.set(TEMPERATURE, 2.0, 1);
    let due = bench.client.poll_timeout();
    for jump in [0, 4_000_000_000] {
        bench.client.set_wall_clock(UnixTime::from_secs(jump), bench.now);
        bench.drain();
        assert_eq!(bench.client.poll_timeout(), due);
    }
    assert!(bench.notified.is_empty());
}

#[test]
fn pmax_forces_one_without_change_and_runs_from_the_last_ntf_04_ntf_17() {
    let mut bench = Bench::registered();
    write_periods(&mut bench, 0, 60);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303/0/5700");
    bench.advance(seconds(40));
    bench.set(TEMPERATURE, 2.0, 1);
    bench.acknowledge();
    let notified = bench.now;
    assert_eq!(bench.advance_to_next_deadline(), "notification due");
    assert_eq!(bench.now - notified, seconds(60));
    assert_eq!(text(&bench.acknowledge()), "2");
}

#[test]
fn written_periods_act_on_running_observations_ntf_19() {
    let mut bench = observed("/3303/0/5700");
    write_periods(&mut bench, 30, 0);
    bench.set(TEMPERATURE, 2.0, 1);
    assert!(bench.notified.is_empty());
    write_periods(&mut bench, 0, 0);
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn servers_are_served_independently_ntf_18() {
    let mut bench = Bench::registered_at(settings(2));
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    write_periods(&mut bench, 30, 0);
    bench.observe_from(1, "/3303/0/5700");
    bench.observe_from(2, "/3303");
    bench.events.clear();
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
    assert_eq!(bench.acknowledge().content_format, Some(112));
    // The first acknowledgement reports the sample; the other server still gets the value.
    assert_eq!(bench.entries(), ["reported [1]"]);
    bench.advance(seconds(30));
    // The new instance is announced first.
    bench.answer(Response::new(Code::CHANGED));
    bench.answer(Response::new(Code::CHANGED));
    assert_eq!(text(&bench.acknowledge()), "2");
    assert!(bench.entries().is_empty());
}

#[test]
fn every_notification_is_confirmable_ntf_15_ntf_16() {
    let mut bench = observed("/3303/0/5700");
    for number in [2_u8, 3, 4] {
        bench.set(TEMPERATURE, number.into(), number.into());
        assert!(bench.notified[0].confirmable);
        bench.acknowledge();
    }
}

#[test]
fn lost_notification_keeps_the_observation_checks_the_server_and_is_tried_again_obs_10() {
    let mut bench = observed("/3303/0/5700");
    bench.set(TEMPERATURE, 2.0, 1);
    bench.lose(Failure::TimedOut);
    // Does the server still know us?
    assert_eq!(bench.asked.len(), 1);
    bench.answer(Response::new(Code::CHANGED));
    assert!(bench.notified.is_empty());
    bench.set(TEMPERATURE, 3.0, 2);
    assert!(bench.notified.is_empty());
    let failed = bench.now;
    bench.advance(bench.client.poll_timeout().unwrap().at - bench.now);
    while bench.notified.is_empty() {
        bench.asked.clear();
        bench.advance_to_next_deadline();
    }
    assert!(bench.now - failed <= seconds(38));
    assert_eq!(text(&bench.acknowledge()), "3");
    assert_eq!(bench.entries(), ["superseded 1", "reported [2]"]);
}

#[test]
fn failures_in_a_row_hold_the_observation_ever_longer_up_to_a_limit() {
    let mut settings = settings(1);
    settings.servers[0].lifetime = seconds(10 * 86_400);
    let mut bench = Bench::registered_at(settings);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303/0/5700");
    bench.set(TEMPERATURE, 2.0, 1);
    let mut holds = vec![];
    for _ in 0..10 {
        bench.lose(Failure::TooLarge);
        let failed = bench.now;
        bench.advance_to_next_deadline();
        holds.push((bench.now - failed).as_secs());
    }
    assert!(holds.windows(2).take(6).all(|pair| pair[0] < pair[1]), "{holds:?}");
    assert!((22..=38).contains(&holds[0]) && (2700..=4500).contains(&holds[9]), "{holds:?}");
}

#[test]
fn rejected_notification_ends_with_its_observation_obs_07() {
    for failure_first in [true, false] {
        let mut bench = observed("/3303/0/5700");
        bench.set(TEMPERATURE, 2.0, 1);
        let Notified { notification, observation, .. } = bench.notified.remove(0);
        bench.observations.remove(&observation);
        let failed = CoapEvent::NotificationFailed { notification, why: Failure::Rejected };
        let ended = CoapEvent::ObservationRejected { id: observation };
        let events = if failure_first { [failed, ended] } else { [ended, failed] };
        for event in events {
            bench.client.handle_event(event, bench.now);
        }
        bench.drain();
        assert!(bench.asked.is_empty() && bench.entries().is_empty());
        assert_eq!(bench.client.pending_samples(), 1);
    }
}

#[test]
fn rejection_by_a_server_that_lost_its_memory_leads_back_to_a_registration() {
    let mut bench = observed("/3303/0/5700");
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.advance(seconds(3600));
    bench.set(TEMPERATURE, 2.0, 1);
    let Notified { notification, observation, .. } = bench.notified.remove(0);
    bench.observations.remove(&observation);
    let failed = CoapEvent::NotificationFailed { notification, why: Failure::Rejected };
    bench.client.handle_event(failed, bench.now);
    bench.client.handle_event(CoapEvent::ObservationRejected { id: observation }, bench.now);
    bench.drain();
    bench.answer(Response::new(Code::NOT_FOUND));
    let register = bench.grant();
    assert_eq!(register.path.join("/"), "rd");
    assert_eq!(bench.client.pending_samples(), 1);
}

#[test]
fn path_that_goes_is_told_once_by_404_obs_13() {
    let mut bench = Bench::registered();
    write_periods(&mut bench, 0, 60);
    bench.observe("/1/0/3");
    let payload = vec![0xc2, 1, 1, 44, 0xc1, 6, 1, 0xc1, 7, b'U'];
    bench.send(CoapRequest { content_format: Some(11542), payload, ..request(Method::Put, "/1/0") });
    // The Update about the new lifetime goes first.
    bench.answer(Response::new(Code::CHANGED));
    let told = &bench.responses[&RequestId(u64::MAX)];
    assert_eq!((told.code, told.observe), (Code::NOT_FOUND, None));
    assert_eq!(bench.client.servers().next().unwrap().observations, 0);
}

#[test]
fn instance_that_comes_or_goes_is_told_even_if_it_holds_nothing_obs_13_obs_14() {
    let mut bench = Bench::registered_at(Settings { held_objects: BTreeSet::from([16]), ..settings(1) });
    bench.client.create(&[path("/16/0")], vec![], bench.now);
    bench.drain();
    bench.observe("/16");
    bench.client.create(&[path("/16/1")], vec![], bench.now);
    bench.drain();
    assert_eq!(bench.acknowledge().code, Code::CONTENT);
    let of_instance = bench.observe("/16/1");
    bench.client.delete(path("/16/1"), bench.now);
    bench.drain();
    assert_eq!(bench.acknowledge().code, Code::CONTENT);
    // The observer of the instance itself is told that there is none, and that is the end of it.
    let told = &bench.responses[&RequestId(u64::MAX)];
    assert_eq!((told.code, told.observe), (Code::NOT_FOUND, None));
    assert!(!bench.observations.contains_key(&of_instance));
}

#[test]
fn own_write_is_notified_to_its_writer_and_an_equal_one_to_nobody_wr_14_wr_15() {
    let mut bench = Bench::registered();
    bench.observe("/1/0/6");
    let write =
        CoapRequest { content_format: Some(0), payload: b"0".into(), ..request(Method::Put, "/1/0/6") };
    bench.send(write.clone());
    assert_eq!(text(&bench.acknowledge()), "0");
    // The same value again is no change (WR-15).
    bench.send(write);
    assert!(bench.notified.is_empty());
}

#[test]
fn observation_of_a_resource_instance_hears_of_its_own_alone() {
    let mut bench = Bench::registered();
    let at = |id| Path::resource_of(3349, 0, 5912).child(id).unwrap();
    let set = |bench: &mut Bench, id: u16, text: &str, sample: u64| {
        bench
            .client
            .set_mapped(at(id), Value::String(text.into()), Some(SampleId(sample)), bench.now)
            .unwrap();
        bench.drain();
    };
    set(&mut bench, 0, "a", 1);
    set(&mut bench, 1, "b", 2);
    bench.observe("/3349/0/5912/1");
    bench.acknowledge();
    set(&mut bench, 0, "c", 3);
    assert!(bench.notified.is_empty());
    set(&mut bench, 1, "d", 4);
    assert_eq!(text(&bench.acknowledge()), "d");
    assert_eq!(bench.entries(), ["reported [2]", "superseded 1", "reported [4]"]);
}

#[test]
fn observations_are_bounded() {
    let mut bench = Bench::registered_at(Settings { max_observations: 2, ..settings(1) });
    for _ in 0..3 {
        bench.send(CoapRequest { observe: Some(0), ..request(Method::Get, "/3/0/16") });
    }
    assert_eq!(bench.observations.len(), 2);
}

#[test]
fn nothing_is_notified_while_the_link_is_down_or_before_the_registration_is_back() {
    let mut bench = observed("/3303/0/5700");
    bench.client.handle_link(false, false, bench.now);
    bench.set(TEMPERATURE, 2.0, 1);
    assert!(bench.notified.is_empty());
    bench.link_up();
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn silence_longer_than_a_nat_keeps_calls_for_an_update_first() {
    let mut bench = Bench::registered_at(Settings { nat_idle: Some(seconds(60)), ..settings(1) });
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303/0/5700");
    bench.advance(seconds(50));
    bench.set(TEMPERATURE, 2.0, 1);
    assert!(bench.asked.is_empty());
    bench.acknowledge();
    bench.advance(seconds(60));
    bench.set(TEMPERATURE, 3.0, 2);
    assert!(bench.notified.is_empty() && bench.asked.len() == 1);
    let update = bench.answer(Response::new(Code::CHANGED));
    assert!(update.query.is_empty() && update.payload.is_empty());
    assert_eq!(text(&bench.acknowledge()), "3");
}
