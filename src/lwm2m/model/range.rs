//! Ranges and enumerations out of the registry's free text. A text that is not understood limits nothing.

use crate::lwm2m::value::{Value, ValueType};

/// Which values of the right type a resource takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// Whole numbers in one of these closed intervals.
    Integers(Vec<(i128, i128)>),
    /// Numbers in this closed interval.
    Floats(f64, f64),
    /// Texts and octet strings whose length in octets lies in one of these closed intervals.
    Octets(Vec<(i128, i128)>),
}

impl Range {
    /// From the registry's text for a resource of this type; `None` if it gives no limit that a program can check.
    pub(super) fn read(text: &str, value_type: ValueType) -> Option<Self> {
        let (numbers, unit) = split_unit(text);
        match (value_type, unit) {
            (ValueType::Integer | ValueType::Unsigned | ValueType::Time, Unit::None) => {
                let intervals = enumeration(numbers).or_else(|| intervals(numbers))?;
                // A lone number may be the greatest or the only one: not ours to guess.
                let lone = matches!(intervals[..], [(low, high)] if low == high);
                (!lone).then_some(Self::Integers(intervals))
            }
            (ValueType::Integer | ValueType::Unsigned, Unit::Bits) => width(numbers, 1),
            (ValueType::Integer | ValueType::Unsigned, Unit::Octets) => width(numbers, 8),
            (ValueType::Float, Unit::None) => floats(numbers),
            (ValueType::String | ValueType::Opaque, Unit::Octets) => {
                Some(Self::Octets(at_most(intervals(numbers)?)))
            }
            // A bare number beside a text may count octets, characters or digits: not ours to guess.
            _ => None,
        }
    }

    /// The value lies inside; a value of another kind is no business of this range.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integers(intervals), Value::Integer(number) | Value::Time(number)) => {
                within(intervals, i128::from(*number))
            }
            (Self::Integers(intervals), Value::Unsigned(number)) => within(intervals, i128::from(*number)),
            (Self::Floats(low, high), Value::Float(number)) => (*low..=*high).contains(number),
            (Self::Octets(intervals), Value::String(text)) => within_length(intervals, text.len()),
            (Self::Octets(intervals), Value::Opaque(octets)) => within_length(intervals, octets.len()),
            _ => true,
        }
    }
}

enum Unit {
    None,
    Bits,
    Octets,
}

/// `0-255 bytes` gives `0-255` and octets; `8-Bits` gives `8` and bits.
fn split_unit(text: &str) -> (&str, Unit) {
    let lower = text.to_ascii_lowercase();
    for (word, unit) in [("bytes", Unit::Octets), ("bits", Unit::Bits), ("bit", Unit::Bits)] {
        if lower.ends_with(word) {
            // Lower-casing ASCII keeps lengths, so this cut lies on a character.
            return (text[..text.len() - word.len()].trim_end_matches([' ', '-']), unit);
        }
    }
    (text, Unit::None)
}

/// `0: disabled 1: normal 255: stuck`
fn enumeration(text: &str) -> Option<Vec<(i128, i128)>> {
    let labels = text.split(' ').filter_map(|word| word.strip_suffix(':'));
    let numbers = labels.map(|label| label.parse().ok()).collect::<Option<Vec<i128>>>()?;
    if numbers.is_empty() { None } else { Some(numbers.into_iter().map(|number| (number, number)).collect()) }
}

/// `0..100`, `1...63`, `0-100`, `-140..-44`, `[1:4]`, or a list: `16,32,48`, `16-32-48`, `10 or 26`, `12`.
fn intervals(text: &str) -> Option<Vec<(i128, i128)>> {
    if let Some((low, high)) = ends(text) {
        let (low, high) = (low.parse().ok()?, high.parse().ok()?);
        return (low <= high).then(|| vec![(low, high)]);
    }
    let list = text.replace(" or ", ",").replace('-', ",");
    list.split(',').map(|number| number.parse().ok().map(|number| (number, number))).collect()
}

/// A lone length is the greatest in some objects (19) and the only one in others (12): what is longer is wrong in both.
fn at_most(lengths: Vec<(i128, i128)>) -> Vec<(i128, i128)> {
    match lengths[..] {
        [(low, high)] if low == high => vec![(0, high)],
        _ => lengths,
    }
}

