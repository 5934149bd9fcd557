//! The binary on a pseudo-terminal: what a host program sees of `nbgate lab modem`.
#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

/// Longer than anything here should take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct LabModem {
    child: Child,
    path: PathBuf,
}

impl LabModem {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nbgate"))
            .args(["lab", "modem", "--rtt", "40ms", "--attach-delay", "100ms"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, path: line.trim_end().into() }
    }

    fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for LabModem {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Host {
    port: TTYPort,
    heard: Vec<u8>,
}

impl Host {
    fn open(path: &Path) -> Self {
        let path = path.to_str().unwrap();
        let port = serialport::new(path, 115_200).timeout(Duration::from_millis(50)).open_native().unwrap();
        Self { port, heard: Vec::new() }
    }

    /// Everything up to and including this text.
    fn expect(&mut self, text: &str) -> Vec<u8> {
        let give_up = now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.windows(text.len()).position(|window| window == text.as_bytes()) {
                return self.heard.drain(..at + text.len()).collect();
            }
            assert!(now() < give_up, "wanted {text:?}, heard {:?}", String::from_utf8_lossy(&self.heard));
            let mut buffer = [0; 1024];
            if let Ok(count) = self.port.read(&mut buffer) {
                self.heard.extend(&buffer[..count]);
            }
        }
    }

    fn ask(&mut self, command: &str, answer: &str) -> Vec<u8> {
        self.port.write_all(format!("{command}\r").as_bytes()).unwrap();
        self.expect(answer)
    }

    /// The modem may still be starting and swallow the first ones.
    fn get_ok(&mut self) {
        for _ in 0..50 {
            self.port.write_all(b"AT\r").unwrap();
            let mut buffer = [0; 256];
            if let Ok(count) = self.port.read(&mut buffer) {
                self.heard.extend(&buffer[..count]);
            }
            if self.heard.ends_with(b"\r\nOK\r\n") {
                break;
            }
        }
        self.ask("ATE0", "\r\nOK\r\n");
        self.port.set_timeout(Duration::from_millis(50)).unwrap();
        // The answers to the rest of the repeated ATs.
        while let Ok(count) = self.port.read(&mut [0; 256]) {
            assert!(count > 0);
        }
        self.heard.clear();
    }
}

#[expect(clippy::disallowed_methods, reason = "an end for the waits of a test")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_modem_answers_and_lets_the_next_host_in() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("modem");
    let modem = LabModem::start(&["--link", link.to_str().unwrap()]);
    assert_eq!(modem.path, link);
    for _ in 0..3 {
        let mut host = Host::open(&link);
        host.get_ok();
        host.ask("AT+CGMM", "BG95-M3\r\n\r\nOK\r\n");
        // Read before the host leaves: the modem looks for the next one every few milliseconds.
        let old = std::fs::read_link(&link).unwrap();
        drop(host);
        let give_up = now() + PATIENCE;
        while std::fs::read_link(&link).unwrap() == old {
            assert!(now() < give_up, "no new pseudo-terminal");
        }
    }
    assert!(modem.stop().success());
    assert!(!link.exists() && std::fs::read_link(&link).is_err(), "the link goes with the modem");
}

#[test]
fn a_datagram_goes_to_a_real_socket_and_the_answer_comes_back() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let modem = LabModem::start(&[]);
    let mut host = Host::open(&modem.path);
    host.get_ok();
    let give_up = now() + PATIENCE;
    while !String::from_utf8_lossy(&host.ask("AT+CEREG?", "\r\nOK\r\n")).contains("+CEREG: 0,1") {
        assert!(now() < give_up, "not attached");
    }
    host.ask("AT+QISDE=0", "\r\nOK\r\n");
    host.ask("AT+QIACT=1", "\r\nOK\r\n");
    let port = server.local_addr().unwrap().port();
    host.ask("AT+QIOPEN=1,0,\"UDP SERVICE\",\"127.0.0.1\",0,5683,0", "\r\n+QIOPEN: 0,0\r\n");

    host.ask(&format!("AT+QISEND=0,4,\"127.0.0.1\",{port}"), "\r\n> ");
    host.port.write_all(&[0x40, 0x0D, 0x1A, 0x00]).unwrap();
    host.expect("\r\nSEND OK\r\n");
    let mut buffer = [0; 100];
    let (count, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..count], [0x40, 0x0D, 0x1A, 0x00]);
    server.send_to(&[0x60, 0x0A, 0xFF], from).unwrap();

    host.expect("\r\n+QIURC: \"recv\",0\r\n");
    let header = format!("+QIRD: 3,\"127.0.0.1\",{port}\r\n");
    host.ask("AT+QIRD=0", &header);
    let payload = host.expect("\r\n\r\nOK\r\n");
    assert_eq!(payload[..3], [0x60, 0x0A, 0xFF]);
    host.ask("AT+QIRD=0", "+QIRD: 0\r\n\r\nOK\r\n");
    host.ask("AT+QICLOSE=0", "\r\nOK\r\n");
    assert!(modem.stop().success());
}

#[test]
fn a_forgotten_nat_mapping_gives_a_new_source_port() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let modem = LabModem::start(&["--nat-idle", "300ms"]);
    let mut host = Host::open(&modem.path);
    host.get_ok();
    let give_up = now() + PATIENCE;
    while !String::from_utf8_lossy(&host.ask("AT+CGATT?", "\r\nOK\r\n")).contains("+CGATT: 1") {
        assert!(now() < give_up, "not attached");
    }
    host.ask("AT+QIACT=1", "\r\nOK\r\n");
    let port = server.local_addr().unwrap().port();
    host.ask(&format!("AT+QIOPEN=1,0,\"UDP\",\"127.0.0.1\",{port}"), "\r\n+QIOPEN: 0,0\r\n");
    let mut sources = Vec::new();
    for _ in 0..2 {
        host.ask("AT+QISENDEX=0,\"4001\"", "\r\nSEND OK\r\n");
        sources.push(server.recv_from(&mut [0; 10]).unwrap().1.port());
        // Nothing goes up for longer than the NAT remembers.
        let quiet_until = now() + Duration::from_millis(600);
        while now() < quiet_until {
            host.ask("AT", "\r\nOK\r\n");
        }
    }
    assert_ne!(sources[0], sources[1]);
    drop(host);
    assert!(modem.stop().success());
}
