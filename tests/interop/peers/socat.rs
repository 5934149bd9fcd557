//! A pair of pseudo-terminals joined by socat: both ends are opened by path, as serial ports are.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;

/// Two ports joined back to back.
pub struct PortPair {
    _process: Process,
    folder: TempDir,
}

impl PortPair {
    /// Starts socat and waits until both ports are there.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the ports");
        let port = |path: PathBuf| format!("PTY,raw,echo=0,link={}", path.display());
        let mut socat = Command::new("socat");
        // With -d -d it tells when it begins to carry.
        socat.args(["-d", "-d", &port(folder.path().join("host")), &port(folder.path().join("modem"))]);
        let process = Process::start("socat", &mut socat);
        process.wait_for_text("starting data transfer loop");
        Self { _process: process, folder }
    }

    /// The gateway's end.
    pub fn host(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    /// The modem's end.
    pub fn modem(&self) -> PathBuf {
        self.folder.path().join("modem")
    }
}

/// The path as text, for a configuration file or an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of the test are text")
}
