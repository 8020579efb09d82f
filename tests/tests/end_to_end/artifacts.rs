//! Builds from what another controller has stored: with Weir's halves in two processes, and from kinds of sources
//! that Weir does not look after.

use std::net::TcpListener;

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_tests::http_client::post;
use weir_tests::objects::{
    config_map, definition, git_repository_kind, kind, kustomization, kustomization_kind, object,
};
use weir_tests::scene::{SOURCE, arguments, condition, config_map_kind, install};
use weir_tests::{ControlPlane, FileServer, Repository, Scene, Weir};

use crate::remote::write_secret;
use crate::shards::receiver_of;
use crate::sources::fetched;

const GROUP: &str = "source.toolkit.fluxcd.io";

#[tokio::test]
async fn the_halves_work_in_two_processes() {
    let scene = Scene::with("halves", &["--reconcilers=kustomizations"]).await;
    let first = scene
        .repository
        .write("a.yaml", config_map("a", "b", "1"))
        .publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./", json!({})).await;
    let message = scene.failed("app", "ArtifactFailed").await;
    assert!(
        message.ends_with("is not ready, artifact not found"),
        "{message}"
    );
    let source = scene.get(&git_repository_kind(), SOURCE).await;
    assert_eq!(
        source.data["status"],
        json!({ "observedGeneration": -1 }),
        "read, never written"
    );
    assert_eq!(source.metadata.finalizers, None);

    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::WEIR);
    let storage = tempfile::tempdir().unwrap();
    // An address that is told before it is listened on.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let [path, _, metrics, health] = arguments(storage.path());
    let arguments = [
        path,
        metrics,
        health,
        "--reconcilers=sources".to_owned(),
        "--receiver-addr=127.0.0.1:0".to_owned(),
        format!("--storage-addr=127.0.0.1:{port}"),
        format!("--storage-adv-addr=127.0.0.1:{port}"),
    ];
    let sources = Weir::start_in(&scene.namespace, kubeconfig, &arguments);
    fetched(&scene, &format!("main@sha1:{first}")).await;
    scene.ready("app", &first).await;
    assert_eq!(
        scene.get(&config_map_kind(), "a").await.data["data"]["b"],
        "1"
    );

    let second = scene
        .repository
        .write("a.yaml", config_map("a", "b", "2"))
        .publish("second");
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.ready("app", &second).await;
    assert_eq!(
        scene.get(&config_map_kind(), "a").await.data["data"]["b"],
        "2"
    );
    assert!(
        !sources.log().contains("\"Kustomization\""),
        "{}",
        sources.log()
    );

    // A call for what the other half looks after is passed on.
    write_secret(&scene, "token", "token", "a-token-of-many-letters").await;
    let resources = json!([{ "kind": "Kustomization", "name": "app" }]);
    let path = receiver_of(&scene, "forge", resources).await;
    let address = sources.address("receivers").await;
    assert_eq!(post(&address, &path, &[], "").await, Ok(200));
    let is_answered = |object: &DynamicObject| {
        let handled = object.data["status"]["lastHandledReconcileAt"].as_str();
        handled.map(drop).ok_or("it is not")
    };
    let what = "the call is answered";
    scene
        .until(what, &kustomization_kind(), "app", is_answered)
        .await;
}

/// An archive of a repository's commit, as source-controller would store it, and its digest.
fn archive(repository: &Repository) -> (Vec<u8>, String) {
    let path = repository.path().join(".git/archive.tar.gz");
    repository.git(&[
        "archive",
        "--format=tar.gz",
        "-o",
        path.to_str().unwrap(),
        "HEAD",
    ]);
    let bytes = std::fs::read(path).unwrap();
    let digest = format!("sha256:{:x}", Sha256::digest(&bytes));
    (bytes, digest)
}

