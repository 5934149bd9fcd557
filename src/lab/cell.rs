//! The radio cell and the network behind it: delay, loss, duplicates, and a NAT that forgets.
//!
//! The cell knows datagrams and ports, no payload. Each direction draws from its own child of the seed, always the
//! same number of draws for a datagram, so that a changed option shifts no other draw.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::radio::{Down, Serving, Up};
use crate::clock::Deadline;
use crate::seed::{Rng, Seed};

/// Datagrams that may be under way in one direction; further ones are dropped and counted.
const MAX_UNDER_WAY: usize = 256;
/// Octets of an IPv4 and a UDP header, which go over the air with every datagram.
const HEADER_OCTETS: u64 = 28;

/// What the cell is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// From the first search to being attached.
    pub attach_delay: Duration,
    /// From a datagram up to its answer down, with a server that takes no time.
    pub rtt: Duration,
    /// Each way takes up to so much longer; datagrams may overtake each other by it.
    pub jitter: Duration,
    /// How often a datagram is lost, in each direction, 0 to 1.
    pub loss: f64,
    /// How often a datagram arrives twice, in each direction, 0 to 1.
    pub duplication: f64,
    /// After so long without a datagram up, the NAT gives a UDP mapping away; `None`: never.
    pub nat_idle: Option<Duration>,
    /// Octets per second of each direction; `None`: as many as come.
    pub octets_per_second: Option<u32>,
    /// The only APN that is let in; `None`: any.
    pub apn: Option<String>,
    /// The network and cell as the UE hears them.
    pub serving: Serving,
}

impl Default for Options {
    /// A healthy NB-IoT cell of a carrier that forgets UDP mappings after two minutes.
    fn default() -> Self {
        Self {
            attach_delay: Duration::from_secs(4),
            rtt: Duration::from_secs(2),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            nat_idle: Some(Duration::from_secs(120)),
            octets_per_second: None,
            apn: None,
            serving: Serving::default(),
        }
    }
}

/// A public UDP port of the NAT. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u32);

/// What the cell asks of the network beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// A new public port is in use.
    Bind(PortId),
    /// A public port is given up; what comes to it is lost.
    Unbind(PortId),
    /// One UDP datagram.
    Send {
        /// The public port from which it comes.
        port: PortId,
        /// Whom it is for.
        to: SocketAddr,
        /// UDP payload.
        payload: Vec<u8>,
    },
    /// Find the addresses of a host name; [`Cell::handle_resolved`] takes the answer.
    Resolve {
        /// The host name.
        name: String,
    },
}

/// What can befall the network, on someone's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The UE hears no cell; what is under way is lost.
    LoseCoverage,
    /// The cell is heard again.
    RegainCoverage,
    /// The network drops the bearer of an attached UE.
    DropContext,
    /// The NAT forgets all mappings, as after a restart.
    ForgetMappings,
}

/// What went over the air, one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Datagrams: up, all that the UE sent, lost ones too; down, all that reached the UE.
    pub datagrams: u64,
    /// Octets of UDP payload in these.
    pub payload_octets: u64,
    /// Octets with IP and UDP headers.
    pub air_octets: u64,
    /// Datagrams that the draws lost.
    pub lost: u64,
    /// Datagrams that arrived a second time.
    pub duplicated: u64,
    /// Datagrams for which there was no attached UE, no mapping or no room.
    pub undeliverable: u64,
    /// Octets of UDP payload in these.
    pub undeliverable_octets: u64,
}

/// What went over the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From the UE.
    pub up: Way,
    /// To the UE.
    pub down: Way,
}

