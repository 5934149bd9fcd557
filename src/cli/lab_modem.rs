//! `nbgate lab modem`: a virtual modem on a pseudo-terminal or serial port, with a radio cell behind it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio_serial::SerialPortBuilderExt as _;

use super::args::{duration, share};
use super::output::say;
use crate::lab::cell::{self, Cell};
use crate::lab::modem::{self, Modem};
use crate::lab::modem_edge::{self, Port};
use crate::lab::pty::Pty;
use crate::link::clock;
use crate::seed::Seed;

/// Less than this leaves no room for a CoAP message with a path.
const MIN_RECEIVE: usize = 64;

/// What `nbgate lab modem` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Family of modem to be.
    #[arg(long, value_enum, default_value_t = Dialect::QuectelBg9x)]
    dialect: Dialect,
    /// Make this symbolic link to the pseudo-terminal; it stays the same when a host reopens it.
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    link: Option<PathBuf>,
    /// Serve on this serial port instead of a pseudo-terminal.
    #[arg(long, value_name = "DEVICE")]
    port: Option<String>,
    /// Round trip through the cell.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    rtt: Duration,
    /// Each way takes up to so much longer.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0")]
    jitter: Duration,
    /// Share of datagrams that are lost, in each direction.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0%")]
    loss: f64,
    /// Share of datagrams that arrive twice, in each direction.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0%")]
    duplication: f64,
    /// From the search for the network to being attached.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "4s")]
    attach_delay: Duration,
    /// The carrier forgets a UDP mapping after so long without a datagram up; 0: never.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2m")]
    nat_idle: Duration,
    /// Longest datagram that the modem takes from the network; less than 1500 stands for another family.
    #[arg(long, value_name = "OCTETS", default_value_t = modem::MAX_RECEIVE, value_parser = receive_limit)]
    max_receive: usize,
    /// What becomes of longer datagrams: their beginning reaches the host, or nothing does.
    #[arg(long, value_enum, default_value_t = LongDatagrams::Cut)]
    long_datagrams: LongDatagrams,
    /// Start of all random numbers.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Pace of the octets to the host, and the speed of a serial port.
    #[arg(long, value_name = "BITS_PER_SECOND", default_value_t = 115_200)]
    baud: u32,
    /// Print what passes between host and modem.
    #[arg(long)]
    trace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    QuectelBg9x,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LongDatagrams {
    Cut,
    Drop,
}

/// What a modem can be told to take: a CoAP header at least, and no more than the family has.
fn receive_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|octets| (MIN_RECEIVE..=modem::MAX_RECEIVE).contains(octets));
    limit.ok_or_else(|| format!("write a number of octets from {MIN_RECEIVE} to {}", modem::MAX_RECEIVE))
}

/// Serves until it is interrupted.
///
/// # Errors
/// The port cannot be had or broke.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let port = open(&args)?;
    let now = clock::now();
    let seed = Seed::new(args.seed);
    let modem = match args.dialect {
        Dialect::QuectelBg9x => Modem::new(modem_options(&args), seed.child("modem"), now),
    };
    let cell = Cell::new(cell_options(&args), seed.child("cell"));
    say(&match &port {
        Port::Pty(pty) => pty.path().display().to_string(),
        Port::Serial(_) => args.port.unwrap_or_default(),
    });
    let shutdown = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    modem_edge::run(modem, cell, port, args.trace.then_some((|line| say(line)) as fn(&str)), shutdown)
        .await
        .context("the modem's port broke")
}

fn open(args: &Args) -> anyhow::Result<Port> {
    match &args.port {
        Some(path) => {
            let stream = tokio_serial::new(path, args.baud).open_native_async();
            Ok(Port::Serial(stream.with_context(|| format!("cannot open {path}"))?))
        }
        None => Ok(Port::Pty(Pty::open(args.link.as_deref()).context("cannot make a pseudo-terminal")?)),
    }
}

fn modem_options(args: &Args) -> modem::Options {
    modem::Options {
        baud: Some(args.baud),
        wall_clock: clock::unix_time(),
        max_receive: args.max_receive,
        long_datagrams: match args.long_datagrams {
            LongDatagrams::Cut => modem::LongDatagrams::Cut,
            LongDatagrams::Drop => modem::LongDatagrams::Drop,
        },
        ..modem::Options::default()
    }
}

fn cell_options(args: &Args) -> cell::Options {
    cell::Options {
        attach_delay: args.attach_delay,
        rtt: args.rtt,
        jitter: args.jitter,
        loss: args.loss,
        duplication: args.duplication,
        nat_idle: (!args.nat_idle.is_zero()).then_some(args.nat_idle),
        ..cell::Options::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receive_limit_is_what_a_modem_can_have() {
        assert_eq!(receive_limit("512"), Ok(512));
        for wrong in ["63", "1501", "-1", "many"] {
            assert!(receive_limit(wrong).is_err(), "{wrong}");
        }
    }
}
