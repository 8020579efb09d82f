//! Weir dies at the worst moment: around each write of a deploy, with the write lost or just done.
//!
//! Whatever the moment, after a restart the cluster is what Git says: nothing that Git has was ever deleted,
//! and nothing that Git no longer has is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::Method;
use kube::api::ListParams;
use serde_json::json;
use tokio::time::timeout;
use weir_tests::objects::{
    config_map, definition, deployment, git_repository_kind, kind, kustomization_file,
    kustomization_kind, object,
};
use weir_tests::scene::{PATIENCE, SOURCE, condition, config_map_kind, inventory};
use weir_tests::{
    ControlPlane, FaultProxy, GitServerOptions, Held, RequestLine, Scene, eventually,
};

/// What is somebody else's.
const FOREIGN: &str = "foreign";

/// What the test does to the write that it holds when Weir is dead.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Forwarded,
    Lost,
}

/// A write of the deploy itself; events come whenever they come.
fn is_counted(request: &RequestLine) -> bool {
    request.is_write() && !request.path.contains("/events")
}

fn write_app(scene: &Scene, values: &[(&str, &str)]) {
    let files: Vec<String> = values
        .iter()
        .map(|(name, _)| format!("{name}.yaml"))
        .collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&listed));
    for (name, value) in values {
        scene
            .repository
            .write(&format!("app/{name}.yaml"), config_map(name, "key", value));
    }
}

/// So many bytes that no two runs have the same, as text.
fn noise(mut seed: u64, length: usize) -> String {
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + u8::try_from(seed >> 59).unwrap() % 26)
    };
    (0..length).map(|_| letter()).collect()
}

#[tokio::test]
async fn a_death_in_a_fetch_leaves_a_cache_that_serves() {
    const LARGE: usize = 300_000;
    let mut scene = Scene::start("killed-fetch").await;
    let write = |scene: &Scene, round: usize| {
        let large = noise(round as u64 + 1, LARGE);
        write_app(scene, &[("a", &round.to_string())]);
        scene.repository.write("large.txt", large);
        scene.repository.publish(&format!("round {round}"))
    };
    let first = write(&scene, 0);
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;

    // At every stage of a pack on its way, and at the moment when all of it is there.
    for (round, after) in [0, 40, 1000, LARGE / 4, LARGE / 2, 100 * LARGE]
        .into_iter()
        .enumerate()
    {
        let commit = write(&scene, round + 1);
        let held = scene.server.held();
        scene.server.hold_packs_after(Some(after));
        scene.request(&git_repository_kind(), SOURCE).await;
        eventually(PATIENCE, "the pack is on its way", async || {
            match scene.server.held() > held {
                true => Ok(()),
                false => Err("nobody has asked for it"),
            }
        })
        .await;
        scene.weir.kill();
        scene.server.hold_packs_after(None);
        scene.weir.restart();
        scene.ready("app", &commit).await;
    }
}

/// A scene with an object of somebody else's that has our labels by mistake.
async fn start(proxy: &FaultProxy) -> Scene {
    let options = GitServerOptions::default();
    let scene = Scene::on(ControlPlane::shared(), &proxy.kubeconfig(), "kill", options).await;
    let mut foreign = object(
        &config_map_kind(),
        FOREIGN,
        json!({ "data": { "key": "mine" } }),
    );
    let label = |key: &str, value: &str| {
        let key = format!("kustomize.toolkit.fluxcd.io/{key}");
        (key, value.to_owned())
    };
    let labels = [label("name", "app"), label("namespace", &scene.namespace)];
    foreign.metadata.labels = Some(labels.into());
    scene.create(&foreign).await;
    scene
}

/// Whether nobody has touched what is somebody else's.
async fn foreign_is_whole(scene: &Scene) {
    let foreign = scene.get(&config_map_kind(), FOREIGN).await;
    // Whoever writes to it, even nothing new, is named here.
    let writers = foreign.metadata.managed_fields.unwrap_or_default();
    assert_eq!(writers.len(), 1, "{writers:?}");
    assert_eq!(foreign.metadata.deletion_timestamp, None);
    assert_eq!(foreign.data["data"]["key"], "mine");
}

