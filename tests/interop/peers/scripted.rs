//! A scripted LwM2M server in Python on aiocoap's codec (`tests/interop/aiocoap/README.md`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{PATIENCE, Process};

/// A server that runs a suite of rows against the gateway that registers with it.
pub struct Scripted {
    process: Process,
    uris: Vec<String>,
    /// Lines that were read.
    read: usize,
}

/// What the server says.
pub enum Said {
    /// Something is to be done before it goes on.
    Ask(String),
    /// A row holds.
    Row,
    /// A row does not: its title, why, and all that was sent and received.
    Failed(String),
    /// It sends a datagram with a fault on purpose: its octets in hex.
    Odd(String),
    /// There are no more rows.
    End,
}

impl Scripted {
    /// Starts the server on a free port of 127.0.0.1.
    pub fn start(suite: &str) -> Self {
        let python = std::env::var("AIOCOAP_PYTHON")
            .expect("AIOCOAP_PYTHON names a Python that has aiocoap; scripts/test sets it");
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/aiocoap/main.py");
        let mut command = Command::new(python);
        // -B: no compiled files among the sources.
        let process = Process::start("scripted server", command.args(["-B", "-u"]).arg(main).arg(suite));
        let ready = |line: &str| line.strip_prefix("ready ").map(str::to_owned);
        let uris = process.wait_for("ready", 0, PATIENCE, ready);
        Self { process, uris: uris.split(' ').map(str::to_owned).collect(), read: 0 }
    }

    /// Where each of its servers listens: `coap://127.0.0.1:PORT`.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// The port of the first.
    pub fn port(&self) -> u16 {
        let port = self.uris[0].rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("the URI ends with a port")
    }

    /// The next that it says, within `limit`.
    pub fn next(&mut self, limit: Duration) -> Said {
        loop {
            let line = self.process.wait_for("a row", self.read, limit, |line| Some(line.to_owned()));
            self.read += 1;
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                ">" => return Said::Ask(rest.to_owned()),
                "ok" => return Said::Row,
                "FAILED" => return Said::Failed(self.story(rest)),
                "odd" => return Said::Odd(rest.to_owned()),
                "end" => return Said::End,
                // Its first line, and what Python may have to say.
                _ => {}
            }
        }
    }

    /// A title and the indented lines below it.
    fn story(&mut self, title: &str) -> String {
        let mut story = title.to_owned();
        while let Some(line) = self.process.hear(self.read, PATIENCE, |line| Some(line.to_owned())) {
            if !line.starts_with(' ') {
                break;
            }
            self.read += 1;
            story.push('\n');
            story.push_str(&line);
        }
        story
    }

    /// What it asked for is done, with this result.
    pub fn done(&mut self, result: &str) {
        self.process.tell(&format!("done {result}"));
    }
}
