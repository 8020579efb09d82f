//! age keys that also withstand a quantum computer: `AGE-SECRET-KEY-PQ-1…`, opened from `mlkem768x25519` stanzas.
//!
//! The stanza is HPKE in base mode (RFC 9180) over the X-Wing key agreement: ML-KEM-768 and X25519, both of whose secrets
//! it takes to open it.

use ml_kem::kem::Decapsulate;
use ml_kem::{Ciphertext, EncodedSizeUser, KemCore, MlKem768};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::age::{FileKey, bech32, header, payload};

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

type LatticeKey = <MlKem768 as KemCore>::DecapsulationKey;

/// A private key, unfolded from its seed.
pub(crate) struct Identity {
    lattice: LatticeKey,
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
        let (lattice, lattice_public) =
            MlKem768::generate_deterministic(&(*first).into(), &(*second).into());
        let curve = StaticSecret::from(*curve);
        let public = PublicKey::from(&curve);
        let both = [&lattice_public.as_bytes()[..], public.as_bytes()].concat();
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
        let lattice_share = Ciphertext::<MlKem768>::try_from(lattice_share).ok()?;
        let lattice: [u8; 32] = self.lattice.decapsulate(&lattice_share).ok()?.into();
        let lattice = Zeroizing::new(lattice);
        let curve = self.curve.diffie_hellman(&PublicKey::from(curve_share));
        let shared = Sha3_256::new()
            .chain_update(&lattice[..])
            .chain_update(curve.as_bytes())
            .chain_update(curve_share)
            .chain_update(self.public.as_bytes())
            .chain_update(XWING)
            .finalize();
        let (key, nonce) = schedule(&Zeroizing::new(shared.into()));
        let plain = payload::open_once(&key, &nonce, body)?;
        Some(Zeroizing::new(plain[..].try_into().ok()?))
    }
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