/// Our ConfigMaps in the cluster: value and UID by name.
async fn present(scene: &Scene) -> BTreeMap<String, (String, String)> {
    let owned = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    let list = scene.api(&config_map_kind()).list(&owned).await.unwrap();
    list.into_iter()
        .filter(|object| object.metadata.name.as_deref() != Some(FOREIGN))
        .map(|object| {
            let value = object.data["data"]["key"].as_str().unwrap().to_owned();
            (
                object.metadata.name.unwrap(),
                (value, object.metadata.uid.unwrap()),
            )
        })
        .collect()
}

/// Waits until the n-th write stands in the proxy; nothing if what Weir does ends before.
async fn held<T>(
    arrival: tokio::sync::oneshot::Receiver<Held>,
    end: impl Future<Output = T>,
) -> Option<Held> {
    tokio::select! {
        held = arrival => Some(held.unwrap()),
        _ = end => None,
    }
}

/// Kills Weir at the held write, gives the write its fate, and starts Weir again.
async fn kill(scene: &mut Scene, proxy: &FaultProxy, held: Held, fate: Fate) {
    scene.weir.kill();
    // Shown when the test fails.
    eprintln!("{} {} is {fate:?}", held.request.method, held.request.path);
    match fate {
        Fate::Forwarded => drop(held.forward().await),
        Fate::Lost => held.discard(),
    }
    proxy.clear();
    scene.weir.restart();
}

/// Waits until exactly these ConfigMaps are there, with these values, and exactly they are in the inventory.
async fn settled(scene: &Scene, commit: &str, values: &[(&str, &str)]) {
    scene.ready("app", commit).await;
    let expected: BTreeMap<String, String> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    eventually(
        Duration::from_secs(20),
        "the cluster is what Git says",
        async || {
            let there = present(scene).await;
            let values: BTreeMap<String, String> = there
                .into_iter()
                .map(|(name, (value, _))| (name, value))
                .collect();
            if values == expected {
                Ok(())
            } else {
                Err(format!("{values:?}"))
            }
        },
    )
    .await;
    let id = |(name, _): &(&str, &str)| format!("{}_{name}__ConfigMap", scene.namespace);
    let expected: BTreeSet<String> = values.iter().map(id).collect();
    assert_eq!(scene.inventory("app").await, expected);
    foreign_is_whole(scene).await;
}

/// Kills Weir at the n-th write of a first deploy. Then Git loses an object that may have been
/// created: it must not be left behind. Returns whether there was an n-th write.
async fn first_deploy(n: usize, fate: Fate) -> bool {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let arrival = proxy.hold(is_counted, n);
    let mut scene = start(&proxy).await;
    write_app(&scene, &[("one", "1"), ("three", "3"), ("two", "2")]);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    let Some(write) = held(arrival, scene.ready("app", &commit)).await else {
        return false;
    };
    write_app(&scene, &[("one", "1"), ("two", "2")]);
    let next = scene.repository.publish("without three");
    kill(&mut scene, &proxy, write, fate).await;
    settled(&scene, &next, &[("one", "1"), ("two", "2")]).await;
    true
}

/// Kills Weir at the n-th write of an update that adds, changes and removes. Returns whether there
/// was an n-th write.
async fn update(n: usize, fate: Fate) -> bool {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let mut scene = start(&proxy).await;
    write_app(
        &scene,
        &[("changed", "old"), ("kept", "same"), ("removed", "old")],
    );
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    let before = present(&scene).await;

    let arrival = proxy.hold(is_counted, n);
    let wanted = [("added", "new"), ("changed", "new"), ("kept", "same")];
    scene.repository.remove("app/removed.yaml");
    write_app(&scene, &wanted);
    let second = scene.publish("second").await;
    let Some(write) = held(arrival, scene.ready("app", &second)).await else {
        return false;
    };
    kill(&mut scene, &proxy, write, fate).await;
    settled(&scene, &second, &wanted).await;
    let after = present(&scene).await;
    for name in ["changed", "kept"] {
        assert_eq!(
            after[name].1, before[name].1,
            "{name} was deleted and made again"
        );
    }
    true
}

/// Kills Weir at the n-th write of the end of a Kustomization. Returns whether there was an n-th write.
async fn deletion(n: usize, fate: Fate) -> bool {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let mut scene = start(&proxy).await;
    write_app(&scene, &[("one", "1"), ("two", "2")]);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    let arrival = proxy.hold(is_counted, n);
    scene.delete(&kustomization_kind(), "app").await;
    let write = held(arrival, scene.gone(&kustomization_kind(), "app")).await;
    let reached = write.is_some();
    if let Some(write) = write {
        kill(&mut scene, &proxy, write, fate).await;
        scene.gone(&kustomization_kind(), "app").await;
    }
    assert_eq!(present(&scene).await, BTreeMap::new());
    foreign_is_whole(&scene).await;
    reached
}

