//! Create of instances of a held object (LwM2M Core 1.1.1 §6.3.6).
//!
//! Everything is checked before anything is made, so of several instances all or none come to be (CR-07).

use super::write::{check, refusal};
use super::{Decision, Owner, View};
use crate::coap::{Code, Request};
use crate::lwm2m::codecs::{self, Format, NewInstance};
use crate::lwm2m::model::ObjectDef;
use crate::lwm2m::path::Path;
use crate::lwm2m::value::{Content, Entry};

impl View<'_> {
    /// POST on an object. Instances of other objects stand for something real, or are ours.
    pub(super) fn create(self, path: Path, request: &Request) -> Result<Decision, Code> {
        let object = path.object().and_then(|object| self.model.object(object)).ok_or(Code::NOT_FOUND)?;
        // A second instance of a single-instance object is no payload's fault (CR-05).
        let is_taken = !object.multiple && self.tree.instances(path).next().is_some();
        if self.owner(path) != Owner::Held || is_taken {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let format = request.content_format.ok_or(Code::BAD_REQUEST)?;
        let format = Format::from_number(format)
            .filter(|format| *format != Format::Link)
            .ok_or(Code::UNSUPPORTED_CONTENT_FORMAT)?;
        let new = codecs::decode_new(format, path, &request.payload, self.model)
            .map_err(|error| refusal(&error))?;
        let (mut instances, mut contents) = (vec![], vec![]);
        for NewInstance { id, resources } in new {
            let instance = self.place(path, object, id)?;
            contents.extend(self.contents(instance, object, resources)?);
            instances.push(instance);
        }
        if !self.held.has_room_for(instances.len(), contents.iter().map(|(_, content)| content)) {
            return Err(Code::INTERNAL_SERVER_ERROR);
        }
        Ok(Decision::Create { instances, contents })
    }

    /// Where the new instance goes: the ID that the server names if it is free, else one of ours (CR-02, CR-03).
    fn place(self, path: Path, object: &ObjectDef, id: Option<u16>) -> Result<Path, Code> {
        let id = match id {
            Some(id) => id,
            None => self.free_instance(path).ok_or(Code::INTERNAL_SERVER_ERROR)?,
        };
        let instance = path.child(id).filter(|_| object.multiple || id == 0).ok_or(Code::BAD_REQUEST)?;
        if self.tree.exists(instance) { Err(Code::BAD_REQUEST) } else { Ok(instance) }
    }

    /// The ID after the highest; at the end of the IDs the lowest that is free.
    fn free_instance(self, path: Path) -> Option<u16> {
        let next = self.tree.last_instance(path).map_or(Some(0), |last| last.instance()?.checked_add(1));
        let is_free = |id: &u16| path.child(*id).is_some_and(|instance| !self.tree.exists(instance));
        next.filter(is_free).or_else(|| (0..u16::MAX).find(is_free))
    }

    /// What the instance is to hold: only what servers may write, and all of it that every instance must have (CR-04).
    fn contents(
        self,
        instance: Path,
        object: &ObjectDef,
        resources: Vec<(u16, Content)>,
    ) -> Result<Vec<(Path, Content)>, Code> {
        let is_missing = object.resources().iter().any(|definition| {
            let is_named = resources.iter().any(|(id, _)| *id == definition.id);
            definition.mandatory && definition.operations.is_writable() && !is_named
        });
        let mut contents = vec![];
        for (id, content) in resources {
            let path = instance.child(id).ok_or(Code::BAD_REQUEST)?;
            let definition = self.writable(path)?;
            let entry = Entry { path, content };
            check(definition, &entry)?;
            contents.push((path, entry.content));
        }
        if is_missing { Err(Code::BAD_REQUEST) } else { Ok(contents) }
    }
}
