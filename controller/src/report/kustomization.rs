//! A report on a Kustomization as its status and as events.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};

use super::conditions::{self, Statement, Status};
use super::events::{Event, Severity};
use super::failure::{Again, Failure};
use super::history::{self, Met};
use super::{Outcome, Report};
use crate::api::duration;
use crate::api::inventory::ResourceReference;
use crate::api::kustomization::condition::{DRIFTED, HEALTHY};
use crate::api::kustomization::{
    GROUP, Kustomization, KustomizationSpec, KustomizationStatus, ResourceInventory, reason,
};
use crate::api::meta::REQUESTED_AT;
use crate::api::meta::condition::{READY, RECONCILING, STALLED};
use crate::api::meta::reason::{PROGRESSING, PROGRESSING_WITH_RETRY, SUCCEEDED};
use crate::cluster::inventory::{Inventory, format_id};

/// Annotations with this prefix go into the metadata of events.
const EVENT_METADATA: &str = "event.toolkit.fluxcd.io/";

const HEALTH_CHECK_PASSED: &str = "Health check passed";

/// The status that the report makes of the object's present one.
pub fn status(object: &Kustomization, report: &Report) -> KustomizationStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(revision) = report.revision.as_ref().filter(|_| is_attempted(report)) {
        status.last_attempted_revision = Some(revision.clone());
    }
    if let Some(inventory) = &report.inventory {
        status.inventory = Some(entries(inventory));
    }
    match &report.outcome {
        Outcome::Ready => ready(object, report, &mut status),
        Outcome::Progressing(timeout) => {
            in_progress(object, &checking(report, *timeout), &mut status);
        }
        Outcome::Failed(failure) => failed(object, failure, &mut status),
    }
    healthy(object, report, &mut status);
    if !matches!(report.outcome, Outcome::Progressing(_)) {
        answer_request(object, &mut status);
        remember(report, &mut status);
    }
    drifted(object, report, &mut status);
    status
}

/// What is not in line and left so for now.
fn drifted(object: &Kustomization, report: &Report, status: &mut KustomizationStatus) {
    let (reason, lines) = match report.drifted.is_empty() {
        true => (reason::FIELDS_CONTESTED, &report.contested),
        false => (reason::DRIFT_REPORTED, &report.drifted),
    };
    let conditions = &mut status.conditions;
    if lines.is_empty() {
        conditions::remove(conditions, DRIFTED);
        return;
    }
    let generation = object.metadata.generation.unwrap_or_default();
    let drifted = Statement::new(DRIFTED, Status::True, reason, lines.join("\n"));
    conditions::set(conditions, drifted, generation);
}

/// The status while work is under way, with what is answered for from now on.
pub fn begun(object: &Kustomization, revision: &str, inventory: &Inventory) -> KustomizationStatus {
    let mut status = object.status.clone().unwrap_or_default();
    status.last_attempted_revision = Some(revision.to_owned());
    status.inventory = Some(entries(inventory));
    let message = format!("Applying manifests for revision {revision}");
    in_progress(object, &message, &mut status);
    status
}

/// Notes that the request for a reconcile has been answered.
pub fn answer_request(object: &Kustomization, status: &mut KustomizationStatus) {
    if let Some(requested) = object.annotations().get(REQUESTED_AT) {
        status.last_handled_reconcile_at = Some(requested.clone());
    }
}

/// Whether a spec asks for health checks.
pub fn checks_health(spec: &KustomizationSpec) -> bool {
    spec.wait == Some(true) || !spec.health_checks.is_empty()
}

fn ready(object: &Kustomization, report: &Report, status: &mut KustomizationStatus) {
    let generation = object.metadata.generation.unwrap_or_default();
    let revision = report.revision.clone().unwrap_or_default();
    let message = format!("Applied revision: {revision}");
    let conditions = &mut status.conditions;
    conditions::remove(conditions, RECONCILING);
    conditions::remove(conditions, STALLED);
    let ready = Statement::new(
        READY,
        Status::True,
        reason::RECONCILIATION_SUCCEEDED,
        message,
    );
    conditions::set(conditions, ready, generation);
    status.last_applied_revision = Some(revision);
    status
        .last_applied_origin_revision
        .clone_from(&report.origin_revision);
    status.observed_generation = object.metadata.generation;
}

/// What is told while health is waited for.
fn checking(report: &Report, timeout: Duration) -> String {
    let revision = report.revision.as_deref().unwrap_or_default();
    let timeout = duration::format(timeout);
    format!("Running health checks for revision {revision} with a timeout of {timeout}")
}