/// Kills Weir at the n-th write of a first deploy in stages, whose health is waited for: a definition, an object of that
/// kind, a Deployment. Returns whether there was an n-th write.
async fn staged(n: usize, fate: Fate) -> bool {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let arrival = proxy.hold(is_counted, n);
    let mut scene = start(&proxy).await;
    let group = format!("{}.example.org", scene.namespace);
    let gadget = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Gadget", "metadata": { "name": "one" },
    });
    scene
        .repository
        .write("app/definition.yaml", definition(&group, "Gadget"))
        .write("app/gadget.yaml", gadget.to_string())
        .write("app/web.yaml", deployment("web", "nginx:1.29", 1));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "wait": true, "timeout": "50s", "retryInterval": "1s" });
    scene.sync("app", "./app", spec).await;
    let Some(write) = held(arrival, scene.ready("app", &commit)).await else {
        return false;
    };
    kill(&mut scene, &proxy, write, fate).await;
    let app = scene.ready("app", &commit).await;
    assert_eq!(condition(&app, "Healthy").unwrap()["status"], "True");
    let namespace = &scene.namespace;
    let expected = [
        format!("_gadgets.{group}_apiextensions.k8s.io_CustomResourceDefinition"),
        format!("{namespace}_one_{group}_Gadget"),
        format!("{namespace}_web_apps_Deployment"),
    ];
    assert_eq!(inventory(&app), expected.into());
    scene.get(&kind(&group, "v1", "Gadget"), "one").await;
    foreign_is_whole(&scene).await;
    true
}

/// Runs a scenario with the death at each write in turn, until there are no more.
async fn at_each_write(scenario: impl AsyncFn(usize, Fate) -> bool) -> usize {
    for writes in 0.. {
        for fate in [Fate::Forwarded, Fate::Lost] {
            let round = timeout(Duration::from_secs(120), scenario(writes, fate)).await;
            let reached =
                round.unwrap_or_else(|_| panic!("no end when write {writes} is {fate:?}"));
            if !reached {
                return writes;
            }
        }
    }
    unreachable!("a deploy has an end")
}

#[tokio::test]
async fn a_death_in_a_first_deploy_leaves_nothing_behind() {
    let writes = at_each_write(first_deploy).await;
    // At least the inventory, three objects and the result.
    assert!(writes >= 5, "only {writes} writes were seen");
}

#[tokio::test]
async fn a_death_between_stages_leaves_nothing_out() {
    let writes = at_each_write(staged).await;
    // At least the inventory, three objects and the result.
    assert!(writes >= 5, "only {writes} writes were seen");
}

#[tokio::test]
async fn a_death_in_an_update_deletes_nothing_that_git_has() {
    let writes = at_each_write(update).await;
    // At least the inventory, an object made, one changed, one deleted, and the result.
    assert!(writes >= 5, "only {writes} writes were seen");
}

#[tokio::test]
async fn a_death_in_a_deletion_leaves_nothing_behind() {
    let writes = at_each_write(deletion).await;
    // At least two objects and the finalizer.
    assert!(writes >= 3, "only {writes} writes were seen");
}

#[tokio::test]
async fn a_polite_end_is_quick_and_a_new_start_goes_on() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let mut scene = start(&proxy).await;
    write_app(&scene, &[("one", "1")]);
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    let begin = Instant::now();
    assert!(scene.weir.terminate().success());
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    write_app(&scene, &[("one", "2")]);
    let second = scene.publish("second").await;
    scene.weir.restart();
    settled(&scene, &second, &[("one", "2")]).await;
}

#[tokio::test]
async fn the_inventory_is_written_before_a_new_object() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let scene = start(&proxy).await;
    write_app(&scene, &[("one", "1")]);
    scene.repository.publish("first");
    let creation =
        |request: &RequestLine| request.is_write() && request.path.ends_with("/configmaps/one");
    let arrival = proxy.hold(creation, 0);
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    let held = timeout(weir_tests::scene::PATIENCE, arrival)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(held.request.method, Method::PATCH);
    let inventory = scene.inventory("app").await;
    assert_eq!(
        inventory,
        [format!("{}_one__ConfigMap", scene.namespace)].into()
    );
    held.forward().await;
    scene.ready("app", &scene.repository.head()).await;
}
