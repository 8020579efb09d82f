//! The commits of a local repository, one after another on the way back: what promotions look for in the past.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gix::objs::{CommitRef, Kind};
use gix::refs::TargetRef;
use overlay::ObjectHash;

use super::cache::opened;
use super::error::SourceError;
use super::git_tree::{GitTree, Objects, hash};
use super::snapshot::Commit;
use super::verification::{self, TrustedKeys, VerificationError};

/// A local repository whose commits are read.
pub struct History {
    repository: gix::Repository,
    objects: Arc<Objects>,
}

/// A commit and its files.
#[derive(Clone)]
pub struct Point {
    /// The commit.
    pub commit: Commit,
    /// Its whole message.
    pub message: String,
    /// When it was committed, in seconds since 1970.
    pub seconds: i64,
    /// Its files.
    pub tree: GitTree,
    parent: Option<gix::ObjectId>,
}

/// What stands before a commit on the branch; of a merge the branch that was merged into.
pub enum Before {
    /// This commit.
    Commit(Box<Point>),
    /// Nothing: the commit is the first.
    Beginning,
    /// The repository is a shallow clone, and this is where it is cut.
    Cut,
}

impl History {
    /// Opens the repository that a folder belongs to.
    pub fn discover(folder: &Path) -> Result<Self, SourceError> {
        let repository = gix::discover(folder)
            .map_err(|error| SourceError::cache("opening the repository", error))?;
        let objects = Objects::open(repository.objects.store_ref().path())?;
        Ok(Self {
            repository,
            objects: Arc::new(objects),
        })
    }

    /// Opens a repository that only this program writes: no configuration but its own.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let repository = opened(folder)?;
        let objects = Objects::open(repository.objects.store_ref().path())?;
        Ok(Self {
            repository,
            objects: Arc::new(objects),
        })
    }

    /// The name of the trusted key that signed a commit.
    pub fn signer(
        &self,
        point: &Point,
        keys: &TrustedKeys,
        now: SystemTime,
    ) -> Result<String, VerificationError> {
        verification::commit(&self.objects, point.commit.id, keys, now)
    }

    /// The files below a tree that is known by its id alone; none when the repository does not hold it.
    pub fn tree(&self, id: &str) -> Option<GitTree> {
        let id = gix::ObjectId::from_hex(id.as_bytes()).ok()?;
        let found = self.repository.try_find_object(id).ok().flatten()?;
        (found.kind == Kind::Tree).then(|| GitTree::sharing(self.objects.clone(), hash(&id)))
    }

    /// The id that begins so.
    pub fn full_id(&self, beginning: &str) -> Option<String> {
        let found = self.repository.rev_parse_single(beginning).ok()?;
        Some(found.to_string())
    }

    /// The folder of its checked-out files.
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.repository.workdir().map(Path::to_owned)
    }

    /// The commit that a revision names.
    pub fn point(&self, revision: &str) -> Result<Point, SourceError> {
        let commit = self
            .repository
            .rev_parse_single(revision)
            .and_then(|id| id.object())
            .and_then(|object| object.peel_to_kind(Kind::Commit))
            .map_err(|error| SourceError::Cache {
                act: "resolving the revision",
                problem: format!("{revision}: {error}"),
            })?;
        self.read(commit.id)
    }

    /// What stands before a commit.
    pub fn before(&self, point: &Point) -> Result<Before, SourceError> {
        let Some(parent) = point.parent else {
            return Ok(Before::Beginning);
        };
        let found = self.repository.try_find_object(parent);
        match found.map_err(|error| SourceError::cache("looking for a commit", error))? {
            Some(_) => Ok(Before::Commit(Box::new(self.read(parent)?))),
            None => Ok(Before::Cut),
        }
    }

    /// The newest commit that two have in their past; none where they share none, or the clone is cut before it.
    pub fn common(&self, one: &Point, other: &Point) -> Result<Option<Point>, SourceError> {
        let [one, other] = [one, other].map(|point| gix::ObjectId::Sha1(point.commit.id.0));
        let found = self.repository.merge_base(one, other);
        let found = found.map_err(|error| SourceError::cache("comparing the past", error))?;
        found.map(|id| self.read(id.detach())).transpose()
    }

    /// The branch that is checked out; none where none is.
    pub fn branch(&self) -> Option<String> {
        let name = self.repository.head_name().ok().flatten()?;
        Some(name.shorten().to_string())
    }

    /// Whether there is a ref of this name.
    pub fn has_ref(&self, name: &str) -> bool {
        let found = self.repository.try_find_reference(name);
        found.is_ok_and(|found| found.is_some())
    }

    /// The default branch of a remote, where the clone remembers it.
    pub fn default_branch(&self, remote: &str) -> Option<String> {
        let head = format!("refs/remotes/{remote}/HEAD");
        let found = self.repository.try_find_reference(&head).ok().flatten()?;
        let TargetRef::Symbolic(name) = found.target() else {
            return None;
        };
        let name = name.as_bstr().to_string();
        let branch = name.strip_prefix(&format!("refs/remotes/{remote}/"))?;
        Some(branch.to_owned())
    }

    /// A file's bytes by its id; none when the repository does not hold it.
    pub fn blob(&self, id: ObjectHash) -> Option<Vec<u8>> {
        let id = gix::ObjectId::Sha1(id.0);
        let found = self.repository.try_find_object(id).ok().flatten()?;
        (found.kind == Kind::Blob).then(|| found.detach().data)
    }

    fn read(&self, id: gix::ObjectId) -> Result<Point, SourceError> {
        let act = "reading the commit";
        let commit = self.objects.commit(id)?;
        let bytes = self
            .objects
            .read(&id, Kind::Commit)
            .map_err(|error| SourceError::cache(act, error))?;
        let raw = CommitRef::from_bytes(&bytes, gix::hash::Kind::Sha1)
            .map_err(|error| SourceError::cache(act, error))?;
        let seconds = raw.committer().ok().and_then(|by| by.time().ok());
        Ok(Point {
            message: raw.message.to_string(),
            seconds: seconds.map_or(0, |time| time.seconds),
            parent: raw.parents().next(),
            tree: GitTree::sharing(self.objects.clone(), commit.tree),
            commit,
        })
    }
}
