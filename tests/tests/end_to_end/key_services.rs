//! Secrets whose data key lies with a key service: used where the operator allows it, and what a bad server gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::key_service::{Manner, aws, seal, vault};
use weir_tests::objects::{kind, kustomization_file, object};
use weir_tests::{KeyService, Scene, Weir};

const PLAIN: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: sealed\nstringData:\n    password: canary-of-the-key-service\n";
const BESIDE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n    name: beside\ndata:\n    a: b\n";
const CANARY: &str = "canary-of-the-key-service";

/// A Secret whose data key a transit engine holds.
fn sealed_by(address: &str) -> String {
    seal(PLAIN, |data_key| {
        format!(
            "    hc_vault:\n        - vault_address: {address}\n          engine_path: transit\n          key_name: weir\n          created_at: \"2026-01-02T03:04:05Z\"\n          enc: {}\n",
            vault::wrap(data_key)
        )
    })
}

fn secret(entry: &str, value: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "sops-keys" },
        "stringData": { entry: value },
    }))
    .unwrap()
}

/// A scene whose Kustomization `app` has a plain object and one that the key service holds the key of.
async fn scene(word: &str, service: &KeyService) -> (Scene, String) {
    let scene = Scene::start(word).await;
    let files = ["beside.yaml", "sealed.yaml"];
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&files))
        .write("app/beside.yaml", BESIDE)
        .write("app/sealed.yaml", sealed_by(&service.url()));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .create(&secret("sops.vault-token", vault::TOKEN))
        .await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-keys" } });
    scene
        .sync(
            "app",
            "./app",
            json!({ "decryption": decryption, "retryInterval": "1s" }),
        )
        .await;
    (scene, commit)
}

#[tokio::test]
async fn a_key_service_opens_a_secret_once_the_operator_allows_it() {
    let service = KeyService::start();
    let (mut scene, commit) = scene("transit", &service).await;
    let message = scene.failed("app", "BuildFailed").await;
    let flag = format!("--sops-allow=vault={}/transit/weir", service.url());
    assert!(
        message.contains("app/sealed.yaml") && message.contains(&flag),
        "{message}"
    );
    assert_eq!(service.requests(), Vec::<String>::new(), "nobody was asked");

    scene
        .weir
        .restart_with(format!("--sops-allow=vault={}/transit/we*", service.url()));
    scene.ready("app", &commit).await;
    let opened = scene.get(&kind("", "v1", "Secret"), "sealed").await;
    let encoded = opened.data["data"]["password"].as_str().unwrap();
    assert_eq!(BASE64.decode(encoded).unwrap(), CANARY.as_bytes());
    assert_eq!(service.requests(), ["POST /v1/transit/decrypt/weir"]);

    // Another commit with the same file: the data key is remembered.
    scene
        .repository
        .write("app/beside.yaml", BESIDE.replace("a: b", "a: c"));
    let commit = scene.publish("second").await;
    scene.ready("app", &commit).await;
    assert_eq!(service.requests().len(), 1);
    let log = scene.weir.log();
    assert!(
        !log.contains(CANARY) && !log.contains(vault::TOKEN),
        "{log}"
    );
}