fn floats(text: &str) -> Option<Range> {
    let (low, high) = ends(text)?;
    let (low, high): (f64, f64) = (low.parse().ok()?, high.parse().ok()?);
    // Also refuses NaN, which Rust would read.
    (low <= high).then_some(Range::Floats(low, high))
}

/// Both ends of an interval as text; `None` if the text is none.
fn ends(text: &str) -> Option<(&str, &str)> {
    if let Some((low, high)) = text.split_once("..") {
        return Some((low, high.strip_prefix('.').unwrap_or(high)));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.split_once(':');
    }
    // A single dash between digits; a leading one is a sign.
    text.split_once('-').filter(|(low, high)| !low.is_empty() && !high.contains('-'))
}

/// `8` bits or `2` octets: unsigned numbers of that width.
fn width(text: &str, bits_each: u32) -> Option<Range> {
    let bits = text.parse::<u32>().ok()?.checked_mul(bits_each).filter(|bits| (1..=64).contains(bits))?;
    Some(Range::Integers(vec![(0, (1 << bits) - 1)]))
}

fn within(intervals: &[(i128, i128)], number: i128) -> bool {
    intervals.iter().any(|(low, high)| (*low..=*high).contains(&number))
}

fn within_length(intervals: &[(i128, i128)], len_octets: usize) -> bool {
    i128::try_from(len_octets).is_ok_and(|len_octets| within(intervals, len_octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integers(text: &str) -> Option<Range> {
        Range::read(text, ValueType::Integer)
    }

    fn one(low: i128, high: i128) -> Option<Range> {
        Some(Range::Integers(vec![(low, high)]))
    }

    #[test]
    fn every_way_the_registry_writes_an_interval_reads() {
        assert_eq!(integers("0-100"), one(0, 100));
        assert_eq!(integers("1..20"), one(1, 20));
        assert_eq!(integers("1...63"), one(1, 63));
        assert_eq!(integers("[1:4]"), one(1, 4));
        assert_eq!(integers("-140..-44"), one(-140, -44));
        assert_eq!(integers("0..18446744073709551615"), one(0, i128::from(u64::MAX)));
        assert_eq!(integers("8-Bits"), one(0, 255));
        assert_eq!(integers("16-bit"), one(0, 65535));
        assert_eq!(integers("2 bytes"), one(0, 65535));
        assert_eq!(Range::read("0.000001..1.0", ValueType::Float), Some(Range::Floats(0.000_001, 1.0)));
    }

    #[test]
    fn enumerations_and_lists_read_as_single_points() {
        assert_eq!(
            integers("0: RELEASE 1: CLICK 255: STUCK"),
            Some(Range::Integers(vec![(0, 0), (1, 1), (255, 255)]))
        );
        let keys = Some(Range::Octets(vec![(16, 16), (32, 32), (48, 48)]));
        assert_eq!(Range::read("16-32-48 bytes", ValueType::Opaque), keys);
        assert_eq!(
            Range::read("10 or 26 Bytes", ValueType::String),
            Some(Range::Octets(vec![(10, 10), (26, 26)]))
        );
    }

    #[test]
    fn texts_that_say_no_number_limit_nothing() {
        for text in
            ["", "2 Instances", "The possible values are those listed", "ON;OFF", "5..1", "99 bits", "255"]
        {
            assert_eq!(integers(text), None, "{text}");
        }
        assert_eq!(Range::read("1-65534", ValueType::String), None);
        assert_eq!(Range::read("0..1", ValueType::Boolean), None);
    }

    #[test]
    fn both_ends_lie_inside_and_lengths_count_octets() {
        let lone = Range::read("4 bytes", ValueType::String).unwrap();
        assert!(
            lone.contains(&Value::String("abc".into())) && !lone.contains(&Value::String("abcde".into()))
        );
        let text = Range::read("0-4 bytes", ValueType::String).unwrap();
        assert!(text.contains(&Value::String("äb1".into())));
        assert!(!text.contains(&Value::String("äbc1".into())));
        let number = integers("-1..1").unwrap();
        assert!(number.contains(&Value::Integer(-1)) && number.contains(&Value::Integer(1)));
        assert!(!number.contains(&Value::Integer(2)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            for value_type in [ValueType::Integer, ValueType::Float, ValueType::String] {
                let _ = Range::read(&text, value_type);
            }
        }
    }
}
