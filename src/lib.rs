//! nbgate: an NB-IoT gateway between local MQTT sensors and LwM2M servers.
//!
//! `ARCHITECTURE.md` says where things are. Rooms marked pure there do no I/O, read no clock and draw no chance.

pub mod at;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod coap;
pub mod config;
pub mod gateway;
#[cfg(feature = "lab")]
pub mod lab;
pub mod link;
pub mod lwm2m;
pub mod modem;
pub mod mqtt;
pub mod net;
pub mod persist;
pub mod seed;
pub mod status;
pub mod store;
