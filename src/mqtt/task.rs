//! The task: connection after connection, with a growing wait between them.

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::connection::{Connection, Loss, Notice};
use super::{Event, MAX_PACKET_OCTETS, Order, Settings};
use crate::seed::Seed;

/// Most events that wait to be taken before the connection is no longer read.
const MAX_EVENTS: usize = 64;
/// A connection that lasted this long is a success: the next loss is retried quickly again.
const LASTING: Duration = Duration::from_secs(30);
/// After a filter was granted: its retained messages come within this.
const SETTLE: Duration = Duration::from_secs(1);
/// Most filters to unsubscribe from that are remembered.
const MAX_OBSOLETE: usize = 16_384;
/// Longest wait for the broker to take our DISCONNECT.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(1);

/// The task's state across connections.
pub struct Task {
    settings: Settings,
    events: mpsc::Sender<Event>,
    orders: mpsc::Receiver<Order>,
    /// Events that wait until `events` has room. Order::Publish and Order::Beat add to them unasked, so the number of
    /// open publishes and beats of our owner bounds this.
    outbox: VecDeque<Event>,
    filters: Vec<String>,
    /// Filters that brought a message too large to take: left out until restart.
    shunned: BTreeSet<String>,
    /// Filters of before, which a session that the broker kept may still have. At most [`MAX_OBSOLETE`]; messages by
    /// further ones go on to come, and are for nobody.
    obsolete: BTreeSet<String>,
    session: u64,
    backoff: Backoff,
    /// A message too large to take came, and we do not know by which filter.
    careful: bool,
}

/// How the work on a connection, or the wait for one, ended.
enum End {
    /// Try again.
    Retry,
    /// Nobody needs us any more.
    Closed,
}

/// Where the subscriptions of a connection stand.
enum Subscribing {
    /// Not connected yet.
    NotYet,
    /// These were asked for with one packet.
    AllAtOnce(Vec<String>),
    /// These are asked for one by one; the one at `current` was the last.
    OneByOne { filters: Vec<String>, current: usize },
}

