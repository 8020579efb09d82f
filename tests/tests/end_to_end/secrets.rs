//! Encrypted files reach the cluster opened, and nothing else ever sees what is in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::json;
use weir_tests::objects::{kind, kustomization_file};
use weir_tests::scene::workspace;
use weir_tests::{Scene, eventually};

/// The plain text of `DATABASE_PASSWORD` in the example's environment prod-eu.
const MARKER: &str = "DATABASE_PASSWORD";

pub(crate) async fn scene_with_secrets(word: &str) -> (Scene, String) {
    let scene = Scene::start(word).await;
    let file = workspace().join("examples/flux-structure/envs/prod-eu/secrets.yaml.encrypted");
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["secrets.yaml.encrypted"]),
        )
        .write("app/secrets.yaml.encrypted", std::fs::read(file).unwrap());
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    (scene, commit)
}

/// The key that opens the example's files.
pub(crate) fn age_key() -> String {
    let file = workspace().join("examples/flux-structure/age.agekey");
    std::fs::read_to_string(file).unwrap()
}

fn key() -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "sops-age" },
        "stringData": { "age.agekey": age_key() },
    }))
    .unwrap()
}

#[tokio::test]
async fn an_encrypted_secret_is_opened_for_the_cluster_alone() {
    let (scene, commit) = scene_with_secrets("secret").await;
    scene.create(&key()).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    scene
        .sync("app", "./app", json!({ "decryption": decryption }))
        .await;
    let kustomization = scene.ready("app", &commit).await;

    let secret = scene.get(&kind("", "v1", "Secret"), "shop-secrets").await;
    let encoded = secret.data["data"][MARKER].as_str().unwrap();
    let plain = String::from_utf8(BASE64.decode(encoded).unwrap()).unwrap();
    assert!(!plain.contains("ENC["), "still encrypted");
    assert!(secret.data.get("sops").is_none());

    let events: Api<DynamicObject> = Api::namespaced_with(
        scene.client.clone(),
        &scene.namespace,
        &kind("", "v1", "Event"),
    );
    let events = eventually(weir_tests::scene::PATIENCE, "an event", async || {
        let events = events.list(&ListParams::default()).await.unwrap().items;
        if events.is_empty() {
            Err("there is none")
        } else {
            Ok(events)
        }
    })
    .await;
    for (place, text) in [
        ("the log", scene.weir.log()),
        (
            "the Kustomization",
            serde_json::to_string(&kustomization).unwrap(),
        ),
        ("an event", serde_json::to_string(&events).unwrap()),
    ] {
        assert!(!text.contains(&plain), "{place} shows the secret");
        assert!(
            !text.contains(encoded),
            "{place} shows the secret in base64"
        );
    }
}

#[tokio::test]
async fn an_encrypted_secret_without_a_key_is_not_applied() {
    let (scene, commit) = scene_with_secrets("no-key").await;
    scene
        .sync("app", "./app", json!({ "retryInterval": "1s" }))
        .await;
    let message = scene.until_not_ready("app").await;
    assert!(message.contains("shop-secrets"), "{message}");
    assert!(
        message.contains("age1d0qdklvyrqphhxzp3x27zxy63c7xzs64dlgy70nzn86kr0y0me6scjsvr8"),
        "{message}"
    );
    assert!(
        scene
            .find(&kind("", "v1", "Secret"), "shop-secrets")
            .await
            .is_none()
    );

    scene.create(&key()).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    let change = json!({ "spec": { "decryption": decryption } });
    scene
        .merge(&weir_tests::objects::kustomization_kind(), "app", change)
        .await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn a_pgp_key_of_the_decryption_secret_opens_what_is_encrypted_for_it() {
    let keys = workspace().join("sops/tests/keys");
    let scene = Scene::start("pgp").await;
    let sealed = std::fs::read(keys.join("sealed-for-pgp.yaml")).unwrap();
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["sealed.yaml"]),
        )
        .write("app/sealed.yaml", sealed);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let key = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "sops-pgp" },
        "stringData": { "team.asc": std::fs::read_to_string(keys.join("pgp.asc")).unwrap() },
    });
    scene.create(&serde_json::from_value(key).unwrap()).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-pgp" } });
    scene
        .sync("app", "./app", json!({ "decryption": decryption }))
        .await;
    scene.ready("app", &commit).await;
    let secret = scene.get(&kind("", "v1", "Secret"), "pgp-secret").await;
    assert_eq!(secret.data["data"]["word"], BASE64.encode("hello-from-pgp"));
}
