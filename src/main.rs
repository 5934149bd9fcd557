//! The `nbgate` command.

use clap::Parser as _;
use nbgate::cli::Cli;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    Cli::parse().run().await
}
