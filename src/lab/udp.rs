//! The public side of the lab's NAT: kernel UDP sockets, one for each public port and address family.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::cell::PortId;

/// Largest UDP payload there is.
const RECEIVE_OCTETS: usize = 65_535;
/// Datagrams that may wait for the loop; further ones stay in the kernel, which drops when it has no room.
const QUEUE: usize = 64;

/// A datagram that came to a public port.
#[derive(Debug)]
pub struct Received {
    /// The public port.
    pub port: PortId,
    /// Who sent it.
    pub from: SocketAddr,
    /// UDP payload.
    pub payload: Vec<u8>,
}

/// The sockets; dropping them closes all.
#[derive(Debug)]
pub struct Ports {
    open: BTreeMap<(PortId, Family), Socket>,
    /// The kernel's port of the mapping before: the next one must look different to a server.
    last: BTreeMap<Family, u16>,
    received: mpsc::Sender<Received>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

#[derive(Debug)]
struct Socket {
    socket: Arc<UdpSocket>,
    reading: tokio::task::AbortHandle,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Ports {
    /// No sockets yet, and where their datagrams will come out.
    pub fn new() -> (Self, mpsc::Receiver<Received>) {
        let (received, queue) = mpsc::channel(QUEUE);
        (Self { open: BTreeMap::new(), last: BTreeMap::new(), received }, queue)
    }

    /// Sends from a public port; its socket is made with the first datagram.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn send(&mut self, port: PortId, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let socket = match self.open.get(&(port, family)) {
            Some(open) => Arc::clone(&open.socket),
            None => self.open(port, family).await?,
        };
        socket.send_to(payload, to).await.map(|_| ())
    }

    /// Gives a public port up.
    pub fn close(&mut self, port: PortId) {
        self.open.retain(|(other, _), _| *other != port);
    }

    async fn open(&mut self, port: PortId, family: Family) -> io::Result<Arc<UdpSocket>> {
        let mut socket = bind(family).await?;
        if self.last.get(&family) == Some(&socket.local_addr()?.port()) {
            // The first is still open here, so the kernel gives another port.
            socket = bind(family).await?;
        }
        self.last.insert(family, socket.local_addr()?.port());
        let socket = Arc::new(socket);
        let reading = tokio::spawn(read(port, Arc::clone(&socket), self.received.clone())).abort_handle();
        self.open.insert((port, family), Socket { socket: Arc::clone(&socket), reading });
        Ok(socket)
    }
}

async fn bind(family: Family) -> io::Result<UdpSocket> {
    let any: SocketAddr = match family {
        Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Family::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).await
}

async fn read(port: PortId, socket: Arc<UdpSocket>, received: mpsc::Sender<Received>) {
    let mut buffer = vec![0; RECEIVE_OCTETS];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((count, from)) => {
                let datagram = Received { port, from, payload: buffer[..count].to_vec() };
                if received.send(datagram).await.is_err() {
                    return;
                }
            }
            // An ICMP error of an earlier datagram; the next one may well arrive.
            Err(error) => tracing::debug!(?port, %error, "udp socket reports"),
        }
    }
}
