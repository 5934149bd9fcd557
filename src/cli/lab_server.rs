//! `nbgate lab server`: an LwM2M server to register at, with commands on its standard input.

mod script;
mod show;

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::output::say;
use super::signals;
use crate::coap;
use crate::lab::server::{Answer, CommandError, Event, HELP, Order, Rules, Server, Settings};
use crate::lab::server_edge::Edge;
use crate::link::clock;
use crate::seed::Seed;
use show::{event_json, event_text, outcome_json, outcome_text};

/// Lines of input that may wait.
const MAX_LINES: usize = 64;

/// Platforms whose opening can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Script {
    /// China Mobile's: a Discover of each object, an Observe of each instance and a Read of /3/0 in one burst.
    Onenet,
}

/// An LwM2M server for tests: shows registrations and values as they come, and takes one-line commands
/// (`read`, `write`, `replace`, `create`, `delete`, `execute`, `observe`, `discover`, `attributes`, `cancel`; `help`
/// explains them).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address and UDP port to listen on; port 0 takes a free one, and the first line says which.
    #[arg(long, default_value = "127.0.0.1:5683")]
    listen: SocketAddr,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Run one command and end: wait for its endpoint to register, print the answer. Exit code 0 for 2.xx.
    #[arg(long, value_name = "COMMAND")]
    once: Option<Order>,
    /// Play what this platform does when a device registers, and end: print each request with the time that its answer
    /// took, and the verdict. Exit code 0 if all were answered in time. Takes its endpoint names and registrations only.
    #[arg(long, value_enum, value_name = "PLATFORM", conflicts_with_all = ["once", "no_observe"])]
    script: Option<Script>,
    /// Take a Register without an lwm2m parameter as one of LwM2M 1.0.
    #[arg(long)]
    version_optional: bool,
    /// With --once: how long to wait for registration and answer together. With --script: for the registration.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// CoAP transmission parameters: nbiot waits long before it sends again, lan is RFC 7252 as written. With --script: lan,
    /// as a platform that waits five seconds for an answer must ask again before.
    #[arg(
        long,
        default_value = "nbiot",
        default_value_if("script", clap::builder::ArgPredicate::IsPresent, "lan"),
        value_parser = ["nbiot", "lan"]
    )]
    profile: String,
    /// Do not observe the mapped objects of clients that register.
    #[arg(long)]
    no_observe: bool,
    /// Longest datagram to send; longer requests go in blocks. More than 1500 stands for a careless server.
    #[arg(long, value_name = "OCTETS", default_value_t = 1152, value_parser = clap::value_parser!(u16).range(64..))]
    max_datagram: u16,
    /// Random numbers start here; else at the time of day.
    #[arg(long)]
    seed: Option<u64>,
}

/// Serves until interrupted, or until the one command is answered.
///
/// # Errors
/// The address cannot be bound, or the one command failed.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = settings(&args);
    let time = clock::unix_time().map_or(0, |time| time.millis.unsigned_abs());
    let seed = Seed::new(args.seed.unwrap_or(time)).child("lab server");
    let edge = Edge::bind(args.listen, Server::new(settings, seed), clock::now)
        .await
        .with_context(|| format!("cannot listen on UDP {}", args.listen))?;
    match (args.once, args.script) {
        (Some(order), _) => once(edge, order, args.timeout, args.json).await,
        (None, Some(Script::Onenet)) => script::onenet(edge, args.timeout, args.json).await,
        (None, None) => serve(edge, args.json).await,
    }
}

fn settings(args: &Args) -> Settings {
    let params = if args.profile == "lan" { coap::Params::lan() } else { coap::Params::nbiot() };
    let rules = Rules { version_optional: args.version_optional, imei_and_imsi: false };
    let max_datagram = usize::from(args.max_datagram);
    let settings = Settings { params, max_datagram, rules, ..Settings::default() };
    match args.script {
        Some(Script::Onenet) => settings.for_onenet(),
        None => Settings { observe: !args.no_observe && args.once.is_none(), ..settings },
    }
}

async fn serve(mut edge: Edge, as_json: bool) -> anyhow::Result<()> {
    let address = edge.local_address()?;
    if as_json {
        say(json!({ "event": "ready", "coap": format!("coap://{address}") }));
    } else {
        say(format_args!("LwM2M server at coap://{address}; \"help\" lists the commands"));
    }
    let mut stop = signals::stop()?;
    let mut lines = Some(input());
    loop {
        tokio::select! {
            event = edge.next() => {
                let event = event.context("the UDP socket broke")?;
                let registration = registration_of(&event).and_then(|name| edge.server().registration(name));
                if as_json {
                    say(event_json(&event, registration));
                } else {
                    say(event_text(&event, registration));
                }
            }
            line = next_line(&mut lines) => match line {
                Some(line) => take(&mut edge, line.trim(), as_json),
                // The end of the input ends the commands, not the server.
                None => lines = None,
            },
            _ = stop.changed() => return Ok(()),
        }
    }
}

