//! The servers of a world: each at its own address, with what it asks of the gateway of its own accord.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::Options;
use super::report::Report;
use crate::clock::Deadline;
use crate::lab::sensors::{Kind, Player, Reading};
use crate::lab::server::{self, Command, CommandId, Event, Opening, Order, Registration, Server};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Value;
use crate::net::Datagram;
use crate::seed::{Rng, Seed};

/// Where the first server is; each further one is at the next address (RFC 5737's addresses for examples).
pub const SERVER: SocketAddr = address(0);

/// An order and the lamp's answer are through after this, resends included.
const ORDER_TAKES: Duration = Duration::from_secs(600);

/// How a server of a world behaves.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Site {
    /// The server itself.
    pub server: server::Settings,
    /// It plays OneNET's opening after each Register, and goes on with it when an Update lists something new.
    pub opening: bool,
    /// What it asks once under each registration, as soon as the client lists the instance.
    pub commands: Vec<Command>,
}

/// All servers of a world.
pub(super) struct Sites {
    start: Instant,
    sites: Vec<Running>,
    orders: Orders,
    first_registered: Option<Duration>,
    /// Instances of object 3431 that each server must hear of: the sensors' one and the further bays.
    bays: u16,
}

struct Running {
    address: SocketAddr,
    server: Server,
    options: Site,
    opening: Option<Opening>,
    /// Commands still to be asked under this registration, and those that are asked.
    waiting: Vec<Command>,
    asked: BTreeMap<CommandId, Command>,
    /// Answers that were no success.
    refused: Vec<String>,
    arrived: u64,
    registrations: u64,
    updates: u64,
    deregistrations: u64,
}

/// The first server's orders to dim the lamp.
struct Orders {
    every: Option<Duration>,
    next: Option<Instant>,
    /// None from here on: what is under way at the end of the play would look like a difference.
    last: Instant,
    rng: Rng,
    open: BTreeSet<CommandId>,
    given: u64,
    taken: u64,
}

/// The address of the server of this number.
const fn address(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1 + number)), 5683)
}

impl Sites {
    pub(super) fn new(options: &Options, seed: Seed, now: Instant) -> Self {
        let numbered = (0..).zip(&options.servers);
        Self {
            start: now,
            sites: numbered.map(|(number, site)| Running::new(number, site, seed)).collect(),
            orders: Orders {
                every: options.order_every,
                next: options.order_every.map(|every| now + every),
                last: now + options.duration.saturating_sub(ORDER_TAKES),
                rng: seed.child("orders").rng(),
                open: BTreeSet::new(),
                given: 0,
                taken: 0,
            },
            first_registered: None,
            bays: options.bays.map_or(0, |(count, _)| count),
        }
    }

