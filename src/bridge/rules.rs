//! What a mapping says about one value, and what it makes of a scalar of the payload, and back.
//!
//! Up: words or table, else the number: × `scale` + `offset`, converted from its unit to the resource's, rounded to
//! `precision`, and to a whole number where the resource holds one (half away from zero: a tilt of 2.5 becomes 3). A
//! unit in the text wins over that of the mapping. NaN, infinities and what lies outside the registry's range never
//! come through. Down, what a server wrote takes the same way backwards. A refusal is told in words that fit behind a
//! topic.

use std::borrow::Cow;
use std::time::Duration;

use crate::lwm2m::model::ResourceDef;
use crate::lwm2m::value::{Value, ValueType};

use super::exact::{Affine, Ratio};
use super::pointer::Scalar;
use super::quantity::{Number, Quantity, QuantityError, is_nan};
use super::units::{self, Unit};

/// Longest text that becomes a value of a String resource.
const MAX_TEXT_OCTETS: usize = 1024;

/// Seconds from here on (year 5138) are milliseconds that somebody forgot to divide.
const FIRST_IMPLAUSIBLE_SECOND: f64 = 1e11;

/// Resources of these types can be fed from a payload.
pub const fn is_feedable(value_type: ValueType) -> bool {
    use ValueType::{Boolean, Float, Integer, String, Time, Unsigned};
    matches!(value_type, String | Integer | Unsigned | Float | Boolean | Time)
}

/// What a mapping says about one value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Exchange true and false.
    pub invert: bool,
    /// Texts for true and false, beside the usual ones.
    pub words: Vec<(String, bool)>,
    /// What texts stand for; empty: the value stands for itself.
    pub table: Vec<(String, Value)>,
    /// How numbers are reckoned.
    pub numbers: Numbers,
    /// Null, NaN and nothing are refused, rather than no sample at all.
    pub refuse_null: bool,
    /// What is let out.
    pub pace: Pace,
}

/// Scale, units and rounding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    /// `scale` and `offset`; `None`: neither.
    pub scale: Option<Affine>,
    /// The same, and then from the unit of the mapping to that of the resource; `None`: nothing to do.
    pub own: Option<Affine>,
    /// What the value is measured in, if that is known: a unit in the text is converted to it.
    pub target: Option<&'static Unit>,
    /// Step that the value is rounded to.
    pub precision: Option<Ratio>,
}

/// Which values are held back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Least difference from the last value that was let out.
    pub deadband: Option<f64>,
    /// Least time since then.
    pub min_interval: Option<Duration>,
}

impl Rules {
    /// The value of this resource that `scalar` stands for; `None` where there is none and that is no fault.
    ///
    /// # Errors
    /// It stands for none, with the reason.
    pub fn value(&self, scalar: &Scalar<'_>, resource: &ResourceDef) -> Result<Option<Value>, String> {
        if is_nothing(scalar, resource.value_type) {
            return if self.refuse_null { Err(format!("the value is {}", shown(scalar))) } else { Ok(None) };
        }
        if *scalar == Scalar::Container {
            return Err("there is an object or array, not a single value".to_owned());
        }
        if !self.table.is_empty() {
            return self.entry(scalar).map(Some);
        }
        let value = match resource.value_type {
            ValueType::Boolean => Value::Boolean(self.truth(scalar)? != self.invert),
            ValueType::Float => Value::Float(self.float(scalar)?),
            ValueType::Integer => Value::Integer(self.whole(scalar, Ratio::round)?),
            ValueType::Unsigned => Value::Unsigned(self.whole(scalar, Ratio::round)?),
            ValueType::Time => Value::Time(self.seconds(scalar)?),
            ValueType::String => Value::String(text(scalar)?),
            other => return Err(format!("a payload cannot become a value of type {other:?}")),
        };
        resource.check(&value).map_err(|misfit| format!("{misfit}, which {} is not", shown(scalar)))?;
        Ok(Some(value))
    }

