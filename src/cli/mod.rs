//! The command line; one file for each subcommand.

pub mod args;
#[cfg(feature = "lab")]
pub mod lab_modem;
#[cfg(feature = "lab")]
pub mod lab_sensors;

use clap::{Parser, Subcommand};

/// NB-IoT gateway between MQTT sensors and LwM2M servers.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Virtual hardware for trying things out.
    #[cfg(feature = "lab")]
    #[command(subcommand)]
    Lab(Lab),
}

#[cfg(feature = "lab")]
#[derive(Debug, Subcommand)]
enum Lab {
    /// A virtual NB-IoT modem on a pseudo-terminal, with a radio cell behind it.
    Modem(lab_modem::Args),
    /// Four sensors that publish to a broker: parking bay, water meter, manhole cover, street lamp.
    Sensors(lab_sensors::Args),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Why it could not be done, for the user.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            #[cfg(feature = "lab")]
            Command::Lab(Lab::Modem(args)) => lab_modem::run(args).await,
            #[cfg(feature = "lab")]
            Command::Lab(Lab::Sensors(args)) => lab_sensors::run(args).await,
        }
    }
}
