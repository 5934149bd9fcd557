//! A virtual modem of the Quectel BG9x kind: what such a module says to its host, and what it asks of the network.
//!
//! Written from the family's documents alone; it shares nothing with the driver it is there to judge. It has no
//! sleep (PSM, eDRX are only remembered), no TCP, no GNSS and no transparent mode.
//!
//! ```text
//! Booting ── boot ──► On ── CFUN=1,1 ──► Booting
//!                     On ── QPOWD ─────► Off ── power key ──► Booting
//! ```

mod calendar;
mod command_line;
mod commands;
mod errors;
mod names;
mod network;
mod settings;
mod sockets;
#[cfg(test)]
mod transcripts;
mod uart;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock::{Deadline, UnixTime};
use crate::lab::radio::{Down, Up};
use crate::seed::{Rng, Seed};

use command_line::{Command, MAX_LINE, Malformed};
use errors::Final;
use names::Lookup;
use network::{Network, SimState};
use settings::{Kept, Ram};
pub use sockets::MAX_RECEIVE;
use sockets::{Activation, Sending, Socket};
use uart::Uart;

/// Octets of the host that wait while a command runs; more are lost, as on a port without flow control.
const MAX_INPUT: usize = 4096;
/// An answer is complete by then; what follows a command (`+QIOPEN:`, a restart) comes later than this.
const FOLLOWS_AFTER: Duration = Duration::from_millis(40);
/// From the power key to the first octet.
const BOOT: Duration = Duration::from_millis(700);
/// From the first octet to the SIM, to SMS, and to the search for a network.
const SIM_AFTER: Duration = Duration::from_millis(600);
const SMS_AFTER: Duration = Duration::from_millis(1200);
const SEARCH_AFTER: Duration = Duration::from_millis(2500);

/// Which module this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Model {
    /// BG95-M3
    #[default]
    Bg95M3,
    /// BG96
    Bg96,
}

impl Model {
    const fn name(self) -> &'static str {
        match self {
            Self::Bg95M3 => "BG95-M3",
            Self::Bg96 => "BG96",
        }
    }

    const fn firmware(self) -> &'static str {
        match self {
            Self::Bg95M3 => "BG95M3LAR02A04",
            Self::Bg96 => "BG96MAR02A07M1G",
        }
    }

    /// NB-IoT in this module's words.
    const fn technology(self) -> &'static str {
        match self {
            Self::Bg95M3 => "NBIoT",
            Self::Bg96 => "CAT-NB1",
        }
    }

    const fn urc_ports(self) -> &'static [&'static str] {
        match self {
            Self::Bg95M3 => &["usbmodem", "uart1"],
            Self::Bg96 => &["usbat", "usbmodem", "uart1"],
        }
    }
}

/// The SIM card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sim {
    /// Needs no PIN.
    #[default]
    Ready,
    /// Wants this PIN after every start.
    Pin(String),
    /// Not inserted.
    Absent,
}

/// What becomes of a datagram that is longer than the module can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongDatagrams {
    /// The host gets its beginning, and no word about the rest.
    #[default]
    Cut,
    /// The host never hears of it.
    Drop,
}

/// What the modem is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which module.
    pub model: Model,
    /// 15 digits.
    pub imei: String,
    /// 15 digits.
    pub imsi: String,
    /// 19 or 20 digits.
    pub iccid: String,
    /// The SIM card.
    pub sim: Sim,
    /// Pace of the octets to the host; `None`: at once.
    pub baud: Option<u32>,
    /// From power-on to the first answer.
    pub boot: Duration,
    /// From the first answer to the search for a network.
    pub search_after: Duration,
    /// Echo after power-on (`ATE`).
    pub echo: bool,
    /// The name that `AT+QURCCFG` has for the port at which the host is.
    pub port_name: String,
    /// The port to which URCs go ex works. Another one than `port_name`: the host sees none until it asks.
    pub urc_port: String,
    /// Wall time when the modem is made, told by the network; `None`: the clock is never set.
    pub wall_clock: Option<UnixTime>,
    /// How far a measured signal wanders around the cell's, dB.
    pub wander_db: u8,
    /// How often a send ends with `SEND FAIL`, 0 to 1.
    pub send_fail: f64,
    /// Longest datagram that the module takes from the network, at most [`MAX_RECEIVE`]; less to stand for another family.
    pub max_receive: usize,
    /// What becomes of longer ones.
    pub long_datagrams: LongDatagrams,
    /// When someone presses the power key after `AT+QPOWD`; `None`: never.
    pub power_key_after: Option<Duration>,
}

