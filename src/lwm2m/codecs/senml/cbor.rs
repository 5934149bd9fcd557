//! Records as CBOR, Content-Format 112 (RFC 8428 §6, RFC 8949).
//!
//! Out: definite lengths, an Integer as a CBOR integer, a Float always as a CBOR float in the narrowest width that
//! holds it, since some servers take neither for the other. In: either for either, any width, indefinite lengths,
//! decimal fractions. A length that the payload only announces costs nothing: text is borrowed, not copied ahead.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Write as _;

use minicbor::data::{Tag, Type};
use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};

use super::super::{CodecError, Format};
use super::Outgoing;
use super::reading::Reading;
use super::record::{Field, Item, Number, Record};
use crate::lwm2m::value::Value;

/// Labels of the fields that are written (RFC 8428 §6).
mod label {
    pub(super) const BASE_NAME: i8 = -2;
    pub(super) const BASE_TIME: i8 = -3;
    pub(super) const NAME: i8 = 0;
    pub(super) const NUMBER: i8 = 2;
    pub(super) const TEXT: i8 = 3;
    pub(super) const BOOLEAN: i8 = 4;
    pub(super) const TIME: i8 = 6;
    pub(super) const OCTETS: i8 = 8;
    pub(super) const OBJECT_LINK: &str = "vlo";
}

/// A date in seconds (RFC 8949 §3.4.2).
const TAG_EPOCH: Tag = Tag::new(1);
/// `[exponent, mantissa]` to the base 10 (RFC 8949 §3.4.4).
const TAG_DECIMAL: Tag = Tag::new(4);

