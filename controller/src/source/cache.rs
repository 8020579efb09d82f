//! Bare repositories on disk, one for each object that names one: what was fetched stays until it piles up.
//!
//! ```text
//! <storage>/git/<digest of the owner>/<digest of the address>/<generation>/   a bare repository
//! ```
//! A cache is never repaired: when it is damaged or too large, the next generation is fetched anew beside it, and the
//! old one goes when its last reader is done. A kill at any moment leaves objects that nothing names, or a generation
//! that was never finished; both are cleared away at the next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::error::SourceError;
use super::fetch::{FETCHED, Trouble, fetch};
use super::git_tree::Objects;
use super::lookup::Head;
use super::server::{AGENT, Server};

/// Packs before a cache is fetched anew; the object database holds a few more.
const PACKS: usize = 40;

/// Bytes of packs, beyond twice the largest, before a cache is fetched anew.
const SLACK: u64 = 256 * 1024 * 1024;

/// One object's cache.
pub(super) struct Cache {
    folder: PathBuf,
    current: Option<Current>,
}

/// The generation in use.
struct Current {
    number: u64,
    generation: Arc<Generation>,
    /// What was fetched last, complete.
    held: Option<Held>,
}

/// A commit, and the annotated tag by which it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) commit: gix::ObjectId,
    pub(super) tag: Option<gix::ObjectId>,
}

/// One bare repository on disk, as long as anyone reads it.
pub(super) struct Generation {
    path: PathBuf,
    pub(super) objects: Objects,
    retired: AtomicBool,
}

impl Generation {
    /// The repository, to be written to.
    pub(super) fn repository(&self) -> Result<gix::Repository, SourceError> {
        opened(&self.path)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed) {
            let _ = fs::remove_dir_all(&self.path);
            // The folders above go with the last generation in them.
            for above in self.path.ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(above);
            }
        }
    }
}

/// The folder of an owner's cache. The owner is part of it, so that nobody reads what only another may fetch.
pub(super) fn folder(storage: &Path, owner: &str, url: &str) -> PathBuf {
    owned(storage, owner).join(name(url))
}

fn owned(storage: &Path, owner: &str) -> PathBuf {
    storage.join("git").join(name(owner))
}

