//! Server-side apply of Weir's own parts and of what the cluster follows, with the caller's own rights.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::{conditions, wait};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::sync::Sync;
use crate::cli::Failure;

/// Who applies: not the manager of what Weir applies out of repositories.
const MANAGER: &str = "weir-bootstrap";

/// Whether an object must be there before the others.
fn is_first(part: &Value) -> bool {
    part["kind"] == "Namespace" || part["kind"] == "CustomResourceDefinition"
}

/// Namespace and definitions, until these are served.
pub(super) async fn definitions(
    client: &Client,
    parts: &[Value],
    timeout: Duration,
) -> Result<(), Failure> {
    for part in parts.iter().filter(|part| is_first(part)) {
        // A namespace that is there may carry the labels of others.
        if part["kind"] == "Namespace" && exists(client, part).await? {
            continue;
        }
        object(client, part).await?;
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for part in parts
        .iter()
        .filter(|part| part["kind"] == "CustomResourceDefinition")
    {
        let name = part["metadata"]["name"].as_str().unwrap_or_default();
        let served =
            wait::await_condition(definitions.clone(), name, conditions::is_crd_established());
        let waited = tokio::time::timeout(timeout, served).await;
        let failed = |why: String| {
            Failure::new(format!(
                "CustomResourceDefinition {name} is not served: {why}"
            ))
        };
        waited
            .map_err(|_| failed("no answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
    }
    println("custom resource definitions");
    Ok(())
}

/// All other parts.
pub(super) async fn rest(client: &Client, parts: &[Value]) -> Result<(), Failure> {
    for part in parts.iter().filter(|part| !is_first(part)) {
        object(client, part).await?;
    }
    println("Weir: accounts, roles, Deployment, Service");
    Ok(())
}

/// The source and the Kustomization.
pub(super) async fn sync(client: &Client, sync: &Sync) -> Result<(), Failure> {
    object(client, &sync.source).await?;
    object(client, &sync.kustomization).await?;
    println(&format!("GitRepository and Kustomization {}", sync.name()));
    Ok(())
}

fn println(what: &str) {
    anstream::println!("✔ applied {what}");
}

async fn object(client: &Client, part: &Value) -> Result<DynamicObject, Failure> {
    let failed = |error: kube::Error| Failure::new(format!("applying {}: {error}", title(part)));
    let parameters = PatchParams::apply(MANAGER).force();
    let name = part["metadata"]["name"].as_str().unwrap_or_default();
    let api = api(client, part).await?;
    api.patch(name, &parameters, &Patch::Apply(part))
        .await
        .map_err(failed)
}

async fn exists(client: &Client, part: &Value) -> Result<bool, Failure> {
    let name = part["metadata"]["name"].as_str().unwrap_or_default();
    let found = api(client, part).await?.get_opt(name).await;
    let failed = |error: kube::Error| Failure::new(format!("reading {}: {error}", title(part)));
    Ok(found
        .map_err(failed)?
        .is_some_and(|found| !found.name_any().is_empty()))
}

async fn api(client: &Client, part: &Value) -> Result<Api<DynamicObject>, Failure> {
    let version = part["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, part["kind"].as_str().unwrap_or_default());
    let found = kube::discovery::pinned_kind(client, &kind).await;
    let (resource, _) = found.map_err(|error| Failure::new(format!("{}: {error}", title(part))))?;
    Ok(match part["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

fn title(part: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}",
        text(&part["kind"]),
        text(&part["metadata"]["name"])
    )
}
