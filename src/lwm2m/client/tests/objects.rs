//! Objects 1, 3, 6 and 7 over the whole door.

use super::*;
use crate::net::{Cell, Signal, Traffic};

fn execute(bench: &mut Bench, path: &str) -> Code {
    bench.send(request(Method::Post, path)).code
}

#[test]
fn server_object_has_its_resources_with_their_rights_obj_01() {
    for version in [Version::V1_0, Version::V1_1] {
        let mut bench = Bench::new(settings(1), version);
        bench.link_up();
        bench.grant_all();
        let links = text(&bench.send(read("/1/0", 40)));
        assert_eq!(links, "</1/0>,</1/0/0>,</1/0/1>,</1/0/4>,</1/0/5>,</1/0/6>,</1/0/7>,</1/0/8>");
        assert_eq!(bench.send(put("/1/0/0", "7")).code, Code::METHOD_NOT_ALLOWED);
        for (path, value) in [
            ("/1/0/1", "300"),
            ("/1/0/2", "10"),
            ("/1/0/3", "60"),
            ("/1/0/5", "900"),
            ("/1/0/6", "0"),
            ("/1/0/7", "U"),
        ] {
            assert_eq!(bench.send(put(path, value)).code, Code::CHANGED, "{path}");
            assert_eq!(text(&bench.get(path)), value);
        }
        assert_eq!(bench.send(put("/1/0/5", "-1")).code, Code::BAD_REQUEST);
    }
}

#[test]
fn native_objects_have_what_their_version_has_and_no_more_obj_18() {
    let signal = Signal { sinr_db: Some(3.0), rsrp_dbm: Some(-90), ..Signal::default() };
    let cell = Cell { tac: Some(1), ..Cell::default() };
    for version in [Version::V1_0, Version::V1_1] {
        let mut bench = Bench::new(settings(1), version);
        let link = LinkFacts { signal, cell: cell.clone(), ..LinkFacts::default() };
        bench.client.set_facts(link, HostFacts::default());
        bench.link_up();
        let list = String::from_utf8(bench.grant().payload).unwrap();
        // The versions that the enabler implies go without saying.
        assert_eq!(list, "</1/0>,</3/0>,</4/0>,</7/0>");
        let model = Model::for_enabler(version);
        for object in [1, 3, 4, 7] {
            let links = text(&bench.send(read(&format!("/{object}/0"), 40)));
            let targets = links.split(',').filter_map(|link| link.split(['<', '>']).nth(1));
            let resources: Vec<u16> = targets.filter_map(|target| path(target).resource()).collect();
            assert!(resources.iter().all(|id| model.resource(object, *id).is_some()), "{links}");
        }
        // SINR and LAC came with later versions of object 4.
        let code = if version == Version::V1_0 { Code::NOT_FOUND } else { Code::CONTENT };
        assert_eq!((bench.get("/4/0/11").code, bench.get("/4/0/12").code), (code, code));
    }
}

#[test]
fn lifetime_takes_effect_after_the_answer_wr_16() {
    let mut bench = Bench::registered();
    let id = RequestId(1 << 32 | 99);
    let request = put("/1/0/1", "300");
    bench.client.handle_event(CoapEvent::Request { id, peer: peer(1), request }, bench.now);
    let Some(Action::Respond { response, .. }) = bench.client.poll_action(bench.now) else {
        panic!("an answer")
    };
    assert_eq!(response.code, Code::CHANGED);
    bench.drain();
    assert_eq!(bench.asked[0].request.query, ["lt=300"]);
}

