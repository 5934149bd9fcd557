//! `[lwm2m]` beside its servers and parameters, and `[location]`.

use crate::gateway::settings::Host;
use crate::lwm2m::client::Location;
use crate::lwm2m::held::is_plain;
use crate::lwm2m::model::Model;
use crate::lwm2m::objects::location;

use super::file::{self, File};
use super::{Fault, fault};

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
    // Servers take the query of a Register apart by these.
    if let Some(breaker) =
        endpoint.chars().find(|c| matches!(c, '&' | '=' | '?' | '#') || c.is_whitespace() || c.is_control())
    {
        let problem = format!("holds {breaker:?}, which breaks the query of a Register");
        fault(faults, KEY, problem, "use letters, digits and - . _ : ; alone");
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

/// Held objects are in the registry, and nobody else's.
pub(super) fn check_held_objects(file: &File, model: &Model, faults: &mut Vec<Fault>) {
    for (index, object) in file.lwm2m.held_objects.iter().copied().enumerate() {
        let problem = if !is_plain(object) {
            "belongs to the gateway itself"
        } else if model.object(object).is_none() {
            "is not in the registry"
        } else if file.lwm2m.held_objects.iter().take(index).any(|earlier| *earlier == object) {
            "is named already"
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
    let is_mapped = file.mappings.iter().any(|mapping| mapping.object == location::ID);
    if is_mapped || file.lwm2m.held_objects.contains(&location::ID) {
        let other = if is_mapped { "a mapping for" } else { "held_objects with" };
        let problem = format!("stands beside {other} object {}, which would fill it too", location::ID);
        fault(faults, "location", problem, "leave one of them out");
    }
    Some(Location { latitude: given.latitude, longitude: given.longitude, altitude: given.altitude })
}
