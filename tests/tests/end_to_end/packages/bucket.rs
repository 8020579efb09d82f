//! The objects of a Bucket.

use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::objects::{config_map, kind, kustomization};
use weir_tests::{ObjectStorage, STORAGE_KEY, Scene};

use super::{
    BUCKET, GROUP, failed, has_value, is_traced, other_than, ready, respec, secret, source, types,
};

#[tokio::test]
async fn the_objects_of_a_bucket_are_applied_and_followed() {
    let scene = Scene::start("bucket").await;
    let storage = ObjectStorage::start().await;
    storage.create("fleet").await;
    storage
        .put("fleet", "prod/kustomization.yaml", "resources: [a.yaml]\n")
        .await;
    storage
        .put("fleet", "prod/a.yaml", &config_map("a", "b", "1"))
        .await;
    storage
        .put("fleet", "prod/broken.yaml", "left out: [\n")
        .await;
    storage
        .put("fleet", "other/a.yaml", "not below the prefix")
        .await;
    storage.put("fleet", ".sourceignore", "broken.yaml\n").await;
    let spec = json!({
        "bucketName": "fleet", "endpoint": storage.address(), "insecure": true, "prefix": "prod/",
    });
    source(&scene, BUCKET, spec).await;
    let (_, message) = failed(&scene, BUCKET, "BucketOperationFailed").await;
    assert!(message.contains("Access Denied"), "{message}");

    scene
        .create(&secret("key", json!({ "accesskey": STORAGE_KEY.0 })))
        .await;
    respec(&scene, BUCKET, json!({ "secretRef": { "name": "key" } })).await;
    let (_, message) = failed(&scene, BUCKET, "AuthenticationFailed").await;
    assert!(
        message.contains("required fields 'accesskey' and 'secretkey'"),
        "{message}"
    );
    let whole = json!({ "stringData": { "secretkey": STORAGE_KEY.1 } });
    scene.merge(&kind("", "v1", "Secret"), "key", whole).await;
    let reference = json!({ "kind": BUCKET, "name": "their" });
    let spec = json!({ "sourceRef": reference, "targetNamespace": scene.namespace });
    scene
        .create(&kustomization("app", "", "./prod", spec))
        .await;
    has_value(&scene, "1").await;
    let object = other_than(&scene, "").await;
    let first = object.data["status"]["artifact"]["revision"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(first.starts_with("sha256:"), "{first}");
    let object = ready(&scene, BUCKET, &first).await;
    assert_eq!(types(&object), ["Ready=True", "ArtifactInStorage=True"]);
    assert_eq!(
        weir_tests::scene::message(&object),
        format!("stored artifact: revision '{first}'")
    );

    storage
        .put("fleet", "prod/a.yaml", &config_map("a", "b", "2"))
        .await;
    scene.request(&kind(GROUP, "v1", BUCKET), "their").await;
    has_value(&scene, "2").await;
    // What the patterns leave out, or lies elsewhere, is no news.
    let object = other_than(&scene, &first).await;
    let second = object.data["status"]["artifact"]["revision"].clone();
    storage.put("fleet", "prod/broken.yaml", "still: [\n").await;
    storage.delete("fleet", "other/a.yaml").await;
    let token = scene.request(&kind(GROUP, "v1", BUCKET), "their").await;
    let object = scene
        .until(
            "the request is answered",
            &kind(GROUP, "v1", BUCKET),
            "their",
            |object| match object.data["status"]["lastHandledReconcileAt"] == token {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
    assert_eq!(object.data["status"]["artifact"]["revision"], second);

    is_traced(
        &scene,
        BUCKET,
        &[
            "Bucket:        fleet".to_owned(),
            format!("Endpoint:      {}", storage.address()),
        ],
    )
    .await;
    respec(&scene, BUCKET, json!({ "bucketName": "absent" })).await;
    let what = "the bucket is not found";
    let missing = |object: &DynamicObject| match weir_tests::scene::message(object).as_str() {
        "bucket 'absent' not found" => Ok(()),
        other => Err(other.to_owned()),
    };
    scene
        .until(what, &kind(GROUP, "v1", BUCKET), "their", missing)
        .await;
    has_value(&scene, "2").await;
}
