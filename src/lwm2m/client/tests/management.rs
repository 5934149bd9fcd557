//! Read, Discover, Write and Execute, over the whole door.

use super::*;
use crate::lwm2m::downlink::Transaction;
use crate::net::{Identity, Signal};

const LAMP: &str = "/3416/0";

/// Registered, with a lamp whose command can be written and whose hours can be reset.
fn lamp_bench() -> Bench {
    let mut bench = Bench::registered();
    let access = [(1, true), (4, true), (16, false)]
        .map(|(resource, writable)| ((3416, resource), Access { writable, executable: !writable }));
    bench.client.replace_access(access.into());
    bench.client.set_mapped(path("/3416/0/3"), Value::Integer(20), None, bench.now).unwrap();
    bench.drain();
    bench
}

/// The transaction that a request became; it is not answered yet.
fn transaction(bench: &mut Bench, request: CoapRequest) -> (RequestId, Transaction) {
    let id = bench.send_from(1, request);
    assert!(!bench.responses.contains_key(&id));
    let Some(Event::Downlink(transaction)) = bench.events.pop() else { panic!("a transaction") };
    (id, transaction)
}

fn conclude(bench: &mut Bench, (id, transaction): (RequestId, Transaction), outcome: Outcome) -> Response {
    bench.client.handle_downlink(transaction.id, outcome);
    bench.drain();
    bench.responses.remove(&id).expect("answered")
}

#[test]
fn native_objects_show_modem_and_host_obj_02_obj_03() {
    let mut bench = Bench::registered();
    let identity = Identity {
        imei: Some("490154203237518".into()),
        manufacturer: Some("Quectel".into()),
        ..Identity::default()
    };
    let signal = Signal { rsrp_dbm: Some(-97), ..Signal::default() };
    let link = LinkFacts { identity, signal, technology: Some("NBIoT".into()), ..LinkFacts::default() };
    let host = HostFacts { software_version: Some("0.1.0".into()), ..HostFacts::default() };
    bench.client.set_facts(link, host.clone());
    assert_eq!(bench.get("/3/0/0"), Response::content(0, b"Quectel".to_vec()));
    assert_eq!(text(&bench.get("/3/0/2")), "490154203237518");
    assert_eq!(text(&bench.get("/3/0/19")), "0.1.0");
    assert_eq!(text(&bench.get("/4/0/2")), "-97");
    assert_eq!(text(&bench.get("/4/0/0")), "7");
    assert_eq!(text(&bench.get("/1/0/0")), "1");
    assert_eq!(text(&bench.get("/1/0/1")), "86400");
    // A fact that is no longer known is no longer there.
    bench.client.set_facts(LinkFacts::default(), host);
    assert_eq!(bench.get("/4/0/2").code, Code::NOT_FOUND);
}

#[test]
fn clock_goes_on_by_itself_and_tells_no_observer_obj_02() {
    let mut bench = Bench::registered();
    assert_eq!(bench.get("/3/0/13").code, Code::NOT_FOUND);
    bench.client.set_wall_clock(UnixTime::from_secs(1_767_225_600), bench.now);
    assert_eq!(text(&bench.get("/3/0/13")), "1767225600");
    bench.observe("/3/0");
    bench.advance(seconds(60));
    assert_eq!(text(&bench.get("/3/0/13")), "1767225660");
    assert!(bench.notified.is_empty());
}

#[test]
fn formats_are_chosen_by_accept_else_text_for_one_and_a_version_s_own_for_many_rd_02_rd_03_rd_08_rd_09() {
    for (version, own) in [(Version::V1_0, 11542), (Version::V1_1, 112)] {
        let mut bench = Bench::new(settings(1), version);
        let formats = |bench: &mut Bench, path: &str| {
            let of = |response: Response| (response.code, response.content_format);
            let plain = of(bench.get(path));
            let asked = [0, 42, 11542, 1542, 112, 110, 60].map(|accept| of(bench.send(read(path, accept))));
            (plain, asked)
        };
        let content = |format| (Code::CONTENT, Some(format));
        let refused = (Code::NOT_ACCEPTABLE, None);
        let [tlv, old_tlv, cbor, json] = [11542, 1542, 112, 110].map(content);
        assert_eq!(
            formats(&mut bench, "/3/0/16"),
            (content(0), [content(0), refused, tlv, old_tlv, cbor, json, refused])
        );
        for many in ["/3", "/3/0", "/3/0/11"] {
            assert_eq!(
                formats(&mut bench, many),
                (content(own), [refused, refused, tlv, old_tlv, cbor, json, refused])
            );
        }
    }
}

