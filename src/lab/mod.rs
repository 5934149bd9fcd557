//! The test bench: models of what stands around the gateway, without hardware. The core never imports it.
//!
//! The models do no I/O; `pty`, `udp` and the files that end in `_edge` put them on real ports. `world` is the whole
//! gateway among the models under a virtual clock.

pub mod broker;
pub mod broker_edge;
pub mod cell;
pub mod modem;
pub mod modem_edge;
pub mod pty;
pub mod radio;
pub mod sensors;
pub mod sensors_edge;
pub mod server;
pub mod server_edge;
pub mod store;
pub mod trace;
pub mod udp;
pub mod world;
