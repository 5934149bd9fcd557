//! `nbgate lab world`: the whole gateway and its surroundings under a virtual clock.

use std::time::Duration;

use anyhow::bail;

use super::args::{duration, share};
use super::output::say;
use crate::config;
use crate::gateway::settings::{Host, Settings};
use crate::lab::sensors::MAPPINGS_TOML;
use crate::lab::world::{Options, Report, SERVER, Site, World};
use crate::lab::{broker, cell, modem, store};
use crate::link::clock;

/// Run the gateway, four sensors, a broker, a modem, a radio cell and a server under a virtual clock
///
/// Ends with 1 if anything happened that never must: see the failures it prints. The same seed gives the same run.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  nbgate lab world --days 1 --seed 7 --loss 10% --rtt 3s")]
pub struct Args {
    /// How many days to simulate; fractions will do
    #[arg(long, default_value_t = 1.0)]
    days: f64,
    /// Everything random comes from here
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of datagrams that the radio loses, each way
    #[arg(long, default_value = "0%", value_parser = share)]
    loss: f64,
    /// Round trip over the radio
    #[arg(long, default_value = "2s", value_parser = duration)]
    rtt: Duration,
    /// Each way takes up to so much longer
    #[arg(long, default_value = "0", value_parser = duration)]
    jitter: Duration,
    /// Share of datagrams that arrive twice, each way
    #[arg(long, default_value = "0%", value_parser = share)]
    duplication: f64,
    /// One message of each sensor every so often
    #[arg(long, default_value = "60s", value_parser = duration)]
    period: Duration,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// Runs the world and prints what came of it.
///
/// # Errors
/// The run was not good.
pub async fn run(args: Args) -> anyhow::Result<()> {
    if !(args.days > 0.0 && args.days <= 3650.0) {
        bail!(super::Usage("--days must be more than 0 and at most 3650".into()));
    }
    if args.period < Duration::from_millis(100) {
        bail!(super::Usage("--period must be at least 100ms".into()));
    }
    let started = clock::now();
    let report = World::new(options(&args)?, started).run();
    let took = clock::now() - started;
    if args.json {
        print_json(&report, took)
    } else {
        print_lines(&report, took)
    }
    if !report.is_good() {
        bail!("seed {} failed: {}", report.seed, report.failures.join("; "));
    }
    Ok(())
}

fn options(args: &Args) -> anyhow::Result<Options> {
    Ok(Options {
        seed: args.seed,
        duration: Duration::from_secs_f64(args.days * 86_400.0),
        settling: Duration::from_secs(1800),
        period: args.period,
        cell: cell::Options {
            rtt: args.rtt,
            jitter: args.jitter,
            loss: args.loss,
            duplication: args.duplication,
            ..cell::Options::default()
        },
        modem: modem::Options::default(),
        servers: vec![Site::default()],
        broker: broker::Settings::default(),
        store: store::Settings::default(),
        broker_away: None,
        bays: None,
        gateway: gateway_settings()?,
        order_every: Some(Duration::from_secs(3600)),
        reloads: Vec::new(),
        mishaps: Vec::new(),
    })
}

/// A gateway as a user would configure it for a modem and the sensors of the lab.
fn gateway_settings() -> anyhow::Result<Settings> {
    let text =
        format!("[modem]\nport = \"virtual\"\n[[lwm2m.servers]]\nuri = \"coap://{SERVER}\"\n{MAPPINGS_TOML}");
    Ok(config::parse(&text, Host::default())?.gateway)
}

fn print_lines(report: &Report, took: Duration) {
    let books = &report.books;
    say(format_args!(
        "seed {}: {:.2} days in {:.2} s",
        report.seed,
        report.simulated.as_secs_f64() / 86_400.0,
        took.as_secs_f64()
    ));
    say(format_args!(
        "  samples    {} in, {} reported, {} superseded, {} refused, {} dropped, {} pending",
        books.received,
        books.reported,
        books.superseded,
        books.refused,
        books.dropped,
        books.pending()
    ));
    say(format_args!(
        "  server     {} values arrived, {} registrations, {} updates",
        report.arrived, report.registrations, report.updates
    ));
    say(format_args!("  orders     {} given, {} confirmed", report.orders, report.orders_taken));
    say(format_args!(
        "  up         {} octets in {} datagrams, {} messages sent again",
        report.octets_up, report.datagrams_up, report.resends
    ));
    say(format_args!("  down       {} octets in {} datagrams", report.octets_down, report.datagrams_down));
    say(format_args!("  digest     {:016x}", report.digest));
}

fn print_json(report: &Report, took: Duration) {
    let books = &report.books;
    let object = serde_json::json!({
        "seed": report.seed,
        "simulated_s": report.simulated.as_secs_f64(),
        "took_s": took.as_secs_f64(),
        "published": report.published,
        "samples": {
            "in": books.received, "reported": books.reported, "superseded": books.superseded,
            "refused": books.refused, "dropped": books.dropped, "pending": books.pending(),
        },
        "arrived": report.arrived,
        "registrations": report.registrations,
        "updates": report.updates,
        "orders": { "given": report.orders, "confirmed": report.orders_taken },
        "up": { "octets": report.octets_up, "datagrams": report.datagrams_up, "resends": report.resends },
        "down": { "octets": report.octets_down, "datagrams": report.datagrams_down },
        "digest": format!("{:016x}", report.digest),
        "failures": report.failures,
    });
    say(format_args!("{object}"));
}
