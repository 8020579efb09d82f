//! A new process finds what the one before it left: it lists, it asks for inputs, and it leaves objects alone.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;
use weir_tests::objects::{
    config_map, git_repository_kind, kustomization_file, kustomization_kind,
};
use weir_tests::scene::config_map_kind;
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene, eventually};

/// Kustomizations, and ConfigMaps of each.
const KUSTOMIZATIONS: usize = 4;
const OBJECTS: usize = 100;

fn folder(number: usize) -> String {
    format!("app-{number}")
}

async fn deployed(proxy: &FaultProxy) -> Scene {
    let options = GitServerOptions::default();
    let scene = Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "restart",
        options,
    )
    .await;
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("map-{number}")).collect();
    let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    for number in 0..KUSTOMIZATIONS {
        let folder = folder(number);
        let file = format!("{folder}/kustomization.yaml");
        scene.repository.write(&file, kustomization_file(&listed));
        for name in &names {
            let text = config_map(&format!("{folder}-{name}"), "key", "${value}");
            scene
                .repository
                .write(&format!("{folder}/{name}.yaml"), text);
        }
    }
    let values = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "values" }, "data": { "value": "one" },
    });
    scene.create(&serde_json::from_value(values).unwrap()).await;
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let substitute = json!({ "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] });
    for number in 0..KUSTOMIZATIONS {
        let folder = folder(number);
        scene
            .sync(
                &folder,
                &format!("./{folder}"),
                json!({ "postBuild": substitute }),
            )
            .await;
    }
    for number in 0..KUSTOMIZATIONS {
        scene.ready(&folder(number), &commit).await;
    }
    scene
}

/// Starts Weir anew with nothing on its disk, and waits until all Kustomizations have had their run and no request
/// has come for a while. Gives back the requests of the new process.
async fn restart(scene: &mut Scene, proxy: &FaultProxy) -> Vec<RequestLine> {
    scene.weir.kill();
    scene.empty_disk();
    let (before, finished) = (proxy.requests().len(), runs(scene));
    scene.weir.restart();
    eventually(Duration::from_secs(60), "all have run", async || {
        match runs(scene) - finished {
            KUSTOMIZATIONS => Ok(()),
            other => Err(format!("{other} have")),
        }
    })
    .await;
    let mut count = 0;
    eventually(Duration::from_secs(60), "it is silent", async || {
        let last = std::mem::replace(&mut count, proxy.requests().len());
        tokio::time::sleep(Duration::from_secs(3)).await;
        if last == proxy.requests().len() {
            Ok(())
        } else {
            Err("requests go on")
        }
    })
    .await;
    proxy.requests().split_off(before)
}

/// How many runs of Kustomizations have ended well.
fn runs(scene: &Scene) -> usize {
    let log = scene.weir.log();
    let ended = log.lines().filter(|line| {
        line.contains("\"reconciliation finished\"") && line.contains("\"Kustomization\"")
    });
    ended.count()
}

/// The requests by what they are about, watches left out.
fn by_kind(requests: &[RequestLine]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests
        .iter()
        .filter(|request| !request.query.contains("watch=true"))
    {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let dry = if request.query.contains("dryRun=All") {
            " dry"
        } else {
            ""
        };
        *counts
            .entry(format!("{} {last}{dry}", request.method))
            .or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_new_process_asks_for_no_object_that_is_as_it_was() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let mut scene = deployed(&proxy).await;
    let before = scene.get(&kustomization_kind(), &folder(0)).await;
    let requests = restart(&mut scene, &proxy).await;
    let counts = by_kind(&requests);
    eprintln!("requests after a restart: {counts:#?}");
    let of_objects = requests
        .iter()
        .filter(|request| request.path.contains("/configmaps/"));
    let of_objects: Vec<&RequestLine> = of_objects.collect();
    let is_input = |request: &&RequestLine| request.path.ends_with("/configmaps/values");
    assert!(of_objects.iter().all(is_input), "{of_objects:#?}");
    assert_eq!(
        of_objects.len(),
        1,
        "each input is read once: {of_objects:#?}"
    );
    // Discovery, the lists of own resources, managed objects and inputs, the source's status and event.
    let all: usize = counts.values().sum();
    assert!(all <= 20, "{all}: {counts:#?}");
    let after = scene.get(&kustomization_kind(), &folder(0)).await;
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
}

#[tokio::test]
async fn what_was_changed_while_no_process_ran_is_put_right_alone() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let mut scene = deployed(&proxy).await;
    scene.weir.kill();
    let hand = json!({ "data": { "key": "by hand" } });
    scene.merge(&config_map_kind(), "app-0-map-7", hand).await;
    // The same field manager, and nothing changed: only the date tells that it was not this Weir.
    let flux = PatchParams::apply("kustomize-controller").force();
    let labels = |name: &str| {
        json!({
            "kustomize.toolkit.fluxcd.io/name": name, "kustomize.toolkit.fluxcd.io/namespace": scene.namespace,
        })
    };
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "app-1-map-7", "labels": labels("app-1") }, "data": { "key": "two" },
    });
    let maps = scene.api(&config_map_kind());
    // Entries are dated to the second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    maps.patch("app-1-map-7", &flux, &Patch::Apply(theirs))
        .await
        .unwrap();
    let requests = restart(&mut scene, &proxy).await;
    let touched = |dry: bool| {
        let is_it = |request: &&RequestLine| {
            request.method == Method::PATCH
                && request.path.contains("/configmaps/")
                && request.query.contains("dryRun=All") == dry
        };
        let names = requests
            .iter()
            .filter(is_it)
            .map(|request| request.path.rsplit('/').next().unwrap());
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    };
    assert_eq!(touched(true), ["app-0-map-7", "app-1-map-7"]);
    for name in ["app-0-map-7", "app-1-map-7"] {
        assert!(
            touched(false).contains(&name),
            "{name}: {:?}",
            touched(false)
        );
        assert_eq!(
            scene.get(&config_map_kind(), name).await.data["data"]["key"],
            "one"
        );
    }
    // One of the two may be cleaned up first; nothing else is written.
    assert!(touched(false).iter().all(|name| name.ends_with("-map-7")));
}

