//! What happens at the lab's server, as lines for people and as JSON objects for programs.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::lab::server::{Answer, CommandError, Event, Reading, Registration};
use crate::lwm2m::Value;

// For people.

pub(super) fn event_text(event: &Event, registration: Option<&Registration>) -> String {
    match event {
        Event::Registered { endpoint, peer, again } => {
            let again = if *again { " again" } else { "" };
            format!("{endpoint} registered{again} from {peer}{}", details(registration))
        }
        Event::Updated { endpoint, peer, objects: false } => format!("{endpoint} updated from {peer}"),
        Event::Updated { endpoint, peer, objects: true } => {
            format!("{endpoint} updated from {peer}{}", details(registration))
        }
        Event::Deregistered { endpoint } => format!("{endpoint} de-registered"),
        Event::Expired { endpoint } => format!("{endpoint} expired"),
        Event::Refused { peer, refusal } => format!("{peer} refused: {refusal}"),
        Event::Observing { endpoint, path } => format!("{endpoint} {path} is observed"),
        Event::NotObserving { endpoint, path, why } => format!("{endpoint} {path} is not observed: {why}"),
        Event::Value(reading) => reading_text(reading),
        Event::Unreadable { endpoint, path, why } => {
            format!("{endpoint} {path} sent something unreadable: {why}")
        }
        Event::Finished { endpoint, outcome, .. } => outcome_text(endpoint, outcome),
    }
}

fn details(registration: Option<&Registration>) -> String {
    let Some(registration) = registration else { return String::new() };
    let lifetime = humantime::format_duration(registration.lifetime());
    format!(
        ": LwM2M {}, binding {}, lifetime {lifetime}, objects {}",
        registration.version(),
        registration.binding(),
        paths(registration).join(" ")
    )
}

fn paths(registration: &Registration) -> Vec<String> {
    let objects = &registration.objects().objects;
    objects
        .iter()
        .flat_map(|(object, listed)| {
            let instances = listed.instances.iter().map(move |instance| format!("/{object}/{instance}"));
            let bare = listed.instances.is_empty().then(|| format!("/{object}"));
            bare.into_iter().chain(instances)
        })
        .collect()
}

fn reading_text(reading: &Reading) -> String {
    let Reading { endpoint, path, object, resource, value, unit, .. } = reading;
    let unit = unit.as_deref().map_or(String::new(), |unit| format!(" {unit}"));
    format!("{endpoint} {path} {object}, {resource} = {}{unit}", value_text(value))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) | Value::CoreLink(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Opaque(octets) => format!("0x{}", hex(octets)),
        Value::Time(seconds) => time_text(*seconds),
        Value::ObjectLink(object, instance) => format!("{object}:{instance}"),
    }
}

