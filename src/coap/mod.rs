//! CoAP endpoint (RFC 7252, RFC 7641): message layer, exchanges, observations. One door: [`types`] in and out.

pub mod types;

pub use types::*;
