//! Flux in the cluster: the controllers whose work Weir does are scaled to nothing, and everything else is left alone.

use std::time::Duration;

use anstream::println;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::wait;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::cli::Failure;

/// The label that Flux puts on all of its own parts.
const PART_OF: &str = "app.kubernetes.io/part-of=flux";

/// The controllers that Weir replaces.
const REPLACED: [&str; 2] = ["kustomize-controller", "source-controller"];

/// Flux's controllers that Weir takes over from.
pub(super) struct Flux {
    namespace: String,
    controllers: Vec<Controller>,
}

struct Controller {
    name: String,
    replicas: i32,
}

/// Looks for Flux in a namespace.
pub(super) async fn found(client: &Client, namespace: &str) -> Result<Option<Flux>, Failure> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let listed = deployments
        .list(&ListParams::default().labels(PART_OF))
        .await;
    let listed = listed
        .map_err(|error| Failure::new(format!("looking for Flux in {namespace}: {error}")))?;
    let replaced = listed
        .into_iter()
        .filter(|found| REPLACED.contains(&found.name_any().as_str()));
    let controllers: Vec<Controller> = replaced
        .map(|found| Controller {
            name: found.name_any(),
            replicas: found.spec.replicas.unwrap_or(1),
        })
        .collect();
    Ok((!controllers.is_empty()).then(|| Flux {
        namespace: namespace.to_owned(),
        controllers,
    }))
}

impl Flux {
    /// The controllers' names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.controllers
            .iter()
            .map(|controller| controller.name.as_str())
            .collect()
    }

    /// Scales the controllers to nothing, and waits until their pods are gone: two that reconcile would fight.
    pub(super) async fn stop(&self, client: &Client, timeout: Duration) -> Result<(), Failure> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        for Controller { name, replicas } in &self.controllers {
            let failed = |why: String| Failure::new(format!("stopping {name}: {why}"));
            let scale = json!({ "spec": { "replicas": 0 } });
            let parameters = PatchParams::default();
            let scaled = deployments
                .patch_scale(name, &parameters, &Patch::Merge(scale))
                .await;
            scaled.map_err(|error| failed(error.to_string()))?;
            let gone =
                wait::await_condition(deployments.clone(), name, |found: Option<&Deployment>| {
                    let status = found.and_then(|found| found.status.as_ref());
                    found.is_none()
                        || status.is_some_and(|status| status.replicas.unwrap_or(0) == 0)
                });
            let waited = tokio::time::timeout(timeout, gone).await;
            waited
                .map_err(|_| failed("its pods are still there".to_owned()))?
                .map_err(|error| failed(error.to_string()))?;
            if *replicas > 0 {
                println!("✔ stopped Flux's {name}");
            }
        }
        Ok(())
    }

    /// What to do to have Flux again.
    pub(super) fn way_back(&self) -> String {
        let (namespace, names) = (&self.namespace, self.names().join(" "));
        format!(
            "the way back, which touches no workload either:\n  \
             kubectl -n {namespace} scale deployment weir --replicas=0\n  \
             kubectl -n {namespace} scale deployment {names} --replicas=1"
        )
    }
}
