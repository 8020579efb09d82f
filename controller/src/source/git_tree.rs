//! The files of a commit, read from Git's object database; nothing is checked out.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use gix::objs::{CommitRef, Find, FindHeader, Kind, TreeRef, tree::EntryKind as Mode};
use overlay::path::join;
use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};

use super::cache::Generation;
use super::error::SourceError;
use super::snapshot::Commit;

/// Names in memory before the folders that were read are let go.
const NAMES: usize = 1_000_000;

/// Bytes of files in memory before no more are kept.
const BLOB_BYTES: usize = 16 << 20;

/// Packs that the object database can hold open; a cache is fetched anew long before.
const SLOTS: u16 = 256;

/// How deep folders may lie in each other.
pub(super) const DEPTH: usize = 500;

/// A Git object database that many threads read.
pub(super) struct Objects {
    store: Arc<gix::odb::Store>,
    handles: Mutex<Vec<gix::odb::Handle>>,
    folders: RwLock<Folders>,
    /// Trees below which no file of a name is.
    barren: Mutex<HashSet<(&'static str, gix::ObjectId)>>,
    /// Files that were read, where one run reads the same ones many times: in the command line.
    blobs: Option<Mutex<Blobs>>,
    damaged: AtomicBool,
}

/// Files that were read, by their ids.
#[derive(Default)]
struct Blobs {
    by_id: HashMap<gix::ObjectId, Arc<[u8]>>,
    bytes: usize,
}

/// Folders that were read, by the ids of their trees.
#[derive(Default)]
struct Folders {
    by_id: HashMap<gix::ObjectId, Arc<Folder>>,
    names: usize,
}

/// The entries of a folder, sorted by name.
pub(super) struct Folder(Vec<Node>);

/// One entry of a folder.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: Box<str>,
    pub(super) kind: EntryKind,
    pub(super) executable: bool,
    pub(super) id: gix::ObjectId,
}

impl Folder {
    pub(super) fn nodes(&self) -> &[Node] {
        &self.0
    }

    fn get(&self, name: &str) -> Option<&Node> {
        let at = self
            .0
            .binary_search_by(|node| (*node.name).cmp(name))
            .ok()?;
        self.0.get(at)
    }
}

impl Objects {
    /// Opens the `objects` folder of a repository.
    pub(super) fn open(objects: &Path) -> Result<Self, SourceError> {
        let options = gix::odb::store::init::Options {
            slots: gix::odb::store::init::Slots::Given(SLOTS),
            ..Default::default()
        };
        let store = gix::odb::at_opts(objects, gix::hash::Kind::Sha1, None, options)
            .map_err(|error| SourceError::cache("opening the objects", error))?;
        Ok(Self::new(store.store()))
    }

    fn new(store: Arc<gix::odb::Store>) -> Self {
        Self {
            store,
            handles: Mutex::default(),
            folders: RwLock::default(),
            barren: Mutex::default(),
            blobs: None,
            damaged: AtomicBool::new(false),
        }
    }

    /// False once an object was missing or unreadable.
    pub(super) fn whole(&self) -> bool {
        !self.damaged.load(Ordering::Relaxed)
    }

