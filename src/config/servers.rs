//! `[[lwm2m.servers]]`

use crate::gateway::settings::Server;

use super::file::File;
use super::{Fault, fault, uri};

pub(super) fn servers(file: &File, faults: &mut Vec<Fault>) -> Vec<Server> {
    if file.lwm2m.servers.is_empty() {
        fault(
            faults,
            "lwm2m.servers",
            "no server is configured",
            "add [[lwm2m.servers]] with uri = \"coap://host:5683\"",
        );
    }
    let mut found: Vec<Server> = Vec::new();
    for (index, given) in file.lwm2m.servers.iter().enumerate() {
        let key = |name: &str| format!("lwm2m.servers[{index}].{name}");
        let uri = match uri::parse(&given.uri) {
            Ok(uri) => uri,
            Err(problem) => {
                fault(faults, key("uri"), problem, "write coap://host or coap://host:port");
                continue;
            }
        };
        let counted = u16::try_from(index).unwrap_or(u16::MAX);
        let instance = given.instance.unwrap_or(counted);
        let security_instance = given.security_instance.unwrap_or(counted.saturating_add(1));
        for earlier in &found {
            if earlier.short_server_id == given.short_server_id {
                fault(faults, key("short_server_id"), "is used twice", "give each server its own");
            }
            if earlier.instance == instance {
                fault(faults, key("instance"), "is used twice", "give each server its own");
            }
            if (&earlier.host, earlier.port) == (&uri.host, uri.port) {
                fault(
                    faults,
                    key("uri"),
                    "names the same host and port as an earlier one",
                    "register at a server once: servers are told apart by their addresses",
                );
            }
            if earlier.security_instance == security_instance {
                fault(faults, key("security_instance"), "is used twice", "give each server its own");
            }
        }
        found.push(Server {
            uri: given.uri.clone(),
            host: uri.host,
            port: uri.port,
            short_server_id: given.short_server_id,
            lifetime: given.lifetime.0,
            instance,
            security_instance,
        });
    }
    found
}
