//! What the running service tells about itself: to the service manager, over the status socket, to Prometheus.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nbgate::link::clock;

/// Longest wait for anything that must happen.
const BOUND: Duration = Duration::from_secs(60);

/// A gateway over kernel UDP with a folder of its own, killed when the test ends.
struct Service {
    child: Child,
    folder: tempfile::TempDir,
}

impl Service {
    /// Starts it with these lines of configuration on top, and this in its environment.
    fn start(extra: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), extra, environment)
    }

    fn start_in(folder: tempfile::TempDir, extra: &str, environment: &[(&str, &str)]) -> Self {
        let at = |name: &str| folder.path().join(name);
        let config = format!(
            "uplink = \"udp\"\nstate_dir = {:?}\nruntime_dir = {:?}\n{extra}\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n[lwm2m]\nendpoint = \"gw\"\n\
             [lwm2m.coap]\nprofile = \"lan\"\n[[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n",
            at("state"),
            at("run"),
        );
        std::fs::create_dir_all(at("run")).unwrap();
        std::fs::write(at("nbgate.toml"), config).unwrap();
        let child = nbgate(&["run", "--config", at("nbgate.toml").to_str().unwrap()])
            .envs(environment.iter().copied())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until the log has this; gives all of it.
    fn wait_for_log(&self, what: &str) -> String {
        let end = clock::now() + BOUND;
        while clock::now() < end {
            let log = std::fs::read_to_string(self.path("log")).unwrap();
            if log.contains(what) {
                return log;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("no {what:?} in {}", std::fs::read_to_string(self.path("log")).unwrap());
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nbgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbgate"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "RUNTIME_DIRECTORY", "JOURNAL_STREAM"] {
        command.env_remove(name);
    }
    command
}

/// A service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(at: &Path) -> Self {
        Self(UnixDatagram::bind(at).unwrap())
    }

    /// The next notification; `None` if there is none within that time.
    fn next(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.0.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let count = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..count].to_vec()).unwrap())
    }

    /// Waits for a notification with this in it; gives all up to it.
    fn wait_for(&self, what: &str) -> Vec<String> {
        let end = clock::now() + BOUND;
        let mut seen = vec![];
        while let Some(next) = self.next(end.saturating_duration_since(clock::now())) {
            let found = next.contains(what);
            seen.push(next);
            if found {
                return seen;
            }
        }
        panic!("no {what} among {seen:?}");
    }
}

#[test]
fn the_service_manager_hears_of_start_progress_and_end_and_nothing_from_a_stuck_process() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("notify");
    let manager = Manager::listen(&at);
    let environment = [("NOTIFY_SOCKET", at.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let service = Service::start("", &environment);
    let seen = manager.wait_for("READY=1");
    assert!(!seen.iter().any(|line| line.contains("WATCHDOG")), "{seen:?}");
    manager.wait_for("registered at 0 of 1 servers, broker away");
    (0..3).for_each(|_| drop(manager.wait_for("WATCHDOG=1")));
    service.signal("STOP");
    // What was under way arrives; then there is silence for longer than a watchdog would wait.
    while manager.next(Duration::from_millis(400)).is_some() {}
    assert_eq!(manager.next(Duration::from_millis(800)), None);
    service.signal("CONT");
    manager.wait_for("WATCHDOG=1");
    service.signal("TERM");
    manager.wait_for("STOPPING=1");
}

#[test]
fn the_log_has_time_stamps_and_no_colour_in_a_file() {
    let service = Service::start("", &[]);
    let log = service.wait_for_log("starting");
    let line = log.lines().find(|line| line.contains("starting")).unwrap();
    assert!(line.contains("Z  INFO starting version="), "{line}");
    assert!(!log.contains('\x1b'), "{log}");
}

#[test]
fn under_journald_a_priority_stands_in_place_of_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let file = std::os::linux::fs::MetadataExt::st_ino(&log.metadata().unwrap());
    let device = std::os::linux::fs::MetadataExt::st_dev(&log.metadata().unwrap());
    // The same file again: it is only emptied.
    let service = Service::start_in(folder, "", &[("JOURNAL_STREAM", &format!("{device}:{file}"))]);
    let log = service.wait_for_log("starting");
    assert!(log.lines().all(|line| line.starts_with('<')) && log.contains("<6>starting version="), "{log}");
}

#[test]
fn a_stream_that_is_not_the_journals_has_time_stamps() {
    let service = Service::start("", &[("JOURNAL_STREAM", "1:1")]);
    let log = service.wait_for_log("starting");
    assert!(!log.contains("<6>"), "{log}");
}

#[test]
fn level_and_format_of_the_log_are_configured() {
    let service = Service::start("[log]\nlevel = \"debug\"\nformat = \"json\"", &[]);
    let log = service.wait_for_log("\"level\":\"debug\"");
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["time"].is_string() && event["message"].is_string(), "{line}");
    }
}

