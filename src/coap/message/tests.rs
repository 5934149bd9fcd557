//! Octets and messages, both ways.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn read(text: &str) -> Result<Request, Code> {
    Message::decode(&hex(text)).unwrap().to_request()
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn a_register_encodes_to_the_octets_that_other_encoders_give() {
    // COAP-01, COAP-31
    let request = Request {
        query: strings(&["lwm2m=1.1", "ep=gw1", "lt=300", "b=U", "Q"]),
        content_format: Some(40),
        payload: br#"</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>"#.to_vec(),
        ..Request::new(Method::Post, strings(&["rd"]))
    };
    let token = Token::new(&[0xa1, 0xb2]).unwrap();
    let octets = Message::request(0x1234, token, &request).encode(1152).unwrap();
    let expected =
        hex("42 02 12 34 A1 B2  B2 72 64  11 28 39 6C 77 6D 32 6D 3D 31 2E 31  06 65 70 3D 67 77 31 \
         06 6C 74 3D 33 30 30  03 62 3D 55  01 51  FF \
         3C 2F 3E 3B 72 74 3D 22 6F 6D 61 2E 6C 77 6D 32 6D 22 3B 63 74 3D 31 31 32 \
         2C 3C 2F 31 2F 30 3E 2C 3C 2F 33 2F 30 3E");
    assert_eq!(octets, expected);
    assert_eq!(Message::decode(&expected).unwrap().to_request(), Ok(request));
}

#[test]
fn location_path_keeps_its_segments_in_order() {
    let message = Message::decode(&hex("62 41 12 34 A1 B2  82 72 64  04 35 61 33 66")).unwrap();
    assert_eq!((message.kind, message.mid), (Kind::Acknowledgement, 0x1234));
    let response = message.to_response().unwrap();
    assert_eq!(response.code, Code::CREATED);
    assert_eq!(response.location_path, ["rd", "5a3f"]);
}

#[test]
fn notification_encodes_to_the_octets_that_other_encoders_give() {
    let response = Response { observe: Some(2), ..Response::content(112, vec![0x81]) };
    let message = Message::response(Kind::NonConfirmable, 0x2001, Token::new(&[1]).unwrap(), &response);
    assert_eq!(message.encode(1152).unwrap(), hex("51 45 20 01 01  61 02  61 70  FF  81"));
    assert!(message.has_observe());
}

#[test]
fn observe_is_read_on_get_and_fetch_alone() {
    // COAP-33
    assert_eq!(read("41 01 00 10 01  60").unwrap().observe, Some(0));
    assert_eq!(read("41 01 00 10 01  61 01").unwrap().observe, Some(1));
    assert_eq!(read("41 05 00 10 01  61 01").unwrap().observe, Some(1));
    assert_eq!(read("41 01 00 10 01  61 02").unwrap().observe, None);
    assert_eq!(read("41 03 00 10 01  60").unwrap().observe, None);
}

#[test]
fn content_formats_are_plain_numbers() {
    for format in [0, 40, 42, 112, 1542, 1543, 11542, 11543, 11544, 65535] {
        let request = Request { content_format: Some(format), ..Request::new(Method::Put, vec![]) };
        let octets = Message::request(1, Token::EMPTY, &request).encode(99).unwrap();
        assert_eq!(Message::decode(&octets).unwrap().to_request().unwrap().content_format, Some(format));
    }
}

#[test]
fn format_errors_are_rejected_when_confirmable_and_else_dropped() {
    // COAP-02: token length 9 and 15, option nibbles 15, truncated option, lonely payload marker
    for rest in ["49 01 00 07 010203040506070809", "4F 01 00 07", "42 01 00 07 01"] {
        assert_eq!(Message::decode(&hex(rest)), Err(Malformed { reject: Some(7) }), "{rest}");
    }
    for options in ["F0", "0F", "B4 72", "D0", "E0 00", "FF", "B2 72 64 FF", "E0 FF FF E0 FF FF"] {
        let confirmable = hex(&format!("40 01 00 07 {options}"));
        assert_eq!(Message::decode(&confirmable), Err(Malformed { reject: Some(7) }), "{options}");
        for kind in ["50", "60", "70"] {
            let other = hex(&format!("{kind} 01 00 07 {options}"));
            assert_eq!(Message::decode(&other), Err(Malformed { reject: None }), "{options}");
        }
    }
    // A last octet of FF is no marker when it belongs to an option or to the token.
    assert!(Message::decode(&hex("41 01 00 07 FF")).is_ok());
    assert!(Message::decode(&hex("40 01 00 07 91 FF")).is_ok());
}

