//! ReplicaSet: as many replicas as wanted, available and ready.

use serde_json::Value;

use super::conditions::{condition, explanation, is};
use super::{Health, number};

pub(super) fn check(object: &Value) -> Health {
    if is(object, "ReplicaFailure", "True") {
        let failure = condition(object, "ReplicaFailure").map(explanation);
        return Health::in_progress(format!("Replica Failure: {}", failure.unwrap_or_default()));
    }
    let wanted = number(object, "/spec/replicas", 1);
    let count = |name: &str| number(object, &format!("/status/{name}"), 0);
    let stages = [
        ("Labelled", count("fullyLabeledReplicas")),
        ("Available", count("availableReplicas")),
        ("Ready", count("readyReplicas")),
    ];
    if let Some((stage, have)) = stages.into_iter().find(|(_, have)| *have < wanted) {
        return Health::in_progress(format!("{stage}: {have}/{wanted}"));
    }
    let replicas = count("replicas");
    if replicas > wanted {
        return Health::in_progress(format!("Pending termination: {}", replicas - wanted));
    }
    Health::current(format!("ReplicaSet is available. Replicas: {replicas}"))
}
