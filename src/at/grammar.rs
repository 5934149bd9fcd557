//! Pieces of the grammar of answers, for whole lines (TS 27.007, V.250 §5.4): complete parsers only.
//!
//! Modems differ in blanks, quotes and fields left out, so most readers want [`params`]: the fields of a line whose
//! prefix is known, each with its own careful accessors. The nom pieces below it serve where a shape is strict.

use std::str::FromStr;

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{char, one_of, satisfy, space0};
use nom::combinator::{eof, map_res, peek, recognize};
use nom::multi::separated_list0;
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

/// What can stand before the name in an extended answer: `+CSQ`, `^SYSSTART`, `%XICCID`, …
const MARKS: &str = "+^*#%$&!";

/// What stands before the colon of an extended answer: `+CEREG` of `+CEREG: 0,1`. `None` for other lines.
pub fn prefix(line: &str) -> Option<&str> {
    let name = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let parsed: IResult<&str, &str> = terminated(recognize(pair(one_of(MARKS), name)), char(':')).parse(line);
    Some(parsed.ok()?.1)
}

/// Does the line begin with one of the marks of extended answers and URCs?
pub fn is_marked(line: &str) -> bool {
    line.starts_with(|c| MARKS.contains(c))
}

/// The text after prefix and colon, without blanks around it, if the line has this prefix.
pub fn value<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    Some(line.trim().strip_prefix(prefix)?.strip_prefix(':')?.trim())
}

/// The fields after the prefix, if the line has this prefix: `+CSQ: 17,99` gives two.
pub fn params<'a>(line: &'a str, prefix: &str) -> Option<Vec<Field<'a>>> {
    Some(fields(value(line, prefix)?))
}

/// One parameter of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The text without blanks around it, and without its quotes.
    pub text: &'a str,
    /// It stood in quotes.
    pub is_quoted: bool,
}

impl<'a> Field<'a> {
    /// Left out, or an empty string.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text, unless empty.
    pub fn non_empty(&self) -> Option<&'a str> {
        (!self.text.is_empty()).then_some(self.text)
    }

    /// The field as a decimal number or an address, quoted or not. `None` when it is something else or out of range.
    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.text.trim().parse().ok()
    }

    /// The field as a number in hex digits without `0x`, quoted or not.
    pub fn hex(&self) -> Option<u32> {
        let text = self.text.trim();
        let digits = text.bytes().all(|octet| octet.is_ascii_hexdigit());
        u32::from_str_radix(text, 16).ok().filter(|_| digits)
    }
}

/// Splits parameters at commas outside quotes. Total: any text gives fields; no text gives none.
pub fn fields(input: &str) -> Vec<Field<'_>> {
    let input = input.trim();
    if input.is_empty() {
        return Vec::new();
    }
    let parsed: IResult<&str, Vec<Field<'_>>> = separated_list0(char(','), field).parse(input);
    parsed.map_or_else(|_| Vec::new(), |(_, fields)| fields)
}

/// One parameter, up to its comma or the end.
pub fn field(input: &str) -> IResult<&str, Field<'_>> {
    let end = (space0, alt((peek(recognize(char(','))), eof)));
    let in_quotes = terminated(quoted, end).map(|text| Field { text, is_quoted: true });
    let bare = take_till(|c| c == ',').map(|text: &str| Field { text: text.trim(), is_quoted: false });
    preceded(space0, alt((in_quotes, bare))).parse(input)
}

/// A string in quotes; gives what is between them, as it is.
pub fn quoted(input: &str) -> IResult<&str, &str> {
    delimited(char('"'), take_till(|c| c == '"'), char('"')).parse(input)
}

/// Runs of decimal digits of at least `min` characters, in their order.
pub fn digit_runs(text: &str, min: usize) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(move |run| run.len() >= min.max(1))
}

/// Eight binary digits, as timers of TS 24.008 §10.5.7.4a are written: `"01000111"`.
pub fn binary_octet(input: &str) -> IResult<&str, u8> {
    let digit = satisfy(|c| c == '0' || c == '1');
    let digits = recognize(nom::multi::count(digit, 8));
    map_res(terminated(digits, eof), |digits| u8::from_str_radix(digits, 2)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(input: &str) -> Vec<&str> {
        fields(input).iter().map(|field| field.text).collect()
    }

    #[test]
    fn a_prefix_ends_at_its_colon() {
        assert_eq!(prefix("+CEREG: 0,1"), Some("+CEREG"));
        assert_eq!(prefix("+CPIN:READY"), Some("+CPIN"));
        assert_eq!(prefix("%XICCID: 89"), Some("%XICCID"));
        for line in ["RDY", "866425030000000", "Revision: BG96", "+: 1", "+SYSSTART", "+ CSQ: 1", "", "+"] {
            assert_eq!(prefix(line), None, "{line}");
        }
    }

    #[test]
    fn blanks_after_the_colon_are_none_to_several() {
        assert_eq!(value("+CPIN:READY", "+CPIN"), Some("READY"));
        assert_eq!(value("+CCLK:   \"15/02/28\"", "+CCLK"), Some("\"15/02/28\""));
        assert_eq!(value("+CEREG:", "+CEREG"), Some(""));
        assert_eq!(value("+CEREGX: 1", "+CEREG"), None);
    }

    #[test]
    fn commas_in_quotes_do_not_split() {
        let got = params(r#"+COPS: 0,0,"A, B" ,9"#, "+COPS").unwrap();
        assert_eq!(got[2], Field { text: "A, B", is_quoted: true });
        assert_eq!(got.len(), 4);
        assert_eq!(got[3].parse::<u8>(), Some(9));
    }

    #[test]
    fn fields_left_out_are_empty_fields() {
        assert_eq!(texts("2,,"), ["2", "", ""]);
        assert_eq!(texts(" 1, 1F00, 79D903 ,7"), ["1", "1F00", "79D903", "7"]);
        assert_eq!(texts(""), [] as [&str; 0]);
        assert_eq!(texts("\"\""), [""]);
    }

    #[test]
    fn broken_quotes_still_give_fields() {
        assert_eq!(texts(r#"1,"abc"#), ["1", "\"abc"]);
        assert_eq!(texts(r#""a"b,2"#), ["\"a\"b", "2"]);
    }

    #[test]
    fn numbers_out_of_range_are_no_numbers() {
        assert_eq!(fields("256")[0].parse::<u8>(), None);
        assert_eq!(fields("\"00FF\"")[0].hex(), Some(255));
        assert_eq!(fields("+1F")[0].hex(), None);
        assert_eq!(binary_octet("01000111"), Ok(("", 0b0100_0111)));
        assert!(binary_octet("010001112").is_err());
    }

    #[test]
    fn digit_runs_are_cut_from_whatever_surrounds_them() {
        let runs: Vec<_> = digit_runs("IMEI 12, \"866425030000000\"", 14).collect();
        assert_eq!(runs, ["866425030000000"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_fields_that_cover_its_commas(input in "[^\"]*") {
            let commas = input.matches(',').count();
            prop_assert_eq!(fields(&input).len(), if input.trim().is_empty() { 0 } else { commas + 1 });
        }

        #[test]
        fn no_line_panics(line in ".*", mark in prop_oneof![Just("+CEREG: "), Just("")]) {
            let line = format!("{mark}{line}");
            for field in fields(&line) {
                let _ = (field.parse::<i32>(), field.hex(), field.non_empty());
            }
            let _ = (prefix(&line), value(&line, "+CEREG"), digit_runs(&line, 0).count());
        }
    }
}