/// Says in a source's status what there is to download, as its controller does.
async fn offer(scene: &Scene, of: &str, url: &str, revision: &str, digest: &str) {
    let artifact = json!({
        "path": "irrelevant", "url": url, "revision": revision, "digest": digest,
        "lastUpdateTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({ "status": { "artifact": artifact } });
    let api = scene.api(&kind(GROUP, "v1", of));
    let patched = api
        .patch_status("their", &PatchParams::default(), &Patch::Merge(status))
        .await;
    patched.unwrap_or_else(|error| panic!("offer an artifact: {error}"));
}

fn bucket() -> Value {
    json!({ "bucketName": "a", "endpoint": "127.0.0.1:1", "interval": "1h" })
}

fn following(name: &str, of: &str, namespace: &str) -> DynamicObject {
    let reference = json!({ "kind": of, "name": "their" });
    let spec = json!({ "sourceRef": reference, "targetNamespace": namespace });
    kustomization(name, "", "./", spec)
}

async fn applied(scene: &Scene, name: &str, revision: &str) {
    let what = format!("{name} has applied {revision}");
    scene
        .until(&what, &kustomization_kind(), name, |object| {
            let ready = condition(object, "Ready").ok_or("it is not Ready at all")?;
            let at = &object.data["status"]["lastAppliedRevision"];
            if ready["status"] == "True" && *at == revision {
                Ok(())
            } else {
                Err("it has not")
            }
        })
        .await;
}

async fn value(scene: &Scene, name: &str) -> Value {
    scene.get(&config_map_kind(), name).await.data["data"]["b"].clone()
}

#[tokio::test]
async fn what_others_have_stored_is_applied() {
    let scene = Scene::with("foreign", &["--reconcilers=kustomizations"]).await;
    let storage = FileServer::start();
    for (of, spec) in [
        (
            "OCIRepository",
            json!({ "url": "oci://127.0.0.1:1/a", "interval": "1h" }),
        ),
        ("Bucket", bucket()),
        ("ExternalArtifact", json!({})),
    ] {
        let name = format!("from-{}", of.to_lowercase());
        // Before there is a source, and even before its kind is defined.
        scene.create(&following(&name, of, &scene.namespace)).await;
        let message = scene.failed(&name, "ArtifactFailed").await;
        assert!(message.ends_with("not found"), "{of}: {message}");
        if of == "ExternalArtifact" {
            let definition: Value = serde_json::from_str(&definition(GROUP, of)).unwrap();
            install(&scene.client, &definition).await;
        }
        let resource = kind(GROUP, "v1", of);
        scene
            .create(&object(&resource, "their", json!({ "spec": spec })))
            .await;

        scene
            .repository
            .write("a.yaml", config_map(&name, "b", "1"))
            .commit("first");
        let (bytes, digest) = archive(&scene.repository);
        let path = format!("/{of}/1.tar.gz");
        let url = storage.url(&path);
        // Not there yet, then not what it is said to be.
        offer(&scene, of, &url, "latest@sha256:1", &digest).await;
        storage.put(&path, "something else");
        let what = format!("{name} has seen that the digest does not match");
        scene
            .until(&what, &kustomization_kind(), &name, |object| {
                let message = condition(object, "Ready").map(|ready| ready["message"].to_string());
                match message {
                    Some(message) if message.contains("computed checksum") => Ok(()),
                    message => Err(format!("{message:?}")),
                }
            })
            .await;
        storage.put(&path, bytes);
        applied(&scene, &name, "latest@sha256:1").await;
        assert_eq!(value(&scene, &name).await, "1");

        scene
            .repository
            .write("a.yaml", config_map(&name, "b", "2"))
            .commit("second");
        let (bytes, digest) = archive(&scene.repository);
        let path = format!("/{of}/2.tar.gz");
        storage.put(&path, bytes);
        offer(&scene, of, &storage.url(&path), "latest@sha256:2", &digest).await;
        applied(&scene, &name, "latest@sha256:2").await;
        assert_eq!(value(&scene, &name).await, "2");
        // The same files under another name are not downloaded again.
        offer(
            &scene,
            of,
            &storage.url("/gone"),
            "latest@sha256:3",
            &digest,
        )
        .await;
        applied(&scene, &name, "latest@sha256:3").await;
        let source = scene.get(&kind(GROUP, "v1", of), "their").await;
        assert_eq!(source.metadata.finalizers, None, "read, never written");
    }
}

#[tokio::test]
async fn the_controller_of_a_source_is_asked_before_the_kustomization() {
    let scene = Scene::with("asked-source", &["--reconcilers=kustomizations"]).await;
    let buckets = kind(GROUP, "v1", "Bucket");
    let bucket = object(&buckets, "their", json!({ "spec": bucket() }));
    scene.create(&bucket).await;
    let storage = FileServer::start();
    let first = config_map("asked", "b", "1");
    scene.repository.write("a.yaml", first).commit("first");
    let (bytes, digest) = archive(&scene.repository);
    storage.put("/1.tar.gz", bytes);
    let url = storage.url("/1.tar.gz");
    offer(&scene, "Bucket", &url, "sha256:1", &digest).await;
    scene
        .create(&following("app", "Bucket", &scene.namespace))
        .await;
    applied(&scene, "app", "sha256:1").await;

    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let namespace = scene.namespace.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let mut command = Weir::command();
        command.args(["reconcile", "app", "--with-source", "--timeout", "60"]);
        command
            .args(["-n", &namespace])
            .env("KUBECONFIG", kubeconfig);
        command.output().unwrap()
    });
    let asked = scene
        .until("the Bucket is asked for", &buckets, "their", |bucket| {
            let annotations = bucket.metadata.annotations.as_ref();
            let asked = annotations.and_then(|all| all.get("reconcile.fluxcd.io/requestedAt"));
            asked.map(|_| ()).ok_or("it is not")
        })
        .await;
    // The answer that source-controller gives.
    let token = &asked.metadata.annotations.unwrap()["reconcile.fluxcd.io/requestedAt"];
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({ "status": { "lastHandledReconcileAt": token, "conditions": [ready] } });
    let api = scene.api(&buckets);
    api.patch_status("their", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let output = asking.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("Bucket") && lines[0].ends_with("stored"),
        "{text}"
    );
    assert!(
        lines[1].contains("Kustomization") && lines[1].ends_with("sha256:1"),
        "{text}"
    );
}
