//! Several Weirs beside each other, each with the resources of one label or one namespace: who looks after what, who
//! waits for whom, and what becomes of objects that another one's Kustomizations want.

use std::net::TcpListener;

use hyper::{Method, StatusCode};
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::http_client::post;
use weir_tests::objects::{
    config_map, git_repository, git_repository_kind, kind, kustomization, kustomization_file,
    kustomization_kind, object,
};
use weir_tests::scene::{PATIENCE, SOURCE, arguments, config_map_kind, message};
use weir_tests::{
    ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene, Weir, eventually,
};

use crate::remote::{Elsewhere, kubeconfig_of, there, write_secret};

/// The source of the second shard.
const SECOND: &str = "fleet-b";

/// Each shard has leases of its own.
const LEADS: &str = "--enable-leader-election";

/// A namespace with two Weirs: the scene's own has what is labelled `shard: a`, the other one `shard: b`.
struct Shards {
    _second: Weir,
    _storage: TempDir,
    scene: Scene,
}

fn labelled(mut object: DynamicObject, shard: &str) -> DynamicObject {
    object.metadata.labels = Some([("shard".to_owned(), shard.to_owned())].into());
    object
}

impl Shards {
    async fn start(word: &str) -> Shards {
        Shards::with(word, &[]).await
    }

    /// The same with more flags for the first of the two.
    async fn with(word: &str, more: &[&str]) -> Shards {
        let flags = [&["--watch-label-selector=shard=a", LEADS], more].concat();
        let scene = Scene::with(word, &flags).await;
        let storage = tempfile::tempdir().unwrap();
        let flags = [
            "--watch-label-selector=shard=b",
            "--requeue-dependency=1s",
            LEADS,
        ];
        // An address that is told before it is listened on.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let [path, _, metrics, health] = arguments(storage.path());
        let served = ["addr", "adv-addr"].map(|flag| format!("--storage-{flag}={address}"));
        let mut all = vec![path, metrics, health];
        all.extend(served);
        all.extend(flags.map(str::to_owned));
        let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::WEIR);
        let second = Weir::start_in(&scene.namespace, kubeconfig, &all);
        Shards {
            _second: second,
            _storage: storage,
            scene,
        }
    }

    /// Creates both sources, of the same repository.
    async fn sources(&self) {
        let url = self.scene.server.url(SOURCE);
        for (name, shard) in [(SOURCE, "a"), (SECOND, "b")] {
            let source = labelled(git_repository(name, &url, json!({})), shard);
            self.scene.create(&source).await;
        }
    }

    /// Creates a Kustomization of a shard, from that shard's source.
    async fn sync(&self, shard: &str, name: &str, mut spec: Value) {
        let source = if shard == "a" { SOURCE } else { SECOND };
        spec["targetNamespace"] = json!(self.scene.namespace);
        let object = kustomization(name, source, &format!("./{name}"), spec);
        self.scene.create(&labelled(object, shard)).await;
    }
}

/// Writes a folder of ConfigMaps.
fn write(scene: &Scene, folder: &str, names: &[&str]) {
    let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    let file = format!("{folder}/kustomization.yaml");
    scene.repository.write(&file, kustomization_file(&listed));
    for name in names {
        let file = format!("{folder}/{name}.yaml");
        scene.repository.write(&file, config_map(name, "key", "1"));
    }
}

async fn uid(scene: &Scene, name: &str) -> Option<String> {
    scene.get(&config_map_kind(), name).await.metadata.uid
}

