//! Who may write which field, and who may delete: other managers, refused deletions, and a change of hands between
//! Flux and Weir.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_tests::objects::{
    config_map, deployment, kind, kustomization_file, kustomization_kind, object,
};
use weir_tests::scene::{PATIENCE, config_map_kind, deployment_kind};
use weir_tests::{Scene, eventually};

/// Writes as somebody else does: a plain update of some fields.
async fn write_as(scene: &Scene, manager: &str, name: &str, patch: Value) {
    let parameters = PatchParams {
        field_manager: Some(manager.into()),
        ..PatchParams::default()
    };
    let api = scene.api(&deployment_kind());
    api.patch(name, &parameters, &Patch::Merge(patch))
        .await
        .unwrap();
}

/// A status is sent without the rest of its object, which stays its writer's.
#[tokio::test]
async fn a_status_takes_no_field_of_the_spec() {
    let scene = Scene::start("status-fields").await;
    scene
        .repository
        .write("app/config.yaml", config_map("config", "key", "one"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "targetNamespace": scene.namespace }),
        )
        .await;
    scene.ready("app", &first).await;
    let written = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(written.data["spec"]["path"], "./app");
    let entries = written.metadata.managed_fields.unwrap_or_default();
    let owners = |field: &str| -> Vec<(Option<&str>, Option<&str>)> {
        let holds = |fields: &Value| fields.get(field).is_some();
        let entries = entries.iter();
        let entries =
            entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|all| holds(&all.0)));
        entries
            .map(|entry| (entry.manager.as_deref(), entry.subresource.as_deref()))
            .collect()
    };
    let ours = (Some("gotk-kustomize-controller"), Some("status"));
    assert_eq!(owners("f:status"), [ours]);
    let of_spec = owners("f:spec");
    assert!(of_spec.len() == 1 && of_spec[0] != ours, "{of_spec:?}");
}

#[tokio::test]
async fn fields_may_be_left_to_others() {
    let scene = Scene::start("left-to-others").await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 2))
        .write("app/other.yaml", deployment("other", "nginx:1.29", 2));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    let rule =
        json!([{ "paths": ["/spec/replicas"], "target": { "kind": "Deployment", "name": "web" } }]);
    scene.sync("app", "./app", json!({ "ignore": rule })).await;
    scene.ready("app", &first).await;
    // On creation Git's value counts.
    let replicas = |object: &DynamicObject| object.data["spec"]["replicas"].clone();
    assert_eq!(replicas(&scene.get(&deployment_kind(), "web").await), 2);

    write_as(
        &scene,
        "autoscaler",
        "web",
        json!({ "spec": { "replicas": 5 } }),
    )
    .await;
    write_as(
        &scene,
        "autoscaler",
        "other",
        json!({ "spec": { "replicas": 5 } }),
    )
    .await;
    let two = |object: &DynamicObject| match replicas(object) == 2 {
        true => Ok(()),
        false => Err("it has more"),
    };
    scene
        .until("the other is put right", &deployment_kind(), "other", two)
        .await;
    assert_eq!(replicas(&scene.get(&deployment_kind(), "web").await), 5);

    // Another field of the same object is put right, and changed by a commit, with the scale left alone.
    write_as(&scene, "somebody", "web", json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "image": "nginx:0" }] } } } })).await;
    let image = |object: &DynamicObject| {
        object.data["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    scene
        .until(
            "the image is put right",
            &deployment_kind(),
            "web",
            |object| match image(object) == "nginx:1.29" {
                true => Ok(()),
                false => Err("it is another"),
            },
        )
        .await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.30", 3));
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
    let web = scene.get(&deployment_kind(), "web").await;
    assert_eq!(
        (replicas(&web), image(&web)),
        (json!(5), json!("nginx:1.30"))
    );
}

#[tokio::test]
async fn fields_of_named_managers_are_taken_over() {
    let scene = Scene::with("override", &["--override-manager=old-tool"]).await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 0));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    write_as(
        &scene,
        "kept-tool",
        "web",
        json!({ "metadata": { "annotations": { "kept": "yes" } } }),
    )
    .await;
    write_as(
        &scene,
        "old-tool",
        "web",
        json!({ "metadata": { "annotations": { "old": "yes" } } }),
    )
    .await;
    let annotations =
        |object: &DynamicObject| object.metadata.annotations.clone().unwrap_or_default();
    let web = scene
        .until(
            "the old tool's field goes",
            &deployment_kind(),
            "web",
            |object| match annotations(object).contains_key("old") {
                true => Err("it is there"),
                false => Ok(()),
            },
        )
        .await;
    assert_eq!(annotations(&web)["kept"], "yes");
}

/// Denies the deletion of ConfigMaps in the scene's namespace.
fn denial(scene: &Scene) -> [DynamicObject; 2] {
    let name = format!("keep-{}", scene.namespace);
    let policy = object(
        &kind(
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingAdmissionPolicy",
        ),
        &name,
        json!({ "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": scene.namespace } },
                "resourceRules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"] }],
            },
            "validations": [{ "expression": "oldObject.metadata.name != 'two'", "message": "two is kept" }],
        } }),
    );
    let binding = object(
        &kind(
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingAdmissionPolicyBinding",
        ),
        &name,
        json!({ "spec": { "policyName": name, "validationActions": ["Deny"] } }),
    );
    [policy, binding]
}

