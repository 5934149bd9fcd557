//! Object 3, Device: who this gateway is. The modem's maker and IMEI, this machine's software, memory and power.

use super::errors::Errors;
use super::{Fact, integer, text};
use crate::lwm2m::objects::server::UDP;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Value};
use crate::net::LinkFacts;

/// Object ID.
pub const ID: u16 = 3;
/// Its only instance.
pub const INSTANCE: Path = Path::instance_of(ID, 0);
/// Reboot, executable.
pub const REBOOT: u16 = 4;
/// Reset Error Code, executable.
pub const RESET_ERRORS: u16 = 12;
/// Memory Free. Like the clock it is never the same twice, so it is told when asked for and is no news to observers.
pub const MEMORY_FREE: Path = Path::resource_of(ID, 0, 10);
/// Current Time.
pub const CURRENT_TIME: Path = Path::resource_of(ID, 0, 13);

/// What is known of the machine that this program runs on; `None` where it is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Maker, where there is no modem to name one.
    pub manufacturer: Option<String>,
    /// Model, e.g. of the board.
    pub model: Option<String>,
    /// Serial number, where there is no IMEI.
    pub serial: Option<String>,
    /// Version of this program.
    pub software_version: Option<String>,
    /// Memory in all, KiB.
    pub memory_total_kib: Option<u32>,
    /// Memory that programs could still have, KiB.
    pub memory_free_kib: Option<u32>,
    /// Name of the time zone as in `Europe/Berlin`.
    pub timezone: Option<String>,
    /// Difference to UTC as in `+01:00`.
    pub utc_offset: Option<String>,
    /// What it can be powered from, in the order of the machine.
    pub power_sources: Vec<PowerSource>,
    /// Power comes from outside.
    pub external_power: Option<bool>,
    /// Its battery.
    pub battery: Option<Battery>,
}

/// Where power comes from (resource 6), with the numbers of the object's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerSource {
    /// A battery inside.
    InternalBattery = 1,
    /// USB.
    Usb = 5,
    /// The mains.
    Mains = 6,
}

/// A battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// 0..=100
    pub percent: u8,
    /// What it does.
    pub status: BatteryStatus,
}

/// What a battery does (resource 20), with the numbers of the object's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatteryStatus {
    /// In use.
    Normal = 0,
    /// Being charged.
    Charging = 1,
    /// Full, and on external power.
    Charged = 2,
    /// Nobody knows.
    Unknown = 6,
}

/// The resources of /3/0 but for the clock and the free memory.
pub fn facts(link: &LinkFacts, host: &HostFacts, errors: &Errors) -> Vec<Fact> {
    let modem = &link.identity;
    let first = |a: &Option<String>, b: &Option<String>| text(a.as_deref().or(b.as_deref()));
    let sources = host.power_sources.iter().map(|source| i64::from(*source as u8));
    vec![
        (0, first(&modem.manufacturer, &host.manufacturer)),
        (1, first(&modem.model, &host.model)),
        (2, first(&modem.imei, &host.serial)),
        (3, text(modem.firmware.as_deref())),
        (6, (!host.power_sources.is_empty()).then(|| numbered(sources))),
        (9, integer(host.battery.map(|battery| battery.percent))),
        (11, Some(numbered(errors.codes()))),
        (14, text(host.utc_offset.as_deref())),
        (15, text(host.timezone.as_deref())),
        (16, text(Some(UDP))),
        (17, text(Some("NB-IoT gateway"))),
        (18, text(host.model.as_deref())),
        (19, text(host.software_version.as_deref())),
        (20, integer(host.battery.map(|battery| battery.status as u8))),
        (21, integer(host.memory_total_kib)),
    ]
}

/// One resource instance each, counted from 0.
fn numbered(numbers: impl Iterator<Item = i64>) -> Content {
    Content::Multiple((0..).zip(numbers.map(Value::Integer)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Identity;

    #[test]
    fn modem_names_come_before_the_hosts_and_mandatory_resources_are_always_there_obj_02() {
        let identity = Identity { imei: Some("490154203237518".into()), ..Identity::default() };
        let link = LinkFacts { identity, ..LinkFacts::default() };
        let host =
            HostFacts { serial: Some("pi".into()), model: Some("board".into()), ..HostFacts::default() };
        let facts = facts(&link, &host, &Errors::default());
        let of =
            |id| facts.iter().find(|(resource, _)| *resource == id).and_then(|(_, content)| content.clone());
        assert_eq!(of(2), Some(Content::Single(Value::String("490154203237518".into()))));
        assert_eq!(of(1), Some(Content::Single(Value::String("board".into()))));
        assert_eq!(of(11), Some(Content::Multiple(vec![(0, Value::Integer(0))])));
        assert_eq!(of(16), Some(Content::Single(Value::String("U".into()))));
        assert_eq!(of(0), None);
    }

    #[test]
    fn power_is_told_with_the_numbers_of_the_definition_obj_02() {
        let host = HostFacts {
            power_sources: vec![PowerSource::Mains, PowerSource::InternalBattery],
            battery: Some(Battery { percent: 80, status: BatteryStatus::Charging }),
            utc_offset: Some("+01:00".into()),
            ..HostFacts::default()
        };
        let facts = facts(&LinkFacts::default(), &host, &Errors::default());
        let of =
            |id| facts.iter().find(|(resource, _)| *resource == id).and_then(|(_, content)| content.clone());
        let sources = vec![(0, Value::Integer(6)), (1, Value::Integer(1))];
        assert_eq!(of(6), Some(Content::Multiple(sources)));
        assert_eq!(of(9), Some(Content::Single(Value::Integer(80))));
        assert_eq!(of(20), Some(Content::Single(Value::Integer(1))));
        assert_eq!(of(14), Some(Content::Single(Value::String("+01:00".into()))));
    }
}
