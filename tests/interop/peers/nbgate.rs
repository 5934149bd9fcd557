//! The gateway's own binary: `nbgate run` with a configuration of the test, and `nbgate lab modem`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{PATIENCE, Process};
use super::socat::{PortPair, text};

/// MQTT client id of the gateway in these tests.
pub const CLIENT_ID: &str = "nbgate-interop";

/// A cell close by: the server must not lose patience, or it asks twice and the capture shows it.
const QUICK: &str = "100ms";

/// A running `nbgate run`.
pub struct Gateway {
    process: Process,
    folder: TempDir,
    state: PathBuf,
}

impl Gateway {
    /// Starts the gateway with this configuration, as for the first time.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the configuration");
        let state = folder.path().join("state");
        Self::start_in(folder, state, config)
    }

    /// Starts the gateway with this configuration and what earlier ones left in this folder.
    pub fn start_on(state: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the configuration");
        Self::start_in(folder, state.to_owned(), config)
    }

    fn start_in(folder: TempDir, state: PathBuf, config: &str) -> Self {
        let file = write_config(folder.path(), &state, config);
        let process = Process::start("nbgate run", nbgate().args(["run", "--config", text(&file)]));
        Self { process, folder, state }
    }

    /// Gives it another configuration and a SIGHUP, as `systemctl reload` does; waits until it logs this.
    pub fn reload(&self, config: &str, until: &str) {
        write_config(self.folder.path(), &self.state, config);
        let mark = self.mark();
        self.process.signal("HUP");
        self.wait_for_text_since(mark, until);
    }

    /// How much it has logged so far.
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// As [`Gateway::wait_for_text`], for what it logs after `mark`.
    pub fn wait_for_text_since(&self, mark: usize, text: &str) {
        self.process.wait_for(text, mark, PATIENCE, |line| line.contains(text).then_some(()));
    }

    /// Waits until it logs this; fails at once if it ends.
    pub fn wait_for_text(&self, text: &str) {
        self.process.wait_for_text(text);
    }

    /// Asks it to end as a service manager does; it must end well within `limit`.
    pub fn stop(self, limit: Duration) {
        self.terminate();
        self.wait_for_end(limit);
    }

    /// Asks it to end as a service manager does.
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// It was asked to end, and must end well within `limit`.
    pub fn wait_for_end(&self, limit: Duration) {
        let status = self.process.wait_for_end(limit);
        assert!(status.success(), "after SIGTERM the gateway ended with {status}");
    }

    /// Ends it as a power cut does.
    pub fn kill(self) {
        self.process.signal("KILL");
        self.process.wait_for_end(PATIENCE);
    }
}

/// Writes the configuration; gives the file.
fn write_config(folder: &Path, state: &Path, config: &str) -> PathBuf {
    let file = folder.join("nbgate.toml");
    let all = format!("state_dir = \"{}\"\n{config}", text(state));
    fs::write(&file, all).expect("the configuration can be written");
    file
}

/// A running `nbgate lab modem`.
pub struct VirtualModem {
    _process: Process,
    port: PathBuf,
    _folder: Option<TempDir>,
    _pair: Option<PortPair>,
}

impl VirtualModem {
    /// A modem on a pseudo-terminal of its own.
    pub fn on_pty() -> Self {
        Self::with_round_trip(QUICK)
    }

    /// A modem on a pseudo-terminal of its own, in a cell with this round trip.
    pub fn with_round_trip(round_trip: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the modem's port");
        let port = folder.path().join("modem");
        let process = Self::start("--link", &port, round_trip);
        Self { _process: process, port, _folder: Some(folder), _pair: None }
    }

    /// A modem that opens one end of a socat pair, as it would open a null-modem cable.
    pub fn on_socat_pair() -> Self {
        let pair = PortPair::start();
        let process = Self::start("--port", &pair.modem(), QUICK);
        Self { _process: process, port: pair.host(), _folder: None, _pair: Some(pair) }
    }

    /// It tells its port when that is open.
    fn start(option: &str, at: &Path, round_trip: &str) -> Process {
        let mut modem = nbgate();
        modem.args(["lab", "modem", option, text(at), "--rtt", round_trip, "--attach-delay", "500ms"]);
        let process = Process::start("nbgate lab modem", &mut modem);
        process.wait_for_text(text(at));
        process
    }

    /// The port that the gateway opens.
    pub fn port(&self) -> &Path {
        &self.port
    }
}

/// The binary under test, without configuration from the environment.
fn nbgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbgate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NBGATE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("STATE_DIRECTORY");
    command
}
