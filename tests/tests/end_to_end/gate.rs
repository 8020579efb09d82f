//! Deletions that wait for a person's word: what is held, what is not, what confirms them, and how quiet it is
//! meanwhile.

use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use weir_tests::objects::{
    config_map, definition, deployment, kind, kustomization_file, kustomization_kind,
};
use weir_tests::scene::{condition, config_map_kind, deployment_kind, message};
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene};

/// Long enough for a run at the retry interval of a second, several times over.
const A_WHILE: Duration = Duration::from_secs(6);

fn claim_kind() -> ApiResource {
    kind("", "v1", "PersistentVolumeClaim")
}

fn claim() -> String {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    })
    .to_string()
}

fn namespace(name: &str) -> String {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }).to_string()
}

/// Writes files into folder `app`, given as name and text, and lists them.
fn write_app(scene: &Scene, files: &[(String, String)]) {
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

/// A text of an object in the scene's namespace.
fn placed(scene: &Scene, (name, text): (String, String)) -> (String, String) {
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object["metadata"]["namespace"] = json!(scene.namespace);
    (name, object.to_string())
}

fn map(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), config_map(name, "key", value))
}

fn maps(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| map(&format!("map-{number}"), "1"))
        .collect()
}

/// Annotates the Kustomization with a digest.
async fn confirm(scene: &Scene, digest: &str) {
    let annotations = json!({ "weir.dev/confirm-prune": digest });
    let patch = json!({ "metadata": { "annotations": annotations } });
    scene.merge(&kustomization_kind(), "app", patch).await;
}

/// The digest that a message names.
fn digest(message: &str) -> String {
    let (_, digest) = message.split_once("weir.dev/confirm-prune=").unwrap();
    digest.to_owned()
}

fn runs(object: &DynamicObject) -> i64 {
    let history = &object.data["status"]["history"][0];
    history["totalReconciliations"].as_i64().unwrap_or_default()
}

async fn find_cluster_wide(scene: &Scene, resource: &ApiResource, name: &str) -> Option<Value> {
    let api: Api<DynamicObject> = Api::all_with(scene.client.clone(), resource);
    let found = api.get_opt(name).await.unwrap();
    found.map(|object| json!(object.metadata.deletion_timestamp))
}

#[tokio::test]
async fn what_holds_data_is_held_and_all_else_of_the_commit_is_applied() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let kubeconfig = proxy.kubeconfig();
    let options = GitServerOptions::default();
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "gate", options).await;
    let extra = format!("{}-extra", scene.namespace);
    let group = format!("{}.example.org", scene.namespace);
    let all = [
        placed(&scene, ("data".to_owned(), claim())),
        ("extra".to_owned(), namespace(&extra)),
        ("definition".to_owned(), definition(&group, "Gadget")),
        placed(&scene, map("dropped", "1")),
        placed(&scene, map("kept", "1")),
    ];
    write_app(&scene, &all);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    // A target namespace would be the Namespace's new name.
    let spec = json!({ "interval": "2s", "retryInterval": "1s", "targetNamespace": null });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &first).await;

    write_app(&scene, &[placed(&scene, map("kept", "2"))]);
    scene.publish("drop data").await;
    let said = scene.failed("app", "PruneFailed").await;
    let claim = format!("PersistentVolumeClaim/{}/data", scene.namespace);
    let definition = format!("CustomResourceDefinition/gadgets.{group}");
    for id in [&claim, &format!("Namespace/{extra}"), &definition] {
        assert!(said.contains(id.as_str()), "{said}");
    }
    assert!(!said.contains("dropped"), "{said}");
    scene.gone(&config_map_kind(), "dropped").await;
    let kept = scene.get(&config_map_kind(), "kept").await;
    assert_eq!(kept.data["data"]["key"], "2");
    let definitions = kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let is_whole = async || {
        let claim = scene.get(&claim_kind(), "data").await;
        let namespaces = kind("", "v1", "Namespace");
        let gadgets = format!("gadgets.{group}");
        claim.metadata.deletion_timestamp.is_none()
            && find_cluster_wide(&scene, &namespaces, &extra).await == Some(Value::Null)
            && find_cluster_wide(&scene, &definitions, &gadgets).await == Some(Value::Null)
    };
    assert!(is_whole().await);
    assert_eq!(scene.inventory("app").await.len(), 4);

    // Nothing is asked and nothing written while it waits, at whatever interval. Events come late.
    let counted = || {
        let requests = proxy.requests();
        let is_steady =
            |line: &&RequestLine| line.query.contains("watch=") || line.path.ends_with("/events");
        requests.iter().filter(|line| !is_steady(line)).count()
    };
    let before = counted();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(counted(), before, "{:?}", proxy.requests().last());

    // Drift is put right as ever.
    let edit = json!({ "data": { "key": "edited" } });
    scene.merge(&config_map_kind(), "kept", edit).await;
    scene
        .until(
            "it is put right",
            &config_map_kind(),
            "kept",
            |object| match object.data["data"]["key"] == "2" {
                true => Ok(()),
                false => Err("edited"),
            },
        )
        .await;

    // A wrong word is heard and changes nothing.
    let heard = runs(&scene.get(&kustomization_kind(), "app").await);
    confirm(&scene, "000000000000").await;
    let has_run = |object: &DynamicObject| match runs(object) > heard {
        true => Ok(()),
        false => Err("it has not run"),
    };
    let object = scene
        .until("it has run", &kustomization_kind(), "app", has_run)
        .await;
    assert_eq!(message(&object), said);
    assert!(is_whole().await);

    // A commit that changes nothing of it is verified, and it waits on.
    scene.repository.write("elsewhere.txt", "news");
    let third = scene.publish("elsewhere").await;
    let revision = format!("main@sha1:{third}");
    let is_verified = |object: &DynamicObject| match object.data["status"]["lastAttemptedRevision"]
        == revision.as_str()
    {
        true => Ok(()),
        false => Err("an older one"),
    };
    let object = scene
        .until("it is verified", &kustomization_kind(), "app", is_verified)
        .await;
    assert_eq!(message(&object), said);

    // Whoever deletes the Kustomization means all of it.
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    scene.gone(&claim_kind(), "data").await;
    assert!(!is_there(&scene, &definitions, &format!("gadgets.{group}")).await);
}

