//! What can be asked of the store and what it answers: values only, which `bridge` and `gateway` make and `store` keeps.

use crate::clock::UnixTime;

/// Most values that one [`Request::Write`] carries.
pub const MAX_BATCH: usize = 1024;

/// A day since 1970-01-01 UTC: exact enough for "not seen for a month", and the same all day long, so that who speaks
/// every second is written once a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// 2025-01-01. A clock that stands before it has not been set since the power came: this program is younger.
    const FIRST_CREDIBLE: Self = Self(20_089);

    /// The day of this time; `None` where the clock has not been set yet.
    pub fn of(time: UnixTime) -> Option<Self> {
        let day = Self(u32::try_from(time.as_secs().div_euclid(86_400)).ok()?);
        (day >= Self::FIRST_CREDIBLE).then_some(day)
    }

    /// Days that have passed since an earlier one; 0 if that is not earlier.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Which Object Instance stands for which captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Object ID.
    pub object: u16,
    /// Object Instance ID, 0..=65534.
    pub id: u16,
    /// The values of the captures.
    pub key: Vec<String>,
    /// The mappings that brought it about, each by a text that only says whether it is the same.
    pub sources: Vec<String>,
    /// When it was allocated, if that was known.
    pub first_seen: Option<Day>,
    /// When a value for it came last, if that was known.
    pub last_seen: Option<Day>,
}

/// The modem as it told itself last; each part if it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modem {
    /// Maker.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// 15 digits.
    pub imei: Option<String>,
    /// Up to 15 digits.
    pub imsi: Option<String>,
    /// 18 to 20 digits.
    pub iccid: Option<String>,
}

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// In the order of object and ID.
    pub instances: Vec<Instance>,
    /// The modem of the last run, if there was one.
    pub modem: Option<Modem>,
}

/// One change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Takes the place of whatever had this ID, and of whatever had this key.
    Instance(Instance),
    /// The instance is not to be kept any longer.
    Forget {
        /// Object ID.
        object: u16,
        /// Object Instance ID.
        id: u16,
    },
    /// Takes the place of the one before.
    Modem(Modem),
}

/// Something to do for the store. One is asked at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Answered by [`Answer::Loaded`], whatever happens.
    Load,
    /// Changes that are kept all together or not at all; answered by [`Answer::Committed`] or [`Answer::Failed`].
    Write {
        /// Names the batch in the answer.
        batch: u64,
        /// At most [`MAX_BATCH`].
        writes: Vec<Write>,
    },
}

/// What the store tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was kept so far.
    Loaded {
        /// Empty where nothing could be read.
        contents: Contents,
        /// What was there could not be read and was moved aside: in words, where to.
        moved_aside: Option<String>,
        /// Nothing can be written for now: why.
        unwritable: Option<String>,
    },
    /// The batch will be there after a power cut.
    Committed {
        /// Which.
        batch: u64,
    },
    /// Nothing of the batch is kept.
    Failed {
        /// Which.
        batch: u64,
        /// Why.
        reason: String,
        /// What was kept before is lost as well: everything is to be written anew.
        emptied: bool,
    },
}

impl Answer {
    /// All is well, and nothing was kept so far.
    pub const fn nothing_kept() -> Self {
        let contents = Contents { instances: Vec::new(), modem: None };
        Self::Loaded { contents, moved_aside: None, unwritable: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_gives_no_day() {
        assert_eq!(Day::of(UnixTime::from_secs(0)), None);
        assert_eq!(Day::of(UnixTime::from_secs(1_735_689_599)), None);
        assert_eq!(Day::of(UnixTime::from_secs(1_735_689_600)), Some(Day(20_089)));
        assert_eq!(Day::of(UnixTime::from_secs(-1)), None);
        assert_eq!(Day::of(UnixTime { millis: i64::MAX }), None);
        assert_eq!((Day(7).since(Day(5)), Day(5).since(Day(7))), (2, 0));
    }
}
