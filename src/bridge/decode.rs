//! From a payload to the values that a mapping finds in it.
//!
//! The payload is walked through once, however many values are wanted of it. A message that lacks a value which the
//! mapping knows of is ordinary where it has another one; where it has none, the message is refused.

use crate::lwm2m::value::Value;

use super::mapping::{Feed, Mapping};
use super::pointer::Scalar;

/// Largest payload that is looked at: what the MQTT edge lets in.
pub const MAX_PAYLOAD_OCTETS: usize = 256 * 1024;

/// What one of the mapping's resources gets: a value, `None` for null and the like, or the reason for a refusal.
pub type Reading<'m> = (&'m Feed, Result<Option<Value>, String>);

/// What the payload has for this mapping: one entry for each value that is there, or a single refusal; nothing where it
/// has none of them.
pub fn readings<'m>(mapping: &'m Mapping, payload: &[u8]) -> Vec<Reading<'m>> {
    let Some(first) = mapping.feeds.first() else { return vec![] };
    if payload.len() > MAX_PAYLOAD_OCTETS {
        let why = format!("the payload has {} octets, more than {MAX_PAYLOAD_OCTETS}", payload.len());
        return vec![(first, Err(why))];
    }
    let has_pointers = mapping.feeds.iter().any(|feed| feed.value.is_some());
    let mut picked = match if has_pointers { mapping.picker.pick(payload) } else { Ok(vec![]) } {
        Ok(picked) => picked.into_iter(),
        // Such as the one that takes back a retained message.
        Err(_) if payload.iter().all(u8::is_ascii_whitespace) => return nothing(mapping),
        // The same for every value of the message, so one refusal.
        Err(fault) => return vec![(first, Err(format!("the payload is not JSON: {fault}")))],
    };
    let mut readings = Vec::with_capacity(mapping.feeds.len());
    for feed in &mapping.feeds {
        let reading = match &feed.value {
            None => plain(payload).and_then(|scalar| feed.rules.value(&scalar, feed.resource)),
            Some(pointer) => {
                let Some(scalar) = picked.next().flatten() else { continue };
                feed.rules.value(&scalar, feed.resource).map_err(|why| match pointer.as_str() {
                    "" => why,
                    pointer => format!("{pointer}: {why}"),
                })
            }
        };
        readings.push((feed, reading));
    }
    readings
}

/// A message of nothing: what becomes of it is the mapping's to say.
fn nothing(mapping: &Mapping) -> Vec<Reading<'_>> {
    let null = |feed: &'_ Feed| feed.rules.value(&Scalar::Null, feed.resource);
    mapping.feeds.iter().take(1).map(|feed| (feed, null(feed))).collect()
}

