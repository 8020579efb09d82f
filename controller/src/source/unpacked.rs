//! The files of an archive that another controller made, in memory: nothing is unpacked on disk.
//!
//! Files and folders have the ids that Git would give them, so that what a build has read compares as it does for
//! commits.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use overlay::tree::folder_id;
use overlay::{Entry, EntryKind, ObjectHash, Tree, TreeError};
use tar::EntryType;

use super::filtered::Kept;
use super::ignore::{self, Rules};

/// How much an archive may unfold to.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files and folders.
    pub entries: usize,
    /// Folders in each other.
    pub depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: 512 * 1024 * 1024,
            entries: 250_000,
            depth: 200,
        }
    }
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no gzipped tar file, or ends too early.
    #[error("reading the archive: {0}")]
    Malformed(#[from] std::io::Error),
    /// A name leads out of the archive, or is not text.
    #[error("the archive holds a file of the name {0:?}")]
    Name(String),
    /// It holds more than it may.
    #[error("the archive holds more than {limit} {what}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
}

/// The files of an archive. Links are not there, as in the archives that Flux makes and takes.
#[derive(Debug)]
pub struct Unpacked {
    folders: BTreeMap<String, BTreeMap<String, Held>>,
    root: ObjectHash,
}

/// What a folder is called before all of its files are read.
const UNNAMED: ObjectHash = ObjectHash([0; 20]);

#[derive(Debug)]
enum Held {
    /// Its bytes, their id, and whether it is a program.
    File(Arc<[u8]>, ObjectHash, bool),
    Folder(ObjectHash),
}

impl Unpacked {
    /// Reads a gzipped tar file.
    pub fn read(archive: impl Read, budget: Budget) -> Result<Self, ArchiveError> {
        let mut unpacked = Self::empty();
        let mut left = budget.bytes;
        // A little more than the files may hold, for headers: a stream of them without end stops here.
        let limit = budget.bytes + 2048 * budget.entries as u64;
        let mut tar = tar::Archive::new(MultiGzDecoder::new(archive).take(limit));
        let mut count = 0;
        for entry in tar.entries()? {
            let mut entry = entry?;
            count += 1;
            if count > budget.entries {
                return Err(too_large(budget.entries as u64, "files and folders"));
            }
            let kind = entry.header().entry_type();
            if !matches!(kind, EntryType::Regular | EntryType::Directory) {
                continue;
            }
            let path = plain(&entry.path_bytes(), budget.depth)?;
            if kind == EntryType::Directory {
                unpacked.folder(&path);
                continue;
            }
            if entry.size() > left {
                return Err(too_large(budget.bytes, "bytes"));
            }
            left -= entry.size();
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            unpacked.file(&path, bytes.into(), executable)?;
        }
        unpacked.name_folders()?;
        Ok(unpacked)
    }

    /// The files of these names.
    pub fn of(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        budget: Budget,
    ) -> Result<Self, ArchiveError> {
        let mut unpacked = Self::empty();
        for (count, (name, bytes)) in files.into_iter().enumerate() {
            if count >= budget.entries {
                return Err(too_large(budget.entries as u64, "files and folders"));
            }
            let path = plain(name.as_bytes(), budget.depth)?;
            unpacked.file(&path, bytes.into(), false)?;
        }
        unpacked.name_folders()?;
        Ok(unpacked)
    }

    /// The same without what its `.sourceignore` files, these patterns and the defaults leave out.
    pub fn filtered(self, ignore: Option<&str>) -> Result<Self, ArchiveError> {
        let texts: Vec<(String, String)> = self
            .paths()
            .filter(|(path, _, _)| overlay::path::base(path) == ignore::FILE)
            .map(|(path, bytes, _)| {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                (
                    folder.to_owned(),
                    String::from_utf8_lossy(bytes).into_owned(),
                )
            })
            .collect();
        let texts = texts
            .iter()
            .map(|(folder, text)| (folder.as_str(), text.as_str()));
        let rules = Rules::of(texts.chain(ignore.map(|text| ("", text))), Vec::new());
        let mut kept = Self::empty();
        for (path, bytes, executable) in self.paths() {
            if !rules.leave_out(&path) {
                kept.file(&path, bytes.clone(), executable)?;
            }
        }
        kept.name_folders()?;
        Ok(kept)
    }

    fn empty() -> Self {
        Self {
            folders: BTreeMap::from([(String::new(), BTreeMap::new())]),
            root: UNNAMED,
        }
    }

