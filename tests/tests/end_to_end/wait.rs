//! Health and order: what is waited for, what is reported meanwhile, and who goes first.

use std::time::Duration;

use hyper::StatusCode;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{
    config_map, definition, deployment, kind, kustomization_file, kustomization_kind,
};
use weir_tests::scene::{condition, config_map_kind, deployment_kind, install};
use weir_tests::{
    ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene, eventually,
};

fn write_app(scene: &Scene, image: &str) {
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&["web.yaml"]))
        .write("app/web.yaml", deployment("web", image, 2));
}

#[tokio::test]
async fn a_healthy_deployment_is_waited_for() {
    let scene = Scene::start("healthy").await;
    write_app(&scene, "nginx:1.29");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "wait": true, "timeout": "50s" }))
        .await;
    let kustomization = scene.ready("app", &commit).await;
    let status = &scene.get(&deployment_kind(), "web").await.data["status"];
    assert_eq!(status["availableReplicas"], 2);
    let healthy = condition(&kustomization, "Healthy").unwrap();
    assert_eq!(healthy["status"], "True");
    assert_eq!(healthy["reason"], "Succeeded");
}

#[tokio::test]
async fn a_failed_deployment_is_reported_and_mended() {
    let scene = Scene::start("failed").await;
    write_app(&scene, "nginx:broken");
    scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "wait": true, "timeout": "3s", "retryInterval": "1s" }),
        )
        .await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    assert!(message.contains("Deployment"), "{message}");
    assert!(message.contains("web"), "{message}");
    let reason = "container web: CrashLoopBackOff, Error (exit code 1)";
    assert!(message.contains(reason), "{message}");

    write_app(&scene, "nginx:1.29");
    let mended = scene.publish("mended").await;
    scene.ready("app", &mended).await;
}

#[tokio::test]
async fn what_is_not_ready_yet_is_in_progress() {
    let scene = Scene::start("progressing").await;
    // No node has so much memory: the pods stay pending until a commit asks for less.
    let hungry = deployment("web", "nginx:1.29", 1).replace(
        "\"image\":\"nginx:1.29\"",
        "\"image\":\"nginx:1.29\",\"resources\":{\"requests\":{\"memory\":\"100Ti\"}}",
    );
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&["web.yaml"]))
        .write("app/web.yaml", hungry);
    scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "wait": true, "timeout": "10m" }))
        .await;
    scene
        .until(
            "it is in progress",
            &kustomization_kind(),
            "app",
            |object| {
                let ready = condition(object, "Ready").ok_or("it is not Ready at all")?;
                let reconciling =
                    condition(object, "Reconciling").ok_or("it is not Reconciling")?;
                match (&ready["status"], &reconciling["status"]) {
                    (ready, reconciling) if ready == "Unknown" && reconciling == "True" => Ok(()),
                    _ => Err("it is not"),
                }
            },
        )
        .await;

    // Nothing waits for the end of the ten minutes.
    write_app(&scene, "nginx:1.29");
    let mended = scene.publish("mended").await;
    scene.ready("app", &mended).await;
}

#[tokio::test]
async fn named_objects_are_checked() {
    let scene = Scene::start("checks").await;
    write_app(&scene, "nginx:broken");
    scene.repository.write(
        "app/kustomization.yaml",
        kustomization_file(&["web.yaml", "other.yaml"]),
    );
    scene
        .repository
        .write("app/other.yaml", deployment("other", "nginx:1.29", 1));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let check = |name: &str| {
        json!([{
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": name,
            "namespace": scene.namespace,
        }])
    };
    let spec = json!({ "healthChecks": check("other"), "timeout": "50s" });
    scene.sync("checked", "./app", spec).await;
    scene.ready("checked", &commit).await;
    let change = json!({ "spec": { "healthChecks": check("web"), "timeout": "3s" } });
    scene.merge(&kustomization_kind(), "checked", change).await;
    scene.failed("checked", "HealthCheckFailed").await;
}

