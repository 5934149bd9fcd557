//! Read and Observe (LwM2M Core 1.1.1 §6.3.1, §6.4.1).

use std::collections::BTreeMap;

use super::{Decision, View};
use crate::coap::{Code, Request, Response};
use crate::lwm2m::codecs::{self, Format};
use crate::lwm2m::model::Version;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Entry, ValueType};

/// Observe option: take up an observation (RFC 7641 §2).
const REGISTER: u32 = 0;

/// What was read at a path in this format; the answer to a Read, and the body of a notification. `times` are the Unix
/// seconds of values that are older than now, by the path of their resource or resource instance.
pub fn representation(
    path: Path,
    format: Format,
    read: Result<Vec<Entry>, Code>,
    times: &BTreeMap<Path, i64>,
) -> Response {
    let body = read.and_then(|entries| {
        // What is in the tree has a form in every multi-value format; a value that has none is our fault.
        codecs::encode_timed(format, path, &entries, times).map_err(|error| match error {
            codecs::CodecError::NotOneValue { .. } | codecs::CodecError::NotOpaque(_) => Code::NOT_ACCEPTABLE,
            _ => Code::INTERNAL_SERVER_ERROR,
        })
    });
    match body {
        Ok(payload) => Response::content(format.number(), payload),
        Err(code) => Response::new(code),
    }
}

impl View<'_> {
    pub(super) fn read(self, path: Path, request: &Request) -> Result<Decision, Code> {
        let asked = request.accept.map(|number| Format::from_number(number).ok_or(Code::NOT_ACCEPTABLE));
        // What is not there or not readable is said before what is wrong with the format.
        if asked == Some(Ok(Format::Link)) {
            return self.discover(path).map(Decision::Answer);
        }
        let entries = self.readable(path)?;
        let format = asked.unwrap_or_else(|| Ok(self.default_format(path)))?;
        let response = representation(path, format, Ok(entries), &BTreeMap::new());
        if request.observe == Some(REGISTER) && response.code.is_success() {
            return Ok(Decision::Observe { response, path, format });
        }
        Ok(Decision::Answer(response))
    }

    /// The readable resources at and below a path, with their values (RD-04).
    ///
    /// # Errors
    /// There is nothing there, or it cannot be read.
    pub fn readable(self, path: Path) -> Result<Vec<Entry>, Code> {
        if let (Some(object), Some(resource)) = (path.object(), path.resource()) {
            let operations = self.model.resource(object, resource).map(|definition| definition.operations);
            let whole = Path::resource_of(object, path.instance().unwrap_or_default(), resource);
            if operations.is_some_and(|operations| !operations.is_readable()) && self.is_present(whole) {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
        }
        let mut entries = self.tree.entries(path);
        // A resource without a value is as good as absent (RD-07).
        if entries.is_empty() && !self.tree.exists(path) {
            return Err(Code::NOT_FOUND);
        }
        entries.retain(|entry| {
            let (object, resource) = (entry.path.object(), entry.path.resource());
            let definition = object.zip(resource).and_then(|(object, id)| self.model.resource(object, id));
            definition.is_some_and(|definition| definition.operations.is_readable())
        });
        Ok(entries)
    }

    /// Text for one value, octets for one Opaque value; for the rest what every server of the version takes (RD-02,
    /// RD-03).
    fn default_format(self, path: Path) -> Format {
        let many = if self.model.enabler() < Version::V1_1 { Format::Tlv } else { Format::SenmlCbor };
        let (Some(object), Some(resource)) = (path.object(), path.resource()) else { return many };
        match self.model.resource(object, resource) {
            Some(definition) if definition.multiple && path.depth() == 3 => many,
            Some(definition) if definition.value_type == ValueType::Opaque => Format::Opaque,
            _ => Format::Text,
        }
    }
}
