//! The attributes that one server has written, by path.

use std::collections::BTreeMap;

use super::Attributes;
use crate::lwm2m::path::Path;

/// Paths that one server may write attributes on; a write on a further one is refused.
const MAX_PATHS: usize = 16_384;

/// No room for the attributes of one more path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attributes stand on {MAX_PATHS} paths already")]
pub struct Full;

/// What one server has written on objects, instances, resources and resource instances (WA-03).
///
/// Kept as long as the server account and the path's instance (or resource instance) are there, whatever becomes of
/// observations and registrations (WA-11).
#[derive(Debug, Default)]
pub struct Written(BTreeMap<Path, Attributes>);

impl Written {
    /// Nothing is written.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What stands on this very path.
    pub fn own(&self, path: Path) -> Attributes {
        self.0.get(&path).copied().unwrap_or_default()
    }

    /// What is in force on the path: its own, else that of the level above, up to the object (NTF-01). Nothing
    /// from below (NTF-02).
    pub fn effective(&self, path: Path) -> Attributes {
        let levels = std::iter::successors(Some(path), |path| path.parent());
        levels.fold(Attributes::default(), |below, level| below.or(self.own(level)))
    }

    /// The path has these from now on.
    ///
    /// # Errors
    /// There is no room, and nothing changes.
    pub fn set(&mut self, path: Path, attributes: Attributes) -> Result<(), Full> {
        if attributes.is_empty() {
            self.0.remove(&path);
            return Ok(());
        }
        if self.0.len() >= MAX_PATHS && !self.0.contains_key(&path) {
            return Err(Full);
        }
        self.0.insert(path, attributes);
        Ok(())
    }

    /// Keeps, at and below the path, only the attributes of paths that still are.
    pub fn retain(&mut self, under: Path, still_is: impl Fn(Path) -> bool) {
        let at_and_below = self.0.range(under..).map(|(at, _)| *at).take_while(|at| under.covers(*at));
        for gone in at_and_below.filter(|at| !still_is(*at)).collect::<Vec<_>>() {
            self.0.remove(&gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    fn one(name: Name, value: f64) -> Attributes {
        Attributes::default().with(&[(name, Some(value))]).unwrap()
    }

    fn device() -> Written {
        let mut written = Written::new();
        written.set(path("/3"), one(Name::Pmin, 9.0)).unwrap();
        written.set(path("/3/0"), one(Name::Pmax, 60.0)).unwrap();
        written.set(path("/3/0/7"), one(Name::Pmin, 1.0)).unwrap();
        written.set(path("/3/0/7/1"), one(Name::Gt, 5.0)).unwrap();
        written
    }

    #[test]
    fn nearest_level_wins_and_lower_levels_do_not_count_ntf_01_ntf_02() {
        let written = device();
        let at = |text: &str| written.effective(path(text)).iter().collect::<Vec<_>>();
        assert_eq!(at("/3/0/7/1"), [(Name::Pmin, 1.0), (Name::Pmax, 60.0), (Name::Gt, 5.0)]);
        assert_eq!(at("/3/0/7/0"), [(Name::Pmin, 1.0), (Name::Pmax, 60.0)]);
        assert_eq!(at("/3/0/9"), [(Name::Pmin, 9.0), (Name::Pmax, 60.0)]);
        assert_eq!(at("/3"), [(Name::Pmin, 9.0)]);
        assert!(at("/30").is_empty());
    }

    #[test]
    fn attributes_go_with_what_they_stand_on_wa_11() {
        let mut written = device();
        written.retain(path("/3/0/7"), |at| at.depth() < 4);
        assert!(written.own(path("/3/0/7/1")).is_empty() && !written.own(path("/3/0/7")).is_empty());
        written.retain(path("/3/0"), |_| false);
        assert_eq!(written.effective(path("/3/0/7")), one(Name::Pmin, 9.0));
    }

    #[test]
    fn paths_are_bounded_and_emptied_ones_make_room() {
        let mut written = Written::new();
        for number in 0..MAX_PATHS {
            let number = u16::try_from(number).unwrap();
            written.set(Path::instance_of(3303, number), one(Name::Pmin, 1.0)).unwrap();
        }
        assert_eq!(written.set(path("/3"), one(Name::Pmin, 1.0)), Err(Full));
        written.set(path("/3303/0"), one(Name::Pmin, 2.0)).unwrap();
        written.set(path("/3303/0"), Attributes::default()).unwrap();
        written.set(path("/3"), one(Name::Pmin, 1.0)).unwrap();
    }
}
