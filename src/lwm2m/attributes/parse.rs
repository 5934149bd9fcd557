//! The queries of a Write-Attributes request (LwM2M Core 1.1.1 §6.3.4): `pmin=10`, `gt=-1.5`, `lt`.

use super::{Assignment, AttributeError, Name};

/// Longer times than this (136 years) no server means.
const LONGEST_SECS: f64 = u32::MAX as f64;

/// What the queries assign: `name=value` sets, `name` alone takes away (WA-02).
///
/// # Errors
/// The first query that is none of this.
pub fn parse(query: &[String]) -> Result<Vec<Assignment>, AttributeError> {
    let mut assignments: Vec<Assignment> = vec![];
    for item in query {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item.as_str(), None),
        };
        let found = Name::ALL.into_iter().find(|candidate| candidate.as_str() == name);
        let name = found.ok_or_else(|| AttributeError::Unknown(name.to_owned()))?;
        if assignments.iter().any(|(earlier, _)| *earlier == name) {
            return Err(AttributeError::Twice(name.as_str()));
        }
        assignments.push((name, value.map(|text| number(name, text)).transpose()?));
    }
    Ok(assignments)
}

/// A value that the attribute can have (WA-04).
fn number(name: Name, text: &str) -> Result<f64, AttributeError> {
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    // An exponent is not in the standard's grammar, but is what some print large numbers with.
    let is_decimal =
        text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let has_form = if name.is_limit() { is_decimal } else { is_plain(text) };
    let number = text.parse::<f64>().ok().filter(|number| has_form && number.is_finite());
    let is_possible = |number: &f64| match name {
        Name::Gt | Name::Lt => true,
        Name::St => *number > 0.0,
        Name::Pmin | Name::Pmax | Name::Epmin | Name::Epmax => *number <= LONGEST_SECS,
    };
    // Adding 0 makes a 0 of -0.
    number
        .filter(is_possible)
        .map(|number| number + 0.0)
        .ok_or_else(|| AttributeError::Value { name: name.as_str(), value: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(query: &str) -> Result<Vec<Assignment>, AttributeError> {
        parse(&query.split('&').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn values_are_what_each_attribute_can_have_wa_04_wa_08() {
        for (good, value) in [
            ("pmin=0", 0.0),
            ("pmax=4294967295", 4_294_967_295.0),
            ("epmin=1", 1.0),
            ("epmax=86400", 86_400.0),
            ("gt=-1.5", -1.5),
            ("lt=42.20", 42.2),
            ("gt=1.0E3", 1000.0),
            ("lt=-0", 0.0),
            ("st=0.1", 0.1),
        ] {
            assert_eq!(parsed(good).unwrap()[0].1, Some(value), "{good}");
        }
        assert!(parsed("lt=-0").unwrap()[0].1.unwrap().is_sign_positive());
        for bad in [
            "pmin=-1",
            "pmin=1.5",
            "pmin=",
            "pmax=4294967296",
            "pmax=+1",
            "epmin=x",
            "gt=",
            "gt=inf",
            "gt=NaN",
            "gt=1e999",
            "lt=0x10",
            "lt= 1",
            "st=0",
            "st=-1",
            "gt=1,5",
        ] {
            assert!(matches!(parsed(bad), Err(AttributeError::Value { .. })), "{bad}");
        }
    }

    #[test]
    fn name_alone_removes_and_unknown_or_repeated_names_are_refused_wa_02_wa_08() {
        assert_eq!(parsed("pmin&gt=3").unwrap(), [(Name::Pmin, None), (Name::Gt, Some(3.0))]);
        for unknown in ["con=1", "edge=0", "hqmax=3", "PMIN=1", "", "=1"] {
            assert!(matches!(parsed(unknown), Err(AttributeError::Unknown(_))), "{unknown:?}");
        }
        assert_eq!(parsed("gt=1&pmin=1&gt=2"), Err(AttributeError::Twice("gt")));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in prop::collection::vec("((pmin|pmax|gt|lt|st)=)?[-+.0-9eE]{0,12}|\\PC{0,8}", 0..5)) {
            let _ = parse(&query);
        }
    }
}
