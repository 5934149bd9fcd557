//! Register, Update, De-register and their failures.

use super::*;

fn query(request: &CoapRequest) -> String {
    request.query.join("&")
}

fn payload(request: &CoapRequest) -> String {
    String::from_utf8(request.payload.clone()).unwrap()
}

#[test]
fn register_says_who_we_are_and_lists_the_instances_reg_01_reg_03_reg_05_reg_11_reg_15() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.link_up();
    let request = bench.grant();
    assert_eq!((request.method, request.path.join("/")), (Method::Post, "rd".into()));
    assert_eq!(request.content_format, Some(40));
    assert_eq!(query(&request), "lwm2m=1.1&ep=urn:imei:1&lt=86400&b=U");
    assert_eq!(payload(&request), "</1/0>,</3/0>,</4/0>,</7/0>,</3303>;ver=1.1,</3303/0>");
    let location = "/rd/203.0.113.1".to_owned();
    assert_eq!(bench.events, [Event::Registered { server: 1, location }]);
}

#[test]
fn version_1_0_has_ver_without_quotes_too_reg_12() {
    let mut bench = Bench::new(settings(1), Version::V1_0);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.link_up();
    let request = bench.grant();
    assert!(query(&request).starts_with("lwm2m=1.0&"));
    assert!(payload(&request).ends_with("</3303>;ver=1.1,</3303/0>"));
}

#[test]
fn a_register_names_the_one_binding_that_we_have_and_no_more_reg_04_reg_06_reg_07_reg_08_reg_10() {
    for version in [Version::V1_0, Version::V1_1] {
        let mut bench = Bench::new(settings(1), version);
        bench.link_up();
        let mut names: Vec<_> = bench.grant().query;
        // REG-09: the order means nothing.
        names.sort();
        assert_eq!(names, ["b=U", "ep=urn:imei:1", "lt=86400", &format!("lwm2m={version}")]);
        let binding = if version == Version::V1_0 { "/1/0/7" } else { "/3/0/16" };
        assert_eq!(text(&bench.get(binding)), "U", "{version}");
    }
}

#[test]
fn the_version_may_be_left_out_reg_03() {
    let settings = Settings { lwm2m_parameter: false, ..settings(1) };
    let mut bench = Bench::new(Settings { endpoint: "866;262".into(), ..settings }, Version::V1_0);
    bench.link_up();
    assert_eq!(query(&bench.grant()), "ep=866;262&lt=86400&b=U");
}

#[test]
fn the_first_register_after_the_start_waits_by_chance_and_no_later_one_does() {
    let jitter = seconds(60);
    let waited = (0..50).map(|seed| {
        let settings = Settings { start_jitter: jitter, ..settings(2) };
        let mut bench = Bench::new(settings, Version::V1_1);
        bench.client =
            Client::new(bench.client.settings.clone(), bench.client.model.clone(), Seed::new(seed));
        // However long the modem takes: a district's modems come back together.
        bench.advance(seconds(100));
        let up = bench.now;
        bench.link_up();
        assert!(bench.asked.is_empty());
        assert_eq!(bench.advance_to_next_deadline(), "first registration");
        assert_eq!(bench.asked.len(), 2, "all servers");
        let waited = bench.now - up;
        bench.grant_all();
        // Another address later on is not a start.
        bench.client.handle_link(false, false, bench.now);
        bench.client.handle_link(true, true, bench.now);
        bench.drain();
        assert_eq!(bench.asked.len(), 2);
        waited
    });
    let waited: BTreeSet<_> = waited.collect();
    assert!(waited.len() > 45 && waited.iter().all(|time| *time < jitter));
    assert!(waited.first().unwrap() < &seconds(10) && waited.last().unwrap() > &seconds(50), "{waited:?}");
}

