//! From a server's request to messages: one transaction, whatever number of messages it takes.
//!
//! A message is *done* when the broker has confirmed it, or, where its command names a reply, when that said success.
//!
//! | what came of the messages | outcome |
//! |---|---|
//! | all are done | Confirmed (2.04) |
//! | none is done: the broker is away, was lost or is silent, or no reply came in time | Unavailable (5.03) |
//! | a reply said something else than success | Failed (5.00) |
//! | some are done, and others not | Failed (5.00) |
//!
//! A message of a transaction that ended otherwise is withdrawn if it has not left yet. One that the broker has may
//! still be carried out: MQTT cannot call it back. Replies to several messages on one topic are taken in the order of
//! the messages. Nothing in a reply says which message it answers, so one that comes after its time is taken for that of
//! the next message on its topic, if one waits by then: `within` should be longer than whoever answers ever takes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::lwm2m::downlink::{Operation, Outcome, Transaction, TransactionId};
use crate::lwm2m::path::Path;

use super::command::{Command, Errand};
use super::index::Index;
use super::instances::{Instances, Key};
use super::message::{Message, PublishId};
use super::reply::Awaited;

/// Longest wait for the broker to confirm all messages of a transaction, and for a reply unless its command says more.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// When a server may try again after the broker was away or nobody answered (Max-Age of the 5.03).
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Most transactions that wait; a further one is answered as unavailable.
const MAX_OPEN: usize = 32;
/// Most messages that wait, in all transactions together; a transaction that would make more is answered as unavailable.
const MAX_WAITING: usize = 256;

/// The way down.
#[derive(Debug)]
pub struct Downlink {
    commands: Vec<Command>,
    /// Which topics bring replies.
    reply_index: Index,
    connected: bool,
    open: BTreeMap<TransactionId, Open>,
    /// The transaction of each message that waits.
    owners: BTreeMap<PublishId, TransactionId>,
    /// Messages that wait for a reply by its topic, oldest first.
    replies: BTreeMap<String, VecDeque<PublishId>>,
    publishes: VecDeque<(PublishId, Message)>,
    withdrawals: VecDeque<PublishId>,
    last_publish: u64,
    done: VecDeque<(TransactionId, Outcome)>,
}

/// A transaction that waits.
#[derive(Debug)]
struct Open {
    waiting: BTreeMap<PublishId, Waiting>,
    /// Messages that are done.
    done: usize,
    /// The first reason why a message was not published.
    unpublished: Option<String>,
    /// The resources that it is about.
    paths: Vec<Path>,
}

/// A message that is not done.
#[derive(Debug)]
struct Waiting {
    reply: Option<Awaited>,
    /// The broker confirmed it, so only the reply is missing.
    is_published: bool,
    until: Instant,
}

impl Downlink {
    pub fn new(commands: Vec<Command>) -> Self {
        Self {
            reply_index: reply_index(&commands),
            commands,
            connected: false,
            open: BTreeMap::new(),
            owners: BTreeMap::new(),
            replies: BTreeMap::new(),
            publishes: VecDeque::new(),
            withdrawals: VecDeque::new(),
            last_publish: 0,
            done: VecDeque::new(),
        }
    }

    /// Other commands from now on. Transactions that wait for one which is no longer there end.
    pub fn reload(&mut self, commands: Vec<Command>, instances: &Instances) {
        self.reply_index = reply_index(&commands);
        let before = std::mem::replace(&mut self.commands, commands);
        let is_same = |path: &Path| {
            let command = |commands| find(commands, *path, instances).map(|(command, _)| command);
            command(&before) == command(&self.commands)
        };
        let ending = self.open.iter().filter(|(_, open)| !open.paths.iter().all(is_same));
        let ending: Vec<_> = ending.map(|(id, _)| *id).collect();
        ending.into_iter().for_each(|id| self.finish(id, "the mappings were replaced"));
    }

