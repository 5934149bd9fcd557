//! Write, replacing and partial, at an instance, a resource or a resource instance (LwM2M Core 1.1.1 §6.3.3).
//!
//! Everything is checked before anything is done, so a refused write leaves no trace (WR-05).

use std::collections::BTreeMap;

use super::{Decision, Mode, Owner, View};
use crate::coap::{Code, Request};
use crate::lwm2m::codecs::{self, CodecError, Format};
use crate::lwm2m::downlink::Operation;
use crate::lwm2m::model::ResourceDef;
use crate::lwm2m::objects;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry, Value};

impl View<'_> {
    pub(super) fn write(self, path: Path, mode: Mode, request: &Request) -> Result<Decision, Code> {
        if path.resource().is_some() {
            let resource = if path.depth() == 4 { path.parent().unwrap_or(path) } else { path };
            self.writable(resource)?;
        }
        let format = request
            .content_format
            .and_then(Format::from_number)
            .filter(|format| *format != Format::Link)
            .ok_or(Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let entries =
            codecs::decode(format, path, &request.payload, self.model).map_err(|error| refusal(&error))?;
        let mut accepted = vec![];
        for entry in entries {
            if path.depth() == 2 && self.owner(path) != Owner::Held && !self.is_present(entry.path) {
                // An optional resource that we do not have (WR-09).
                continue;
            }
            let definition = self.writable(entry.path)?;
            check(definition, &entry)?;
            accepted.push(entry);
        }
        if mode == Mode::Replace && path.depth() == 2 {
            self.expect_mandatory(path, &accepted)?;
        }
        let keeps_others = mode == Mode::Partial || path.depth() == 4;
        let contents = accepted.into_iter().map(|entry| {
            let content = if keeps_others { self.merged(entry.path, entry.content) } else { entry.content };
            (entry.path, content)
        });
        let owner = self.owner(path);
        if owner != Owner::Mapped {
            let changes = self.changes(path, mode, contents.collect());
            let new = changes.iter().filter_map(|(_, content)| content.as_ref());
            let is_full = owner == Owner::Held && !self.held.has_room_for(0, new);
            return if is_full { Err(Code::INTERNAL_SERVER_ERROR) } else { Ok(Decision::Set(changes)) };
        }
        let operations: Vec<_> = contents.map(|(path, content)| Operation::Write { path, content }).collect();
        // Nothing to do is done at once (WR-10).
        Ok(if operations.is_empty() { Decision::Set(vec![]) } else { Decision::Transact(operations) })
    }

    /// The resource takes a Write from a server (DM-09).
    pub(super) fn writable(self, resource: Path) -> Result<&'static ResourceDef, Code> {
        let (Some(object), Some(id)) = (resource.object(), resource.resource()) else {
            return Err(Code::NOT_FOUND);
        };
        let definition = self.model.resource(object, id).ok_or(Code::NOT_FOUND)?;
        let is_taken = match self.owner(resource) {
            Owner::Native => objects::is_writable(resource),
            Owner::Held => true,
            Owner::Mapped => self.access_to(object, id).writable,
        };
        if definition.operations.is_writable() && is_taken {
            Ok(definition)
        } else {
            Err(Code::METHOD_NOT_ALLOWED)
        }
    }

    /// A replacing write of an instance names every mandatory resource that can be written (WR-01).
    fn expect_mandatory(self, instance: Path, entries: &[Entry]) -> Result<(), Code> {
        let Some(object) = instance.object().and_then(|object| self.model.object(object)) else {
            return Err(Code::NOT_FOUND);
        };
        let is_missing = |definition: &ResourceDef| {
            let Some(path) = instance.child(definition.id) else { return false };
            let is_named = entries.iter().any(|entry| entry.path == path);
            definition.mandatory && !is_named && self.writable(path).is_ok()
        };
        if object.resources().iter().any(is_missing) { Err(Code::BAD_REQUEST) } else { Ok(()) }
    }

    /// The content with the resource instances that it does not name as they are.
    fn merged(self, resource: Path, content: Content) -> Content {
        match (self.tree.content(resource), content) {
            (Some(Content::Multiple(before)), Content::Multiple(after)) => {
                let mut values: BTreeMap<u16, Value> = before.iter().cloned().collect();
                values.extend(after);
                Content::Multiple(values.into_iter().collect())
            }
            (_, content) => content,
        }
    }

    /// A replaced instance also loses the optional resources that the write does not name.
    fn changes(self, path: Path, mode: Mode, contents: Vec<(Path, Content)>) -> Vec<(Path, Option<Content>)> {
        let mut changes: BTreeMap<Path, Option<Content>> = BTreeMap::new();
        if mode == Mode::Replace && path.depth() == 2 {
            let present = self.tree.entries(path).into_iter().map(|entry| entry.path);
            changes.extend(present.filter(|at| self.writable(*at).is_ok()).map(|at| (at, None)));
        }
        changes.extend(contents.into_iter().map(|(path, content)| (path, Some(content))));
        changes.into_iter().collect()
    }
}

/// Type and range of the registry, and what a native object can really serve (DM-11, TYP-03).
pub(super) fn check(definition: &ResourceDef, entry: &Entry) -> Result<(), Code> {
    let is_good = |value: &Value| definition.check(value).is_ok() && objects::accepts(entry.path, value);
    let good = match &entry.content {
        Content::Single(value) => is_good(value),
        Content::Multiple(values) => values.iter().all(|(_, value)| is_good(value)),
    };
    if good { Ok(()) } else { Err(Code::BAD_REQUEST) }
}

/// The code for a payload that does not read.
pub(super) fn refusal(error: &CodecError) -> Code {
    match error {
        CodecError::Unknown(_) => Code::NOT_FOUND,
        CodecError::Executable(_) => Code::METHOD_NOT_ALLOWED,
        _ => Code::BAD_REQUEST,
    }
}
