//! Records as JSON, Content-Format 110 (RFC 8428 §5).

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::{CodecError, Format, text};
use super::Outgoing;
use super::reading::Reading;
use super::record::{Field, Item, Number, Record};
use crate::lwm2m::value::Value;

/// Written without padding, read with and without (SML-06).
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The records as an array of objects, without a blank.
pub(super) fn encode(records: &[Outgoing<'_>]) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(2 + records.len() * 32);
    out.push(b'[');
    for (at, record) in records.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        if let Some(name) = &record.base_name {
            write(&mut out, format_args!("\"bn\":\"{name}\","));
        }
        if let Some(time) = record.base_time {
            write(&mut out, format_args!("\"bt\":{time},"));
        }
        if let Some(name) = &record.name {
            write(&mut out, format_args!("\"n\":\"{name}\","));
        }
        if let Some(time) = record.time {
            write(&mut out, format_args!("\"t\":{time},"));
        }
        write_value(&mut out, record)?;
        out.push(b'}');
    }
    out.push(b']');
    Ok(out)
}

fn write_value(out: &mut Vec<u8>, record: &Outgoing<'_>) -> Result<(), CodecError> {
    match record.value {
        Value::String(text) | Value::CoreLink(text) => {
            out.extend_from_slice(b"\"vs\":");
            serde_json::to_writer(&mut *out, text).expect("a Vec takes everything, and text has a form");
        }
        Value::Integer(number) | Value::Time(number) => write(out, format_args!("\"v\":{number}")),
        Value::Unsigned(number) => write(out, format_args!("\"v\":{number}")),
        Value::Float(number) if number.is_finite() => {
            write(out, format_args!("\"v\":{}", text::decimal(*number)));
        }
        Value::Float(_) => return Err(CodecError::NotFinite(record.path)),
        Value::Boolean(truth) => write(out, format_args!("\"vb\":{truth}")),
        Value::Opaque(octets) => write(out, format_args!("\"vd\":\"{}\"", URL_SAFE_NO_PAD.encode(octets))),
        Value::ObjectLink(object, instance) => {
            write(out, format_args!("\"vlo\":\"{object}:{instance}\""));
        }
    }
    Ok(())
}

fn write(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

/// Hands every record to `reading`.
pub(super) fn decode(payload: &[u8], reading: &mut Reading<'_>) -> Result<(), CodecError> {
    let malformed = |why: String| CodecError::Malformed { format: Format::SenmlJson, why };
    let text = std::str::from_utf8(payload).map_err(|error| malformed(error.to_string()))?;
    let mut input = serde_json::Deserializer::from_str(text);
    // What the records mean has errors of its own, which do not fit through serde.
    let mut refused = None;
    let array = Array { reading, refused: &mut refused };
    let read = input.deserialize_seq(array).and_then(|()| input.end());
    match (refused, read) {
        (Some(refused), _) => Err(refused),
        (None, read) => read.map_err(|error| malformed(error.to_string())),
    }
}

struct Array<'r, 'm> {
    reading: &'r mut Reading<'m>,
    refused: &'r mut Option<CodecError>,
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element_seed(Fields)? {
            let added = match record {
                Ok(record) => self.reading.add(record),
                Err(why) => Err(self.reading.fault(why)),
            };
            if let Err(error) = added {
                *self.refused = Some(error);
                return Err(A::Error::custom("record refused"));
            }
        }
        Ok(())
    }
}

/// The fields of one record; `Err` inside if they make none.
struct Fields;

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Result<Record<'de>, &'static str>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Result<Record<'de>, &'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut record = Record::default();
        let mut fault = None;
        while let Some(field) = fields.next_key_seed(Label)? {
            let set = match field {
                Field::PassedOver => fields.next_value::<IgnoredAny>().map(|_| Ok(()))?,
                Field::MustKnow => fields.next_value::<IgnoredAny>().map(|_| Err("a field must be known"))?,
                Field::Octets => match fields.next_value_seed(Any)? {
                    Item::Text(text) => octets(&text).and_then(|item| record.set(field, item)),
                    _ => Err("octets are no text"),
                },
                _ => record.set(field, fields.next_value_seed(Any)?),
            };
            fault = fault.or(set.err());
        }
        Ok(fault.map_or(Ok(record), Err))
    }
}

fn octets(text: &str) -> Result<Item<'static>, &'static str> {
    let octets = BASE64URL.decode(text).map_err(|_| "octets are not base64url")?;
    Ok(Item::Octets(Cow::Owned(octets)))
}

struct Label;

impl<'de> DeserializeSeed<'de> for Label {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Field, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Label {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label")
    }

    fn visit_str<E>(self, label: &str) -> Result<Field, E> {
        Ok(Field::named(label))
    }
}

/// Text, number or Boolean.
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Item<'de>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a Boolean")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Item<'de>, E> {
        Ok(Item::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item<'de>, E> {
        Ok(Item::Number(Number::Integer(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item<'de>, E> {
        Ok(Item::Number(Number::Integer(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item<'de>, E> {
        Ok(Item::Number(Number::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Item<'de>, E> {
        Ok(Item::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Item<'de>, E> {
        Ok(Item::Text(Cow::Borrowed(text)))
    }
}
