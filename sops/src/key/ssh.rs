//! SSH keys as age uses them: `ssh-ed25519` and `ssh-rsa`, from private keys without a passphrase.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use curve25519_dalek::edwards::CompressedEdwardsY;
use rand_core::OsRng;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Oaep, RsaPrivateKey, RsaPublicKey};
use sha2::{Digest, Sha256, Sha512};
use x25519_dalek::{PublicKey, StaticSecret, x25519};
use zeroize::Zeroizing;

use crate::age::{FileKey, Stanza, derive, header, unwrap, wrap};
use crate::error::ErrorKind;
use crate::random;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
const ED25519_LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";
const RSA_LABEL: &str = "age-encryption.org/v1/ssh-rsa";

/// A private key, with its public key as SSH writes it on the wire.
pub(crate) struct Identity {
    secret: Secret,
    wire: Vec<u8>,
    recipient: String,
}

enum Secret {
    /// The key moved to Curve25519.
    Ed25519 {
        secret: StaticSecret,
        public: PublicKey,
    },
    Rsa(Box<RsaPrivateKey>),
}

/// True when a text looks like a private key that [`Identity::parse`] reads.
pub(crate) fn is_private_key(text: &str) -> bool {
    text.contains(BEGIN) || text.contains(PKCS1)
}

impl Identity {
    /// Reads a private key file.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains(PKCS1) {
            let key = RsaPrivateKey::from_pkcs1_pem(text.trim());
            return Ok(Self::rsa(key.map_err(|_| "a malformed RSA key")?));
        }
        let start = text.find(BEGIN).ok_or("not an SSH private key")? + BEGIN.len();
        let end = text.find(END).ok_or("an SSH key that does not end")?;
        let base64: Zeroizing<String> = Zeroizing::new(
            text.get(start..end)
                .unwrap_or_default()
                .split_ascii_whitespace()
                .collect(),
        );
        let bytes = STANDARD.decode(&*base64).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| "an SSH key that is not base64")?;
        Self::read(&bytes)
    }

    fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut file = Fields(bytes.strip_prefix(MAGIC).ok_or("a malformed SSH key")?);
        let cipher = file.text().ok_or("a malformed SSH key")?;
        if cipher != b"none" {
            return Err("an SSH key with a passphrase");
        }
        // Name and options of the key derivation, the number of keys, the public key.
        let private = (|| {
            file.text()?;
            file.text()?;
            file.number()?;
            file.text()?;
            file.text()
        })();
        let mut private = Fields(private.ok_or("a malformed SSH key")?);
        let kind = (|| {
            let twice = private.number()? == private.number()?;
            twice.then(|| private.text())?
        })();
        match kind {
            Some(b"ssh-ed25519") => private.ed25519().ok_or("a malformed ed25519 key"),
            Some(b"ssh-rsa") => private.rsa().ok_or("a malformed RSA key"),
            Some(_) => Err("an SSH key of a kind that age does not use"),
            None => Err("a malformed SSH key"),
        }
    }

    fn ed25519(public: &[u8], seed: &[u8]) -> Self {
        let wire = wire(&[ED25519.as_bytes(), public]);
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let mut half = Zeroizing::new([0; 32]);
        half.copy_from_slice(&hash[..32]);
        let secret = StaticSecret::from(*half);
        let public = PublicKey::from(&secret);
        Self {
            recipient: recipient(ED25519, &wire),
            secret: Secret::Ed25519 { secret, public },
            wire,
        }
    }

    fn rsa(key: RsaPrivateKey) -> Self {
        let wire = wire(&[
            RSA.as_bytes(),
            &positive(&key.e().to_bytes_be()),
            &positive(&key.n().to_bytes_be()),
        ]);
        Self {
            recipient: recipient(RSA, &wire),
            secret: Secret::Rsa(Box::new(key)),
            wire,
        }
    }

    /// True for the text of the public key, with or without a comment behind it.
    pub(crate) fn is_named(&self, recipient: &str) -> bool {
        let mut parts = recipient.split_ascii_whitespace();
        let mut ours = self.recipient.split(' ');
        parts.next() == ours.next() && parts.next() == ours.next()
    }

    /// Opens the file key of a stanza, when it is for this key: its second argument is the start of the key's hash.
    pub(crate) fn unwrap(&self, kind: &str, arguments: &[String], body: &[u8]) -> Option<FileKey> {
        let (tag, rest) = arguments.split_first()?;
        let ours = STANDARD_NO_PAD.encode(&Sha256::digest(&self.wire)[..4]);
        (*tag == ours).then_some(())?;
        match (&self.secret, kind, rest) {
            (Secret::Ed25519 { secret, public }, ED25519, [share]) => {
                let share: [u8; 32] = header::decode(share)?.try_into().ok()?;
                let shared = secret.diffie_hellman(&PublicKey::from(share));
                shared.was_contributory().then_some(())?;
                let shared = shared.as_bytes();
                unwrap(
                    &ed25519_key(&self.wire, shared, share, public.to_bytes()),
                    body,
                )
            }
            (Secret::Rsa(key), RSA, []) => {
                let padding = Oaep::new_with_label::<Sha256, _>(RSA_LABEL);
                // Blinded, since the crate's own arithmetic takes time that depends on the key (RUSTSEC-2023-0071).
                let plain = key.decrypt_blinded(&mut OsRng, padding, body);
                let plain = Zeroizing::new(plain.ok()?);
                Some(Zeroizing::new(plain[..].try_into().ok()?))
            }
            _ => None,
        }
    }
}

