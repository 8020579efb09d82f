//! Bad input: reported where it belongs, with the place, while everything that ran keeps running.

use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::config_map_kind;

/// Deploys folder `app`, then breaks it with a commit; returns the message that reports it. All
/// that was there must still be there, and the next commit must mend it.
async fn broken_by(word: &str, reason: &str, file: &str, content: &str) -> String {
    let scene = Scene::start(word).await;
    write_app(&scene);
    scene
        .repository
        .write("other/other.yaml", config_map("other", "key", "old"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.sync("other", "./other", json!({})).await;
    scene.ready("app", &first).await;
    scene.ready("other", &first).await;
    let inventory = scene.inventory("app").await;

    scene.repository.write(file, content);
    scene
        .repository
        .write("other/other.yaml", config_map("other", "key", "new"));
    let second = scene.publish("a mistake").await;
    let message = scene.failed("app", reason).await;
    scene.ready("other", &second).await;
    for name in ["one", "two"] {
        let kept = scene.get(&config_map_kind(), name).await;
        assert_eq!(kept.data["data"]["key"], "value");
    }
    assert_eq!(scene.inventory("app").await, inventory);

    write_app(&scene);
    let mended = scene.publish("mended").await;
    scene.ready("app", &mended).await;
    message
}

fn write_app(scene: &Scene) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["one.yaml", "two.yaml"]),
        )
        .write("app/one.yaml", config_map("one", "key", "value"))
        .write("app/two.yaml", config_map("two", "key", "value"));
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[tokio::test]
async fn a_yaml_error_names_file_and_line() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [one\n";
    let message = broken_by("yaml", "BuildFailed", "app/one.yaml", text).await;
    contains(&message, &["app/one.yaml:"]);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let file = kustomization_file(&["one.yaml", "absent.yaml"]);
    let message = broken_by("missing", "BuildFailed", "app/kustomization.yaml", &file).await;
    contains(&message, &["absent.yaml"]);
}

#[tokio::test]
async fn links_that_are_wanted_are_named() {
    let scene = Scene::start("links").await;
    let base = "resources: [a.yaml]\n";
    scene
        .repository
        .write("real/a.yaml", config_map("a", "b", "c"))
        .write("real/kustomization.yaml", base)
        .write("base/kustomization.yaml", base)
        .write("app/kustomization.yaml", "resources: [../base]\n")
        .write("plain/a.yaml", config_map("a", "b", "c"));
    for (target, link) in [
        ("../real/a.yaml", "base/a.yaml"),
        ("real", "linked"),
        ("../real/kustomization.yaml", "plain/kustomization.yaml"),
    ] {
        std::os::unix::fs::symlink(target, scene.repository.path().join(link)).unwrap();
    }
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let told = "symbolic links are left out of sources, as in Flux: base/a.yaml";
    for path in ["base", "app"] {
        scene.sync(path, path, json!({})).await;
        let message = scene.failed(path, "BuildFailed").await;
        contains(&message, &["a.yaml", told]);
    }
    scene.sync("linked", "linked", json!({})).await;
    let message = scene.failed("linked", "ArtifactFailed").await;
    contains(&message, &["linked (it is a symbolic link"]);
    // What can do without the link says so once, and is applied.
    scene.sync("plain", "plain", json!({})).await;
    scene.ready("plain", &commit).await;
    let told = "left out of sources, as in Flux: plain/kustomization.yaml";
    scene.told("Warning", "plain", told).await;
}

#[tokio::test]
async fn an_unknown_field_of_a_kustomization_file_is_named() {
    let file = "resources: [one.yaml, two.yaml]\nresorces: []\n";
    let message = broken_by("unknown", "BuildFailed", "app/kustomization.yaml", file).await;
    contains(&message, &["resorces"]);
}

#[tokio::test]
async fn a_cycle_is_an_error() {
    let file = kustomization_file(&["one.yaml", "../app"]);
    let message = broken_by("cycle", "BuildFailed", "app/kustomization.yaml", &file).await;
    contains(&message, &["cycle"]);
}

#[tokio::test]
async fn a_path_out_of_the_repository_is_an_error() {
    let file = kustomization_file(&["one.yaml", "../../../../etc/passwd"]);
    let message = broken_by("outside", "BuildFailed", "app/kustomization.yaml", &file).await;
    contains(&message, &["etc/passwd"]);
}

#[tokio::test]
async fn a_refused_object_is_named_and_nothing_is_written() {
    let file = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "one" },
        "data": { "key": "changed", "not a key!": "value" },
    });
    let message = broken_by(
        "refused",
        "ReconciliationFailed",
        "app/one.yaml",
        &file.to_string(),
    )
    .await;
    contains(&message, &["ConfigMap", "one"]);
}

#[tokio::test]
async fn all_refused_objects_are_named_at_once() {
    let scene = Scene::start("all-refused").await;
    let bad = |name: &str| {
        let text = deployment(name, "nginx:1.29", 1);
        text.replace("\"matchLabels\":{\"app\":", "\"matchLabels\":{\"other\":")
    };
    write_app(&scene);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["one.yaml", "two.yaml", "x.yaml", "y.yaml"]),
        )
        .write("app/one.yaml", config_map("one", "key", "changed"))
        .write("app/x.yaml", bad("bad-x"))
        .write("app/y.yaml", bad("bad-y"));
    scene.publish("two mistakes").await;
    let message = scene.failed("app", "ReconciliationFailed").await;
    contains(&message, &["bad-x", "bad-y"]);
    assert_eq!(
        scene.get(&config_map_kind(), "one").await.data["data"]["key"],
        "value"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let scene = Scene::start("no-folder").await;
    write_app(&scene);
    scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./absent", json!({})).await;
    let message = scene.failed("app", "ArtifactFailed").await;
    contains(&message, &["absent"]);
}

#[tokio::test]
async fn a_field_that_is_not_carried_out_is_named() {
    let scene = Scene::start("unsupported").await;
    write_app(&scene);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "decryption": { "provider": "sops", "serviceAccountName": "keys" } });
    scene.sync("app", "./app", spec).await;
    let message = scene.until_not_ready("app").await;
    contains(&message, &["decryption.serviceAccountName"]);
    let without = json!({ "spec": { "decryption": Value::Null } });
    scene.merge(&kustomization_kind(), "app", without).await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn a_source_that_is_not_there_is_named() {
    let scene = Scene::start("no-source").await;
    write_app(&scene);
    let commit = scene.repository.publish("first");
    scene.sync("app", "./app", json!({})).await;
    let message = scene.failed("app", "ArtifactFailed").await;
    contains(&message, &["fleet"]);
    scene.source(json!({})).await;
    scene.ready("app", &commit).await;
}
