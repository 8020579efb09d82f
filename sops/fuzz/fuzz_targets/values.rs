//! Any text in place of an encrypted value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sops::Format;

const SEALED: &str = include_str!("../../tests/vectors/sealed.env");

fuzz_target!(|value: &str| {
    if let Some((_, rest)) = SEALED.split_once('\n')
        && !value.contains("admin")
    {
        weir_sops_fuzz::open(format!("A={value}\n{rest}").as_bytes(), Format::Dotenv);
    }
});
