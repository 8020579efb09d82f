//! Why a task wakes, and what tasks may want to hear.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::Key;
use crate::cluster::ObjectKey;
use crate::cluster::order::GroupKind;

/// Why a task wakes. Reasons that come while a run is under way merge into one wake after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// The object itself: spec, annotations, deletion, or its first sight.
    pub changed: bool,
    /// Its source has a new snapshot.
    pub source: bool,
    /// An object that it depends on became ready, or an object that depends on it went.
    pub dependency: bool,
    /// A ConfigMap or Secret that it reads has changed.
    pub input: bool,
    /// The time that its last run asked for has come.
    pub due: bool,
    /// Objects whose health may have changed.
    pub health: BTreeSet<ObjectKey>,
    /// Managed objects that someone has changed or deleted, we ourselves perhaps.
    pub altered: BTreeSet<ObjectKey>,
    /// Kinds whose watch now shows all objects.
    pub shown: BTreeSet<GroupKind>,
    /// When the first of these reasons came; none when only the time has come.
    pub told: Option<Instant>,
}

impl Wake {
    /// The object itself changed.
    pub fn changed() -> Self {
        Self {
            changed: true,
            ..Self::default()
        }
    }

    /// A new snapshot.
    pub fn source() -> Self {
        Self {
            source: true,
            ..Self::default()
        }
    }

    /// A dependency moved.
    pub fn dependency() -> Self {
        Self {
            dependency: true,
            ..Self::default()
        }
    }

    /// An input changed.
    pub fn input() -> Self {
        Self {
            input: true,
            ..Self::default()
        }
    }

    /// The time has come.
    pub fn due() -> Self {
        Self {
            due: true,
            ..Self::default()
        }
    }

    /// Nothing but objects whose health may have changed.
    pub fn is_health_only(&self) -> bool {
        let Self {
            changed,
            source,
            dependency,
            input,
            due,
            health: _,
            altered,
            shown,
            told: _,
        } = self;
        !(*changed || *source || *dependency || *input || *due)
            && altered.is_empty()
            && shown.is_empty()
    }

    /// Takes in another reason.
    pub fn merge(&mut self, other: Self) {
        self.changed |= other.changed;
        self.source |= other.source;
        self.dependency |= other.dependency;
        self.input |= other.input;
        self.due |= other.due;
        self.health.extend(other.health);
        self.altered.extend(other.altered);
        self.shown.extend(other.shown);
        self.told = self.told.into_iter().chain(other.told).min();
    }
}

/// What others may tell, and tasks may want to hear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A source's new snapshot.
    Source(Key),
    /// An object's readiness, or the revision that it is ready at.
    Ready(Key),
    /// Any change of an object, its status included.
    Object(Key),
    /// A ConfigMap or Secret, by kind, namespace and name.
    Input(&'static str, String, String),
}
