//! Which publish a packet identifier belongs to: rumqttc tells only the identifier, and that in order of sending.

use std::collections::VecDeque;

use crate::bridge::message::PublishId;

/// Most publishes from the oldest unconfirmed one to the newest. rumqttc counts identifiers from 1 to its limit of
/// [`IDENTIFIERS`] and over again; as long as this is smaller, none meets an unconfirmed one of the same number.
const WINDOW: usize = 16;
/// rumqttc's limit for publishes in flight, and thus the identifiers it uses.
pub const IDENTIFIERS: u16 = 100;

/// The publishes of one connection that the broker has not confirmed.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In the order in which rumqttc accepted them.
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: our own status, which nobody asks after.
    publish: Option<PublishId>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Accepted,
    Sent {
        packet_id: u16,
    },
    /// Kept while an older one is unconfirmed.
    Confirmed,
}

impl Ledger {
    /// Another publish may be handed to rumqttc.
    pub fn has_room(&self) -> bool {
        self.entries.len() < WINDOW
    }

    /// No publish is unconfirmed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// rumqttc accepted this publish; `None` stands for our own status.
    pub fn accepted(&mut self, publish: Option<PublishId>) {
        self.entries.push_back(Entry { publish, state: State::Accepted });
    }

    /// rumqttc sent the oldest accepted publish that it has not sent yet.
    pub fn sent(&mut self, packet_id: u16) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.state == State::Accepted) {
            entry.state = State::Sent { packet_id };
        }
    }

    /// The broker confirmed this identifier: the publish it belongs to.
    pub fn confirmed(&mut self, packet_id: u16) -> Option<PublishId> {
        let entry = self.entries.iter_mut().find(|entry| entry.state == State::Sent { packet_id })?;
        entry.state = State::Confirmed;
        let publish = entry.publish;
        while self.entries.front().is_some_and(|entry| entry.state == State::Confirmed) {
            self.entries.pop_front();
        }
        publish
    }

    /// Everything that was not confirmed.
    pub fn unconfirmed(self) -> impl Iterator<Item = PublishId> {
        self.entries
            .into_iter()
            .filter(|entry| entry.state != State::Confirmed)
            .filter_map(|entry| entry.publish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_in_any_order_find_their_publish() {
        let mut ledger = Ledger::default();
        (1..=3).for_each(|id| ledger.accepted(Some(PublishId(id))));
        (11..=13).for_each(|packet_id| ledger.sent(packet_id));
        assert_eq!(ledger.confirmed(12), Some(PublishId(2)));
        assert_eq!(ledger.confirmed(12), None);
        assert_eq!(ledger.confirmed(11), Some(PublishId(1)));
        assert_eq!(ledger.confirmed(99), None);
        assert_eq!(ledger.unconfirmed().collect::<Vec<_>>(), [PublishId(3)]);
    }

    #[test]
    fn an_old_unconfirmed_publish_closes_the_window_before_its_identifier_comes_round() {
        let mut ledger = Ledger::default();
        let mut packet_id = 0;
        for id in 0..1000 {
            if !ledger.has_room() {
                break;
            }
            packet_id = packet_id % IDENTIFIERS + 1;
            ledger.accepted(Some(PublishId(id)));
            ledger.sent(packet_id);
            if id > 0 {
                assert_eq!(ledger.confirmed(packet_id), Some(PublishId(id)));
            }
        }
        assert!(!ledger.has_room() && packet_id < IDENTIFIERS);
        assert_eq!(ledger.confirmed(1), Some(PublishId(0)));
        assert!(ledger.has_room());
    }
}
