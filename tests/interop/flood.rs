//! A stray publisher cannot exhaust the gateway's memory: a flood on one topic, of large messages, on 100,000 topics.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::time::{interval, timeout};

use crate::STOP_LIMIT;
use crate::peers::mosquitto::Mosquitto;
use crate::peers::nbgate::{CLIENT_ID, Gateway};

/// What a flood may add to the memory of the gateway: its queues when full, and what the allocator keeps.
const MOST_GROWTH_KIB: u64 = 32 * 1024;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs real peers: scripts/test runs it"]
fn floods_leave_the_memory_bounded() {
    let broker = Mosquitto::start();
    let runtime = tempfile::tempdir().expect("a folder for the status socket");
    let gateway = Gateway::start(&format!(
        "uplink = \"udp\"\nruntime_dir = {:?}\n[lwm2m]\nendpoint = \"flooded\"\n[lwm2m.coap]\nprofile = \"lan\"\n\
         [[lwm2m.servers]]\nuri = \"coap://127.0.0.1:9\"\n\
         [mqtt]\nurl = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         [[mappings]]\ntopic = \"in/{{sensor}}\"\nobject = 3303\nresource = 5700\ninstance = \"{{sensor}}\"\n",
        runtime.path(),
        broker.url()
    ));
    broker.wait_for_subscription_of(CLIENT_ID);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio.block_on(async {
        let mut sent = flood(broker.port(), 2_000, |_| "in/one".to_owned(), |_| vec![b'1']).await;
        taken(runtime.path(), sent).await;
        let before = resident_kib(gateway.id());
        sent +=
            flood(broker.port(), 50_000, |_| "in/one".to_owned(), |number| number.to_string().into()).await;
        sent += flood(broker.port(), 300, |_| "in/large".to_owned(), |_| vec![b'x'; 200_000]).await;
        sent += flood(broker.port(), 100_000, |number| format!("in/{number}"), |_| vec![b'1']).await;
        sent += flood(broker.port(), 100_000, |number| format!("in/x{number}"), |_| vec![b'x']).await;
        taken(runtime.path(), sent).await;
        let after = resident_kib(gateway.id());
        println!("resident before {before} KiB, after {after} KiB");
        assert!(after < before + MOST_GROWTH_KIB, "{before} KiB before, {after} KiB after");
    });
    gateway.stop(STOP_LIMIT);
}

/// Publishes so many messages and waits until the broker has all; gives their number.
async fn flood(
    port: u16,
    messages: u64,
    topic: impl Fn(u64) -> String,
    payload: impl Fn(u64) -> Vec<u8>,
) -> u64 {
    let mut options = MqttOptions::new("stray", "127.0.0.1", port);
    options.set_inflight(100).set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut events) = AsyncClient::new(options, 200);
    let (mut sent, mut confirmed) = (0, 0);
    let published = async {
        while confirmed < messages {
            while sent < messages && sent < confirmed + 100 {
                client
                    .try_publish(topic(sent), QoS::AtLeastOnce, false, payload(sent))
                    .expect("room for the request");
                sent += 1;
            }
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.expect("the broker lives") {
                confirmed += 1;
            }
        }
    };
    timeout(PATIENCE, published).await.expect("in time");
    messages
}

/// Waits until the gateway has taken so many messages, or the broker has dropped what it would not keep.
async fn taken(runtime: &std::path::Path, messages: u64) {
    let mut tick = interval(Duration::from_millis(200));
    let came = async {
        let mut last = u64::MAX;
        loop {
            tick.tick().await;
            let now = received(runtime);
            if now >= messages || now == last {
                return;
            }
            last = now;
        }
    };
    timeout(PATIENCE, came).await.expect("in time");
}

fn received(runtime: &std::path::Path) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nbgate"));
    let output =
        command.args(["status", "--json", "--runtime-dir"]).arg(runtime).output().expect("it starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the status is JSON");
    report["messages"]["received"].as_u64().expect("a number of messages")
}

/// Resident memory of a process (proc(5)).
fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
