//! The endpoint from outside: octets, actions and time in; octets, events and deadlines out.

mod blocks_in;
mod blocks_out;
mod blocks_own;
mod link;
mod lossy;
mod observing;
mod own;
mod served;

use std::net::{Ipv4Addr, SocketAddr};

use super::super::types::{Code, ExchangeId, Method, Priority, Request, RequestId, Response};
use super::*;

const PEER: Peer = peer(1);
const OTHER: Peer = peer(2);

const fn peer(number: u8) -> Peer {
    Peer(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)), 5683))
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn read() -> Request {
    Request::new(Method::Get, vec!["3".to_owned()])
}

fn content(text: &str) -> Response {
    Response::content(0, text.as_bytes().to_vec())
}

/// An endpoint on a link that sends everything at once.
struct Bench {
    endpoint: Endpoint,
    now: Instant,
}

impl Bench {
    fn new(params: Params) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let now = Instant::now();
        Self { endpoint: Endpoint::new(params, Seed::new(7)), now }
    }

    fn lan() -> Self {
        Self::new(Params::lan())
    }

    /// A datagram arrives from `PEER`.
    fn receive(&mut self, octets: &str) {
        self.receive_from(PEER, &hex(octets));
    }

    fn receive_from(&mut self, peer: Peer, octets: &[u8]) {
        self.endpoint.handle_datagram(Datagram { peer, payload: octets.to_vec() }, self.now);
    }

    /// Time passes; every deadline is met.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.endpoint.poll_timeout().filter(|deadline| deadline.at <= end) {
            assert!(deadline.at >= self.now, "{deadline:?} lies behind {:?}", self.now);
            self.now = deadline.at;
            self.endpoint.handle_timeout(self.now);
            let next = self.endpoint.poll_timeout();
            assert!(next.is_none_or(|next| next.at > self.now), "{next:?} does not move on");
        }
        self.now = end;
        self.endpoint.handle_timeout(end);
    }

    /// Hands the next datagram to the link, which does not report on it yet.
    fn hand(&mut self) -> Option<Outgoing> {
        self.endpoint.poll_transmit(self.now)
    }

    /// The next datagram, sent.
    fn send(&mut self) -> Option<Vec<u8>> {
        let outgoing = self.hand()?;
        self.endpoint.handle_sent(outgoing.id, self.now);
        Some(outgoing.datagram.payload)
    }

    /// The next datagram as a message.
    fn send_message(&mut self) -> Message {
        Message::decode(&self.send().expect("a datagram leaves")).expect("it is well-formed")
    }

    fn act(&mut self, action: Action) {
        self.endpoint.handle_action(action, self.now);
    }

    fn event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    /// The next event, which must be a request of `PEER`.
    fn asked(&mut self) -> (RequestId, Request) {
        match self.event() {
            Some(Event::Request { id, request, .. }) => (id, request),
            other => panic!("no request but {other:?}"),
        }
    }

    fn respond(&mut self, request: RequestId, response: Response) {
        self.act(Action::Respond { request, response, accept_observation: true });
    }

    fn request(&mut self, number: u64, request: Request) {
        let (exchange, priority) = (ExchangeId(number), Priority::Ordinary);
        self.act(Action::Request { exchange, peer: PEER, request, priority });
    }

    /// Own request that has left; gives its Message ID and token.
    fn requested(&mut self, number: u64) -> (u16, Token) {
        self.request(number, read());
        let message = self.send_message();
        (message.mid, message.token)
    }

    /// Octets of a response with this type, Message ID and token.
    fn response(kind: Kind, mid: u16, token: Token, response: &Response) -> Vec<u8> {
        Message::response(kind, mid, token, response).encode(1152).unwrap()
    }

    fn receive_response(&mut self, kind: Kind, mid: u16, token: Token, response: &Response) {
        self.receive_from(PEER, &Self::response(kind, mid, token, response));
    }

    fn receive_empty(&mut self, kind: Kind, mid: u16) {
        self.receive_from(PEER, &Message::empty(kind, mid));
    }

    /// `PEER` observes /3 under this token and was answered.
    fn observed(&mut self, mid: u16, token: u8) -> ObservationId {
        let [high, low] = mid.to_be_bytes();
        self.receive_from(PEER, &[0x41, 0x01, high, low, token, 0x60, 0x51, b'3']);
        let (id, _) = self.asked();
        self.respond(id, content("first"));
        let answer = self.send_message();
        assert_eq!((answer.mid, answer.has_observe()), (mid, true));
        match self.event() {
            Some(Event::ObservationStarted { id: observation, request }) if request == id => observation,
            other => panic!("no observation but {other:?}"),
        }
    }

    fn notify(&mut self, number: u64, observation: ObservationId, confirmable: bool) {
        let (notification, response) = (NotificationId(number), content("next"));
        self.act(Action::Notify { notification, observation, response, confirmable });
    }
}
