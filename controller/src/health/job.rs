//! Job, by Flux's rule: complete or suspended is current; having begun is not enough.

use serde_json::Value;

use super::conditions::{condition, explanation, is};
use super::{Health, number, text};

pub(super) fn check(object: &Value) -> Health {
    if is(object, "Failed", "True") {
        let failure = condition(object, "Failed").map(explanation);
        return Health::failed(format!("Job Failed: {}", failure.unwrap_or_default()));
    }
    if is(object, "Complete", "True") {
        let succeeded = number(object, "/status/succeeded", 0);
        return Health::current(format!("Job Completed. succeeded: {succeeded}"));
    }
    if object["spec"]["suspend"] == true {
        return Health::current("Job is suspended");
    }
    if text(object, "/status/startTime").is_empty() {
        return Health::in_progress("Job not started");
    }
    let count = |name: &str| number(object, &format!("/status/{name}"), 0);
    Health::in_progress(format!(
        "Job in progress. active: {}, succeeded: {}, failed: {}",
        count("active"),
        count("succeeded"),
        count("failed")
    ))
}