#[test]
fn other_versions_and_stumps_are_dropped_silently() {
    // COAP-01
    for octets in ["00 01 00 07", "80 01 00 07", "C0 01 00 07", "40 01 00", "40", ""] {
        assert_eq!(Message::decode(&hex(octets)), Err(Malformed { reject: None }), "{octets}");
    }
}

#[test]
fn an_empty_message_is_its_header_alone() {
    for octets in ["40 00 00 07 FF 01", "41 00 00 07 01", "40 00 00 07 B1 33"] {
        assert_eq!(Message::decode(&hex(octets)), Err(Malformed { reject: Some(7) }), "{octets}");
    }
    assert_eq!(Message::decode(&hex("40 00 00 99")).unwrap().content(), Content::Empty);
    assert_eq!(Message::empty(Kind::Reset, 0x99), hex("70 00 00 99"));
    assert_eq!(Message::empty(Kind::Acknowledgement, 0x99), hex("60 00 00 99"));
}

#[test]
fn unknown_critical_options_give_4_02_and_unknown_elective_ones_nothing() {
    // COAP-20 (If-None-Match), COAP-21 (ETag)
    assert_eq!(read("40 01 00 07 50 61 33"), Err(Code::BAD_OPTION));
    assert_eq!(read("40 01 00 07 41 05 71 33").unwrap().path, ["3"]);
}

#[test]
fn a_repeated_option_counts_as_unknown() {
    // COAP-22: Accept twice (critical), Content-Format twice (elective)
    assert_eq!(read("40 01 00 07 D1 04 70 01 70"), Err(Code::BAD_OPTION));
    assert_eq!(read("40 01 00 07 C1 28 01 2A").unwrap().content_format, Some(40));
}

#[test]
fn an_option_of_a_wrong_length_counts_as_unknown() {
    assert_eq!(read("40 01 00 07 D3 04 00 00 70"), Err(Code::BAD_OPTION)); // Accept
    assert_eq!(read("40 01 00 07 C3 00 00 28").unwrap().content_format, None);
    assert_eq!(read("40 01 00 07 B1 FF"), Err(Code::BAD_OPTION)); // a path that is no UTF-8
}

#[test]
fn host_and_port_are_ignored_and_proxies_refused() {
    // COAP-23
    assert_eq!(read("40 01 00 07 31 68 42 16 33 41 33").unwrap().path, ["3"]);
    assert_eq!(read("40 01 00 07 D1 16 78"), Err(Code::PROXYING_NOT_SUPPORTED));
    assert_eq!(read("40 01 00 07 D1 1A 78"), Err(Code::PROXYING_NOT_SUPPORTED));
}

#[test]
fn unknown_methods_give_4_05() {
    // COAP-29
    assert_eq!(read("40 08 00 07"), Err(Code::METHOD_NOT_ALLOWED));
    assert_eq!(read("40 1F 00 07"), Err(Code::METHOD_NOT_ALLOWED));
    assert_eq!(read("40 07 00 07").unwrap().method, Method::Ipatch);
}

#[test]
fn a_single_empty_segment_is_the_root() {
    // COAP-32
    assert!(read("40 01 00 07 B0").unwrap().path.is_empty());
    assert_eq!(read("40 01 00 07 B0 01 33").unwrap().path, ["", "3"]);
}

#[test]
fn block_options_are_read_with_their_full_width() {
    // BLK-01: Block1 (27 = 13 + 14) NUM 4096, which coap-lite cannot read; Block2 (23 = 13 + 10)
    let blocks = |text| Message::decode(&hex(text)).unwrap().blocks();
    let block = blocks("40 03 00 07 D3 0E 01 00 0E FF 00").unwrap().block1.unwrap();
    assert_eq!((block.number, block.more, block.size.octets()), (4096, true, 1024));
    let block = blocks("40 01 00 07 D1 0A 12").unwrap().block2.unwrap();
    assert_eq!((block.number, block.more, block.size.octets()), (1, false, 64));
    assert_eq!(blocks("40 03 00 07 D1 0E 07 FF 00"), Err(ReservedSize));
    assert_eq!(blocks("60 45 00 07 D1 0A 07 FF 00"), Err(ReservedSize));
    assert_eq!(read("40 03 00 07 D4 0E 00 00 00 06"), Err(Code::BAD_OPTION), "four octets");
}

