//! The keys of a value, checked against the type, unit and range of the resource that it is for.

use std::time::Duration;

use crate::bridge::exact::{Affine, Ratio};
use crate::bridge::mapping::{EntrySettings, Fault, NullSettings, ResourceSettings};
use crate::bridge::pointer::{Pointer, Step};
use crate::bridge::rules::{Numbers, Pace, Rules};
use crate::bridge::units::{self, Unit};
use crate::lwm2m::ValueType;
use crate::lwm2m::model::{ObjectDef, ResourceDef};
use crate::lwm2m::value::Value;

use super::{Compiler, listed};

/// Longest minimum interval; who waits longer wants no value at all.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30 * 86_400);

/// A resource of a mapping, as far as the keys of its value depend on it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub at: &'a str,
    pub object: &'a ObjectDef,
    pub resource: &'a ResourceDef,
    /// Messages feed it; else it only has a command.
    pub fed: bool,
}

impl Place<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    fn name(&self) -> String {
        format!("{} {}", self.resource.id, self.resource.name)
    }

    /// It holds a number that counts or measures.
    fn is_number(&self) -> bool {
        matches!(self.resource.value_type, ValueType::Integer | ValueType::Unsigned | ValueType::Float)
    }

    fn is_whole(&self) -> bool {
        matches!(self.resource.value_type, ValueType::Integer | ValueType::Unsigned)
    }
}

