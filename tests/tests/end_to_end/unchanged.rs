//! Kustomizations that a commit leaves as they are: they count as brought to it at once, and say so when there is time.

use std::time::Duration;

use serde_json::json;
use weir_tests::objects::{config_map, kustomization_kind};
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene, eventually};

/// Two Kustomizations, one of which depends on the other, behind a proxy that counts.
async fn deployed() -> (FaultProxy, Scene) {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let kubeconfig = proxy.kubeconfig();
    let options = GitServerOptions::default();
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "unchanged", options).await;
    write(&scene, "base", "0");
    write(&scene, "app", "0");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("base", "./base", json!({})).await;
    let after = json!({ "dependsOn": [{ "name": "base" }] });
    scene.sync("app", "./app", after).await;
    scene.ready("base", &first).await;
    scene.ready("app", &first).await;
    (proxy, scene)
}

fn write(scene: &Scene, name: &str, value: &str) {
    let path = format!("{name}/{name}.yaml");
    scene
        .repository
        .write(&path, config_map(name, "value", value));
}

/// Brings a commit that concerns `app` only.
async fn commit(scene: &Scene, value: &str) -> String {
    write(scene, "app", value);
    let commit = scene.publish(value).await;
    scene.ready("app", &commit).await;
    commit
}

async fn revision(scene: &Scene, name: &str) -> String {
    let object = scene.get(&kustomization_kind(), name).await;
    let revision = object.data["status"]["lastAppliedRevision"].as_str();
    revision.unwrap().to_owned()
}

fn of_base(request: &RequestLine) -> bool {
    request.is_write() && request.path.ends_with("/kustomizations/base/status")
}

#[tokio::test]
async fn what_a_commit_leaves_as_it_is_counts_at_once_and_is_written_once_a_minute() {
    let (proxy, mut scene) = deployed().await;
    let second = commit(&scene, "1").await;
    // Nobody has written for a minute.
    scene.ready("base", &second).await;
    let before = proxy.requests().len();
    let count = || {
        let since = proxy.requests().split_off(before);
        since.into_iter().filter(of_base).count()
    };

    // `app` is applied at each, which it would not be if `base` did not count as brought to it.
    let measured = "weir_revision_to_applied_seconds_count ";
    let told = scene.metric(measured).await;
    for value in ["2", "3", "4"] {
        commit(&scene, value).await;
    }
    // Both have come there, whenever the one says so.
    assert_eq!(scene.metric(measured).await, told + 6.0);
    assert_eq!(
        revision(&scene, "base").await,
        format!("main@sha1:{second}")
    );
    assert_eq!(count(), 0);

    // Whoever asks is answered at once.
    let fifth = commit(&scene, "5").await;
    scene.request(&kustomization_kind(), "base").await;
    scene.ready("base", &fifth).await;
    eventually(Duration::from_secs(5), "one write", async || {
        (count() == 1).then_some(()).ok_or(count())
    })
    .await;

    // An end that is no accident leaves nothing unsaid, and says the newest only.
    commit(&scene, "6").await;
    let seventh = commit(&scene, "7").await;
    assert!(scene.weir.terminate().success());
    assert_eq!(
        revision(&scene, "base").await,
        format!("main@sha1:{seventh}")
    );
    assert_eq!(count(), 2);
}
