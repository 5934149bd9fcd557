//! The programs around a test: each starts on loopback, says by a line that it is ready, and ends with its owner.

pub mod lab_server;
pub mod leshan;
pub mod mosquitto;
pub mod nbgate;
pub mod process;
pub mod relay;
pub mod scripted;
pub mod socat;
pub mod tshark;
