//! `[mqtt]`

use crate::mqtt;

use super::file::File;
use super::{Fault, fault};

pub(super) fn broker(file: &File, faults: &mut Vec<Fault>) -> Option<mqtt::Settings> {
    match mqtt::Settings::new(&file.mqtt.url, &file.mqtt.client_id) {
        Ok(settings) => return Some(settings),
        Err(problem @ mqtt::SettingsError::ClientId) => {
            fault(
                faults,
                "mqtt.client_id",
                problem.to_string(),
                "give the gateway a name of its own at the broker",
            );
        }
        Err(problem) => fault(faults, "mqtt.url", problem.to_string(), "write mqtt://127.0.0.1:1883"),
    }
    None
}
