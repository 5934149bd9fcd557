//! Any octets as links and as the list of a registration: what reads is the same after it was written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nbgate::lwm2m::codecs::{ObjectList, link};
use nbgate::lwm2m::model::Version;

fuzz_target!(|payload: &[u8]| {
    if let Ok(links) = link::decode(payload) {
        assert_eq!(link::decode(&link::encode(&links)), Ok(links));
    }
    if let Ok(list) = ObjectList::decode(payload) {
        for enabler in [Version::V1_0, Version::V1_1] {
            assert_eq!(ObjectList::decode(&list.encode(enabler)), Ok(list.clone()));
        }
    }
});
