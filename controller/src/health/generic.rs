//! The rules for every kind: those asked first, and those asked where a kind has no rule of its own.

use serde_json::Value;

use super::conditions::{condition, explanation, is};
use super::{Health, Status, number, text};

/// Asked before every rule, also those that are brought along; none when it is not being deleted, and its status
/// speaks of its present spec.
pub(super) fn outdated(object: &Value) -> Option<Health> {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return Some(Health::new(
            Status::Terminating,
            "Resource scheduled for deletion",
        ));
    }
    let generation = number(object, "/metadata/generation", 0);
    let observed = number(object, "/status/observedGeneration", generation);
    (observed != generation).then(|| {
        Health::in_progress(format!(
            "generation is {generation}, but the observed generation is {observed}"
        ))
    })
}

/// Asked before a kind's own rule; none when they have nothing to say.
pub(super) fn first(object: &Value) -> Option<Health> {
    if let Some(health) = outdated(object) {
        return Some(health);
    }
    let stated = |kind: &str| condition(object, kind).map(explanation).unwrap_or_default();
    if is(object, "Reconciling", "True") {
        return Some(Health::in_progress(stated("Reconciling")));
    }
    is(object, "Stalled", "True").then(|| Health::failed(stated("Stalled")))
}

/// Asked of kinds without a rule of their own: what the `Ready` condition says, and current without one.
pub(super) fn last(object: &Value) -> Health {
    match condition(object, "Ready") {
        Some(ready) if ready["status"] == "True" => Health::current("Resource is Ready"),
        Some(ready) => Health::in_progress(explanation(ready)),
        None => Health::current("Resource is current"),
    }
}
