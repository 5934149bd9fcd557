//! `nbgate lab server`: an LwM2M server to register at, with commands on its standard input.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::output::say;
use super::signals;
use crate::coap;
use crate::lab::server::{Answer, CommandError, Event, HELP, Order, Reading, Registration, Server, Settings};
use crate::lab::server_edge::Edge;
use crate::link::clock;
use crate::lwm2m::Value;
use crate::seed::Seed;

/// Lines of input that may wait.
const MAX_LINES: usize = 64;

/// An LwM2M server for tests: shows registrations and values as they come, and takes one-line commands
/// (`read`, `write`, `execute`, `observe`, `discover`, `cancel`; `help` explains them).
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
    /// With --once: how long to wait for registration and answer together.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// CoAP transmission parameters: nbiot waits long before it sends again, lan is RFC 7252 as written.
    #[arg(long, default_value = "nbiot", value_parser = ["nbiot", "lan"])]
    profile: String,
    /// Do not observe the mapped objects of clients that register.
    #[arg(long)]
    no_observe: bool,
    /// Random numbers start here; else at the time of day.
    #[arg(long)]
    seed: Option<u64>,
}

/// Serves until interrupted, or until the one command is answered.
///
/// # Errors
/// The address cannot be bound, or the one command failed.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let params = if args.profile == "lan" { coap::Params::lan() } else { coap::Params::nbiot() };
    let observe = !args.no_observe && args.once.is_none();
    let settings = Settings { params, observe, ..Settings::default() };
    let time = clock::unix_time().map_or(0, |time| time.millis.unsigned_abs());
    let seed = Seed::new(args.seed.unwrap_or(time)).child("lab server");
    let edge = Edge::bind(args.listen, Server::new(settings, seed), clock::now)
        .await
        .with_context(|| format!("cannot listen on UDP {}", args.listen))?;
    match args.once {
        Some(order) => once(edge, order, args.timeout, args.json).await,
        None => serve(edge, args.json).await,
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

// For people.

fn event_text(event: &Event, registration: Option<&Registration>) -> String {
    match event {
        Event::Registered { endpoint, peer, again } => {
            let again = if *again { " again" } else { "" };
            format!("{endpoint} registered{again} from {peer}{}", details(registration))
        }
        Event::Updated { endpoint, peer, objects: false } => format!("{endpoint} updated from {peer}"),
        Event::Updated { endpoint, peer, objects: true } => {
            format!("{endpoint} updated from {peer}{}", details(registration))
        }
        Event::Deregistered { endpoint } => format!("{endpoint} de-registered"),
        Event::Expired { endpoint } => format!("{endpoint} expired"),
        Event::Refused { peer, refusal } => format!("{peer} refused: {refusal}"),
        Event::Observing { endpoint, path } => format!("{endpoint} {path} is observed"),
        Event::NotObserving { endpoint, path, why } => format!("{endpoint} {path} is not observed: {why}"),
        Event::Value(reading) => reading_text(reading),
        Event::Unreadable { endpoint, path, why } => {
            format!("{endpoint} {path} sent something unreadable: {why}")
        }
        Event::Finished { endpoint, outcome, .. } => outcome_text(endpoint, outcome),
    }
}

fn details(registration: Option<&Registration>) -> String {
    let Some(registration) = registration else { return String::new() };
    let lifetime = humantime::format_duration(registration.lifetime());
    format!(
        ": LwM2M {}, binding {}, lifetime {lifetime}, objects {}",
        registration.version(),
        registration.binding(),
        paths(registration).join(" ")
    )
}

fn paths(registration: &Registration) -> Vec<String> {
    let objects = &registration.objects().objects;
    objects
        .iter()
        .flat_map(|(object, listed)| {
            let instances = listed.instances.iter().map(move |instance| format!("/{object}/{instance}"));
            let bare = listed.instances.is_empty().then(|| format!("/{object}"));
            bare.into_iter().chain(instances)
        })
        .collect()
}

fn reading_text(reading: &Reading) -> String {
    let Reading { endpoint, path, object, resource, value, unit, .. } = reading;
    let unit = unit.as_deref().map_or(String::new(), |unit| format!(" {unit}"));
    format!("{endpoint} {path} {object}, {resource} = {}{unit}", value_text(value))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) | Value::CoreLink(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Opaque(octets) => format!("0x{}", hex(octets)),
        Value::Time(seconds) => time_text(*seconds),
        Value::ObjectLink(object, instance) => format!("{object}:{instance}"),
    }
}

