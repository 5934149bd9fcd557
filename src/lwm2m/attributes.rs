//! How often an observer is to be told: the notification periods in force (LwM2M Core 1.1.1 §5.1.2, §7.3.2).
//!
//! They come from the server's own instance of object 1; attributes written to paths are not kept yet.

use std::time::Duration;

use super::path::Path;
use super::tree::Tree;
use super::value::Value;

/// Shortest and longest time between two notifications of one observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Periods {
    /// `pmin`: no notification sooner than this after the one before.
    pub minimum: Duration,
    /// `pmax`: one notification at the latest after this, changed or not.
    pub maximum: Option<Duration>,
}

impl Periods {
    /// A server's defaults: /1/x/2 and /1/x/3. A `pmax` of 0 stands for none (WA-09).
    pub fn of_server(tree: &Tree, server: Path) -> Self {
        let seconds = |resource| match server.child(resource).and_then(|path| tree.value(path)) {
            Some(Value::Integer(seconds)) => u64::try_from(*seconds).unwrap_or(0),
            _ => 0,
        };
        let (minimum, maximum) = (seconds(2), seconds(3));
        Self::new(minimum, maximum)
    }

    /// From seconds; a `pmax` below `pmin` is left out of account (NTF-17).
    pub fn new(minimum_secs: u64, maximum_secs: u64) -> Self {
        let maximum =
            (maximum_secs > 0 && maximum_secs >= minimum_secs).then(|| Duration::from_secs(maximum_secs));
        Self { minimum: Duration::from_secs(minimum_secs), maximum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwm2m::value::Content;

    #[test]
    fn pmax_of_zero_or_below_pmin_is_none_wa_09_ntf_17() {
        assert_eq!(Periods::new(0, 0), Periods::default());
        assert_eq!(Periods::new(60, 30).maximum, None);
        assert_eq!(Periods::new(60, 60).maximum, Some(Duration::from_secs(60)));
    }

    #[test]
    fn server_defaults_are_read_from_its_own_instance_ntf_01() {
        let mut tree = Tree::default();
        tree.set(Path::resource_of(1, 4, 2), Content::Single(Value::Integer(10)));
        tree.set(Path::resource_of(1, 4, 3), Content::Single(Value::Integer(60)));
        assert_eq!(Periods::of_server(&tree, Path::instance_of(1, 4)), Periods::new(10, 60));
        assert_eq!(Periods::of_server(&tree, Path::instance_of(1, 0)), Periods::default());
    }
}
