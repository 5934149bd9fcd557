//! Paths into the resource tree: `/`, `/3`, `/3/0`, `/3/0/7`, `/3/0/7/1` (LwM2M Core 1.1.1 §6.1).

use std::fmt;
use std::str::FromStr;

/// A path of up to four identifiers, each 0..=65534.
///
/// Orders like the tree: a parent comes right before its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path {
    object: Option<u16>,
    instance: Option<u16>,
    resource: Option<u16>,
    resource_instance: Option<u16>,
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
    /// `/`
    pub const ROOT: Self = Self { object: None, instance: None, resource: None, resource_instance: None };

    /// `/object`
    pub const fn object_only(object: u16) -> Self {
        Self { object: Some(object), ..Self::ROOT }
    }

    /// `/object/instance`
    pub const fn instance_of(object: u16, instance: u16) -> Self {
        Self { object: Some(object), instance: Some(instance), ..Self::ROOT }
    }

    /// `/object/instance/resource`
    pub const fn resource_of(object: u16, instance: u16, resource: u16) -> Self {
        Self {
            object: Some(object),
            instance: Some(instance),
            resource: Some(resource),
            resource_instance: None,
        }
    }

    /// The path with one more identifier; `None` at four, or for 65535 (DM-05).
    pub fn child(self, id: u16) -> Option<Self> {
        if id == u16::MAX {
            return None;
        }
        match self.depth() {
            0 => Some(Self { object: Some(id), ..self }),
            1 => Some(Self { instance: Some(id), ..self }),
            2 => Some(Self { resource: Some(id), ..self }),
            3 => Some(Self { resource_instance: Some(id), ..self }),
            _ => None,
        }
    }

    /// The path without its last identifier; `None` for the root.
    pub fn parent(self) -> Option<Self> {
        match self.depth() {
            0 => None,
            1 => Some(Self { object: None, ..self }),
            2 => Some(Self { instance: None, ..self }),
            3 => Some(Self { resource: None, ..self }),
            _ => Some(Self { resource_instance: None, ..self }),
        }
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
        self.object
    }

    /// Object Instance ID.
    pub const fn instance(self) -> Option<u16> {
        self.instance
    }

    /// Resource ID.
    pub const fn resource(self) -> Option<u16> {
        self.resource
    }

    /// Resource Instance ID.
    pub const fn resource_instance(self) -> Option<u16> {
        self.resource_instance
    }

    /// Number of identifiers, 0..=4.
    pub fn depth(self) -> usize {
        self.ids().count()
    }

    /// The identifiers from the object down.
    pub fn ids(self) -> impl Iterator<Item = u16> {
        [self.object, self.instance, self.resource, self.resource_instance].into_iter().map_while(|id| id)
    }

    /// `other` is this path or lies below it.
    pub fn covers(self, other: Self) -> bool {
        self.ids().zip(other.ids()).all(|(a, b)| a == b) && self.depth() <= other.depth()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.object.is_none() {
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
    fn covers_only_itself_and_what_lies_below() {
        let instance = Path::instance_of(3, 0);
        assert!(Path::ROOT.covers(instance) && instance.covers(instance));
        assert!(instance.covers(Path::resource_of(3, 0, 7)));
        assert!(!instance.covers(Path::object_only(3)) && !instance.covers(Path::instance_of(3, 1)));
    }
}
