//! Any datagrams at any time: nothing panics, and what is sent in answer is a message that another endpoint can read.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use nbgate::coap::{Action, Code, Endpoint, Event, Params, Response};
use nbgate::net::{Datagram, Peer};
use nbgate::seed::Seed;

/// Octets of UDP payload that the link takes.
const MAX_DATAGRAM: usize = 200;

fuzz_target!(|input: Vec<(u8, &[u8])>| {
    let peer = Peer("192.0.2.1:5683".parse().expect("an address"));
    let mut now = Instant::now();
    let mut endpoint = Endpoint::new(Params::lan(), Seed::new(1));
    let mut other = Endpoint::new(Params::lan(), Seed::new(2));
    endpoint.set_max_datagram(MAX_DATAGRAM);
    for (seconds, payload) in input {
        endpoint.handle_datagram(Datagram { peer, payload: payload.to_vec() }, now);
        now += Duration::from_secs(seconds.into());
        endpoint.handle_timeout(now);
        answer(&mut endpoint, now);
        while let Some(outgoing) = endpoint.poll_transmit(now) {
            assert!(outgoing.datagram.payload.len() <= MAX_DATAGRAM);
            endpoint.handle_sent(outgoing.id, now);
            other.handle_datagram(outgoing.datagram, now);
            assert_eq!(other.stats().dropped.malformed, 0);
        }
    }
});

/// Every request is answered with what it brought.
fn answer(endpoint: &mut Endpoint, now: Instant) {
    while let Some(event) = endpoint.poll_event() {
        if let Event::Request { id, request, .. } = event {
            let accept_observation = request.observe == Some(0);
            let response = Response { payload: request.payload, ..Response::new(Code::CONTENT) };
            endpoint.handle_action(Action::Respond { request: id, response, accept_observation }, now);
        }
    }
}
