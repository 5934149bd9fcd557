//! The connection to the MQTT broker (MQTT 3.1.1): a task that connects, subscribes, and moves messages.
//!
//! What it promises:
//! - Every connection is made afresh, so that nothing of an earlier one (packet identifiers, acknowledgements,
//!   messages half sent) can leak into it; all filters are subscribed again.
//! - The session is persistent, unless the settings say otherwise: a QoS 1 message that was not acknowledged, or
//!   came while we were away, is delivered again. The same message twice is therefore ordinary.
//! - A publish is tried on one connection only, and ends in [`Event::Published`] or [`Event::PublishFailed`]: a
//!   command must not be carried out long after its sender was told that it failed.
//! - A message larger than [`MAX_PACKET_OCTETS`] ends a connection. The filter that brings it is searched for and left
//!   out for a while, so that the others live on.
//! - Whatever comes in, memory stays bounded: queues by their length, and messages by their octets as well.
//! - The status topic says `{"state":"online",…}` while we are connected and `{"state":"offline"}` else.
//!
//! It does not look into payloads and knows no topic by heart.

mod acks;
pub mod advice;
mod backoff;
mod connection;
mod ledger;
mod settings;
mod status;
mod subscriptions;
mod task;
mod tls;
mod words;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bridge::message::{Message, PublishId};
use crate::seed::Seed;

pub use crate::bridge::message::AckHandle;

pub use settings::{Credentials, Settings, SettingsError};
pub use tls::{Identity, Tls, TlsError};

/// Largest packet in either direction.
pub const MAX_PACKET_OCTETS: usize = 256 * 1024;

/// Octets of messages that were told and not acknowledged; beyond, TCP holds the broker back.
pub const MAX_UNACKNOWLEDGED_OCTETS: usize = 1024 * 1024;

/// What the task tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Connected, and about to subscribe.
    Connected {
        /// Number of this connection since start, from 1.
        session: u64,
        /// The broker remembered our session.
        present: bool,
    },
    /// A message came; acknowledge it with [`Order::Acknowledge`] once it is safe, also where it needs none: what is
    /// not acknowledged yet counts, and beyond [`MAX_UNACKNOWLEDGED_OCTETS`] nothing more is read.
    Message(Message, AckHandle),
    /// The broker confirmed a publish.
    Published(PublishId),
    /// A publish was not confirmed and will not be tried again; why.
    PublishFailed(PublishId, String),
    /// The connection is gone, or could not be made for the first time; the task goes on trying.
    Lost {
        /// Why, in words.
        reason: String,
    },
    /// The answer to [`Order::Beat`].
    Beat,
}

/// What the task is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Be subscribed to exactly these filters on this and every later connection.
    Subscribe(Vec<String>),
    /// Publish with QoS 1.
    Publish(PublishId, Message),
    /// Do not publish this any more: nothing is told of it unless it has left already.
    Withdraw(PublishId),
    /// The message with this handle is safe with us.
    Acknowledge(AckHandle),
    /// Let the status topic of the settings say this from now on, retained, on this and every later connection.
    Status(String),
    /// Give a sign of life.
    Beat,
}

/// Starts the task; it ends, with a tidy DISCONNECT, when `orders` or `events` is closed.
///
/// Neither channel can block the task for good: it goes on taking orders while an event waits to be taken.
pub fn spawn(
    settings: Settings,
    seed: Seed,
    events: mpsc::Sender<Event>,
    orders: mpsc::Receiver<Order>,
) -> JoinHandle<()> {
    tokio::spawn(task::Task::new(settings, seed, events, orders).run())
}
