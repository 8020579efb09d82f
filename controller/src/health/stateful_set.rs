//! StatefulSet: all replicas of the new revision; under `OnDelete` the pods are the user's business.

use serde_json::Value;

use super::{Health, number, text};

pub(super) fn check(object: &Value) -> Health {
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = number(object, "/spec/replicas", 1);
    let count = |name: &str| number(object, &format!("/status/{name}"), 0);
    let (replicas, ready) = (count("replicas"), count("readyReplicas"));
    let (current, updated) = (count("currentReplicas"), count("updatedReplicas"));
    if replicas < wanted {
        return Health::in_progress(format!("Replicas: {replicas}/{wanted}"));
    }
    if ready < wanted {
        return Health::in_progress(format!("Ready: {ready}/{wanted}"));
    }
    if replicas > wanted {
        return Health::in_progress(format!("Pending termination: {}", replicas - wanted));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition", 0);
    if partition > 0 {
        let due = wanted - partition;
        if updated < due {
            return Health::in_progress(format!("updated: {updated}/{due}"));
        }
        return Health::current(format!("Partition rollout complete. updated: {updated}"));
    }
    if current < wanted {
        return Health::in_progress(format!("current: {current}/{wanted}"));
    }
    if text(object, "/status/currentRevision") != text(object, "/status/updateRevision") {
        return Health::in_progress("Waiting for updated revision to match current");
    }
    Health::current(format!(
        "All replicas scheduled as expected. Replicas: {replicas}"
    ))
}