fn name(of: &str) -> String {
    let digest = Sha256::digest(of);
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Clears away what earlier processes left of an owner, but for the cache of one address.
pub(super) fn clear(storage: &Path, owner: &str, but: Option<&str>) {
    let kept = but.map(|url| folder(storage, owner, url));
    let owned = owned(storage, owner);
    for entry in fs::read_dir(&owned).into_iter().flatten().flatten() {
        if Some(entry.path()) != kept {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let _ = fs::remove_dir(owned);
}

impl Cache {
    /// Opens what an earlier process left, as far as it is whole.
    pub(super) fn open(folder: PathBuf) -> Self {
        let mut numbers: Vec<u64> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let mut current = None;
        while let Some(number) = numbers.pop() {
            let path = folder.join(number.to_string());
            current = current.or_else(|| reopened(&path, number));
            let kept = current
                .as_ref()
                .is_some_and(|current: &Current| current.number == number);
            if !kept {
                let _ = fs::remove_dir_all(path);
            }
        }
        Self { folder, current }
    }

    /// How many bytes its packs take on the disk.
    pub(super) fn size(&self) -> u64 {
        let current = self.current.as_ref();
        current.map_or(0, |current| current.pack_sizes().iter().sum())
    }

    /// What was fetched last, and the repository that holds it.
    pub(super) fn held(&self) -> Option<(Arc<Generation>, Held)> {
        let current = self.current.as_ref().filter(|current| current.usable())?;
        Some((current.generation.clone(), current.held?))
    }

    /// The repository that holds the head's commit, which is fetched if need be.
    pub(super) fn bring(
        &mut self,
        server: &Server<'_>,
        head: &Head,
        interrupt: &AtomicBool,
    ) -> Result<(Arc<Generation>, Held), SourceError> {
        if let Some(current) = self.current.as_mut().filter(|current| current.usable()) {
            if let Some(held) = current.held.filter(|held| head.is(*held)) {
                return Ok((current.generation.clone(), held));
            }
            if !current.full() {
                match current.fetch(server, head, interrupt) {
                    Ok(held) => return Ok((current.generation.clone(), held)),
                    Err(Trouble::Server(error)) => return Err(error),
                    // Damage shows when a new pack is resolved against old objects.
                    Err(Trouble::Objects(error)) => tracing::warn!(%error, "fetching anew"),
                }
            }
        }
        let number = self.next_number();
        let mut fresh = created(&self.folder.join(number.to_string()), number)?;
        let held = fresh.fetch(server, head, interrupt).map_err(|trouble| {
            fresh.retire();
            trouble.into_error()
        })?;
        let generation = fresh.generation.clone();
        if let Some(old) = self.current.replace(fresh) {
            old.retire();
        }
        Ok((generation, held))
    }

    fn next_number(&self) -> u64 {
        fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok())
            .max()
            .map_or(1, |number| number + 1)
    }

    /// Lets go of everything on disk, once nobody reads it any more.
    pub(super) fn close(self) {
        if let Some(current) = &self.current {
            current.retire();
        }
    }
}

impl Current {
    fn usable(&self) -> bool {
        self.generation.objects.whole() && self.generation.path.join("HEAD").is_file()
    }

    fn pack_sizes(&self) -> Vec<u64> {
        packs(&self.generation.path)
            .filter_map(|pack| Some(fs::metadata(pack).ok()?.len()))
            .collect()
    }

    fn full(&self) -> bool {
        let sizes = self.pack_sizes();
        let largest = sizes.iter().copied().max().unwrap_or(0);
        sizes.len() >= PACKS || sizes.iter().sum::<u64>() > 2 * largest + SLACK
    }

    fn retire(&self) {
        self.generation.retired.store(true, Ordering::Relaxed);
    }

    fn fetch(
        &mut self,
        server: &Server<'_>,
        head: &Head,
        interrupt: &AtomicBool,
    ) -> Result<Held, Trouble> {
        let repository = opened(&self.generation.path).map_err(Trouble::Objects)?;
        fetch(&repository, server, (&head.wanted, FETCHED), interrupt)?;
        let held = fetched(&repository).map_err(Trouble::Objects)?;
        let objects = &self.generation.objects;
        objects.commit(held.commit).map_err(Trouble::Objects)?;
        self.held = Some(held);
        Ok(held)
    }
}

/// Settings for repositories that only this program writes: no configuration but the repository's own. Two threads
/// find out the ids of a large pack's objects, as several repositories may be fetched at once.
pub(super) fn opened(path: &Path) -> Result<gix::Repository, SourceError> {
    let options = gix::open::Options::isolated()
        .open_path_as_is(true)
        .with(gix::sec::Trust::Full)
        .config_overrides([
            "pack.threads=2",
            "user.name=weir",
            "user.email=weir@localhost",
            &format!("gitoxide.userAgent={AGENT}"),
        ]);
    gix::open_opts(path, options).map_err(|error| SourceError::cache("opening the cache", error))
}

/// An empty repository, in place of whatever was there.
fn created(path: &Path, number: u64) -> Result<Current, SourceError> {
    let act = "creating the cache";
    let _ = fs::remove_dir_all(path);
    fs::create_dir_all(path).map_err(|error| SourceError::cache(act, error))?;
    gix::init_bare(path).map_err(|error| SourceError::cache(act, error))?;
    current(path, number, None)
}

/// A repository that an earlier process left: whole, with a finished fetch, free of stale locks.
fn reopened(path: &Path, number: u64) -> Option<Current> {
    clear_leftovers(path);
    let repository = opened(path).ok()?;
    let held = fetched(&repository).ok()?;
    if !packs(path).all(|pack| pack_is_whole(&pack)) {
        return None;
    }
    let current = current(path, number, Some(held)).ok()?;
    current.generation.objects.commit(held.commit).ok()?;
    Some(current)
}

fn current(path: &Path, number: u64, held: Option<Held>) -> Result<Current, SourceError> {
    Ok(Current {
        number,
        held,
        generation: Arc::new(Generation {
            objects: Objects::open(&path.join("objects"))?,
            path: path.to_owned(),
            retired: AtomicBool::new(false),
        }),
    })
}

fn fetched(repository: &gix::Repository) -> Result<Held, SourceError> {
    let act = "reading the cache";
    let mut reference = repository
        .find_reference(FETCHED)
        .map_err(|error| SourceError::cache(act, error))?;
    let direct = reference.id().detach();
    let commit = reference
        .peel_to_commit()
        .map_err(|error| SourceError::cache(act, error))?
        .id;
    Ok(Held {
        commit,
        tag: (direct != commit).then_some(direct),
    })
}

pub(super) fn packs(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(path.join("objects/pack"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pack")
        })
}

/// Whether a pack and its index hold what their checksums say.
fn pack_is_whole(pack: &Path) -> bool {
    let interrupt = AtomicBool::new(false);
    let Ok(bundle) = gix::odb::pack::Bundle::at(pack, gix::hash::Kind::Sha1) else {
        return false;
    };
    bundle
        .pack
        .verify_checksum(&mut gix::progress::Discard, &interrupt)
        .is_ok()
        && bundle
            .index
            .verify_checksum(&mut gix::progress::Discard, &interrupt)
            .is_ok()
}

/// Removes locks and half-written files of a process that was killed.
fn clear_leftovers(path: &Path) {
    for folder in [
        path.to_owned(),
        path.join("refs/weir"),
        path.join("objects/pack"),
    ] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".lock")
                || name.ends_with(".keep")
                || name.starts_with(".tmp")
                || name.starts_with("tmp_")
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
