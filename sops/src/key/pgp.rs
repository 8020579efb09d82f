//! OpenPGP keys without a passphrase.

use pgp::composed::{
    ArmorOptions, DecryptionOptions, Deserializable, Message, MessageBuilder, SignedSecretKey,
    TheRing,
};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::types::{KeyDetails, Password};
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::error::ErrorKind;

/// What a file of keys holds.
const BEGIN: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
/// Longer than any wrapped data key: compressed messages unfold.
const LIMIT: usize = 4096;

/// A private key with its subkeys.
pub(crate) struct Identity {
    key: SignedSecretKey,
    /// Of the key and its subkeys, in upper-case hexadecimal.
    fingerprints: Vec<String>,
}

/// True when a text looks like an armored private key.
pub(crate) fn is_private_key(text: &str) -> bool {
    text.contains(BEGIN)
}

impl Identity {
    /// Reads all keys of an armored text.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, &'static str> {
        const MALFORMED: &str = "a malformed OpenPGP key";
        let (keys, _) = SignedSecretKey::from_string_many(text).map_err(|_| MALFORMED)?;
        keys.map(|key| Ok(Self::new(key.map_err(|_| MALFORMED)?)))
            .collect()
    }

    fn new(key: SignedSecretKey) -> Self {
        let subkeys = key.secret_subkeys.iter().map(|subkey| subkey.fingerprint());
        let fingerprints = std::iter::once(key.fingerprint())
            .chain(subkeys)
            .map(|fingerprint| format!("{fingerprint:X}"))
            .collect();
        Self { key, fingerprints }
    }

    /// True for the fingerprint, or its end, of the key or a subkey.
    pub(crate) fn is_named(&self, fingerprint: &str) -> bool {
        let wanted = fingerprint.replace(' ', "").to_ascii_uppercase();
        wanted.len() >= 16 && self.fingerprints.iter().any(|ours| ours.ends_with(&wanted))
    }
}

/// Opens a message to any of the keys.
pub(crate) fn open(
    identities: &[Identity],
    message: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let (message, _) =
        Message::from_string(message).map_err(|_| "a pgp entry is not an OpenPGP message")?;
    let no_passphrase = Password::empty();
    let ring = TheRing {
        secret_keys: identities.iter().map(|identity| &identity.key).collect(),
        key_passwords: vec![&no_passphrase],
        decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
        ..Default::default()
    };
    let Ok((message, _)) = message.decrypt_the_ring(ring, true) else {
        return Ok(None);
    };
    let altered = |_| "a pgp entry's message was altered";
    let mut message = match message.is_compressed() {
        true => message
            .decompress()
            .map_err(|_| "a pgp entry's message was altered")?,
        false => message,
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(LIMIT));
    std::io::Read::read_to_end(
        &mut std::io::Read::take(&mut message, LIMIT as u64),
        &mut plain,
    )
    .map_err(altered)?;
    Ok(Some(plain))
}

/// Wraps a data key for the key with the fingerprint, which must be at hand.
pub(crate) fn seal(
    identities: &[Identity],
    fingerprint: &str,
    plain: &[u8],
) -> Result<String, ErrorKind> {
    let refused = |problem| super::bad_recipient(fingerprint, problem);
    let identity = identities
        .iter()
        .find(|identity| identity.is_named(fingerprint))
        .ok_or_else(|| refused("its OpenPGP key is not at hand"))?;
    let public = identity.key.to_public_key();
    let subkey = public
        .public_subkeys
        .iter()
        .find(|subkey| subkey.algorithm().can_encrypt());
    let mut builder = MessageBuilder::from_bytes("", plain.to_vec())
        .seipd_v1(OsRng, SymmetricKeyAlgorithm::AES256);
    let added = match subkey {
        Some(subkey) => builder.encrypt_to_key(OsRng, subkey),
        None => builder.encrypt_to_key(OsRng, &public.primary_key),
    };
    added.map_err(|_| refused("it cannot encrypt"))?;
    builder
        .to_armored_string(OsRng, ArmorOptions::default())
        .map_err(|_| refused("it cannot encrypt"))
}