#[test]
fn update_trigger_updates_after_its_answer_ex_05() {
    // OBJ-01
    let mut bench = Bench::registered();
    assert_eq!(execute(&mut bench, "/1/0/8"), Code::CHANGED);
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn disable_is_answered_then_obeyed_for_the_disable_timeout_ex_05_obj_01() {
    // DER-02
    let mut bench = Bench::registered_at(settings(2));
    assert_eq!(bench.send(put("/1/0/5", "900")).code, Code::CHANGED);
    assert_eq!(execute(&mut bench, "/1/0/4"), Code::CHANGED);
    let asked = bench.answer(Response::new(Code::DELETED));
    assert_eq!(asked.method, Method::Delete);
    let disabled = bench.now;
    while bench.asked.is_empty() {
        bench.advance_to_next_deadline();
    }
    assert_eq!((bench.asked[0].peer, bench.now - disabled), (peer(1), seconds(900)));
    assert_eq!(bench.asked.len(), 1, "the other server is not concerned");
}

#[test]
fn error_codes_come_go_and_are_looked_for_anew_obj_02() {
    let mut bench = Bench::registered();
    let weak = |bench: &mut Bench, rsrp_dbm| {
        let signal = Signal { rsrp_dbm: Some(rsrp_dbm), ..Signal::default() };
        bench.client.set_facts(LinkFacts { signal, ..LinkFacts::default() }, HostFacts::default());
        bench.drain();
        text(&bench.get("/3/0/11/0"))
    };
    bench.observe("/3/0/11");
    assert_eq!(weak(&mut bench, -125), "4");
    assert_eq!(bench.notified.len(), 1);
    bench.acknowledge();
    assert_eq!(weak(&mut bench, -118), "4");
    assert_eq!(execute(&mut bench, "/3/0/12"), Code::CHANGED);
    assert_eq!(text(&bench.get("/3/0/11/0")), "0");
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn free_memory_is_read_fresh_and_wakes_nobody_obj_02() {
    let mut bench = Bench::registered();
    let host = |free| HostFacts { memory_free_kib: Some(free), ..HostFacts::default() };
    bench.client.set_host(host(1000));
    bench.observe("/3/0");
    bench.client.set_host(host(900));
    bench.drain();
    assert!(bench.notified.is_empty());
    assert_eq!(text(&bench.get("/3/0/10")), "900");
}

#[test]
fn location_is_there_from_the_first_wall_clock_on_and_only_if_configured_obj_15() {
    let place = Location { latitude: 50.5, longitude: 8.25, altitude: None };
    let mut bench = Bench::registered_at(Settings { location: Some(place), ..settings(1) });
    assert_eq!(bench.get("/6/0").code, Code::NOT_FOUND);
    for secs in [1_767_225_600, 1_767_225_700] {
        bench.client.set_wall_clock(UnixTime::from_secs(secs), bench.now);
    }
    bench.drain();
    assert_eq!((text(&bench.get("/6/0/0")), text(&bench.get("/6/0/1"))), ("50.5".into(), "8.25".into()));
    assert_eq!(text(&bench.get("/6/0/5")), "1767225600");
    assert_eq!(bench.get("/6/0/2").code, Code::NOT_FOUND);
    assert_eq!(bench.send(put("/6/0/0", "1")).code, Code::METHOD_NOT_ALLOWED);
    let mapped = bench.client.set_mapped(path("/6/0/0"), Value::Float(1.0), None, bench.now);
    assert!(matches!(mapped, Err(Refusal::Native(_))));

    let mut bench = Bench::registered();
    bench.client.set_wall_clock(UnixTime::from_secs(1_767_225_600), bench.now);
    assert_eq!(bench.get("/6").code, Code::NOT_FOUND);
}

#[test]
fn traffic_is_counted_between_start_and_stop_obj_04() {
    let mut bench = Bench::registered();
    let carried = |bench: &mut Bench, octets_up, datagrams_up| {
        let traffic = Traffic { octets_up, datagrams_up, ..Traffic::default() };
        bench.client.note_traffic(traffic, Some(1000), bench.now);
    };
    let counts = |bench: &mut Bench| [2, 3, 4, 5].map(|id| text(&bench.get(&format!("/7/0/{id}"))));
    assert_eq!(counts(&mut bench), ["0"; 4]);
    carried(&mut bench, 5_000, 5);
    assert_eq!(execute(&mut bench, "/7/0/6"), Code::CHANGED);
    carried(&mut bench, 7_000, 7);
    assert_eq!(counts(&mut bench), ["2", "0", "1028", "1028"]);
    assert_eq!(execute(&mut bench, "/7/0/7"), Code::CHANGED);
    carried(&mut bench, 9_000, 9);
    assert_eq!(counts(&mut bench)[0], "2");
    // With a period it stops by itself.
    assert_eq!(bench.send(put("/7/0/8", "-1")).code, Code::BAD_REQUEST);
    assert_eq!(bench.send(put("/7/0/8", "60")).code, Code::CHANGED);
    assert_eq!(execute(&mut bench, "/7/0/6"), Code::CHANGED);
    bench.now += seconds(61);
    carried(&mut bench, 20_000, 20);
    assert_eq!(counts(&mut bench), ["0"; 4]);
    assert_eq!(
        text(&bench.send(read("/7/0", 40))),
        "</7/0>,</7/0/2>,</7/0/3>,</7/0/4>,</7/0/5>,</7/0/6>,</7/0/7>,</7/0/8>"
    );
}
