//! What follows a run: the status, the events, those that depend on it, and when to run again.

use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::dependencies::ReadyAt;
use super::dependents;
use super::kustomization::State;
use super::record::{self, RecordError};
use super::run::{Run, Times};
use super::schedule::{Key, Next};
use crate::api::kustomization::reason::DEPENDENCY_NOT_READY;
use crate::api::kustomization::{HistoryEntry, Kustomization};
use crate::report::events::Event;
use crate::report::kustomization::{events, is_recovered, status};
use crate::report::metrics::RunResult;
use crate::report::{Outcome, Report};

/// Objects that become healthy within this time are never reported as being on their way.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The status of a revision that changes nothing is written after those that do have been served.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What is to be written to the status, and when.
pub struct Unsaid {
    /// What is to be said.
    pub report: Report,
    /// When.
    pub at: Instant,
}

impl Unsaid {
    /// Whether it is that all is applied and health is waited for: in a moment there may be a verdict to say instead.
    pub fn awaits_verdict(&self) -> bool {
        matches!(self.report.outcome, Outcome::Progressing(_))
    }
}

/// Writes the status, sends the events, tells those that depend on it, and says when to run again.
pub async fn conclude(
    run: &mut Run<'_>,
    state: &mut State,
    mut report: Report,
) -> Result<Next, RecordError> {
    let times = Times::of(&run.object.spec);
    report.recovered = is_recovered(&run.object);
    let new = status(&run.object, &report);
    let is_news = !repeats(&run.object, &report);
    // What is news is told by what the status says so far.
    let news = is_news.then(|| events(&run.object, &report));
    let delay = match &report.outcome {
        Outcome::Ready => Next::After(times.interval),
        Outcome::Progressing(timeout) => Next::After(*timeout),
        Outcome::Failed(failure) => times.after(failure, run.context.settings.requeue_dependency),
    };
    measure_lag(run, state, &report);
    state.unsaid = None;
    state.due = Some(Instant::now() + asleep(delay, &times));
    run.context.set_ready(run.key, ready_at(run, &report));
    run.object = record::status(&run.context.client, run.object.clone(), &new).await?;
    send(run, news.into_iter().flatten());
    // Every dependency that moves leads to another look, which mostly finds the same.
    if is_news || !waits(&report) {
        log(run.key, &report);
    }
    let result = match report.outcome {
        Outcome::Ready => RunResult::Success,
        Outcome::Progressing(_) => RunResult::Waiting,
        Outcome::Failed(_) => RunResult::Error,
    };
    run.context.metrics.run(run.key, report.took, result);
    Ok(if state.settled.is_some() {
        rest(run, state)
    } else {
        delay
    })
}

/// Whether a run has changed nothing, and the status says so already: a new process that found everything in place,
/// or the check of kinds that may not be watched.
pub fn is_said(object: &Kustomization, report: &Report) -> bool {
    let Some(old) = &object.status else {
        return false;
    };
    let mut new = status(object, report);
    let same_history = match (old.history.first(), new.history.first()) {
        (Some(old), Some(new)) => {
            let fields = |entry: &HistoryEntry| {
                let metadata = entry.metadata.clone();
                (
                    entry.digest.clone(),
                    entry.last_reconciled_status.clone(),
                    metadata,
                )
            };
            fields(old) == fields(new)
        }
        _ => false,
    };
    new.history.clone_from(&old.history);
    let is_idle = report.changes.changed().next().is_none() && report.warnings.is_empty();
    is_idle && same_history && new == *old
}

/// Goes on after a run that needs no status and no event.
pub fn keep_quiet(run: &Run<'_>, state: &mut State, report: &Report) -> Next {
    run.context.set_ready(run.key, ready_at(run, report));
    state.due = Some(Instant::now() + Times::of(&run.object.spec).interval);
    log(run.key, report);
    run.context
        .metrics
        .run(run.key, report.took, RunResult::Success);
    rest(run, state)
}

