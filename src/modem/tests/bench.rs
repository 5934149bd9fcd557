//! A driver and a scripted modem under a virtual clock. The modem knows only what a test tells it to answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::modem::{Driver, PortEvent, Settings};
use crate::net::{Datagram, LinkEvent, Outgoing, Peer, ReleaseHint, TransmitId};
use crate::seed::Seed;

/// How long the modem takes for an answer unless told otherwise.
const PROMPTLY: Duration = Duration::from_millis(20);
/// Rounds without time moving on, beyond which the driver turns on the spot.
const MAX_ROUNDS: u32 = 200;

/// What a well-behaved BG96, freshly booted and with its network in reach, answers.
const BG96: &[(&str, &str)] = &[
    ("AT", "OK"),
    ("ATV1", "OK"),
    ("ATE0", "OK"),
    ("AT+CMEE=1", "OK"),
    ("AT+CGMI", "Quectel|OK"),
    ("AT+CGMM", "BG96|OK"),
    ("AT+CGMR", "BG96MAR02A07M1G|OK"),
    ("AT+CGSN", "351358815178345|OK"),
    ("AT+QURCCFG=\"urcport\"", "+QURCCFG: \"urcport\",\"usbat\"|OK"),
    ("AT+QSCLK=0", "OK"),
    ("AT+CFUN?", "+CFUN: 1|OK"),
    ("AT+CFUN=1", "OK"),
    ("AT+CFUN=4", "OK"),
    ("AT+CPIN?", "+CPIN: READY||OK"),
    ("AT+CIMI", "262011234567890|OK"),
    ("AT+QCCID", "+QCCID: 8949020000012345678F|OK"),
    (
        "AT+CGDCONT?",
        "+CGDCONT: 1,\"IP\",\"iot.example\",\"0.0.0.0\",0,0,0,0|+CGDCONT: 2,\"IPV4V6\",\"ims\",\"\",0,0,0,0|OK",
    ),
    ("AT+QICSGP=1", "+QICSGP: 1,\"iot.example\",\"\",\"\",0|OK"),
    ("AT+CEREG=4", "OK"),
    ("AT+CEREG?", "+CEREG: 4,5,\"69C9\",\"DDA1451\",9,,,\"00000001\",\"00100001\"|OK"),
    ("AT+QIACT?", "+QIACT: 1,1,1,\"10.7.157.1\"||OK"),
    ("AT+QIACT=1", "OK"),
    ("AT+QIDEACT=1", "OK"),
    ("AT+QISDE=0", "OK"),
    ("AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,0", "OK||+QIOPEN: 0,0"),
    ("AT+QICLOSE=0", "OK"),
    ("AT+QISTATE=1,0", "+QISTATE: 0,\"UDP SERVICE\",\"127.0.0.1\",0,56830,3,1,0,0,\"usbat\"||OK"),
    ("AT+QIRD=0", "+QIRD: 0||OK"),
    ("AT+QCSQ", "+QCSQ: \"CAT-NB1\",-67,-84,140,-11|OK"),
    (
        "AT+QENG=\"servingcell\"",
        "+QENG: \"servingcell\",\"NOCONN\",\"CAT-NB\",\"FDD\",262,01,DDA1451,221,3740,8,0,0,69C9,-84,-11,-67,14,-|OK",
    ),
    ("AT+COPS?", "+COPS: 0,0,\"Operator\",9|OK"),
    // Not a command: what follows the payload at the prompt.
    ("SEND", "SEND OK"),
    ("AT+QIGETERROR", "+QIGETERROR: 552, invalid parameters|OK"),
];

pub fn t0() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    Instant::now()
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn peer() -> Peer {
    Peer(SocketAddr::from(([198, 51, 100, 7], 5683)))
}

pub struct Bench {
    pub driver: Driver,
    pub now: Instant,

    /// Command lines the modem got, in order.
    pub log: Vec<String>,
    /// Payloads the modem took at a prompt.
    pub payloads: Vec<Vec<u8>>,
    pub events: Vec<LinkEvent>,
    answers: BTreeMap<String, VecDeque<String>>,
    to_host: VecDeque<(Instant, Vec<u8>)>,
    line: Vec<u8>,
    /// Octets still missing at the prompt, and what follows them.
    prompt: Option<(usize, String)>,
    pub mute: bool,
}

impl Bench {
    /// Port not yet opened.
    pub fn closed(settings: Settings) -> Self {
        let now = t0();
        let mut bench = Self {
            driver: Driver::new(settings, Seed::new(1)),
            now,

            log: Vec::new(),
            payloads: Vec::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            to_host: VecDeque::new(),
            line: Vec::new(),
            prompt: None,
            mute: false,
        };
        for (command, answer) in BG96 {
            bench.always(command, answer);
        }
        bench
    }

    /// Port opened, nothing done yet.
    pub fn opened(settings: Settings) -> Self {
        let mut bench = Self::closed(settings);
        bench.open();
        bench
    }

    /// Link up, first round of status done, log and events emptied.
    pub fn online() -> Self {
        let mut bench = Self::opened(Settings::default());
        bench.run(secs(5));
        assert!(bench.driver.facts().up, "{:?} after {:#?}", bench.driver.facts(), bench.log);
        bench.log.clear();
        bench.events.clear();
        bench
    }

