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
use super::subscriptions::{Blame, Subscriptions};
use super::{Event, MAX_PACKET_OCTETS, Order, Settings, status, words};
use crate::bridge::message::Message;
use crate::seed::Seed;

/// Most events that wait to be taken before the connection is no longer read.
const MAX_EVENTS: usize = 64;
/// Most orders, and most notices, that one turn takes if they are there.
const MAX_A_TURN: usize = 32;
/// A connection that lasted this long is a success: the next loss is retried quickly again.
const LASTING: Duration = Duration::from_secs(30);
/// After a filter was granted: its retained messages come within this.
const SETTLE: Duration = Duration::from_secs(1);
/// After so long a filter that was left out is tried again.
const RETRY_LEFT_OUT: Duration = Duration::from_secs(3600);
/// Most filters to unsubscribe from that are remembered.
const MAX_OBSOLETE: usize = 16_384;
/// After so many connections that ended soon after our status was published, it is not published any more.
const MAX_ENDED_BY_STATUS: u32 = 3;
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
    subscriptions: Subscriptions,
    /// Filters of before, which a session that the broker kept may still have. At most [`MAX_OBSOLETE`]; messages by
    /// further ones go on to come, and are for nobody.
    obsolete: BTreeSet<String>,
    session: u64,
    backoff: Backoff,
    /// A message too large to take came: the session that the broker kept would bring it again.
    is_session_spoilt: bool,
    /// What our status topic says.
    status: String,
    /// Connections in a row that ended soon after it was published on them: a broker may close the connection over a
    /// publish that it does not allow (MQTT 3.1.1 §3.3.5).
    ended_by_status: u32,
}

/// How the work on a connection, or the wait for one, ended.
enum End {
    /// Try again.
    Retry,
    /// Nobody needs us any more.
    Closed,
}