type Timer = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Task {
    pub fn new(
        settings: Settings,
        seed: Seed,
        events: mpsc::Sender<Event>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            settings,
            events,
            orders,
            outbox: VecDeque::new(),
            filters: vec![],
            shunned: BTreeSet::new(),
            obsolete: BTreeSet::new(),
            session: 0,
            backoff: Backoff::new(seed),
            careful: false,
        }
    }

    pub async fn run(mut self) {
        while let End::Retry = self.serve().await {
            let wait = self.backoff.failed();
            if let End::Closed = self.pause(wait).await {
                return;
            }
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self, wait: Duration) -> End {
        let mut over = timer(wait);
        loop {
            tokio::select! {
                open = deliver(&self.events, &mut self.outbox) => if !open { return End::Closed },
                order = self.orders.recv() => match order {
                    Some(order) => self.order_while_away(order),
                    None => return End::Closed,
                },
                () = fires(&mut over) => return End::Retry,
            }
        }
    }

    /// One connection, from the attempt to its end.
    async fn serve(&mut self) -> End {
        self.session += 1;
        let mut connection =
            Connection::open(&self.settings, self.session, self.careful || !self.settings.has_session);
        let mut subscribing = Subscribing::NotYet;
        let mut lasting = None;
        let mut settled = None;
        let loss = loop {
            connection.push();
            let has_room = self.outbox.len() < MAX_EVENTS;
            tokio::select! {
                open = deliver(&self.events, &mut self.outbox) => if !open { return self.close(connection).await },
                order = self.orders.recv() => match order {
                    Some(order) => self.order(order, &mut connection, &mut subscribing),
                    None => return self.close(connection).await,
                },
                notice = connection.notice(), if has_room => match notice {
                    Notice::Connected { present } => {
                        info!(broker = self.settings.address(), session_present = present, "connected to the broker");
                        self.outbox.push_back(Event::Connected { session: self.session, present });
                        connection.unsubscribe(self.obsolete.iter().cloned());
                        subscribing = self.subscribe(&connection);
                        lasting = timer(LASTING);
                    }
                    Notice::Arrived(message, handle) => self.outbox.push_back(Event::Message(message, handle)),
                    Notice::Subscribed(granted) => {
                        subscribing.granted(&granted);
                        settled = timer(SETTLE);
                    }
                    Notice::Sent { packet_id } => connection.sent(packet_id),
                    Notice::Confirmed { packet_id } => {
                        self.outbox.extend(connection.confirmed(packet_id).map(Event::Published));
                    }
                    Notice::Lost(loss) => break loss,
                },
                () = fires(&mut settled) => subscribing.proceed(&connection),
                () = fires(&mut lasting) => {
                    self.backoff.succeeded();
                    self.careful = false;
                    self.obsolete.clear();
                }
            }
        };
        self.lost(connection, &subscribing, &loss);
        End::Retry
    }

    /// What to subscribe to on a new connection, and how.
    fn subscribe(&self, connection: &Connection) -> Subscribing {
        let filters: Vec<_> =
            self.filters.iter().filter(|filter| !self.shunned.contains(*filter)).cloned().collect();
        let (subscribing, first) = match self.careful {
            true => (Subscribing::OneByOne { filters: filters.clone(), current: 0 }, filters.get(..1)),
            false => (Subscribing::AllAtOnce(filters.clone()), Some(filters.as_slice())),
        };
        subscribe(connection, first.unwrap_or_default());
        subscribing
    }

    fn order(&mut self, order: Order, connection: &mut Connection, subscribing: &mut Subscribing) {
        if let Subscribing::NotYet = subscribing {
            return self.order_while_away(order);
        }
        match order {
            Order::Subscribe(filters) if filters == self.filters => {}
            Order::Subscribe(filters) => {
                let obsolete = self.replace_filters(filters);
                connection.unsubscribe(obsolete);
                *subscribing = self.subscribe(connection);
            }
            Order::Publish(id, message) => {
                if let Err(why) = connection.publish(id, message) {
                    self.outbox.push_back(Event::PublishFailed(id, why));
                }
            }
            Order::Withdraw(id) => connection.withdraw(id),
            Order::Acknowledge(handle) => connection.acknowledge(handle),
            Order::Beat => self.outbox.push_back(Event::Beat),
        }
    }

    /// Takes other filters; gives those that are no longer among them.
    fn replace_filters(&mut self, filters: Vec<String>) -> Vec<String> {
        for filter in &filters {
            self.obsolete.remove(filter);
        }
        let staying: BTreeSet<&String> = filters.iter().collect();
        let gone: Vec<_> = self.filters.iter().filter(|filter| !staying.contains(filter)).cloned().collect();
        let room = MAX_OBSOLETE.saturating_sub(self.obsolete.len());
        self.obsolete.extend(gone.iter().take(room).cloned());
        self.filters = filters;
        gone
    }

    fn order_while_away(&mut self, order: Order) {
        match order {
            Order::Subscribe(filters) => drop(self.replace_filters(filters)),
            Order::Publish(id, _) => {
                self.outbox.push_back(Event::PublishFailed(id, "not connected to the broker".to_owned()));
            }
            // Its connection is gone: nothing waits to be published, and the broker delivers the message again.
            Order::Withdraw(_) | Order::Acknowledge(_) => {}
            Order::Beat => self.outbox.push_back(Event::Beat),
        }
    }

    /// Tells what the loss of a connection means, and learns from it.
    fn lost(&mut self, connection: Connection, subscribing: &Subscribing, loss: &Loss) {
        let was_connected = !matches!(subscribing, Subscribing::NotYet);
        let reason = match loss {
            Loss::Other(reason) => reason.clone(),
            Loss::TooLarge { octets } => {
                self.learn_from_large_message(*octets, subscribing);
                format!("the broker sent a message of {octets} octets, more than {MAX_PACKET_OCTETS}")
            }
        };
        let failed = |id| Event::PublishFailed(id, "the connection to the broker was lost".to_owned());
        self.outbox.extend(connection.into_unconfirmed().map(failed));
        if was_connected || self.backoff.failures() == 0 {
            self.outbox.push_back(Event::Lost { reason: reason.clone() });
        }
        let failures = self.backoff.failures() + 1;
        let broker = self.settings.address();
        match was_connected || Backoff::is_worth_a_warning(failures) {
            true => warn!(broker, reason, failures, "no connection to the broker"),
            false => debug!(broker, reason, failures, "no connection to the broker"),
        }
    }

    /// Finds the filter that brings a message too large to take, by subscribing to one after the other.
    fn learn_from_large_message(&mut self, octets: usize, subscribing: &Subscribing) {
        match subscribing {
            Subscribing::OneByOne { filters, current } if *current < filters.len() => {
                let Some(filter) = filters.get(*current) else { return };
                warn!(
                    filter,
                    octets,
                    limit = MAX_PACKET_OCTETS,
                    "this topic filter brings a message that is too large, and is left out until restart; \
                     remove the retained message, or narrow the filter"
                );
                self.shunned.insert(filter.clone());
            }
            _ => {
                let filters = self.filters.join(" ");
                warn!(
                    octets,
                    limit = MAX_PACKET_OCTETS,
                    filters,
                    "a message is too large; subscribing to one filter after the other to find out which brings it"
                );
            }
        }
        self.careful = true;
    }

    /// Says good-bye to the broker; events are not delivered any more.
    async fn close(&mut self, mut connection: Connection) -> End {
        connection.disconnect();
        let ended = async { while !matches!(connection.notice().await, Notice::Lost(_)) {} };
        if timeout(DISCONNECT_WITHIN, ended).await.is_err() {
            debug!("the broker did not close the connection after DISCONNECT");
        }
        End::Closed
    }
}

