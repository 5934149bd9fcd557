//! From a payload to a value of the resource's type.
//!
//! Rules: numbers may stand in text; an Integer resource takes a fraction rounded to the nearest whole number
//! (half away from zero: a tilt of 2.5 becomes 3); a Boolean resource takes `true`/`false` and `0`/`1`; a Time
//! resource takes whole or fractional seconds since 1970. NaN, infinities and what lies outside the registry's
//! range are refused. A refusal is told in words that fit behind a topic.

use crate::lwm2m::model::ResourceDef;
use crate::lwm2m::value::{Value, ValueType};

use super::pointer::Scalar;

/// Largest payload that is looked at: what the MQTT edge lets in.
pub const MAX_PAYLOAD_OCTETS: usize = 256 * 1024;

/// Longest text that becomes a value of a String resource.
const MAX_TEXT_OCTETS: usize = 1024;

/// Seconds from here on (year 5138) are milliseconds that somebody forgot to divide.
const FIRST_IMPLAUSIBLE_SECOND: f64 = 1e11;

/// Resources of these types can be fed from a payload.
pub const fn is_feedable(value_type: ValueType) -> bool {
    use ValueType::{Boolean, Float, Integer, String, Time, Unsigned};
    matches!(value_type, String | Integer | Unsigned | Float | Boolean | Time)
}

/// The payload as one plain text.
///
/// # Errors
/// It is not UTF-8, or only white space.
pub fn plain(payload: &[u8]) -> Result<Scalar, String> {
    let text = std::str::from_utf8(payload).map_err(|_| "the payload is not UTF-8 text".to_owned())?;
    match text.trim() {
        "" => Err("the payload is empty".to_owned()),
        text => Ok(Scalar::Text(text.to_owned())),
    }
}

/// The value of this resource that `scalar` stands for; `invert` exchanges true and false.
///
/// # Errors
/// It stands for none, with the reason.
pub fn convert(scalar: &Scalar, resource: &ResourceDef, invert: bool) -> Result<Value, String> {
    match scalar {
        Scalar::Null => return Err("the value is null".to_owned()),
        Scalar::Container => return Err("there is an object or array, not a single value".to_owned()),
        _ => {}
    }
    let value = match resource.value_type {
        ValueType::Boolean => Value::Boolean(boolean(scalar)? != invert),
        ValueType::Float => Value::Float(number(scalar)?),
        ValueType::Integer => Value::Integer(whole(scalar)?),
        ValueType::Unsigned => Value::Unsigned(whole(scalar)?),
        ValueType::Time => Value::Time(seconds(scalar)?),
        ValueType::String => Value::String(text(scalar)?),
        other => return Err(format!("a payload cannot become a value of type {other:?}")),
    };
    resource.check(&value).map_err(|misfit| format!("{misfit}, which {} is not", shown(scalar)))?;
    Ok(value)
}

fn boolean(scalar: &Scalar) -> Result<bool, String> {
    match scalar {
        Scalar::Boolean(value) => return Ok(*value),
        Scalar::Text(text) if text.trim().eq_ignore_ascii_case("true") => return Ok(true),
        Scalar::Text(text) if text.trim().eq_ignore_ascii_case("false") => return Ok(false),
        _ => {}
    }
    match number(scalar) {
        Ok(0.0) => Ok(false),
        Ok(1.0) => Ok(true),
        _ => Err(format!("{} is neither true or false nor 1 or 0", shown(scalar))),
    }
}

fn number(scalar: &Scalar) -> Result<f64, String> {
    let number = match scalar {
        Scalar::Float(number) => *number,
        // Beyond 2^53 the nearest float: what a Float resource can hold.
        Scalar::Integer(number) => *number as f64,
        // Rust reads `inf` and `nan` too: not finite, so refused below.
        Scalar::Text(text) => text.trim().parse().map_err(|_| no_number(scalar))?,
        _ => return Err(no_number(scalar)),
    };
    if number.is_finite() { Ok(number) } else { Err(no_number(scalar)) }
}

/// The nearest whole number, if the type has it.
fn whole<T: TryFrom<i128>>(scalar: &Scalar) -> Result<T, String> {
    let exact = match scalar {
        Scalar::Integer(number) => Some(*number),
        Scalar::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    // A cast of a finite float saturates at the ends of i128, far outside of every T.
    let number = match exact {
        Some(number) => number,
        None => number(scalar)?.round() as i128,
    };
    T::try_from(number).map_err(|_| format!("{} is too large or too small for 64 bits", shown(scalar)))
}

fn seconds(scalar: &Scalar) -> Result<i64, String> {
    let seconds = number(scalar)?;
    if seconds.abs() >= FIRST_IMPLAUSIBLE_SECOND {
        return Err(format!("{} seems to count milliseconds; seconds since 1970 are wanted", shown(scalar)));
    }
    Ok(seconds.floor() as i64)
}

fn text(scalar: &Scalar) -> Result<String, String> {
    let text = match scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Null | Scalar::Container => String::new(),
    };
    if text.len() > MAX_TEXT_OCTETS {
        return Err(format!("the text has {} octets, more than {MAX_TEXT_OCTETS}", text.len()));
    }
    Ok(text)
}

fn no_number(scalar: &Scalar) -> String {
    let hint = match scalar {
        Scalar::Text(text) if text.contains(',') => " (a decimal point is wanted)",
        _ => "",
    };
    format!("{} is not a number{hint}", shown(scalar))
}

