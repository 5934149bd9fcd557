//! The gateway as a whole: the pure core, what goes in and out of it, and the loop that runs it.

pub mod core;
pub mod host;
pub mod io;
pub mod questions;
pub mod run;
pub mod settings;
pub mod snapshot;
