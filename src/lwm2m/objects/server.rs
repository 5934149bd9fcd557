//! Object 1, LwM2M Server: lifetime, notification periods and binding of one server account.

use std::time::Duration;

use super::Fact;
use crate::lwm2m::path::Path;
use crate::lwm2m::tree::Tree;
use crate::lwm2m::value::{Content, Value};

/// Object ID.
pub const ID: u16 = 1;
/// Lifetime, seconds.
pub const LIFETIME: u16 = 1;
/// Default Minimum Period, seconds.
pub const DEFAULT_PMIN: u16 = 2;
/// Default Maximum Period, seconds.
pub const DEFAULT_PMAX: u16 = 3;
/// Disable, executable: not registered for the Disable Timeout.
pub const DISABLE: u16 = 4;
/// Disable Timeout, seconds.
pub const DISABLE_TIMEOUT: u16 = 5;
/// Notification Storing When Disabled or Offline.
pub const STORING: u16 = 6;
/// Binding.
pub const BINDING: u16 = 7;
/// Registration Update Trigger, executable.
pub const UPDATE_TRIGGER: u16 = 8;

/// Resources that a server may write.
pub const WRITABLE: &[u16] = &[LIFETIME, DEFAULT_PMIN, DEFAULT_PMAX, DISABLE_TIMEOUT, STORING, BINDING];
/// Lifetime and Disable Timeout where nothing is said (REG-05, DER-02).
const DAY_SECS: u32 = 86_400;
/// The only binding served.
pub const UDP: &str = "U";

/// A server account as configured.
pub fn facts(short_server_id: u16, lifetime_secs: u32) -> Vec<Fact> {
    let single = |value| Some(Content::Single(value));
    vec![
        (0, single(Value::Integer(short_server_id.into()))),
        (LIFETIME, single(Value::Integer(lifetime_secs.into()))),
        (DISABLE_TIMEOUT, single(Value::Integer(DAY_SECS.into()))),
        (STORING, single(Value::Boolean(true))),
        (BINDING, single(Value::String(UDP.to_owned()))),
    ]
}

/// A value of the right type is also one that can be served.
pub fn accepts(resource: u16, value: &Value) -> bool {
    match (resource, value) {
        // 0 for "endless" is of LwM2M 1.2; beyond 32 bits no server counts.
        (LIFETIME, Value::Integer(seconds)) => (1..=i64::from(u32::MAX)).contains(seconds),
        (DEFAULT_PMIN | DEFAULT_PMAX | DISABLE_TIMEOUT, Value::Integer(seconds)) => {
            (0..=i64::from(u32::MAX)).contains(seconds)
        }
        (BINDING, Value::String(binding)) => binding == UDP,
        _ => true,
    }
}

/// The lifetime in seconds that counts for this instance.
pub fn lifetime_secs(tree: &Tree, server: Path) -> u32 {
    seconds_at(tree, server, LIFETIME)
}

/// How long a Disable of this instance lasts (DER-02).
pub fn disable_timeout(tree: &Tree, server: Path) -> Duration {
    Duration::from_secs(seconds_at(tree, server, DISABLE_TIMEOUT).into())
}

fn seconds_at(tree: &Tree, server: Path, resource: u16) -> u32 {
    match server.child(resource).and_then(|path| tree.value(path)) {
        Some(Value::Integer(seconds)) => u32::try_from(*seconds).unwrap_or(DAY_SECS),
        _ => DAY_SECS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servable_values_are_accepted() {
        assert!(accepts(LIFETIME, &Value::Integer(1)) && !accepts(LIFETIME, &Value::Integer(0)));
        assert!(!accepts(LIFETIME, &Value::Integer(i64::MAX)));
        assert!(accepts(DEFAULT_PMIN, &Value::Integer(0)) && !accepts(DEFAULT_PMAX, &Value::Integer(-1)));
        assert!(
            accepts(BINDING, &Value::String("U".into())) && !accepts(BINDING, &Value::String("UQ".into()))
        );
    }
}
