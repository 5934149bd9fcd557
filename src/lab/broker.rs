//! An MQTT 3.1.1 broker at message level, without octets: sessions, subscriptions, retained messages, QoS 1.
//!
//! It does what decides whether a client loses something: a persistent session keeps what was not acknowledged and
//! delivers it again with DUP, at most a window of messages is under way, a queue has an end, confirmations take
//! their time, and the whole broker can go down. Everything that travels is delivered after a delay, in order, and
//! is lost with the connection it travels on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Deadline;

/// How the broker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Time from the broker to a client.
    pub delivery_delay: Duration,
    /// Time from a publish to its confirmation.
    pub confirm_delay: Duration,
    /// Most QoS 1 messages under way to one client.
    pub window: usize,
    /// Most messages that wait for one client beyond the window; a further one is dropped, silently as in mosquitto.
    pub queue: usize,
}

impl Default for Settings {
    /// A mosquitto on the same machine, as it comes.
    fn default() -> Self {
        Self {
            delivery_delay: Duration::from_millis(1),
            confirm_delay: Duration::from_millis(2),
            window: 20,
            queue: 1000,
        }
    }
}

/// A message, published or delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// The body.
    pub payload: Vec<u8>,
    /// Published: to be kept. Delivered: it had been kept.
    pub retain: bool,
}

/// What reaches a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Connected.
    Connected {
        /// Number of the connection since start, from 1, over all clients.
        connection: u64,
        /// There was a session.
        present: bool,
    },
    /// The broker is down, or went down.
    Lost,
    /// A message, to be acknowledged with its packet identifier.
    Message {
        /// What was published.
        message: Message,
        /// Name of the delivery on this connection.
        packet_id: u16,
        /// It was sent before.
        duplicate: bool,
    },
    /// A publish is safe with the broker.
    Published {
        /// The publisher's own name for it.
        token: u64,
    },
}

/// Counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Messages taken from publishers.
    pub taken: u64,
    /// Publishes that never arrived: no connection.
    pub unheard: u64,
    /// Messages sent to subscribers for the first time.
    pub delivered: u64,
    /// Messages sent to subscribers again.
    pub redelivered: u64,
    /// Messages dropped because a queue was full.
    pub dropped: u64,
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    is_up: bool,
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<String, Vec<u8>>,
    connections: u64,
    /// What travels to clients, by arrival and order of sending.
    travelling: BTreeMap<(Instant, u64), Travelling>,
    sent: u64,
    arrived: VecDeque<(String, Event)>,
    stats: Stats,
}

#[derive(Debug)]
struct Travelling {
    client: String,
    /// The connection it travels on; `None` for what does not need one.
    connection: Option<u64>,
    event: Event,
}

#[derive(Debug, Default)]
struct Session {
    /// Number of the live connection.
    connection: Option<u64>,
    persistent: bool,
    filters: BTreeSet<String>,
    /// Sent and not acknowledged, oldest first.
    inflight: VecDeque<(u16, Message)>,
    waiting: VecDeque<Message>,
    last_packet_id: u16,
}

impl Broker {
    /// A broker that is up.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            is_up: true,
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
            connections: 0,
            travelling: BTreeMap::new(),
            sent: 0,
            arrived: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// A client connects; `clean` forgets its session now and at the end. Answered by [`Event::Connected`] or
    /// [`Event::Lost`]. A second connection of the same name replaces the first.
    pub fn connect(&mut self, client: &str, clean: bool, now: Instant) {
        if !self.is_up {
            let lost = Travelling { client: client.to_owned(), connection: None, event: Event::Lost };
            return self.send(lost, self.settings.delivery_delay, now);
        }
        if clean {
            self.sessions.remove(client);
        }
        let present = self.sessions.contains_key(client);
        self.connections += 1;
        let connection = self.connections;
        let session = self.sessions.entry(client.to_owned()).or_default();
        session.connection = Some(connection);
        session.persistent = !clean;
        let again = session.inflight.clone();
        self.send_to(client, Event::Connected { connection, present }, now);
        for (packet_id, message) in again {
            self.stats.redelivered += 1;
            self.send_to(client, Event::Message { message, packet_id, duplicate: true }, now);
        }
        self.pump(client, now);
    }

