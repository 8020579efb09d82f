//! Fields that are not carried out are named, and nobody is asked meanwhile.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{kind, object};
use weir_tests::scene::condition;

use super::{BUCKET, GROUP, OCI, failed, respec, source, types};

/// Who takes credentials from a cloud is told that Weir does not, and nobody is asked meanwhile.
#[tokio::test]
async fn providers_that_are_not_carried_out_are_named() {
    let scene = Scene::start("providers").await;
    let bucket = |provider: &str| {
        json!({
            "provider": provider, "bucketName": "a", "endpoint": "127.0.0.1:1", "interval": "1h",
            "secretRef": { "name": "none" },
        })
    };
    let oci = |provider: &str| json!({ "provider": provider, "url": "oci://127.0.0.1:1/a/b", "interval": "1h" });
    let git = |more: Value| {
        let mut spec = json!({ "url": scene.server.url("fleet"), "interval": "1h" });
        let fields = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(fields);
        spec
    };
    let account = "to use spec.serviceAccountName for provider authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller";
    let mut cases = vec![
        (
            "GitRepository",
            git(json!({ "provider": "azure" })),
            "spec.provider: azure is not supported".to_owned(),
        ),
        (
            "GitRepository",
            git(json!({ "provider": "aws" })),
            "spec.provider: aws is not supported".to_owned(),
        ),
        (
            "GitRepository",
            git(json!({ "provider": "azure", "serviceAccountName": "builder" })),
            account.to_owned(),
        ),
    ];
    for provider in ["aws", "azure", "gcp"] {
        let message = format!("spec.provider: {provider} is not supported");
        cases.push((OCI, oci(provider), message.clone()));
        cases.push((BUCKET, bucket(provider), message));
    }
    for (number, (of, spec, expected)) in cases.into_iter().enumerate() {
        let (resource, name) = (kind(GROUP, "v1", of), format!("their-{number}"));
        scene
            .create(&object(&resource, &name, json!({ "spec": spec })))
            .await;
        let what = format!("{of}: {expected}");
        let refused = |object: &DynamicObject| {
            let said = |of: &str| condition(object, of).cloned().unwrap_or_default();
            let (ready, stalled) = (said("Ready"), said("Stalled"));
            let so = ready["status"] == "False"
                && ready["reason"] == "FeatureGateDisabled"
                && ready["message"] == expected
                && stalled["status"] == "True";
            so.then_some(()).ok_or("it is something else")
        };
        scene.until(&what, &resource, &name, refused).await;
    }
    assert_eq!(scene.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_carried_out_is_refused_by_name() {
    let scene = Scene::start("oci-refused").await;
    source(
        &scene,
        OCI,
        json!({ "url": "oci://127.0.0.1:1/a/b", "provider": "aws" }),
    )
    .await;
    let (object, message) = failed(&scene, OCI, "FeatureGateDisabled").await;
    assert_eq!(message, "spec.provider: aws is not supported");
    assert!(types(&object).contains(&"Stalled=True".to_owned()));
    respec(
        &scene,
        OCI,
        json!({ "provider": "generic", "verify": { "provider": "notation" } }),
    )
    .await;
    let what = "the provider of the signature is refused";
    let refused = |object: &DynamicObject| match weir_tests::scene::message(object).as_str() {
        "spec.verify.provider: notation is not supported" => Ok(()),
        other => Err(other.to_owned()),
    };
    scene
        .until(what, &kind(GROUP, "v1", OCI), "their", refused)
        .await;
    respec(
        &scene,
        OCI,
        json!({ "verify": null, "url": "oci://127.0.0.1:1/a/b:tag" }),
    )
    .await;
    let (_, message) = failed(&scene, OCI, "URLInvalid").await;
    assert!(
        message.ends_with("URL must not contain a tag; remove ':tag'"),
        "{message}"
    );

    let bucket = json!({ "provider": "gcp", "bucketName": "a", "endpoint": "127.0.0.1:1" });
    source(&scene, BUCKET, bucket).await;
    let (_, message) = failed(&scene, BUCKET, "FeatureGateDisabled").await;
    assert_eq!(message, "spec.provider: gcp is not supported");
}
