//! Write-Attributes and what Discover shows of it, over the whole door.

use super::*;

/// Registered at two servers, with temperatures in two instances and a multiple-instance resource of texts.
fn bench() -> Bench {
    let mut bench = Bench::registered_at(settings(2));
    for instance in [0, 1] {
        let at = Path::resource_of(3303, instance, 5700);
        bench.client.set_mapped(at, Value::Float(1.0), None, bench.now).unwrap();
    }
    for at in ["/3349/0/5912/0", "/3349/0/5912/3"] {
        bench.client.set_mapped(path(at), Value::String("a".into()), None, bench.now).unwrap();
    }
    bench.drain();
    bench
}

fn write(bench: &mut Bench, path: &str, query: &str) -> Code {
    bench.send(write_attributes(path, query)).code
}

fn discover_as(bench: &mut Bench, server: u8, path: &str) -> String {
    let id = bench.send_from(server, CoapRequest { accept: Some(40), ..request(Method::Get, path) });
    let response = bench.responses.remove(&id).expect("answered at once");
    assert_eq!((response.code, response.content_format), (Code::CONTENT, Some(40)), "{path}");
    text(&response)
}

fn discover(bench: &mut Bench, path: &str) -> String {
    discover_as(bench, 1, path)
}

#[test]
fn attributes_are_written_at_every_level_and_shown_there_wa_01_wa_03_dsc_06_dsc_09_dsc_12() {
    let mut bench = bench();
    for (path, query) in [
        ("/3303", "pmin=1"),
        ("/3303/0", "pmax=60&epmin=2&epmax=30"),
        ("/3303/0/5700", "gt=50.0&lt=42.20&st=1"),
        ("/3349/0/5912/3", "pmin=7"),
    ] {
        assert_eq!(write(&mut bench, path, query), Code::CHANGED, "{path}");
    }
    assert_eq!(
        discover(&mut bench, "/3303"),
        "</3303>;ver=1.1;pmin=1,</3303/0>;pmax=60;epmin=2;epmax=30,</3303/0/5700>;gt=50;lt=42.2;st=1,\
         </3303/1>,</3303/1/5700>"
    );
    assert_eq!(
        discover(&mut bench, "/3349/0/5912"),
        "</3349/0/5912>;dim=2,</3349/0/5912/0>,</3349/0/5912/3>;pmin=7"
    );
}

#[test]
fn addressed_link_shows_what_it_inherits_but_no_server_defaults_dsc_07() {
    let mut bench = bench();
    let defaults = CoapRequest {
        content_format: Some(11542),
        payload: vec![0xc1, 2, 5, 0xc1, 3, 50],
        ..request(Method::Post, "/1/0")
    };
    assert_eq!(bench.send(defaults).code, Code::CHANGED);
    write(&mut bench, "/3303", "pmin=1&pmax=60");
    write(&mut bench, "/3303/0", "pmin=9");
    assert_eq!(discover(&mut bench, "/3303/0"), "</3303/0>;pmin=9;pmax=60,</3303/0/5700>");
    assert_eq!(discover(&mut bench, "/3303/0/5700"), "</3303/0/5700>;pmin=9;pmax=60");
    assert_eq!(discover(&mut bench, "/3349/0"), "</3349/0>,</3349/0/5912>;dim=2");
}

#[test]
fn each_server_has_its_own_wa_03_dsc_08() {
    let mut bench = bench();
    write(&mut bench, "/3303/1", "pmin=1");
    bench.send_from(2, write_attributes("/3303/1", "pmax=60"));
    assert_eq!(discover_as(&mut bench, 1, "/3303/1"), "</3303/1>;pmin=1,</3303/1/5700>");
    assert_eq!(discover_as(&mut bench, 2, "/3303/1"), "</3303/1>;pmax=60,</3303/1/5700>");
}

