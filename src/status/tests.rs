//! A service in full swing, for the tests of what is told of it.

use std::time::{Duration, Instant};

use crate::gateway::core::books::Totals;
use crate::gateway::core::keeper;
use crate::gateway::snapshot::{BrokerStatus, MappingStatus, Refusal, Snapshot, ValueStatus};
use crate::lwm2m::client::{self, ServerStatus};
use crate::lwm2m::{Path, Value};
use crate::net::{Cell, Identity, LinkFacts, NetworkRegistration, Peer, Signal, Traffic};
use crate::{bridge, coap};

/// An hour after the start.
#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
pub(super) fn snapshot() -> Snapshot {
    let started = Instant::now();
    let taken = started + Duration::from_secs(3600);
    let ago = |seconds| taken - Duration::from_secs(seconds);
    Snapshot {
        taken,
        started,
        stopping: false,
        endpoint: Some("urn:imei:351358815178345".to_owned()),
        link: link(),
        broker: BrokerStatus {
            connected: true,
            since: Some(ago(3590)),
            reason: String::new(),
            connections: 1,
        },
        store: keeper::Status { restored: 7, commits: 3, writes: 9, ..keeper::Status::default() },
        books: Totals {
            received: 1000,
            reported: 900,
            superseded: 80,
            refused: 12,
            dropped: 3,
            pending: 5,
            misfits: 0,
        },
        bridge: bridge::Stats { messages: 500, unmatched: 2, published: 4, ..bridge::Stats::default() },
        client: client::Stats { registrations: 1, updates: 3, ..client::Stats::default() },
        coap: coap::Stats { resends: 12, ..coap::Stats::default() },
        servers: vec![registered(taken)],
        mappings: 1,
        values: 2,
        refusals: vec![Refusal {
            source: "city/manhole/7\u{1b}[2J".to_owned(),
            why: "/tilt: the value is null".to_owned(),
            last: ago(61),
            times: 15,
        }],
    }
}

fn link() -> LinkFacts {
    LinkFacts {
        up: true,
        state: "online",
        identity: Identity {
            manufacturer: Some("Quectel".to_owned()),
            model: Some("BG95-M3".to_owned()),
            imei: Some("351358815178345".to_owned()),
            imsi: Some("001010123456789".to_owned()),
            ..Identity::default()
        },
        registration: NetworkRegistration::Roaming,
        signal: Signal { rsrp_dbm: Some(-101), ..Signal::default() },
        cell: Cell { cell_id: Some(0x01A2_B3C4), band: Some(20), ..Cell::default() },
        operator: Some("Example".to_owned()),
        technology: Some("NBIoT".to_owned()),
        traffic: Traffic { octets_up: 4321, octets_down: 1234, datagrams_up: 60, datagrams_down: 55 },
        ..LinkFacts::default()
    }
}

/// A server that registered us a while before.
pub(super) fn registered(taken: Instant) -> ServerStatus {
    ServerStatus {
        short_server_id: 1,
        peer: Some(Peer("192.0.2.1:5683".parse().unwrap())),
        state: "registered",
        trouble: None,
        location: Some("/rd/5a3f".to_owned()),
        updated: Some(taken - Duration::from_secs(300)),
        expires: Some(taken + Duration::from_secs(86_100)),
        observations: 3,
    }
}

/// The temperature in one of many rooms.
#[expect(clippy::disallowed_methods, reason = "a test needs some origin of time")]
pub(super) fn value(instance: u16) -> ValueStatus {
    ValueStatus {
        path: Path::resource_of(3303, instance, 5700),
        key: vec![format!("room-{instance}")],
        value: Value::Float(21.5),
        last: Instant::now(),
    }
}

/// One of several mappings; with a value if it has a time.
pub(super) fn mapping(number: usize, last: Option<Instant>) -> MappingStatus {
    let path = Path::resource_of(3303, 9, 5700);
    MappingStatus {
        mapping: bridge::MappingStatus {
            number,
            topic: format!("site-{number}/{{room}}\u{1b}"),
            object: 3303,
            values: last.map_or(0, |_| 412),
            refused: 3,
            last: last.map(|last| (path, last)),
        },
        value: last.map(|_| Value::Float(21.5)),
    }
}
