//! An MQTT message, as the bridge sees it.

/// One message from or for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Topic name, without wildcards.
    pub topic: String,
    /// The body, any octets.
    pub payload: Vec<u8>,
    /// Incoming: the broker had it stored. Outgoing: the broker shall store it.
    pub retain: bool,
}

/// Names one outgoing publish until the broker has confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishId(pub u64);

/// Names a message towards the broker. Void once its connection is gone: the broker delivers the message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckHandle {
    /// Number of the connection.
    pub session: u64,
    /// Packet identifier; 0 for a QoS 0 message, which takes no acknowledgement.
    pub packet_id: u16,
}
