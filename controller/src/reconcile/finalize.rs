//! The end of a Kustomization: its objects are deleted or left, as its policy says, and then it may go.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::Api;
use overlay::ObjectId;
use tokio::time::Instant;

use super::context::Context;
use super::dependencies::{self, dependency_keys, source_key};
use super::record::{self, RecordError};
use super::run::{self, Run, Times};
use super::schedule::{Key, Next};
use super::{barrier, owners};
use crate::api::kustomization::deletion_policy::{DELETE, MIRROR_PRUNE, WAIT_FOR_TERMINATION};
use crate::api::kustomization::{Kustomization, reason};
use crate::api::meta::FINALIZER;
use crate::cluster::order::{self, GroupKind};
use crate::cluster::{ChangeSet, Client, Inventory, ObjectKey, Proofs, Pruned};
use crate::cluster::{await_termination, prune};
use crate::report::Report;
use crate::report::events::Severity;
use crate::report::failure::Failure;
use crate::report::kustomization::event;

/// How many objects a message lists.
const LISTED: usize = 20;

/// Cleans up behind a Kustomization that is being deleted, and lets it go. `begun` remembers the first try.
pub async fn finalize(
    run: &mut Run<'_>,
    proofs: &Proofs,
    begun: &mut Option<Instant>,
) -> Result<Next, RecordError> {
    if !run
        .object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(Next::OnEvent);
    }
    let times = Times::of(&run.object.spec);
    let waited = since_deletion(&run.object);
    if begun.is_none()
        && waited < times.timeout
        && let Some(dependent) = dependent(run.context, run.key)
    {
        tracing::info!(name = run.key.name, namespace = run.key.namespace, %dependent, "goes after its dependent");
        return Ok(Next::After(times.timeout - waited));
    }
    // Whoever had to wait for others has the whole timeout for its own objects.
    let begun = *begun.get_or_insert_with(Instant::now);
    run.reach().await;
    if let Err(unfinished) = clean_up(run, proofs).await {
        let left = times.timeout.saturating_sub(begun.elapsed());
        let gives_up = left.is_zero() || in_ending_namespace(run).await;
        complain(run, &unfinished, gives_up);
        if !gives_up {
            return Ok(Next::Backoff(times.retry.min(left)));
        }
    }
    record::finalizer(&run.context.client, run.object.clone(), false).await?;
    owners::wake(run.context, run.context.desired.forget(run.key));
    owners::wake(
        run.context,
        dependency_keys(&run.object.spec, &run.key.namespace),
    );
    Ok(Next::OnEvent)
}

/// Wakes those that are being deleted: one that they wait for is gone.
pub fn wake_leaving(context: &Context) {
    let all = context.kustomizations.state();
    let leaving = all
        .iter()
        .filter(|object| object.metadata.deletion_timestamp.is_some());
    let key = |object: &std::sync::Arc<Kustomization>| {
        Key::kustomization(object.namespace().unwrap_or_default(), object.name_any())
    };
    owners::wake(context, leaving.map(key).collect());
}

/// A Kustomization that depends on this one, goes as well, and has not yet cleaned up behind itself: what it has
/// needs what this one has, also in going.
fn dependent(context: &Context, key: &Key) -> Option<Key> {
    if dependencies::is_in_ring(context, key) {
        return None;
    }
    let all = context.kustomizations.state();
    let mut keys = all.iter().filter_map(|object| {
        let namespace = object.namespace().unwrap_or_default();
        let is_clean = !object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER);
        let depends = dependency_keys(&object.spec, &namespace).contains(key);
        (depends && !is_clean).then(|| Key::kustomization(namespace, object.name_any()))
    });
    keys.find(|other| other != key && owners::is_leaving(context, other))
}

fn since_deletion(object: &Kustomization) -> Duration {
    let since = object.metadata.deletion_timestamp.as_ref();
    since.map_or(Duration::ZERO, |since| {
        Timestamp::now().duration_since(since.0).unsigned_abs()
    })
}

/// What could not be deleted, and why.
struct Unfinished {
    failure: Failure,
    left: Vec<ObjectId>,
}

/// Says what is in the way, and what is left because of that.
fn complain(run: &Run<'_>, unfinished: &Unfinished, gives_up: bool) {
    let Unfinished { failure, left } = unfinished;
    let mut message = format!("pruning for deleted resource failed: {failure}");
    if !left.is_empty() {
        let names: Vec<String> = left.iter().take(LISTED).map(ToString::to_string).collect();
        let state = if gives_up {
            "left behind"
        } else {
            "still there"
        };
        let (count, names) = (left.len(), names.join(", "));
        message.push_str(&format!("\n{count} objects are {state}: {names}"));
        if left.len() > LISTED {
            message.push_str(" and others");
        }
    }
    tracing::warn!(
        name = run.key.name,
        namespace = run.key.namespace,
        gives_up,
        "{message}"
    );
    tell(run, Severity::Error, failure.reason, message);
}

/// Whether the Kustomization's namespace is being deleted: it waits for this finalizer, and takes what is in it along.
async fn in_ending_namespace(run: &Run<'_>) -> bool {
    let namespaces: Api<Namespace> = Api::all(run.context.client.clone());
    match namespaces.get_opt(&run.key.namespace).await {
        Ok(Some(namespace)) => namespace.metadata.deletion_timestamp.is_some(),
        Ok(None) => true,
        Err(error) => {
            tracing::debug!(%error, "namespace not read");
            false
        }
    }
}