impl Default for Options {
    /// A BG95-M3 with numbers of the test ranges.
    fn default() -> Self {
        Self {
            model: Model::default(),
            imei: "350000000000006".into(),
            imsi: "001010123456789".into(),
            iccid: "89010112345678901234".into(),
            sim: Sim::default(),
            baud: None,
            boot: BOOT,
            search_after: SEARCH_AFTER,
            echo: true,
            port_name: "usbmodem".into(),
            urc_port: "usbmodem".into(),
            wall_clock: None,
            wander_db: 2,
            send_fail: 0.0,
            max_receive: MAX_RECEIVE,
            long_datagrams: LongDatagrams::default(),
            power_key_after: Some(Duration::from_secs(10)),
        }
    }
}

/// The modem.
#[derive(Debug)]
pub struct Modem {
    options: Options,
    rng: Rng,
    made_at: Instant,
    power: Power,
    kept: Kept,
    ram: Ram,
    /// `AT+CFUN`: 0 all off, 1 on, 4 radio off.
    cfun: u8,
    sim: SimState,
    /// Bits of `+QINISTAT`.
    started: u8,
    network: Network,
    /// The `AT+COPS=1` that runs until its network is found.
    awaits_operator: Option<u64>,
    contexts: BTreeMap<u8, Activation>,
    sockets: BTreeMap<u8, Socket>,
    /// Socket numbers just closed, and until when that shows.
    closed: BTreeMap<u8, Instant>,
    lookup: Option<Lookup>,
    dropped_datagrams: u64,
    unread_octets: u64,
    input: VecDeque<u8>,
    line: Vec<u8>,
    mode: Mode,
    /// Commands of the line behind the one that runs.
    chain: VecDeque<Result<Command, Malformed>>,
    timers: BTreeMap<(Instant, u64), Action>,
    last_number: u64,
    uart: Uart,
    up: VecDeque<Up>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Off,
    Booting,
    On,
}

/// What becomes of the next octet of the host.
#[derive(Debug)]
enum Mode {
    /// Belongs to a command line.
    Line,
    /// Waits until the command is over.
    Running,
    /// Belongs to the payload that the prompt asked for.
    Payload(Sending),
}

/// How a command is answered.
#[derive(Debug)]
enum Reply {
    /// Information lines (perhaps none), then `OK`.
    Lines(Vec<String>),
    /// The same after a while.
    LinesAfter(Duration, Vec<String>),
    /// Octets of information, then `OK`.
    Raw(Vec<u8>),
    /// Only the final result.
    Done(Final),
    /// Only the final result, after a while.
    DoneAfter(Duration, Final),
    /// A prompt; the payload follows.
    Prompt(Sending),
    /// An action will end the command.
    Running,
}

impl Reply {
    const fn ok() -> Self {
        Self::Done(Final::Ok)
    }

    fn line(line: String) -> Self {
        Self::Lines(vec![line])
    }
}

/// What happens when its time has come.
#[derive(Debug)]
enum Action {
    Say(Vec<u8>),
    Finish(Final),
    Prompt(Sending),
    Booted { after_restart: bool },
    SimStarted,
    AllStarted,
    Search,
    Restart,
    PowerOff,
    PowerKey,
    ActivateContext(u8),
    OpenSocket { id: u8, generation: u64 },
    OpenRefused(u8),
    DnsTimeout(u64),
    Resolved { name: String, addresses: Vec<IpAddr> },
    OperatorNotFound(u64),
}