#[tokio::test]
async fn each_process_has_the_resources_of_its_label() {
    let shards = Shards::start("shards").await;
    let scene = &shards.scene;
    write(scene, "a", &["x", "y"]);
    write(scene, "b", &["z"]);
    let first = scene.repository.publish("first");
    shards.sources().await;
    shards.sync("a", "a", json!({})).await;
    shards.sync("b", "b", json!({})).await;
    scene.ready("a", &first).await;
    scene.ready("b", &first).await;
    let said_of = |name: &str| format!("\"name\":\"{name}\"");
    let log = scene.weir.log();
    assert!(log.contains(&said_of("a")) && !log.contains(&said_of("b")));
    let leases = scene.api(&kind("coordination.k8s.io", "v1", "Lease"));
    let leases = leases.list(&ListParams::default()).await.unwrap();
    let holders: Vec<_> = leases
        .items
        .iter()
        .map(|lease| lease.data["spec"]["holderIdentity"].to_string())
        .collect();
    // Two halves of two shards.
    assert_eq!(holders.len(), 4, "{holders:?}");
    assert!(holders.iter().all(|holder| holder.len() > 2), "{holders:?}");

    // The second shard asks for an object of the first, which then lets go of it.
    let before = uid(scene, "x").await;
    write(scene, "a", &["y"]);
    write(scene, "b", &["x", "z"]);
    scene
        .repository
        .write("b/x.yaml", config_map("x", "key", "2"));
    let second = scene.repository.publish("move x");
    scene.request(&git_repository_kind(), SECOND).await;
    let said = scene.failed("b", "ReconciliationFailed").await;
    assert!(said.contains("stays with it"), "{said}");
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.ready("a", &second).await;
    scene.ready("b", &second).await;
    assert_eq!(uid(scene, "x").await, before);
}

#[tokio::test]
async fn sources_of_other_shards_are_read() {
    let shards = Shards::start("shard-source").await;
    let scene = &shards.scene;
    write(scene, "a", &["x"]);
    let first = scene.repository.publish("first");
    shards.sources().await;
    // The first shard builds from the source of the second.
    let of_second = json!({ "sourceRef": { "kind": "GitRepository", "name": SECOND } });
    shards.sync("a", "a", of_second).await;
    scene.ready("a", &first).await;
    write(scene, "a", &["x", "y"]);
    let second = scene.repository.publish("second");
    scene.request(&git_repository_kind(), SECOND).await;
    scene.ready("a", &second).await;
    assert!(scene.find(&config_map_kind(), "y").await.is_some());

    // The source moves to the shard that builds from it, and is fetched there from then on.
    let label = json!({ "metadata": { "labels": { "shard": "a" } } });
    scene.merge(&git_repository_kind(), SECOND, label).await;
    eventually(PATIENCE, "the first shard looks after it", async || {
        let log = scene.weir.log();
        let mut lines = log.lines();
        let name = format!("\"name\":\"{SECOND}\"");
        let is_it = |line: &str| line.contains("source is up to date") && line.contains(&name);
        lines.any(is_it).then_some(()).ok_or("it does not")
    })
    .await;
    write(scene, "a", &["x", "y", "z"]);
    let third = scene.repository.publish("third");
    scene.request(&git_repository_kind(), SECOND).await;
    scene.ready("a", &third).await;
}

#[tokio::test]
async fn a_dependency_of_another_shard_is_waited_for() {
    let shards = Shards::start("shard-order").await;
    let scene = &shards.scene;
    for name in ["b", "c"] {
        write(scene, name, &[name]);
    }
    scene.repository.publish("first");
    shards.sources().await;
    // Its folder is not there yet.
    shards
        .sync("a", "a", json!({ "retryInterval": "1s" }))
        .await;
    let on = |dependency: Value| json!({ "dependsOn": [dependency], "retryInterval": "1h" });
    let plain = json!({ "name": "a" });
    shards.sync("b", "b", on(plain)).await;
    let expression =
        "dep.status.conditions.exists(one, one.type == 'Ready' && one.status == 'True')";
    let judged = json!({ "name": "a", "readyExpr": expression });
    shards.sync("b", "c", on(judged)).await;
    let waits = format!("dependency '{}/a' is not ready", scene.namespace);
    for name in ["b", "c"] {
        let says = |object: &DynamicObject| match message(object).contains(&waits) {
            true => Ok(()),
            false => Err(message(object)),
        };
        scene
            .until("it waits", &kustomization_kind(), name, says)
            .await;
    }
    write(scene, "a", &["a"]);
    let second = scene.repository.publish("its folder");
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.ready("a", &second).await;
    scene.request(&git_repository_kind(), SECOND).await;
    scene.ready("b", &second).await;
    scene.ready("c", &second).await;
}

