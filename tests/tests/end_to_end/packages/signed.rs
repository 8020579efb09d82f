//! Artifacts that somebody trusted has to have signed.

use serde_json::json;
use weir_tests::objects::kind;
use weir_tests::registry::{COSIGN_SIGNATURE, CosignKey};
use weir_tests::scene::condition;
use weir_tests::{ReferrersFront, Registry, Scene};

use super::{GROUP, OCI, failed, follow, has_value, push, ready, respec, secret, source};

#[tokio::test]
async fn only_what_somebody_trusted_has_signed_with_cosign_is_taken() {
    let scene = Scene::start("oci-signed").await;
    let registry = Registry::start(false).await;
    let (ours, theirs) = (CosignKey::generate(), CosignKey::generate());
    let first = push(&registry, "latest", "1").await;
    registry.sign("fleet/apps", &first, &ours).await;
    scene
        .create(&secret("keys", json!({ "cosign.pub": ours.public() })))
        .await;
    let verify = json!({ "provider": "cosign", "secretRef": { "name": "keys" } });
    let url = registry.url("fleet/apps");
    source(
        &scene,
        OCI,
        json!({ "url": url, "insecure": true, "verify": verify }),
    )
    .await;
    follow(&scene, OCI).await;
    let object = ready(&scene, OCI, &format!("latest@{first}")).await;
    let verified = condition(&object, "SourceVerified").unwrap();
    assert_eq!(
        verified["message"],
        format!("verified signature of revision latest@{first}")
    );
    has_value(&scene, "1").await;

    // Signed by nobody, then by somebody else, then with a statement on another artifact: the last good one stays.
    let second = push(&registry, "latest", "2").await;
    scene.request(&kind(GROUP, "v1", OCI), "their").await;
    let (object, message) = failed(&scene, OCI, "VerificationError").await;
    assert!(
        message.contains("no matching signatures were found"),
        "{message}"
    );
    assert_eq!(
        condition(&object, "SourceVerified").unwrap()["status"],
        "False"
    );
    registry.sign("fleet/apps", &second, &theirs).await;
    let token = scene.request(&kind(GROUP, "v1", OCI), "their").await;
    scene
        .until(
            "the request is answered",
            &kind(GROUP, "v1", OCI),
            "their",
            |object| match object.data["status"]["lastHandledReconcileAt"] == token {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
    let (object, _) = failed(&scene, OCI, "VerificationError").await;
    assert_eq!(
        object.data["status"]["artifact"]["revision"],
        format!("latest@{first}")
    );
    has_value(&scene, "1").await;
    registry.sign("fleet/apps", &second, &ours).await;
    scene.request(&kind(GROUP, "v1", OCI), "their").await;
    ready(&scene, OCI, &format!("latest@{second}")).await;
    has_value(&scene, "2").await;
}

/// Waits until a request is answered with a refusal of the signature.
async fn unsigned(scene: &Scene) {
    let token = scene.request(&kind(GROUP, "v1", OCI), "their").await;
    let what = "the request is answered";
    scene
        .until(what, &kind(GROUP, "v1", OCI), "their", |object| {
            match object.data["status"]["lastHandledReconcileAt"] == token {
                true => Ok(()),
                false => Err("it is not"),
            }
        })
        .await;
    let (_, message) = failed(scene, OCI, "VerificationError").await;
    let none = "no matching signatures were found";
    assert!(message.contains(none), "{message}");
}

#[tokio::test]
async fn bundles_of_cosign_are_found_among_the_referrers() {
    let scene = Scene::start("oci-bundle").await;
    let registry = Registry::start(false).await;
    let (ours, theirs) = (CosignKey::generate(), CosignKey::generate());
    let digest = push(&registry, "latest", "1").await;
    let revision = format!("latest@{digest}");
    scene
        .create(&secret("keys", json!({ "cosign.pub": ours.public() })))
        .await;
    let verify = json!({ "provider": "cosign", "secretRef": { "name": "keys" } });
    let url = registry.url("fleet/apps");
    let spec = json!({ "url": url, "insecure": true, "verify": verify });
    source(&scene, OCI, spec).await;
    unsigned(&scene).await;

    // Signed by somebody else; an SBOM, signed with the right key; the right signature of something else.
    let repository = "fleet/apps";
    let spdx = "https://spdx.dev/Document";
    let other = format!("sha256:{}", "0a".repeat(32));
    for referrers in [
        registry
            .sign_bundle(repository, &digest, COSIGN_SIGNATURE, &theirs)
            .await,
        registry.sign_bundle(repository, &digest, spdx, &ours).await,
        registry
            .sign_bundle(repository, &other, COSIGN_SIGNATURE, &ours)
            .await,
    ] {
        registry.note(repository, &digest, &referrers).await;
        unsigned(&scene).await;
    }
    let right = registry
        .sign_bundle(repository, &digest, COSIGN_SIGNATURE, &ours)
        .await;
    registry.note(repository, &digest, &right).await;
    scene.request(&kind(GROUP, "v1", OCI), "their").await;
    let object = ready(&scene, OCI, &revision).await;
    let verified = condition(&object, "SourceVerified").unwrap();
    let expected = format!("verified signature of revision {revision}");
    assert_eq!(verified["message"], expected);

    // A registry that lists referrers itself is asked for them.
    let again = push(&registry, "latest", "2").await;
    let right = registry
        .sign_bundle(repository, &again, COSIGN_SIGNATURE, &ours)
        .await;
    unsigned(&scene).await;
    let front = ReferrersFront::start(registry.address(), right);
    respec(&scene, OCI, json!({ "url": front.url(repository) })).await;
    ready(&scene, OCI, &format!("latest@{again}")).await;
}
