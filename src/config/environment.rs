//! `NBGATE_` variables as a configuration layer: `NBGATE_LWM2M__ENDPOINT=…` sets `lwm2m.endpoint`.
//!
//! Unlike figment's own provider this one leaves text keys alone: a name of digits keeps its leading zeros.

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

const PREFIX: &str = "NBGATE_";
/// Keys whose value is text, whatever it looks like.
const TEXT_KEYS: [&str; 8] =
    ["endpoint", "client_id", "apn", "port", "url", "version", "dialect", "state_dir"];

/// The variables of a process.
pub(super) struct Variables(Vec<(String, String)>);

impl Variables {
    pub(super) fn of_process() -> Self {
        // Variables that are not UTF-8 cannot be ours: skipped, not a reason to fail.
        let utf8 = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::new(utf8)
    }

    fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_ascii_lowercase(), value)))
                .collect(),
        )
    }
}

impl Provider for Variables {
    fn metadata(&self) -> Metadata {
        Metadata::named("NBGATE_ environment variables")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let mut root = Dict::new();
        for (name, text) in &self.0 {
            let keys: Vec<&str> = name.split("__").collect();
            insert(&mut root, &keys, text);
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

fn insert(dict: &mut Dict, keys: &[&str], text: &str) {
    match keys {
        [] => {}
        [last] => {
            // Parsing cannot fail: what is nothing else is a string.
            let parsed = if TEXT_KEYS.contains(last) {
                Value::from(text)
            } else {
                text.parse().unwrap_or_else(|_| Value::from(text))
            };
            dict.insert((*last).to_owned(), parsed);
        }
        [first, rest @ ..] => {
            let inner = dict.entry((*first).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;

    use super::*;

    fn figment(variables: &[(&str, &str)]) -> Figment {
        Figment::from(Variables::new(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))))
    }

    #[test]
    fn double_underscore_parts_keys_and_a_single_one_stays() {
        let figment = figment(&[("NBGATE_LWM2M__ON_STOP", "keep"), ("OTHER", "x")]);
        assert_eq!(figment.extract_inner::<String>("lwm2m.on_stop").unwrap(), "keep");
    }

    #[test]
    fn a_name_of_digits_keeps_its_leading_zeros() {
        let figment = figment(&[("NBGATE_LWM2M__ENDPOINT", "0123"), ("NBGATE_MODEM__BAUD", "9600")]);
        assert_eq!(figment.extract_inner::<String>("lwm2m.endpoint").unwrap(), "0123");
        assert_eq!(figment.extract_inner::<u32>("modem.baud").unwrap(), 9600);
    }
}
