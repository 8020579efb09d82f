//! A repository that Flux was bootstrapped from: its own parts come along, and must not come up beside Weir.

use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{definition, deployment, kind};
use weir_tests::scene::{condition, deployment_kind};

const DEFINITION: &str = "gitrepositories.source.toolkit.fluxcd.io";

/// The group of a kind that stays with Flux.
const HELM: &str = "helm.toolkit.fluxcd.io";

/// A manifest with the label that Flux puts on all of its own parts.
fn part(manifest: &str) -> String {
    let mut part: Value = serde_json::from_str(manifest).unwrap();
    part["metadata"]["labels"] = json!({ "app.kubernetes.io/part-of": "flux" });
    part.to_string()
}

#[tokio::test]
async fn the_controllers_that_weir_replaces_are_left_out_and_kept_in_the_inventory() {
    let scene = Scene::start("bootstrapped").await;
    // The scene installs the definitions as deploy/ has them: they are there, and not this Kustomization's.
    let definitions = kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(scene.client.clone(), &definitions);
    let before = definitions.get(DEFINITION).await.unwrap();
    let bare = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": DEFINITION },
    });
    let parts = [
        part(&bare.to_string()),
        part(&deployment("kustomize-controller", "flux:1", 1)),
        part(&deployment("source-controller", "flux:1", 1)),
        part(&deployment("helm-controller", "flux:1", 0)),
        part(&definition(HELM, "HelmRelease")),
    ];
    scene
        .repository
        .write("flux/gotk-components.yaml", parts.join("\n---\n"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("flux", "./flux", json!({ "wait": true, "timeout": "20s" }))
        .await;
    let kustomization = scene.ready("flux", &first).await;
    let text = format!("Deployment/{}/source-controller", scene.namespace);
    scene.told("Normal", "flux", &text).await;
    // A Deployment that is not there would be unhealthy.
    assert_eq!(
        condition(&kustomization, "Healthy").unwrap()["status"],
        "True"
    );

    let deployments = deployment_kind();
    assert!(scene.find(&deployments, "helm-controller").await.is_some());
    for name in ["kustomize-controller", "source-controller"] {
        assert!(scene.find(&deployments, name).await.is_none(), "{name}");
    }
    let after = definitions.get(DEFINITION).await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    // What Weir does not serve is Flux's own business.
    let releases = format!("helmreleases.{HELM}");
    let applied = definitions.get(&releases).await.unwrap();
    let labels = applied.metadata.labels.unwrap_or_default();
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "flux");
    let inventory = scene.inventory("flux").await;
    assert_eq!(inventory.len(), 5, "{inventory:?}");
    assert!(
        inventory
            .iter()
            .any(|id| id.contains("kustomize-controller"))
    );
}