    /// What a payload holds for this value, so that [`Rules::value`] would give it again.
    ///
    /// # Errors
    /// It has no form in a payload, with the reason.
    pub fn scalar(&self, value: &Value) -> Result<Scalar<'_>, String> {
        if !self.table.is_empty() {
            let entry = self.table.iter().find(|(_, entry)| entry == value);
            let missing = || format!("no entry of enum stands for {value:?}");
            return entry.map(|(text, _)| as_written(text)).ok_or_else(missing);
        }
        Ok(match value {
            Value::Boolean(truth) => {
                let truth = *truth != self.invert;
                let word = self.words.iter().find(|(_, stands_for)| *stands_for == truth);
                word.map_or(Scalar::Boolean(truth), |(word, _)| as_written(word))
            }
            Value::Integer(number) | Value::Time(number) => {
                self.numbers.back(Number::Whole((*number).into()))?
            }
            Value::Unsigned(number) => self.numbers.back(Number::Whole((*number).into()))?,
            Value::Float(number) => self.numbers.back(Number::Float(*number))?,
            Value::String(text) => Scalar::Text(Cow::Owned(text.clone())),
            other => {
                return Err(format!("a value of type {:?} has no form in a message", other.value_type()));
            }
        })
    }

    fn entry(&self, scalar: &Scalar<'_>) -> Result<Value, String> {
        let found = self.table.iter().find(|(entry, _)| says(scalar, entry));
        found.map(|(_, value)| value.clone()).ok_or_else(|| format!("{} is not in enum", shown(scalar)))
    }

    fn truth(&self, scalar: &Scalar<'_>) -> Result<bool, String> {
        if let Some((_, truth)) = self.words.iter().find(|(word, _)| says(scalar, word)) {
            return Ok(*truth);
        }
        let truth = match scalar {
            Scalar::Boolean(truth) => Some(*truth),
            Scalar::Integer(0) => Some(false),
            Scalar::Integer(1) => Some(true),
            Scalar::Float(number) if *number == 0.0 => Some(false),
            Scalar::Float(number) if *number == 1.0 => Some(true),
            Scalar::Text(text) => truth_of(text.trim()),
            _ => None,
        };
        truth.ok_or_else(|| format!("{} is neither true, on or 1 nor false, off or 0", shown(scalar)))
    }

    fn float(&self, scalar: &Scalar<'_>) -> Result<f64, String> {
        let (number, affine) = self.number(scalar)?;
        let result = match (affine, self.numbers.precision) {
            (None, None) => number.to_float(),
            (affine, precision) => match exact(number, affine, precision) {
                Some(exact) => exact.to_float(),
                None => in_floats(number, affine, precision),
            },
        };
        if result.is_finite() { Ok(result) } else { Err(format!("{} is too large", shown(scalar))) }
    }

    /// A whole number of a type with 64 bits, rounded so.
    fn whole<T: TryFrom<i128>>(
        &self,
        scalar: &Scalar<'_>,
        round: impl Fn(Ratio) -> Option<i128>,
    ) -> Result<T, String> {
        let (number, affine) = self.number(scalar)?;
        let precision = self.numbers.precision;
        let whole = match (number, affine, precision) {
            (Number::Whole(number), None, None) => number,
            // A cast of a finite float saturates at the ends of i128, far outside of every T.
            _ => exact(number, affine, precision)
                .and_then(round)
                .unwrap_or_else(|| in_floats(number, affine, precision).round() as i128),
        };
        T::try_from(whole).map_err(|_| format!("{} is too large or too small for 64 bits", shown(scalar)))
    }

    fn seconds(&self, scalar: &Scalar<'_>) -> Result<i64, String> {
        let seconds: i64 = self.whole(scalar, |seconds| Some(seconds.floor()))?;
        if (seconds as f64).abs() >= FIRST_IMPLAUSIBLE_SECOND {
            let hint = "seems to count milliseconds; seconds since 1970 are wanted, or unit = \"ms\"";
            return Err(format!("{} {hint}", shown(scalar)));
        }
        Ok(seconds)
    }

    /// The number in a scalar, and what to do with it before it is rounded.
    fn number(&self, scalar: &Scalar<'_>) -> Result<(Number, Option<Affine>), String> {
        let (number, unit) = match scalar {
            Scalar::Float(number) => (Number::Float(*number), ""),
            Scalar::Integer(number) => (Number::Whole(*number), ""),
            Scalar::Text(text) => {
                let quantity = Quantity::read(text).map_err(|error| no_number(scalar, error))?;
                (quantity.number, quantity.unit)
            }
            _ => return Err(no_number(scalar, QuantityError::NotNumber)),
        };
        let affine = match unit {
            "" => self.numbers.own,
            unit => Some(self.numbers.of_unit(unit)?),
        };
        Ok((number, affine))
    }
}

impl Numbers {
    /// What turns a number with this unit in the text into one of the resource's.
    fn of_unit(&self, unit: &str) -> Result<Affine, String> {
        let known = units::find(unit).ok_or_else(|| format!("the unit {:?} is not known", short(unit)))?;
        let target = self.target.ok_or_else(|| {
            format!("there is the unit {}, and nothing says what the resource is measured in", known.name())
        })?;
        let affine = known
            .to(target)
            .ok_or_else(|| format!("the unit {} cannot be converted to {}", known.name(), target.name()))?;
        let scale = self.scale.unwrap_or(Affine::IDENTITY);
        scale.then(affine).ok_or_else(|| format!("scale is too fine for the unit {}", known.name()))
    }

