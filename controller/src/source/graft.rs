//! Trees put into trees: what a revision is made of when it takes in submodules and other repositories.
//!
//! Only the tree objects on the way to the graft are written anew, into the cache that holds all the rest; everybody who
//! reads trees reads the result like a commit's own.

use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind as ObjectKind, Tree as TreeObject, TreeRef, Write as _};
use overlay::path::{inside, join};
use overlay::{EntryKind as Kind, Tree, TreeError};

use super::error::SourceError;
use super::git_tree::{GitTree, Objects, hash};

/// As much as one repository may take in of another.
const FILES: usize = 250_000;

/// How deep folders may lie in each other.
const DEPTH: usize = 200;

/// Why something cannot be put in a place.
#[derive(Debug, thiserror::Error)]
pub enum GraftError {
    /// Something else is there already.
    #[error("{0}: file exists")]
    Occupied(String),
    /// A file stands in the way.
    #[error("{0}: not a directory")]
    NotAFolder(String),
    /// There is nothing to put there.
    #[error("{0}: no such file or directory")]
    Absent(String),
    /// It is more than may be taken in.
    #[error("it has more than {FILES} files, or folders more than {DEPTH} deep")]
    TooLarge,
    /// What is to be put there cannot be read.
    #[error(transparent)]
    Read(#[from] TreeError),
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] SourceError),
}

fn failed(error: impl std::fmt::Display) -> GraftError {
    SourceError::cache("writing the cache", error).into()
}

/// The root of a tree with an entry at a path, in place of the submodule that may be there, and of nothing else.
pub(super) fn graft(
    repository: &gix::Repository,
    root: gix::ObjectId,
    path: &str,
    entry: (EntryKind, gix::ObjectId),
) -> Result<gix::ObjectId, GraftError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match (parts.as_slice(), entry) {
        ([], (EntryKind::Tree, id)) if entries(repository, root)?.is_empty() => Ok(id),
        ([], _) => Err(GraftError::Occupied(path.to_owned())),
        (parts, entry) => put(repository, Some(root), parts, path, entry),
    }
}

fn put(
    repository: &gix::Repository,
    folder: Option<gix::ObjectId>,
    parts: &[&str],
    path: &str,
    (kind, id): (EntryKind, gix::ObjectId),
) -> Result<gix::ObjectId, GraftError> {
    let mut entries = match folder {
        Some(folder) => entries(repository, folder)?,
        None => Vec::new(),
    };
    let Some((name, below)) = parts.split_first() else {
        return Err(GraftError::Occupied(path.to_owned()));
    };
    let at = entries.iter().position(|entry| entry.filename == *name);
    let there = at.map(|at| entries.remove(at));
    let (kind, id) = match (below, there) {
        ([], None) => (kind, id),
        ([], Some(there)) if there.mode.kind() == EntryKind::Commit => (kind, id),
        ([], Some(_)) => return Err(GraftError::Occupied(path.to_owned())),
        (below, None) => (
            EntryKind::Tree,
            put(repository, None, below, path, (kind, id))?,
        ),
        (below, Some(there)) if there.mode.is_tree() => {
            let inner = put(repository, Some(there.oid), below, path, (kind, id))?;
            (EntryKind::Tree, inner)
        }
        (_, Some(_)) => return Err(GraftError::NotAFolder(path.to_owned())),
    };
    entries.push(Entry {
        mode: kind.into(),
        filename: (*name).into(),
        oid: id,
    });
    written(repository, entries)
}

fn entries(repository: &gix::Repository, id: gix::ObjectId) -> Result<Vec<Entry>, GraftError> {
    let tree = repository.find_tree(id).map_err(failed)?;
    let tree: TreeObject = tree.decode().map_err(failed)?.into();
    Ok(tree.entries)
}

fn written(
    repository: &gix::Repository,
    mut entries: Vec<Entry>,
) -> Result<gix::ObjectId, GraftError> {
    entries.sort();
    let written = repository.write_object(TreeObject { entries });
    Ok(written.map_err(failed)?.detach())
}

/// Copies a file or a folder of another tree into the cache. What is there already is not read.
pub(super) fn adopt(
    repository: &gix::Repository,
    tree: &dyn Tree,
    path: &str,
) -> Result<(EntryKind, gix::ObjectId), GraftError> {
    let mut left = FILES;
    match tree.kind(path)? {
        Some(Kind::Folder) => {
            let folder = folder(repository, tree, path, DEPTH, &mut left)?;
            Ok((EntryKind::Tree, folder))
        }
        Some(Kind::File) => Ok((mode(tree, path)?, file(repository, tree, path)?)),
        _ => Err(GraftError::Absent(path.to_owned())),
    }
}

