//! The task of one Kustomization: what a wake calls for, and what is written and told after it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use overlay::ObjectHash;
use overlay::build::Reads;
use tokio::time::Instant;

use super::conclude::{
    PATIENCE, Unsaid, conclude, is_said, keep_quiet, lazily, measure_lag, postpone, ready_at, rest,
};
use super::context::Context;
use super::dependencies::{self, dependency_keys, source_key};
use super::follow::{self, Following, Verdict};
use super::lent::{self, Loan};
use super::record::{self, RecordError};
use super::run::{Run, Times};
use super::schedule::{Key, Next, Topic, Wake};
use super::sites::Site;
use super::{Brought, bring, dependents, drift, finalize, inputs, owners, render, support};
use crate::api::kustomization::Kustomization;

use crate::cluster::order::GroupKind;
use crate::cluster::{Drift, ObjectKey, Plan, Proofs, when_nobody_else_asks};

use crate::report::failure::Failure;
use crate::report::kustomization::{answer_request, checks_health, status};
use crate::report::{Outcome, Report};
use crate::source::Snapshot;

/// What was applied while a kind was listed is not in the list, and the watch tells of it in a moment.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// What a task remembers between its runs.
#[derive(Default)]
pub struct State {
    /// The object as the last own write was answered, until the watch shows it.
    answered: Option<Kustomization>,
    /// What the last run that applied everything took in; none when the last run failed.
    pub(super) settled: Option<Settled>,
    /// What shows that objects are as they were applied.
    proofs: Proofs,
    /// Kinds whose list is still to be compared with the proofs.
    shown: BTreeSet<GroupKind>,
    /// When the last run ended.
    ended: Option<Instant>,
    /// What was done about drift.
    pub(super) drift: drift::Memory,
    /// The objects whose health counts.
    pub(super) following: Option<Following>,
    /// When the interval, or the wait after a failure, is over.
    pub(super) due: Option<Instant>,
    /// What is still to be written to the status.
    pub(super) unsaid: Option<Unsaid>,
    /// The revision whose way to the cluster was measured last.
    pub(super) measured: Option<String>,
    /// When a status was last written for a revision that changed nothing.
    pub(super) verified: Option<Instant>,
    /// When its objects were first tried to be deleted after its own end had begun.
    leaving: Option<Instant>,
}

impl State {
    /// When the lists of kinds are to be compared with the proofs; none when there are none.
    pub(super) fn compares_at(&self) -> Option<Instant> {
        let ended = self.ended.filter(|_| !self.shown.is_empty());
        ended.map(|ended| ended + OVERTAKEN)
    }

    /// Whether all is applied, and what becomes of it in the next moments is to be said.
    pub(super) fn awaits_verdict(&self) -> bool {
        self.unsaid.as_ref().is_some_and(Unsaid::awaits_verdict)
    }
}

/// What a run that applied everything took in. While it holds there is nothing to do.
pub(super) struct Settled {
    generation: i64,
    annotations: u64,
    revision: String,
    origin_revision: Option<String>,
    content: ObjectHash,
    pub(super) digest: Option<String>,
    reads: Arc<Reads>,
    /// Jobs that Kubernetes deletes some time after they have ended. As with Flux, they are made again at the
    /// interval, and not at once: that would run them for ever.
    expiring: BTreeSet<ObjectKey>,
    /// Objects that no watch shows. Whether they are still there is asked at the interval.
    unseen: BTreeSet<ObjectKey>,
    /// What is to be said of deletions that wait for a person's word. Until that comes there is nothing to do either.
    held: Option<Failure>,
    /// The objects that they are of: nobody's drift, and mostly watched no more.
    waiting: BTreeSet<ObjectKey>,
}

/// What a wake calls for.
enum Need {
    /// The whole pipeline.
    Run,
    /// The revision is another, and changes nothing: only the status says so.
    Verified(Arc<Snapshot>),
    /// A look at the health of some objects.
    Look,
    /// Nothing: the next try has its time already.
    Nothing,
}

