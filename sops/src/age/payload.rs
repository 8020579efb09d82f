//! The payload of an age file that holds no more than a data key: a nonce and one chunk.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use zeroize::Zeroizing;

use super::{FileKey, derive};

const NONCE: usize = 16;
const TAG: usize = 16;
/// The longest text that fits one chunk; a data key or share has 33 bytes at most.
const CHUNK: usize = 64 * 1024;
/// The nonce of a chunk that is both the first and the last.
const ONLY_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Opens a payload of one chunk.
pub(crate) fn open(file_key: &FileKey, payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = payload.split_at_checked(NONCE)?;
    (sealed.len() <= CHUNK + TAG).then_some(())?;
    let key = derive(&**file_key, nonce, b"payload");
    open_once(&key, &ONLY_CHUNK, sealed)
}

/// Seals a payload of one chunk.
pub(crate) fn close(file_key: &FileKey, nonce: &[u8; NONCE], plain: &[u8]) -> Option<Vec<u8>> {
    (plain.len() <= CHUNK).then_some(())?;
    let key = derive(&**file_key, nonce, b"payload");
    let mut payload = nonce.to_vec();
    payload.extend(seal_once(&key, &ONLY_CHUNK, plain)?);
    Some(payload)
}

/// Opens a ciphertext that ends with its tag.
pub(crate) fn open_once(
    key: &[u8; 32],
    nonce: &[u8; 12],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (ciphertext, tag) = sealed.split_at(sealed.len().checked_sub(TAG)?);
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    ChaCha20Poly1305::new(key.into())
        .decrypt_in_place_detached(nonce.into(), b"", &mut plain, Tag::from_slice(tag))
        .ok()?;
    Some(plain)
}

/// Seals a text; the tag is its end.
pub(crate) fn seal_once(key: &[u8; 32], nonce: &[u8; 12], plain: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = plain.to_vec();
    let tag = ChaCha20Poly1305::new(key.into())
        .encrypt_in_place_detached(nonce.into(), b"", &mut sealed)
        .ok()?;
    sealed.extend(tag);
    Some(sealed)
}
