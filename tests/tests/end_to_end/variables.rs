//! Values that reach the manifests of one cluster: where they come from, and which of them wins.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, kustomization_file, kustomization_kind};
use weir_tests::scene::config_map_kind;

fn variables(kind: &str, name: &str, field: &str, values: Value) -> DynamicObject {
    let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    object[field] = values;
    serde_json::from_value(object).unwrap()
}

fn write_app(scene: &Scene, text: &str) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["settings.yaml"]),
        )
        .write("app/settings.yaml", config_map("settings", "text", text));
}

async fn text(scene: &Scene) -> String {
    let settings = scene.get(&config_map_kind(), "settings").await;
    settings.data["data"]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_later_source_wins_and_the_inline_value_wins_over_all() {
    let scene = Scene::start("precedence").await;
    let first = json!({ "a": "first", "b": "first", "c": "first" });
    scene
        .create(&variables("ConfigMap", "first", "data", first))
        .await;
    let second = json!({ "b": "second", "c": "second" });
    scene
        .create(&variables("Secret", "second", "stringData", second))
        .await;
    write_app(&scene, "${a} ${b} ${c} ${d:=default}");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let build = json!({
        "substitute": { "c": "inline" },
        "substituteFrom": [
            { "kind": "ConfigMap", "name": "first" },
            { "kind": "Secret", "name": "second" },
            { "kind": "ConfigMap", "name": "absent", "optional": true },
        ],
    });
    scene
        .sync("app", "./app", json!({ "postBuild": build }))
        .await;
    scene.ready("app", &commit).await;
    assert_eq!(text(&scene).await, "first second inline default");
}

#[tokio::test]
async fn where_no_variable_is_given_the_strategy_decides() {
    let scene = Scene::start("strategy").await;
    write_app(&scene, "${value:=default}");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({ "postBuild": {} })).await;
    scene.ready("app", &commit).await;
    assert_eq!(text(&scene).await, "${value:=default}");
    let always = json!({ "spec": { "postBuild": { "substituteStrategy": "Always" } } });
    scene.merge(&kustomization_kind(), "app", always).await;
    let is_set = |object: &DynamicObject| match object.data["data"]["text"] == "default" {
        true => Ok(()),
        false => Err(object.data["data"]["text"].to_string()),
    };
    scene
        .until("it is substituted", &config_map_kind(), "settings", is_set)
        .await;
}

#[tokio::test]
async fn a_variable_without_a_value_is_an_error() {
    let scene = Scene::start("unset").await;
    write_app(&scene, "${missing}");
    scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "postBuild": { "substitute": { "other": "x" } } }),
        )
        .await;
    let message = scene.failed("app", "BuildFailed").await;
    assert!(message.contains("missing"), "{message}");

    let given = json!({ "spec": { "postBuild": { "substitute": { "missing": "found" } } } });
    scene
        .merge(&weir_tests::objects::kustomization_kind(), "app", given)
        .await;
    scene.ready("app", &scene.repository.head()).await;
    assert_eq!(text(&scene).await, "found");
}

#[tokio::test]
async fn a_source_of_values_that_is_absent_is_an_error() {
    let scene = Scene::start("absent").await;
    write_app(&scene, "${a}");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let build = json!({ "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] });
    scene
        .sync(
            "app",
            "./app",
            json!({ "postBuild": build, "retryInterval": "1s" }),
        )
        .await;
    let message = scene.failed("app", "BuildFailed").await;
    assert!(message.contains("values"), "{message}");
    scene
        .create(&variables(
            "ConfigMap",
            "values",
            "data",
            json!({ "a": "here" }),
        ))
        .await;
    scene.ready("app", &commit).await;
    assert_eq!(text(&scene).await, "here");
}
