//! Pod: ready, or finished; failed when it crashes again and again or cannot be placed.

use std::time::Duration;

use serde_json::Value;

use super::conditions::{condition, explanation, is};
use super::{Health, text};

/// A pod that has just been made is often unschedulable until a node has room.
const PLACING: Duration = Duration::from_secs(15);

pub(super) fn check(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => Health::current("Pod has completed successfully"),
        "Failed" => Health::current("Pod has completed, but not successfully"),
        "Running" => running(object),
        "Pending" => pending(object),
        "" => Health::in_progress("Pod phase not available"),
        phase => Health::in_progress(format!("unknown phase {phase}")),
    }
}

fn running(object: &Value) -> Health {
    if is(object, "Ready", "True") {
        return Health::current("Pod is Ready");
    }
    match crash_looping(object) {
        Some(message) => Health::failed(message),
        None => Health::in_progress("Pod is running but is not Ready"),
    }
}

fn pending(object: &Value) -> Health {
    if let Some(message) = crash_looping(object) {
        return Health::failed(message);
    }
    let placed = condition(object, "PodScheduled");
    let unplaced =
        placed.filter(|placed| placed["status"] == "False" && placed["reason"] == "Unschedulable");
    match unplaced {
        Some(unplaced) if age(unplaced).is_some_and(|age| age >= PLACING) => Health::failed(
            format!("Pod could not be scheduled: {}", explanation(unplaced)),
        ),
        Some(_) => Health::in_progress("Pod has not been scheduled"),
        None => Health::in_progress("Pod is in the Pending phase"),
    }
}

/// Since when a condition holds.
fn age(condition: &Value) -> Option<Duration> {
    let since: jiff::Timestamp = condition["lastTransitionTime"].as_str()?.parse().ok()?;
    jiff::Timestamp::now().duration_since(since).try_into().ok()
}

/// The containers that crash again and again.
fn crash_looping(object: &Value) -> Option<String> {
    let containers = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| object["status"][list].as_array())
        .flatten()
        .filter(|container| container["state"]["waiting"]["reason"] == "CrashLoopBackOff");
    let names: Vec<_> = containers
        .filter_map(|container| container["name"].as_str())
        .collect();
    (!names.is_empty()).then(|| format!("Containers in CrashLoop state: {}", names.join(",")))
}
