//! The link below CoAP as the core sees it: a modem behind a serial port, or the kernel's UDP.
//!
//! Opens the port again with growing pauses after it was lost. Everything about the modem itself is `modem`'s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::at::TraceLine;
use crate::clock::Deadline;
use crate::gateway::io::{Input, Output};
use crate::gateway::settings::Uplink;
use crate::modem::{Driver, PortEvent};
use crate::net::{Datagram, LinkEvent, LinkFacts, LinkRequest, Outgoing, TransmitId};
use crate::seed::Seed;

/// Pause before a lost port is opened again; doubles up to `REOPEN_MAX`.
const REOPEN_MIN: Duration = Duration::from_secs(1);
const REOPEN_MAX: Duration = Duration::from_secs(30);
/// The kernel cuts nothing below this on any link worth using: IPv6's least MTU less IP and UDP headers.
const KERNEL_MAX_DATAGRAM: usize = 1232;
/// What the buffer of `link/udp.rs` takes; the kernel cuts what is longer.
const KERNEL_MAX_RECEIVE: usize = 2048;

pub(super) enum Link {
    Modem(Box<ModemLink>),
    Kernel(Box<KernelLink>),
}

/// A modem behind a serial port.
pub(super) struct ModemLink {
    driver: Driver,
    port: Port,
    generation: u64,
    outputs: VecDeque<Output>,
}

enum Port {
    /// To be opened at `at`; `pause` is what the next failure costs.
    Closed {
        at: Instant,
        pause: Duration,
    },
    /// Asked for.
    Opening {
        pause: Duration,
    },
    Open,
    /// Closed for good.
    Finished,
}

/// The kernel's UDP: always up, one datagram in hand.
pub(super) struct KernelLink {
    facts: LinkFacts,
    announced: bool,
    in_hand: Option<TransmitId>,
    events: VecDeque<LinkEvent>,
    outputs: VecDeque<Output>,
}

impl Link {
    pub(super) fn new(uplink: &Uplink, seed: Seed, now: Instant) -> Self {
        match uplink {
            Uplink::Modem(settings) => Self::Modem(Box::new(ModemLink {
                driver: Driver::new(settings.clone(), seed),
                port: Port::Closed { at: now, pause: REOPEN_MIN },
                generation: 0,
                outputs: VecDeque::new(),
            })),
            Uplink::Udp => Self::Kernel(Box::new(KernelLink::new())),
        }
    }

