//! Object 3, Device: who this gateway is. The modem's maker and IMEI, this machine's software and memory.

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
    /// Name of the time zone as in `Europe/Berlin`.
    pub timezone: Option<String>,
}

/// The resources of /3/0 but for the clock.
pub fn facts(link: &LinkFacts, host: &HostFacts) -> Vec<Fact> {
    let modem = &link.identity;
    let first = |a: &Option<String>, b: &Option<String>| text(a.as_deref().or(b.as_deref()));
    let no_error = Content::Multiple(vec![(0, Value::Integer(0))]);
    vec![
        (0, first(&modem.manufacturer, &host.manufacturer)),
        (1, first(&modem.model, &host.model)),
        (2, first(&modem.imei, &host.serial)),
        (3, text(modem.firmware.as_deref())),
        (11, Some(no_error)),
        (15, text(host.timezone.as_deref())),
        (16, text(Some(UDP))),
        (17, text(Some("NB-IoT gateway"))),
        (18, text(host.model.as_deref())),
        (19, text(host.software_version.as_deref())),
        (21, integer(host.memory_total_kib)),
    ]
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
        let facts = facts(&link, &host);
        let of =
            |id| facts.iter().find(|(resource, _)| *resource == id).and_then(|(_, content)| content.clone());
        assert_eq!(of(2), Some(Content::Single(Value::String("490154203237518".into()))));
        assert_eq!(of(1), Some(Content::Single(Value::String("board".into()))));
        assert_eq!(of(11), Some(Content::Multiple(vec![(0, Value::Integer(0))])));
        assert_eq!(of(16), Some(Content::Single(Value::String("U".into()))));
        assert_eq!(of(0), None);
    }
}
