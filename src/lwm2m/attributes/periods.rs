//! How often an observer is to be told: the notification periods in force (LwM2M Core 1.1.1 §5.1.2, §7.3.2).

use std::time::Duration;

use super::{Attributes, Name};
use crate::lwm2m::objects::server;
use crate::lwm2m::path::Path;
use crate::lwm2m::tree::Tree;
use crate::lwm2m::value::Value;

/// A server's default periods in seconds, for paths that have none written: /1/x/2 and /1/x/3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Defaults {
    minimum: u64,
    maximum: u64,
}

impl Defaults {
    /// From the server's own instance of object 1; what is not there is 0, which stands for none.
    pub fn of_server(tree: &Tree, server: Path) -> Self {
        let seconds = |resource| match server.child(resource).and_then(|path| tree.value(path)) {
            Some(Value::Integer(seconds)) => u64::try_from(*seconds).unwrap_or(0),
            _ => 0,
        };
        Self { minimum: seconds(server::DEFAULT_PMIN), maximum: seconds(server::DEFAULT_PMAX) }
    }
}

/// Shortest and longest time between two notifications of one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Periods {
    /// `pmin`: no notification sooner than this after the one before.
    pub minimum: Duration,
    /// `pmax`: one notification at the latest after this, changed or not.
    pub maximum: Option<Duration>,
}

impl Periods {
    /// What is written, and what is not, by default.
    pub fn new(attributes: &Attributes, defaults: Defaults) -> Self {
        // Written seconds are whole and below 2^32.
        let seconds = |name, default| attributes.get(name).map_or(default, |seconds| seconds as u64);
        Self::from_secs(seconds(Name::Pmin, defaults.minimum), seconds(Name::Pmax, defaults.maximum))
    }

    /// A `pmax` of 0 stands for none (WA-09), and one below `pmin` is left out of account (NTF-17).
    pub fn from_secs(minimum: u64, maximum: u64) -> Self {
        let counts = maximum > 0 && maximum >= minimum;
        Self { minimum: Duration::from_secs(minimum), maximum: counts.then(|| Duration::from_secs(maximum)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::value::Content;

    #[test]
    fn pmax_of_zero_or_below_pmin_is_none_wa_09_ntf_17() {
        assert_eq!(Periods::from_secs(0, 0), Periods::default());
        assert_eq!(Periods::from_secs(60, 30).maximum, None);
        assert_eq!(Periods::from_secs(60, 60).maximum, Some(Duration::from_secs(60)));
    }

    #[test]
    fn server_defaults_are_read_from_its_own_instance_and_count_where_nothing_is_written_ntf_01() {
        let mut tree = Tree::default();
        tree.set(Path::resource_of(1, 4, 2), Content::Single(Value::Integer(10)));
        tree.set(Path::resource_of(1, 4, 3), Content::Single(Value::Integer(60)));
        assert_eq!(Defaults::of_server(&tree, Path::instance_of(1, 0)), Defaults::default());
        let defaults = Defaults::of_server(&tree, Path::instance_of(1, 4));
        assert_eq!(Periods::new(&Attributes::default(), defaults), Periods::from_secs(10, 60));
        let written = Attributes::default().with(&[(Name::Pmax, Some(0.0))]).unwrap();
        assert_eq!(Periods::new(&written, defaults), Periods::from_secs(10, 0));
    }
}