fn denial_api(scene: &Scene, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.as_ref().unwrap();
    Api::all_with(
        scene.client.clone(),
        &kind("admissionregistration.k8s.io", "v1", &types.kind),
    )
}

#[tokio::test]
async fn a_refused_deletion_stays_in_the_inventory_until_it_succeeds() {
    let scene = Scene::start("refused-deletion").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"))
        .write("app/two.yaml", config_map("two", "key", "value"))
        .write("app/three.yaml", config_map("three", "key", "value"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "retryInterval": "1s" }))
        .await;
    scene.ready("app", &first).await;
    for object in denial(&scene) {
        denial_api(&scene, &object)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }
    // A policy counts a moment after it is there.
    eventually(PATIENCE, "the policy is in force", async || {
        let dry = kube::api::DeleteParams {
            dry_run: true,
            ..Default::default()
        };
        match scene.api(&config_map_kind()).delete("two", &dry).await {
            Err(error) if error.to_string().contains("two is kept") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    scene.repository.remove("app/two.yaml");
    let second = scene.publish("without two").await;
    let said = scene.failed("app", "PruneFailed").await;
    assert!(said.contains("two is kept"), "{said}");
    let kept = format!("{}_two__ConfigMap", scene.namespace);
    assert!(scene.inventory("app").await.contains(&kept));

    for object in denial(&scene).iter().rev() {
        let name = object.metadata.name.clone().unwrap();
        denial_api(&scene, object)
            .delete(&name, &Default::default())
            .await
            .unwrap();
    }
    scene.ready("app", &second).await;
    scene.gone(&config_map_kind(), "two").await;
    assert!(!scene.inventory("app").await.contains(&kept));
}

/// The objects of the switch test, as Flux sends them: with the owner labels.
fn as_flux_sends(scene: &Scene) -> BTreeMap<&'static str, Value> {
    let labelled = |text: String| {
        let mut object: Value = serde_json::from_str(&text).unwrap();
        object["metadata"]["namespace"] = json!(scene.namespace);
        object["metadata"]["labels"] = json!({
            "kustomize.toolkit.fluxcd.io/name": "app",
            "kustomize.toolkit.fluxcd.io/namespace": scene.namespace,
        });
        object
    };
    [
        ("web", labelled(deployment("web", "nginx:1.29", 1))),
        ("settings", labelled(config_map("settings", "level", "low"))),
    ]
    .into()
}

/// Applies with Flux's manager and force, as its controller does.
async fn flux_applies(scene: &Scene) {
    let parameters = PatchParams::apply("kustomize-controller").force();
    for (name, object) in as_flux_sends(scene) {
        let kind = match name {
            "web" => deployment_kind(),
            _ => config_map_kind(),
        };
        let patch = Patch::Apply(&object);
        scene
            .api(&kind)
            .patch(name, &parameters, &patch)
            .await
            .unwrap();
    }
}

/// What no change of hands may touch: who the objects are, what was asked of them, and their labels.
async fn standing(
    scene: &Scene,
) -> [(
    Option<String>,
    Option<i64>,
    Option<BTreeMap<String, String>>,
    Value,
); 2] {
    let one = async |kind, name| {
        let object = scene.get(&kind, name).await;
        let wanted = json!([object.data["spec"], object.data["data"]]);
        (
            object.metadata.uid,
            object.metadata.generation,
            object.metadata.labels,
            wanted,
        )
    };
    [
        one(deployment_kind(), "web").await,
        one(config_map_kind(), "settings").await,
    ]
}

#[tokio::test]
async fn a_change_of_hands_to_flux_and_back_changes_no_object() {
    let mut scene = Scene::start("switch").await;
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["web.yaml", "settings.yaml"]),
        )
        .write("app/web.yaml", deployment("web", "nginx:1.29", 1))
        .write("app/settings.yaml", config_map("settings", "level", "low"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({ "wait": true })).await;
    scene.ready("app", &commit).await;
    let before = standing(&scene).await;

    // Weir goes, Flux comes.
    scene.weir.terminate();
    flux_applies(&scene).await;
    assert_eq!(standing(&scene).await, before);

    // And back.
    scene.weir.restart();
    let token = scene.request(&kustomization_kind(), "app").await;
    scene
        .until(
            "the request is answered",
            &kustomization_kind(),
            "app",
            |object| match object.data["status"]["lastHandledReconcileAt"] == token {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
    scene.ready("app", &commit).await;
    assert_eq!(standing(&scene).await, before);
    let web = scene.get(&deployment_kind(), "web").await;
    let managers = web.metadata.managed_fields.unwrap();
    let ours = managers
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some("kustomize-controller"));
    assert_eq!(ours.count(), 1);
}

#[tokio::test]
async fn what_flux_deployed_is_taken_over_without_a_change() {
    let scene = Scene::start("take-over").await;
    flux_applies(&scene).await;
    let before = standing(&scene).await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 1))
        .write("app/settings.yaml", config_map("settings", "level", "low"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({ "wait": true })).await;
    scene.ready("app", &commit).await;
    assert_eq!(standing(&scene).await, before);
}
