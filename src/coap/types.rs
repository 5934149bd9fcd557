//! What passes through the endpoint's door: requests, responses, actions and events. Values only.

use crate::net::Peer;

/// A response or request code `class.detail` (RFC 7252 §3), e.g. `Code::new(2, 5)` for 2.05 Content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

impl Code {
    /// 2.01 Created
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02 Deleted
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.04 Changed
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05 Content
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31 Continue
    pub const CONTINUE: Self = Self::new(2, 31);
    /// 4.00 Bad Request
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01 Unauthorized
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02 Bad Option
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03 Forbidden
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04 Not Found
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05 Method Not Allowed
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06 Not Acceptable
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08 Request Entity Incomplete
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.13 Request Entity Too Large
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15 Unsupported Content-Format
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 5.00 Internal Server Error
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.01 Not Implemented
    pub const NOT_IMPLEMENTED: Self = Self::new(5, 1);
    /// 5.03 Service Unavailable
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.05 Proxying Not Supported
    pub const PROXYING_NOT_SUPPORTED: Self = Self::new(5, 5);

    /// From class and detail as written in the RFCs.
    pub const fn new(class: u8, detail: u8) -> Self {
        Self(class << 5 | detail)
    }

    /// The digit before the dot.
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// 2.xx
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.0 & 0x1f)
    }
}

/// Request methods (RFC 7252 §5.8, RFC 8132).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// 0.01
    Get,
    /// 0.02
    Post,
    /// 0.03
    Put,
    /// 0.04
    Delete,
    /// 0.05
    Fetch,
    /// 0.06
    Patch,
    /// 0.07
    Ipatch,
}

impl Method {
    /// Asks for something and changes nothing (RFC 7252 §5.1, RFC 8132 §2).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Fetch)
    }
}

/// A Content-Format number (RFC 7252 §12.3), kept plain: coap-lite does not know them all.
pub type ContentFormat = u16;

/// A request, ours or the peer's.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Uri-Path, segment by segment.
    pub path: Vec<String>,
    /// Uri-Query, item by item.
    pub query: Vec<String>,
    /// Observe option: 0 register, 1 cancel (RFC 7641 §2). Already removed where it has no meaning (COAP-33).
    pub observe: Option<u32>,
    /// Content-Format of the payload.
    pub content_format: Option<ContentFormat>,
    /// Accept.
    pub accept: Option<ContentFormat>,
    /// The body.
    pub payload: Vec<u8>,
}

impl Request {
    /// A request without options other than its path.
    pub fn new(method: Method, path: Vec<String>) -> Self {
        Self {
            method,
            path,
            query: vec![],
            observe: None,
            content_format: None,
            accept: None,
            payload: vec![],
        }
    }
}

/// A response, ours or the peer's.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// 2.xx, 4.xx or 5.xx.
    pub code: Code,
    /// Content-Format of the payload.
    pub content_format: Option<ContentFormat>,
    /// Observe option of a response to an observation (24 bits).
    pub observe: Option<u32>,
    /// Location-Path, segment by segment.
    pub location_path: Vec<String>,
    /// Max-Age in seconds, where set.
    pub max_age: Option<u32>,
    /// The body.
    pub payload: Vec<u8>,
}

impl Response {
    /// A response that is its code alone.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            content_format: None,
            observe: None,
            location_path: vec![],
            max_age: None,
            payload: vec![],
        }
    }

    /// 2.05 with a payload in this format.
    pub fn content(format: ContentFormat, payload: Vec<u8>) -> Self {
        Self { content_format: Some(format), payload, ..Self::new(Code::CONTENT) }
    }
}

/// Names an own request; chosen by the layer above, unique while open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Names a peer's request until it is answered; chosen by the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names an observation that a peer holds on us; chosen by the endpoint, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObservationId(pub u64);

/// Names one notification; chosen by the layer above, unique while open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationId(pub u64);

/// Order at the door when several things wait (design: responses, registration, notifications, Sends).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Register, Update, De-register.
    Registration,
    /// Everything else that we ask.
    Ordinary,
}