#[test]
fn a_link_that_goes_during_the_first_wait_does_not_lengthen_it() {
    let settings = Settings { start_jitter: seconds(60), ..settings(1) };
    let mut bench = Bench::new(settings, Version::V1_1);
    bench.link_up();
    bench.client.handle_link(false, false, bench.now);
    assert_eq!(bench.client.poll_timeout().map(|deadline| deadline.why), Some("first registration"));
    bench.advance(seconds(60));
    bench.link_up();
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn path_and_query_of_the_uri_come_first_reg_02() {
    let mut settings = settings(1);
    settings.servers[0].uri = "coap://host:5683/a/b?x=1".into();
    let mut bench = Bench::new(settings, Version::V1_1);
    bench.link_up();
    let request = bench.grant();
    assert_eq!(request.path.join("/"), "a/b/rd");
    assert!(query(&request).starts_with("x=1&lwm2m=1.1&"));
}

#[test]
fn nothing_leaves_before_the_link_is_up_and_the_address_is_known() {
    let mut settings = settings(1);
    settings.servers[0].peer = None;
    let mut bench = Bench::new(settings, Version::V1_1);
    bench.drain();
    assert!(bench.asked.is_empty() && bench.client.poll_timeout().is_none());
    bench.link_up();
    assert!(bench.asked.is_empty() && bench.client.poll_timeout().is_none());
    bench.client.set_peer(1, peer(1), bench.now);
    bench.drain();
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn whole_location_is_used_for_update_and_deregister_reg_16_upd_01_der_01() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    let location_path: Vec<_> = ["x", "rd", "", "a/b", "%2F?é", &"y".repeat(255)].map(str::to_owned).into();
    bench.answer(Response { location_path: location_path.clone(), ..Response::new(Code::CREATED) });
    bench.advance(seconds(86_400 * 9 / 10 - 1));
    assert!(bench.asked.is_empty());
    assert_eq!(bench.advance_to_next_deadline(), "registration update");
    let update = bench.answer(Response::new(Code::CHANGED));
    assert_eq!((update.method, &update.path), (Method::Post, &location_path));
    assert!(update.query.is_empty() && update.payload.is_empty() && update.content_format.is_none());
    bench.client.shutdown(bench.now);
    bench.drain();
    let deregister = bench.answer(Response::new(Code::DELETED));
    assert_eq!((deregister.method, &deregister.path), (Method::Delete, &location_path));
    assert!(bench.client.is_shut_down());
    assert_eq!(bench.events.last(), Some(&Event::Deregistered { server: 1 }));
}

#[test]
fn short_lifetime_is_updated_half_way_upd_05() {
    let mut settings = settings(1);
    settings.servers[0].lifetime = seconds(60);
    let mut bench = Bench::registered_at(settings);
    let registered = bench.now;
    bench.advance_to_next_deadline();
    assert_eq!(bench.now - registered, seconds(30));
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn every_failure_of_an_update_leads_to_register_upd_07_reg_20() {
    for response in [Code::NOT_FOUND, Code::BAD_REQUEST, Code::FORBIDDEN, Code::INTERNAL_SERVER_ERROR] {
        let mut bench = Bench::registered();
        bench.advance_to_next_deadline();
        bench.answer(Response::new(response));
        assert_eq!(bench.asked[0].request.path.join("/"), "rd", "{response}");
    }
    for why in [Failure::TimedOut, Failure::Rejected, Failure::Unreachable] {
        let mut bench = Bench::registered();
        bench.advance_to_next_deadline();
        bench.fail(why);
        assert_eq!(bench.asked[0].request.path.join("/"), "rd", "{why}");
    }
}

#[test]
fn attempts_come_ever_later_up_to_a_limit_and_jittered_rty_01_rty_10() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    let mut waits = vec![];
    for _ in 0..12 {
        bench.fail(Failure::TimedOut);
        assert!(bench.asked.is_empty());
        let failed = bench.now;
        assert_eq!(bench.advance_to_next_deadline(), "registration attempt");
        waits.push((bench.now - failed).as_secs_f64());
    }
    let base = |attempt: i32| (60.0 * 2_f64.powi(attempt)).min(3600.0);
    for (attempt, wait) in (0..).zip(&waits) {
        assert!((0.75..=1.25).contains(&(wait / base(attempt))), "{waits:?}");
    }
    // A success starts the count anew.
    bench.grant();
    bench.advance_to_next_deadline();
    bench.fail(Failure::TimedOut);
    bench.fail(Failure::TimedOut);
    let deadline = bench.client.poll_timeout().unwrap();
    assert!(deadline.at - bench.now <= seconds(75));
}

#[test]
fn forbidden_client_waits_longest_rty_05() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    bench.answer(Response::new(Code::FORBIDDEN));
    assert!(bench.client.poll_timeout().unwrap().at - bench.now >= seconds(2700));
    // A link that comes and goes makes no difference to that.
    bench.client.handle_link(false, false, bench.now);
    bench.link_up();
    assert!(bench.asked.is_empty());
}

