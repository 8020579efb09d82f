//! Artifacts of a registry: which one, which of its layers, and what stays when the registry goes.

use kube::api::DynamicObject;
use serde_json::json;
use sha2::{Digest, Sha256};
use weir_tests::http_client::ask;
use weir_tests::objects::{config_map, kind, kustomization_kind};
use weir_tests::registry::{FLUX_CONTENT, Layer, archive};
use weir_tests::{Registry, Scene};

use super::{GROUP, OCI, failed, follow, has_value, is_traced, push, ready, respec, source, types};

#[tokio::test]
async fn an_artifact_is_pulled_by_tag_range_and_digest() {
    let scene = Scene::start("oci").await;
    let registry = Registry::start(false).await;
    let first = push(&registry, "latest", "1").await;
    source(
        &scene,
        OCI,
        json!({ "url": registry.url("fleet/apps"), "insecure": true }),
    )
    .await;
    follow(&scene, OCI).await;
    let object = ready(&scene, OCI, &format!("latest@{first}")).await;
    has_value(&scene, "1").await;
    let is_told = |object: &DynamicObject| {
        let told = &object.data["status"]["lastAppliedOriginRevision"];
        (*told == "latest@sha1:1").then_some(()).ok_or("it is not")
    };
    let what = "its origin is told";
    let told = scene
        .until(what, &kustomization_kind(), "app", is_told)
        .await;
    let history = &told.data["status"]["history"];
    assert_eq!(history[0]["metadata"]["originRevision"], "latest@sha1:1");
    assert_eq!(types(&object), ["Ready=True", "ArtifactInStorage=True"]);
    let message = weir_tests::scene::message(&object);
    assert_eq!(
        message,
        format!("stored artifact for digest 'latest@{first}'")
    );
    let artifact = &object.data["status"]["artifact"];
    let path = format!("ocirepository/{}/their/{first}.tar.gz", scene.namespace);
    assert_eq!(artifact["path"], path);
    let origin = &artifact["metadata"]["org.opencontainers.image.revision"];
    assert_eq!(*origin, "latest@sha1:1");

    // The archive is served as a GitRepository's is: without what is left out.
    let address = scene.weir.address("artifacts").await;
    let got = ask(&address, ("GET", &format!("/{path}")), &[], b"", "ETag").await;
    let (status, _, bytes) = got.unwrap();
    let digest = format!("sha256:{:x}", Sha256::digest(&bytes));
    assert_eq!((status, json!(digest)), (200, artifact["digest"].clone()));

    // The tag moves.
    let second = push(&registry, "latest", "2").await;
    scene.request(&kind(GROUP, "v1", OCI), "their").await;
    ready(&scene, OCI, &format!("latest@{second}")).await;
    has_value(&scene, "2").await;

    // The newest version in a range, of the tags that a pattern lets through.
    for (tag, value) in [
        ("1.0.0", "3"),
        ("1.1.0", "4"),
        ("1.2.0-rc.1", "5"),
        ("2.0.0", "6"),
    ] {
        push(&registry, tag, value).await;
    }
    respec(&scene, OCI, json!({ "ref": { "semver": "1.x" } })).await;
    has_value(&scene, "4").await;
    respec(
        &scene,
        OCI,
        json!({ "ref": { "semver": ">=1.0.0-0", "semverFilter": "rc" } }),
    )
    .await;
    has_value(&scene, "5").await;
    respec(&scene, OCI, json!({ "ref": { "semver": ">9" } })).await;
    let (_, message) = failed(&scene, OCI, "ReadOperationFailed").await;
    assert!(
        message.ends_with("no match found for semver: >9"),
        "{message}"
    );

    // A digest wins over all else.
    respec(&scene, OCI, json!({ "ref": { "digest": first } })).await;
    let object = ready(&scene, OCI, &first).await;
    assert_eq!(types(&object), ["Ready=True", "ArtifactInStorage=True"]);
    has_value(&scene, "1").await;
    is_traced(
        &scene,
        OCI,
        &[
            format!("URL:           {}", registry.url("fleet/apps")),
            "Origin:        latest@sha1:1".to_owned(),
        ],
    )
    .await;
    let news = "stored artifact with revision";
    scene.told("Normal", "their", news).await;
}

#[tokio::test]
async fn a_layer_is_chosen_and_may_be_kept_as_it_is() {
    let scene = Scene::start("oci-layer").await;
    let registry = Registry::start(false).await;
    let content = |value: &str| {
        let text = config_map("a", "b", value);
        archive(&[("a.yaml", &text)])
    };
    let layer = |media_type: &str, bytes: Vec<u8>| Layer {
        media_type: media_type.to_owned(),
        bytes,
        annotations: json!({}),
    };
    let chart = content("chart");
    let layers = vec![
        layer(FLUX_CONTENT, content("flux")),
        layer(
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            chart.clone(),
        ),
    ];
    let digest = registry.push_layers("fleet/apps", "latest", layers).await;
    let revision = format!("latest@{digest}");
    source(
        &scene,
        OCI,
        json!({ "url": registry.url("fleet/apps"), "insecure": true }),
    )
    .await;
    follow(&scene, OCI).await;
    has_value(&scene, "flux").await;

    let selector = |operation: &str| {
        let media_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
        json!({ "layerSelector": { "mediaType": media_type, "operation": operation } })
    };
    respec(&scene, OCI, selector("extract")).await;
    has_value(&scene, "chart").await;
    respec(&scene, OCI, selector("copy")).await;
    let object = scene
        .until(
            "the layer is stored as it is",
            &kind(GROUP, "v1", OCI),
            "their",
            |object| {
                let kept = format!("sha256:{:x}", Sha256::digest(&chart));
                match object.data["status"]["artifact"]["digest"] == kept {
                    true => Ok(()),
                    false => Err("it is not"),
                }
            },
        )
        .await;
    assert_eq!(object.data["status"]["artifact"]["revision"], revision);
    assert_eq!(
        object.data["status"]["observedLayerSelector"]["operation"],
        "copy"
    );

    respec(
        &scene,
        OCI,
        json!({ "layerSelector": { "mediaType": "none/such" } }),
    )
    .await;
    let (_, message) = failed(&scene, OCI, "OCIArtifactLayerOperationFailed").await;
    assert!(
        message.contains("failed to find layer with media type 'none/such'"),
        "{message}"
    );
}

#[tokio::test]
async fn what_was_stored_is_applied_after_a_restart_without_the_registry() {
    let mut scene = Scene::start("oci-restart").await;
    let registry = Registry::start(false).await;
    let digest = push(&registry, "latest", "1").await;
    let revision = format!("latest@{digest}");
    source(
        &scene,
        OCI,
        json!({ "url": registry.url("fleet/apps"), "insecure": true }),
    )
    .await;
    ready(&scene, OCI, &revision).await;
    scene.weir.kill();
    drop(registry);
    scene.weir.restart();
    follow(&scene, OCI).await;
    has_value(&scene, "1").await;
    let (object, _) = failed(&scene, OCI, "OCIArtifactPullFailed").await;
    assert_eq!(object.data["status"]["artifact"]["revision"], revision);
}
