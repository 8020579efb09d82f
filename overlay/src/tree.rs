//! What a build reads: folders and files by path, with Git's object ids. Nobody but a `Tree` touches storage.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha1::{Digest, Sha1};

/// A Git object id (SHA-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectHash(pub [u8; 20]);

impl ObjectHash {
    /// The id that Git gives a blob of these bytes.
    pub fn of_blob(bytes: &[u8]) -> Self {
        Self::of("blob", bytes)
    }

    /// The id that Git gives an object of this kind (`blob`, `tree`) and these bytes.
    pub fn of(kind: &str, bytes: &[u8]) -> Self {
        let mut hash = Sha1::new();
        hash.update(format!("{kind} {}\0", bytes.len()));
        hash.update(bytes);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for ObjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a path holds. A link is never followed by a `Tree`; the composer resolves it, inside the tree only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A regular file, executable or not.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; [`Tree::read`] gives its target.
    Link,
    /// A submodule's commit.
    Submodule,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without `/`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// Why a tree could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Nothing is there, or it is of another kind than asked for.
    #[error("{path}: no such {wanted}")]
    NotFound {
        /// The path asked for.
        path: String,
        /// `file`, `folder` or `entry`.
        wanted: &'static str,
    },
    /// The storage failed; the text is safe to show.
    #[error("reading {path}: {reason}")]
    Storage {
        /// The path asked for.
        path: String,
        /// What the storage said.
        reason: String,
    },
}

/// A tree of files. Paths are relative to its root, with `/`, without `.`, `..` or empty parts; `""` is the root.
/// Intermediate parts that are links are not followed: such a path holds nothing.
pub trait Tree: Send + Sync {
    /// What the path holds; `None` when nothing is there.
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError>;
    /// The entries of a folder, sorted by name (bytes).
    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError>;
    /// The bytes of a file, or the target of a link.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError>;
    /// The same, and `None` of a file with more than `limit` bytes, which is then not read to its end.
    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        Ok(Some(self.read(path)?).filter(|bytes| bytes.len() <= limit))
    }
    /// Git's id of the blob or tree at the path; `None` when nothing is there.
    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError>;
    /// Two trees in which this is the same at a path hold the same there. Unlike the id it may differ although they do,
    /// and needs no look at what a folder holds.
    fn mark(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        self.id(path)
    }
    /// Whether a symbolic link would be at the path, if this tree did not leave links out.
    fn leaves_out_link(&self, _path: &str) -> bool {
        false
    }
    /// Whether the file may be run, where the tree knows.
    fn is_program(&self, _path: &str) -> Result<bool, TreeError> {
        Ok(false)
    }
}

/// What a [`MemTree`] holds at a path.
#[derive(Clone, Debug)]
enum Held {
    File(Arc<[u8]>),
    Link(Arc<[u8]>),
}

/// A tree in memory: unpacked artifacts, generated files, tests.
#[derive(Clone, Debug, Default)]
pub struct MemTree {
    files: BTreeMap<String, Held>,
}

impl MemTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file; folders come into being with their files.
    pub fn insert(&mut self, path: &str, bytes: impl Into<Arc<[u8]>>) {
        self.files.insert(path.to_owned(), Held::File(bytes.into()));
    }

    /// Adds or replaces a symbolic link.
    pub fn insert_link(&mut self, path: &str, target: &str) {
        self.files
            .insert(path.to_owned(), Held::Link(target.as_bytes().into()));
    }

    /// Removes a file or link; true when it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Held)> {
        self.files
            .range(prefix.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(prefix))
            .map(move |(path, held)| (&path[prefix.len()..], held))
    }
}

/// `"a/b"` → `"a/b/"`, the root → `""`.
fn folder_prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}/")
    }
}

impl Tree for MemTree {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(match self.files.get(path) {
            Some(Held::File(_)) => Some(EntryKind::File),
            Some(Held::Link(_)) => Some(EntryKind::Link),
            None if path.is_empty() || self.below(&folder_prefix(path)).next().is_some() => {
                Some(EntryKind::Folder)
            }
            None => None,
        })
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        if self.kind(path)? != Some(EntryKind::Folder) {
            return Err(TreeError::NotFound {
                path: path.to_owned(),
                wanted: "folder",
            });
        }
        let mut entries: BTreeMap<String, EntryKind> = BTreeMap::new();
        for (rest, held) in self.below(&folder_prefix(path)) {
            let (name, kind) = match (rest.split_once('/'), held) {
                (Some((folder, _)), _) => (folder, EntryKind::Folder),
                (None, Held::File(_)) => (rest, EntryKind::File),
                (None, Held::Link(_)) => (rest, EntryKind::Link),
            };
            entries.entry(name.to_owned()).or_insert(kind);
        }
        Ok(entries
            .into_iter()
            .map(|(name, kind)| Entry { name, kind })
            .collect())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.files.get(path) {
            Some(Held::File(bytes) | Held::Link(bytes)) => Ok(bytes.clone()),
            None => Err(TreeError::NotFound {
                path: path.to_owned(),
                wanted: "file",
            }),
        }
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        Ok(match self.kind(path)? {
            None => None,
            Some(EntryKind::Folder) => Some(folder_id(self, path)?),
            Some(_) => Some(ObjectHash::of_blob(&self.read(path)?)),
        })
    }
}

/// Git's id of a folder, from its entries. A `Tree` knows no executable files, so every file counts as `100644`.
pub fn folder_id(tree: &dyn Tree, path: &str) -> Result<ObjectHash, TreeError> {
    let mut entries = tree.list(path)?;
    // Git sorts a folder as if its name ended in `/`.
    entries.sort_by_key(|entry| match entry.kind {
        EntryKind::Folder => format!("{}/", entry.name),
        _ => entry.name.clone(),
    });
    let mut bytes = Vec::new();
    for entry in entries {
        let mode = match entry.kind {
            EntryKind::Folder => "40000",
            EntryKind::Link => "120000",
            EntryKind::Submodule => "160000",
            EntryKind::File => "100644",
        };
        let child = format!("{}{}", folder_prefix(path), entry.name);
        if let Some(id) = tree.id(&child)? {
            bytes.extend_from_slice(format!("{mode} {}\0", entry.name).as_bytes());
            bytes.extend_from_slice(&id.0);
        }
    }
    Ok(ObjectHash::of("tree", &bytes))
}
