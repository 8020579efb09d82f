//! What Weir asks of the API server: little for a deploy, nothing for standing still.

use std::time::Duration;

use crate::plans::{said, weir};
use serde_json::json;
use weir_tests::objects::{config_map, deployment, kustomization_file};
use weir_tests::{ControlPlane, ControlPlaneOptions, GitServerOptions, Scene, count_by};

const OBJECTS: usize = 20;

#[tokio::test]
async fn a_deploy_costs_one_write_an_object_and_silence_costs_nothing() {
    let options = ControlPlaneOptions {
        audit: true,
        ..ControlPlaneOptions::default()
    };
    let control_plane = ControlPlane::start(options);
    let log = control_plane.audit_log().unwrap();
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
    let scene = Scene::on(
        &control_plane,
        kubeconfig,
        "quiet",
        GitServerOptions::default(),
    )
    .await;
    let names: Vec<String> = (0..OBJECTS)
        .map(|number| format!("settings-{number}"))
        .collect();
    let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&listed));
    for name in &names {
        scene.repository.write(
            &format!("app/{name}.yaml"),
            config_map(name, "key", "value"),
        );
    }
    scene
        .repository
        .write("web/web.yaml", deployment("web", "nginx:1.29", 1));
    let values = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "values" }, "data": { "value": "one" },
    });
    scene.create(&serde_json::from_value(values).unwrap()).await;
    let commit = scene.repository.publish("first");
    // Silence does not come from long intervals.
    scene.source(json!({ "interval": "2s" })).await;
    scene
        .sync("app", "./app", json!({ "interval": "2s" }))
        .await;
    let substitute = json!({ "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] });
    let spec = json!({
        "interval": "2s", "wait": true, "dependsOn": [{ "name": "app" }], "postBuild": substitute,
    });
    scene.sync("web", "./web", spec).await;
    scene.ready("app", &commit).await;
    scene.ready("web", &commit).await;
    let of_objects: Vec<_> = log
        .since(0, ControlPlane::WEIR)
        .into_iter()
        .filter(|call| call.resource == "configmaps" && call.name.starts_with("settings-"))
        .collect();
    let counts = count_by(&of_objects, |call| (call.verb.clone(), call.is_dry_run()));
    assert_eq!(counts, [(("patch".to_owned(), false), OBJECTS)].into());

    // The status, the last events and the look at what the deploy itself changed are soon over.
    let settle = Duration::from_secs(5);
    tokio::time::sleep(settle).await;
    let quiet = log.position();
    let idle = Duration::from_secs(20);
    tokio::time::sleep(idle).await;
    let mut calls = log.since(quiet, ControlPlane::WEIR);
    // A watch ends by itself after some minutes and is opened again.
    calls.retain(|call| call.verb != "watch");
    assert!(calls.is_empty(), "{calls:#?}");
    a_plan_asks_once_about_each_object(&scene, &control_plane, &names);
}

/// One request an object, several at a time, and another one for what differs; none writes.
fn a_plan_asks_once_about_each_object(
    scene: &Scene,
    control_plane: &ControlPlane,
    names: &[String],
) {
    let path = format!("app/{}.yaml", names[0]);
    scene
        .repository
        .write(&path, config_map(&names[0], "key", "another"));
    let log = control_plane.audit_log().unwrap();
    let begin = log.position();
    let kubeconfig = control_plane.kubeconfig(ControlPlane::ADMINISTRATOR);
    // All that the cluster has of this repository.
    let (text, code) = said(&weir(scene.repository.path(), kubeconfig, &["plan"]));
    assert_eq!(code, Some(2), "{text}");
    let counts = format!(
        "Plan: 1 change, {} unchanged · 1 of 2 environments",
        OBJECTS - 1
    );
    assert!(text.contains(&counts), "{text}");
    let calls = log.since(begin, ControlPlane::ADMINISTRATOR);
    let writes = calls
        .iter()
        .filter(|call| !matches!(&*call.verb, "get" | "list"));
    assert!(
        writes.clone().all(weir_tests::Call::is_dry_run),
        "{calls:#?}"
    );
    let of_objects: Vec<_> = calls
        .iter()
        .filter(|call| call.resource == "configmaps" && call.name.starts_with("settings-"))
        .collect();
    let counts = count_by(of_objects.iter().copied(), |call| {
        (call.verb.clone(), call.is_dry_run())
    });
    let expected = [
        (("get".to_owned(), false), 1),
        (("patch".to_owned(), true), OBJECTS),
    ];
    assert_eq!(counts, expected.into());
    let overlaps = of_objects.iter().any(|one| {
        let mut others = of_objects.iter();
        others.any(|other| one.received < other.received && other.received < one.answered)
    });
    assert!(overlaps, "one after the other: {of_objects:#?}");
}
