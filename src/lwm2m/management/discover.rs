//! Discover (LwM2M Core 1.1.1 §6.3.2).

use std::collections::BTreeMap;

use super::View;
use crate::coap::{Code, Response};
use crate::lwm2m::codecs::Format;
use crate::lwm2m::codecs::link::{self, Present};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Content;

impl View<'_> {
    /// Everything present, readable or not (DSC-02), with the attributes that the asking server wrote (DSC-08).
    pub(super) fn discover(self, path: Path) -> Result<Response, Code> {
        if path.depth() > 3 {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let links =
            link::discover(path, &self.present(path), self.model, |at| self.shown_attributes(path, at));
        Ok(Response::content(Format::Link.number(), link::encode(&links)))
    }

    /// What stands on the path itself; the link of the addressed path shows what is inherited as well (DSC-07).
    fn shown_attributes(self, addressed: Path, path: Path) -> Vec<(&'static str, f64)> {
        let is_addressed = path == addressed;
        let shown = if is_addressed { self.attributes.effective(path) } else { self.attributes.own(path) };
        shown.iter().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// The path and what lies below it in order, with or without a value.
    fn present(self, path: Path) -> Vec<Present> {
        let mut found = BTreeMap::from([(path, None)]);
        let valueless = self.valueless(path.object().unwrap_or_default());
        for instance in self.tree.instances(path) {
            found.insert(instance, None);
            found.extend(valueless.iter().filter_map(|id| Some((instance.child(*id)?, None))));
        }
        found.extend(self.tree.entries(path).into_iter().map(|entry| match entry.content {
            Content::Single(_) => (entry.path, None),
            Content::Multiple(values) => (entry.path, Some(values.into_iter().map(|(id, _)| id).collect())),
        }));
        found.into_iter().map(|(path, instances)| Present { path, instances }).collect()
    }
}
