//! The one UDP socket: the datagram in hand on its way up, and reads until the modem's buffer is empty.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::at::{Command, Exchange, FinalResult, Line};
use crate::clock::Deadline;
use crate::net::{Datagram, LinkEvent, Outgoing, Peer};

use super::common::{Common, Ended, ended};
use super::dialect::{Dialect, Reading, SocketId};

/// The socket's number in the modem; there is only one.
pub(super) const SOCKET: SocketId = SocketId(0);
/// Times that a full modem is asked to take the same datagram.
const MAX_SENDS: u32 = 4;
/// Before the first repetition; doubles each time.
const SEND_PAUSE: Duration = Duration::from_secs(1);
/// Refusals in a row after which the socket is opened anew though the modem calls it sound.
const MAX_REFUSALS: u32 = 2;

/// What a finished command says about the socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Sound,
    /// Something may have broken; look.
    Suspect(String),
    /// Open it anew.
    Broken(String),
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Socket {
    in_hand: Option<InHand>,
    asked: Option<Asked>,
    /// A datagram may wait in the modem.
    unread: bool,
    /// Sends and reads take turns, so that neither starves the other.
    read_last: bool,
    refusals: u32,
}

#[derive(Debug)]
struct InHand {
    outgoing: Outgoing,
    sends: u32,
    again_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Send,
    Read,
}

impl Socket {
    /// No datagram is in hand.
    pub(super) fn can_take(&self) -> bool {
        self.in_hand.is_none()
    }

    /// Takes a datagram in hand, or says why it never will.
    pub(super) fn take(&mut self, outgoing: Outgoing, max_octets: usize) -> Result<(), String> {
        let octets = outgoing.datagram.payload.len();
        if !self.can_take() {
            return Err("another datagram is in hand".into());
        }
        if outgoing.datagram.peer.0.is_ipv6() {
            return Err("the modem's socket carries IPv4 only".into());
        }
        if octets == 0 {
            // To the modem a length of 0 is a question, not a datagram.
            return Err("a datagram without payload cannot be sent".into());
        }
        if octets > max_octets {
            return Err(format!("{octets} octets are more than the {max_octets} that the modem takes"));
        }
        self.in_hand = Some(InHand { outgoing, sends: 0, again_at: None });
        Ok(())
    }

    /// The modem says that a datagram waits, or may have said so unheard.
    pub(super) fn look(&mut self) {
        self.unread = true;
    }

    /// Something that carries data waits or is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.in_hand.is_some() || self.unread || self.asked.is_some()
    }

    /// Reports the datagram in hand as failed; what was asked no longer counts.
    pub(super) fn give_up(&mut self, reason: &str, events: &mut VecDeque<LinkEvent>) {
        let sending = self.asked.take() == Some(Asked::Send);
        if let Some(InHand { outgoing, .. }) = self.in_hand.take() {
            let reason =
                if sending { format!("{reason}; whether it left is unknown") } else { reason.to_owned() };
            events.push_back(LinkEvent::SendFailed { id: outgoing.id, reason });
        }
    }

    pub(super) fn poll_command(&mut self, dialect: &dyn Dialect, now: Instant) -> Option<Command> {
        let due = self.in_hand.as_mut().filter(|in_hand| in_hand.again_at.is_none_or(|at| at <= now));
        if let Some(in_hand) = due.filter(|_| self.read_last || !self.unread) {
            let Outgoing { datagram, release, .. } = &in_hand.outgoing;
            let SocketAddr::V4(peer) = datagram.peer.0 else { return None };
            in_hand.sends += 1;
            in_hand.again_at = None;
            self.read_last = false;
            self.asked = Some(Asked::Send);
            return Some(dialect.send_to(SOCKET, peer, &datagram.payload, *release));
        }
        if !self.unread {
            return None;
        }
        // A notice that comes while this read is under way asks for another one.
        self.unread = false;
        self.read_last = true;
        self.asked = Some(Asked::Read);
        Some(dialect.receive(SOCKET))
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let at = self.in_hand.as_ref()?.again_at?;
        Some(Deadline::new(at, "modem send again"))
    }

    pub(super) fn handle_finished(
        &mut self,
        exchange: &Exchange,
        common: &mut Common,
        events: &mut VecDeque<LinkEvent>,
        now: Instant,
    ) -> Verdict {
        match self.asked.take() {
            Some(Asked::Send) => self.sent(exchange, common, events, now),
            Some(Asked::Read) => self.read(exchange, common, events),
            None => Verdict::Sound,
        }
    }

    fn sent(
        &mut self,
        exchange: &Exchange,
        common: &mut Common,
        events: &mut VecDeque<LinkEvent>,
        now: Instant,
    ) -> Verdict {
        let Some(in_hand) = self.in_hand.as_mut() else { return Verdict::Sound };
        let reason = match ended(exchange) {
            Ended::Well => {
                common.facts.count_sent(&in_hand.outgoing.datagram.payload);
                events.push_back(LinkEvent::Sent(in_hand.outgoing.id));
                self.in_hand = None;
                self.refusals = 0;
                return Verdict::Sound;
            }
            Ended::Refused(FinalResult::SendFail) if in_hand.sends < MAX_SENDS => {
                let pause = SEND_PAUSE * 2_u32.pow(in_hand.sends - 1);
                let again_at = now + common.rng.between(pause / 2, pause);
                debug!(sends = in_hand.sends, "modem's buffer is full; sending again later");
                in_hand.again_at = Some(again_at);
                return Verdict::Sound;
            }
            Ended::Refused(FinalResult::SendFail) => {
                let reason = format!("the modem's buffer stayed full over {MAX_SENDS} tries (SEND FAIL)");
                events.push_back(LinkEvent::SendFailed { id: in_hand.outgoing.id, reason });
                self.in_hand = None;
                return Verdict::Suspect("the modem's buffer does not empty".into());
            }
            Ended::Refused(result) => {
                self.refusals += 1;
                format!("the modem refused to send: {result}")
            }
            Ended::Lost(why) if exchange.data_sent => format!("{why}; whether it left is unknown"),
            Ended::Lost(why) => format!("{why}; it did not leave"),
        };
        events.push_back(LinkEvent::SendFailed { id: in_hand.outgoing.id, reason: reason.clone() });
        self.in_hand = None;
        if self.refusals >= MAX_REFUSALS {
            self.refusals = 0;
            return Verdict::Broken(reason);
        }
        Verdict::Suspect(reason)
    }

    fn read(
        &mut self,
        exchange: &Exchange,
        common: &mut Common,
        events: &mut VecDeque<LinkEvent>,
    ) -> Verdict {
        match ended(exchange) {
            Ended::Well => {}
            // Nothing more is asked before the next notice or the slow look: no loop of refusals.
            Ended::Refused(result) => {
                return Verdict::Suspect(format!("the modem refused to read its socket: {result}"));
            }
            Ended::Lost(why) => {
                // What the modem handed out in the lost answer is gone; the rest still waits.
                self.unread = true;
                return Verdict::Suspect(why);
            }
        }
        let Some(dialect) = common.dialect else { return Verdict::Sound };
        match dialect.reading(&exchange.lines) {
            Reading::Empty => {}
            Reading::Garbled => {
                let first = exchange.lines.first().map(|line: &Line| line.text.as_str());
                debug!(first, "answer to a read makes no sense; dropped");
            }
            Reading::Datagram { from, payload } => {
                self.unread = true;
                common.facts.count_received(&payload);
                let peer = Peer(SocketAddr::V4(from));
                events.push_back(LinkEvent::Received(Datagram { peer, payload }));
            }
        }
        Verdict::Sound
    }
}
