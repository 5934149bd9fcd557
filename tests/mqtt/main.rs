//! The MQTT edge against a real mosquitto on a free port: reconnection, acknowledgements, publishes, large messages.
//!
//! Skipped, aloud, where mosquitto is not installed. Every wait is bounded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acl;
mod peers;
mod status;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use nbgate::bridge::message::PublishId;
use nbgate::mqtt::{Event, MAX_PACKET_OCTETS, Order};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use peers::{BOUND, Client, Mosquitto};

/// A way to the broker that can be cut while the broker lives on.
struct Cable {
    port: u16,
    cut: watch::Sender<u64>,
}

impl Cable {
    async fn to(broker: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, watched) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut watched = watched.clone();
                watched.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], broker))).await
                    else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = watched.changed() => {}
                    }
                });
            }
        });
        Self { port, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test]
async fn messages_come_in_and_publishes_are_confirmed() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "one", &["in/+", "out/#"]).await;
    client.settle(&broker, "in/x").await;
    client.publish(7, "out/a", "30").await;
    let mut seen = vec![];
    while seen.len() < 2 {
        match client.event().await {
            Event::Published(id) => seen.push(format!("confirmed {}", id.0)),
            Event::Message(message, _) if message.topic == "out/a" => {
                seen.push(format!("came {}", String::from_utf8_lossy(&message.payload)));
            }
            _ => {}
        }
    }
    seen.sort();
    assert_eq!(seen, ["came 30", "confirmed 7"]);
}

#[tokio::test]
async fn a_burst_of_publishes_is_confirmed_one_by_one_and_nothing_is_lost() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "burst", &[]).await;
    for id in 0..300 {
        client.publish(id, "out/burst", id.to_string()).await;
        if id % 50 == 49 {
            for expected in id - 49..=id {
                assert_eq!(client.event().await, Event::Published(PublishId(expected)));
            }
        }
    }
}

