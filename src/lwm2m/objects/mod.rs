//! Objects that this program answers for itself; every other object is fed and served by mappings.
//!
//! An object here is translation only: facts to contents, and which resources take a Write or Execute.

pub mod connectivity;
pub mod device;
pub mod security;
pub mod server;

use super::path::Path;
use super::value::{Content, Value};

/// A resource and what it holds now; `None` where that is not known.
pub type Fact = (u16, Option<Content>);

/// The object is one of these; mappings must leave it alone.
pub const fn is_native(object: u16) -> bool {
    matches!(object, security::ID | server::ID | device::ID | connectivity::ID)
}

/// Every operation on the object is refused with 4.01: it holds keys (DM-07).
pub const fn is_secret(object: u16) -> bool {
    // 21 is OSCORE.
    matches!(object, security::ID | 21)
}

/// A server may write the native resource.
pub fn is_writable(resource: Path) -> bool {
    matches!((resource.object(), resource.resource()), (Some(server::ID), Some(id)) if server::WRITABLE.contains(&id))
}

/// Executable resources of a native object.
pub const fn executables(object: u16) -> &'static [u16] {
    match object {
        server::ID => &[server::UPDATE_TRIGGER],
        device::ID => &[device::REBOOT],
        _ => &[],
    }
}

fn text(value: Option<&str>) -> Option<Content> {
    value.map(|text| Content::Single(Value::String(text.to_owned())))
}

fn integer(value: Option<impl Into<i64>>) -> Option<Content> {
    value.map(|number| Content::Single(Value::Integer(number.into())))
}
