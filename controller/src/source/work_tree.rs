//! Folders on disk as a [`Tree`], for the command line: `weir build DIR` reads what lies there, committed or not.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use overlay::tree::folder_id;
use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};

/// A folder on disk. Nothing outside it is read: parts of a path that are links are not followed, so a link that
/// leads out leads nowhere. Links inside are the composer's to resolve.
#[derive(Debug)]
pub struct WorkTree {
    root: PathBuf,
    /// Folders that were looked at and are no links; they are asked for again and again.
    folders: Mutex<HashSet<String>>,
    /// Ids that were asked for; that of a folder takes those of all that lies below it.
    ids: Mutex<HashMap<String, ObjectHash>>,
}

/// Why a folder cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum WorkTreeError {
    /// It is not there, or not readable.
    #[error("{}: {source}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a file.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// It lies outside the root that the user named.
    #[error("{} is outside {}", path.display(), root.display())]
    Outside {
        /// The folder.
        path: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// Its path is not text.
    #[error("{} is not valid UTF-8", .0.display())]
    NotText(PathBuf),
}

/// Opens the tree that a folder belongs to, and the folder's path in it. The root is the one given, else the
/// enclosing Git work tree, else the whole file system, which is what kustomize sees.
pub fn open(folder: &Path, root: Option<&Path>) -> Result<(WorkTree, String), WorkTreeError> {
    let folder = real(folder)?;
    if !folder.is_dir() {
        return Err(WorkTreeError::NotAFolder(folder));
    }
    let root = match root {
        Some(root) => real(root)?,
        None => enclosing_work_tree(&folder),
    };
    let Ok(path) = folder.strip_prefix(&root) else {
        return Err(WorkTreeError::Outside { path: folder, root });
    };
    let path = path
        .to_str()
        .ok_or_else(|| WorkTreeError::NotText(folder.clone()))?
        .to_owned();
    Ok((WorkTree::new(root), path))
}

fn real(path: &Path) -> Result<PathBuf, WorkTreeError> {
    path.canonicalize().map_err(|source| WorkTreeError::Open {
        path: path.to_owned(),
        source,
    })
}

/// The root of the Git work tree that a folder lies in.
pub fn root_of(folder: &Path) -> Result<Option<PathBuf>, WorkTreeError> {
    let root = enclosing_work_tree(&real(folder)?);
    Ok((root != Path::new("/")).then_some(root))
}

/// The folder above (or this one) that holds `.git`, which is a file in linked work trees.
fn enclosing_work_tree(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|above| above.join(".git").exists());
    found.unwrap_or(Path::new("/")).to_owned()
}

