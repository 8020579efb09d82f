//! What an object says in annotations about its own treatment: applied only where there is none, beside what others
//! have set, not at all, or anew where it cannot change.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{config_map_kind, deployment_kind};

/// The text of an object with one of Flux's annotations on it.
fn annotated(text: &str, annotation: &str, value: &str) -> String {
    let mut object: Value = serde_json::from_str(text).unwrap();
    let annotation = format!("kustomize.toolkit.fluxcd.io/{annotation}");
    object["metadata"]["annotations"] = json!({ annotation: value });
    object.to_string()
}

/// Writes files into folder `app`, given as name and text, and lists them.
fn write_app(scene: &Scene, files: &[(&str, String)]) {
    let names: Vec<String> = files
        .iter()
        .map(|(name, _)| format!("{name}.yaml"))
        .collect();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let folder = &scene.repository;
    folder.write("app/kustomization.yaml", kustomization_file(&listed));
    for ((_, text), name) in files.iter().zip(&names) {
        folder.write(&format!("app/{name}"), text.clone());
    }
}

/// A scene in which these files are deployed.
async fn deployed(word: &str, files: &[(&str, String)]) -> Scene {
    let scene = Scene::start(word).await;
    write_app(&scene, files);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene
}

async fn edit(scene: &Scene, manager: &str, name: &str, data: Value) {
    let patch = json!({ "data": data });
    scene
        .merge_as(manager, &config_map_kind(), name, patch)
        .await;
}

async fn data(scene: &Scene, name: &str) -> Value {
    let object = scene.get(&config_map_kind(), name).await;
    object.data["data"].clone()
}

/// Waits until a ConfigMap has what Git says.
async fn until_data(scene: &Scene, name: &str, expected: Value) {
    let is_so = |object: &DynamicObject| match object.data["data"] == expected {
        true => Ok(()),
        false => Err(object.data["data"].to_string()),
    };
    scene
        .until("its data are as expected", &config_map_kind(), name, is_so)
        .await;
}

/// Edits an ordinary object after the others, and waits until that is put right: whatever the watch has shown
/// before has been heard by then. A request for a reconcile is answered besides.
async fn all_heard(scene: &Scene) {
    edit(
        scene,
        "kubectl-edit",
        "ordinary",
        json!({ "key": "edited" }),
    )
    .await;
    until_data(scene, "ordinary", json!({ "key": "git" })).await;
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;
}

fn ordinary() -> (&'static str, String) {
    ("ordinary", config_map("ordinary", "key", "git"))
}

#[tokio::test]
async fn what_is_applied_once_stays_as_others_make_it() {
    let once = |value: &str| {
        let text = config_map("once", "key", value);
        ("once", annotated(&text, "ssa", "IfNotPresent"))
    };
    let mut scene = deployed("if-not-present", &[ordinary(), once("git")]).await;
    assert_eq!(data(&scene, "once").await, json!({ "key": "git" }));
    for (manager, value) in [("kubectl-edit", "by hand"), ("rotator", "rotated")] {
        edit(&scene, manager, "once", json!({ "key": value })).await;
        all_heard(&scene).await;
        assert_eq!(data(&scene, "once").await, json!({ "key": value }));
    }
    // Neither a commit nor a new process applies it again.
    write_app(&scene, &[ordinary(), once("of the commit")]);
    let commit = scene.publish("another value").await;
    scene.ready("app", &commit).await;
    scene.weir.restart();
    all_heard(&scene).await;
    assert_eq!(data(&scene, "once").await, json!({ "key": "rotated" }));

    scene.delete(&config_map_kind(), "once").await;
    let back = json!({ "key": "of the commit" });
    scene
        .until("it is back", &config_map_kind(), "once", |object| {
            match object.data["data"] == back {
                true => Ok(()),
                false => Err("it is the old one"),
            }
        })
        .await;

    write_app(&scene, &[ordinary()]);
    let commit = scene.publish("drop it").await;
    scene.ready("app", &commit).await;
    assert!(scene.find(&config_map_kind(), "once").await.is_none());
}