/// Does what the wake calls for.
pub async fn reconcile(context: &Context, key: &Key, state: &mut State, wake: Wake) -> Next {
    let Some(mut run) = begin(context, key, state) else {
        context.sites.forget(key);
        owners::wake(context, context.desired.forget(key));
        finalize::wake_leaving(context);
        context.schedule.subscribe(key, BTreeSet::new());
        context.input_watches.close_unused(&context.schedule);
        context.forget_ready(key);
        context.metrics.forget(key);
        return Next::Gone;
    };
    let retry = Times::of(&run.object.spec).retry;
    let result = attempt(&mut run, state, wake).await;
    let is_shown = context
        .kustomization(key)
        .is_some_and(|watched| watched.resource_version() == run.object.resource_version());
    state.answered = (!is_shown).then_some(run.object);
    match result {
        Ok(next) => next,
        Err(error) if error.is_gone() => Next::OnEvent,
        Err(error) => {
            tracing::error!(%error, name = key.name, namespace = key.namespace, "status not written");
            state.settled = None;
            Next::Backoff(retry)
        }
    }
}

/// Writes what is still to be written, before a clean stop.
pub async fn finish(context: &Context, key: &Key, state: &mut State) {
    if let (Some(unsaid), Some(mut run)) = (state.unsaid.take(), begin(context, key, state))
        && let Err(error) = conclude(&mut run, state, unsaid.report).await
    {
        tracing::warn!(%error, name = key.name, namespace = key.namespace, "status not written");
    }
}

fn begin<'a>(context: &'a Context, key: &'a Key, state: &State) -> Option<Run<'a>> {
    let watched = context.kustomization(key)?;
    let object = record::later(watched.as_ref(), state.answered.as_ref());
    let site = context.sites.current(key, &object);
    Some(Run {
        context,
        key,
        object,
        site,
    })
}

async fn attempt(run: &mut Run<'_>, state: &mut State, wake: Wake) -> Result<Next, RecordError> {
    if run.object.metadata.deletion_timestamp.is_some() {
        return finalize::finalize(run, &state.proofs, &mut state.leaving).await;
    }
    run.object = record::finalizer(&run.context.client, run.object.clone(), true).await?;
    if run.context.schedule.subscribe(run.key, topics(run)) {
        run.context
            .input_watches
            .close_unused(&run.context.schedule);
    }
    if run.object.spec.suspend == Some(true) {
        state.settled = None;
        // `weir dev` and others may write under our name meanwhile, which no watch tells from our own writes.
        state.proofs.clear();
        return suspended(run).await;
    }
    if run.awaits_source() {
        return Ok(Next::After(Times::of(&run.object.spec).interval));
    }
    let number = run.number();
    let need = need(run, state, &wake).await;
    if matches!(need, Need::Verified(_) | Need::Look) {
        run.context.desired.pass(run.key, number, 0);
        run.context.desired.end(run.key, number);
    }
    match need {
        Need::Run => full(run, state, &wake).await,
        Need::Verified(snapshot) => Ok(verified(run, state, &snapshot)),
        Need::Look => look(run, state, &wake).await,
        Need::Nothing => Ok(Next::Unchanged),
    }
}

/// All that a Kustomization listens to.
fn topics(run: &Run<'_>) -> BTreeSet<Topic> {
    let (key, spec) = (run.key, &run.object.spec);
    let mut topics = inputs::topics(spec, &key.namespace, &run.context.decrypting);
    topics.extend(dependencies::topics(spec, &key.namespace));
    topics.extend(source_key(spec, &key.namespace).map(Topic::Source));
    topics.extend(
        dependency_keys(spec, &key.namespace)
            .into_iter()
            .map(Topic::Ready),
    );
    topics
}

/// What is lent to somebody goes on by itself when their time is over.
async fn suspended(run: &mut Run<'_>) -> Result<Next, RecordError> {
    let mut status = run.object.status.clone().unwrap_or_default();
    answer_request(&run.object, &mut status);
    let client = &run.context.client;
    run.object = record::status(client, run.object.clone(), &status).await?;
    let Some(loan) = Loan::of(&run.object) else {
        return Ok(Next::OnEvent);
    };
    let left = loan.left();
    if !left.is_zero() {
        return Ok(Next::At(Instant::now() + left));
    }
    let (name, namespace) = (&run.key.name, &run.key.namespace);
    tracing::info!(
        controllerKind = "Kustomization",
        name,
        namespace,
        to = loan.to,
        "the loan is over"
    );
    let resumed = lent::give_back(client, &run.object).await;
    // The watch tells of the spec that goes on.
    resumed.map(|_| Next::OnEvent).map_err(record::request)
}

