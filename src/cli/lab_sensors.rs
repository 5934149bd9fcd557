//! `nbgate lab sensors`: sensors that publish to a real broker, and a lamp that obeys.

use std::time::Duration;

use clap::ValueEnum;
use tokio::time::sleep_until;

use super::args::duration;
use super::output::say;
use super::{Usage, signals};
use crate::clock::UnixTime;
use crate::lab::broker::Message;
use crate::lab::sensors::{Kind, Player};
use crate::lab::sensors_edge::{Edge, Happening};
use crate::link::clock;
use crate::mqtt::Settings;
use crate::seed::Seed;

/// Longest wait for the last publishes and the good-bye.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

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
    let settings = Settings::new(&args.broker, &format!("nbgate-lab-sensors-{}", args.seed), None)
        .map_err(|error| Usage(format!("--broker: {error}")))?
        .without_session();
    if args.period.is_zero() {
        return Err(Usage("--period must be longer than nothing".to_owned()).into());
    }
    let mut stop = signals::stop()?;
    let seed = Seed::new(args.seed);
    let mut edge = Edge::start(players(&args, seed), settings, seed.child("sensors mqtt")).await;
    let end = args.runs_for.map(|runs_for| clock::now() + runs_for);
    let ends = async {
        match end {
            Some(end) => sleep_until(end.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(ends);
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            () = &mut ends => break,
            happening = edge.next() => match happening {
                Some(happening) => say(in_words(&happening)),
                None => break,
            },
        }
    }
    let published = edge.published();
    edge.finish(clock::now() + ENDS_WITHIN).await;
    say(format_args!("{published} messages published"));
    anyhow::ensure!(published > 0, "nothing could be published");
    Ok(())
}

fn players(args: &Args, seed: Seed) -> Vec<Player> {
    let now = clock::now();
    let wall = clock::unix_time().unwrap_or(UnixTime::from_secs(0));
    let is_wanted = |kind: &Kind| args.only.is_empty() || args.only.iter().any(|name| name.kind() == *kind);
    let kinds = Kind::ALL.into_iter().filter(is_wanted);
    kinds.map(|kind| Player::new(kind, args.period, seed.child("sensors"), now, wall)).collect()
}

fn in_words(happening: &Happening) -> String {
    let text = |message: &Message| format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload));
    match happening {
        Happening::Connected => "connected to the broker".into(),
        Happening::Lost { reason } => format!("no connection to the broker: {reason}"),
        Happening::Refused { reason } => format!("not published: {reason}"),
        Happening::Published(message) => text(message),
        Happening::Received(message) => format!("{}  <- received", text(message)),
    }
}
