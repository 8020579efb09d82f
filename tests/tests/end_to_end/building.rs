//! What is made of a folder: generated and written kustomization files, transformers, components, metadata.

use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, deployment, kustomization_kind};
use weir_tests::scene::{config_map_kind, deployment_kind};

#[tokio::test]
async fn transformers_of_a_kustomization_file_do_their_work() {
    let scene = Scene::start("transformers").await;
    let file = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namePrefix": "a-",
        "nameSuffix": "-z",
        "resources": ["settings.yaml", "web.yaml"],
        "labels": [{ "pairs": { "team": "blue" }, "includeSelectors": true }],
        "commonAnnotations": { "note": "all" },
        "images": [{ "name": "nginx", "newTag": "1.30" }],
        "replicas": [{ "name": "web", "count": 0 }],
        "configMapGenerator": [{ "name": "made", "literals": ["key=value"], "options": { "disableNameSuffixHash": true } }],
        "secretGenerator": [{ "name": "sealed", "literals": ["key=value"] }],
        "patches": [
            { "patch": r#"[{"op": "add", "path": "/data/patched", "value": "by-json"}]"#, "target": { "kind": "ConfigMap", "name": "settings" } },
            { "patch": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {minReadySeconds: 7}}" },
        ],
        "replacements": [{
            "source": { "kind": "ConfigMap", "name": "settings", "fieldPath": "data.level" },
            "targets": [{ "select": { "kind": "Deployment" }, "fieldPaths": ["metadata.annotations.level"], "options": { "create": true } }],
        }],
    });
    scene
        .repository
        .write("app/kustomization.yaml", file.to_string())
        .write("app/settings.yaml", config_map("settings", "level", "low"))
        .write("app/web.yaml", deployment("web", "nginx:1.29", 2));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;

    let settings = scene.get(&config_map_kind(), "a-settings-z").await;
    assert_eq!(
        settings.data["data"],
        json!({ "level": "low", "patched": "by-json" })
    );
    assert_eq!(settings.metadata.labels.as_ref().unwrap()["team"], "blue");
    let web = scene.get(&deployment_kind(), "a-web-z").await;
    assert_eq!(web.data["spec"]["replicas"], 0);
    assert_eq!(web.data["spec"]["minReadySeconds"], 7);
    assert_eq!(
        web.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "nginx:1.30"
    );
    assert_eq!(web.data["spec"]["selector"]["matchLabels"]["team"], "blue");
    let annotations = web.metadata.annotations.unwrap();
    assert_eq!(
        (annotations["note"].as_str(), annotations["level"].as_str()),
        ("all", "low")
    );
    let inventory = scene.inventory("app").await;
    let namespace = &scene.namespace;
    assert!(
        inventory.contains(&format!("{namespace}_a-made-z__ConfigMap")),
        "{inventory:?}"
    );
    let generated = |id: &String| id.starts_with(&format!("{namespace}_a-sealed-z-"));
    assert!(inventory.iter().any(generated), "{inventory:?}");
}

#[tokio::test]
async fn transformers_in_files_do_their_work() {
    let scene = Scene::start("transformer-files").await;
    let file = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["settings.yaml", "web.yaml"],
        "transformers": ["labels.yaml", "prefix.yaml", "images.yaml"],
    });
    let transformer = |kind: &str, fields: Value| {
        let mut file = json!({ "apiVersion": "builtin", "kind": kind, "metadata": { "name": kind.to_lowercase() } });
        let more = fields.as_object().unwrap().clone();
        file.as_object_mut().unwrap().extend(more);
        file.to_string()
    };
    let labels = json!({ "labels": { "team": "green" }, "fieldSpecs": [{ "path": "metadata/labels", "create": true }] });
    let prefix = json!({ "prefix": "b-", "fieldSpecs": [{ "path": "metadata/name" }] });
    let images = json!({ "imageTag": { "name": "nginx", "newName": "caddy", "newTag": "2" } });
    scene
        .repository
        .write("app/kustomization.yaml", file.to_string())
        .write("app/labels.yaml", transformer("LabelTransformer", labels))
        .write("app/prefix.yaml", transformer("PrefixTransformer", prefix))
        .write(
            "app/images.yaml",
            transformer("ImageTagTransformer", images),
        )
        .write("app/settings.yaml", config_map("settings", "level", "low"))
        .write("app/web.yaml", deployment("web", "nginx:1.29", 0));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    let settings = scene.get(&config_map_kind(), "b-settings").await;
    assert_eq!(settings.metadata.labels.unwrap()["team"], "green");
    let web = scene.get(&deployment_kind(), "b-web").await;
    assert_eq!(
        web.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "caddy:2"
    );
}