/// What is waited for on a connection.
#[derive(Default)]
struct Timers {
    lasting: Timer,
    settled: Timer,
    retry: Timer,
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
            subscriptions: Subscriptions::default(),
            obsolete: BTreeSet::new(),
            session: 0,
            backoff: Backoff::new(seed),
            is_session_spoilt: false,
            status: status::ONLINE.to_owned(),
            ended_by_status: 0,
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
        let clean = self.is_session_spoilt || !self.settings.has_session;
        let mut connection = Connection::open(&self.settings, self.session, clean);
        let mut timers = Timers::default();
        let loss = loop {
            connection.push();
            self.subscribe(&connection);
            let has_room = self.outbox.len() < MAX_EVENTS && connection.has_room();
            tokio::select! {
                open = deliver(&self.events, &mut self.outbox) => if !open { return self.close(connection).await },
                order = self.orders.recv() => match order {
                    Some(order) => self.take_orders(order, &mut connection),
                    None => return self.close(connection).await,
                },
                notice = connection.notice(), if has_room => {
                    if let Some(loss) = self.take_notices(notice, &mut connection, &mut timers) {
                        break loss;
                    }
                }
                () = fires(&mut timers.settled) => self.subscriptions.settled(),
                () = fires(&mut timers.retry) => self.subscriptions.retry(),
                () = fires(&mut timers.lasting) => {
                    self.backoff.succeeded();
                    connection.lasted();
                    self.is_session_spoilt = false;
                    self.obsolete.clear();
                }
            }
        };
        self.lost(connection, &loss);
        End::Retry
    }

    /// Takes this order and those that have come with it.
    fn take_orders(&mut self, first: Order, connection: &mut Connection) {
        let mut next = Some(first);
        for _ in 0..MAX_A_TURN {
            match next.take().or_else(|| self.orders.try_recv().ok()) {
                Some(order) if connection.is_made() => self.order(order, connection),
                Some(order) => self.order_while_away(order),
                None => return,
            }
        }
    }

    /// Takes this notice and those that have come with it, as far as there is room; gives the end, if it is among them.
    fn take_notices(
        &mut self,
        first: Notice,
        connection: &mut Connection,
        timers: &mut Timers,
    ) -> Option<Loss> {
        let mut next = Some(first);
        for _ in 0..MAX_A_TURN {
            match next.take().or_else(|| connection.try_notice())? {
                Notice::Lost(loss) => return Some(loss),
                notice => self.take(notice, connection, timers),
            }
            if self.outbox.len() >= MAX_EVENTS || !connection.has_room() {
                break;
            }
        }
        None
    }

    fn take(&mut self, notice: Notice, connection: &mut Connection, timers: &mut Timers) {
        match notice {
            Notice::Connected { present } => {
                info!(broker = self.settings.address(), session_present = present, "connected to the broker");
                self.outbox.push_back(Event::Connected { session: self.session, present });
                connection.made();
                connection.unsubscribe(self.obsolete.iter().cloned());
                connection.announce(self.announcement(&self.status));
                self.subscriptions.begin();
                timers.lasting = timer(LASTING);
                timers.retry = timer(RETRY_LEFT_OUT).filter(|_| self.subscriptions.is_incomplete());
            }
            Notice::Arrived(message, handle) => {
                connection.arrived(&message);
                self.outbox.push_back(Event::Message(message, handle));
            }
            Notice::Subscribed(granted) => {
                for filter in self.subscriptions.granted(&granted) {
                    warn!(filter, "the broker refuses this subscription");
                }
                timers.settled = timer(SETTLE).filter(|_| self.subscriptions.is_settling());
            }
            Notice::Sent { packet_id } => connection.sent(packet_id),
            Notice::Confirmed { packet_id } => {
                self.outbox.extend(connection.confirmed(packet_id).map(Event::Published));
            }
            Notice::Left | Notice::Lost(_) => {}
        }
    }

    /// Asks for the next filters once the broker has answered those before.
    fn subscribe(&mut self, connection: &Connection) {
        if !connection.is_made() {
            return;
        }
        // Where it is not taken, what is waiting before it wakes us when it has gone.
        if self.subscriptions.next().is_some_and(|filters| connection.subscribe(filters).is_ok()) {
            self.subscriptions.asked();
        }
    }

    fn order(&mut self, order: Order, connection: &mut Connection) {
        match order {
            Order::Subscribe(filters) if filters == self.subscriptions.wanted() => {}
            Order::Subscribe(filters) => {
                let obsolete = self.replace_filters(filters);
                connection.stay(self.subscriptions.wanted());
                connection.unsubscribe(obsolete);
                self.subscriptions.begin();
            }
            Order::Publish(id, message) => {
                if let Err(why) = connection.publish(id, message) {
                    self.outbox.push_back(Event::PublishFailed(id, why));
                }
            }
            Order::Withdraw(id) => connection.withdraw(id),
            Order::Acknowledge(handle) => connection.acknowledge(handle),
            Order::Status(status) => {
                self.status = status;
                connection.announce(self.announcement(&self.status));
            }
            Order::Beat => self.outbox.push_back(Event::Beat),
        }
    }

    /// What we say of ourselves, where there is a topic for it.
    fn announcement(&self, status: &str) -> Option<Message> {
        if self.ended_by_status >= MAX_ENDED_BY_STATUS {
            return None;
        }
        let topic = self.settings.status_topic()?.to_owned();
        Some(Message { topic, payload: status.into(), retain: true })
    }

    /// Takes other filters; gives those that are no longer among them.
    fn replace_filters(&mut self, filters: Vec<String>) -> Vec<String> {
        for filter in &filters {
            self.obsolete.remove(filter);
        }
        let staying: BTreeSet<&String> = filters.iter().collect();
        let before = self.subscriptions.wanted().iter();
        let gone: Vec<_> = before.filter(|filter| !staying.contains(filter)).cloned().collect();
        let room = MAX_OBSOLETE.saturating_sub(self.obsolete.len());
        self.obsolete.extend(gone.iter().take(room).cloned());
        self.subscriptions.replace(filters);
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
            Order::Status(status) => self.status = status,
            Order::Beat => self.outbox.push_back(Event::Beat),
        }
    }

    /// Tells what the loss of a connection means, and learns from it.
    fn lost(&mut self, connection: Connection, loss: &Loss) {
        let was_connected = connection.is_made();
        let reason = match loss {
            Loss::Other(reason) => {
                self.subscriptions.forgive();
                match (was_connected, self.backoff.failures()) {
                    (false, _) if reason == words::CLOSED => words::CLOSED_EARLY.to_owned(),
                    (true, 1..) if reason == words::CLOSED => words::CLOSED_AGAIN.to_owned(),
                    _ => reason.clone(),
                }
            }
            Loss::TooLarge { octets } => {
                self.learn_from_large_message(*octets);
                format!("the broker sent a message of {octets} octets, more than {MAX_PACKET_OCTETS}")
            }
        };
        self.learn_from_status(&connection);
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

    /// Gives the status up where it ends every connection.
    fn learn_from_status(&mut self, connection: &Connection) {
        if self.ended_by_status >= MAX_ENDED_BY_STATUS {
            return;
        }
        self.ended_by_status = if connection.ended_by_status() { self.ended_by_status + 1 } else { 0 };
        if self.ended_by_status == MAX_ENDED_BY_STATUS {
            warn!(
                topic = self.settings.status_topic(),
                "the broker closes the connection whenever our status is published, which it is no longer until restart; \
                 allow the topic (nbgate check prints the access list), or set mqtt.status_topic to \"\"; \
                 or does another client have our name (mqtt.client_id)?"
            );
        }
    }

    fn learn_from_large_message(&mut self, octets: usize) {
        self.is_session_spoilt = true;
        let limit = MAX_PACKET_OCTETS;
        match self.subscriptions.blame() {
            Blame::Found(filter) => {
                warn!(
                    filter,
                    octets,
                    limit,
                    "this topic filter brings a message that is too large, and is left out for an hour or until the \
                     next outage of the broker; remove the retained message, or narrow the filter"
                );
                // A step of the search is no failure.
                self.backoff.succeeded();
            }
            Blame::Narrowed(filters) => {
                debug!(
                    filters,
                    octets, limit, "one of these topic filters brings a message that is too large"
                );
                self.backoff.succeeded();
            }
            Blame::Unknown(filters) => warn!(
                filters,
                octets,
                limit,
                "a message is too large; subscribing to half of the filters at a time to find out which brings it"
            ),
        }
    }

    /// Says good-bye to the broker, our status first; events are not delivered any more.
    async fn close(&mut self, mut connection: Connection) -> End {
        if !connection.is_made() {
            return End::Closed;
        }
        connection.announce(self.announcement(status::OFFLINE));
        let ended = async {
            let mut is_leaving = false;
            loop {
                connection.push();
                if !is_leaving && connection.is_quiet() {
                    is_leaving = connection.disconnect();
                }
                match connection.notice().await {
                    Notice::Sent { packet_id } => connection.sent(packet_id),
                    Notice::Confirmed { packet_id } => drop(connection.confirmed(packet_id)),
                    Notice::Lost(_) => return,
                    _ => {}
                }
            }
        };
        if timeout(DISCONNECT_WITHIN, ended).await.is_err() {
            debug!("the broker did not take our leave");
        }
        End::Closed
    }
}

/// Hands over the oldest event once there is room for it, and those behind it that fit; false when nobody takes them.
async fn deliver(events: &mpsc::Sender<Event>, outbox: &mut VecDeque<Event>) -> bool {
    if outbox.is_empty() {
        events.closed().await;
        return false;
    }
    let Ok(permit) = events.reserve().await else { return false };
    if let Some(event) = outbox.pop_front() {
        permit.send(event);
    }
    let room = outbox.len().min(events.capacity());
    if let Ok(permits) = events.try_reserve_many(room) {
        permits.zip(outbox.drain(..room)).for_each(|(permit, event)| permit.send(event));
    }
    true
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
