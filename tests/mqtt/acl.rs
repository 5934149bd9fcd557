//! The access list that `nbgate check` prints, in a broker that enforces it.

use nbgate::bridge::Bridge;
use nbgate::config;
use nbgate::gateway::settings::Host;
use nbgate::mqtt::{Event, Order, Settings, advice};

use crate::peers::{Client, Mosquitto, free_port};

const MAPPINGS: &str = r#"
[[lwm2m.servers]]
uri = "coap://127.0.0.1:9"

[[mappings]]
topic = "sensors/{room}/t"
object = 3303
resource = 5700
instance = "{room}"

[[mappings]]
topic = "lamps/{lamp}/dim"
object = 3416
resource = 1
instance = "{lamp}"
command = { topic = "lamps/{lamp}/set" }
"#;

#[tokio::test]
async fn the_printed_access_list_lets_through_what_the_mappings_need_and_nothing_else() {
    let port = free_port();
    let text = format!(
        "uplink = \"udp\"\n[lwm2m]\nendpoint = \"gw\"\n[mqtt]\nurl = \"mqtt://gateway:x@127.0.0.1:{port}\"\n{MAPPINGS}"
    );
    let config = config::parse(&text, Host::default()).unwrap();
    let reads = Bridge::new(config.gateway.mappings.clone()).topic_filters();
    let writes = config.gateway.mappings.publications();
    let list = advice::access_list(
        &config.mqtt,
        reads.iter().map(String::as_str),
        writes.iter().map(String::as_str),
    );
    let files = tempfile::tempdir().unwrap();
    let acl = files.path().join("acl");
    // Others may do everything: the test's own publisher and watcher have no name.
    std::fs::write(&acl, format!("topic readwrite #\n{list}\n")).unwrap();
    let lines = format!(
        "allow_anonymous true\nacl_file {}\n{}\n",
        acl.display(),
        advice::queue_settings(&config.mqtt)
    );
    let Some(broker) = Mosquitto::start_with(port, &lines.replace("persistence true", ""), files).await
    else {
        return;
    };

    let mut watcher = Client::subscribed(port, "watcher", &["#"]).await;
    watcher.settle(&broker, "settle").await;
    let mut client = Client::with(config.mqtt.clone());
    let filters = reads.iter().cloned().chain(["secret/#".to_owned()]).collect();
    client.order(Order::Subscribe(filters)).await;
    client.connected().await;
    client.settle(&broker, "sensors/kitchen/t").await;
    broker.publish(&["-t", "secret/a", "-m", "not for us"]);
    broker.publish(&["-t", "lamps/l1/dim", "-m", "last"]);
    let (message, _) = client.message().await;
    assert_eq!(message.topic, "lamps/l1/dim", "what is not granted does not come");

    assert_eq!(watcher.message_on("nbgate/status").await.payload, br#"{"state":"online"}"#);
    client.publish(1, "lamps/l1/set", "x").await;
    while !matches!(client.event().await, Event::Published(_)) {}
    // mosquitto 2.0.11 closes the connection over this one; later ones confirm and drop it.
    client.publish(2, "secret/b", "x").await;
    while !matches!(client.event().await, Event::Published(_) | Event::PublishFailed(..)) {}
    broker.publish(&["-t", "end", "-m", "x"]);
    let mut topics = vec![];
    loop {
        let (message, _) = watcher.message().await;
        topics.push(message.topic);
        if topics.last().is_some_and(|topic| topic == "end") {
            break;
        }
    }
    let came = |topic: &str| topics.iter().any(|came| came == topic);
    assert!(came("lamps/l1/set") && !came("secret/b"), "what is not granted does not leave: {topics:?}");
}

#[tokio::test]
async fn a_status_topic_that_the_broker_does_not_allow_does_not_keep_us_from_staying_connected() {
    let files = tempfile::tempdir().unwrap();
    let acl = files.path().join("acl");
    std::fs::write(&acl, "topic readwrite in/#\n").unwrap();
    let lines = format!("allow_anonymous true\nacl_file {}\n", acl.display());
    let port = free_port();
    let Some(broker) = Mosquitto::start_with(port, &lines, files).await else { return };
    let settings = Settings::new(&format!("mqtt://127.0.0.1:{port}"), "muted", None).unwrap();
    let mut client = Client::with(settings.with_status_topic("nbgate/status").unwrap());
    client.order(Order::Subscribe(vec!["in/#".to_owned()])).await;
    client.settle(&broker, "in/a").await;
    // Whatever the broker did to the first connections, this one stands.
    client.order(Order::Status("changed".to_owned())).await;
    client.settle(&broker, "in/b").await;
}
