//! Octets to lines, prompts and counted blocks.
//!
//! Works octet by octet, so that the cut of the input into reads never shows. It does not know what a line means:
//! its owner says after each frame what may come next.

/// A longer line is dropped whole. V.250 command lines end at 4096 in the most generous modem.
pub const MAX_LINE_OCTETS: usize = 4096;

/// No counted block is longer; a header that announces more is not believed.
pub const MAX_BLOCK_OCTETS: usize = 4096;

const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// What was cut off the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A line without its end and without blanks around it; never empty.
    Line(String),
    /// The prompt `>` at the start of a line.
    Prompt,
    /// As many octets as were announced.
    Block(Vec<u8>),
}

/// Cuts the stream of octets from the modem into [`Frame`]s.
#[derive(Debug, Default)]
pub struct Framer {
    mode: Mode,
    line: Vec<u8>,
    overlong: bool,
    after_cr: bool,
    prompt_expected: bool,
    echo: Option<Echo>,
    noise_octets: u64,
    overlong_lines: u64,
}

#[derive(Debug, Default)]
enum Mode {
    #[default]
    Lines,
    Block {
        octets: Vec<u8>,
        len: usize,
    },
}

/// Payload that the modem may send back before it goes on in lines.
#[derive(Debug)]
struct Echo {
    octets: Vec<u8>,
    matched: usize,
}

impl Framer {
    /// At the start of a line; expects lines only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets off the front of `input` until a frame is complete, or `input` is empty.
    pub fn next_frame(&mut self, input: &mut &[u8]) -> Option<Frame> {
        while let Some((&octet, rest)) = input.split_first() {
            *input = rest;
            if let Some(frame) = self.push(octet) {
                return Some(frame);
            }
        }
        None
    }

    /// From here on `>` at the start of a line is a prompt, or no longer.
    pub fn expect_prompt(&mut self, expected: bool) {
        self.prompt_expected = expected;
    }

    /// The next `len` octets after the end of the line just given are a block. To be called between two frames,
    /// with `len` from 1 to [`MAX_BLOCK_OCTETS`]; another `len` changes nothing.
    pub fn expect_block(&mut self, len: usize) {
        if (1..=MAX_BLOCK_OCTETS).contains(&len) {
            self.mode = Mode::Block { octets: Vec::with_capacity(len), len };
        }
    }

    /// The modem may repeat this payload at the start of a line: once, then it is swallowed.
    ///
    /// Believed only where it cannot be taken for a line: the payload holds an octet that no line has, and does
    /// not begin with a line end, as every answer does, or with a blank, as what follows the prompt does.
    pub fn expect_echo(&mut self, payload: &[u8]) {
        let foreign = |octet: &u8| *octet >= 0x80 || (octet.is_ascii_control() && !is_line_end(*octet));
        let begins_a_line = payload.first().is_some_and(|octet| !is_line_end(*octet) && *octet != b' ');
        self.echo = (begins_a_line && payload.iter().any(foreign))
            .then(|| Echo { octets: payload.to_vec(), matched: 0 });
    }

    /// No payload is expected back any more.
    pub fn forget_echo(&mut self) {
        if let Some(echo) = self.echo.take() {
            self.replay(&echo);
        }
    }

    /// Is a counted block begun and not complete?
    pub fn in_block(&self) -> bool {
        matches!(self.mode, Mode::Block { .. })
    }

    /// Forgets what was begun and what was expected.
    pub fn reset(&mut self) {
        let Self { noise_octets, overlong_lines, .. } = *self;
        *self = Self { noise_octets, overlong_lines, ..Self::default() };
    }

    /// Octets dropped because no line has them: 0x00 and 0x80 to 0xFF.
    pub fn noise_octets(&self) -> u64 {
        self.noise_octets
    }

    /// Lines dropped because they were longer than [`MAX_LINE_OCTETS`].
    pub fn overlong_lines(&self) -> u64 {
        self.overlong_lines
    }