    /// All files: those of a folder together.
    fn paths(&self) -> impl Iterator<Item = (String, &Arc<[u8]>, bool)> {
        self.folders.iter().flat_map(|(folder, entries)| {
            entries.iter().filter_map(move |(name, held)| match held {
                Held::File(bytes, _, executable) => {
                    Some((overlay::path::join(folder, name), bytes, *executable))
                }
                Held::Folder(_) => None,
            })
        })
    }

    /// All files, as an archive is written of them.
    pub(super) fn files(&self) -> Vec<Kept> {
        let kept = |(path, _, executable): (String, _, bool)| Kept {
            id: self.id_of_file(&path),
            path,
            executable,
        };
        self.paths().map(kept).collect()
    }

    fn id_of_file(&self, path: &str) -> gix::ObjectId {
        let id = match self.held(path) {
            Some(Held::File(_, id, _)) => id.0,
            _ => UNNAMED.0,
        };
        gix::ObjectId::from(id)
    }

    fn folder(&mut self, path: &str) {
        self.folders.entry(path.to_owned()).or_default();
        let mut below = path;
        while !below.is_empty() {
            let (above, name) = below.rsplit_once('/').unwrap_or(("", below));
            let entries = self.folders.entry(above.to_owned()).or_default();
            entries
                .entry(name.to_owned())
                .or_insert(Held::Folder(UNNAMED));
            below = above;
        }
    }

    fn file(&mut self, path: &str, bytes: Arc<[u8]>, executable: bool) -> Result<(), ArchiveError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() || self.folders.contains_key(path) {
            return Err(ArchiveError::Name(path.to_owned()));
        }
        self.folder(folder);
        let id = ObjectHash::of_blob(&bytes);
        let entries = self.folders.entry(folder.to_owned()).or_default();
        entries.insert(name.to_owned(), Held::File(bytes, id, executable));
        Ok(())
    }

    /// Drops empty folders, which Git does not know, and gives the others their ids, the deepest first.
    fn name_folders(&mut self) -> Result<(), ArchiveError> {
        let mut paths: Vec<String> = self
            .folders
            .keys()
            .filter(|path| !path.is_empty())
            .cloned()
            .collect();
        paths.sort_by_key(|path| std::cmp::Reverse(path.matches('/').count()));
        for path in paths {
            let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let is_empty = self.folders.get(&path).is_none_or(BTreeMap::is_empty);
            let id = folder_id(self, &path).map_err(std::io::Error::other)?;
            let Some(entries) = self.folders.get_mut(above) else {
                continue;
            };
            match entries.get_mut(name) {
                Some(Held::Folder(_)) if is_empty => drop(entries.remove(name)),
                Some(held @ Held::Folder(_)) => *held = Held::Folder(id),
                // A file took the place of a folder.
                _ => return Err(ArchiveError::Name(path.clone())),
            }
            if is_empty {
                self.folders.remove(&path);
            }
        }
        self.root = folder_id(self, "").map_err(std::io::Error::other)?;
        Ok(())
    }

    /// What the files are: the id of the folder at the root.
    pub fn content(&self) -> ObjectHash {
        self.root
    }

    fn held(&self, path: &str) -> Option<&Held> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.folders.get(folder)?.get(name)
    }
}

fn too_large(limit: u64, what: &'static str) -> ArchiveError {
    ArchiveError::TooLarge { limit, what }
}

/// A path of names only, without the `./` that some programs put first.
fn plain(bytes: &[u8], depth: usize) -> Result<String, ArchiveError> {
    let refuse = || ArchiveError::Name(String::from_utf8_lossy(bytes).into_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| refuse())?;
    if text.starts_with('/') || text.contains(['\\', '\0']) {
        return Err(refuse());
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        return Err(refuse());
    }
    match parts.len() > depth {
        true => Err(too_large(depth as u64, "folders in each other")),
        false => Ok(parts.join("/")),
    }
}

fn not_found(path: &str, wanted: &'static str) -> TreeError {
    TreeError::NotFound {
        path: path.to_owned(),
        wanted,
    }
}