    pub fn open(&mut self) {
        self.driver.handle_port(PortEvent::Opened, self.now);
    }

    /// From now on the modem answers this command so. Lines are separated by `|`; `~` lets a second pass; `-` is
    /// silence.
    pub fn always(&mut self, command: &str, answer: &str) {
        let answers = self.answers.entry(command.to_owned()).or_default();
        answers.pop_back();
        answers.push_back(answer.to_owned());
    }

    /// The modem answers this command so once before what it answers always.
    pub fn once(&mut self, command: &str, answer: &str) {
        let answers = self.answers.entry(command.to_owned()).or_default();
        let last = answers.len().saturating_sub(1);
        answers.insert(last, answer.to_owned());
    }

    /// The modem says this by itself.
    pub fn say(&mut self, lines: &str) {
        self.reply(lines);
    }

    /// The modem says these octets by itself.
    pub fn say_octets(&mut self, octets: Vec<u8>) {
        self.to_host.push_back((self.now + PROMPTLY, octets));
        self.to_host.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    pub fn send(&mut self, id: u64, payload: &[u8]) {
        let datagram = Datagram { peer: peer(), payload: payload.to_vec() };
        let outgoing = Outgoing { id: TransmitId(id), datagram, release: ReleaseHint::Unknown };
        self.driver.send(outgoing, self.now);
    }

    /// Lets this much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut rounds = 0;
        loop {
            self.exchange();
            let deadline = self.driver.poll_timeout();
            let heard = self.to_host.front().map(|(at, _)| *at);
            let next = [deadline.map(|deadline| deadline.at), heard].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            rounds = if next > self.now { 0 } else { rounds + 1 };
            assert!(rounds < MAX_ROUNDS, "turns on the spot: {deadline:?}, {:?}", self.driver.facts().state);
            self.now = self.now.max(next);
            if heard.is_some_and(|at| at <= self.now) {
                if let Some((_, octets)) = self.to_host.pop_front() {
                    self.driver.handle_input(&octets, self.now);
                }
            } else {
                self.driver.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Times that the modem got this command.
    pub fn count(&self, command: &str) -> usize {
        self.log.iter().filter(|line| *line == command).count()
    }

    /// The commands appear in this order in the log, others among them or not.
    pub fn assert_order(&self, commands: &[&str]) {
        let mut log = self.log.iter();
        for command in commands {
            assert!(
                log.any(|line| line == command),
                "{command} is missing or out of order in {:#?}",
                self.log
            );
        }
    }

    pub fn has_event(&self, event: &LinkEvent) -> bool {
        self.events.contains(event)
    }

    /// Events but for `FactsChanged`.
    pub fn take_events(&mut self) -> Vec<LinkEvent> {
        let mut events = std::mem::take(&mut self.events);
        events.retain(|event| *event != LinkEvent::FactsChanged);
        events
    }

    fn exchange(&mut self) {
        while let Some(octets) = self.driver.poll_transmit() {
            octets.into_iter().for_each(|octet| self.hear(octet));
        }
        while let Some(event) = self.driver.poll_event() {
            self.events.push(event);
        }
    }

    fn hear(&mut self, octet: u8) {
        if let Some((missing, _)) = &mut self.prompt {
            self.line.push(octet);
            *missing -= 1;
            if *missing == 0 {
                self.payloads.push(std::mem::take(&mut self.line));
                let answer = self.prompt.take().map(|(_, answer)| answer).unwrap_or_default();
                self.reply(&answer);
            }
            return;
        }
        if octet != b'\r' {
            return self.line.push(octet);
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        self.log.push(line.clone());
        if self.mute {
            return;
        }
        let answer = self
            .answers
            .get_mut(&line)
            .map(|answers| if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() });
        match answer {
            Some(answer) => self.reply(&answer),
            None if line.starts_with("AT+QISEND=") => {
                let octets = line.split(',').nth(1).and_then(|octets| octets.parse().ok()).unwrap();
                let answer = self.answers.get_mut("SEND").map_or("SEND OK".to_owned(), |answers| {
                    if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
                });
                if answer == "no prompt" {
                    return;
                }
                if let Some(answer) = answer.strip_prefix("instead of a prompt ") {
                    return self.reply(answer);
                }
                self.prompt = Some((octets, answer));
                self.to_host.push_back((self.now + PROMPTLY, b"\r\n> ".to_vec()));
            }
            None => self.reply("ERROR"),
        }
    }

    fn reply(&mut self, answer: &str) {
        if answer == "-" {
            return;
        }
        let mut at = self.now + PROMPTLY;
        for line in answer.split('|') {
            let waits = line.chars().take_while(|character| *character == '~').count();
            at += secs(waits as u64);
            let line = &line[waits..];
            let octets = match line.strip_prefix('<') {
                // Counted octets, as hex.
                Some(hex) => {
                    let hex = hex.trim_end_matches('>').split_whitespace();
                    hex.map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
                }
                None => format!("\r\n{line}\r\n").into_bytes(),
            };
            self.to_host.push_back((at, octets));
        }
        self.to_host.make_contiguous().sort_by_key(|(at, _)| *at);
    }
}
