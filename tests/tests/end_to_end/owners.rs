//! Objects that two Kustomizations have to do with: moved from one to the other, wanted by both, left behind by one
//! that is renamed.

use std::time::{Duration, Instant};

use hyper::Method;
use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::objects::{config_map, kustomization_file, kustomization_kind};
use weir_tests::scene::{PATIENCE, config_map_kind};
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene, eventually};

use crate::remote::there;

/// Writes a folder of ConfigMaps, given as name and value.
fn write(scene: &Scene, folder: &str, maps: &[(&str, &str)]) {
    let files: Vec<String> = maps
        .iter()
        .map(|(name, _)| format!("{name}.yaml"))
        .collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    let file = format!("{folder}/kustomization.yaml");
    scene.repository.write(&file, kustomization_file(&listed));
    for (name, value) in maps {
        let file = format!("{folder}/{name}.yaml");
        scene
            .repository
            .write(&file, config_map(name, "key", value));
    }
}

/// A scene with Kustomizations `a` and `b`, each of the folder of its name.
async fn two(word: &str, a: &[(&str, &str)], b: &[(&str, &str)]) -> Scene {
    let scene = Scene::start(word).await;
    deploy(&scene, a, b).await;
    scene
}

async fn deploy(scene: &Scene, a: &[(&str, &str)], b: &[(&str, &str)]) {
    write(scene, "a", a);
    write(scene, "b", b);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    scene.ready("a", &commit).await;
    scene.sync("b", "./b", json!({})).await;
}

async fn uid(scene: &Scene, name: &str) -> String {
    let object = scene.get(&config_map_kind(), name).await;
    object.metadata.uid.unwrap()
}

async fn owner(scene: &Scene, name: &str) -> String {
    let object = scene.get(&config_map_kind(), name).await;
    object.metadata.labels.unwrap()["kustomize.toolkit.fluxcd.io/name"].clone()
}

async fn has(scene: &Scene, kustomization: &str, names: &[&str]) {
    let ids = names
        .iter()
        .map(|name| format!("{}_{name}__ConfigMap", scene.namespace));
    assert_eq!(scene.inventory(kustomization).await, ids.collect());
}

#[tokio::test]
async fn a_moved_object_changes_hands_and_is_not_deleted() {
    let scene = two("moved", &[("x", "1"), ("y", "1")], &[("z", "1")]).await;
    let before = uid(&scene, "x").await;
    write(&scene, "a", &[("y", "1")]);
    write(&scene, "b", &[("x", "1"), ("z", "1")]);
    let commit = scene.publish("move x").await;
    scene.ready("a", &commit).await;
    scene.ready("b", &commit).await;
    assert_eq!(uid(&scene, "x").await, before);
    assert_eq!(owner(&scene, "x").await, "b");
    has(&scene, "a", &["y"]).await;
    has(&scene, "b", &["x", "z"]).await;
}

#[tokio::test]
async fn nothing_is_pruned_before_all_have_been_rendered() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let options = GitServerOptions::default();
    let scene = Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "barrier",
        options,
    )
    .await;
    write(&scene, "a", &[("x", "1"), ("y", "1")]);
    write(&scene, "b", &[("z", "${value}")]);
    let values = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "values" }, "data": { "value": "one" } });
    scene.create(&serde_json::from_value(values).unwrap()).await;
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    let substitute = json!({ "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] });
    // It waits for what gives the object away: rendering must not.
    let spec = json!({ "postBuild": substitute, "dependsOn": [{ "name": "a" }] });
    scene.sync("b", "./b", spec).await;
    scene.ready("b", &first).await;
    let before = uid(&scene, "x").await;

    let input = |request: &RequestLine| {
        request.method == Method::GET && request.path.ends_with("/configmaps/values")
    };
    // What it takes from the cluster is on its way when the commit comes.
    let arrival = proxy.hold(input, 0);
    let two = json!({ "data": { "value": "two" } });
    scene.merge(&config_map_kind(), "values", two).await;
    let held = tokio::time::timeout(PATIENCE, arrival)
        .await
        .unwrap()
        .unwrap();
    write(&scene, "a", &[("y", "2")]);
    write(&scene, "b", &[("x", "1"), ("z", "${value}")]);
    let second = scene.publish("move x").await;
    let is_applied = |object: &DynamicObject| match object.data["data"]["key"] == "2" {
        true => Ok(()),
        false => Err("not yet"),
    };
    scene
        .until("a is applied", &config_map_kind(), "y", is_applied)
        .await;
    // Long enough for a prune that does not wait.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let deletes = || {
        proxy
            .requests()
            .iter()
            .filter(|request| request.method == Method::DELETE)
            .count()
    };
    assert_eq!(deletes(), 0);
    held.forward().await;
    scene.ready("a", &second).await;
    scene.ready("b", &second).await;
    assert_eq!((uid(&scene, "x").await, deletes()), (before, 0));
    assert_eq!(owner(&scene, "x").await, "b");
}

