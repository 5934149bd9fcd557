//! Observations, notifications and what ends them.