#[test]
fn block_options_are_written_in_their_places() {
    // COAP-31, COAP-34
    let block = Block::read(0x1d);
    let etag = Some(vec![1, 2]);
    let blocks = Blocks { block1: block, block2: block, size1: Some(9), size2: Some(0), etag };
    let message = Message::response(Kind::Acknowledgement, 7, Token::EMPTY, &Response::content(40, vec![1]));
    let octets = message.with_blocks(&blocks).encode(99).unwrap();
    assert_eq!(octets, hex("60 45 00 07 42 01 02 81 28 B1 1D 41 1D 10 D1 13 09 FF 01"));
    assert_eq!(Message::decode(&octets).unwrap().blocks(), Ok(blocks));
}

#[test]
fn a_response_with_an_unknown_critical_option_is_unusable() {
    let response = |text| Message::decode(&hex(text)).unwrap().to_response();
    assert_eq!(response("60 45 00 07 91 00"), Err(Unusable)); // OSCORE
    assert_eq!(response("60 8D 00 07 D1 0E 05").unwrap().code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(response("60 A3 00 07 D1 01 1E").unwrap().max_age, Some(30));
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let request = Request { payload: vec![0; 100], ..Request::new(Method::Put, vec![]) };
    let message = Message::request(1, Token::EMPTY, &request);
    assert_eq!(message.encode(105).map(|octets| octets.len()), Some(105));
    assert_eq!(message.encode(104), None);
    let long = Request::new(Method::Get, vec!["x".repeat(256)]);
    assert_eq!(Message::request(1, Token::EMPTY, &long).encode(1152), None);
}

#[test]
fn more_than_1280_octets_encode_when_the_link_takes_them() {
    let response = Response::content(42, vec![1; 1400]);
    let message = Message::response(Kind::Acknowledgement, 1, Token::EMPTY, &response);
    assert!(message.encode(1472).is_some());
}

#[test]
fn tokens_have_up_to_eight_octets() {
    // COAP-01, COAP-24
    assert_eq!(Token::new(&[]), Some(Token::EMPTY));
    assert_eq!(Token::new(&[0]).map(|token| token.as_slice().to_vec()), Some(vec![0]));
    assert_ne!(Token::new(&[0]), Token::new(&[0, 0]));
    assert!(Token::new(&[0; 8]).is_some());
    assert_eq!(Token::new(&[0; 9]), None);
    assert_eq!(Token::new(&[0; 300]), None);
}

fn any_request() -> impl Strategy<Value = Request> {
    let format = || prop::option::of(any::<u16>());
    let method = prop::sample::select(METHODS.to_vec());
    let strings = || prop::collection::vec("[a-z0-9=]{1,20}", 0..4);
    let payload = prop::collection::vec(any::<u8>(), 0..80);
    (method, strings(), strings(), format(), format(), payload).prop_map(
        |(method, path, query, content_format, accept, payload)| {
            let observe = (method == Method::Get).then_some(1);
            Request { method, path, query, observe, content_format, accept, payload }
        },
    )
}

fn any_response() -> impl Strategy<Value = Response> {
    let code = prop::sample::select(vec![Code::CONTENT, Code::CHANGED, Code::NOT_FOUND, Code::new(5, 3)]);
    let location = prop::collection::vec("[a-z0-9]{0,30}", 0..3);
    let payload = prop::collection::vec(any::<u8>(), 0..80);
    (code, any::<Option<u16>>(), prop::option::of(0..1_u32 << 24), location, any::<Option<u32>>(), payload)
        .prop_map(|(code, content_format, observe, location_path, max_age, payload)| Response {
            code,
            content_format,
            observe,
            location_path,
            max_age,
            payload,
        })
}

proptest! {
    #[test]
    fn requests_survive_the_wire(request in any_request(), token in prop::collection::vec(any::<u8>(), 0..9)) {
        let token = Token::new(&token).unwrap();
        let octets = Message::request(9, token, &request).encode(1152).unwrap();
        let message = Message::decode(&octets).unwrap();
        prop_assert_eq!((message.mid, message.token), (9, token));
        prop_assert_eq!(message.to_request(), Ok(request));
    }

    #[test]
    fn responses_survive_the_wire(response in any_response()) {
        let octets = Message::response(Kind::Acknowledgement, 9, Token::EMPTY, &response).encode(1152).unwrap();
        prop_assert_eq!(Message::decode(&octets).unwrap().to_response(), Ok(response));
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_octets(mut octets in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some(first) = octets.first_mut() {
            *first = *first & 0x37 | 0x40; // version 1 and short tokens, or little of it would decode
        }
        if let Ok(message) = Message::decode(&octets) {
            prop_assert_eq!(message.len_octets(), octets.len());
            prop_assert_eq!(message.encode(usize::MAX), Some(octets));
        }
    }
}
