//! The status topic: what it says while we are there, after a tidy end and after none.

use nbgate::mqtt::{Order, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::peers::{BOUND, Client, Mosquitto};

const TOPIC: &str = "nbgate/status";
const ONLINE: &str = r#"{"state":"online"}"#;
const OFFLINE: &str = r#"{"state":"offline"}"#;

fn gateway(broker: &Mosquitto) -> Client {
    let settings = Settings::new(&format!("mqtt://127.0.0.1:{}", broker.port), "gateway", None).unwrap();
    Client::with(settings.with_status_topic(TOPIC).unwrap())
}

/// Waits until the topic says this.
async fn says(watcher: &mut Client, expected: &str) {
    let status = watcher.message_on(TOPIC).await;
    assert_eq!(String::from_utf8_lossy(&status.payload), expected);
}

#[tokio::test]
async fn the_status_is_retained_follows_changes_and_ends_as_offline() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = gateway(&broker);
    client.connected().await;
    let mut watcher = Client::subscribed(broker.port, "watcher", &[TOPIC]).await;
    says(&mut watcher, ONLINE).await;
    client.order(Order::Status("{\"state\":\"online\",\"registered\":1}".to_owned())).await;
    says(&mut watcher, "{\"state\":\"online\",\"registered\":1}").await;
    drop(client.orders);
    timeout(BOUND, client.task).await.expect("ends in time").unwrap();
    says(&mut watcher, OFFLINE).await;
    let mut late = Client::subscribed(broker.port, "late", &[TOPIC]).await;
    let status = late.message_on(TOPIC).await;
    assert!(status.retain && status.payload == OFFLINE.as_bytes());
}

#[tokio::test]
async fn the_last_will_says_offline_and_a_new_connection_says_the_last_status_again() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut watcher = Client::subscribed(broker.port, "watcher", &[TOPIC, "settle"]).await;
    watcher.settle(&broker, "settle").await;
    let cable = crate::Cable::to(broker.port).await;
    let settings = Settings::new(&format!("mqtt://127.0.0.1:{}", cable.port), "gateway", None).unwrap();
    let mut client = Client::with(settings.with_status_topic(TOPIC).unwrap());
    client.connected().await;
    says(&mut watcher, ONLINE).await;
    client.order(Order::Status("changed".to_owned())).await;
    says(&mut watcher, "changed").await;
    cable.cut();
    says(&mut watcher, OFFLINE).await;
    says(&mut watcher, "changed").await;
    client.task.abort();
    says(&mut watcher, OFFLINE).await;
}

/// A broker that closes the connection over every publish, as it may if it does not allow it (MQTT 3.1.1 §3.3.5). Gives
/// the number of connections so far once one has lasted to its SUBSCRIBE.
async fn closes_over_publishes(listener: TcpListener) -> usize {
    for connections in 1.. {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut octets = [0; 1024];
        assert!(socket.read(&mut octets).await.unwrap() > 0, "CONNECT");
        socket.write_all(b"\x20\x02\x00\x00").await.unwrap();
        // The first octet of a packet says its type; SUBSCRIBE is 0x82.
        if socket.read(&mut octets).await.unwrap() > 0 && octets[0] == 0x82 {
            return connections;
        }
    }
    0
}

#[tokio::test]
async fn a_status_that_the_broker_does_not_allow_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let settings = Settings::new(&url, "muted", None).unwrap().with_status_topic(TOPIC).unwrap();
    let client = Client::with(settings);
    client.order(Order::Subscribe(vec!["a".to_owned()])).await;
    let connections = timeout(BOUND, closes_over_publishes(listener)).await.expect("in time");
    assert_eq!(connections, 4);
}
