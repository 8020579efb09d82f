//! A folder of a tree as a tree of its own: for a repository that keeps what clusters pull in a folder.

use std::sync::Arc;

use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};

/// What lies below a folder. Nothing outside it is read.
pub struct Subtree<T> {
    tree: T,
    folder: String,
}

impl<T: Tree> Subtree<T> {
    /// What lies below this folder of the tree; all of it for the root, `""`.
    pub fn new(tree: T, folder: &str) -> Self {
        Self {
            tree,
            folder: folder.to_owned(),
        }
    }

    fn path(&self, path: &str) -> String {
        match (self.folder.as_str(), path) {
            ("", path) => path.to_owned(),
            (folder, "") => folder.to_owned(),
            (folder, path) => format!("{folder}/{path}"),
        }
    }
}

impl<T: Tree> Tree for Subtree<T> {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        self.tree.kind(&self.path(path))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        self.tree.list(&self.path(path))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.tree.read(&self.path(path))
    }

    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        self.tree.read_within(&self.path(path), limit)
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        self.tree.id(&self.path(path))
    }
}
