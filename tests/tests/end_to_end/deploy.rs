//! A commit becomes objects, the next commit changes them, and people can ask, pause and go on.

use serde_json::json;
use weir_tests::Scene;
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{condition, config_map_kind, deployment_kind, inventory};

/// A ConfigMap and a Deployment in folder `app`.
fn write_app(scene: &Scene, value: &str) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["settings.yaml", "web.yaml"]),
        )
        .write("app/settings.yaml", config_map("settings", "level", value))
        .write("app/web.yaml", deployment("web", "nginx:1.29", 2));
}

#[tokio::test]
async fn a_commit_is_deployed_and_the_next_one_updates_it() {
    let scene = Scene::start("deploy").await;
    write_app(&scene, "low");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    let kustomization = scene.ready("app", &first).await;

    let settings = scene.get(&config_map_kind(), "settings").await;
    assert_eq!(settings.data["data"]["level"], "low");
    let labels = settings.metadata.labels.unwrap();
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "app");
    assert_eq!(
        labels["kustomize.toolkit.fluxcd.io/namespace"],
        scene.namespace
    );
    let entries = settings.metadata.managed_fields.unwrap();
    let ours = |entry: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
        entry.manager.as_deref() == Some("kustomize-controller")
            && entry.operation.as_deref() == Some("Apply")
    };
    assert_eq!(entries.iter().filter(ours).count(), 1);

    let status = &kustomization.data["status"];
    assert_eq!(
        status["lastAttemptedRevision"],
        format!("main@sha1:{first}")
    );
    assert_eq!(status["observedGeneration"], 1);
    let ready = condition(&kustomization, "Ready").unwrap();
    assert_eq!(ready["reason"], "ReconciliationSucceeded");
    assert_eq!(
        ready["message"],
        format!("Applied revision: main@sha1:{first}")
    );
    let namespace = &scene.namespace;
    let expected = [
        format!("{namespace}_settings__ConfigMap"),
        format!("{namespace}_web_apps_Deployment"),
    ];
    assert_eq!(scene.inventory("app").await, expected.into());
    assert!(
        kustomization
            .metadata
            .finalizers
            .unwrap()
            .contains(&"finalizers.fluxcd.io".to_owned())
    );

    write_app(&scene, "high");
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
    let changed = scene.get(&config_map_kind(), "settings").await;
    assert_eq!(changed.data["data"]["level"], "high");
    assert_eq!(changed.metadata.uid, settings.metadata.uid);
}

#[tokio::test]
async fn a_new_revision_is_noticed_at_the_interval() {
    let scene = Scene::start("interval").await;
    write_app(&scene, "low");
    let first = scene.repository.publish("first");
    scene.source(json!({ "interval": "1s" })).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    write_app(&scene, "high");
    let second = scene.repository.publish("second");
    scene.ready("app", &second).await;
}

#[tokio::test]
async fn an_annotation_is_answered() {
    let scene = Scene::start("annotation").await;
    write_app(&scene, "low");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    let token = scene.request(&kustomization_kind(), "app").await;
    let answered = scene
        .until(
            "the request is answered",
            &kustomization_kind(),
            "app",
            |object| {
                let handled = &object.data["status"]["lastHandledReconcileAt"];
                if *handled == token {
                    Ok(())
                } else {
                    Err(format!("handled: {handled}"))
                }
            },
        )
        .await;
    assert_eq!(condition(&answered, "Ready").unwrap()["status"], "True");
}

#[tokio::test]
async fn a_suspended_kustomization_waits() {
    let scene = Scene::start("suspend").await;
    write_app(&scene, "low");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    // Follows the same source, so that it shows when a revision has gone round.
    scene.sync("witness", "./witness", json!({})).await;
    scene.ready("app", &first).await;

    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": true } }),
        )
        .await;
    write_app(&scene, "high");
    scene
        .repository
        .write("witness/seen.yaml", config_map("seen", "a", "b"));
    let second = scene.publish("second").await;
    scene.ready("witness", &second).await;
    assert_eq!(
        scene.get(&config_map_kind(), "settings").await.data["data"]["level"],
        "low"
    );

    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": false } }),
        )
        .await;
    scene.ready("app", &second).await;
    assert_eq!(
        scene.get(&config_map_kind(), "settings").await.data["data"]["level"],
        "high"
    );
}

#[tokio::test]
async fn the_fields_of_a_kustomization_change_what_is_built() {
    let scene = Scene::start("fields").await;
    write_app(&scene, "low");
    scene.repository.write(
        "extra/kustomization.yaml",
        json!({
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "configMapGenerator": [{
                "name": "generated",
                "literals": ["a=b"],
                "options": { "disableNameSuffixHash": true },
            }],
        })
        .to_string(),
    );
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({
        "components": ["../extra"],
        "namePrefix": "eu-",
        "nameSuffix": "-blue",
        "images": [{ "name": "nginx", "newName": "registry.example/nginx", "newTag": "1.30" }],
        "patches": [{
            "patch": "- {op: replace, path: /spec/replicas, value: 1}",
            "target": { "kind": "Deployment" },
        }],
        "commonMetadata": { "labels": { "team": "blue" }, "annotations": { "contact": "ada" } },
    });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    let web = scene.get(&deployment_kind(), "eu-web-blue").await;
    assert_eq!(web.data["spec"]["replicas"], 1);
    let container = &web.data["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/nginx:1.30");
    assert_eq!(web.metadata.labels.unwrap()["team"], "blue");
    assert_eq!(web.metadata.annotations.unwrap()["contact"], "ada");
    scene.get(&config_map_kind(), "eu-generated-blue").await;
}

#[tokio::test]
async fn an_account_without_rights_is_refused_and_then_let_in() {
    let scene = Scene::start("account").await;
    write_app(&scene, "low");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "serviceAccountName": "deployer", "retryInterval": "1s" });
    scene.sync("app", "./app", spec).await;
    let message = scene.failed("app", "ReconciliationFailed").await;
    let account = format!("system:serviceaccount:{}:deployer", scene.namespace);
    assert!(message.contains(&account), "{message}");
    assert!(scene.find(&config_map_kind(), "settings").await.is_none());

    for object in account_objects(&scene.namespace) {
        scene.create(&serde_json::from_value(object).unwrap()).await;
    }
    scene.ready("app", &commit).await;
}

fn account_objects(namespace: &str) -> [serde_json::Value; 2] {
    [
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": "deployer" },
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": { "name": "deployer" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": "deployer", "namespace": namespace }],
        }),
    ]
}

#[tokio::test]
async fn a_large_kustomization_does_not_hold_up_a_small_one() {
    let scene = Scene::start("fair").await;
    let many: Vec<String> = (0..1_500)
        .map(|number| config_map(&format!("many-{number}"), "key", "value"))
        .collect();
    scene
        .repository
        .write("large/many.yaml", many.join("\n---\n"))
        .write("small/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("large", "./large", json!({})).await;
    scene
        .until(
            "it applies",
            &kustomization_kind(),
            "large",
            |object| match inventory(object).len() {
                1_500 => Ok(()),
                so_far => Err(format!("{so_far} objects in the inventory")),
            },
        )
        .await;
    scene.sync("small", "./small", json!({})).await;
    scene.ready("small", &commit).await;
    let large = scene.get(&kustomization_kind(), "large").await;
    assert_ne!(
        condition(&large, "Ready").map(|ready| ready["status"].clone()),
        Some(json!("True")),
        "the large one was done first"
    );
    scene.ready("large", &commit).await;
}
