//! Logging to standard error: one event a line, fit for a terminal, with secrets and identities masked.
//!
//! Repeats are folded. Under journald, which stamps every line itself, a priority stands in place of a time stamp.

mod fold;
mod line;
mod mask;

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::link::clock;
use fold::{Fold, Folded};
use line::{Record, Style};
use mask::Mask;

/// Libraries that log more than an operator wants, or as errors what is none; they are heard from `trace` on.
const NOISY: [&str; 4] = ["rumqttd", "rumqttc", "mio_serial", "tokio_serial"];
/// How often it is looked whether repeats are to be told, should nothing else be.
const LOOK_EVERY: Duration = Duration::from_secs(10);

static LOG: OnceLock<Log> = OnceLock::new();

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object: `time`, `level`, `message`, `fields`, and `repeated` and `within_s` where repeats were folded.
    Json,
}

impl std::str::FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("write text or json"),
        }
    }
}

/// Starts logging at `level` and above; called once.
pub fn start(level: LevelFilter, format: Format) {
    let noisy = if level == LevelFilter::TRACE { level } else { LevelFilter::OFF };
    let wanted = Targets::new().with_default(level).with_targets(NOISY.map(|target| (target, noisy)));
    let log = LOG.get_or_init(|| Log {
        style: Style {
            format,
            is_journal: is_journal(),
            in_colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        },
        state: Mutex::default(),
    });
    tracing_subscriber::registry().with(ToLog(log).with_filter(wanted)).init();
}

/// A text that no line may show, such as a password. Those of less than four characters would mask half of every line
/// and are not taken.
pub fn hide(secret: &str) {
    if let Some(log) = LOG.get() {
        log.state().mask.hide(secret);
    }
}

/// A text from outside, fit for a terminal: characters that could steer it are shown by their number.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    line::escape(text, &mut shown);
    shown
}

/// The same for a JSON document, which stays one; line ends between its parts stay, too.
pub fn escaped_json(document: &str) -> String {
    line::escape_json(document)
}

/// Tells folded repeats when their time has come, even if nothing else happens; never ends.
pub async fn tell_repeats() {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Some(log) = LOG.get() {
            let now = clock::now();
            let due = log.state().fold.due(now);
            log.write_folded(due);
        }
    }
}

/// Tells all folded repeats: the program ends.
pub fn finish() {
    if let Some(log) = LOG.get() {
        let rest = log.state().fold.finish(clock::now());
        log.write_folded(rest);
    }
}

/// The one log of the process.
#[derive(Debug)]
struct Log {
    style: Style,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fold: Fold,
    mask: Mask,
}

impl Log {
    /// Whoever panicked in the middle of a line has left nothing that the next could not use.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: &Event<'_>, now: Instant) {
        let (said, folded) = {
            let mut state = self.state();
            let record = Record::new(event, &state.mask);
            // Who searches a fault wants every line.
            if *event.metadata().level() > Level::INFO {
                (Some(record), Vec::new())
            } else {
                state.fold.take(record, now)
            }
        };
        self.write_folded(folded);
        if let Some(record) = said {
            self.write(&record, None);
        }
    }

    fn write_folded(&self, folded: Vec<Folded>) {
        for one in folded {
            self.write(&one.record, Some((one.repeats, one.within)));
        }
    }

    fn write(&self, record: &Record, repeats: Option<(u64, Duration)>) {
        let line = self.style.line(record, repeats, clock::unix_time());
        // Nobody reads: there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

struct ToLog(&'static Log);

impl<S: Subscriber> Layer<S> for ToLog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.0.take(event, clock::now());
    }
}

/// Standard error goes to the journal: it is the very file that `JOURNAL_STREAM` names (systemd.exec(5)).
fn is_journal() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else { return false };
    std::fs::File::from(stderr)
        .metadata()
        .is_ok_and(|file| named == format!("{}:{}", file.st_dev(), file.st_ino()))
}
