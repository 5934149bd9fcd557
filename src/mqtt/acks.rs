//! Acknowledgements on their way to the broker.
//!
//! rumqttc takes each as a request and sends it by itself. So only the oldest is handed to it, as a call; when that has
//! left, the poller takes all others that have gathered meanwhile and sends them together, in their order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::{AsyncClient, Publish, QoS};

/// Shared by the task, which fills it, and the poller, which empties it. Holds no more than the broker's window.
#[derive(Debug, Clone, Default)]
pub struct Acks(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// Packet identifiers, oldest first.
    packet_ids: VecDeque<u16>,
    /// One was handed to rumqttc, and the poller has not come since.
    is_called: bool,
}

impl Acks {
    /// One more to send.
    pub fn push(&self, packet_id: u16) {
        self.lock().packet_ids.push_back(packet_id);
    }

    /// Has the poller come, if any wait. Where rumqttc takes no request now, it is tried again next time.
    pub fn call(&self, client: &AsyncClient) {
        let mut waiting = self.lock();
        let Some(packet_id) = waiting.packet_ids.front().filter(|_| !waiting.is_called) else { return };
        let mut publish = Publish::new("", QoS::AtLeastOnce, vec![]);
        publish.pkid = *packet_id;
        if client.try_ack(&publish).is_ok() {
            waiting.packet_ids.pop_front();
            waiting.is_called = true;
        }
    }

    /// All that wait, once what was called for has left.
    pub fn take(&self) -> VecDeque<u16> {
        let mut waiting = self.lock();
        waiting.is_called = false;
        std::mem::take(&mut waiting.packet_ids)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::MqttOptions;

    use super::*;

    #[test]
    fn what_rumqttc_does_not_take_is_kept_and_the_order_stays() {
        // Nobody polls: after one request the client takes no more.
        let (client, _event_loop) = AsyncClient::new(MqttOptions::new("c", "h", 1), 1);
        client.try_publish("full", QoS::AtMostOnce, false, "").unwrap();
        let acks = Acks::default();
        acks.push(1);
        acks.call(&client);
        acks.push(2);
        assert_eq!(acks.take(), [1, 2]);
    }

    #[test]
    fn one_is_handed_over_and_the_others_wait_for_it() {
        let (client, _event_loop) = AsyncClient::new(MqttOptions::new("c", "h", 1), 10);
        let acks = Acks::default();
        (1..=3).for_each(|packet_id| acks.push(packet_id));
        acks.call(&client);
        acks.push(4);
        acks.call(&client);
        assert_eq!(acks.take(), [2, 3, 4]);
        acks.push(5);
        acks.call(&client);
        assert!(acks.take().is_empty());
    }
}
