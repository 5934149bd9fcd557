//! Everything around the gateway in a world: it takes the core's outputs and gives the core's inputs.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::report::Digest;
use super::sites::Sites;
use super::{Options, SERVER, players};
use crate::bridge::message::{AckHandle, Message, PublishId};
use crate::clock::{Deadline, UnixTime};
use crate::gateway::io::{Input, Output};
use crate::gateway::settings::Mappings;
use crate::lab::broker::{self, Broker};
use crate::lab::cell::{self, Cell, Network, PortId, Traffic};
use crate::lab::modem::Modem;
use crate::lab::sensors::Player;
use crate::lab::store::Store;
use crate::net::{Datagram, Peer};
use crate::seed::Seed;

/// The carrier's address, behind which the modem hides.
const CARRIER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
/// The first of the carrier's ports that a mapping takes.
const FIRST_PUBLIC_PORT: u32 = 20_000;
/// The gateway's and the sensors' names at the broker.
const GATEWAY: &str = "gateway";
const SENSORS: &str = "sensors";
/// Pause of a client before it tries the broker again.
const RECONNECT: Duration = Duration::from_secs(2);

pub(super) struct Surroundings {
    modem: Modem,
    cell: Cell,
    sites: Sites,
    broker: Broker,
    store: Store,
    players: Vec<Player>,
    playing: bool,
    /// The opening of the serial port that the gateway holds.
    port: Option<u64>,
    filters: Vec<String>,
    connection: u64,
    /// When the clients try the broker again.
    reconnect_at: Option<Instant>,
    /// When the broker comes (true) or goes.
    broker_turns: VecDeque<(Instant, bool)>,
    inputs: VecDeque<Input>,
    /// What the MQTT edge has for the core, once that takes messages.
    from_broker: VecDeque<Input>,
    reloads: VecDeque<(Instant, Mappings)>,
    mishaps: VecDeque<(Instant, cell::Order)>,
    /// How many further bays there are, and when they speak up.
    bays: Option<(u16, Instant)>,
}

impl Surroundings {
    pub(super) fn new(options: &Options, seed: Seed, now: Instant, wall: UnixTime) -> Self {
        let modem = crate::lab::modem::Options { wall_clock: Some(wall), ..options.modem.clone() };
        let mut broker = Broker::new(options.broker);
        let players = players(seed.child("sensors"), options.period, now);
        broker.connect(SENSORS, true, now);
        broker.connect(GATEWAY, false, now);
        let broker_turns =
            options.broker_away.map(|(after, long)| [(now + after, false), (now + after + long, true)]);
        Self {
            modem: Modem::new(modem, seed.child("virtual modem"), now),
            cell: Cell::new(options.cell.clone(), seed.child("cell")),
            sites: Sites::new(options, seed, now),
            broker,
            store: Store::new(options.store),
            players,
            playing: true,
            port: None,
            filters: Vec::new(),
            connection: 0,
            reconnect_at: None,
            broker_turns: broker_turns.into_iter().flatten().collect(),
            inputs: VecDeque::new(),
            from_broker: VecDeque::new(),
            reloads: options
                .reloads
                .iter()
                .map(|(after, mappings)| (now + *after, mappings.clone()))
                .collect(),
            mishaps: options.mishaps.iter().map(|(after, order)| (now + *after, *order)).collect(),
            bays: options.bays.map(|(count, after)| (count, now + after)),
        }
    }

    /// Does what the core asks for.
    pub(super) fn take(&mut self, output: Output, now: Instant, digest: &mut Digest) {
        match output {
            Output::OpenPort { generation } => {
                self.port = Some(generation);
                self.inputs.push_back(Input::PortOpened { generation });
            }
            Output::ClosePort => self.port = None,
            Output::Bytes(octets) => {
                digest.add(now, "to modem", &octets);
                self.modem.handle_input(&octets, now);
            }
            Output::Subscribe(filters) => {
                self.broker.subscribe(GATEWAY, &filters, now);
                self.broker.retain_filters(GATEWAY, &filters);
                self.filters = filters;
            }
            Output::Publish(PublishId(token), message) => {
                digest.add(now, &message.topic, &message.payload);
                self.broker.publish(GATEWAY, token, to_broker(message), now);
            }
            Output::Acknowledge(handle) if handle.session == self.connection => {
                self.broker.acknowledge(GATEWAY, handle.packet_id, now);
            }
            // What it publishes is with the broker at once.
            Output::Withdraw(_) | Output::Acknowledge(_) => {}
            // The gateway has a modem here: it asks the kernel for nothing.
            Output::Datagram(_) | Output::Resolve { .. } => {}
            Output::Store(request) => self.store.handle_request(request, now),
            Output::Status(_) | Output::Event(_) | Output::Stopped => {}
        }
    }

