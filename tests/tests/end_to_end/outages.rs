//! The road to the API server breaks for a while: Weir tries again and gets there, and others do not notice.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use weir_tests::objects::{config_map, kustomization_file};
use weir_tests::scene::config_map_kind;
use weir_tests::{ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene};

async fn start(proxy: &FaultProxy) -> Scene {
    let options = GitServerOptions::default();
    Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "outage",
        options,
    )
    .await
}

fn write_app(scene: &Scene, value: &str) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["one.yaml", "two.yaml"]),
        )
        .write("app/one.yaml", config_map("one", "key", value))
        .write("app/two.yaml", config_map("two", "key", value));
}

/// Deploys, breaks writes of the next deploy in some way, and waits until it is done all the same.
async fn survives(fault: Fault) {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let scene = start(&proxy).await;
    write_app(&scene, "old");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", "./app", json!({ "retryInterval": "1s" }))
        .await;
    scene.ready("app", &first).await;

    proxy.inject(fault, RequestLine::is_write, 0..6);
    write_app(&scene, "new");
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
    for name in ["one", "two"] {
        assert_eq!(
            scene.get(&config_map_kind(), name).await.data["data"]["key"],
            "new"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    survives(Fault::Answer(StatusCode::SERVICE_UNAVAILABLE)).await;
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_given_time() {
    survives(Fault::Answer(StatusCode::TOO_MANY_REQUESTS)).await;
}

#[tokio::test]
async fn a_server_that_fails_inside_is_asked_again() {
    survives(Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR)).await;
}

#[tokio::test]
async fn connections_that_break_are_made_again() {
    survives(Fault::Cut).await;
}

#[tokio::test]
async fn a_slow_server_delays_and_breaks_nothing() {
    survives(Fault::Delay(Duration::from_secs(1))).await;
}
