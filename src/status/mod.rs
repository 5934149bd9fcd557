//! What an operator sees of the running service.

pub mod health;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod report;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod text;
