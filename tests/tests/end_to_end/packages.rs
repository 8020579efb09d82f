//! Sources whose files come as one package: artifacts of a real container registry, and the objects of a real storage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_tests::http_client::ask;
use weir_tests::objects::{config_map, kind, kustomization, kustomization_kind, object};
use weir_tests::registry::{ACCOUNT, COSIGN_SIGNATURE, CosignKey, FLUX_CONTENT, Layer, archive};
use weir_tests::scene::{PATIENCE, condition, config_map_kind};
use weir_tests::{
    ControlPlane, ObjectStorage, ReferrersFront, Registry, STORAGE_KEY, Scene, TlsDoor, Weir,
    eventually,
};

const GROUP: &str = "source.toolkit.fluxcd.io";
const OCI: &str = "OCIRepository";
const BUCKET: &str = "Bucket";

fn secret(name: &str, data: Value) -> DynamicObject {
    object(
        &kind("", "v1", "Secret"),
        name,
        json!({ "stringData": data }),
    )
}

/// A Kustomization of all that a source named `their` has.
async fn follow(scene: &Scene, of: &str) {
    let reference = json!({ "kind": of, "name": "their" });
    let spec = json!({ "sourceRef": reference, "targetNamespace": scene.namespace });
    scene.create(&kustomization("app", "", "./", spec)).await;
}

async fn source(scene: &Scene, of: &str, mut spec: Value) {
    spec["interval"] = json!("1h");
    scene
        .create(&object(
            &kind(GROUP, "v1", of),
            "their",
            json!({ "spec": spec }),
        ))
        .await;
}

async fn respec(scene: &Scene, of: &str, spec: Value) {
    scene
        .merge(&kind(GROUP, "v1", of), "their", json!({ "spec": spec }))
        .await;
}

/// Waits until the source is Ready at a revision, and gives it.
async fn ready(scene: &Scene, of: &str, revision: &str) -> DynamicObject {
    let what = format!("the {of} is Ready at {revision}");
    scene
        .until(&what, &kind(GROUP, "v1", of), "their", |object| {
            let at = &object.data["status"]["artifact"]["revision"];
            let observed = &object.data["status"]["observedGeneration"];
            match condition(object, "Ready") {
                Some(ready)
                    if ready["status"] == "True"
                        && *at == revision
                        && *observed == object.metadata.generation.unwrap_or_default() =>
                {
                    Ok(())
                }
                _ => Err("it is not"),
            }
        })
        .await
}

/// Waits until the source is not Ready for a reason, and gives the message.
async fn failed(scene: &Scene, of: &str, reason: &str) -> (DynamicObject, String) {
    let what = format!("the {of} is not Ready because of {reason}");
    let object = scene
        .until(
            &what,
            &kind(GROUP, "v1", of),
            "their",
            |object| match condition(object, "Ready") {
                Some(ready) if ready["status"] == "False" && ready["reason"] == reason => Ok(()),
                _ => Err("it is something else"),
            },
        )
        .await;
    let message = weir_tests::scene::message(&object);
    (object, message)
}

async fn has_value(scene: &Scene, value: &str) {
    scene
        .until(
            &format!("the value is {value}"),
            &config_map_kind(),
            "a",
            |object| match object.data["data"]["b"] == value {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
}

/// Waits until the Bucket is at another revision.
async fn other_than(scene: &Scene, before: &str) -> DynamicObject {
    scene
        .until(
            "the Bucket has news",
            &kind(GROUP, "v1", BUCKET),
            "their",
            |object| match object.data["status"]["artifact"]["revision"].as_str() {
                Some(revision) if revision != before => Ok(()),
                _ => Err("it has none"),
            },
        )
        .await
}

/// What `weir` says of the namespace.
async fn said(scene: &Scene, arguments: &[&str]) -> String {
    let mut command = Weir::command();
    command.args(arguments).args(["-n", &scene.namespace]).env(
        "KUBECONFIG",
        ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR),
    );
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that an object is followed to its source, and that the source is listed.
async fn is_traced(scene: &Scene, of: &str, lines: &[String]) {
    let text = said(scene, &["trace", "ConfigMap/a"]).await;
    let source = format!("Source:        {of}/their");
    for line in lines.iter().chain([&source]) {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let text = said(scene, &["get", "sources"]).await;
    let is_row = |line: &str| line.split_whitespace().take(2).eq([of, "their"]);
    assert!(text.lines().any(is_row), "{text}");
    let about = format!("{of}/their");
    eventually(PATIENCE, "the events are listed", async || {
        let text = said(scene, &["events", "--for", &about]).await;
        match text.contains("NewArtifact") {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
}

fn files(value: &str) -> Vec<(&'static str, String)> {
    vec![
        ("kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ("a.yaml", config_map("a", "b", value)),
        ("picture.png", "left out by default".to_owned()),
    ]
}

async fn push(registry: &Registry, tag: &str, value: &str) -> String {
    let files = files(value);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    registry.push("fleet/apps", tag, &files).await
}

fn types(object: &DynamicObject) -> Vec<String> {
    let conditions = object.data["status"]["conditions"].as_array();
    let named = conditions.into_iter().flatten();
    named
        .map(|one| {
            format!(
                "{}={}",
                one["type"].as_str().unwrap(),
                one["status"].as_str().unwrap()
            )
        })
        .collect()
}

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
