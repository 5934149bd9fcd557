//! Peers that send whatever they like about blocks: nothing panics, and what is kept for them stays within its bounds.

use proptest::prelude::*;

use super::super::super::block::{Block, MAX_BODY_IN};
use super::super::super::message::Blocks;
use super::*;

/// One thing that a peer or the layer above does.
#[derive(Debug, Clone)]
enum Deed {
    /// A request, with options and payload as they come.
    Request { mid: u16, method: usize, path: u8, observe: Option<u32>, blocks: Blocks, octets: usize },
    /// ACK or RST to the latest Confirmable message that left.
    Answer(bool),
    /// A response to it, with these blocks.
    Response { code: Code, blocks: Blocks, octets: usize },
    /// A notification of this many octets to whoever observes.
    Notify { octets: usize, confirmable: bool },
    /// A body of this many octets to be sent.
    Ask { octets: usize, observe: bool },
    /// The link goes down for this long.
    Outage(u64),
    /// Time passes.
    Wait(u64),
}

fn block() -> impl Strategy<Value = Option<Block>> {
    let number = prop_oneof![4 => 0..4_u32, 1 => 0..=0xf_ffff_u32];
    let block = (number, any::<bool>(), 0..7_u32);
    prop::option::of(block.prop_map(|(number, more, exponent)| {
        Block::read(number << 4 | u32::from(more) << 3 | exponent).expect("no reserved size")
    }))
}

fn blocks() -> impl Strategy<Value = Blocks> {
    let etag = prop::option::of((1..3_u8).prop_map(|version| vec![version]));
    let size = || prop::option::of(prop_oneof![0..100_000_u32, any::<u32>()]);
    (block(), block(), size(), size(), etag).prop_map(|(block1, block2, size1, size2, etag)| Blocks {
        block1,
        block2,
        size1,
        size2,
        etag,
    })
}

fn octets() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0_usize),
        (0..7_u32).prop_map(|exponent| 16 << exponent),
        0..1100_usize,
        1000..6000_usize
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let code = prop::sample::select(vec![Code::CONTINUE, Code::CONTENT, Code::REQUEST_ENTITY_TOO_LARGE]);
    let observe = prop::option::of(0..2_u32);
    prop_oneof![
        8 => (0..200_u16, 0..3_usize, 0..30_u8, observe, blocks(), octets()).prop_map(
            |(mid, method, path, observe, blocks, octets)| Deed::Request { mid, method, path, observe, blocks, octets }
        ),
        2 => any::<bool>().prop_map(Deed::Answer),
        2 => (code, blocks(), octets()).prop_map(|(code, blocks, octets)| Deed::Response { code, blocks, octets }),
        2 => (octets(), any::<bool>()).prop_map(|(octets, confirmable)| Deed::Notify { octets, confirmable }),
        1 => (octets(), any::<bool>()).prop_map(|(octets, observe)| Deed::Ask { octets, observe }),
        1 => (0..400_u64).prop_map(Deed::Outage),
        1 => (0..200_u64).prop_map(Deed::Wait),
    ]
}

/// The endpoint, and what the layer above it knows.
struct Stage {
    bench: Bench,
    latest: Option<(u16, Token)>,
    observation: Option<ObservationId>,
    /// Per notification: times its end was told.
    ends: BTreeMap<NotificationId, u32>,
    asked: u64,
}

impl Stage {
    fn play(&mut self, deed: Deed) {
        match deed {
            Deed::Request { mid, method, path, observe, blocks, octets } => {
                let method = [Method::Get, Method::Put, Method::Post][method];
                let payload = vec![path; octets.min(1100)];
                let request = Request { observe, payload, ..Request::new(method, vec![path.to_string()]) };
                let token = Token::new(&mid.to_be_bytes()[1..]).expect("short");
                let message = Message::request(mid, token, &request).with_blocks(&blocks);
                self.bench.receive_from(PEER, &message.encode(9000).expect("short options"));
            }
            Deed::Answer(acknowledge) => {
                let kind = if acknowledge { Kind::Acknowledgement } else { Kind::Reset };
                if let Some((mid, _)) = self.latest {
                    self.bench.receive_empty(kind, mid);
                }
            }
            Deed::Response { code, blocks, octets } => {
                let Some((mid, token)) = self.latest else { return };
                let response = Response::content(42, vec![0; octets.min(1100)]);
                let message =
                    Message::response(Kind::Acknowledgement, mid, token, &Response { code, ..response });
                let octets = message.with_blocks(&blocks).encode(9000).expect("short options");
                self.bench.receive_from(PEER, &octets);
            }
            Deed::Notify { octets, confirmable } => {
                let Some(observation) = self.observation else { return };
                let notification = NotificationId(self.ends.len() as u64);
                self.ends.insert(notification, 0);
                let response = Response::content(42, vec![1; octets]);
                self.bench.act(Action::Notify { notification, observation, response, confirmable });
            }
            Deed::Ask { octets, observe } => {
                let observe = observe.then_some(0);
                self.asked += 1;
                self.bench.request(self.asked, Request { observe, payload: vec![2; octets], ..read() });
            }
            Deed::Outage(time) => {
                self.bench.endpoint.handle_link(false, self.bench.now);
                self.bench.wait(seconds(time));
                self.bench.endpoint.handle_link(true, self.bench.now);
                self.bench.endpoint.handle_timeout(self.bench.now);
            }
            Deed::Wait(time) => self.bench.wait(seconds(time)),
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.bench.event() {
            match event {
                Event::Request { id, request, .. } => {
                    let octets = request.path[0].parse::<usize>().expect("a number") * 200;
                    self.bench.respond(id, Response::content(42, vec![0; octets]));
                }
                Event::ObservationStarted { id, .. } => self.observation = Some(id),
                Event::ObservationRejected { id } => {
                    self.bench.act(Action::ForgetObservation { observation: id })
                }
                Event::NotificationDelivered { notification }
                | Event::NotificationFailed { notification, .. } => {
                    *self.ends.get_mut(&notification).expect("it was made") += 1;
                }
                _ => {}
            }
        }
        while let Some(octets) = self.bench.send() {
            let message = Message::decode(&octets).expect("what we send is well-formed");
            if message.kind == Kind::Confirmable {
                self.latest = Some((message.mid, message.token));
            }
        }
        if !self.bench.endpoint.events.is_empty() {
            self.drain();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// BLK-09, BLK-11, BLK-17, OBS-15: what is begun ends, every notification once, and nothing is left over.
    #[test]
    fn whatever_is_said_of_blocks_ends_and_leaves_nothing(deeds in prop::collection::vec(deed(), 1..80)) {
        let (bench, ends) = (Bench::lan(), BTreeMap::new());
        let mut stage = Stage { bench, latest: None, observation: None, ends, asked: 0 };
        for deed in deeds {
            stage.play(deed);
            stage.drain();
            let Endpoint { uploads, snapshots, .. } = &stage.bench.endpoint;
            prop_assert!(uploads.len_octets() <= 4 * MAX_BODY_IN);
            prop_assert!(snapshots.iter().count() <= 16);
        }
        for _ in 0..200 {
            stage.bench.wait(seconds(30));
            stage.drain();
        }
        let Endpoint { uploads, snapshots, unfetched, .. } = &stage.bench.endpoint;
        prop_assert!(unfetched.is_empty() && snapshots.iter().next().is_none() && uploads.len_octets() == 0);
        prop_assert_eq!(stage.bench.endpoint.poll_timeout(), None);
        prop_assert!(stage.ends.values().all(|ends| *ends == 1), "{:?}", stage.ends);
    }
}
