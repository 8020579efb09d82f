//! What servers said they can do, remembered for a while: asking for refs is then one request, not two.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server's word is taken.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A capability list of protocol version 2 is far smaller; longer ones hold refs, which change.
const SIZE_LIMIT: usize = 8 * 1024;

/// As many servers' words as are kept.
const COUNT_LIMIT: usize = 4096;

/// The answer to `info/refs`.
#[derive(Clone)]
pub(super) struct Advertisement {
    /// The headers, one a line.
    pub(super) headers: Vec<u8>,
    /// The body.
    pub(super) bytes: bytes::Bytes,
    /// The address of the repository that redirects led to.
    pub(super) moved: Option<String>,
}

/// The answers by address.
#[derive(Default)]
pub(super) struct Advertisements(Mutex<HashMap<String, (Instant, Advertisement)>>);

impl Advertisements {
    pub(super) fn get(&self, url: &str) -> Option<Advertisement> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, advertisement) = known.get(url)?;
        (since.elapsed() < LIFETIME).then(|| advertisement.clone())
    }

    /// Keeps the answer if it is of version 2, where it holds no refs.
    pub(super) fn put(&self, url: &str, advertisement: &Advertisement) {
        let bytes = &advertisement.bytes;
        let version_2 = bytes.len() < SIZE_LIMIT && contains(bytes, b"version 2");
        if !version_2 {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < LIFETIME);
        if known.len() < COUNT_LIMIT {
            known.insert(url.to_owned(), (Instant::now(), advertisement.clone()));
        }
    }

    /// Drops what was said for the repository that this request address belongs to.
    pub(super) fn forget(&self, url: &str) {
        let repository = url.trim_end_matches("/git-upload-pack");
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other, _| !other.starts_with(repository));
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
