//! A relay of datagrams between one client and a server, whose address towards the server can change, as behind a NAT.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Longer than any datagram here.
const DATAGRAM: usize = 2048;

/// A relay on a free port of 127.0.0.1. Its threads end with the test.
pub struct Relay {
    near: UdpSocket,
    server: SocketAddr,
    ends: Arc<Mutex<Ends>>,
}

/// Who is where at the moment.
struct Ends {
    /// Where the client was last seen.
    client: Option<SocketAddr>,
    /// What the server sees of the client.
    far: UdpSocket,
}

impl Relay {
    /// Begins to relay to this port of 127.0.0.1.
    pub fn start(server_port: u16) -> Self {
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        let (near, far) = (socket(), connected(server));
        let relay = Self { near, server, ends: Arc::new(Mutex::new(Ends { client: None, far })) };
        relay.carry_up();
        relay.carry_down();
        relay
    }

    /// Where the client is to send to.
    pub fn uri(&self) -> String {
        format!("coap://{}", address(&self.near))
    }

    /// From now on the server sees the client at another port; what it sends to the old one is lost.
    pub fn move_client(&self) {
        lock(&self.ends).far = connected(self.server);
        self.carry_down();
    }

    fn carry_up(&self) {
        let (near, ends) = (copy(&self.near), Arc::clone(&self.ends));
        thread::spawn(move || {
            let mut datagram = [0; DATAGRAM];
            while let Ok((octets, from)) = near.recv_from(&mut datagram) {
                let mut ends = lock(&ends);
                ends.client = Some(from);
                // Nobody there: the datagram is lost.
                let _ = ends.far.send(&datagram[..octets]);
            }
        });
    }

    /// Until the client is moved.
    fn carry_down(&self) {
        let (near, ends) = (copy(&self.near), Arc::clone(&self.ends));
        let far = copy(&lock(&ends).far);
        thread::spawn(move || {
            let mut datagram = [0; DATAGRAM];
            loop {
                let received = far.recv(&mut datagram);
                let ends = lock(&ends);
                if address(&ends.far) != address(&far) {
                    return;
                }
                if let (Ok(octets), Some(client)) = (received, ends.client) {
                    near.send_to(&datagram[..octets], client).expect("loopback takes a datagram");
                }
            }
        });
    }
}

fn lock(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connected(server: SocketAddr) -> UdpSocket {
    let far = socket();
    far.connect(server).expect("a port of loopback");
    far
}

fn socket() -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", 0)).expect("a free port")
}

fn copy(socket: &UdpSocket) -> UdpSocket {
    socket.try_clone().expect("a socket can be shared")
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("a bound socket has an address")
}
