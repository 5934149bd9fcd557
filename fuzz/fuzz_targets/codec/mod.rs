//! Any payload at any path: a value or an error, and what reads is the same after it was written again.

use std::sync::OnceLock;

use nbgate::lwm2m::codecs::{decode_new, decode_timed, encode_timed};
use nbgate::lwm2m::{Format, Model, Path};

/// Paths of every depth, over all types.
const BASES: [&str; 16] = [
    "/", "/3", "/3/0", "/3/0/0", "/3/0/6", "/3/0/6/0", "/3/0/9", "/3/0/13", "/3/0/22", "/5/0/0", "/1/0", "/25/0/3",
    "/3303", "/3303/0/5700", "/3306/0/5850", "/0/0",
];

/// Reads the payload in this format at the base that `base` picks.
pub fn read(format: Format, base: u8, payload: &[u8]) {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let model = MODEL.get_or_init(Model::builtin);
    let base: Path = BASES[usize::from(base) % BASES.len()].parse().expect("a path");
    let _ = decode_new(format, base, payload, model);
    let Ok((entries, times)) = decode_timed(format, base, payload, model) else { return };
    let again = encode_timed(format, base, &entries, &times).expect("what was read has a form");
    assert_eq!(decode_timed(format, base, &again, model), Ok((entries, times)));
}