#[tokio::test]
async fn who_waits_in_another_shard_hears_at_once_of_what_changes_nothing() {
    let shards = Shards::with("shard-heard", &["--unchanged-status-interval=10m"]).await;
    let scene = &shards.scene;
    for name in ["base", "alone", "app", "late"] {
        write(scene, name, &[name]);
    }
    let first = scene.repository.publish("first");
    shards.sources().await;
    // All are of the same source, so that the revision counts.
    let of_second = json!({ "sourceRef": { "kind": "GitRepository", "name": SECOND } });
    shards.sync("a", "base", of_second.clone()).await;
    shards.sync("a", "alone", of_second).await;
    let on = |name: &str| json!({ "dependsOn": [{ "name": name }], "retryInterval": "1h" });
    shards.sync("b", "app", on("base")).await;
    for name in ["base", "alone", "app"] {
        scene.ready(name, &first).await;
    }
    let commit = async |value: &str| {
        let changed = config_map("app", "key", value);
        scene.repository.write("app/app.yaml", changed);
        let commit = scene.repository.publish(value);
        scene.request(&git_repository_kind(), SECOND).await;
        scene.ready("app", &commit).await;
        commit
    };
    // The first of them is written soon for everybody, and the next ones ten minutes later.
    let second = commit("2").await;
    scene.ready("alone", &second).await;
    commit("3").await;
    let fourth = commit("4").await;
    scene.ready("base", &fourth).await;
    let alone = scene.get(&kustomization_kind(), "alone").await;
    let applied = &alone.data["status"]["lastAppliedRevision"];
    assert_eq!(*applied, format!("main@sha1:{second}"));

    // Somebody comes who waits for what is still to be said.
    shards.sync("b", "late", on("alone")).await;
    scene.ready("late", &fourth).await;
}

#[tokio::test]
async fn a_call_reaches_what_other_shards_look_after() {
    let shards = Shards::with("shard-called", &["--receiver-addr=127.0.0.1:0"]).await;
    let scene = &shards.scene;
    write(scene, "b", &["x"]);
    let first = scene.repository.publish("first");
    shards.sources().await;
    shards.sync("b", "b", json!({})).await;
    scene.ready("b", &first).await;
    write_secret(scene, "token", "token", "a-token-of-many-letters").await;
    let address = scene.weir.address("receivers").await;
    let annotation = async |name: &str| {
        let source = scene.get(&git_repository_kind(), name).await;
        let mut annotations = source.metadata.annotations.unwrap_or_default();
        annotations.remove("reconcile.fluxcd.io/requestedAt")
    };
    for (receiver, named) in [("one", SECOND), ("all", "*")] {
        let resources = json!([{ "kind": "GitRepository", "name": named }]);
        let path = receiver_of(scene, receiver, resources).await;
        let before = annotation(SECOND).await;
        write(scene, "b", &["x", receiver]);
        let commit = scene.repository.publish(receiver);
        assert_eq!(post(&address, &path, &[], "").await, Ok(200));
        scene.ready("b", &commit).await;
        assert_ne!(annotation(SECOND).await, before, "{receiver}");
        // What is looked at directly is not written to.
        assert_eq!(annotation(SOURCE).await, None, "{receiver}");
    }
}

/// A Receiver, of the first shard if there are any, and the path that it waits at.
pub(crate) async fn receiver_of(scene: &Scene, name: &str, resources: Value) -> String {
    let receivers = kind("notification.toolkit.fluxcd.io", "v1", "Receiver");
    let spec = json!({
        "type": "generic",
        "secretRef": { "name": "token" },
        "resources": resources,
    });
    let receiver = object(&receivers, name, json!({ "spec": spec }));
    scene.create(&labelled(receiver, "a")).await;
    let waits = |object: &DynamicObject| {
        let path = object.data["status"]["webhookPath"].as_str();
        path.map(drop).ok_or("it does not")
    };
    let receiver = scene
        .until("it waits for calls", &receivers, name, waits)
        .await;
    let path = receiver.data["status"]["webhookPath"].as_str();
    path.unwrap().to_owned()
}

