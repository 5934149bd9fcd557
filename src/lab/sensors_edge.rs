//! Puts the lab's sensors on a real MQTT broker. Moves messages and time, decides nothing.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::broker;
use super::sensors::Player;
use crate::bridge::message::{AckHandle, Message, PublishId};
use crate::clock::Deadline;
use crate::link::clock;
use crate::mqtt::{self, Event, Order, Settings};
use crate::seed::Seed;

/// Events and orders between us and the MQTT task.
const CHANNEL: usize = 64;

/// Something that the sensors did or met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The broker is there.
    Connected,
    /// The broker is away.
    Lost {
        /// Why, in words.
        reason: String,
    },
    /// A sensor published; the broker's confirmation counts as [`Edge::confirmed`].
    Published(broker::Message),
    /// The broker did not take a message.
    Refused {
        /// Why, in words.
        reason: String,
    },
    /// A message for a sensor came.
    Received(broker::Message),
}

/// The sensors and their way to the broker.
pub struct Edge {
    players: Vec<Player>,
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<Event>,
    task: tokio::task::JoinHandle<()>,
    is_connected: bool,
    is_playing: bool,
    happenings: VecDeque<Happening>,
    /// Still to be acknowledged; as many as the broker's window lets come.
    acks: VecDeque<AckHandle>,
    published: u64,
    confirmed: u64,
    refused: u64,
}

impl Edge {
    /// Sensors that begin to play as soon as the broker is there.
    pub async fn start(players: Vec<Player>, settings: Settings, seed: Seed) -> Self {
        let (event_sender, events) = mpsc::channel(CHANNEL);
        let (orders, order_receiver) = mpsc::channel(CHANNEL);
        let task = mqtt::spawn(settings, seed, event_sender, order_receiver);
        let edge = Self {
            players,
            orders,
            events,
            task,
            is_connected: false,
            is_playing: true,
            happenings: VecDeque::new(),
            acks: VecDeque::new(),
            published: 0,
            confirmed: 0,
            refused: 0,
        };
        edge.order(Order::Subscribe(edge.players.iter().flat_map(Player::subscriptions).collect())).await;
        edge
    }

    /// The sensors, to look at.
    pub fn players(&self) -> &[Player] {
        &self.players
    }

    /// Messages that the broker confirmed.
    pub const fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Messages that were published, confirmed or not.
    pub const fn published(&self) -> u64 {
        self.published
    }

    /// The sensors fall silent.
    pub const fn stop_playing(&mut self) {
        self.is_playing = false;
    }

    /// Plays until something happened; `None` when the MQTT task is gone. Nothing is lost when this is dropped
    /// half-way.
    pub async fn next(&mut self) -> Option<Happening> {
        loop {
            self.acknowledge();
            // Sensors do not store: what is due while the broker is away is published when it is back.
            if self.is_connected && self.is_playing {
                self.publish_due();
            }
            if let Some(happening) = self.happenings.pop_front() {
                return Some(happening);
            }
            let event = match self.next_due() {
                Some(due) => match timeout_at(due.at.into(), self.events.recv()).await {
                    Ok(event) => event?,
                    Err(_) => continue,
                },
                None => self.events.recv().await?,
            };
            self.handle(event);
        }
    }

    /// Waits, until `end`, for the broker to confirm what is under way, and takes its leave.
    pub async fn finish(mut self, end: Instant) {
        self.stop_playing();
        while self.confirmed + self.refused < self.published {
            match timeout_at(end.into(), self.events.recv()).await {
                Ok(Some(event)) => self.handle(event),
                _ => break,
            }
        }
        self.acknowledge();
        drop(self.orders);
        // Past `end` nobody waits any more; the task ends with the program.
        let _ = timeout_at(end.into(), self.task).await;
    }

    /// Acknowledges as much as the MQTT task takes, before anything else is published: a slot of the broker's window that is
    /// never given back is lost until the next connection.
    fn acknowledge(&mut self) {
        while let (Some(handle), Ok(place)) = (self.acks.front(), self.orders.try_reserve()) {
            place.send(Order::Acknowledge(*handle));
            self.acks.pop_front();
        }
    }

    fn next_due(&self) -> Option<Deadline> {
        let is_playing = self.is_connected && self.is_playing;
        Deadline::earliest(self.players.iter().filter(|_| is_playing).map(Player::poll_timeout))
    }

    /// Publishes as much as the MQTT task takes; the rest stays due.
    fn publish_due(&mut self) {
        let now = clock::now();
        for player in &mut self.players {
            while let Ok(place) = self.orders.try_reserve() {
                let Some(message) = player.poll_message(now) else { break };
                self.published += 1;
                place.send(Order::Publish(PublishId(self.published), to_broker(message.clone())));
                self.happenings.push_back(Happening::Published(message));
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let happening = match event {
            Event::Connected { .. } => {
                self.is_connected = true;
                Happening::Connected
            }
            Event::Lost { reason } => {
                self.is_connected = false;
                // Of a connection that is gone.
                self.acks.clear();
                Happening::Lost { reason }
            }
            Event::Beat => return,
            Event::Published(_) => {
                self.confirmed += 1;
                return;
            }
            Event::PublishFailed(_, reason) => {
                self.refused += 1;
                Happening::Refused { reason }
            }
            Event::Message(message, handle) => {
                let message = from_broker(message);
                let now = clock::now();
                self.players.iter_mut().for_each(|player| player.handle_message(&message, now));
                self.acks.push_back(handle);
                Happening::Received(message)
            }
        };
        self.happenings.push_back(happening);
    }

    async fn order(&self, order: Order) {
        // A task that is gone shows in its events.
        let _ = self.orders.send(order).await;
    }
}

fn to_broker(message: broker::Message) -> Message {
    Message { topic: message.topic, payload: message.payload, retain: message.retain }
}

fn from_broker(message: Message) -> broker::Message {
    broker::Message { topic: message.topic, payload: message.payload, retain: message.retain }
}
