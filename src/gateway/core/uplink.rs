//! The way of a sample: message → bridge → client → notification → datagram, and its acknowledgement back.

use std::time::Instant;

use crate::bridge::{self, Broker};
use crate::gateway::io::{Event, Input, Output};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{SampleId, Value};

use super::Core;

/// Most paths whose refusal is logged; values of further ones are refused without a word in the log.
const MAX_REFUSED_PATHS: usize = 256;

impl Core {
    /// What the broker's edge tells.
    pub(super) fn handle_broker(&mut self, input: Input, now: Instant) {
        match input {
            Input::BrokerConnected => {
                self.bridge.handle_broker(Broker::Connected, now);
                self.looking.note_broker(true, "", now);
                self.tell(Event::Broker { connected: true, reason: String::new() });
            }
            Input::BrokerLost { reason } => {
                self.bridge.handle_broker(Broker::Lost, now);
                self.looking.note_broker(false, &reason, now);
                self.tell(Event::Broker { connected: false, reason });
            }
            Input::Message { message, acknowledgement } => {
                self.bridge.handle_message(message, now);
                // The bridge has it now, as a value or as a refusal: the broker need not keep it.
                self.outputs.push_back(Output::Acknowledge(acknowledgement));
            }
            Input::Published(id) => self.bridge.handle_published(id, Ok(()), now),
            Input::PublishFailed { id, reason } => self.bridge.handle_published(id, Err(reason), now),
            // The link takes all others; one that this kind of link does not know means nothing here.
            other => tracing::debug!(?other, "input without a taker"),
        }
    }

    pub(super) fn move_bridge_events(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(event) = self.bridge.poll_event() {
            moved = true;
            match event {
                bridge::Event::Value { path, value, sample } => {
                    self.books.receive(sample, path);
                    self.set_mapped(path, value, sample, now);
                }
                bridge::Event::Held { path, sample } => self.books.receive(sample, path),
                bridge::Event::Released { path, value, sample } => self.set_mapped(path, value, sample, now),
                bridge::Event::Superseded { sample } => self.books.supersede(sample),
                bridge::Event::Withdrawn { sample } => self.books.discard(sample),
                bridge::Event::Dropped { .. } => self.books.drop_one(),
                bridge::Event::Refused { topic, why, first, .. } => {
                    self.books.refuse();
                    if first {
                        tracing::warn!(topic, why, "message gives no value; said once for this topic");
                    }
                    self.tell_refused(topic, why, now);
                }
                bridge::Event::Forgotten { object, id } => self.forget_instance(object, id, now),
                bridge::Event::DownlinkDone { id, outcome } => self.finish_downlink(id, outcome),
            }
        }
        moved
    }

    fn tell_refused(&mut self, topic: String, why: String, now: Instant) {
        self.looking.note_refusal(&topic, &why, now);
        self.tell(Event::Refused { topic, why });
    }

    /// Passes on a value that is in the books.
    fn set_mapped(&mut self, path: Path, value: Value, sample: SampleId, now: Instant) {
        let Err(refusal) = self.lwm2m.set_mapped(path, value, Some(sample), now) else {
            self.looking.note_sample(path, now);
            return self.tell(Event::Sample { path });
        };
        self.books.reject(sample);
        if self.refused.len() < MAX_REFUSED_PATHS && self.refused.insert(path) {
            tracing::warn!(%path, %refusal, "value is not taken; said once for this path");
        }
        self.tell_refused(path.to_string(), refusal.to_string(), now);
    }

    /// Asks for a notification only when it would leave at once: until then its value can still be renewed.
    pub(super) fn move_notifications(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for peer in self.peers() {
            while self.link.can_send() && self.coap.is_free(peer) {
                let Some(action) = self.lwm2m.poll_notification(peer, now) else { break };
                self.coap.handle_action(action, now);
                self.move_datagrams(now);
                moved = true;
            }
        }
        moved
    }

    pub(super) fn move_actions(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(action) = self.lwm2m.poll_action(now) {
            self.coap.handle_action(action, now);
            moved = true;
        }
        moved
    }

    pub(super) fn move_datagrams(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while self.link.can_send() {
            let Some(outgoing) = self.coap.poll_transmit(now) else { break };
            let octets = outgoing.datagram.payload.len();
            self.link.send(outgoing, now);
            self.lwm2m.note_traffic(self.link.facts().traffic, Some(octets), now);
            moved = true;
        }
        moved
    }
}