/// Suspends the source, and ends Weir.
async fn suspended_and_ended(scene: &mut Scene) {
    let suspend = json!({ "spec": { "suspend": true } });
    let sources = git_repository_kind();
    scene.merge(&sources, "fleet", suspend).await;
    let token = scene.request(&sources, "fleet").await;
    let is_answered = |object: &DynamicObject| {
        let handled = &object.data["status"]["lastHandledReconcileAt"];
        (*handled == token).then_some(()).ok_or("not yet")
    };
    scene
        .until("it is suspended", &sources, "fleet", is_answered)
        .await;
    scene.weir.kill();
}

#[tokio::test]
async fn a_suspended_source_is_applied_as_it_was_fetched() {
    let mut scene = Scene::start("suspended-source").await;
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&["map.yaml"]))
        .write("app/map.yaml", config_map("map", "key", "one"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;

    suspended_and_ended(&mut scene).await;
    scene.weir.restart();
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;
    let edit = json!({ "data": { "key": "edited" } });
    scene.merge(&config_map_kind(), "map", edit).await;
    let is_back = |object: &DynamicObject| {
        let is_it = object.data["data"]["key"] == "one";
        is_it.then_some(()).ok_or("edited")
    };
    scene
        .until("it is put right", &config_map_kind(), "map", is_back)
        .await;

    // With nothing left of it on the disk, that is said.
    scene.weir.kill();
    scene.empty_disk();
    scene.weir.restart();
    let said = scene.failed("app", "ArtifactFailed").await;
    assert!(said.contains("artifact not found"), "{said}");
}
