//! What passes between host and modem, as lines a person reads: `> AT`, `< OK`, octets as `<40 01>`.

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// `>`
    Host,
    /// `<`
    Modem,
}

/// Longest piece shown on one line.
const MAX_PIECE: usize = 600;

/// Gathers octets into lines.
#[derive(Debug, Default)]
pub struct Trace {
    speaker: Option<Speaker>,
    piece: Vec<u8>,
}

impl Trace {
    /// Takes octets and gives the lines that are complete now. A change of speaker completes a line too.
    pub fn push(&mut self, speaker: Speaker, octets: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        if self.speaker != Some(speaker) {
            lines.extend(self.flush());
            self.speaker = Some(speaker);
        }
        for &octet in octets {
            if matches!(octet, b'\r' | b'\n') || self.piece.len() >= MAX_PIECE {
                lines.extend(self.flush());
            }
            if !matches!(octet, b'\r' | b'\n') {
                self.piece.push(octet);
            }
        }
        lines
    }

    /// The line as far as it has come.
    pub fn flush(&mut self) -> Option<String> {
        let piece = std::mem::take(&mut self.piece);
        let mark = match self.speaker? {
            Speaker::Host => '>',
            Speaker::Modem => '<',
        };
        (!piece.is_empty()).then(|| format!("{mark} {}", show(&piece)))
    }
}

fn show(piece: &[u8]) -> String {
    if piece.iter().all(|octet| (0x20..0x7F).contains(octet)) {
        return String::from_utf8_lossy(piece).into_owned();
    }
    let octets: Vec<String> = piece.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("<{}>", octets.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_prompt_and_payload_are_shown_apart() {
        let mut trace = Trace::default();
        let mut lines = trace.push(Speaker::Host, b"AT+QISEND=0,2\r");
        lines.extend(trace.push(Speaker::Modem, b"\r\n> "));
        lines.extend(trace.push(Speaker::Host, &[0x40, 0x01]));
        lines.extend(trace.push(Speaker::Modem, b"\r\nSEND OK\r\n"));
        assert_eq!(lines, ["> AT+QISEND=0,2", "< > ", "> <40 01>", "< SEND OK"]);
    }
}
