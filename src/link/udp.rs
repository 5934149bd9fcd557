//! Kernel UDP sockets, for `uplink = "udp"`: one connected socket for each server.
//!
//! A connected socket takes datagrams of its server alone, and tells when nobody listens there.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::net::{Datagram, Outgoing, Peer};

/// Largest UDP payload worth a buffer: more than any datagram of the upper layers.
const RECEIVE_OCTETS: usize = 2048;
/// The kernel takes a datagram at once, unless its queue is full.
const SEND_LIMIT: Duration = Duration::from_secs(5);
/// Servers that may be spoken to at once.
const MAX_SOCKETS: usize = 16;

/// The sockets; dropping them closes all.
pub struct Sockets<T> {
    open: BTreeMap<Peer, Socket>,
    events: mpsc::Sender<T>,
    wrap: fn(Event) -> T,
}

/// What happens on the sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A datagram of a server.
    Received(Datagram),
    /// An earlier datagram came back: nobody listens there.
    Unreachable(Peer),
}

struct Socket {
    socket: Arc<UdpSocket>,
    reading: tokio::task::AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl<T: Send + 'static> Sockets<T> {
    /// No sockets yet; what happens on them goes to `events` through `wrap`.
    pub fn new(events: mpsc::Sender<T>, wrap: fn(Event) -> T) -> Self {
        Self { open: BTreeMap::new(), events, wrap }
    }

    /// Sends one datagram; the kernel takes it at once or refuses it.
    ///
    /// # Errors
    /// What the kernel says, e.g. that nobody listened when the last datagram arrived there.
    pub async fn send(&mut self, outgoing: &Outgoing) -> io::Result<()> {
        let socket = self.socket(outgoing.datagram.peer).await?;
        match timeout(SEND_LIMIT, socket.send(&outgoing.datagram.payload)).await {
            Ok(sent) => sent.map(|_| ()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel's queue stayed full")),
        }
    }

    async fn socket(&mut self, peer: Peer) -> io::Result<Arc<UdpSocket>> {
        if let Some(open) = self.open.get(&peer) {
            return Ok(Arc::clone(&open.socket));
        }
        if self.open.len() >= MAX_SOCKETS {
            return Err(io::Error::other("too many servers"));
        }
        let any: SocketAddr = match peer.0 {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = Arc::new(UdpSocket::bind(any).await?);
        socket.connect(peer.0).await?;
        let reading =
            tokio::spawn(read(Arc::clone(&socket), peer, self.events.clone(), self.wrap)).abort_handle();
        self.open.insert(peer, Socket { socket: Arc::clone(&socket), reading });
        Ok(socket)
    }
}

async fn read<T>(socket: Arc<UdpSocket>, peer: Peer, events: mpsc::Sender<T>, wrap: fn(Event) -> T) {
    let mut buffer = [0; RECEIVE_OCTETS];
    loop {
        let event = match socket.recv(&mut buffer).await {
            Ok(count) => Event::Received(Datagram { peer, payload: buffer[..count].to_vec() }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Event::Unreachable(peer),
            // An ICMP error of an earlier datagram; the next one may well arrive.
            Err(error) => {
                tracing::debug!(%peer, %error, "udp socket reports");
                continue;
            }
        };
        if events.send(wrap(event)).await.is_err() {
            return;
        }
    }
}
