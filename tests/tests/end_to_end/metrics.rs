//! What is measured and served over HTTP: metrics, the dashboard that is made of them, health and readiness.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_tests::http_client::get;
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{PATIENCE, arguments, config_map_kind, workspace};
use weir_tests::{ControlPlane, Scene, Weir, eventually};

async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "level", "low"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    scene
}

/// The names of metrics in the dashboard's queries.
fn queried() -> BTreeSet<String> {
    let file = workspace().join("deploy/grafana/weir.json");
    let text = std::fs::read(file).expect("read the dashboard");
    let dashboard: Value = serde_json::from_slice(&text).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("queries"));
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = queries.flat_map(|query| query.split(move |letter| !is_part(letter)));
    let prefixes = ["weir_", "gotk_", "controller_runtime_", "process_"];
    let names = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
    names.map(str::to_owned).collect()
}

async fn until_watches(scene: &Scene, count: f64) {
    eventually(PATIENCE, &format!("{count} watches"), async || {
        let now = scene.metric("weir_watches ").await;
        (now == count).then_some(()).ok_or(format!("{now}"))
    })
    .await;
}

#[tokio::test]
async fn a_watch_is_open_for_as_long_as_there_are_objects_of_its_kind() {
    let scene = Scene::start("watches").await;
    let with = |files: &[&str]| {
        let file = kustomization_file(files);
        scene.repository.write("app/kustomization.yaml", file);
    };
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "level", "low"))
        .write("app/web.yaml", deployment("web", "nginx:1.29", 0));
    with(&["settings.yaml", "web.yaml"]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    until_watches(&scene, 0.0).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    until_watches(&scene, 2.0).await;
    with(&["settings.yaml"]);
    let second = scene.publish("no Deployment any more").await;
    scene.ready("app", &second).await;
    until_watches(&scene, 1.0).await;
    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    until_watches(&scene, 0.0).await;
}

#[tokio::test]
async fn every_metric_of_the_dashboard_is_exported() {
    let scene = deployed("dashboard").await;
    // Some are there only once it has happened.
    let edit = json!({ "data": { "level": "high" } });
    scene.merge(&config_map_kind(), "settings", edit).await;
    scene
        .metric("weir_drift_corrected_total{manager=\"kubectl-edit\"} 1")
        .await;

    let address = scene.weir.address("metrics").await;
    let (_, text) = get(&address, "/metrics").await.unwrap();
    let exported: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let names = queried();
    assert!(
        names.len() >= 15,
        "the test must understand the dashboard: {names:?}"
    );
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !exported.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not in {exported:?}");
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let scene = deployed("metrics").await;
    let namespace = &scene.namespace;
    let server = ControlPlane::shared().address();
    for (beginning, least) in [
        (
            format!(
                "gotk_reconcile_duration_seconds_count{{kind=\"Kustomization\",name=\"app\",namespace=\"{namespace}\"}}"
            ),
            1.0,
        ),
        (
            format!(
                "gotk_suspend_status{{kind=\"Kustomization\",name=\"app\",namespace=\"{namespace}\"}}"
            ),
            0.0,
        ),
        (
            "controller_runtime_reconcile_total{controller=\"kustomization\",result=\"success\"}"
                .to_owned(),
            1.0,
        ),
        ("weir_revision_to_applied_seconds_count".to_owned(), 1.0),
        (
            format!("weir_requests_total{{cluster=\"{server}\",verb=\"patch\"}}"),
            3.0,
        ),
        ("weir_watches".to_owned(), 1.0),
        ("weir_watched_objects".to_owned(), 1.0),
        ("weir_snapshots".to_owned(), 1.0),
        (
            "weir_resources{kind=\"Kustomization\",ready=\"True\",suspended=\"false\"}".to_owned(),
            1.0,
        ),
        ("process_resident_memory_bytes".to_owned(), 1e6),
    ] {
        let value = scene.metric(&format!("{beginning} ")).await;
        assert!(value >= least, "{beginning} {value}");
    }
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": true } }),
        )
        .await;
    let suspended = format!(
        "gotk_suspend_status{{kind=\"Kustomization\",name=\"app\",namespace=\"{namespace}\"}} 1"
    );
    scene.metric(&suspended).await;
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let scene = deployed("readiness").await;
    let address = scene.weir.address("health").await;
    assert_eq!(get(&address, "/healthz").await.unwrap().0, 200);
    assert_eq!(
        get(&address, "/readyz").await.unwrap(),
        (200, "ok".to_owned())
    );
    assert_eq!(get(&address, "/elsewhere").await.unwrap().0, 404);
}

#[tokio::test]
async fn who_stands_by_is_not_ready() {
    let scene = Scene::with("standby", &["--enable-leader-election"]).await;
    let address = scene.weir.address("health").await;
    eventually(PATIENCE, "the first one leads", async || {
        match get(&address, "/readyz").await?.0 {
            200 => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    })
    .await;
    let storage = tempfile::tempdir().unwrap();
    let flags = ["--enable-leader-election".to_owned()];
    let arguments: Vec<String> = arguments(storage.path()).into_iter().chain(flags).collect();
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::WEIR);
    let mut second = Weir::start_in(&scene.namespace, kubeconfig, &arguments);
    let standby = second.address("health").await;
    let (status, text) = get(&standby, "/readyz").await.unwrap();
    assert_eq!(
        (status, get(&standby, "/healthz").await.unwrap().0),
        (503, 200),
        "{text}"
    );
    assert!(second.terminate().success());
}
