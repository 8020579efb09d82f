//! What people ask a cluster that Weir looks after: with `weir get`, `trace` and `events`, and with the flux command,
//! whose requests are sent here as it sends them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_tests::objects::{config_map, git_repository_kind, kind, kustomization_kind, object};
use weir_tests::scene::{PATIENCE, SOURCE, condition, config_map_kind};
use weir_tests::{ControlPlane, Scene, Weir, eventually};

const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

fn weir(folder: &Path, arguments: &[&str]) -> Output {
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let mut command = Weir::command();
    command
        .current_dir(folder)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig);
    command.output().expect("run weir")
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn an_object_is_followed_to_its_commit_and_line() {
    let scene = Scene::start("traced").await;
    let files = [
        (
            "apps/kustomization.yaml",
            "resources: [settings/a.yaml]\nnamePrefix: my-\n".to_owned(),
        ),
        (
            "apps/settings/a.yaml",
            "# settings\n".to_owned() + &config_map("a", "b", "c"),
        ),
    ];
    for (path, text) in files {
        scene.repository.write(path, text);
    }
    let commit = scene.repository.publish("Add the settings");
    scene.source(json!({})).await;
    scene.sync("app", "./apps", json!({})).await;
    scene.ready("app", &commit).await;

    let (clone, namespace) = (scene.repository.path(), scene.namespace.as_str());
    let text = said(&weir(clone, &["trace", "ConfigMap/my-a", "-n", namespace]));
    for line in [
        "Object:        ConfigMap/my-a".to_owned(),
        "Kustomization: app".to_owned(),
        "Path:          ./apps".to_owned(),
        format!("Revision:      main@sha1:{commit}"),
        format!("Source:        GitRepository/{SOURCE}"),
        "Reference:     branch main".to_owned(),
        format!("Commit:        {commit}"),
        "Author:        Ada <ada@example.org>".to_owned(),
        "Subject:       Add the settings".to_owned(),
        "File:          apps/settings/a.yaml:2".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // Elsewhere there is nothing to read the commit from; all else is told.
    let elsewhere = tempfile::tempdir().unwrap();
    let text = said(&weir(
        elsewhere.path(),
        &["trace", "configmaps/my-a", "-n", namespace, "-o", "json"],
    ));
    let way: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        way[0]["kustomization"]["revision"],
        format!("main@sha1:{commit}")
    );
    assert_eq!(way[0]["commit"], Value::Null);

    // An object that nobody has applied, and one that is not there.
    for (name, problem) in [
        ("ConfigMap/kube-root-ca.crt", "managed by no Kustomization"),
        ("ConfigMap/absent", "not found"),
        ("Nonsense/a", "has no kind `Nonsense`"),
    ] {
        let output = weir(clone, &["trace", name, "-n", namespace]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(1) && text.contains(problem),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_history_of_a_stage_tells_what_a_cluster_has_applied() {
    let scene = Scene::start("told").await;
    let map = |value: &str| config_map("a", "b", value);
    scene
        .repository
        .write("stages/told/kustomization.yaml", "resources: [a.yaml]\n");
    scene.repository.write("stages/told/a.yaml", map("one"));
    scene.repository.write(
        "envs/told-eu/kustomization.yaml",
        "resources: [../../stages/told]\n",
    );
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./envs/told-eu", json!({})).await;
    scene.ready("app", &first).await;
    scene.repository.write("stages/told/a.yaml", map("two"));
    let second = scene.repository.publish("second");
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.ready("app", &second).await;

    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let arguments = [
        "history",
        "told",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ];
    let text = said(&weir(scene.repository.path(), &arguments));
    let name = format!("{}/app", scene.namespace);
    for commit in [&first, &second] {
        let tells = |line: &&str| {
            let parts: Vec<&str> = line.split_whitespace().collect();
            parts.contains(&&commit[..12]) && parts.contains(&"applied") && parts.contains(&&*name)
        };
        assert!(text.lines().any(|line| tells(&line)), "{commit}\n{text}");
    }
}

#[tokio::test]
async fn sources_and_events_are_listed() {
    let scene = Scene::start("listed").await;
    let commit = scene
        .repository
        .write("a.yaml", config_map("a", "b", "c"))
        .publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./", json!({})).await;
    scene.ready("app", &commit).await;
    let folder = tempfile::tempdir().unwrap();
    let namespace = scene.namespace.as_str();
    let text = said(&weir(folder.path(), &["get", "sources", "-n", namespace]));
    let row: Vec<&str> = text
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .take(5)
        .collect();
    let revision = format!("main@sha1:{}", &commit[..8]);
    assert_eq!(
        row,
        ["GitRepository", SOURCE, &revision, "False", "True"],
        "{text}"
    );

    eventually(PATIENCE, "the events are listed", async || {
        let of_source = weir(
            folder.path(),
            &["events", "-n", namespace, "--for", "gitrepository/fleet"],
        );
        let of_all = weir(folder.path(), &["events", "-n", namespace]);
        let (of_source, of_all) = (said(&of_source), said(&of_all));
        let told = of_source.contains("stored artifact for commit 'first'")
            && !of_source.contains("Kustomization/")
            && of_all.contains("Kustomization/app");
        if told {
            Ok(())
        } else {
            Err(format!("{of_source}\n{of_all}"))
        }
    })
    .await;
    let warnings = said(&weir(
        folder.path(),
        &["events", "-n", namespace, "--types", "Warning"],
    ));
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
}

/// What the flux command waits for after it has written: kstatus says Current, and Ready is True.
async fn until_current(api: &Api<DynamicObject>, name: &str) -> DynamicObject {
    eventually(PATIENCE, &format!("{name} is current"), async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let is =
            |kind: &str| condition(&object, kind).is_some_and(|found| found["status"] == "True");
        let ready = condition(&object, "Ready").ok_or("it has no Ready")?;
        let observed = object.data["status"]["observedGeneration"].as_i64();
        let current = observed == object.metadata.generation
            && ready["observedGeneration"].as_i64() == object.metadata.generation
            && !is("Reconciling")
            && !is("Stalled");
        match current && is("Ready") {
            true => Ok(object),
            false => Err(object.data["status"].to_string()),
        }
    })
    .await
}

/// `flux reconcile`: asks by an annotation, and waits for the answer.
async fn reconcile(api: &Api<DynamicObject>, name: &str, time: &str) -> DynamicObject {
    let before = api.get(name).await.unwrap();
    let handled = before.data["status"]["lastHandledReconcileAt"].clone();
    merge(
        api,
        name,
        json!({ "metadata": { "annotations": { REQUESTED_AT: time } } }),
    )
    .await;
    eventually(PATIENCE, "the request is answered", async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        match object.data["status"]["lastHandledReconcileAt"] != handled {
            true => Ok(()),
            false => Err("it is not".to_owned()),
        }
    })
    .await;
    let object = until_current(api, name).await;
    assert_eq!(object.data["status"]["lastHandledReconcileAt"], time);
    object
}

async fn merge(api: &Api<DynamicObject>, name: &str, patch: Value) {
    let parameters = PatchParams {
        field_manager: Some("flux".to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &parameters, &Patch::Merge(patch))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_flux_command_finds_all_that_it_reads() {
    let scene = Scene::start("flux-command").await;
    let first = scene
        .repository
        .write("a.yaml", config_map("a", "b", "1"))
        .publish("first");
    let sources = scene.api(&git_repository_kind());
    let kustomizations = scene.api(&kustomization_kind());

    // flux create source git, flux create kustomization
    let source = json!({
        "url": scene.server.url(SOURCE), "interval": "1h0m0s", "ref": { "branch": "main" }, "timeout": "60s",
    });
    let created = object(&git_repository_kind(), SOURCE, json!({ "spec": source }));
    sources
        .create(&PostParams::default(), &created)
        .await
        .unwrap();
    let current = until_current(&sources, SOURCE).await;
    assert_eq!(
        current.data["status"]["artifact"]["revision"],
        format!("main@sha1:{first}")
    );
    let spec = json!({
        "interval": "1h0m0s", "path": "./", "prune": true, "targetNamespace": scene.namespace,
        "sourceRef": { "kind": "GitRepository", "name": SOURCE }, "force": false,
    });
    let created = object(&kustomization_kind(), "app", json!({ "spec": spec }));
    kustomizations
        .create(&PostParams::default(), &created)
        .await
        .unwrap();
    let current = until_current(&kustomizations, "app").await;
    assert_eq!(
        current.data["status"]["lastAppliedRevision"],
        format!("main@sha1:{first}")
    );

    // flux reconcile kustomization --with-source
    let second = scene
        .repository
        .write("a.yaml", config_map("a", "b", "2"))
        .publish("second");
    let source = reconcile(&sources, SOURCE, "2026-11-23T02:00:00.123456789Z").await;
    assert_eq!(
        source.data["status"]["artifact"]["revision"],
        format!("main@sha1:{second}")
    );
    let app = reconcile(&kustomizations, "app", "2026-11-23T02:00:01.123456789Z").await;
    assert_eq!(
        app.data["status"]["lastAppliedRevision"],
        format!("main@sha1:{second}")
    );
    // Nothing new: the answer comes all the same.
    reconcile(&kustomizations, "app", "2026-11-23T02:00:02.123456789Z").await;

    // flux get: suspended, ready and message of what is listed
    let listed = kustomizations.list(&ListParams::default()).await.unwrap();
    let ready = condition(&listed.items[0], "Ready").unwrap();
    assert_eq!(
        ready["message"],
        format!("Applied revision: main@sha1:{second}")
    );

    // flux suspend, flux resume: the field goes, as an empty one does
    for (api, name) in [(&sources, SOURCE), (&kustomizations, "app")] {
        merge(api, name, json!({ "spec": { "suspend": true } })).await;
        assert_eq!(api.get(name).await.unwrap().data["spec"]["suspend"], true);
        merge(api, name, json!({ "spec": { "suspend": null } })).await;
        until_current(api, name).await;
    }

    // flux tree, flux trace
    let app = kustomizations.get("app").await.unwrap();
    let entries = app.data["status"]["inventory"]["entries"]
        .as_array()
        .unwrap();
    let ids: BTreeSet<&str> = entries
        .iter()
        .map(|entry| entry["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        BTreeSet::from([format!("{}_a__ConfigMap", scene.namespace).as_str()])
    );
    let labels = scene
        .get(&config_map_kind(), "a")
        .await
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "app");
    assert_eq!(
        labels["kustomize.toolkit.fluxcd.io/namespace"],
        scene.namespace
    );

    // flux events --for Kustomization/app
    let events = scene.api(&kind("", "v1", "Event"));
    let fields = "involvedObject.kind=Kustomization,involvedObject.name=app";
    eventually(PATIENCE, "the events are found", async || {
        let found = events
            .list(&ListParams::default().fields(fields))
            .await
            .unwrap();
        let told = |event: &DynamicObject| {
            event.data["message"]
                .as_str()
                .is_some_and(|text| text.contains("ConfigMap/"))
        };
        if found.items.iter().any(told) {
            Ok(())
        } else {
            Err(format!("{:?}", found.items))
        }
    })
    .await;

    // flux export: what is written again creates the same
    let mut exported = kustomizations.get("app").await.unwrap();
    exported.data["status"].take();
    exported.metadata = kube::api::ObjectMeta {
        name: Some("again".to_owned()),
        ..Default::default()
    };
    exported.data.as_object_mut().unwrap().remove("status");
    exported.data["spec"]["prune"] = json!(false);
    kustomizations
        .create(&PostParams::default(), &exported)
        .await
        .unwrap();
    until_current(&kustomizations, "again").await;
    scene.delete(&kustomization_kind(), "again").await;
    scene.gone(&kustomization_kind(), "again").await;

    // flux delete
    let background = DeleteParams::background();
    kustomizations.delete("app", &background).await.unwrap();
    scene.gone(&kustomization_kind(), "app").await;
    scene.gone(&config_map_kind(), "a").await;
    sources.delete(SOURCE, &background).await.unwrap();
    scene.gone(&git_repository_kind(), SOURCE).await;
}
