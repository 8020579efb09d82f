//! Any bytes as a plain ini file that is encrypted and opened again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sops::Format;

fuzz_target!(|bytes: &[u8]| weir_sops_fuzz::there_and_back(bytes, Format::Ini));
