//! TLV: see `codec`.
#![no_main]

mod codec;

use libfuzzer_sys::fuzz_target;
use nbgate::lwm2m::Format;

fuzz_target!(|input: (u8, &[u8])| {
    let (base, payload) = input;
    codec::read(Format::Tlv, base, payload);
});