#[tokio::test]
async fn a_render_that_fails_keeps_nobody_waiting() {
    let scene = two("failing", &[("x", "1"), ("y", "1")], &[("z", "1")]).await;
    write(&scene, "a", &[("y", "1")]);
    scene.repository.write("b/z.yaml", "kind: [");
    let commit = scene.publish("break b").await;
    scene.ready("a", &commit).await;
    scene.gone(&config_map_kind(), "x").await;
    scene.failed("b", "BuildFailed").await;
}

#[tokio::test]
async fn nobody_waits_for_one_that_is_suspended() {
    let scene = two("asleep", &[("x", "1"), ("y", "1")], &[("z", "1")]).await;
    scene.ready("b", &scene.repository.head()).await;
    let suspend = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "b", suspend).await;
    let token = scene.request(&kustomization_kind(), "b").await;
    scene.answered("b", &token).await;
    write(&scene, "a", &[("y", "1")]);
    let begin = Instant::now();
    let commit = scene.publish("drop x").await;
    scene.ready("a", &commit).await;
    assert!(scene.find(&config_map_kind(), "x").await.is_none());
    // Others are waited for up to a minute.
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn nobody_waits_for_one_whose_cluster_is_not_known() {
    let scene = Scene::start("nowhere").await;
    write(&scene, "a", &[("x", "1"), ("y", "1")]);
    write(&scene, "b", &[("z", "1")]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    scene.sync("b", "./b", there("missing")).await;
    scene.ready("a", &first).await;
    scene.failed("b", "ReconciliationFailed").await;
    write(&scene, "a", &[("y", "1")]);
    let begin = Instant::now();
    let second = scene.publish("drop x").await;
    scene.ready("a", &second).await;
    assert!(scene.find(&config_map_kind(), "x").await.is_none());
    // Others are waited for up to a minute.
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_first_of_two_keeps_an_object_until_it_lets_go() {
    let scene = two(
        "both",
        &[("x", "of a"), ("y", "1")],
        &[("x", "of b"), ("z", "1")],
    )
    .await;
    let before = uid(&scene, "x").await;
    let message = scene.failed("b", "ReconciliationFailed").await;
    let said = format!(
        "ConfigMap/{}/x is wanted by Kustomization/{}/a",
        scene.namespace, scene.namespace
    );
    assert!(message.contains(&said), "{message}");
    scene.told("Warning", "a", &said).await;
    scene.told("Warning", "b", &said).await;
    // All else is applied, and the object is not answered for.
    assert_eq!(owner(&scene, "z").await, "b");
    assert_eq!(owner(&scene, "x").await, "a");
    has(&scene, "b", &["z"]).await;

    write(&scene, "a", &[("y", "1")]);
    let commit = scene.publish("a lets go").await;
    scene.ready("a", &commit).await;
    scene.ready("b", &commit).await;
    let object = scene.get(&config_map_kind(), "x").await;
    assert_eq!(
        (object.metadata.uid, &object.data["data"]["key"]),
        (Some(before), &json!("of b"))
    );
    has(&scene, "a", &["y"]).await;
    has(&scene, "b", &["x", "z"]).await;
}

#[tokio::test]
async fn two_that_want_the_same_share_it_and_the_second_inherits() {
    let scene = two("same", &[("x", "1"), ("y", "1")], &[("x", "1"), ("z", "1")]).await;
    scene.ready("b", &scene.repository.head()).await;
    scene.told("Warning", "a", "in the same form").await;
    has(&scene, "b", &["z"]).await;
    let before = uid(&scene, "x").await;
    scene.delete(&kustomization_kind(), "a").await;
    scene.gone(&kustomization_kind(), "a").await;
    let is_taken = |object: &DynamicObject| {
        match object.metadata.labels.as_ref().unwrap()["kustomize.toolkit.fluxcd.io/name"].as_str()
        {
            "b" => Ok(()),
            other => Err(other.to_owned()),
        }
    };
    scene
        .until("b has it", &config_map_kind(), "x", is_taken)
        .await;
    assert_eq!(uid(&scene, "x").await, before);
    scene.gone(&config_map_kind(), "y").await;
}

/// Waits until no request comes for a while, but for watches and events.
async fn rests(proxy: &FaultProxy) {
    let steady =
        |line: &RequestLine| line.query.contains("watch=") || line.path.ends_with("/events");
    let count = || proxy.requests().iter().filter(|line| !steady(line)).count();
    eventually(Duration::from_secs(30), "it is silent", async || {
        let before = count();
        tokio::time::sleep(Duration::from_secs(2)).await;
        match count() - before {
            0 => Ok(()),
            more => Err(format!("{more} requests")),
        }
    })
    .await;
}

#[tokio::test]
async fn two_that_each_keep_something_of_the_other_come_to_rest() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let kubeconfig = proxy.kubeconfig();
    let options = GitServerOptions::default();
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "mutual", options).await;
    deploy(&scene, &[("x", "1")], &[("y", "1")]).await;
    scene.ready("b", &scene.repository.head()).await;
    write(&scene, "a", &[("x", "1"), ("y", "1")]);
    write(&scene, "b", &[("x", "1"), ("y", "1")]);
    let commit = scene.publish("both want both").await;
    for name in ["a", "b"] {
        scene.ready(name, &commit).await;
        let token = scene.request(&kustomization_kind(), name).await;
        scene.answered(name, &token).await;
    }
    rests(&proxy).await;
    // A further object is told as well.
    write(&scene, "b", &[("x", "1"), ("y", "1"), ("z", "1")]);
    let commit = scene.publish("b has z").await;
    scene.ready("b", &commit).await;
    write(&scene, "a", &[("x", "1"), ("y", "1"), ("z", "1")]);
    let commit = scene.publish("a wants z").await;
    scene.ready("a", &commit).await;
    let said = format!("ConfigMap/{}/z is wanted by", scene.namespace);
    scene.told("Warning", "a", &said).await;
    scene.told("Warning", "b", &said).await;
    // In another form, and that fails.
    write(&scene, "b", &[("x", "2"), ("y", "2"), ("z", "2")]);
    scene.publish("b wants otherwise").await;
    for name in ["a", "b"] {
        scene.failed(name, "ReconciliationFailed").await;
    }
    rests(&proxy).await;
}

