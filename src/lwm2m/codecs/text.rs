//! Plain text, Content-Format 0: one value in words (LwM2M Core 1.1.1 §7.4.1, TXT-01).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::CodecError;
use crate::lwm2m::model::ResourceDef;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Value, ValueType};

/// Decimal places beyond which a number is written with an exponent; a double has 17 that count.
const MAX_PLAIN_CHARACTERS: usize = 24;

/// One value as text.
pub(super) fn encode((path, value): (Path, &Value)) -> Result<Vec<u8>, CodecError> {
    let text = match value {
        Value::String(text) | Value::CoreLink(text) => text.clone(),
        Value::Integer(number) | Value::Time(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => decimal(*number),
        Value::Float(_) => return Err(CodecError::NotFinite(path)),
        Value::Boolean(truth) => u8::from(*truth).to_string(),
        Value::Opaque(octets) => STANDARD.encode(octets),
        Value::ObjectLink(object, instance) => format!("{object}:{instance}"),
    };
    Ok(text.into_bytes())
}

/// The value of this resource in a text.
pub(super) fn decode(path: Path, definition: &ResourceDef, payload: &[u8]) -> Result<Value, CodecError> {
    let value_type = definition.value_type;
    let fault = |why| CodecError::Value { path, value_type, why };
    let text = std::str::from_utf8(payload).map_err(|_| fault("not UTF-8"))?;
    let value = match value_type {
        ValueType::String => Some(Value::String(text.to_owned())),
        ValueType::CoreLink => Some(Value::CoreLink(text.to_owned())),
        ValueType::Integer => number(text).map(Value::Integer),
        ValueType::Time => number(text).map(Value::Time),
        ValueType::Unsigned => number(text).map(Value::Unsigned),
        ValueType::Float => float(text).map(Value::Float),
        ValueType::Boolean => boolean(text).map(Value::Boolean),
        ValueType::Opaque => STANDARD.decode(text).ok().map(Value::Opaque),
        ValueType::ObjectLink => object_link(text),
        ValueType::Execute => return Err(CodecError::Executable(path)),
    };
    value.ok_or_else(|| fault(expected(value_type)))
}

/// What a text of this type looks like.
const fn expected(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Integer | ValueType::Time => "a decimal number of up to 64 bits is expected",
        ValueType::Unsigned => "a decimal number without sign of up to 64 bits is expected",
        ValueType::Float => "a decimal number is expected",
        ValueType::Boolean => "0 or 1 is expected",
        ValueType::Opaque => "base64 with padding is expected",
        ValueType::ObjectLink => "two numbers as in 10:3 are expected",
        ValueType::String | ValueType::CoreLink | ValueType::Execute => "text is expected",
    }
}

/// Shortest text that reads back as the same number.
pub(super) fn decimal(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= MAX_PLAIN_CHARACTERS { plain } else { format!("{number:e}") }
}

/// Digits, with a minus sign where the type has one. Rust would also read a plus sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Digits with point and exponent. Rust would also read a plus sign in front, `inf` and `nan`.
fn float(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit() || b"+-.eE".contains(&octet));
    if plain { number::<f64>(text).filter(|number| number.is_finite()) } else { None }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// `object:instance`, as SenML writes it, too.
pub(super) fn object_link(text: &str) -> Option<Value> {
    let (object, instance) = text.split_once(':')?;
    Some(Value::ObjectLink(number(object)?, number(instance)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::model::Model;
    use proptest::prelude::*;

    const SOME: Path = Path::resource_of(0, 0, 0);

    fn text_of(value: &Value) -> String {
        String::from_utf8(encode((SOME, value)).unwrap()).unwrap()
    }

    fn read(value_type: ValueType, text: &str) -> Result<Value, CodecError> {
        let definition = ResourceDef { value_type, ..Model::builtin().resource(3, 0).unwrap().clone() };
        decode(SOME, &definition, text.as_bytes())
    }

    #[test]
    fn every_type_has_its_form_txt_01() {
        assert_eq!(text_of(&Value::Integer(-7)), "-7");
        assert_eq!(text_of(&Value::Float(22.5)), "22.5");
        assert_eq!(text_of(&Value::Float(25.0)), "25");
        assert_eq!(text_of(&Value::Float(1e300)), "1e300");
        assert_eq!(text_of(&Value::Boolean(true)), "1");
        assert_eq!(text_of(&Value::ObjectLink(10, 3)), "10:3");
        assert_eq!(text_of(&Value::Opaque(vec![1, 2, 3, 4, 5])), "AQIDBAU=");
        assert_eq!(text_of(&Value::Opaque(vec![0xfb, 0xef, 0xff, 1])), "++//AQ==");
        assert_eq!(text_of(&Value::Time(1_767_225_600)), "1767225600");
        assert_eq!(read(ValueType::Float, "-1.5e3"), Ok(Value::Float(-1500.0)));
    }

    #[test]
    fn rubbish_is_refused_txt_02() {
        let cases: [(ValueType, &[&str]); 6] = [
            (ValueType::Integer, &["", "1.0", "+1", "1 ", " 1", "0x1", "9223372036854775808"]),
            (ValueType::Unsigned, &["-1", "18446744073709551616"]),
            (ValueType::Float, &["", "nan", "inf", "-infinity", "1,5", "1e999", "."]),
            (ValueType::Boolean, &["", "2", "true", "01"]),
            (ValueType::Opaque, &["AQIDBAU", "AQIDBA==U", "A", "--__AQ==", "AQ=="[..3].as_ref(), "AR=="]),
            (ValueType::ObjectLink, &["", "1", "1:", ":1", "1:65536", "1:2:3"]),
        ];
        for (value_type, texts) in cases {
            for text in texts {
                assert!(read(value_type, text).is_err(), "{value_type:?} {text:?}");
            }
        }
    }

    #[test]
    fn base64_of_any_length_reads_txt_03() {
        for length in 0..10 {
            let octets = Value::Opaque((250..).take(length).map(|octet: u16| octet as u8).collect());
            let text = text_of(&octets);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(read(ValueType::Opaque, &text), Ok(octets));
        }
    }

    #[test]
    fn the_null_link_has_its_form_typ_02() {
        assert_eq!(text_of(&Value::ObjectLink(u16::MAX, u16::MAX)), "65535:65535");
        assert_eq!(read(ValueType::ObjectLink, "65535:65535"), Ok(Value::ObjectLink(u16::MAX, u16::MAX)));
    }

    #[test]
    fn the_empty_text_is_a_value_wr_12() {
        assert_eq!(read(ValueType::String, ""), Ok(Value::String(String::new())));
        assert_eq!(read(ValueType::Opaque, ""), Ok(Value::Opaque(vec![])));
    }

    proptest! {
        #[test]
        fn every_value_reads_back(value in crate::lwm2m::codecs::tlv::tests::any_value()) {
            prop_assert_eq!(read(value.value_type(), &text_of(&value)), Ok(value));
        }
    }
}
