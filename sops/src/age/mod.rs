//! The age file format, version 1, as far as a wrapped data key needs it: armor, header, one chunk of payload.

pub(crate) mod armor;
pub(crate) mod bech32;
pub(crate) mod header;
pub(crate) mod payload;

use zeroize::Zeroizing;

pub(crate) use header::{Header, Stanza};

/// The key that an age file wraps for each recipient.
pub(crate) type FileKey = Zeroizing<[u8; 16]>;

/// Derives a 32-byte key with HKDF-SHA-256.
pub(crate) fn derive(secret: &[u8], salt: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let derivation = hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), secret);
    // 32 bytes are within what HKDF can give, so this cannot fail.
    let _ = derivation.expand(label, &mut *key);
    key
}

/// Opens a stanza's body: a file key under a key that is used once, so that its nonce is zero.
pub(crate) fn unwrap(key: &[u8; 32], body: &[u8]) -> Option<FileKey> {
    let plain = payload::open_once(key, &[0; 12], body)?;
    Some(Zeroizing::new(plain[..].try_into().ok()?))
}
