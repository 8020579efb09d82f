//! age keys on Curve25519: `AGE-SECRET-KEY-1…`, opened from `X25519` stanzas.

use x25519_dalek::{PublicKey, StaticSecret};

use crate::age::{FileKey, bech32, derive, header, unwrap};

/// What the text of a key starts with.
pub(crate) const PREFIX: &str = "AGE-SECRET-KEY-1";
/// The kind of its stanzas.
pub(crate) const STANZA: &str = "X25519";

const PRIVATE: &str = "age-secret-key-";
const PUBLIC: &str = "age";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// A private key, with its public key ready.
pub(crate) struct Identity {
    secret: StaticSecret,
    public: PublicKey,
    recipient: String,
}

impl Identity {
    /// Reads `AGE-SECRET-KEY-1…`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = bech32::decode(text, PRIVATE)?;
        Some(Self::from_secret(
            <[u8; 32]>::try_from(&bytes[..]).ok()?.into(),
        ))
    }

    fn from_secret(secret: StaticSecret) -> Self {
        let public = PublicKey::from(&secret);
        let recipient = bech32::encode(PUBLIC, public.as_bytes()).to_string();
        Self {
            secret,
            public,
            recipient,
        }
    }

    /// The public key as text, `age1…`.
    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Opens the file key of a stanza, when it is for this key.
    pub(crate) fn unwrap(&self, arguments: &[String], body: &[u8]) -> Option<FileKey> {
        let [share] = arguments else { return None };
        let share: [u8; 32] = header::decode(share)?.try_into().ok()?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(share));
        shared.was_contributory().then_some(())?;
        let salt = [share, self.public.to_bytes()].concat();
        unwrap(&derive(shared.as_bytes(), &salt, LABEL), body)
    }
}
