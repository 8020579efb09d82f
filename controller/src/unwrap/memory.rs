//! What key services gave, remembered in memory only, by a digest of what was asked and whose word asked for it.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How many are remembered.
const LIMIT: usize = 10_000;

/// Names a question and who asks.
pub(super) type Key = [u8; 32];

/// A secret and the end of its time.
type Remembered = (Instant, Zeroizing<Vec<u8>>);

/// Secrets with an end; overwritten when they are dropped.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Key, Remembered>>);

impl Memory {
    /// How many are remembered, those included whose time is over and that nobody has asked for since.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What is remembered, unless its time is over.
    pub(super) fn get(&self, key: &Key) -> Option<Zeroizing<Vec<u8>>> {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(key) {
            Some((until, secret)) if *until > now => Some(secret.clone()),
            Some(_) => {
                known.remove(key);
                None
            }
            None => None,
        }
    }

    /// Remembers for a time. When it is full, what is over goes first, else everything.
    pub(super) fn put(&self, key: Key, secret: &[u8], lifetime: Duration) {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LIMIT {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() >= LIMIT {
            known.clear();
        }
        known.insert(key, (now + lifetime, Zeroizing::new(secret.to_vec())));
    }
}

/// A digest of all that is hashed, of a width that nobody finds a second question for.
pub(super) fn digest(question: &impl Hash) -> Key {
    let mut hasher = Wide(Sha256::new());
    question.hash(&mut hasher);
    hasher.0.finalize().into()
}

struct Wide(Sha256);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Asked by nobody: the digest is taken whole.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_ends() {
        let memory = Memory::default();
        let key = digest(&("vault", "a"));
        memory.put(key, b"secret", Duration::from_secs(10));
        assert_eq!(memory.get(&key).expect("known").as_slice(), b"secret");
        assert!(memory.get(&digest(&("vault", "b"))).is_none());
        assert_ne!(digest(&("ab", "c")), digest(&("a", "bc")));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(memory.get(&key).is_none());
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let memory = Memory::default();
        for number in 0..=LIMIT {
            memory.put(digest(&number), b"secret", Duration::from_secs(10));
        }
        assert!(memory.get(&digest(&LIMIT)).is_some());
        assert!(memory.0.lock().expect("not poisoned").len() <= LIMIT);
    }
}
