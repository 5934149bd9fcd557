//! Objects that this program answers for itself; every other object is fed and served by mappings, or held for the
//! servers.
//!
//! An object here is translation only: facts to contents, and which resources take a Write or Execute.

pub mod connectivity;
pub mod device;
pub mod errors;
pub mod location;
pub mod security;
pub mod server;
pub mod statistics;

use super::path::Path;
use super::value::{Content, Value};

/// A resource and what it holds now; `None` where that is not known.
pub type Fact = (u16, Option<Content>);

/// The object is one of these; mappings must leave it alone. Location is native only where it is configured, and then
/// without any rights, so that it is not among them.
pub const fn is_native(object: u16) -> bool {
    matches!(object, security::ID | server::ID | device::ID | connectivity::ID | statistics::ID)
}

/// Every operation on the object is refused with 4.01: it holds keys (DM-07).
pub const fn is_secret(object: u16) -> bool {
    // 21 is OSCORE.
    matches!(object, security::ID | 21)
}

/// A server may write the native resource.
pub fn is_writable(resource: Path) -> bool {
    let (Some(object), Some(id)) = (resource.object(), resource.resource()) else { return false };
    match object {
        server::ID => server::WRITABLE.contains(&id),
        statistics::ID => id == statistics::PERIOD,
        _ => false,
    }
}

/// Executable resources of a native object.
pub const fn executables(object: u16) -> &'static [u16] {
    match object {
        server::ID => &[server::DISABLE, server::UPDATE_TRIGGER],
        device::ID => &[device::REBOOT, device::RESET_ERRORS],
        statistics::ID => &[statistics::START, statistics::STOP],
        _ => &[],
    }
}

/// A value of the right type and range is also one that a native resource can serve; others take any.
pub fn accepts(resource: Path, value: &Value) -> bool {
    match (resource.object(), resource.resource(), value) {
        (Some(server::ID), Some(id), value) => server::accepts(id, value),
        (Some(statistics::ID), Some(statistics::PERIOD), Value::Integer(seconds)) => {
            (0..=i64::from(u32::MAX)).contains(seconds)
        }
        _ => true,
    }
}

fn text(value: Option<&str>) -> Option<Content> {
    value.map(|text| Content::Single(Value::String(text.to_owned())))
}

fn integer(value: Option<impl Into<i64>>) -> Option<Content> {
    value.map(|number| Content::Single(Value::Integer(number.into())))
}
