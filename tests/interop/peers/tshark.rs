//! What went over loopback, captured by dumpcap and read by tshark: a decoder that shares nothing with ours.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{PATIENCE, Process};
use super::socat::text;

/// A running capture of one UDP port.
pub struct Capture {
    process: Process,
    folder: TempDir,
    port: u16,
}

/// A finished capture.
pub struct Captured {
    folder: TempDir,
    port: u16,
}

impl Capture {
    /// Starts to capture what goes to and from this UDP port, and waits until it is captured.
    pub fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the capture");
        let file = folder.path().join("run.pcapng");
        let filter = format!("udp port {port}");
        let mut dumpcap = Command::new("dumpcap");
        dumpcap.args(["-i", "lo", "-f", &filter, "-w", text(&file)]);
        let process = Process::start("dumpcap", &mut dumpcap);
        process.wait_for_text("File: ");
        Self { process, folder, port }
    }

    /// Ends the capture.
    pub fn stop(self) -> Captured {
        self.process.signal("INT");
        self.process.finish();
        Captured { folder: self.folder, port: self.port }
    }
}

impl Captured {
    /// The packets that fit a display filter, each with these fields joined by `|`; a field that is not there is empty.
    pub fn packets(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut tshark = self.tshark();
        tshark.args(["-T", "fields", "-E", "separator=|", "-Y", filter]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        lines(tshark)
    }

    /// The first packet that fits, fully decoded.
    pub fn decoded(&self, filter: &str) -> Value {
        let mut tshark = self.tshark();
        tshark.args(["-T", "json", "-c", "1", "-Y", filter]);
        let packets: Value = serde_json::from_str(&lines(tshark).join("\n")).expect("tshark writes JSON");
        packets[0]["_source"]["layers"].clone()
    }

    fn tshark(&self) -> Command {
        let mut tshark = Command::new("tshark");
        let decode_as = format!("udp.port=={},coap", self.port);
        tshark.args(["-n", "-r", text(&self.folder.path().join("run.pcapng")), "-d", &decode_as]);
        tshark
    }
}

/// What tshark prints, without the warning that it runs as root.
fn lines(mut tshark: Command) -> Vec<String> {
    let output = tshark.output().unwrap_or_else(|error| panic!("tshark cannot be started: {error}"));
    assert!(output.status.success(), "tshark failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
