//! Which change of a number is a reason to notify: `gt`, `lt` and `st` (LwM2M Core 1.1.1 §5.1.2).

use super::{Attributes, Name};

/// The conditions in force on a number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    gt: Option<f64>,
    lt: Option<f64>,
    st: Option<f64>,
}

impl Limits {
    /// From the attributes in force.
    pub const fn new(attributes: &Attributes) -> Self {
        Self { gt: attributes.get(Name::Gt), lt: attributes.get(Name::Lt), st: attributes.get(Name::St) }
    }

    /// No condition: every change is a reason (NTF-05).
    pub const fn is_none(&self) -> bool {
        self.gt.is_none() && self.lt.is_none() && self.st.is_none()
    }

    /// An observer who was sent `last` is to be told of `new`: any one condition is enough (NTF-10).
    pub fn is_reason(&self, last: f64, new: f64) -> bool {
        let crosses = |limit: f64| (last <= limit && new > limit) || (last >= limit && new < limit);
        // From 20.1 to 20.2 is a step of 0.1, though the doubles next to them are a little closer together.
        let is_step =
            |step: f64| (new - last).abs() + f64::EPSILON * (new.abs().max(last.abs()) + step) >= step;
        self.gt.is_some_and(crosses) || self.lt.is_some_and(crosses) || self.st.is_some_and(is_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(gt: Option<f64>, lt: Option<f64>, st: Option<f64>) -> Limits {
        Limits { gt, lt, st }
    }

    #[test]
    fn a_limit_is_crossed_in_both_directions_and_not_by_touching_it_ntf_06_ntf_07() {
        for limits in [limits(Some(2000.0), None, None), limits(None, Some(2000.0), None)] {
            for (last, new, is_reason) in [
                (1337.0, 1500.0, false),
                (1337.0, 2000.0, false),
                (1337.0, 2001.0, true),
                (2001.0, 2000.0, false),
                (2001.0, 1999.0, true),
                (2000.0, 2001.0, true),
                (2000.0, 1999.0, true),
                (2000.0, 2000.0, false),
                (2001.0, 5000.0, false),
            ] {
                assert_eq!(limits.is_reason(last, new), is_reason, "{limits:?}: {last} to {new}");
            }
        }
    }

    #[test]
    fn a_step_counts_both_ways_from_the_value_sent_ntf_08() {
        let limits = limits(None, None, Some(0.5));
        assert!(limits.is_reason(10.0, 10.5) && limits.is_reason(10.0, 9.5));
        assert!(!limits.is_reason(10.0, 10.25) && !limits.is_reason(10.0, 10.0));
    }

    #[test]
    fn a_step_between_decimal_numbers_counts_as_they_are_written_ntf_08() {
        let limits = limits(None, None, Some(0.1));
        for tenths in -500..=500 {
            let at = |tenths: i32| f64::from(tenths) / 10.0;
            assert!(limits.is_reason(at(tenths), at(tenths + 1)), "{tenths}");
            assert!(!limits.is_reason(at(tenths), at(tenths) + 0.099_999), "{tenths}");
        }
    }

    #[test]
    fn one_of_several_conditions_is_enough_ntf_10() {
        let limits = limits(Some(50.0), Some(20.0), Some(10.0));
        assert!(limits.is_reason(49.0, 51.0) && limits.is_reason(21.0, 19.0) && limits.is_reason(30.0, 40.0));
        assert!(!limits.is_reason(30.0, 35.0));
        assert!(!limits.is_none() && Limits::default().is_none());
    }
}