/// Runs to the end; gives the exit code, and standard output and error.
fn ask(service: &Service, arguments: &[&str]) -> (Option<i32>, String, String) {
    let runtime_dir = service.path("run");
    let output = nbgate(arguments).arg("--runtime-dir").arg(runtime_dir).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The page of `nbgate status`, once it says this: not before the store has answered.
fn status_with(service: &Service, what: &str) -> String {
    let end = clock::now() + BOUND;
    loop {
        let (code, page, stderr) = ask(service, &["status"]);
        assert_eq!(code, Some(0), "{stderr}");
        if page.contains(what) || clock::now() >= end {
            return page;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn status_shows_the_running_service_as_a_page_and_as_json() {
    let service = Service::start("", &[]);
    service.wait_for_log("no connection to the broker");
    let page = status_with(&service, "endpoint   gw");
    for expected in
        ["Degraded, running for", "endpoint   gw", "link       ready", "broker     not connected", "server 1"]
    {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let (code, json, _) = ask(&service, &["status", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["health"], &report["endpoint"]), (Some(0), &"degraded".into(), &"gw".into()));
}

#[test]
fn the_service_is_found_by_its_configuration() {
    let service = Service::start("", &[]);
    service.wait_for_log("no connection to the broker");
    let config = service.path("nbgate.toml");
    let output = nbgate(&["status", "--config"]).arg(&config).output().unwrap();
    assert!(
        String::from_utf8(output.stdout).unwrap().contains("broker     not connected"),
        "{:?}",
        output.stderr
    );
    let output = nbgate(&["health", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn health_has_an_exit_code_for_degraded_and_for_not_running() {
    let mut service = Service::start("", &[]);
    service.wait_for_log("no connection to the broker");
    let (code, line, _) = ask(&service, &["health"]);
    assert_eq!(code, Some(1));
    assert!(line.starts_with("degraded: not registered at server 1"), "{line}");
    service.signal("TERM");
    service.child.wait().unwrap();
    assert!(!service.path("run/status.sock").exists());
    for what in ["health", "status"] {
        let (code, _, stderr) = ask(&service, &[what]);
        assert_eq!(code, Some(3));
        assert!(stderr.contains("not running"), "{stderr}");
    }
}

#[test]
fn a_service_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let mut service = Service::start("", &[]);
    service.wait_for_log("no connection to the broker");
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    assert_eq!(ask(&service, &["health"]).0, Some(3));
    let folder = std::mem::replace(&mut service.folder, tempfile::tempdir().unwrap());
    let second = Service::start_in(folder, "", &[]);
    second.wait_for_log("no connection to the broker");
    assert_eq!(ask(&second, &["health"]).0, Some(1));
}

#[test]
fn a_second_service_in_the_same_place_says_so_and_does_not_take_the_socket() {
    let first = Service::start("", &[]);
    first.wait_for_log("no connection to the broker");
    let runtime_dir = first.path("run");
    let second = Service::start("", &[("RUNTIME_DIRECTORY", runtime_dir.to_str().unwrap())]);
    second.wait_for_log("another nbgate is running");
    drop(second);
    assert_eq!(ask(&first, &["health"]).0, Some(1));
}

#[test]
fn metrics_are_served_on_wish() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service::start(&format!("[metrics]\nlisten = \"{free}\""), &[]);
    service.wait_for_log("metrics are served");
    let mut stream = std::net::TcpStream::connect(free).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\nnbgate_server_registered{server=\"1\"} 0\n"), "{answer}");
}

#[test]
fn metrics_that_others_could_reach_are_a_fault() {
    let mut service = Service::start("[metrics]\nlisten = \"0.0.0.0:9464\"", &[]);
    assert_eq!(service.child.wait().unwrap().code(), Some(2));
    let log = service.wait_for_log("fix: ");
    assert!(log.contains("metrics.listen: 0.0.0.0:9464 can be reached from other machines"), "{log}");
}

#[test]
fn a_reload_is_told_to_the_service_manager_whether_the_configuration_is_good_or_bad() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("notify");
    let manager = Manager::listen(&at);
    let service = Service::start("", &[("NOTIFY_SOCKET", at.to_str().unwrap())]);
    manager.wait_for("READY=1");
    let config = std::fs::read_to_string(service.path("nbgate.toml")).unwrap();
    let mapping = "[[mappings]]\ntopic = \"a\"\nobject = 3303\nresource = 5700\n";
    let faulty = "[[mappings]]\ntopic = \"a/#/b\"\nobject = 3303\nresource = 99\n";
    for (mappings, said) in
        [(mapping, "mappings are replaced filters=1"), (faulty, "the mappings stay as they are")]
    {
        std::fs::write(service.path("nbgate.toml"), format!("{config}{mappings}")).unwrap();
        service.signal("HUP");
        let seen = manager.wait_for("RELOADING=1");
        // systemd.service(5), Type=notify-reload, asks for the time with it.
        assert!(seen.last().unwrap().contains("MONOTONIC_USEC="), "{seen:?}");
        manager.wait_for("READY=1");
        let log = std::fs::read_to_string(service.path("log")).unwrap();
        assert!(log.contains(said), "{said} in {log}");
    }
    let log = std::fs::read_to_string(service.path("log")).unwrap();
    for key in ["mappings[0].topic", "mappings[0].resource"] {
        assert!(log.contains(key), "every fault is told: {key} in {log}");
    }
}
