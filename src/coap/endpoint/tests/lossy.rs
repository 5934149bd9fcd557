//! Two endpoints over a link that loses, doubles, delays and reorders, under a virtual clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;
use crate::seed::Rng;

/// How bad the link is.
#[derive(Debug, Clone)]
struct Weather {
    loss: f64,
    doubling: f64,
    /// The modem says that it failed; half of these datagrams leave all the same.
    send_failure: f64,
    /// Longest way of a datagram, well under MAX_LATENCY.
    delay: Duration,
    /// Longest time that a modem holds a datagram.
    holding: Duration,
    /// Time to the answer of the serving side.
    thinking: Duration,
    /// The client's link goes down now and then, for up to this long.
    outage: Duration,
}

fn weather() -> impl Strategy<Value = Weather> {
    let tenths = |most: u32| (0..=most).prop_map(|tenths| f64::from(tenths) / 10.0);
    let millis = |most: u64| (0..=most).prop_map(Duration::from_millis);
    (tenths(6), tenths(3), tenths(3), millis(9_000), millis(4_000), millis(5_000), millis(40_000)).prop_map(
        |(loss, doubling, send_failure, delay, holding, thinking, outage)| Weather {
            loss,
            doubling,
            send_failure,
            delay,
            holding,
            thinking,
            outage,
        },
    )
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrives(usize, Vec<u8>),
    /// The modem of this side is done with what it held.
    Reports {
        side: usize,
        id: TransmitId,
        failed: bool,
        leaves: Option<Vec<u8>>,
    },
    /// The serving side has its answer.
    Answers(RequestId, Vec<u8>),
    Link(bool),
}

/// Side 0 asks and observes, side 1 serves.
struct World {
    sides: [Endpoint; 2],
    now: Instant,
    happenings: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    happened: u64,
    holding: [bool; 2],
    weather: Weather,
    chance: Rng,
    /// Octets of every body, of which eight are its number: block-wise when they are many.
    octets: usize,
    /// Per request number: times executed, times ended with a response, times ended without.
    executed: BTreeMap<u64, u32>,
    answered: BTreeMap<u64, u32>,
    failed: BTreeMap<u64, u32>,
    observation: Option<ObservationId>,
    /// Per notification number: times its end was told.
    notifications: BTreeMap<u64, u32>,
    seen: Vec<u64>,
}

const SIDES: [Peer; 2] = [PEER, OTHER];
const OBSERVE: u64 = 1_000_000;

impl World {
    fn new(params: Params, weather: Weather, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let now = Instant::now();
        let seed = Seed::new(seed);
        let side = |name| Endpoint::new(params, seed.child(name));
        Self {
            sides: [side("client"), side("server")],
            now,
            happenings: BinaryHeap::new(),
            happened: 0,
            holding: [false; 2],
            weather,
            chance: seed.child("weather").rng(),
            octets: 8,
            executed: BTreeMap::new(),
            answered: BTreeMap::new(),
            failed: BTreeMap::new(),
            observation: None,
            notifications: BTreeMap::new(),
            seen: vec![],
        }
    }

    fn later(&mut self, most: Duration, happening: Happening) {
        let at = self.now + self.chance.between(Duration::ZERO, most);
        self.happened += 1;
        self.happenings.push(Reverse((at, self.happened, happening)));
    }

    /// A body that shows whether its blocks are in order and of one piece.
    fn body(&self, number: u64) -> Vec<u8> {
        let filler = (8..self.octets).map(|octet| (octet / 7) as u8 ^ number as u8);
        number.to_be_bytes().into_iter().chain(filler).collect()
    }

    fn number(&self, body: &[u8]) -> u64 {
        let number = u64::from_be_bytes(body[..8].try_into().unwrap());
        assert_eq!(body, self.body(number), "the body is whole");
        number
    }

    fn request(&mut self, number: u64) {
        let observe = (number == OBSERVE).then_some(0);
        let method = if number == OBSERVE { Method::Get } else { Method::Post };
        let payload = self.body(number);
        let request = Request { observe, payload, ..Request::new(method, vec![]) };
        let (exchange, priority) = (ExchangeId(number), Priority::Ordinary);
        let action = Action::Request { exchange, peer: SIDES[1], request, priority };
        self.sides[0].handle_action(action, self.now);
    }

    fn notify(&mut self, number: u64) {
        let Some(observation) = self.observation else { return };
        if !self.sides[1].is_free(SIDES[0]) {
            return;
        }
        self.notifications.insert(number, 0);
        let notification = NotificationId(number);
        let response = Response::content(42, self.body(number));
        let confirmable = self.chance.chance(0.7);
        let action = Action::Notify { notification, observation, response, confirmable };
        self.sides[1].handle_action(action, self.now);
    }

