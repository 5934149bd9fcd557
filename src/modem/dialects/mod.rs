//! One file per modem family, and the choice among them.

pub mod quectel_bg9x;

use quectel_bg9x::QuectelBg9x;

use super::dialect::{Dialect, DialectName};
use crate::net::Identity;

impl DialectName {
    /// The dialect of a modem that names itself so; `None` for a modem that this program does not know.
    pub(super) fn select(self, identity: &Identity) -> Option<&'static dyn Dialect> {
        match self {
            Self::QuectelBg9x => Some(&QuectelBg9x),
            Self::Auto => {
                let model = identity.model.as_deref().unwrap_or_default();
                let maker = identity.manufacturer.as_deref().unwrap_or_default();
                QuectelBg9x::is(maker, model).then_some(&QuectelBg9x as &dyn Dialect)
            }
        }
    }
}
