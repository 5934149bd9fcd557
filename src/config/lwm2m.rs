//! `[lwm2m]` beside its servers and parameters, and `[location]`.

use std::time::Duration;

use crate::gateway::settings::Host;
use crate::lwm2m::client::Location;
use crate::lwm2m::held::is_plain;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::location;

use super::file::{self, File};
use super::{Fault, fault};

const MAX_START_JITTER: Duration = Duration::from_secs(3600);
const MIN_NAT_IDLE: Duration = Duration::from_secs(1);
const MAX_NAT_IDLE: Duration = Duration::from_secs(30 * 86_400);

/// Every placeholder must be one we know, and must have a source.
pub(super) fn check_endpoint(file: &File, host: &Host, faults: &mut Vec<Fault>) {
    const KEY: &str = "lwm2m.endpoint";
    let endpoint = &file.lwm2m.endpoint;
    if endpoint.is_empty() {
        fault(faults, KEY, "is empty", "use \"urn:imei:{imei}\" or a name of your own");
    }
    if file.uplink == file::Uplink::Udp && (endpoint.contains("{imei}") || endpoint.contains("{imsi}")) {
        fault(
            faults,
            KEY,
            "asks for the modem's IMEI or IMSI, but with uplink = \"udp\" there is no modem",
            "use {hostname}, {machine_id} or a fixed name",
        );
    }
    let mut rest = endpoint.as_str();
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}') else {
            return fault(faults, KEY, "has a { without its }", "close the placeholder");
        };
        match &rest[start + 1..start + end] {
            "imei" | "imsi" => {}
            "hostname" if host.hostname.is_none() => {
                fault(
                    faults,
                    KEY,
                    "asks for the host name, but this machine has none",
                    "use another placeholder",
                );
            }
            "machine_id" if host.machine_id.is_none() => {
                fault(
                    faults,
                    KEY,
                    "asks for /etc/machine-id, which cannot be read",
                    "use another placeholder",
                );
            }
            "hostname" | "machine_id" => {}
            other => fault(
                faults,
                KEY,
                format!("{{{other}}} is no placeholder"),
                "known are {imei}, {imsi}, {hostname}, {machine_id}",
            ),
        }
        rest = &rest[start + end + 1..];
    }
}

/// Who leaves the version out is taken for 1.0.
pub(super) fn check_version_parameter(file: &File, faults: &mut Vec<Fault>) {
    if !file.lwm2m.lwm2m_parameter && file.lwm2m.version != file::Version::V1_0 {
        fault(
            faults,
            "lwm2m.lwm2m_parameter",
            "is false, but only LwM2M 1.0 can do without",
            "set version = \"1.0\" beside it, or leave it true",
        );
    }
}

/// Neither silence for days after a start nor an Update before every notification is ever meant.
pub(super) fn check_times(file: &File, faults: &mut Vec<Fault>) {
    let outside = |given: Option<file::Span>, from: Duration, to: Duration| {
        given.is_some_and(|span| span.0 > Duration::ZERO && !(from..=to).contains(&span.0))
    };
    if outside(file.lwm2m.start_jitter, Duration::ZERO, MAX_START_JITTER) {
        fault(faults, "lwm2m.start_jitter", "is longer than an hour", "use \"60s\", or \"0s\" for none");
    }
    if outside(file.lwm2m.nat_idle, MIN_NAT_IDLE, MAX_NAT_IDLE) {
        let fix = "use what the carrier allows, e.g. \"2m\", or \"0s\" if it never forgets";
        fault(faults, "lwm2m.nat_idle", "is not from 1s to 30days", fix);
    }
}

/// Held objects are in the registry, and nobody else's.
pub(super) fn check_held_objects(file: &File, model: &Model, faults: &mut Vec<Fault>) {
    for (index, object) in file.lwm2m.held_objects.iter().copied().enumerate() {
        let problem = if !is_plain(object) {
            "belongs to the gateway itself"
        } else if model.object(object).is_none() {
            "is not in the registry"
        } else if file.mappings.iter().any(|mapping| mapping.object == object) {
            "is fed by a mapping, so its instances are the sensors'"
        } else {
            continue;
        };
        let key = format!("lwm2m.held_objects[{index}]");
        fault(faults, key, format!("object {object} {problem}"), "leave it out, or name another object");
    }
}

pub(super) fn location_of(file: &File, faults: &mut Vec<Fault>) -> Option<Location> {
    let given = file.location.as_ref()?;
    let mut check = |name: &str, value: f64, limit: f64| {
        // Not a number is outside of every range.
        if !(-limit..=limit).contains(&value) {
            let problem = format!("{value} is outside of -{limit} to {limit}");
            fault(
                faults,
                format!("location.{name}"),
                problem,
                "write degrees, or metres, with a decimal point",
            );
        }
    };
    check("latitude", given.latitude, 90.0);
    check("longitude", given.longitude, 180.0);
    check("altitude", given.altitude.unwrap_or_default(), 100_000.0);
    let is_mapped = file.mappings.iter().any(|mapping| mapping.object == location::ID);
    if is_mapped || file.lwm2m.held_objects.contains(&location::ID) {
        let other = if is_mapped { "a mapping for" } else { "held_objects with" };
        let problem = format!("stands beside {other} object {}, which would fill it too", location::ID);
        fault(faults, "location", problem, "leave one of them out");
    }
    Some(Location { latitude: given.latitude, longitude: given.longitude, altitude: given.altitude })
}
