//! Figures for Prometheus: every one of them in one table, served as text at `GET /metrics` on a loopback address.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::health::{self, Health};
use crate::gateway::questions::Asker;
use crate::gateway::snapshot::Snapshot;
use crate::lwm2m::client::ServerStatus;

/// The longest that somebody may take with request and answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Connections at once; more wait.
const MAX_CONNECTIONS: usize = 4;
/// Octets of a request that are held; hyper takes no less.
const MAX_REQUEST_OCTETS: usize = 8192;

/// A figure.
struct Metric {
    /// Its name; the unit ends it, and `_total` the name of a count.
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: Read,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Where a figure comes from.
enum Read {
    /// A count, or a number that is always known.
    Count(fn(&Snapshot) -> u64),
    /// Known at times.
    Number(fn(&Snapshot) -> Option<f64>),
    /// One for each server, by its Short Server ID.
    Server(fn(&ServerStatus, Instant) -> Option<u64>),
    /// One for each value of a label.
    By(&'static str, fn(&Snapshot) -> Vec<(&'static str, u64)>),
}
use Kind::{Counter, Gauge};
use Read::{By, Count, Number, Server};

const fn metric(name: &'static str, kind: Kind, read: Read, help: &'static str) -> Metric {
    Metric { name, kind, help, read }
}

