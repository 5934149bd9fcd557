//! The dialogue for a person to read: one line per line of text, payload as hex, secrets masked.

use std::collections::VecDeque;

use super::command::push_hex;

/// Beyond this the oldest lines go: nobody has drained them.
const MAX_LINES: usize = 512;

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
    /// What, fit to print: payload octets as `<40 01>`, parameters of secret commands as `***`.
    pub text: String,
}

/// The lines not yet drained; stays empty unless asked for.
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
        if !self.wanted {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        let text = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
        self.lines.push_back(TraceLine { direction, text });
    }

    pub(super) fn octets(&mut self, direction: Direction, octets: &[u8]) {
        if !self.wanted {
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
    fn octets_are_shown_as_hex_and_control_characters_as_dots() {
        let mut trace = Trace::new(true);
        trace.octets(Direction::FromModem, &[0x40, 0x0A]);
        trace.text(Direction::FromModem, "a\u{1b}b");
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("<40 0A>"));
        assert_eq!(trace.poll().map(|line| line.text).as_deref(), Some("a·b"));
    }
}
