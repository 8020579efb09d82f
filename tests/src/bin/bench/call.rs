//! From the call of a Git server to the look that it causes.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_tests::http_client::post;
use weir_tests::objects::{kind, object};
use weir_tests::scene::{PATIENCE, SOURCE, condition};
use weir_tests::{ControlPlane, ControlPlaneOptions, GitServerOptions, Scene, eventually};

use crate::change::median;
use crate::table::Row;

/// How many calls the median is of.
const CALLS: usize = 51;
/// How often it is looked whether somebody has asked.
const LOOK: Duration = Duration::from_micros(100);

/// Measures calls of a Receiver, one after another: each begins when the look before it is over.
pub(crate) async fn measure() -> Vec<Row> {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default());
    let scene = start(&control_plane).await;
    let path = path(&scene).await;
    let address = scene.weir.address("receivers").await;
    let runs =
        format!("gotk_reconcile_duration_seconds_count{{kind=\"GitRepository\",name=\"{SOURCE}\",");
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let over = scene.metric(&runs).await;
        let before = scene.server.requests().len();
        let begun = Instant::now();
        assert_eq!(post(&address, &path, &[], "").await, Ok(200));
        while scene.server.requests().len() == before {
            tokio::time::sleep(LOOK).await;
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        eventually(PATIENCE, "the look is over", async || {
            match scene.metric(&runs).await > over {
                true => Ok(()),
                false => Err("it is not"),
            }
        })
        .await;
    }
    let longest = times.iter().copied().fold(0.0, f64::max);
    vec![Row {
        what: "from the call of a Receiver to the fetch that it starts, p50".to_owned(),
        peer: "–",
        floor: None,
        seen: median(times),
        goal: 10.0,
        unit: "ms",
        detail: format!(
            "of {CALLS}; slowest {longest:.1} ms; counted until the Git server is asked"
        ),
    }]
}

async fn start(control_plane: &ControlPlane) -> Scene {
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
    let flags = ["--receiver-addr=127.0.0.1:0"];
    let options = GitServerOptions::default();
    let scene = Scene::set(control_plane, kubeconfig, "call", options, &flags).await;
    scene.repository.write("a", "1").publish("first");
    scene.source(json!({})).await;
    let data = json!({ "stringData": { "token": "a-token-of-many-letters" } });
    scene
        .create(&object(&kind("", "v1", "Secret"), "token", data))
        .await;
    scene
}

/// Makes a Receiver, and gives its path once it answers and the source has been looked at.
async fn path(scene: &Scene) -> String {
    let receivers = kind("notification.toolkit.fluxcd.io", "v1", "Receiver");
    let resources = json!([{ "kind": "GitRepository", "name": SOURCE }]);
    let spec = json!({
        "type": "generic", "secretRef": { "name": "token" }, "resources": resources,
    });
    scene
        .create(&object(&receivers, "forge", json!({ "spec": spec })))
        .await;
    let is_ready = |object: &kube::api::DynamicObject| match condition(object, "Ready") {
        Some(ready) if ready["status"] == "True" => Ok(()),
        _ => Err("it is not"),
    };
    let sources = weir_tests::objects::git_repository_kind();
    let what = "the source has been looked at";
    scene.until(what, &sources, SOURCE, is_ready).await;
    let what = "the Receiver waits for calls";
    let receiver = scene.until(what, &receivers, "forge", is_ready).await;
    let path = receiver.data["status"]["webhookPath"].as_str();
    path.expect("a Receiver has a path").to_owned()
}
