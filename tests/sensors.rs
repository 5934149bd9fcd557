//! The lab's sensors: that the bridge makes of their messages what they say a server should see, and that the program
//! plays them to a broker, rumqttd or any other.
#![cfg(feature = "lab")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use figment::providers::{Format, Toml};
use nbgate::bridge::message::{Message, PublishId};
use nbgate::bridge::{Bridge, Event, compile, mapping};
use nbgate::clock::UnixTime;
use nbgate::lab::broker_edge;
use nbgate::lab::sensors::{Kind, MAPPINGS_TOML, Player, Reading};
use nbgate::link::clock;
use nbgate::lwm2m::Value;
use nbgate::lwm2m::model::Model;
use nbgate::mqtt::{self, Order, Settings};
use nbgate::seed::Seed;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything that must happen.
const BOUND: Duration = Duration::from_secs(20);

fn reading(value: &Value) -> Reading {
    match value {
        Value::Integer(number) => Reading::Number(*number as f64),
        Value::Float(number) => Reading::Number(*number),
        Value::Boolean(value) => Reading::Boolean(*value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bridge_makes_of_every_message_what_the_player_says_a_server_should_see() {
    let settings: Vec<mapping::Settings> =
        figment::Figment::from(Toml::string(MAPPINGS_TOML)).extract_inner("mappings").unwrap();
    let mut bridge = Bridge::new(compile(&settings, &Model::builtin()).unwrap());
    let start = clock::now();
    for kind in Kind::ALL {
        let mut player =
            Player::new(kind, Duration::from_secs(60), Seed::new(3), start, UnixTime::from_secs(0));
        let mut seen = BTreeMap::new();
        let mut now = start;
        for _ in 0..1000 {
            while let Some(message) = player.poll_message(now) {
                let message =
                    Message { topic: message.topic, payload: message.payload, retain: message.retain };
                bridge.handle_message(message, now);
            }
            now = player.poll_timeout().unwrap().at;
        }
        while let Some(event) = bridge.poll_event() {
            let Event::Value { path, value, .. } = event else { panic!("{event:?}") };
            assert_eq!((path.object(), path.instance()), (Some(kind.object()), Some(0)));
            seen.insert(path.resource().unwrap(), reading(&value));
        }
        assert_eq!(&seen, player.last(), "{kind:?}");
        assert!(player.published_total() >= 1000);
    }
}

#[tokio::test]
async fn the_program_plays_its_sensors_to_a_broker_and_its_lamp_obeys() {
    let address = broker_edge::start(None).await.unwrap();
    let url = format!("mqtt://{address}");
    let (event_sender, mut events) = mpsc::channel(64);
    let (orders, order_receiver) = mpsc::channel(64);
    mqtt::spawn(Settings::new(&url, "listener", None).unwrap(), Seed::new(1), event_sender, order_receiver);
    let filters = ["parking/#", "meter/#", "city/#", "lamps/+/state", "lamps/+/order"].map(str::to_owned);
    orders.send(Order::Subscribe(filters.to_vec())).await.unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_nbgate"))
        .args(["lab", "sensors", "--broker", &url, "--period", "200ms", "--for", "15s"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut topics = BTreeMap::new();
    let mut is_dimmed = false;
    let heard = async {
        while topics.values().filter(|count| **count >= 3).count() < 4 || !is_dimmed {
            match events.recv().await.unwrap() {
                mqtt::Event::Message(message, handle) => {
                    if message.topic == "lamps/21/state" && !topics.contains_key(&message.topic) {
                        let set = Message {
                            topic: "lamps/21/set".to_owned(),
                            payload: br#"{"dim":30}"#.to_vec(),
                            retain: false,
                        };
                        orders.send(Order::Publish(PublishId(1), set)).await.unwrap();
                    }
                    let text = String::from_utf8(message.payload).unwrap();
                    is_dimmed |= message.topic == "lamps/21/state" && text.contains(r#""dim":30"#);
                    *topics.entry(message.topic).or_insert(0) += 1;
                    orders.send(Order::Acknowledge(handle)).await.unwrap();
                }
                mqtt::Event::PublishFailed(_, why) => panic!("{why}"),
                _ => {}
            }
        }
    };
    let result = timeout(BOUND, heard).await;
    let _ = program.kill();
    let _ = program.wait();
    result.unwrap_or_else(|_| panic!("heard {topics:?}, dimmed {is_dimmed}"));
}

#[tokio::test]
async fn a_broker_on_a_port_that_is_taken_says_so() {
    let address = broker_edge::start(None).await.unwrap();
    assert!(broker_edge::start(Some(address.port())).await.is_err());
}

#[test]
fn only_with_a_broker_can_the_sensors_succeed() {
    let output = Command::new(env!("CARGO_BIN_EXE_nbgate"))
        .args(["lab", "sensors", "--broker", "mqtt://127.0.0.1:1", "--for", "300ms", "--only", "water,lamp"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing could be published"));
}
