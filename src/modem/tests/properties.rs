//! What holds whatever the modem says: no panic, time moves on, every datagram has one end, the link tells ups and
//! downs in turn.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::bench::{Bench, peer, secs, t0};
use crate::modem::{Driver, PortEvent, Settings};
use crate::net::{Datagram, LinkEvent, LinkRequest, Outgoing, ReleaseHint, TransmitId};
use crate::seed::Seed;

/// Something that happens to the driver.
#[derive(Debug, Clone)]
enum Act {
    Say(Vec<u8>),
    /// What the modem would say to the command in flight, more or less.
    Answer(&'static str),
    Wait(u64),
    Send,
    Resolve,
    Open,
    Lose,
}

const ANSWERS: &[&str] = &[
    "OK",
    "OK",
    "OK",
    "OK",
    "OK",
    "ERROR",
    "+CME ERROR: 14",
    "SEND OK",
    "SEND FAIL",
    "> ",
    "RDY",
    "+CFUN: 1",
    "+CPIN: READY\r\n\r\nOK",
    "Quectel\r\n\r\nOK",
    "BG96\r\n\r\nOK",
    "+CEREG: 4,1\r\n\r\nOK",
    "+CEREG: 2",
    "+QIACT: 1,1,1,\"10.7.157.1\"\r\n\r\nOK",
    "OK\r\n\r\n+QIOPEN: 0,0",
    "+QIOPEN: 0,563",
    "+QIURC: \"recv\",0",
    "+QIURC: \"pdpdeact\",1",
    "+QIRD: 3,\"198.51.100.7\",5683\r\nabc\r\n\r\nOK",
    "+QIRD: 0\r\n\r\nOK",
    "+QIURC: \"dnsgip\",0,1,60",
    "+QIURC: \"dnsgip\",\"192.0.2.1\"",
    "POWERED DOWN",
    "NO CARRIER",
    "+QISTATE: 0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,3,1,0,0,\"usbat\"\r\n\r\nOK",
];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Act::Say),
        12 => proptest::sample::select(ANSWERS).prop_map(Act::Answer),
        4 => (0_u64..200_000).prop_map(Act::Wait),
        6 => (0_u64..700).prop_map(Act::Wait),
        2 => Just(Act::Send),
        1 => Just(Act::Resolve),
        1 => prop_oneof![Just(Act::Open), Just(Act::Lose)],
    ]
}

/// Something that goes wrong on a good link.
#[derive(Debug, Clone)]
enum Trouble {
    Says(Vec<u8>),
    SaysLine(&'static str),
    /// The next answer to this command is this.
    Answers(&'static str, &'static str),
    Mute(u64),
    Wait(u64),
    Send,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let says = [
        "RDY",
        "+CFUN: 1",
        "POWERED DOWN",
        "+QIURC: \"pdpdeact\",1",
        "+CEREG: 2",
        "+CEREG: 3",
        "OK",
        "ERROR",
        "SEND OK",
        "> ",
        "+QIURC: \"recv\",0",
        "+QIOPEN: 0,563",
        "+QIRD: 700,\"198.51.100.7\",5683",
        "NO CARRIER",
    ];
    let commands = [
        "SEND",
        "AT",
        "AT+QIRD=0",
        "AT+QIACT?",
        "AT+QIACT=1",
        "AT+QISTATE=1,0",
        "AT+CEREG?",
        "AT+CPIN?",
        "AT+CGMM",
        "AT+QCSQ",
        "AT+QICLOSE=0",
        "AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0",
        "ATE0",
    ];
    let answers = [
        "-",
        "ERROR",
        "OK",
        "~~~~~~~~~~OK",
        "SEND FAIL",
        "+CME ERROR: 30",
        "no prompt",
        "RDY",
        "instead of a prompt ERROR",
        "+QIRD: 700,\"198.51.100.7\",5683",
        "+QIRD: 1,\"198.51.100.7\",5683|<60>|OK",
        "OK|OK",
        "+QIACT: 1,1,1,\"10.7.157.2\"|OK",
        "+CPIN: SIM PIN|OK",
        "BC66|OK",
        "OK||+QIOPEN: 0,566",
    ];
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Trouble::Says),
        4 => proptest::sample::select(says.to_vec()).prop_map(Trouble::SaysLine),
        8 => (proptest::sample::select(commands.to_vec()), proptest::sample::select(answers.to_vec()))
            .prop_map(|(command, answer)| Trouble::Answers(command, answer)),
        1 => (0_u64..60_000).prop_map(Trouble::Mute),
        6 => (0_u64..60_000).prop_map(Trouble::Wait),
        6 => Just(Trouble::Send),
    ]
}

