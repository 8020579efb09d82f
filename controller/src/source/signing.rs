//! Signing commits with an SSH key, as `ssh-keygen -Y sign -n git` does.

use std::fmt;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use super::error::SourceError;

/// What Git signs for.
const NAMESPACE: &str = "git";

/// A private key; `Debug` shows none of it.
pub struct SigningKey(PrivateKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

impl SigningKey {
    /// Reads an ed25519 key in OpenSSH's format, without a passphrase.
    pub fn read(text: &[u8]) -> Result<Self, SourceError> {
        let failed = |problem: &str| {
            SourceError::Authentication(format!("the key to sign with cannot be used: {problem}"))
        };
        let key = PrivateKey::from_openssh(text.trim_ascii())
            .map_err(|_| failed("it is no private key in OpenSSH's format"))?;
        match key.algorithm() {
            _ if key.is_encrypted() => Err(failed("it is encrypted")),
            Algorithm::Ed25519 => Ok(Self(key)),
            other => Err(failed(&format!("it is of {other}, and ed25519 is needed"))),
        }
    }

    /// The signature of a text, armored.
    pub(super) fn sign(&self, text: &[u8]) -> Result<String, SourceError> {
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, text);
        signature
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|error| SourceError::cache("signing the commit", error))
    }
}
