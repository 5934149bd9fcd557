//! What an operator sees of the running service.

pub mod log;
pub mod notify;
