//! The command line: one file for each subcommand.

#[cfg(feature = "lab")]
pub mod lab_server;
