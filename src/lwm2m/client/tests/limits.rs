//! Observations under gt, lt, st and pmin: which changes are told, with which value, and what becomes of the samples.

use super::*;

/// A multiple-instance resource of integers.
const CHANNELS: &str = "/12/0/11";

/// Registered and announced, the temperature at 40 and known to the server; `query` written on it, then observed.
fn watched(query: &str) -> Bench {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(40.0), None, bench.now).unwrap();
    announced(&mut bench);
    write(&mut bench, "/3303/0/5700", query);
    bench.observe("/3303/0/5700");
    bench.events.clear();
    bench
}

fn announced(bench: &mut Bench) {
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
}

fn write(bench: &mut Bench, path: &str, query: &str) {
    assert_eq!(bench.send(write_attributes(path, query)).code, Code::CHANGED, "{path} {query}");
}

/// The values of all open and following notifications, each acknowledged.
fn told(bench: &mut Bench) -> Vec<String> {
    std::iter::from_fn(|| (!bench.notified.is_empty()).then(|| text(&bench.acknowledge()))).collect()
}

/// Sets one value after the other and gives those that were told at once.
fn told_of(bench: &mut Bench, values: &[f64]) -> Vec<String> {
    values
        .iter()
        .flat_map(|value| {
            bench.client.set_mapped(TEMPERATURE, Value::Float(*value), None, bench.now).unwrap();
            bench.drain();
            told(bench)
        })
        .collect()
}

#[test]
fn only_crossings_of_the_value_sent_are_told_ntf_05_ntf_06_ntf_07_ntf_11() {
    for limit in ["gt=50", "lt=50"] {
        let mut bench = watched(limit);
        let values = [45.0, 50.0, 51.0, 90.0, 50.0, 50.5, 49.0, 50.0, 20.0, 51.0];
        assert_eq!(told_of(&mut bench, &values), ["51", "49", "51"], "{limit}");
    }
}

#[test]
fn a_value_sent_for_another_reason_is_what_the_next_is_compared_with_ntf_04_ntf_11() {
    let mut bench = watched("st=10&pmax=60");
    assert!(told_of(&mut bench, &[45.0, 49.0]).is_empty());
    bench.advance(seconds(60));
    assert_eq!(told(&mut bench), ["49"]);
    assert_eq!(told_of(&mut bench, &[51.0, 58.5, 59.0, 50.0, 49.0]), ["59", "49"]);
}

#[test]
fn conditions_are_joined_by_or_ntf_08_ntf_10() {
    let mut bench = watched("gt=50&lt=20&st=14");
    assert_eq!(
        told_of(&mut bench, &[30.0, 54.0, 49.0, 36.0, 22.0, 19.0, 21.0]),
        ["54", "49", "22", "19", "21"]
    );
}

#[test]
fn crossing_value_is_told_after_pmin_though_the_value_came_back_and_then_that_ntf_03_ntf_12() {
    let mut bench = watched("gt=50&pmin=10");
    let answered = bench.now;
    bench.set(TEMPERATURE, 60.0, 1);
    bench.advance(seconds(2));
    bench.set(TEMPERATURE, 45.0, 2);
    bench.advance(seconds(2));
    bench.set(TEMPERATURE, 44.0, 3);
    assert!(bench.notified.is_empty());
    assert_eq!(bench.advance_to_next_deadline(), "notification due");
    assert_eq!(bench.now - answered, seconds(10));
    assert_eq!(text(&bench.acknowledge()), "60");
    // The value that came back has crossed, too, by the same rule.
    assert_eq!(bench.advance_to_next_deadline(), "notification due");
    assert_eq!(bench.now - answered, seconds(20));
    assert_eq!(text(&bench.acknowledge()), "44");
    assert_eq!(bench.entries(), ["superseded 2", "reported [1]", "reported [3]"]);
    assert_eq!(bench.client.pending_samples(), 0);
}

