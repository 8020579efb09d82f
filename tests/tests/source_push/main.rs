//! Writing to real servers without a program: signed commits, pushes that compare and swap, and what servers refuse.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod over_http;
mod over_ssh;
mod writer;

use controller::source::signing::SigningKey;
use weir_tests::SshKey;

#[test]
fn only_ed25519_keys_without_a_passphrase_sign() {
    for (kind, passphrase, problem) in [
        ("ecdsa", "", "ed25519 is needed"),
        ("ed25519", "hush", "it is encrypted"),
    ] {
        let key = SshKey::generate(kind, passphrase);
        let error = SigningKey::read(key.private.as_bytes()).unwrap_err();
        assert!(error.to_string().ends_with(problem), "{error}");
    }
    let error = SigningKey::read(b"none").unwrap_err().to_string();
    assert!(
        error.contains("no private key in OpenSSH's format"),
        "{error}"
    );
}