    /// A datagram for whoever is at this address; perhaps nobody.
    pub(super) fn handle_datagram(&mut self, to: SocketAddr, datagram: Datagram, now: Instant) {
        if let Some(site) = self.sites.iter_mut().find(|site| site.address == to) {
            site.server.handle_datagram(datagram, now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.sites.iter_mut().for_each(|site| site.server.handle_timeout(now));
        if let Some(site) = self.sites.first_mut() {
            self.orders.give(&mut site.server, now);
        }
    }

    /// The next datagram of any of them, and where it comes from.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<(SocketAddr, Datagram)> {
        self.sites.iter_mut().find_map(|site| {
            let outgoing = site.server.poll_transmit(now)?;
            site.server.handle_sent(outgoing.id, now);
            Some((site.address, outgoing.datagram))
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let servers = self.sites.iter().map(|site| site.server.poll_timeout());
        let order = self.orders.next.map(|at| Deadline::new(at, "order the lamp"));
        Deadline::earliest(servers.chain([order]))
    }

    /// No more orders.
    pub(super) fn stop_orders(&mut self) {
        self.orders.next = None;
    }

    /// Takes what happened at the servers; false if nothing did.
    pub(super) fn take_events(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for site in &mut self.sites {
            while let Some(event) = site.server.poll_event() {
                moved = true;
                if matches!(event, Event::Registered { .. }) && self.first_registered.is_none() {
                    self.first_registered = Some(now - self.start);
                }
                self.orders.note(&event);
                site.open(&event, now);
                site.ask(&event, now);
                site.note(event);
            }
        }
        moved
    }

    /// Somebody is at this address.
    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.sites.iter().any(|site| site.address == address)
    }

    pub(super) fn add_to(&self, report: &mut Report) {
        let sum = |count: fn(&Running) -> u64| self.sites.iter().map(count).sum();
        report.arrived = sum(|site| site.arrived);
        report.registrations = sum(|site| site.registrations);
        report.updates = sum(|site| site.updates);
        report.first_registered = self.first_registered;
        let openings = self.sites.iter().filter_map(|site| site.opening.as_ref());
        report.opening = openings.flat_map(Opening::steps).cloned().collect();
        report.refused = self.sites.iter().flat_map(|site| site.refused.clone()).collect();
        report.orders = self.orders.given;
        report.orders_taken = self.orders.taken;
    }

    /// The servers that took a registration and never a leave.
    pub(super) fn without_leave(&self) -> Vec<SocketAddr> {
        let left_alone = |site: &&Running| site.registrations > 0 && site.deregistrations == 0;
        self.sites.iter().filter(left_alone).map(|site| site.address).collect()
    }

    /// Samples that may stay pending for good: the last one of each resource that no server wants to hear of whatever its value.
    pub(super) fn may_pend(&self, players: &[Player]) -> usize {
        let paths = players.iter().flat_map(|player| {
            let object = player.kind().object();
            player.last().keys().map(move |resource| Path::resource_of(object, 0, *resource))
        });
        paths.filter(|path| self.sites.iter().all(|site| site.has_band(*path))).count()
    }

    /// Where a server's last value of a resource is not the one that was published last.
    pub(super) fn differences(&self, players: &[Player]) -> Vec<String> {
        self.sites.iter().flat_map(|site| site.differences(players, self.bays)).collect()
    }
}

impl Running {
    fn new(number: u8, options: &Site, seed: Seed) -> Self {
        let seed = seed.child("server").child(&number.to_string());
        Self {
            address: address(number),
            server: Server::new(options.server, seed),
            options: options.clone(),
            opening: None,
            waiting: vec![],
            asked: BTreeMap::new(),
            refused: vec![],
            arrived: 0,
            registrations: 0,
            updates: 0,
            deregistrations: 0,
        }
    }

    /// Begins or goes on with OneNET's opening.
    fn open(&mut self, event: &Event, now: Instant) {
        let Self { server, opening, options, .. } = self;
        match (event, opening.as_mut()) {
            (Event::Registered { endpoint, .. }, _) => {
                *opening = server.registration(endpoint).filter(|_| options.opening).map(Opening::new);
            }
            (Event::Updated { endpoint, objects: true, .. }, Some(opening)) => {
                if let Some(registration) = server.registration(endpoint) {
                    opening.go_on(registration.objects());
                }
            }
            _ => {}
        }
        let Some(opening) = opening else { return };
        opening.handle_event(event, now);
        while let Some(order) = opening.next_order() {
            let id = server.command(order, now);
            opening.asked(id, now);
        }
    }

    /// Asks what can be asked now.
    fn ask(&mut self, event: &Event, now: Instant) {
        let (Event::Registered { endpoint, .. } | Event::Updated { endpoint, .. }) = event else { return };
        if matches!(event, Event::Registered { .. }) {
            self.waiting = self.options.commands.clone();
        }
        let Some(registration) = self.server.registration(endpoint) else { return };
        let (due, later) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|command| is_listed(registration, command));
        self.waiting = later;
        for command in due {
            let order = Order { endpoint: Some(endpoint.clone()), command: command.clone() };
            let id = self.server.command(order, now);
            self.asked.insert(id, command);
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Registered { .. } => self.registrations += 1,
            Event::Updated { .. } => self.updates += 1,
            Event::Deregistered { .. } => self.deregistrations += 1,
            Event::Value(_) => self.arrived += 1,
            Event::Finished { command, outcome, .. } => {
                let Some(asked) = self.asked.remove(&command) else { return };
                match outcome {
                    Ok(answer) if answer.code.is_success() => {}
                    Ok(answer) => self.refused.push(format!("{asked}: {}", answer.code)),
                    Err(error) => self.refused.push(format!("{asked}: {error}")),
                }
            }
            _ => {}
        }
    }

    fn differences(&self, players: &[Player], bays: u16) -> Vec<String> {
        let address = self.address.ip();
        let Some(registration) = self.server.registrations().next() else {
            return vec![format!("nobody is registered at {address}")];
        };
        let mut differences = Vec::new();
        for player in players {
            for (resource, published) in player.last() {
                let path = Path::resource_of(player.kind().object(), 0, *resource);
                let arrived = registration.value(path);
                if !self.has_band(path) && !arrived.is_some_and(|arrived| is_same(published, arrived)) {
                    differences
                        .push(format!("{path}: published {published:?}, but {address} has {arrived:?}"));
                }
            }
        }
        let bay = |instance| Path::resource_of(Kind::Parking.object(), instance, 1);
        let silent = (1..=bays).filter(|bay_number| registration.value(bay(*bay_number)).is_none()).count();
        if silent > 0 {
            differences.push(format!("{address} has no value of {silent} bays"));
        }
        differences
    }

    /// The server has asked not to hear of every change of this resource.
    fn has_band(&self, path: Path) -> bool {
        let is_band =
            |attribute: &String| ["gt=", "lt=", "st="].iter().any(|name| attribute.starts_with(name));
        self.options.commands.iter().any(|command| match command {
            Command::Attributes { path: at, attributes } => at.covers(path) && attributes.iter().any(is_band),
            _ => false,
        })
    }
}

impl Orders {
    fn give(&mut self, server: &mut Server, now: Instant) {
        let (Some(every), Some(next)) = (self.every, self.next) else { return };
        if now < next {
            return;
        }
        if server.registrations().next().is_none() {
            self.next = Some(now + every);
            return;
        }
        self.next = Some(now + every).filter(|next| *next < self.last);
        self.given += 1;
        let level = self.rng.number() % 101;
        let path = Path::resource_of(3416, 0, 1);
        let command = Command::Write { path, values: level.to_string(), format: None, replace: false };
        self.open.insert(server.command(Order { endpoint: None, command }, now));
    }

    fn note(&mut self, event: &Event) {
        let Event::Finished { command, outcome, .. } = event else { return };
        if self.open.remove(command) && outcome.as_ref().is_ok_and(|answer| answer.code.is_success()) {
            self.taken += 1;
        }
    }
}

/// The client has what the command is about; an object to create in is enough.
fn is_listed(registration: &Registration, command: &Command) -> bool {
    let path = command.path();
    let listed = path.object().and_then(|object| registration.objects().objects.get(&object));
    let Some(listed) = listed else { return false };
    let creates = matches!(command, Command::Create { .. });
    creates || path.instance().is_none_or(|instance| listed.instances.contains(&instance))
}

/// A value is what was published, whatever numeric type the registry gives it.
pub fn is_same(published: &Reading, arrived: &Value) -> bool {
    match (published, arrived) {
        (Reading::Boolean(published), Value::Boolean(arrived)) => published == arrived,
        (Reading::Number(published), Value::Float(arrived)) => published == arrived,
        (Reading::Number(published), Value::Integer(arrived)) => *published == *arrived as f64,
        (Reading::Number(published), Value::Unsigned(arrived)) => *published == *arrived as f64,
        _ => false,
    }
}
