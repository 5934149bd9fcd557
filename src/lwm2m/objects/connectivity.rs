//! Object 4, Connectivity Monitoring: bearer, signal, addresses and cell, as the link tells them.

use super::{Fact, integer};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Value};
use crate::net::LinkFacts;

/// Object ID.
pub const ID: u16 = 4;
/// Its only instance.
pub const INSTANCE: Path = Path::instance_of(ID, 0);

/// Network bearers (resource 0): the numbers of the object's definition.
const GSM: i64 = 0;
const LTE_FDD: i64 = 6;
const NB_IOT: i64 = 7;
const ETHERNET: i64 = 41;

/// The resources of /4/0.
pub fn facts(link: &LinkFacts) -> Vec<Fact> {
    let bearer = Value::Integer(bearer(link));
    let signal = &link.signal;
    let cell = &link.cell;
    let list = |value: Option<Value>| Content::Multiple(value.map(|value| (0, value)).into_iter().collect());
    let address = link.address.map(|address| Value::String(address.to_string()));
    let apn = link.apn.clone().map(Value::String);
    vec![
        (0, Some(Content::Single(bearer.clone()))),
        (1, Some(list(Some(bearer)))),
        // Of an LTE carrier the reference signal counts (OBJ-03).
        (2, integer(signal.rsrp_dbm.or(signal.rssi_dbm))),
        (3, integer(signal.rsrq_db)),
        (4, Some(list(address))),
        (7, apn.map(|apn| list(Some(apn)))),
        (8, integer(cell.cell_id)),
        (9, integer(cell.mnc)),
        (10, integer(cell.mcc)),
        (11, integer(signal.sinr_db.map(|sinr| sinr.round() as i16))),
        // LTE's word for the location area is tracking area.
        (12, integer(cell.tac)),
    ]
}

/// By the technology that the modem names; a link without a modem is a wire.
fn bearer(link: &LinkFacts) -> i64 {
    let Some(technology) = &link.technology else {
        return if link.identity.imei.is_some() { NB_IOT } else { ETHERNET };
    };
    let technology = technology.to_ascii_uppercase();
    let names = |words: &[&str]| words.iter().any(|word| technology.contains(word));
    if names(&["NB"]) {
        NB_IOT
    } else if names(&["LTE", "EMTC", "CAT"]) {
        LTE_FDD
    } else if names(&["GSM", "GPRS", "EDGE"]) {
        GSM
    } else {
        NB_IOT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Cell, Identity, Signal};

    #[test]
    fn modem_facts_become_resources_obj_03() {
        let link = LinkFacts {
            technology: Some("NBIoT".into()),
            signal: Signal { rsrp_dbm: Some(-97), rssi_dbm: Some(-80), ..Signal::default() },
            cell: Cell {
                cell_id: Some(0x1a2_b3c4),
                tac: Some(0x1234),
                mcc: Some(262),
                mnc: Some(1),
                ..Cell::default()
            },
            address: Some("10.1.2.3".parse().unwrap()),
            apn: Some("iot".into()),
            ..LinkFacts::default()
        };
        let facts = facts(&link);
        let of =
            |id| facts.iter().find(|(resource, _)| *resource == id).and_then(|(_, content)| content.clone());
        assert_eq!(of(0), Some(Content::Single(Value::Integer(7))));
        assert_eq!(of(2), Some(Content::Single(Value::Integer(-97))));
        assert_eq!(of(4), Some(Content::Multiple(vec![(0, Value::String("10.1.2.3".into()))])));
        assert_eq!(of(8), Some(Content::Single(Value::Integer(0x1a2_b3c4))));
        assert_eq!(of(10), Some(Content::Single(Value::Integer(262))));
        assert_eq!(of(12), Some(Content::Single(Value::Integer(0x1234))));
    }

    #[test]
    fn a_link_without_modem_is_ethernet() {
        let mut link = LinkFacts::default();
        assert_eq!(bearer(&link), ETHERNET);
        link.identity = Identity { imei: Some("490154203237518".into()), ..Identity::default() };
        assert_eq!(bearer(&link), NB_IOT);
        link.technology = Some("eMTC".into());
        assert_eq!(bearer(&link), LTE_FDD);
    }
}
