//! One file per modem family.

pub mod quectel_bg9x;