/// A Kustomization that checks a Deployment that others look after.
async fn checks_others(scene: &Scene, spec: Value) {
    let theirs = deployment("theirs", "nginx:1.29", 1);
    scene.create(&serde_json::from_str(&theirs).unwrap()).await;
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "a", "b"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let mut all = json!({
        "timeout": "3s",
        "retryInterval": "1h",
        "healthChecks": [{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs", "namespace": scene.namespace,
        }],
    });
    let more = spec.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    scene.sync("app", "./app", all).await;
    scene.ready("app", &commit).await;
}

async fn comes_back(scene: &Scene) {
    let theirs = deployment("theirs", "nginx:1.29", 1);
    scene.create(&serde_json::from_str(&theirs).unwrap()).await;
    let is_well = |object: &DynamicObject| match condition(object, "Ready") {
        Some(ready) if ready["status"] == "True" => Ok(()),
        _ => Err("it is not"),
    };
    scene
        .until("it is well", &kustomization_kind(), "app", is_well)
        .await;
    scene.told("Normal", "app", "Health check passed").await;
}

#[tokio::test]
async fn objects_of_others_are_followed_by_name() {
    let scene = Scene::start("theirs").await;
    // What is seen within the hour is seen by a watch.
    checks_others(&scene, json!({ "interval": "1h" })).await;
    scene.delete(&deployment_kind(), "theirs").await;
    scene.failed("app", "HealthCheckFailed").await;
    comes_back(&scene).await;
}

/// Waits until a Kustomization waits for the health of its objects.
async fn waits_for_health(scene: &Scene, name: &str) {
    let waits = |object: &DynamicObject| match condition(object, "Ready") {
        Some(ready) if ready["status"] == "Unknown" => Ok(()),
        ready => Err(format!("{ready:?}")),
    };
    scene
        .until("it waits", &kustomization_kind(), name, waits)
        .await;
}

