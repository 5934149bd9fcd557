//! Records into entries: base fields, names, times and types.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::{CodecError, Format, UNNAMED, resource_at, text};
use super::FIRST_ABSOLUTE_SECOND;
use super::record::{Datum, Record};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value, ValueType};

/// Octets of the longest path, `/65534/65534/65534/65534`. A longer base name is refused before it is joined.
const MAX_NAME_OCTETS: usize = 24;

/// What the records are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Expect {
    /// Values of what is there.
    Values,
    /// New instances: `/object/resource` names a resource of an instance without ID.
    NewInstances,
}

/// Entries in ascending order, and the Unix seconds of the values that came with a time, by their paths.
pub(in super::super) type Decoded = (Vec<Entry>, BTreeMap<Path, i64>);

/// Takes the records one by one, and keeps what they say.
pub(super) struct Reading<'m> {
    base: Path,
    model: &'m Model,
    expect: Expect,
    base_name: String,
    base_time: f64,
    base_value: Option<super::record::Number>,
    name: String,
    records: usize,
    found: BTreeMap<Path, (Time, Value)>,
}

/// Seconds from 1970, or from now where they are few (SML-08).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time(f64);

impl Time {
    fn is_absolute(self) -> bool {
        self.0 >= FIRST_ABSOLUTE_SECOND as f64
    }

    /// Without a clock, what counts from now is taken as newer than what does not.
    fn order(self, other: Self) -> Ordering {
        other.is_absolute().cmp(&self.is_absolute()).then(self.0.total_cmp(&other.0))
    }
}

impl<'m> Reading<'m> {
    pub(super) fn new(base: Path, model: &'m Model, expect: Expect) -> Self {
        Self {
            base,
            model,
            expect,
            base_name: String::new(),
            base_time: 0.0,
            base_value: None,
            name: String::with_capacity(MAX_NAME_OCTETS),
            records: 0,
            found: BTreeMap::new(),
        }
    }

    /// A fault of the record that is to come, or is being read.
    pub(super) fn fault(&self, why: &'static str) -> CodecError {
        CodecError::Record { at: self.records, why }
    }

    pub(super) fn add(&mut self, record: Record<'_>) -> Result<(), CodecError> {
        if let Some(name) = record.base_name {
            self.base_name.clear();
            // A name that is no path stays one, however it goes on.
            self.base_name.extend(name.chars().take(MAX_NAME_OCTETS + 1));
        }
        self.base_time = record.base_time.map_or(self.base_time, |time| time.as_float());
        self.base_value = record.base_value.or(self.base_value);
        let time = Time(self.base_time + record.time.map_or(0.0, |time| time.as_float()));
        if !time.0.is_finite() {
            return Err(self.fault("no such time"));
        }
        let path = self.path(record.name.as_deref().unwrap_or_default())?;
        let datum = match (record.datum, self.base_value) {
            (None, _) => return Err(self.fault("no value")),
            (Some(Datum::Number(number)), Some(base)) => Datum::Number(number.plus(base)),
            (Some(datum), _) => datum,
        };
        self.keep(path, time, datum)?;
        self.records += 1;
        Ok(())
    }

    /// Base name and name, joined as they are (SML-01).
    fn path(&mut self, name: &str) -> Result<Path, CodecError> {
        self.name.clear();
        self.name.push_str(&self.base_name);
        self.name.extend(name.chars().take(MAX_NAME_OCTETS + 1));
        let path: Path = self.name.parse().map_err(|_| CodecError::Name(self.name.clone()))?;
        match (path.depth(), self.expect) {
            (3 | 4, _) => Ok(path),
            (2, Expect::NewInstances) => {
                let ids = path.object().zip(path.instance());
                Ok(ids.map_or(path, |(object, resource)| Path::resource_of(object, UNNAMED, resource)))
            }
            _ => Err(CodecError::Name(self.name.clone())),
        }
    }

