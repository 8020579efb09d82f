//! The end of a run: what a new render no longer has is handed over, held for a person's word, or deleted.

use std::collections::{BTreeSet, HashSet};

use overlay::ObjectId;

use super::dependencies::source_key;
use super::gate::{self, Verdict};
use super::run::{self, Run};
use super::{barrier, owners};
use crate::api::kustomization::reason::PRUNE_FAILED;
use crate::cluster::{self, Client, Inventory, ObjectKey, Plan, Proofs};
use crate::report::Report;
use crate::report::failure::{Again, Failure};

/// Deletes what the plan no longer wants, once all others have said what they want. Gives back what is to be said of
/// deletions that wait for a person's word.
pub async fn prune(
    run: &Run<'_>,
    client: &Client,
    plan: &Plan,
    inventory: &Inventory,
    proofs: &mut Proofs,
    report: &mut Report,
    number: u64,
) -> Result<Option<Failure>, Failure> {
    let verdict = verdict(run, client, plan, inventory, number).await?;
    let pruned = cluster::prune::prune(client, &plan.owner, &verdict.free, proofs).await;
    report.inventory = Some(run::inventory_after(plan, &verdict, &pruned));
    report.changes.entries.extend(pruned.changes.entries);
    run::keep_proofs(proofs, report.inventory.as_ref());
    run::none_failed(PRUNE_FAILED, &pruned.errors)?;
    Ok(verdict.failure())
}

/// What is deleted now and what waits.
async fn verdict(
    run: &Run<'_>,
    client: &Client,
    plan: &Plan,
    inventory: &Inventory,
    number: u64,
) -> Result<Verdict, Failure> {
    if !run.object.spec.prune || plan.prunes.is_empty() {
        return Ok(Verdict::default());
    }
    if let Some(source) = source_key(&run.object.spec, &run.key.namespace) {
        barrier::all_rendered(run.context, run.key, &source, number)
            .await
            .map_err(|other| {
                let message = format!("nothing is pruned before {other} has been rendered");
                Failure::new(PRUNE_FAILED, message).again(Again::Backoff)
            })?;
    }
    let handed = owners::handed_over(run, &plan.prunes).await?;
    let verdict = judge(run, plan, inventory, &handed, &[]);
    if verdict.held.is_empty() {
        return Ok(verdict);
    }
    let spared = cluster::prune::spared(client, &plan.owner, &verdict.held).await;
    Ok(judge(run, plan, inventory, &handed, &spared))
}

/// What changes hands is no deletion, and what would not be deleted is spared the question.
fn judge(
    run: &Run<'_>,
    plan: &Plan,
    inventory: &Inventory,
    handed: &HashSet<ObjectKey>,
    spared: &[ObjectId],
) -> Verdict {
    let stays = |id: &&ObjectId| !handed.contains(&ObjectKey::from(*id));
    let spared: BTreeSet<&ObjectId> = spared.iter().collect();
    let goes = |id: &&ObjectId| stays(id) && !spared.contains(id);
    let ours: Vec<_> = inventory.objects.iter().filter(goes).cloned().collect();
    let mut verdict = gate::check(
        &ours,
        &plan.inventory().objects,
        run.confirmed(),
        run.context.settings.gate,
    );
    let held = &verdict.held;
    let free = plan
        .prunes
        .iter()
        .filter(stays)
        .filter(|id| !held.contains(id));
    verdict.free = free.cloned().collect();
    verdict
}