/// The cell and the network behind it, for one UE.
#[derive(Debug)]
pub struct Cell {
    options: Options,
    up_rng: Rng,
    down_rng: Rng,
    attach_rng: Rng,
    state: State,
    has_coverage: bool,
    /// By local port of the UE.
    mappings: BTreeMap<u16, Mapping>,
    last_port: u32,
    under_way: BTreeMap<(Instant, u64), Flying>,
    last_number: u64,
    flying_up: usize,
    flying_down: usize,
    up_free_at: Option<Instant>,
    down_free_at: Option<Instant>,
    traffic: Traffic,
    to_modem: VecDeque<Down>,
    to_network: VecDeque<Network>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Detached,
    /// Wants in; `due` is when the attach is through, unless there is no coverage.
    Attaching {
        apn: String,
        due: Option<Instant>,
    },
    Attached {
        apn: String,
    },
}

#[derive(Debug, Clone, Copy)]
struct Mapping {
    port: PortId,
    used_at: Instant,
}

#[derive(Debug)]
enum Flying {
    Up { local_port: u16, to: SocketAddr, payload: Vec<u8> },
    Down { local_port: u16, from: SocketAddr, payload: Vec<u8> },
    Question { name: String },
    Answer { name: String, addresses: Vec<IpAddr> },
}

/// What the draws say about one datagram.
struct Fate {
    lost: bool,
    /// Delays of the datagram and of its copy.
    delays: [Duration; 2],
    copied: bool,
}

impl Cell {
    /// A cell with nobody in it.
    pub fn new(options: Options, seed: Seed) -> Self {
        Self {
            options,
            up_rng: seed.child("up").rng(),
            down_rng: seed.child("down").rng(),
            attach_rng: seed.child("attach").rng(),
            state: State::Detached,
            has_coverage: true,
            mappings: BTreeMap::new(),
            last_port: 0,
            under_way: BTreeMap::new(),
            last_number: 0,
            flying_up: 0,
            flying_down: 0,
            up_free_at: None,
            down_free_at: None,
            traffic: Traffic::default(),
            to_modem: VecDeque::new(),
            to_network: VecDeque::new(),
        }
    }

    /// Something from the UE.
    pub fn handle_up(&mut self, up: Up, now: Instant) {
        self.handle_timeout(now);
        match up {
            Up::Attach { apn } => self.attach(apn, now),
            Up::Detach => {
                self.state = State::Detached;
                self.lose_all_under_way();
                self.forget_mappings();
            }
            // The NAT knows a port only from the first datagram.
            Up::OpenPort(_) => {}
            Up::ClosePort(local_port) => self.unmap(local_port),
            Up::Datagram { local_port, to, payload } => self.send_up(local_port, to, payload, now),
            Up::Resolve { name } => {
                if self.can_carry() {
                    let at = now + self.options.rtt / 2;
                    self.fly(at, Flying::Question { name });
                }
            }
        }
    }

    /// A datagram that came to a public port.
    pub fn handle_network(&mut self, port: PortId, from: SocketAddr, payload: Vec<u8>, now: Instant) {
        self.handle_timeout(now);
        self.forget_idle_mappings(now);
        let fate = fate(&mut self.down_rng, &self.options);
        let local_port =
            self.mappings.iter().find(|(_, mapping)| mapping.port == port).map(|(&local_port, _)| local_port);
        let Some(local_port) = local_port.filter(|_| self.can_carry() && self.flying_down < MAX_UNDER_WAY)
        else {
            self.traffic.down.refuse(&payload);
            return;
        };
        if fate.lost {
            self.traffic.down.lost += 1;
            return;
        }
        let copies = 1 + usize::from(fate.copied);
        self.traffic.down.duplicated += u64::from(fate.copied);
        for delay in fate.delays.into_iter().take(copies) {
            let free_at = occupy(&mut self.down_free_at, payload.len(), &self.options, now);
            self.flying_down += 1;
            self.fly(free_at + delay, Flying::Down { local_port, from, payload: payload.clone() });
        }
    }

    /// The answer to [`Network::Resolve`]; no addresses: the name is not known.
    pub fn handle_resolved(&mut self, name: String, addresses: Vec<IpAddr>, now: Instant) {
        self.handle_timeout(now);
        if self.can_carry() {
            let at = now + self.options.rtt / 2;
            self.fly(at, Flying::Answer { name, addresses });
        }
    }