    /// The next thing for the core, which may not take messages yet.
    pub(super) fn poll_input(
        &mut self,
        takes_messages: bool,
        now: Instant,
        digest: &mut Digest,
    ) -> Option<Input> {
        while self.move_network(now, digest) | self.move_messages(now) {}
        if let Some(octets) = self.modem.poll_transmit(now) {
            // Nobody holds the port: the octets are lost, as on a real line.
            if let Some(generation) = self.port {
                digest.add(now, "from modem", &octets);
                self.inputs.push_back(Input::Bytes { generation, octets });
            }
        }
        while let Some(answer) = self.store.poll_answer() {
            self.inputs.push_back(Input::Store(answer));
        }
        let from_broker = if takes_messages { self.from_broker.pop_front() } else { None };
        from_broker.or_else(|| self.inputs.pop_front())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.modem.handle_timeout(now);
        self.cell.handle_timeout(now);
        self.sites.handle_timeout(now);
        self.store.handle_timeout(now);
        while let Some((_, comes)) = self.broker_turns.front().copied().filter(|(at, _)| *at <= now) {
            self.broker_turns.pop_front();
            if comes { self.broker.come_up() } else { self.broker.go_down(now) }
        }
        self.broker.handle_timeout(now);
        if self.reconnect_at.is_some_and(|at| now >= at) {
            self.reconnect_at = None;
            self.broker.connect(SENSORS, true, now);
            self.broker.connect(GATEWAY, false, now);
        }
        self.let_bays_speak(now);
        while self.reloads.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, mappings)) = self.reloads.pop_front() else { break };
            self.inputs.push_back(Input::Reload(Box::new(mappings)));
        }
        while self.mishaps.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, order)) = self.mishaps.pop_front() else { break };
            self.cell.handle_order(order, now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let playing = self.players.iter().filter(|_| self.playing).map(Player::poll_timeout);
        Deadline::earliest(
            [
                self.modem.poll_timeout(),
                self.cell.poll_timeout(),
                self.sites.poll_timeout(),
                self.broker.poll_timeout(),
                self.store.poll_timeout(),
                self.reconnect_at.map(|at| Deadline::new(at, "connect to the broker")),
                self.broker_turns.front().map(|(at, _)| Deadline::new(*at, "the broker comes or goes")),
                self.reloads.front().map(|(at, _)| Deadline::new(*at, "the mappings change")),
                self.mishaps.front().map(|(at, _)| Deadline::new(*at, "the cell is disturbed")),
                self.bays.map(|(_, at)| Deadline::new(at, "the bays speak up")),
            ]
            .into_iter()
            .chain(playing),
        )
    }

    /// The sensors fall silent, and the servers give no more orders.
    pub(super) fn stop_playing(&mut self) {
        self.playing = false;
        self.sites.stop_orders();
    }

    /// Each of the further bays says once, and for those who come later, that it is taken.
    fn let_bays_speak(&mut self, now: Instant) {
        let Some((count, _)) = self.bays.take_if(|(_, at)| *at <= now) else { return };
        for bay in 0..count {
            let (topic, payload) = (format!("parking/hall/{bay}"), br#"{"occ":true}"#.to_vec());
            self.broker.publish(SENSORS, 0, broker::Message { topic, payload, retain: true }, now);
        }
    }

    /// Octets that reached the modem and that the gateway did not read.
    pub(super) fn unread_octets(&self) -> u64 {
        self.modem.unread_octets()
    }

    /// What went over the air.
    pub(super) fn traffic(&self) -> Traffic {
        *self.cell.traffic()
    }

    /// Messages that the sensors published.
    pub(super) fn published(&self) -> u64 {
        self.players.iter().map(Player::published_total).sum()
    }

    /// The servers.
    pub(super) const fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Samples that may stay pending for good.
    pub(super) fn may_pend(&self) -> usize {
        self.sites.may_pend(&self.players)
    }

    /// Where a server's last value of a resource is not the one that was published last.
    pub(super) fn differences(&self) -> Vec<String> {
        self.sites.differences(&self.players)
    }

    /// Between modem, cell and server; false when nothing moved.
    fn move_network(&mut self, now: Instant, digest: &mut Digest) -> bool {
        let mut moved = false;
        while let Some(up) = self.modem.poll_radio() {
            self.cell.handle_up(up, now);
            moved = true;
        }
        while let Some(network) = self.cell.poll_network() {
            moved = true;
            match network {
                Network::Send { port, to, payload } => {
                    digest.add(now, "to server", &payload);
                    let datagram = Datagram { peer: Peer(public_address(port)), payload };
                    self.sites.handle_datagram(to, datagram, now);
                }
                Network::Resolve { name } => self.cell.handle_resolved(name, vec![SERVER.ip()], now),
                Network::Bind(_) | Network::Unbind(_) => {}
            }
        }
        while let Some((from, datagram)) = self.sites.poll_transmit(now) {
            moved = true;
            digest.add(now, "from server", &datagram.payload);
            self.cell.handle_network(public_port(datagram.peer), from, datagram.payload, now);
        }
        moved |= self.sites.take_events(now);
        while let Some(down) = self.cell.poll_down() {
            self.modem.handle_radio(down, now);
            moved = true;
        }
        moved
    }

    /// Between sensors, broker and gateway; false when nothing moved.
    fn move_messages(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for player in self.players.iter_mut().filter(|_| self.playing) {
            while let Some(message) = player.poll_message(now) {
                self.broker.publish(SENSORS, 0, message, now);
                moved = true;
            }
        }
        while let Some((client, event)) = self.broker.poll_event() {
            moved = true;
            match client.as_str() {
                GATEWAY => self.tell_gateway(event, now),
                _ => self.tell_sensors(event, now),
            }
        }
        moved
    }

    /// What the gateway's MQTT edge makes of what reaches it.
    fn tell_gateway(&mut self, event: broker::Event, now: Instant) {
        self.from_broker.push_back(match event {
            broker::Event::Connected { connection, .. } => {
                self.connection = connection;
                self.broker.subscribe(GATEWAY, &self.filters, now);
                Input::BrokerConnected
            }
            broker::Event::Lost => {
                self.reconnect_at = Some(now + RECONNECT);
                Input::BrokerLost { reason: "the broker is down".into() }
            }
            broker::Event::Message { message, packet_id, .. } => Input::Message {
                message: from_broker(message),
                acknowledgement: AckHandle { session: self.connection, packet_id },
            },
            broker::Event::Published { token } => Input::Published(PublishId(token)),
        });
    }

    fn tell_sensors(&mut self, event: broker::Event, now: Instant) {
        match event {
            broker::Event::Connected { .. } => {
                let wanted: Vec<String> = self.players.iter().flat_map(Player::subscriptions).collect();
                self.broker.subscribe(SENSORS, &wanted, now);
            }
            broker::Event::Lost => self.reconnect_at = Some(now + RECONNECT),
            broker::Event::Message { message, packet_id, .. } => {
                self.broker.acknowledge(SENSORS, packet_id, now);
                self.players.iter_mut().for_each(|player| player.handle_message(&message, now));
            }
            broker::Event::Published { .. } => {}
        }
    }
}

fn public_address(port: PortId) -> SocketAddr {
    // The world does not live long enough to use up the carrier's ports; then they come round.
    let number = FIRST_PUBLIC_PORT + port.0 % (u32::from(u16::MAX) - FIRST_PUBLIC_PORT);
    SocketAddr::new(CARRIER, u16::try_from(number).unwrap_or(u16::MAX))
}

fn public_port(peer: Peer) -> PortId {
    PortId(u32::from(peer.0.port()).saturating_sub(FIRST_PUBLIC_PORT))
}

fn to_broker(message: Message) -> broker::Message {
    broker::Message { topic: message.topic, payload: message.payload, retain: message.retain }
}

fn from_broker(message: broker::Message) -> Message {
    Message { topic: message.topic, payload: message.payload, retain: message.retain }
}
