//! Waiting, with what happens meanwhile told once each.

use std::time::Duration;

use anstream::println;
use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::{wait, watcher};
use serde_json::{Value, json};

use super::sync::Sync;
use crate::cli::Failure;
use crate::comparison::show::visible;

/// The annotation that a reconciler answers with `status.lastHandledReconcileAt`.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Waits until Weir's Deployment has a pod that is ready.
pub(super) async fn installed(
    client: &Client,
    namespace: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let is_up = |found: Option<&Deployment>| {
        let status = found.and_then(|found| found.status.as_ref());
        status.is_some_and(|status| status.available_replicas.unwrap_or(0) > 0)
    };
    let waited =
        tokio::time::timeout(timeout, wait::await_condition(deployments, "weir", is_up)).await;
    let failed = |why: String| {
        let message = format!("Deployment {namespace}/weir is not available: {why}");
        Failure::with_hint(
            message,
            format!("kubectl -n {namespace} describe pods -l app.kubernetes.io/name=weir"),
        )
    };
    waited
        .map_err(|_| failed(format!("no pod was ready in {} s", timeout.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    println!("✔ Weir runs in {namespace}");
    Ok(())
}

/// Waits until the repository is fetched, and gives its revision.
pub(super) async fn fetched(
    client: &Client,
    sync: &Sync,
    timeout: Duration,
) -> Result<String, Failure> {
    let object = answered(client, &sync.source, timeout, |_| true).await?;
    let revision = object.data["status"]["artifact"]["revision"].as_str();
    Ok(revision.unwrap_or_default().to_owned())
}

/// Waits until the Kustomization is Ready at a revision, or a later one that came meanwhile.
pub(super) async fn reconciled(
    client: &Client,
    sync: &Sync,
    revision: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let is_there = |object: &DynamicObject| {
        let applied = object.data["status"]["lastAppliedRevision"].as_str();
        applied.is_some_and(|applied| {
            applied == revision || !applied.is_empty() && revision.is_empty()
        })
    };
    answered(client, &sync.kustomization, timeout, is_there)
        .await
        .map(drop)
}

/// Asks for a reconcile, and waits until it is answered and the object is Ready.
async fn answered(
    client: &Client,
    object: &Value,
    timeout: Duration,
    is_there: impl Fn(&DynamicObject) -> bool,
) -> Result<DynamicObject, Failure> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, namespace) = (
        text(&object["metadata"]["name"]),
        text(&object["metadata"]["namespace"]),
    );
    let title = format!("{} {namespace}/{name}", text(&object["kind"]));
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &namespace, &resource(object));
    let asked = jiff::Timestamp::now().to_string();
    let patch = json!({ "metadata": { "annotations": { REQUESTED_AT: asked } } });
    let patched = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    patched.map_err(|error| Failure::new(format!("{title}: {error}")))?;
    let mut told = String::new();
    let watched = tokio::time::timeout(
        timeout,
        watch(&api, &name, &title, &asked, &mut told, is_there),
    )
    .await;
    match watched {
        Ok(ready) => ready,
        Err(_) => Err(Failure::new(format!(
            "{title} is not Ready after {} s: {}",
            timeout.as_secs(),
            if told.is_empty() {
                "nobody looks after it"
            } else {
                &told
            }
        ))),
    }
}

async fn watch(
    api: &Api<DynamicObject>,
    name: &str,
    title: &str,
    asked: &str,
    told: &mut String,
    is_there: impl Fn(&DynamicObject) -> bool,
) -> Result<DynamicObject, Failure> {
    let mut events = Box::pin(watcher::watch_object(api.clone(), name));
    let failed = |error: watcher::Error| Failure::new(format!("watching {title}: {error}"));
    while let Some(event) = events.try_next().await.map_err(failed)? {
        let object = event.ok_or_else(|| Failure::new(format!("{title} was deleted")))?;
        let (is_ready, message) = ready(&object);
        let message = visible(&message);
        if !message.is_empty() && *told != message {
            let sign = if is_ready { '✔' } else { '►' };
            println!("{sign} {title}: {message}");
            *told = message;
        }
        if is_ready
            && object.data["status"]["lastHandledReconcileAt"] == *asked
            && is_there(&object)
        {
            return Ok(object);
        }
    }
    Err(Failure::new(format!("the watch of {title} ended")))
}

/// Whether an object is Ready at its present generation, and what it says.
fn ready(object: &DynamicObject) -> (bool, String) {
    let status = &object.data["status"];
    let conditions = status["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Some(ready) = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
    else {
        return (false, String::new());
    };
    let is_seen = status["observedGeneration"].as_i64() == object.metadata.generation;
    let message = ready["message"].as_str().unwrap_or_default().to_owned();
    (ready["status"] == "True" && is_seen, message)
}

fn resource(object: &Value) -> ApiResource {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = object["kind"].as_str().unwrap_or_default();
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}