#[test]
fn crossing_value_that_is_past_has_its_time_beside_it_where_the_format_has_a_place_ntf_12() {
    for (format, expected) in [(110, r#"[{"bn":"/3303/0/5700","bt":1767225600,"v":60}]"#), (0, "60")] {
        let mut bench = Bench::registered();
        bench.client.set_mapped(TEMPERATURE, Value::Float(40.0), None, bench.now).unwrap();
        announced(&mut bench);
        bench.client.set_wall_clock(UnixTime::from_secs(1_767_225_600), bench.now);
        write(&mut bench, "/3303/0/5700", "gt=50&pmin=10");
        let observe =
            CoapRequest { observe: Some(0), accept: Some(format), ..request(Method::Get, "/3303/0/5700") };
        bench.send(observe);
        bench.set(TEMPERATURE, 60.0, 1);
        bench.advance(seconds(2));
        bench.set(TEMPERATURE, 45.0, 2);
        bench.advance_to_next_deadline();
        assert_eq!(text(&bench.acknowledge()), expected);
        // What it is now needs none.
        bench.advance_to_next_deadline();
        assert!(!text(&bench.acknowledge()).contains("bt"));
    }
}

#[test]
fn present_value_goes_before_an_earlier_crossing_if_it_is_a_reason_itself_ntf_03() {
    let mut bench = watched("gt=50&pmin=10");
    for (value, sample) in [(60.0, 1), (45.0, 2), (70.0, 3), (80.0, 4)] {
        bench.set(TEMPERATURE, value, sample);
    }
    bench.advance_to_next_deadline();
    assert_eq!(text(&bench.acknowledge()), "80");
    assert!(told(&mut bench).is_empty());
    let mut entries = bench.entries();
    entries.sort();
    assert_eq!(entries, ["reported [4]", "superseded 1", "superseded 2", "superseded 3"]);
}

#[test]
fn crossing_while_a_notification_is_under_way_is_kept_for_the_next_ntf_12_obs_15() {
    let mut bench = watched("gt=50");
    bench.set(TEMPERATURE, 60.0, 1);
    bench.set(TEMPERATURE, 40.0, 2);
    bench.set(TEMPERATURE, 61.0, 3);
    assert_eq!(bench.notified.len(), 1);
    // 40 crossed what is under way; 61 is where the observer will stand already.
    assert_eq!(told(&mut bench), ["60", "40", "61"]);
    assert_eq!(bench.entries(), ["reported [1]", "reported [2]", "reported [3]"]);
}

#[test]
fn crossing_that_was_not_delivered_is_told_again_ntf_12_obs_10() {
    let mut bench = watched("gt=50");
    bench.set(TEMPERATURE, 60.0, 1);
    bench.set(TEMPERATURE, 45.0, 2);
    bench.lose(Failure::TooLarge);
    assert!(bench.entries().is_empty());
    bench.advance_to_next_deadline();
    assert_eq!(told(&mut bench), ["60", "45"]);
    assert_eq!(bench.entries(), ["reported [1]", "reported [2]"]);
}

#[test]
fn samples_within_the_limits_are_superseded_by_the_next_and_the_last_waits_for_pmax() {
    let mut bench = watched("gt=50&pmax=600");
    for (value, sample) in [(41.0, 1), (42.0, 2), (43.0, 3)] {
        bench.set(TEMPERATURE, value, sample);
    }
    assert_eq!(bench.entries(), ["superseded 1", "superseded 2"]);
    assert_eq!(bench.client.pending_samples(), 1);
    bench.advance(seconds(600));
    assert_eq!(told(&mut bench), ["43"]);
    assert_eq!(bench.entries(), ["reported [3]"]);
}

#[test]
fn written_limits_act_on_a_running_observation_and_are_no_reason_by_themselves_wa_10() {
    let mut bench = watched("pmin=0");
    assert_eq!(told_of(&mut bench, &[41.0]), ["41"]);
    write(&mut bench, "/3303/0/5700", "gt=50");
    assert_eq!(told_of(&mut bench, &[42.0, 55.0, 56.0]), ["55"]);
    write(&mut bench, "/3303/0/5700", "gt=55.5");
    write(&mut bench, "/3303/0/5700", "gt");
    assert!(told(&mut bench).is_empty());
    assert_eq!(told_of(&mut bench, &[57.0, 58.0]), ["57", "58"]);
}

#[test]
fn limits_taken_away_keep_no_past_value_back() {
    let mut bench = watched("gt=50&pmin=10");
    bench.set(TEMPERATURE, 60.0, 1);
    bench.set(TEMPERATURE, 45.0, 2);
    write(&mut bench, "/3303/0/5700", "gt");
    bench.advance_to_next_deadline();
    assert_eq!(told(&mut bench), ["45"]);
    assert_eq!(bench.entries(), ["superseded 1", "reported [2]"]);
}

#[test]
fn limits_of_a_resource_do_not_act_on_observations_above_it_ntf_02() {
    let mut bench = watched("gt=50&pmin=600");
    bench.observe("/3303/0");
    bench.set(TEMPERATURE, 41.0, 1);
    assert_eq!(bench.notified.len(), 1);
    assert_eq!(bench.acknowledge().content_format, Some(112));
    assert!(bench.notified.is_empty());
}

#[test]
fn servers_with_different_attributes_are_served_independently_ntf_18() {
    let mut bench = Bench::registered_at(settings(2));
    bench.client.set_mapped(TEMPERATURE, Value::Float(40.0), None, bench.now).unwrap();
    write(&mut bench, "/3303/0/5700", "gt=50");
    bench.observe_from(1, "/3303/0/5700");
    let second = bench.observe_from(2, "/3303/0/5700");
    bench.set(TEMPERATURE, 41.0, 1);
    assert_eq!(bench.notified.iter().map(|note| note.observation).collect::<Vec<_>>(), [second]);
    bench.acknowledge();
    bench.set(TEMPERATURE, 51.0, 2);
    assert_eq!(bench.notified.len(), 2);
}

fn set_channel(bench: &mut Bench, id: u16, value: i64, sample: u64) {
    let at = path(CHANNELS).child(id).unwrap();
    bench.client.set_mapped(at, Value::Integer(value), Some(SampleId(sample)), bench.now).unwrap();
    bench.drain();
}

fn channels(response: &Response) -> Vec<(u16, i64)> {
    let format = Format::from_number(response.content_format.unwrap()).unwrap();
    let entries = codecs::decode(format, path(CHANNELS), &response.payload, &Model::builtin()).unwrap();
    let [codecs_entry] = entries.as_slice() else { panic!("one resource") };
    let Content::Multiple(values) = &codecs_entry.content else { panic!("instances") };
    let number =
        |value: &Value| if let Value::Integer(number) = value { *number } else { panic!("{value:?}") };
    values.iter().map(|(id, value)| (*id, number(value))).collect()
}

/// Channels 0 and 3 at 1, observed as a whole with `query` written on the resource.
fn channels_watched(query: &str) -> Bench {
    let mut bench = Bench::registered();
    set_channel(&mut bench, 0, 1, 1);
    set_channel(&mut bench, 3, 1, 2);
    announced(&mut bench);
    write(&mut bench, CHANNELS, query);
    bench.observe(CHANNELS);
    bench.events.clear();
    bench
}

#[test]
fn each_instance_of_a_resource_is_judged_and_one_crossing_is_enough_ntf_14() {
    let mut bench = channels_watched("gt=5");
    set_channel(&mut bench, 0, 4, 3);
    assert!(bench.notified.is_empty());
    set_channel(&mut bench, 3, 6, 4);
    assert_eq!(channels(&bench.acknowledge()), [(0, 4), (3, 6)]);
    assert_eq!(bench.entries(), ["superseded 1", "superseded 2", "reported [3, 4]"]);
    // A new instance is a change that no limit keeps back.
    set_channel(&mut bench, 7, 2, 5);
    assert_eq!(channels(&bench.acknowledge()), [(0, 4), (3, 6), (7, 2)]);
}

#[test]
fn crossings_of_two_instances_within_pmin_are_both_told_ntf_12_ntf_14() {
    let mut bench = channels_watched("gt=5&pmin=10");
    for (id, value, sample) in [(0, 6, 3), (0, 2, 4), (3, 7, 5), (3, 3, 6)] {
        set_channel(&mut bench, id, value, sample);
    }
    bench.advance_to_next_deadline();
    assert_eq!(channels(&bench.acknowledge()), [(0, 6), (3, 7)]);
    bench.advance_to_next_deadline();
    assert_eq!(channels(&bench.acknowledge()), [(0, 2), (3, 3)]);
    assert_eq!(bench.entries(), ["superseded 1", "superseded 2", "reported [3, 5]", "reported [4, 6]"]);
}

#[test]
fn a_resource_instance_goes_by_its_own_limits_and_those_of_its_resource_ntf_01() {
    let mut bench = channels_watched("gt=5&pmin=0");
    write(&mut bench, "/12/0/11/3", "gt=8");
    let at_3 = bench.observe("/12/0/11/3");
    set_channel(&mut bench, 3, 6, 3);
    assert!(bench.notified.iter().all(|note| note.observation != at_3));
    assert_eq!(channels(&bench.acknowledge()), [(0, 1), (3, 6)]);
    set_channel(&mut bench, 3, 9, 4);
    assert_eq!(bench.notified.iter().map(|note| note.observation).collect::<Vec<_>>(), [at_3]);
    assert_eq!(text(&bench.acknowledge()), "9");
}

#[test]
fn observed_path_that_goes_is_told_whatever_the_limits_obs_13() {
    let mut bench = watched("gt=50");
    bench.set(TEMPERATURE, 60.0, 1);
    bench.set(TEMPERATURE, 45.0, 2);
    bench.acknowledge();
    bench.lose(Failure::TooLarge);
    bench.client.apply(vec![(TEMPERATURE, None)]);
    bench.advance(seconds(60));
    assert_eq!(bench.responses[&RequestId(u64::MAX)].code, Code::NOT_FOUND);
    assert!(bench.observations.is_empty());
    assert_eq!(bench.entries(), ["reported [1]", "superseded 2"]);
    assert_eq!(bench.client.pending_samples(), 0);
}