#[tokio::test]
async fn what_somebody_else_made_is_looked_for_at_the_interval() {
    let scene = Scene::start("present-before").await;
    let made = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "once" }, "data": { "key": "theirs" },
    });
    scene.create(&serde_json::from_value(made).unwrap()).await;
    let once = config_map("once", "key", "git");
    write_app(
        &scene,
        &[
            ordinary(),
            ("once", annotated(&once, "ssa", "IfNotPresent")),
        ],
    );
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "interval": "2s" }))
        .await;
    scene.ready("app", &commit).await;
    assert_eq!(data(&scene, "once").await, json!({ "key": "theirs" }));
    scene.delete(&config_map_kind(), "once").await;
    scene
        .until("it is made", &config_map_kind(), "once", |object| {
            match object.data["data"]["key"] == "git" {
                true => Ok(()),
                false => Err("it is theirs"),
            }
        })
        .await;
}

#[tokio::test]
async fn what_is_ignored_in_the_cluster_is_left_alone_and_left_behind() {
    let left = |value: &str| ("left", config_map("left", "key", value));
    let scene = deployed("ignored", &[ordinary(), left("git")]).await;
    let mine = json!({
        "metadata": { "annotations": { "kustomize.toolkit.fluxcd.io/ssa": "Ignore" } },
        "data": { "key": "mine" },
    });
    scene.merge(&config_map_kind(), "left", mine).await;
    all_heard(&scene).await;
    assert_eq!(data(&scene, "left").await, json!({ "key": "mine" }));
    write_app(&scene, &[ordinary(), left("of the commit")]);
    let commit = scene.publish("another value").await;
    scene.ready("app", &commit).await;
    assert_eq!(data(&scene, "left").await, json!({ "key": "mine" }));

    write_app(&scene, &[ordinary()]);
    let commit = scene.publish("drop it").await;
    scene.ready("app", &commit).await;
    assert_eq!(data(&scene, "left").await, json!({ "key": "mine" }));
}

#[tokio::test]
async fn what_is_merged_keeps_the_fields_that_kubectl_adds() {
    let merged = |value: &str| {
        let text = config_map("merged", "key", value);
        ("merged", annotated(&text, "ssa", "Merge"))
    };
    let scene = deployed("merge", &[ordinary(), merged("git")]).await;
    for name in ["merged", "ordinary"] {
        let theirs = json!({ "key": "edited", "added": "by hand" });
        edit(&scene, "kubectl-edit", name, theirs).await;
    }
    // Of an ordinary object what kubectl has added goes.
    until_data(&scene, "ordinary", json!({ "key": "git" })).await;
    let both = |value: &str| json!({ "key": value, "added": "by hand" });
    until_data(&scene, "merged", both("git")).await;
    all_heard(&scene).await;
    write_app(&scene, &[ordinary(), merged("of the commit")]);
    let commit = scene.publish("another value").await;
    scene.ready("app", &commit).await;
    assert_eq!(data(&scene, "merged").await, both("of the commit"));
}

#[tokio::test]
async fn an_object_may_ask_to_be_made_anew_for_itself() {
    let web = |selector: &str| {
        let text = deployment("web", "nginx:1.29", 0);
        let text = text.replace("\"app\":\"web\"", &format!("\"app\":\"{selector}\""));
        ("web", annotated(&text, "force", "enabled"))
    };
    let other = |selector: &str| {
        let text = deployment("other", "nginx:1.29", 0);
        let text = text.replace("\"app\":\"other\"", &format!("\"app\":\"{selector}\""));
        ("other", text)
    };
    let scene = deployed("force-one", &[web("first"), other("first")]).await;
    let uid = async |name| scene.get(&deployment_kind(), name).await.metadata.uid;
    let before = (uid("web").await, uid("other").await);
    write_app(&scene, &[web("second"), other("second")]);
    scene.publish("other selectors").await;
    let message = scene.failed("app", "ReconciliationFailed").await;
    assert!(
        message.contains("/other") && !message.contains("/web"),
        "{message}"
    );
    assert_eq!((uid("web").await, uid("other").await), before);
    write_app(&scene, &[web("second"), other("first")]);
    let commit = scene.publish("one of them").await;
    scene.ready("app", &commit).await;
    assert_ne!(uid("web").await, before.0);
    assert_eq!(uid("other").await, before.1);
}
