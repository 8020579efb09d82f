//! In whose name the API server is asked: on a control plane of its own, where every request in the audit log is
//! this Weir's.

use serde_json::json;
use weir_tests::objects::{
    config_map, deployment, git_repository, kind, kustomization_file, kustomization_kind, object,
};
use weir_tests::scene::{PATIENCE, SOURCE, condition, config_map_kind, deployment_kind};
use weir_tests::{
    Call, ControlPlane, ControlPlaneOptions, GitServerOptions, Scene, Weir, eventually,
};

/// A scene on a control plane with an audit log that nobody else writes to.
async fn alone(word: &str) -> (ControlPlane, Scene) {
    let options = ControlPlaneOptions {
        audit: true,
        ..ControlPlaneOptions::default()
    };
    let control_plane = ControlPlane::start(options);
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR).to_owned();
    let options = GitServerOptions::default();
    let scene = Scene::on(&control_plane, &kubeconfig, word, options).await;
    (control_plane, scene)
}

/// Lets an account do this with ConfigMaps and Deployments in the namespace.
async fn allow(scene: &Scene, name: &str, verbs: &[&str]) {
    let role = kind("rbac.authorization.k8s.io", "v1", "Role");
    let binding = kind("rbac.authorization.k8s.io", "v1", "RoleBinding");
    let all = json!([{ "apiGroups": ["", "apps"], "resources": ["configmaps", "deployments"], "verbs": verbs }]);
    scene
        .create(&object(&role, name, json!({ "rules": all })))
        .await;
    let subject = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": scene.namespace }],
    });
    scene.create(&object(&binding, name, subject)).await;
}

/// What Weir asks for itself: about its own resources, and the watches that all Kustomizations share.
fn is_its_own(call: &Call) -> bool {
    let own = [
        "kustomizations",
        "gitrepositories",
        "ocirepositories",
        "buckets",
        "externalartifacts",
        "receivers",
        "events",
        "leases",
    ];
    // All that carry an owner's label; whoever asks for the objects of one owner, or for pods, does so for somebody.
    let is_shared_watch = ["list", "watch"].contains(&call.verb.as_str())
        && call
            .uri
            .contains("labelSelector=kustomize.toolkit.fluxcd.io%2Fname&");
    let asks_which_cluster = (
        call.verb.as_str(),
        call.resource.as_str(),
        call.name.as_str(),
    ) == ("get", "namespaces", "kube-system");
    own.contains(&call.resource.as_str()) || is_shared_watch || asks_which_cluster
}

#[tokio::test]
async fn all_that_is_done_for_an_account_is_done_in_its_name() {
    let (control_plane, scene) = alone("identity").await;
    allow(&scene, "deployer", &["*"]).await;
    let write = |value: &str, files: &[&str]| {
        scene
            .repository
            .write("app/kustomization.yaml", kustomization_file(files))
            .write("app/one.yaml", config_map("one", "key", value))
            .write("app/two.yaml", config_map("two", "key", value))
            .write("app/web.yaml", deployment("web", "nginx:1.29", 1))
            .write("checks/checks.yaml", config_map("checks", "key", value));
    };
    write("first", &["one.yaml", "two.yaml", "web.yaml"]);
    let first = scene.repository.publish("first");
    let theirs = serde_json::from_str(&deployment("theirs", "nginx:1.29", 1)).unwrap();
    scene.create(&theirs).await;
    scene.source(json!({})).await;
    let as_deployer = json!({ "serviceAccountName": "deployer", "wait": true });
    scene.sync("app", "./app", as_deployer).await;
    let check = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "theirs", "namespace": scene.namespace });
    let checks = json!({ "serviceAccountName": "deployer", "healthChecks": [check] });
    scene.sync("checks", "./checks", checks).await;
    let app = scene.ready("app", &first).await;
    assert_eq!(condition(&app, "Healthy").unwrap()["status"], "True");
    scene.ready("checks", &first).await;

    // An update, a prune, drift, health that is lost, and the end.
    write("second", &["one.yaml", "web.yaml"]);
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
    scene.gone(&config_map_kind(), "two").await;
    scene.delete(&config_map_kind(), "one").await;
    scene
        .until(
            "it is back",
            &config_map_kind(),
            "one",
            |object| match object.metadata.deletion_timestamp.is_none() {
                true => Ok(()),
                false => Err("it goes"),
            },
        )
        .await;
    let broken = json!({ "spec": { "template": { "spec": { "nodeSelector": { "none": "such" } } }, "strategy": { "type": "Recreate", "rollingUpdate": null } } });
    scene
        .merge_as("somebody", &deployment_kind(), "theirs", broken)
        .await;
    scene.failed("checks", "HealthCheckFailed").await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    scene.gone(&config_map_kind(), "one").await;

    let calls = control_plane
        .audit_log()
        .unwrap()
        .since(0, ControlPlane::WEIR);
    let account = format!("system:serviceaccount:{}:deployer", scene.namespace);
    let (own, others): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(|call| is_its_own(call));
    let strangers: Vec<&&Call> = others
        .iter()
        .filter(|call| call.impersonated.as_deref() != Some(account.as_str()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    assert!(own.iter().all(|call| call.impersonated.is_none()));
    // All of it was there to be seen.
    let was_asked = |verb: &str, name: &str| {
        let mut calls = others.iter();
        calls.any(|call| call.verb == verb && (call.name == name || call.uri.contains(name)))
    };
    for (verb, name) in [
        ("patch", "one"),
        ("delete", "two"),
        ("get", "web"),
        ("watch", "theirs"),
        ("get", "theirs"),
        ("delete", "web"),
    ] {
        assert!(was_asked(verb, name), "{verb} {name}");
    }
    assert!(others.iter().any(|call| call.is_dry_run()));
}

/// A ConfigMap that goes only when somebody lets it.
fn kept(name: &str) -> String {
    let metadata = json!({ "name": name, "finalizers": ["weir.example.org/keep"] });
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }).to_string()
}

