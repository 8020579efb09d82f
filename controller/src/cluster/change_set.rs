//! What was done: one entry an object, in Flux's words.

use std::fmt;
use std::sync::Arc;

use overlay::ObjectId;
use serde_json::Value;

use super::live::{ObjectKey, Proof, Proofs};

/// What was done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was not there, or was replaced.
    Created,
    /// It was there and was changed.
    Configured,
    /// It was there as wanted.
    Unchanged,
    /// It was left alone.
    Skipped,
    /// It was deleted, or was gone already.
    Deleted,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
        })
    }
}

/// What was done with one object.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// What was done.
    pub done: Done,
    /// What shows later that it is still so; none for skipped and deleted objects.
    pub proof: Option<Proof>,
    /// The object as the server answered, for health; none for Secrets, ConfigMaps and objects that hold secrets.
    pub answer: Option<Arc<Value>>,
}

impl fmt::Display for Entry {
    /// `Deployment/shop/api configured`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.done)
    }
}

/// What was done, in the order it was done.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// One entry an object.
    pub entries: Vec<Entry>,
}

impl ChangeSet {
    /// The proofs of all that is now known to be as wanted.
    pub fn proofs(&self) -> Proofs {
        self.entries
            .iter()
            .filter_map(|entry| Some((ObjectKey::from(&entry.id), entry.proof.clone()?)))
            .collect()
    }

    /// Entries that changed the cluster.
    pub fn changed(&self) -> impl Iterator<Item = &Entry> {
        let writes = |entry: &&Entry| !matches!(entry.done, Done::Unchanged | Done::Skipped);
        self.entries.iter().filter(writes)
    }
}
