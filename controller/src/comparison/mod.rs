//! What a change of a repository does to its environments, as a value: computed here, printed by the files beside.
//!
//! ```text
//! (Graph, Graph) ──compare──▶ Comparison ──▶ text · json · markdown · html
//!                                       └──▶ affected: which environments, which objects, and why
//! ```
//! Values that are not known on either side are never said to change: they may.

mod affected;
mod compare;
mod conceal;
mod count;
mod deprecated;
mod fold;
pub mod html;
pub(crate) mod immutable;
pub mod json;
mod lines;
pub(crate) mod loss;
pub mod markdown;
mod matched;
mod pair;
mod pattern;
mod shared;
pub mod show;
pub mod text;
mod why;

use std::collections::BTreeMap;

use overlay::{ObjectId, Place};

use crate::cluster::{Rival, Shown};
use crate::environments::{Kind, LeafName};

pub use affected::{Affected, Reach, affected};
pub use compare::{Scope, compare};
pub use conceal::conceal;
pub use count::{Count, Counts, distinct};
pub use fold::{Group, groups};
pub use why::{Cause, causes};

/// What a change does to all environments.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The environments that it does anything to, by name.
    pub environments: Vec<EnvironmentChange>,
    /// The names of the others.
    pub unchanged: Vec<String>,
}

/// Whether an environment was there before and is there after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It is new.
    Added,
    /// It is there before and after.
    Kept,
    /// It goes. What it has applied in its cluster stays there until somebody deletes it.
    Removed,
}

/// What a change does to one environment.
#[derive(Clone, Debug)]
pub struct EnvironmentChange {
    /// Its name.
    pub name: String,
    /// How it was found.
    pub kind: Kind,
    /// The folder of the cluster's entry, or of the environment.
    pub path: String,
    /// The stages that it extends.
    pub stages: Vec<String>,
    /// Whether it was and is there.
    pub presence: Presence,
    /// Its Kustomizations with anything to tell, those that bring others first.
    pub leaves: Vec<LeafChange>,
    /// How many objects of each Kustomization stay as they are.
    pub unchanged: BTreeMap<LeafName, usize>,
    /// What the user should know, about objects that change.
    pub warnings: Vec<String>,
}

/// What a change does to one Kustomization of an environment.
#[derive(Clone, Debug)]
pub struct LeafChange {
    /// Who it is.
    pub name: LeafName,
    /// The folder that it builds.
    pub path: String,
    /// The objects that do not stay as they are, prunes last.
    pub objects: Vec<ObjectChange>,
    /// Why it cannot be compared.
    pub problem: Option<Problem>,
}

/// Why a Kustomization cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It builds no more.
    Breaks(String),
    /// It did not build before and does not now.
    StaysBroken(String),
    /// It builds now, and did not before: all its objects are shown as added.
    IsMended,
    /// Its files lie in another repository now.
    MovesOut(String),
    /// Its objects are in another cluster, to which this leads.
    AnotherCluster(String),
}

/// What is done with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Create,
    /// Leaves of it change.
    Change,
    /// Leaves of it may change: what they hold is not known.
    MayChange,
    /// These fields change, and cannot: it is deleted and created again, or refused where that is not allowed.
    Replace {
        /// The fields.
        fields: Vec<String>,
        /// Whether its Kustomization allows it.
        is_allowed: bool,
    },
    /// It is deleted.
    Prune {
        /// Its kind takes others, or data, along: the deletion waits for a confirmation.
        is_guarded: bool,
    },
    /// It is no longer there, and is not deleted, because of this.
    Leave(String),
    /// The API server refuses it, in these words.
    Refuse(String),
    /// It is wanted, and left alone, because of this.
    Skip(String),
}

/// What a change does to one object.
#[derive(Clone, Debug)]
pub struct ObjectChange {
    /// Who it is, or was.
    pub id: ObjectId,
    /// The name that it had, where a generator names it anew; where the ends of both are not shown, the same as now.
    pub old_name: Option<String>,
    /// The Kustomization that had it before, where that is another one.
    pub moved_from: Option<LeafName>,
    /// What is done.
    pub action: Action,
    /// The leaves that change.
    pub lines: Vec<Line>,
    /// Fields of it that others have written since, and that are taken back from them.
    pub rivals: Vec<Rival>,
    /// Whether this was told from what is there, without asking the API server to try.
    pub is_approximate: bool,
    /// Whether the cluster differs here without this change of the repository too.
    pub is_earlier: bool,
    /// Where it is, or was, first written.
    pub place: Place,
}

/// One leaf that changes. Values are as they may be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where: `spec.template.spec.containers[api].image`.
    pub path: String,
    /// What it is; none when it is added.
    pub before: Option<Shown>,
    /// What it becomes; none when it is removed.
    pub after: Option<Shown>,
    /// The values that are not known and that it depends on; with none it is certain that it changes.
    pub unknown: Vec<String>,
}

impl Line {
    /// Whether the leaf changes for certain.
    pub fn is_certain(&self) -> bool {
        self.unknown.is_empty()
    }
}

impl Comparison {
    /// Whether any environment no longer builds.
    pub fn breaks(&self) -> bool {
        let breaks = |leaf: &LeafChange| matches!(leaf.problem, Some(Problem::Breaks(_)));
        self.leaves().any(breaks)
    }

    /// All Kustomizations with anything to tell.
    pub fn leaves(&self) -> impl Iterator<Item = &LeafChange> {
        self.environments
            .iter()
            .flat_map(|environment| &environment.leaves)
    }

    /// All objects that do not stay as they are.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectChange> {
        self.leaves().flat_map(|leaf| &leaf.objects)
    }
}