impl Tree for Unpacked {
    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(match self.held(path) {
            _ if path.is_empty() => Some(EntryKind::Folder),
            Some(Held::File(..)) => Some(EntryKind::File),
            Some(Held::Folder(_)) => Some(EntryKind::Folder),
            None => None,
        })
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let entries = self
            .folders
            .get(path)
            .ok_or_else(|| not_found(path, "folder"))?;
        let entry = |(name, held): (&String, &Held)| Entry {
            name: name.clone(),
            kind: match held {
                Held::File(..) => EntryKind::File,
                Held::Folder(_) => EntryKind::Folder,
            },
        };
        Ok(entries.iter().map(entry).collect())
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.held(path) {
            Some(Held::File(bytes, _, _)) => Ok(bytes.clone()),
            _ => Err(not_found(path, "file")),
        }
    }

    fn id(&self, path: &str) -> Result<Option<ObjectHash>, TreeError> {
        Ok(match self.held(path) {
            _ if path.is_empty() => Some(self.root),
            Some(Held::File(_, id, _) | Held::Folder(id)) => Some(*id),
            None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use overlay::MemTree;
    use tar::{Builder, Header};

    use super::*;

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o600);
        header
    }

    /// An archive of entries: names that end in `/` are folders.
    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, content) in entries {
            let (kind, bytes) = match name.ends_with('/') {
                true => (EntryType::Directory, &b""[..]),
                false => (EntryType::Regular, content.as_bytes()),
            };
            let mut header = header(kind, bytes.len() as u64);
            // Written as they are: the library refuses names that lead out.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, bytes).expect("appended");
        }
        tar.into_inner()
            .and_then(GzEncoder::finish)
            .expect("written")
    }

    fn read(entries: &[(&str, &str)], budget: Budget) -> Result<Unpacked, ArchiveError> {
        Unpacked::read(archive(entries).as_slice(), budget)
    }

    #[test]
    fn files_have_the_ids_that_git_gives_them() {
        let entries = [
            ("./", ""),
            ("a.yaml", "a: 1\n"),
            ("empty/deeper/", ""),
            ("apps/", ""),
            ("apps/shop/b.yaml", "b: 2\n"),
            ("./apps.yaml", "c: 3\n"),
        ];
        let unpacked = read(&entries, Budget::default()).expect("readable");
        let mut expected = MemTree::new();
        for (name, content) in entries.iter().filter(|(name, _)| !name.ends_with('/')) {
            expected.insert(name.trim_start_matches("./"), content.as_bytes());
        }
        for path in [
            "",
            "a.yaml",
            "apps",
            "apps/shop",
            "apps/shop/b.yaml",
            "apps.yaml",
        ] {
            assert_eq!(
                unpacked.id(path).expect("id"),
                expected.id(path).expect("id"),
                "{path}"
            );
        }
        let names: Vec<String> = unpacked
            .list("")
            .expect("list")
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        assert_eq!(names, ["a.yaml", "apps", "apps.yaml"]);
        assert_eq!(
            &*unpacked.read("apps/shop/b.yaml").expect("read"),
            b"b: 2\n"
        );
        assert_eq!(unpacked.kind("empty").expect("kind"), None);
    }

    #[test]
    fn links_are_not_there() {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for kind in [EntryType::Symlink, EntryType::Link] {
            let mut header = header(kind, 0);
            tar.append_link(&mut header, "link", "/etc/passwd")
                .expect("appended");
        }
        let bytes = tar
            .into_inner()
            .and_then(GzEncoder::finish)
            .expect("written");
        let unpacked = Unpacked::read(bytes.as_slice(), Budget::default()).expect("readable");
        assert!(unpacked.list("").expect("list").is_empty());
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["../a", "/etc/passwd", "a/../../b", "a\\b"] {
            let error = read(&[(name, "x")], Budget::default())
                .map(|_| ())
                .expect_err(name);
            assert!(matches!(error, ArchiveError::Name(_)), "{name}: {error}");
        }
        for entries in [[("a", "x"), ("a/b", "y")], [("a/b", "y"), ("a", "x")]] {
            assert!(matches!(
                read(&entries, Budget::default()),
                Err(ArchiveError::Name(_))
            ));
        }
    }

    #[test]
    fn budgets_hold() {
        let tight = Budget {
            bytes: 10,
            entries: 3,
            depth: 2,
        };
        assert!(read(&[("a", "12345"), ("b", "12345")], tight).is_ok());
        for entries in [
            &[("a", "12345"), ("b", "123456")][..],
            &[("a", ""), ("b", ""), ("c", ""), ("d", "")][..],
            &[("a/b/c", "")][..],
        ] {
            let error = read(entries, tight).map(|_| ()).expect_err("too large");
            assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
        }
        let half = archive(&[("a", "12345")]);
        let error = Unpacked::read(&half[..half.len() / 2], Budget::default());
        assert!(matches!(error, Err(ArchiveError::Malformed(_))));
    }
}
