//! Delete of an object instance (LwM2M Core 1.1.1 §6.3.7).

use super::{Decision, Owner, View};
use crate::coap::Code;
use crate::lwm2m::path::Path;

impl View<'_> {
    /// Only what a server can create, a server can delete; other instances stand for something real.
    pub(super) fn delete(self, path: Path) -> Result<Decision, Code> {
        match (self.owner(path), path.depth()) {
            (Owner::Held, 2) => Ok(Decision::Delete(path)),
            _ => Err(Code::METHOD_NOT_ALLOWED),
        }
    }
}
