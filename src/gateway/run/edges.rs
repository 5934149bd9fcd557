//! What does I/O for the core: the serial port, the kernel's sockets, names, and the orders for the broker's task.

use tokio::sync::mpsc;

use crate::config::{self, Config};
use crate::gateway::core::Core;
use crate::gateway::io::{Input, Output};
use crate::link::{clock, names, serial, udp};
use crate::persist::{Answer, Request};
use crate::store::Store;
use crate::{mqtt, net};

use super::Followers;

/// Everything that does I/O for the core.
pub(super) struct Edges {
    inputs: mpsc::Sender<Input>,
    port: config::Port,
    generation: u64,
    serial: Option<serial::Port>,
    sockets: udp::Sockets<Input>,
    orders: mpsc::Sender<mqtt::Order>,
    /// `None`: nothing is to last.
    store: Option<Store>,
}

impl Edges {
    pub(super) fn new(
        config: &Config,
        inputs: &mpsc::Sender<Input>,
        orders: mpsc::Sender<mqtt::Order>,
        store: Option<Store>,
    ) -> Self {
        Self {
            inputs: inputs.clone(),
            port: config.port.clone(),
            generation: 0,
            serial: None,
            sockets: udp::Sockets::new(inputs.clone(), from_socket),
            orders,
            store,
        }
    }

    /// Does everything that the core asks for; true when it has stopped.
    pub(super) async fn carry_out(&mut self, core: &mut Core, followers: &Followers) -> bool {
        while let Some(output) = core.poll() {
            // What an edge answers at once goes straight back, so that no queue can deadlock on itself.
            let answer = match output {
                Output::OpenPort { generation } => Some(self.open_port(generation)),
                Output::ClosePort => {
                    self.serial = None;
                    None
                }
                Output::Bytes(octets) => self.write_port(octets),
                Output::Datagram(outgoing) => Some(self.send(&outgoing).await),
                Output::Resolve { name } => {
                    self.resolve(name);
                    None
                }
                Output::Subscribe(filters) => self.order(mqtt::Order::Subscribe(filters)).await,
                Output::Publish(id, message) => self.order(mqtt::Order::Publish(id, message)).await,
                Output::Withdraw(id) => self.order(mqtt::Order::Withdraw(id)).await,
                Output::Status(status) => self.order(mqtt::Order::Status(status)).await,
                Output::Acknowledge(handle) => self.order(mqtt::Order::Acknowledge(handle)).await,
                Output::Store(request) => ask(self.store.as_ref(), request).map(Input::Store),
                Output::Event(event) => {
                    follow(followers.events.as_ref(), event);
                    None
                }
                Output::Stopped => return true,
            };
            if let Some(answer) = answer {
                core.handle(answer, clock::now());
            }
        }
        while let Some(line) = core.poll_trace() {
            follow(followers.trace.as_ref(), line);
        }
        false
    }

    /// The task takes orders whatever the broker does, so this wait is short; its end is told by its events.
    async fn order(&self, order: mqtt::Order) -> Option<Input> {
        if self.orders.send(order).await.is_err() {
            tracing::debug!("the MQTT task is gone");
        }
        None
    }

    fn open_port(&mut self, generation: u64) -> Input {
        self.generation = generation;
        let wrap = move |event| match event {
            serial::Event::Bytes(octets) => Input::Bytes { generation, octets },
            serial::Event::Lost { reason } => Input::PortLost { generation, reason },
        };
        match serial::Port::open(&self.port.path, self.port.baud, self.inputs.clone(), wrap) {
            Ok(port) => {
                self.serial = Some(port);
                Input::PortOpened { generation }
            }
            Err(reason) => Input::PortLost { generation, reason },
        }
    }

    fn write_port(&mut self, octets: Vec<u8>) -> Option<Input> {
        // A port that was just closed takes nothing; the core hears of its loss separately.
        let error = self.serial.as_ref()?.write(octets).err()?;
        Some(Input::PortLost { generation: self.generation, reason: error.to_string() })
    }

    async fn send(&mut self, outgoing: &net::Outgoing) -> Input {
        let id = outgoing.id;
        match self.sockets.send(outgoing).await {
            Ok(()) => Input::DatagramSent(id),
            Err(error) => Input::DatagramFailed { id, reason: error.to_string() },
        }
    }

    fn resolve(&self, name: String) {
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let result = names::resolve(&name).await;
            // Without a loop nobody waits for the answer.
            let _ = inputs.send(Input::Resolved { name, result }).await;
        });
    }
}

/// Asks the store, if there is one; else everything is well and nothing lasts.
fn ask(store: Option<&Store>, request: Request) -> Option<Answer> {
    match (store, request) {
        (Some(store), request) => store.ask(request),
        (None, Request::Load) => Some(Answer::nothing_kept()),
        (None, Request::Write { batch, .. }) => Some(Answer::Committed { batch }),
    }
}

fn from_socket(event: udp::Event) -> Input {
    match event {
        udp::Event::Received(datagram) => Input::Datagram(datagram),
        udp::Event::Unreachable(peer) => Input::PeerUnreachable(peer),
    }
}

/// What the MQTT task tells to the core; `None` is a sign of life.
pub(super) fn from_broker(event: mqtt::Event) -> Option<Input> {
    Some(match event {
        mqtt::Event::Connected { .. } => Input::BrokerConnected,
        mqtt::Event::Message(message, acknowledgement) => Input::Message { message, acknowledgement },
        mqtt::Event::Published(id) => Input::Published(id),
        mqtt::Event::PublishFailed(id, reason) => Input::PublishFailed { id, reason },
        mqtt::Event::Lost { reason } => Input::BrokerLost { reason },
        mqtt::Event::Beat => return None,
    })
}

fn follow<T>(follower: Option<&mpsc::Sender<T>>, item: T) {
    if let Some(follower) = follower {
        if follower.try_send(item).is_err() {
            tracing::debug!("a follower of the gateway does not keep up");
        }
    }
}
