//! DaemonSet: a new pod, available, on every node that wants one.

use serde_json::Value;

use super::{Health, number};

pub(super) fn check(object: &Value) -> Health {
    // Its controller states an observed generation as soon as it has seen the object.
    if object.pointer("/status/observedGeneration").is_none() {
        return Health::in_progress("missing status.observedGeneration");
    }
    let count = |name: &str| number(object, &format!("/status/{name}"), 0);
    let wanted = number(object, "/status/desiredNumberScheduled", -1);
    if wanted < 0 {
        return Health::in_progress("missing .status.desiredNumberScheduled");
    }
    let stages = [
        ("Current", count("currentNumberScheduled")),
        ("Updated", count("updatedNumberScheduled")),
        ("Available", count("numberAvailable")),
        ("Ready", count("numberReady")),
    ];
    match stages.into_iter().find(|(_, have)| *have < wanted) {
        Some((stage, have)) => Health::in_progress(format!("{stage}: {have}/{wanted}")),
        None => Health::current(format!(
            "All replicas scheduled as expected. Replicas: {wanted}"
        )),
    }
}
