//! A mirror that commits are made in, signed and pushed from, as the controller does it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use controller::source::history::Point;
use controller::source::mirror::{BRANCH, Committer, Mirror, NewCommit, NewFile, branch_spec};
use controller::source::push::{PushError, Pushed, Update, push};
use controller::source::signing::SigningKey;
use controller::source::{Access, Remote, RemoteUrl, Repositories};
use overlay::ObjectHash;
use tempfile::TempDir;
use weir_tests::SshKey;

/// A mirror of the repository on a server, and the key that it signs with.
pub(crate) struct Writer {
    pub(crate) repositories: Arc<Repositories>,
    pub(crate) remote: Remote,
    pub(crate) mirror: Mirror,
    key: SigningKey,
    pub(crate) public: String,
    _folder: TempDir,
}

impl Writer {
    pub(crate) fn new(url: &str, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SshKey::generate("ed25519", "");
        Self {
            repositories: Arc::new(Repositories::new(folder.path().join("caches"))),
            remote: Remote {
                url: RemoteUrl::parse(url).unwrap().0,
                access,
                timeout: Duration::from_secs(20),
            },
            mirror: Mirror::open(&folder.path().join("mirror")).unwrap(),
            key: SigningKey::read(key.private.as_bytes()).unwrap(),
            public: key.public,
            _folder: folder,
        }
    }

    pub(crate) fn fetch(&self) {
        self.mirror
            .fetch(&self.repositories, &self.remote, &[branch_spec("main")])
            .unwrap();
    }

    pub(crate) fn head(&self) -> ObjectHash {
        self.mirror.id(BRANCH).unwrap().unwrap()
    }

    pub(crate) fn commit(&self, files: &[NewFile<'_>], message: &str) -> NewCommit {
        let point = self.mirror.history().unwrap().point(BRANCH).unwrap();
        self.make(Some(&point), files, message)
    }

    pub(crate) fn make(
        &self,
        upon: Option<&Point>,
        files: &[NewFile<'_>],
        message: &str,
    ) -> NewCommit {
        let by = Committer {
            name: "weir of staging",
            mail: "weir@staging",
            key: &self.key,
            at: "2026-11-23T12:00:00Z".parse().unwrap(),
        };
        self.mirror
            .commit(upon, files, &BTreeSet::new(), message, &by)
            .unwrap()
    }

    pub(crate) fn push(
        &self,
        name: &str,
        old: Option<ObjectHash>,
        new: &NewCommit,
    ) -> Result<Pushed, PushError> {
        let update = Update {
            name,
            old,
            new: new.id,
        };
        push(&self.repositories, &self.remote, &update, &new.objects)
    }

    /// Commits one file for each round upon what the server has, however often somebody else is faster.
    pub(crate) fn race(&self, name: &str, rounds: usize) {
        for round in 0..rounds {
            loop {
                self.fetch();
                let path = format!("{name}/{round}");
                let files: [NewFile<'_>; 1] = [(&path, Some(b"1"))];
                let commit = self.commit(&files, "a round\n");
                match self.push("refs/heads/main", Some(self.head()), &commit) {
                    Ok(Pushed::Done) => break,
                    Ok(Pushed::Outrun) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