    /// The number that the payload has for this one of the resource's.
    fn back(&self, number: Number) -> Result<Scalar<'static>, String> {
        let result = match self.own {
            None => number,
            Some(affine) => {
                let back = affine.inverse().ok_or("the scale cannot be undone")?;
                let exact = exact(number, Some(back), None);
                let whole = exact.and_then(Ratio::to_whole).map(Number::Whole);
                let float = || exact.map_or_else(|| back.apply_float(number.to_float()), Ratio::to_float);
                whole.unwrap_or_else(|| Number::Float(float()))
            }
        };
        match result {
            Number::Whole(number) => Ok(Scalar::Integer(number)),
            Number::Float(number) if number.is_finite() => Ok(Scalar::Float(number)),
            Number::Float(_) => Err("the number is too large for a message".to_owned()),
        }
    }
}

/// Null; for what is no text also nothing, NaN and the word null.
fn is_nothing(scalar: &Scalar<'_>, value_type: ValueType) -> bool {
    match (scalar, value_type) {
        (Scalar::Null, _) => true,
        (Scalar::Text(_), ValueType::String) => false,
        (Scalar::Text(text), _) if matches!(text.trim(), "" | "null") => true,
        (Scalar::Text(_), ValueType::Boolean) => false,
        (Scalar::Text(text), _) => is_nan(text),
        _ => false,
    }
}

/// The result as a fraction, where that fits.
fn exact(number: Number, affine: Option<Affine>, precision: Option<Ratio>) -> Option<Ratio> {
    let number = number.to_ratio()?;
    let number = match affine {
        Some(affine) => affine.apply(number)?,
        None => number,
    };
    match precision {
        Some(step) => number.to_step(step),
        None => Some(number),
    }
}

/// The same in floats.
fn in_floats(number: Number, affine: Option<Affine>, precision: Option<Ratio>) -> f64 {
    let number = number.to_float();
    let number = affine.map_or(number, |affine| affine.apply_float(number));
    match precision.map(Ratio::to_float) {
        Some(step) if (number / step).is_finite() => (number / step).round() * step,
        _ => number,
    }
}

/// The scalar is what an entry of `words` or `enum` says; upper and lower case do not count.
fn says(scalar: &Scalar<'_>, entry: &str) -> bool {
    match scalar {
        Scalar::Text(text) => text.trim().eq_ignore_ascii_case(entry),
        Scalar::Integer(number) => entry.parse() == Ok(*number),
        Scalar::Float(number) => entry.parse() == Ok(*number),
        Scalar::Boolean(truth) => entry.eq_ignore_ascii_case(if *truth { "true" } else { "false" }),
        Scalar::Null | Scalar::Container => false,
    }
}

/// An entry of `words` or `enum` as a payload has it: a number is a number there.
fn as_written(entry: &str) -> Scalar<'_> {
    match (entry, entry.parse::<i64>()) {
        ("true", _) => Scalar::Boolean(true),
        ("false", _) => Scalar::Boolean(false),
        (_, Ok(number)) if number.to_string() == entry => Scalar::Integer(number.into()),
        _ => Scalar::Text(Cow::Borrowed(entry)),
    }
}

/// The usual words; numbers in text too.
fn truth_of(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    match text.parse() {
        Ok(0.0) => Some(false),
        Ok(1.0) => Some(true),
        _ if ["true", "on"].iter().any(is) => Some(true),
        _ if ["false", "off"].iter().any(is) => Some(false),
        _ => None,
    }
}

fn text(scalar: &Scalar<'_>) -> Result<String, String> {
    let text = match scalar {
        Scalar::Text(text) => text.clone().into_owned(),
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

fn no_number(scalar: &Scalar<'_>, error: QuantityError) -> String {
    let scalar = shown(scalar);
    match error {
        QuantityError::NotNumber => format!("{scalar} is not a number"),
        QuantityError::AmbiguousComma => {
            format!("{scalar} may have a decimal comma or one between thousands; a decimal point is wanted")
        }
    }
}

/// The scalar for a log line: short, and on one line.
fn shown(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Null => "null".to_owned(),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Text(text) => format!("{:?}", short(text)),
        Scalar::Container => "an object or array".to_owned(),
    }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> Cow<'_, str> {
    const MOST_CHARS: usize = 40;
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
