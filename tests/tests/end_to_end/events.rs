//! What is told to those who listen: events in the cluster, and the same posted to notification-controller.

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::objects::config_map;
use weir_tests::scene::PATIENCE;
use weir_tests::{EventReceiver, Scene, eventually};

async fn posted(receiver: &EventReceiver, reason: &str, part: &str) -> Value {
    let is_it = |event: &&Value| {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        text("reason") == reason && text("message").contains(part)
    };
    eventually(
        PATIENCE,
        &format!("{reason}: {part} is posted"),
        async || {
            let events = receiver.events();
            events
                .iter()
                .find(is_it)
                .cloned()
                .ok_or_else(|| format!("{events:?}"))
        },
    )
    .await
}

#[tokio::test]
async fn events_are_posted_as_flux_posts_them() {
    let receiver = EventReceiver::start();
    let flag = format!("--events-addr={}", receiver.url());
    let scene = Scene::with("posted", &[&flag]).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    let object = scene.ready("app", &commit).await;

    let applied = posted(&receiver, "Progressing", "created").await;
    assert_eq!(applied["severity"], "info");
    assert_eq!(applied["reportingController"], "kustomize-controller");
    let involved = &applied["involvedObject"];
    assert_eq!(involved["kind"], "Kustomization");
    assert_eq!(involved["apiVersion"], "kustomize.toolkit.fluxcd.io/v1");
    assert_eq!(
        (&involved["name"], &involved["namespace"]),
        (&json!("app"), &json!(scene.namespace))
    );
    assert_eq!(involved["uid"], json!(object.metadata.uid));
    let revision = format!("main@sha1:{commit}");
    assert_eq!(
        applied["metadata"]["kustomize.toolkit.fluxcd.io/revision"],
        revision
    );

    let finished = posted(
        &receiver,
        "ReconciliationSucceeded",
        "Reconciliation finished",
    )
    .await;
    assert_eq!(
        finished["metadata"]["kustomize.toolkit.fluxcd.io/commit_status"],
        "update"
    );
    let source = posted(&receiver, "NewArtifact", "stored artifact").await;
    assert_eq!(source["reportingController"], "source-controller");

    scene.repository.write("app/one.yaml", "{");
    scene.publish("broken").await;
    let failed = posted(&receiver, "BuildFailed", "one.yaml").await;
    assert_eq!(failed["severity"], "error");
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_nobody_up() {
    let scene = Scene::with("not-posted", &["--events-addr=http://127.0.0.1:1/"]).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let begin = std::time::Instant::now();
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}
