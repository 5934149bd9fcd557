//! `uplink` and `[modem]`

use crate::gateway::settings::Uplink;
use crate::modem;

use super::file::{self, File};
use super::{Fault, fault};

pub(super) fn uplink(file: &File, faults: &mut Vec<Fault>) -> Uplink {
    if file.uplink == file::Uplink::Udp {
        return Uplink::Udp;
    }
    if file.modem.port.as_deref().is_none_or(str::is_empty) {
        fault(
            faults,
            "modem.port",
            "is missing: with uplink = \"modem\" there must be a serial port",
            "name it, best as /dev/serial/by-id/…, or set uplink = \"udp\"",
        );
    }
    let dialect = file.modem.dialect.parse().unwrap_or_else(|problem| {
        fault(faults, "modem.dialect", problem, "use \"auto\" or \"quectel-bg9x\"");
        modem::DialectName::Auto
    });
    Uplink::Modem(modem::Settings { dialect, apn: file.modem.apn.clone(), ..modem::Settings::default() })
}
