//! Two leaders at a time are one too many: who has lost the lease writes nothing more, whatever it had in mind.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::{Method, StatusCode};
use kube::api::ApiResource;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{PATIENCE, arguments, config_map_kind, deployment_kind};
use weir_tests::{
    ControlPlane, FaultProxy, GitServerOptions, Held, RequestLine, Scene, Weir, eventually,
};

/// A write that is waited for in the proxy.
type Arrival = oneshot::Receiver<Held>;

/// Terms that are short enough for a test.
const FLAGS: [&str; 4] = [
    "--enable-leader-election",
    "--leader-election-lease-duration=4s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=500ms",
];

/// Lets a write go on when its object is another than its sender has seen: it is refused.
async fn is_too_late(scene: &Scene, held: Arrival, resource: &ApiResource, name: &str) {
    let held = timeout(PATIENCE, held).await.expect("it comes");
    let held = held.expect("it comes");
    let what = format!("{} {}", held.request.method, held.request.path);
    let note = json!({ "metadata": { "annotations": { "note": what } } });
    scene.merge_as("somebody", resource, name, note).await;
    assert_eq!(held.forward().await, Some(StatusCode::CONFLICT), "{what}");
}

#[tokio::test]
async fn what_arrives_late_changes_nothing_that_has_moved_on() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let (kubeconfig, options) = (proxy.kubeconfig(), GitServerOptions::default());
    let scene = Scene::on(ControlPlane::shared(), &kubeconfig, "late", options).await;
    let hold = |method: Method, end: &'static str| {
        let is_it = move |line: &RequestLine| line.method == method && line.path.ends_with(end);
        proxy.hold(is_it, 0)
    };
    let finalizer = hold(Method::PATCH, "/kustomizations/app");
    let status = hold(Method::PUT, "/kustomizations/app/status");
    let deletion = hold(Method::DELETE, "/configmaps/settings");
    write_app(&scene, "1");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    is_too_late(&scene, finalizer, &kustomization_kind(), "app").await;
    is_too_late(&scene, status, &kustomization_kind(), "app").await;
    scene.ready("app", &first).await;

    let file = kustomization_file(&["web.yaml"]);
    scene.repository.write("app/kustomization.yaml", file);
    let second = scene.publish("drop settings").await;
    is_too_late(&scene, deletion, &config_map_kind(), "settings").await;
    // It is looked at again, and is what it was but for a note.
    scene.gone(&config_map_kind(), "settings").await;
    scene.ready("app", &second).await;
}

#[tokio::test]
async fn an_heir_leads_at_once_after_a_polite_end() {
    // Whoever waited for the lease to end by itself would wait longer than the test.
    let flags = [
        "--enable-leader-election",
        "--leader-election-lease-duration=300s",
        "--leader-election-renew-deadline=200s",
    ];
    let mut scene = Scene::with("heir", &flags).await;
    write_app(&scene, "1");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    let storage = tempfile::tempdir().unwrap();
    let more = flags.map(str::to_owned);
    let arguments: Vec<String> = arguments(storage.path()).into_iter().chain(more).collect();
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::WEIR);
    let heir = Weir::start_in(&scene.namespace, kubeconfig, &arguments);
    // It waits by then.
    heir.address("health").await;
    assert!(!heir.log().contains("this process leads"));
    assert!(scene.weir.terminate().success());
    write_app(&scene, "2");
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
}

fn write_app(scene: &Scene, value: &str) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["settings.yaml", "web.yaml"]),
        )
        .write("app/settings.yaml", config_map("settings", "level", value))
        .write(
            "app/web.yaml",
            deployment("web", &format!("nginx:{value}"), 0),
        );
}

fn is_lease(line: &RequestLine) -> bool {
    line.path.contains("/leases")
}

#[tokio::test]
async fn a_leader_that_slept_through_its_lease_writes_nothing_more() {
    let control_plane = ControlPlane::shared();
    let proxy = FaultProxy::start(control_plane, ControlPlane::WEIR);
    let options = GitServerOptions::default();
    let scene = Scene::set(
        control_plane,
        &proxy.kubeconfig(),
        "fencing",
        options,
        &FLAGS,
    )
    .await;
    write_app(&scene, "1");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;

    // The leader sleeps while its first write is on the way; the Deployment's is still to come.
    let held = proxy.hold(
        |line| line.is_write() && line.path.ends_with("/configmaps/settings"),
        0,
    );
    write_app(&scene, "2");
    scene.publish("second").await;
    let held = held.await.expect("the write comes");
    scene.weir.pause();

    let storage = tempfile::tempdir().unwrap();
    let flags = FLAGS.map(str::to_owned);
    let arguments: Vec<String> = arguments(storage.path()).into_iter().chain(flags).collect();
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
    let _heir = Weir::start_in(&scene.namespace, kubeconfig, &arguments);
    write_app(&scene, "3");
    let third = scene.publish("third").await;
    scene.ready("app", &third).await;

    // Kubernetes dates writes to the second: two of one manager in the same second look like one.
    let settings = scene.get(&config_map_kind(), "settings").await;
    let entries = settings.metadata.managed_fields.unwrap();
    let written = entries
        .iter()
        .filter_map(|entry| Some(entry.time.as_ref()?.0.as_second()))
        .max();
    eventually(PATIENCE, "the second is over", async || {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        match i64::try_from(now).ok() > written {
            true => Ok(()),
            false => Err(now),
        }
    })
    .await;
    let before = proxy.requests().len();
    scene.weir.resume();
    // What was sent long ago arrives now, and nothing can stop it.
    held.forward().await;
    eventually(PATIENCE, "the old leader knows", async || {
        match scene.weir.log().contains("the lease is lost") {
            true => Ok(()),
            false => Err("it does not"),
        }
    })
    .await;
    let value = |object: &kube::api::DynamicObject| match object.data["data"]["level"] == "3" {
        true => Ok(()),
        false => Err("it has the old value"),
    };
    scene
        .until(
            "the new leader puts it right",
            &config_map_kind(),
            "settings",
            value,
        )
        .await;
    let web = scene.get(&deployment_kind(), "web").await;
    assert_eq!(
        web.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "nginx:3"
    );
    let late: Vec<_> = proxy.requests().split_off(before);
    let writes: Vec<_> = late
        .iter()
        .filter(|line| line.is_write() && !is_lease(line))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
}