    /// Takes what concerns the link; gives back what does not.
    pub(super) fn handle(&mut self, input: Input, now: Instant) -> Option<Input> {
        match self {
            Self::Modem(modem) => modem.handle(input, now),
            Self::Kernel(kernel) => kernel.handle(input),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Modem(modem) => modem.handle_timeout(now),
            Self::Kernel(kernel) => kernel.announce(),
        }
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Deadline> {
        match self {
            Self::Modem(modem) => modem.poll_timeout(),
            Self::Kernel(kernel) => (!kernel.announced).then(|| Deadline::new(now, "kernel link starts")),
        }
    }

    pub(super) fn can_send(&self) -> bool {
        match self {
            Self::Modem(modem) => modem.driver.can_send(),
            Self::Kernel(kernel) => kernel.announced && kernel.in_hand.is_none(),
        }
    }

    /// Call only while `can_send`.
    pub(super) fn send(&mut self, outgoing: Outgoing, now: Instant) {
        match self {
            Self::Modem(modem) => modem.driver.send(outgoing, now),
            Self::Kernel(kernel) => kernel.send(outgoing),
        }
    }

    pub(super) fn request(&mut self, request: LinkRequest, now: Instant) {
        match self {
            Self::Modem(modem) => modem.driver.request(request, now),
            Self::Kernel(kernel) => {
                let LinkRequest::Resolve { name } = request;
                kernel.outputs.push_back(Output::Resolve { name });
            }
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<LinkEvent> {
        match self {
            Self::Modem(modem) => modem.driver.poll_event(),
            Self::Kernel(kernel) => kernel.events.pop_front(),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Modem(modem) => modem.poll_output(),
            Self::Kernel(kernel) => kernel.outputs.pop_front(),
        }
    }

    pub(super) fn poll_trace(&mut self) -> Option<TraceLine> {
        match self {
            Self::Modem(modem) => modem.driver.poll_trace(),
            Self::Kernel(_) => None,
        }
    }

    pub(super) fn facts(&self) -> &LinkFacts {
        match self {
            Self::Modem(modem) => modem.driver.facts(),
            Self::Kernel(kernel) => &kernel.facts,
        }
    }

    /// The port is open, and the driver has nothing that would make it go on: it must always have.
    pub(super) fn waits_for_nothing(&self) -> bool {
        match self {
            Self::Modem(modem) => {
                matches!(modem.port, Port::Open)
                    && !modem.driver.is_shut_down()
                    && modem.driver.poll_timeout().is_none()
            }
            Self::Kernel(_) => false,
        }
    }

    /// Leaves the modem tidy, within the driver's own bound.
    pub(super) fn shutdown(&mut self, now: Instant) {
        if let Self::Modem(modem) = self {
            match modem.port {
                Port::Open => modem.driver.shutdown(now),
                _ => modem.port = Port::Finished,
            }
        }
    }

    pub(super) fn is_shut_down(&self) -> bool {
        match self {
            Self::Modem(modem) => matches!(modem.port, Port::Finished) || modem.driver.is_shut_down(),
            Self::Kernel(_) => true,
        }
    }
}

impl ModemLink {
    fn handle(&mut self, input: Input, now: Instant) -> Option<Input> {
        match input {
            Input::PortOpened { generation } if generation == self.generation => {
                self.port = Port::Open;
                self.driver.handle_port(PortEvent::Opened, now);
            }
            Input::PortLost { generation, reason } if generation == self.generation => self.lost(reason, now),
            Input::Bytes { generation, octets } if generation == self.generation => {
                self.driver.handle_input(&octets, now);
            }
            // Of an earlier opening: nobody waits for it.
            Input::PortOpened { .. } | Input::PortLost { .. } | Input::Bytes { .. } => {}
            other => return Some(other),
        }
        None
    }

    fn lost(&mut self, reason: String, now: Instant) {
        let pause = match self.port {
            Port::Opening { pause } => pause,
            _ => REOPEN_MIN,
        };
        tracing::debug!(again_in_s = pause.as_secs(), "the serial port is opened again");
        self.driver.handle_port(PortEvent::Lost { reason }, now);
        self.outputs.push_back(Output::ClosePort);
        if !matches!(self.port, Port::Finished) {
            self.port = Port::Closed { at: now + pause, pause: (pause * 2).min(REOPEN_MAX) };
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.port {
            Port::Closed { at, pause } if now >= at => {
                self.generation += 1;
                self.port = Port::Opening { pause };
                self.outputs.push_back(Output::OpenPort { generation: self.generation });
            }
            Port::Open => self.driver.handle_timeout(now),
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        match self.port {
            Port::Closed { at, .. } => Some(Deadline::new(at, "open the serial port")),
            Port::Open => self.driver.poll_timeout(),
            Port::Opening { .. } | Port::Finished => None,
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        let bytes = self.driver.poll_transmit().map(Output::Bytes);
        self.outputs.pop_front().or(bytes)
    }
}

impl KernelLink {
    fn new() -> Self {
        let facts = LinkFacts {
            state: "starting",
            max_send_octets: KERNEL_MAX_DATAGRAM,
            max_receive_octets: KERNEL_MAX_RECEIVE,
            ..LinkFacts::default()
        };
        Self { facts, announced: false, in_hand: None, events: VecDeque::new(), outputs: VecDeque::new() }
    }

    fn announce(&mut self) {
        if !self.announced {
            self.announced = true;
            self.facts.up = true;
            self.facts.state = "ready";
            self.events.push_back(LinkEvent::FactsChanged);
            // A fresh process has fresh sockets, hence another port than any server may remember.
            self.events.push_back(LinkEvent::Up { address_changed: true });
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        self.in_hand = Some(outgoing.id);
        self.facts.traffic.datagrams_up += 1;
        self.facts.traffic.octets_up += outgoing.datagram.payload.len() as u64;
        self.outputs.push_back(Output::Datagram(outgoing));
    }

    fn handle(&mut self, input: Input) -> Option<Input> {
        match input {
            Input::Datagram(datagram) => self.received(datagram),
            Input::DatagramSent(id) => self.finished(id, LinkEvent::Sent(id)),
            Input::DatagramFailed { id, reason } => self.finished(id, LinkEvent::SendFailed { id, reason }),
            Input::PeerUnreachable(peer) => self.events.push_back(LinkEvent::PeerUnreachable(peer)),
            Input::Resolved { name, result } => self.events.push_back(LinkEvent::Resolved { name, result }),
            other => return Some(other),
        }
        None
    }

    fn received(&mut self, datagram: Datagram) {
        self.facts.traffic.datagrams_down += 1;
        self.facts.traffic.octets_down += datagram.payload.len() as u64;
        self.events.push_back(LinkEvent::Received(datagram));
    }

    fn finished(&mut self, id: TransmitId, event: LinkEvent) {
        if self.in_hand == Some(id) {
            self.in_hand = None;
            self.events.push_back(event);
        }
    }
}
