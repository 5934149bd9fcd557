//! Messages per second from a local mosquitto, mapped and acknowledged by the gateway's own loop, against a bare rumqttc
//! subscriber that acknowledges and discards them.
//!
//! `cargo bench --bench ingest`. The goal is 0.6 of the bare one, whatever the number of mapped topics. Each round the
//! broker holds the same messages for both, who fetch them one after the other, so that the publisher costs neither
//! anything. No server is there: what is measured ends with the value in the tree. The best round of each counts.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nbgate::config;
use nbgate::gateway::io::Event;
use nbgate::gateway::run::{Followers, run};
use nbgate::gateway::settings::Host;
use nbgate::link::clock;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, Outgoing, Packet, QoS, SubscribeFilter};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

const GOAL: f64 = 0.6;
const PATIENCE: Duration = Duration::from_secs(120);
const FILTERS_PER_PACKET: usize = 500;

/// How much is done.
struct Extent {
    topics: [usize; 3],
    rounds: usize,
    messages: usize,
    is_measured: bool,
}

impl Extent {
    fn of_this_run() -> Self {
        if std::env::args().any(|argument| argument == "--bench") {
            Self { topics: [10, 1_000, 10_000], rounds: 5, messages: 150_000, is_measured: true }
        } else {
            Self { topics: [1, 10, 50], rounds: 1, messages: 300, is_measured: false }
        }
    }
}

fn main() {
    let extent = Extent::of_this_run();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let Some(broker) = Broker::start().await else { return };
        println!("messages a second from a local mosquitto; goal {GOAL} of a bare subscriber");
        for topics in extent.topics {
            let (mut bare, mut mapped) = (0.0_f64, 0.0_f64);
            for _ in 0..extent.rounds {
                broker.fill("bare", topics, extent.messages).await;
                bare = bare.max(broker.drain_bare(extent.messages).await);
                broker.fill("nbgate", topics, extent.messages).await;
                mapped = mapped.max(broker.drain_mapped(topics, extent.messages).await);
            }
            let ratio = mapped / bare;
            let verdict = match (extent.is_measured, ratio >= GOAL) {
                (false, _) => "tried",
                (true, true) => "met",
                (true, false) => "MISSED",
            };
            println!(
                "{topics:6} topics  bare {bare:8.0} /s  mapped {mapped:8.0} /s  ratio {ratio:.2}  {verdict}"
            );
        }
    });
}

/// A mosquitto of the bench's own.
struct Broker {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Broker {
    /// `None`, and a line that says so, where mosquitto is not installed.
    async fn start() -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\nmax_inflight_messages 100\n"
        );
        std::fs::write(&file, text).expect("a configuration");
        let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let Some(process) = program else {
            println!("SKIPPED: mosquitto is not installed");
            return None;
        };
        let broker = Self { process, port, folder };
        let mut tick = interval(Duration::from_millis(20));
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, listening).await.expect("mosquitto listens");
        Some(broker)
    }

    fn connect(&self, client_id: &str) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", self.port);
        options.set_clean_session(false).set_inflight(100).set_max_packet_size(1 << 20, 1 << 20);
        AsyncClient::new(options, 200)
    }

    /// Makes the session of this client, and has so many messages wait in it.
    async fn fill(&self, client_id: &str, topics: usize, messages: usize) {
        let (client, mut events) = self.connect(client_id);
        let filters: Vec<_> =
            (0..topics).map(|number| SubscribeFilter::new(topic(number), QoS::AtLeastOnce)).collect();
        for packet in filters.chunks(FILTERS_PER_PACKET) {
            client.try_subscribe_many(packet.to_vec()).expect("room for the request");
            until(&mut events, |event| matches!(event, rumqttc::Event::Incoming(Packet::SubAck(_)))).await;
        }
        client.try_disconnect().expect("room for the request");
        until(&mut events, |event| matches!(event, rumqttc::Event::Outgoing(Outgoing::Disconnect))).await;

        let (client, mut events) = self.connect("publisher");
        let (mut sent, mut confirmed) = (0, 0);
        while confirmed < messages {
            while sent < messages && sent < confirmed + 100 {
                let payload = (sent % 400).to_string();
                client
                    .try_publish(topic(sent % topics), QoS::AtLeastOnce, false, payload)
                    .expect("room for the request");
                sent += 1;
            }
            until(&mut events, |event| matches!(event, rumqttc::Event::Incoming(Packet::PubAck(_)))).await;
            confirmed += 1;
        }
    }

    /// Messages a second that a subscriber takes which does nothing with them.
    async fn drain_bare(&self, messages: usize) -> f64 {
        let (client, mut events) = self.connect("bare");
        let is_message =
            |event: &rumqttc::Event| matches!(event, rumqttc::Event::Incoming(Packet::Publish(_)));
        until(&mut events, is_message).await;
        let start = clock::now();
        for _ in 1..messages {
            until(&mut events, is_message).await;
        }
        let rate = rate(messages, start);
        client.try_disconnect().expect("room for the request");
        until(&mut events, |event| matches!(event, rumqttc::Event::Outgoing(Outgoing::Disconnect))).await;
        rate
    }

    /// Messages a second that the gateway takes.
    async fn drain_mapped(&self, topics: usize, messages: usize) -> f64 {
        let text = configuration(self.port, topics, self.folder.path());
        let config = config::parse(&text, Host::default()).expect("the bench's configuration is good");
        // All of them find room: a follower that is slow would lose events.
        let (sender, mut events) = mpsc::channel(2 * messages + 1000);
        let (stop, asked) = watch::channel(false);
        let followers = Followers { events: Some(sender), ..Followers::default() };
        let gateway = tokio::spawn(run(config, followers, asked));
        let mut start = None;
        let mut taken = 0;
        let counted = async {
            while taken < messages {
                if let Event::Sample { .. } = events.recv().await.expect("the gateway runs") {
                    start = start.or_else(|| Some(clock::now()));
                    taken += 1;
                }
            }
        };
        timeout(PATIENCE, counted).await.expect("all messages come");
        let rate = rate(messages, start.expect("a first message"));
        stop.send(true).expect("the gateway runs");
        timeout(PATIENCE, gateway).await.expect("it ends").expect("no panic").expect("no error");
        rate
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn topic(number: usize) -> String {
    format!("site/{number}/temperature")
}

fn configuration(port: u16, topics: usize, folder: &Path) -> String {
    let mappings = (0..topics).map(|number| {
        format!(
            "[[mappings]]\ntopic = \"{}\"\nobject = 3303\nresource = 5700\ninstance = {number}\n",
            topic(number)
        )
    });
    format!(
        "uplink = \"udp\"\nstate_dir = {:?}\n[lwm2m]\nendpoint = \"gw\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n{}",
        folder.join("state"),
        mappings.collect::<String>()
    )
}

async fn until(events: &mut EventLoop, is_it: impl Fn(&rumqttc::Event) -> bool) {
    let came = async { while !is_it(&events.poll().await.expect("the broker lives")) {} };
    timeout(PATIENCE, came).await.expect("in time");
}

fn rate(messages: usize, start: Instant) -> f64 {
    messages as f64 / clock::now().saturating_duration_since(start).as_secs_f64()
}
