//! Dialogues with modems, as text, replayed through the AT channel; what it tells is compared with a snapshot.
//!
//! `> AT` is said by the host, `< OK` by the modem, `<40 01>` in place of a text are octets as they are, `< > ` is the
//! prompt, `#` begins a remark. The host's side is checked, too: the channel must say exactly this, in this order.

use std::time::Instant;

use nbgate::at::{Channel, Command, Event, Finals, Settings, grammar};

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Host(String),
    HostOctets(Vec<u8>),
    Modem(Vec<u8>),
}

fn parse(script: &str) -> Vec<Said> {
    let lines = script.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (side, text) = line.split_at(1);
            let text = text.strip_prefix(' ').unwrap_or(text);
            match (side, octets(text)) {
                (">", None) => Said::Host(text.to_owned()),
                (">", Some(octets)) => Said::HostOctets(octets),
                ("<", Some(octets)) => Said::Modem(octets),
                ("<", None) if text.trim_end() == ">" => Said::Modem(b"\r\n> ".to_vec()),
                ("<", None) => Said::Modem(format!("\r\n{text}\r\n").into_bytes()),
                _ => panic!("neither side says {line:?}"),
            }
        })
        .collect()
}

/// The octets of `<40 01>`.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix('<')?.strip_suffix('>')?;
    digits.split(' ').map(|octet| u8::from_str_radix(octet, 16).ok()).collect()
}

/// The command of a line that the host says, with what it says at the prompt that follows.
fn command(text: &str, rest: &[Said]) -> Command {
    let name = text.strip_prefix("AT").expect("the host says commands");
    let command = match name.split_once('=') {
        Some((name, args)) => Command::set(name).arg(args),
        None if name.ends_with('?') => Command::read(name.trim_end_matches('?')),
        None if name.starts_with('+') => Command::execute(name),
        None => Command::basic(name),
    };
    if !text.starts_with("AT+QISEND=") {
        return command;
    }
    let payload = rest.iter().find_map(|said| match said {
        Said::HostOctets(octets) => Some(octets.clone()),
        _ => None,
    });
    command.payload(payload.unwrap_or_else(|| b"\x40\x01\x30\x39\xB1\x61".to_vec())).ends_with(Finals::Send)
}

/// `+QIRD: <n>` announces octets.
fn counted(line: &str) -> Option<usize> {
    grammar::params(line, "+QIRD")?.first()?.parse()
}

struct Replay {
    channel: Channel,
    now: Instant,
    told: String,
}

impl Replay {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
        let now = Instant::now();
        let mut channel = Channel::new(Settings { counted, ..Settings::default() });
        channel.reset(now);
        Self { channel, now, told: String::new() }
    }

    fn run(mut self, script: &str) -> String {
        let script = parse(script);
        if script.first() != Some(&Said::Host("AT".to_owned())) {
            self.find_step();
        }
        for (at, said) in script.iter().enumerate() {
            match said {
                Said::Host(text) if text == "AT" => assert_eq!(self.next_transmit(), b"AT\r"),
                Said::Host(text) => {
                    while !self.channel.is_ready() {
                        self.pass_deadline();
                    }
                    let command = command(text, &script[at..]);
                    self.channel.submit(command, self.now).expect("the channel is ready");
                    assert_eq!(self.next_transmit(), format!("{text}\r").into_bytes());
                }
                Said::HostOctets(octets) => assert_eq!(&self.next_transmit(), octets),
                Said::Modem(octets) => self.channel.handle_input(octets, self.now),
            }
            self.note_events();
        }
        while !self.channel.is_ready() {
            self.pass_deadline();
        }
        self.note_events();
        self.told
    }

    /// Most dialogues begin with the channel in step.
    fn find_step(&mut self) {
        assert_eq!(self.next_transmit(), b"AT\r");
        self.channel.handle_input(b"\r\nOK\r\n", self.now);
        self.pass_deadline();
        assert!(self.channel.is_ready());
        self.told.clear();
    }

    fn next_transmit(&mut self) -> Vec<u8> {
        for _ in 0..4 {
            if let Some(octets) = self.channel.poll_transmit() {
                return octets;
            }
            self.pass_deadline();
        }
        panic!("the host has nothing to say after:\n{}", self.told);
    }

    fn pass_deadline(&mut self) {
        let deadline = self.channel.poll_timeout().expect("something is waited for");
        self.now = self.now.max(deadline.at);
        self.channel.handle_timeout(self.now);
        self.note_events();
    }

    fn note_events(&mut self) {
        while let Some(event) = self.channel.poll_event() {
            match event {
                Event::Finished(exchange) => {
                    let outcome =
                        exchange.outcome.map_or_else(|e| e.to_string(), |result| result.to_string());
                    self.tell(&format!("{}: {outcome}", exchange.command));
                    for line in exchange.lines {
                        self.note("  answer", &line.text, line.payload);
                    }
                }
                Event::Urc(line) => self.note("unsolicited", &line.text, line.payload),
                Event::LostStep { why } => self.tell(&format!("lost step: {why}")),
                Event::InStep => self.tell("in step"),
                Event::Silent { waited } => self.tell(&format!("silent for {waited:?}")),
            }
        }
    }

    fn note(&mut self, kind: &str, text: &str, payload: Option<Vec<u8>>) {
        let payload = payload.map_or_else(String::new, |octets| format!(" {octets:02X?}"));
        self.tell(&format!("{kind}: {text}{payload}"));
    }

    fn tell(&mut self, line: &str) {
        self.told.push_str(line);
        self.told.push('\n');
    }
}

fn assert_told(name: &str, script: &str) {
    let told = Replay::new().run(script);
    insta::with_settings!({ snapshot_path => "transcripts/generic", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, told);
    });
}

#[test]
fn start_with_echo_and_a_busy_sim() {
    assert_told("start", include_str!("transcripts/generic/start.txt"));
}

#[test]
fn a_registration_urc_inside_the_read_of_the_same_name() {
    assert_told("attach", include_str!("transcripts/generic/attach.txt"));
}

#[test]
fn a_modem_that_restarted_by_itself() {
    assert_told("restart", include_str!("transcripts/generic/restart.txt"));
}

#[test]
fn datagrams_out_and_in() {
    assert_told("datagram", include_str!("transcripts/generic/datagram.txt"));
}

#[test]
fn a_prompt_lost_in_noise() {
    assert_told("lost-prompt", include_str!("transcripts/generic/lost-prompt.txt"));
}
