//! How things end: a Kustomization whose account is gone, objects that can only be replaced, rings, checks of what is
//! no longer wanted, and inventories that no status holds.

use hyper::{Method, StatusCode};
use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::objects::{
    config_map, deployment, kind, kustomization_file, kustomization_kind, object,
};
use weir_tests::scene::{config_map_kind, deployment_kind};
use weir_tests::{ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene};

use crate::remote::{kubeconfig_of, there, write_secret};

fn write_app(scene: &Scene, name: &str, text: String) {
    let file = format!("{name}.yaml");
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&[&file]))
        .write(&format!("app/{file}"), text);
}

fn account() -> kube::api::ApiResource {
    kind("", "v1", "ServiceAccount")
}

/// Lets an account do everything with ConfigMaps in the namespace.
pub(crate) async fn allow(scene: &Scene, name: &str) {
    let role = kind("rbac.authorization.k8s.io", "v1", "Role");
    let binding = kind("rbac.authorization.k8s.io", "v1", "RoleBinding");
    let rules =
        json!({ "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }] });
    scene.create(&object(&role, name, rules)).await;
    let subject = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": scene.namespace }],
    });
    scene.create(&object(&binding, name, subject)).await;
}

#[tokio::test]
async fn an_account_that_is_gone_still_cleans_up() {
    let scene = Scene::start("gone-account").await;
    scene
        .create(&object(&account(), "deployer", json!({})))
        .await;
    allow(&scene, "deployer").await;
    write_app(&scene, "settings", config_map("settings", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "serviceAccountName": "deployer" }))
        .await;
    scene.ready("app", &commit).await;
    // The server impersonates by name: the binding is what counts.
    scene.delete(&account(), "deployer").await;
    scene.gone(&account(), "deployer").await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(scene.find(&config_map_kind(), "settings").await.is_none());
}