/// The payload as one plain text; nothing is null.
pub fn plain(payload: &[u8]) -> Result<Scalar<'_>, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "the payload is not UTF-8 text".to_owned())?;
    Ok(match text.trim() {
        "" => Scalar::Null,
        text => Scalar::Text(text.into()),
    })
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};
    use proptest::prelude::*;

    use super::*;
    use crate::bridge::mapping::{Mappings, Settings, compile};
    use crate::lwm2m::model::Model;

    fn mappings(toml: &str) -> Mappings {
        let settings: Settings = figment::Figment::from(Toml::string(toml)).extract().unwrap();
        compile(&[settings], &Model::builtin()).unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    /// What a mapping with these keys makes of a payload.
    fn read(toml: &str, payload: impl AsRef<[u8]>) -> Vec<Result<Option<Value>, String>> {
        let mappings = mappings(&format!("topic = \"t\"\n{toml}"));
        readings(&mappings.mappings[0], payload.as_ref()).into_iter().map(|(_, reading)| reading).collect()
    }

    /// The only value of a payload that is one, for this resource and with these keys.
    fn value(object: u16, resource: u16, keys: &str, payload: &str) -> Result<Option<Value>, String> {
        read(&format!("object = {object}\nresource = {resource}\n{keys}"), payload).remove(0)
    }

    fn temperature(payload: &str) -> Result<f64, String> {
        match value(3303, 5700, "", payload)? {
            Some(Value::Float(number)) => Ok(number),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn plain_numbers_are_read_whatever_white_space_surrounds_them() {
        for (payload, number) in
            [("7.25", 7.25), (" 7.25\r\n", 7.25), ("-3", -3.0), ("+4", 4.0), ("1e2", 100.0), ("21,5", 21.5)]
        {
            assert_eq!(temperature(payload), Ok(number), "{payload:?}");
        }
    }

    #[test]
    fn what_is_no_finite_number_is_refused_with_the_reason() {
        for payload in ["inf", "-Infinity", "-", "1e999", "unavailable"] {
            assert!(temperature(payload).unwrap_err().contains("is not a number"), "{payload}");
        }
        assert!(temperature("1,013").unwrap_err().contains("decimal point"));
        assert!(temperature("0x10").unwrap_err().contains("the unit \"x10\" is not known"));
        assert!(read("object = 3303\nresource = 5700", [0xff])[0].as_ref().unwrap_err().contains("UTF-8"));
        assert!(temperature(&"ä".repeat(5000)).unwrap_err().len() < 200);
    }

    #[test]
    fn null_nan_and_nothing_are_no_sample_or_refused_as_the_mapping_says() {
        for payload in ["", " \n", "nan", "-NaN", "null"] {
            assert_eq!(value(3303, 5700, "", payload), Ok(None), "{payload}");
            assert!(value(3303, 5700, "null = \"refuse\"", payload).is_err(), "{payload}");
        }
        let json = |payload| value(3303, 5700, "value = \"t\"", payload);
        assert_eq!((json(r#"{"t":null}"#), json(r#"{"t":"nan"}"#)), (Ok(None), Ok(None)));
        assert_eq!((json(""), json(" \r\n")), (Ok(None), Ok(None)), "whoever takes back a retained message");
        assert!(value(3303, 5700, "value = \"/t\"\nnull = \"refuse\"", "").is_err());
        assert_eq!(json(r#"{"t":[]}"#).unwrap_err(), "t: there is an object or array, not a single value");
        assert!(json(r#"{"t":true}"#).is_err());
        assert_eq!(value(3303, 5701, "value = \"u\"", r#"{"u":""}"#), Ok(Some(Value::String(String::new()))));
    }

    #[test]
    fn units_in_the_text_win_over_that_of_the_mapping() {
        let kelvin = |keys: &str, payload: &str| value(3416, 39, keys, payload);
        assert_eq!(kelvin("", "4000 K"), Ok(Some(Value::Integer(4000))));
        let pressure = |keys: &str, payload: &str| value(3427, 1, keys, payload);
        for (keys, payload, pascal) in [
            ("", "\"1013.2 hPa\"", 101_320.0),
            ("unit = \"bar\"", "1 013 hPa", 101_300.0),
            ("unit = \"bar\"", "1.5", 150_000.0),
            ("unit = \"mbar\"\nscale = 0.1", "10132", 101_320.0),
            ("scale = 0.1", "10132 hPa", 101_320.0),
        ] {
            assert_eq!(pressure(keys, payload), Ok(Some(Value::Float(pascal))), "{keys} {payload}");
        }
        assert_eq!(temperature("21,5 °C"), Ok(21.5));
        assert_eq!(temperature("70.7 F"), Ok(21.5));
        assert!(temperature("21.5 hPa").unwrap_err().contains("hPa cannot be converted to Cel"));
        assert!(temperature("21.5 Grad").unwrap_err().contains("\"Grad\" is not known"));
        assert!(value(3300, 5700, "", "5 bar").unwrap_err().contains("nothing says"));
        assert_eq!(value(3300, 5700, "unit = \"kPa\"", "5 bar"), Ok(Some(Value::Float(500.0))));
    }

    #[test]
    fn precision_leaves_nothing_finer() {
        for (keys, payload, number) in [
            ("precision = 0.1", "21.34999", 21.3),
            ("precision = 0.1", "21.299999", 21.3),
            ("precision = 0.5", "21.3", 21.5),
            ("precision = 10", "1e30", 1e30),
            ("precision = 0.1\nunit = \"F\"", "70", 21.1),
            ("precision = 0.05\noffset = -0.3", "0.1", -0.2),
        ] {
            assert_eq!(value(3303, 5700, keys, payload), Ok(Some(Value::Float(number))), "{keys} {payload}");
        }
        assert_eq!(value(3408, 2, "precision = 5", "62"), Ok(Some(Value::Integer(60))));
    }

    #[test]
    fn what_is_too_large_after_the_conversion_is_called_so() {
        let error = value(3427, 1, "unit = \"bar\"", "1e306").unwrap_err();
        assert_eq!(error, "\"1e306\" is too large");
        // The least of 128 bits.
        let halved = value(3303, 5700, "scale = 0.5", &i128::MIN.to_string());
        assert_eq!(halved, Ok(Some(Value::Float(-(2_f64.powi(126))))));
    }

    #[test]
    fn totals_keep_every_digit_of_64_bits() {
        let energy = |payload: &str| value(3421, 25, "unit = \"kWh\"", payload);
        assert_eq!(energy("48210.5"), Ok(Some(Value::Float(48_210_500.0))));
        assert_eq!(energy("16777217.001"), Ok(Some(Value::Float(16_777_217_001.0))));
        let pulses = |payload: &str| value(3424, 4, "scale = 2\noffset = 1", payload);
        assert_eq!(pulses("4503599627370497"), Ok(Some(Value::Integer(9_007_199_254_740_995))));
    }

    #[test]
    fn integer_resources_take_the_nearest_whole_number() {
        for (payload, tilt) in [("2.1", 2), ("64.8", 65), ("2.5", 3), ("60", 60), ("60.0", 60), ("-0.4", 0)] {
            assert_eq!(value(3408, 2, "", payload), Ok(Some(Value::Integer(tilt))), "{payload}");
        }
        assert!(temperature("99999999999999999999").is_ok());
        assert!(value(3431, 2, "", "9223372036854775808").unwrap_err().contains("64 bits"));
        assert!(value(3431, 2, "", "1e300").unwrap_err().contains("64 bits"));
        assert_eq!(value(3431, 2, "", "9223372036854775807"), Ok(Some(Value::Integer(i64::MAX))));
    }

    #[test]
    fn values_outside_the_registrys_range_are_refused() {
        assert_eq!(value(3416, 3, "", "100.4"), Ok(Some(Value::Integer(100))));
        let reason = value(3416, 3, "", "101").unwrap_err();
        assert!(reason.contains("Dimming level") && reason.contains("0..100"), "{reason}");
        assert_eq!(value(3416, 3, "scale = 0.39370078740157", "254"), Ok(Some(Value::Integer(100))));
    }

    #[test]
    fn booleans_are_the_usual_words_and_those_of_the_mapping() {
        let occupied = |keys: &str, payload: &str| value(3431, 1, keys, payload);
        for (payload, truth) in [
            ("true", true),
            ("1", true),
            ("1.0", true),
            ("ON", true),
            ("FALSE", false),
            ("0", false),
            ("off", false),
        ] {
            assert_eq!(occupied("", payload), Ok(Some(Value::Boolean(truth))), "{payload}");
            assert_eq!(occupied("invert = true", payload), Ok(Some(Value::Boolean(!truth))), "{payload}");
        }
        for payload in ["2", "yes", "-1", "nan", "0.5", "open"] {
            assert!(occupied("", payload).unwrap_err().contains("neither"), "{payload}");
        }
        let words = "words = { true = [\"Occupied\", \"2\"], false = [\"free\", \"1\"] }";
        for (payload, truth) in [("occupied", true), ("FREE", false), ("2", true), ("1", false), ("on", true)]
        {
            assert_eq!(occupied(words, payload), Ok(Some(Value::Boolean(truth))), "{payload}");
        }
    }

    #[test]
    fn tables_give_numbers_and_texts() {
        let reason = "enum = { none = 0, \"Bulb failure\" = 1, \"7\" = 2 }";
        let failure = |payload: &str| value(3416, 6, reason, payload);
        assert_eq!(failure("bulb failure"), Ok(Some(Value::Integer(1))));
        assert_eq!(failure("7"), Ok(Some(Value::Integer(2))));
        assert_eq!(failure("8").unwrap_err(), "\"8\" is not in enum");
        let json = format!("value = \"f\"\n{reason}");
        assert_eq!(value(3416, 6, &json, r#"{"f":7}"#), Ok(Some(Value::Integer(2))));
        assert_eq!(value(3416, 6, &json, r#"{"f":null}"#), Ok(None));
        let text =
            value(3424, 3, "enum = { \"0\" = \"cold\", true = \"hot\" }\nvalue = \"k\"", r#"{"k":true}"#);
        assert_eq!(text, Ok(Some(Value::String("hot".to_owned()))));
    }

    #[test]
    fn time_counts_seconds_and_milliseconds_are_noticed() {
        assert_eq!(value(3303, 5518, "", "1770793205.91"), Ok(Some(Value::Time(1_770_793_205))));
        assert!(value(3303, 5518, "", "1770793205410").unwrap_err().contains("milliseconds"));
        assert_eq!(value(3303, 5518, "unit = \"ms\"", "1770793205910"), Ok(Some(Value::Time(1_770_793_205))));
    }

    #[test]
    fn long_texts_are_refused() {
        assert_eq!(value(3303, 5701, "", "Cel"), Ok(Some(Value::String("Cel".to_owned()))));
        assert!(value(3303, 5701, "", &"x".repeat(1025)).unwrap_err().contains("octets"));
    }

    #[test]
    fn one_document_feeds_many_and_may_lack_some() {
        let toml = r#"object = 3424
            resources = [
              { resource = 1, value = "readings[ch=total].val" },
              { resource = 7, value = "readings[ch=flow].val", unit = "m3/h" },
              { resource = 9, value = "leak" },
            ]"#;
        let payload = r#"{"dev":{"sn":"WM-88213"},"readings":[{"ch":"flow","val":0.36,"u":"m3/h"},{"ch":"total","val":1482.077,"u":"m3"}]}"#;
        let found = read(toml, payload);
        assert_eq!(found, [Ok(Some(Value::Float(1482.077))), Ok(Some(Value::Float(0.0001)))]);
        assert!(read(toml, "{}").is_empty());
        assert!(read(toml, "x")[0].as_ref().unwrap_err().contains("not JSON"));
        assert!(read(toml, vec![b' '; MAX_PAYLOAD_OCTETS + 1])[0].as_ref().unwrap_err().contains("octets"));
    }

    proptest! {
        #[test]
        fn no_payload_panics_and_floats_are_finite(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let all = mappings(
                r#"topic = "t"
                object = 3416
                resources = [
                  { resource = 1, scale = 3, precision = 7 }, { resource = 5, invert = true }, { resource = 17 },
                  { resource = 47, unit = "J", precision = 0.3 }, { resource = 58 }, { resource = 6, enum = { a = 1 } },
                ]"#,
            );
            for (_, reading) in readings(&all.mappings[0], &payload) {
                if let Ok(Some(Value::Float(number))) = reading {
                    prop_assert!(number.is_finite());
                }
            }
        }

        #[test]
        fn any_number_any_scale(number in any::<f64>(), scale in any::<f64>(), offset in any::<f64>(), step in 1e-9_f64..1e9) {
            let keys = format!("object = 3303\nresource = 5700\nscale = {scale:e}\noffset = {offset:e}\nprecision = {step:e}\ntopic = \"t\"");
            let Ok(settings) = figment::Figment::from(Toml::string(&keys)).extract::<Settings>() else { return Ok(()) };
            let Ok(mappings) = compile(&[settings], &Model::builtin()) else { return Ok(()) };
            for (_, reading) in readings(&mappings.mappings[0], number.to_string().as_bytes()) {
                if let Ok(Some(Value::Float(number))) = reading {
                    prop_assert!(number.is_finite());
                }
            }
        }

        #[test]
        fn values_rounded_to_a_tenth_are_short(number in -1e6_f64..1e6) {
            let text = value(3303, 5700, "precision = 0.1", &number.to_string());
            let Ok(Some(Value::Float(rounded))) = text else { panic!("{text:?}") };
            prop_assert!((rounded - number).abs() <= 0.050_000_1);
            prop_assert!(rounded.to_string().split_once('.').is_none_or(|(_, decimals)| decimals.len() == 1), "{}", rounded);
        }
    }
}