#[tokio::test]
async fn a_full_event_channel_blocks_neither_orders_nor_the_connection() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "slow", &["in/#"]).await;
    client.settle(&broker, "in/x").await;
    // Nobody takes events meanwhile: more orders than any queue between us and the task holds.
    for id in 0..200 {
        client.publish(id, "in/loop", id.to_string()).await;
    }
    let mut confirmed = 0;
    let mut came = 0;
    while confirmed < 200 || came < 200 {
        match client.event().await {
            Event::Published(_) => confirmed += 1,
            Event::Message(_, handle) => {
                came += 1;
                client.order(Order::Acknowledge(handle)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn after_a_restart_of_the_broker_it_connects_and_subscribes_again() {
    let Some(broker) = Mosquitto::start().await else { return };
    let port = broker.port;
    let mut client = Client::subscribed(port, "again", &["in/#"]).await;
    client.settle(&broker, "in/x").await;
    drop(broker);
    assert!(matches!(client.event().await, Event::Lost { .. }));
    client.publish(1, "out/a", "x").await;
    assert!(matches!(client.event().await, Event::PublishFailed(PublishId(1), _)));
    let Some(broker) = Mosquitto::start_on(port).await else { return };
    let (session, present) = client.connected().await;
    assert!(session > 1 && !present);
    client.settle(&broker, "in/y").await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_acknowledgements_of_an_earlier_connection_are_void() {
    let Some(broker) = Mosquitto::start().await else { return };
    let cable = Cable::to(broker.port).await;
    let mut client = Client::subscribed(cable.port, "durable", &["in/#"]).await;
    client.settle(&broker, "in/x").await;
    broker.publish(&["-t", "in/a", "-m", "one"]);
    let (message, old) = client.message().await;
    assert_eq!(message.payload, b"one");
    cable.cut();
    let (session, present) = client.connected().await;
    assert!(session > old.session && present);
    let (message, new) = client.message().await;
    assert_eq!(message.payload, b"one");
    assert_eq!(new.session, session);
    // The old handle must not acknowledge anything: after another cut the message is there again.
    client.order(Order::Acknowledge(old)).await;
    cable.cut();
    client.connected().await;
    let (message, handle) = client.message().await;
    assert_eq!(message.payload, b"one");
    client.order(Order::Acknowledge(handle)).await;
    broker.publish(&["-t", "in/b", "-m", "two"]);
    assert_eq!(client.message_on("in/b").await.payload, b"two");
    cable.cut();
    client.connected().await;
    // "two" may come again, if the cut was quicker than its acknowledgement; "one" must not.
    broker.publish(&["-t", "in/c", "-m", "three"]);
    loop {
        let (message, _) = client.message().await;
        assert_ne!(message.payload, b"one");
        if message.payload == b"three" {
            break;
        }
    }
}

#[tokio::test]
async fn messages_that_came_while_away_are_delivered_after_the_return() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "away", &["in/#"]).await;
    client.settle(&broker, "in/x").await;
    drop(client.orders);
    timeout(BOUND, client.task).await.expect("ends in time").unwrap();
    broker.publish(&["-t", "in/a", "-m", "while away"]);
    let mut client = Client::start(broker.port, "away");
    assert_eq!(client.connected().await, (1, true));
    assert_eq!(client.message_on("in/a").await.payload, b"while away");
}

#[tokio::test]
async fn filters_that_are_no_longer_wanted_are_unsubscribed_and_the_others_stay() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "other", &["old/#", "both/#"]).await;
    client.settle(&broker, "old/x").await;
    client.order(Order::Subscribe(["both/#", "new/#"].map(str::to_owned).to_vec())).await;
    client.settle(&broker, "new/x").await;
    expect_only(&mut client, &broker, "old/a").await;
}

#[tokio::test]
async fn filters_that_were_given_up_while_away_are_unsubscribed_from_the_session_that_was_kept() {
    let Some(broker) = Mosquitto::start().await else { return };
    let cable = Cable::to(broker.port).await;
    let mut client = Client::subscribed(cable.port, "kept", &["old/#", "both/#"]).await;
    client.settle(&broker, "old/x").await;
    cable.cut();
    while !matches!(client.event().await, Event::Lost { .. }) {}
    client.order(Order::Subscribe(["both/#", "new/#"].map(str::to_owned).to_vec())).await;
    assert!(client.connected().await.1, "the session was kept");
    client.settle(&broker, "new/x").await;
    expect_only(&mut client, &broker, "old/a").await;
}

/// Of a message on `gone` and one on `both/b` after it, only the latter comes.
async fn expect_only(client: &mut Client, broker: &Mosquitto, gone: &str) {
    broker.publish(&["-t", gone, "-m", "nobody wants it"]);
    broker.publish(&["-t", "both/b", "-m", "last"]);
    loop {
        let (message, handle) = client.message().await;
        client.order(Order::Acknowledge(handle)).await;
        assert_ne!(message.topic, gone);
        if message.topic == "both/b" {
            break;
        }
    }
}

#[tokio::test]
async fn a_publish_that_is_withdrawn_while_the_broker_takes_none_never_leaves() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "regret", &["out/#"]).await;
    client.settle(&broker, "out/settle").await;
    broker.signal("STOP");
    // As many as may be in flight, and one more that has to wait.
    for id in 0..17 {
        client.publish(id, "out/many", id.to_string()).await;
    }
    client.order(Order::Withdraw(PublishId(16))).await;
    client.publish(17, "out/last", "x").await;
    broker.signal("CONT");
    let mut confirmed = vec![];
    while confirmed.last() != Some(&17) {
        match client.event().await {
            Event::Published(id) => confirmed.push(id.0),
            Event::Message(message, handle) => {
                assert_ne!(message.payload, b"16");
                client.order(Order::Acknowledge(handle)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!confirmed.contains(&16), "{confirmed:?}");
}

#[tokio::test]
async fn large_messages_pass_up_to_the_limit() {
    let Some(broker) = Mosquitto::start().await else { return };
    let mut client = Client::subscribed(broker.port, "large", &["in/#"]).await;
    client.settle(&broker, "in/x").await;
    client.publish(1, "in/big", vec![b'x'; MAX_PACKET_OCTETS]).await;
    assert!(
        matches!(client.event().await, Event::PublishFailed(PublishId(1), why) if why.contains("larger"))
    );
    client.publish(2, "in/big", vec![b'x'; MAX_PACKET_OCTETS - 20]).await;
    assert_eq!(client.message_on("in/big").await.payload.len(), MAX_PACKET_OCTETS - 20);
}

#[tokio::test]
async fn a_retained_message_that_is_too_large_shuts_out_its_own_filter_only() {
    let Some(broker) = Mosquitto::start().await else { return };
    let files = tempfile::tempdir().unwrap();
    let huge = files.path().join("huge");
    std::fs::write(&huge, vec![b'x'; MAX_PACKET_OCTETS + 1]).unwrap();
    broker.publish(&["-t", "b/huge", "-r", "-f", huge.to_str().unwrap()]);
    broker.publish(&["-t", "c/small", "-r", "-m", "well"]);
    let mut client = Client::start(broker.port, "careful");
    client.order(Order::Subscribe(["a/#", "b/#", "c/#"].map(str::to_owned).to_vec())).await;
    assert_eq!(client.message_on("c/small").await.payload, b"well");
    // From here on the connection stays.
    client.settle(&broker, "c/other").await;
}

#[tokio::test]
async fn a_broker_that_slams_the_door_is_not_hammered() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = Client::start(port, "patient");
    let mut attempts = 0;
    let slam = async {
        loop {
            drop(listener.accept().await.unwrap());
            attempts += 1;
        }
    };
    assert!(timeout(Duration::from_secs(4), slam).await.is_err());
    assert!((2..=4).contains(&attempts), "{attempts}");
    assert!(matches!(client.event().await, Event::Lost { .. }));
    assert!(client.events.try_recv().is_err(), "only the first failure of a row is told");
}