#[test]
fn refusals_of_a_register_are_failures_and_the_version_stays_reg_17() {
    for code in [Code::BAD_REQUEST, Code::FORBIDDEN, Code::new(4, 12)] {
        let mut bench = Bench::new(settings(1), Version::V1_1);
        bench.link_up();
        bench.answer(Response::new(code));
        assert!(bench.asked.is_empty(), "{code}");
        bench.advance_to_next_deadline();
        assert!(query(&bench.asked[0].request).starts_with("lwm2m=1.1&"), "{code}");
    }
}

#[test]
fn the_times_of_the_last_success_and_of_the_end_are_known_reg_27() {
    let mut settings = settings(2);
    settings.servers[1].lifetime = seconds(600);
    let mut bench = Bench::new(settings, Version::V1_1);
    let times = |bench: &Bench| -> Vec<_> {
        bench.client.servers().map(|server| (server.updated, server.expires)).collect()
    };
    bench.link_up();
    assert_eq!(times(&bench), [(None, None), (None, None)]);
    let made = bench.now;
    bench.advance(seconds(20));
    bench.grant_all();
    let day = made + seconds(86_400);
    assert_eq!(times(&bench), [(Some(made), Some(day)), (Some(made), Some(made + seconds(600)))]);
    bench.advance_to_next_deadline();
    let updated = bench.now;
    bench.answer(Response::new(Code::CHANGED));
    assert_eq!(times(&bench), [(Some(made), Some(day)), (Some(updated), Some(updated + seconds(600)))]);
}

#[test]
fn link_that_comes_back_ends_the_wait_after_silence() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    bench.fail(Failure::TimedOut);
    bench.client.handle_link(false, false, bench.now);
    assert!(bench.client.poll_timeout().is_none());
    bench.advance(seconds(3));
    bench.link_up();
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn location_is_needed_reg_16() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    bench.answer(Response::new(Code::CREATED));
    assert!(matches!(bench.events[..], [Event::RegistrationFailed { .. }]));
}

#[test]
fn changed_address_needs_a_register_reg_29() {
    let mut bench = Bench::registered();
    bench.client.handle_link(false, false, bench.now);
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    assert_eq!(bench.asked[0].request.path.join("/"), "rd");
}

#[test]
fn changed_address_abandons_what_is_open_and_registers_once() {
    let mut bench = Bench::registered();
    bench.advance_to_next_deadline();
    assert_eq!(bench.asked.len(), 1);
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    assert_eq!(bench.asked.len(), 1);
    assert_eq!(bench.asked[0].request.path.join("/"), "rd");
}

#[test]
fn same_address_after_a_break_keeps_the_registration_off_01() {
    let mut bench = Bench::registered();
    bench.client.handle_link(false, false, bench.now);
    bench.advance(seconds(3600));
    bench.link_up();
    assert!(bench.asked.is_empty());
}

#[test]
fn lifetime_that_ran_out_while_away_leads_to_register_off_01() {
    let mut bench = Bench::registered();
    bench.client.handle_link(false, false, bench.now);
    bench.advance(seconds(86_401));
    assert!(bench.asked.is_empty());
    bench.link_up();
    assert_eq!(bench.asked[0].request.path.join("/"), "rd");
}

#[test]
fn new_instances_gather_for_one_update_with_the_whole_list_upd_02_upd_08() {
    let mut bench = Bench::registered();
    for instance in 0..5 {
        bench.set(Path::resource_of(3303, instance, 5700), 1.0, instance.into());
        bench.advance(seconds(2));
    }
    assert!(bench.asked.is_empty());
    assert_eq!(bench.advance_to_next_deadline(), "announce new instances");
    assert_eq!(bench.asked.len(), 1);
    let update = bench.answer(Response::new(Code::CHANGED));
    assert!(update.query.is_empty() && update.content_format == Some(40));
    assert!(payload(&update).starts_with("</1/0>,</3/0>,</4/0>,</7/0>,</3303>;ver=1.1,</3303/0>,</3303/1>"));
    // Nothing further: a new value of a known instance is no change of the list.
    bench.set(TEMPERATURE, 2.0, 9);
    bench.advance(seconds(600));
    assert!(bench.asked.is_empty());
}

