//! `nbgate map`: trying mappings on the command line, with neither broker nor modem.

mod explain;
mod lines;

use std::path::PathBuf;

use clap::Subcommand;

use crate::bridge::Bridge;
use crate::config;
use crate::lwm2m::model::Model;

/// Try the mappings of a configuration, without broker, modem or server
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(lines::Args),
    Explain(explain::Args),
}

/// Where the mappings are, and how to tell.
#[derive(Debug, clap::Args)]
struct Common {
    /// Configuration file, read with the files of conf.d beside it; all but `[[mappings]]` and `lwm2m.version` is passed over
    #[arg(long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// One JSON object for each line or mapping
    #[arg(long)]
    json: bool,
}

impl Common {
    /// A bridge with the mappings, and the registry for names and units.
    fn bridge(&self) -> Result<(Bridge, Model), config::Faults> {
        let read = config::load_mappings(&self.config)?;
        Ok((Bridge::new(read.mappings), read.model))
    }
}

/// Does what the subcommand says.
///
/// # Errors
/// Faulty mappings ([`config::Faults`]), or a line or topic that gives nothing.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Test(args) => lines::run(args),
        Command::Explain(args) => explain::run(args),
    }
}

/// The text with control characters escaped: what is read from a line must not steer the terminal.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => printable.extend(character.escape_default()),
            false => printable.push(character),
        }
    }
    printable
}