/// What the layer above wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a Confirmable request; ends in [`Event::Response`] or [`Event::Failed`]. A GET or FETCH with Observe 0 that is
    /// answered with an Observe option goes on as [`Event::Notified`]; the same request with Observe 1 ends that at the peer.
    Request {
        /// The caller's name for it.
        exchange: ExchangeId,
        /// To whom.
        peer: Peer,
        /// What.
        request: Request,
        /// Which queue.
        priority: Priority,
    },
    /// Answer a peer's request; piggybacked if that is still possible, else as a separate Confirmable response.
    Respond {
        /// Which request.
        request: RequestId,
        /// The answer. An observation is made only if the request had Observe 0 and `accept_observation` is set.
        response: Response,
        /// Take up the observation asked for; `response.observe` is filled in by the endpoint.
        accept_observation: bool,
    },
    /// Tell an observer; ends in [`Event::NotificationDelivered`], [`Event::NotificationFailed`] or with the observation.
    Notify {
        /// The caller's name for it.
        notification: NotificationId,
        /// Which observation.
        observation: ObservationId,
        /// The representation. A code other than 2.xx ends the observation (RFC 7641 §3.2).
        response: Response,
        /// CON or NON. A NON is reported as delivered once the link has sent it.
        confirmable: bool,
    },
    /// Forget all observations of this peer, silently (REG-18).
    ForgetObservations {
        /// Whose.
        peer: Peer,
    },
    /// Forget one observation and what is under way about it, silently.
    ForgetObservation {
        /// Which one.
        observation: ObservationId,
    },
    /// Drop an own request without waiting for its end, or an observation that it started: the next notification meets RST.
    Abandon {
        /// Which one.
        exchange: ExchangeId,
    },
    /// An Empty Confirmable message (RFC 7252 §4.3); ends in [`Event::Pong`] or [`Event::Failed`].
    Ping {
        /// The caller's name for it.
        exchange: ExchangeId,
        /// To whom.
        peer: Peer,
    },
}

/// Why an own exchange or notification had no proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No acknowledgement after all resends, or no separate response in time.
    #[error("no answer after all resends")]
    TimedOut,
    /// The peer answered RST.
    #[error("rejected by the peer (RST)")]
    Rejected,
    /// The peer cannot be reached (the socket says so).
    #[error("the peer cannot be reached")]
    Unreachable,
    /// The queue towards this peer is full.
    #[error("too much is waiting for this peer")]
    QueueFull,
    /// The message fits into no datagram of the link, nor its body into blocks (1 MiB at most).
    #[error("the message is too large to be sent")]
    TooLarge,
    /// The response has an unknown critical option, was cut on its way, or its blocks do not make a body.
    #[error("the peer's response cannot be used")]
    BadResponse,
    /// The notification is larger than a block, and the peer did not fetch the rest while we had it.
    #[error("the peer did not fetch the rest")]
    NotFetched,
    /// The observation or peer was given up meanwhile.
    #[error("given up")]
    Abandoned,
}

/// Why an observation that a peer held on us is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// GET with Observe 1 (OBS-06).
    Cancelled,
    /// RST to its first answer: the peer does not wait for it.
    Rejected,
    /// The peer put its token to a new use (OBS-05).
    Replaced,
    /// Its last notification, an error, is over (OBS-13).
    Over,
}

impl Ending {
    /// In words, for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled by the observer",
            Self::Rejected => "rejected by RST",
            Self::Replaced => "replaced under the same token",
            Self::Over => "its last notification is over",
        }
    }
}

/// What the endpoint tells the layer above.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A peer asks; answer with [`Action::Respond`].
    Request {
        /// The endpoint's name for it.
        id: RequestId,
        /// Who asks.
        peer: Peer,
        /// What.
        request: Request,
    },
    /// An own request was answered (any code).
    Response {
        /// Which.
        exchange: ExchangeId,
        /// The answer.
        response: Response,
    },
    /// An own request or ping had no proper end.
    Failed {
        /// Which.
        exchange: ExchangeId,
        /// Why.
        why: Failure,
    },
    /// A ping was answered.
    Pong {
        /// Which.
        exchange: ExchangeId,
    },
    /// A peer has an observation on us from now on; `request` was answered with success.
    ObservationStarted {
        /// The endpoint's name for it.
        id: ObservationId,
        /// The request that asked for it.
        request: RequestId,
    },
    /// The peer answered a notification by RST (OBS-07). The observation stands until the owner says
    /// [`Action::ForgetObservation`]: behind a NAT the peer may mean our address. Notifications of it that were not over have
    /// failed before.
    ObservationRejected {
        /// Which.
        id: ObservationId,
    },
    /// An observation is gone: cancelled by GET 1, replaced under the same token, its first answer was rejected by RST, or its
    /// last notification is over.
    /// Its notifications that were not over have failed before, as [`Failure::Abandoned`].
    ObservationEnded {
        /// Which.
        id: ObservationId,
        /// Why.
        why: Ending,
    },
    /// The observer acknowledged the notification (CON), or the link has sent it (NON); if it is larger than a block, the
    /// observer has asked for the last one too.
    NotificationDelivered {
        /// Which.
        notification: NotificationId,
    },
    /// The notification had no proper end; the observation stays (choice OBS-10).
    NotificationFailed {
        /// Which.
        notification: NotificationId,
        /// Why.
        why: Failure,
    },
    /// We observe the peer (an own GET with Observe 0) and it notifies; fresher than all before (RFC 7641 §3.4).
    Notified {
        /// The own request that started it.
        exchange: ExchangeId,
        /// The notification.
        response: Response,
    },
}
