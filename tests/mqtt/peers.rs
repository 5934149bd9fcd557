//! A mosquitto of the test's own, and our client.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nbgate::bridge::message::{Message, PublishId};
use nbgate::mqtt::{self, AckHandle, Event, Order, Settings};
use nbgate::seed::Seed;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

/// Longest wait for anything that must happen.
pub const BOUND: Duration = Duration::from_secs(20);

/// A mosquitto of our own; ends with the test.
pub struct Mosquitto {
    process: Child,
    /// Where it listens.
    pub port: u16,
    _files: tempfile::TempDir,
}

impl Mosquitto {
    /// `None`, and a line that says so, where mosquitto is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_on(free_port()).await
    }

    pub async fn start_on(port: u16) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let rest = "allow_anonymous true\n";
        Self::start_with(port, rest, files).await
    }

    /// With these lines behind those of the listener.
    pub async fn start_with(port: u16, lines: &str, files: tempfile::TempDir) -> Option<Self> {
        let config = files.path().join("mosquitto.conf");
        // `user root`: started as root it would become another user, who cannot read the test's files.
        let text = format!("listener {port} 127.0.0.1\npersistence false\nuser root\n{lines}");
        std::fs::write(&config, text).unwrap();
        let program =
            ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "mosquitto"].into_iter().find(|program| {
                Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
            });
        let Some(program) = program else {
            eprintln!("SKIPPED: mosquitto is not installed");
            return None;
        };
        let process = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listening = async {
            let mut tick = interval(Duration::from_millis(20));
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tick.tick().await;
            }
        };
        timeout(BOUND, listening).await.expect("mosquitto listens");
        Some(Self { process, port, _files: files })
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Publishes with another program than ours.
    pub fn publish(&self, arguments: &[&str]) {
        let port = self.port.to_string();
        let status =
            Command::new("mosquitto_pub").args(["-p", &port, "-q", "1"]).args(arguments).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Our client, and what it tells.
pub struct Client {
    pub orders: mpsc::Sender<Order>,
    pub events: mpsc::Receiver<Event>,
    pub task: tokio::task::JoinHandle<()>,
}

impl Client {
    pub fn start(port: u16, client_id: &str) -> Self {
        Self::with(Settings::new(&format!("mqtt://127.0.0.1:{port}"), client_id, None).unwrap())
    }

    pub fn with(settings: Settings) -> Self {
        let (event_sender, events) = mpsc::channel(8);
        let (orders, order_receiver) = mpsc::channel(64);
        let task = mqtt::spawn(settings, Seed::new(1), event_sender, order_receiver);
        Self { orders, events, task }
    }

    /// A client that is connected and subscribed to these.
    pub async fn subscribed(port: u16, client_id: &str, filters: &[&str]) -> Self {
        let mut client = Self::start(port, client_id);
        client.order(Order::Subscribe(filters.iter().map(|f| (*f).to_owned()).collect())).await;
        client.connected().await;
        client
    }

    pub async fn order(&self, order: Order) {
        timeout(BOUND, self.orders.send(order)).await.expect("in time").expect("the task lives");
    }

    pub async fn event(&mut self) -> Event {
        timeout(BOUND, self.events.recv()).await.expect("in time").expect("the task lives")
    }

    /// Skips everything before the next connection: its number, and whether the session was there.
    pub async fn connected(&mut self) -> (u64, bool) {
        loop {
            if let Event::Connected { session, present } = self.event().await {
                return (session, present);
            }
        }
    }

    /// The next message, skipping everything else.
    pub async fn message(&mut self) -> (Message, AckHandle) {
        loop {
            if let Event::Message(message, handle) = self.event().await {
                return (message, handle);
            }
        }
    }

    /// The next message on this topic, acknowledging those before it.
    pub async fn message_on(&mut self, topic: &str) -> Message {
        loop {
            let (message, handle) = self.message().await;
            self.order(Order::Acknowledge(handle)).await;
            if message.topic == topic {
                return message;
            }
        }
    }

    pub async fn publish(&self, id: u64, topic: &str, payload: impl Into<Vec<u8>>) {
        let message = Message { topic: topic.to_owned(), payload: payload.into(), retain: false };
        self.order(Order::Publish(PublishId(id), message)).await;
    }

    /// Publishes until the subscriber's SUBSCRIBE is surely through: a message on `topic` came back.
    pub async fn settle(&mut self, broker: &Mosquitto, topic: &str) {
        let came = async {
            loop {
                broker.publish(&["-t", topic, "-m", "settle"]);
                if let Ok(message) = timeout(Duration::from_millis(500), self.message_on(topic)).await {
                    return message;
                }
            }
        };
        timeout(BOUND, came).await.expect("subscribed");
    }
}