type Out = Encoder<Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// The records as an array of maps.
pub(super) fn encode(records: &[Outgoing<'_>]) -> Result<Vec<u8>, CodecError> {
    let mut out = Encoder::new(Vec::with_capacity(4 + records.len() * 16));
    let mut scratch = String::new();
    out.array(records.len() as u64).expect(FITS);
    for record in records {
        if let Value::Float(number) = record.value {
            if !number.is_finite() {
                return Err(CodecError::NotFinite(record.path));
            }
        }
        write_record(&mut out, record, &mut scratch).expect(FITS);
    }
    Ok(out.into_writer())
}

/// Why writing cannot fail.
const FITS: &str = "a Vec takes everything";

fn write_record(out: &mut Out, record: &Outgoing<'_>, scratch: &mut String) -> Written {
    let fields = [
        record.base_name.is_some(),
        record.base_time.is_some(),
        record.name.is_some(),
        record.time.is_some(),
        true,
    ];
    out.map(fields.iter().filter(|present| **present).count() as u64)?;
    if let Some(name) = &record.base_name {
        out.i8(label::BASE_NAME)?.str(name)?;
    }
    if let Some(time) = record.base_time {
        out.i8(label::BASE_TIME)?.i64(time)?;
    }
    if let Some(name) = &record.name {
        out.i8(label::NAME)?.str(printed(scratch, format_args!("{name}")))?;
    }
    if let Some(time) = record.time {
        out.i8(label::TIME)?.i64(time)?;
    }
    write_value(out, record.value, scratch)
}

fn write_value(out: &mut Out, value: &Value, scratch: &mut String) -> Written {
    match value {
        Value::String(text) | Value::CoreLink(text) => out.i8(label::TEXT)?.str(text)?,
        Value::Integer(number) | Value::Time(number) => out.i8(label::NUMBER)?.i64(*number)?,
        Value::Unsigned(number) => out.i8(label::NUMBER)?.u64(*number)?,
        Value::Float(number) => return write_float(out.i8(label::NUMBER)?, *number),
        Value::Boolean(truth) => out.i8(label::BOOLEAN)?.bool(*truth)?,
        Value::Opaque(octets) => out.i8(label::OCTETS)?.bytes(octets)?,
        Value::ObjectLink(object, instance) => {
            out.str(label::OBJECT_LINK)?.str(printed(scratch, format_args!("{object}:{instance}")))?
        }
    };
    Ok(())
}

/// In the narrowest of the three widths that loses nothing.
fn write_float(out: &mut Out, number: f64) -> Written {
    let single = number as f32;
    if f64::from(single) != number {
        out.f64(number)?;
    } else if is_half(single) {
        out.f16(single)?;
    } else {
        out.f32(single)?;
    }
    Ok(())
}

/// Sixteen bits hold this finite number: ten bits of fraction, exponents from -14 to 15, subnormals below.
fn is_half(number: f32) -> bool {
    const SMALLEST_NORMAL: f32 = 1.0 / 16_384.0;
    const SUBNORMALS_PER_ONE: f32 = 16_777_216.0;
    match number.abs() {
        size if size > 65_504.0 => false,
        size if size < SMALLEST_NORMAL => (size * SUBNORMALS_PER_ONE).fract() == 0.0,
        size => size.to_bits() & 0x1fff == 0,
    }
}

fn printed<'s>(scratch: &'s mut String, text: std::fmt::Arguments<'_>) -> &'s str {
    scratch.clear();
    scratch.write_fmt(text).expect("a String takes everything");
    scratch
}

/// Hands every record to `reading`.
pub(super) fn decode(payload: &[u8], reading: &mut Reading<'_>) -> Result<(), CodecError> {
    let mut input = Decoder::new(payload);
    let announced = input.array().map_err(malformed)?;
    let mut left = announced;
    while more(&mut input, &mut left).map_err(malformed)? {
        let record = record(&mut input).map_err(malformed)?.map_err(|why| reading.fault(why))?;
        reading.add(record)?;
    }
    match input.position() {
        end if end == payload.len() => Ok(()),
        end => Err(malformed(Error::message("octets after the array").at(end))),
    }
}

fn malformed(error: Error) -> CodecError {
    CodecError::Malformed { format: Format::SenmlCbor, why: error.to_string() }
}

/// There is another element; `left` counts down where the length was announced.
fn more(input: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if input.datatype()? == Type::Break => {
            input.set_position(input.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

/// One record; `Err` inside if its fields make none.
fn record<'b>(input: &mut Decoder<'b>) -> Result<Result<Record<'b>, &'static str>, Error> {
    let mut record = Record::default();
    let mut left = input.map()?;
    while more(input, &mut left)? {
        let set = match field(input)? {
            Field::MustKnow => Err("a field must be known"),
            Field::PassedOver => pass_over(input).map(Ok)?,
            field => record.set(field, item(input)?),
        };
        if let Err(why) = set {
            return Ok(Err(why));
        }
    }
    Ok(Ok(record))
}

fn field(input: &mut Decoder<'_>) -> Result<Field, Error> {
    match input.datatype()? {
        Type::String | Type::StringIndef => Ok(Field::named(&text(input)?)),
        _ => Ok(Field::numbered(input.int()?.into())),
    }
}

fn pass_over(input: &mut Decoder<'_>) -> Result<(), Error> {
    if input.datatype()? == Type::Break {
        return Err(Error::message("a value is missing").at(input.position()));
    }
    input.skip()
}

fn item<'b>(input: &mut Decoder<'b>) -> Result<Item<'b>, Error> {
    Ok(match input.datatype()? {
        Type::Bool => Item::Boolean(input.bool()?),
        Type::String | Type::StringIndef => Item::Text(text(input)?),
        Type::Bytes => Item::Octets(Cow::Borrowed(input.bytes()?)),
        Type::BytesIndef => {
            Item::Octets(Cow::Owned(input.bytes_iter()?.collect::<Result<Vec<_>, _>>()?.concat()))
        }
        _ => Item::Number(number(input)?),
    })
}

fn text<'b>(input: &mut Decoder<'b>) -> Result<Cow<'b, str>, Error> {
    if input.datatype()? == Type::String {
        return input.str().map(Cow::Borrowed);
    }
    Ok(Cow::Owned(input.str_iter()?.collect::<Result<String, _>>()?))
}

fn number(input: &mut Decoder<'_>) -> Result<Number, Error> {
    let at = input.position();
    let number = match input.datatype()? {
        Type::F16 | Type::F32 | Type::F64 => Number::Float(input.f64()?),
        Type::Tag => match input.tag()? {
            TAG_EPOCH => plain_number(input)?,
            TAG_DECIMAL => decimal_fraction(input)?,
            _ => return Err(Error::message("a tag without use here").at(at)),
        },
        _ => plain_number(input)?,
    };
    match number {
        Number::Float(float) if !float.is_finite() => Err(Error::message("not a finite number").at(at)),
        number => Ok(number),
    }
}

/// Integer or float, without a tag.
fn plain_number(input: &mut Decoder<'_>) -> Result<Number, Error> {
    match input.datatype()? {
        Type::F16 | Type::F32 | Type::F64 => input.f64().map(Number::Float),
        _ => Ok(Number::Integer(input.int()?.into())),
    }
}

fn decimal_fraction(input: &mut Decoder<'_>) -> Result<Number, Error> {
    let at = input.position();
    if input.array()? != Some(2) {
        return Err(Error::message("a decimal fraction has two numbers").at(at));
    }
    let exponent = input.i64()?;
    let mantissa = i128::from(input.int()?);
    // Through text, since that rounds once and rightly.
    let nearest = format!("{mantissa}e{exponent}").parse().map_err(|_| Error::message("no number").at(at))?;
    Ok(Number::Float(nearest))
}
