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

fn delete(bench: &mut Bench, path: &str) -> Code {
    bench.send(request(Method::Delete, path)).code
}

#[test]
fn empty_held_object_is_listed_and_reads_as_nothing_rd_05() {
    let mut bench = Bench::new(Settings { held_objects: BTreeSet::from([16]), ..settings(1) }, Version::V1_1);
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
