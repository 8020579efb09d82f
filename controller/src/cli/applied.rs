//! What a cluster has applied of some folders: the histories that its Kustomizations keep.

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use overlay::path::{clean, is_within};
use serde_json::{Value, json};

use super::Failure;
use super::connection::{Connection, kustomizations};
use crate::api::kustomization::{HistoryEntry, Kustomization, reason};
use crate::environments::Folders;

/// An outcome of a Kustomization, and how often it was met.
pub(super) struct Applied {
    /// Namespace and name of the Kustomization.
    pub(super) kustomization: String,
    entry: HistoryEntry,
}

impl Applied {
    /// The last time.
    pub(super) fn at(&self) -> Timestamp {
        self.entry.last_reconciled.0
    }

    /// The commit of `main@sha1:5b7d…`; empty where it is not known.
    pub(super) fn commit(&self) -> &str {
        let metadata = self.entry.metadata.as_ref();
        let revision = metadata.and_then(|metadata| metadata.get("revision"));
        let id = revision.and_then(|revision| revision.rsplit_once(':'));
        id.map_or("", |(_, id)| id)
    }

    /// The outcome in words.
    pub(super) fn text(&self) -> String {
        let entry = &self.entry;
        let reason = &entry.last_reconciled_status;
        match entry.total_reconciliations {
            0 | 1 => reason.clone(),
            times => format!("{reason}, {times} times since {}", entry.first_reconciled.0),
        }
    }

    /// The same for machines.
    pub(super) fn value(&self) -> Value {
        json!({
            "time": self.at().to_string(),
            "what": self.word(),
            "commit": self.commit(),
            "kustomization": self.kustomization,
            "reason": self.entry.last_reconciled_status,
            "since": self.entry.first_reconciled.0.to_string(),
            "times": self.entry.total_reconciliations,
        })
    }

    /// One word.
    pub(super) fn word(&self) -> &'static str {
        match self.entry.last_reconciled_status.as_str() {
            reason::RECONCILIATION_SUCCEEDED => "applied",
            _ => "failed",
        }
    }
}

/// Asks a cluster for what it has applied of any of these folders.
pub(super) fn applied(
    connection: &Connection,
    folders: &Folders,
    wanted: &[String],
) -> Result<Vec<Applied>, Failure> {
    let found = super::asynchronously(kustomizations(connection))?;
    let builds = |object: &&Kustomization| {
        let path = object.spec.path.as_deref().unwrap_or_default();
        let path = clean("", path).unwrap_or_default();
        let closure = folders.closure(&path);
        let mut built = closure.into_iter().chain([path.as_str()]);
        built.any(|built| wanted.iter().any(|folder| is_within(built, folder)))
    };
    Ok(found.iter().filter(builds).flat_map(outcomes).collect())
}

fn outcomes(object: &Kustomization) -> Vec<Applied> {
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    let kustomization = format!("{namespace}/{}", object.name_any());
    let history = object.status.iter().flat_map(|status| &status.history);
    let outcome = |entry: &HistoryEntry| Applied {
        kustomization: kustomization.clone(),
        entry: entry.clone(),
    };
    history.map(outcome).collect()
}