/// All figures, in the order in which they are served.
const METRICS: &[Metric] = &[
    metric(
        "nbgate_uptime_seconds",
        Gauge,
        Count(|all| all.taken.saturating_duration_since(all.started).as_secs()),
        "Time since the service started.",
    ),
    metric(
        "nbgate_health",
        Gauge,
        Count(|all| match health::judge(all).0 {
            Health::Healthy => 0,
            Health::Degraded => 1,
            Health::Down => 2,
        }),
        "Verdict on the service: 0 healthy, 1 degraded, 2 down.",
    ),
    metric("nbgate_link_up", Gauge, Count(|all| all.link.up.into()), "The link carries datagrams."),
    metric(
        "nbgate_link_rssi_dbm",
        Gauge,
        Number(|all| all.link.signal.rssi_dbm.map(f64::from)),
        "Received signal strength, as the modem told last.",
    ),
    metric(
        "nbgate_link_rsrp_dbm",
        Gauge,
        Number(|all| all.link.signal.rsrp_dbm.map(f64::from)),
        "Reference signal received power, as the modem told last.",
    ),
    metric(
        "nbgate_link_rsrq_db",
        Gauge,
        Number(|all| all.link.signal.rsrq_db.map(f64::from)),
        "Reference signal received quality, as the modem told last.",
    ),
    metric(
        "nbgate_link_sinr_db",
        Gauge,
        Number(|all| all.link.signal.sinr_db.map(f64::from)),
        "Signal to interference and noise, as the modem told last.",
    ),
    metric(
        "nbgate_link_sent_bytes_total",
        Counter,
        Count(|all| all.link.traffic.octets_up),
        "UDP payload that the link took, without IP and UDP headers.",
    ),
    metric(
        "nbgate_link_received_bytes_total",
        Counter,
        Count(|all| all.link.traffic.octets_down),
        "UDP payload that arrived, without IP and UDP headers.",
    ),
    metric(
        "nbgate_link_sent_datagrams_total",
        Counter,
        Count(|all| all.link.traffic.datagrams_up),
        "Datagrams that the link took.",
    ),
    metric(
        "nbgate_link_received_datagrams_total",
        Counter,
        Count(|all| all.link.traffic.datagrams_down),
        "Datagrams that arrived.",
    ),
    metric(
        "nbgate_broker_connected",
        Gauge,
        Count(|all| all.broker.connected.into()),
        "The connection to the MQTT broker stands.",
    ),
    metric(
        "nbgate_broker_connections_total",
        Counter,
        Count(|all| all.broker.connections),
        "Connections to the MQTT broker that came about.",
    ),
    metric(
        "nbgate_mqtt_messages_total",
        Counter,
        Count(|all| all.bridge.messages),
        "MQTT messages that came in.",
    ),
    metric(
        "nbgate_mqtt_unmatched_messages_total",
        Counter,
        Count(|all| all.bridge.unmatched),
        "MQTT messages that no mapping is for.",
    ),
    metric(
        "nbgate_mqtt_publishes_total",
        Counter,
        Count(|all| all.bridge.published),
        "MQTT messages that went out for servers' orders.",
    ),
    metric(
        "nbgate_mqtt_ignored_messages_total",
        Counter,
        Count(|all| all.bridge.ignored),
        "Retained MQTT messages that a mapping ignores.",
    ),
    metric(
        "nbgate_store_working",
        Gauge,
        Count(|all| all.store.trouble.is_none().into()),
        "What must last is written to disk.",
    ),
    metric("nbgate_store_writes_total", Counter, Count(|all| all.store.writes), "Changes written to disk."),
    metric(
        "nbgate_store_commits_total",
        Counter,
        Count(|all| all.store.commits),
        "Batches of changes written to disk.",
    ),
    metric(
        "nbgate_store_failures_total",
        Counter,
        Count(|all| all.store.failures),
        "Batches of changes that could not be written.",
    ),
    metric(
        "nbgate_samples_received_total",
        Counter,
        Count(|all| all.books.received),
        "Values that came in, whatever became of them.",
    ),
    metric(
        "nbgate_samples_ended_total",
        Counter,
        By("end", |all| {
            let books = &all.books;
            vec![
                ("reported", books.reported),
                ("superseded", books.superseded),
                ("refused", books.refused),
                ("dropped", books.dropped),
            ]
        }),
        "Values by what became of them: acknowledged by a server, overtaken by a newer one, not taken, dropped by a rule.",
    ),
    metric(
        "nbgate_samples_pending",
        Gauge,
        Count(|all| all.books.pending),
        "Values that are still to be reported.",
    ),
    metric(
        "nbgate_samples_misfits_total",
        Counter,
        Count(|all| all.books.misfits),
        "Entries that did not fit the books; more than 0 is a defect.",
    ),
    metric("nbgate_resources", Gauge, Count(|all| all.values as u64), "Resources that mappings have fed."),
    metric(
        "nbgate_orders_total",
        Counter,
        By("outcome", |all| {
            let bridge = &all.bridge;
            vec![
                ("confirmed", bridge.confirmed),
                ("unavailable", bridge.unavailable),
                ("failed", bridge.failed),
            ]
        }),
        "Servers' Writes and Executes that went to MQTT, by their outcome.",
    ),
    metric(
        "nbgate_server_registered",
        Gauge,
        Server(|server, _| Some(server.location.is_some().into())),
        "We are registered at this server.",
    ),
    metric(
        "nbgate_server_registration_expires_seconds",
        Gauge,
        Server(|server, now| Some(server.expires?.saturating_duration_since(now).as_secs())),
        "Time until the registration ends unless an Update comes before.",
    ),
    metric(
        "nbgate_server_observations",
        Gauge,
        Server(|server, _| Some(server.observations as u64)),
        "Observations that this server holds.",
    ),
    metric(
        "nbgate_lwm2m_registrations_total",
        Counter,
        Count(|all| all.client.registrations),
        "Registers that succeeded.",
    ),
    metric("nbgate_lwm2m_updates_total", Counter, Count(|all| all.client.updates), "Updates that succeeded."),
    metric(
        "nbgate_lwm2m_registration_failures_total",
        Counter,
        Count(|all| all.client.registration_failures),
        "Registers and Updates that failed.",
    ),
    metric("nbgate_lwm2m_requests_total", Counter, Count(|all| all.client.requests), "Requests of servers."),
    metric(
        "nbgate_lwm2m_notifications_total",
        Counter,
        By("outcome", |all| {
            let client = &all.client;
            vec![("delivered", client.notifications_delivered), ("failed", client.notifications_failed)]
        }),
        "Notifications by their outcome.",
    ),
    metric(
        "nbgate_coap_received_datagrams_total",
        Counter,
        Count(|all| all.coap.received),
        "Datagrams that arrived, of whatever kind.",
    ),
    metric(
        "nbgate_coap_resends_total",
        Counter,
        Count(|all| all.coap.resends),
        "Resends because no acknowledgement came in time.",
    ),
    metric(
        "nbgate_coap_timeouts_total",
        Counter,
        Count(|all| all.coap.timeouts),
        "Own messages that were given up.",
    ),
    metric(
        "nbgate_coap_rejected_total",
        Counter,
        Count(|all| all.coap.rejected),
        "Own messages that a server rejected with RST.",
    ),
    metric(
        "nbgate_coap_send_failures_total",
        Counter,
        Count(|all| all.coap.send_failures),
        "Datagrams that may not have left.",
    ),
    metric(
        "nbgate_coap_duplicates_total",
        Counter,
        Count(|all| all.coap.duplicates),
        "Messages that had arrived before.",
    ),
    metric(
        "nbgate_coap_requests_refused_total",
        Counter,
        Count(|all| all.coap.requests_refused),
        "Requests that were answered with an error before anybody looked at their path.",
    ),
    metric(
        "nbgate_coap_blocks_total",
        Counter,
        By("direction", |all| vec![("received", all.coap.blocks_received), ("sent", all.coap.blocks_sent)]),
        "Blocks of messages that did not fit one datagram.",
    ),
    metric(
        "nbgate_coap_dropped_total",
        Counter,
        By("reason", |all| {
            let dropped = &all.coap.dropped;
            vec![
                ("foreign_peer", dropped.foreign_peer),
                ("malformed", dropped.malformed),
                ("bad_option", dropped.bad_option),
                ("unmatched", dropped.unmatched),
                ("stale_notification", dropped.stale_notification),
                ("incomplete_notification", dropped.incomplete_notification),
                ("peers_full", dropped.peers_full),
                ("replies_full", dropped.replies_full),
                ("unsendable", dropped.unsendable),
                ("unanswered", dropped.unanswered),
            ]
        }),
        "Messages that were thrown away.",
    ),
];

