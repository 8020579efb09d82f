//! Registries and storages that let nobody in without a password, a token or a certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{kind, object};
use weir_tests::registry::ACCOUNT;
use weir_tests::{ObjectStorage, Registry, STORAGE_KEY, Scene, TlsDoor};

use super::{BUCKET, OCI, failed, other_than, push, ready, respec, secret, source};

#[tokio::test]
async fn a_registry_with_a_password_is_opened_by_pull_secrets() {
    let scene = Scene::start("oci-login").await;
    let registry = Registry::start(true).await;
    let digest = push(&registry, "latest", "1").await;
    let revision = format!("latest@{digest}");
    source(
        &scene,
        OCI,
        json!({ "url": registry.url("fleet/apps"), "insecure": true }),
    )
    .await;
    let (_, message) = failed(&scene, OCI, "OCIArtifactPullFailed").await;
    assert!(message.ends_with("authentication required"), "{message}");

    let login = |user: &str, password: &str| {
        let auths = json!({ registry.address(): { "username": user, "password": password } });
        json!({ ".dockerconfigjson": json!({ "auths": auths }).to_string() })
    };
    let wrong = login(ACCOUNT.0, "hunter2");
    scene.create(&secret("login", wrong)).await;
    respec(&scene, OCI, json!({ "secretRef": { "name": "login" } })).await;
    let (object, _) = failed(&scene, OCI, "OCIArtifactPullFailed").await;
    assert!(!object.data["status"].to_string().contains("hunter2"));
    // The right one counts as soon as it is there.
    let right = json!({ "stringData": login(ACCOUNT.0, ACCOUNT.1) });
    scene.merge(&kind("", "v1", "Secret"), "login", right).await;
    ready(&scene, OCI, &revision).await;

    // The same through a service account.
    let account = json!({ "imagePullSecrets": [{ "name": "login" }] });
    scene
        .create(&object_of("ServiceAccount", "puller", account))
        .await;
    let again = push(&registry, "latest", "2").await;
    respec(
        &scene,
        OCI,
        json!({ "secretRef": null, "serviceAccountName": "puller" }),
    )
    .await;
    ready(&scene, OCI, &format!("latest@{again}")).await;
}

#[tokio::test]
async fn a_registry_that_wants_tokens_gets_them() {
    let scene = Scene::start("oci-token").await;
    let registry = Registry::start(false).await;
    let digest = push(&registry, "1.0.0", "1").await;
    let front = registry.behind_tokens().await;
    let spec = json!({
        "url": front.url("fleet/apps"), "insecure": true, "ref": { "semver": "1.x" },
    });
    source(&scene, OCI, spec).await;
    let (_, message) = failed(&scene, OCI, "ReadOperationFailed").await;
    assert!(message.ends_with("authentication required"), "{message}");
    let auth = BASE64.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1));
    let auths = json!({ format!("http://{}/v1/", front.address()): { "auth": auth } });
    let data = json!({ ".dockerconfigjson": json!({ "auths": auths }).to_string() });
    scene.create(&secret("login", data)).await;
    respec(&scene, OCI, json!({ "secretRef": { "name": "login" } })).await;
    ready(&scene, OCI, &format!("1.0.0@{digest}")).await;
}

fn object_of(of: &str, name: &str, fields: Value) -> DynamicObject {
    object(&kind("", "v1", of), name, fields)
}

#[tokio::test]
async fn a_registry_behind_tls_needs_an_authority_that_is_named() {
    let scene = Scene::start("oci-tls").await;
    let registry = Registry::start(false).await;
    let digest = push(&registry, "latest", "1").await;
    let front = registry.behind_tls().await;
    source(&scene, OCI, json!({ "url": front.url("fleet/apps") })).await;
    let (_, message) = failed(&scene, OCI, "OCIArtifactPullFailed").await;
    assert!(message.contains("certificate"), "{message}");
    scene
        .create(&secret("authority", json!({ "ca.crt": front.certificate })))
        .await;
    respec(
        &scene,
        OCI,
        json!({ "certSecretRef": { "name": "authority" } }),
    )
    .await;
    ready(&scene, OCI, &format!("latest@{digest}")).await;
}

#[tokio::test]
async fn a_certificate_opens_a_registry_and_a_storage() {
    let scene = Scene::start("package-tls").await;
    let (registry, storage) = (Registry::start(false).await, ObjectStorage::start().await);
    let digest = push(&registry, "latest", "1").await;
    storage.create("fleet").await;
    storage.put("fleet", "a.yaml", "a: 1\n").await;
    let key = json!({ "accesskey": STORAGE_KEY.0, "secretkey": STORAGE_KEY.1 });
    scene.create(&secret("key", key)).await;
    let doors = [
        (OCI, TlsDoor::before(registry.address())),
        (BUCKET, TlsDoor::before(storage.address())),
    ];
    for (of, door) in doors {
        let address = door.address();
        let spec = match of {
            OCI => json!({ "url": format!("oci://{address}/fleet/apps") }),
            _ => {
                json!({ "bucketName": "fleet", "endpoint": address, "secretRef": { "name": "key" } })
            }
        };
        source(&scene, of, spec).await;
        let reason = match of {
            OCI => "OCIArtifactPullFailed",
            _ => "BucketOperationFailed",
        };
        failed(&scene, of, reason).await;
        let name = of.to_lowercase();
        let (certificate, key) = &door.certificate;
        let data = json!({ "ca.crt": door.authority, "tls.crt": certificate, "tls.key": key });
        scene.create(&secret(&name, data)).await;
        respec(&scene, of, json!({ "certSecretRef": { "name": name } })).await;
        match of {
            OCI => drop(ready(&scene, of, &format!("latest@{digest}")).await),
            _ => drop(other_than(&scene, "").await),
        }
    }
}