#[tokio::test]
async fn an_account_without_rights_is_waited_for_as_long_as_the_timeout() {
    let scene = Scene::start("no-rights").await;
    allow(&scene, "deployer").await;
    write_app(&scene, "settings", config_map("settings", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "serviceAccountName": "deployer", "timeout": "5s", "retryInterval": "1s" });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    let binding = kind("rbac.authorization.k8s.io", "v1", "RoleBinding");
    scene.delete(&binding, "deployer").await;
    scene.gone(&binding, "deployer").await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(scene.find(&config_map_kind(), "settings").await.is_some());
    // Every Warning lists what is left, not the last one alone.
    for state in ["still there", "left behind"] {
        let left = format!("{state}: ConfigMap/{}/settings", scene.namespace);
        scene.told("Warning", "app", &left).await;
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_gone_is_waited_for_as_long_as_the_timeout() {
    let scene = Scene::start("no-kubeconfig").await;
    let control_plane = ControlPlane::shared();
    let text = kubeconfig_of(control_plane, control_plane.server());
    write_secret(&scene, "there", "value", &text).await;
    write_app(&scene, "settings", config_map("settings", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let mut spec = there("there");
    (spec["timeout"], spec["retryInterval"]) = (json!("5s"), json!("1s"));
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    let secret = kind("", "v1", "Secret");
    scene.delete(&secret, "there").await;
    scene.gone(&secret, "there").await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    assert!(scene.find(&config_map_kind(), "settings").await.is_some());
    for state in ["still there", "left behind"] {
        let left = format!("{state}: ConfigMap/{}/settings", scene.namespace);
        scene.told("Warning", "app", &left).await;
    }
}

/// The names of the objects that requests of a method were about, in order.
fn asked_for(proxy: &FaultProxy, method: &Method, folders: &[&str]) -> Vec<String> {
    let requests = proxy.requests();
    let asked = requests
        .iter()
        .filter(|line| line.method == *method && !line.query.contains("dryRun"));
    let names = asked.filter_map(|line| {
        let (rest, name) = line.path.rsplit_once('/')?;
        let (_, folder) = rest.rsplit_once('/')?;
        folders.contains(&folder).then(|| name.to_owned())
    });
    names.collect()
}

#[tokio::test]
async fn who_waited_for_dependents_has_its_own_time_to_clean_up() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let options = GitServerOptions::default();
    let kubeconfig = proxy.kubeconfig();
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "patient", options).await;
    scene
        .repository
        .write("base/base.yaml", config_map("base", "key", "1"))
        .write("app/app.yaml", config_map("app", "key", "1"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("base", "./base", json!({ "timeout": "10s" }))
        .await;
    let spec = json!({ "dependsOn": [{ "name": "base" }], "deletionPolicy": "WaitForTermination", "timeout": "1h" });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    // The dependent takes longer to go than the base waits for it.
    let hold = json!({ "metadata": { "finalizers": ["example.org/hold"] } });
    // Not as kubectl: its fields would go.
    scene
        .merge_as("holder", &config_map_kind(), "app", hold)
        .await;
    let is_base = |line: &RequestLine| line.path.ends_with("/configmaps/base");
    let is_deletion = move |line: &RequestLine| line.method == Method::DELETE && is_base(line);
    proxy.inject(Fault::Answer(StatusCode::FORBIDDEN), is_deletion, 0..1);
    scene.delete(&kustomization_kind(), "app").await;
    scene.delete(&kustomization_kind(), "base").await;
    scene.gone(&kustomization_kind(), "base").await;
    // Its first try came late and was refused; it was not the last one.
    assert_eq!(
        asked_for(&proxy, &Method::DELETE, &["configmaps"]),
        ["app", "base", "base"]
    );
    scene.gone(&config_map_kind(), "base").await;
    let release = json!({ "metadata": { "finalizers": null } });
    scene.merge(&config_map_kind(), "app", release).await;
    scene.gone(&kustomization_kind(), "app").await;
}

#[tokio::test]
async fn kinds_with_a_stage_of_their_own_come_first_and_go_last() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let scene = Scene::set(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "stages",
        GitServerOptions::default(),
        &["--custom-apply-stage-kinds=/Secret"],
    )
    .await;
    // Flux's own order has ConfigMaps before Secrets.
    let secret = config_map("early", "key", "dmFsdWU=").replace("ConfigMap", "Secret");
    let both = [config_map("late", "key", "value"), secret].join("\n---\n");
    write_app(&scene, "both", both);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    let folders = ["configmaps", "secrets"];
    assert_eq!(
        asked_for(&proxy, &Method::PATCH, &folders),
        ["early", "late"]
    );
    assert_eq!(
        asked_for(&proxy, &Method::DELETE, &folders),
        ["late", "early"]
    );
}

#[tokio::test]
async fn a_namespace_that_ends_holds_nobody() {
    let scene = Scene::start("ending").await;
    allow(&scene, "deployer").await;
    write_app(&scene, "settings", config_map("settings", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "serviceAccountName": "deployer", "timeout": "10m" });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
    // The end of the namespace takes the rights away before Weir may have used them.
    let binding = kind("rbac.authorization.k8s.io", "v1", "RoleBinding");
    scene.delete(&binding, "deployer").await;
    let namespaces: kube::Api<DynamicObject> =
        kube::Api::all_with(scene.client.clone(), &kind("", "v1", "Namespace"));
    namespaces
        .delete(&scene.namespace, &Default::default())
        .await
        .unwrap();
    scene.gone(&kustomization_kind(), "app").await;
}

#[tokio::test]
async fn force_replaces_what_cannot_change_and_nothing_else() {
    let scene = Scene::start("force").await;
    write_app(&scene, "web", deployment("web", "nginx:1.29", 1));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "force": true, "retryInterval": "1s" }),
        )
        .await;
    scene.ready("app", &first).await;
    let uid = async || {
        scene
            .get(&deployment_kind(), "web")
            .await
            .metadata
            .uid
            .unwrap()
    };
    let before = uid().await;
    // Refused, but not because it could not change.
    let invalid = deployment("web", "nginx:1.29", 1).replace(
        "\"image\":\"nginx:1.29\"",
        "\"image\":\"nginx:1.29\",\"imagePullPolicy\":\"Sometimes\"",
    );
    write_app(&scene, "web", invalid);
    scene.publish("invalid").await;
    scene.failed("app", "ReconciliationFailed").await;
    assert_eq!(uid().await, before);
    // The selector of a Deployment cannot change.
    let other = deployment("web", "nginx:1.29", 1).replace("\"app\":\"web\"", "\"app\":\"other\"");
    write_app(&scene, "web", other);
    let third = scene.publish("another selector").await;
    scene.ready("app", &third).await;
    assert_ne!(uid().await, before);
}

#[tokio::test]
async fn a_ring_is_reported_on_its_members_only() {
    let scene = Scene::start("ring").await;
    write_app(&scene, "settings", config_map("settings", "key", "value"));
    scene
        .repository
        .write("free/free.yaml", config_map("free", "key", "1"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let on = |name: &str| json!({ "dependsOn": [{ "name": name }] });
    scene.sync("a", "./app", on("b")).await;
    scene.sync("b", "./none", on("a")).await;
    scene.sync("outside", "./free", on("free")).await;
    scene.sync("free", "./free", json!({})).await;
    for name in ["a", "b"] {
        let what = "the ring is reported";
        let is_told = |object: &DynamicObject| {
            let message = weir_tests::scene::message(object);
            if message.contains("ring") {
                Ok(())
            } else {
                Err(message)
            }
        };
        scene
            .until(what, &kustomization_kind(), name, is_told)
            .await;
    }
    scene.ready("free", &commit).await;
    scene.ready("outside", &commit).await;
}

#[tokio::test]
async fn an_inventory_that_no_status_holds_stops_before_the_first_apply() {
    let scene = Scene::start("too-large").await;
    // 6,000 names of 253 characters do not fit in 1.5 MiB.
    let long = "n".repeat(240);
    let object = |number: usize| config_map(&format!("{long}-{number:05}"), "key", "value");
    let documents: Vec<String> = (0..6_000).map(object).collect();
    write_app(&scene, "all", documents.join("\n---\n"));
    scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    let message = scene.failed("app", "ReconciliationFailed").await;
    assert!(
        message.contains("6000 objects") && message.contains("1572864"),
        "{message}"
    );
    let maps = scene
        .api(&config_map_kind())
        .list(&kube::api::ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app"))
        .await;
    assert_eq!(maps.unwrap().items.len(), 0);
}
