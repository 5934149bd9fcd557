//! Puts the virtual modem and its cell on real ports: a pseudo-terminal or serial port, and kernel UDP.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_serial::SerialStream;

use super::cell::{Cell, Network};
use super::modem::Modem;
use super::pty::Pty;
use super::trace::{Speaker, Trace};
use super::udp::{Ports, Received};
use crate::clock::Deadline;
use crate::link::{clock, names};

/// Octets read from the host at once.
const READ_OCTETS: usize = 1024;
/// Octets that may wait for a host that does not read; more are lost, as without flow control.
const MAX_PENDING: usize = 64 * 1024;
/// How soon a host that does not read is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// Names that may be looked up at once; the modem asks one at a time.
const LOOKUPS: usize = 4;

/// Where the host is.
#[derive(Debug)]
pub enum Port {
    /// At a pseudo-terminal.
    Pty(Pty),
    /// At the other end of a serial line.
    Serial(SerialStream),
}

impl Port {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pty(pty) => pty.read(buffer).await,
            Self::Serial(stream) => match stream.read(buffer).await {
                Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the serial port was unplugged")),
                result => result,
            },
        }
    }

    fn try_write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pty(pty) => pty.try_write(octets),
            Self::Serial(stream) => stream.try_write(octets),
        }
    }
}

/// Where the lines of a trace go.
pub type Sink = fn(&str);

/// Serves until `shutdown` is done. `trace` is given each line that passes between host and modem.
///
/// # Errors
/// The port broke. A pseudo-terminal without a host is not broken.
pub async fn run(
    modem: Modem,
    cell: Cell,
    mut port: Port,
    trace: Option<Sink>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (ports, mut datagrams) = Ports::new();
    let (resolved, mut answers) = mpsc::channel(LOOKUPS);
    let mut bench =
        Bench { modem, cell, ports, resolved, tracing: trace.map(|sink| (Trace::default(), sink)) };
    let mut buffer = [0; READ_OCTETS];
    let mut pending = VecDeque::new();
    tokio::pin!(shutdown);
    loop {
        let deadline = bench.settle(&mut pending).await;
        write(&mut port, &mut pending)?;
        tokio::select! {
            () = &mut shutdown => break,
            count = port.read(&mut buffer) => bench.take_from_host(&buffer[..count?]),
            Some(datagram) = datagrams.recv() => bench.take_from_network(datagram),
            Some((name, addresses)) = answers.recv() => bench.cell.handle_resolved(name, addresses, clock::now()),
            () = until(deadline) => {}
            _ = timeout(RETRY, std::future::pending::<()>()), if !pending.is_empty() => {}
        }
    }
    bench.trace_rest();
    Ok(())
}

struct Bench {
    modem: Modem,
    cell: Cell,
    ports: Ports,
    resolved: mpsc::Sender<(String, Vec<IpAddr>)>,
    tracing: Option<(Trace, Sink)>,
}

impl Bench {
    fn take_from_host(&mut self, octets: &[u8]) {
        self.trace(Speaker::Host, octets);
        self.modem.handle_input(octets, clock::now());
    }

    fn take_from_network(&mut self, datagram: Received) {
        self.cell.handle_network(datagram.port, datagram.from, datagram.payload, clock::now());
    }

    /// Moves everything that can move, and says when to come again.
    async fn settle(&mut self, pending: &mut VecDeque<u8>) -> Option<Deadline> {
        let now = clock::now();
        self.modem.handle_timeout(now);
        self.cell.handle_timeout(now);
        loop {
            if let Some(up) = self.modem.poll_radio() {
                self.cell.handle_up(up, now);
            } else if let Some(down) = self.cell.poll_down() {
                self.modem.handle_radio(down, now);
            } else if let Some(network) = self.cell.poll_network() {
                self.pass_on(network).await;
            } else if let Some(octets) = self.modem.poll_transmit(now) {
                self.trace(Speaker::Modem, &octets);
                if pending.len() + octets.len() <= MAX_PENDING {
                    pending.extend(octets);
                }
            } else {
                return Deadline::sooner(self.modem.poll_timeout(), self.cell.poll_timeout());
            }
        }
    }

    async fn pass_on(&mut self, network: Network) {
        match network {
            // The socket is made when its address family is known.
            Network::Bind(port) => tracing::debug!(?port, "nat gives a public port"),
            Network::Unbind(port) => {
                tracing::debug!(?port, "nat takes a public port back");
                self.ports.close(port);
            }
            Network::Send { port, to, payload } => {
                if let Err(error) = self.ports.send(port, to, &payload).await {
                    tracing::debug!(%to, %error, "datagram lost behind the cell");
                }
            }
            Network::Resolve { name } => {
                let resolved = self.resolved.clone();
                tokio::spawn(async move {
                    let addresses = names::resolve(&name).await.into_iter().collect();
                    // When the bench is gone, nobody waits for the answer.
                    let _ = resolved.send((name, addresses)).await;
                });
            }
        }
    }

    fn trace(&mut self, speaker: Speaker, octets: &[u8]) {
        if let Some((trace, sink)) = &mut self.tracing {
            trace.push(speaker, octets).iter().for_each(|line| sink(line));
        }
    }

    fn trace_rest(&mut self) {
        if let Some((trace, sink)) = &mut self.tracing {
            trace.flush().iter().for_each(|line| sink(line));
        }
    }
}

fn write(port: &mut Port, pending: &mut VecDeque<u8>) -> io::Result<()> {
    while !pending.is_empty() {
        match port.try_write(pending.make_contiguous()) {
            Ok(count) => drop(pending.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn until(deadline: Option<Deadline>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.at.into()).await,
        None => std::future::pending().await,
    }
}