    /// The connection ends, by DISCONNECT or by a cut cable; nobody is told.
    pub fn disconnect(&mut self, client: &str) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        session.connection = None;
        if !session.persistent {
            self.sessions.remove(client);
        }
    }

    /// Adds subscriptions; retained messages that match follow, for known filters too (MQTT 3.1.1 §3.8.4).
    pub fn subscribe(&mut self, client: &str, filters: &[String], now: Instant) {
        let Some(session) = self.connected(client) else { return };
        session.filters.extend(filters.iter().cloned());
        let kept: Vec<_> = self
            .retained
            .iter()
            .filter(|(topic, _)| filters.iter().any(|filter| matches(filter, topic)))
            .map(|(topic, payload)| Message { topic: topic.clone(), payload: payload.clone(), retain: true })
            .collect();
        for message in kept {
            self.enqueue(client, message);
        }
        self.pump(client, now);
    }

    /// Unsubscribes from all but these.
    pub fn retain_filters(&mut self, client: &str, filters: &[String]) {
        let Some(session) = self.connected(client) else { return };
        session.filters.retain(|filter| filters.contains(filter));
    }

    /// Publishes with QoS 1; confirmed by [`Event::Published`] with this token.
    pub fn publish(&mut self, client: &str, token: u64, message: Message, now: Instant) {
        let Some(connection) = self.connected(client).and_then(|session| session.connection) else {
            self.stats.unheard += 1;
            return;
        };
        self.stats.taken += 1;
        if message.retain {
            match message.payload.is_empty() {
                true => self.retained.remove(&message.topic),
                false => self.retained.insert(message.topic.clone(), message.payload.clone()),
            };
        }
        let subscribers: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.filters.iter().any(|filter| matches(filter, &message.topic)))
            .map(|(name, _)| name.clone())
            .collect();
        for subscriber in subscribers {
            self.enqueue(&subscriber, Message { retain: false, ..message.clone() });
            self.pump(&subscriber, now);
        }
        let confirmation = Travelling {
            client: client.to_owned(),
            connection: Some(connection),
            event: Event::Published { token },
        };
        self.send(confirmation, self.settings.confirm_delay, now);
    }

    /// A client acknowledges a delivery of its present connection; anything else is ignored.
    pub fn acknowledge(&mut self, client: &str, packet_id: u16, now: Instant) {
        if let Some(session) = self.connected(client) {
            session.inflight.retain(|(id, _)| *id != packet_id);
            self.pump(client, now);
        }
    }

    /// Goes down: every client loses its connection. Sessions and retained messages are on disk.
    pub fn go_down(&mut self, now: Instant) {
        self.is_up = false;
        let clients: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.connection.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for client in clients {
            self.disconnect(&client);
            let lost = Travelling { client, connection: None, event: Event::Lost };
            self.send(lost, self.settings.delivery_delay, now);
        }
    }

    /// Comes up again, and waits for clients.
    pub fn come_up(&mut self) {
        self.is_up = true;
    }

    /// Delivers what has travelled long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(first) = self.travelling.first_entry() {
            if first.key().0 > now {
                return;
            }
            let Travelling { client, connection, event } = first.remove();
            let live = self.sessions.get(&client).and_then(|session| session.connection);
            if connection.is_none() || connection == live {
                self.arrived.push_back((client, event));
            }
        }
    }

    /// The next thing that reached a client.
    pub fn poll_event(&mut self) -> Option<(String, Event)> {
        self.arrived.pop_front()
    }

    /// When the next thing arrives.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let ((at, _), _) = self.travelling.first_key_value()?;
        Some(Deadline::new(*at, "MQTT in transit"))
    }

    /// Counted since start.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The session of a client that is connected.
    fn connected(&mut self, client: &str) -> Option<&mut Session> {
        self.sessions.get_mut(client).filter(|session| session.connection.is_some())
    }

    fn enqueue(&mut self, client: &str, message: Message) {
        let Some(session) = self.sessions.get_mut(client) else { return };
        if session.waiting.len() >= self.settings.queue {
            self.stats.dropped += 1;
            return;
        }
        session.waiting.push_back(message);
    }

    /// Sends what the window allows.
    fn pump(&mut self, client: &str, now: Instant) {
        let window = self.settings.window;
        while let Some(session) = self.connected(client).filter(|session| session.inflight.len() < window) {
            let Some(message) = session.waiting.pop_front() else { return };
            let packet_id = session.next_packet_id();
            session.inflight.push_back((packet_id, message.clone()));
            self.stats.delivered += 1;
            self.send_to(client, Event::Message { message, packet_id, duplicate: false }, now);
        }
    }

    /// Sends on the client's live connection.
    fn send_to(&mut self, client: &str, event: Event, now: Instant) {
        let connection = self.sessions.get(client).and_then(|session| session.connection);
        let travelling = Travelling { client: client.to_owned(), connection, event };
        self.send(travelling, self.settings.delivery_delay, now);
    }

    fn send(&mut self, travelling: Travelling, delay: Duration, now: Instant) {
        self.sent += 1;
        self.travelling.insert((now + delay, self.sent), travelling);
    }
}