    /// Something befalls the network.
    pub fn handle_order(&mut self, order: Order, now: Instant) {
        self.handle_timeout(now);
        match order {
            Order::LoseCoverage => {
                self.has_coverage = false;
                self.lose_all_under_way();
                match &mut self.state {
                    State::Attaching { due, .. } => *due = None,
                    State::Attached { .. } => self.to_modem.push_back(Down::CoverageLost),
                    State::Detached => {}
                }
            }
            Order::RegainCoverage if !self.has_coverage => {
                self.has_coverage = true;
                if let State::Attaching { apn, .. } | State::Attached { apn } = &self.state {
                    self.attach(apn.clone(), now);
                }
            }
            Order::DropContext if matches!(self.state, State::Attached { .. }) => {
                self.lose_all_under_way();
                self.forget_mappings();
                self.to_modem.push_back(Down::ContextLost);
            }
            Order::ForgetMappings => self.forget_mappings(),
            Order::RegainCoverage | Order::DropContext => {}
        }
    }

    /// Lets arrive what is due, and lets the NAT forget.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), flying) = entry.remove_entry();
            self.arrive(flying, at);
        }
        if matches!(&self.state, State::Attaching { due: Some(due), .. } if *due <= now) {
            self.end_attach();
        }
        self.forget_idle_mappings(now);
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let arrival =
            self.under_way.first_key_value().map(|((at, _), _)| Deadline::new(*at, "datagram on the air"));
        let attach = match self.state {
            State::Attaching { due: Some(due), .. } => Some(Deadline::new(due, "attach")),
            _ => None,
        };
        let forget = self.options.nat_idle.and_then(|idle| {
            let oldest = self.mappings.values().map(|mapping| mapping.used_at + idle).min()?;
            Some(Deadline::new(oldest, "nat forgets"))
        });
        Deadline::earliest([arrival, attach, forget])
    }

    /// Something for the UE.
    pub fn poll_down(&mut self) -> Option<Down> {
        self.to_modem.pop_front()
    }

    /// Something for the network beyond.
    pub fn poll_network(&mut self) -> Option<Network> {
        self.to_network.pop_front()
    }

    /// What went over the air since the start.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn can_carry(&self) -> bool {
        self.has_coverage && matches!(self.state, State::Attached { .. })
    }

    fn attach(&mut self, apn: String, now: Instant) {
        let extra = self.attach_rng.between(Duration::ZERO, self.options.attach_delay / 4);
        let due = self.has_coverage.then(|| now + self.options.attach_delay + extra);
        self.state = State::Attaching { apn, due };
    }

    fn end_attach(&mut self) {
        let State::Attaching { apn, .. } = std::mem::replace(&mut self.state, State::Detached) else {
            return;
        };
        if apn.is_empty() || self.options.apn.as_ref().is_none_or(|allowed| *allowed == apn) {
            self.state = State::Attached { apn };
            self.to_modem.push_back(Down::Attached(self.options.serving.clone()));
        } else {
            // EMM cause 19, ESM failure: what a wrong APN looks like.
            self.to_modem.push_back(Down::Denied { emm_cause: 19 });
        }
    }

    fn send_up(&mut self, local_port: u16, to: SocketAddr, payload: Vec<u8>, now: Instant) {
        let fate = fate(&mut self.up_rng, &self.options);
        let can_carry = self.can_carry();
        let way = &mut self.traffic.up;
        if !can_carry || self.flying_up >= MAX_UNDER_WAY {
            way.refuse(&payload);
            return;
        }
        way.count(&payload);
        if fate.lost {
            way.lost += 1;
            return;
        }
        way.duplicated += u64::from(fate.copied);
        let copies = 1 + usize::from(fate.copied);
        let free_at = occupy(&mut self.up_free_at, payload.len(), &self.options, now);
        for delay in fate.delays.into_iter().take(copies) {
            self.flying_up += 1;
            self.fly(free_at + delay, Flying::Up { local_port, to, payload: payload.clone() });
        }
    }

    fn fly(&mut self, at: Instant, flying: Flying) {
        self.last_number += 1;
        self.under_way.insert((at, self.last_number), flying);
    }

    fn arrive(&mut self, flying: Flying, at: Instant) {
        match flying {
            Flying::Up { local_port, to, payload } => {
                self.flying_up -= 1;
                let port = self.map(local_port, at);
                self.to_network.push_back(Network::Send { port, to, payload });
            }
            Flying::Down { local_port, from, payload } => {
                self.flying_down -= 1;
                self.traffic.down.count(&payload);
                self.to_modem.push_back(Down::Datagram { local_port, from, payload });
            }
            Flying::Question { name } => self.to_network.push_back(Network::Resolve { name }),
            Flying::Answer { name, addresses } => self.to_modem.push_back(Down::Resolved { name, addresses }),
        }
    }

    fn lose_all_under_way(&mut self) {
        for flying in std::mem::take(&mut self.under_way).into_values() {
            match flying {
                Flying::Up { .. } => self.traffic.up.lost += 1,
                Flying::Down { .. } => self.traffic.down.lost += 1,
                Flying::Question { .. } | Flying::Answer { .. } => {}
            }
        }
        (self.flying_up, self.flying_down) = (0, 0);
        (self.up_free_at, self.down_free_at) = (None, None);
    }

    // ---- NAT

    /// The public port of a local one; a new one when there is none (any more).
    fn map(&mut self, local_port: u16, at: Instant) -> PortId {
        self.forget_idle_mappings(at);
        if let Some(mapping) = self.mappings.get_mut(&local_port) {
            mapping.used_at = at;
            return mapping.port;
        }
        self.last_port += 1;
        let port = PortId(self.last_port);
        self.mappings.insert(local_port, Mapping { port, used_at: at });
        self.to_network.push_back(Network::Bind(port));
        port
    }

    fn unmap(&mut self, local_port: u16) {
        if let Some(mapping) = self.mappings.remove(&local_port) {
            self.to_network.push_back(Network::Unbind(mapping.port));
        }
    }

    fn forget_idle_mappings(&mut self, now: Instant) {
        let Some(idle) = self.options.nat_idle else { return };
        let forgotten: Vec<u16> = self
            .mappings
            .iter()
            .filter(|(_, mapping)| now >= mapping.used_at + idle)
            .map(|(&local_port, _)| local_port)
            .collect();
        forgotten.into_iter().for_each(|local_port| self.unmap(local_port));
    }

    fn forget_mappings(&mut self) {
        for mapping in std::mem::take(&mut self.mappings).into_values() {
            self.to_network.push_back(Network::Unbind(mapping.port));
        }
    }
}

