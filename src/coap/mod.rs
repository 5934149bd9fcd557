//! CoAP endpoint (RFC 7252, RFC 7641): message layer, exchanges, observations.
//!
//! One door: [`Endpoint`] takes datagrams, [`Action`]s and time, and gives datagrams, [`Event`]s and deadlines. The other
//! files are its insides. Not here yet: block-wise transfer (RFC 7959), OSCORE, CoAP over TCP.

mod dedup;
pub mod endpoint;
mod exchange;
mod message;
mod message_id;
mod observe;
pub mod params;
mod reliability;
mod requests;
pub mod stats;
pub mod types;

pub use endpoint::Endpoint;
pub use params::{BadParameter, MAX_NSTART, Params};
pub use stats::{Dropped, Stats};
pub use types::*;
