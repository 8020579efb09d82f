//! The pipeline on one screen, and when it runs: events, dependencies, retries, finalizers.
//!
//! ```text
//! schedule ──wake──▶ kustomization::reconcile ──▶ bring (this file) ──Report──▶ conclude: status, events, metrics
//!                                          └────▶ follow (health), finalize (deletion)
//! ```

pub mod access;
pub mod artifact_source;
pub mod asking;
pub mod automatic;
pub mod barrier;
pub mod bucket;
pub mod conclude;
pub mod context;
pub mod dependencies;
pub mod dependents;
pub mod desired;
pub mod drift;
pub mod elsewhere;
pub mod encrypted;
mod fill_in;
pub mod finalize;
pub mod follow;
pub mod foreign;
pub mod gate;
pub mod git_repository;
pub mod include;
pub mod input_watches;
pub mod inputs;
pub mod key_identity;
pub mod keys;
pub mod kustomization;
pub mod lent;
pub mod observe;
pub mod oci_repository;
pub mod owners;
pub mod package;
pub mod pruning;
pub mod receiver;
pub mod record;
pub mod render;
pub mod repository_access;
pub mod run;
pub mod schedule;
pub mod sites;
pub mod snapshots;
mod source_outcome;
pub mod support;

use overlay::ObjectHash;
use overlay::build::Reads;

use crate::api::kustomization::reason::RECONCILIATION_FAILED;
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
    /// What waits for a person's word: all else is done.
    pub held: Option<Failure>,
}

/// Brings the cluster to what the source says now. What was done is in the report, also when a stage fails.
pub async fn bring(
    run: &mut Run<'_>,
    proofs: &mut Proofs,
    report: &mut Report,
) -> Result<Brought, Failure> {
    let number = run.number();
    let snapshot = run.snapshot()?;
    let (revision, content) = (snapshot.revision.clone(), snapshot.content);
    report.revision = Some(revision.clone());
    report.origin_revision.clone_from(&snapshot.origin_revision);
    if run.is_rendered(number) {
        dependencies::check(run.context, run.key, &run.object, &revision).await?;
    }

    let mut place = run.place().await;
    let inputs = inputs::read(run.context, run.key, &run.object.spec).await?;
    let mut rendered = render::render(run, snapshot, inputs).await?;
    report.warnings.append(&mut rendered.warnings);

    let client = run.client()?;
    owners::declare(run, &client, &rendered.objects, number).await;
    dependencies::check(run.context, run.key, &run.object, &revision).await?;
    run.look_around(&client, &rendered.objects, proofs).await;
    // Whoever waits for others to be rendered holds no place that they may need for it.
    place.take_if(|_| owners::has_rivals(run, &client, &rendered.objects));
    let conflicts = owners::conflicts(run, &client, &rendered.objects, number).await;
    let wanted = run.wanted(rendered.objects, &conflicts)?;

    let mut known = run.known(proofs)?;
    known.kept_elsewhere = owners::kept(&conflicts);
    let mut plan = cluster::plan(&client, wanted, &known)
        .await
        .map_err(run::refused)?;
    report.digest = Some(plan.digest());
    report.warnings.extend(plan.warnings.iter().cloned());
    report.left_out = plan.left_out().map(ToString::to_string).collect();
    run::none_failed(RECONCILIATION_FAILED, &plan.errors)?;
    if drift::is_reported(&run.object) {
        report.drifted = drift::leave(&mut plan, &known);
    }

    run.answer_for(&plan, &known.inventory, &revision).await?;
    run.count_drift(&plan, &known);
    let applied = cluster::apply::apply(&client, &plan).await;
    proofs.extend(applied.changes.proofs());
    owners::brought(run, &applied.changes);
    report.changes.entries.extend(applied.changes.entries);
    drop(place);
    run.watch(&plan);
    run::none_failed(RECONCILIATION_FAILED, &applied.errors)?;
    owners::applied(run, &plan.digest());

    let held = pruning::prune(
        run,
        &client,
        &plan,
        &known.inventory,
        proofs,
        report,
        number,
    )
    .await?;
    owners::tell(run, &conflicts, report).map_err(|failure| failure.and(held.as_ref()))?;
    Ok(Brought {
        plan,
        reads: rendered.reads,
        content,
        held,
    })
}
