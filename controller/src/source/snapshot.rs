//! What a source hands to the composer: a revision and its files.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use overlay::{ObjectHash, Shared, Tree};

/// One revision of a source.
#[derive(Clone)]
pub struct Snapshot {
    /// The revision as conditions show it, for example `main@sha1:…`.
    pub revision: String,
    /// What its maker calls the revision that it was made of: an OCI artifact's `org.opencontainers.image.revision`.
    pub origin_revision: Option<String>,
    /// The commit, when the source is a Git repository that this process fetched.
    pub commit: Option<Commit>,
    /// When the call, the annotation or the event came that made this process look and find it; when it began to look, if
    /// only the time had come.
    pub since: Instant,
    /// What the files are, whatever the revision is called: the same content means the same files.
    pub content: ObjectHash,
    /// The files: exactly those that Flux's artifact of the revision would hold.
    pub tree: Arc<dyn Tree>,
    /// What the builds of this revision share.
    pub shared: Arc<Shared>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("revision", &self.revision)
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

/// What is known of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectHash,
    /// The id of its tree.
    pub tree: ObjectHash,
    /// Who wrote it: `Name <mail>`.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}
