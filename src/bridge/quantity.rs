//! A number out of text, with the unit behind it: `21.5 C`, `21,5 °C`, `1 013 hPa`, `"3.3V"`.
//!
//! Blanks of any kind may part groups of three digits. A comma is the decimal comma, except where it may as well part
//! thousands (`1,013`): that is refused rather than guessed.

use super::exact::Ratio;

/// A finite number as the payload has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole; more digits than a float holds are kept.
    Whole(i128),
    /// Any other.
    Float(f64),
}

/// A number and the unit behind it; empty if there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity<'t> {
    /// The number.
    pub number: Number,
    /// The unit as spelled.
    pub unit: &'t str,
}

/// Why a text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    /// Does not begin with a finite number.
    NotNumber,
    /// `1,013`
    AmbiguousComma,
}

impl Number {
    /// The number as a float: the nearest one where it has more digits.
    pub const fn to_float(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// The number as an exact fraction; `None` if it is too large or too small for one.
    pub fn to_ratio(self) -> Option<Ratio> {
        match self {
            Self::Whole(number) => Some(Ratio::from(number)),
            Self::Float(number) => Ratio::from_float(number),
        }
    }
}

impl<'t> Quantity<'t> {
    /// Reads a text; white space around it, and quotes, do not count.
    ///
    /// # Errors
    /// It does not begin with a finite number, or with one that can be read in two ways.
    pub fn read(text: &'t str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map_or(text, str::trim);
        if let Some(number) = plain(text) {
            return Ok(Self { number, unit: "" });
        }
        let (number, unit) = text.split_at(end_of_number(text));
        let number = plain(&normal(number.trim_end())?).ok_or(QuantityError::NotNumber)?;
        Ok(Self { number, unit: unit.trim() })
    }
}

/// The text is the word for what is not a number.
pub fn is_nan(text: &str) -> bool {
    let text = text.trim();
    text.strip_prefix(['+', '-']).unwrap_or(text).eq_ignore_ascii_case("nan")
}

/// Digits with sign, point and exponent. Rust would also read `inf` and `nan`.
fn plain(text: &str) -> Option<Number> {
    if !text.bytes().all(|octet| octet.is_ascii_digit() || b"+-.eE".contains(&octet)) {
        return None;
    }
    match text.parse() {
        Ok(number) => Some(Number::Whole(number)),
        Err(_) => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float),
    }
}

/// Where the number at the start of the text ends, with the blanks within.
fn end_of_number(text: &str) -> usize {
    let mut rest = text;
    let mut previous = ' ';
    while let Some(character) = rest.chars().next() {
        let behind = &rest[character.len_utf8()..];
        let digit_follows = behind.starts_with(|next: char| next.is_ascii_digit());
        let belongs = match character {
            '0'..='9' | '.' | ',' => true,
            '+' | '-' | '−' => rest.len() == text.len(),
            'e' | 'E' => {
                let exponent = behind.strip_prefix(['+', '-']).unwrap_or(behind);
                previous.is_ascii_digit() && exponent.starts_with(|next: char| next.is_ascii_digit())
            }
            blank => blank.is_whitespace() && previous.is_ascii_digit() && digit_follows,
        };
        if !belongs {
            break;
        }
        // The sign of an exponent belongs to it.
        let signed = matches!(character, 'e' | 'E') && !digit_follows;
        rest = if signed { &behind[1..] } else { behind };
        previous = character;
    }
    text.len() - rest.len()
}