/// What the health checks say. A failure of something else tells nothing of them, unless the report does.
fn healthy(object: &Kustomization, report: &Report, status: &mut KustomizationStatus) {
    let conditions = &mut status.conditions;
    if !checks_health(&object.spec) {
        conditions::remove(conditions, HEALTHY);
        return;
    }
    let health = report.health.as_ref().unwrap_or(&report.outcome);
    let (is_so, reason, message) = match health {
        Outcome::Ready => (Status::True, SUCCEEDED, HEALTH_CHECK_PASSED.to_owned()),
        Outcome::Progressing(timeout) => (Status::Unknown, PROGRESSING, checking(report, *timeout)),
        Outcome::Failed(failure) if failure.reason == reason::HEALTH_CHECK_FAILED => {
            (Status::False, failure.reason, message(failure))
        }
        Outcome::Failed(_) => return,
    };
    let generation = object.metadata.generation.unwrap_or_default();
    let healthy = Statement::new(HEALTHY, is_so, reason, message);
    conditions::set(conditions, healthy, generation);
}

fn in_progress(object: &Kustomization, message: &str, status: &mut KustomizationStatus) {
    let generation = object.metadata.generation.unwrap_or_default();
    let conditions = &mut status.conditions;
    let reconciling = Statement::new(RECONCILING, Status::True, PROGRESSING, message);
    conditions::set(conditions, reconciling, generation);
    conditions::remove(conditions, STALLED);
    let ready = Statement::new(
        READY,
        Status::Unknown,
        PROGRESSING,
        "Reconciliation in progress",
    );
    conditions::set(conditions, ready, generation);
}

fn failed(object: &Kustomization, failure: &Failure, status: &mut KustomizationStatus) {
    let generation = object.metadata.generation.unwrap_or_default();
    let message = message(failure);
    let conditions = &mut status.conditions;
    if failure.again == Again::Never {
        conditions::remove(conditions, RECONCILING);
        let stalled = Statement::new(STALLED, Status::True, failure.reason, message.clone());
        conditions::set(conditions, stalled, generation);
        status.observed_generation = object.metadata.generation;
    } else {
        conditions::remove(conditions, STALLED);
        let retry = Statement::new(
            RECONCILING,
            Status::True,
            PROGRESSING_WITH_RETRY,
            message.clone(),
        );
        conditions::set(conditions, retry, generation);
    }
    let ready = Statement::new(READY, Status::False, failure.reason, message);
    conditions::set(conditions, ready, generation);
}

/// Whether a run came so far that Flux calls the revision attempted: past the dependencies and to its files.
fn is_attempted(report: &Report) -> bool {
    const BEFORE: [&str; 2] = [reason::DEPENDENCY_NOT_READY, reason::ARTIFACT_FAILED];
    !matches!(&report.outcome, Outcome::Failed(failure) if BEFORE.contains(&failure.reason))
}

/// What is told of a failure.
fn message(failure: &Failure) -> String {
    match failure.again {
        Again::Never if failure.reason != reason::ACCESS_DENIED => format!(
            "Reconciliation failed terminally due to configuration error: {}",
            failure.message
        ),
        _ => failure.message.clone(),
    }
}

fn remember(report: &Report, status: &mut KustomizationStatus) {
    let reason = match &report.outcome {
        Outcome::Failed(failure) => failure.reason,
        Outcome::Ready | Outcome::Progressing(_) => reason::RECONCILIATION_SUCCEEDED,
    };
    if let (Some(digest), Some(revision)) = (&report.digest, &report.revision) {
        let (took, at) = (report.took, conditions::now());
        history::add(
            &mut status.history,
            &Met {
                digest,
                reason,
                revision,
                origin_revision: report.origin_revision.as_deref(),
                took,
                at,
            },
        );
    }
}

/// An inventory as a status holds it.
pub fn entries(inventory: &Inventory) -> ResourceInventory {
    let entry = |id: &overlay::ObjectId| ResourceReference {
        id: format_id(id),
        v: id.version.clone(),
    };
    ResourceInventory {
        entries: inventory.objects.iter().map(entry).collect(),
    }
}

