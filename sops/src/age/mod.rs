//! The age file format, version 1, as far as a wrapped data key needs it: armor, header, one chunk of payload.

pub(crate) mod armor;
pub(crate) mod bech32;
pub(crate) mod header;
pub(crate) mod payload;

use zeroize::Zeroizing;

use crate::error::ErrorKind;
use crate::random;

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

/// Wraps a file key under a key that is used once.
pub(crate) fn wrap(key: &[u8; 32], file_key: &FileKey) -> Option<Vec<u8>> {
    payload::seal_once(key, &[0; 12], &**file_key)
}

/// Encrypts a text for one recipient, whose stanza `wrap` makes.
pub(crate) fn seal(
    plain: &[u8],
    wrap: impl FnOnce(&FileKey) -> Result<Stanza, ErrorKind>,
) -> Result<String, ErrorKind> {
    let file_key = random::bytes()?;
    let stanza = wrap(&file_key)?;
    let sealed = || {
        let mut file = header::write(&[stanza], &file_key)?;
        file.extend(payload::close(&file_key, &*random::bytes().ok()?, plain)?);
        Some(armor::close(&file))
    };
    sealed().ok_or(ErrorKind::NoRandomness)
}