/// The number as a program writes it.
fn normal(text: &str) -> Result<String, QuantityError> {
    let (mantissa, exponent) = text.find(['e', 'E']).map_or((text, ""), |at| text.split_at(at));
    let end = mantissa.find(['.', ',']).unwrap_or(mantissa.len());
    let (whole, fraction) = mantissa.split_at(end);
    let (sign, digits) = match whole.strip_prefix(['-', '−']) {
        Some(digits) => ("-", digits),
        None => ("", whole.strip_prefix('+').unwrap_or(whole)),
    };
    let is_grouped = digits.contains(char::is_whitespace);
    if is_grouped && !is_in_groups(digits) {
        return Err(QuantityError::NotNumber);
    }
    let fraction = match fraction.strip_prefix(',') {
        Some(decimals) => {
            let is_group = decimals.len() == 3 && decimals.bytes().all(|octet| octet.is_ascii_digit());
            let groups_too = is_group && (1..=3).contains(&digits.len()) && digits != "0";
            if groups_too && !is_grouped && exponent.is_empty() {
                return Err(QuantityError::AmbiguousComma);
            }
            format!(".{decimals}")
        }
        None => fraction.to_owned(),
    };
    let digits: String = digits.chars().filter(|character| !character.is_whitespace()).collect();
    Ok(format!("{sign}{digits}{fraction}{exponent}"))
}

/// `1 013`: one to three digits, then groups of three.
fn is_in_groups(digits: &str) -> bool {
    let mut groups = digits.split(char::is_whitespace);
    let first_fits = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
    first_fits && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (f64, &str) {
        let quantity = Quantity::read(text).unwrap();
        (quantity.number.to_float(), quantity.unit)
    }

    #[test]
    fn numbers_stand_with_and_without_units() {
        for (text, number, unit) in [
            ("7.25", 7.25, ""),
            (" +4\r\n", 4.0, ""),
            ("1e2", 100.0, ""),
            ("21.5 C", 21.5, "C"),
            ("21,5 °C", 21.5, "°C"),
            ("21,5°C", 21.5, "°C"),
            ("\"1013.2 hPa\"", 1013.2, "hPa"),
            ("1 013 hPa", 1013.0, "hPa"),
            ("1\u{a0}013,25\u{a0}hPa", 1013.25, "hPa"),
            ("12\u{202f}345\u{202f}678", 12_345_678.0, ""),
            ("3.3V", 3.3, "V"),
            ("−5 °C", -5.0, "°C"),
            ("-0,125 m", -0.125, "m"),
            ("1,0134 bar", 1.0134, "bar"),
            ("5e3Pa", 5000.0, "Pa"),
            ("5e-3 Pa", 0.005, "Pa"),
            ("5 eV", 5.0, "eV"),
            ("5e", 5.0, "e"),
            ("10 m3", 10.0, "m3"),
            (".5 l", 0.5, "l"),
        ] {
            assert_eq!(read(text), (number, unit), "{text:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in ["1,013", "-12,500 Wh", "999,000"] {
            assert_eq!(Quantity::read(text), Err(QuantityError::AmbiguousComma), "{text}");
        }
        for text in [
            "", "-", "C 21.5", "inf", "nan", "1.013,2", "1,013.2", "1 01", "1 0134", "12 34 m", "1e999",
            "1,2,3", "+-5", "°C",
        ] {
            assert_eq!(Quantity::read(text), Err(QuantityError::NotNumber), "{text}");
        }
    }

    #[test]
    fn whole_numbers_keep_all_their_digits() {
        let number = Quantity::read("9007199254740993").unwrap().number;
        assert_eq!(number, Number::Whole(9_007_199_254_740_993));
        assert_eq!(Quantity::read("9 007 199 254 740 993 B").unwrap().number, number);
    }

    #[test]
    fn nan_is_known_with_any_sign() {
        assert!(["nan", "NaN", " -nan\n", "+NAN"].iter().all(|text| is_nan(text)));
        assert!(!is_nan("nano"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+−0-9., eE\u{a0}°C]{0,12}|\\PC{0,12}") {
            if let Ok(quantity) = Quantity::read(&text) {
                prop_assert!(quantity.number.to_float().is_finite());
            }
        }

        #[test]
        fn floats_survive_their_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(Quantity::read(&number.to_string()).map(|quantity| quantity.number.to_float()), Ok(number));
            prop_assert_eq!(Quantity::read(&format!("{number:e} m")).map(|quantity| quantity.number.to_float()), Ok(number));
        }
    }
}
