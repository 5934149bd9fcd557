//! What a server's request asks of the tree (LwM2M Core 1.1.1 §6.3): which operation it is and what comes of it.
//!
//! Decides and reads; changing the tree, starting observations and asking the bridge are the client's business.
//! The composite operations are recognised and refused.

mod attributes;
mod create;
mod delete;
mod discover;
mod execute;
mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{Attributes, Written};
use super::codecs::Format;
use super::downlink::Operation;
use super::held::Held;
use super::model::Model;
use super::objects;
use super::path::Path;
use super::tree::Tree;
use super::value::Content;
use crate::coap::{Code, Method, Request, Response};

pub use read::representation;

/// What servers may do with a mapped resource, beyond reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Write it.
    pub writable: bool,
    /// Execute it.
    pub executable: bool,
}

/// Rights by (Object ID, Resource ID).
pub type AccessTable = BTreeMap<(u16, u16), Access>;

/// What is looked at to decide on a request.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What there is.
    pub tree: &'a Tree,
    /// What it means.
    pub model: &'a Model,
    /// What the mappings take.
    pub access: &'a AccessTable,
    /// Which objects belong to the servers alone.
    pub held: &'a Held,
    /// What the asking server has written about notifications.
    pub attributes: &'a Written,
}

/// Whose an object is, and so who answers for its resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// This program: rights are as `objects` says.
    Native,
    /// The servers: rights are as the registry says.
    Held,
    /// A sensor or actuator: rights are as its mapping says.
    Mapped,
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// This answer and nothing else.
    Answer(Response),
    /// This answer, and an observation of the path in that format.
    Observe {
        /// The first answer.
        response: Response,
        /// What is observed.
        path: Path,
        /// In which format.
        format: Format,
    },
    /// The asking server's attributes of the path are these from now on, then 2.04.
    WriteAttributes {
        /// Where they stand.
        path: Path,
        /// All of them, the earlier ones too.
        attributes: Attributes,
    },
    /// Native or held resources are set (`None`: taken away), then 2.04.
    Set(Vec<(Path, Option<Content>)>),
    /// 2.04, then the native resource does its work.
    Run(Path),
    /// Instances of a held object are made with these contents, then 2.01 with where they are.
    Create {
        /// At least one.
        instances: Vec<Path>,
        /// Of them all.
        contents: Vec<(Path, Content)>,
    },
    /// The instance of a held object goes, then 2.02.
    Delete(Path),
    /// For the bridge; the answer waits for the outcome.
    Transact(Vec<Operation>),
}

/// Decides on a request.
pub fn decide(view: View<'_>, request: &Request) -> Decision {
    view.decide(request).unwrap_or_else(|code| Decision::Answer(Response::new(code)))
}

/// How a write treats what it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// PUT: it goes (WR-01, WR-03).
    Replace,
    /// POST: it stays (WR-02).
    Partial,
}

impl View<'_> {
    /// Which operation it is (DM-01).
    fn decide(self, request: &Request) -> Result<Decision, Code> {
        // Longer paths and segments that are no numbers name nothing (DM-03, DM-04).
        let path = Path::from_segments(&request.path).map_err(|_| Code::NOT_FOUND)?;
        if path.object().is_some_and(objects::is_secret) {
            return Err(Code::UNAUTHORIZED);
        }
        // What is not there is missed first (DM-06).
        self.expect_present(path)?;
        let has_format = request.content_format.is_some();
        match (request.method, path.depth()) {
            (Method::Fetch | Method::Ipatch, 0) => Err(Code::NOT_IMPLEMENTED),
            (Method::Fetch | Method::Ipatch | Method::Patch, _) | (_, 0) => Err(Code::METHOD_NOT_ALLOWED),
            (Method::Get, _) => self.read(path, request),
            (Method::Post, 1) => self.create(path, request),
            (Method::Delete, _) => self.delete(path),
            (Method::Put, 1) if has_format => Err(Code::METHOD_NOT_ALLOWED),
            (Method::Put, _) if has_format => self.write(path, Mode::Replace, request),
            (Method::Put, _) if request.payload.is_empty() => self.write_attributes(path, request),
            (Method::Put, _) => Err(Code::BAD_REQUEST),
            (Method::Post, 2) if has_format => self.write(path, Mode::Partial, request),
            (Method::Post, 2) => Err(Code::BAD_REQUEST),
            (Method::Post, 3) => self.execute(path, request),
            (Method::Post, _) => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn expect_present(self, path: Path) -> Result<(), Code> {
        if self.is_present(path) { Ok(()) } else { Err(Code::NOT_FOUND) }
    }

    /// There is such a thing, with or without a value.
    fn is_present(self, path: Path) -> bool {
        let (Some(object), Some(resource), 3) = (path.object(), path.resource(), path.depth()) else {
            return self.tree.exists(path);
        };
        let stands_without_value = match self.owner(path) {
            Owner::Native => objects::executables(object).contains(&resource) || objects::is_writable(path),
            Owner::Held => {
                let definition = self.model.resource(object, resource);
                definition.is_some_and(|definition| definition.operations.is_writable())
            }
            Owner::Mapped => {
                let access = self.access_to(object, resource);
                access.writable || access.executable
            }
        };
        self.tree.exists(path) || (stands_without_value && self.has_instance_of(path))
    }

    fn owner(self, path: Path) -> Owner {
        match path.object() {
            Some(object) if objects::is_native(object) => Owner::Native,
            Some(object) if self.held.has(object) => Owner::Held,
            _ => Owner::Mapped,
        }
    }

    fn has_instance_of(self, resource: Path) -> bool {
        resource.parent().is_some_and(|instance| self.tree.exists(instance))
    }

    fn access_to(self, object: u16, resource: u16) -> Access {
        self.access.get(&(object, resource)).copied().unwrap_or_default()
    }

    /// Resources that an instance of this object has although no value was set.
    fn valueless(self, object: u16) -> BTreeSet<u16> {
        let native = objects::executables(object).iter().copied();
        let native = native.filter(|id| self.model.resource(object, *id).is_some());
        let mapped = self.access.range((object, 0)..=(object, u16::MAX));
        native.chain(mapped.map(|((_, resource), _)| *resource)).collect()
    }
}