/// Waits until an account has asked so often for objects of its namespace with a verb.
async fn until_asked(scene: &Scene, account: &str, verb: &str, times: usize) {
    let log = ControlPlane::shared().audit_log().unwrap();
    let account = format!("system:serviceaccount:{}:{account}", scene.namespace);
    let is_it = |call: &Call| {
        let is_theirs = call.impersonated.as_deref() == Some(account.as_str());
        is_theirs && call.verb == verb && call.namespace == scene.namespace
    };
    eventually(PATIENCE, "it waits", async || {
        let mut calls = log.since(0, ControlPlane::WEIR);
        calls.retain(is_it);
        (calls.len() >= times).then_some(()).ok_or(calls.len())
    })
    .await;
}

#[tokio::test]
async fn an_account_of_one_namespace_waits_for_the_end_of_its_objects() {
    let scene = Scene::start("waits-for-end").await;
    // The second may not list: it has to look, once before the deletion and then again and again.
    let accounts = [
        ("watches", &["*"][..], "watch", 1),
        ("looks", &["get", "create", "patch", "delete"][..], "get", 3),
    ];
    for (name, verbs, ..) in accounts {
        allow(&scene, name, verbs).await;
        let path = format!("{name}/one.yaml");
        scene.repository.write(&path, kept(name));
    }
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    for (name, _, verb, times) in accounts {
        let spec = json!({ "serviceAccountName": name, "deletionPolicy": "WaitForTermination" });
        scene.sync(name, &format!("./{name}"), spec).await;
        scene.ready(name, &commit).await;
        scene.delete(&kustomization_kind(), name).await;
        until_asked(&scene, name, verb, times).await;
        assert!(scene.find(&kustomization_kind(), name).await.is_some());
        let free = json!({ "metadata": { "finalizers": null } });
        scene.merge(&config_map_kind(), name, free).await;
        scene.gone(&kustomization_kind(), name).await;
        assert!(scene.find(&config_map_kind(), name).await.is_none());
    }
    let events = scene.api(&kind("", "v1", "Event"));
    let events = events.list(&Default::default()).await.unwrap();
    let mut texts = events.iter().map(|event| event.data["message"].to_string());
    assert!(!texts.any(|text| text.contains("failed to wait")));
}

#[tokio::test]
async fn sources_of_other_namespaces_are_used_by_default() {
    let (control_plane, mut scene) = alone("crossing").await;
    // In place of the Weir of one namespace one that looks at all of them.
    scene.weir.kill();
    let storage = tempfile::tempdir().unwrap();
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR).to_owned();
    let arguments = weir_tests::scene::arguments(storage.path());
    scene.weir = Weir::start(&kubeconfig, &arguments);
    let elsewhere = control_plane.namespace("sources").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    let sources = weir_tests::objects::api(
        &scene.client,
        &elsewhere,
        &weir_tests::objects::git_repository_kind(),
    );
    let source = git_repository(SOURCE, &scene.server.url(SOURCE), json!({}));
    sources.create(&Default::default(), &source).await.unwrap();
    let reference = json!({ "kind": "GitRepository", "name": SOURCE, "namespace": elsewhere });
    scene
        .sync("app", "./app", json!({ "sourceRef": reference }))
        .await;
    scene.ready("app", &commit).await;
    let two = scene
        .repository
        .write("app/two.yaml", config_map("two", "key", "value"))
        .publish("second");
    let token =
        json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": two } } });
    let patch = kube::api::Patch::Merge(token);
    sources
        .patch(SOURCE, &Default::default(), &patch)
        .await
        .unwrap();
    scene.ready("app", &two).await;
}
