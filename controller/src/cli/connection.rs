//! Which cluster a command talks to: kubeconfig, context, namespace, as kubectl understands them.

use std::path::PathBuf;

use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::Failure;
use crate::api::kustomization::Kustomization;

/// Flags of every command that talks to a cluster.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Connection {
    /// The kubeconfig file; default `$KUBECONFIG`, then `~/.kube/config`, then the pod's own account.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The kubeconfig context.
    #[arg(long)]
    pub(super) context: Option<String>,
    /// The namespace of the objects; default `flux-system`.
    #[arg(long, short, default_value = "flux-system")]
    pub(super) namespace: String,
}

impl Connection {
    /// The configuration that the flags name.
    pub(super) async fn config(&self) -> Result<kube::Config, Failure> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match &self.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| no_cluster(&error))?;
                kube::Config::from_custom_kubeconfig(file, &options).await
            }
            None => match kube::Config::from_kubeconfig(&options).await {
                Err(error) if self.context.is_none() => {
                    return kube::Config::incluster().map_err(|_| no_cluster(&error));
                }
                config => config,
            },
        };
        config.map_err(|error| no_cluster(&error))
    }

    /// A client with the caller's own identity.
    pub(super) async fn client(&self) -> Result<kube::Client, Failure> {
        kube::Client::try_from(self.config().await?).map_err(|error| no_cluster(&error))
    }
}

/// All Kustomizations of a cluster.
pub(super) async fn kustomizations(connection: &Connection) -> Result<Vec<Kustomization>, Failure> {
    let api = Api::<Kustomization>::all(connection.client().await?);
    let found = api.list(&ListParams::default()).await;
    let found = found.map_err(|error| Failure::new(format!("listing Kustomizations: {error}")))?;
    Ok(found.items)
}

fn no_cluster(error: &dyn std::error::Error) -> Failure {
    Failure::with_hint(
        format!("no cluster to talk to: {error}"),
        "name one with --kubeconfig FILE or --context NAME",
    )
}
