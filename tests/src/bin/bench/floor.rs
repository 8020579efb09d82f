//! The floor: one client that does nothing but apply, over twenty connections.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::Value;
use weir_tests::objects::{api, kind};
use weir_tests::scene::{condition, deployment_kind};
use weir_tests::{ControlPlane, ControlPlaneOptions};

use crate::watching::Watching;

/// How many requests it has in flight.
pub(crate) const CONNECTIONS: usize = 20;

/// What one client takes.
pub(crate) struct Floor {
    /// Until every object is applied.
    pub(crate) applied: Duration,
    /// Until every Deployment is as it should be, too: what `wait` adds, whoever applies.
    pub(crate) settled: Duration,
}

/// How long it takes to apply objects once, on a control plane of its own that is as new as Weir's.
pub(crate) async fn floor(objects: Vec<Value>) -> Floor {
    let control_plane = ControlPlane::start(ControlPlaneOptions {
        audit: true,
        ..Default::default()
    });
    let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
    let namespace = control_plane.namespace("floor").await;
    let begun = Instant::now();
    let applied = stream::iter(&objects).map(|object| apply(&client, &namespace, object));
    applied.buffer_unordered(CONNECTIONS).collect::<()>().await;
    let applied = begun.elapsed();
    let deployments = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .count();
    if deployments > 0 {
        let api = api(&client, &namespace, &deployment_kind());
        let settled = Watching::begin(api, deployments, is_settled).await;
        settled.end().await;
    }
    let settled = begun.elapsed();
    Floor { applied, settled }
}

/// Applies an object once.
pub(crate) async fn apply(client: &Client, namespace: &str, object: &Value) {
    let text = |pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let api = api(client, namespace, &kind(group, version, text("/kind")));
    let (parameters, patch) = (PatchParams::apply("floor").force(), Patch::Apply(object));
    let applied = api.patch(text("/metadata/name"), &parameters, &patch);
    applied.await.expect("apply an object");
}

/// Whether a Deployment's controller has seen it and brought it about.
pub(crate) fn is_settled(deployment: &DynamicObject) -> bool {
    let status = &deployment.data["status"];
    let seen = status["observedGeneration"].as_i64();
    let available = condition(deployment, "Available");
    seen == deployment.metadata.generation
        && available.is_some_and(|available| available["status"] == "True")
}
