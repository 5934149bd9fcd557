//! Notification attributes: what a server writes on a path about when it wants to be told (LwM2M Core 1.1.1 §5.1.2).
//!
//! Here is what they are, what they mean together and where they are kept. Where they may be written is decided in
//! `management`, what follows for an observation in `reporting`. `epmin` and `epmax` are kept and shown, no more.

mod limits;
mod parse;
mod periods;
mod written;

pub use limits::Limits;
pub use parse::parse;
pub use periods::{Defaults, Periods};
pub use written::{Full, Written};

/// The attributes that are served, in the order in which Discover shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Minimum Period, seconds.
    Pmin,
    /// Maximum Period, seconds.
    Pmax,
    /// Minimum Evaluation Period, seconds (1.1).
    Epmin,
    /// Maximum Evaluation Period, seconds (1.1).
    Epmax,
    /// Greater Than.
    Gt,
    /// Less Than.
    Lt,
    /// Step.
    St,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pmin, Self::Pmax, Self::Epmin, Self::Epmax, Self::Gt, Self::Lt, Self::St];

    /// As queries and links have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pmin => "pmin",
            Self::Pmax => "pmax",
            Self::Epmin => "epmin",
            Self::Epmax => "epmax",
            Self::Gt => "gt",
            Self::Lt => "lt",
            Self::St => "st",
        }
    }

    /// About the value and not the time: has a meaning for numbers only (WA-05).
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::Gt | Self::Lt | Self::St)
    }
}

/// What a query says about one attribute: it gets this value, or none from now on (WA-02).
pub type Assignment = (Name, Option<f64>);

/// Why attributes cannot stand as a server wrote them; nothing changes then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// Not one of [`Name`]: misspelt, or of a later version.
    #[error("{0:?} is no attribute that is served")]
    Unknown(String),
    /// No number, or none that this attribute can have (WA-04).
    #[error("{value:?} is no value for {name}")]
    Value {
        /// The attribute.
        name: &'static str,
        /// What was written.
        value: String,
    },
    /// The same attribute twice in one request.
    #[error("{0} comes twice")]
    Twice(&'static str),
    /// Together with the others it makes no sense (WA-06, WA-07).
    #[error("{0} is required")]
    Together(&'static str),
}

/// The attributes of one path, as one server wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Attributes([Option<f64>; 7]);

impl Attributes {
    /// The value of one of them.
    pub const fn get(&self, name: Name) -> Option<f64> {
        self.0[name as usize]
    }

    /// Those that have a value, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Name, f64)> + '_ {
        Name::ALL.into_iter().filter_map(|name| Some((name, self.get(name)?)))
    }

    /// None has a value.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// After a write that says this; what it does not name stays (WA-02).
    ///
    /// # Errors
    /// The result makes no sense.
    pub fn with(mut self, assignments: &[Assignment]) -> Result<Self, AttributeError> {
        for (name, value) in assignments {
            self.0[*name as usize] = *value;
        }
        self.check()?;
        Ok(self)
    }

    /// Those of a level, and where it has none those of the levels above (NTF-01).
    #[must_use]
    pub fn or(self, above: Self) -> Self {
        let mut both = self;
        for (own, inherited) in both.0.iter_mut().zip(above.0) {
            *own = own.or(inherited);
        }
        both
    }

    fn check(&self) -> Result<(), AttributeError> {
        let at = |name| self.get(name);
        if at(Name::Lt).zip(at(Name::Gt)).is_some_and(|(lt, gt)| lt >= gt) {
            return Err(AttributeError::Together("lt < gt"));
        }
        let all = at(Name::Lt).zip(at(Name::Gt)).zip(at(Name::St));
        if all.is_some_and(|((lt, gt), st)| lt + 2.0 * st >= gt) {
            return Err(AttributeError::Together("lt + 2 st < gt"));
        }
        // As with pmax, 0 stands for none.
        let longest = at(Name::Epmax).filter(|seconds| *seconds > 0.0);
        if at(Name::Epmin).zip(longest).is_some_and(|(epmin, epmax)| epmin >= epmax) {
            return Err(AttributeError::Together("epmin < epmax"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(query: &[&str]) -> Result<Attributes, AttributeError> {
        let query: Vec<_> = query.iter().map(|item| (*item).to_owned()).collect();
        Attributes::default().with(&parse(&query)?)
    }

    #[test]
    fn a_write_sets_removes_and_leaves_the_rest_wa_02() {
        let before = attributes(&["pmin=10", "gt=50", "st=1"]).unwrap();
        let after = before.with(&[(Name::Pmin, None), (Name::Lt, Some(20.0))]).unwrap();
        assert_eq!(after.iter().collect::<Vec<_>>(), [(Name::Gt, 50.0), (Name::Lt, 20.0), (Name::St, 1.0)]);
        assert!(after.with(&[(Name::Gt, None), (Name::Lt, None), (Name::St, None)]).unwrap().is_empty());
    }

    #[test]
    fn limits_that_leave_no_room_between_them_are_refused_wa_06() {
        for (query, is_good) in [
            (["lt=20", "gt=50", "st=14"], true),
            (["lt=20", "gt=50", "st=15"], false),
            (["lt=50", "gt=50", "pmin=1"], false),
            (["lt=-2", "gt=-1", "pmin=1"], true),
            (["lt=60", "gt=50", "pmin=1"], false),
            (["lt=20", "st=1000", "pmin=1"], true),
        ] {
            assert_eq!(attributes(&query).is_ok(), is_good, "{query:?}");
        }
        // What is stored counts too.
        let before = attributes(&["gt=50"]).unwrap();
        assert_eq!(before.with(&[(Name::Lt, Some(50.0))]), Err(AttributeError::Together("lt < gt")));
    }

    #[test]
    fn pmax_below_pmin_is_accepted_and_epmax_below_epmin_is_not_wa_07() {
        assert!(attributes(&["pmin=60", "pmax=30"]).is_ok());
        assert!(attributes(&["epmin=1", "epmax=2"]).is_ok() && attributes(&["epmin=1", "epmax=0"]).is_ok());
        assert!(attributes(&["epmin=2", "epmax=2"]).is_err());
    }

    #[test]
    fn each_attribute_is_inherited_by_itself_ntf_01() {
        let (own, above) = (attributes(&["pmin=5", "gt=1"]), attributes(&["pmin=9", "pmax=60"]));
        assert_eq!(own.unwrap().or(above.unwrap()), attributes(&["pmin=5", "pmax=60", "gt=1"]).unwrap());
    }
}