/// How long a revision took from the news of it to being applied, once for each: also of one that changes nothing, whose
/// status is written later.
pub fn measure_lag(run: &Run<'_>, state: &mut State, report: &Report) {
    let status = run.object.status.as_ref();
    let applied = status.and_then(|status| status.last_applied_revision.as_ref());
    let Ok(snapshot) = run.snapshot() else { return };
    let revision = report.revision.as_ref();
    let is_news = ![applied, state.measured.as_ref()].contains(&revision);
    if report.outcome == Outcome::Ready && is_news && revision == Some(&snapshot.revision) {
        run.context.metrics.applied(snapshot.since.elapsed());
        state.measured = Some(snapshot.revision.clone());
    }
}

/// Tells now what was done, and leaves the status for a moment: by then there may be more to say.
pub fn postpone(run: &Run<'_>, state: &mut State, mut report: Report, delay: Duration) -> Next {
    run.context.set_ready(run.key, ready_at(run, &report));
    send(run, events(&run.object, &report));
    log(run.key, &report);
    report.changes.entries.clear();
    report.warnings.clear();
    let now = Instant::now();
    state.due = Some(now + Times::of(&run.object.spec).interval);
    state.unsaid = Some(Unsaid {
        report,
        at: now + delay,
    });
    rest(run, state)
}

/// When a revision that changed nothing is written to the status: soon, but not more than once a minute, and
/// never all at the same time; at once where others see nothing but the status.
pub fn lazily(context: &Context, key: &Key, state: &mut State) -> Instant {
    if dependents::are_elsewhere(context, key) {
        let now = Instant::now();
        state.verified = Some(now);
        return now;
    }
    if let Some(unsaid) = &state.unsaid {
        return unsaid.at;
    }
    let rest = context.settings.unchanged_status_interval;
    let rested = state.verified.map(|verified| verified + rest);
    let soon = Instant::now() + AFTERWARDS;
    let at = context
        .turns
        .next(rested.map_or(soon, |rested| rested.max(soon)));
    state.verified = Some(at);
    at
}

/// Sleeps until the interval is over, an object is due to be looked at, a list is to be compared, or something is to
/// be said.
pub fn rest(run: &Run<'_>, state: &mut State) -> Next {
    let now = Instant::now();
    let interval = Times::of(&run.object.spec).interval;
    let due = state.due.filter(|due| *due > now).unwrap_or(now + interval);
    state.due = Some(due);
    let following = state.following.as_ref();
    let look = following.and_then(|following| following.due(&following.verdict()));
    let say = state.unsaid.as_ref().map(|unsaid| unsaid.at);
    let over = state.drift.fights.due();
    let next = [look.map(|look| now + look), say, over, state.compares_at()]
        .into_iter()
        .flatten()
        .fold(due, Instant::min);
    // What is to be done at once must not be put off by jitter, nor spin.
    Next::At(next)
}

/// How long a failure, or the interval, keeps the task asleep when nothing happens.
fn asleep(next: Next, times: &Times) -> Duration {
    match next {
        Next::After(delay) => delay,
        Next::Backoff(longest) => longest,
        Next::At(_) | Next::OnEvent | Next::Unchanged | Next::Gone => times.interval,
    }
}

/// What dependencies are judged by.
pub fn ready_at(run: &Run<'_>, report: &Report) -> Option<ReadyAt> {
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
    let before = object.status.as_ref();
    let before = before
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    report.changes.changed().next().is_none() && before == status(object, report).conditions
}

/// Whether it is dependencies that a Kustomization waits for, which is no error.
fn waits(report: &Report) -> bool {
    matches!(&report.outcome, Outcome::Failed(failure) if failure.reason == DEPENDENCY_NOT_READY)
}

fn send(run: &Run<'_>, events: impl IntoIterator<Item = Event>) {
    let send = |event| run.context.events.send(event);
    events.into_iter().for_each(send);
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
        Outcome::Failed(failure) if waits(report) => tracing::info!(
            controllerKind = key.kind.name(),
            name,
            namespace,
            revision,
            reason = failure.reason,
            "waiting: {failure}"
        ),
        Outcome::Failed(failure) => tracing::error!(
            controllerKind = key.kind.name(), name, namespace, revision, changes,
            reason = failure.reason, error = %failure, "reconciliation failed"
        ),
    }
}