impl Action {
    const fn why(&self) -> &'static str {
        match self {
            Self::Say(_) | Self::Finish(_) | Self::Prompt(_) => "modem answers",
            Self::Booted { .. } | Self::PowerKey | Self::SimStarted | Self::AllStarted => "modem starts",
            Self::Search => "modem looks for a network",
            Self::Restart | Self::PowerOff => "modem goes down",
            Self::ActivateContext(_) => "modem activates a context",
            Self::OpenSocket { .. } | Self::OpenRefused(_) => "modem opens a socket",
            Self::DnsTimeout(_) | Self::Resolved { .. } => "name server",
            Self::OperatorNotFound(_) => "modem gives up on an operator",
        }
    }
}

impl Modem {
    /// A modem whose power key is pressed now.
    pub fn new(options: Options, seed: Seed, now: Instant) -> Self {
        let mut modem = Self {
            rng: seed.rng(),
            made_at: now,
            power: Power::Off,
            kept: Kept::ex_works(&options.urc_port),
            ram: Ram::at_power_on(options.echo),
            cfun: 1,
            sim: SimState::Starting,
            started: 0,
            network: Network::Off,
            awaits_operator: None,
            contexts: BTreeMap::new(),
            sockets: BTreeMap::new(),
            closed: BTreeMap::new(),
            lookup: None,
            dropped_datagrams: 0,
            unread_octets: 0,
            input: VecDeque::new(),
            line: Vec::new(),
            mode: Mode::Line,
            chain: VecDeque::new(),
            timers: BTreeMap::new(),
            last_number: 0,
            uart: Uart::new(options.baud, now),
            up: VecDeque::new(),
            options,
        };
        let silence = modem.options.boot;
        modem.boot(silence, false, now);
        modem
    }

    /// Octets from the host.
    pub fn handle_input(&mut self, octets: &[u8], now: Instant) {
        self.handle_timeout(now);
        if self.power == Power::On {
            let room = MAX_INPUT - self.input.len().min(MAX_INPUT);
            self.input.extend(octets.iter().take(room));
            self.work(now);
        }
    }

    /// Something from the network.
    pub fn handle_radio(&mut self, down: Down, now: Instant) {
        self.handle_timeout(now);
        if self.power != Power::On {
            return;
        }
        match down {
            Down::Attached(serving) => self.attached(serving, now),
            Down::Denied { .. } => self.denied(now),
            Down::CoverageLost => self.coverage_lost(now),
            Down::ContextLost => self.break_contexts(now),
            Down::Datagram { local_port, from, payload } => self.receive(local_port, from, payload, now),
            Down::Resolved { name, addresses } => self.resolved(&name, &addresses, now),
        }
        self.work(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let action = entry.remove();
            self.act(action, now);
            self.work(now);
        }
    }

