//! Executes a plan, stage by stage; says what was done even when it fails half-way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::await_gone::await_gone;
use super::change_set::{ChangeSet, Done, Entry};
use super::check::{Checker, body, proof};
use super::client::{ApplyMode, Client, Preconditions, Written};
use super::discovery::defined_by;
use super::error::{Act, Error, ObjectError};
use super::in_flight::in_order;
use super::in_force;
use super::may_apply::MayApply;
use super::order::rank;
use super::owner::Owner;
use super::plan::{Action, Beside, Incarnation, Plan, Step, Unchecked};
use super::planning::{is_definition, is_namespace};
use super::redact::{Redactor, is_secret};
use super::undeclared;

/// Writes of one plan in flight.
const CONCURRENCY: usize = 16;

/// How long, in milliseconds, a kind may take to be served once its definition is established.
const SERVED_DELAYS: [u64; 7] = [50, 100, 200, 400, 800, 1600, 3200];

/// How often an object that is to be replaced, and that others write to, is looked at.
const LOOKS: usize = 5;

/// What became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What was done, in order.
    pub changes: ChangeSet,
    /// What failed; the steps after the failed rank were not begun.
    pub errors: Vec<ObjectError>,
}

/// Executes a plan. Deletions are not part of it: see [`super::prune`].
///
/// Objects of one rank are written together; a failure lets the rank finish and begins no other. A plan with
/// errors is not executed at all.
pub async fn apply(client: &Client, plan: &Plan) -> Applied {
    let mut applied = Applied {
        errors: plan.errors.clone(),
        ..Applied::default()
    };
    let redactor = Redactor::of(plan.steps.iter().map(|step| &step.object));
    let managers = client.taken_over();
    let writer = Writer {
        owner: &plan.owner,
        checker: Checker {
            client,
            redactor: &redactor,
            taken_over: &managers,
            force: plan.force,
            check_all: false,
            beside: &Beside::default(),
            may_apply: &MayApply::default(),
        },
    };
    for stage in plan.steps.chunk_by(|left, right| left.stage == right.stage) {
        let mut stage = Cow::Borrowed(stage);
        if applied.errors.is_empty() && stage.iter().any(is_pending) {
            let pending = stage.to_mut();
            writer.check_pending(pending, &mut applied.errors).await;
        }
        if applied.errors.is_empty() {
            writer.write_stage(&stage, &mut applied).await;
        }
    }
    applied
}

struct Writer<'a> {
    owner: &'a Owner,
    checker: Checker<'a>,
}

