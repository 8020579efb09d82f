//! Asking the cluster of the source how its Kustomizations are.

use std::path::PathBuf;

use kube::{Api, ResourceExt};

use crate::api::kustomization::{Kustomization, KustomizationStatus};
use crate::api::meta::condition::READY;
use crate::cli::Failure;
use crate::cli::connection::Connection;
use crate::promotion::health::Reported;
use crate::reconcile::render;

#[derive(clap::Args)]
#[command(next_help_heading = "Health of the source")]
pub(super) struct SourceFlags {
    /// Promote only what the cluster of this context says is applied and Ready.
    #[arg(long, value_name = "NAME")]
    source_context: Option<String>,
    /// The kubeconfig file of that cluster.
    #[arg(long, value_name = "FILE")]
    source_kubeconfig: Option<PathBuf>,
}

impl SourceFlags {
    /// What the cluster says; nothing when none is named.
    pub(super) fn reported(&self) -> Result<Option<Vec<Reported>>, Failure> {
        if self.source_context.is_none() && self.source_kubeconfig.is_none() {
            return Ok(None);
        }
        let connection = Connection {
            kubeconfig: self.source_kubeconfig.clone(),
            context: self.source_context.clone(),
            ..Connection::default()
        };
        crate::cli::asynchronously(ask(connection)).map(Some)
    }
}

async fn ask(connection: Connection) -> Result<Vec<Reported>, Failure> {
    let api = Api::<Kustomization>::all(connection.client().await?);
    let found = api.list(&kube::api::ListParams::default()).await;
    let found = found.map_err(|error| Failure::new(format!("listing Kustomizations: {error}")))?;
    Ok(found.items.iter().map(reported).collect())
}

fn reported(kustomization: &Kustomization) -> Reported {
    let none = KustomizationStatus::default();
    let status = kustomization.status.as_ref().unwrap_or(&none);
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == READY);
    // What was seen before the last change of the spec says nothing.
    let is_seen = status.observed_generation == kustomization.metadata.generation;
    let revision = status.last_applied_revision.as_deref();
    Reported {
        namespace: kustomization.namespace().unwrap_or_default(),
        name: kustomization.name_any(),
        path: render::folder(&kustomization.spec),
        is_ready: is_seen && ready.is_some_and(|ready| ready.status == "True"),
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        commit: revision
            .and_then(|revision| revision.rsplit(':').next())
            .map(str::to_owned),
        since: status.history.first().map(|entry| entry.first_reconciled.0),
    }
}
