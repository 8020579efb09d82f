//! Opened files in memory, so that a file that has not changed is not decrypted twice. Never on a disk, and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::document::Plain;
use crate::format::Format;
use crate::mac::MacPolicy;

/// What one opened file is known by: its bytes, how it was read, and whose keys opened it. The hash is SHA-256 and not
/// Git's own: of two files that share a SHA-1 on purpose, one would be given out for the other.
pub(crate) type Key = [u8; 32];

/// How many bytes of memory a byte of an encrypted file stands for, roughly: its tree has both text and places.
const WEIGHT: usize = 4;

/// Files that were opened lately.
pub struct Cache {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    files: HashMap<Key, File>,
    weight: usize,
    uses: u64,
}

struct File {
    plain: Arc<Plain>,
    weight: usize,
    used: u64,
}

impl Cache {
    /// A cache that holds about this many bytes at most.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Mutex::default(),
        }
    }

    /// How many files it holds.
    pub fn len(&self) -> usize {
        self.lock().files.len()
    }

    /// About how many bytes they take.
    pub fn weight(&self) -> usize {
        self.lock().weight
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Plain>> {
        let mut held = self.lock();
        held.uses += 1;
        let uses = held.uses;
        let file = held.files.get_mut(key)?;
        file.used = uses;
        Some(file.plain.clone())
    }

    /// Takes a file in; those that were not used for the longest time make room.
    pub(crate) fn insert(&self, key: Key, plain: &Arc<Plain>, size: usize) {
        let weight = size.saturating_mul(WEIGHT);
        if weight > self.limit {
            return;
        }
        let mut held = self.lock();
        held.remove(&key);
        while held.weight + weight > self.limit {
            let Some(oldest) = held.oldest() else { break };
            held.remove(&oldest);
        }
        held.uses += 1;
        held.weight += weight;
        let (plain, used) = (plain.clone(), held.uses);
        held.files.insert(
            key,
            File {
                plain,
                weight,
                used,
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn oldest(&self) -> Option<Key> {
        let oldest = self.files.iter().min_by_key(|(_, file)| file.used);
        oldest.map(|(key, _)| *key)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(file) = self.files.remove(key) {
            self.weight -= file.weight;
        }
    }
}

/// What a file is known by.
pub(crate) fn key(bytes: &[u8], format: Format, policy: MacPolicy, owner: &[u8; 32]) -> Key {
    Sha256::new()
        .chain_update([format as u8, policy as u8])
        .chain_update(owner)
        .chain_update(bytes)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use overlay::build::{Opener as _, Purpose, Sealed};

    use super::Cache;
    use crate::{Answers, Error, Format, Keyring, MacPolicy, Opener, Recipe, Recipient, Time, gcm};

    fn keyring() -> Result<(Keyring, Recipient), Error> {
        let key = crate::generate(false)?;
        let mut keyring = Keyring::default();
        keyring.add(&key.identity)?;
        let recipient = key.recipient;
        Ok((keyring, Recipient::Age { recipient }))
    }

    fn sealed(text: &str, keyring: &Keyring, recipient: Recipient) -> Result<Vec<u8>, Error> {
        let recipe = Recipe {
            groups: vec![vec![recipient]],
            ..Recipe::default()
        };
        let now = Time::parse_rfc3339("2024-05-06T07:08:09Z").unwrap_or_default();
        crate::encrypt(text.as_bytes(), Format::Yaml, &recipe, keyring, now)
    }

    /// Opens a file; how many values were decrypted for it, or that it does not open.
    fn cost(keyring: &Keyring, cache: &Cache, bytes: &[u8]) -> Option<usize> {
        let answers = Answers::new();
        let opener = Opener::new(keyring, &answers, MacPolicy::Error).with_cache(cache);
        let before = gcm::OPENED.get();
        let opened = opener.open(&Sealed {
            path: "secret.yaml",
            name: "secret.yaml",
            bytes,
            purpose: Purpose::Resource,
        });
        opened.ok()?.map(|_| gcm::OPENED.get() - before)
    }

    #[test]
    fn an_unchanged_file_is_decrypted_once_and_only_for_those_who_have_its_key() -> Result<(), Error>
    {
        let (ours, recipient) = keyring()?;
        let (theirs, _) = keyring()?;
        let file = sealed("a: one\nb: two\n", &ours, recipient.clone())?;
        let changed = sealed("a: one\nb: three\n", &ours, recipient)?;
        let cache = Cache::new(1 << 20);
        // Two values and the MAC.
        assert_eq!(cost(&ours, &cache, &file), Some(3));
        assert_eq!(cost(&ours, &cache, &file), Some(0));
        assert_eq!(cost(&theirs, &cache, &file), None);
        assert_eq!(cost(&ours, &cache, &changed), Some(3));
        assert_eq!(cost(&ours, &cache, &file), Some(0));
        Ok(())
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() -> Result<(), Error> {
        let (keyring, recipient) = keyring()?;
        let files = ["one", "two", "six"].map(|text| {
            sealed(&format!("a: {text}\n"), &keyring, recipient.clone()).unwrap_or_default()
        });
        let cache = Cache::new(super::WEIGHT * (files[0].len() * 5 / 2));
        for (file, wanted) in [(0, 2), (1, 2), (0, 0), (2, 2), (0, 0), (1, 2)] {
            assert_eq!(cost(&keyring, &cache, &files[file]), Some(wanted), "{file}");
        }
        assert_eq!(cache.len(), 2);
        Ok(())
    }

    #[test]
    fn a_file_that_is_too_large_is_not_held() {
        let plain = Arc::new(crate::Plain {
            format: Format::Yaml,
            branches: Vec::new(),
            metadata: crate::metadata::Metadata {
                groups: Vec::new(),
                shamir_threshold: 0,
                last_modified: Time::default(),
                mac: String::new(),
                rule: crate::Rule::default(),
                mac_only_encrypted: false,
                version: String::new(),
            },
            mac_problem: None,
        });
        let cache = Cache::new(100);
        cache.insert([0; 32], &plain, 26);
        assert!(cache.is_empty());
        cache.insert([0; 32], &plain, 25);
        assert_eq!((cache.len(), cache.weight()), (1, 100));
    }
}
