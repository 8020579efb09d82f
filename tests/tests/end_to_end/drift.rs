//! Somebody's hand in the cluster is put right, and silence costs nothing.

use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use weir_tests::objects::{config_map, deployment, kind, kustomization_file};
use weir_tests::scene::{PATIENCE, config_map_kind, deployment_kind};
use weir_tests::{ControlPlane, Scene, eventually};

async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["settings.yaml", "web.yaml"]),
        )
        .write("app/settings.yaml", config_map("settings", "level", "low"))
        .write("app/web.yaml", deployment("web", "nginx:1.29", 2));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene
}

#[tokio::test]
async fn an_edit_is_put_right() {
    let scene = deployed("edit").await;
    scene
        .merge(
            &config_map_kind(),
            "settings",
            json!({ "data": { "level": "high" } }),
        )
        .await;
    scene
        .until(
            "the edit is put right",
            &config_map_kind(),
            "settings",
            |object| {
                if object.data["data"]["level"] == "low" {
                    Ok(())
                } else {
                    Err("edited")
                }
            },
        )
        .await;
    scene
        .merge(
            &deployment_kind(),
            "web",
            json!({ "spec": { "replicas": 5 } }),
        )
        .await;
    scene
        .until(
            "the replicas are put right",
            &deployment_kind(),
            "web",
            |object| {
                if object.data["spec"]["replicas"] == 2 {
                    Ok(())
                } else {
                    Err("edited")
                }
            },
        )
        .await;
}

#[tokio::test]
async fn a_deleted_object_comes_back() {
    let scene = deployed("deleted").await;
    let before = scene.get(&config_map_kind(), "settings").await.metadata.uid;
    scene.delete(&config_map_kind(), "settings").await;
    scene
        .until("it is back", &config_map_kind(), "settings", |object| {
            if object.metadata.uid == before {
                Err("not deleted yet")
            } else {
                Ok(())
            }
        })
        .await;
}

#[tokio::test]
async fn an_object_out_of_reconciling_is_left_alone() {
    let scene = deployed("disabled").await;
    let edit = json!({
        "metadata": { "annotations": { "kustomize.toolkit.fluxcd.io/reconcile": "disabled" } },
        "data": { "level": "high" },
    });
    scene.merge(&config_map_kind(), "settings", edit).await;
    scene
        .repository
        .write(
            "app/settings.yaml",
            config_map("settings", "level", "medium"),
        )
        .write("app/web.yaml", deployment("web", "nginx:1.30", 2));
    let commit = scene.publish("second").await;
    scene.ready("app", &commit).await;
    assert_eq!(
        scene.get(&config_map_kind(), "settings").await.data["data"]["level"],
        "high"
    );
}

#[tokio::test]
async fn what_copies_our_labels_and_is_in_no_inventory_is_left_alone() {
    let scene = Scene::start("copies").await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
    });
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 1))
        .write("app/service.yaml", service.to_string());
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({ "wait": true })).await;
    scene.ready("app", &commit).await;
    // Kubernetes gives the slices the labels of their Service, ours among them.
    let slices = scene.api(&kind("discovery.k8s.io", "v1", "EndpointSlice"));
    let ours = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    let count = async |wanted: usize| {
        let all = slices.list(&ours).await.unwrap();
        let endpoints = |slice: &DynamicObject| {
            let endpoints = slice.data["endpoints"].as_array();
            endpoints.map_or(0, Vec::len)
        };
        let seen: usize = all.iter().map(endpoints).sum();
        (seen == wanted).then_some(()).ok_or(seen)
    };
    eventually(PATIENCE, "a slice with our labels", async || count(1).await).await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 3));
    let commit = scene.publish("more").await;
    scene.ready("app", &commit).await;
    eventually(PATIENCE, "it has changed", async || count(3).await).await;
    let log = ControlPlane::shared().audit_log().unwrap();
    let mut calls = log.since(0, ControlPlane::WEIR);
    calls.retain(|call| call.namespace == scene.namespace && call.resource == "endpointslices");
    assert!(calls.is_empty(), "{calls:#?}");
}
