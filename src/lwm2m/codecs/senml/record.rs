//! One record of a SenML array: its fields, whatever notation they came in.

use std::borrow::Cow;

/// Greatest version of SenML that is understood (RFC 8428 §4.4).
const MAX_VERSION: i128 = 10;

/// 2^53: beyond it a double does not tell integers apart, so the digits that were meant may be lost.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// Without fraction and exponent.
    Integer(i128),
    /// Finite.
    Float(f64),
}

impl Number {
    /// The nearest double.
    pub(super) const fn as_float(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// The same number without fraction; `1.0` is one, too (SML-15).
    pub(super) fn as_integer(self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() <= MAX_EXACT => Some(number as i128),
            Self::Float(_) => None,
        }
    }

    /// The sum; of two integers without loss.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Self::Integer(a.saturating_add(b)),
            (a, b) => Self::Float(a.as_float() + b.as_float()),
        }
    }
}

/// The value of one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    Number(Number),
    Text(Cow<'a, str>),
    Boolean(bool),
    Octets(Cow<'a, [u8]>),
}

/// The value of a record, by the field that held it (SML-05).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum<'a> {
    /// `v`
    Number(Number),
    /// `vs`
    Text(Cow<'a, str>),
    /// `vb`
    Boolean(bool),
    /// `vd`
    Octets(Cow<'a, [u8]>),
    /// `vlo`
    ObjectLink(Cow<'a, str>),
}

/// What a label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    BaseName,
    BaseTime,
    BaseValue,
    Version,
    Name,
    Time,
    Number,
    Text,
    Boolean,
    Octets,
    ObjectLink,
    /// Units, sums, update time, and what is not known.
    PassedOver,
    /// Not known, and not to be passed over: the label ends in `_` (SML-09).
    MustKnow,
}

impl Field {
    /// The field with this label in JSON; `vlo` has no other in CBOR either.
    pub(super) fn named(label: &str) -> Self {
        match label {
            "bn" => Self::BaseName,
            "bt" => Self::BaseTime,
            "bv" => Self::BaseValue,
            "bver" => Self::Version,
            "n" => Self::Name,
            "t" => Self::Time,
            "v" => Self::Number,
            "vs" => Self::Text,
            "vb" => Self::Boolean,
            "vd" => Self::Octets,
            "vlo" => Self::ObjectLink,
            unknown if unknown.ends_with('_') => Self::MustKnow,
            _ => Self::PassedOver,
        }
    }

    /// The field with this label in CBOR (SML-07).
    pub(super) const fn numbered(label: i128) -> Self {
        match label {
            -1 => Self::Version,
            -2 => Self::BaseName,
            -3 => Self::BaseTime,
            -5 => Self::BaseValue,
            0 => Self::Name,
            2 => Self::Number,
            3 => Self::Text,
            4 => Self::Boolean,
            6 => Self::Time,
            8 => Self::Octets,
            _ => Self::PassedOver,
        }
    }
}

/// A record with the fields that matter here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record<'a> {
    pub(super) base_name: Option<Cow<'a, str>>,
    pub(super) base_time: Option<Number>,
    pub(super) base_value: Option<Number>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) time: Option<Number>,
    pub(super) datum: Option<Datum<'a>>,
}

impl<'a> Record<'a> {
    /// Takes one field; `Err` says what is wrong with it.
    pub(super) fn set(&mut self, field: Field, item: Item<'a>) -> Result<(), &'static str> {
        match (field, item) {
            (Field::BaseName, Item::Text(text)) => once(&mut self.base_name, text),
            (Field::BaseTime, Item::Number(number)) => once(&mut self.base_time, number),
            (Field::BaseValue, Item::Number(number)) => once(&mut self.base_value, number),
            (Field::Version, Item::Number(Number::Integer(1..=MAX_VERSION))) => Ok(()),
            (Field::Version, _) => Err("the version of SenML is not known"),
            (Field::Name, Item::Text(text)) => once(&mut self.name, text),
            (Field::Time, Item::Number(number)) => once(&mut self.time, number),
            (Field::Number, Item::Number(number)) => self.datum(Datum::Number(number)),
            (Field::Text, Item::Text(text)) => self.datum(Datum::Text(text)),
            (Field::Boolean, Item::Boolean(truth)) => self.datum(Datum::Boolean(truth)),
            (Field::Octets, Item::Octets(octets)) => self.datum(Datum::Octets(octets)),
            (Field::ObjectLink, Item::Text(text)) => self.datum(Datum::ObjectLink(text)),
            _ => Err("a field holds another type than it should"),
        }
    }

    /// One value field, no more (SML-04).
    fn datum(&mut self, datum: Datum<'a>) -> Result<(), &'static str> {
        once(&mut self.datum, datum).map_err(|_| "two values in one record")
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err("a field comes twice"),
    }
}