    /// Moves outputs to inputs until quiet.
    fn drain(&mut self) {
        for side in [0, 1] {
            while let Some(event) = self.sides[side].poll_event() {
                self.handle_event(side, event);
            }
        }
        for side in [0, 1] {
            if self.holding[side] {
                continue;
            }
            let Some(outgoing) = self.sides[side].poll_transmit(self.now) else { continue };
            assert_eq!(outgoing.datagram.peer, SIDES[1 - side]);
            self.holding[side] = true;
            let failed = self.chance.chance(self.weather.send_failure);
            let leaves = (!failed || self.chance.chance(0.5)).then_some(outgoing.datagram.payload);
            let reports = Happening::Reports { side, id: outgoing.id, failed, leaves };
            self.later(self.weather.holding, reports);
        }
    }

    fn handle_event(&mut self, side: usize, event: Event) {
        match event {
            Event::Request { id, peer, request } => {
                assert_eq!((side, peer), (1, SIDES[0]));
                let number = self.number(&request.payload);
                *self.executed.entry(number).or_default() += 1;
                self.later(self.weather.thinking, Happening::Answers(id, request.payload));
            }
            Event::Response { exchange, response } if !response.code.is_success() => {
                *self.failed.entry(exchange.0).or_default() += 1;
            }
            Event::Response { exchange, response } => {
                let number = self.number(&response.payload);
                assert!(exchange.0 == number || exchange.0 == OBSERVE);
                *self.answered.entry(exchange.0).or_default() += 1;
            }
            Event::Failed { exchange, .. } => *self.failed.entry(exchange.0).or_default() += 1,
            Event::ObservationStarted { id, .. } => self.observation = Some(id),
            Event::ObservationEnded { .. } => self.observation = None,
            Event::ObservationRejected { id } => {
                self.observation = None;
                let forget = Action::ForgetObservation { observation: id };
                self.sides[side].handle_action(forget, self.now);
                // One that was asked for since the rejection goes with it, without a word; those before have failed.
                if let Some(mut latest) = self.notifications.last_entry() {
                    *latest.get_mut() = 1.max(*latest.get());
                }
            }
            Event::NotificationDelivered { notification }
            | Event::NotificationFailed { notification, .. } => {
                *self.notifications.get_mut(&notification.0).unwrap() += 1;
            }
            Event::Notified { exchange, response } => {
                assert_eq!(exchange.0, OBSERVE);
                let number = self.number(&response.payload);
                // One that changed while it was fetched was read anew, and this server answers every read alike.
                if number != OBSERVE {
                    self.seen.push(number);
                }
            }
            Event::Pong { .. } => panic!("nobody pings"),
        }
    }

    /// The next thing happens; false when nothing ever will.
    fn step(&mut self) -> bool {
        self.drain();
        let happening = self.happenings.peek().map(|Reverse((at, ..))| *at);
        let deadline =
            Deadline::earliest(self.sides.iter().map(Endpoint::poll_timeout)).map(|deadline| deadline.at);
        let Some(at) = [happening, deadline].into_iter().flatten().min() else { return false };
        assert!(at >= self.now, "time goes forward");
        self.now = at;
        if deadline == Some(at) {
            for side in &mut self.sides {
                side.handle_timeout(at);
                assert!(side.poll_timeout().is_none_or(|next| next.at > at), "a deadline moves on");
            }
            return true;
        }
        let Some(Reverse((_, _, happening))) = self.happenings.pop() else { return false };
        match happening {
            Happening::Arrives(side, payload) => {
                let datagram = Datagram { peer: SIDES[1 - side], payload };
                self.sides[side].handle_datagram(datagram, at);
            }
            Happening::Reports { side, id, failed, leaves } => self.reported(side, id, failed, leaves),
            Happening::Answers(request, payload) => {
                let response = Response::content(42, payload);
                let action = Action::Respond { request, response, accept_observation: true };
                self.sides[1].handle_action(action, at);
            }
            Happening::Link(up) => self.sides[0].handle_link(up, at),
        }
        true
    }