#[tokio::test]
async fn of_two_that_begin_together_one_has_it_all() {
    let scene = Scene::start("together").await;
    let both = ["v", "w", "x", "y", "z"];
    for (folder, value) in [("a", "of a"), ("b", "of b")] {
        write(&scene, folder, &both.map(|name| (name, value)));
    }
    scene.repository.publish("first");
    let options = || json!({});
    tokio::join!(
        scene.sync("a", "./a", options()),
        scene.sync("b", "./b", options())
    );
    scene.source(json!({})).await;
    let mut owners = Vec::new();
    for name in both {
        scene
            .until("it is there", &config_map_kind(), name, |_| {
                Ok::<(), &str>(())
            })
            .await;
        owners.push(owner(&scene, name).await);
    }
    owners.dedup();
    let [first] = owners.as_slice() else {
        panic!("shared out: {owners:?}");
    };
    let second = if first == "a" { "b" } else { "a" };
    scene.ready(first, &scene.repository.head()).await;
    scene.failed(second, "ReconciliationFailed").await;
    for name in both {
        let object = scene.get(&config_map_kind(), name).await;
        assert_eq!(object.data["data"]["key"], format!("of {first}"));
    }
}

/// A Kustomization in Git, brought by another one.
fn child(scene: &Scene, name: &str, path: &str) -> String {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": { "name": name },
        "spec": {
            "interval": "1h", "prune": true, "path": path, "targetNamespace": scene.namespace,
            "sourceRef": { "kind": "GitRepository", "name": "fleet" },
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_renamed_kustomization_takes_over_what_its_predecessor_had() {
    let scene = Scene::start("renamed").await;
    write(&scene, "app", &[("x", "1"), ("dropped", "1")]);
    scene
        .repository
        .write(
            "root/kustomization.yaml",
            kustomization_file(&["child.yaml", "other.yaml"]),
        )
        .write("root/other.yaml", config_map("other", "key", "1"))
        .write("root/child.yaml", child(&scene, "old", "./app"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("root", "./root", json!({})).await;
    scene.ready("root", &first).await;
    scene.ready("old", &first).await;
    let before = uid(&scene, "x").await;
    write(&scene, "app", &[("x", "1")]);
    scene
        .repository
        .write("root/child.yaml", child(&scene, "new", "./app"));
    let second = scene.publish("rename").await;
    scene.ready("new", &second).await;
    scene.gone(&kustomization_kind(), "old").await;
    scene.gone(&config_map_kind(), "dropped").await;
    scene.ready("root", &second).await;
    assert_eq!(uid(&scene, "x").await, before);
    assert_eq!(owner(&scene, "x").await, "new");
    has(&scene, "new", &["x"]).await;
}

#[tokio::test]
async fn an_object_moves_to_a_kustomization_that_comes_with_the_same_commit() {
    let scene = Scene::start("newcomer").await;
    write(&scene, "app", &[("x", "1"), ("y", "1")]);
    scene
        .repository
        .write(
            "root/kustomization.yaml",
            kustomization_file(&["child.yaml"]),
        )
        .write("root/child.yaml", child(&scene, "app", "./app"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("root", "./root", json!({})).await;
    scene.ready("app", &first).await;
    let before = uid(&scene, "x").await;
    write(&scene, "app", &[("y", "1")]);
    write(&scene, "late", &[("x", "1")]);
    scene
        .repository
        .write(
            "root/kustomization.yaml",
            kustomization_file(&["child.yaml", "late.yaml"]),
        )
        .write("root/late.yaml", child(&scene, "late", "./late"));
    let second = scene.publish("move x to a new one").await;
    scene.ready("late", &second).await;
    scene.ready("app", &second).await;
    assert_eq!(
        (uid(&scene, "x").await, owner(&scene, "x").await),
        (before, "late".to_owned())
    );
}

#[tokio::test]
async fn what_depends_on_others_goes_before_them() {
    let mut scene = two("last", &[("x", "1")], &[("z", "1")]).await;
    let spec = json!({ "spec": { "dependsOn": [{ "name": "a" }], "deletionPolicy": "WaitForTermination" } });
    scene.merge(&kustomization_kind(), "b", spec).await;
    scene.ready("b", &scene.repository.head()).await;
    // Something of the dependent takes its time to go.
    let hold = json!({ "metadata": { "finalizers": ["example.org/hold"] } });
    // Not as kubectl: its fields would go.
    scene
        .merge_as("holder", &config_map_kind(), "z", hold)
        .await;
    scene.delete(&kustomization_kind(), "b").await;
    scene.delete(&kustomization_kind(), "a").await;
    eventually(PATIENCE, "a waits", async || {
        match scene.weir.log().contains("goes after its dependent") {
            true => Ok(()),
            false => Err("it does not say so"),
        }
    })
    .await;
    assert!(scene.find(&config_map_kind(), "x").await.is_some());
    let release = json!({ "metadata": { "finalizers": null } });
    scene.merge(&config_map_kind(), "z", release).await;
    scene.gone(&kustomization_kind(), "b").await;
    scene.gone(&kustomization_kind(), "a").await;
    scene.gone(&config_map_kind(), "x").await;
    scene.weir.kill();
}

#[tokio::test]
async fn an_object_moves_to_a_kustomization_of_another_process() {
    let scene = Scene::start("giver").await;
    write(&scene, "a", &[("x", "1"), ("y", "1")]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    scene.ready("a", &first).await;
    let before = uid(&scene, "x").await;

    // Its Weir looks after another namespace, and its objects are here.
    let other = Scene::start("taker").await;
    write(&other, "b", &[("x", "2"), ("z", "1")]);
    let commit = other.repository.publish("first");
    other.source(json!({})).await;
    let here = json!({ "targetNamespace": scene.namespace });
    other.sync("b", "./b", here).await;
    let message = other.failed("b", "ReconciliationFailed").await;
    assert!(message.contains("stays with it"), "{message}");
    // The one that keeps it is told too, whoever looks after it.
    scene.told("Warning", "a", "stays with it").await;
    assert_eq!(
        (owner(&scene, "x").await, owner(&scene, "z").await),
        ("a".to_owned(), "b".to_owned())
    );

    write(&scene, "a", &[("y", "1")]);
    let second = scene.publish("a lets go").await;
    scene.ready("a", &second).await;
    other.ready("b", &commit).await;
    let object = scene.get(&config_map_kind(), "x").await;
    assert_eq!(
        (object.metadata.uid.unwrap(), &object.data["data"]["key"]),
        (before, &json!("2"))
    );
    assert_eq!(owner(&scene, "x").await, "b");
    has(&scene, "a", &["y"]).await;
}
