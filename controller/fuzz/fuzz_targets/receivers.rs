//! Any call of any kind of caller: nobody is heard without the path and the proof.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| weir_fuzz::call(input));