    /// Reads an object of a kind.
    pub(super) fn read(&self, id: &gix::oid, kind: Kind) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        self.with_handle(|handle| match handle.try_find(id, &mut bytes) {
            Ok(Some(object)) if object.kind == kind => Ok(()),
            Ok(Some(object)) => Err(format!("object {id} is a {}, not a {kind}", object.kind)),
            Ok(None) => Err(format!("object {id} is missing")),
            Err(error) => Err(format!("object {id}: {error}")),
        })?;
        Ok(bytes)
    }

    /// The size of an object, without its bytes.
    fn size(&self, id: &gix::oid) -> Result<u64, String> {
        self.with_handle(|handle| match handle.try_header(id) {
            Ok(Some(header)) => Ok(header.size),
            Ok(None) => Err(format!("object {id} is missing")),
            Err(error) => Err(format!("object {id}: {error}")),
        })
    }

    fn with_handle<T>(
        &self,
        look: impl FnOnce(&gix::odb::Handle) -> Result<T, String>,
    ) -> Result<T, String> {
        let handle = self
            .lock_handles()
            .pop()
            .unwrap_or_else(|| self.store.to_cache());
        let found = look(&handle);
        self.lock_handles().push(handle);
        if found.is_err() {
            self.damaged.store(true, Ordering::Relaxed);
        }
        found
    }

    fn lock_handles(&self) -> std::sync::MutexGuard<'_, Vec<gix::odb::Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a file that was read.
    fn known_blob(&self, id: &gix::oid) -> Option<Arc<[u8]>> {
        let blobs = self.blobs.as_ref()?;
        let blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.by_id.get(id).cloned()
    }

    /// Keeps the bytes of a file, as long as there is room.
    fn keep_blob(&self, id: gix::ObjectId, bytes: &Arc<[u8]>) {
        let Some(blobs) = &self.blobs else { return };
        let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if blobs.bytes + bytes.len() <= BLOB_BYTES {
            blobs.bytes += bytes.len();
            blobs.by_id.insert(id, bytes.clone());
        }
    }

    /// The folder that a tree object describes.
    pub(super) fn folder(&self, id: &gix::oid) -> Result<Arc<Folder>, String> {
        if let Some(known) = self
            .folders
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .get(id)
        {
            return Ok(known.clone());
        }
        let bytes = self.read(id, Kind::Tree)?;
        let tree = TreeRef::from_bytes(&bytes, gix::hash::Kind::Sha1)
            .map_err(|error| format!("tree {id}: {error}"))?;
        let folder = Arc::new(Folder(nodes(&tree)));
        let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        if folders.names > NAMES {
            *folders = Folders::default();
            self.barren().clear();
        }
        folders.names += folder.0.len() + 1;
        folders.by_id.insert(id.to_owned(), folder.clone());
        Ok(folder)
    }

    /// All files of a name below a tree, from the root down: their folders and blobs. Trees that hold none are
    /// remembered, so that after a commit only what it changed is searched.
    pub(super) fn files_named(
        &self,
        root: gix::ObjectId,
        name: &'static str,
    ) -> Result<Vec<(String, gix::ObjectId)>, String> {
        let mut found = Vec::new();
        self.search(root, "", 0, name, &mut found)?;
        Ok(found)
    }

    fn search(
        &self,
        id: gix::ObjectId,
        path: &str,
        depth: usize,
        name: &'static str,
        found: &mut Vec<(String, gix::ObjectId)>,
    ) -> Result<(), String> {
        if self.barren().contains(&(name, id)) {
            return Ok(());
        }
        if depth > DEPTH {
            return Err(format!("folders lie more than {DEPTH} deep"));
        }
        let before = found.len();
        let folder = self.folder(&id)?;
        if let Some(file) = folder.get(name).filter(|node| node.kind == EntryKind::File) {
            found.push((path.to_owned(), file.id));
        }
        for node in folder
            .nodes()
            .iter()
            .filter(|node| node.kind == EntryKind::Folder)
        {
            self.search(node.id, &join(path, &node.name), depth + 1, name, found)?;
        }
        if found.len() == before {
            self.barren().insert((name, id));
        }
        Ok(())
    }

    fn barren(&self) -> std::sync::MutexGuard<'_, HashSet<(&'static str, gix::ObjectId)>> {
        self.barren.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a commit says of itself; its tree must be there.
    pub(super) fn commit(&self, id: gix::ObjectId) -> Result<Commit, SourceError> {
        let act = "reading the commit";
        let bytes = self
            .read(&id, Kind::Commit)
            .map_err(|error| SourceError::cache(act, error))?;
        let commit = CommitRef::from_bytes(&bytes, gix::hash::Kind::Sha1)
            .map_err(|error| SourceError::cache(act, error))?;
        let tree = commit.tree();
        self.folder(&tree)
            .map_err(|error| SourceError::cache(act, error))?;
        let author = commit
            .author()
            .map(|author| format!("{} <{}>", author.name, author.email))
            .unwrap_or_default();
        Ok(Commit {
            id: hash(&id),
            tree: hash(&tree),
            author,
            subject: commit.message_summary().to_string(),
        })
    }
}