#[derive(Default)]
struct Seen {
    up: bool,
    in_hand: Vec<u64>,
}

impl Seen {
    fn drain(&mut self, driver: &mut Driver) {
        while driver.poll_transmit().is_some() {}
        while let Some(event) = driver.poll_event() {
            self.see(&event);
        }
        self.agrees(driver);
    }

    fn see(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Up { .. } => assert!(!std::mem::replace(&mut self.up, true), "up twice"),
            LinkEvent::Down { .. } => {
                assert!(std::mem::replace(&mut self.up, false), "down twice");
                assert!(self.in_hand.is_empty(), "what was in hand fails before the link goes down");
            }
            LinkEvent::Sent(id) | LinkEvent::SendFailed { id, .. } => {
                let place = self.in_hand.iter().position(|held| *held == id.0);
                self.in_hand.remove(place.expect("one end for each datagram"));
            }
            _ => {}
        }
    }

    fn agrees(&self, driver: &Driver) {
        assert_eq!(self.up, driver.facts().up);
        assert!(!driver.can_send() || (self.up && self.in_hand.is_empty()));
    }
}

/// Lets time pass; each deadline must be followed by a later one or by none.
fn wait(driver: &mut Driver, seen: &mut Seen, now: &mut Instant, time: Duration) {
    let end = *now + time;
    let mut rounds = 0;
    while let Some(deadline) = driver.poll_timeout().filter(|deadline| deadline.at <= end) {
        rounds = if deadline.at > *now { 0 } else { rounds + 1 };
        assert!(rounds < 20, "turns on the spot: {}", deadline.why);
        *now = (*now).max(deadline.at);
        driver.handle_timeout(*now);
        seen.drain(driver);
    }
    *now = end;
}

proptest! {
    #[test]
    fn nothing_a_modem_says_breaks_the_driver(acts in proptest::collection::vec(act(), 0..200), seed in any::<u64>()) {
        let mut driver = Driver::new(Settings::default(), Seed::new(seed));
        let (mut now, mut seen, mut id) = (t0(), Seen::default(), 0);
        driver.handle_port(PortEvent::Opened, now);
        for act in acts {
            match act {
                Act::Say(octets) => driver.handle_input(&octets, now),
                Act::Answer(text) => driver.handle_input(format!("\r\n{text}\r\n").as_bytes(), now),
                Act::Wait(millis) => wait(&mut driver, &mut seen, &mut now, Duration::from_millis(millis)),
                Act::Send => {
                    id += 1;
                    seen.in_hand.push(id);
                    let datagram = Datagram { peer: peer(), payload: vec![1, 2, 3] };
                    driver.send(Outgoing { id: TransmitId(id), datagram, release: ReleaseHint::Unknown }, now);
                }
                Act::Resolve => driver.request(LinkRequest::Resolve { name: "a.example".into() }, now),
                Act::Open => driver.handle_port(PortEvent::Opened, now),
                Act::Lose => driver.handle_port(PortEvent::Lost { reason: "unplugged".into() }, now),
            }
            seen.drain(&mut driver);
        }
        driver.shutdown(now);
        seen.drain(&mut driver);
        wait(&mut driver, &mut seen, &mut now, Duration::from_secs(10));
        prop_assert!(driver.is_shut_down());
        prop_assert!(seen.in_hand.is_empty(), "every datagram has its end");
    }

    #[test]
    fn a_link_always_comes_back(troubles in proptest::collection::vec(trouble(), 1..30)) {
        let mut bench = Bench::online();
        let (mut seen, mut id) = (Seen { up: true, ..Seen::default() }, 0);
        for trouble in troubles {
            match trouble {
                Trouble::Says(octets) => bench.say_octets(octets),
                Trouble::SaysLine(text) => bench.say(text),
                Trouble::Answers(command, answer) => bench.once(command, answer),
                Trouble::Mute(millis) => {
                    bench.mute = true;
                    bench.run(Duration::from_millis(millis));
                    bench.mute = false;
                }
                Trouble::Wait(millis) => bench.run(Duration::from_millis(millis)),
                Trouble::Send => {
                    id += 1;
                    seen.in_hand.push(id);
                    bench.send(id, &[1, 2, 3]);
                }
            }
            bench.run(Duration::ZERO);
            bench.events.drain(..).for_each(|event| seen.see(&event));
            seen.agrees(&bench.driver);
        }
        bench.run(secs(1200));
        bench.events.drain(..).for_each(|event| seen.see(&event));
        seen.agrees(&bench.driver);
        prop_assert!(seen.in_hand.is_empty(), "every datagram has its end");
        prop_assert!(bench.driver.facts().up, "{:?}\n{:#?}", bench.driver.facts(), bench.log);
    }
}