impl Session {
    /// The next identifier that no unacknowledged message has. The window is far smaller than the numbers.
    fn next_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if self.inflight.iter().all(|(id, _)| *id != self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }
}

/// The filter matches the topic (MQTT 3.1.1 §4.7).
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for pattern in filter.split('/') {
        match (pattern, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (pattern, Some(level)) if pattern == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn t0() -> Instant {
        Instant::now()
    }

    fn message(topic: &str, payload: &str) -> Message {
        Message { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retain: false }
    }

    fn retained(topic: &str, payload: &str) -> Message {
        Message { retain: true, ..message(topic, payload) }
    }

    /// A broker with a player and a gateway that is subscribed to these.
    fn broker(filters: &[&str], now: Instant) -> Broker {
        let mut broker = Broker::new(Settings::default());
        broker.connect("player", true, now);
        broker.connect("gateway", false, now);
        subscribe(&mut broker, filters, now);
        arrived(&mut broker, now);
        broker
    }

    fn subscribe(broker: &mut Broker, filters: &[&str], now: Instant) {
        let filters: Vec<_> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        broker.subscribe("gateway", &filters, now);
    }

    /// What has reached the gateway within a second, as text.
    fn arrived(broker: &mut Broker, now: Instant) -> Vec<String> {
        broker.handle_timeout(now + Duration::from_secs(1));
        std::iter::from_fn(|| broker.poll_event())
            .filter(|(client, _)| client == "gateway")
            .map(|(_, event)| match event {
                Event::Connected { present, .. } => format!("connected {present}"),
                Event::Lost => "lost".to_owned(),
                Event::Message { message, packet_id, duplicate } => {
                    let payload = String::from_utf8_lossy(&message.payload);
                    let mark = if duplicate {
                        " dup"
                    } else if message.retain {
                        " retained"
                    } else {
                        ""
                    };
                    format!("{packet_id} {payload}{mark}")
                }
                Event::Published { token } => format!("published {token}"),
            })
            .collect()
    }

    #[test]
    fn subscribers_get_each_message_once_and_publishers_their_confirmation() {
        let now = t0();
        let mut broker = broker(&["in/+", "in/#"], now);
        broker.publish("player", 1, message("in/a", "x"), now);
        broker.publish("player", 2, message("out/a", "y"), now);
        broker.publish("gateway", 7, message("lamps/1/set", "z"), now);
        assert_eq!(arrived(&mut broker, now), ["1 x", "published 7"]);
    }

    #[test]
    fn nothing_arrives_before_its_delay() {
        let now = t0();
        let mut broker = broker(&["in/#"], now);
        broker.publish("player", 1, message("in/a", "x"), now);
        broker.handle_timeout(now);
        assert_eq!(broker.poll_event(), None);
        assert_eq!(broker.poll_timeout().unwrap().at, now + Duration::from_millis(1));
    }

    #[test]
    fn unacknowledged_messages_come_again_with_dup_in_a_session_that_is_present() {
        let now = t0();
        let mut broker = broker(&["in/#"], now);
        broker.publish("player", 1, message("in/a", "one"), now);
        broker.publish("player", 2, message("in/a", "two"), now);
        arrived(&mut broker, now);
        broker.acknowledge("gateway", 1, now);
        broker.disconnect("gateway");
        broker.publish("player", 3, message("in/a", "while away"), now);
        broker.connect("gateway", false, now);
        assert_eq!(arrived(&mut broker, now), ["connected true", "2 two dup", "3 while away"]);
    }

    #[test]
    fn a_clean_session_forgets_subscriptions_and_messages() {
        let now = t0();
        let mut broker = broker(&["in/#"], now);
        broker.publish("player", 1, message("in/a", "x"), now);
        broker.connect("gateway", true, now);
        broker.publish("player", 2, message("in/a", "y"), now);
        assert_eq!(arrived(&mut broker, now), ["connected false"]);
        broker.disconnect("gateway");
        broker.connect("gateway", false, now);
        assert_eq!(arrived(&mut broker, now), ["connected false"]);
    }

    #[test]
    fn retained_messages_come_with_every_subscription_and_an_empty_one_removes_them() {
        let now = t0();
        let mut broker = broker(&[], now);
        broker.publish("player", 1, retained("in/a", "kept"), now);
        subscribe(&mut broker, &["in/+"], now);
        subscribe(&mut broker, &["in/+"], now);
        assert_eq!(arrived(&mut broker, now), ["1 kept retained", "2 kept retained"]);
        broker.publish("player", 2, retained("in/a", ""), now);
        arrived(&mut broker, now);
        subscribe(&mut broker, &["in/+"], now);
        assert!(arrived(&mut broker, now).is_empty());
    }

    #[test]
    fn the_window_holds_back_until_acknowledgements_come_and_the_queue_has_an_end() {
        let now = t0();
        let mut broker = broker(&["in/#"], now);
        for token in 0..1030 {
            broker.publish("player", token, message("in/a", "x"), now);
        }
        assert_eq!(arrived(&mut broker, now).len(), 20);
        assert_eq!(broker.stats().dropped, 10);
        broker.acknowledge("gateway", 3, now);
        assert_eq!(arrived(&mut broker, now), ["21 x"]);
    }

    #[test]
    fn a_broker_that_goes_down_loses_what_travels_and_refuses_connections() {
        let now = t0();
        let mut broker = broker(&["in/#"], now);
        broker.publish("player", 1, message("in/a", "x"), now);
        broker.publish("gateway", 2, message("out", "y"), now);
        broker.go_down(now);
        broker.publish("player", 3, message("in/a", "unheard"), now);
        assert_eq!(arrived(&mut broker, now), ["lost"]);
        broker.connect("gateway", false, now);
        assert_eq!(arrived(&mut broker, now), ["lost"]);
        broker.come_up();
        broker.connect("gateway", false, now);
        assert_eq!(arrived(&mut broker, now), ["connected true", "1 x dup"]);
        assert_eq!(broker.stats().unheard, 1);
    }

    #[test]
    fn filters_match_level_by_level() {
        for (filter, topic) in [("a/+", "a/b"), ("a/#", "a"), ("a/#", "a/b/c"), ("#", "a"), ("+/b", "/b")] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in
            [("a/+", "a"), ("a/b", "a/b/c"), ("#", "$SYS/x"), ("+/x", "$SYS/x"), ("a/b/c", "a/b")]
        {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }
}