/// What happened, for those who listen: what changed, what failed, what became well.
pub fn events(object: &Kustomization, report: &Report) -> Vec<Event> {
    let mut events = Vec::new();
    let changes: Vec<String> = report.changes.changed().map(ToString::to_string).collect();
    if !changes.is_empty() {
        events.push(event(
            object,
            report,
            Severity::Info,
            PROGRESSING,
            changes.join("\n"),
        ));
    }
    if !report.left_out.is_empty() {
        let parts = report.left_out.join(", ");
        let message =
            format!("Left out, because Weir does the work of these parts of Flux: {parts}");
        events.push(event(object, report, Severity::Info, PROGRESSING, message));
    }
    for warning in &report.warnings {
        events.push(event(
            object,
            report,
            Severity::Error,
            PROGRESSING,
            warning.clone(),
        ));
    }
    events.extend(health_event(object, report));
    match &report.outcome {
        Outcome::Failed(failure) => {
            let severity = match failure.reason {
                reason::DEPENDENCY_NOT_READY => Severity::Info,
                _ => Severity::Error,
            };
            let text = message(failure);
            // Health moves while something else stays as it was told.
            if report.health.is_none() || !says(object, READY, Status::False, &text) {
                events.push(event(object, report, severity, failure.reason, text));
            }
        }
        Outcome::Ready => {
            let message = format!(
                "Reconciliation finished, next run in {}",
                object.spec.interval
            );
            let reason = reason::RECONCILIATION_SUCCEEDED;
            let mut finished = event(object, report, Severity::Info, reason, message);
            finished
                .metadata
                .insert(format!("{GROUP}/commit_status"), "update".to_owned());
            events.push(finished);
        }
        Outcome::Progressing(_) => {}
    }
    events
}

/// What became of the health checks, where that is not how the Kustomization stands anyway.
fn health_event(object: &Kustomization, report: &Report) -> Option<Event> {
    let health = report.health.as_ref().unwrap_or(&report.outcome);
    let (severity, reason, text) = match health {
        Outcome::Ready if report.recovered => {
            (Severity::Info, PROGRESSING, HEALTH_CHECK_PASSED.to_owned())
        }
        Outcome::Failed(failure) if report.health.is_some() => {
            (Severity::Error, failure.reason, message(failure))
        }
        _ => return None,
    };
    let is_told = says(object, HEALTHY, Status::False, &text);
    (!is_told).then(|| event(object, report, severity, reason, text))
}

/// Whether a condition of the status says just this.
fn says(object: &Kustomization, condition: &str, is_so: Status, message: &str) -> bool {
    let conditions = object.status.as_ref().map(|status| &status.conditions);
    let said = conditions.and_then(|conditions| conditions::find(conditions, condition));
    said.is_some_and(|said| said.status == is_so.as_str() && said.message == message)
}

/// Whether the status still tells that health is not as it should be.
pub fn is_recovered(object: &Kustomization) -> bool {
    let status = object
        .status
        .as_ref()
        .filter(|_| checks_health(&object.spec));
    let healthy = status.and_then(|status| conditions::find(&status.conditions, HEALTHY));
    healthy.is_some_and(|healthy| healthy.status == "False")
}

/// One event about a Kustomization.
pub fn event(
    object: &Kustomization,
    report: &Report,
    severity: Severity,
    reason: &str,
    message: String,
) -> Event {
    let own = object
        .annotations()
        .iter()
        .filter(|(key, _)| key.starts_with(EVENT_METADATA));
    let mut metadata: BTreeMap<String, String> = own
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(revision) = &report.revision {
        metadata.insert(format!("{GROUP}/revision"), revision.clone());
    }
    if let Some(origin) = &report.origin_revision {
        metadata.insert(format!("{GROUP}/originRevision"), origin.clone());
    }
    let reason = reason.to_owned();
    Event {
        object: reference(object),
        severity,
        reason,
        message,
        metadata,
    }
}

