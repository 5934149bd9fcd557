//! The lab's LwM2M server on a UDP socket. Moves datagrams and time, decides nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::server::{CommandId, Event, Order, Server};
use crate::net::{Datagram, Peer};

/// Largest datagram taken: the largest that UDP has.
const RECEIVE_OCTETS: usize = 65_536;

/// A server with its socket.
pub struct Edge {
    socket: UdpSocket,
    server: Server,
    clock: fn() -> Instant,
    buffer: Vec<u8>,
}

impl Edge {
    /// Puts the server on this address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(listen: SocketAddr, server: Server, clock: fn() -> Instant) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen).await?;
        Ok(Self { socket, server, clock, buffer: vec![0; RECEIVE_OCTETS] })
    }

    /// Where clients reach it.
    ///
    /// # Errors
    /// The socket does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The server, to look at.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Asks a client something; the end comes out of [`next`](Self::next).
    pub fn command(&mut self, order: Order) -> CommandId {
        self.server.command(order, (self.clock)())
    }

    /// Serves until something happened. Nothing is lost when this is dropped half-way.
    ///
    /// # Errors
    /// The socket is broken.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            self.send();
            if let Some(event) = self.server.poll_event() {
                return Ok(event);
            }
            let receiving = self.socket.recv_from(&mut self.buffer);
            let received = match self.server.poll_timeout() {
                Some(deadline) => timeout_at(deadline.at.into(), receiving).await.ok(),
                None => Some(receiving.await),
            };
            let now = (self.clock)();
            match received {
                Some(Ok((count, from))) => {
                    let datagram = Datagram { peer: Peer(from), payload: self.buffer[..count].to_vec() };
                    self.server.handle_datagram(datagram, now);
                }
                // An ICMP error of an earlier datagram; the next one may well arrive.
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tracing::debug!(%error, "lab server socket reports");
                }
                Some(Err(error)) => return Err(error),
                None => self.server.handle_timeout(now),
            }
        }
    }

    fn send(&mut self) {
        while let Some(outgoing) = self.server.poll_transmit((self.clock)()) {
            let Datagram { peer, payload } = &outgoing.datagram;
            match self.socket.try_send_to(payload, peer.0) {
                Ok(_) => self.server.handle_sent(outgoing.id, (self.clock)()),
                Err(error) => {
                    tracing::debug!(%peer, %error, "datagram not sent");
                    self.server.handle_send_failed(outgoing.id, (self.clock)());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::server::Settings;
    use super::*;
    use crate::seed::Seed;

    /// Register 1.1 of `gw1`, Message ID 1234, token A1B2, with `</1/0>,</3/0>`.
    const REGISTER: &[u8] = b"\x42\x02\x12\x34\xa1\xb2\xb2rd\x11\x28\x39lwm2m=1.1\x06ep=gw1\xff</1/0>,</3/0>";

    #[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
    fn now() -> Instant {
        Instant::now()
    }

    #[tokio::test]
    async fn a_registration_over_a_real_socket_is_answered_and_told() {
        let server = Server::new(Settings::default(), Seed::new(1));
        let mut edge = Edge::bind("127.0.0.1:0".parse().unwrap(), server, now).await.unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(REGISTER, edge.local_address().unwrap()).await.unwrap();
        let event = timeout_at((now() + Duration::from_secs(10)).into(), edge.next()).await.unwrap().unwrap();
        assert!(matches!(event, Event::Registered { endpoint, .. } if endpoint == "gw1"));
        let mut answer = [0; 64];
        let receiving = client.recv(&mut answer);
        let count = timeout_at((now() + Duration::from_secs(10)).into(), receiving).await.unwrap().unwrap();
        assert_eq!(answer[..10], *b"\x62\x41\x12\x34\xa1\xb2\x82rd\x08", "{count} octets");
    }
}