    fn keep(&mut self, path: Path, time: Time, datum: Datum<'_>) -> Result<(), CodecError> {
        if !self.base.covers(path) {
            return Err(CodecError::OutsidePath { base: self.base, found: path });
        }
        let is_instance = path.depth() == 4;
        let resource = if is_instance { path.parent().unwrap_or(path) } else { path };
        let is_known_object = resource.object().is_some_and(|object| self.model.object(object).is_some());
        let definition = match resource_at(resource, self.model) {
            // An optional resource that we do not have (WR-09).
            Err(CodecError::Unknown(_)) if is_known_object && self.base.depth() < 3 => return Ok(()),
            found => found?,
        };
        if definition.multiple != is_instance {
            return Err(CodecError::Shape(path));
        }
        let value = typed(path, definition.value_type, datum)?;
        if let Some((earlier, _)) = self.found.get(&path) {
            match time.order(*earlier) {
                Ordering::Greater => {}
                Ordering::Equal => return Err(CodecError::Twice(path)),
                Ordering::Less => return Ok(()),
            }
        }
        self.found.insert(path, (time, value));
        Ok(())
    }

    pub(super) fn finish(self, format: Format) -> Result<Decoded, CodecError> {
        let mut times = BTreeMap::new();
        let mut entries: Vec<Entry> = vec![];
        for (path, (time, value)) in self.found {
            if time.is_absolute() {
                times.insert(path, time.0 as i64);
            }
            let Some(id) = path.resource_instance() else {
                entries.push(Entry { path, content: Content::Single(value) });
                continue;
            };
            let path = path.parent().unwrap_or(path);
            match entries.last_mut() {
                Some(Entry { path: last, content: Content::Multiple(values) }) if *last == path => {
                    values.push((id, value));
                }
                _ => entries.push(Entry { path, content: Content::Multiple(vec![(id, value)]) }),
            }
        }
        match self.base.depth() {
            3 if entries.is_empty() && resource_at(self.base, self.model)?.multiple => {
                entries.push(Entry { path: self.base, content: Content::Multiple(vec![]) });
            }
            3 | 4 if entries.is_empty() => return Err(CodecError::NotOneValue { format }),
            _ => {}
        }
        Ok((entries, times))
    }
}

fn typed(path: Path, value_type: ValueType, datum: Datum<'_>) -> Result<Value, CodecError> {
    let fault = |why| CodecError::Value { path, value_type, why };
    let found = match (value_type, datum) {
        (ValueType::String, Datum::Text(text)) => Some(Value::String(text.into_owned())),
        (ValueType::CoreLink, Datum::Text(text)) => Some(Value::CoreLink(text.into_owned())),
        (ValueType::Integer, Datum::Number(number)) => {
            number.as_integer().and_then(|number| number.try_into().ok()).map(Value::Integer)
        }
        (ValueType::Time, Datum::Number(number)) => {
            number.as_integer().and_then(|number| number.try_into().ok()).map(Value::Time)
        }
        (ValueType::Unsigned, Datum::Number(number)) => {
            number.as_integer().and_then(|number| number.try_into().ok()).map(Value::Unsigned)
        }
        (ValueType::Float, Datum::Number(number)) => {
            Some(number.as_float()).filter(|number| number.is_finite()).map(Value::Float)
        }
        (ValueType::Boolean, Datum::Boolean(truth)) => Some(Value::Boolean(truth)),
        (ValueType::Opaque, Datum::Octets(octets)) => Some(Value::Opaque(octets.into_owned())),
        // Leshan writes `vs`.
        (ValueType::ObjectLink, Datum::ObjectLink(link) | Datum::Text(link)) => text::object_link(&link),
        (ValueType::Execute, _) => return Err(CodecError::Executable(path)),
        _ => return Err(fault("the value stands in another field than its type has")),
    };
    found.ok_or_else(|| fault("the value has no such form, or more than 64 bits"))
}
