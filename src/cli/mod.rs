//! The command line: one file a subcommand.

#[cfg(feature = "lab")]
pub mod args;
pub mod check;
pub mod config;
#[cfg(feature = "lab")]
pub mod demo;
#[cfg(feature = "lab")]
pub mod lab_modem;
#[cfg(feature = "lab")]
pub mod lab_sensors;
#[cfg(feature = "lab")]
pub mod lab_server;
#[cfg(feature = "lab")]
pub mod lab_world;
pub mod map;
pub mod output;
pub mod reload;
mod run;
pub mod signals;
pub mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::status::log::{self, Format};

/// NB-IoT gateway: bridges local MQTT sensors to LwM2M servers through an AT modem.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct LogOptions {
    /// What to log: off, error, warn, info, debug or trace; `run` logs as its configuration says, all others from warn on
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<LevelFilter>,
    /// How to log: text or json; `run` logs as its configuration says, all others text
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<Format>,
}

impl LogOptions {
    /// Starts logging; what the command line does not say is as given here.
    fn start(self, level: LevelFilter, format: Format) {
        log::start(self.log.unwrap_or(level), self.log_format.unwrap_or(format));
    }
}

const EXIT_CODES: &str = "\
Examples:
  nbgate demo --for 20s                  the whole chain, without hardware
  nbgate check --config nbgate.toml      is the configuration good?
  nbgate run --config nbgate.toml        the service
  nbgate map test < messages.txt         which values messages become; see its --help
  nbgate status                          how the running service is
  nbgate lab modem --link /tmp/modem     a virtual NB-IoT modem on a pseudo-terminal

Exit codes:
  0  success: the service stopped as asked, the demo passed, the configuration is good
  1  failure: the reason is on standard error
  2  the command line or the configuration is wrong: what, where and the remedy are on standard error
  3  `status` and `health`: the service does not run; for more see `nbgate health --help`";

/// The command line or the configuration is wrong.
const EXIT_USAGE: u8 = 2;

/// Those without a word here are described where their arguments are, so that `--help` shows all of that.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    #[command(subcommand)]
    Config(config::Command),
    Map(map::Args),
    Status(status::StatusArgs),
    Health(status::HealthArgs),
    #[cfg(feature = "lab")]
    Demo(demo::Args),
    /// Parts of the demo on their own: modem, server, sensors, and the simulated world
    #[cfg(feature = "lab")]
    #[command(subcommand)]
    Lab(Lab),
}

#[cfg(feature = "lab")]
#[derive(Debug, Subcommand)]
enum Lab {
    /// A virtual NB-IoT modem on a pseudo-terminal or a serial port
    Modem(lab_modem::Args),
    /// An LwM2M server that shows what arrives and takes commands
    Server(lab_server::Args),
    /// Sensors that publish to an MQTT broker
    Sensors(lab_sensors::Args),
    World(lab_world::Args),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The service first reads what its configuration says of it.
    if !matches!(cli.command, Command::Run(_)) {
        cli.log.start(LevelFilter::WARN, Format::Text);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Check(args) => Ok(check::run(&args)),
            Command::Config(command) => Ok(config::run(&command)),
            Command::Run(args) => succeed(run::run(args, cli.log).await),
            Command::Map(args) => succeed(map::run(args)),
            Command::Status(args) => status::status(args).await,
            Command::Health(args) => status::health(args).await,
            #[cfg(feature = "lab")]
            Command::Demo(args) => succeed(demo::run(args).await),
            #[cfg(feature = "lab")]
            Command::Lab(Lab::Modem(args)) => succeed(lab_modem::run(args).await),
            #[cfg(feature = "lab")]
            Command::Lab(Lab::Server(args)) => succeed(lab_server::run(args).await),
            #[cfg(feature = "lab")]
            Command::Lab(Lab::Sensors(args)) => succeed(lab_sensors::run(args).await),
            #[cfg(feature = "lab")]
            Command::Lab(Lab::World(args)) => succeed(lab_world::run(args).await),
        }
    });
    log::finish();
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn succeed(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("nbgate: {error:#}");
    let usage =
        error.downcast_ref::<crate::config::Faults>().is_some() || error.downcast_ref::<Usage>().is_some();
    if usage { EXIT_USAGE.into() } else { ExitCode::FAILURE }
}

/// Options that parse but do not fit together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_of_run_states_how_long_its_end_may_take() {
        let help = Cli::command().find_subcommand_mut("run").unwrap().render_long_help().to_string();
        assert!(help.contains("within 10 s with profile \"lan\" and 25 s with \"nbiot\""), "{help}");
    }
}
