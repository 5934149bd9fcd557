//! The only loop: takes what the core gives to the edges, and what the edges tell to the core.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use crate::at::TraceLine;
use crate::config::Config;
use crate::link::{clock, names, serial, udp};
use crate::seed::Seed;
use crate::{mqtt, net};

use super::core::Core;
use super::host;
use super::io::{Event, Input, Output, Snapshot};

/// Events from the edges that may wait for the core; then the edges wait, and the broker and the kernel buffer.
const INPUT_QUEUE: usize = 256;
/// Orders that may wait for the MQTT task; then the loop waits, which is for moments only.
const ORDER_QUEUE: usize = 64;
/// How long the broker may take for our goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// How often the wall clock, memory and power are read for the Device object.
const HOST_EVERY: Duration = Duration::from_secs(60);

/// What somebody beside the loop may want to follow. All are optional; a slow follower loses lines, not the loop.
#[derive(Debug, Default)]
pub struct Followers {
    /// Every event of the core.
    pub events: Option<mpsc::Sender<Event>>,
    /// The AT dialogue, where the modem settings ask for a trace.
    pub trace: Option<mpsc::Sender<TraceLine>>,
    /// The state after each turn.
    pub snapshot: Option<watch::Sender<Option<Snapshot>>>,
}

/// Runs the gateway until `stop` says so and everything is wound down.
///
/// # Errors
/// The edges could not be started.
pub async fn run(
    config: Config,
    followers: Followers,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let seed = Seed::new(entropy());
    let (inputs_tx, mut inputs) = mpsc::channel(INPUT_QUEUE);
    let (broker_tx, mut broker) = mpsc::channel(INPUT_QUEUE);
    let (orders_tx, orders) = mpsc::channel(ORDER_QUEUE);
    let broker_task = mqtt::spawn(config.mqtt.clone(), seed.child("mqtt"), broker_tx, orders);
    let mut edges = Edges::new(&config, &inputs_tx, orders_tx);
    let mut host_facts = config.gateway.host.facts.clone();
    let mut core = Core::new(config.gateway, seed, clock::now());
    let mut host_due = clock::now();
    let mut stopping = false;
    loop {
        let now = clock::now();
        if now >= host_due {
            host_due = now + HOST_EVERY;
            if let Some(time) = clock::unix_time() {
                core.handle(Input::WallClock(time), now);
            }
            host_facts = host::refresh(&host_facts);
            core.handle(Input::Host(Box::new(host_facts.clone())), now);
        }
        if edges.carry_out(&mut core, &followers).await {
            break;
        }
        let deadline = core.next_deadline();
        let wake = deadline.map_or(host_due, |deadline| deadline.at.min(host_due));
        let input = tokio::select! {
            input = inputs.recv() => input.context("every edge has ended")?,
            event = broker.recv() => from_broker(event.context("the MQTT task has ended")?),
            () = sleep_until(TokioInstant::from_std(wake)) => {
                if let Some(deadline) = deadline {
                    tracing::trace!(why = deadline.why, "deadline");
                }
                Input::Tick
            }
            changed = stop.changed(), if !stopping => {
                // A dropped sender can stop nothing any more; whoever held it is gone, so end.
                stopping = changed.is_err() || *stop.borrow();
                if stopping { Input::Stop } else { Input::Tick }
            }
        };
        core.handle(input, clock::now());
    }
    // Without takers of its events the task takes its leave of the broker.
    drop((edges, broker));
    if timeout(GOODBYE_LIMIT, broker_task).await.is_err() {
        tracing::warn!("the broker did not take our goodbye");
    }
    Ok(())
}

/// Everything that does I/O for the core.
struct Edges {
    inputs: mpsc::Sender<Input>,
    port: crate::config::Port,
    generation: u64,
    serial: Option<serial::Port>,
    sockets: udp::Sockets<Input>,
    orders: mpsc::Sender<mqtt::Order>,
}

impl Edges {
    fn new(config: &Config, inputs: &mpsc::Sender<Input>, orders: mpsc::Sender<mqtt::Order>) -> Self {
        Self {
            inputs: inputs.clone(),
            port: config.port.clone(),
            generation: 0,
            serial: None,
            sockets: udp::Sockets::new(inputs.clone(), from_socket),
            orders,
        }
    }

    /// Does everything that the core asks for; true when it has stopped.
    async fn carry_out(&mut self, core: &mut Core, followers: &Followers) -> bool {
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
                Output::Acknowledge(handle) => self.order(mqtt::Order::Acknowledge(handle)).await,
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
        if let Some(snapshot) = &followers.snapshot {
            snapshot.send_replace(Some(core.snapshot()));
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

fn from_socket(event: udp::Event) -> Input {
    match event {
        udp::Event::Received(datagram) => Input::Datagram(datagram),
        udp::Event::Unreachable(peer) => Input::PeerUnreachable(peer),
    }
}

fn from_broker(event: mqtt::Event) -> Input {
    match event {
        mqtt::Event::Connected { .. } => Input::BrokerConnected,
        mqtt::Event::Message(message, acknowledgement) => Input::Message { message, acknowledgement },
        mqtt::Event::Published(id) => Input::Published(id),
        mqtt::Event::PublishFailed(id, reason) => Input::PublishFailed { id, reason },
        mqtt::Event::Lost { reason } => Input::BrokerLost { reason },
    }
}

fn follow<T>(follower: Option<&mpsc::Sender<T>>, item: T) {
    if let Some(follower) = follower {
        if follower.try_send(item).is_err() {
            tracing::debug!("a follower of the gateway does not keep up");
        }
    }
}

/// A seed nobody can guess: tokens and Message IDs of unsecured CoAP hang on it.
fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    #[expect(
        clippy::disallowed_types,
        reason = "the one place that draws from the operating system's chance"
    )]
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::gateway::settings::Host;

    #[tokio::test]
    async fn a_stop_from_before_the_first_turn_is_heard() {
        let text = "uplink = \"udp\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n[lwm2m]\nendpoint = \"gw\"\n\
                    [[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n";
        let config = config::parse(text, Host::default()).unwrap();
        let (stop, asked) = watch::channel(false);
        stop.send(true).unwrap();
        // More than the stated bound of profile "nbiot", which is for a link that does not answer.
        let ended = timeout(Duration::from_secs(40), run(config, Followers::default(), asked)).await;
        ended.expect("the gateway ends").unwrap();
    }
}