#[tokio::test]
async fn a_bad_key_service_gets_nothing_applied_by_halves() {
    let (service, elsewhere) = (KeyService::start(), KeyService::start());
    service.behave(Manner::Redirect(elsewhere.url()));
    let (mut scene, commit) = scene("bad-service", &service).await;
    scene
        .weir
        .restart_with(format!("--sops-allow=vault={}/transit/weir", service.url()));
    for (manner, expected) in [
        (Manner::Redirect(elsewhere.url()), "redirect"),
        (Manner::Rubbish, "not what was asked for"),
        (Manner::Flood, "too long"),
        (Manner::Slow, "does not answer in time"),
    ] {
        service.behave(manner);
        let what = format!("app fails as {expected}");
        let kustomizations = weir_tests::objects::kustomization_kind();
        let failed = |object: &DynamicObject| {
            let ready = weir_tests::scene::condition(object, "Ready");
            let ready = ready.ok_or("there is no condition")?;
            let message = ready["message"].as_str().unwrap_or_default();
            match ready["reason"] == "BuildFailed" && message.contains(expected) {
                true if message.contains("hush-hush") => Err("it repeats the server's words"),
                true => Ok(()),
                false => Err("it is something else"),
            }
        };
        scene.until(&what, &kustomizations, "app", failed).await;
        let beside = scene.find(&kind("", "v1", "ConfigMap"), "beside").await;
        assert!(beside.is_none(), "half of the build was applied");
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
    service.behave(Manner::Genuine);
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn a_service_account_logs_in_to_a_server_of_the_operator_s_config_map() {
    let service = KeyService::start();
    let scene = Scene::with("vault-account", &["--sops-vault-configmap=vault"]).await;
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["sealed.yaml"]),
        )
        .write("app/sealed.yaml", sealed_by(&service.url()));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let accounts = kind("", "v1", "ServiceAccount");
    scene.create(&object(&accounts, "keys", json!({}))).await;
    let decryption = json!({ "provider": "sops", "serviceAccountName": "keys" });
    let spec = json!({ "decryption": decryption, "retryInterval": "1s" });
    scene.sync("app", "./app", spec).await;
    let message = scene.failed("app", "FeatureGateDisabled").await;
    assert!(
        message.contains("ObjectLevelWorkloadIdentity=true"),
        "{message}"
    );

    let mut scene = scene;
    scene
        .weir
        .restart_with("--feature-gates=ObjectLevelWorkloadIdentity=true".to_owned());
    let message = scene.failed("app", "BuildFailed").await;
    assert!(message.contains("Vault ConfigMap"), "{message}");
    assert_eq!(service.requests(), Vec::<String>::new());
    let servers = format!(
        "instances: [{{address: '{}', loginPath: team/auth/jwt/login}}]\n",
        service.url()
    );
    let maps = kind("", "v1", "ConfigMap");
    let data = json!({ "data": { "config.yaml": servers } });
    scene.create(&object(&maps, "vault", data)).await;
    scene.ready("app", &commit).await;
    let opened = scene.get(&kind("", "v1", "Secret"), "sealed").await;
    let encoded = opened.data["data"]["password"].as_str().unwrap();
    assert_eq!(BASE64.decode(encoded).unwrap(), CANARY.as_bytes());
    let wanted = [
        "POST /v1/team/auth/jwt/login",
        "POST /v1/transit/decrypt/weir",
    ];
    assert_eq!(service.requests(), wanted);
}

#[test]
fn the_command_line_uses_the_environment_and_asks_only_whom_it_may() {
    let service = KeyService::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.yaml");
    std::fs::write(&file, sealed_by(&service.url())).unwrap();
    let decrypt = |allowed: &[String], environment: &[(&str, &str)]| {
        let output = Weir::command()
            .args(["secrets", "decrypt"])
            .args(allowed)
            .arg(&file)
            .env_clear()
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&output.stdout), text(&output.stderr))
    };
    let token = ("VAULT_TOKEN", vault::TOKEN);
    let flag = format!("--sops-allow=vault={}/transit/weir", service.url());
    let (out, error) = decrypt(&[], &[token]);
    assert!(out.is_empty() && error.contains(&flag), "{error}");
    assert!(
        !error.contains("--key"),
        "no file holds such a key: {error}"
    );
    let (out, error) = decrypt(std::slice::from_ref(&flag), &[]);
    assert!(out.is_empty() && error.contains("VAULT_TOKEN"), "{error}");
    assert_eq!(service.requests(), Vec::<String>::new());
    let (out, error) = decrypt(&[flag], &[token]);
    assert_eq!(out, PLAIN, "{error}");

    let sealed = seal(PLAIN, |data_key| {
        format!(
            "    kms:\n        - arn: {}\n          context:\n            app: weir\n          created_at: \"2026-01-02T03:04:05Z\"\n          enc: {}\n          aws_profile: \"\"\n",
            aws::ARN,
            aws::wrap(data_key)
        )
    });
    std::fs::write(&file, sealed).unwrap();
    let address = service.url();
    let environment = [
        ("AWS_ACCESS_KEY_ID", aws::ID),
        ("AWS_SECRET_ACCESS_KEY", aws::SECRET),
        ("AWS_ENDPOINT_URL_KMS", &address),
    ];
    let (out, error) = decrypt(&[format!("--sops-allow=aws={}", aws::ARN)], &environment);
    assert_eq!(out, PLAIN, "{error}");
}
