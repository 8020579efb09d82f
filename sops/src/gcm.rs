//! AES-256-GCM with nonces of any length: SOPS writes 32 bytes, and reads whatever a file has.

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit, KeyIvInit, StreamCipher};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Counter = ctr::Ctr32BE<Aes256>;

/// Length of the tag that ends a ciphertext.
pub(crate) const TAG: usize = 16;

#[cfg(test)]
thread_local! {
    /// How often this thread has decrypted something.
    pub(crate) static OPENED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A data key, ready for use. Its key schedule is wiped when it is dropped.
pub(crate) struct Gcm {
    key: Zeroizing<[u8; 32]>,
    hash: GHash,
}

impl Gcm {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut subkey = ghash::Key::default();
        Aes256::new(key.into()).encrypt_block(&mut subkey);
        Self {
            key: Zeroizing::new(*key),
            hash: GHash::new(&subkey),
        }
    }

    /// Opens ciphertext followed by its tag.
    pub(crate) fn open(
        &self,
        nonce: &[u8],
        associated: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        #[cfg(test)]
        OPENED.set(OPENED.get() + 1);
        let (ciphertext, tag) = sealed.split_at(sealed.len().checked_sub(TAG)?);
        let mut stream = self.stream(nonce);
        let mut mask = [0; TAG];
        stream.apply_keystream(&mut mask);
        let expected = self.tag(associated, ciphertext, mask);
        if !bool::from(expected.ct_eq(tag)) {
            return None;
        }
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        stream.apply_keystream(&mut plain);
        Some(plain)
    }

    /// Seals a text; the tag is apart, as SOPS writes it.
    pub(crate) fn seal(
        &self,
        nonce: &[u8],
        associated: &[u8],
        plain: &[u8],
    ) -> (Vec<u8>, [u8; TAG]) {
        let mut stream = self.stream(nonce);
        let mut mask = [0; TAG];
        stream.apply_keystream(&mut mask);
        let mut ciphertext = plain.to_vec();
        stream.apply_keystream(&mut ciphertext);
        let tag = self.tag(associated, &ciphertext, mask);
        (ciphertext, tag)
    }

    /// The key stream from the first counter block on; its first 16 bytes mask the tag.
    fn stream(&self, nonce: &[u8]) -> Counter {
        let mut first = [0; 16];
        if nonce.len() == 12 {
            first[..12].copy_from_slice(nonce);
            first[15] = 1;
        } else {
            let mut hash = self.hash.clone();
            hash.update_padded(nonce);
            hash.update(&[lengths(0, nonce.len())]);
            first.copy_from_slice(&hash.finalize());
        }
        Counter::new((&*self.key).into(), &first.into())
    }

    fn tag(&self, associated: &[u8], ciphertext: &[u8], mask: [u8; TAG]) -> [u8; TAG] {
        let mut hash = self.hash.clone();
        hash.update_padded(associated);
        hash.update_padded(ciphertext);
        hash.update(&[lengths(associated.len(), ciphertext.len())]);
        let hashed = hash.finalize();
        std::array::from_fn(|index| hashed[index] ^ mask[index])
    }
}

/// The block that ends every GHASH: two lengths in bits.
fn lengths(first: usize, second: usize) -> ghash::Block {
    let mut block = ghash::Block::default();
    block[..8].copy_from_slice(&(first as u64 * 8).to_be_bytes());
    block[8..].copy_from_slice(&(second as u64 * 8).to_be_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::Gcm;

    #[test]
    fn every_nonce_length_opens_what_it_sealed_and_nothing_else() {
        let gcm = Gcm::new(&[7; 32]);
        for length in [1, 12, 16, 32, 100] {
            let nonce = vec![3; length];
            let (mut sealed, tag) = gcm.seal(&nonce, b"a:b:", b"plain text");
            sealed.extend(tag);
            let opened = gcm.open(&nonce, b"a:b:", &sealed).expect("opens");
            assert_eq!(&opened[..], b"plain text");
            assert!(gcm.open(&nonce, b"a:c:", &sealed).is_none());
            sealed[0] ^= 1;
            assert!(gcm.open(&nonce, b"a:b:", &sealed).is_none());
        }
    }

    /// Test case 16 of the GCM specification: a 60-byte text under a 12-byte nonce.
    #[test]
    fn agrees_with_the_specification() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
                .collect()
        };
        let key = bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let plain = bytes(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let associated = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let gcm = Gcm::new(&key.try_into().expect("32 bytes"));
        let (_, tag) = gcm.seal(&bytes("cafebabefacedbaddecaf888"), &associated, &plain);
        assert_eq!(tag.to_vec(), bytes("76fc6ece0f4e1768cddf8853bb2d551b"));
    }
}
