//! The task of one Kustomization: what a wake calls for, and what is written and told after it.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;
use overlay::ObjectHash;
use overlay::build::Reads;
use tokio::time::Instant;

use super::context::Context;
use super::dependencies::{ReadyAt, dependency_keys, source_key};
use super::follow::{self, Following, Verdict};
use super::record::{self, RecordError};
use super::run::{Run, Times};
use super::schedule::{Key, Next, Topic, Wake};
use super::{Brought, bring, finalize, inputs, render, support};
use crate::api::kustomization::{Kustomization, KustomizationSpec};

use crate::cluster::Proofs;

use crate::report::kustomization::{answer_request, checks_health, events, status};
use crate::report::metrics::RunResult;
use crate::report::{Outcome, Report};
use crate::source::Snapshot;

/// What a task remembers between its runs.
#[derive(Default)]
pub struct State {
    /// The object as the last own write was answered.
    answered: Option<Kustomization>,
    /// What the last run that applied everything took in; none when the last run failed.
    settled: Option<Settled>,
    /// What shows that objects are as they were applied.
    proofs: Proofs,
    /// The objects whose health counts.
    following: Option<Following>,
    /// When the interval, or the wait after a failure, is over.
    due: Option<Instant>,
}

/// What a run that applied everything took in. While it holds there is nothing to do.
struct Settled {
    generation: i64,
    annotations: u64,
    revision: String,
    content: ObjectHash,
    digest: Option<String>,
    reads: Arc<Reads>,
}

/// What a wake calls for.
enum Need {
    /// The whole pipeline.
    Run,
    /// The revision is another, and changes nothing: only the status says so.
    Verified(Arc<Snapshot>),
    /// A look at the health of some objects.
    Look,
}

/// Does what the wake calls for.
pub async fn reconcile(context: &Context, key: &Key, state: &mut State, wake: Wake) -> Next {
    let Some(watched) = context.kustomization(key) else {
        context.watches.want(&owner(key), BTreeSet::new());
        context.forget_ready(key);
        context.metrics.forget(key);
        return Next::Gone;
    };
    let object = record::later(watched.as_ref(), state.answered.as_ref());
    let retry = Times::of(&object.spec).retry;
    let mut run = Run {
        context,
        key,
        object,
    };
    let result = attempt(&mut run, state, wake).await;
    state.answered = Some(run.object);
    match result {
        Ok(next) => next,
        Err(error) if error.is_gone() => Next::OnEvent,
        Err(error) => {
            tracing::error!(%error, "status not written");
            state.settled = None;
            Next::Backoff(retry)
        }
    }
}

fn owner(key: &Key) -> crate::cluster::Owner {
    crate::cluster::Owner {
        name: key.name.clone(),
        namespace: key.namespace.clone(),
    }
}

async fn attempt(run: &mut Run<'_>, state: &mut State, wake: Wake) -> Result<Next, RecordError> {
    if run.object.metadata.deletion_timestamp.is_some() {
        return finalize::finalize(run, &state.proofs).await;
    }
    run.object = record::finalizer(&run.context.client, run.object.clone(), true).await?;
    run.context
        .schedule
        .subscribe(run.key, topics(run.key, &run.object.spec));
    if run.object.spec.suspend == Some(true) {
        state.settled = None;
        return suspended(run).await;
    }
    if run.awaits_source() {
        return Ok(Next::After(Times::of(&run.object.spec).interval));
    }
    match need(run, state, &wake).await {
        Need::Run => full(run, state).await,
        Need::Verified(snapshot) => verified(run, state, &snapshot).await,
        Need::Look => look(run, state, &wake).await,
    }
}

/// All that a Kustomization listens to.
fn topics(key: &Key, spec: &KustomizationSpec) -> BTreeSet<Topic> {
    let mut topics = inputs::topics(spec, &key.namespace);
    topics.extend(source_key(spec, &key.namespace).map(Topic::Source));
    topics.extend(
        dependency_keys(spec, &key.namespace)
            .into_iter()
            .map(Topic::Ready),
    );
    topics
}

async fn suspended(run: &mut Run<'_>) -> Result<Next, RecordError> {
    let mut status = run.object.status.clone().unwrap_or_default();
    answer_request(&run.object, &mut status);
    run.object = record::status(&run.context.client, run.object.clone(), &status).await?;
    Ok(Next::OnEvent)
}