/// The scalar for a log line: short, and on one line.
fn shown(scalar: &Scalar) -> String {
    const MOST_CHARS: usize = 40;
    match scalar {
        Scalar::Null => "null".to_owned(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Text(text) if text.chars().count() > MOST_CHARS => {
            format!("{:?}…", text.chars().take(MOST_CHARS).collect::<String>())
        }
        Scalar::Text(text) => format!("{text:?}"),
        Scalar::Container => "an object or array".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lwm2m::model::Model;

    /// The value of /object/*/resource that a plain payload stands for.
    fn decode(object: u16, resource: u16, payload: &str) -> Result<Value, String> {
        let model = Model::builtin();
        plain(payload.as_bytes())
            .and_then(|scalar| convert(&scalar, model.resource(object, resource).unwrap(), false))
    }

    fn temperature(payload: &str) -> Result<Value, String> {
        decode(3303, 5700, payload)
    }

    #[test]
    fn plain_numbers_are_read_whatever_white_space_surrounds_them() {
        for (payload, number) in
            [("7.25", 7.25), (" 7.25\r\n", 7.25), ("-3", -3.0), ("+4", 4.0), ("1e2", 100.0)]
        {
            assert_eq!(temperature(payload), Ok(Value::Float(number)), "{payload:?}");
        }
    }

    #[test]
    fn what_is_no_finite_number_is_refused_with_the_reason() {
        for payload in ["nan", "NaN", "inf", "-Infinity", "-", "0x10", "21.5 C", "1e999", "1 013"] {
            assert!(temperature(payload).unwrap_err().contains("is not a number"), "{payload}");
        }
        assert!(temperature("21,5").unwrap_err().contains("decimal point"));
        assert_eq!(temperature(" \n").unwrap_err(), "the payload is empty");
        assert!(plain(&[0xff]).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn integer_resources_take_the_nearest_whole_number() {
        for (payload, tilt) in [("2.1", 2), ("64.8", 65), ("2.5", 3), ("60", 60), ("60.0", 60), ("-0.4", 0)] {
            assert_eq!(decode(3408, 2, payload), Ok(Value::Integer(tilt)), "{payload}");
        }
        assert!(temperature("99999999999999999999").is_ok());
        assert!(decode(3431, 2, "9223372036854775808").unwrap_err().contains("64 bits"));
        assert!(decode(3431, 2, "1e300").unwrap_err().contains("64 bits"));
        assert_eq!(decode(3431, 2, "9223372036854775807"), Ok(Value::Integer(i64::MAX)));
    }

    #[test]
    fn values_outside_the_registrys_range_are_refused() {
        assert_eq!(decode(3416, 3, "100.4"), Ok(Value::Integer(100)));
        let reason = decode(3416, 3, "101").unwrap_err();
        assert!(reason.contains("Dimming level") && reason.contains("0..100"), "{reason}");
    }

    #[test]
    fn booleans_are_true_false_one_and_zero_and_nothing_else() {
        for (payload, value) in [("true", true), ("1", true), ("1.0", true), ("FALSE", false), ("0", false)] {
            assert_eq!(decode(3431, 1, payload), Ok(Value::Boolean(value)), "{payload}");
        }
        for payload in ["2", "on", "yes", "-1", "nan", "0.5"] {
            assert!(decode(3431, 1, payload).unwrap_err().contains("neither"), "{payload}");
        }
    }

    #[test]
    fn invert_exchanges_true_and_false() {
        let model = Model::builtin();
        let closed = model.resource(3408, 3).unwrap();
        assert_eq!(convert(&Scalar::Boolean(false), closed, true), Ok(Value::Boolean(true)));
        assert_eq!(convert(&Scalar::Integer(1), closed, true), Ok(Value::Boolean(false)));
    }

    #[test]
    fn null_objects_and_booleans_are_no_numbers() {
        let model = Model::builtin();
        let value = model.resource(3303, 5700).unwrap();
        assert_eq!(convert(&Scalar::Null, value, false).unwrap_err(), "the value is null");
        assert!(convert(&Scalar::Container, value, false).is_err());
        assert!(convert(&Scalar::Boolean(true), value, false).is_err());
    }

    #[test]
    fn time_counts_seconds_and_milliseconds_are_noticed() {
        assert_eq!(decode(3303, 5518, "1770793205.41"), Ok(Value::Time(1_770_793_205)));
        assert!(decode(3303, 5518, "1770793205410").unwrap_err().contains("milliseconds"));
    }

    #[test]
    fn long_texts_are_refused_and_shown_short() {
        assert_eq!(decode(3303, 5701, "Cel"), Ok(Value::String("Cel".to_owned())));
        assert!(decode(3303, 5701, &"x".repeat(MAX_TEXT_OCTETS + 1)).unwrap_err().contains("octets"));
        assert!(temperature(&"ä".repeat(5000)).unwrap_err().len() < 200);
    }

    proptest! {
        #[test]
        fn no_payload_panics_and_floats_are_finite(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let model = Model::builtin();
            for (object, resource) in [(3303, 5700), (3408, 2), (3431, 1), (3303, 5701), (3303, 5518)] {
                let value = plain(&payload)
                    .and_then(|scalar| convert(&scalar, model.resource(object, resource).unwrap(), true));
                if let Ok(Value::Float(number)) = value {
                    prop_assert!(number.is_finite());
                }
            }
        }

        #[test]
        fn floats_survive_their_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(temperature(&number.to_string()), Ok(Value::Float(number)));
        }
    }
}