/// Whether a cluster-wide object is there and stays.
async fn is_there(scene: &Scene, resource: &ApiResource, name: &str) -> bool {
    find_cluster_wide(scene, resource, name).await == Some(Value::Null)
}

#[tokio::test]
async fn health_is_followed_while_deletions_wait() {
    let scene = Scene::start("gate-health").await;
    let web = ("web".to_owned(), deployment("web", "nginx:1.29", 1));
    write_app(&scene, &[("data".to_owned(), claim()), web.clone()]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    // The claim is never bound.
    let check = json!({ "kind": "Deployment", "name": "web", "namespace": scene.namespace });
    scene
        .sync("app", "./app", json!({ "healthChecks": [check] }))
        .await;
    scene.ready("app", &first).await;
    write_app(&scene, &[web]);
    scene.publish("drop data").await;
    scene.failed("app", "PruneFailed").await;
    until_healthy(&scene, "True").await;

    // The pods do not count as available any more, and nothing that Git says is touched.
    let away = json!({ "spec": { "minReadySeconds": 500 } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", away)
        .await;
    until_healthy(&scene, "False").await;
    scene.told("Warning", "app", "no longer healthy").await;
    let back = json!({ "spec": { "minReadySeconds": null } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", back)
        .await;
    until_healthy(&scene, "True").await;
    scene.told("Normal", "app", "Health check passed").await;
}

/// Waits for what the condition Healthy says, while Ready goes on to say what waits.
async fn until_healthy(scene: &Scene, status: &str) {
    let is_so = |object: &DynamicObject| {
        let ready = condition(object, "Ready").ok_or("it says nothing")?;
        let healthy = condition(object, "Healthy").ok_or("it says nothing of health")?;
        match healthy["status"] == status && ready["reason"] == "PruneFailed" {
            true => Ok(()),
            false => Err("it is something else"),
        }
    };
    let what = format!("Healthy={status}");
    scene
        .until(&what, &kustomization_kind(), "app", is_so)
        .await;
}

#[tokio::test]
async fn most_of_the_inventory_goes_when_its_digest_is_confirmed() {
    let scene = Scene::start("gate-most").await;
    write_app(&scene, &maps(13));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    write_app(&scene, &maps(2));
    let second = scene.publish("drop eleven of thirteen").await;
    let said = scene.failed("app", "PruneFailed").await;
    assert!(said.contains("no longer has 11 of"), "{said}");
    assert!(said.contains(&format!("ConfigMap/{}/map-12", scene.namespace)));
    assert_eq!(scene.inventory("app").await.len(), 13);
    confirm(&scene, &digest(&said)).await;
    scene.ready("app", &second).await;
    assert!(scene.find(&config_map_kind(), "map-12").await.is_none());
    assert!(scene.find(&config_map_kind(), "map-1").await.is_some());
    assert_eq!(scene.inventory("app").await.len(), 2);
}

#[tokio::test]
async fn the_thresholds_are_the_operator_s() {
    let flags = ["--prune-gate-objects=1", "--prune-gate-percent=30"];
    let scene = Scene::with("gate-flags", &flags).await;
    write_app(&scene, &maps(6));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    write_app(&scene, &maps(4));
    scene.publish("drop two of six").await;
    let said = scene.failed("app", "PruneFailed").await;
    assert!(said.contains("no longer has 2 of"), "{said}");
    write_app(&scene, &maps(5));
    let third = scene.publish("drop one of six").await;
    scene.ready("app", &third).await;
    assert!(scene.find(&config_map_kind(), "map-5").await.is_none());
}

#[tokio::test]
async fn what_would_not_be_deleted_waits_for_nobody() {
    let scene = Scene::start("spared").await;
    let all = [map("kept", "1"), ("data".to_owned(), claim())];
    write_app(&scene, &all);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    write_app(&scene, &all[..1]);
    let second = scene.publish("drop data").await;
    scene.failed("app", "PruneFailed").await;
    let keep = json!({ "metadata": { "annotations": { "kustomize.toolkit.fluxcd.io/prune": "disabled" } } });
    scene.merge(&claim_kind(), "data", keep).await;
    scene.request(&kustomization_kind(), "app").await;
    scene.ready("app", &second).await;
    assert_eq!(scene.inventory("app").await.len(), 1);
    let claim = scene.get(&claim_kind(), "data").await;
    assert_eq!(claim.metadata.deletion_timestamp, None);
}