    fn push(&mut self, octet: u8) -> Option<Frame> {
        let after_cr = std::mem::take(&mut self.after_cr);
        if octet == LF && after_cr {
            // The second half of a line end: not the first octet of a block, and no echo.
            return None;
        }
        if let Mode::Block { octets, len } = &mut self.mode {
            octets.push(octet);
            if octets.len() < *len {
                return None;
            }
            let octets = std::mem::take(octets);
            self.mode = Mode::Lines;
            return Some(Frame::Block(octets));
        }
        if self.line.is_empty() && self.is_echo(octet) {
            return None;
        }
        self.push_to_line(octet)
    }

    /// Swallows an octet that goes on with the echo; when it does not, what was swallowed belonged to a line.
    fn is_echo(&mut self, octet: u8) -> bool {
        let Some(echo) = &mut self.echo else { return false };
        if echo.octets[echo.matched] == octet {
            echo.matched += 1;
            if echo.matched == echo.octets.len() {
                self.echo = None;
            }
            return true;
        }
        if let Some(mut echo) = self.echo.take() {
            self.replay(&echo);
            echo.matched = 0;
            self.echo = Some(echo);
        }
        false
    }

    /// Puts a begun echo back into the line. Line ends inside can only be of a payload that was cut; they are blanks then.
    fn replay(&mut self, echo: &Echo) {
        for &octet in &echo.octets[..echo.matched] {
            self.append(if is_line_end(octet) { b' ' } else { octet });
        }
    }

    fn push_to_line(&mut self, octet: u8) -> Option<Frame> {
        if is_line_end(octet) {
            self.after_cr = octet == CR;
            return self.end_line();
        }
        if octet == b'>' && self.prompt_expected && self.line.is_empty() && !self.overlong {
            self.prompt_expected = false;
            return Some(Frame::Prompt);
        }
        if octet == b' ' && self.line.is_empty() {
            // Also the blank that follows the prompt: what comes after it starts a line.
            return None;
        }
        self.append(octet);
        None
    }

    fn append(&mut self, octet: u8) {
        if octet == 0 || octet >= 0x80 {
            self.noise_octets += 1;
        } else if self.line.len() == MAX_LINE_OCTETS {
            self.overlong = true;
        } else {
            self.line.push(octet);
        }
    }

    fn end_line(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overlong) {
            self.overlong_lines += 1;
            return None;
        }
        // Only ASCII was let in, so nothing is replaced.
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        (!line.is_empty()).then(|| Frame::Line(line.to_owned()))
    }
}