fn reference(object: &Kustomization) -> ObjectReference {
    object.object_ref(&())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Kustomization {
        let mut object = Kustomization::new("apps", KustomizationSpec::default());
        object.metadata.generation = Some(3);
        object
            .annotations_mut()
            .insert(REQUESTED_AT.to_owned(), "now".to_owned());
        object
    }

    fn report(outcome: Outcome) -> Report {
        let (revision, digest) = (Some("main@sha1:1".to_owned()), Some("sha256:1".to_owned()));
        Report {
            revision,
            digest,
            outcome,
            ..Report::default()
        }
    }

    fn conditions_of(status: &KustomizationStatus) -> Vec<String> {
        let text = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            format!(
                "{}={} {}",
                condition.type_, condition.status, condition.reason
            )
        };
        status.conditions.iter().map(text).collect()
    }

    #[test]
    fn success_is_observed_and_answered() {
        let status = status(&object(), &report(Outcome::Ready));
        assert_eq!(
            conditions_of(&status),
            ["Ready=True ReconciliationSucceeded"]
        );
        assert_eq!(
            status.conditions[0].message,
            "Applied revision: main@sha1:1"
        );
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(status.last_applied_revision.as_deref(), Some("main@sha1:1"));
        assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"));
        assert_eq!(status.history.len(), 1);
    }

    #[test]
    fn a_failure_is_tried_again_and_not_observed() {
        let failure = Failure::new(
            reason::BUILD_FAILED,
            "apps/kustomization.yaml:3: no such file",
        );
        let status = status(&object(), &report(Outcome::Failed(failure)));
        assert_eq!(
            conditions_of(&status),
            [
                "Reconciling=True ProgressingWithRetry",
                "Ready=False BuildFailed"
            ]
        );
        assert_eq!(status.observed_generation, None);
        assert_eq!(status.last_applied_revision, None);
        assert_eq!(
            status.last_attempted_revision.as_deref(),
            Some("main@sha1:1")
        );
    }

    #[test]
    fn a_terminal_failure_stalls() {
        let failure = Failure::new(reason::FEATURE_GATE_DISABLED, "spec.x").again(Again::Never);
        let status = status(&object(), &report(Outcome::Failed(failure)));
        assert_eq!(
            conditions_of(&status),
            [
                "Stalled=True FeatureGateDisabled",
                "Ready=False FeatureGateDisabled"
            ]
        );
        assert_eq!(status.observed_generation, Some(3));
    }

    #[test]
    fn progress_answers_no_request() {
        let mut object = object();
        object.spec.wait = Some(true);
        let status = status(
            &object,
            &report(Outcome::Progressing(Duration::from_secs(90))),
        );
        assert_eq!(
            conditions_of(&status),
            [
                "Reconciling=True Progressing",
                "Ready=Unknown Progressing",
                "Healthy=Unknown Progressing"
            ]
        );
        let message = "Running health checks for revision main@sha1:1 with a timeout of 1m30s";
        assert_eq!(status.conditions[0].message, message);
        assert_eq!(
            (status.last_handled_reconcile_at, status.history.len()),
            (None, 0)
        );
    }

    #[test]
    fn health_is_told_beside_a_failure_of_something_else() {
        let mut object = object();
        object.spec.wait = Some(true);
        let held = Outcome::Failed(Failure::new(reason::PRUNE_FAILED, "held"));
        let sick = Failure::new(reason::HEALTH_CHECK_FAILED, "sick");
        let mut told = Vec::new();
        for health in [
            Outcome::Ready,
            Outcome::Failed(sick.clone()),
            Outcome::Failed(sick),
            Outcome::Ready,
        ] {
            let mut report = report(held.clone());
            report.health = Some(health);
            report.recovered = is_recovered(&object);
            let events = events(&object, &report);
            let texts: Vec<_> = events.into_iter().map(|event| event.message).collect();
            object.status = Some(status(&object, &report));
            let conditions = conditions_of(object.status.as_ref().expect("it was set"));
            told.push((conditions.last().cloned().unwrap_or_default(), texts));
        }
        let expected = [
            ("Healthy=True Succeeded", vec!["held"]),
            ("Healthy=False HealthCheckFailed", vec!["sick"]),
            ("Healthy=False HealthCheckFailed", vec![]),
            ("Healthy=True Succeeded", vec!["Health check passed"]),
        ];
        for ((condition, texts), (wanted, lines)) in told.iter().zip(expected) {
            assert_eq!(
                (condition.as_str(), texts.clone()),
                (wanted, lines.into_iter().map(str::to_owned).collect())
            );
        }
    }

    #[test]
    fn events_carry_flux_s_metadata() {
        let mut object = object();
        object
            .annotations_mut()
            .insert("event.toolkit.fluxcd.io/team".to_owned(), "blue".to_owned());
        let events = events(&object, &report(Outcome::Ready));
        let metadata: Vec<_> = events[0]
            .metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            metadata,
            [
                "event.toolkit.fluxcd.io/team=blue",
                "kustomize.toolkit.fluxcd.io/commit_status=update",
                "kustomize.toolkit.fluxcd.io/revision=main@sha1:1",
            ]
        );
    }
}
