//! What our status topic says by itself; everything beyond is said with [`super::Order::Status`].

/// Connected, and nothing else known yet.
pub const ONLINE: &str = r#"{"state":"online"}"#;
/// After a tidy end, and the last will.
pub const OFFLINE: &str = r#"{"state":"offline"}"#;
