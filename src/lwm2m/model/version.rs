//! Versions of the enabler and of objects, and which object version goes without saying.

use std::fmt;
use std::str::FromStr;

/// A version `major.minor`, of the LwM2M enabler or of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Changes when old readers would misunderstand.
    pub major: u8,
    /// Changes when something was added.
    pub minor: u8,
}

/// A text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version: two numbers with a dot between them, as in 1.1")]
pub struct VersionError(String);

impl Version {
    /// 1.0
    pub const V1_0: Self = Self::new(1, 0);
    /// 1.1
    pub const V1_1: Self = Self::new(1, 1);

    /// `major.minor`
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }
}

impl From<Version> for i32 {
    /// A number that orders as the version does.
    fn from(version: Version) -> Self {
        Self::from(version.major) << 8 | Self::from(version.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
            if plain { text.parse().ok() } else { None }
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::new(number(major)?, number(minor)?)))
            .ok_or_else(|| VersionError(text.to_owned()))
    }
}

/// Core objects of LwM2M 1.1 whose implied version is not 1.0. Core 1.1 has no table; this is how the public
/// servers read it, and it agrees with the enabler that the registry names for these versions.
const IMPLIED_BY_1_1: [(u16, Version); 4] =
    [(0, Version::V1_1), (1, Version::V1_1), (3, Version::V1_1), (4, Version::new(1, 2))];

/// The version of an object that is announced without `ver` (REG-12): 1.0 but for some core objects since 1.1.
pub fn implied_version(enabler: Version, object: u16) -> Version {
    if enabler < Version::V1_1 {
        return Version::V1_0;
    }
    let implied = IMPLIED_BY_1_1.iter().find(|(id, _)| *id == object);
    implied.map_or(Version::V1_0, |(_, version)| *version)
}

/// The object belongs to the enabler itself.
pub(super) const fn is_core(object: u16) -> bool {
    matches!(object, 0..=7 | 21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_rubbish_is_refused() {
        assert_eq!("1.1".parse(), Ok(Version::V1_1));
        assert_eq!(Version::new(2, 10).to_string().parse(), Ok(Version::new(2, 10)));
        for text in ["", "1", "1.", ".1", "1.1.1", "+1.0", "1.x", "1.300", "\"1.1\""] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
