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
pub mod pods;
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

/// The checks by group and kind; none where an object only has to be there.
const CHECKS: [(&str, &str, Option<Check>); 13] = [
    ("", "Service", Some(service::check)),
    ("", "Pod", Some(pod::check)),
    ("", "Secret", None),
    ("", "ConfigMap", None),
    (
        "",
        "PersistentVolumeClaim",
        Some(persistent_volume_claim::check),
    ),
    ("apps", "Deployment", Some(deployment::check)),
    ("apps", "StatefulSet", Some(stateful_set::check)),
    ("apps", "DaemonSet", Some(daemon_set::check)),
    ("apps", "ReplicaSet", Some(replica_set::check)),
    ("batch", "CronJob", None),
    ("batch", "Job", Some(job::check)),
    ("policy", "PodDisruptionBudget", Some(seen)),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        Some(definition::check),
    ),
];

/// Whether every object of a kind is as it should be for as long as it is there.
pub fn is_always_current(group: &str, kind: &str) -> bool {
    matches!(rule(group, kind), Some(None))
}

/// Its controller has seen it, as the generic rules have found by its generations, and that is all there is to see.
fn seen(_: &Value) -> Health {
    Health::current("Resource is always ready")
}

fn rule(group: &str, kind: &str) -> Option<Option<Check>> {
    let own = CHECKS
        .iter()
        .find(|(own_group, own_kind, _)| *own_group == group && *own_kind == kind);
    own.map(|(_, _, check)| *check)
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
    match rule(group, kind) {
        Some(Some(check)) => check(object),
        Some(None) => seen(object),
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