impl Writer<'_> {
    /// Dry-runs what could not be dry-run before the stages that bring its kind and namespace.
    async fn check_pending(&self, stage: &mut [Step], errors: &mut Vec<ObjectError>) {
        let pending = stage.iter_mut().filter(|step| is_pending(step));
        let checks = pending.map(|step| async move {
            step.action = Action::Create;
            self.check_served(step).await
        });
        let results = in_order(Box::new(checks), CONCURRENCY).await;
        errors.extend(results.into_iter().filter_map(Result::err));
    }

    /// An API server serves a new kind a moment after it has called its definition established.
    async fn check_served(&self, step: &mut Step) -> Result<(), ObjectError> {
        for delay in SERVED_DELAYS {
            match self.checker.check(step).await {
                Err(error) if error.code == 404 => {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                }
                other => return other.map(drop),
            }
        }
        self.checker.check(step).await.map(drop)
    }

    async fn write_stage(&self, stage: &[Step], applied: &mut Applied) {
        for rank in stage.chunk_by(|left, right| rank(&left.id.kind) == rank(&right.id.kind)) {
            let awaited = self.write_rank(rank, applied).await;
            if !applied.errors.is_empty() {
                return;
            }
            self.await_in_force(awaited, applied).await;
        }
    }

    /// Writes objects that do not wait for each other; gives back those that have to come into force.
    async fn write_rank(&self, rank: &[Step], applied: &mut Applied) -> Vec<(Step, Value)> {
        let writes = rank.iter().map(|step| self.write(step.clone()));
        let written = in_order(Box::new(writes), CONCURRENCY).await;
        let mut awaited = Vec::new();
        for (step, result) in rank.iter().zip(written) {
            match result {
                Ok(entry) => {
                    if let Some(answer) = entry.answer.as_deref()
                        && (is_definition(&step.id) || is_namespace(&step.id))
                    {
                        awaited.push((step.clone(), answer.clone()));
                    }
                    applied.changes.entries.push(entry);
                }
                Err(error) => applied.errors.push(error),
            }
        }
        awaited
    }

    async fn await_in_force(&self, awaited: Vec<(Step, Value)>, applied: &mut Applied) {
        let client = self.checker.client;
        for (step, _) in awaited.iter().filter(|(step, _)| is_definition(&step.id)) {
            client.discovery().add(defined_by(&step.object.node));
        }
        let errors = in_force::await_all(client, self.owner, awaited).await;
        let error = |(step, error): (Step, Error)| {
            self.checker
                .redactor
                .object_error(&step.object, Act::Await, &error)
        };
        applied.errors.extend(errors.into_iter().map(error));
    }

    /// Does what a step says.
    async fn write(&self, mut step: Step) -> Result<Entry, ObjectError> {
        if step.action == Action::CreateUnchecked(Unchecked::FirstDeploy) {
            match self.create_unchecked(&step).await {
                Ok(Some(entry)) => return Ok(entry),
                // Something is there, or was left by `kubectl`: from here on as with any other object.
                Ok(None) => self.checker.check(&mut step).await.map(drop)?,
                Err(error) => return Err(self.error(&step, &error)),
            }
        }
        let result = match &step.action {
            Action::Skip(_) => Ok(Entry {
                proof: step.proof.clone(),
                ..entry(&step, Done::Skipped)
            }),
            Action::Unchanged => Ok(Entry {
                proof: step.proof.clone(),
                ..entry(&step, Done::Unchanged)
            }),
            Action::Replace(_) => self.replace(&step).await,
            Action::Create | Action::Configure | Action::CreateUnchecked(_) => {
                self.configure(step.clone()).await
            }
        };
        result.map_err(|error| self.error(&step, &error))
    }

    fn error(&self, step: &Step, error: &Error) -> ObjectError {
        self.checker
            .redactor
            .object_error(&step.object, Act::Apply, error)
    }

    /// The one request of a first deploy: an apply that yields to other managers. None when it met something.
    async fn create_unchecked(&self, step: &Step) -> Result<Option<Entry>, Error> {
        let result = self
            .checker
            .client
            .apply(&path(step), body(step), ApplyMode::Yield)
            .await;
        match result {
            Ok(written) => {
                let entry = self.written(step, written, false);
                let meets_kubectl = entry
                    .proof
                    .as_ref()
                    .is_some_and(|proof| proof.taken_over.is_some());
                Ok((entry.done == Done::Created || !meets_kubectl).then_some(entry))
            }
            Err(error) if needs_check(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn configure(&self, mut step: Step) -> Result<Entry, Error> {
        if let Err(error) = self.clean_up(&step).await {
            // Someone has written since the plan was made: what is there now is looked at once more.
            if !error
                .refusal()
                .is_some_and(|refusal| matches!(refusal.code, 409 | 422))
            {
                return Err(error);
            }
            let live = self.checker.client.get(&path(&step)).await?;
            self.checker.look_again(&mut step, &live);
            self.clean_up(&step).await?;
        }
        let written = self
            .checker
            .client
            .apply(&path(&step), body(&step), ApplyMode::Force)
            .await?;
        // Where nothing was compared, the answer tells whether anything changed.
        let differed = !step.changes.is_empty() || !step.clean_up.is_empty();
        let differed = differed && step.action == Action::Configure;
        Ok(self.written(&step, written, differed))
    }

    async fn clean_up(&self, step: &Step) -> Result<(), Error> {
        if !step.clean_up.is_empty() {
            self.checker
                .client
                .json_patch(&path(step), &step.clean_up)
                .await?;
        }
        Ok(())
    }

    /// Deletes the object that was looked at, waits until it is gone, and creates it anew.
    async fn replace(&self, step: &Step) -> Result<Entry, Error> {
        if let (Some(live), Some(resource)) = (&step.live, &step.resource) {
            self.delete(step, live).await?;
            await_gone(self.checker.client, resource, &step.id, &live.uid).await?;
        }
        let written = self
            .checker
            .client
            .apply(&path(step), body(step), ApplyMode::Force)
            .await?;
        Ok(self.written(step, written, true))
    }

    /// Deletes one incarnation of an object, which its controllers may be writing to at the same time.
    async fn delete(&self, step: &Step, live: &Incarnation) -> Result<(), Error> {
        let client = self.checker.client;
        let mut preconditions = Preconditions {
            uid: live.uid.clone(),
            resource_version: live.resource_version.clone(),
        };
        for _ in 1..LOOKS {
            match client.delete(&path(step), &preconditions).await {
                Err(error) if error.refusal().is_some_and(|refusal| refusal.is_conflict()) => {}
                Err(error) if error.is_not_found() => return Ok(()),
                other => return other,
            }
            let now = client.get_metadata(&path(step)).await?;
            let version = now["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default();
            preconditions.resource_version = version.to_owned();
        }
        client.delete(&path(step), &preconditions).await
    }

    /// `changes` is set when the object is known to differ from what was there.
    fn written(&self, step: &Step, written: Written, changes: bool) -> Entry {
        let proof = proof(step, &written.object, self.checker.taken_over);
        let done = match written.created {
            true => Done::Created,
            false if !changes && super::check::is_untouched(&written) => Done::Unchanged,
            false => Done::Configured,
        };
        Entry {
            proof: Some(proof),
            answer: answer(step, written.object),
            ..entry(step, done)
        }
    }
}

/// Whether the refusal of an unchecked apply is one that the checked way answers: the object is there, or has
/// fields that its kind does not have.
fn needs_check(error: &Error) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.is_conflict() || !undeclared::fields(refusal).is_empty())
}

fn is_pending(step: &Step) -> bool {
    matches!(
        step.action,
        Action::CreateUnchecked(Unchecked::KindPending | Unchecked::NamespacePending)
    )
}

fn path(step: &Step) -> String {
    let resource = step.resource.as_ref();
    resource
        .map(|resource| resource.object_path(&step.id))
        .unwrap_or_default()
}

fn entry(step: &Step, done: Done) -> Entry {
    Entry {
        id: step.id.clone(),
        done,
        proof: None,
        answer: None,
    }
}

/// The answer for those who judge health: without managed fields, and nothing of objects that hold secrets.
fn answer(step: &Step, mut object: Value) -> Option<Arc<Value>> {
    if is_secret(&step.object) || object["kind"] == "Secret" || object["kind"] == "ConfigMap" {
        return None;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Some(Arc::new(object))
}
