//! Object 0, LwM2M Security: where the servers are. No server ever sees it (DM-07).

use super::Fact;
use crate::lwm2m::value::{Content, Value};

/// Object ID.
pub const ID: u16 = 0;

/// Security Mode: no security.
const NO_SEC: i64 = 3;

/// The account of a management server at this URI, without security.
pub fn facts(uri: &str, short_server_id: u16) -> Vec<Fact> {
    let single = |value| Some(Content::Single(value));
    vec![
        (0, single(Value::String(uri.to_owned()))),
        (1, single(Value::Boolean(false))),
        (2, single(Value::Integer(NO_SEC))),
        (10, single(Value::Integer(short_server_id.into()))),
    ]
}