/// What the wake calls for, given what the last run took in.
async fn need(run: &Run<'_>, state: &mut State, wake: &Wake) -> Need {
    let Some(settled) = &state.settled else {
        return if wake.is_health_only() && state.due.is_some() {
            Need::Look
        } else {
            Need::Run
        };
    };
    if settled.generation != run.object.metadata.generation.unwrap_or_default()
        || settled.annotations != annotations(&run.object)
        || wake.input
        || drifted(run, &state.proofs, wake)
    {
        return Need::Run;
    }
    let is_due = state.due.is_some_and(|due| due <= Instant::now());
    if is_due && !watched(run, &state.proofs) {
        return Need::Run;
    }
    let Ok(snapshot) = run.snapshot() else {
        return Need::Run;
    };
    if snapshot.revision == settled.revision && snapshot.content == settled.content {
        return Need::Look;
    }
    match render::unchanged(run.context, settled.reads.clone(), snapshot.clone()).await {
        true => Need::Verified(snapshot),
        false => Need::Run,
    }
}

/// Whether everything that a run takes in, and everything that it applied, is watched.
fn watched(run: &Run<'_>, proofs: &Proofs) -> bool {
    let topics = inputs::topics(&run.object.spec, &run.key.namespace);
    run.context.input_watches.cover(&topics) && !run.context.has_unwatchable(proofs)
}

/// Whether any object that the wake names is no longer as it was applied.
fn drifted(run: &Run<'_>, proofs: &Proofs, wake: &Wake) -> bool {
    let (live, owner) = (run.context.watches.live(), run.owner());
    let shown = |key: &crate::cluster::ObjectKey| {
        wake.shown
            .iter()
            .any(|kind| kind.group == key.group && kind.kind == key.kind)
    };
    proofs
        .iter()
        .filter(|(key, _)| wake.altered.contains(*key) || shown(key))
        .any(|(key, proof)| proof.drift(&owner, live.get(key).as_ref()).is_some())
}

/// Annotations may ask for a run, confirm a deletion, or name an event's metadata.
fn annotations(object: &Kustomization) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    object.annotations().hash(&mut hasher);
    hasher.finish()
}

/// The whole pipeline, and the report on it.
async fn full(run: &mut Run<'_>, state: &mut State) -> Result<Next, RecordError> {
    let begin = Instant::now();
    let mut report = Report::default();
    let before = state.following.take();
    state.settled = None;
    let result = match support::check(&run.object.spec) {
        Ok(()) => bring(run, &mut state.proofs, &mut report).await,
        Err(failure) => Err(failure),
    };
    report.took = begin.elapsed();
    report.outcome = match result {
        Ok(brought) => settle(run, state, &report, brought, before).await,
        Err(failure) => Outcome::Failed(failure),
    };
    conclude(run, state, report).await
}

/// Remembers what was taken in, and begins to follow the health of what was applied.
async fn settle(
    run: &Run<'_>,
    state: &mut State,
    report: &Report,
    brought: Brought,
    before: Option<Following>,
) -> Outcome {
    state.settled = Some(Settled {
        generation: run.object.metadata.generation.unwrap_or_default(),
        annotations: annotations(&run.object),
        revision: report.revision.clone().unwrap_or_default(),
        content: brought.content,
        digest: report.digest.clone(),
        reads: Arc::new(brought.reads),
    });
    if !checks_health(&run.object.spec) {
        return Outcome::Ready;
    }
    let following = match run.client() {
        Ok(client) => follow::follow(run, client, &brought.plan, &report.changes, before).await,
        Err(failure) => return Outcome::Failed(failure),
    };
    let outcome = outcome(&following);
    state.following = Some(following);
    outcome
}

fn outcome(following: &Following) -> Outcome {
    match following.verdict() {
        Verdict::Healthy => Outcome::Ready,
        Verdict::Pending => Outcome::Progressing(following.timeout),
        Verdict::Failed(failure) => Outcome::Failed(failure),
    }
}

/// The new revision makes the same objects: nothing to do but to say so.
async fn verified(
    run: &mut Run<'_>,
    state: &mut State,
    snapshot: &Snapshot,
) -> Result<Next, RecordError> {
    if let Some(settled) = &mut state.settled {
        settled.revision = snapshot.revision.clone();
        settled.content = snapshot.content;
    }
    let mut report = Report {
        revision: Some(snapshot.revision.clone()),
        ..Report::default()
    };
    report.digest = state
        .settled
        .as_ref()
        .and_then(|settled| settled.digest.clone());
    if let Some(following) = &mut state.following {
        following.revision = snapshot.revision.clone();
        report.outcome = outcome(following);
    }
    conclude(run, state, report).await
}

