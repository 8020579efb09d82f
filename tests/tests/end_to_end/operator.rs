//! What the operator decides by flags, for all Kustomizations at once.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, kind, kustomization_kind};
use weir_tests::scene::{config_map_kind, message, workspace};
use weir_tests::{ControlPlane, FaultProxy, Scene};

use crate::remote::{there, write_secret};

/// A scene with one ConfigMap in folder `app`, and its commit.
async fn with_app(word: &str, flags: &[&str]) -> (Scene, String) {
    let scene = Scene::with(word, flags).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    (scene, commit)
}

#[tokio::test]
async fn a_default_account_stands_for_those_that_name_none() {
    let flags = ["--default-service-account=nobody"];
    let (scene, commit) = with_app("default-account", &flags).await;
    scene
        .sync("app", "./app", json!({ "retryInterval": "1s" }))
        .await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    let account = format!("system:serviceaccount:{}:nobody", scene.namespace);
    assert!(said.contains(&account) && said.contains("cannot"), "{said}");
    assert!(scene.find(&config_map_kind(), "one").await.is_none());
    // One that names an account is not touched by the default.
    let own = json!({ "serviceAccountName": "deployer" });
    crate::endings::allow(&scene, "deployer").await;
    scene.sync("own", "./app", own).await;
    scene.ready("own", &commit).await;
}

#[tokio::test]
async fn a_key_of_weir_s_own_namespace_opens_what_names_no_secret() {
    let scene = Scene::with("own-key", &["--sops-age-secret=weir-keys"]).await;
    let example = workspace().join("examples/flux-structure");
    let sealed = fs::read(example.join("envs/prod-eu/secrets.yaml.encrypted")).unwrap();
    scene.repository.write("app/secrets.yaml", sealed);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let key = fs::read_to_string(example.join("age.agekey")).unwrap();
    write_secret(&scene, "weir-keys", "own.agekey", &key).await;
    let decryption = json!({ "decryption": { "provider": "sops" } });
    scene.sync("app", "./app", decryption).await;
    scene.ready("app", &commit).await;
    let secret = scene.get(&kind("", "v1", "Secret"), "shop-secrets").await;
    let values = secret.data["data"].as_object().unwrap();
    assert!(!values.is_empty());
    for value in values.values() {
        let plain = BASE64.decode(value.as_str().unwrap()).unwrap();
        assert!(!plain.starts_with(b"ENC["), "still encrypted");
    }
}

#[tokio::test]
async fn a_road_that_others_can_listen_to_must_be_allowed() {
    // The proxy talks plain HTTP.
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let plain = fs::read_to_string(proxy.kubeconfig()).unwrap();
    for is_allowed in [false, true] {
        let flag = format!("--insecure-kubeconfig-tls={is_allowed}");
        let (scene, commit) = with_app("insecure", &[&flag]).await;
        write_secret(&scene, "plain", "value", &plain).await;
        scene.sync("app", "./app", there("plain")).await;
        if is_allowed {
            scene.ready("app", &commit).await;
            assert!(scene.find(&config_map_kind(), "one").await.is_some());
        } else {
            let said = scene.failed("app", "ReconciliationFailed").await;
            assert!(said.contains("a server without https"), "{said}");
        }
    }
}

#[tokio::test]
async fn an_expression_replaces_or_adds_to_the_rule_of_dependencies() {
    let replaces = "--feature-gates=AdditiveCELDependencyCheck=false";
    let adds = "--feature-gates=AdditiveCELDependencyCheck=true";
    for (gate, is_ready) in [(replaces, true), (adds, false)] {
        let (scene, commit) = with_app("additive", &[gate]).await;
        // The dependency never becomes ready, and the expression does not mind.
        scene.sync("base", "./none", json!({})).await;
        scene.failed("base", "ArtifactFailed").await;
        let judged = json!({ "name": "base", "readyExpr": "dep.metadata.name == 'base'" });
        scene
            .sync("app", "./app", json!({ "dependsOn": [judged] }))
            .await;
        if is_ready {
            scene.ready("app", &commit).await;
        } else {
            let said = scene.failed("app", "DependencyNotReady").await;
            assert!(said.contains("/base' is not ready"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_check_may_last_as_long_as_its_time_even_if_something_has_failed() {
    let gate = "--feature-gates=DisableFailFastBehavior=true";
    let scene = Scene::with("patient-check", &[gate]).await;
    let job = crate::policies::failing_job();
    scene.repository.write("app/job.yaml", job);
    scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "wait": true, "timeout": "8s", "retryInterval": "10m" });
    scene.sync("app", "./app", spec).await;
    let has_failed = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].as_array();
        let is_failed = |one: &Value| one["type"] == "Failed" && one["status"] == "True";
        match conditions.is_some_and(|all| all.iter().any(is_failed)) {
            true => Ok(()),
            false => Err("it has not failed"),
        }
    };
    let jobs = kind("batch", "v1", "Job");
    scene.until("it fails", &jobs, "work", has_failed).await;
    let before = scene.get(&kustomization_kind(), "app").await;
    assert!(!message(&before).contains("health check failed"));
    let said = scene.failed("app", "HealthCheckFailed").await;
    assert!(said.contains("timeout waiting for: [Job/"), "{said}");
}
