//! One connection, from TCP to its loss: rumqttc polled in a task of its own, and what is under way on it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, EventLoop, LastWill, MqttOptions, Outgoing, Packet, PubAck, Publish, QoS,
    StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport, mqttbytes,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::acks::Acks;
use super::ledger::{IDENTIFIERS, Ledger};
use super::{AckHandle, MAX_PACKET_OCTETS, MAX_UNACKNOWLEDGED_OCTETS, Settings, status, words};
use crate::bridge::message::{Message, PublishId};

/// Requests that rumqttc holds for us: a full window of publishes, a SUBSCRIBE, some UNSUBSCRIBEs, and one
/// acknowledgement, which stands for all.
const REQUESTS: usize = 64;
/// Notices that wait until the task takes them; then rumqttc is not polled, and TCP holds the broker back.
const NOTICES: usize = 16;
/// Publishes that wait for the window; a further one fails at once.
const MAX_WAITING: usize = 256;
/// TCP, CONNECT and every flush must be through within this.
pub const CONNECT_WITHIN_SECS: u64 = 10;
/// Fixed header, length of the topic, packet identifier.
const PUBLISH_OVERHEAD_OCTETS: usize = 5 + 2 + 2;

/// One connection.
pub struct Connection {
    session: u64,
    client: AsyncClient,
    notices: mpsc::Receiver<Notice>,
    /// Ends with the connection.
    _poller: JoinSet<()>,
    ledger: Ledger,
    waiting: VecDeque<(PublishId, Message)>,
    /// Our status, if it has yet to be published.
    status: Option<Message>,
    acks: Acks,
    /// Octets of each message that was not acknowledged, oldest first.
    unacknowledged: VecDeque<usize>,
    /// Their sum.
    octets: usize,
    is_made: bool,
    /// Our status was handed to rumqttc, and the connection has not proved to last since.
    is_on_trial: bool,
    /// Something else was.
    has_published: bool,
    /// Filters to unsubscribe from; as many as the settings had.
    leaving: VecDeque<String>,
}

/// What matters of what rumqttc tells.
#[derive(Debug)]
pub enum Notice {
    /// CONNACK.
    Connected { present: bool },
    /// PUBLISH.
    Arrived(Message, AckHandle),
    /// SUBACK: for each filter whether it was granted.
    Subscribed(Vec<bool>),
    /// One of our PUBLISH packets has left.
    Sent { packet_id: u16 },
    /// PUBACK.
    Confirmed { packet_id: u16 },
    /// Something else of ours has left: rumqttc has room for more.
    Left,
    /// The end.
    Lost(Loss),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The broker sent a packet that is larger than we take.
    TooLarge {
        /// Size of the packet.
        octets: usize,
    },
    /// Anything else, in words.
    Other(String),
}