#[tokio::test]
async fn what_only_has_to_be_there_is_waited_for() {
    let scene = Scene::start("to-be-there").await;
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "a", "b"))
        .write("other/other.yaml", config_map("other", "a", "b"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let check = |api_version: &str, kind: &str, name: &str| json!({ "apiVersion": api_version, "kind": kind, "name": name, "namespace": scene.namespace });
    // What is seen within the hour is seen by a watch.
    let spec = |timeout: &str, checks: Vec<Value>| json!({ "interval": "1h", "retryInterval": "1h", "timeout": timeout, "healthChecks": checks });
    let never = vec![
        check("v1", "Secret", "token"),
        check("batch/v1", "CronJob", "nightly"),
    ];
    scene.sync("never", "./other", spec("3s", never)).await;
    let later = vec![
        check("v1", "ConfigMap", "settings"),
        check("v1", "ConfigMap", "theirs"),
    ];
    scene.sync("app", "./app", spec("10m", later)).await;

    waits_for_health(&scene, "app").await;
    let theirs = serde_json::from_str(&config_map("theirs", "a", "b")).unwrap();
    scene.create(&theirs).await;
    scene.ready("app", &commit).await;
    scene.delete(&config_map_kind(), "theirs").await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    let theirs = format!("ConfigMap/{}/theirs status: 'NotFound'", scene.namespace);
    assert!(message.contains(&theirs), "{message}");
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(condition(&object, "Healthy").unwrap()["status"], "False");

    let message = scene.failed("never", "HealthCheckFailed").await;
    for name in ["token", "nightly"] {
        assert!(
            message.contains(&format!("{name} status: 'NotFound'")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_kind_that_is_not_served_yet_is_waited_for() {
    let scene = Scene::start("unserved").await;
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "a", "b"));
    scene
        .repository
        .write("other/other.yaml", config_map("other", "a", "b"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let group = format!("{}.example.org", scene.namespace);
    let api_version = format!("{group}/v1");
    let check = json!({
        "apiVersion": api_version, "kind": "Gizmo", "name": "one", "namespace": scene.namespace,
    });
    // What is seen within the hour is not seen by the interval.
    let spec = |timeout: &str| json!({ "interval": "1h", "retryInterval": "1h", "timeout": timeout, "healthChecks": [check] });
    scene.sync("never", "./other", spec("2s")).await;
    let message = scene.failed("never", "HealthCheckFailed").await;
    assert!(message.contains("Gizmo is not served"), "{message}");

    scene.sync("app", "./app", spec("10m")).await;
    waits_for_health(&scene, "app").await;
    let definition = serde_json::from_str(&definition(&group, "Gizmo")).unwrap();
    install(&scene.client, &definition).await;
    let gizmo = json!({
        "apiVersion": api_version, "kind": "Gizmo", "metadata": { "name": "one" },
    });
    scene.create(&serde_json::from_value(gizmo).unwrap()).await;
    scene.ready("app", &commit).await;
    scene.delete(&kind(&group, "v1", "Gizmo"), "one").await;
    scene.failed("app", "HealthCheckFailed").await;
}

#[tokio::test]
async fn objects_that_may_not_be_watched_are_looked_at_at_the_interval() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let by_name = |request: &RequestLine| {
        request.path.ends_with("/deployments") && request.query.contains("metadata.name")
    };
    proxy.inject(Fault::Answer(StatusCode::FORBIDDEN), by_name, 0..usize::MAX);
    let (kubeconfig, options) = (proxy.kubeconfig(), GitServerOptions::default());
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "unwatched", options).await;
    let spec = json!({ "interval": "4s", "retryInterval": "4s" });
    checks_others(&scene, spec).await;
    let looks = || {
        let requests = proxy.requests().into_iter();
        requests
            .filter(|request| request.path.ends_with("/deployments/theirs"))
            .count()
    };
    let watches = || proxy.requests().into_iter().filter(by_name).count();
    let (before, asked) = (looks(), watches());
    eventually(Duration::from_secs(30), "three intervals", async || {
        (looks() >= before + 3).then_some(()).ok_or(looks())
    })
    .await;
    assert_eq!(
        watches(),
        asked,
        "the watch is not asked for again and again"
    );
    scene.delete(&deployment_kind(), "theirs").await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    // The time for a deploy was over long before.
    assert!(message.contains("no longer healthy"), "{message}");
    comes_back(&scene).await;
}

#[tokio::test]
async fn a_kustomization_waits_for_what_it_depends_on() {
    let scene = Scene::start("depends").await;
    scene
        .repository
        .write("first/first.yaml", config_map("first", "a", "b"));
    scene
        .repository
        .write("second/second.yaml", config_map("second", "a", "b"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "dependsOn": [{ "name": "first" }] });
    scene.sync("second", "./second", spec).await;
    let message = scene.failed("second", "DependencyNotReady").await;
    assert!(message.contains("first"), "{message}");
    assert!(scene.find(&config_map_kind(), "second").await.is_none());

    let start = std::time::Instant::now();
    scene.sync("first", "./first", json!({})).await;
    scene.ready("first", &commit).await;
    scene.ready("second", &commit).await;
    // An event, not the look every 30 s that Flux takes.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn health_is_followed_after_success() {
    let scene = Scene::start("followed").await;
    write_app(&scene, "nginx:1.29");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "wait": true, "timeout": "50s" }))
        .await;
    scene.ready("app", &commit).await;
    // The pods do not count as available any more, and nothing that Git says is touched.
    let away = json!({ "spec": { "minReadySeconds": 500 } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", away)
        .await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    assert!(message.contains("no longer healthy"), "{message}");
    let healthy = condition(&scene.get(&kustomization_kind(), "app").await, "Healthy").cloned();
    assert_eq!(healthy.unwrap()["status"], "False");
    let back = json!({ "spec": { "minReadySeconds": null } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", back)
        .await;
    let kustomization = scene.ready("app", &commit).await;
    assert_eq!(
        condition(&kustomization, "Healthy").unwrap()["status"],
        "True"
    );
}
