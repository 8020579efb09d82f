//! Signatures of OpenPGP keys: made by a key, or a subkey of it, that may sign, and that is neither expired nor revoked
//! now.

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

use super::signed::Signed;

/// How a key in a text begins; a text may hold several.
const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Hashes that a signature of today must not rest on.
const WEAK: [HashAlgorithm; 3] = [
    HashAlgorithm::Md5,
    HashAlgorithm::Sha1,
    HashAlgorithm::Ripemd160,
];

/// The name of the trusted key that signed.
pub(super) fn verify(rings: &[String], signed: &Signed, now: SystemTime) -> Result<String, String> {
    let text = String::from_utf8_lossy(&signed.signature);
    let (detached, _) = DetachedSignature::from_string(text.trim())
        .map_err(|error| format!("unable to read the signature: {error}"))?;
    let signature = &detached.signature;
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    check_signature(signature, now)?;
    let mut problem = "unable to verify payload with any of the given key rings".to_owned();
    for key in rings.iter().flat_map(|text| keys(text)) {
        match made_by(&key?, signature, &signed.payload, now) {
            Some(Ok(name)) => return Ok(name),
            Some(Err(why)) => problem = why,
            None => {}
        }
    }
    Err(problem)
}

fn keys(text: &str) -> Vec<Result<SignedPublicKey, String>> {
    let unreadable = |error| format!("unable to read armored key ring: {error}");
    let blocks = text.match_indices(BEGIN).map(|(at, _)| &text[at..]);
    let mut keys = Vec::new();
    for block in blocks {
        match SignedPublicKey::from_string_many(block) {
            Ok((found, _)) => keys.extend(found.map(|key| key.map_err(unreadable))),
            Err(error) => keys.push(Err(unreadable(error))),
        }
    }
    if keys.is_empty() {
        keys.push(Err(
            "unable to read armored key ring: it holds no key".to_owned()
        ));
    }
    keys
}

/// What the signature itself must be, whoever made it.
fn check_signature(signature: &Signature, now: u64) -> Result<(), String> {
    let weak = |hash| WEAK.contains(&hash);
    if signature.typ() != Some(SignatureType::Binary) || signature.hash_alg().is_none_or(weak) {
        return Err("the signature is of a kind that is not accepted".to_owned());
    }
    match has_ended(
        signature.created(),
        signature.signature_expiration_time(),
        now,
    ) {
        true => Err("the signature is expired".to_owned()),
        false => Ok(()),
    }
}

/// `None` when it was somebody else; an error when it was this key, which may not.
fn made_by(
    key: &SignedPublicKey,
    signature: &Signature,
    payload: &[u8],
    now: u64,
) -> Option<Result<String, String>> {
    let name = key.primary_key.legacy_key_id().to_string().to_uppercase();
    let by_primary = signature.verify(&key.primary_key, payload).is_ok();
    let by_subkey = || {
        let made = |subkey: &&SignedPublicSubKey| signature.verify(&subkey.key, payload).is_ok();
        key.public_subkeys.iter().find(made)
    };
    let checked = match by_primary {
        true => check_primary(key, now).and_then(may_sign),
        false => {
            let subkey = by_subkey()?;
            check_primary(key, now).and_then(|_| check_subkey(key, subkey, now))
        }
    };
    Some(match checked {
        Ok(()) => Ok(name),
        Err(problem) => Err(format!("key {name} {problem}")),
    })
}

/// The newest statement of a key about itself.
fn check_primary(key: &SignedPublicKey, now: u64) -> Result<&Signature, String> {
    let primary = &key.primary_key;
    let details = &key.details;
    let revoked = |signature: &Signature| signature.verify_key(primary).is_ok();
    if details.revocation_signatures.iter().any(revoked) {
        return Err("is revoked".to_owned());
    }
    let direct = details.direct_signatures.iter();
    let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
    let of_users = details.users.iter().flat_map(|user| {
        let own = move |signature: &&Signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        };
        user.signatures.iter().filter(own)
    });
    let newest = direct
        .chain(of_users)
        .max_by_key(|signature| signature.created().map(|time| time.as_secs()))
        .ok_or("says nothing of itself that holds")?;
    match has_ended(
        Some(primary.created_at()),
        newest.key_expiration_time(),
        now,
    ) {
        true => Err("is expired".to_owned()),
        false => Ok(newest),
    }
}

fn check_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: u64,
) -> Result<(), String> {
    let bound = |signature: &&Signature| {
        signature
            .verify_subkey_binding(&key.primary_key, &subkey.key)
            .is_ok()
    };
    let statements: Vec<&Signature> = subkey.signatures.iter().filter(bound).collect();
    let is = |signature: &Signature, kind| signature.typ() == Some(kind);
    if statements
        .iter()
        .any(|signature| is(signature, SignatureType::SubkeyRevocation))
    {
        return Err("has revoked the subkey that signed".to_owned());
    }
    let newest = statements
        .into_iter()
        .filter(|signature| is(signature, SignatureType::SubkeyBinding))
        .max_by_key(|signature| signature.created().map(|time| time.as_secs()))
        .ok_or("does not own the subkey that signed")?;
    if has_ended(
        Some(subkey.key.created_at()),
        newest.key_expiration_time(),
        now,
    ) {
        return Err("has a subkey that signed and is expired".to_owned());
    }
    may_sign(newest)?;
    // Else anybody could adopt a stranger's key as a subkey, and with it what the stranger signed.
    let agreed = newest.embedded_signature().is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, &key.primary_key)
            .is_ok()
    });
    match agreed {
        true => Ok(()),
        false => Err("has a subkey that signed and does not say so itself".to_owned()),
    }
}

/// Old keys do not say what they are for.
fn may_sign(statement: &Signature) -> Result<(), String> {
    let silent = statement.config().is_none_or(|config| {
        let mut packets = config.hashed_subpackets();
        !packets.any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)))
    });
    match silent || statement.key_flags().sign() {
        true => Ok(()),
        false => Err("is not for signing".to_owned()),
    }
}

/// Whether something that began at a time and lasts a while is over. It lasts for ever unless it says otherwise.
fn has_ended(
    began: Option<pgp::types::Timestamp>,
    lasts: Option<pgp::types::Duration>,
    now: u64,
) -> bool {
    let seconds = lasts.map_or(0, |lasts| u64::from(lasts.as_secs()));
    let began = began.map_or(0, |began| u64::from(began.as_secs()));
    seconds > 0 && began + seconds <= now
}
