//! The test bench: models of what stands around the gateway, without hardware. The core never imports it.

pub mod server;
pub mod server_edge;
