//! The pipeline on one screen, and when it runs: events, dependencies, retries, finalizers.
//!
//! ```text
//! schedule ──wake──▶ kustomization::reconcile ──▶ bring (this file) ──Report──▶ conclude: status, events, metrics
//!                                          └────▶ follow (health), finalize (deletion)
//! ```

pub mod conclude;
pub mod context;
pub mod dependencies;
pub mod finalize;
pub mod follow;
pub mod gate;
pub mod git_repository;
pub mod inputs;
pub mod kustomization;
pub mod observe;
pub mod record;
pub mod render;
pub mod run;
pub mod schedule;
pub mod support;

use overlay::ObjectHash;
use overlay::build::Reads;

use crate::api::kustomization::reason::{PRUNE_FAILED, RECONCILIATION_FAILED};
use crate::cluster::{self, Plan, Proofs};
use crate::report::Report;
use crate::report::failure::Failure;
use run::Run;

/// What a run that applied everything leaves for the next one.
#[derive(Debug)]
pub struct Brought {
    /// What was applied.
    pub plan: Plan,
    /// All that the build looked at.
    pub reads: Reads,
    /// What the source's files were.
    pub content: ObjectHash,
}

/// Brings the cluster to what the source says now. What was done is in the report, also when a stage fails.
pub async fn bring(
    run: &mut Run<'_>,
    proofs: &mut Proofs,
    report: &mut Report,
) -> Result<Brought, Failure> {
    let snapshot = run.snapshot()?;
    dependencies::check(run.context, run.key, &run.object.spec, &snapshot.revision)?;
    let (revision, content) = (snapshot.revision.clone(), snapshot.content);
    report.revision = Some(revision.clone());

    let inputs = inputs::read(run.context, run.key, &run.object.spec).await?;
    let rendered = render::render(run.context, &run.object.spec, snapshot, inputs).await?;
    report.warnings.extend(rendered.warnings);

    let client = run.client()?;
    let known = run.known(proofs)?;
    let wanted = run.wanted(rendered.objects);
    let plan = cluster::plan(&client, wanted, &known)
        .await
        .map_err(run::refused)?;
    report.digest = Some(run::digest(&plan));
    report.warnings.extend(plan.warnings.iter().cloned());
    run::none_failed(RECONCILIATION_FAILED, &plan.errors)?;

    let prunes = run.prunes(&plan, &known.inventory);
    run.answer_for(&plan, &known.inventory, &revision).await?;
    let applied = cluster::apply::apply(&client, &plan).await;
    proofs.extend(applied.changes.proofs());
    report.changes.entries.extend(applied.changes.entries);
    run::none_failed(RECONCILIATION_FAILED, &applied.errors)?;

    let pruned = cluster::prune::prune(&client, &plan.owner, &prunes.free, proofs).await;
    report.inventory = Some(run::inventory_after(&plan, &prunes, &pruned));
    report.changes.entries.extend(pruned.changes.entries);
    run::keep_proofs(proofs, report.inventory.as_ref());
    run.watch(&plan);
    run::none_failed(PRUNE_FAILED, &pruned.errors)?;
    prunes.failure().map_or(Ok(()), Err)?;
    Ok(Brought {
        plan,
        reads: rendered.reads,
        content,
    })
}
