//! Write and Delete on an object that is held for the servers, over the whole door.

use super::*;

/// Registered, holding Portfolio (16) with `/16/0` and `/16/2`.
fn bench() -> Bench {
    let mut bench = Bench::registered_at(Settings { held_objects: BTreeSet::from([16]), ..settings(2) });
    for instance in [0, 2] {
        let at = Path::instance_of(16, instance);
        let identity = Content::Multiple(vec![(0, Value::String("host".into()))]);
        bench.client.tree.add_instance(at);
        bench.client.held.instances_made(1);
        bench.client.apply(vec![(at.child(0).unwrap(), Some(identity))]);
    }
    bench.drain();
    bench.grant_all();
    bench
}

/// Holding 16, which has no instance yet.
fn empty_bench() -> Bench {
    Bench::registered_at(Settings { held_objects: BTreeSet::from([16]), ..settings(1) })
}

fn create(bench: &mut Bench, format: u16, payload: impl Into<Vec<u8>>) -> (Code, String) {
    let response = bench.send(with_body(Method::Post, "/16", format, payload));
    (response.code, response.location_path.join("/"))
}

/// Resource 0 with instance 0 = "x" in TLV.
const IDENTITY: [u8; 5] = [0x83, 0, 0x41, 0, b'x'];

fn delete(bench: &mut Bench, path: &str) -> Code {
    bench.send(request(Method::Delete, path)).code
}

#[test]
fn empty_held_object_is_listed_and_reads_as_nothing_rd_05() {
    let held_objects = BTreeSet::from([16]);
    let mut bench = Bench::new(Settings { held_objects, ..settings(1) }, Version::V1_1);
    bench.link_up();
    assert_eq!(String::from_utf8(bench.grant().payload).unwrap(), "</1/0>,</3/0>,</4/0>,</7/0>,</16>");
    assert_eq!(bench.send(read("/16", 11542)), Response::content(11542, vec![]));
    assert_eq!(text(&bench.send(read("/16", 40))), "</16>");
    assert_eq!(bench.get("/16/0").code, Code::NOT_FOUND);
}

#[test]
fn instance_is_deleted_once_and_announced_soon_dl_01_cr_09() {
    // UPD-08
    let mut bench = bench();
    assert_eq!(delete(&mut bench, "/16/1"), Code::NOT_FOUND);
    assert_eq!(delete(&mut bench, "/16/2"), Code::DELETED);
    assert_eq!(delete(&mut bench, "/16/2"), Code::NOT_FOUND);
    assert_eq!(bench.get("/16/2/0").code, Code::NOT_FOUND);
    assert!(bench.asked.is_empty(), "another may follow");
    bench.advance(seconds(5));
    let payload = String::from_utf8(bench.answer(Response::new(Code::CHANGED)).payload).unwrap();
    assert!(payload.contains("</16/0>") && !payload.contains("</16/2>"), "{payload}");
}