/// Looks at the objects that may have changed; says so when that changes how the Kustomization stands.
async fn look(run: &mut Run<'_>, state: &mut State, wake: &Wake) -> Result<Next, RecordError> {
    let Some(following) = &mut state.following else {
        return Ok(rest(run, state));
    };
    following.ask(&wake.health);
    following.ask(&wake.altered);
    let before = following.verdict();
    following.look().await;
    let after = following.verdict();
    if before == Verdict::Healthy && after == Verdict::Pending {
        following.restart();
        return Ok(rest(run, state));
    }
    let stands = run
        .object
        .status
        .as_ref()
        .map(|status| status.conditions.clone())
        .unwrap_or_default();
    let mut report = Report {
        revision: Some(following.revision.clone()),
        ..Report::default()
    };
    report.digest = state
        .settled
        .as_ref()
        .and_then(|settled| settled.digest.clone());
    report.outcome = outcome(following);
    if after == Verdict::Pending || status(&run.object, &report).conditions == stands {
        return Ok(rest(run, state));
    }
    conclude(run, state, report).await
}

/// Writes the status, sends the events, tells those that depend on it, and says when to run again.
async fn conclude(
    run: &mut Run<'_>,
    state: &mut State,
    report: Report,
) -> Result<Next, RecordError> {
    let times = Times::of(&run.object.spec);
    let new = status(&run.object, &report);
    let is_news = !repeats(&run.object, &report);
    let delay = match &report.outcome {
        Outcome::Ready => Next::After(times.interval),
        Outcome::Progressing(timeout) => Next::After(*timeout),
        Outcome::Failed(failure) => times.after(failure, run.context.settings.requeue_dependency),
    };
    state.due = Some(Instant::now() + wait(delay, &times));
    run.context.set_ready(run.key, ready_at(run, &report));
    run.object = record::status(&run.context.client, run.object.clone(), &new).await?;
    if is_news {
        events(&run.object, &report)
            .into_iter()
            .for_each(|event| run.context.events.send(event));
    }
    log(run.key, &report);
    run.context
        .metrics
        .run(run.key, report.took, result(&report.outcome));
    Ok(match (&report.outcome, state.following.is_some()) {
        (Outcome::Ready | Outcome::Progressing(_), true) => rest(run, state),
        _ => delay,
    })
}

/// How long a failure, or the interval, keeps the task asleep when nothing happens.
fn wait(next: Next, times: &Times) -> std::time::Duration {
    match next {
        Next::After(delay) => delay,
        Next::Backoff(longest) => longest,
        Next::OnEvent | Next::Gone => times.interval,
    }
}

/// Sleeps until the interval is over, or the health of an object is due to be looked at.
fn rest(run: &Run<'_>, state: &mut State) -> Next {
    let now = Instant::now();
    let times = Times::of(&run.object.spec);
    let due = *state.due.get_or_insert(now + times.interval);
    if due <= now {
        state.due = Some(now + times.interval);
    }
    let until_due = state
        .due
        .map_or(times.interval, |due| due.saturating_duration_since(now));
    let following = state.following.as_ref();
    let until_look = following.and_then(|following| following.due(&following.verdict()));
    Next::After(until_look.unwrap_or(until_due).min(until_due))
}

fn ready_at(run: &Run<'_>, report: &Report) -> Option<ReadyAt> {
    let revision = report.revision.clone()?;
    let generation = run.object.metadata.generation?;
    (report.outcome == Outcome::Ready).then_some(ReadyAt {
        generation,
        revision,
    })
}

/// Whether the object's status already says all that the report would: the same failure again.
fn repeats(object: &Kustomization, report: &Report) -> bool {
    let Outcome::Failed(_) = &report.outcome else {
        return false;
    };
    let before = object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    report.changes.changed().next().is_none() && before == status(object, report).conditions
}

fn result(outcome: &Outcome) -> RunResult {
    match outcome {
        Outcome::Ready => RunResult::Success,
        Outcome::Progressing(_) => RunResult::Waiting,
        Outcome::Failed(_) => RunResult::Error,
    }
}

fn log(key: &Key, report: &Report) {
    let revision = report.revision.as_deref().unwrap_or_default();
    let (name, namespace) = (&key.name, &key.namespace);
    let changes = report.changes.changed().count();
    match &report.outcome {
        Outcome::Ready => tracing::info!(
            controllerKind = key.kind.name(), name, namespace, revision, changes,
            took = ?report.took, "reconciliation finished"
        ),
        Outcome::Progressing(timeout) => tracing::info!(
            controllerKind = key.kind.name(),
            name,
            namespace,
            revision,
            changes,
            ?timeout,
            "applied, waiting for health"
        ),
        Outcome::Failed(failure) => tracing::error!(
            controllerKind = key.kind.name(), name, namespace, revision, changes,
            reason = failure.reason, error = %failure, "reconciliation failed"
        ),
    }
}