/// What the wake calls for, given what the last run took in.
async fn need(run: &Run<'_>, state: &mut State, wake: &Wake) -> Need {
    state.shown.extend(wake.shown.iter().cloned());
    let Some(settled) = &state.settled else {
        return if wake.is_health_only() && state.due.is_some() {
            Need::Nothing
        } else {
            Need::Run
        };
    };
    if settled.generation != run.object.metadata.generation.unwrap_or_default()
        || settled.annotations != annotations(&run.object)
        || wake.input
        || (wake.dependency && run.context.desired.is_in_dispute(run.key))
    {
        return Need::Run;
    }
    let now = Instant::now();
    let shown = match state.ended {
        Some(ended) if now < ended + OVERTAKEN => BTreeSet::new(),
        _ => std::mem::take(&mut state.shown),
    };
    let live = run.live();
    let fights = &mut state.drift.fights;
    let mut drifted = drifted(run, &state.proofs, &settled.expiring, &wake.altered, &shown);
    drifted.retain(|(key, drift)| {
        let form = || drift::form(live.get(key).as_ref(), state.proofs.get(key));
        let is_left = drift.is_of_fields() && fights.leaves(key, form(), now);
        !settled.waiting.contains(key) && !is_left
    });
    if !drifted.is_empty() || fights.end_quiet(now) {
        return Need::Run;
    }
    let mut fleeting = settled.expiring.union(&settled.unseen);
    let has_gone = fleeting.any(|key| live.get(key).is_none());
    if is_due(state.due) && !(fights.is_empty() && watched(run, &state.proofs) && !has_gone) {
        return Need::Run;
    }
    let Ok(snapshot) = run.snapshot() else {
        return Need::Run;
    };
    if snapshot.revision == settled.revision && snapshot.content == settled.content {
        return Need::Look;
    }
    if !fights.is_empty() {
        // A new commit is a new beginning for both sides.
        fights.clear();
        return Need::Run;
    }
    match render::unchanged(run.context, settled.reads.clone(), snapshot.clone()).await {
        true => Need::Verified(snapshot),
        false => Need::Run,
    }
}

/// Whether the interval, or the wait after a failure, is over. A task wakes at other times too, for example to compare
/// a list.
fn is_due(due: Option<Instant>) -> bool {
    due.is_some_and(|due| due <= Instant::now())
}

/// Whether everything that a run takes in, and everything that it applied, is watched.
fn watched(run: &Run<'_>, proofs: &Proofs) -> bool {
    let topics = inputs::topics(
        &run.object.spec,
        &run.key.namespace,
        &run.context.decrypting,
    );
    let has_unwatchable = |site: &Arc<Site>| site.has_unwatchable(proofs);
    run.context.input_watches.cover(&topics) && !run.site.as_ref().is_ok_and(has_unwatchable)
}

/// Objects that were altered, or are of kinds that are shown now, and are no longer as they were applied.
fn drifted(
    run: &Run<'_>,
    proofs: &Proofs,
    expiring: &BTreeSet<ObjectKey>,
    altered: &BTreeSet<ObjectKey>,
    shown: &BTreeSet<GroupKind>,
) -> Vec<(ObjectKey, Drift)> {
    let (live, owner) = (run.live(), run.owner());
    let is_shown = |key: &ObjectKey| {
        let mut kinds = shown.iter();
        kinds.any(|kind| kind.group == key.group && kind.kind == key.kind)
    };
    proofs
        .iter()
        .filter(|(key, _)| altered.contains(*key) || is_shown(key))
        .filter_map(|(key, proof)| {
            let drift = proof.drift(&owner, live.get(key).as_ref())?;
            Some((key.clone(), drift))
        })
        .filter(|(key, drift)| {
            let goes = matches!(drift, Drift::Missing | Drift::Deleting);
            !(goes && expiring.contains(key))
        })
        .collect()
}

