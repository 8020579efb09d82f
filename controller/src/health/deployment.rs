//! Deployment: all replicas new and available, and the rollout said to be complete.

use serde_json::Value;

use super::conditions::{condition, explanation, is};
use super::{Health, number};

pub(super) fn check(object: &Value) -> Health {
    let progressing = condition(object, "Progressing");
    let reason = progressing
        .and_then(|condition| condition["reason"].as_str())
        .unwrap_or_default();
    if reason == "ProgressDeadlineExceeded" {
        return Health::failed(progressing.map(explanation).unwrap_or_default());
    }
    let wanted = number(object, "/spec/replicas", 1);
    let count = |name: &str| number(object, &format!("/status/{name}"), 0);
    let (replicas, updated) = (count("replicas"), count("updatedReplicas"));
    let (available, ready) = (count("availableReplicas"), count("readyReplicas"));
    if replicas < wanted {
        return Health::in_progress(format!("Replicas: {replicas}/{wanted}"));
    }
    if updated < wanted {
        return Health::in_progress(format!("Updated: {updated}/{wanted}"));
    }
    if replicas > wanted {
        return Health::in_progress(format!("Pending termination: {}", replicas - wanted));
    }
    if updated > available {
        return Health::in_progress(format!("Available: {available}/{updated}"));
    }
    if ready < wanted {
        return Health::in_progress(format!("Ready: {ready}/{wanted}"));
    }
    // Without a progress deadline the controller states no progress.
    let has_deadline = number(object, "/spec/progressDeadlineSeconds", 0) != i64::from(i32::MAX);
    let complete = reason == "NewReplicaSetAvailable" && is(object, "Progressing", "True");
    if has_deadline && !complete {
        return Health::in_progress("ReplicaSet not Available");
    }
    if !is(object, "Available", "True") {
        return Health::in_progress("Deployment not Available");
    }
    Health::current(format!("Deployment is available. Replicas: {replicas}"))
}
