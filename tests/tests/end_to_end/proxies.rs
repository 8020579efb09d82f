//! Sources that only a proxy can reach: each kind has its names looked up, and its requests carried, by the proxy that its
//! `proxySecretRef` names.

use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};
use weir_tests::objects::{git_repository, git_repository_kind, kind, object};
use weir_tests::scene::{SOURCE, condition, message};
use weir_tests::{
    ForwardProxy, ObjectStorage, Registry, STORAGE_KEY, Scene, SshKey, SshServer, SshServerOptions,
};

use crate::sources::{fetched, refused, secret};

const ACCOUNT: (&str, &str) = ("ada", "s3cret-pass");

/// A proxy with a password, the Secret that names it, and one with another password.
async fn gate(scene: &Scene, scheme: &str) -> ForwardProxy {
    let gate = ForwardProxy::start(Some(ACCOUNT));
    let data = |password: &str| json!({ "address": gate.url(scheme), "username": ACCOUNT.0, "password": password });
    scene.create(&secret("proxy", data(ACCOUNT.1))).await;
    scene.create(&secret("stranger", data("hunter2"))).await;
    gate
}

async fn ready(scene: &Scene, of: &ApiResource) -> DynamicObject {
    let what = format!("the {} is Ready", of.kind);
    scene
        .until(&what, of, "their", |object| {
            match condition(object, "Ready") {
                Some(ready) if ready["status"] == "True" => Ok(()),
                _ => Err("it is not"),
            }
        })
        .await
}

/// Waits until it fails for a reason, and gives the message.
async fn not_ready(scene: &Scene, of: &ApiResource, reason: &str) -> String {
    let what = format!("the {} is not Ready because of {reason}", of.kind);
    let is_so = |object: &DynamicObject| match condition(object, "Ready") {
        Some(ready) if ready["status"] == "False" && ready["reason"] == reason => Ok(()),
        _ => Err("it is something else"),
    };
    message(&scene.until(&what, of, "their", is_so).await)
}

fn behind(secret: &str) -> Value {
    json!({ "spec": { "proxySecretRef": { "name": secret } } })
}

#[tokio::test]
async fn a_git_repository_over_http_is_reached() {
    let scene = Scene::start("proxy-http").await;
    let commit = scene.repository.write("a", "1").publish("first");
    let gate = gate(&scene, "http").await;
    let inside = scene.server.url(SOURCE);
    let (address, path) = inside
        .trim_start_matches("http://")
        .split_once('/')
        .unwrap();
    gate.lead("git.example.org:80", address);
    let spec = json!({ "proxySecretRef": { "name": "none" } });
    let source = git_repository(SOURCE, &format!("http://git.example.org/{path}"), spec);
    scene.create(&source).await;
    let text = refused(&scene, "AuthenticationFailed").await;
    assert!(text.contains("secrets \"none\" not found"), "{text}");

    let incomplete = secret("none", json!({ "username": "ada" }));
    scene.create(&incomplete).await;
    let wanted = format!("secret '{}/none': key 'address' not found", scene.namespace);
    let is_told = |object: &DynamicObject| match condition(object, "FetchFailed") {
        Some(failed) if failed["message"].to_string().contains(&wanted) => Ok(()),
        _ => Err("it is not"),
    };
    let what = "the missing address is told";
    scene
        .until(what, &git_repository_kind(), SOURCE, is_told)
        .await;

    scene
        .merge(&git_repository_kind(), SOURCE, behind("stranger"))
        .await;
    let text = refused(&scene, "GitOperationFailed").await;
    assert!(text.ends_with("proxy: authentication required"), "{text}");

    // The right password counts as soon as it is there.
    let right = json!({ "stringData": { "password": ACCOUNT.1 } });
    scene
        .merge(&kind("", "v1", "Secret"), "stranger", right)
        .await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    let asked = gate.asked();
    assert!(
        asked.iter().all(|asked| asked == "git.example.org:80"),
        "{asked:?}"
    );
    let log = scene.weir.log();
    assert!(!log.contains(ACCOUNT.1) && !log.contains("hunter2"));
}