    /// When `handle_timeout` or [`Self::poll_transmit`] has something to do.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let timer = self.timers.first_key_value().map(|((at, _), action)| Deadline::new(*at, action.why()));
        Deadline::sooner(timer, self.uart.poll_timeout())
    }

    /// Octets for the host, as many as are over the wire by `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.uart.poll(now)
    }

    /// Something for the network.
    pub fn poll_radio(&mut self) -> Option<Up> {
        self.up.pop_front()
    }

    /// Datagrams that found their socket's buffer full, or were too long.
    pub const fn dropped_datagrams(&self) -> u64 {
        self.dropped_datagrams
    }

    /// Octets of UDP payload that arrived and that the host has not read, or never will.
    pub fn unread_octets(&self) -> u64 {
        self.unread_octets + self.sockets.values().map(Socket::unread_octets).sum::<u64>()
    }

    /// Octets for the host that found the wire's buffer full.
    pub const fn lost_octets(&self) -> u64 {
        self.uart.lost_octets()
    }

    // ---- time

    fn after(&mut self, wait: Duration, action: Action, now: Instant) {
        let number = self.next_number();
        self.timers.insert((now + wait, number), action);
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn act(&mut self, action: Action, now: Instant) {
        match action {
            Action::Say(octets) => self.uart.push(&octets, now),
            Action::Finish(result) => self.finish(result, now),
            Action::Prompt(sending) => {
                self.uart.push(b"\r\n> ", now);
                self.mode = Mode::Payload(sending);
            }
            Action::Booted { after_restart } => self.booted(after_restart, now),
            Action::SimStarted => self.sim_started(now),
            Action::AllStarted => {
                self.started = 7;
                self.urc("+QIND: SMS DONE", now);
            }
            Action::Search => self.search(now),
            Action::Restart => self.restart(now),
            Action::PowerOff => self.power_off(now),
            Action::PowerKey => self.boot(self.options.boot, false, now),
            Action::ActivateContext(cid) => self.activate_context(cid, now),
            Action::OpenSocket { id, generation } => self.open_socket(id, generation, now),
            Action::OpenRefused(id) => self.open_refused(id, now),
            Action::DnsTimeout(number) => self.dns_timeout(number, now),
            Action::Resolved { name, addresses } => self.resolved(&name, &addresses, now),
            Action::OperatorNotFound(number) => self.operator_not_found(number, now),
        }
    }

    // ---- power

    /// Down for `silence`; RAM, sockets and everything in hand are lost.
    fn boot(&mut self, silence: Duration, after_restart: bool, now: Instant) {
        self.power = Power::Booting;
        self.forget();
        self.after(silence, Action::Booted { after_restart }, now);
    }

    fn forget(&mut self) {
        self.ram = Ram::at_power_on(self.options.echo);
        self.cfun = 1;
        self.sim = SimState::Starting;
        self.started = 0;
        self.network = Network::Off;
        self.awaits_operator = None;
        self.contexts.clear();
        self.unread_octets = self.unread_octets();
        self.sockets.clear();
        self.closed.clear();
        self.lookup = None;
        self.input.clear();
        self.line.clear();
        self.mode = Mode::Line;
        self.chain.clear();
        self.timers.clear();
    }

    fn booted(&mut self, after_restart: bool, now: Instant) {
        self.power = Power::On;
        let app_first = self.rng.chance(0.5);
        if after_restart {
            self.urc("RDY", now);
        } else if app_first {
            self.urc("APP RDY", now);
            self.urc("RDY", now);
        } else {
            self.urc("RDY", now);
            self.urc("APP RDY", now);
        }
        self.urc("+CFUN: 1", now);
        self.after(SIM_AFTER, Action::SimStarted, now);
        self.after(SMS_AFTER, Action::AllStarted, now);
        // Without a SIM there is nothing to search with.
        self.after(self.options.search_after.max(SIM_AFTER), Action::Search, now);
    }

    fn restart(&mut self, now: Instant) {
        self.urc("POWERED DOWN", now);
        self.ram.cereg = 0;
        self.leave_network(now);
        let silence = self.rng.between(Duration::from_secs(3), Duration::from_secs(6));
        self.boot(silence, true, now);
    }

    fn power_off(&mut self, now: Instant) {
        self.leave_network(now);
        self.urc("POWERED DOWN", now);
        self.forget();
        self.power = Power::Off;
        if let Some(wait) = self.options.power_key_after {
            self.after(wait, Action::PowerKey, now);
        }
    }

    // ---- the line

    /// Takes octets of the host as far as the mode allows.
    fn work(&mut self, now: Instant) {
        loop {
            match &mut self.mode {
                Mode::Running => return,
                Mode::Line => match self.chain.pop_front() {
                    Some(command) => self.start(command, now),
                    None => match self.input.pop_front() {
                        Some(octet) => self.take(octet, now),
                        None => return,
                    },
                },
                Mode::Payload(sending) => {
                    let count = self.input.len().min(sending.length - sending.octets.len());
                    let octets: Vec<u8> = self.input.drain(..count).collect();
                    sending.octets.extend_from_slice(&octets);
                    let is_complete = sending.octets.len() == sending.length;
                    if self.ram.data_echo {
                        self.uart.push(&octets, now);
                    }
                    if !is_complete {
                        return;
                    }
                    if let Mode::Payload(sending) = std::mem::replace(&mut self.mode, Mode::Running) {
                        let reply = self.send(sending);
                        self.answer(reply, now);
                    }
                }
            }
        }
    }

    /// One octet of a command line.
    fn take(&mut self, octet: u8, now: Instant) {
        if self.ram.echo {
            self.uart.push(&[octet], now);
        }
        match octet {
            b'\r' => {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, now);
            }
            0x08 => {
                self.line.pop();
            }
            // One more than allowed marks the line as too long.
            0x20..=0x7E if self.line.len() <= MAX_LINE => self.line.push(octet),
            _ => {}
        }
    }

    fn take_line(&mut self, line: &[u8], now: Instant) {
        // Only printable ASCII was let in.
        let text = String::from_utf8_lossy(line);
        let Some(commands) = command_line::parse(&text) else { return };
        self.mode = Mode::Running;
        if line.len() > MAX_LINE {
            return self.answer(Reply::Done(Final::Error), now);
        }
        self.chain = commands.into();
        match self.chain.pop_front() {
            Some(command) => self.start(command, now),
            None => self.answer(Reply::ok(), now),
        }
    }

    fn start(&mut self, command: Result<Command, Malformed>, now: Instant) {
        self.mode = Mode::Running;
        let reply = match command {
            Ok(Command::Basic { name, number }) => self.basic(&name, number),
            Ok(Command::Extended { name, form }) => self.extended(&name, &form, now),
            Err(Malformed) => Reply::Done(Final::Error),
        };
        self.answer(reply, now);
    }

    /// Says the information, and a little later the final result: a URC may come between.
    fn answer(&mut self, reply: Reply, now: Instant) {
        let first = self.rng.between(Duration::from_millis(2), Duration::from_millis(12));
        let second = first + self.rng.between(Duration::from_millis(1), Duration::from_millis(10));
        match reply {
            Reply::Lines(lines) => self.answer_lines(first, second, &lines, now),
            Reply::LinesAfter(wait, lines) => self.answer_lines(wait, wait + second, &lines, now),
            Reply::Raw(octets) => {
                self.after(first, Action::Say(octets), now);
                self.after(second, Action::Finish(Final::Ok), now);
            }
            Reply::Done(result) => self.after(first, Action::Finish(result), now),
            Reply::DoneAfter(wait, result) => self.after(wait.max(first), Action::Finish(result), now),
            Reply::Prompt(sending) => self.after(first, Action::Prompt(sending), now),
            Reply::Running => {}
        }
    }

    fn answer_lines(&mut self, first: Duration, second: Duration, lines: &[String], now: Instant) {
        if !lines.is_empty() {
            let text = format!("\r\n{}\r\n", lines.join("\r\n"));
            self.after(first, Action::Say(text.into_bytes()), now);
        }
        self.after(second, Action::Finish(Final::Ok), now);
    }

    /// The command is over. On a line of several, `OK` stands only behind the last.
    fn finish(&mut self, result: Final, now: Instant) {
        self.mode = Mode::Line;
        if result == Final::Ok && !self.chain.is_empty() {
            return;
        }
        self.chain.clear();
        let line = format!("\r\n{}\r\n", result.line(self.ram.cmee));
        self.uart.push(line.as_bytes(), now);
    }

    /// A line that nobody asked for; it appears only if this is the port for such lines.
    fn urc(&mut self, line: &str, now: Instant) {
        self.urc_octets(format!("\r\n{line}\r\n").as_bytes(), now);
    }

    fn urc_octets(&mut self, octets: &[u8], now: Instant) {
        if self.kept.urc_port == self.options.port_name {
            self.uart.push(octets, now);
        }
    }
}