async fn clean_up(run: &Run<'_>, proofs: &Proofs) -> Result<(), Unfinished> {
    let inventory = run::applied(&run.object).map_err(|failure| Unfinished {
        failure,
        left: Vec::new(),
    })?;
    if !deletes(&run.object) || inventory.objects.is_empty() {
        return Ok(());
    }
    let all = inventory.objects.clone();
    let pruned = delete(run, inventory, proofs).await;
    let pruned = pruned.map_err(|failure| Unfinished { failure, left: all })?;
    let left = pruned.errors.iter().map(|error| error.id.clone()).collect();
    run::none_failed(reason::PRUNE_FAILED, &pruned.errors)
        .map_err(|failure| Unfinished { failure, left })
}

/// Deletes what nobody else wants.
async fn delete(run: &Run<'_>, inventory: Inventory, proofs: &Proofs) -> Result<Pruned, Failure> {
    // The server does not need the account to exist, so impersonation is tried whatever has become of it.
    let client = run.client()?;
    hear_all(run).await?;
    let handed = owners::handed_over(run, &inventory.objects).await?;
    let mut objects = in_deletion_order(inventory, &run.context.settings.custom_stages);
    objects.retain(|id| !handed.contains(&ObjectKey::from(id)));
    let pruned = prune(&client, &run.owner(), &objects, proofs).await;
    tell_changes(run, &pruned.changes);
    let waits = run.object.spec.deletion_policy.as_deref() == Some(WAIT_FOR_TERMINATION);
    if waits && pruned.errors.is_empty() {
        wait(run, &client, &pruned.deleting).await;
    }
    Ok(pruned)
}

/// Waits until the others have said what they want of the newest snapshot; who says nothing is not waited for ever.
async fn hear_all(run: &Run<'_>) -> Result<(), Failure> {
    let Some(source) = source_key(&run.object.spec, &run.key.namespace) else {
        return Ok(());
    };
    let heard = barrier::all_rendered(run.context, run.key, &source, run.number()).await;
    match heard {
        Err(other) if run.context.schedule.is_stopping() => {
            let message = format!("stopped while {other} was still to be rendered");
            Err(Failure::new(reason::PRUNE_FAILED, message))
        }
        Err(other) => {
            tracing::warn!(name = run.key.name, namespace = run.key.namespace, %other, "not rendered in time");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whether the policy says that the objects go too. A suspended Kustomization leaves everything.
fn deletes(object: &Kustomization) -> bool {
    let spec = &object.spec;
    let policy = match spec.deletion_policy.as_deref().unwrap_or(MIRROR_PRUNE) {
        MIRROR_PRUNE => spec.prune,
        policy => policy == DELETE || policy == WAIT_FOR_TERMINATION,
    };
    policy && spec.suspend != Some(true)
}

fn in_deletion_order(inventory: Inventory, custom_stages: &[GroupKind]) -> Vec<ObjectId> {
    let mut objects = inventory.objects;
    objects.sort_by(|left, right| {
        let key = |id| (order::stage(id, custom_stages), order::key(id));
        key(right).cmp(&key(left))
    });
    objects
}

/// Waits for the objects to be gone; what is left when the time is over is told and left behind.
async fn wait(run: &Run<'_>, client: &Client, objects: &[(ObjectId, String)]) {
    let timeout = Times::of(&run.object.spec).timeout;
    let problem = match await_termination(client, &run.owner(), objects, timeout).await {
        Ok(left) if left.is_empty() => return,
        Ok(left) => left
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        Err(error) => error.to_string(),
    };
    let message = format!("failed to wait for resources termination: {problem}");
    tell(run, Severity::Error, reason::PRUNE_FAILED, message);
}

fn tell_changes(run: &Run<'_>, changes: &ChangeSet) {
    let lines: Vec<String> = changes.changed().map(ToString::to_string).collect();
    if !lines.is_empty() {
        tell(
            run,
            Severity::Info,
            reason::RECONCILIATION_SUCCEEDED,
            lines.join("\n"),
        );
    }
}

fn tell(run: &Run<'_>, severity: Severity, reason: &str, message: String) {
    let status = run.object.status.as_ref();
    let revision = status.and_then(|status| status.last_applied_revision.clone());
    let report = Report {
        revision,
        ..Report::default()
    };
    run.context
        .events
        .send(event(&run.object, &report, severity, reason, message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kustomization::KustomizationSpec;
    use crate::api::kustomization::deletion_policy::ORPHAN;

    #[test]
    fn the_policy_decides_unless_suspended() {
        for (policy, prune, suspend, expected) in [
            (None, true, false, true),
            (None, false, false, false),
            (Some(MIRROR_PRUNE), true, false, true),
            (Some(DELETE), false, false, true),
            (Some(WAIT_FOR_TERMINATION), false, false, true),
            (Some(ORPHAN), true, false, false),
            (Some(DELETE), true, true, false),
        ] {
            let spec = KustomizationSpec {
                deletion_policy: policy.map(str::to_owned),
                prune,
                suspend: Some(suspend),
                ..KustomizationSpec::default()
            };
            assert_eq!(
                deletes(&Kustomization::new("apps", spec)),
                expected,
                "{policy:?}"
            );
        }
    }
}