#[test]
fn instance_that_comes_during_an_open_update_or_register_is_announced_after_it_upd_10_reg_21() {
    let mut bench = Bench::new(Settings { announce_after: seconds(1), ..settings(1) }, Version::V1_1);
    bench.link_up();
    bench.set(TEMPERATURE, 1.0, 1);
    bench.advance(seconds(5));
    assert_eq!(bench.asked.len(), 1);
    bench.grant();
    // The Register was open, and the Update follows it.
    bench.set(Path::resource_of(3303, 1, 5700), 1.0, 2);
    bench.advance(seconds(5));
    let first = bench.answer(Response::new(Code::CHANGED));
    assert!(payload(&first).ends_with("</3303/0>"));
    let second = bench.answer(Response::new(Code::CHANGED));
    assert!(payload(&second).ends_with("</3303/0>,</3303/1>"));
    assert!(bench.asked.is_empty());
}

#[test]
fn instances_known_from_before_are_registered_without_values() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.client.add_instance(3303, 7, bench.now).unwrap();
    assert!(bench.client.add_instance(3, 1, bench.now).is_err());
    assert!(bench.client.add_instance(3303, u16::MAX, bench.now).is_err());
    bench.link_up();
    assert!(payload(&bench.grant()).ends_with(",</3303/7>"));
    assert_eq!(bench.get("/3303/7"), Response::content(112, vec![0x80]));
}

#[test]
fn lifetime_written_goes_out_as_update_after_the_answer_upd_03_wr_16() {
    let mut bench = Bench::registered();
    let write = |lifetime: &str| CoapRequest {
        content_format: Some(0),
        payload: lifetime.into(),
        ..request(Method::Put, "/1/0/1")
    };
    assert_eq!(bench.send(write("86400")).code, Code::CHANGED);
    assert!(bench.asked.is_empty());
    assert_eq!(bench.send(write("300")).code, Code::CHANGED);
    let update = bench.answer(Response::new(Code::CHANGED));
    assert_eq!(query(&update), "lt=300");
    assert!(update.payload.is_empty());
    let updated = bench.now;
    bench.advance_to_next_deadline();
    assert_eq!(bench.now - updated, seconds(300 - 93), "time for all resends");
}

#[test]
fn update_trigger_is_answered_then_updates_upd_04() {
    let mut bench = Bench::registered();
    assert_eq!(bench.send(request(Method::Post, "/1/0/8")).code, Code::CHANGED);
    assert_eq!(bench.asked.len(), 1);
    bench.answer(Response::new(Code::CHANGED));
    assert!(bench.asked.is_empty());
}

#[test]
fn requests_are_served_while_registering_reg_19() {
    let mut bench = Bench::new(settings(1), Version::V1_1);
    bench.link_up();
    assert_eq!(text(&bench.get("/3/0/16")), "U");
    bench.grant();
    bench.advance_to_next_deadline();
    assert_eq!(text(&bench.get("/3/0/16")), "U");
}

#[test]
fn servers_register_side_by_side_and_fail_alone_reg_22_rty_06() {
    let mut bench = Bench::new(settings(2), Version::V1_1);
    bench.link_up();
    assert_eq!(bench.asked.iter().map(|asked| asked.peer).collect::<Vec<_>>(), [peer(1), peer(2)]);
    bench.fail(Failure::TimedOut);
    bench.grant();
    let states: Vec<_> = bench.client.servers().map(|server| server.state).collect();
    assert_eq!(states, ["not registered", "registered"]);
}

