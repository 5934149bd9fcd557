//! `NBGATE_` variables as a configuration layer: `NBGATE_LWM2M__ENDPOINT=…` sets `lwm2m.endpoint`.
//!
//! The kind of the key says how its text is read: a name of digits keeps its leading zeros.

use super::Fault;
use super::keys::{Key, Kind};
use super::shape::nearest;
use super::table::ROOT;
use super::text;
use super::tree::{Data, Origin};

const PREFIX: &str = "NBGATE_";
/// systemd makes these folders for the service and names them (systemd.exec(5)).
const FOLDERS: [(&str, &str); 2] = [("STATE_DIRECTORY", "state_dir"), ("RUNTIME_DIRECTORY", "runtime_dir")];

/// What a variable sets: the names down to the key, and its value; `None` if it is none of ours.
pub(super) type Setting = Option<Result<(Vec<&'static str>, Data), Box<Fault>>>;

/// Reads one variable.
pub(super) fn setting(name: &str, value: &str) -> Setting {
    if let Some((_, key)) = FOLDERS.iter().find(|(variable, _)| *variable == name) {
        // The first of a list.
        let first = value.split(':').next().filter(|first| !first.is_empty())?;
        return Some(Ok((vec![key], Data::Text(first.to_owned()))));
    }
    let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let fault = |problem: String, fix: String| {
        let origin = Some(Origin::Variable(name.to_owned()));
        Some(Err(Box::new(Fault { key: path.replace("__", "."), problem, fix, origin })))
    };
    let mut keys = ROOT;
    let mut names = vec![];
    for part in path.split("__") {
        let Some(key) = keys.iter().find(|key| key.name == part) else {
            let fix = match nearest(part, keys.iter().map(|key| key.name)) {
                Some(near) => format!("write {}", variable(&names, near)),
                None => "unset it; `__` stands between a table and its key".into(),
            };
            return fault("there is no such key".into(), fix);
        };
        names.push(key.name);
        match key.kind {
            Kind::Table(below) => keys = below,
            Kind::Tables(_) | Kind::Named(_) => {
                return fault(
                    "a list of tables cannot be set by a variable".into(),
                    format!("write [[{}]] into a file of conf.d", names.join(".")),
                );
            }
            _ => {
                keys = &[];
                if names.len() == path.split("__").count() {
                    return Some(Ok((names, read(key, value))));
                }
            }
        }
    }
    fault("is a table and takes no value".into(), "name a key of it behind `__`".into())
}

fn variable(names: &[&str], last: &str) -> String {
    let path: Vec<&str> = names.iter().copied().chain([last]).collect();
    format!("{PREFIX}{}", path.join("__").to_ascii_uppercase())
}

/// Text where the key takes text; otherwise as a file would have it. What is neither is judged like all else.
fn read(key: &Key, value: &str) -> Data {
    let is_text = matches!(
        key.kind,
        Kind::Text | Kind::File | Kind::Choice(_) | Kind::Span(..) | Kind::SpanOrZero(..) | Kind::Address
    );
    let read = if is_text { None } else { text::value(value) };
    read.unwrap_or_else(|| Data::Text(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> (String, Data) {
        let (keys, data) = setting(name, value).unwrap().unwrap();
        (keys.join("."), data)
    }

    fn fault(name: &str) -> String {
        let fault = setting(name, "x").unwrap().unwrap_err();
        format!("{}: {}; {}", fault.key, fault.problem, fault.fix)
    }

    #[test]
    fn double_underscore_parts_keys_and_a_single_one_stays() {
        assert_eq!(set("NBGATE_LWM2M__ON_STOP", "keep"), ("lwm2m.on_stop".into(), Data::Text("keep".into())));
        assert!(setting("OTHER", "x").is_none());
    }

    #[test]
    fn the_kind_of_a_key_says_how_its_text_is_read() {
        assert_eq!(set("NBGATE_LWM2M__ENDPOINT", "0123").1, Data::Text("0123".into()));
        assert_eq!(set("NBGATE_LWM2M__VERSION", "1.0").1, Data::Text("1.0".into()));
        assert_eq!(set("NBGATE_MODEM__BAUD", "9600").1, Data::Integer(9600));
        assert_eq!(set("NBGATE_MODEM__BAUD", "fast").1, Data::Text("fast".into()));
        assert!(
            matches!(set("NBGATE_LWM2M__HELD_OBJECTS", "[16, 19]").1, Data::List(items) if items.len() == 2)
        );
    }

    #[test]
    fn what_sets_nothing_is_a_fault_with_its_remedy() {
        assert_eq!(
            fault("NBGATE_LWM2M__ENDPONT"),
            "lwm2m.endpont: there is no such key; write NBGATE_LWM2M__ENDPOINT"
        );
        assert!(fault("NBGATE_MAPPINGS__0__TOPIC").contains("[[mappings]]"));
        assert!(fault("NBGATE_MQTT").contains("takes no value"));
        assert!(fault("NBGATE_MQTT__URL__X").contains("no such key"));
    }

    #[test]
    fn systemds_folders_are_the_first_of_their_lists_and_an_empty_one_is_none() {
        let (key, data) = set("STATE_DIRECTORY", "/var/lib/nbgate:/var/lib/more");
        assert_eq!((key.as_str(), data), ("state_dir", Data::Text("/var/lib/nbgate".into())));
        assert_eq!(set("RUNTIME_DIRECTORY", "/run/x").0, "runtime_dir");
        assert!(setting("STATE_DIRECTORY", "").is_none());
    }
}
