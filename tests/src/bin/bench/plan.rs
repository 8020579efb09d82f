//! `weir plan` against a cluster: every object of a Kustomization is dry-run, beside one client that dry-runs the same
//! objects over twenty connections in the same cluster at nearly the same time.

use std::process::Command;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::objects::{api, kind};
use weir_tests::{ControlPlane, Weir};

use crate::fleet;
use crate::floor::CONNECTIONS;
use crate::site::Site;
use crate::table::Row;

/// How often each is measured; the quickest counts, as a machine is never quicker than it is.
const TIMES: usize = 3;

/// Measures with so many ConfigMaps, none of which changes: all are dry-run all the same.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let site = Site::start("plan").await;
    fleet::write_config_maps(&site.scene.repository, "settings", count);
    let commit = site.scene.repository.publish("first");
    let spec = json!({ "interval": "1h", "timeout": "10m" });
    site.kustomizations([("settings".to_owned(), "./settings".to_owned(), spec)])
        .await;
    site.deploy(1, &commit, json!({})).await;
    site.silent(0).await;
    let objects: Vec<Value> = (0..count).map(fleet::config_map).collect();
    let (mut floor, mut seen) = (Duration::MAX, Duration::MAX);
    for _ in 0..TIMES {
        floor = floor.min(dry_run(&site, &objects).await);
        seen = seen.min(plan(&site));
    }
    vec![Row {
        what: format!("plan of {count} unchanged objects against a cluster"),
        peer: "–",
        floor: Some(floor.as_secs_f64()),
        seen: seen.as_secs_f64(),
        goal: (1.3 * floor.as_secs_f64()).min(10.0),
        unit: "s",
        detail: format!("the quickest of {TIMES}, one process each"),
    }]
}

/// How long one client takes to dry-run objects.
async fn dry_run(site: &Site, objects: &[Value]) -> Duration {
    let scene = &site.scene;
    let client = site.control_plane.client(ControlPlane::ADMINISTRATOR).await;
    let api = api(&client, &scene.namespace, &kind("", "v1", "ConfigMap"));
    let begun = Instant::now();
    let tried = stream::iter(objects).map(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let api = &api;
        async move {
            let parameters = PatchParams {
                dry_run: true,
                ..PatchParams::apply("floor").force()
            };
            let tried = api.patch(name, &parameters, &Patch::Apply(object)).await;
            tried.expect("dry-run an object");
        }
    });
    tried.buffer_unordered(CONNECTIONS).collect::<()>().await;
    begun.elapsed()
}

/// How long the whole command takes.
fn plan(site: &Site) -> Duration {
    let scene = &site.scene;
    let mut command: Command = Weir::command();
    command
        .current_dir(scene.repository.path())
        .args(["plan", "settings", "--stat", "-n", &scene.namespace])
        .arg("--kubeconfig")
        .arg(site.control_plane.kubeconfig(ControlPlane::ADMINISTRATOR));
    let begun = Instant::now();
    let output = command.output().expect("run weir");
    let took = begun.elapsed();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    took
}
