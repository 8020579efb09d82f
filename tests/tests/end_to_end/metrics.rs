//! What is measured and served over HTTP: metrics, the dashboard that is made of them, health and readiness.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use weir_tests::http_client::get;
use weir_tests::objects::{
    config_map, deployment, git_repository_kind, kustomization_file, kustomization_kind, object,
};
use weir_tests::scene::{PATIENCE, SOURCE, arguments, config_map_kind, workspace};
use weir_tests::{
    ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene, Weir, eventually,
};

use crate::remote::write_secret;
use crate::secrets::{age_key, scene_with_secrets};

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
        let now = scene.metric("weir_watches{of=\"objects\"} ").await;
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
    let (scene, _) = scene_with_secrets("metrics").await;
    let values = json!({ "data": { "level": "low" } });
    scene
        .create(&object(&config_map_kind(), "values", values))
        .await;
    write_secret(&scene, "sops-age", "age.agekey", &age_key()).await;
    scene
        .repository
        .write("app/settings.yaml", config_map("settings", "a", "${level}"))
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["secrets.yaml.encrypted", "settings.yaml"]),
        );
    let commit = scene.publish("settings").await;
    let spec = json!({
        "decryption": { "provider": "sops", "secretRef": { "name": "sops-age" } },
        "postBuild": { "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] },
    });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
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
        ("weir_watches{of=\"objects\"}".to_owned(), 1.0),
        ("weir_watches{of=\"inputs\"}".to_owned(), 2.0),
        ("weir_watched_objects".to_owned(), 2.0),
        ("weir_snapshots".to_owned(), 1.0),
        ("weir_git_caches".to_owned(), 1.0),
        ("weir_git_cache_bytes".to_owned(), 100.0),
        ("weir_inputs".to_owned(), 1.0),
        ("weir_opened_files".to_owned(), 1.0),
        ("weir_opened_bytes".to_owned(), 100.0),
        ("weir_unwrapped_keys".to_owned(), 0.0),
        (
            "weir_resources{kind=\"Kustomization\",ready=\"True\",suspended=\"false\"}".to_owned(),
            1.0,
        ),
        (
            format!(
                "gotk_reconcile_condition{{kind=\"Kustomization\",name=\"app\",namespace=\"{namespace}\",type=\"Ready\",status=\"True\"}}"
            ),
            1.0,
        ),
        ("process_resident_memory_bytes".to_owned(), 1e6),
        ("process_virtual_memory_bytes".to_owned(), 1e6),
        ("process_cpu_seconds_total".to_owned(), 0.01),
        ("process_open_fds".to_owned(), 5.0),
        ("process_max_fds".to_owned(), 100.0),
        ("process_start_time_seconds".to_owned(), 1.7e9),
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
async fn the_way_of_a_revision_is_measured_from_the_news_of_it() {
    let scene = deployed("lag").await;
    let sum = "weir_revision_to_applied_seconds_sum ";
    let before = scene.metric(sum).await;
    let settings = config_map("settings", "level", "high");
    scene.repository.write("app/settings.yaml", settings);
    let commit = scene.repository.publish("second");
    let held = scene.server.held();
    scene.server.hold_packs_after(Some(0));
    scene.request(&git_repository_kind(), SOURCE).await;
    let begin = Instant::now();
    eventually(PATIENCE, "it is being fetched", async || {
        let is_held = scene.server.held() > held;
        is_held.then_some(()).ok_or("it is not")
    })
    .await;
    // So long the way is at least.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waited = begin.elapsed().as_secs_f64();
    scene.server.hold_packs_after(None);
    scene.ready("app", &commit).await;
    // The news came a moment after the request was written.
    let took = scene.metric(sum).await - before;
    assert!(took > waited / 2.0, "{took} s of {waited} s");
}

async fn until_ready(address: &str) {
    eventually(PATIENCE, "it is ready", async || {
        match get(address, "/readyz").await?.0 {
            200 => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    })
    .await;
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let scene = deployed("readiness").await;
    let address = scene.weir.address("health").await;
    assert_eq!(get(&address, "/healthz").await.unwrap().0, 200);
    until_ready(&address).await;
    let (_, text) = get(&address, "/readyz").await.unwrap();
    assert_eq!(text, "ok");
    assert_eq!(get(&address, "/elsewhere").await.unwrap().0, 404);
}

#[tokio::test]
async fn nobody_is_ready_before_all_resources_are_listed() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let lists = [
        "kustomizations",
        "gitrepositories",
        "ocirepositories",
        "buckets",
    ];
    let held = lists.map(|kind| {
        let is_list =
            move |line: &RequestLine| line.method == Method::GET && line.path.ends_with(kind);
        proxy.hold(is_list, 0)
    });
    let (kubeconfig, options) = (proxy.kubeconfig(), GitServerOptions::default());
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "listing", options).await;
    let address = scene.weir.address("health").await;
    for held in held {
        let held = held.await.expect("it is listed");
        let readiness = get(&address, "/readyz").await.unwrap();
        assert_eq!(readiness.0, 503, "{}", held.request.path);
        assert_eq!(get(&address, "/healthz").await.unwrap().0, 200);
        held.forward().await;
    }
    until_ready(&address).await;
}

#[tokio::test]
async fn who_stands_by_is_not_ready() {
    let scene = Scene::with("standby", &["--enable-leader-election"]).await;
    let address = scene.weir.address("health").await;
    until_ready(&address).await;
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
