//! A real MQTT broker on a TCP port of this machine: rumqttd, in threads of its own.
//!
//! For trying things out: it forgets everything when the program ends, and it cannot be stopped before.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

/// Longest wait until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(5);
/// Ports to try, where none was named: another program may take a free one before we do.
const ATTEMPTS: u32 = 5;

/// Starts a broker on this port of the loopback interface, or on a free one, and returns its address once it listens.
///
/// # Errors
/// The port is taken, or the broker did not listen in time.
pub async fn start(port: Option<u16>) -> io::Result<SocketAddr> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let address = free(port)?;
        match listen(address).await {
            Ok(()) => return Ok(address),
            Err(error) => last = error,
        }
        if port.is_some() {
            break;
        }
    }
    Err(last)
}

/// An address that nobody listens on right now.
fn free(port: Option<u16>) -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))?.local_addr()
}

async fn listen(address: SocketAddr) -> io::Result<()> {
    let mut broker = rumqttd::Broker::new(config(address));
    // `start` waits for its server threads, which end only when they cannot bind.
    let ended = tokio::sync::oneshot::channel::<()>();
    std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
        let _gone = ended.0;
        if let Err(error) = broker.start() {
            tracing::error!(%error, "the lab's broker ended");
        }
    })?;
    let listening = async {
        let mut tick = interval(Duration::from_millis(10));
        while TcpStream::connect(address).await.is_err() {
            tick.tick().await;
        }
    };
    tokio::select! {
        listens = timeout(LISTENS_WITHIN, listening) => listens.map_err(|_| io::ErrorKind::TimedOut.into()),
        _ = ended.1 => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn config(listen: SocketAddr) -> rumqttd::Config {
    let server = rumqttd::ServerSettings {
        name: "lab-broker".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: rumqttd::ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 256 * 1024,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    rumqttd::Config {
        router: rumqttd::RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 200,
            // One log for each filter; its sample configuration has ten segments of 100 MiB.
            max_segment_size: 64 * 1024,
            max_segment_count: 4,
            ..rumqttd::RouterConfig::default()
        },
        v4: Some(HashMap::from([("lab".to_owned(), server)])),
        ..rumqttd::Config::default()
    }
}
