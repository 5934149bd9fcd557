//! `nbgate lab sensors`: sensors that publish to a real broker, and a lamp that obeys.

use std::io::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::args::duration;
use super::{Usage, signals};
use crate::bridge::message::{Message, PublishId};
use crate::clock::{Deadline, UnixTime};
use crate::lab::broker;
use crate::lab::sensors::{Kind, Player};
use crate::link::clock;
use crate::mqtt::{self, Event, Order, Settings};
use crate::seed::Seed;

/// Longest wait for the last publishes and the good-bye.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// Events and orders between us and the MQTT task.
const CHANNEL: usize = 64;

/// What `nbgate lab sensors` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where to publish.
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    broker: String,
    /// Pause between two messages of a sensor, a tenth of it more or less.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    period: Duration,
    /// Start of all random numbers.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// End by itself after so long.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    runs_for: Option<Duration>,
    /// Only these sensors.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Parking,
    Water,
    Manhole,
    Lamp,
}

impl Name {
    const fn kind(self) -> Kind {
        match self {
            Self::Parking => Kind::Parking,
            Self::Water => Kind::Water,
            Self::Manhole => Kind::Manhole,
            Self::Lamp => Kind::Lamp,
        }
    }
}

/// Publishes until it is interrupted or its time is over.
///
/// # Errors
/// The URL of the broker cannot be used, or, with an end, nothing could be published.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = Settings::new(&args.broker, &format!("nbgate-lab-sensors-{}", args.seed))
        .map_err(|error| Usage(format!("--broker: {error}")))?
        .without_session();
    if args.period.is_zero() {
        return Err(Usage("--period must be longer than nothing".to_owned()).into());
    }
    let mut stop = signals::stop()?;
    let mut band = Band::new(&args, settings);
    let end = args.runs_for.map(|runs_for| Instant::from_std(clock::now() + runs_for));
    tokio::select! {
        _ = stop.changed() => {}
        () = band.play(end) => {}
    }
    band.finish().await
}

/// The players and their way to the broker.
struct Band {
    players: Vec<Player>,
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<Event>,
    task: tokio::task::JoinHandle<()>,
    is_connected: bool,
    last_publish: u64,
    confirmed: u64,
    failed: u64,
}

impl Band {
    fn new(args: &Args, settings: Settings) -> Self {
        let seed = Seed::new(args.seed);
        let now = clock::now();
        let wall = clock::unix_time().unwrap_or(UnixTime::from_secs(0));
        let is_wanted =
            |kind: &Kind| args.only.is_empty() || args.only.iter().any(|name| name.kind() == *kind);
        let players: Vec<_> = Kind::ALL
            .into_iter()
            .filter(is_wanted)
            .map(|kind| Player::new(kind, args.period, seed.child("sensors"), now, wall))
            .collect();
        let (event_sender, events) = mpsc::channel(CHANNEL);
        let (orders, order_receiver) = mpsc::channel(CHANNEL);
        let task = mqtt::spawn(settings, seed.child("sensors mqtt"), event_sender, order_receiver);
        Self { players, orders, events, task, is_connected: false, last_publish: 0, confirmed: 0, failed: 0 }
    }

    /// Plays until `end`, or for ever.
    async fn play(&mut self, end: Option<Instant>) {
        let filters = self.players.iter().flat_map(Player::subscriptions).collect();
        self.order(Order::Subscribe(filters)).await;
        loop {
            // Sensors do not store: what is due while the broker is away is published when it is back.
            if self.is_connected {
                self.publish_due().await;
            }
            let next = Deadline::earliest(self.players.iter().map(Player::poll_timeout))
                .filter(|_| self.is_connected);
            let until = next.map(|next| Instant::from_std(next.at)).into_iter().chain(end).min();
            let event = match until {
                Some(until) => timeout_at(until, self.events.recv()).await.ok(),
                None => Some(self.events.recv().await),
            };
            match event {
                Some(Some(event)) => self.handle(event).await,
                Some(None) => return,
                None if end.is_some_and(|end| clock::now() >= end.into_std()) => return,
                None => {}
            }
        }
    }

    async fn publish_due(&mut self) {
        let now = clock::now();
        let due: Vec<_> = self
            .players
            .iter_mut()
            .flat_map(|player| std::iter::from_fn(|| player.poll_message(now)))
            .collect();
        for message in due {
            say(&format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload)));
            self.last_publish += 1;
            let broker::Message { topic, payload, retain } = message;
            let message = Message { topic, payload, retain };
            self.order(Order::Publish(PublishId(self.last_publish), message)).await;
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Connected { .. } => {
                say("connected to the broker");
                self.is_connected = true;
            }
            Event::Lost { reason } => {
                say(&format!("no connection to the broker: {reason}"));
                self.is_connected = false;
            }
            Event::Published(_) => self.confirmed += 1,
            Event::PublishFailed(_, why) => {
                say(&format!("not published: {why}"));
                self.failed += 1;
            }
            Event::Message(message, handle) => {
                say(&format!("{} {}  <- received", message.topic, String::from_utf8_lossy(&message.payload)));
                let Message { topic, payload, retain } = message;
                let message = broker::Message { topic, payload, retain };
                let now = clock::now();
                self.players.iter_mut().for_each(|player| player.handle_message(&message, now));
                self.order(Order::Acknowledge(handle)).await;
            }
        }
    }

    /// A task that is gone shows in its events.
    async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Waits for what is under way, says good-bye, and tells how it went.
    async fn finish(mut self) -> anyhow::Result<()> {
        let end = Instant::from_std(clock::now() + ENDS_WITHIN);
        while self.confirmed + self.failed < self.last_publish {
            match timeout_at(end, self.events.recv()).await {
                Ok(Some(event)) => self.handle(event).await,
                _ => break,
            }
        }
        drop(self.orders);
        let _ = timeout_at(end, self.task).await;
        say(&format!("{} messages published, {} confirmed", self.last_publish, self.confirmed));
        anyhow::ensure!(self.confirmed > 0, "nothing could be published");
        Ok(())
    }
}

/// A line at once, also into a pipe; a reader that has gone does not end the sensors.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