#[tokio::test]
async fn an_object_of_the_same_name_in_another_cluster_is_another() {
    let scene = Scene::start("hub-one").await;
    write(&scene, "a", &["x", "y", "w"]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    scene.ready("a", &first).await;

    // Another process, whose Kustomizations lead to another cluster and, by a Secret, to this one.
    let other = Scene::start("hub-two").await;
    let elsewhere = Elsewhere::start(&scene).await;
    write_secret(&other, "far", "value", &elsewhere.kubeconfig()).await;
    let control_plane = ControlPlane::shared();
    let near = kubeconfig_of(control_plane, control_plane.server());
    write_secret(&other, "near", "value", &near).await;
    write(&other, "far", &["x", "y", "w"]);
    write(&other, "near", &["w", "z"]);
    other
        .repository
        .write("near/w.yaml", config_map("w", "key", "2"));
    let commit = other.repository.publish("first");
    other.source(json!({})).await;
    for name in ["far", "near"] {
        let mut spec = there(name);
        spec["targetNamespace"] = json!(scene.namespace);
        other.sync(name, &format!("./{name}"), spec).await;
    }
    other.ready("far", &commit).await;
    let said = other.failed("near", "ReconciliationFailed").await;
    assert!(said.contains("stays with it"), "{said}");
    let before = uid(&scene, "w").await;

    write(&scene, "a", &["y"]);
    let second = scene.publish("drop x and w").await;
    scene.ready("a", &second).await;
    // Nobody else wants this one here.
    scene.gone(&config_map_kind(), "x").await;
    assert!(elsewhere.find("x").await.is_some());
    other.ready("near", &commit).await;
    assert_eq!(uid(&scene, "w").await, before, "it was handed over");

    // Whoever goes altogether leaves nothing to one that is elsewhere, and takes nothing from it.
    scene.delete(&kustomization_kind(), "a").await;
    scene.gone(&kustomization_kind(), "a").await;
    scene.gone(&config_map_kind(), "y").await;
    assert!(elsewhere.find("y").await.is_some());
    assert_eq!(uid(&scene, "w").await, before);
}

#[tokio::test]
async fn nothing_is_deleted_while_what_others_hold_is_not_known() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let scene = Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "blind",
        GitServerOptions::default(),
    )
    .await;
    write(&scene, "a", &["x", "y", "z"]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "retryInterval": "1s" });
    scene.sync("a", "./a", spec).await;
    scene.ready("a", &first).await;
    let is_look_around = |request: &RequestLine| {
        request.method == Method::GET
            && request.path == "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations"
    };
    let refusal = Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR);
    proxy.inject(refusal, is_look_around, 0..usize::MAX);
    write(&scene, "a", &["y", "z"]);
    let second = scene.publish("drop x").await;
    let said = scene.failed("a", "PruneFailed").await;
    assert!(said.contains("hold is not known"), "{said}");
    assert!(scene.find(&config_map_kind(), "x").await.is_some());
    // It is not let go of either.
    let inventory = scene.inventory("a").await;
    assert!(inventory.contains(&format!("{}_x__ConfigMap", scene.namespace)));
    proxy.clear();
    scene.ready("a", &second).await;
    assert!(scene.find(&config_map_kind(), "x").await.is_none());

    // Who looks at one namespace on purpose, and may look at no other, knows of nobody beyond it.
    let refusal = Fault::Answer(StatusCode::FORBIDDEN);
    proxy.inject(refusal, is_look_around, 0..usize::MAX);
    write(&scene, "a", &["y"]);
    let third = scene.publish("drop z").await;
    scene.ready("a", &third).await;
    assert!(scene.find(&config_map_kind(), "z").await.is_none());
}