#[tokio::test]
async fn a_git_repository_over_ssh_is_reached() {
    let scene = Scene::start("proxy-ssh").await;
    let gate = gate(&scene, "socks5").await;
    let key = SshKey::generate("ed25519", "");
    let server = SshServer::start(&key, &SshServerOptions::default());
    let work = server.create_repository("fleet");
    let first = work.write("a", "1").publish("first");
    let inside = server.url("fleet");
    let (_, rest) = inside.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    gate.lead("git.example.org:22", address);
    let line = server.known_hosts("ed25519");
    let (_, host_key) = line.split_once(' ').unwrap();
    let known_hosts = format!("git.example.org {host_key}");
    let data = json!({ "identity": key.private, "known_hosts": known_hosts });
    scene.create(&secret("key", data)).await;
    let spec = json!({ "secretRef": { "name": "key" }, "proxySecretRef": { "name": "stranger" } });
    let source = git_repository(
        SOURCE,
        &inside.replacen(address, "git.example.org", 1),
        spec,
    );
    scene.create(&source).await;
    let text = refused(&scene, "GitOperationFailed").await;
    assert!(text.ends_with("proxy: authentication required"), "{text}");

    scene
        .merge(&git_repository_kind(), SOURCE, behind("proxy"))
        .await;
    fetched(&scene, &format!("main@sha1:{first}")).await;
    let second = work.write("a", "2").publish("second");
    scene.request(&git_repository_kind(), SOURCE).await;
    fetched(&scene, &format!("main@sha1:{second}")).await;

    // The other language leads there as well.
    let http = json!({ "stringData": { "address": gate.url("http") } });
    scene.merge(&kind("", "v1", "Secret"), "proxy", http).await;
    let third = work.write("a", "3").publish("third");
    scene.request(&git_repository_kind(), SOURCE).await;
    fetched(&scene, &format!("main@sha1:{third}")).await;
    assert!(gate.asked().len() >= 3, "{:?}", gate.asked());
    assert_eq!(
        server.connections(),
        gate.asked().len(),
        "no other way is taken"
    );
}

#[tokio::test]
async fn a_registry_is_reached() {
    let scene = Scene::start("proxy-oci").await;
    let gate = gate(&scene, "http").await;
    let registry = Registry::start(false).await;
    gate.lead("registry.example.org:80", registry.address());
    let digest = registry
        .push("fleet/apps", "latest", &[("a.yaml", "a: 1\n")])
        .await;
    let repositories = kind("source.toolkit.fluxcd.io", "v1", "OCIRepository");
    let spec = json!({
        "url": "oci://registry.example.org/fleet/apps", "interval": "1h", "insecure": true,
        "proxySecretRef": { "name": "stranger" },
    });
    let their = object(&repositories, "their", json!({ "spec": spec }));
    scene.create(&their).await;
    let text = not_ready(&scene, &repositories, "OCIArtifactPullFailed").await;
    assert!(text.ends_with("proxy: authentication required"), "{text}");
    assert_eq!(gate.asked(), Vec::<String>::new());
    scene.merge(&repositories, "their", behind("proxy")).await;
    let found = ready(&scene, &repositories).await;
    let revision = &found.data["status"]["artifact"]["revision"];
    assert_eq!(*revision, format!("latest@{digest}"));
    let asked = gate.asked();
    let all = asked.iter().all(|asked| asked == "registry.example.org:80");
    assert!(
        all && asked.len() >= 3,
        "tag, manifest and layer: {asked:?}"
    );
}

#[tokio::test]
async fn a_bucket_is_reached() {
    let scene = Scene::start("proxy-bucket").await;
    let gate = gate(&scene, "socks5").await;
    let storage = ObjectStorage::start().await;
    gate.lead("storage.example.org:80", storage.address());
    storage.create("fleet").await;
    storage.put("fleet", "a.yaml", "a: 1\n").await;
    let key = json!({ "accesskey": STORAGE_KEY.0, "secretkey": STORAGE_KEY.1 });
    scene.create(&secret("key", key)).await;
    let buckets = kind("source.toolkit.fluxcd.io", "v1", "Bucket");
    let spec = json!({
        "bucketName": "fleet", "endpoint": "storage.example.org", "interval": "1h", "insecure": true,
        "secretRef": { "name": "key" }, "proxySecretRef": { "name": "stranger" },
    });
    scene
        .create(&object(&buckets, "their", json!({ "spec": spec })))
        .await;
    let text = not_ready(&scene, &buckets, "BucketOperationFailed").await;
    assert!(!text.contains("hunter2") && gate.refused() > 0, "{text}");
    assert_eq!(gate.asked(), Vec::<String>::new());
    scene.merge(&buckets, "their", behind("proxy")).await;
    ready(&scene, &buckets).await;
    let asked = gate.asked();
    let all = asked.iter().all(|asked| asked == "storage.example.org:80");
    assert!(all && !asked.is_empty(), "{asked:?}");
}