/// As a date where there is one.
fn time_text(seconds: i64) -> String {
    let since = u64::try_from(seconds).ok().map(Duration::from_secs);
    let time = since.and_then(|since| std::time::UNIX_EPOCH.checked_add(since));
    // RFC 3339 ends with the year 9999.
    time.filter(|_| seconds < 253_402_300_800)
        .map_or_else(|| seconds.to_string(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

fn outcome_text(endpoint: &str, outcome: &Result<Answer, CommandError>) -> String {
    match outcome {
        Ok(answer) => {
            let values = answer.values.iter().map(|reading| format!("\n  {}", reading_text(reading)));
            let links = answer.links.iter().map(|link| format!("\n  {link}"));
            format!("{endpoint} answered {}{}", answer.code, values.chain(links).collect::<String>())
        }
        Err(error) if endpoint.is_empty() => error.to_string(),
        Err(error) => format!("{endpoint} did not answer: {error}"),
    }
}

// For programs.

fn event_json(event: &Event, registration: Option<&Registration>) -> Json {
    let mut json = match event {
        Event::Registered { endpoint, peer, again } => {
            json!({ "event": "registered", "ep": endpoint, "peer": peer.to_string(), "again": again })
        }
        Event::Updated { endpoint, peer, objects } => {
            json!({ "event": "updated", "ep": endpoint, "peer": peer.to_string(), "objects_changed": objects })
        }
        Event::Deregistered { endpoint } => json!({ "event": "deregistered", "ep": endpoint }),
        Event::Expired { endpoint } => json!({ "event": "expired", "ep": endpoint }),
        Event::Refused { peer, refusal } => json!({
            "event": "refused", "peer": peer.to_string(), "code": refusal.code.to_string(), "why": refusal.why,
        }),
        Event::Observing { endpoint, path } => {
            json!({ "event": "observing", "ep": endpoint, "path": path.to_string() })
        }
        Event::NotObserving { endpoint, path, why } => {
            json!({ "event": "not-observing", "ep": endpoint, "path": path.to_string(), "why": why })
        }
        Event::Value(reading) => reading_json(reading),
        Event::Unreadable { endpoint, path, why } => {
            json!({ "event": "unreadable", "ep": endpoint, "path": path.to_string(), "why": why })
        }
        Event::Finished { command, endpoint, outcome } => {
            let mut json = outcome_json(endpoint, outcome);
            json["event"] = "answer".into();
            json["command"] = command.0.into();
            json
        }
    };
    if let Some(registration) = registration {
        json["location"] = format!("/rd/{}", registration.location()).into();
        json["lwm2m"] = registration.version().to_string().into();
        json["binding"] = registration.binding().into();
        json["lifetime"] = registration.lifetime().as_secs().into();
        json["links"] = paths(registration).into();
    }
    json
}

fn reading_json(reading: &Reading) -> Json {
    json!({
        "event": "value",
        "ep": reading.endpoint,
        "path": reading.path.to_string(),
        "object": reading.object,
        "resource": reading.resource,
        "value": value_json(&reading.value),
        "unit": reading.unit,
        "changed": reading.changed,
    })
}

/// Opaque as hex, time as seconds, an object link as `3:0`.
fn value_json(value: &Value) -> Json {
    match value {
        Value::String(text) | Value::CoreLink(text) => json!(text),
        Value::Integer(number) | Value::Time(number) => json!(number),
        Value::Unsigned(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Opaque(octets) => json!(hex(octets)),
        Value::ObjectLink(object, instance) => json!(format!("{object}:{instance}")),
    }
}

fn outcome_json(endpoint: &str, outcome: &Result<Answer, CommandError>) -> Json {
    match outcome {
        Ok(answer) => json!({
            "ok": answer.code.is_success(),
            "ep": endpoint,
            "code": answer.code.to_string(),
            "values": answer.values.iter().map(plain_json).collect::<Vec<_>>(),
            "links": answer.links.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "ok": false, "ep": endpoint, "error": error.to_string() }),
    }
}

/// A reading inside an answer: who and when are said around it.
fn plain_json(reading: &Reading) -> Json {
    json!({
        "path": reading.path.to_string(),
        "object": reading.object,
        "resource": reading.resource,
        "value": value_json(&reading.value),
        "unit": reading.unit,
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coap::Code;
    use crate::lab::server::CommandId;
    use crate::lwm2m::Path;

    fn reading() -> Reading {
        Reading {
            endpoint: "gw1".into(),
            path: Path::resource_of(3303, 0, 5700),
            object: "Temperature",
            resource: "Sensor Value",
            value: Value::Float(22.5),
            unit: Some("Cel".into()),
            changed: true,
        }
    }

    #[test]
    fn values_read_well_for_people_and_programs() {
        let event = Event::Value(reading());
        assert_eq!(event_text(&event, None), "gw1 /3303/0/5700 Temperature, Sensor Value = 22.5 Cel");
        let expected = json!({
            "event": "value", "ep": "gw1", "path": "/3303/0/5700", "object": "Temperature",
            "resource": "Sensor Value", "value": 22.5, "unit": "Cel", "changed": true,
        });
        assert_eq!(event_json(&event, None), expected);
        assert_eq!(value_text(&Value::Time(1_767_225_600)), "2026-01-01T00:00:00Z");
        assert_eq!(value_text(&Value::Time(-1)), "-1");
        assert_eq!(value_json(&Value::Opaque(vec![1, 0xab])), json!("01ab"));
    }

    #[test]
    fn answers_tell_success_by_their_code() {
        let answer = Answer { code: Code::CONTENT, values: vec![reading()], links: vec![] };
        let event =
            Event::Finished { command: CommandId(7), endpoint: "gw1".into(), outcome: Ok(answer.clone()) };
        let json = event_json(&event, None);
        assert_eq!((&json["ok"], &json["command"], &json["code"]), (&json!(true), &json!(7), &json!("2.05")));
        assert!(report("gw1", &Ok(answer), true).is_ok());
        let refused = Answer { code: Code::NOT_FOUND, values: vec![], links: vec![] };
        assert!(report("gw1", &Ok(refused), false).is_err());
        assert!(report("gw1", &Err(CommandError::TooMany), true).is_err());
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
            seed: Some(1),
        };
        assert!(run(args).await.unwrap_err().to_string().contains("no registration"));
    }
}