impl Compiler<'_> {
    /// What the settings say about the value of this resource; what is wrong with them is left out.
    pub(super) fn rules(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Rules {
        self.fit(place, settings);
        self.rest(place, settings);
        let words = settings.words.clone().unwrap_or_default();
        let words =
            words.yes.into_iter().map(|word| (word, true)).chain(words.no.into_iter().map(|w| (w, false)));
        let words: Vec<_> = words.map(|(word, truth)| (word.trim().to_owned(), truth)).collect();
        self.distinct(&place.key("words"), words.iter().map(|(word, _)| word.as_str()));
        Rules {
            invert: settings.invert == Some(true),
            words,
            table: self.table(place, settings),
            numbers: self.numbers(place, settings),
            refuse_null: settings.null == Some(NullSettings::Refuse),
            pace: self.pace(place, settings),
        }
    }

    /// Warns where a value seems to say the opposite of what the resource means.
    pub(super) fn doubt(
        &mut self,
        place: Place<'_>,
        settings: &ResourceSettings,
        pointer: Option<&Pointer>,
        topic: Option<&str>,
    ) {
        // Cover Open Status: true stands for a cover that is not open.
        let is_opposite = (place.object.id, place.resource.id) == (3408, 3);
        let name = match pointer.map(|pointer| pointer.steps().last()) {
            Some(Some(Step::Token(key))) => Some(key.as_str()),
            _ => topic.and_then(|topic| topic.rsplit('/').next()),
        };
        let says_open = name.is_some_and(|name| name.to_ascii_lowercase().contains("open"));
        if is_opposite && says_open && place.fed && settings.invert.is_none() && settings.words.is_none() {
            self.compiled.warnings.push(Fault {
                key: place.key("invert"),
                problem: format!(
                    "{} is true while the cover is not open, and the value is called open",
                    place.name()
                ),
                fix: "write invert = true, or invert = false after a look at the messages".to_owned(),
            });
        }
    }

    /// The keys are for values of this type.
    fn fit(&mut self, place: Place<'_>, settings: &ResourceSettings) {
        let value_type = place.resource.value_type;
        let is_truth = value_type == ValueType::Boolean;
        let is_number = place.is_number();
        let is_reckoned = is_number || value_type == ValueType::Time;
        let has_table = !settings.table.is_empty();
        let takes_table = place.is_whole() || value_type == ValueType::String;
        for (key, present, fits, what) in [
            ("invert", settings.invert == Some(true), is_truth, "nothing to invert"),
            ("words", settings.words.is_some(), is_truth, "no true or false"),
            ("enum", has_table, takes_table, "no text or whole number"),
            ("scale", settings.scale.is_some(), is_reckoned, "no number to scale"),
            ("offset", settings.offset.is_some(), is_reckoned, "no number to add to"),
            ("unit", settings.unit.is_some(), is_reckoned, "no number with a unit"),
            ("precision", settings.precision.is_some(), is_number, "no number to round"),
            ("deadband", settings.deadband.is_some(), is_number, "no number that changes a little"),
        ] {
            if present && !fits {
                let problem = format!("{} is of type {value_type:?}: there is {what}", place.name());
                self.fault(place.key(key), problem, format!("remove {key}"));
            } else if present && fits && has_table && is_reckoned && key != "enum" {
                let problem = "the entries of enum stand for themselves, and are not reckoned with";
                self.fault(place.key(key), problem, format!("remove {key} or enum"));
            }
        }
    }

    /// What is only for values that messages bring.
    fn rest(&mut self, place: Place<'_>, settings: &ResourceSettings) {
        for (key, present) in [
            ("precision", settings.precision.is_some()),
            ("deadband", settings.deadband.is_some()),
            ("min_interval", settings.min_interval.is_some()),
            ("null", settings.null.is_some()),
        ] {
            if present && !place.fed {
                let problem = format!("no message feeds {}", place.name());
                self.fault(place.key(key), problem, format!("remove {key}, or add topic"));
            }
        }
    }

    /// No two of the entries are the same but for upper and lower case.
    fn distinct<'w>(&mut self, key: &str, entries: impl Iterator<Item = &'w str>) {
        let mut seen: Vec<String> = vec![];
        for entry in entries {
            let lower = entry.to_ascii_lowercase();
            if seen.contains(&lower) {
                self.fault(key.to_owned(), format!("{entry:?} is there twice"), "keep one of the two");
            }
            seen.push(lower);
        }
    }

    fn table(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Vec<(String, Value)> {
        self.distinct(&place.key("enum"), settings.table.keys().map(|entry| entry.trim()));
        let mut table = vec![];
        for (entry, stands_for) in &settings.table {
            let value = match (stands_for, place.resource.value_type) {
                (EntrySettings::Number(number), ValueType::Integer) => Some(Value::Integer(*number)),
                (EntrySettings::Number(number), ValueType::Unsigned) => {
                    u64::try_from(*number).ok().map(Value::Unsigned)
                }
                (EntrySettings::Text(text), ValueType::String) => Some(Value::String(text.clone())),
                // Told by `fit`.
                (_, other) if !place.is_whole() && other != ValueType::String => continue,
                _ => None,
            };
            let key = place.key(&format!("enum.{entry}"));
            match value {
                Some(value) => {
                    let fix = "write a value that the resource takes";
                    if self.sound(&key, place.resource.check(&value), fix).is_some() {
                        table.push((entry.trim().to_owned(), value));
                    }
                }
                None => {
                    let fix =
                        if place.is_whole() { "write a whole number" } else { "write a text in quotes" };
                    let problem = format!("{} is of type {:?}", place.name(), place.resource.value_type);
                    self.fault(key, problem, fix);
                }
            }
        }
        table
    }

    fn numbers(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Numbers {
        let target = self.target(place, settings);
        let unit = self.unit(place, settings, target);
        let scale = self.scale(place, settings);
        let own = match (scale, unit) {
            (None, unit) => unit,
            (scale, None) => scale,
            (Some(scale), Some(unit)) => {
                let both = scale.then(unit).ok_or("the scale has too many digits to reckon with");
                self.sound(&place.key("scale"), both, "write fewer digits")
            }
        };
        Numbers { scale, own, target, precision: self.precision(place, settings) }
    }

    /// What the value is measured in; where nobody says so, in the unit of the mapping.
    fn target(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Option<&'static Unit> {
        match units::of_resource(place.object.id, place.resource) {
            Some(unit) => units::find(unit),
            // Seconds since 1970, by definition.
            None if place.resource.value_type == ValueType::Time => units::find("s"),
            None => settings.unit.as_deref().and_then(units::find),
        }
    }

    /// From the unit of the mapping to that of the resource; `None`: there is nothing to convert.
    fn unit(
        &mut self,
        place: Place<'_>,
        settings: &ResourceSettings,
        target: Option<&Unit>,
    ) -> Option<Affine> {
        let text = settings.unit.as_deref()?;
        let fix = match target {
            Some(target) => format!("write one of {}", listed(&target.relatives().collect::<Vec<_>>())),
            None => "write a unit such as \"Cel\", \"hPa\" or \"kWh\"".to_owned(),
        };
        let Some(unit) = units::find(text) else {
            self.fault(place.key("unit"), format!("the unit {text:?} is not known"), fix);
            return None;
        };
        let target = target?;
        let Some(affine) = unit.to(target) else {
            let problem =
                format!("{} is in {}, which {text} cannot be converted to", place.name(), target.name());
            self.fault(place.key("unit"), problem, fix);
            return None;
        };
        (affine != Affine::IDENTITY).then_some(affine)
    }

    fn scale(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Option<Affine> {
        if settings.scale.is_none() && settings.offset.is_none() {
            return None;
        }
        let not_zero = |scale: &Ratio| *scale != Ratio::ZERO;
        let scale = Ratio::from_float(settings.scale.unwrap_or(1.0)).filter(not_zero);
        let scale = self.sound(
            &place.key("scale"),
            scale.ok_or("nothing can be scaled by this"),
            "write a number such as 0.1",
        );
        let offset = Ratio::from_float(settings.offset.unwrap_or(0.0));
        let offset = self.sound(
            &place.key("offset"),
            offset.ok_or("this cannot be added"),
            "write a number such as -40",
        );
        Some(Affine::new(scale?.reduced(), offset?.reduced()))
    }

    fn precision(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Option<Ratio> {
        let precision = settings.precision?;
        let step = Ratio::from_float(precision).filter(|_| precision > 0.0);
        let step = step.map(Ratio::reduced).filter(|step| !place.is_whole() || step.to_whole().is_some());
        let (problem, fix) = match place.is_whole() {
            true => (
                "the resource holds whole numbers, and this is no step between them",
                "write 1 or more, or remove precision",
            ),
            false => ("this is no step to round to", "write a number greater than 0, such as 0.1"),
        };
        self.sound(&place.key("precision"), step.ok_or(problem), fix)
    }

    fn pace(&mut self, place: Place<'_>, settings: &ResourceSettings) -> Pace {
        let sound_band = |band: f64| {
            if band > 0.0 && band.is_finite() { Ok(band) } else { Err("nothing differs by less than this") }
        };
        let deadband = settings.deadband.map(sound_band).transpose();
        let sound_interval = |interval: Duration| {
            let is_sound = !interval.is_zero() && interval <= LONGEST_INTERVAL;
            if is_sound { Ok(interval) } else { Err("no interval can be kept that is so short or long") }
        };
        let min_interval = settings.min_interval.map(sound_interval).transpose();
        let fix = "write a number greater than 0, or remove deadband";
        Pace {
            deadband: self.sound(&place.key("deadband"), deadband, fix).flatten(),
            min_interval: self
                .sound(
                    &place.key("min_interval"),
                    min_interval,
                    "write a time such as \"10s\", up to 30 days",
                )
                .flatten(),
        }
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use crate::bridge::mapping::{Fault, Mappings, Settings, compile};
    use crate::lwm2m::model::Model;

    fn compiled(toml: &str) -> Result<Mappings, Vec<Fault>> {
        let settings: Settings = figment::Figment::from(Toml::string(toml)).extract().unwrap();
        compile(&[settings], &Model::builtin())
    }

    /// What is wrong with these keys of a value for a resource; `mappings[0].` is left out.
    fn faults(object: u16, resource: u16, keys: &str) -> Vec<String> {
        let toml = format!("topic = \"t\"\nobject = {object}\nresource = {resource}\n{keys}");
        let faults = compiled(&toml).err().unwrap_or_default();
        faults.iter().map(|fault| fault.to_string().replacen("mappings[0].", "", 1)).collect()
    }

    /// The keys that are wrong.
    fn keys(object: u16, resource: u16, keys: &str) -> Vec<String> {
        let faults = faults(object, resource, keys);
        faults.iter().map(|fault| fault.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_key_is_checked_against_the_type_of_the_resource() {
        let all = "scale = 2\noffset = 1\nunit = \"m\"\nprecision = 1\ndeadband = 1\nmin_interval = \"1s\"";
        let numeric = ["scale", "offset", "unit", "precision", "deadband"];
        // A boolean, a text; a time has no small change.
        assert_eq!(keys(3431, 1, all), numeric);
        assert_eq!(keys(3424, 3, all), numeric);
        assert_eq!(keys(3303, 5518, &all.replace("\"m\"", "\"ms\"")), ["precision", "deadband"]);
        assert_eq!(
            keys(3303, 5700, "invert = true\nwords = { true = [\"a\"] }\nenum = { a = 1 }"),
            ["invert", "words", "enum"]
        );
        assert_eq!(keys(3330, 5700, all), [""; 0]);
        assert_eq!(keys(3431, 1, "invert = true\nwords = { true = [\"a\"] }\nnull = \"refuse\""), [""; 0]);
    }

    #[test]
    fn a_unit_that_is_unknown_or_measures_something_else_names_those_that_fit() {
        insta::assert_snapshot!(faults(3421, 25, "unit = \"kW\"").join("\n"), @"unit: 25 Active energy import (+A) Un is in Wh, which kW cannot be converted to; write one of J, kJ, MJ, GJ, Wmin, Wh, kWh, MWh, GWh");
        insta::assert_snapshot!(faults(3427, 1, "unit = \"pascal\"").join("\n"), @r#"unit: the unit "pascal" is not known; write one of Pa, hPa, kPa, MPa, mbar, bar, psi, mmHg, inHg, atm"#);
        assert_eq!(keys(3300, 5700, "unit = \"furlong\""), ["unit"]);
        assert_eq!(keys(3300, 5700, "unit = \"km\""), [""; 0]);
    }

    #[test]
    fn numbers_that_nothing_can_be_done_with_are_faults() {
        for (key, value) in [
            ("scale", "0"),
            ("scale", "nan"),
            ("scale", "1e300"),
            ("offset", "inf"),
            ("precision", "0"),
            ("precision", "-1"),
            ("deadband", "0.0"),
            ("deadband", "nan"),
            ("min_interval", "\"0s\""),
            ("min_interval", "\"31days\""),
        ] {
            assert_eq!(keys(3330, 5700, &format!("{key} = {value}")), [key], "{key} = {value}");
        }
        assert_eq!(keys(3408, 2, "precision = 0.5"), ["precision"]);
        assert_eq!(keys(3408, 2, "precision = 5"), [""; 0]);
    }

    #[test]
    fn tables_hold_what_the_resource_takes_and_nothing_twice() {
        assert_eq!(keys(3416, 3, "enum = { off = 0, full = 101, half = \"x\" }"), ["enum.full", "enum.half"]);
        assert_eq!(keys(3424, 3, "enum = { a = 1 }"), ["enum.a"]);
        assert_eq!(keys(3416, 6, "enum = { On = 1, on = 2 }"), ["enum"]);
        assert_eq!(keys(3416, 6, "enum = { a = 1 }\nscale = 2"), ["scale"]);
        assert_eq!(keys(3431, 1, "words = { true = [\"a\"], false = [\"A\"] }"), ["words"]);
    }

    #[test]
    fn what_is_only_for_incoming_values_wants_a_topic() {
        let command = "object = 3416\nresource = 1\ncommand = { topic = \"t\" }\nscale = 2.54";
        assert!(compiled(command).is_ok());
        let faults = compiled(&format!("{command}\ndeadband = 1\nnull = \"skip\"\nmin_interval = \"1s\""))
            .unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["mappings[0].deadband", "mappings[0].min_interval", "mappings[0].null"]);
    }

    #[test]
    fn a_value_called_open_for_the_opposite_is_a_warning() {
        let warnings = |value: &str| {
            let mappings =
                compiled(&format!("topic = \"lid/open\"\nobject = 3408\nresource = 3\n{value}")).unwrap();
            mappings.warnings().iter().map(|warning| warning.key.clone()).collect::<Vec<_>>()
        };
        for value in ["value = \"/open\"", "value = \"a.isOpen\"", ""] {
            assert_eq!(warnings(value), ["mappings[0].invert"], "{value}");
            for known in [true, false] {
                assert!(warnings(&format!("{value}\ninvert = {known}")).is_empty());
            }
        }
        assert!(warnings("value = \"contact\"").is_empty());
        assert!(warnings("words = { true = [\"closed\"], false = [\"open\"] }").is_empty());
    }
}
