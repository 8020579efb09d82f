//! Printers of one report: conditions, events, metrics.

pub mod conditions;
pub mod events;
pub mod failure;
pub mod gauges;
pub mod git_repository;
pub mod history;
pub mod kustomization;
pub mod logs;
pub mod metrics;
pub mod notify;
pub mod package;
mod process;
pub mod source;

use std::time::Duration;

use crate::cluster::{ChangeSet, Inventory};
use failure::Failure;

/// What one run of a Kustomization found and did. A run that failed keeps what it did before.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The revision that was tried; none when there was no source, or its time had not come.
    pub revision: Option<String>,
    /// What the source's maker calls the revision that it was made of.
    pub origin_revision: Option<String>,
    /// Digest of the objects that the revision makes.
    pub digest: Option<String>,
    /// What was applied and deleted.
    pub changes: ChangeSet,
    /// What the Kustomization answers for from now on; none when that did not change.
    pub inventory: Option<Inventory>,
    /// Objects that have drifted and are left so, because that was asked for.
    pub drifted: Vec<String>,
    /// Parts of Flux that came along and are not applied, because Weir does their work.
    pub left_out: Vec<String>,
    /// Fields that another writer keeps changing.
    pub contested: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Whether it was told before that health was not as it should be.
    pub recovered: bool,
    /// How it stands.
    pub outcome: Outcome,
    /// How the health checks stand, where the outcome is about something else.
    pub health: Option<Outcome>,
    /// How long it took.
    pub took: Duration,
}

/// How a Kustomization stands after a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// All is applied; and healthy, where that was asked for.
    #[default]
    Ready,
    /// All is applied, and has so long to become healthy.
    Progressing(Duration),
    /// Something is wrong.
    Failed(Failure),
}