#[test]
fn a_read_leaves_out_what_cannot_be_read_or_has_no_value_and_says_no_time_rd_04_rd_13() {
    let mut bench = lamp_bench();
    bench.client.set_wall_clock(UnixTime::from_secs(1_767_225_600), bench.now);
    // The command has no value yet, and resetting the hours is for executing alone.
    let json = bench.send(read(LAMP, 110));
    assert_eq!(text(&json), r#"[{"bn":"/3416/0/3","v":20}]"#);
}

#[test]
fn an_opaque_value_is_octets_or_as_text_base64_and_may_be_empty_rd_10_rd_11() {
    let mut bench = Bench::registered();
    for (octets, base64) in [(vec![1, 2, 3, 4], "AQIDBA=="), (vec![], "")] {
        bench.client.set_mapped(path("/14/0/1"), Value::Opaque(octets.clone()), None, bench.now).unwrap();
        assert_eq!(bench.get("/14/0/1"), Response::content(42, octets));
        assert_eq!(bench.send(read("/14/0/1", 0)), Response::content(0, base64.into()));
    }
}

#[test]
fn one_resource_instance_is_read_by_itself_under_its_full_name_rd_12() {
    let mut bench = Bench::registered();
    for (id, value) in [(0, "a"), (3, "b")] {
        let at = path("/3349/0/5912").child(id).unwrap();
        bench.client.set_mapped(at, Value::String(value.into()), None, bench.now).unwrap();
    }
    assert_eq!(bench.get("/3349/0/5912/3"), Response::content(0, b"b".to_vec()));
    let json = bench.send(read("/3349/0/5912/3", 110));
    assert_eq!(text(&json), r#"[{"bn":"/3349/0/5912/3","vs":"b"}]"#);
    assert_eq!(bench.get("/3349/0/5912/1").code, Code::NOT_FOUND);
    assert_eq!(bench.get("/3349/0/5912/3/0").code, Code::NOT_FOUND);
}

#[test]
fn what_is_not_there_is_missed_before_anything_else_dm_06_rd_07() {
    let mut bench = lamp_bench();
    for path in
        ["/9", "/3/1", "/3303", "/3/0/99", "/3/0/0/5", "/3416/0/1", "/3416/1/1", "/x", "/03", "/3/0/11/0/1"]
    {
        assert_eq!(bench.get(path).code, Code::NOT_FOUND, "{path}");
        assert_eq!(bench.send(read(path, 60)).code, Code::NOT_FOUND, "{path}");
    }
    for path in ["/9", "/9/0", "/3416/7", "/3416/0/99", "/3416/7/1", "/3/0/11/7"] {
        assert_eq!(bench.send(put(path, "1")).code, Code::NOT_FOUND, "{path}");
        for method in [Method::Put, Method::Post, Method::Delete, Method::Fetch, Method::Ipatch] {
            assert_eq!(bench.send(request(method, path)).code, Code::NOT_FOUND, "{method:?} {path}");
        }
    }
}

#[test]
fn discover_lists_instances_that_have_no_value_yet_dsc_03_dsc_05() {
    let mut bench = Bench::registered();
    for instance in [0, 1] {
        bench.client.add_instance(3303, instance, bench.now).unwrap();
    }
    assert_eq!(text(&bench.send(read("/3303", 40))), "</3303>;ver=1.1,</3303/0>,</3303/1>");
    assert_eq!(text(&bench.send(read("/3303/1", 40))), "</3303/1>");
    bench.client.set_mapped(TEMPERATURE, Value::Float(1.0), None, bench.now).unwrap();
    let links = "</3303>;ver=1.1,</3303/0>,</3303/0/5700>,</3303/1>";
    assert_eq!(text(&bench.send(read("/3303", 40))), links);
}

#[test]
fn security_is_closed_to_every_operation_dm_07() {
    let mut bench = Bench::registered();
    for path in ["/0", "/0/1", "/0/1/0", "/0/9/9", "/21/0"] {
        for method in [Method::Get, Method::Post, Method::Put, Method::Delete] {
            assert_eq!(bench.send(with_body(method, path, 0, "x")).code, Code::UNAUTHORIZED, "{path}");
        }
        assert_eq!(bench.send(read(path, 40)).code, Code::UNAUTHORIZED);
    }
}

#[test]
fn root_and_operations_that_are_not_served_are_refused_dm_02_dl_02() {
    let mut bench = lamp_bench();
    let code = |bench: &mut Bench, method, path| bench.send(request(method, path)).code;
    for method in [Method::Get, Method::Put, Method::Post, Method::Delete] {
        assert_eq!(code(&mut bench, method, "/"), Code::METHOD_NOT_ALLOWED);
    }
    for method in [Method::Fetch, Method::Ipatch] {
        assert_eq!(code(&mut bench, method, "/"), Code::NOT_IMPLEMENTED);
        assert_eq!(code(&mut bench, method, "/3"), Code::METHOD_NOT_ALLOWED);
    }
    // Create, Delete.
    assert_eq!(code(&mut bench, Method::Post, "/3416"), Code::METHOD_NOT_ALLOWED);
    assert_eq!(code(&mut bench, Method::Post, "/3303"), Code::NOT_FOUND);
    assert_eq!(code(&mut bench, Method::Delete, LAMP), Code::METHOD_NOT_ALLOWED);
    assert_eq!(code(&mut bench, Method::Delete, "/3416/9"), Code::NOT_FOUND);
}

#[test]
fn method_options_and_depth_say_which_operation_it_is_dm_01() {
    let mut bench = lamp_bench();
    let mut code = |request| bench.send(request).code;
    // Read, Discover, Write-Attributes, Write of both kinds, Execute, Create, Delete.
    assert_eq!(code(request(Method::Get, "/1/0/1")), Code::CONTENT);
    assert_eq!(code(read("/1/0/1", 40)), Code::CONTENT);
    let query = vec!["pmin=5".to_owned()];
    assert_eq!(code(CoapRequest { query, ..request(Method::Put, "/1/0/1") }), Code::CHANGED);
    assert_eq!(code(put("/1/0/1", "600")), Code::CHANGED);
    assert_eq!(code(with_body(Method::Post, "/1/0", 11542, [0xc1, 2, 10])), Code::CHANGED);
    assert_eq!(code(request(Method::Post, "/7/0/6")), Code::CHANGED);
    assert_eq!(code(with_body(Method::Post, "/3416", 11542, [])), Code::METHOD_NOT_ALLOWED);
    assert_eq!(code(request(Method::Delete, LAMP)), Code::METHOD_NOT_ALLOWED);
    // What is none of them: a PUT on an object, a POST without format on an instance, PATCH.
    assert_eq!(code(with_body(Method::Put, "/3416", 11542, [])), Code::METHOD_NOT_ALLOWED);
    assert_eq!(code(request(Method::Post, LAMP)), Code::BAD_REQUEST);
    assert_eq!(code(request(Method::Patch, LAMP)), Code::METHOD_NOT_ALLOWED);
}

#[test]
fn a_request_during_a_long_one_is_served_dm_13() {
    let mut bench = lamp_bench();
    let open = transaction(&mut bench, put("/3416/0/1", "40"));
    assert_eq!(text(&bench.get("/3416/0/3")), "20");
    assert_eq!(conclude(&mut bench, open, Outcome::Confirmed).code, Code::CHANGED);
}

#[test]
fn strangers_are_refused() {
    let mut bench = Bench::registered();
    let id = bench.send_from(77, request(Method::Get, "/3/0/16"));
    assert_eq!(bench.responses[&id].code, Code::UNAUTHORIZED);
}

#[test]
fn operations_against_the_rights_are_405_and_change_nothing_dm_09() {
    let mut bench = lamp_bench();
    assert_eq!(bench.get("/3/0/4").code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.send(put("/3/0/16", "S")).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.send(put("/1/0/0", "9")).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.send(put("/3416/0/3", "9")).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.send(request(Method::Post, "/3/0/0")).code, Code::NOT_FOUND);
    assert_eq!(bench.send(request(Method::Post, "/3/0/16")).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.send(put("/3/0/4", "")).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(text(&bench.get("/3416/0/3")), "20");
}

#[test]
fn discover_lists_what_is_present_readable_or_not_dsc_01_dsc_02_dsc_03_dsc_04() {
    let mut bench = lamp_bench();
    let of = |bench: &mut Bench, path| text(&bench.send(read(path, 40)));
    assert_eq!(of(&mut bench, "/3/0"), "</3/0>,</3/0/4>,</3/0/11>;dim=1,</3/0/12>,</3/0/16>,</3/0/17>");
    assert_eq!(of(&mut bench, "/3/0/11"), "</3/0/11>;dim=1,</3/0/11/0>");
    let lamp = "</3416>;ver=2.0,</3416/0>,</3416/0/1>,</3416/0/3>,</3416/0/4>,</3416/0/16>";
    assert_eq!(of(&mut bench, "/3416"), lamp);
    assert_eq!(of(&mut bench, "/3416/0/1"), "</3416/0/1>");
    assert_eq!(bench.send(read("/3416/0/2", 40)).code, Code::NOT_FOUND);
    assert_eq!(bench.send(read("/3/0/11/0", 40)).code, Code::METHOD_NOT_ALLOWED);
    bench.client.add_instance(3303, 4, bench.now).unwrap();
    assert_eq!(of(&mut bench, "/3303/4"), "</3303/4>");
}

#[test]
fn mapped_write_is_one_transaction_answered_by_its_outcome() {
    let mut bench = lamp_bench();
    let open = transaction(&mut bench, put("/3416/0/1", "40"));
    let operation =
        Operation::Write { path: path("/3416/0/1"), content: Content::Single(Value::Integer(40)) };
    assert_eq!(open.1.operations, [operation]);
    assert_eq!(conclude(&mut bench, open, Outcome::Confirmed).code, Code::CHANGED);
    assert_eq!(text(&bench.get("/3416/0/1")), "40");
}

#[test]
fn instance_write_is_one_transaction_of_all_its_resources() {
    let mut bench = lamp_bench();
    // 1 = 40, 4 = 10, and 5 which the lamp does not have (WR-09).
    let payload = [0xc1, 1, 40, 0xc1, 4, 10, 0xc1, 5, 1];
    let (_, transaction) = transaction(&mut bench, with_body(Method::Post, LAMP, 11542, payload));
    let paths = transaction.operations.iter().map(|operation| match operation {
        Operation::Write { path, .. } | Operation::Execute { path, .. } => path.to_string(),
    });
    let paths: Vec<_> = paths.collect();
    assert_eq!(paths, ["/3416/0/1", "/3416/0/4"]);
}

#[test]
fn transaction_that_fails_leaves_the_tree_as_it_was_dm_12_wr_05() {
    let mut bench = lamp_bench();
    bench.observe("/3416");
    let open = transaction(&mut bench, put("/3416/0/1", "40"));
    let retry_after = seconds(30);
    let answer = conclude(&mut bench, open, Outcome::Unavailable { retry_after, why: "silent".into() });
    assert_eq!((answer.code, answer.max_age), (Code::SERVICE_UNAVAILABLE, Some(30)));
    let open = transaction(&mut bench, put("/3416/0/1", "40"));
    let answer = conclude(&mut bench, open, Outcome::Failed { why: "one of two".into() });
    assert_eq!(answer.code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(bench.get("/3416/0/1").code, Code::NOT_FOUND);
    assert!(bench.notified.is_empty());
}

#[test]
fn outcome_of_an_unknown_transaction_is_ignored_and_too_many_are_put_off_dm_13() {
    let mut bench = lamp_bench();
    bench.client.handle_downlink(TransactionId(99), Outcome::Confirmed);
    for _ in 0..16 {
        transaction(&mut bench, put("/3416/0/1", "40"));
    }
    let answer = bench.send(put("/3416/0/1", "40"));
    assert_eq!((answer.code, answer.max_age), (Code::SERVICE_UNAVAILABLE, Some(5)));
}

#[test]
fn bad_payloads_are_400_and_unknown_formats_415_dm_10_dm_11_typ_03_wr_10_wr_11() {
    let mut bench = lamp_bench();
    for (path, payload) in [
        ("/3416/0/1", "101"),
        ("/3416/0/1", "x"),
        ("/3416/0/1", ""),
        (LAMP, "1"),
        ("/1/0/1", "0"),
        ("/1/0/7", "UQ"),
    ] {
        assert_eq!(bench.send(put(path, payload)).code, Code::BAD_REQUEST, "{path} {payload:?}");
    }
    assert_eq!(bench.send(with_body(Method::Put, "/3416/0/1", 42, "1")).code, Code::BAD_REQUEST);
    for format in [60, 40, 1541, 11543] {
        let code = bench.send(with_body(Method::Put, "/3416/0/1", format, "1")).code;
        assert_eq!(code, Code::UNSUPPORTED_CONTENT_FORMAT, "{format}");
    }
    // Another resource than the path's (WR-07).
    assert_eq!(bench.send(with_body(Method::Put, "/3416/0/1", 11542, [0xc1, 4, 10])).code, Code::BAD_REQUEST);
    // One good and one bad; one good and one that is read-only (WR-06): nothing is done.
    assert_eq!(
        bench.send(with_body(Method::Post, LAMP, 11542, [0xc1, 1, 40, 0xc1, 4, 101])).code,
        Code::BAD_REQUEST
    );
    let mixed = bench.send(with_body(Method::Post, LAMP, 11542, [0xc1, 1, 40, 0xc1, 3, 10]));
    assert_eq!(mixed.code, Code::METHOD_NOT_ALLOWED);
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Downlink(_))));
    // Nothing at all is done at once (WR-10).
    assert_eq!(bench.send(with_body(Method::Post, LAMP, 11542, [])).code, Code::CHANGED);
}

#[test]
fn replacing_an_instance_needs_the_mandatory_resources_wr_01() {
    let mut bench = lamp_bench();
    assert_eq!(bench.send(with_body(Method::Put, LAMP, 11542, [0xc1, 4, 10])).code, Code::BAD_REQUEST);
    transaction(&mut bench, with_body(Method::Put, LAMP, 11542, [0xc1, 1, 10]));
}

#[test]
fn server_object_is_written_in_part_or_replaced_wr_01_wr_02() {
    let mut bench = Bench::registered();
    // 2 = 10, 3 = 60
    let partial = with_body(Method::Post, "/1/0", 11542, [0xc1, 2, 10, 0xc1, 3, 60]);
    assert_eq!(bench.send(partial).code, Code::CHANGED);
    assert_eq!((text(&bench.get("/1/0/2")), text(&bench.get("/1/0/1"))), ("10".into(), "86400".into()));
    // 1 = 300, 2 = 5, 6 = true, 7 = "U"; 3 is not named and goes.
    let whole = [0xc2, 1, 1, 44, 0xc1, 2, 5, 0xc1, 6, 1, 0xc1, 7, b'U'];
    assert_eq!(bench.send(with_body(Method::Put, "/1/0", 11542, whole)).code, Code::CHANGED);
    assert_eq!((text(&bench.get("/1/0/1")), text(&bench.get("/1/0/2"))), ("300".into(), "5".into()));
    assert_eq!(bench.get("/1/0/3").code, Code::NOT_FOUND);
    let without_binding = [0xc2, 1, 1, 44, 0xc1, 6, 1];
    assert_eq!(bench.send(with_body(Method::Put, "/1/0", 11542, without_binding)).code, Code::BAD_REQUEST);
}

#[test]
fn resource_instances_are_merged_or_replaced_wr_02_wr_03_wr_04() {
    let mut bench = Bench::registered();
    bench.client.replace_access([((3349, 5912), Access { writable: true, executable: false })].into());
    for (id, value) in [(0, "a"), (2, "b")] {
        let at = Path::resource_of(3349, 0, 5912).child(id).unwrap();
        bench.client.set_mapped(at, Value::String(value.into()), None, bench.now).unwrap();
    }
    bench.drain();
    let written = |bench: &mut Bench, request| {
        let (_, transaction) = transaction(bench, request);
        let [Operation::Write { content: Content::Multiple(values), .. }] = &transaction.operations[..]
        else {
            panic!("one write")
        };
        values.iter().map(|(id, value)| format!("{id}={value:?}")).collect::<Vec<_>>().join(" ")
    };
    let one = written(&mut bench, put("/3349/0/5912/2", "c"));
    assert_eq!(one, "0=String(\"a\") 2=String(\"c\")");
    assert_eq!(bench.send(put("/3349/0/5912/1", "c")).code, Code::NOT_FOUND);
    let body = [0x88, 0x17, 0x18, 3, 0x41, 1, b'd'];
    let tlv = |method| with_body(method, "/3349/0/5912", 11542, [&[0xa3, 0x17, 0x18], &body[4..]].concat());
    assert_eq!(written(&mut bench, tlv(Method::Put)), "1=String(\"d\")");
    let merged = "0=String(\"a\") 1=String(\"d\") 2=String(\"b\")";
    assert_eq!(written(&mut bench, tlv(Method::Post)), merged);
}

#[test]
fn execute_reaches_the_bridge_with_its_arguments_ex_01_ex_04() {
    let mut bench = lamp_bench();
    let (id, transaction) = transaction(&mut bench, with_body(Method::Post, "/3416/0/16", 0, "0='x'"));
    let operation = Operation::Execute { path: path("/3416/0/16"), arguments: "0='x'".into() };
    assert_eq!(transaction.operations, [operation]);
    assert_eq!(conclude(&mut bench, (id, transaction), Outcome::Confirmed).code, Code::CHANGED);
    let code = |bench: &mut Bench, request| bench.send(request).code;
    assert_eq!(code(&mut bench, with_body(Method::Post, "/3416/0/16", 0, "0=x")), Code::BAD_REQUEST);
    assert_eq!(
        code(&mut bench, with_body(Method::Post, "/3416/0/16", 42, "0")),
        Code::UNSUPPORTED_CONTENT_FORMAT
    );
    assert_eq!(code(&mut bench, request(Method::Post, "/3416/0/3")), Code::METHOD_NOT_ALLOWED);
    // Registered as executable, but no mapping takes it.
    assert_eq!(code(&mut bench, request(Method::Post, "/3416/0/19")), Code::NOT_FOUND);
}

#[test]
fn reboot_is_answered_before_it_is_asked_for_ex_05() {
    let mut bench = Bench::registered();
    let id = RequestId(1 << 32 | 99);
    let request = request(Method::Post, "/3/0/4");
    bench.client.handle_event(CoapEvent::Request { id, peer: peer(1), request }, bench.now);
    let Some(Action::Respond { response, .. }) = bench.client.poll_action(bench.now) else {
        panic!("an answer")
    };
    assert_eq!(response.code, Code::CHANGED);
    assert_eq!(bench.client.poll_event(), Some(Event::RebootRequested { server: 1 }));
}

#[test]
fn values_that_do_not_fit_the_registry_are_refused_at_the_door() {
    let mut bench = Bench::registered();
    let mut set = |path: &str, value| {
        bench.client.set_mapped(path.parse().unwrap(), value, Some(SampleId(1)), bench.now).unwrap_err()
    };
    assert!(matches!(set("/3303/0/9999", Value::Float(1.0)), Refusal::Unknown(_)));
    assert!(matches!(set("/3303/0", Value::Float(1.0)), Refusal::Unknown(_)));
    // A single-instance object has instance 0 alone.
    assert!(matches!(set("/6/1/0", Value::Float(1.0)), Refusal::Unknown(_)));
    assert!(matches!(set("/3303/0/5700/1", Value::Float(1.0)), Refusal::Unknown(_)));
    assert!(matches!(set("/3303/0/5605", Value::Float(1.0)), Refusal::Unknown(_)));
    assert!(matches!(set("/3303/0/5700", Value::Integer(1)), Refusal::Misfit(_)));
    assert!(matches!(set("/3303/0/5700", Value::Float(f64::NAN)), Refusal::Misfit(_)));
    assert!(matches!(set("/3416/0/3", Value::Integer(101)), Refusal::Misfit(_)));
    assert!(matches!(set("/3/0/9", Value::Integer(1)), Refusal::Native(_)));
    assert_eq!(bench.client.pending_samples(), 0);
}

#[test]
fn resources_are_bounded() {
    let room = Bench::registered().client.tree().size() + 4;
    let mut bench = Bench::registered_at(Settings { max_resources: room, ..settings(1) });
    let mut set = |instance| {
        bench.client.set_mapped(Path::resource_of(3303, instance, 5700), Value::Float(1.0), None, bench.now)
    };
    assert!(set(0).is_ok() && set(1).is_ok());
    assert_eq!(set(2), Err(Refusal::Full(room)));
    assert!(set(1).is_ok());
}

#[test]
fn ten_thousand_instances_are_listed_in_one_register() {
    let mut bench = Bench::registered();
    for instance in 0..10_000 {
        let temperature = Path::resource_of(3303, instance, 5700);
        bench.client.set_mapped(temperature, Value::Float(1.0), None, bench.now).unwrap();
    }
    bench.advance(seconds(31));
    let list = String::from_utf8(bench.answer(Response::new(Code::CHANGED)).payload).unwrap();
    assert!(list.contains("</3303/0>") && list.ends_with("</3303/9999>"));
}
