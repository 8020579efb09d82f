//! What of a stage with waves is held back from this environment: which version of a folder its source gives out.

use std::sync::Arc;
use std::time::Duration;

use overlay::{ObjectHash, Tree};
use tokio::sync::watch;

use crate::api::git_repository::condition::FETCH_FAILED;
use crate::reconcile::schedule::Key;
use crate::report::source::Trouble;
use crate::source::{Fetched, GitTree, graft};

/// How long a source waits to be told what was released.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much of a tree's id a revision shows.
const SHOWN: usize = 12;

/// A folder, and the version of it that was released.
#[derive(Clone)]
pub struct Released {
    /// The folder.
    pub folder: String,
    /// Its tree's id.
    pub id: ObjectHash,
    /// The version itself, where it is another than the newest.
    pub tree: Option<GitTree>,
}

/// What was released to this environment, for the source that holds it.
#[derive(Clone)]
pub struct Waves {
    source: Option<Key>,
    released: watch::Sender<Option<Arc<Vec<Released>>>>,
}

impl Waves {
    /// For this source; none when the process stands for no environment.
    pub fn new(source: Option<Key>) -> Self {
        Self {
            source,
            released: watch::Sender::new(None),
        }
    }

    /// Says what was released. True when a folder's version is another than before.
    pub fn set(&self, released: Vec<Released>) -> bool {
        let is_same =
            |one: &Released, other: &Released| (&one.folder, one.id) == (&other.folder, other.id);
        let before = self.released.send_replace(Some(Arc::new(released.clone())));
        before.is_none_or(|before| {
            before.len() != released.len()
                || !before
                    .iter()
                    .zip(&released)
                    .all(|(one, other)| is_same(one, other))
        })
    }

    /// The revision with the released version of each folder; what is newest and was not released does not get out.
    pub async fn held(&self, source: &Key, mut fetched: Fetched) -> Result<Fetched, Trouble> {
        if self.source.as_ref() != Some(source) {
            return Ok(fetched);
        }
        let released = self.known().await.ok_or_else(|| {
            let message = "it is not known yet what was released to this environment";
            trouble("WavesUnknown", message.to_owned())
        })?;
        for one in released.iter() {
            fetched = splice(fetched, one.clone()).await?;
        }
        Ok(fetched)
    }

    /// What was released, once that is known; none when it takes too long.
    async fn known(&self) -> Option<Arc<Vec<Released>>> {
        let mut known = self.released.subscribe();
        let known = tokio::time::timeout(PATIENCE, known.wait_for(Option::is_some)).await;
        known.ok()?.ok()?.clone()
    }
}

async fn splice(mut fetched: Fetched, released: Released) -> Result<Fetched, Trouble> {
    let folder = released.folder.clone();
    let unread = |problem: String| trouble("WavesFailed", problem);
    let now = fetched
        .tree
        .id(&folder)
        .map_err(|error| unread(error.to_string()))?;
    // A stage that is gone is nothing to hold back.
    if now.is_none() || now == Some(released.id) {
        return Ok(fetched);
    }
    let short: String = released.id.to_string().chars().take(SHOWN).collect();
    let Some(version) = released.tree else {
        let message = format!("{folder} stays at {short}, which the repository has no more");
        return Err(trouble("ReleasedTreeMissing", message));
    };
    let tree = fetched.tree.clone();
    let path = folder.clone();
    let work = tokio::task::spawn_blocking(move || graft::splice(&tree, &path, &version));
    let spliced = work.await.map_err(|error| unread(error.to_string()))?;
    fetched.tree = spliced.map_err(|error| unread(error.to_string()))?;
    fetched.revision = format!("{}+{folder}@{short}", fetched.revision);
    Ok(fetched)
}

fn trouble(reason: &'static str, message: String) -> Trouble {
    Trouble {
        condition: FETCH_FAILED,
        reason,
        message,
        stalled: false,
    }
}