    /// Where replies come from.
    pub fn topic_filters(&self) -> impl Iterator<Item = String> + '_ {
        let replies = self.commands.iter().filter_map(|command| command.reply.as_ref());
        replies.map(|reply| reply.filter.subscription())
    }

    /// A reply may come on this topic.
    pub fn listens_to(&self, topic: &str) -> bool {
        let mut found = vec![];
        self.reply_index.find(topic, &mut found);
        !found.is_empty()
    }

    /// Publishes everything that the transaction asks for, or nothing of it.
    pub fn handle_downlink(&mut self, transaction: Transaction, instances: &Instances, now: Instant) {
        let Transaction { id, operations } = transaction;
        let errands = operations.iter().map(|operation| self.errand(operation, instances));
        let errands: Vec<_> = match errands.collect::<Result<_, _>>() {
            Ok(errands) => errands,
            Err(why) => return self.done.push_back((id, Outcome::Failed { why })),
        };
        if errands.is_empty() {
            return self.done.push_back((id, Outcome::Confirmed));
        }
        let is_full = self.open.len() >= MAX_OPEN || self.owners.len() + errands.len() > MAX_WAITING;
        if !self.connected || is_full || self.open.contains_key(&id) {
            let why = if self.connected { "too much is waiting already" } else { "the broker is away" };
            return self.done.push_back((id, unavailable(why)));
        }
        let paths = operations.iter().map(path_of).collect();
        self.open.insert(id, Open { waiting: BTreeMap::new(), done: 0, unpublished: None, paths });
        errands.into_iter().for_each(|errand| self.publish(id, errand, now));
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
        let Some((id, open)) = self.owner_of(publish) else { return };
        let Some(waiting) = open.waiting.get_mut(&publish) else { return };
        match result {
            Ok(()) if waiting.reply.is_some() => waiting.is_published = true,
            Ok(()) => self.settle(id, publish, None),
            Err(why) => self.settle(id, publish, Some(why)),
        }
    }

    /// A message came; perhaps it is the reply that the oldest of some messages waits for.
    pub fn handle_message(&mut self, message: &Message) {
        let Some(queue) = self.replies.get(&message.topic) else { return };
        let judge = |publish: &PublishId| {
            let open = self.open.get(self.owners.get(publish)?)?;
            let verdict = open.waiting.get(publish)?.reply.as_ref()?.judge(message)?;
            Some((*publish, verdict))
        };
        let Some((publish, verdict)) = queue.iter().find_map(judge) else { return };
        let Some(id) = self.owners.get(&publish).copied() else { return };
        match verdict {
            Ok(()) => self.settle(id, publish, None),
            Err(why) => self.end(id, Outcome::Failed { why }),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |open: &Open| open.waiting.values().any(|waiting| waiting.until <= now);
        let due: Vec<_> = self.open.iter().filter(|(_, open)| is_due(open)).map(|(id, _)| *id).collect();
        for id in due {
            let published = self.open.get(&id).is_some_and(|open| {
                open.waiting
                    .values()
                    .filter(|waiting| waiting.until <= now)
                    .all(|waiting| waiting.is_published)
            });
            self.finish(id, if published { "no reply came" } else { "the broker did not confirm" });
        }
    }

    pub fn poll_publish(&mut self) -> Option<(PublishId, Message)> {
        self.publishes.pop_front()
    }

    /// A message that was given out and is not wanted any more.
    pub fn poll_withdrawal(&mut self) -> Option<PublishId> {
        self.withdrawals.pop_front()
    }

    pub fn poll_done(&mut self) -> Option<(TransactionId, Outcome)> {
        self.done.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let waiting = self.open.values().flat_map(|open| open.waiting.values());
        Some(Deadline::new(waiting.map(|waiting| waiting.until).min()?, "broker's confirmation or reply"))
    }

    /// What goes out for one operation.
    fn errand(&self, operation: &Operation, instances: &Instances) -> Result<Errand, String> {
        let path = path_of(operation);
        let found = find(&self.commands, path, instances);
        let (command, key) = found.ok_or_else(|| format!("no mapping has a command for {path}"))?;
        command.errand(operation, &key)
    }

    fn publish(&mut self, id: TransactionId, errand: Errand, now: Instant) {
        let Some(open) = self.open.get_mut(&id) else { return };
        self.last_publish += 1;
        let publish = PublishId(self.last_publish);
        let Errand { message, reply } = errand;
        if let Some(reply) = &reply {
            self.replies.entry(reply.topic.clone()).or_default().push_back(publish);
        }
        let until = now + reply.as_ref().map_or(CONFIRM_WITHIN, |reply| reply.within);
        open.waiting.insert(publish, Waiting { reply, is_published: false, until });
        self.owners.insert(publish, id);
        self.publishes.push_back((publish, message));
    }

    fn owner_of(&mut self, publish: PublishId) -> Option<(TransactionId, &mut Open)> {
        let id = *self.owners.get(&publish)?;
        Some((id, self.open.get_mut(&id)?))
    }

    /// A message is done, or could not be published; with the last one the transaction ends.
    fn settle(&mut self, id: TransactionId, publish: PublishId, unpublished: Option<String>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let waiting = open.waiting.remove(&publish);
        match unpublished {
            None => open.done += 1,
            Some(why) => open.unpublished = open.unpublished.take().or(Some(why)),
        }
        let is_over = open.waiting.is_empty();
        self.forget(publish, waiting.and_then(|waiting| waiting.reply).as_ref());
        if is_over {
            self.finish(id, "the broker did not take every message");
        }
    }

    /// Ends a transaction; what is still waiting counts as not done, because of `why`.
    fn finish(&mut self, id: TransactionId, why: &str) {
        let Some(open) = self.open.get(&id) else { return };
        let why = open.unpublished.as_deref().unwrap_or(why);
        let outcome = match (open.done, open.waiting.is_empty() && open.unpublished.is_none()) {
            (_, true) => Outcome::Confirmed,
            (0, false) => unavailable(why),
            (done, false) => {
                let all = open.paths.len();
                Outcome::Failed { why: format!("only {done} of {all} messages were carried out: {why}") }
            }
        };
        self.end(id, outcome);
    }

    /// Ends a transaction, and calls back of it what can be.
    fn end(&mut self, id: TransactionId, outcome: Outcome) {
        let Some(open) = self.open.remove(&id) else { return };
        for (publish, waiting) in open.waiting {
            self.forget(publish, waiting.reply.as_ref());
            let before = self.publishes.len();
            self.publishes.retain(|(other, _)| *other != publish);
            if before == self.publishes.len() && !waiting.is_published {
                self.withdrawals.push_back(publish);
            }
        }
        self.done.push_back((id, outcome));
    }

    /// Nothing waits for this message any more.
    fn forget(&mut self, publish: PublishId, reply: Option<&Awaited>) {
        self.owners.remove(&publish);
        let Some(topic) = reply.map(|reply| &reply.topic) else { return };
        let Some(queue) = self.replies.get_mut(topic) else { return };
        queue.retain(|other| *other != publish);
        if queue.is_empty() {
            self.replies.remove(topic);
        }
    }
}

fn reply_index(commands: &[Command]) -> Index {
    let mut index = Index::default();
    for reply in commands.iter().filter_map(|command| command.reply.as_ref()) {
        // Only whether one matches is asked, so all have one number.
        index.insert(&reply.filter, 0);
    }
    index
}

fn unavailable(why: &str) -> Outcome {
    Outcome::Unavailable { retry_after: RETRY_AFTER, why: why.to_owned() }
}

const fn path_of(operation: &Operation) -> Path {
    let (Operation::Write { path, .. } | Operation::Execute { path, .. }) = operation;
    *path
}

/// The command for a resource, and what its instance stands for there.
fn find<'c>(commands: &'c [Command], path: Path, instances: &Instances) -> Option<(&'c Command, Key)> {
    let (object, id, resource) = (path.object()?, path.instance()?, path.resource()?);
    let allocated = instances.key(object, id);
    let mut of_resource =
        commands.iter().filter(|command| (command.object, command.resource) == (object, resource));
    of_resource.find_map(|command| Some((command, command.key_for(id, allocated)?)))
}

#[cfg(test)]
mod tests;