impl Connection {
    /// Starts to connect. `clean` makes the broker forget our session first.
    pub fn open(settings: &Settings, session: u64, clean: bool) -> Self {
        let mut options =
            MqttOptions::new(settings.client_id.as_str(), settings.host.as_str(), settings.port);
        options
            .set_keep_alive(settings.keep_alive)
            .set_clean_session(clean)
            .set_manual_acks(true)
            .set_inflight(IDENTIFIERS)
            .set_max_packet_size(MAX_PACKET_OCTETS, MAX_PACKET_OCTETS);
        if let Some(credentials) = &settings.credentials {
            options.set_credentials(credentials.user.as_str(), credentials.password.as_str());
        }
        if let Some(topic) = &settings.status_topic {
            options.set_last_will(LastWill::new(topic, status::OFFLINE, QoS::AtLeastOnce, true));
        }
        if let Some(tls) = &settings.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.config())));
        }
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS);
        event_loop.network_options.set_connection_timeout(CONNECT_WITHIN_SECS);
        let (sender, notices) = mpsc::channel(NOTICES);
        let mut poller = JoinSet::new();
        let acks = Acks::default();
        poller.spawn(Poller { event_loop, session, notices: sender, acks: acks.clone() }.run());
        Self {
            session,
            client,
            notices,
            _poller: poller,
            ledger: Ledger::default(),
            waiting: VecDeque::new(),
            status: None,
            acks,
            unacknowledged: VecDeque::new(),
            octets: 0,
            is_made: false,
            is_on_trial: false,
            has_published: false,
            leaving: VecDeque::new(),
        }
    }

    /// The next notice. The future may be dropped at any time.
    pub async fn notice(&mut self) -> Notice {
        let gone = || Notice::Lost(Loss::Other("the MQTT client ended".to_owned()));
        self.notices.recv().await.unwrap_or_else(gone)
    }

    /// The next notice, if there is one already.
    pub fn try_notice(&mut self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// Subscribes to all of these with one packet.
    ///
    /// # Errors
    /// rumqttc takes no more requests.
    pub fn subscribe(&self, filters: &[String]) -> Result<(), String> {
        let filter = |filter: &String| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce);
        self.client.try_subscribe_many(filters.iter().map(filter)).map_err(|error| error.to_string())
    }

    /// Unsubscribes from all of these, one after the other.
    pub fn unsubscribe(&mut self, filters: impl IntoIterator<Item = String>) {
        self.leaving.extend(filters);
    }

    /// These are wanted, again perhaps: an UNSUBSCRIBE that has not left yet must not follow their SUBSCRIBE.
    pub fn stay(&mut self, filters: &[String]) {
        let staying: BTreeSet<&String> = filters.iter().collect();
        self.leaving.retain(|filter| !staying.contains(filter));
    }

    /// Publishes when there is room.
    ///
    /// # Errors
    /// It cannot be published on this connection, in words.
    pub fn publish(&mut self, id: PublishId, message: Message) -> Result<(), String> {
        // rumqttc would send it, fail, and end the connection.
        if message.topic.len() + message.payload.len() + PUBLISH_OVERHEAD_OCTETS > MAX_PACKET_OCTETS {
            return Err(format!("the message is larger than {MAX_PACKET_OCTETS} octets"));
        }
        if !rumqttc::valid_topic(&message.topic) {
            return Err(format!("{:?} is no topic to publish to", message.topic));
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(format!("{MAX_WAITING} messages are waiting for the broker already"));
        }
        self.waiting.push_back((id, message));
        Ok(())
    }

    /// Forgets a publish that has not been handed to rumqttc.
    pub fn withdraw(&mut self, id: PublishId) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
    }

    /// Publishes our status before all that waits; one that has not left yet is overtaken.
    pub fn announce(&mut self, status: Option<Message>) {
        self.status = status;
    }

    /// It has been there for long enough.
    pub fn lasted(&mut self) {
        self.is_on_trial = false;
    }

    /// It did not last after our status was published, and nothing else was: that may be why.
    pub fn ended_by_status(&self) -> bool {
        self.is_on_trial && self.waiting.is_empty() && !self.has_published
    }

    /// CONNACK came.
    pub fn made(&mut self) {
        self.is_made = true;
    }

    /// Whether CONNACK came.
    pub const fn is_made(&self) -> bool {
        self.is_made
    }

    /// A message came and is to be acknowledged.
    pub fn arrived(&mut self, message: &Message) {
        let octets = message.topic.len() + message.payload.len();
        self.unacknowledged.push_back(octets);
        self.octets += octets;
    }

    /// Another message may come.
    pub const fn has_room(&self) -> bool {
        self.octets < MAX_UNACKNOWLEDGED_OCTETS
    }

    /// Acknowledges a message of this connection; a handle of another one is void.
    pub fn acknowledge(&mut self, handle: AckHandle) {
        if handle.session != self.session {
            return;
        }
        // Of whichever message: the sum is right again when all are acknowledged.
        self.octets -= self.unacknowledged.pop_front().unwrap_or_default();
        if handle.packet_id != 0 {
            self.acks.push(handle.packet_id);
        }
    }

    /// Hands to rumqttc what it takes of what is waiting; the rest is tried again next time.
    pub fn push(&mut self) {
        self.acks.call(&self.client);
        // Not beside a publish: each takes a packet identifier, and the window of publishes counts on few of them.
        while self.ledger.is_empty() {
            let Some(filter) = self.leaving.front() else { break };
            if self.client.try_unsubscribe(filter).is_err() {
                return;
            }
            self.leaving.pop_front();
        }
        while self.ledger.has_room() {
            if let Some(status) = &self.status {
                if !self.try_publish(status) {
                    return;
                }
                self.status = None;
                self.is_on_trial = true;
                self.ledger.accepted(None);
            } else if let Some((id, message)) = self.waiting.front() {
                if !self.try_publish(message) {
                    return;
                }
                self.has_published = true;
                self.ledger.accepted(Some(*id));
                self.waiting.pop_front();
            } else {
                return;
            }
        }
    }

    fn try_publish(&self, message: &Message) -> bool {
        let Message { topic, payload, retain } = message;
        self.client.try_publish(topic, QoS::AtLeastOnce, *retain, payload.clone()).is_ok()
    }

    /// Nothing of ours waits for the broker.
    pub fn is_quiet(&self) -> bool {
        self.ledger.is_empty() && self.status.is_none() && self.waiting.is_empty()
    }

    /// A PUBLISH has left.
    pub fn sent(&mut self, packet_id: u16) {
        self.ledger.sent(packet_id);
    }

    /// A PUBACK came: for which publish.
    pub fn confirmed(&mut self, packet_id: u16) -> Option<PublishId> {
        self.ledger.confirmed(packet_id)
    }

    /// Asks for the end; [`Notice::Lost`] follows. False if it cannot be said now.
    pub fn disconnect(&mut self) -> bool {
        self.client.try_disconnect().is_ok()
    }

    /// Every publish that was not confirmed and now never will be.
    pub fn into_unconfirmed(self) -> impl Iterator<Item = PublishId> {
        let waiting = self.waiting.into_iter().map(|(id, _)| id);
        self.ledger.unconfirmed().chain(waiting)
    }
}