#[test]
fn what_cannot_stand_is_refused_and_changes_nothing_wa_05_wa_06_wa_07_wa_08_wa_12() {
    let mut bench = bench();
    write(&mut bench, "/3303/0/5700", "gt=50&pmin=3");
    for (path, query, code) in [
        // Only numbers have limits.
        ("/3303", "gt=1", Code::BAD_REQUEST),
        ("/3303/0", "lt=1", Code::BAD_REQUEST),
        ("/3349/0/5912", "st=1", Code::BAD_REQUEST),
        ("/3/0/4", "gt=1", Code::BAD_REQUEST),
        // Together with what is stored it makes no sense.
        ("/3303/0/5700", "pmin=4&lt=50", Code::BAD_REQUEST),
        ("/3303/0/5700", "pmin=4&lt=20&st=15", Code::BAD_REQUEST),
        ("/3303/0/5700", "epmin=2&epmax=2", Code::BAD_REQUEST),
        ("/3303/0/5700", "pmin=-1", Code::BAD_REQUEST),
        ("/3303/0/5700", "pmin=4&color=red", Code::BAD_REQUEST),
        ("/3303/0/5700", "pmin=4&pmin=5", Code::BAD_REQUEST),
        ("/3303/2", "pmin=1", Code::NOT_FOUND),
        ("/3303/0/5701", "pmin=1", Code::NOT_FOUND),
        ("/3349/0/5912/1", "pmin=1", Code::NOT_FOUND),
        ("/5", "pmin=1", Code::NOT_FOUND),
        ("/0/1", "pmin=1", Code::UNAUTHORIZED),
        ("/", "pmin=1", Code::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(write(&mut bench, path, query), code, "{path} {query}");
    }
    assert_eq!(discover(&mut bench, "/3303/0/5700"), "</3303/0/5700>;pmin=3;gt=50");
    assert_eq!(write(&mut bench, "/3303/0/5700", "pmin=60&pmax=30"), Code::CHANGED);
    // Taking a limit away is possible anywhere.
    assert_eq!(write(&mut bench, "/3303/0", "gt"), Code::CHANGED);
}

#[test]
fn put_that_says_nothing_is_refused() {
    let mut bench = bench();
    assert_eq!(bench.send(request(Method::Put, "/3303/0")).code, Code::BAD_REQUEST);
    let both = CoapRequest { payload: b"1".into(), ..write_attributes("/3303/0", "pmin=1") };
    assert_eq!(bench.send(both).code, Code::BAD_REQUEST);
}

#[test]
fn names_without_value_remove_and_the_others_stay_wa_02() {
    let mut bench = bench();
    write(&mut bench, "/3303/0/5700", "pmin=10&pmax=200&st=1&lt=20&gt=50");
    assert_eq!(discover(&mut bench, "/3303/0/5700"), "</3303/0/5700>;pmin=10;pmax=200;gt=50;lt=20;st=1");
    assert_eq!(write(&mut bench, "/3303/0/5700", "pmax&lt=10&gt"), Code::CHANGED);
    assert_eq!(discover(&mut bench, "/3303/0/5700"), "</3303/0/5700>;pmin=10;lt=10;st=1");
}

#[test]
fn attributes_outlive_observation_update_and_register_wa_11() {
    let mut bench = bench();
    write(&mut bench, "/3303/0", "pmin=10");
    let id = bench.observe("/3303/0");
    bench.client.handle_event(CoapEvent::ObservationEnded { id, why: Ending::Cancelled }, bench.now);
    bench.client.handle_link(true, true, bench.now);
    bench.drain();
    bench.grant_all();
    assert_eq!(discover(&mut bench, "/3303/0"), "</3303/0>;pmin=10,</3303/0/5700>");
}

#[test]
fn attributes_of_a_resource_instance_go_with_it_wa_11() {
    let mut bench = bench();
    bench.client.replace_access([((3349, 5912), Access { writable: true, executable: false })].into());
    write(&mut bench, "/3349/0/5912", "pmin=2");
    write(&mut bench, "/3349/0/5912/3", "pmin=7");
    let gone = Content::Multiple(vec![(0, Value::String("b".into()))]);
    bench.client.apply(vec![(path("/3349/0/5912"), Some(gone))]);
    let back = Content::Multiple(vec![(3, Value::String("c".into()))]);
    bench.client.apply(vec![(path("/3349/0/5912"), Some(back))]);
    assert_eq!(discover(&mut bench, "/3349/0/5912"), "</3349/0/5912>;dim=1;pmin=2,</3349/0/5912/3>");
}

#[test]
fn attributes_of_an_instance_go_with_it_wa_11() {
    let mut bench = Bench::registered_at(Settings { held_objects: BTreeSet::from([16]), ..settings(1) });
    bench.client.create(&[path("/16/1")], vec![], bench.now);
    write(&mut bench, "/16", "pmin=2");
    write(&mut bench, "/16/1", "pmax=60");
    assert_eq!(bench.send(request(Method::Delete, "/16/1")).code, Code::DELETED);
    bench.client.create(&[path("/16/1")], vec![], bench.now);
    assert_eq!(discover(&mut bench, "/16/1"), "</16/1>;pmin=2");
}

#[test]
fn written_periods_act_on_running_observations_and_are_no_reason_by_themselves_wa_10_ntf_01_ntf_17() {
    let mut bench = Bench::registered();
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    bench.advance(seconds(31));
    bench.answer(Response::new(Code::CHANGED));
    bench.observe("/3303/0/5700");
    let answered = bench.now;
    write(&mut bench, "/3303", "pmin=20&pmax=20");
    assert!(bench.notified.is_empty());
    bench.set(TEMPERATURE, 2.0, 1);
    assert!(bench.notified.is_empty());
    // A strict period: pmin and pmax are the same.
    for period in 1..=3 {
        assert_eq!(bench.advance_to_next_deadline(), "notification due");
        assert_eq!(bench.now - answered, seconds(20 * period));
        assert_eq!(text(&bench.acknowledge()), "2");
    }
    // A lower level goes before a higher one, and pmax below pmin does not count.
    write(&mut bench, "/3303/0/5700", "pmin=40");
    bench.set(TEMPERATURE, 3.0, 2);
    assert_eq!(bench.advance_to_next_deadline(), "notification due");
    assert_eq!(bench.now - answered, seconds(100));
    assert_eq!(text(&bench.acknowledge()), "3");
    assert_ne!(bench.advance_to_next_deadline(), "notification due");
}