/// The entries of a tree; names that are no UTF-8 are nothing that a kustomization could name.
fn nodes(tree: &TreeRef<'_>) -> Vec<Node> {
    let mut nodes: Vec<Node> = tree
        .entries
        .iter()
        .filter_map(|entry| {
            let mode = entry.mode.kind();
            Some(Node {
                name: std::str::from_utf8(entry.filename).ok()?.into(),
                kind: match mode {
                    Mode::Tree => EntryKind::Folder,
                    Mode::Link => EntryKind::Link,
                    Mode::Commit => EntryKind::Submodule,
                    Mode::Blob | Mode::BlobExecutable => EntryKind::File,
                },
                executable: mode == Mode::BlobExecutable,
                id: entry.oid.to_owned(),
            })
        })
        .collect();
    // Git sorts folders as if their names ended in `/`.
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

pub(super) fn hash(id: &gix::oid) -> ObjectHash {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(id.as_bytes());
    ObjectHash(bytes)
}

/// Where the objects of a tree live.
#[derive(Clone)]
enum Home {
    Cache(Arc<Generation>),
    Local(Arc<Objects>),
}

/// The files of one commit, all of them.
#[derive(Clone)]
pub struct GitTree {
    home: Home,
    root: gix::ObjectId,
}

impl GitTree {
    pub(super) fn cached(generation: Arc<Generation>, root: ObjectHash) -> Self {
        Self {
            home: Home::Cache(generation),
            root: gix::ObjectId::Sha1(root.0),
        }
    }

    /// A tree of an object database that others read too.
    pub(super) fn sharing(objects: Arc<Objects>, root: ObjectHash) -> Self {
        Self {
            home: Home::Local(objects),
            root: gix::ObjectId::Sha1(root.0),
        }
    }

    /// The files of a revision (`main`, `HEAD~2`, `v1.0`) of the repository that a local folder belongs to.
    pub fn local(folder: &Path, revision: &str) -> Result<(Self, Commit), SourceError> {
        let repository = gix::discover(folder)
            .map_err(|error| SourceError::cache("opening the repository", error))?;
        Self::of(&repository, revision)
    }

    /// The files of a revision of a repository.
    pub(super) fn of(
        repository: &gix::Repository,
        revision: &str,
    ) -> Result<(Self, Commit), SourceError> {
        let objects = Objects {
            blobs: Some(Mutex::default()),
            ..Objects::open(repository.objects.store_ref().path())?
        };
        let commit = objects.commit(resolve(repository, revision)?)?;
        let root = gix::ObjectId::Sha1(commit.tree.0);
        let home = Home::Local(Arc::new(objects));
        Ok((Self { home, root }, commit))
    }

    /// The files of another revision of the same repository, read from the same object database.
    pub(super) fn beside(
        &self,
        repository: &gix::Repository,
        revision: &str,
    ) -> Result<Self, SourceError> {
        let commit = self.objects().commit(resolve(repository, revision)?)?;
        Ok(Self {
            home: self.home.clone(),
            root: gix::ObjectId::Sha1(commit.tree.0),
        })
    }

    /// The cache that it is read from, unless it is a repository of the command line's.
    pub(super) fn generation(&self) -> Option<&Arc<Generation>> {
        match &self.home {
            Home::Cache(generation) => Some(generation),
            Home::Local(_) => None,
        }
    }

    pub(super) fn objects(&self) -> &Objects {
        match &self.home {
            Home::Cache(generation) => &generation.objects,
            Home::Local(objects) => objects,
        }
    }

    /// Whether a path is a file that may be run.
    pub fn is_executable(&self, path: &str) -> bool {
        let node = self.node(path).ok().flatten();
        node.is_some_and(|node| node.kind == EntryKind::File && node.executable)
    }

    /// The folder at the root.
    pub(super) fn root(&self) -> gix::ObjectId {
        self.root
    }

    /// The entry at a path; the root is a folder without a name.
    pub(super) fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        let mut node = Node {
            name: "".into(),
            kind: EntryKind::Folder,
            executable: false,
            id: self.root,
        };
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if node.kind != EntryKind::Folder {
                return Ok(None);
            }
            let folder = self
                .objects()
                .folder(&node.id)
                .map_err(|reason| storage(path, reason))?;
            match folder.get(part) {
                Some(found) => node = found.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }
}

/// The commit that a revision means.
fn resolve(repository: &gix::Repository, revision: &str) -> Result<gix::ObjectId, SourceError> {
    let commit = repository
        .rev_parse_single(revision)
        .and_then(|id| id.object())
        .and_then(|object| object.peel_to_kind(Kind::Commit));
    let commit = commit.map_err(|error| SourceError::Cache {
        act: "resolving the revision",
        problem: format!("{revision}: {error}"),
    });
    Ok(commit?.id)
}

pub(super) fn storage(path: &str, reason: String) -> TreeError {
    TreeError::Storage {
        path: path.to_owned(),
        reason,
    }
}

pub(super) fn not_found(path: &str, wanted: &'static str) -> TreeError {
    TreeError::NotFound {
        path: path.to_owned(),
        wanted,
    }
}

impl Tree for GitTree {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(self.node(path)?.map(|node| node.kind))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let node = self
            .node(path)?
            .filter(|node| node.kind == EntryKind::Folder)
            .ok_or_else(|| not_found(path, "folder"))?;
        let folder = self
            .objects()
            .folder(&node.id)
            .map_err(|reason| storage(path, reason))?;
        Ok(folder
            .nodes()
            .iter()
            .map(|node| Entry {
                name: node.name.to_string(),
                kind: node.kind,
            })
            .collect())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let read = self.read_within(path, usize::MAX)?;
        read.ok_or_else(|| not_found(path, "file"))
    }

    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        let node = self
            .node(path)?
            .filter(|node| matches!(node.kind, EntryKind::File | EntryKind::Link))
            .ok_or_else(|| not_found(path, "file"))?;
        let refused = |reason| storage(path, reason);
        let objects = self.objects();
        if let Some(bytes) = objects.known_blob(&node.id) {
            return Ok((bytes.len() <= limit).then_some(bytes));
        }
        if limit < usize::MAX && objects.size(&node.id).map_err(refused)? > limit as u64 {
            return Ok(None);
        }
        let bytes = objects.read(&node.id, Kind::Blob).map_err(refused)?;
        let bytes: Arc<[u8]> = bytes.into();
        objects.keep_blob(node.id, &bytes);
        Ok(Some(bytes))
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        Ok(self.node(path)?.map(|node| hash(&node.id)))
    }
}