fn is_line_end(octet: u8) -> bool {
    octet == CR || octet == LF
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(framer: &mut Framer, mut input: &[u8]) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next_frame(&mut input)).collect()
    }

    fn line(text: &str) -> Frame {
        Frame::Line(text.to_owned())
    }

    #[test]
    fn lines_end_with_cr_lf_or_either_and_empty_ones_are_nothing() {
        let got = frames(&mut Framer::new(), b"\r\n+CSQ: 17,99\r\n\r\nOK\r\nAT\r\r\nRDY\n");
        assert_eq!(got, [line("+CSQ: 17,99"), line("OK"), line("AT"), line("RDY")]);
    }

    #[test]
    fn noise_is_dropped_outside_blocks_and_counted() {
        let mut framer = Framer::new();
        assert_eq!(frames(&mut framer, b"\x00\xff\xfe\r\nO\x00K\xff\r\n"), [line("OK")]);
        assert_eq!(framer.noise_octets(), 5);
    }

    #[test]
    fn a_prompt_needs_no_line_end_but_must_be_expected() {
        let mut framer = Framer::new();
        framer.expect_prompt(true);
        assert_eq!(
            frames(&mut framer, b"\r\n> \r\nSEND OK\r\n> \r\n"),
            [Frame::Prompt, line("SEND OK"), line(">")]
        );
        framer.expect_prompt(true);
        assert_eq!(frames(&mut framer, b"a > b\r\n"), [line("a > b")]);
        assert_eq!(frames(&mut framer, b">"), [Frame::Prompt]);
    }

    #[test]
    fn a_block_is_counted_and_holds_any_octet() {
        let mut framer = Framer::new();
        let mut input: &[u8] = b"+QIRD: 6\r\n\n\r\x00\xff>O\r\n\r\nOK\r\n";
        assert_eq!(framer.next_frame(&mut input), Some(line("+QIRD: 6")));
        framer.expect_block(6);
        assert!(framer.in_block());
        assert_eq!(framer.next_frame(&mut input), Some(Frame::Block(b"\n\r\x00\xff>O".to_vec())));
        assert_eq!(framer.next_frame(&mut input), Some(line("OK")));
    }

    #[test]
    fn a_block_after_a_bare_line_feed_begins_at_once() {
        let mut framer = Framer::new();
        let mut input: &[u8] = b"+QIRD: 2\n\nxOK\n";
        assert_eq!(framer.next_frame(&mut input), Some(line("+QIRD: 2")));
        framer.expect_block(2);
        assert_eq!(framer.next_frame(&mut input), Some(Frame::Block(b"\nx".to_vec())));
        assert_eq!(framer.next_frame(&mut input), Some(line("OK")));
    }

    #[test]
    fn a_line_without_end_stays_within_its_bound_and_is_dropped_whole() {
        let mut framer = Framer::new();
        assert_eq!(frames(&mut framer, &vec![b'x'; 3 * MAX_LINE_OCTETS]), []);
        assert!(framer.line.len() <= MAX_LINE_OCTETS);
        assert_eq!(frames(&mut framer, b"yy\r\nOK\r\n"), [line("OK")]);
        assert_eq!(framer.overlong_lines(), 1);
    }

    #[test]
    fn a_payload_sent_back_is_swallowed_once() {
        let mut framer = Framer::new();
        framer.expect_prompt(true);
        assert_eq!(frames(&mut framer, b"> "), [Frame::Prompt]);
        framer.expect_echo(b"S\x01\r\n+\xff");
        assert_eq!(frames(&mut framer, b"S\x01\r\n+\xff\r\nSEND OK\r\n"), [line("SEND OK")]);
        assert_eq!(frames(&mut framer, b"S\r\n"), [line("S")]);
    }

    #[test]
    fn an_answer_that_only_begins_like_the_payload_is_still_a_line() {
        let mut framer = Framer::new();
        framer.expect_echo(b"SEND \x01\x02");
        assert_eq!(frames(&mut framer, b"\r\n+QIURC: \"recv\",0\r\n\r\nSEND OK\r\n").len(), 2);
        framer.expect_echo(b"OK\x01");
        let mut input: &[u8] = b"\r\nOK";
        assert_eq!(framer.next_frame(&mut input), None);
        framer.forget_echo();
        assert_eq!(frames(&mut framer, b"\r\n"), [line("OK")]);
    }

    #[test]
    fn a_payload_that_reads_like_an_answer_is_not_expected_back() {
        let mut framer = Framer::new();
        framer.expect_echo(b"SEND OK");
        assert_eq!(frames(&mut framer, b"SEND OK\r\n"), [line("SEND OK")]);
        framer.expect_echo(b"\r\nSEND OK\r\n\x01");
        assert_eq!(frames(&mut framer, b"\r\nSEND OK\r\n"), [line("SEND OK")]);
    }

    /// Frames of `input` cut at `cuts`, with blocks after lines that begin with `#` and a length letter.
    fn frames_in_chunks(input: &[u8], cuts: &[usize]) -> Vec<Frame> {
        let mut framer = Framer::new();
        framer.expect_prompt(true);
        framer.expect_echo(b"@\x01#a\r\n");
        let mut frames = Vec::new();
        let mut chunks = Vec::new();
        let mut rest = input;
        for cut in cuts {
            let (chunk, tail) = rest.split_at(cut % (rest.len() + 1));
            chunks.push(chunk);
            rest = tail;
        }
        chunks.push(rest);
        for mut chunk in chunks {
            while let Some(frame) = framer.next_frame(&mut chunk) {
                if let Frame::Line(line) = &frame {
                    if let Some(letter) = line.strip_prefix('#').and_then(|rest| rest.bytes().next()) {
                        framer.expect_block(usize::from(letter % 8));
                    }
                }
                frames.push(frame);
            }
        }
        frames
    }

    proptest! {
        #[test]
        fn chunking_never_changes_the_frames(
            input in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'>'), Just(b' '), Just(b'#'), Just(b'@'), any::<u8>()],
                0..200,
            ),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
        ) {
            prop_assert_eq!(frames_in_chunks(&input, &[]), frames_in_chunks(&input, &cuts));
        }
    }
}
