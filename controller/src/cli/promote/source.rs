//! Asking the cluster of the source how its Kustomizations are.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::cli::connection::{Connection, kustomizations};
use crate::promotion::health::Reported;
use crate::reconcile::automatic::reported;

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
        let found = crate::cli::asynchronously(kustomizations(&connection))?;
        Ok(Some(found.iter().map(reported).collect()))
    }
}
