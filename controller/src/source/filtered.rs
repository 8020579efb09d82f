//! The files of a commit as Flux's artifact would hold them: ignored files, links and empty folders are not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gix::objs::Kind;
use overlay::path::join;
use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};

use super::error::SourceError;
use super::git_tree::{DEPTH, GitTree, Node, not_found, storage};
use super::ignore::Rules;

/// What a GitRepository takes of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `spec.ignore`.
    pub ignore: Option<String>,
    /// `spec.sparseCheckout`: the folders to take; all when empty.
    pub folders: Vec<String>,
}

impl Selection {
    /// What the paths of the folders begin with.
    pub(super) fn prefixes(&self) -> Vec<String> {
        let plain = |folder: &String| folder.trim_start_matches("./").to_owned();
        self.folders.iter().map(plain).collect()
    }
}

/// A tree without what is left out.
pub struct Filtered {
    tree: GitTree,
    rules: Rules,
    /// Folders that were asked for, and whether anything is left of them.
    folders: Mutex<HashMap<String, bool>>,
}

/// A file that is not left out.
pub(super) struct Kept {
    pub(super) path: String,
    pub(super) executable: bool,
    pub(super) id: gix::ObjectId,
}

impl Filtered {
    /// What is selected of the tree, without what its `.sourceignore` files, the spec and the defaults leave out.
    pub fn new(tree: GitTree, selection: &Selection) -> Result<Self, SourceError> {
        let failed = |error| SourceError::cache("reading .sourceignore", error);
        let rules = Rules::load(tree.objects(), tree.root(), selection).map_err(failed)?;
        for (folder, plain) in selection.folders.iter().zip(selection.prefixes()) {
            let found = tree
                .node(plain.trim_matches('/'))
                .map_err(|error| failed(error.to_string()))?;
            if found.is_none() {
                return Err(SourceError::SparseCheckout(folder.clone()));
            }
        }
        Ok(Self {
            tree,
            rules,
            folders: Mutex::default(),
        })
    }

    /// The bytes of a file that is kept.
    pub(super) fn bytes(&self, file: &Kept) -> std::io::Result<Vec<u8>> {
        let read = self.tree.objects().read(&file.id, Kind::Blob);
        read.map_err(std::io::Error::other)
    }

    /// What the files are: the same content means the same files.
    pub fn content(&self) -> ObjectHash {
        self.thinned(&self.tree.root())
    }

    fn thinned(&self, id: &gix::oid) -> ObjectHash {
        ObjectHash::of("filtered", &[id.as_bytes(), &self.rules.digest.0].concat())
    }

    /// All files that are kept: those of a folder together, before those of the folders in it.
    pub(super) fn files(&self) -> Result<Vec<Kept>, TreeError> {
        let mut kept = Vec::new();
        self.walk(self.tree.root(), "", 0, &mut kept)?;
        Ok(kept)
    }

    fn walk(
        &self,
        id: gix::ObjectId,
        path: &str,
        depth: usize,
        kept: &mut Vec<Kept>,
    ) -> Result<(), TreeError> {
        let folder = self.folder(id, path, depth)?;
        let of_kind = |kind| folder.nodes().iter().filter(move |node| node.kind == kind);
        for file in of_kind(EntryKind::File) {
            let path = join(path, &file.name);
            if !self.rules.leave_out(&path) {
                kept.push(Kept {
                    path,
                    executable: file.executable,
                    id: file.id,
                });
            }
        }
        for inner in of_kind(EntryKind::Folder) {
            self.walk(inner.id, &join(path, &inner.name), depth + 1, kept)?;
        }
        Ok(())
    }

    fn folder(
        &self,
        id: gix::ObjectId,
        path: &str,
        depth: usize,
    ) -> Result<Arc<super::git_tree::Folder>, TreeError> {
        if depth > DEPTH {
            return Err(storage(path, format!("folders lie more than {DEPTH} deep")));
        }
        self.tree
            .objects()
            .folder(&id)
            .map_err(|reason| storage(path, reason))
    }

    /// Whether anything is left of what the node is.
    fn keeps(&self, path: &str, node: &Node, depth: usize) -> Result<bool, TreeError> {
        match node.kind {
            EntryKind::File => Ok(!self.rules.leave_out(path)),
            EntryKind::Folder if path.is_empty() => Ok(true),
            EntryKind::Folder => self.keeps_any(path, node, depth),
            EntryKind::Link | EntryKind::Submodule => Ok(false),
        }
    }

    fn keeps_any(&self, path: &str, node: &Node, depth: usize) -> Result<bool, TreeError> {
        let known = self.lock().get(path).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut any = false;
        for child in self.folder(node.id, path, depth)?.nodes() {
            if self.keeps(&join(path, &child.name), child, depth + 1)? {
                any = true;
                break;
            }
        }
        self.lock().insert(path.to_owned(), any);
        Ok(any)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, bool>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        let Some(node) = self.tree.node(path)? else {
            return Ok(None);
        };
        Ok(self.keeps(path, &node, 0)?.then_some(node))
    }
}

impl Tree for Filtered {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(self.node(path)?.map(|node| node.kind))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let node = self
            .node(path)?
            .filter(|node| node.kind == EntryKind::Folder)
            .ok_or_else(|| not_found(path, "folder"))?;
        let mut entries = Vec::new();
        for child in self.folder(node.id, path, 0)?.nodes() {
            if self.keeps(&join(path, &child.name), child, 0)? {
                entries.push(Entry {
                    name: child.name.to_string(),
                    kind: child.kind,
                });
            }
        }
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.node(path)? {
            Some(node) if node.kind == EntryKind::File => self.tree.read(path),
            _ => Err(not_found(path, "file")),
        }
    }

    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        match self.node(path)? {
            Some(node) if node.kind == EntryKind::File => self.tree.read_within(path, limit),
            _ => Err(not_found(path, "file")),
        }
    }

    fn leaves_out_link(&self, path: &str) -> bool {
        let node = self.tree.node(path);
        node.is_ok_and(|node| node.is_some_and(|node| node.kind == EntryKind::Link))
    }

    fn is_program(&self, path: &str) -> Result<bool, TreeError> {
        let node = self.node(path)?;
        Ok(node.is_some_and(|node| node.executable))
    }

    fn mark(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        let node = self.tree.node(path)?;
        Ok(node.map(|node| self.thinned(&node.id)))
    }

    /// A folder is its tree and the rules that thin it out: the same id means the same files.
    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        let Some(node) = self.node(path)? else {
            return Ok(None);
        };
        Ok(Some(match node.kind {
            EntryKind::Folder => self.thinned(&node.id),
            _ => super::git_tree::hash(&node.id),
        }))
    }
}
