//! A plan is carried out as the controller would: in the name of each Kustomization's own account, the inventory written
//! before the first new object, its status brought up to date at the end.

use std::time::Instant;

use kube::Client;
use overlay::ObjectId;

use super::planned::Planned;
use super::{Ground, Live, Lost};
use crate::api::kustomization::{Kustomization, reason};
use crate::cluster::{self, ChangeSet, Inventory, ObjectError, Plan, Proofs};
use crate::comparison::Action;
use crate::environments::LeafName;
use crate::reconcile::gate::Verdict;
use crate::reconcile::lent::Loan;
use crate::reconcile::record;
use crate::reconcile::run::{Times, applied, inventory_after, none_failed};
use crate::report::failure::{Again, Failure};
use crate::report::kustomization::{begun, checks_health, status};
use crate::report::{Outcome, Report};

/// What was done for one Kustomization.
pub struct Carried {
    /// Who it is.
    pub name: LeafName,
    /// What was done, in order.
    pub changes: ChangeSet,
}

/// Kustomizations that a controller would work against us on: each with what is to be done about it.
pub fn unready(ground: &Ground<'_>, live: &Live) -> Vec<String> {
    let leaves = live.places.iter().flat_map(|place| &place.leaves);
    let problem = |leaf: &Planned| {
        let name = &leaf.grown.name;
        let object = ground.living.get(name).filter(|_| writes(leaf))?;
        let lent = Loan::of(object).filter(|loan| !loan.left().is_zero());
        match (lent, object.spec.suspend) {
            // Its inventory would no longer hold what is in there.
            _ if !leaf.closed.is_empty() => Some(format!(
                "{name}: {} cannot be opened",
                leaf.closed.join(", ")
            )),
            (Some(loan), _) => Some(format!("{name} is lent to {loan}")),
            (None, Some(true)) => None,
            (None, _) => Some(format!("{name} is not suspended")),
        }
    };
    leaves.filter_map(problem).collect()
}

/// Kustomizations that are not there yet: who brings them leaves them to the controller.
pub fn to_come<'a>(ground: &'a Ground<'_>, live: &'a Live) -> impl Iterator<Item = &'a LeafName> {
    let leaves = live.places.iter().flat_map(|place| &place.leaves);
    let new =
        leaves.filter(|leaf| leaf.plan.is_some() && !ground.living.contains_key(&leaf.grown.name));
    new.map(|leaf| &leaf.grown.name)
}

/// Whether carrying out a plan writes anything.
fn writes(leaf: &Planned) -> bool {
    leaf.plan.as_ref().is_some_and(Plan::has_changes)
}

/// Carries out all plans, those that bring others first. What was done is given back with the first failure.
pub async fn execute(
    ground: &Ground<'_>,
    live: &Live,
    commit: &str,
) -> (Vec<Carried>, Option<Failure>) {
    let mut all = Vec::new();
    for leaf in live.places.iter().flat_map(|place| &place.leaves) {
        let (Some(plan), Some(object)) = (&leaf.plan, ground.living.get(&leaf.grown.name)) else {
            continue;
        };
        if !writes(leaf) {
            continue;
        }
        let mut carried = Carried {
            name: leaf.grown.name.clone(),
            changes: ChangeSet::default(),
        };
        let done = one(ground, leaf, plan, object, commit, &mut carried.changes).await;
        all.push(carried);
        if let Err(failure) = done {
            return (all, Some(failure));
        }
    }
    (all, None)
}

async fn one(
    ground: &Ground<'_>,
    leaf: &Planned,
    plan: &Plan,
    object: &Kustomization,
    commit: &str,
    changes: &mut ChangeSet,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let (own, client) = (ground.client.kube(), super::client(ground, &leaf.grown)?);
    let (inventory, revision) = (applied(object)?, revision(object, commit));
    let object = answer_for(&own, object, plan, &inventory, &revision).await?;
    let done = cluster::apply(&client, plan).await;
    let proofs: Proofs = done.changes.proofs();
    changes.entries.extend(done.changes.entries);
    none_failed(reason::RECONCILIATION_FAILED, &done.errors)?;

    let verdict = verdict(leaf);
    let pruned = cluster::prune(&client, &plan.owner, &verdict.free, &proofs).await;
    let after = inventory_after(plan, &verdict, &pruned);
    changes.entries.extend(pruned.changes.entries);
    let outcome = outcome(&object, &pruned.errors);
    let failure = match &outcome {
        Outcome::Failed(failure) => Some(failure.clone()),
        Outcome::Ready | Outcome::Progressing(_) => None,
    };
    let report = Report {
        revision: Some(revision),
        digest: Some(plan.digest()),
        changes: changes.clone(),
        inventory: Some(after),
        outcome,
        took: begin.elapsed(),
        ..Report::default()
    };
    let new = status(&object, &report);
    record::status(&own, object, &new)
        .await
        .map_err(unrecorded)?;
    failure.map_or(Ok(()), Err)
}

/// What is asked of health is left to the controller to say.
fn outcome(object: &Kustomization, errors: &[ObjectError]) -> Outcome {
    match none_failed(reason::PRUNE_FAILED, errors) {
        Err(failure) => Outcome::Failed(failure),
        Ok(()) if checks_health(&object.spec) => {
            Outcome::Progressing(Times::of(&object.spec).timeout)
        }
        Ok(()) => Outcome::Ready,
    }
}

/// Writes the inventory before the first apply of a new object, so that a crash orphans nothing.
async fn answer_for(
    client: &Client,
    object: &Kustomization,
    plan: &Plan,
    inventory: &Inventory,
    revision: &str,
) -> Result<Kustomization, Failure> {
    let wanted = plan.inventory();
    if inventory.with(&wanted.objects).objects.len() == inventory.objects.len() {
        return Ok(object.clone());
    }
    let all = wanted.with(&inventory.missing_in(&wanted));
    let status = begun(object, revision, &all);
    record::status(client, object.clone(), &status)
        .await
        .map_err(unrecorded)
}

fn unrecorded(error: record::RecordError) -> Failure {
    Failure::new(reason::RECONCILIATION_FAILED, error).again(Again::Never)
}

/// What is deleted, and what waits for a person's word. What a generator has named anew goes too.
fn verdict(leaf: &Planned) -> Verdict {
    let renamed = leaf.renamed.iter().map(|renamed| renamed.old.clone());
    let of = |is_held: bool| {
        let is_it = move |lost: &&Lost| matches!(lost.action, Action::Prune { is_guarded } if is_guarded == is_held);
        leaf.lost.iter().filter(is_it).map(|lost| lost.id.clone())
    };
    let free: Vec<ObjectId> = renamed.chain(of(false)).collect();
    Verdict {
        free,
        held: of(true).collect(),
    }
}

/// The commit as sources write it: with the name of the branch that was applied last.
fn revision(object: &Kustomization, commit: &str) -> String {
    let status = object.status.as_ref();
    let last = status.and_then(|status| status.last_applied_revision.as_deref());
    let branch = last
        .and_then(|last| last.split_once('@'))
        .map(|(branch, _)| branch);
    match branch {
        Some(branch) => format!("{branch}@sha1:{commit}"),
        None => format!("sha1:{commit}"),
    }
}