impl Way {
    fn count(&mut self, payload: &[u8]) {
        self.datagrams += 1;
        self.payload_octets += payload.len() as u64;
        self.air_octets += payload.len() as u64 + HEADER_OCTETS;
    }

    fn refuse(&mut self, payload: &[u8]) {
        self.undeliverable += 1;
        self.undeliverable_octets += payload.len() as u64;
    }
}

fn fate(rng: &mut Rng, options: &Options) -> Fate {
    let lost = rng.chance(options.loss);
    let copied = rng.chance(options.duplication);
    let mut delay = || options.rtt / 2 + rng.between(Duration::ZERO, options.jitter);
    Fate { lost, copied, delays: [delay(), delay()] }
}

/// When the last octet is on the air, if the link is given to this datagram next.
fn occupy(free_at: &mut Option<Instant>, payload: usize, options: &Options, now: Instant) -> Instant {
    let Some(rate) = options.octets_per_second.filter(|rate| *rate > 0) else { return now };
    let octets = payload as u64 + HEADER_OCTETS;
    let takes = Duration::from_nanos(octets.saturating_mul(1_000_000_000) / u64::from(rate));
    let done = free_at.map_or(now, |free_at| free_at.max(now)) + takes;
    *free_at = Some(done);
    done
}

#[cfg(test)]
mod tests;
