//! The MAC of a file: a SHA-512 over its values in order, itself encrypted with the data key.

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use crate::error::ErrorKind;
use crate::metadata::Metadata;
use crate::tree::Value;
use crate::value::{self, Cipher, Opened};

/// What to do when the MAC of a file is missing or wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MacPolicy {
    /// Refuse the file.
    #[default]
    Error,
    /// Open it, and say so: for old files whose MAC is known to be wrong.
    Warn,
}

/// What a hash over encrypted values only starts with, so that it never equals one over all values.
const ENCRYPTED_ONLY: &[u8] = b"sops";

/// The largest integer up to which every integer has a double of its own.
const EXACT: i64 = 1 << 53;

/// The hash on its way through a file.
pub(crate) struct Mac {
    exact: Sha512,
    /// The hash as SOPS before 3.13.2 made it for JSON, where a large integer was rounded to a double; kept apart
    /// from the first such integer on.
    rounded: Option<Sha512>,
    rounds: bool,
}

impl Mac {
    pub(crate) fn new(mac_only_encrypted: bool, rounds: bool) -> Self {
        let mut exact = Sha512::new();
        if mac_only_encrypted {
            exact.update(sha2::Sha256::digest(ENCRYPTED_ONLY));
        }
        Self {
            exact,
            rounded: None,
            rounds,
        }
    }

    /// Adds a value; null and collections add nothing.
    pub(crate) fn add(&mut self, value: &Value, was_encrypted: bool) {
        let Some((_, text)) = value::plaintext(value) else {
            return;
        };
        if let Value::Int(int) = value
            && self.rounds
            && !was_encrypted
            && int.unsigned_abs() > EXACT.unsigned_abs()
        {
            let rounded = self.rounded.get_or_insert_with(|| self.exact.clone());
            rounded.update(format!("{}", *int as f64));
        } else if let Some(rounded) = &mut self.rounded {
            rounded.update(&*text);
        }
        self.exact.update(&*text);
    }

    /// The digests that the file's MAC may have, in upper-case hexadecimal.
    fn digests(self) -> Vec<String> {
        [Some(self.exact), self.rounded]
            .into_iter()
            .flatten()
            .map(|hash| hex(&hash.finalize()))
            .collect()
    }

    /// The digest that a new file gets.
    pub(crate) fn digest(self) -> String {
        hex(&self.exact.finalize())
    }

    /// Compares with the MAC that the file has.
    pub(crate) fn check(self, metadata: &Metadata, cipher: &Cipher) -> Result<(), ErrorKind> {
        if metadata.mac.is_empty() {
            return Err(ErrorKind::MacMissing);
        }
        let opened = value::open(&metadata.mac, cipher, &metadata.last_modified.seconds());
        let Ok(Opened::Value(Value::Text(stored))) = opened else {
            return Err(ErrorKind::MacInvalid);
        };
        let equal = self
            .digests()
            .iter()
            .any(|digest| bool::from(digest.as_bytes().ct_eq(&stored)));
        equal.then_some(()).ok_or(ErrorKind::MacMismatch)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