/// True for the text of a public key of this kind.
pub(crate) fn is_recipient(text: &str) -> bool {
    text.starts_with("ssh-")
}

/// Wraps a file key for a public key.
pub(crate) fn seal(recipient: &str, file_key: &FileKey) -> Result<Stanza, ErrorKind> {
    let secret = StaticSecret::from(*random::bytes()?);
    let sealed = || {
        let wire = STANDARD.decode(recipient.split(' ').nth(1)?).ok()?;
        let tag = STANDARD_NO_PAD.encode(&Sha256::digest(&wire)[..4]);
        let mut fields = Fields(&wire);
        match fields.text()? {
            b"ssh-ed25519" => {
                let public = CompressedEdwardsY::from_slice(fields.text()?).ok()?;
                let public = public.decompress()?.to_montgomery().to_bytes();
                let share = PublicKey::from(&secret).to_bytes();
                let shared = secret.diffie_hellman(&PublicKey::from(public));
                let body = wrap(
                    &ed25519_key(&wire, shared.as_bytes(), share, public),
                    file_key,
                )?;
                Some(Stanza {
                    arguments: vec![ED25519.to_owned(), tag, header::encode(&share)],
                    body,
                })
            }
            b"ssh-rsa" => {
                let (exponent, modulus) = (fields.big()?, fields.big()?);
                let key = RsaPublicKey::new(modulus, exponent).ok()?;
                let padding = Oaep::new_with_label::<Sha256, _>(RSA_LABEL);
                Some(Stanza {
                    arguments: vec![RSA.to_owned(), tag],
                    body: key.encrypt(&mut OsRng, padding, &**file_key).ok()?,
                })
            }
            _ => None,
        }
    };
    sealed()
        .ok_or_else(|| super::bad_recipient(recipient, "it is not an SSH public key that age uses"))
}

/// The key that wraps a file key: the shared secret is bound to the SSH key by a tweak made of it.
fn ed25519_key(
    wire: &[u8],
    shared: &[u8; 32],
    share: [u8; 32],
    public: [u8; 32],
) -> Zeroizing<[u8; 32]> {
    let tweak = derive(&[], wire, ED25519_LABEL);
    let shared = Zeroizing::new(x25519(*tweak, *shared));
    derive(&*shared, &[share, public].concat(), ED25519_LABEL)
}

fn recipient(kind: &str, wire: &[u8]) -> String {
    format!("{kind} {}", STANDARD.encode(wire))
}

/// Fields with their lengths before them.
fn wire(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend((field.len() as u32).to_be_bytes());
        out.extend(*field);
    }
    out
}

/// A positive number: a zero byte before a high bit.
fn positive(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        out.push(0);
    }
    out.extend(bytes);
    out
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn big(&mut self) -> Option<BigUint> {
        self.text().map(BigUint::from_bytes_be)
    }

    fn ed25519(mut self) -> Option<Identity> {
        let public = self.text()?;
        let (seed, again) = self.text()?.split_at_checked(32)?;
        (public.len() == 32 && public == again).then(|| Identity::ed25519(public, seed))
    }

    fn rsa(mut self) -> Option<Identity> {
        let (modulus, exponent) = (self.big()?, self.big()?);
        let private = self.big()?;
        let _coefficient = self.text()?;
        let primes = vec![self.big()?, self.big()?];
        let key = RsaPrivateKey::from_components(modulus, exponent, private, primes);
        Some(Identity::rsa(key.ok()?))
    }
}
