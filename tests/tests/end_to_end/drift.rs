//! Somebody's hand in the cluster is put right, and silence costs nothing.

use std::time::Duration;

use hyper::{Method, StatusCode};
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kind, kustomization_file};
use weir_tests::scene::{PATIENCE, config_map_kind, deployment_kind};
use weir_tests::{
    ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene, eventually,
};

async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    deploy(scene, json!({})).await
}

/// The same through a proxy, with more fields in the spec of the Kustomization.
async fn deployed_through(proxy: &FaultProxy, word: &str, spec: Value) -> Scene {
    let (kubeconfig, options) = (proxy.kubeconfig(), GitServerOptions::default());
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, word, options).await;
    deploy(scene, spec).await
}

async fn deploy(scene: Scene, spec: Value) -> Scene {
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
    scene.sync("app", "./app", spec).await;
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
async fn an_object_that_loses_our_labels_is_applied_and_not_forgotten() {
    let scene = deployed("unlabelled").await;
    let (before, inventory) = (
        scene.get(&config_map_kind(), "settings").await,
        scene.inventory("app").await,
    );
    let label = "kustomize.toolkit.fluxcd.io/name";
    let bare = json!({ "metadata": { "labels": { label: null } } });
    scene
        .merge_as("somebody", &config_map_kind(), "settings", bare)
        .await;
    let is_back = |object: &DynamicObject| {
        let labels = object.metadata.labels.as_ref().ok_or("it has none")?;
        let is_ours = labels.get(label).is_some_and(|name| name == "app");
        is_ours.then_some(()).ok_or("it is not")
    };
    let after = scene
        .until("it is ours again", &config_map_kind(), "settings", is_back)
        .await;
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(scene.inventory("app").await, inventory);
}

fn of_settings(line: &RequestLine) -> bool {
    line.method != Method::GET && line.path.ends_with("/configmaps/settings")
}

async fn until_level(scene: &Scene, level: &str) {
    let is_so = |object: &DynamicObject| match object.data["data"]["level"] == level {
        true => Ok(()),
        false => Err("it has another"),
    };
    let what = format!("the level is {level}");
    scene
        .until(&what, &config_map_kind(), "settings", is_so)
        .await;
}

#[tokio::test]
async fn where_no_managed_fields_are_kept_any_write_starts_one_look() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let of_config_maps = |line: &RequestLine| line.path.contains("/configmaps");
    proxy.inject(Fault::NoManagedFields, of_config_maps, 0..usize::MAX);
    let scene = deployed_through(&proxy, "no-managed", json!({})).await;
    let edit = json!({ "data": { "level": "high" } });
    scene.merge(&config_map_kind(), "settings", edit).await;
    until_level(&scene, "low").await;

    // What is not ours is looked at once, and left.
    let looks = || proxy.requests().into_iter().filter(of_settings).count();
    let before = silent(&looks).await;
    let note = json!({ "metadata": { "annotations": { "note": "theirs" } } });
    scene
        .merge_as("somebody", &config_map_kind(), "settings", note)
        .await;
    eventually(PATIENCE, "it is looked at", async || {
        (looks() > before).then_some(()).ok_or("it is not")
    })
    .await;
    assert_eq!(silent(&looks).await, before + 1);
    let settings = scene.get(&config_map_kind(), "settings").await;
    assert_eq!(settings.metadata.annotations.unwrap()["note"], "theirs");
}

/// Waits until nothing more comes for a while, and tells how much has come.
async fn silent(count: impl Fn() -> usize) -> usize {
    eventually(PATIENCE, "it is silent", async || {
        let before = count();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let is_silent = before == count();
        is_silent.then_some(before).ok_or("requests go on")
    })
    .await
}

#[tokio::test]
async fn kinds_that_may_not_be_watched_are_put_right_at_the_interval() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let of_all = |line: &RequestLine| line.path == "/api/v1/configmaps";
    let refusal = Fault::Answer(StatusCode::FORBIDDEN);
    proxy.inject(refusal, of_all, 0..usize::MAX);
    let scene = deployed_through(&proxy, "unseen", json!({ "interval": "2s" })).await;
    for level in ["high", "higher"] {
        let edit = json!({ "data": { "level": level } });
        scene.merge(&config_map_kind(), "settings", edit).await;
        until_level(&scene, "low").await;
    }
    let log = scene.weir.log();
    let mut lines = log.lines();
    assert!(lines.any(
        |line| line.contains("may not be watched: checked at the interval")
            && line.contains("\"kind\":\"ConfigMap\"")
    ));
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
async fn an_object_that_is_no_longer_out_of_reconciling_is_put_right() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let scene = deployed_through(&proxy, "released", json!({})).await;
    let edit = async |patch: Value| {
        let kind = config_map_kind();
        scene.merge_as("op", &kind, "settings", patch).await;
    };
    let says = |key: &str, value: Value| {
        let key = format!("kustomize.toolkit.fluxcd.io/{key}");
        json!({ "metadata": { "annotations": { key: value } } })
    };
    let of_settings = |line: &RequestLine| line.path.ends_with("/configmaps/settings");
    let requests = || proxy.requests().into_iter().filter(of_settings).count();
    for (key, value) in [("reconcile", "disabled"), ("ssa", "Ignore")] {
        let before = silent(&requests).await;
        edit(says(key, json!(value))).await;
        edit(json!({ "data": { "level": "high" } })).await;
        eventually(PATIENCE, "it is looked at", async || {
            (requests() > before).then_some(()).ok_or("it is not")
        })
        .await;
        let looks = silent(&requests).await;

        // What else is written while it is left alone starts nothing.
        for level in ["higher", "highest"] {
            edit(json!({ "data": { "level": level, "other": level } })).await;
        }
        assert_eq!(silent(&requests).await, looks);
        let settings = scene.get(&config_map_kind(), "settings").await;
        assert_eq!(settings.data["data"]["level"], "highest");

        edit(says(key, Value::Null)).await;
        until_level(&scene, "low").await;
    }
}

#[tokio::test]
async fn what_was_committed_while_an_object_was_left_alone_is_applied_afterwards() {
    let scene = deployed("caught-up").await;
    let disabled = |value: Value| json!({ "metadata": { "annotations": { "kustomize.toolkit.fluxcd.io/reconcile": value } } });
    let kind = config_map_kind();
    scene
        .merge_as("op", &kind, "settings", disabled(json!("disabled")))
        .await;
    for level in ["medium", "higher"] {
        let text = config_map("settings", "level", level);
        scene.repository.write("app/settings.yaml", text);
        let commit = scene.publish(level).await;
        scene.ready("app", &commit).await;
        let settings = scene.get(&kind, "settings").await;
        assert_eq!(settings.data["data"]["level"], "low");
    }
    scene
        .merge_as("op", &kind, "settings", disabled(Value::Null))
        .await;
    until_level(&scene, "higher").await;
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