/// Polls rumqttc until the connection ends.
struct Poller {
    event_loop: EventLoop,
    session: u64,
    notices: mpsc::Sender<Notice>,
    acks: Acks,
}

impl Poller {
    /// rumqttc is never polled again after an error: it would connect by itself.
    async fn run(mut self) {
        loop {
            let event = match self.event_loop.poll().await {
                Ok(event) => event,
                Err(error) => return self.lost(&error).await,
            };
            if let rumqttc::Event::Outgoing(Outgoing::PubAck(_)) = event {
                if let Err(error) = self.acknowledge().await {
                    return self.lost(&error).await;
                }
            }
            let Some(notice) = notice(event, self.session) else { continue };
            if self.notices.send(notice).await.is_err() {
                return;
            }
        }
    }

    /// Sends all waiting acknowledgements at once: rumqttc itself sends each in a packet of TCP of its own.
    async fn acknowledge(&mut self) -> Result<(), ConnectionError> {
        let Some(network) = &mut self.event_loop.network else { return Ok(()) };
        let batch = self.acks.take();
        let sent = async {
            for packet_id in batch {
                network.write(Packet::PubAck(PubAck::new(packet_id))).await?;
            }
            network.flush().await
        };
        match timeout(Duration::from_secs(CONNECT_WITHIN_SECS), sent).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ConnectionError::FlushTimeout),
        }
    }

    async fn lost(mut self, error: &ConnectionError) {
        // What came before the error in the same read; QoS 1 messages among it will be delivered again.
        let left: Vec<_> = self.event_loop.state.events.drain(..).collect();
        let read = left.into_iter().filter_map(|event| notice(event, self.session));
        let keep = |notice: &Notice| match notice {
            Notice::Arrived(_, handle) => handle.packet_id == 0,
            Notice::Confirmed { .. } | Notice::Sent { .. } => true,
            _ => false,
        };
        for notice in read.filter(keep).chain([Notice::Lost(loss(error))]) {
            if self.notices.send(notice).await.is_err() {
                return;
            }
        }
    }
}

fn notice(event: rumqttc::Event, session: u64) -> Option<Notice> {
    Some(match event {
        rumqttc::Event::Incoming(Packet::ConnAck(ack)) => Notice::Connected { present: ack.session_present },
        rumqttc::Event::Incoming(Packet::Publish(publish)) => {
            let handle = AckHandle { session, packet_id: publish.pkid };
            let Publish { topic, payload, retain, .. } = publish;
            Notice::Arrived(Message { topic, payload: payload.to_vec(), retain }, handle)
        }
        rumqttc::Event::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Notice::Subscribed(ack.return_codes.iter().map(granted).collect())
        }
        rumqttc::Event::Incoming(Packet::PubAck(ack)) => Notice::Confirmed { packet_id: ack.pkid },
        rumqttc::Event::Outgoing(Outgoing::Publish(packet_id)) => Notice::Sent { packet_id },
        rumqttc::Event::Outgoing(Outgoing::PubAck(_) | Outgoing::Subscribe(_) | Outgoing::Unsubscribe(_)) => {
            Notice::Left
        }
        _ => return None,
    })
}

fn loss(error: &ConnectionError) -> Loss {
    match error {
        ConnectionError::MqttState(StateError::Deserialization(
            mqttbytes::Error::PayloadSizeLimitExceeded(octets),
        )) => Loss::TooLarge { octets: *octets },
        other => Loss::Other(words::reason(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_filter_that_is_wanted_again_is_not_unsubscribed_from_afterwards() {
        let settings = Settings::new("mqtt://127.0.0.1:9", "c", None).unwrap();
        let mut connection = Connection::open(&settings, 1, false);
        connection.unsubscribe(["a", "b"].map(str::to_owned));
        connection.stay(&["a".to_owned()]);
        assert_eq!(connection.leaving, ["b"]);
    }
}