fn folder(
    repository: &gix::Repository,
    tree: &dyn Tree,
    path: &str,
    depth: usize,
    left: &mut usize,
) -> Result<gix::ObjectId, GraftError> {
    let mut entries = Vec::new();
    for entry in tree.list(path)? {
        *left = left.checked_sub(1).ok_or(GraftError::TooLarge)?;
        let path = join(path, &entry.name);
        let (kind, id) = match entry.kind {
            Kind::File => (mode(tree, &path)?, file(repository, tree, &path)?),
            Kind::Folder => {
                let depth = depth.checked_sub(1).ok_or(GraftError::TooLarge)?;
                (
                    EntryKind::Tree,
                    folder(repository, tree, &path, depth, left)?,
                )
            }
            Kind::Link | Kind::Submodule => continue,
        };
        entries.push(Entry {
            mode: kind.into(),
            filename: entry.name.into(),
            oid: id,
        });
    }
    written(repository, entries)
}

fn mode(tree: &dyn Tree, path: &str) -> Result<EntryKind, GraftError> {
    Ok(match tree.is_program(path)? {
        true => EntryKind::BlobExecutable,
        false => EntryKind::Blob,
    })
}

fn file(
    repository: &gix::Repository,
    tree: &dyn Tree,
    path: &str,
) -> Result<gix::ObjectId, GraftError> {
    if let Some(id) = tree.id(path)? {
        let id = gix::ObjectId::Sha1(id.0);
        if repository.has_object(id) {
            return Ok(id);
        }
    }
    let bytes = tree.read(path)?;
    Ok(repository.write_blob(&*bytes).map_err(failed)?.detach())
}

/// A revision with a file or a folder of another one in a place of its own.
pub fn include(
    tree: &GitTree,
    from: &dyn Tree,
    from_path: &str,
    to_path: &str,
) -> Result<GitTree, GraftError> {
    let generation = tree
        .generation()
        .ok_or_else(|| failed("the revision is not in a cache"))?;
    let repository = generation.repository()?;
    let entry = adopt(&repository, from, &inside(from_path))?;
    let root = graft(&repository, tree.root(), &inside(to_path), entry)?;
    Ok(GitTree::cached(generation.clone(), hash(&root)))
}

/// A revision with another version of one of its folders, every object of which is copied as it is.
pub fn splice(tree: &GitTree, folder: &str, version: &GitTree) -> Result<GitTree, GraftError> {
    let generation = tree
        .generation()
        .ok_or_else(|| failed("the revision is not in a cache"))?;
    let repository = generation.repository()?;
    let id = version.root();
    copied(&repository, version.objects(), id, DEPTH)?;
    let parts: Vec<&str> = folder.split('/').collect();
    let root = exchange(&repository, tree.root(), &parts, folder, id)?;
    Ok(GitTree::cached(generation.clone(), hash(&root)))
}

/// Copies a tree and all below it. A tree that is there has all below it there too: it is written last.
fn copied(
    repository: &gix::Repository,
    objects: &Objects,
    id: gix::ObjectId,
    depth: usize,
) -> Result<(), GraftError> {
    if repository.has_object(id) {
        return Ok(());
    }
    let depth = depth.checked_sub(1).ok_or(GraftError::TooLarge)?;
    let bytes = objects.read(&id, ObjectKind::Tree).map_err(failed)?;
    let tree = TreeRef::from_bytes(&bytes, gix::hash::Kind::Sha1).map_err(failed)?;
    for entry in &tree.entries {
        let id = entry.oid.to_owned();
        match entry.mode.kind() {
            EntryKind::Tree => copied(repository, objects, id, depth)?,
            EntryKind::Commit => {}
            _ if repository.has_object(id) => {}
            _ => {
                let bytes = objects.read(&id, ObjectKind::Blob).map_err(failed)?;
                repository.write_blob(bytes).map_err(failed)?;
            }
        }
    }
    let written = repository.objects.write_buf(ObjectKind::Tree, &bytes);
    written.map(drop).map_err(failed)
}

/// Puts a folder in place of the one that is there.
fn exchange(
    repository: &gix::Repository,
    root: gix::ObjectId,
    parts: &[&str],
    path: &str,
    id: gix::ObjectId,
) -> Result<gix::ObjectId, GraftError> {
    let Some((name, below)) = parts.split_first() else {
        return Ok(id);
    };
    let mut entries = entries(repository, root)?;
    let entry = entries
        .iter_mut()
        .find(|entry| entry.filename == *name && entry.mode.is_tree())
        .ok_or_else(|| GraftError::Absent(path.to_owned()))?;
    entry.oid = exchange(repository, entry.oid, below, path, id)?;
    written(repository, entries)
}

