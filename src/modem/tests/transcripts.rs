//! Dialogues as text, `tests/transcripts/<family>/*.txt`: the modem's side is played, the driver's side must be word
//! for word what stands there.
//!
//! `> AT` is said by the host, `< OK` by the modem, `<40 01>` in place of a text are octets as they are, `< >` is the
//! prompt, `#` begins a remark. `!` is what happens at the driver's other door.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bench::{peer, secs, t0};
use crate::modem::{Driver, PortEvent, Settings};
use crate::net::{Datagram, LinkEvent, Outgoing, ReleaseHint, TransmitId};
use crate::seed::Seed;

struct Play {
    driver: Driver,
    now: Instant,
    /// Said by the driver and not yet compared.
    said: VecDeque<u8>,
    events: VecDeque<LinkEvent>,
}

#[test]
fn attach_from_a_fresh_boot() {
    Play::new().play(include_str!("../../../tests/transcripts/quectel-bg9x/attach.txt"));
}

#[test]
fn restart_of_the_host_alone() {
    Play::new().play(include_str!("../../../tests/transcripts/quectel-bg9x/restart-of-the-host.txt"));
}

#[test]
fn datagrams_out_and_in() {
    Play::new().play(include_str!("../../../tests/transcripts/quectel-bg9x/datagrams.txt"));
}

#[test]
fn lost_context() {
    Play::new().play(include_str!("../../../tests/transcripts/quectel-bg9x/lost-context.txt"));
}

#[test]
fn lost_prompt() {
    Play::new().play(include_str!("../../../tests/transcripts/quectel-bg9x/lost-prompt.txt"));
}

impl Play {
    fn new() -> Self {
        let settings = Settings { apn: Some("iot.example".into()), local_port: 3030, ..Settings::default() };
        let driver = Driver::new(settings, Seed::new(1));
        Self { driver, now: t0(), said: VecDeque::new(), events: VecDeque::new() }
    }

    fn play(&mut self, script: &str) {
        for (number, line) in script.lines().enumerate() {
            let at = format!("line {}: {line}", number + 1);
            let (side, text) = line.split_at(line.len().min(1));
            let text = text.strip_prefix(' ').unwrap_or(text);
            match side {
                "" | "#" => {}
                "!" => self.happens(text, &at),
                ">" => {
                    let words = octets(text).unwrap_or_else(|| format!("{text}\r").into_bytes());
                    self.hear(&words, &at);
                }
                "<" => {
                    let words = match octets(text) {
                        Some(octets) => octets,
                        None if text == ">" => b"\r\n> ".to_vec(),
                        None => format!("\r\n{text}\r\n").into_bytes(),
                    };
                    assert!(self.said.is_empty(), "{at}: the host has said more: {:?}", self.said);
                    self.now += Duration::from_millis(5);
                    self.driver.handle_input(&words, self.now);
                    self.drain();
                }
                _ => panic!("{at}: neither side says this"),
            }
        }
    }

    fn happens(&mut self, what: &str, at: &str) {
        let (what, payload) = what.split_once(' ').unwrap_or((what, ""));
        match what {
            "open" => self.driver.handle_port(PortEvent::Opened, self.now),
            "online" => {
                self.play(include_str!("../../../tests/transcripts/quectel-bg9x/restart-of-the-host.txt"));
                self.play(ROUND);
            }
            "send" => {
                let datagram = Datagram { peer: peer(), payload: octets(payload).unwrap() };
                let outgoing = Outgoing { id: TransmitId(1), datagram, release: ReleaseHint::Unknown };
                assert!(self.driver.can_send(), "{at}");
                self.driver.send(outgoing, self.now);
            }
            "up" => assert!(matches!(self.event(at), LinkEvent::Up { .. }), "{at}"),
            "down" => assert!(matches!(self.event(at), LinkEvent::Down { .. }), "{at}"),
            "sent" => assert_eq!(self.event(at), LinkEvent::Sent(TransmitId(1)), "{at}"),
            "failed" => assert!(matches!(self.event(at), LinkEvent::SendFailed { .. }), "{at}"),
            "received" => {
                let payload = octets(payload).unwrap();
                assert_eq!(self.event(at), LinkEvent::Received(Datagram { peer: peer(), payload }), "{at}");
            }
            _ => panic!("{at}: nothing of this kind happens"),
        }
        self.drain();
    }

    fn hear(&mut self, words: &[u8], at: &str) {
        let patience = self.now + secs(130);
        while self.said.is_empty() {
            self.wait(patience, at);
        }
        let said: Vec<u8> = self.said.drain(..words.len().min(self.said.len())).collect();
        assert_eq!(String::from_utf8_lossy(&said), String::from_utf8_lossy(words), "{at}");
    }

    fn event(&mut self, at: &str) -> LinkEvent {
        let patience = self.now + secs(130);
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.wait(patience, at);
        }
    }

    fn wait(&mut self, patience: Instant, at: &str) {
        let deadline = self.driver.poll_timeout().filter(|deadline| deadline.at <= patience);
        let Some(deadline) = deadline else { panic!("{at}: the driver waits for nothing") };
        self.now = self.now.max(deadline.at);
        self.driver.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(octets) = self.driver.poll_transmit() {
            self.said.extend(octets);
        }
        while let Some(event) = self.driver.poll_event() {
            if event != LinkEvent::FactsChanged {
                self.events.push_back(event);
            }
        }
    }
}

/// The first look around after the link is up.
const ROUND: &str = r#"
> AT+QIRD=0
< +QIRD: 0
< OK
> AT+CEREG?
< +CEREG: 4,5,"69C9","DDA1451",9,,,"00000001","00100001"
< OK
> AT+QIACT?
< +QIACT: 1,1,1,"10.7.157.1"
< OK
> AT+QCSQ
< +QCSQ: "CAT-NB1",-67,-84,140,-11
< OK
> AT+QENG="servingcell"
< +QENG: "servingcell","NOCONN","CAT-NB","FDD",262,01,DDA1451,221,3740,8,0,0,69C9,-84,-11,-67,14,-
< OK
> AT+COPS?
< +COPS: 0,0,"Operator",9
< OK
"#;

/// The octets of `<40 01>`.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('<')?.strip_suffix('>')?;
    digits.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).ok()).collect()
}
