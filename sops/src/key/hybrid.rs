//! age keys that also withstand a quantum computer: `AGE-SECRET-KEY-PQ-1…`, opened from `mlkem768x25519` stanzas.
//!
//! The stanza is HPKE in base mode (RFC 9180) over the X-Wing key agreement: ML-KEM-768 and X25519, both of whose secrets
//! it takes to open it.

use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{Decapsulate, KeyExport, Seed};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::age::{FileKey, Stanza, bech32, header, payload};
use crate::error::ErrorKind;
use crate::random;

/// What the text of a key starts with.
pub(crate) const PREFIX: &str = "AGE-SECRET-KEY-PQ-1";
/// The kind of its stanzas.
pub(crate) const STANZA: &str = "mlkem768x25519";

const PRIVATE: &str = "age-secret-key-pq-";
const PUBLIC: &str = "age1pq";
const LABEL: &[u8] = b"age-encryption.org/mlkem768x25519";
/// "HPKE", then the numbers of X-Wing, HKDF-SHA256 and ChaCha20Poly1305.
const SUITE: [u8; 10] = [b'H', b'P', b'K', b'E', 0x64, 0x7a, 0, 1, 0, 3];
/// Ends what X-Wing hashes.
const XWING: &[u8] = br"\.//^\";
const LATTICE_SHARE: usize = 1088;

const LATTICE_PUBLIC: usize = 1184;

/// A private key, unfolded from its seed.
pub(crate) struct Identity {
    lattice: DecapsulationKey,
    curve: StaticSecret,
    public: PublicKey,
    recipient: String,
}

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1…`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let seed = bech32::decode(text, PRIVATE)?;
        (seed.len() == 32).then(|| Self::from_seed(&seed))
    }

    fn from_seed(seed: &[u8]) -> Self {
        let mut reader = Shake256::default().chain(seed).finalize_xof();
        let mut take = || {
            let mut bytes = Zeroizing::new([0; 32]);
            reader.read(&mut *bytes);
            bytes
        };
        let (first, second, curve) = (take(), take(), take());
        let seed = Seed::from_fn(|at| if at < 32 { first[at] } else { second[at - 32] });
        let lattice = DecapsulationKey::from_seed(seed);
        let curve = StaticSecret::from(*curve);
        let public = PublicKey::from(&curve);
        let lattice_public = lattice.encapsulation_key().to_bytes();
        let both = [&lattice_public[..], public.as_bytes()].concat();
        Self {
            lattice,
            curve,
            public,
            recipient: bech32::encode(PUBLIC, &both).to_string(),
        }
    }

    /// The public key as text, `age1pq1…`.
    pub(crate) fn recipient(&self) -> &str {
        &self.recipient
    }

    /// Opens the file key of a stanza, when it is for this key.
    pub(crate) fn unwrap(&self, arguments: &[String], body: &[u8]) -> Option<FileKey> {
        let [share] = arguments else { return None };
        let share = header::decode(share)?;
        let (lattice_share, curve_share) = share.split_at_checked(LATTICE_SHARE)?;
        let curve_share: [u8; 32] = curve_share.try_into().ok()?;
        let lattice_share = Ciphertext::try_from(lattice_share).ok()?;
        let lattice = Zeroizing::new(self.lattice.decapsulate(&lattice_share).into());
        let curve = self.curve.diffie_hellman(&PublicKey::from(curve_share));
        let shared = combine(&lattice, &curve, &curve_share, self.public.as_bytes());
        let (key, nonce) = schedule(&shared);
        let plain = payload::open_once(&key, &nonce, body)?;
        Some(Zeroizing::new(plain[..].try_into().ok()?))
    }
}

/// True for the text of a public key of this kind.
pub(crate) fn is_recipient(text: &str) -> bool {
    text.starts_with("age1pq1")
}

/// Wraps a file key for a public key.
pub(crate) fn seal(recipient: &str, file_key: &FileKey) -> Result<Stanza, ErrorKind> {
    let (curve_seed, lattice_seed) = (random::bytes::<32>()?, random::bytes::<32>()?);
    let sealed = || {
        let public = bech32::decode(recipient, PUBLIC)?;
        let (lattice_public, curve_public) = public.split_at_checked(LATTICE_PUBLIC)?;
        let curve_public: [u8; 32] = curve_public.try_into().ok()?;
        let lattice_public = EncapsulationKey::new(&lattice_public.try_into().ok()?).ok()?;
        let (lattice_share, lattice) =
            lattice_public.encapsulate_deterministic(&(*lattice_seed).into());
        let curve_secret = StaticSecret::from(*curve_seed);
        let curve_share = PublicKey::from(&curve_secret).to_bytes();
        let curve = curve_secret.diffie_hellman(&PublicKey::from(curve_public));
        let lattice = Zeroizing::new(lattice.into());
        let (key, nonce) = schedule(&combine(&lattice, &curve, &curve_share, &curve_public));
        let share = [&lattice_share[..], &curve_share].concat();
        Some(Stanza {
            arguments: vec![STANZA.to_owned(), header::encode(&share)],
            body: payload::seal_once(&key, &nonce, &**file_key)?,
        })
    };
    sealed().ok_or_else(|| super::bad_recipient(recipient, "it is not a hybrid age public key"))
}

/// A new private key and its public key, as texts.
pub(crate) fn generate() -> Result<(Zeroizing<String>, String), ErrorKind> {
    let seed = random::bytes::<32>()?;
    let mut text = bech32::encode(PRIVATE, &*seed);
    text.make_ascii_uppercase();
    Ok((text, Identity::from_seed(&*seed).recipient))
}

/// X-Wing's secret of both agreements, bound to the part that ML-KEM does not bind itself.
fn combine(
    lattice: &Zeroizing<[u8; 32]>,
    curve: &SharedSecret,
    curve_share: &[u8; 32],
    curve_public: &[u8; 32],
) -> Zeroizing<[u8; 32]> {
    let hash = Sha3_256::new()
        .chain_update(&lattice[..])
        .chain_update(curve.as_bytes())
        .chain_update(curve_share)
        .chain_update(curve_public)
        .chain_update(XWING);
    Zeroizing::new(hash.finalize().into())
}

/// HPKE's key and first nonce for a shared secret.
fn schedule(shared: &Zeroizing<[u8; 32]>) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
    let (no_psk, _) = extract(&[], b"psk_id_hash", &[]);
    let (info, _) = extract(&[], b"info_hash", LABEL);
    let context = [&[0][..], &no_psk, &info].concat();
    let (_, secret) = extract(&shared[..], b"secret", &[]);
    let mut key = Zeroizing::new([0; 32]);
    let mut nonce = [0; 12];
    expand(&secret, b"key", &context, &mut *key);
    expand(&secret, b"base_nonce", &context, &mut nonce);
    (key, nonce)
}

fn extract(salt: &[u8], label: &[u8], text: &[u8]) -> ([u8; 32], hkdf::Hkdf<Sha256>) {
    let labeled = [b"HPKE-v1", &SUITE[..], label, text].concat();
    let (hash, derivation) = hkdf::Hkdf::<Sha256>::extract(Some(salt), &labeled);
    (hash.into(), derivation)
}

fn expand(secret: &hkdf::Hkdf<Sha256>, label: &[u8], context: &[u8], out: &mut [u8]) {
    let length = (out.len() as u16).to_be_bytes();
    let labeled = [&length[..], b"HPKE-v1", &SUITE, label, context].concat();
    // 32 bytes are within what HKDF can give, so this cannot fail.
    let _ = secret.expand(&labeled, out);
}
