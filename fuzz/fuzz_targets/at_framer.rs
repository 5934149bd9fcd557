//! Any octets, cut anywhere, give the same frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nbgate::at::{Frame, Framer, MAX_LINE_OCTETS};

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk_octets, octets) = input;
    let whole = frames(octets, octets.len().max(1));
    let cut = frames(octets, usize::from(chunk_octets).max(1));
    assert_eq!(whole, cut);
});

fn frames(octets: &[u8], chunk_octets: usize) -> Vec<Frame> {
    let mut framer = Framer::new();
    framer.expect_prompt(true);
    framer.expect_echo(b"@\x01\r\nOK");
    let mut frames = Vec::new();
    for mut chunk in octets.chunks(chunk_octets) {
        while let Some(frame) = framer.next_frame(&mut chunk) {
            if let Frame::Line(line) = &frame {
                assert!(!line.is_empty() && line.len() <= MAX_LINE_OCTETS);
                // Lines from `#` announce as many octets as their second letter says.
                if let Some(letter) = line.strip_prefix('#').and_then(|rest| rest.bytes().next()) {
                    framer.expect_block(usize::from(letter));
                }
            }
            frames.push(frame);
        }
    }
    frames
}
