//! What went over loopback, captured and read by tshark: a decoder that shares nothing with ours.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::socat::text;

/// How long a probe may take to be seen before the next is sent.
const PROBE: Duration = Duration::from_millis(200);
/// Probes sent before the capture counts as broken.
const PROBES: usize = 100;

/// A running capture of one UDP port.
pub struct Capture {
    process: Process,
    folder: TempDir,
    port: u16,
    /// Sends datagrams to itself: what was sent before one that is seen was captured.
    probe: UdpSocket,
}

/// A packet that tshark finds fault with.
#[derive(Debug)]
pub struct Fault {
    /// It went to the port that was captured, so a client sent it.
    pub is_of_client: bool,
    /// Number of the frame, what is wrong, and the payload.
    #[expect(dead_code, reason = "only shown")]
    pub what: String,
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
        let probe = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let filter = format!("udp port {port} or udp port {}", port_of(&probe));
        let mut tshark = Command::new("tshark");
        // With -l and -P it prints each packet as it writes it.
        tshark.args(["-n", "-l", "-P", "-i", "lo", "-f", &filter, "-w", text(&file)]);
        let process = Process::start("tshark", &mut tshark);
        let capture = Self { process, folder, port, probe };
        capture.catch_up();
        capture
    }

    /// Ends the capture when all that was sent until now is in it.
    pub fn stop(self) -> Captured {
        self.catch_up();
        self.process.signal("INT");
        self.process.finish();
        Captured { folder: self.folder, port: self.port }
    }

    /// Sends probes until one of them is seen.
    fn catch_up(&self) {
        let mark = self.process.mark();
        let port = port_of(&self.probe);
        let seen = (0..PROBES).any(|_| {
            self.probe.send_to(b"probe", ("127.0.0.1", port)).expect("loopback takes a datagram");
            let shown = format!("{port} \u{2192} {port}");
            self.process.hear(mark, PROBE, |line| line.contains(&shown).then_some(())).is_some()
        });
        if !seen {
            self.process.wait_for("a probe", mark, Duration::ZERO, |_| None::<()>);
        }
    }
}

fn port_of(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("a bound socket has an address").port()
}

impl Captured {
    /// The packets that fit a display filter, each with these fields joined by `|`; a field that is not there is empty.
    pub fn packets(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut tshark = self.tshark();
        tshark.args(["-T", "fields", "-E", "separator=|", "-Y", &self.only(filter)]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        lines(tshark)
    }

    /// What is malformed or worth a warning.
    pub fn faults(&self) -> Vec<Fault> {
        let fields = ["udp.dstport", "frame.number", "coap.code", "_ws.expert", "udp.payload"];
        let faults = self.packets("_ws.malformed || _ws.expert.severity >= warning", &fields);
        let port = format!("{}|", self.port);
        faults.into_iter().map(|what| Fault { is_of_client: what.starts_with(&port), what }).collect()
    }

    /// Without the probes.
    fn only(&self, filter: &str) -> String {
        format!("udp.port == {} && ({filter})", self.port)
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
