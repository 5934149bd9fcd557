//! Paths into the resource tree: `/`, `/3`, `/3/0`, `/3/0/7`, `/3/0/7/1` (LwM2M Core 1.1.1 §6.1).

use std::fmt;
use std::str::FromStr;

/// Identifiers in a path.
const MOST: u32 = 4;
/// Bits of an identifier.
const BITS: u32 = 16;

/// A path of up to four identifiers, each 0..=65534.
///
/// Orders like the tree: a parent comes right before its children.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path {
    /// The object in the highest 16 bits; 0 for what there is not.
    ids: u64,
    /// Number of identifiers. Compared last, so that `/3` comes before `/3/0`, and `/3/0` before `/3/0/0`.
    depth: u8,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A segment is not a plain decimal number in 0..=65534.
    #[error("path segment {0:?} is not a number from 0 to 65534")]
    Segment(String),
    /// More than object, instance, resource and resource instance.
    #[error("a path has four segments at the most")]
    TooLong,
}

impl Path {
    /// Identifiers of the longest path.
    pub const MOST_IDS: usize = MOST as usize;
    /// `/`
    pub const ROOT: Self = Self { ids: 0, depth: 0 };

    /// `/object`
    pub const fn object_only(object: u16) -> Self {
        Self::ROOT.with(object)
    }

    /// `/object/instance`
    pub const fn instance_of(object: u16, instance: u16) -> Self {
        Self::ROOT.with(object).with(instance)
    }

    /// `/object/instance/resource`
    pub const fn resource_of(object: u16, instance: u16, resource: u16) -> Self {
        Self::ROOT.with(object).with(instance).with(resource)
    }

    /// The path with one more identifier; `None` at four, or for 65535 (DM-05).
    pub fn child(self, id: u16) -> Option<Self> {
        let has_room = u32::from(self.depth) < MOST;
        (has_room && id != u16::MAX).then(|| self.with(id))
    }

    /// The path without its last identifier; `None` for the root.
    pub fn parent(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(Self { ids: self.ids & kept(depth), depth })
    }

    /// One more identifier; to be called with less than four.
    const fn with(self, id: u16) -> Self {
        let ids = self.ids | (id as u64) << (BITS * (MOST - 1 - self.depth as u32));
        Self { ids, depth: self.depth + 1 }
    }

    /// The identifier at this place, from 0.
    const fn id(self, place: u8) -> Option<u16> {
        if place < self.depth { Some((self.ids >> (BITS * (MOST - 1 - place as u32))) as u16) } else { None }
    }

    /// From the segments of a CoAP request; a single empty one is the root (COAP-32).
    ///
    /// # Errors
    /// A segment that is no identifier, or more than four of them (DM-03, DM-04).
    pub fn from_segments<S: AsRef<str>>(segments: &[S]) -> Result<Self, PathError> {
        if let [only] = segments {
            if only.as_ref().is_empty() {
                return Ok(Self::ROOT);
            }
        }
        segments.iter().try_fold(Self::ROOT, |path, segment| {
            let id = identifier(segment.as_ref())
                .ok_or_else(|| PathError::Segment(segment.as_ref().to_owned()))?;
            path.child(id).ok_or(PathError::TooLong)
        })
    }

    /// Object ID.
    pub const fn object(self) -> Option<u16> {
        self.id(0)
    }

    /// Object Instance ID.
    pub const fn instance(self) -> Option<u16> {
        self.id(1)
    }

    /// Resource ID.
    pub const fn resource(self) -> Option<u16> {
        self.id(2)
    }

    /// Resource Instance ID.
    pub const fn resource_instance(self) -> Option<u16> {
        self.id(3)
    }

    /// Number of identifiers, 0..=4.
    pub const fn depth(self) -> usize {
        self.depth as usize
    }

    /// The identifiers from the object down.
    pub fn ids(self) -> impl Iterator<Item = u16> {
        (0..self.depth).filter_map(move |place| self.id(place))
    }

    /// `other` is this path or lies below it.
    pub fn covers(self, other: Self) -> bool {
        self.depth <= other.depth && (self.ids ^ other.ids) & kept(self.depth) == 0
    }
}

/// The bits of so many identifiers.
const fn kept(depth: u8) -> u64 {
    match (MOST - depth as u32) * BITS {
        u64::BITS => 0,
        unused => u64::MAX << unused,
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth == 0 {
            return f.write_str("/");
        }
        self.ids().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let text = text.strip_prefix('/').ok_or_else(|| PathError::Segment(text.to_owned()))?;
        Self::from_segments(&text.split('/').collect::<Vec<_>>())
    }
}

/// A plain decimal identifier: no sign, no leading zero, not 65535.
fn identifier(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok().filter(|id| *id != u16::MAX) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_at_every_depth() {
        for text in ["/", "/3", "/3/0", "/3/0/7", "/3/0/7/1"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_segments_and_long_paths_are_refused_dm_03_dm_04_dm_05() {
        for text in ["3", "/3/", "/03", "/+3", "/65535", "/3/0/7/1/2", "/x", "/3//1"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_parent_comes_right_before_its_children_and_the_parent_of_a_child_is_itself() {
        let texts =
            ["/", "/0", "/0/0", "/0/0/0", "/0/0/0/0", "/0/0/0/1", "/0/0/1", "/0/1/0", "/3", "/3/0/7", "/3/1"];
        let paths: Vec<Path> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(paths.is_sorted_by(|a, b| a < b));
        for path in paths {
            assert!(path.child(65_534).is_none_or(|child| child.parent() == Some(path) && child > path));
            assert_eq!(path.ids().count(), path.depth());
        }
        assert_eq!(Path::ROOT.parent(), None);
    }

    #[test]
    fn covers_only_itself_and_what_lies_below() {
        let instance = Path::instance_of(3, 0);
        assert!(Path::ROOT.covers(instance) && instance.covers(instance));
        assert!(instance.covers(Path::resource_of(3, 0, 7)));
        assert!(!instance.covers(Path::object_only(3)) && !instance.covers(Path::instance_of(3, 1)));
    }
}
