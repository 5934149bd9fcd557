//! Discover (LwM2M Core 1.1.1 §6.3.2).

use std::collections::BTreeMap;

use super::View;
use crate::coap::{Code, Response};
use crate::lwm2m::codecs::Format;
use crate::lwm2m::codecs::link::{self, Link, Present};
use crate::lwm2m::path::Path;
use crate::lwm2m::value::Content;

impl View<'_> {
    /// Everything present, readable or not (DSC-02), with the attributes that the asking server wrote (DSC-08).
    pub(super) fn discover(self, path: Path) -> Result<Response, Code> {
        self.expect_present(path)?;
        if path.depth() > 3 {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let present = self.present(path);
        let mut links = link::discover(path, &present, self.model, |at| self.shown_attributes(path, at));
        if links.is_empty() {
            let attributes = self.shown_attributes(path, path);
            let link = Link::to(path);
            links.push(attributes.into_iter().fold(link, |link, (name, value)| link.bare(name, value)));
        }
        Ok(Response::content(Format::Link.number(), link::encode(&links)))
    }

    /// What stands on the path itself; the link of the addressed path shows what is inherited as well (DSC-07).
    fn shown_attributes(self, addressed: Path, path: Path) -> Vec<(&'static str, f64)> {
        let is_addressed = path == addressed;
        let shown = if is_addressed { self.attributes.effective(path) } else { self.attributes.own(path) };
        shown.iter().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// The resources at and below a path in order, with or without a value.
    fn present(self, path: Path) -> Vec<Present> {
        let instance_of =
            |path: Path| Path::instance_of(path.object().unwrap_or(0), path.instance().unwrap_or(0));
        let above = if path.depth() < 3 { path } else { instance_of(path) };
        let mut found = BTreeMap::new();
        for instance in self.tree.instances(above) {
            let valueless = self.valueless(instance.object().unwrap_or_default());
            found.extend(valueless.into_iter().filter_map(|id| instance.child(id)).map(|path| (path, None)));
        }
        found.extend(self.tree.entries(above).into_iter().map(|entry| match entry.content {
            Content::Single(_) => (entry.path, None),
            Content::Multiple(values) => (entry.path, Some(values.into_iter().map(|(id, _)| id).collect())),
        }));
        let below = found.into_iter().filter(|(at, _)| path.covers(*at));
        below.map(|(path, instances)| Present { path, instances }).collect()
    }
}
