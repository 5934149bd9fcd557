//! Write-Attributes (LwM2M Core 1.1.1 §6.3.4).

use super::{Decision, View};
use crate::coap::{Code, Request};
use crate::lwm2m::attributes;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::ValueType;

impl View<'_> {
    /// Everything is checked before anything changes.
    pub(super) fn write_attributes(self, path: Path, request: &Request) -> Result<Decision, Code> {
        // A PUT with neither format, payload nor attributes says nothing; it may be a Write gone wrong.
        if request.query.is_empty() {
            return Err(Code::BAD_REQUEST);
        }
        let assignments = attributes::parse(&request.query).map_err(|_| Code::BAD_REQUEST)?;
        let sets_limit = assignments.iter().any(|(name, value)| name.is_limit() && value.is_some());
        if sets_limit && !self.is_numeric(path) {
            return Err(Code::BAD_REQUEST);
        }
        let attributes = self.attributes.own(path).with(&assignments).map_err(|_| Code::BAD_REQUEST)?;
        Ok(Decision::WriteAttributes { path, attributes })
    }

    /// The path is a resource or resource instance that holds numbers (WA-05). A time is one: it counts seconds.
    fn is_numeric(self, path: Path) -> bool {
        let definition =
            path.object().zip(path.resource()).and_then(|(object, id)| self.model.resource(object, id));
        definition.is_some_and(|definition| {
            use ValueType::{Float, Integer, Time, Unsigned};
            matches!(definition.value_type, Float | Integer | Time | Unsigned)
        })
    }
}
