//! ConfigMaps and Secrets that Kustomizations read: another version is read once, and all who use it run. The interval and
//! the retry interval are an hour, so that only the change itself can tell.

use hyper::Method;
use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::objects::{config_map, kustomization_kind, object};
use weir_tests::scene::{config_map_kind, message};
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene};

use crate::remote::{Elsewhere, kubeconfig_of, there, write_secret};
use crate::secrets::{age_key, scene_with_secrets};

/// A key that opens nothing that is encrypted here.
const ANOTHER_KEY: &str =
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

async fn until_value(scene: &Scene, name: &str, value: &str) {
    let is_so = |object: &DynamicObject| match object.data["data"]["key"] == value {
        true => Ok(()),
        false => Err("it has another"),
    };
    let what = format!("{name} has {value}");
    scene.until(&what, &config_map_kind(), name, is_so).await;
}

#[tokio::test]
async fn a_changed_config_map_is_read_once_for_all_who_use_it() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let (kubeconfig, options) = (proxy.kubeconfig(), GitServerOptions::default());
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "users", options).await;
    let users = ["one", "two", "three"];
    for name in users {
        let path = format!("{name}/{name}.yaml");
        scene
            .repository
            .write(&path, config_map(name, "key", "${level}"));
    }
    let commit = scene.repository.publish("first");
    let values = json!({ "data": { "level": "low" } });
    scene
        .create(&object(&config_map_kind(), "values", values))
        .await;
    scene.source(json!({})).await;
    let from = json!({ "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] });
    for name in users {
        let spec = json!({ "postBuild": from });
        scene.sync(name, &format!("./{name}"), spec).await;
    }
    for name in users {
        scene.ready(name, &commit).await;
        until_value(&scene, name, "low").await;
    }
    let reads = || {
        let is_one = |line: &&RequestLine| {
            line.method == Method::GET && line.path.ends_with("/configmaps/values")
        };
        proxy.requests().iter().filter(is_one).count()
    };
    let before = reads();
    let change = json!({ "data": { "level": "high" } });
    scene.merge(&config_map_kind(), "values", change).await;
    for name in users {
        until_value(&scene, name, "high").await;
    }
    assert_eq!(reads(), before + 1);
}

#[tokio::test]
async fn another_key_in_the_decryption_secret_is_tried_at_once() {
    let (scene, commit) = scene_with_secrets("other-key").await;
    write_secret(&scene, "sops-age", "age.agekey", ANOTHER_KEY).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    let spec = json!({ "decryption": decryption, "retryInterval": "1h" });
    scene.sync("app", "./app", spec).await;
    let said = scene.failed("app", "BuildFailed").await;
    assert!(said.contains("secrets.yaml.encrypted"), "{said}");
    write_secret(&scene, "sops-age", "age.agekey", &age_key()).await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn another_kubeconfig_leads_elsewhere_at_once() {
    let scene = Scene::start("other-way").await;
    let elsewhere = Elsewhere::start(&scene).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    write_secret(&scene, "way", "value", &elsewhere.kubeconfig()).await;
    scene.sync("app", "./app", there("way")).await;
    scene.ready("app", &commit).await;
    assert!(elsewhere.find("one").await.is_some());
    assert!(scene.find(&config_map_kind(), "one").await.is_none());

    let here = ControlPlane::shared();
    write_secret(&scene, "way", "value", &kubeconfig_of(here, here.server())).await;
    until_value(&scene, "one", "value").await;
    // One that cannot be used is told at once, too.
    write_secret(&scene, "way", "value", "no kubeconfig").await;
    let is_told = |object: &DynamicObject| {
        let said = message(object);
        match said.contains("kubeconfig") {
            true => Ok(()),
            false => Err(said),
        }
    };
    scene
        .until("it is told", &kustomization_kind(), "app", is_told)
        .await;
}
