//! From a server's request to messages: one transaction, whatever number of messages it takes.
//!
//! | what the broker did | outcome |
//! |---|---|
//! | confirmed every message | Confirmed (2.04) |
//! | is away, was lost, or confirmed none within 5 s | Unavailable (5.03) |
//! | confirmed some, and not others | Failed (5.00) |
//!
//! A message of a transaction that ended otherwise is withdrawn if nobody has taken it yet. One that the broker has
//! but did not confirm may still be delivered: MQTT cannot call it back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::lwm2m::downlink::{Operation, Outcome, Transaction, TransactionId};

use super::command::Command;
use super::instances::Instances;
use super::message::{Message, PublishId};

/// Longest wait for the broker to confirm all messages of a transaction.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// When a server may try again after the broker was away or silent (Max-Age of the 5.03).
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Most transactions that wait for the broker; a further one is answered as unavailable.
const MAX_OPEN: usize = 32;
/// Most messages that wait for the broker, in all transactions together.
const MAX_WAITING: usize = 256;

/// The way down.
#[derive(Debug)]
pub struct Downlink {
    commands: Vec<Command>,
    connected: bool,
    open: BTreeMap<TransactionId, Open>,
    owners: BTreeMap<PublishId, TransactionId>,
    publishes: VecDeque<(PublishId, Message)>,
    last_publish: u64,
    done: VecDeque<(TransactionId, Outcome)>,
}

/// A transaction that waits for the broker.
#[derive(Debug)]
struct Open {
    waiting: BTreeSet<PublishId>,
    confirmed: usize,
    /// The first reason why a message was not published.
    failed: Option<String>,
    until: Instant,
}

impl Downlink {
    pub fn new(commands: Vec<Command>) -> Self {
        Self {
            commands,
            connected: false,
            open: BTreeMap::new(),
            owners: BTreeMap::new(),
            publishes: VecDeque::new(),
            last_publish: 0,
            done: VecDeque::new(),
        }
    }

    /// Publishes everything that the transaction asks for, or nothing of it.
    pub fn handle_downlink(&mut self, transaction: Transaction, instances: &Instances, now: Instant) {
        let Transaction { id, operations } = transaction;
        let messages =
            operations.iter().map(|operation| self.message(operation, instances)).collect::<Result<_, _>>();
        let messages: Vec<_> = match messages {
            Ok(messages) => messages,
            Err(why) => return self.done.push_back((id, Outcome::Failed { why })),
        };
        if messages.is_empty() {
            return self.done.push_back((id, Outcome::Confirmed));
        }
        let full = self.open.len() >= MAX_OPEN || self.owners.len() + messages.len() > MAX_WAITING;
        if !self.connected || full || self.open.contains_key(&id) {
            return self.done.push_back((id, Outcome::Unavailable { retry_after: RETRY_AFTER }));
        }
        let mut waiting = BTreeSet::new();
        for message in messages {
            self.last_publish += 1;
            let publish = PublishId(self.last_publish);
            waiting.insert(publish);
            self.owners.insert(publish, id);
            self.publishes.push_back((publish, message));
        }
        self.open.insert(id, Open { waiting, confirmed: 0, failed: None, until: now + CONFIRM_WITHIN });
    }

    /// The broker came or went.
    pub fn handle_broker(&mut self, connected: bool) {
        self.connected = connected;
        if !connected {
            let all: Vec<_> = self.open.keys().copied().collect();
            all.into_iter().for_each(|id| self.finish(id, "the broker was lost"));
        }
    }

    /// The broker confirmed a message, or it will never be published. Late and unknown ones are ignored.
    pub fn handle_published(&mut self, publish: PublishId, result: Result<(), String>) {
        let Some(id) = self.owners.remove(&publish) else { return };
        let Some(open) = self.open.get_mut(&id) else { return };
        open.waiting.remove(&publish);
        match result {
            Ok(()) => open.confirmed += 1,
            Err(why) => open.failed = open.failed.take().or(Some(why)),
        }
        if open.waiting.is_empty() {
            self.finish(id, "the broker did not take every message");
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<_> = self.open.iter().filter(|(_, open)| open.until <= now).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.finish(id, "the broker was silent for 5 s"));
    }

    pub fn poll_publish(&mut self) -> Option<(PublishId, Message)> {
        self.publishes.pop_front()
    }

    pub fn poll_done(&mut self) -> Option<(TransactionId, Outcome)> {
        self.done.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let until = self.open.values().map(|open| open.until).min()?;
        Some(Deadline::new(until, "broker's confirmation"))
    }

    /// The message for one operation.
    fn message(&self, operation: &Operation, instances: &Instances) -> Result<Message, String> {
        let (Operation::Write { path, .. } | Operation::Execute { path, .. }) = operation;
        let (Some(object), Some(id), Some(resource)) = (path.object(), path.instance(), path.resource())
        else {
            return Err(format!("{path} is no resource"));
        };
        let allocated = instances.key(object, id);
        let found = self
            .commands
            .iter()
            .filter(|command| (command.object, command.resource) == (object, resource))
            .find_map(|command| Some((command, command.key_for(id, allocated)?)));
        let (command, key) = found.ok_or_else(|| format!("no mapping has a command for {path}"))?;
        command.message(operation, &key)
    }

    /// Ends a transaction; what is still waiting counts as not published, because of `why`.
    fn finish(&mut self, id: TransactionId, why: &str) {
        let Some(open) = self.open.remove(&id) else { return };
        for publish in &open.waiting {
            self.owners.remove(publish);
        }
        self.publishes.retain(|(publish, _)| !open.waiting.contains(publish));
        let outcome = match (open.confirmed, open.waiting.is_empty() && open.failed.is_none()) {
            (_, true) => Outcome::Confirmed,
            (0, false) => Outcome::Unavailable { retry_after: RETRY_AFTER },
            (confirmed, false) => {
                let why = open.failed.as_deref().unwrap_or(why);
                Outcome::Failed { why: format!("only {confirmed} of the messages were published: {why}") }
            }
        };
        self.done.push_back((id, outcome));
    }
}
