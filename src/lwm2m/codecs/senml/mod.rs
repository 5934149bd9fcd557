//! SenML, Content-Formats 110 and 112 (RFC 8428, LwM2M Core 1.1.1 §7.4.4, §7.4.5): records to entries and back.
//!
//! What a record means is here; its octets are in `json` and `cbor`. One record is one value, so a multiple-instance
//! resource without instances leaves no trace. Records go out as `"bn":"/3/0/"` with `"n":"9"`, the base name being
//! all that the values have in common; any division of the path comes in (SML-03, SML-12).
//!
//! Times: a value that is written with a time counts as one of now, and of several values for one path the newest
//! counts (RD-14). Units, sums and update times are passed over.

mod cbor;
mod json;
mod reading;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{CodecError, Format};
use crate::lwm2m::model::Model;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value};

use reading::Reading;
pub(super) use reading::{Decoded, Expect};

/// From here on a time counts from 1970, below it from now (SML-08).
const FIRST_ABSOLUTE_SECOND: i64 = 1 << 28;

/// The two ways to write records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Json,
    Cbor,
}

impl Notation {
    const fn format(self) -> Format {
        match self {
            Self::Json => Format::SenmlJson,
            Self::Cbor => Format::SenmlCbor,
        }
    }
}

/// Writes the entries; `times` are Unix seconds by resource or resource instance.
pub(super) fn encode(
    notation: Notation,
    entries: &[Entry],
    times: &BTreeMap<Path, i64>,
) -> Result<Vec<u8>, CodecError> {
    let records = outgoing(entries, times);
    match notation {
        Notation::Json => json::encode(&records),
        Notation::Cbor => cbor::encode(&records),
    }
}

/// Reads records for `base`; see [`super::decode`].
pub(super) fn decode(
    notation: Notation,
    base: Path,
    payload: &[u8],
    model: &Model,
    expect: Expect,
) -> Result<Decoded, CodecError> {
    let mut reading = Reading::new(base, model, expect);
    match notation {
        Notation::Json => json::decode(payload, &mut reading)?,
        Notation::Cbor => cbor::decode(payload, &mut reading)?,
    }
    reading.finish(notation.format())
}

/// One value on its way out.
struct Outgoing<'a> {
    /// In the first record alone.
    base_name: Option<String>,
    /// In the first record, if all values are of one time.
    base_time: Option<i64>,
    /// `None` if the base name is the whole.
    name: Option<Name>,
    /// Unix seconds.
    time: Option<i64>,
    path: Path,
    value: &'a Value,
}

/// What a path has beyond the base name.
struct Name {
    path: Path,
    base_depth: usize,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.ids().skip(self.base_depth).enumerate().try_for_each(|(at, id)| match at {
            0 => write!(f, "{id}"),
            _ => write!(f, "/{id}"),
        })
    }
}

fn outgoing<'a>(entries: &'a [Entry], times: &BTreeMap<Path, i64>) -> Vec<Outgoing<'a>> {
    let time_of = |path: Path| {
        let of_resource = || path.parent().filter(|_| path.depth() == 4).and_then(|path| times.get(&path));
        // An earlier second would be read as a distance from now.
        times.get(&path).or_else(of_resource).copied().filter(|time| *time >= FIRST_ABSOLUTE_SECOND)
    };
    let mut records: Vec<Outgoing<'_>> = values(entries)
        .map(|(path, value)| Outgoing {
            base_name: None,
            base_time: None,
            name: None,
            time: if times.is_empty() { None } else { time_of(path) },
            path,
            value,
        })
        .collect();
    let Some(base) = records.iter().map(|record| record.path).reduce(common) else { return records };
    let base_depth = base.depth();
    for record in &mut records {
        record.name = (record.path.depth() > base_depth).then_some(Name { path: record.path, base_depth });
    }
    let distinct: BTreeSet<Option<i64>> = records.iter().map(|record| record.time).collect();
    if distinct.len() == 1 {
        records[0].base_time = records[0].time;
        records.iter_mut().for_each(|record| record.time = None);
    }
    let has_names = records[0].name.is_some();
    records[0].base_name = Some(match base.depth() {
        0 => "/".to_owned(),
        _ if has_names => format!("{base}/"),
        _ => base.to_string(),
    });
    records
}

/// Every value with its own path.
fn values(entries: &[Entry]) -> impl Iterator<Item = (Path, &Value)> {
    entries.iter().flat_map(|Entry { path, content }| {
        let (single, multiple) = match content {
            Content::Single(value) => (Some((*path, value)), [].as_slice()),
            Content::Multiple(values) => (None, values.as_slice()),
        };
        let instances =
            multiple.iter().filter_map(|(id, value)| path.child(*id).map(|instance| (instance, value)));
        single.into_iter().chain(instances)
    })
}

/// The longest path that covers both.
fn common(a: Path, b: Path) -> Path {
    a.ids()
        .zip(b.ids())
        .take_while(|(a, b)| a == b)
        .try_fold(Path::ROOT, |path, (id, _)| path.child(id))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