/// Annotations may ask for a run, confirm a deletion, or name an event's metadata.
fn annotations(object: &Kustomization) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    object.annotations().hash(&mut hasher);
    hasher.finish()
}

/// The whole pipeline, and the report on it.
async fn full(run: &mut Run<'_>, state: &mut State, wake: &Wake) -> Result<Next, RecordError> {
    let begin = Instant::now();
    let mut report = Report::default();
    let before = state.following.take();
    (state.settled, state.unsaid) = (None, None);
    let number = run.number();
    if run.reach().await {
        state.proofs.clear();
    }
    let result = match support::check(&run.object.spec) {
        Ok(()) => bring(run, &mut state.proofs, &mut report).await,
        Err(failure) => Err(failure),
    };
    // However it ended, nobody needs to wait for it any more.
    let generation = run.object.metadata.generation.unwrap_or_default();
    run.context.desired.pass(run.key, number, generation);
    run.context.desired.end(run.key, number);
    report.took = begin.elapsed();
    state.ended = Some(Instant::now());
    report.outcome = match result {
        Ok(brought) => settle(run, state, &mut report, brought, before).await,
        // The process ends: whoever comes next says how it stands.
        Err(_) if run.context.schedule.is_stopping() => return Ok(Next::OnEvent),
        Err(failure) => Outcome::Failed(failure),
    };
    let live = run.live();
    if let Some(following) = &mut state.following {
        following.ask(&wake.health, &live);
        following.ask(&wake.altered, &live);
    }
    match report.outcome {
        // Most objects are healthy in a moment, and then nobody needs to read that they were not.
        Outcome::Progressing(_) => Ok(postpone(run, state, report, PATIENCE)),
        Outcome::Ready if is_said(&run.object, &report) => Ok(keep_quiet(run, state, &report)),
        Outcome::Ready | Outcome::Failed(_) => conclude(run, state, report).await,
    }
}

/// Remembers what was taken in, and begins to follow the health of what was applied.
async fn settle(
    run: &Run<'_>,
    state: &mut State,
    report: &mut Report,
    brought: Brought,
    before: Option<Following>,
) -> Outcome {
    state.drift.note(&brought.plan, report);
    state.settled = Some(Settled {
        generation: run.object.metadata.generation.unwrap_or_default(),
        annotations: annotations(&run.object),
        revision: report.revision.clone().unwrap_or_default(),
        origin_revision: report.origin_revision.clone(),
        content: brought.content,
        digest: report.digest.clone(),
        reads: Arc::new(brought.reads),
        expiring: follow::expiring(&brought.plan),
        unseen: brought.plan.unseen().collect(),
        held: brought.held,
        waiting: unwanted(report, &brought.plan),
    });
    if !checks_health(&run.object.spec) {
        return outcome(state);
    }
    let following = match run.client() {
        Ok(client) => follow::follow(run, client, &brought.plan, &report.changes, before).await,
        Err(failure) => Err(failure),
    };
    let following = match following {
        Ok(following) => following,
        Err(failure) => return Outcome::Failed(failure),
    };
    state.following = Some(following);
    report.health = health(state);
    outcome(state)
}

/// The objects that are answered for and no longer wanted.
fn unwanted(report: &Report, plan: &Plan) -> BTreeSet<ObjectKey> {
    let inventory = report.inventory.as_ref();
    let unwanted = inventory.map(|inventory| inventory.missing_in(&plan.inventory()));
    let unwanted = unwanted.unwrap_or_default();
    unwanted.iter().map(ObjectKey::from).collect()
}

/// How a Kustomization stands whose objects are all applied.
fn outcome(state: &State) -> Outcome {
    let settled = state.settled.as_ref();
    if let Some(held) = settled.and_then(|settled| settled.held.clone()) {
        return Outcome::Failed(held);
    }
    state.following.as_ref().map_or(Outcome::Ready, judged)
}

