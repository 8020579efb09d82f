//! A tree with some of its files changed: what a repository will hold after a commit that is not made yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use overlay::path::join;
use overlay::tree::folder_id;
use overlay::{Entry, EntryKind, MemTree, ObjectHash, Tree, TreeError};

/// Files by path: their new bytes, or nothing where they are deleted.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// A tree, and what replaces some of its files.
pub struct Overlaid<'t> {
    tree: &'t dyn Tree,
    changes: &'t Changes,
    written: MemTree,
}

impl<'t> Overlaid<'t> {
    /// The tree with the changes.
    pub fn new(tree: &'t dyn Tree, changes: &'t Changes) -> Self {
        let mut written = MemTree::new();
        for (path, bytes) in changes {
            if let Some(bytes) = bytes {
                written.insert(path, bytes.clone());
            }
        }
        Self {
            tree,
            changes,
            written,
        }
    }

    fn is_deleted(&self, path: &str) -> bool {
        matches!(self.changes.get(path), Some(None))
    }

    fn is_touched(&self, folder: &str) -> bool {
        let prefix = format!("{folder}/");
        folder.is_empty() || self.changes.keys().any(|path| path.starts_with(&prefix))
    }
}

impl Tree for Overlaid<'_> {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        if self.is_deleted(path) {
            return Ok(None);
        }
        if let Some(kind) = self.written.kind(path)?.filter(|_| !path.is_empty()) {
            return Ok(Some(kind));
        }
        match self.tree.kind(path)? {
            // Git knows no empty folders.
            Some(EntryKind::Folder) if !path.is_empty() && self.is_touched(path) => {
                match self.list(path) {
                    Ok(_) => Ok(Some(EntryKind::Folder)),
                    Err(TreeError::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            kind => Ok(kind),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let mut entries: BTreeMap<String, EntryKind> = BTreeMap::new();
        let is_written = self.written.kind(path)? == Some(EntryKind::Folder);
        if !is_written || self.tree.kind(path)? == Some(EntryKind::Folder) {
            for entry in self.tree.list(path)? {
                if self.kind(&join(path, &entry.name))?.is_some() {
                    entries.insert(entry.name, entry.kind);
                }
            }
        }
        if is_written {
            let written = self.written.list(path)?;
            entries.extend(written.into_iter().map(|entry| (entry.name, entry.kind)));
        }
        // A folder that the changes leave nothing of is gone; one that was empty before stays.
        if entries.is_empty() && !path.is_empty() && self.is_touched(path) {
            return Err(TreeError::NotFound {
                path: path.to_owned(),
                wanted: "folder",
            });
        }
        let entry = |(name, kind)| Entry { name, kind };
        Ok(entries.into_iter().map(entry).collect())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.changes.get(path) {
            Some(_) => self.written.read(path),
            None => self.tree.read(path),
        }
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        match self.kind(path)? {
            None => Ok(None),
            Some(EntryKind::Folder) if self.is_touched(path) => Ok(Some(folder_id(self, path)?)),
            Some(_) if self.changes.contains_key(path) => self.written.id(path),
            Some(_) => self.tree.id(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_if_the_files_had_been_changed() {
        let mut tree = MemTree::new();
        for path in ["a/one", "a/two", "b/three", "c/d/four"] {
            tree.insert(path, path.as_bytes());
        }
        let changes: Changes = [
            ("a/two".to_owned(), Some(b"new".to_vec())),
            ("e/f/five".to_owned(), Some(b"five".to_vec())),
            ("b/three".to_owned(), None),
            ("c/d/four".to_owned(), None),
        ]
        .into();
        let mut wanted = tree.clone();
        wanted.insert("a/two", *b"new");
        wanted.insert("e/f/five", *b"five");
        wanted.remove("b/three");
        wanted.remove("c/d/four");
        let overlaid = Overlaid::new(&tree, &changes);
        for path in [
            "", "a", "a/one", "a/two", "b", "b/three", "c", "c/d", "e", "e/f", "e/f/five",
        ] {
            assert_eq!(overlaid.kind(path), wanted.kind(path), "{path}");
            assert_eq!(overlaid.id(path), wanted.id(path), "{path}");
            assert_eq!(
                overlaid.list(path).ok(),
                wanted
                    .list(path)
                    .ok()
                    .filter(|_| wanted.kind(path) == Ok(Some(EntryKind::Folder))),
                "{path}"
            );
        }
        assert_eq!(overlaid.read("a/two").as_deref(), Ok(b"new".as_slice()));
        assert!(overlaid.read("b/three").is_err());
    }
}