/// As a date where there is one.
fn time_text(seconds: i64) -> String {
    let since = u64::try_from(seconds).ok().map(Duration::from_secs);
    let time = since.and_then(|since| std::time::UNIX_EPOCH.checked_add(since));
    // RFC 3339 ends with the year 9999.
    time.filter(|_| seconds < 253_402_300_800)
        .map_or_else(|| seconds.to_string(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

pub(super) fn outcome_text(endpoint: &str, outcome: &Result<Answer, CommandError>) -> String {
    match outcome {
        Ok(answer) => {
            let values = answer.values.iter().map(|reading| format!("\n  {}", reading_text(reading)));
            let links = answer.links.iter().map(|link| format!("\n  {link}"));
            let made = answer.location.iter().map(|segment| format!("/{segment}")).collect::<String>();
            let made = if made.is_empty() { made } else { format!(" {made}") };
            format!("{endpoint} answered {}{made}{}", answer.code, values.chain(links).collect::<String>())
        }
        Err(error @ CommandError::Endpoint(_)) => error.to_string(),
        Err(error @ (CommandError::Exchange(_) | CommandError::Gone)) => {
            format!("{endpoint} did not answer: {error}")
        }
        Err(error) => format!("{endpoint}: {error}"),
    }
}

// For programs.

pub(super) fn event_json(event: &Event, registration: Option<&Registration>) -> Json {
    let mut json = match event {
        Event::Registered { endpoint, peer, again } => {
            json!({ "event": "registered", "ep": endpoint, "peer": peer.to_string(), "again": again })
        }
        Event::Updated { endpoint, peer, objects } => {
            json!({ "event": "updated", "ep": endpoint, "peer": peer.to_string(), "objects_changed": objects })
        }
        Event::Deregistered { endpoint } => json!({ "event": "deregistered", "ep": endpoint }),
        Event::Expired { endpoint } => json!({ "event": "expired", "ep": endpoint }),
        Event::Refused { peer, refusal } => json!({
            "event": "refused", "peer": peer.to_string(), "code": refusal.code.to_string(), "why": refusal.why,
        }),
        Event::Observing { endpoint, path } => {
            json!({ "event": "observing", "ep": endpoint, "path": path.to_string() })
        }
        Event::NotObserving { endpoint, path, why } => {
            json!({ "event": "not-observing", "ep": endpoint, "path": path.to_string(), "why": why })
        }
        Event::Value(reading) => reading_json(reading),
        Event::Unreadable { endpoint, path, why } => {
            json!({ "event": "unreadable", "ep": endpoint, "path": path.to_string(), "why": why })
        }
        Event::Finished { command, endpoint, outcome } => {
            let mut json = outcome_json(endpoint, outcome);
            json["event"] = "answer".into();
            json["command"] = command.0.into();
            json
        }
    };
    if let Some(registration) = registration {
        json["location"] = format!("/rd/{}", registration.location()).into();
        json["lwm2m"] = registration.version().to_string().into();
        json["binding"] = registration.binding().into();
        json["lifetime"] = registration.lifetime().as_secs().into();
        json["links"] = paths(registration).into();
    }
    json
}

fn reading_json(reading: &Reading) -> Json {
    json!({
        "event": "value",
        "ep": reading.endpoint,
        "path": reading.path.to_string(),
        "object": reading.object,
        "resource": reading.resource,
        "value": value_json(&reading.value),
        "unit": reading.unit,
        "changed": reading.changed,
    })
}

/// Opaque as hex, time as seconds, an object link as `3:0`.
fn value_json(value: &Value) -> Json {
    match value {
        Value::String(text) | Value::CoreLink(text) => json!(text),
        Value::Integer(number) | Value::Time(number) => json!(number),
        Value::Unsigned(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Opaque(octets) => json!(hex(octets)),
        Value::ObjectLink(object, instance) => json!(format!("{object}:{instance}")),
    }
}

pub(super) fn outcome_json(endpoint: &str, outcome: &Result<Answer, CommandError>) -> Json {
    match outcome {
        Ok(answer) => json!({
            "ok": answer.code.is_success(),
            "ep": endpoint,
            "code": answer.code.to_string(),
            "format": answer.content_format,
            "location": (!answer.location.is_empty()).then(|| format!("/{}", answer.location.join("/"))),
            "values": answer.values.iter().map(plain_json).collect::<Vec<_>>(),
            "links": answer.links.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "ok": false, "ep": endpoint, "error": error.to_string() }),
    }
}

/// A reading inside an answer: who and when are said around it.
fn plain_json(reading: &Reading) -> Json {
    json!({
        "path": reading.path.to_string(),
        "object": reading.object,
        "resource": reading.resource,
        "value": value_json(&reading.value),
        "unit": reading.unit,
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::Path;

    fn reading() -> Reading {
        Reading {
            endpoint: "gw1".into(),
            path: Path::resource_of(3303, 0, 5700),
            object: "Temperature",
            resource: "Sensor Value",
            value: Value::Float(22.5),
            unit: Some("Cel".into()),
            changed: true,
        }
    }

    #[test]
    fn only_who_was_asked_did_not_answer() {
        let said = |error: CommandError| outcome_text("gw1", &Err(error));
        assert_eq!(said(CommandError::Gone), "gw1 did not answer: the registration ended");
        assert_eq!(said(CommandError::NotObserved(Path::object_only(3))), "gw1: /3 is not observed");
        assert_eq!(said(CommandError::Endpoint("gw1 is not registered".into())), "gw1 is not registered");
    }

    #[test]
    fn values_read_well_for_people_and_programs() {
        let event = Event::Value(reading());
        assert_eq!(event_text(&event, None), "gw1 /3303/0/5700 Temperature, Sensor Value = 22.5 Cel");
        let expected = json!({
            "event": "value", "ep": "gw1", "path": "/3303/0/5700", "object": "Temperature",
            "resource": "Sensor Value", "value": 22.5, "unit": "Cel", "changed": true,
        });
        assert_eq!(event_json(&event, None), expected);
        assert_eq!(value_text(&Value::Time(1_767_225_600)), "2026-01-01T00:00:00Z");
        assert_eq!(value_text(&Value::Time(-1)), "-1");
        assert_eq!(value_json(&Value::Opaque(vec![1, 0xab])), json!("01ab"));
    }
}
