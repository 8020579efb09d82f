//! What Git no longer has goes away, and nothing else does.

use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::Scene;
use weir_tests::objects::{config_map, kustomization_file, kustomization_kind};
use weir_tests::scene::config_map_kind;

use crate::sources::fetched;

/// Writes ConfigMaps into folder `app`, and lists them.
fn write_app(scene: &Scene, names: &[&str]) {
    let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&listed));
    for name in names {
        scene.repository.write(
            &format!("app/{name}.yaml"),
            config_map(name, "key", "value"),
        );
    }
}

/// A scene in which `names` are deployed.
async fn deployed(word: &str, names: &[&str]) -> Scene {
    let scene = Scene::start(word).await;
    write_app(&scene, names);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene
}

async fn exists(scene: &Scene, name: &str) -> bool {
    scene.find(&config_map_kind(), name).await.is_some()
}

#[tokio::test]
async fn a_file_removed_from_git_is_an_object_removed() {
    let scene = deployed("prune", &["kept", "dropped"]).await;
    write_app(&scene, &["kept"]);
    let commit = scene.publish("drop one").await;
    let kustomization = scene.ready("app", &commit).await;
    assert!(!exists(&scene, "dropped").await);
    assert!(exists(&scene, "kept").await);
    let inventory = weir_tests::scene::inventory(&kustomization);
    assert_eq!(
        inventory,
        [format!("{}_kept__ConfigMap", scene.namespace)].into()
    );
}

#[tokio::test]
async fn a_renamed_object_is_one_made_and_one_removed() {
    let scene = deployed("rename", &["kept", "old"]).await;
    write_app(&scene, &["kept", "new"]);
    let commit = scene.publish("rename").await;
    scene.ready("app", &commit).await;
    assert!(exists(&scene, "new").await);
    assert!(!exists(&scene, "old").await);
}

#[tokio::test]
async fn a_renamed_file_changes_nothing() {
    let scene = deployed("renamed-file", &["one", "two"]).await;
    let before = scene.get(&config_map_kind(), "one").await.metadata;
    scene
        .repository
        .git(&["mv", "app/one.yaml", "app/moved.yaml"]);
    scene.repository.write(
        "app/kustomization.yaml",
        kustomization_file(&["moved.yaml", "two.yaml"]),
    );
    let commit = scene.publish("move").await;
    scene.ready("app", &commit).await;
    let after = scene.get(&config_map_kind(), "one").await.metadata;
    assert_eq!(
        (after.uid, after.resource_version),
        (before.uid, before.resource_version)
    );
}

#[tokio::test]
async fn an_object_that_git_once_protected_stays() {
    let scene = deployed("protected", &["kept"]).await;
    let protected = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "protected",
            "annotations": { "kustomize.toolkit.fluxcd.io/prune": "disabled" },
        },
    });
    write_app(&scene, &["kept", "protected"]);
    scene
        .repository
        .write("app/protected.yaml", protected.to_string());
    let added = scene.publish("add one").await;
    scene.ready("app", &added).await;
    write_app(&scene, &["kept"]);
    let removed = scene.publish("drop it").await;
    scene.ready("app", &removed).await;
    assert!(exists(&scene, "protected").await);
    assert_eq!(scene.inventory("app").await.len(), 1);
}

#[tokio::test]
async fn without_prune_nothing_is_removed() {
    let scene = deployed("no-prune", &["kept", "dropped"]).await;
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "prune": false } }),
        )
        .await;
    write_app(&scene, &["kept"]);
    let commit = scene.publish("drop one").await;
    scene.ready("app", &commit).await;
    assert!(exists(&scene, "dropped").await);
}

#[tokio::test]
async fn an_empty_render_removes_nothing() {
    let scene = deployed("empty", &["one", "two"]).await;
    write_app(&scene, &[]);
    scene.publish("drop everything").await;
    let message = scene.failed("app", "PruneFailed").await;
    assert!(message.contains("no longer has 2 of"), "{message}");
    assert!(exists(&scene, "one").await);
    assert!(exists(&scene, "two").await);
    assert_eq!(scene.inventory("app").await.len(), 2);

    write_app(&scene, &["one", "two"]);
    let mended = scene.publish("mended").await;
    scene.ready("app", &mended).await;
}

#[tokio::test]
async fn deleting_a_kustomization_removes_its_objects() {
    let scene = deployed("delete", &["one", "two"]).await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(!exists(&scene, "one").await);
    assert!(!exists(&scene, "two").await);
}

#[tokio::test]
async fn deleting_a_suspended_kustomization_leaves_its_objects() {
    let scene = deployed("delete-suspended", &["one"]).await;
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": true } }),
        )
        .await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(exists(&scene, "one").await);
}

#[tokio::test]
async fn deleting_a_kustomization_without_prune_leaves_its_objects() {
    let scene = deployed("delete-no-prune", &["one"]).await;
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "prune": false } }),
        )
        .await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(exists(&scene, "one").await);
}

/// While the Kustomization stands still, does something to object `name` and drops it from Git; then lets
/// the Kustomization go on, from the new revision.
async fn dropped_after(scene: &Scene, name: &str, act: impl AsyncFnOnce()) {
    let suspend = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspend).await;
    // Answered even so: Weir has seen that it is to stand still.
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;
    act().await;
    assert!(exists(scene, name).await);
    write_app(scene, &["kept"]);
    let commit = scene.publish("drop it").await;
    fetched(scene, &format!("main@sha1:{commit}")).await;
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": false } }),
        )
        .await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn an_object_that_was_made_anew_by_hand_is_not_removed() {
    let scene = deployed("foreign", &["kept", "recreated"]).await;
    let copy: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "recreated", "labels": {
            "kustomize.toolkit.fluxcd.io/name": "app",
            "kustomize.toolkit.fluxcd.io/namespace": scene.namespace,
        }},
    }))
    .unwrap();
    dropped_after(&scene, "recreated", async || {
        scene.delete(&config_map_kind(), "recreated").await;
        scene.gone(&config_map_kind(), "recreated").await;
        scene.create(&copy).await;
    })
    .await;
    assert!(exists(&scene, "recreated").await);
}

#[tokio::test]
async fn an_object_that_says_it_is_somebody_elses_is_not_removed() {
    let scene = deployed("disowned", &["kept", "disowned"]).await;
    let labels = json!({ "kustomize.toolkit.fluxcd.io/name": "other" });
    dropped_after(&scene, "disowned", async || {
        let change = json!({ "metadata": { "labels": labels } });
        scene.merge(&config_map_kind(), "disowned", change).await;
    })
    .await;
    assert!(exists(&scene, "disowned").await);
}
