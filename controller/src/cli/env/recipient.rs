//! Whom secrets are encrypted for, looked at before anything is written.

use sops::{Format, Keyring, Recipe, Recipient};

use crate::cli::Failure;
use crate::cli::secrets::now;

/// How private keys begin.
const PRIVATE: &str = "AGE-SECRET-KEY-";

/// Refuses what nothing can be encrypted for. A private key is not repeated: what a terminal shows may be kept.
pub(in crate::cli) fn check(recipients: &str) -> Result<(), Failure> {
    if recipients.to_ascii_uppercase().contains(PRIVATE) {
        return Err(Failure::with_hint(
            "that is a private key, and no recipient",
            "the recipient is the public half, age1…; make a new key: this one may lie in the history of your shell",
        ));
    }
    let group = recipients.split(',').map(|recipient| Recipient::Age {
        recipient: recipient.trim().to_owned(),
    });
    let recipe = Recipe {
        groups: vec![group.collect()],
        ..Recipe::default()
    };
    let tried = sops::encrypt(b"a: b\n", Format::Yaml, &recipe, &Keyring::default(), now());
    tried.map_err(|error| Failure::new(error.to_string()))?;
    Ok(())
}
