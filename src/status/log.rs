//! Logging: one event a line, to standard error.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries that log more than an operator wants, or as errors what is none; they are heard from `trace` on.
const NOISY: [&str; 4] = ["rumqttd", "rumqttc", "mio_serial", "tokio_serial"];

/// Starts logging at `level` and above. Under journald, which stamps every line itself, without time stamps.
pub fn start(level: LevelFilter) {
    let noisy = if level == LevelFilter::TRACE { level } else { LevelFilter::OFF };
    let wanted = Targets::new().with_default(level).with_targets(NOISY.map(|target| (target, noisy)));
    let lines =
        layer().with_writer(std::io::stderr).with_target(false).with_ansi(std::io::stderr().is_terminal());
    let lines = match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => lines.without_time().with_filter(wanted).boxed(),
        None => lines.with_filter(wanted).boxed(),
    };
    tracing_subscriber::registry().with(lines).init();
}
