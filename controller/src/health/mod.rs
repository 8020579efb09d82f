//! Whether an object is as it should be: a table from kind to check, and the generic rule for all others.
//!
//! The rules are those of kstatus as Flux uses it. Nothing here asks a server: objects come in, verdicts go out.

mod conditions;
pub mod custom;
mod daemon_set;
mod definition;
mod deployment;
mod generic;
mod job;
mod persistent_volume_claim;
mod pod;
mod replica_set;
mod service;
mod stateful_set;

use std::fmt;

use serde_json::Value;

/// kstatus' vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// As wanted.
    Current,
    /// On its way.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// Being deleted.
    Terminating,
    /// Not there.
    NotFound,
    /// It cannot be told.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A verdict and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: Status,
    /// The reason, in a few words.
    pub message: String,
}

impl Health {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn current(message: impl Into<String>) -> Self {
        Self::new(Status::Current, message)
    }

    pub(crate) fn in_progress(message: impl Into<String>) -> Self {
        Self::new(Status::InProgress, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    /// The verdict on an object that is not there.
    pub fn not_found() -> Self {
        Self::new(Status::NotFound, "not found")
    }
}

/// The rule of one kind, asked after the generic rules have had nothing to say.
type Check = fn(&Value) -> Health;

/// The checks by group and kind.
const CHECKS: [(&str, &str, Check); 13] = [
    ("", "Service", service::check),
    ("", "Pod", pod::check),
    ("", "Secret", always_current),
    ("", "ConfigMap", always_current),
    ("", "PersistentVolumeClaim", persistent_volume_claim::check),
    ("apps", "Deployment", deployment::check),
    ("apps", "StatefulSet", stateful_set::check),
    ("apps", "DaemonSet", daemon_set::check),
    ("apps", "ReplicaSet", replica_set::check),
    ("batch", "CronJob", always_current),
    ("batch", "Job", job::check),
    ("policy", "PodDisruptionBudget", always_current),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        definition::check,
    ),
];

fn always_current(_: &Value) -> Health {
    Health::current("Resource is always ready")
}

/// Whether objects of a kind can only be as they should be once their controller has written into the status which
/// generation it has seen: a Deployment is Available by a condition that comes with it.
pub fn waits_for_report(group: &str, kind: &str) -> bool {
    (group, kind) == ("apps", "Deployment")
}

/// The health of a live object.
pub fn assess(object: &Value) -> Health {
    let (group, kind) = group_and_kind(object);
    if let Some(health) = generic::first(object) {
        return health;
    }
    let own = CHECKS
        .iter()
        .find(|(own_group, own_kind, _)| *own_group == group && *own_kind == kind);
    match own {
        Some((_, _, check)) => check(object),
        None => generic::last(object),
    }
}

fn group_and_kind(object: &Value) -> (&str, &str) {
    let text = |key: &str| object[key].as_str().unwrap_or_default();
    let api_version = text("apiVersion");
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    (group, text("kind"))
}

/// A whole number in an object; `default` where there is none.
fn number(object: &Value, path: &str, default: i64) -> i64 {
    object
        .pointer(path)
        .and_then(Value::as_i64)
        .unwrap_or(default)
}

/// A text in an object; empty where there is none.
fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
