//! What an endpoint counts.

/// Counts since the endpoint was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Datagrams that arrived, of whatever kind.
    pub received: u64,
    /// Datagrams handed to the link, resends included.
    pub handed: u64,
    /// Resends handed to the link because no acknowledgement came in time.
    pub resends: u64,
    /// Datagrams of which the link said that they may not have left.
    pub send_failures: u64,
    /// Requests, responses and notifications that had arrived before.
    pub duplicates: u64,
    /// Own messages given up: no acknowledgement after all resends, or no separate response in time.
    pub timeouts: u64,
    /// Own messages that the peer rejected with RST.
    pub rejected: u64,
    /// Requests of peers given to the layer above.
    pub requests: u64,
    /// Requests of peers that the endpoint answered by itself: 4.00, 4.02, 4.05, 4.08, 4.13, 5.03, 5.05.
    pub requests_refused: u64,
    /// Blocks of peers' requests after which more was to follow.
    pub blocks_received: u64,
    /// Blocks of our responses and notifications after their first.
    pub blocks_sent: u64,
    /// Empty acknowledgements, because the answer took longer than a moment.
    pub empty_acknowledgements: u64,
    /// RST messages in answer to pings.
    pub pings_answered: u64,
    /// What was thrown away.
    pub dropped: Dropped,
}

/// Counts of what was thrown away, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Not from one of our peers.
    pub foreign_peer: u64,
    /// No CoAP message, or one whose type and code do not go together.
    pub malformed: u64,
    /// A Non-confirmable request with an option that must be understood and is not.
    pub bad_option: u64,
    /// An acknowledgement, reset or response that fits nothing open.
    pub unmatched: u64,
    /// A notification older than one already seen (RFC 7641 §3.4).
    pub stale_notification: u64,
    /// A notification of which a later block could not be fetched.
    pub incomplete_notification: u64,
    /// From one peer more than can be served.
    pub peers_full: u64,
    /// A reply of ours, or the request that asked for it, while too many were waiting for the link.
    pub replies_full: u64,
    /// A reply of ours that the link could not send after some attempts.
    pub unsendable: u64,
    /// A request that the layer above never answered.
    pub unanswered: u64,
}
