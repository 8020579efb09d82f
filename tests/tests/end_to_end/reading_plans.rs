//! The plan of an account that may only read, or not even that.

use serde_json::json;
use weir_tests::scene::deployment_kind;

use crate::plans::{assert_told, deployed, edit, plan, reader, said, weir};

/// The same lines, whoever asks, but for what says that nobody tried.
#[tokio::test]
async fn an_account_that_may_only_read_is_told_nearly_the_same() {
    let scene = deployed("plan-reader").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    scene
        .merge_as(
            "scaler",
            &deployment_kind(),
            "web",
            json!({ "spec": { "replicas": 5 } }),
        )
        .await;
    let readable = [
        "configmaps",
        "secrets",
        "deployments",
        "kustomizations",
        "namespaces",
    ];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let output = weir(
        scene.repository.path(),
        &kubeconfig,
        &["plan", "app", "-n", &namespace],
    );
    let (text, code) = said(&output);
    let (full, _) = plan(&scene, &["app", "-n", &namespace]);
    assert_eq!(code, Some(3), "{text}");
    let exact = text
        .replace("; approximate)", ")")
        .replace("  (approximate)", "");
    let exact: Vec<&str> = exact
        .lines()
        .filter(|line| !line.contains("approximate"))
        .collect();
    assert_eq!(exact, full.lines().collect::<Vec<_>>(), "{text}");
    assert!(
        text.contains(&format!("~ Deployment {namespace}/web  (approximate)")),
        "{text}"
    );
    assert!(
        text.contains("warning: approximate where it says so"),
        "{text}"
    );
}

/// Whose field is whose can be wiped off an object: what the server publishes still says how its lists are merged.
#[tokio::test]
async fn an_account_that_may_only_read_is_told_how_lists_are_merged() {
    let scene = deployed("plan-lists").await;
    let namespace = scene.namespace.clone();
    let web = deployment_kind();
    let side = json!([{ "name": "side", "image": "side:1" }, { "name": "web", "image": "web:1" }]);
    let wiped = json!({
        "metadata": { "managedFields": [{}] },
        "spec": { "template": { "spec": { "containers": side } } },
    });
    scene.merge_as("somebody", &web, "web", wiped).await;
    scene
        .merge(
            &web,
            "web",
            json!({ "metadata": { "managedFields": [{}] } }),
        )
        .await;
    edit(&scene);
    let readable = [
        "configmaps",
        "secrets",
        "deployments",
        "kustomizations",
        "namespaces",
    ];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let arguments = ["plan", "app", "-n", &namespace];
    let (text, code) = said(&weir(scene.repository.path(), &kubeconfig, &arguments));
    let (full, _) = plan(&scene, &["app", "-n", &namespace]);
    assert_eq!(code, Some(3), "{text}");
    let containers = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("containers"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(containers(&text), containers(&full), "{text}\n{full}");
    assert!(
        text.contains("containers[web].image: web:1 → web:2") && !text.contains("side"),
        "{text}"
    );
}

#[tokio::test]
async fn what_may_not_even_be_read_may_change() {
    let scene = deployed("plan-blind").await;
    let namespace = scene.namespace.clone();
    let readable = ["configmaps", "deployments", "kustomizations", "namespaces"];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let output = weir(
        scene.repository.path(),
        &kubeconfig,
        &["plan", "app", "-n", &namespace],
    );
    let (text, code) = said(&output);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("? Secret {namespace}/key  (approximate)"),
            "Plan: 1 may change, 4 unchanged · 1 of 1 environment",
        ],
    );
}