#[tokio::test]
async fn a_folder_without_a_kustomization_file_is_all_of_its_manifests() {
    let scene = Scene::start("generated").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"))
        .write("app/deep/two.yml", config_map("two", "key", "value"))
        .write("app/deep/notes.txt", "no manifest")
        .write(
            "app/base/kustomization.yaml",
            "namePrefix: from-\nresources: [three.yaml]\n",
        )
        .write("app/base/three.yaml", config_map("base", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    let names =
        ["from-base", "one", "two"].map(|name| format!("{}_{name}__ConfigMap", scene.namespace));
    assert_eq!(scene.inventory("app").await, names.into());
}

#[tokio::test]
async fn a_folder_without_any_manifest_makes_nothing() {
    let scene = Scene::start("no-manifest").await;
    scene.repository.write("app/README.md", "nothing yet");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    assert_eq!(scene.inventory("app").await, [].into());
}

#[tokio::test]
async fn components_are_added_and_missing_ones_may_be_left_out() {
    let scene = Scene::start("components").await;
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonLabels: {from: component}\n";
    scene
        .repository
        .write("app/kustomization.yaml", "resources: [one.yaml]\n")
        .write("app/one.yaml", config_map("one", "key", "value"))
        .write("shared/labels/kustomization.yaml", component);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "components": ["../shared/labels", "../shared/absent"] });
    scene.sync("app", "./app", spec).await;
    let message = scene.failed("app", "BuildFailed").await;
    assert!(message.contains("absent"), "{message}");

    let lenient = json!({ "spec": { "ignoreMissingComponents": true } });
    scene.merge(&kustomization_kind(), "app", lenient).await;
    scene.ready("app", &commit).await;
    let one = scene.get(&config_map_kind(), "one").await;
    assert_eq!(one.metadata.labels.unwrap()["from"], "component");

    let remote = json!({ "spec": { "components": ["https://example.org/shared//labels"] } });
    scene.merge(&kustomization_kind(), "app", remote).await;
    let message = scene.failed("app", "BuildFailed").await;
    assert!(message.contains("must be local and relative"), "{message}");
}

#[tokio::test]
async fn common_metadata_comes_and_goes() {
    let scene = Scene::start("metadata").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "commonMetadata": { "labels": { "team": "red" }, "annotations": { "cost": "1" } } });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    let one = scene.get(&config_map_kind(), "one").await;
    assert_eq!(one.metadata.labels.unwrap()["team"], "red");
    assert_eq!(one.metadata.annotations.unwrap()["cost"], "1");

    let without = json!({ "spec": { "commonMetadata": Value::Null } });
    scene.merge(&kustomization_kind(), "app", without).await;
    let bare = "its metadata is gone";
    scene
        .until(bare, &config_map_kind(), "one", |object| {
            let labels = object.metadata.labels.clone().unwrap_or_default();
            let annotations = object.metadata.annotations.clone().unwrap_or_default();
            match labels.contains_key("team") || annotations.contains_key("cost") {
                true => Err("it is there"),
                false => Ok(()),
            }
        })
        .await;
}

#[tokio::test]
async fn origins_are_noted_when_the_spec_asks() {
    let scene = Scene::start("origins").await;
    scene
        .repository
        .write("app/kustomization.yaml", "resources: [one.yaml]\n")
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "buildMetadata": ["originAnnotations"] }),
        )
        .await;
    scene.ready("app", &commit).await;
    let one = scene.get(&config_map_kind(), "one").await;
    let origin = &one.metadata.annotations.unwrap()["config.kubernetes.io/origin"];
    assert!(origin.contains("one.yaml"), "{origin}");
}
