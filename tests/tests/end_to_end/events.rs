//! What is told to those who listen: events in the cluster, and the same posted to notification-controller.

use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use weir_tests::objects::{config_map, kind};
use weir_tests::scene::{PATIENCE, SOURCE};
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
async fn events_in_the_cluster_have_flux_s_names_and_annotations() {
    let scene = Scene::start("written").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene.told("Normal", "app", "Reconciliation finished").await;
    let events = scene.api(&kind("", "v1", "Event"));
    let revision = format!("main@sha1:{commit}");
    for (object, controller, reason, prefix) in [
        (
            "app",
            "kustomize-controller",
            "ReconciliationSucceeded",
            "kustomize",
        ),
        (SOURCE, "source-controller", "NewArtifact", "source"),
    ] {
        let what = format!("an event tells of {object}");
        let event = eventually(PATIENCE, &what, async || {
            let all = events.list(&ListParams::default()).await.unwrap();
            let is_it = |event: &DynamicObject| {
                event.data["involvedObject"]["name"] == object && event.data["reason"] == reason
            };
            all.items.into_iter().find(is_it).ok_or("there is none")
        })
        .await;
        assert_eq!(event.data["source"]["component"], controller);
        assert_eq!(event.data["reportingComponent"], controller);
        let annotations = event.metadata.annotations.unwrap_or_default();
        let key = format!("{prefix}.toolkit.fluxcd.io/revision");
        assert_eq!(annotations.get(&key), Some(&revision), "{annotations:?}");
    }
}

/// What `flux logs` and whoever collects logs read of a line.
#[tokio::test]
async fn log_lines_have_flux_s_keys() {
    let scene = Scene::start("lines").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene.repository.write("app/one.yaml", "{");
    scene.publish("broken").await;
    scene.failed("app", "BuildFailed").await;
    let line_of = async |message: &str, kind: &str| {
        eventually(PATIENCE, &format!("{kind}: {message}"), async || {
            let log = scene.weir.log();
            let is_it = |line: &&str| line.contains(message) && line.contains(kind);
            let line = log.lines().find(is_it).ok_or("it is not there")?;
            serde_json::from_str::<Value>(line).map_err(|_| "it is being written")
        })
        .await
    };
    for (message, kind, name, level) in [
        ("source is up to date", "GitRepository", SOURCE, "info"),
        ("reconciliation finished", "Kustomization", "app", "info"),
        ("reconciliation failed", "Kustomization", "app", "error"),
    ] {
        let line = line_of(message, kind).await;
        for (key, value) in [
            ("msg", message),
            ("level", level),
            ("controllerKind", kind),
            ("name", name),
            ("namespace", &scene.namespace),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert!(line["ts"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(
            line["logger"].as_str().unwrap().starts_with("weir"),
            "{line}"
        );
        let error = line["error"].as_str().unwrap_or_default();
        assert_eq!(error.contains("one.yaml"), level == "error", "{line}");
    }
    // Every line is one, and complete.
    let log = scene.weir.log();
    for line in log.lines().filter(|line| line.ends_with('}')) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let keys = ["level", "ts", "logger", "msg"];
        assert!(keys.iter().all(|key| line[*key].is_string()), "{line}");
    }
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
