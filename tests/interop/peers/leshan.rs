//! A real Leshan server, driven by JSON lines (`tests/interop/leshan/README.md`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{PATIENCE, Process};

/// How long the gateway may take over a request: more than any step of a test should need.
const ANSWER: Duration = Duration::from_secs(30);

/// How often a silence is waited for anew.
const SILENCES: usize = 20;

/// A Leshan server on a free port of 127.0.0.1.
pub struct Leshan {
    process: Process,
    uri: String,
    last_id: u64,
}

impl Leshan {
    /// Starts a server with the project's own object registry.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Leshan::start`], with settings of its CoAP stack (`COAP.MAX_RESOURCE_BODY_SIZE=65536`).
    pub fn start_with(settings: &[&str]) -> Self {
        let jar =
            std::env::var("LESHAN_JAR").expect("LESHAN_JAR names the server's jar; scripts/test sets it");
        let registry = Path::new(env!("CARGO_MANIFEST_DIR")).join("registry");
        let mut java = Command::new("java");
        // Small and quick to start; the compiler's last effort does not pay in a few seconds.
        java.args(["-Xmx48m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", &jar])
            .arg(registry)
            .args(settings);
        let process = Process::start("leshan", &mut java);
        let ready = process.wait_for("ready", 0, PATIENCE, |line| event(line, "ready"));
        let uri = ready["coap"].as_str().expect("ready tells the URI").to_owned();
        Self { process, uri, last_id: 0 }
    }

    /// Where it listens: `coap://127.0.0.1:PORT`.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        let port = self.uri.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("the URI ends with a port")
    }

    /// How much it has told so far; see [`Leshan::event`].
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// The first event of this name, from `mark` on, that `fits`.
    pub fn event(&self, name: &str, mark: usize, fits: impl Fn(&Value) -> bool) -> Value {
        self.process.wait_for(name, mark, 2 * ANSWER, |line| event(line, name).filter(&fits))
    }

    /// Waits until it tells of nothing for so long.
    pub fn wait_for_silence(&self, time: Duration) {
        let is_silent = (0..SILENCES).any(|_| self.process.hear(self.mark(), time, parse).is_none());
        assert!(is_silent, "never silent for {time:?}");
    }

    /// Whether such an event comes.
    pub fn hears(&self, name: &str, mark: usize, fits: impl Fn(&Value) -> bool) -> bool {
        self.process.hear(mark, PATIENCE, |line| event(line, name).filter(&fits)).is_some()
    }

    /// Sends a request to the client `ep` and waits for the answer: `read`, `observe`, `write`, … with more fields.
    pub fn ask(&mut self, command: &str, ep: &str, path: &str, more: Value) -> Value {
        let asked = self.begin(command, ep, path, more);
        self.answer_to(&asked)
    }

    /// As [`Leshan::ask`], but does not wait: [`Leshan::answer_to`] does.
    pub fn begin(&mut self, command: &str, ep: &str, path: &str, more: Value) -> Asked {
        self.last_id += 1;
        let limit_ms = u64::try_from(ANSWER.as_millis()).expect("a short time");
        let mut line =
            json!({ "id": self.last_id, "cmd": command, "ep": ep, "path": path, "timeout": limit_ms });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        let asked = Asked { id: self.last_id, command: command.to_owned(), mark: self.mark() };
        self.process.tell(&line.to_string());
        asked
    }

    /// Waits for the answer to a request.
    pub fn answer_to(&self, asked: &Asked) -> Value {
        let id = Value::from(asked.id);
        self.process.wait_for(&asked.command, asked.mark, ANSWER + PATIENCE, |line| {
            parse(line).filter(|line| line["id"] == id)
        })
    }
}

/// A request whose answer is to come.
pub struct Asked {
    id: u64,
    command: String,
    mark: usize,
}

/// Values of an answer or a notification under this path.
pub fn value<'a>(line: &'a Value, path: &str) -> Option<&'a Value> {
    line["values"].as_array()?.iter().find(|entry| entry["path"] == path).map(|entry| &entry["value"])
}

/// Whether a registration or an update lists this link (`/3303/0`).
pub fn has_link(line: &Value, path: &str) -> bool {
    links(line).any(|link| link.starts_with(&format!("<{path}>")))
}

/// The first instance of an object in a registration or an update.
pub fn instance_of(line: &Value, object: u16) -> Option<String> {
    links(line).find_map(|link| {
        let path = link.strip_prefix('<')?.split_once('>')?.0;
        path.starts_with(&format!("/{object}/")).then(|| path.to_owned())
    })
}

fn links(line: &Value) -> impl Iterator<Item = &str> {
    line["links"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn event(line: &str, name: &str) -> Option<Value> {
    parse(line).filter(|line| line["event"] == name)
}

/// Leshan's own log comes among the lines and is no JSON.
fn parse(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}
