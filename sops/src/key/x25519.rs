//! age keys on Curve25519: `AGE-SECRET-KEY-1…`, opened from `X25519` stanzas.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::age::{FileKey, Stanza, bech32, derive, header, unwrap, wrap};
use crate::error::ErrorKind;
use crate::random;

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

/// True for the text of a public key of this kind.
pub(crate) fn is_recipient(text: &str) -> bool {
    text.starts_with("age1") && text.len() == 62
}

/// Wraps a file key for a public key.
pub(crate) fn seal(recipient: &str, file_key: &FileKey) -> Result<Stanza, ErrorKind> {
    let secret = StaticSecret::from(*random::bytes()?);
    let sealed = || {
        let public: [u8; 32] = bech32::decode(recipient, PUBLIC)?[..].try_into().ok()?;
        let share = PublicKey::from(&secret).to_bytes();
        let shared = secret.diffie_hellman(&PublicKey::from(public));
        shared.was_contributory().then_some(())?;
        let salt = [share, public].concat();
        Some(Stanza {
            arguments: vec![STANZA.to_owned(), header::encode(&share)],
            body: wrap(&derive(shared.as_bytes(), &salt, LABEL), file_key)?,
        })
    };
    sealed().ok_or_else(|| super::bad_recipient(recipient, "it is not an age public key"))
}

/// A new private key and its public key, as texts.
pub(crate) fn generate() -> Result<(Zeroizing<String>, String), ErrorKind> {
    let secret = random::bytes::<32>()?;
    let mut text = bech32::encode(PRIVATE, &*secret);
    text.make_ascii_uppercase();
    let identity = Identity::from_secret(StaticSecret::from(*secret));
    Ok((text, identity.recipient))
}
