//! CoAP endpoint (RFC 7252, RFC 7641, RFC 7959): message layer, exchanges, observations, block-wise transfer.
//!
//! One door: [`Endpoint`] takes datagrams, [`Action`]s and time, and gives datagrams, [`Event`]s and deadlines. The other
//! files are its insides: whole bodies pass through, blocks do not. Not here yet: OSCORE, CoAP over TCP.

mod block;
mod dedup;
pub mod endpoint;
mod exchange;
mod message;
mod message_id;
mod observe;
mod own;
pub mod params;
mod reliability;
mod requests;
mod snapshots;
pub mod stats;
pub mod types;
mod uploads;

pub use endpoint::Endpoint;
pub use params::{BadParameter, MAX_NSTART, Params};
pub use stats::{Dropped, Stats};
pub use types::*;