#[cfg(test)]
mod tests {
    use overlay::MemTree;

    use super::*;

    /// An empty repository and the empty tree.
    fn empty() -> (tempfile::TempDir, gix::Repository, gix::ObjectId) {
        let folder = tempfile::tempdir().expect("a folder");
        gix::init_bare(folder.path()).expect("a repository");
        let options = gix::open::Options::isolated();
        let repository = gix::open_opts(folder.path(), options).expect("a repository");
        let root = written(&repository, Vec::new()).expect("written");
        (folder, repository, root)
    }

    fn tree(files: &[(&str, &str)]) -> MemTree {
        let mut tree = MemTree::new();
        for (path, text) in files {
            tree.insert(path, text.as_bytes());
        }
        tree
    }

    #[test]
    fn what_is_put_together_has_the_ids_that_git_gives_it() {
        let (_folder, repository, root) = empty();
        let own = tree(&[("a.yaml", "a"), ("apps/b.yaml", "b"), ("apps.d/c", "c")]);
        let (_, own) = adopt(&repository, &own, "").expect("adopted");
        let other = tree(&[("x/y.yaml", "y"), ("x/z/z.yaml", "z")]);
        let taken = adopt(&repository, &other, "x").expect("adopted");
        let root = graft(&repository, root, "", (EntryKind::Tree, own)).expect("grafted");
        let root = graft(&repository, root, "apps/x", taken).expect("grafted");
        let file = adopt(&repository, &other, "x/y.yaml").expect("adopted");
        let root = graft(&repository, root, "new/deep/y", file).expect("grafted");
        let expected = tree(&[
            ("a.yaml", "a"),
            ("apps/b.yaml", "b"),
            ("apps/x/y.yaml", "y"),
            ("apps/x/z/z.yaml", "z"),
            ("apps.d/c", "c"),
            ("new/deep/y", "y"),
        ]);
        assert_eq!(Some(hash(&root)), expected.id("").expect("id"));
    }

    #[test]
    fn another_version_of_a_folder_is_taken_as_it_is() {
        let (_cache, cache, _) = empty();
        let now = tree(&[("stages/prod/a", "new"), ("stages/prod/b", "b"), ("c", "c")]);
        let (_, root) = adopt(&cache, &now, "").expect("adopted");
        let (folder, mirror, _) = empty();
        let file = mirror.write_blob("#!/bin/sh").expect("written").detach();
        let entry = |name: &str, mode: EntryKind, oid| Entry {
            mode: mode.into(),
            filename: name.into(),
            oid,
        };
        let below = vec![entry("run.sh", EntryKind::BlobExecutable, file)];
        let below = written(&mirror, below).expect("written");
        let old = vec![
            entry("a", EntryKind::Blob, file),
            entry("below", EntryKind::Tree, below),
        ];
        let old = written(&mirror, old).expect("written");
        let objects = Objects::open(&folder.path().join("objects")).expect("objects");
        copied(&cache, &objects, old, DEPTH).expect("copied");
        let parts = ["stages", "prod"];
        let root = exchange(&cache, root, &parts, "stages/prod", old).expect("spliced");
        let found = cache.find_tree(root).expect("a tree");
        let at = |path: &str| {
            let entry = found.lookup_entry_by_path(path).expect("read");
            entry.map(|entry| (entry.mode().kind(), entry.object_id()))
        };
        assert_eq!(at("stages/prod"), Some((EntryKind::Tree, old)));
        let run = at("stages/prod/below/run.sh");
        assert_eq!(run, Some((EntryKind::BlobExecutable, file)));
        assert_eq!(at("stages/prod/b"), None);
        assert!(at("c").is_some() && cache.has_object(file));
        let absent = exchange(&cache, root, &["stages", "canary"], "stages/canary", old);
        let error = absent.expect_err("no such folder");
        assert!(matches!(error, GraftError::Absent(_)), "{error}");
    }

    #[test]
    fn nothing_is_put_over_something() {
        let (_folder, repository, root) = empty();
        let own = tree(&[("a", "a"), ("b/c", "c")]);
        let taken = adopt(&repository, &own, "").expect("adopted");
        let root = graft(&repository, root, "d", taken).expect("grafted");
        for path in ["d", "d/b", "d/a"] {
            let error = graft(&repository, root, path, taken).expect_err(path);
            assert!(matches!(error, GraftError::Occupied(_)), "{path}: {error}");
        }
        let error = graft(&repository, root, "d/a/b", taken).expect_err("in the way");
        assert!(matches!(error, GraftError::NotAFolder(_)), "{error}");
        let absent = adopt(&repository, &own, "absent").expect_err("absent");
        assert!(matches!(absent, GraftError::Absent(_)), "{absent}");
    }
}
