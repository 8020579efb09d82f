//! Sources whose files come as one package: artifacts of a real container registry, and the objects of a real storage.

mod bucket;
mod opened;
mod pulled;
mod refused;
mod signed;

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, kind, kustomization, object};
use weir_tests::scene::{PATIENCE, condition, config_map_kind};
use weir_tests::{ControlPlane, Registry, Scene, Weir, eventually};

const GROUP: &str = "source.toolkit.fluxcd.io";
const OCI: &str = "OCIRepository";
const BUCKET: &str = "Bucket";

fn secret(name: &str, data: Value) -> DynamicObject {
    object(
        &kind("", "v1", "Secret"),
        name,
        json!({ "stringData": data }),
    )
}

/// A Kustomization of all that a source named `their` has.
async fn follow(scene: &Scene, of: &str) {
    let reference = json!({ "kind": of, "name": "their" });
    let spec = json!({ "sourceRef": reference, "targetNamespace": scene.namespace });
    scene.create(&kustomization("app", "", "./", spec)).await;
}

async fn source(scene: &Scene, of: &str, mut spec: Value) {
    spec["interval"] = json!("1h");
    scene
        .create(&object(
            &kind(GROUP, "v1", of),
            "their",
            json!({ "spec": spec }),
        ))
        .await;
}

async fn respec(scene: &Scene, of: &str, spec: Value) {
    scene
        .merge(&kind(GROUP, "v1", of), "their", json!({ "spec": spec }))
        .await;
}

/// Waits until the source is Ready at a revision, and gives it.
async fn ready(scene: &Scene, of: &str, revision: &str) -> DynamicObject {
    let what = format!("the {of} is Ready at {revision}");
    scene
        .until(&what, &kind(GROUP, "v1", of), "their", |object| {
            let at = &object.data["status"]["artifact"]["revision"];
            let observed = &object.data["status"]["observedGeneration"];
            match condition(object, "Ready") {
                Some(ready)
                    if ready["status"] == "True"
                        && *at == revision
                        && *observed == object.metadata.generation.unwrap_or_default() =>
                {
                    Ok(())
                }
                _ => Err("it is not"),
            }
        })
        .await
}

/// Waits until the source is not Ready for a reason, and gives the message.
async fn failed(scene: &Scene, of: &str, reason: &str) -> (DynamicObject, String) {
    let what = format!("the {of} is not Ready because of {reason}");
    let object = scene
        .until(
            &what,
            &kind(GROUP, "v1", of),
            "their",
            |object| match condition(object, "Ready") {
                Some(ready) if ready["status"] == "False" && ready["reason"] == reason => Ok(()),
                _ => Err("it is something else"),
            },
        )
        .await;
    let message = weir_tests::scene::message(&object);
    (object, message)
}

async fn has_value(scene: &Scene, value: &str) {
    scene
        .until(
            &format!("the value is {value}"),
            &config_map_kind(),
            "a",
            |object| match object.data["data"]["b"] == value {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
}

/// Waits until the Bucket is at another revision.
async fn other_than(scene: &Scene, before: &str) -> DynamicObject {
    scene
        .until(
            "the Bucket has news",
            &kind(GROUP, "v1", BUCKET),
            "their",
            |object| match object.data["status"]["artifact"]["revision"].as_str() {
                Some(revision) if revision != before => Ok(()),
                _ => Err("it has none"),
            },
        )
        .await
}

/// What `weir` says of the namespace.
async fn said(scene: &Scene, arguments: &[&str]) -> String {
    let mut command = Weir::command();
    command.args(arguments).args(["-n", &scene.namespace]).env(
        "KUBECONFIG",
        ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR),
    );
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that an object is followed to its source, and that the source is listed.
async fn is_traced(scene: &Scene, of: &str, lines: &[String]) {
    let text = said(scene, &["trace", "ConfigMap/a"]).await;
    let source = format!("Source:        {of}/their");
    for line in lines.iter().chain([&source]) {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let text = said(scene, &["get", "sources"]).await;
    let is_row = |line: &str| line.split_whitespace().take(2).eq([of, "their"]);
    assert!(text.lines().any(is_row), "{text}");
    let about = format!("{of}/their");
    eventually(PATIENCE, "the events are listed", async || {
        let text = said(scene, &["events", "--for", &about]).await;
        match text.contains("NewArtifact") {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
}

fn files(value: &str) -> Vec<(&'static str, String)> {
    vec![
        ("kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ("a.yaml", config_map("a", "b", value)),
        ("picture.png", "left out by default".to_owned()),
    ]
}

async fn push(registry: &Registry, tag: &str, value: &str) -> String {
    let files = files(value);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    registry.push("fleet/apps", tag, &files).await
}

fn types(object: &DynamicObject) -> Vec<String> {
    let conditions = object.data["status"]["conditions"].as_array();
    let named = conditions.into_iter().flatten();
    named
        .map(|one| {
            format!(
                "{}={}",
                one["type"].as_str().unwrap(),
                one["status"].as_str().unwrap()
            )
        })
        .collect()
}