/// How the objects that are followed stand, where deletions that wait are what is told of the whole.
fn health(state: &State) -> Option<Outcome> {
    let settled = state.settled.as_ref();
    let is_held = settled.is_some_and(|settled| settled.held.is_some());
    state.following.as_ref().filter(|_| is_held).map(judged)
}

fn judged(following: &Following) -> Outcome {
    match following.verdict() {
        Verdict::Healthy => Outcome::Ready,
        Verdict::Pending => Outcome::Progressing(following.timeout),
        Verdict::Failed(failure) => Outcome::Failed(failure),
    }
}

/// The new revision makes the same objects: nothing to do but to say so, when there is time for it.
fn verified(run: &Run<'_>, state: &mut State, snapshot: &Snapshot) -> Next {
    if let Some(settled) = &mut state.settled {
        settled.revision.clone_from(&snapshot.revision);
        settled
            .origin_revision
            .clone_from(&snapshot.origin_revision);
        settled.content = snapshot.content;
    }
    if let Some(following) = &mut state.following {
        following.revision = snapshot.revision.clone();
    }
    let report = standing(state);
    run.context.set_ready(run.key, ready_at(run, &report));
    measure_lag(run, state, &report);
    let at = lazily(run.context, run.key, state);
    state.unsaid = Some(Unsaid { report, at });
    rest(run, state)
}

/// How the Kustomization stands without any new work.
fn standing(state: &mut State) -> Report {
    let (outcome, health) = (outcome(state), health(state));
    let settled = state.settled.as_ref();
    let following = state.following.as_mut();
    let mut report = Report {
        revision: settled.map(|settled| settled.revision.clone()),
        origin_revision: settled.and_then(|settled| settled.origin_revision.clone()),
        digest: settled.and_then(|settled| settled.digest.clone()),
        outcome,
        health,
        took: following.map(Following::took).unwrap_or_default(),
        ..Report::default()
    };
    state.drift.tell(&mut report);
    report
}

/// Looks at the objects that may have changed; says so when that changes how the Kustomization stands.
async fn look(run: &mut Run<'_>, state: &mut State, wake: &Wake) -> Result<Next, RecordError> {
    let live = run.live();
    if let Some(following) = &mut state.following {
        following.ask(&wake.health, &live);
        following.ask(&wake.altered, &live);
        if is_due(state.due) {
            following.ask_without_event();
        }
        let was_healthy = following.verdict() == Verdict::Healthy;
        following.look().await;
        if was_healthy && following.verdict() != Verdict::Healthy {
            following.lose();
        }
        let after = following.verdict();
        if after != Verdict::Pending && changes_conditions(run, state) {
            let report = standing(state);
            return conclude(run, state, report).await;
        } else if after != Verdict::Pending {
            // It was about to be said that health is waited for, and the status still says how that ended before.
            state.unsaid.take_if(|unsaid| unsaid.awaits_verdict());
        }
    }
    let is_awaited = dependents::are_elsewhere(run.context, run.key);
    let is_time = |unsaid: &mut Unsaid| {
        unsaid.at <= Instant::now() || (is_awaited && !unsaid.awaits_verdict())
    };
    match state.unsaid.take_if(is_time) {
        Some(unsaid) if is_awaited => conclude(run, state, unsaid.report).await,
        // Those that have something to apply go first.
        Some(unsaid) => when_nobody_else_asks(conclude(run, state, unsaid.report)).await,
        None => Ok(rest(run, state)),
    }
}

/// Whether the conditions would say anything else than they do.
fn changes_conditions(run: &Run<'_>, state: &State) -> bool {
    let mut report = Report {
        revision: state
            .settled
            .as_ref()
            .map(|settled| settled.revision.clone()),
        outcome: outcome(state),
        health: health(state),
        ..Report::default()
    };
    state.drift.tell(&mut report);
    let written = run.object.status.as_ref();
    let written = written
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let unsaid = state.unsaid.as_ref().is_some_and(|unsaid| {
        unsaid.report.outcome == report.outcome && unsaid.report.health == report.health
    });
    !unsaid && status(&run.object, &report).conditions != written
}
