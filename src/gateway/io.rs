//! What goes into the core and what comes out: values only, one enum each way.

use std::net::IpAddr;

use crate::bridge::Mappings;
use crate::bridge::message::{AckHandle, Message, PublishId};
use crate::clock::UnixTime;
use crate::lwm2m::Path;
use crate::lwm2m::client::HostFacts;
use crate::net::{Datagram, LinkFacts, Outgoing, Peer, TransmitId};
use crate::persist;

/// Something happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The serial port is open. Octets of an earlier generation are thrown away.
    PortOpened {
        /// Counts the openings.
        generation: u64,
    },
    /// The serial port could not be opened, or is gone.
    PortLost {
        /// The opening that this is about.
        generation: u64,
        /// Why, in a technician's words.
        reason: String,
    },
    /// Octets from the modem.
    Bytes {
        /// The opening they came through.
        generation: u64,
        /// The octets.
        octets: Vec<u8>,
    },
    /// A datagram from a kernel socket.
    Datagram(Datagram),
    /// The kernel took a datagram.
    DatagramSent(TransmitId),
    /// The kernel refused a datagram.
    DatagramFailed {
        /// Which.
        id: TransmitId,
        /// Why.
        reason: String,
    },
    /// The network says that nobody listens there.
    PeerUnreachable(Peer),
    /// The system's resolver answered.
    Resolved {
        /// The host name asked for.
        name: String,
        /// Its address, or why there is none.
        result: Result<IpAddr, String>,
    },
    /// The broker accepted our connection.
    BrokerConnected,
    /// The connection to the broker is gone or could not be made.
    BrokerLost {
        /// Why.
        reason: String,
    },
    /// A message from the broker.
    Message {
        /// The message.
        message: Message,
        /// What to hand back once it is taken.
        acknowledgement: AckHandle,
    },
    /// The broker confirmed a publish.
    Published(PublishId),
    /// A publish did not get to the broker, or nobody knows.
    PublishFailed {
        /// Which.
        id: PublishId,
        /// Why.
        reason: String,
    },
    /// The store's answer.
    Store(persist::Answer),
    /// Wall time, read now.
    WallClock(UnixTime),
    /// What the machine says of itself now.
    Host(Box<HostFacts>),
    /// Other mappings from now on.
    Reload(Box<Mappings>),
    /// An operator or the system wants us to end.
    Stop,
    /// Nothing happened, but a deadline passed.
    Tick,
}

/// Something to do outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Open the serial port; answered by `PortOpened` or `PortLost` with this generation.
    OpenPort {
        /// Counts the openings.
        generation: u64,
    },
    /// Close the serial port.
    ClosePort,
    /// Octets for the modem.
    Bytes(Vec<u8>),
    /// A datagram for a kernel socket; answered by `DatagramSent` or `DatagramFailed`.
    Datagram(Outgoing),
    /// Ask the system's resolver; answered by `Resolved`.
    Resolve {
        /// The host name.
        name: String,
    },
    /// Subscribe to these filters, now and after every reconnect.
    Subscribe(Vec<String>),
    /// Publish with QoS 1; answered by `Published` or `PublishFailed`.
    Publish(PublishId, Message),
    /// Do not publish this any more if it has not left yet; answered by nothing, or as if it had not been asked.
    Withdraw(PublishId),
    /// What our topic at the broker shall say of us from now on.
    Status(String),
    /// Tell the broker that the message is taken.
    Acknowledge(AckHandle),
    /// Ask the store, which answers by `Store`.
    Store(persist::Request),
    /// Something an operator, the status or a test wants to know.
    Event(Event),
    /// All is done after `Stop`; the loop may end.
    Stopped,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Link state, signal or traffic changed.
    Link(Box<LinkFacts>),
    /// A server accepted our registration.
    Registered {
        /// Its Short Server ID.
        short_server_id: u16,
        /// The registration's location.
        location: String,
    },
    /// A server refused or missed our registration or Update; it is tried again.
    RegistrationFailed {
        /// Its Short Server ID.
        short_server_id: u16,
        /// Why.
        why: String,
    },
    /// A server confirmed an Update.
    Updated {
        /// Its Short Server ID.
        short_server_id: u16,
    },
    /// The registration at a server is ended.
    Deregistered {
        /// Its Short Server ID.
        short_server_id: u16,
    },
    /// The broker came or went.
    Broker {
        /// Connected.
        connected: bool,
        /// Why not.
        reason: String,
    },
    /// A sample was taken for a resource.
    Sample {
        /// The resource.
        path: Path,
    },
    /// Samples were acknowledged by a server.
    Reported {
        /// Their resources.
        paths: Vec<Path>,
    },
    /// A message, or a value in it, was refused.
    Refused {
        /// The topic that it came from, or the resource that did not take it.
        topic: String,
        /// Why.
        why: String,
    },
    /// A server's Write or Execute went out over MQTT, or not.
    Downlink {
        /// In words.
        outcome: String,
    },
    /// Something that must not happen; a person must act.
    Fault(String),
}
