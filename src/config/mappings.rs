//! The mappings of a configuration on their own, for trying them where there is neither modem nor server.

use std::path::Path;

use crate::bridge::mapping::{self, Mappings};
use crate::lwm2m::model::{Model, Version};

use super::faults::Gathered;
use super::layers::Layers;
use super::{Fault, Faults, file, shape};

/// What is to be known for trying mappings.
#[derive(Debug)]
pub struct OnlyMappings {
    /// As in the whole configuration.
    pub mappings: Mappings,
    /// The registry by the configuration's `lwm2m.version`.
    pub model: Model,
}

/// Reads `[[mappings]]` and `lwm2m.version` from the files that `nbgate run` would read, and passes over whatever else
/// is wrong with them.
///
/// # Errors
/// Every fault found in these keys, and files that cannot be read.
pub fn load_mappings(path: &Path) -> Result<OnlyMappings, Faults> {
    read_mappings(Layers::of_file(path))
}

/// The same, from a text alone.
///
/// # Errors
/// Every fault found in these keys.
pub fn parse_mappings(text: &str) -> Result<OnlyMappings, Faults> {
    read_mappings(Layers::of_text(text))
}

fn read_mappings(mut layers: Layers) -> Result<OnlyMappings, Faults> {
    let places = layers.tree.places();
    let shape = shape::check(&mut layers.tree);
    let mut faults = Gathered::new(layers.faults, &places);
    faults.add(shape.faults.into_iter().filter(is_concerned).collect());
    let value = layers.tree.to_value();
    let version = value.clone().find("lwm2m.version").and_then(|value| value.deserialize().ok());
    let model = Model::for_enabler(match version {
        Some(file::Version::V1_0) => Version::V1_0,
        Some(file::Version::V1_1) | None => Version::V1_1,
    });
    let none = figment::value::Value::from(Vec::<figment::value::Value>::new());
    let settings = value.find("mappings").unwrap_or(none).deserialize::<Vec<mapping::Settings>>();
    let mappings = match settings {
        Ok(settings) => mapping::compile(&settings, &model).unwrap_or_else(|found| {
            let found = found.into_iter().map(|f| Fault::new(f.key, f.problem, f.fix)).collect();
            faults.add_consequent(found, &shape.explained, layers.is_partial);
            Mappings::default()
        }),
        Err(error) => {
            faults.add(error.into_iter().map(|error| Fault::of_reader(&error)).collect());
            Mappings::default()
        }
    };
    if faults.is_empty() { Ok(OnlyMappings { mappings, model }) } else { Err(faults.finish()) }
}

/// A fault of a key that is read here, or of a file as a whole.
fn is_concerned(fault: &Fault) -> bool {
    let key = fault.key.as_str();
    key.is_empty() || key == "lwm2m.version" || key.starts_with("mappings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mappings_are_read_and_judged() {
        let text = "uplink = \"pigeon\"\n[modem]\nbaud = \"fast\"\n[[mappings]]\ntopic = \"t\"\nobject = 3303\nresource = ";
        let read = parse_mappings(&format!("{text}5700")).unwrap();
        assert!(read.model.object(3303).is_some());
        let faults = parse_mappings(&format!("{text}1")).unwrap_err().faults;
        assert_eq!(
            faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(),
            ["mappings[0].resource"]
        );
        assert!(parse_mappings("").is_ok());
        assert!(parse_mappings("mappings = 3").is_err());
    }
}
