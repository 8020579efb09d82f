//! A bare repository of our own with a branch's whole history, in which promotions are made: fetched, written to, pushed
//! from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::objs::tree::EntryKind;
use gix::objs::{Kind, Tree as TreeObject, Write as _, WriteTo};
use jiff::Timestamp;
use overlay::ObjectHash;

use super::cache::{opened, packs};
use super::error::SourceError;
use super::fetch::{Depth, fetch_all};
use super::git_tree::hash;
use super::history::{History, Point};
use super::push::NewObject;
use super::refresh::Repositories;
use super::remote::{Remote, RemoteUrl};
use super::server::Server;
use super::signing::SigningKey;

/// Where the branch is kept.
pub const BRANCH: &str = "refs/weir/branch";

/// Packs before a mirror is begun anew; the object database holds a few more.
const PACKS: usize = 200;

/// A repository that promotions are made in.
pub struct Mirror {
    path: PathBuf,
}

/// The refspec of a branch.
pub fn branch_spec(branch: &str) -> String {
    format!("+refs/heads/{branch}:{BRANCH}")
}

/// A file of a new commit; nothing where it goes.
pub type NewFile<'a> = (&'a str, Option<&'a [u8]>);

/// Who commits.
pub struct Committer<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their mail address.
    pub mail: &'a str,
    /// What they sign with.
    pub key: &'a SigningKey,
    /// When.
    pub at: Timestamp,
}

/// A commit that was made here, and what a server lacks of it.
#[derive(Clone, Debug)]
pub struct NewCommit {
    /// Its id.
    pub id: ObjectHash,
    /// The objects that were made.
    pub objects: Vec<NewObject>,
}

fn failed(error: impl std::fmt::Display) -> SourceError {
    SourceError::cache("writing the mirror", error)
}

impl Mirror {
    /// Opens it, or makes an empty one. One with as many packs as can be held open is begun anew.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        if packs(path).count() >= PACKS {
            std::fs::remove_dir_all(path).map_err(failed)?;
        }
        if opened(path).is_err() {
            std::fs::create_dir_all(path).map_err(failed)?;
            gix::init_bare(path).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Fetches by refspecs, with the whole history. To be called where blocking is allowed.
    pub fn fetch(
        &self,
        repositories: &Repositories,
        remote: &Remote,
        refspecs: &[String],
    ) -> Result<(), SourceError> {
        let (RemoteUrl::Http(url) | RemoteUrl::Ssh(url)) = &remote.url;
        let server = Server {
            url,
            way: repositories.way(remote)?,
            runtime: tokio::runtime::Handle::current(),
            timeout: remote.timeout,
        };
        let specs: Vec<&str> = refspecs.iter().map(String::as_str).collect();
        let repository = opened(&self.path)?;
        let interrupt = AtomicBool::new(false);
        fetch_all(&repository, &server, &specs, Depth::Whole, &interrupt)
            .map_err(super::fetch::Trouble::into_error)
    }

    /// What it holds now.
    pub fn history(&self) -> Result<History, SourceError> {
        History::open(&self.path)
    }

    /// What a ref points to; none when there is no such ref.
    pub fn id(&self, name: &str) -> Result<Option<ObjectHash>, SourceError> {
        let repository = opened(&self.path)?;
        let found = repository.try_find_reference(name).map_err(failed)?;
        Ok(found.and_then(|found| Some(hash(found.try_id()?.as_ref()))))
    }

    /// Makes a commit upon another, or one that stands alone with these files and no others. It is signed. Files that may
    /// be run are those that may be already, and the ones that are named.
    pub fn commit(
        &self,
        upon: Option<&Point>,
        files: &[NewFile<'_>],
        executables: &BTreeSet<String>,
        message: &str,
        by: &Committer<'_>,
    ) -> Result<NewCommit, SourceError> {
        let repository = opened(&self.path)?;
        let mut objects = Vec::new();
        let root = match upon {
            Some(point) => {
                let id = gix::ObjectId::Sha1(point.commit.tree.0);
                let tree = repository.find_tree(id).map_err(failed)?;
                tree.decode().map_err(failed)?.into()
            }
            None => TreeObject::empty(),
        };
        let is_executable = |path: &str| {
            let was = upon.is_some_and(|point| point.tree.is_executable(path));
            was || executables.contains(path)
        };
        let tree = with_files(&repository, root, files, &is_executable, &mut objects)?;
        let bytes = signed(tree, upon.map(|point| point.commit.id), message, by)?;
        let id = repository
            .objects
            .write_buf(Kind::Commit, &bytes)
            .map_err(failed)?;
        let kind = Kind::Commit;
        objects.push(NewObject { kind, bytes });
        Ok(NewCommit {
            id: hash(&id),
            objects,
        })
    }
}

/// A tree with files put in and taken out; a file that was executable stays so.
fn with_files(
    repository: &gix::Repository,
    root: TreeObject,
    files: &[NewFile<'_>],
    is_executable: &dyn Fn(&str) -> bool,
    objects: &mut Vec<NewObject>,
) -> Result<gix::ObjectId, SourceError> {
    let mut editor = gix::objs::tree::Editor::new(root, &repository.objects, gix::hash::Kind::Sha1);
    for (path, bytes) in files {
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(failed(format!("{path:?} is no path for a file")));
        }
        let Some(bytes) = bytes else {
            editor.remove(parts).map_err(failed)?;
            continue;
        };
        let id = repository.write_blob(bytes).map_err(failed)?.detach();
        objects.push(NewObject {
            kind: Kind::Blob,
            bytes: bytes.to_vec(),
        });
        let kind = match is_executable(path) {
            true => EntryKind::BlobExecutable,
            false => EntryKind::Blob,
        };
        editor.upsert(parts, kind, id).map_err(failed)?;
    }
    editor.write(|tree| {
        let mut bytes = Vec::new();
        tree.write_to(&mut bytes).map_err(failed)?;
        let id = repository
            .objects
            .write_buf(Kind::Tree, &bytes)
            .map_err(failed)?;
        let kind = Kind::Tree;
        objects.push(NewObject { kind, bytes });
        Ok(id)
    })
}

/// The bytes of a commit, with the signature in its header.
fn signed(
    tree: gix::ObjectId,
    parent: Option<ObjectHash>,
    message: &str,
    by: &Committer<'_>,
) -> Result<Vec<u8>, SourceError> {
    let parent = parent.map_or_else(String::new, |id| format!("parent {id}\n"));
    let who = format!("{} <{}> {} +0000", by.name, by.mail, by.at.as_second());
    let head = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n");
    let payload = format!("{head}\n{message}");
    let signature = by.key.sign(payload.as_bytes())?;
    let signature = signature.trim_end().replace('\n', "\n ");
    Ok(format!("{head}gpgsig {signature}\n\n{message}").into_bytes())
}
