//! `nbgate status` and `nbgate health`: how the running service is.

use std::path::PathBuf;
use std::process::ExitCode;

use super::output::say;
use crate::status::health::Health;
use crate::status::socket::{AskError, MAX_VALUES, ask};
use crate::status::text::Page;

/// Mappings and values that are shown without `--all`.
const SHOWN: usize = 30;
/// The service does not run, or does not answer.
const EXIT_NOT_RUNNING: u8 = 3;
/// No value reaches any server.
const EXIT_DOWN: u8 = 4;

/// Show how the running service is: modem, servers, broker, mappings with last value and age, and what was refused
///
/// Only root and the user of the service may ask. IMSI and ICCID show their last four digits; endpoint and IMEI, which
/// the servers know us by, are shown in full.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Show every mapping and value, up to 20,000 of each, and not the first 30 alone
    #[arg(long)]
    all: bool,
}

/// Judge the running service, for scripts: one line, and an exit code
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes:
  0  healthy: linked, registered at every server, connected to the broker
  1  degraded: something is away, or the service started less than two minutes ago; or it may not be asked
  2  the command line is wrong
  3  the service does not run, or does not answer
  4  down: no value reaches any server")]
pub struct HealthArgs {
    #[command(flatten)]
    place: Place,
}

/// Where the service is found.
#[derive(Debug, clap::Args)]
struct Place {
    /// The service's `runtime_dir`
    #[arg(long, value_name = "DIR", default_value = "/run/nbgate")]
    runtime_dir: PathBuf,
}

/// Shows the state.
///
/// # Errors
/// There is no answer: [`AskError`].
pub async fn status(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let wanted = if args.all { MAX_VALUES } else { SHOWN };
    let report = match ask(&args.place.runtime_dir, wanted).await {
        Ok(report) => report,
        Err(error) => return unanswered(error),
    };
    if args.json {
        say(serde_json::to_string_pretty(&report)?);
    } else {
        say(Page(&report).to_string().trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells the verdict.
///
/// # Errors
/// The service may not be asked.
pub async fn health(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let report = match ask(&args.place.runtime_dir, 0).await {
        Ok(report) => report,
        Err(error) => return unanswered(error),
    };
    let (word, code) = match report.health {
        Health::Healthy => ("healthy", 0),
        Health::Degraded => ("degraded", 1),
        Health::Down => ("down", EXIT_DOWN),
    };
    let why = report.reasons.join("; ");
    let colon = if why.is_empty() { "" } else { ": " };
    say(crate::status::log::escaped(&format!("{word}{colon}{why}")));
    Ok(code.into())
}

fn unanswered(error: AskError) -> anyhow::Result<ExitCode> {
    match error {
        AskError::Forbidden(_) => Err(error.into()),
        AskError::NotRunning(_) | AskError::NoAnswer(_) => {
            eprintln!("nbgate: {error}");
            Ok(EXIT_NOT_RUNNING.into())
        }
    }
}
