//! Plays the dialogues of `tests/transcripts/virtual-bg9x` against the modem, and what no dialogue says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{LongDatagrams, Modem, Options, Sim};
use crate::clock::UnixTime;
use crate::lab::radio::{Down, Serving, Up};
use crate::seed::Seed;

/// No answer takes longer than this: silence of a name server.
const PATIENCE: Duration = Duration::from_secs(90);

struct Player {
    modem: Modem,
    now: Instant,
    heard: Vec<u8>,
    ups: Vec<Up>,
}

impl Player {
    fn new(options: Options, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let now = Instant::now();
        let modem = Modem::new(options, Seed::new(seed), now);
        Self { modem, now, heard: Vec::new(), ups: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(octets) = self.modem.poll_transmit(self.now) {
            self.heard.extend(octets);
        }
        while let Some(up) = self.modem.poll_radio() {
            self.ups.push(up);
        }
    }

    fn say(&mut self, octets: &[u8]) {
        self.modem.handle_input(octets, self.now);
        self.drain();
    }

    fn tell(&mut self, down: Down) {
        self.modem.handle_radio(down, self.now);
        self.drain();
    }

    fn wait(&mut self, wait: Duration) {
        let end = self.now + wait;
        while let Some(deadline) = self.modem.poll_timeout().filter(|deadline| deadline.at <= end) {
            self.now = self.now.max(deadline.at);
            self.modem.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until this comes next; line ends before it are skipped, before octets only one.
    fn expect(&mut self, wanted: &[u8], is_line: bool) {
        let give_up = self.now + PATIENCE;
        loop {
            let mut heard = self.heard.as_slice();
            if is_line {
                let start = heard.iter().position(|octet| !b"\r\n".contains(octet)).unwrap_or(heard.len());
                heard = &heard[start..];
            } else {
                heard = heard.strip_prefix(b"\r\n").unwrap_or(heard);
            }
            if let Some(rest) = heard.strip_prefix(wanted) {
                self.heard = rest.to_vec();
                return;
            }
            let heard = String::from_utf8_lossy(heard).into_owned();
            let wanted = String::from_utf8_lossy(wanted);
            assert!(heard.len() < wanted.len() + 2, "wanted {wanted:?}, heard {heard:?}");
            let deadline = self.modem.poll_timeout().filter(|deadline| deadline.at <= give_up);
            let Some(deadline) = deadline else {
                panic!("wanted {wanted:?}, heard {heard:?}, and nothing follows")
            };
            self.now = self.now.max(deadline.at);
            self.modem.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Booted, echo off, attached, context 1 active.
    fn make_ready(&mut self) {
        self.wait(Duration::from_secs(5));
        self.say(b"ATE0\r");
        self.tell(Down::Attached(Serving::default()));
        self.wait(Duration::from_secs(1));
        self.say(b"AT+QIACT=1\r");
        self.wait(Duration::from_secs(1));
        assert!(self.heard.ends_with(b"\r\nOK\r\n"));
        self.heard.clear();
        self.ups.clear();
    }

    fn happen(&mut self, what: &str) {
        let words: Vec<&str> = what.split_whitespace().collect();
        match words.as_slice() {
            ["power", "key"] => {}
            ["ready"] => self.make_ready(),
            ["attached"] => self.tell(Down::Attached(Serving { roaming: true, ..Serving::default() })),
            ["context", "lost"] => self.tell(Down::ContextLost),
            ["wait", time] => self.wait(humantime::parse_duration(time).unwrap()),
            ["resolved", name, addresses @ ..] => {
                assert_eq!(self.ups.pop(), Some(Up::Resolve { name: (*name).into() }));
                let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
                self.tell(Down::Resolved { name: (*name).into(), addresses });
            }
            ["datagram", port, from, ..] => {
                let from: SocketAddr = from.parse().unwrap();
                self.tell(Down::Datagram {
                    local_port: port.parse().unwrap(),
                    from,
                    payload: octets(what).unwrap(),
                });
            }
            ["up", port, to, ..] => {
                let (local_port, to) = (port.parse().unwrap(), to.parse().unwrap());
                assert_eq!(
                    self.ups.pop(),
                    Some(Up::Datagram { local_port, to, payload: octets(what).unwrap() })
                );
            }
            _ => panic!("unknown happening {what:?}"),
        }
    }

    fn play(&mut self, transcript: &str) {
        for line in transcript.lines() {
            match (line.chars().next(), line.get(2..)) {
                (Some('>'), Some(text)) => match octets(text) {
                    Some(octets) => self.say(&octets),
                    None => self.say(format!("{text}\r").as_bytes()),
                },
                (Some('<'), Some(text)) => match octets(text) {
                    Some(octets) => self.expect(&octets, false),
                    None => self.expect(text.as_bytes(), true),
                },
                (Some('@'), Some(what)) => self.happen(what),
                _ => {}
            }
        }
        let rest = String::from_utf8_lossy(&self.heard);
        assert_eq!(rest.trim(), "", "nothing more was to come");
    }
}

/// The octets of `… <40 01>`, if the text ends so.
fn octets(text: &str) -> Option<Vec<u8>> {
    let (_, inside) = text.strip_suffix('>')?.split_once('<')?;
    inside.split(' ').map(|octet| u8::from_str_radix(octet, 16).ok()).collect()
}

fn plain() -> Options {
    Options { wander_db: 0, wall_clock: Some(UnixTime::from_secs(1_735_689_600)), ..Options::default() }
}

fn plays(file: &str) {
    let path = format!("{}/tests/transcripts/virtual-bg9x/{file}", env!("CARGO_MANIFEST_DIR"));
    let transcript = std::fs::read_to_string(path).unwrap();
    // The order of `APP RDY` and `RDY` is drawn; the transcript of the attach has this one.
    let has_app_first = |seed: &u64| {
        let mut player = Player::new(plain(), *seed);
        player.wait(Duration::from_secs(1));
        player.heard.starts_with(b"\r\nAPP RDY")
    };
    for seed in (1..).filter(has_app_first).take(3) {
        Player::new(plain(), seed).play(&transcript);
    }
}

#[test]
fn attaches_as_documented() {
    plays("attach.txt");
}

#[test]
fn exchanges_datagrams_over_a_connected_socket() {
    plays("udp.txt");
}

#[test]
fn exchanges_datagrams_with_anyone_over_a_service_socket() {
    plays("udp-service.txt");
}

#[test]
fn keeps_a_stale_socket_and_loses_a_context_mid_answer() {
    plays("stale-socket.txt");
}

#[test]
fn pushes_datagrams_into_the_middle_of_answers() {
    plays("push.txt");
}

#[test]
fn echoes_payload_until_told_not_to() {
    plays("data-echo.txt");
}

#[test]
fn finds_names_one_at_a_time() {
    plays("names.txt");
}

#[test]
fn forgets_ram_and_keeps_flash_over_a_restart() {
    plays("restart.txt");
}

#[test]
fn words_errors_as_asked() {
    plays("errors.txt");
}

#[test]
fn tells_who_it_is() {
    plays("identity.txt");
}

#[test]
fn urcs_stay_away_from_a_port_that_is_not_theirs() {
    let mut player = Player::new(Options { urc_port: "uart1".into(), ..plain() }, 1);
    player.wait(Duration::from_secs(5));
    player.say(b"AT+CEREG=1\r");
    player.tell(Down::Attached(Serving::default()));
    player.expect(b"AT+CEREG=1", true);
    player.expect(b"OK", true);
    player.say(b"AT+QURCCFG=\"urcport\",\"usbmodem\"\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    player.tell(Down::CoverageLost);
    player.expect(b"+CEREG: 2", true);
}

#[test]
fn the_clock_is_the_networks_once_attached() {
    let mut player = Player::new(plain(), 1);
    player.wait(Duration::from_secs(4));
    player.heard.clear();
    player.say(b"ATE0;+CCLK?\r");
    player.expect(b"ATE0;+CCLK?", true);
    player.expect(b"+CCLK: \"80/01/06,00:00:0", true);
    player.make_ready();
    player.say(b"AT+CCLK?;+QLTS=1\r");
    player.expect(b"+CCLK: \"25/01/01,00:00:1", true);
    player.wait(Duration::from_secs(1));
    assert!(String::from_utf8_lossy(&player.heard).contains("+QLTS: \"2025/01/01,00:00:1"));
}

#[test]
fn a_wrong_pin_three_times_locks_the_card() {
    let mut player = Player::new(Options { sim: Sim::Pin("1234".into()), ..plain() }, 1);
    player.wait(Duration::from_secs(3));
    player.say(b"ATE0\rAT+CMEE=1\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    for _ in 0..3 {
        player.say(b"AT+CPIN=\"4321\"\r");
        player.expect(b"+CME ERROR: 16", true);
    }
    player.say(b"AT+CPIN?\r");
    player.expect(b"+CPIN: SIM PUK", true);
    player.say(b"AT+CIMI\r");
    player.expect(b"OK", true);
    player.expect(b"+CME ERROR: 12", true);
}

#[test]
fn a_right_pin_lets_the_modem_attach() {
    let mut player = Player::new(Options { sim: Sim::Pin("1234".into()), ..plain() }, 1);
    player.wait(Duration::from_secs(10));
    assert_eq!(player.ups, []);
    player.say(b"AT+CPIN=\"1234\"\r");
    player.wait(Duration::from_secs(3));
    assert_eq!(player.ups, [Up::Attach { apn: String::new() }]);
}

#[test]
fn without_nb_iot_allowed_there_is_no_network() {
    let mut player = Player::new(plain(), 1);
    player.wait(Duration::from_secs(1));
    player.say(b"AT+QCFG=\"iotopmode\",0,1\r");
    player.wait(Duration::from_secs(30));
    assert_eq!(player.ups, []);
    player.heard.clear();
    player.say(b"ATE0;+CEREG?\r");
    player.expect(b"ATE0;+CEREG?", true);
    player.expect(b"+CEREG: 0,2", true);
}

#[test]
fn a_long_datagram_is_cut_and_a_full_buffer_drops() {
    let mut player = Player::new(plain(), 1);
    player.make_ready();
    player.say(b"AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,3030,0\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    let from = SocketAddr::from(([198, 51, 100, 7], 5683));
    for _ in 0..7 {
        player.tell(Down::Datagram { local_port: 3030, from, payload: vec![b'x'; 1600] });
    }
    assert_eq!(player.modem.dropped_datagrams(), 1);
    player.expect(b"+QIURC: \"recv\",0", true);
    player.say(b"AT+QIRD=0\r");
    player.expect(b"+QIRD: 1500,\"198.51.100.7\",5683", true);
}

/// Takes one datagram of 545 octets as a modem that can take 512.
fn takes_545_of_512(long_datagrams: LongDatagrams) -> Player {
    let mut player = Player::new(Options { max_receive: 512, long_datagrams, ..plain() }, 1);
    player.make_ready();
    player.say(b"AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,3030,0\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    let from = SocketAddr::from(([198, 51, 100, 7], 5683));
    player.tell(Down::Datagram { local_port: 3030, from, payload: vec![b'x'; 545] });
    player
}

#[test]
fn a_modem_of_another_family_cuts_or_drops_what_it_cannot_take() {
    let mut cutting = takes_545_of_512(LongDatagrams::Cut);
    cutting.expect(b"+QIURC: \"recv\",0", true);
    cutting.say(b"AT+QIRD=0\r");
    cutting.expect(b"+QIRD: 512,\"198.51.100.7\",5683", true);
    assert_eq!((cutting.modem.dropped_datagrams(), cutting.modem.unread_octets()), (0, 33));
    let dropping = takes_545_of_512(LongDatagrams::Drop);
    assert!(dropping.heard.is_empty());
    assert_eq!((dropping.modem.dropped_datagrams(), dropping.modem.unread_octets()), (1, 545));
}

#[test]
fn input_behind_a_payload_of_the_announced_length_is_a_command_again() {
    let mut player = Player::new(plain(), 1);
    player.make_ready();
    player.say(b"AT+QISDE=0;+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,3030,0\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    player.say(b"AT+QISEND=0,2,\"198.51.100.7\",5683\r");
    player.expect(b"> ", true);
    player.say(b"\x40\x01\x1aAT+CGATT?\r");
    player.expect(b"SEND OK", true);
    player.expect(b"+CGATT: 1", true);
}

#[test]
fn an_operator_that_is_not_there_is_given_up() {
    let mut player = Player::new(plain(), 1);
    player.make_ready();
    player.say(b"AT+CMEE=1\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    player.say(b"AT+COPS=1,2,\"26201\",9\r");
    player.wait(Duration::from_secs(1));
    player.tell(Down::Attached(Serving::default()));
    player.expect(b"+QIURC: \"pdpdeact\",1", true);
    player.expect(b"+CME ERROR: 30", true);
    player.say(b"AT+COPS=1,2,\"00101\",9\r");
    player.wait(Duration::from_secs(1));
    player.tell(Down::Attached(Serving::default()));
    player.expect(b"OK", true);
}

#[test]
fn a_send_can_fail_and_then_nothing_leaves() {
    let mut player = Player::new(Options { send_fail: 1.0, ..plain() }, 1);
    player.make_ready();
    player.say(b"AT+QISDE=0;+QIOPEN=1,0,\"UDP\",\"198.51.100.7\",5683\r");
    player.wait(Duration::from_secs(1));
    player.heard.clear();
    player.ups.clear();
    player.say(b"AT+QISENDEX=0,\"4001\"\r");
    player.expect(b"SEND FAIL", true);
    assert_eq!(player.ups, []);
}

/// Plays input in pieces at the same instant, then lets two minutes pass.
fn run(pieces: &[&[u8]], seed: u64) -> (Vec<u8>, Vec<Up>) {
    let mut player = Player::new(Options { baud: Some(115_200), ..Options::default() }, seed);
    player.wait(Duration::from_secs(5));
    player.tell(Down::Attached(Serving::default()));
    player.wait(Duration::from_secs(1));
    for piece in pieces {
        player.say(piece);
    }
    player.wait(Duration::from_secs(120));
    (player.heard, player.ups)
}

/// Lines that mean something, broken now and then.
fn host_octets() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "AT",
        "ATE0",
        "ATI",
        "AT+CFUN=1,1",
        "AT+CFUN=0",
        "AT+CFUN=1",
        "AT+QIACT=1",
        "AT+QIDEACT=1",
        "AT+QIACT?",
        "AT+QIOPEN=1,0,\"UDP\",\"198.51.100.7\",5683,0,0",
        "AT+QIOPEN=1,1,\"UDP SERVICE\",\"127.0.0.1\",0,3030,1",
        "AT+QIOPEN=1,2,\"UDP\",\"a.example\",5683,0,0",
        "AT+QISEND=0,4",
        "AT+QISEND=1,1,\"198.51.100.7\",5683",
        "AT+QISENDEX=0,\"40\"",
        "AT+QIRD=0,1500",
        "AT+QICLOSE=0",
        "AT+QISTATE?",
        "AT+COPS=1,2,\"26201\",9",
        "AT+COPS=2",
        "AT+COPS=0",
        "AT+COPS=?",
        "AT+QPOWD",
        "AT+QISDE=0",
        "AT+QIDNSGIP=1,\"b.example\"",
        "AT+QCSQ",
        "AT+CEREG=4;+CEREG?",
        "AT+CGDCONT=16,\"IP\",\"x\"",
        "AT+QCFG=\"band\",0,0,80000,1",
        "AT+CPSMS=1,,,\"1\",\"2\"",
    ]);
    let piece = prop_oneof![
        8 => line.prop_map(|line| format!("{line}\r").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_panics_and_chunks_do_not_matter(octets in host_octets(), size in 1_usize..20, seed in 0_u64..4) {
        let whole = run(&[&octets], seed);
        let chunks: Vec<&[u8]> = octets.chunks(size).collect();
        prop_assert_eq!(&whole, &run(&chunks, seed));
    }
}
