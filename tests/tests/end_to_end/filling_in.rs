//! A new environment whose secrets nobody has filled in is not applied; its key goes straight into its cluster.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use weir_tests::objects::{kind, kustomization_file};
use weir_tests::scene::workspace;
use weir_tests::{ControlPlane, Scene, Weir};

use crate::plans::{said, weir};

/// Runs `weir env create prod-ap` in the scene's repository, with its key into the cluster.
fn create(scene: &Scene, context: &str) -> std::process::Output {
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    Weir::command()
        .current_dir(scene.repository.path())
        .args([
            "env",
            "create",
            "prod-ap",
            "--like",
            "prod-eu",
            "--context",
            context,
            "--kubeconfig",
        ])
        .arg(kubeconfig)
        .output()
        .unwrap()
}

#[tokio::test]
async fn secrets_that_nobody_filled_in_are_refused_by_file_and_key_until_somebody_does() {
    let scene = Scene::start("fill-in").await;
    let example = workspace().join("examples/flux-structure");
    let sealed = std::fs::read(example.join("envs/prod-eu/secrets.yaml.encrypted")).unwrap();
    let apps = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: {}}}\nspec:\n  \
         interval: 1m\n  prune: true\n  path: ./envs/prod-eu\n  sourceRef: {{kind: GitRepository, name: fleet}}\n  \
         decryption: {{provider: sops, secretRef: {{name: sops-age}}}}\n",
        scene.namespace
    );
    let rules = std::fs::read(example.join(".sops.yaml")).unwrap();
    scene
        .repository
        .write("clusters/prod/eu/apps.yaml", apps)
        .write(
            "envs/prod-eu/kustomization.yaml",
            kustomization_file(&["secrets.yaml.encrypted"]),
        )
        .write("envs/prod-eu/secrets.yaml.encrypted", sealed)
        .write(".sops.yaml", rules);
    scene.repository.commit("the model");
    let created = create(&scene, "controlplane");
    let text = String::from_utf8_lossy(&created.stdout).into_owned()
        + &String::from_utf8_lossy(&created.stderr);
    assert!(created.status.success(), "{text}");
    let key = scene.get(&kind("", "v1", "Secret"), "sops-age").await;
    let identity = BASE64
        .decode(key.data["data"]["age.agekey"].as_str().unwrap())
        .unwrap();
    let identity = String::from_utf8(identity).unwrap();
    assert!(
        identity.starts_with("AGE-SECRET-KEY-") && !text.contains(identity.trim()),
        "{text}"
    );

    let commit = scene.repository.publish("a new environment");
    scene.source(json!({})).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    let spec = json!({ "decryption": decryption, "retryInterval": "1s" });
    scene.sync("apps", "./envs/prod-ap", spec).await;
    let message = scene.failed("apps", "BuildFailed").await;
    for want in [
        "shop-secrets",
        "stringData.DATABASE_PASSWORD",
        "must be filled in",
        "envs/prod-ap/secrets.yaml.encrypted",
    ] {
        assert!(message.contains(want), "{want}: {message}");
    }
    let secret = kind("", "v1", "Secret");
    assert!(scene.find(&secret, "shop-secrets").await.is_none());
    assert_ne!(commit, "");
    // Nobody else brings it there either.
    let save = ["plan", "envs/prod-ap", "--save", "plan.json"];
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let (text, code) = said(&weir(scene.repository.path(), kubeconfig, &save));
    assert_eq!(code, Some(1), "{text}");
    for want in [
        "stringData.DATABASE_PASSWORD",
        "must be filled in",
        "envs/prod-ap/secrets.yaml.encrypted",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert!(
        !scene.repository.path().join("plan.json").exists(),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, &identity).unwrap();
    let edited = Weir::command()
        .current_dir(scene.repository.path())
        .env("EDITOR", "sed -i s/WEIR-FILL-IN/correct-horse/")
        .args([
            "secrets",
            "edit",
            "--insecure-temp",
            "envs/prod-ap/secrets.yaml.encrypted",
            "--key",
        ])
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        edited.status.success(),
        "{}",
        String::from_utf8_lossy(&edited.stderr)
    );
    let commit = scene.publish("filled in").await;
    scene.ready("apps", &commit).await;
    let filled = scene.get(&secret, "shop-secrets").await;
    let value = filled.data["data"]["DATABASE_PASSWORD"].as_str().unwrap();
    assert_eq!(value, BASE64.encode("correct-horse"));

    // Another one has a key there already: nothing at all is written.
    let before = scene.get(&secret, "sops-age").await.data;
    for folder in ["envs/prod-ap", "clusters/prod/ap"] {
        scene.repository.git(&["rm", "-r", "--quiet", folder]);
    }
    scene.repository.commit("none yet");
    let again = create(&scene, "controlplane");
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && text.contains("already"),
        "{text}"
    );
    assert_eq!(scene.repository.git(&["status", "--porcelain"]), "");
    assert_eq!(scene.get(&secret, "sops-age").await.data, before);
}
