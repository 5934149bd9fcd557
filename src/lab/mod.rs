//! The test bench: models of what stands around the gateway, without hardware. The core never imports it.
//!
//! The models (`radio`, `modem`, `cell`, `trace`, `broker`, `sensors`) do no I/O; `pty`, `udp` and `modem_edge` put
//! the modem on real ports, and `broker_edge` is a broker on one.

pub mod broker;
pub mod broker_edge;
pub mod cell;
pub mod modem;
pub mod modem_edge;
pub mod pty;
pub mod radio;
pub mod sensors;
pub mod trace;
pub mod udp;