    fn reported(&mut self, side: usize, id: TransmitId, failed: bool, leaves: Option<Vec<u8>>) {
        self.holding[side] = false;
        match failed {
            true => self.sides[side].handle_send_failed(id, self.now),
            false => self.sides[side].handle_sent(id, self.now),
        }
        let Some(payload) = leaves else { return };
        let copies = 1 + u32::from(self.chance.chance(self.weather.doubling));
        for _ in 0..copies {
            if !self.chance.chance(self.weather.loss) {
                self.later(self.weather.delay, Happening::Arrives(1 - side, payload.clone()));
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        let mut steps = 0;
        while self.now < end && self.step() {
            steps += 1;
            assert!(steps < 200_000, "the world does not come to rest");
        }
        self.now = self.now.max(end);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// COAP-07, COAP-13, COAP-16, BLK-20, BLK-25: every request ends exactly once; with a response if and only if the client was told so, and
    /// then it was executed exactly once; never twice in any case.
    #[test]
    fn a_request_is_executed_once_or_reported_as_failed(
        weather in weather(),
        seed in any::<u64>(),
        nbiot in any::<bool>(),
        requests in 1..12_u64,
        octets in prop::sample::select(vec![8, 8, 1100, 1500, 4000]),
        outage_after in 0..60_000_u64,
    ) {
        let params = if nbiot { Params::nbiot() } else { Params::lan() };
        let clear = weather.loss == 0.0 && weather.send_failure == 0.0;
        let outage = weather.outage;
        let mut world = World::new(params, weather, seed);
        world.octets = octets;
        for number in 0..requests {
            world.request(number);
        }
        let falls = world.now + Duration::from_millis(outage_after);
        world.happenings.push(Reverse((falls, 0, Happening::Link(false))));
        world.happenings.push(Reverse((falls + outage, 1, Happening::Link(true))));
        world.run_until(world.now + seconds(24 * 3600));
        for number in 0..requests {
            let count = |of: &BTreeMap<u64, u32>| of.get(&number).copied().unwrap_or(0);
            let (executed, answered) = (count(&world.executed), count(&world.answered));
            prop_assert_eq!(answered + count(&world.failed), 1, "request {} ends once", number);
            prop_assert!(executed <= 1, "request {} was executed {} times", number, executed);
            prop_assert!(executed >= answered, "request {} was answered unexecuted", number);
            prop_assert!(answered == 1 || !clear, "a link without loss delivers");
        }
        prop_assert!(world.sides.iter().all(|side| side.poll_timeout().is_none()), "nothing is left over");
        prop_assert!(world.sides[0].is_free(SIDES[1]) && world.sides[1].is_free(SIDES[0]));
    }

    /// OBS-11, OBS-15, BLK-17: every notification ends exactly once, and the observer sees a rising sequence.
    #[test]
    fn notifications_end_once_and_are_seen_in_order(
        weather in weather(),
        seed in any::<u64>(),
        octets in prop::sample::select(vec![8, 1500, 4000]),
    ) {
        let mut world = World::new(Params::lan(), weather, seed);
        world.octets = octets;
        world.request(OBSERVE);
        for number in 1..40 {
            world.run_until(world.now + seconds(20));
            world.notify(number);
        }
        world.run_until(world.now + seconds(3600));
        prop_assert!(world.notifications.values().all(|ends| *ends == 1), "{:?}", world.notifications);
        prop_assert!(world.seen.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", world.seen);
    }

    #[test]
    fn the_same_seed_gives_the_same_run(weather in weather(), seed in any::<u64>()) {
        let run = || {
            let mut world = World::new(Params::nbiot(), weather.clone(), seed);
            (0..5).for_each(|number| world.request(number));
            world.run_until(world.now + seconds(3600));
            (*world.sides[0].stats(), *world.sides[1].stats(), world.happened)
        };
        prop_assert_eq!(run(), run());
    }

    /// Datagrams of noise and of near-messages, between actions that give them something to hit.
    #[test]
    fn no_datagram_panics(
        datagrams in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 1..60),
    ) {
        let mut bench = Bench::lan();
        for (number, (near, mut octets)) in datagrams.into_iter().enumerate() {
            let number = number as u64;
            if near {
                if let Some(first) = octets.first_mut() {
                    *first = *first & 0x37 | 0x40;
                }
            }
            bench.request(number, Request { observe: Some((number % 2) as u32), ..read() });
            let ours = bench.send();
            // Half of the near-messages name our latest Message ID and token.
            if let Some(ours) = ours.filter(|ours| near && ours.len() > 8 && octets.len() > 8) {
                octets[2..8].copy_from_slice(&ours[2..8]);
                octets[0] = octets[0] & 0xf0 | 4;
            }
            bench.receive_from(PEER, &octets);
            while let Some(event) = bench.event() {
                match event {
                    Event::Request { id, .. } => bench.respond(id, content("x")),
                    Event::ObservationStarted { id, .. } => bench.notify(number, id, number % 3 == 0),
                    _ => {}
                }
            }
            while bench.send().is_some() {}
            bench.wait(seconds(1));
        }
        bench.wait(seconds(2000));
        while bench.send().is_some() {
            bench.wait(seconds(100));
        }
    }
}