#[test]
fn a_server_that_is_away_holds_up_nobody_reg_22_srv_02_srv_03() {
    let mut settings = settings(3);
    settings.servers[1].lifetime = seconds(600);
    settings.servers[2].lifetime = seconds(3600);
    let mut bench = Bench::new(settings, Version::V1_1);
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.link_up();
    // The first never answers; the Register stays open all the time.
    let dead = bench.asked.pop_front().unwrap();
    assert_eq!(dead.peer, peer(1));
    bench.grant_all();
    let locations: Vec<_> = bench.client.servers().map(|server| server.location).collect();
    assert_eq!(locations, [None, Some("/rd/203.0.113.2".into()), Some("/rd/203.0.113.3".into())]);
    bench.observe_from(2, "/3303");
    bench.observe_from(3, "/3303");
    let start = bench.now;
    let mut updates = BTreeMap::new();
    while bench.client.poll_timeout().unwrap().at < start + seconds(7200) {
        bench.advance_to_next_deadline();
        while let Some(asked) = bench.asked.front() {
            *updates.entry(asked.peer).or_insert(0) += 1;
            bench.answer(Response::new(Code::CHANGED));
        }
    }
    // Every 507 s and every 3240 s.
    assert_eq!(updates, BTreeMap::from([(peer(2), 14), (peer(3), 2)]));
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 2);
}

#[test]
fn another_address_of_a_server_gets_a_register_reg_28() {
    let mut bench = Bench::registered_at(settings(2));
    bench.client.set_peer(1, peer(2), bench.now);
    bench.drain();
    assert!(bench.asked.is_empty(), "the other server's address");
    bench.client.set_peer(1, peer(9), bench.now);
    bench.drain();
    let asked: Vec<_> = bench.asked.iter().map(|asked| (asked.peer, asked.request.path.join("/"))).collect();
    assert_eq!(asked, [(peer(9), "rd".to_owned())]);
}

#[test]
fn register_ends_the_observations_of_that_server_alone_reg_18() {
    let mut bench = Bench::registered_at(settings(2));
    bench.set(TEMPERATURE, 1.0, 1);
    let (first, second) = (bench.observe_from(1, "/3303"), bench.observe_from(2, "/3303"));
    bench.client.set_peer(1, peer(9), bench.now);
    bench.drain();
    assert!(!bench.observations.contains_key(&first) && bench.observations.contains_key(&second));
    assert!(bench.events.contains(&Event::ObservationEnded {
        server: 1,
        path: path("/3303"),
        why: "the server has another address"
    }));
}

#[test]
fn observation_made_while_the_register_is_open_lives_on() {
    let mut bench = Bench::registered();
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    // The server has our Register, its Observe overtakes its answer.
    let id = bench.observe("/3/0");
    bench.grant();
    assert!(bench.observations.contains_key(&id));
    assert_eq!(bench.client.servers().next().unwrap().observations, 1);
}

#[test]
fn shutdown_is_bounded_and_sends_nothing_but_deregister_upd_13_der_04() {
    let mut bench = Bench::registered_at(settings(2));
    bench.set(TEMPERATURE, 1.0, 1);
    bench.client.shutdown(bench.now);
    bench.drain();
    assert!(bench.asked.iter().all(|asked| asked.request.method == Method::Delete) && bench.asked.len() == 2);
    bench.answer(Response::new(Code::NOT_FOUND));
    assert!(!bench.client.is_shut_down());
    assert_eq!(bench.advance_to_next_deadline(), "end of shutdown");
    assert!(bench.client.is_shut_down() && bench.client.poll_timeout().is_none() && bench.asked.is_empty());
}

#[test]
fn deregister_does_not_wait_behind_a_notification_der_04() {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.observe("/3303");
    bench.set(TEMPERATURE, 2.0, 1);
    assert_eq!(bench.notified.len(), 1);
    bench.client.shutdown(bench.now);
    bench.drain();
    assert!(bench.notified.is_empty());
    assert_eq!(bench.asked[0].request.method, Method::Delete);
}

#[test]
fn shutdown_without_link_or_with_kept_registrations_is_immediate() {
    let mut bench = Bench::registered();
    bench.client.handle_link(false, false, bench.now);
    bench.client.shutdown(bench.now);
    bench.drain();
    assert!(bench.client.is_shut_down() && bench.asked.is_empty());
    let mut bench = Bench::registered_at(Settings { on_stop: OnStop::Keep, ..settings(1) });
    bench.client.shutdown(bench.now);
    bench.drain();
    assert!(bench.client.is_shut_down() && bench.asked.is_empty());
}

#[test]
fn shutdown_during_an_open_update_deregisters() {
    let mut bench = Bench::registered();
    bench.advance_to_next_deadline();
    bench.client.shutdown(bench.now);
    bench.drain();
    assert_eq!(bench.asked.iter().map(|asked| asked.request.method).collect::<Vec<_>>(), [Method::Delete]);
}
