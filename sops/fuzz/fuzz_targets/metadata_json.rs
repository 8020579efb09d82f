//! Any bytes as an encrypted json file, metadata and all.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sops::Format;

fuzz_target!(|bytes: &[u8]| {
    if !bytes.windows(5).any(|window| window == b"admin") {
        weir_sops_fuzz::open(bytes, Format::Json);
    }
});
