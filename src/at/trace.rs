//! The dialogue for a person to read: one line per line of text, payload as hex, secrets and identities masked.

use std::collections::VecDeque;
use std::fmt;

use tracing::{Level, trace};

use super::command::push_hex;

/// Beyond this the oldest lines go: nobody has drained them.
const MAX_LINES: usize = 512;
/// The shortest identity is an IMSI of fourteen digits.
const IDENTITY_DIGITS: usize = 14;
/// Enough to tell two modems apart.
const SHOWN_DIGITS: usize = 4;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From us.
    ToModem,
    /// To us.
    FromModem,
}

/// One line of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// Who speaks.
    pub direction: Direction,
    /// What, fit to print: payload octets as `<40 01>`, parameters of secret commands as `***`, identities
    /// as [`Redacted`] shows them.
    pub text: String,
}

/// Text with the numbers of modem, subscriber and SIM (IMEI, IMSI, ICCID) masked but for their last four digits: what
/// may be written to a log.
#[derive(Debug, Clone, Copy)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if digits >= IDENTITY_DIGITS {
                let hidden = digits - SHOWN_DIGITS;
                write!(f, "{:*<hidden$}{}", "", &rest[hidden..digits])?;
            } else {
                f.write_str(&rest[..digits])?;
            }
            let others = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
            f.write_str(&rest[digits..digits + others])?;
            rest = &rest[digits + others..];
        }
        Ok(())
    }
}

/// The lines not yet drained; stays empty unless asked for. The log has them at level TRACE.
#[derive(Debug)]
pub(super) struct Trace {
    wanted: bool,
    lines: VecDeque<TraceLine>,
}

impl Trace {
    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, lines: VecDeque::new() }
    }

    pub(super) fn text(&mut self, direction: Direction, text: &str) {
        if !self.is_heard() {
            return;
        }
        let text = Redacted(text).to_string();
        let text: String = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
        trace!(?direction, text, "at line");
        if !self.wanted {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(TraceLine { direction, text });
    }

    pub(super) fn octets(&mut self, direction: Direction, octets: &[u8]) {
        if !self.is_heard() {
            return;
        }
        let mut text = String::from("<");
        for (i, octet) in octets.iter().enumerate() {
            if i > 0 {
                text.push(' ');
            }
            push_hex(&mut text, *octet);
        }
        text.push('>');
        self.text(direction, &text);
    }

    /// Somebody reads the dialogue: here or in the log.
    fn is_heard(&self) -> bool {
        self.wanted || tracing::enabled!(Level::TRACE)
    }

    pub(super) fn poll(&mut self) -> Option<TraceLine> {
        self.lines.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undrained_trace_forgets_its_oldest_lines() {
        let mut trace = Trace::new(true);
        for n in 0..MAX_LINES + 3 {
            trace.text(Direction::ToModem, &n.to_string());
        }
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("3"));
    }

    #[test]
    fn identities_show_only_their_last_digits_and_all_else_stays() {
        for (text, shown) in [
            ("351358815178345", "***********8345"),
            ("+QCCID: 8949020000012345678F", "+QCCID: ***************5678F"),
            ("+CEREG: 4,1,\"5B57\",9,,,\"00000001\"", "+CEREG: 4,1,\"5B57\",9,,,\"00000001\""),
            ("1234567890123 é 12345678901234", "1234567890123 é **********1234"),
            ("", ""),
        ] {
            assert_eq!(Redacted(text).to_string(), shown);
        }
        let mut trace = Trace::new(true);
        trace.text(Direction::FromModem, "351358815178345");
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("***********8345"));
    }

    #[test]
    fn octets_are_shown_as_hex_and_control_characters_as_dots() {
        let mut trace = Trace::new(true);
        trace.octets(Direction::FromModem, &[0x40, 0x0A]);
        trace.text(Direction::FromModem, "a\u{1b}b");
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("<40 0A>"));
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("a·b"));
    }
}