/// All figures in Prometheus' text format 0.0.4.
pub fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    text.push_str("# HELP nbgate_build_info The version of the program.\n# TYPE nbgate_build_info gauge\n");
    push(&mut text, "nbgate_build_info", Some(("version", version)), 1);
    for metric in METRICS {
        let kind = if metric.kind == Counter { "counter" } else { "gauge" };
        let name = metric.name;
        // Writing to a text cannot fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        match metric.read {
            Count(read) => push(&mut text, name, None, read(snapshot)),
            Number(read) => {
                if let Some(number) = read(snapshot) {
                    push(&mut text, name, None, number);
                }
            }
            Server(read) => {
                for server in &snapshot.servers {
                    if let Some(number) = read(server, snapshot.taken) {
                        let id = server.short_server_id.to_string();
                        push(&mut text, name, Some(("server", &id)), number);
                    }
                }
            }
            By(label, read) => {
                read(snapshot)
                    .into_iter()
                    .for_each(|(value, number)| push(&mut text, name, Some((label, value)), number));
            }
        }
    }
    text
}

/// A sample; labels are our own words and need no escaping.
fn push(text: &mut String, name: &str, label: Option<(&str, &str)>, number: impl std::fmt::Display) {
    // Writing to a text cannot fail.
    let _ = match label {
        Some((label, value)) => writeln!(text, "{name}{{{label}=\"{value}\"}} {number}"),
        None => writeln!(text, "{name} {number}"),
    };
}

/// The open port.
#[derive(Debug)]
pub struct Port(TcpListener);

impl Port {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self(TcpListener::bind(address).await?))
    }

    /// Where it is.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until nobody waits for this any more.
    pub async fn serve(self, asker: Asker) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "the port for metrics could not take a connection");
                    // Out of descriptors, for example: not at once again.
                    let _ = timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
                    continue;
                }
            };
            let asker = asker.clone();
            tokio::spawn(async move {
                if timeout(LIMIT, connection(stream, asker)).await.is_err() {
                    tracing::debug!("who asked for metrics took too long");
                }
                drop(place);
            });
        }
    }
}

/// One request, for Prometheus asks a few times a minute.
async fn connection(stream: TcpStream, asker: Asker) {
    let service = service_fn(|request| respond(request, asker.clone()));
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(MAX_REQUEST_OCTETS);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "who asked for metrics went away");
    }
}

async fn respond(request: Request<Incoming>, asker: Asker) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match asker.snapshot().await {
            Some(snapshot) => (StatusCode::OK, text(&snapshot)),
            None => (StatusCode::SERVICE_UNAVAILABLE, "the gateway does not answer\n".to_owned()),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "there is only /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::tests::snapshot;
    use super::*;
    use crate::gateway::questions::{Question, questions};

    #[test]
    fn every_figure_has_its_name_kind_and_help() {
        insta::assert_snapshot!(text(&snapshot()));
    }

    #[test]
    fn names_follow_the_conventions_and_stand_once() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("nbgate_"), "{name}");
            assert!(
                name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Counter, "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\']), "{name}");
        }
    }

    async fn serving() -> SocketAddr {
        let port = Port::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = port.address().unwrap();
        let (asker, mut asked) = questions();
        tokio::spawn(port.serve(asker));
        tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                if let Question::Snapshot(answer) = question {
                    drop(answer.send(snapshot()));
                }
            }
        });
        address
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Closed with unread octets, it may well be a reset.
        let _ = timeout(LIMIT, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn only_get_metrics_is_answered_with_figures() {
        let address = serving().await;
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("text/plain; version=0.0.4") && answer.contains("\nnbgate_link_up 1\n"),
            "{answer}"
        );
        for (request, status) in [("GET / HTTP/1.1", "404"), ("POST /metrics HTTP/1.1", "405")] {
            let answer = ask(address, &format!("{request}\r\nHost: x\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_flood_of_headers_is_refused_and_a_silent_one_hinders_nobody() {
        let address = serving().await;
        let mut silent = vec![];
        for _ in 1..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let flood = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
        assert!(!ask(address, &flood).await.contains("nbgate_link_up"));
        assert!(ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.contains("nbgate_link_up 1"));
    }
}