impl Subscribing {
    /// The broker answered the last SUBSCRIBE.
    fn granted(&self, granted: &[bool]) {
        let asked = match self {
            Self::NotYet => &[],
            Self::AllAtOnce(filters) => filters.as_slice(),
            Self::OneByOne { filters, current } => filters.get(*current..).unwrap_or_default(),
        };
        for (filter, _) in asked.iter().zip(granted).filter(|(_, granted)| !**granted) {
            warn!(filter, "the broker refuses this subscription");
        }
    }

    /// The last filter brought nothing bad.
    fn proceed(&mut self, connection: &Connection) {
        let Self::OneByOne { filters, current } = self else { return };
        *current = current.saturating_add(1).min(filters.len());
        subscribe(connection, filters.get(*current..).and_then(|rest| rest.get(..1)).unwrap_or_default());
    }
}

/// Hands over the oldest event once there is room for it; false when nobody takes events any more.
async fn deliver(events: &mpsc::Sender<Event>, outbox: &mut VecDeque<Event>) -> bool {
    if outbox.is_empty() {
        events.closed().await;
        return false;
    }
    let Ok(permit) = events.reserve().await else { return false };
    if let Some(event) = outbox.pop_front() {
        permit.send(event);
    }
    true
}

fn subscribe(connection: &Connection, filters: &[String]) {
    if filters.is_empty() {
        return;
    }
    if let Err(error) = connection.subscribe(filters) {
        warn!(error, "the subscriptions could not be sent");
    }
}

fn timer(after: Duration) -> Timer {
    Some(Box::pin(async move {
        // What never happens takes as long as it may.
        let _ = timeout(after, pending::<()>()).await;
    }))
}

/// Waits for the timer, and takes it down.
async fn fires(timer: &mut Timer) {
    match timer {
        Some(waiting) => waiting.await,
        None => pending().await,
    }
    *timer = None;
}
