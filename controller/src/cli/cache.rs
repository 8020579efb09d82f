//! What commands remember from one run to the next, in the user's cache folder. Each piece is called after what it was
//! made of, so that none is ever out of date; one that is damaged counts as none.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

/// So many pieces are kept, the newest.
const MOST: usize = 16;

/// Larger pieces are not kept.
const LARGEST: usize = 64 << 20;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The folder of pieces.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// That of the user, `$XDG_CACHE_HOME/weir` or `~/.cache/weir`; none without a home.
    pub(super) fn of_user() -> Option<Self> {
        let folder = |name: &str| {
            std::env::var_os(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
        Some(Self {
            folder: caches.join("weir"),
        })
    }

    /// A piece, when it is there and whole.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.folder.join(name)).ok()?;
        let body = bytes.split_off(DIGITS.min(bytes.len()));
        (digest(&[&body]).as_bytes() == bytes).then_some(body)
    }

    /// Keeps a piece. One that cannot be kept is made again the next time.
    pub(super) fn write(&self, name: &str, body: &[u8]) {
        let written = || -> std::io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(digest(&[body]).as_bytes())?;
            file.write_all(body)?;
            file.persist(self.folder.join(name))?;
            self.forget_the_oldest()
        };
        if body.len() <= LARGEST
            && let Err(error) = written()
        {
            tracing::debug!(%error, "keeping what was made");
        }
    }

    fn forget_the_oldest(&self) -> std::io::Result<()> {
        let mut pieces: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            pieces.push((entry.metadata()?.modified()?, entry.path()));
        }
        pieces.sort();
        let more = pieces.len().saturating_sub(MOST);
        pieces
            .iter()
            .take(more)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// The name of a piece that this very program made of something.
pub(super) fn name(what: &str, made_of: &[&str]) -> Option<String> {
    let program = std::env::current_exe().ok()?.metadata().ok()?;
    let modified = program
        .modified()
        .ok()?
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let program = format!("{} {}", program.len(), modified.as_nanos());
    let mut parts = vec![what.as_bytes(), program.as_bytes()];
    parts.extend(made_of.iter().map(|part| part.as_bytes()));
    Some(format!("{what}-{}", digest(&parts)))
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_piece_is_none_and_old_ones_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache {
            folder: folder.path().join("weir"),
        };
        assert_eq!(cache.read("one"), None);
        cache.write("one", b"body");
        assert_eq!(cache.read("one").as_deref(), Some(&b"body"[..]));
        let path = folder.path().join("weir/one");
        let whole = fs::read(&path).expect("written");
        for damaged in [
            &whole[..whole.len() - 1],
            &whole[..10],
            b"",
            &[&whole[..], b"x"].concat(),
        ] {
            fs::write(&path, damaged).expect("written");
            assert_eq!(cache.read("one"), None);
        }
        for number in 0..2 * MOST {
            cache.write(&format!("piece-{number}"), b"x");
        }
        let left = fs::read_dir(folder.path().join("weir"))
            .expect("there")
            .count();
        assert_eq!(left, MOST);
    }
}