impl WorkTree {
    /// The tree below a folder.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            folders: Mutex::default(),
            ids: Mutex::default(),
        }
    }

    /// Where a path lies on disk; `None` when a part on the way is a link or missing.
    fn locate(&self, path: &str) -> Result<Option<PathBuf>, TreeError> {
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        for parent in parents {
            if !self.is_folder(parent)? {
                return Ok(None);
            }
        }
        Ok(Some(self.root.join(path)))
    }

    fn is_folder(&self, path: &str) -> Result<bool, TreeError> {
        if self.known().contains(path) {
            return Ok(true);
        }
        let is_folder = kind_on_disk(&self.root.join(path), path)? == Some(EntryKind::Folder);
        if is_folder {
            self.known().insert(path.to_owned());
        }
        Ok(is_folder)
    }

    fn id_of(&self, path: &str, kind: EntryKind) -> Result<ObjectHash, TreeError> {
        let ids = || self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids().get(path) {
            return Ok(*id);
        }
        let id = match kind {
            EntryKind::Folder => folder_id(self, path)?,
            _ => ObjectHash::of_blob(&self.read(path)?),
        };
        ids().insert(path.to_owned(), id);
        Ok(id)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind_on_disk(file: &Path, path: &str) -> Result<Option<EntryKind>, TreeError> {
    match fs::symlink_metadata(file) {
        Ok(metadata) => Ok(kind_of(metadata.file_type())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(storage(path, &error)),
    }
}

/// Sockets, devices and pipes are nothing that a manifest could be.
fn kind_of(kind: fs::FileType) -> Option<EntryKind> {
    if kind.is_symlink() {
        Some(EntryKind::Link)
    } else if kind.is_dir() {
        Some(EntryKind::Folder)
    } else if kind.is_file() {
        Some(EntryKind::File)
    } else {
        None
    }
}

/// The bytes of a file, and one more than the limit of a file that has more.
fn beginning(file: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let file = fs::File::open(file)?;
    let most = limit.saturating_add(1);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size.min(most));
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn storage(path: &str, error: &std::io::Error) -> TreeError {
    TreeError::Storage {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn not_found(path: &str, wanted: &'static str) -> TreeError {
    TreeError::NotFound {
        path: path.to_owned(),
        wanted,
    }
}

impl Tree for WorkTree {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        match self.locate(path)? {
            Some(file) => kind_on_disk(&file, path),
            None => Ok(None),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let folder = self
            .locate(path)?
            .ok_or_else(|| not_found(path, "folder"))?;
        if !path.is_empty() && !self.is_folder(path)? {
            return Err(not_found(path, "folder"));
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| storage(path, &error))? {
            let entry = entry.map_err(|error| storage(path, &error))?;
            let kind = entry.file_type().map_err(|error| storage(path, &error))?;
            // Names that are not text cannot be written in a kustomization file.
            if let (Some(kind), Ok(name)) = (kind_of(kind), entry.file_name().into_string())
                && name != ".git"
            {
                entries.push(Entry { name, kind });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let read = self.read_within(path, usize::MAX)?;
        read.ok_or_else(|| not_found(path, "file"))
    }

    fn read_within(&self, path: &str, limit: usize) -> Result<Option<Arc<[u8]>>, TreeError> {
        let file = self.locate(path)?.ok_or_else(|| not_found(path, "file"))?;
        let bytes = match kind_on_disk(&file, path)? {
            Some(EntryKind::File) => {
                beginning(&file, limit).map_err(|error| storage(path, &error))?
            }
            Some(EntryKind::Link) => {
                let target = fs::read_link(&file).map_err(|error| storage(path, &error))?;
                target.into_os_string().into_encoded_bytes()
            }
            _ => return Err(not_found(path, "file")),
        };
        Ok((bytes.len() <= limit).then(|| bytes.into()))
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        match self.kind(path)? {
            None => Ok(None),
            Some(kind) => self.id_of(path, kind).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, WorkTree) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("inside/deep")).expect("folders");
        fs::write(folder.path().join("inside/deep/a.yaml"), "a: 1\n").expect("a file");
        std::os::unix::fs::symlink("/etc", folder.path().join("out")).expect("a link");
        std::os::unix::fs::symlink("deep", folder.path().join("inside/link")).expect("a link");
        let tree = WorkTree::new(folder.path().to_owned());
        (folder, tree)
    }

    #[test]
    fn links_are_shown_and_not_followed() {
        let (_folder, tree) = tree();
        assert_eq!(tree.kind("out").expect("kind"), Some(EntryKind::Link));
        assert_eq!(&*tree.read("out").expect("target"), b"/etc");
        assert_eq!(tree.kind("out/passwd").expect("kind"), None);
        assert!(tree.read("out/passwd").is_err());
        assert!(tree.list("out").is_err());
        assert_eq!(tree.kind("inside/link/a.yaml").expect("kind"), None);
    }

    #[test]
    fn of_a_long_file_no_more_is_read_than_tells_that_it_is() {
        let (folder, tree) = tree();
        let file = fs::File::create(folder.path().join("long")).expect("a file");
        file.set_len(1 << 40).expect("a file with a hole");
        assert_eq!(tree.read_within("long", 1000), Ok(None));
        let short = tree.read_within("inside/deep/a.yaml", 5);
        assert_eq!(short, Ok(Some(b"a: 1\n"[..].into())));
        assert_eq!(tree.read_within("inside/deep/a.yaml", 4), Ok(None));
    }

    #[test]
    fn ids_are_those_of_git() {
        let (_folder, tree) = tree();
        let id = tree.id("inside/deep/a.yaml").expect("id").expect("there");
        assert_eq!(id.to_string(), "a8926a52d8dcba5c4386945476ab6a2ad008afd4");
    }

    #[test]
    fn a_folder_is_found_in_its_work_tree() {
        let (folder, _tree) = tree();
        fs::create_dir(folder.path().join(".git")).expect("a folder");
        let (tree, path) = open(&folder.path().join("inside/deep"), None).expect("open");
        assert_eq!(path, "inside/deep");
        assert_eq!(tree.list("").expect("list").len(), 2);
        let outside = open(folder.path(), Some(&folder.path().join("inside")));
        assert!(matches!(outside, Err(WorkTreeError::Outside { .. })));
    }
}
