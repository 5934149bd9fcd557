//! The program as a user meets it: the demo's verdict, exit codes, and the way `nbgate run` ends. Needs nothing else.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nbgate::link::clock;

/// Longest wait for anything that must happen.
const BOUND: Duration = Duration::from_secs(60);

fn nbgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbgate"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end, within the bound.
fn output(arguments: &[&str]) -> Output {
    let child = nbgate(arguments).spawn().unwrap();
    let id = child.id();
    let (done, waited) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    match waited.recv_timeout(BOUND) {
        Ok(output) => output,
        Err(_) => {
            kill("KILL", id);
            panic!("nbgate {arguments:?} did not end within {BOUND:?}");
        }
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn kill(signal: &str, id: u32) {
    assert!(Command::new("kill").args(["-s", signal, &id.to_string()]).status().unwrap().success());
}

/// A gateway in the background, killed when the test ends.
struct Gateway {
    child: Child,
    lines: mpsc::Receiver<String>,
    _config: tempfile::NamedTempFile,
}

impl Gateway {
    fn start(config: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("state_dir = \"\"\n{config}")).unwrap();
        let mut child = nbgate(&["run", "--config", file.path().to_str().unwrap()]).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, _config: file }
    }

    /// Waits for a line of the log with this in it.
    fn wait_for(&self, what: &str) {
        let end = clock::now() + BOUND;
        loop {
            let left = end.saturating_duration_since(clock::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {what:?} in the log"));
            if line.contains(what) {
                return;
            }
        }
    }

    /// Waits for the end, within the bound; gives the exit code and how long it took.
    fn end(&mut self) -> (Option<i32>, Duration) {
        let started = clock::now();
        let end = started + BOUND;
        loop {
            // The log closes with the process; so no clock has to be watched for it.
            match self.lines.recv_timeout(end.saturating_duration_since(clock::now())) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the gateway did not end within {BOUND:?}"),
            }
        }
        (self.child.wait().unwrap().code(), clock::now() - started)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_passes_and_ends_by_itself() {
    let output = output(&["demo", "--for", "12s"]);
    let lines = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}\n{lines}", text(&output.stderr));
    for expected in [
        "register",
        "Water meter · Cumulated water volume",
        "m3",
        "arrived on lamps/21/set",
        "octets up",
        "passed",
    ] {
        assert!(lines.contains(expected), "{expected} in {lines}");
    }
    assert!(!lines.contains('\x1b'), "colour without a terminal: {lines}");
}

#[test]
fn a_demo_that_is_too_short_fails_and_says_why() {
    let output = output(&["demo", "--for", "100ms", "--period", "30s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("are needed"), "{}", text(&output.stderr));
}

#[test]
fn the_demo_takes_a_server_and_a_broker_of_the_users_own() {
    let mut server = nbgate(&["lab", "server", "--listen", "127.0.0.1:0", "--json", "--profile", "lan"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let uri = serde_json::from_str::<serde_json::Value>(&first).unwrap()["coap"].as_str().unwrap().to_owned();
    let output = output(&["demo", "--for", "15s", "--server", &uri]);
    server.kill().unwrap();
    server.wait().unwrap();
    let lines = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}\n{lines}", text(&output.stderr));
    assert!(lines.contains("the way down is not tested") && lines.contains("acknowledged"), "{lines}");
}

/// A part of the lab in the background, killed when the test ends.
struct Part(Child);

impl Part {
    /// Starts it, and gives its first line.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut child = nbgate(arguments).spawn().unwrap();
        let mut line = String::new();
        let mut octet = [0];
        while child.stdout.as_mut().unwrap().read(&mut octet).unwrap() == 1 && octet != [b'\n'] {
            line.push(char::from(octet[0]));
        }
        (Self(child), line)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn onenets_opening_passes_over_a_slow_modem() {
    let script = ["lab", "server", "--listen", "127.0.0.1:0", "--json", "--script", "onenet"];
    let (mut server, ready) = Part::start(&script);
    let uri = serde_json::from_str::<serde_json::Value>(&ready).unwrap()["coap"].as_str().unwrap().to_owned();
    let (_modem, port) = Part::start(&["lab", "modem", "--rtt", "1500ms", "--attach-delay", "100ms"]);
    let _gateway = Gateway::start(&format!(
        "[modem]\nport = {port:?}\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [lwm2m]\nendpoint = \"{{imei}};{{imsi}}\"\nversion = \"1.0\"\nlwm2m_parameter = false\n\
         start_jitter = \"0s\"\n[[lwm2m.servers]]\nuri = \"{uri}\"\n"
    ));
    let stdout = BufReader::new(server.0.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut seen = vec![];
    while let Ok(line) = lines.recv_timeout(BOUND) {
        seen.push(serde_json::from_str::<serde_json::Value>(&line).unwrap());
    }
    assert!(server.0.wait().unwrap().success(), "{seen:#?}");
    assert_eq!(seen[0]["ep"], "350000000000006;001010123456789");
    let verdict = seen.last().unwrap();
    assert_eq!((&verdict["event"], &verdict["ok"]), (&"verdict".into(), &true.into()), "{seen:#?}");
    let steps = seen.iter().filter(|line| line["event"] == "step").count();
    assert_eq!(verdict["requests"], steps, "{seen:#?}");
}

#[test]
fn a_wrong_command_line_and_a_wrong_configuration_end_with_2() {
    assert_eq!(output(&["demo", "--modem", "/dev/ttyUSB2"]).status.code(), Some(2), "--modem needs --server");
    assert_eq!(output(&["lab", "world", "--days", "0"]).status.code(), Some(2));
    let missing = output(&["run", "--config", "/nonexistent/nbgate.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("fix: "), "{}", text(&missing.stderr));
}

#[test]
fn a_gateway_with_nothing_around_it_keeps_trying_and_still_ends_at_once() {
    let mut gateway = Gateway::start(
        "[modem]\nport = \"/nonexistent/port\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n\
         [[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n",
    );
    gateway.wait_for("serial port lost");
    kill("TERM", gateway.child.id());
    let (code, took) = gateway.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_silent_server_holds_up_the_end_no_longer_than_stated() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut gateway = Gateway::start(&udp_config(&server));
    server.set_read_timeout(Some(BOUND)).unwrap();
    let mut register = [0; 512];
    let (count, from) = server.recv_from(&mut register).unwrap();
    server.send_to(&created(&register[..count]), from).unwrap();
    gateway.wait_for("registered");
    kill("TERM", gateway.child.id());
    let (code, took) = gateway.end();
    assert_eq!(code, Some(0));
    // Profile "lan": 10 s as `nbgate run --help` says.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_coap_ping_is_answered_by_rst_coap_03() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(BOUND)).unwrap();
    let _gateway = Gateway::start(&udp_config(&server));
    let mut datagram = [0; 512];
    let (count, gateway) = server.recv_from(&mut datagram).unwrap();
    server.send_to(&created(&datagram[..count]), gateway).unwrap();
    server.send_to(&[0x40, 0x00, 0x12, 0x34], gateway).unwrap();
    loop {
        let (count, _) = server.recv_from(&mut datagram).unwrap();
        if datagram[..count] == [0x70, 0x00, 0x12, 0x34] {
            return;
        }
    }
}

#[test]
fn help_names_every_exit_code_and_has_examples() {
    let output = output(&["--help"]);
    let mut help = String::new();
    output.stdout.as_slice().read_to_string(&mut help).unwrap();
    for expected in ["Exit codes", "0  success", "1  failure", "2  the command line", "nbgate demo --for 20s"]
    {
        assert!(help.contains(expected), "{expected} in {help}");
    }
}

fn udp_config(server: &UdpSocket) -> String {
    let address = server.local_addr().unwrap();
    format!(
        "uplink = \"udp\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n[lwm2m]\nendpoint = \"gw\"\n\
         [lwm2m.coap]\nprofile = \"lan\"\n[[lwm2m.servers]]\nuri = \"coap://{address}\"\n"
    )
}

/// 2.01 Created with Location-Path `rd/1`, piggybacked on the answer to this request.
fn created(request: &[u8]) -> Vec<u8> {
    let token_length = request[0] & 0x0f;
    let mut response = vec![0x60 | token_length, 0x41];
    response.extend(&request[2..4 + usize::from(token_length)]);
    response.extend(b"\x82rd\x011");
    response
}

/// A folder with a configuration of two files.
fn configuration(main: &str, other: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nbgate.toml");
    std::fs::write(&path, main).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    std::fs::write(folder.path().join("conf.d/10-more.toml"), other).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

const SERVED: &str =
    "uplink = \"udp\"\nlwm2m.endpoint = \"a\"\n[[lwm2m.servers]]\nuri = \"coap://127.0.0.1\"\n";
const MAPPED: &str = "[[mappings]]\ntopic = \"t/{x}\"\nobject = 3303\nresource = 5700\ninstance = \"{x}\"\n";

#[test]
fn check_tells_a_good_configuration_in_short() {
    let (_folder, path) = configuration(SERVED, MAPPED);
    let checked = output(&["check", "--config", &path]);
    let lines = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    for expected in
        ["conf.d/10-more.toml", "server coap://127.0.0.1", "subscribes t/+", "the configuration is good"]
    {
        assert!(lines.contains(expected), "{expected} in {lines}");
    }
    let json = output(&["check", "--config", &path, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["ok"], &json["mappings"]), (&true.into(), &1.into()));
}

#[test]
fn check_tells_all_faults_with_their_lines_and_ends_with_2() {
    let (_folder, path) = configuration(&format!("{SERVED}lifetim = \"1d\"\n"), &MAPPED.replace("5700", "1"));
    let checked = output(&["check", "--config", &path]);
    let lines = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2));
    for expected in
        ["2 faults", "nbgate.toml:5: lwm2m.servers[0].lifetim", "10-more.toml:4: mappings[0].resource"]
    {
        assert!(lines.contains(expected), "{expected} in {lines}");
    }
    let json = output(&["check", "--config", &path, "--json"]);
    assert_eq!(json.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["ok"], &json["faults"][0]["line"]), (&false.into(), &5.into()));
    assert_eq!(json["faults"][1]["key"], "mappings[0].resource");
}

#[test]
fn config_show_tells_where_each_value_comes_from() {
    let (_folder, path) = configuration(SERVED, "[mqtt]\nurl = \"mqtt://me:secret@h\"\n");
    let mut command = nbgate(&["config", "show", "--effective", "--config", &path]);
    let shown = text(&command.env(concat!("NBGATE", "_MQTT__CLIENT_ID"), "gw-1").output().unwrap().stdout);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("uplink").ends_with("nbgate.toml:1"), "{shown}");
    assert!(line("mqtt.url").contains("me:***@h") && line("mqtt.url").ends_with("10-more.toml:2"), "{shown}");
    assert!(line("mqtt.client_id").ends_with("# NBGATE_MQTT__CLIENT_ID"), "{shown}");
    assert!(line("lwm2m.nat_idle").ends_with("# default"), "{shown}");
}
