//! Whether somebody trusted has signed an artifact with cosign and a key: checked in this process.
//!
//! Signatures of cosign 2 lie beside the artifact, under the tag `sha256-….sig`: each layer is a statement on one digest, and
//! its annotation the signature of that. Those of cosign 3 are its referrers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, pem::PemObject};
use serde::Deserialize;

use super::{Descriptor, Registry, bundle};
use crate::source::access::SecretData;

/// What statements are.
const STATEMENT: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Where the signature of a statement stands.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// The end of the names of a Secret's entries that are keys.
const KEY: &str = ".pub";

/// As many statements as are looked at.
const STATEMENTS: usize = 64;

/// As many bytes as a statement may have.
const STATEMENT_LIMIT: usize = 1 << 20;

/// The keys of those who are trusted.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

/// A public key: its kind and itself, as certificates have them.
#[derive(Clone, Debug)]
struct Key {
    algorithm: Vec<u8>,
    bits: Vec<u8>,
}

#[derive(Deserialize)]
struct Statement {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Keys {
    /// Reads the keys of a Secret.
    pub fn from_secret(data: &SecretData) -> Result<Self, String> {
        let named = data.iter().filter(|(name, _)| name.ends_with(KEY));
        let keys = named.map(|(name, bytes)| {
            Key::read(bytes).ok_or_else(|| format!("{name} is not a public key in PEM"))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        match keys.is_empty() {
            true => Err("it holds no key *.pub".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    pub(super) fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| key.has_signed(message, signature))
    }
}

impl Key {
    fn read(pem: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let (outer, _) = der(0x30, info.as_ref())?;
        let (algorithm, rest) = der(0x30, outer)?;
        let (bits, _) = der(0x03, rest)?;
        Some(Self {
            algorithm: algorithm.to_vec(),
            // How many bits of the last byte do not count: none.
            bits: bits.strip_prefix(&[0])?.to_vec(),
        })
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let supported = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let is_of_key = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.public_key_alg_id().as_ref() == self.algorithm
        };
        let mut algorithms = supported.all.iter().filter(is_of_key);
        algorithms.any(|algorithm| {
            algorithm
                .verify_signature(&self.bits, message, signature)
                .is_ok()
        })
    }
}

/// The content of an element of DER with a certain tag, and what follows it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..0x80 => (usize::from(*length), rest),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let number =
                |sum: usize, digit: &u8| sum.checked_mul(256)?.checked_add(usize::from(*digit));
            (digits.iter().try_fold(0, number)?, rest)
        }
    };
    (*first == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

/// Whether somebody trusted has signed the manifest of a digest; the error says why it cannot be said.
pub async fn verify(registry: &Registry, digest: &str, keys: &Keys) -> Result<(), String> {
    // A registry that does not know what referrers are may say so in any way.
    let among_referrers = bundle::is_signed(registry, digest, keys).await;
    if among_referrers == Ok(true) || is_signed(registry, digest, keys).await? {
        return Ok(());
    }
    let none = format!(
        "no matching signatures were found for '{}@{digest}'",
        registry.url()
    );
    Err(match among_referrers {
        Ok(_) => none,
        Err(problem) => format!("{none} (reading the referrers: {problem})"),
    })
}

/// Whether one of the statements under the artifact's own tag is by somebody trusted.
async fn is_signed(registry: &Registry, digest: &str, keys: &Keys) -> Result<bool, String> {
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let manifest = match registry.manifest(&tag).await {
        Ok(manifest) => manifest,
        Err(problem) if problem == "not found" => return Ok(false),
        Err(problem) => return Err(format!("reading the signatures: {problem}")),
    };
    let is_statement = |layer: &&Descriptor| layer.media_type == STATEMENT;
    for layer in manifest.layers.iter().filter(is_statement).take(STATEMENTS) {
        let signature = layer
            .annotations
            .get(SIGNATURE)
            .map(|text| BASE64.decode(text.trim()));
        let Some(Ok(signature)) = signature else {
            continue;
        };
        let statement = registry.blob(&layer.digest, STATEMENT_LIMIT).await;
        let statement = statement.map_err(|problem| format!("reading a signature: {problem}"))?;
        if keys.have_signed(&statement, &signature) && speaks_of(&statement, digest) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn speaks_of(statement: &[u8], digest: &str) -> bool {
    let read = serde_json::from_slice::<Statement>(statement);
    read.is_ok_and(|statement| statement.critical.image.digest == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with openssl: a key of P-256, and its signature of `message`.
    const P256: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8GMAPDo+JdCljVkqUHmAbTYu15FySBUXeBq6Se7ThvlnSNDMVaM6Z1AumebNdKkyKkghI6K6nh1q0NDe/0zjNg==\n-----END PUBLIC KEY-----\n";
    const P256_SIGNATURE: &str = "MEUCIG6BYL+Kzetu3oCEowU6mpIZ3uo69CWX93GG58Ms0CgLAiEAh205R1OHtt8C+qvXt8KhGEa2W3sxmxCBNb/s1lXY3MY=";
    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAADKnjfyUI3nI6NarddnI/BESXvI8PD6PwBS2GvehC5w=\n-----END PUBLIC KEY-----\n";
    const ED25519_SIGNATURE: &str =
        "X4rt9m7HJW4p4hjvzIxBxuIFoKPvsPc08ZG8NIar6TfM3VQkAArEnW7M3vp+dO5zTyTIiwfc6x0Yz6fMC5inDA==";

    fn keys(pem: &str) -> Result<Keys, String> {
        Keys::from_secret(&SecretData::from([(
            "cosign.pub".to_owned(),
            pem.as_bytes().to_vec(),
        )]))
    }

    #[test]
    fn signatures_of_usual_keys_are_checked() {
        for (pem, signature) in [(P256, P256_SIGNATURE), (ED25519, ED25519_SIGNATURE)] {
            let (keys, signature) = (
                keys(pem).expect("a key"),
                BASE64.decode(signature).expect("bytes"),
            );
            assert!(keys.have_signed(b"message", &signature));
            assert!(!keys.have_signed(b"massage", &signature));
        }
        let (p256, other) = (keys(P256).expect("a key"), BASE64.decode(ED25519_SIGNATURE));
        assert!(!p256.have_signed(b"message", &other.expect("bytes")));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in [
            "",
            "secret",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(keys(pem).is_err(), "{pem}");
        }
        assert!(Keys::from_secret(&SecretData::new()).is_err());
    }
}