#[test]
fn only_instances_of_held_objects_are_deleted_dl_02_dl_03() {
    let mut bench = bench();
    bench.set(TEMPERATURE, 1.0, 1);
    for path in ["/16", "/16/0/0", "/16/0/0/0", "/3", "/3/0", "/1/0", "/3303/0", "/3303/0/5700", "/"] {
        assert_eq!(delete(&mut bench, path), Code::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(delete(&mut bench, "/0/1"), Code::UNAUTHORIZED);
    assert_eq!(delete(&mut bench, "/9"), Code::NOT_FOUND);
    assert_eq!(bench.get("/16/0/0/0").payload, b"host");
}

#[test]
fn observations_of_a_deleted_instance_end_with_404_dl_05() {
    let mut bench = bench();
    for path in ["/16/2", "/16/2/0"] {
        bench.observe(path);
    }
    let above = bench.observe("/16");
    assert_eq!(delete(&mut bench, "/16/2"), Code::DELETED);
    // The observers of what is gone get its error, which ends them; the object's observer gets what is left.
    let last = bench.responses.remove(&RequestId(u64::MAX)).unwrap();
    assert_eq!(last.code, Code::NOT_FOUND);
    let left = bench.acknowledge();
    assert_eq!((left.code, bench.observations.len()), (Code::CONTENT, 1));
    assert!(bench.observations.contains_key(&above));
}

#[test]
fn instance_is_replaced_or_changed_in_part_wr_01_wr_02_wr_03() {
    let mut bench = bench();
    // 0 = [1 = "x"]
    let body = [0x83, 0, 0x41, 1, b'x'];
    assert_eq!(bench.send(with_body(Method::Post, "/16/0", 11542, body)).code, Code::CHANGED);
    assert_eq!(
        (bench.get("/16/0/0/0").payload, bench.get("/16/0/0/1").payload),
        (b"host".into(), b"x".into())
    );
    assert_eq!(bench.send(with_body(Method::Put, "/16/0", 11542, body)).code, Code::CHANGED);
    assert_eq!(bench.get("/16/0/0/0").code, Code::NOT_FOUND);
    // Without the mandatory one; then a resource that cannot be written.
    assert_eq!(bench.send(with_body(Method::Put, "/16/0", 11542, [])).code, Code::BAD_REQUEST);
    let status = [0xc1, 3, 1];
    assert_eq!(bench.send(with_body(Method::Post, "/16/0", 11542, status)).code, Code::METHOD_NOT_ALLOWED);
    // An empty list empties the resource.
    assert_eq!(bench.send(with_body(Method::Put, "/16/0/0", 11542, [0x80, 0])).code, Code::CHANGED);
    assert_eq!(bench.send(read("/16/0/0", 11542)).payload, [0x80, 0]);
}

#[test]
fn resource_instance_is_written_where_it_is_wr_04_wr_12() {
    let mut bench = bench();
    assert_eq!(bench.send(put("/16/0/0/0", "")).code, Code::CHANGED);
    let empty = bench.get("/16/0/0/0");
    assert_eq!((empty.code, empty.content_format, empty.payload.len()), (Code::CONTENT, Some(0), 0));
    assert_eq!(bench.send(put("/16/0/0/7", "x")).code, Code::NOT_FOUND);
}

#[test]
fn executable_of_a_held_object_is_absent_ex_04() {
    let mut bench = bench();
    assert_eq!(bench.send(request(Method::Post, "/16/0/1")).code, Code::NOT_FOUND);
}

#[test]
fn write_of_one_server_is_told_to_the_other_and_an_unchanged_value_to_nobody_wr_14_wr_15() {
    let mut bench = bench();
    bench.observe_from(2, "/16/0");
    assert_eq!(bench.send(put("/16/0/0/0", "host")).code, Code::CHANGED);
    assert!(bench.notified.is_empty());
    assert_eq!(bench.send(put("/16/0/0/0", "other")).code, Code::CHANGED);
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn no_mapping_feeds_a_held_object() {
    let mut bench = bench();
    let value = Value::String("x".into());
    let refusal = bench.client.set_mapped(path("/16/0/0/0"), value, None, bench.now);
    assert!(matches!(refusal, Err(Refusal::Native(_))));
    assert!(bench.client.add_instance(16, 9, bench.now).is_err());
}

#[test]
fn what_servers_hold_takes_no_room_from_the_sensors() {
    let held_objects = BTreeSet::from([16]);
    let mut bench = Bench::registered_at(Settings { held_objects, max_resources: 30, ..settings(1) });
    for _ in 0..20 {
        assert_eq!(create(&mut bench, 11542, IDENTITY).0, Code::CREATED);
    }
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    let refused = (1..30).map(|id| bench.client.add_instance(3303, id, bench.now)).find_map(Result::err);
    assert_eq!(refused, Some(Refusal::Full(30)));
}

#[test]
fn a_write_beyond_what_is_held_is_refused_whole() {
    let mut bench = bench();
    let text = "x".repeat(60_000);
    let mut values = vec![(0, Value::String("host".into()))];
    let mut write = |instance: u16| {
        let code = bench.send(put("/16/0/0/0", &text)).code;
        values.push((instance, Value::String(text.clone())));
        bench.client.apply(vec![(path("/16/0/0"), Some(Content::Multiple(values.clone())))]);
        code
    };
    let codes: Vec<_> = (1..200).map(&mut write).collect();
    assert_eq!((codes[0], codes[198]), (Code::CHANGED, Code::INTERNAL_SERVER_ERROR));
}

#[test]
fn instance_is_created_where_the_server_or_we_choose_cr_01_cr_02_cr_03_obj_16() {
    let mut bench = empty_bench();
    assert_eq!(create(&mut bench, 11542, IDENTITY), (Code::CREATED, "16/0".into()));
    assert_eq!(bench.get("/16/0/0/0").payload, b"x");
    // The same number under which it was drafted, and with an instance around it.
    let named = |id: u8| [&[0x05, id][..], &IDENTITY].concat();
    assert_eq!(create(&mut bench, 1542, named(7)), (Code::CREATED, "16/7".into()));
    assert_eq!(create(&mut bench, 11542, named(7)).0, Code::BAD_REQUEST);
    assert_eq!(create(&mut bench, 11542, IDENTITY), (Code::CREATED, "16/8".into()));
    let json = r#"[{"bn":"/16/3/","n":"0/0","vs":"y"}]"#;
    assert_eq!(create(&mut bench, 110, json), (Code::CREATED, "16/3".into()));
    assert_eq!(bench.get("/16/3/0/0").payload, b"y");
    assert_eq!(delete(&mut bench, "/16/3"), Code::DELETED);
    assert_eq!(create(&mut bench, 110, json).0, Code::CREATED);
}

#[test]
fn created_instances_are_announced_soon_and_told_to_observers_cr_09() {
    // UPD-08
    let mut bench = empty_bench();
    bench.observe("/16");
    create(&mut bench, 11542, IDENTITY);
    assert_eq!(bench.notified.len(), 1);
    bench.acknowledge();
    bench.advance(seconds(3));
    create(&mut bench, 11542, IDENTITY);
    bench.acknowledge();
    bench.advance(seconds(2));
    let payload = String::from_utf8(bench.answer(Response::new(Code::CHANGED)).payload).unwrap();
    assert!(payload.contains("</16/0>,</16/1>"), "{payload}");
}

#[test]
fn several_instances_are_created_together_or_not_at_all_cr_07() {
    let mut bench = empty_bench();
    let both = |first: u8, second: u8| [&[0x05, first][..], &IDENTITY, &[0x05, second], &IDENTITY].concat();
    assert_eq!(create(&mut bench, 11542, both(1, 2)), (Code::CREATED, String::new()));
    assert_eq!(create(&mut bench, 11542, both(2, 3)).0, Code::BAD_REQUEST);
    let second_is_empty = [&[0x05, 3][..], &IDENTITY, &[0x00, 4]].concat();
    assert_eq!(create(&mut bench, 11542, second_is_empty).0, Code::BAD_REQUEST);
    let instances: Vec<_> = bench.client.tree().instances(path("/16")).collect();
    assert_eq!(instances, [path("/16/1"), path("/16/2")]);
}

#[test]
fn create_needs_the_mandatory_resources_and_ignores_unknown_ones_cr_04() {
    let mut bench = empty_bench();
    assert_eq!(create(&mut bench, 11542, []).0, Code::BAD_REQUEST);
    assert_eq!(create(&mut bench, 110, "[]").0, Code::BAD_REQUEST);
    // 3 is AuthStatus, which servers do not write; 1 is executable; 99 is nothing.
    for (resource, code) in [
        ([0xc1, 3, 1], Code::METHOD_NOT_ALLOWED),
        ([0xc1, 1, 1], Code::METHOD_NOT_ALLOWED),
        ([0xc1, 99, 1], Code::CREATED),
    ] {
        assert_eq!(create(&mut bench, 11542, [&IDENTITY[..], &resource].concat()).0, code, "{resource:?}");
    }
    assert_eq!(bench.client.tree().instances(path("/16")).count(), 1);
}

#[test]
fn create_elsewhere_is_refused_cr_05() {
    let mut bench = empty_bench();
    bench.set(TEMPERATURE, 1.0, 1);
    let code = |bench: &mut Bench, path| bench.send(with_body(Method::Post, path, 11542, IDENTITY)).code;
    for path in ["/3", "/1", "/7", "/3303"] {
        assert_eq!(code(&mut bench, path), Code::METHOD_NOT_ALLOWED, "{path}");
    }
    assert_eq!(code(&mut bench, "/0"), Code::UNAUTHORIZED);
    assert_eq!(code(&mut bench, "/9"), Code::NOT_FOUND);
}

#[test]
fn second_instance_of_a_single_instance_object_is_refused_cr_05() {
    let model = Model::builtin();
    let single = model.objects().find(|object| {
        let mut mandatory = object.resources().iter().filter(|resource| resource.mandatory);
        !object.multiple && object.id > 9 && !mandatory.any(|resource| resource.operations.is_writable())
    });
    let id = single.expect("such an object").id;
    let mut bench = Bench::registered_at(Settings { held_objects: BTreeSet::from([id]), ..settings(1) });
    let at = format!("/{id}");
    let code =
        |bench: &mut Bench, payload: &[u8]| bench.send(with_body(Method::Post, &at, 11542, payload)).code;
    assert_eq!(code(&mut bench, &[0x00, 5]), Code::BAD_REQUEST);
    assert_eq!(code(&mut bench, &[]), Code::CREATED);
    assert_eq!(code(&mut bench, &[]), Code::METHOD_NOT_ALLOWED);
}

#[test]
fn create_in_a_format_for_one_value_is_400_and_in_an_unknown_one_415_cr_06() {
    let mut bench = empty_bench();
    for (format, code) in [
        (0, Code::BAD_REQUEST),
        (42, Code::BAD_REQUEST),
        (40, Code::UNSUPPORTED_CONTENT_FORMAT),
        (60, Code::UNSUPPORTED_CONTENT_FORMAT),
        (999, Code::UNSUPPORTED_CONTENT_FORMAT),
    ] {
        assert_eq!(create(&mut bench, format, IDENTITY).0, code, "{format}");
    }
    assert_eq!(bench.send(request(Method::Post, "/16")).code, Code::BAD_REQUEST);
    assert_eq!(bench.send(with_body(Method::Post, "/", 11542, IDENTITY)).code, Code::METHOD_NOT_ALLOWED);
}

#[test]
fn what_is_held_is_written_in_every_format_alike_wr_05_wr_13() {
    let mut bench = bench();
    let json = r#"[{"bn":"/16/0/0/","n":"0","vs":"a"},{"n":"1","vs":"b"}]"#;
    assert_eq!(bench.send(with_body(Method::Put, "/16/0", 110, json)).code, Code::CHANGED);
    assert_eq!((bench.get("/16/0/0/0").payload, bench.get("/16/0/0/1").payload), (b"a".into(), b"b".into()));
    // A good record and one outside of the path; of another type; no array.
    for json in [
        r#"[{"n":"/16/0/0/0","vs":"c"},{"n":"/16/2/0/0","vs":"c"}]"#,
        r#"[{"n":"/16/0/0/0","vs":"c"},{"n":"/16/0/0/1","v":1}]"#,
        r#"{"n":"/16/0/0/0","vs":"c"}"#,
    ] {
        assert_eq!(bench.send(with_body(Method::Post, "/16/0", 110, json)).code, Code::BAD_REQUEST, "{json}");
    }
    assert_eq!(bench.get("/16/0/0/0").payload, b"a");
}
