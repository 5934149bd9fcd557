//! A real mosquitto on a free port of 127.0.0.1, with its publisher and subscriber.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use super::process::{PATIENCE, Process};

/// A broker of the test's own.
pub struct Mosquitto {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Mosquitto {
    /// Starts a broker that keeps nothing and tells what it does.
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    /// Ends it as a power cut does; gives its port, for another one at the same address.
    pub fn kill(self) -> u16 {
        self.process.signal("KILL");
        self.process.wait_for_end(PATIENCE);
        self.port
    }

    /// As [`Mosquitto::start`], on this port.
    pub fn start_on(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the broker's configuration");
        let config = folder.path().join("mosquitto.conf");
        // `user root`: started as root in a namespace that has no other user, it could not become one.
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\nlog_dest stderr\nlog_type all\n"
        );
        fs::write(&config, text).expect("the configuration can be written");
        let process = Process::start("mosquitto", Command::new("mosquitto").arg("-c").arg(&config));
        process.wait_for_text(" running");
        Self { process, port, _folder: folder }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address for a client's configuration.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Waits until the broker has acknowledged a subscription of this client.
    pub fn wait_for_subscription_of(&self, client_id: &str) {
        self.process.wait_for_text(&format!("Sending SUBACK to {client_id}"));
    }

    /// Waits until somebody has subscribed to this filter.
    pub fn wait_for_subscription_to(&self, filter: &str) {
        self.process.wait_for_text(&format!("\t{filter} (QoS"));
    }

    /// Waits until somebody has unsubscribed from this filter.
    pub fn wait_for_end_of_subscription_to(&self, filter: &str) {
        // It writes `TIME: \tFILTER` below "Received UNSUBSCRIBE".
        let is_it = |line: &str| line.ends_with(&format!("\t{filter}"));
        self.process.wait_for("UNSUBSCRIBE", 0, PATIENCE, |line| is_it(line).then_some(()));
    }

    /// Stops it as it is: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Publishes with QoS 1 and waits for the broker's acknowledgement.
    pub fn publish(&self, topic: &str, payload: &str) {
        let mut command = self.client("mosquitto_pub");
        Process::start("mosquitto_pub", command.args(["-q", "1", "-t", topic, "-m", payload])).finish();
    }

    /// Publishes a retained message: who subscribes later has it, too.
    pub fn retain(&self, topic: &str, payload: &str) {
        let mut command = self.client("mosquitto_pub");
        Process::start("mosquitto_pub", command.args(["-r", "-q", "1", "-t", topic, "-m", payload])).finish();
    }

    /// Subscribes as `client_id` and waits until the subscription stands.
    pub fn subscribe(&self, client_id: &str, filter: &str) -> Subscriber {
        let mut command = self.client("mosquitto_sub");
        command.args(["-i", client_id, "-q", "1", "-F", "%t %p", "-t", filter]);
        let process = Process::start("mosquitto_sub", &mut command);
        self.wait_for_subscription_of(client_id);
        Subscriber { process }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }
}

/// A running `mosquitto_sub`.
pub struct Subscriber {
    process: Process,
}

impl Subscriber {
    /// Waits for a message on this topic and gives its payload.
    pub fn message_on(&self, topic: &str) -> String {
        let prefix = format!("{topic} ");
        self.process.wait_for(topic, 0, PATIENCE, |line| line.strip_prefix(&prefix).map(str::to_owned))
    }

    /// All messages from line `mark` on that came before the one that reads `end`, each as topic, blank, payload.
    pub fn messages_until(&self, mark: usize, end: &str) -> Vec<String> {
        self.process.wait_for(end, mark, PATIENCE, |line| (line == end).then_some(()));
        self.process.lines_since(mark).into_iter().take_while(|line| line != end).collect()
    }

    /// How much has come so far; see [`Subscriber::hears`].
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// Whether this message (`TOPIC PAYLOAD`) comes, from `mark` on.
    pub fn hears(&self, message: &str, mark: usize) -> bool {
        self.process.hear(mark, PATIENCE, |line| (line == message).then_some(())).is_some()
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
