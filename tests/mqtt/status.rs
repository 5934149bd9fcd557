//! The status topic: what it says while we are there, after a tidy end and after none.

use nbgate::mqtt::{Order, Settings};
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