fn take(edge: &mut Edge, line: &str, as_json: bool) {
    match (line, line.parse::<Order>()) {
        ("", _) => {}
        ("help", _) => say(HELP),
        (_, Ok(order)) => {
            let id = edge.command(order).0;
            if as_json {
                say(json!({ "event": "command", "command": id, "line": line }));
            }
        }
        (_, Err(error)) if as_json => {
            say(json!({ "event": "command", "ok": false, "line": line, "error": error.to_string() }));
        }
        (_, Err(error)) => say(error),
    }
}

async fn once(mut edge: Edge, order: Order, limit: Duration, as_json: bool) -> anyhow::Result<()> {
    let deadline = clock::now() + limit;
    let mut asked = None;
    loop {
        let Ok(event) = timeout_at(deadline.into(), edge.next()).await else {
            let what = if asked.is_some() { "no answer" } else { "no registration" };
            let error = format!("{what} within {}", humantime::format_duration(limit));
            if as_json {
                say(json!({ "ok": false, "error": error }));
            }
            bail!(error);
        };
        match event.context("the UDP socket broke")? {
            Event::Registered { endpoint, .. }
                if order.endpoint.as_ref().is_none_or(|wanted| *wanted == endpoint) =>
            {
                asked = Some(edge.command(order.clone()));
            }
            Event::Finished { command, endpoint, outcome } if asked == Some(command) => {
                return report(&endpoint, &outcome, as_json);
            }
            _ => {}
        }
    }
}

fn report(endpoint: &str, outcome: &Result<Answer, CommandError>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        say(outcome_json(endpoint, outcome));
    } else {
        say(outcome_text(endpoint, outcome));
    }
    match outcome {
        Ok(answer) if answer.code.is_success() => Ok(()),
        Ok(answer) => bail!("{endpoint} answered {}", answer.code),
        Err(error) => bail!("{error}"),
    }
}

/// Lines of the standard input, read by a thread because reading blocks.
fn input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(MAX_LINES);
    std::thread::spawn(move || {
        // Octets that are no text make a wrong command, not the end of all commands.
        for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn next_line(lines: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

fn registration_of(event: &Event) -> Option<&str> {
    match event {
        Event::Registered { endpoint, .. } | Event::Updated { endpoint, .. } => Some(endpoint),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap::Code;
    use crate::lab::server::CommandId;

    #[test]
    fn answers_tell_success_by_their_code() {
        let answer = Answer::bare(Code::CONTENT);
        let event =
            Event::Finished { command: CommandId(7), endpoint: "gw1".into(), outcome: Ok(answer.clone()) };
        let json = event_json(&event, None);
        assert_eq!((&json["ok"], &json["command"], &json["code"]), (&json!(true), &json!(7), &json!("2.05")));
        assert!(report("gw1", &Ok(answer), true).is_ok());
        let refused = Answer::bare(Code::NOT_FOUND);
        assert!(report("gw1", &Ok(refused), false).is_err());
        assert!(report("gw1", &Err(CommandError::TooMany), true).is_err());
    }

    #[test]
    fn a_script_asks_again_as_rfc_7252_has_it_unless_told_otherwise() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let profile = |words: &[&str]| {
            let words = ["server"].iter().chain(words);
            <Line as clap::Parser>::try_parse_from(words).unwrap().args.profile
        };
        assert_eq!(profile(&[]), "nbiot");
        assert_eq!(profile(&["--script", "onenet"]), "lan");
        assert_eq!(profile(&["--script", "onenet", "--profile", "nbiot"]), "nbiot");
    }

    #[tokio::test]
    async fn the_one_command_fails_when_nobody_registers_in_time() {
        let args = Args {
            listen: "127.0.0.1:0".parse().unwrap(),
            json: true,
            once: Some("read gw1 /3/0".parse().unwrap()),
            timeout: Duration::from_millis(20),
            profile: "lan".into(),
            no_observe: false,
            script: None,
            version_optional: false,
            max_datagram: 1152,
            seed: Some(1),
        };
        assert!(run(args).await.unwrap_err().to_string().contains("no registration"));
    }
}
