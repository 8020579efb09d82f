//! Other writers of the same objects: restarts that are left alone, fights that end, drift that is only reported.

use std::time::{Duration, Instant};

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{condition, config_map_kind, deployment_kind};
use weir_tests::{ControlPlane, FaultProxy, GitServerOptions, RequestLine, Scene};

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

fn write_app(scene: &Scene, replicas: u32) {
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["settings.yaml", "web.yaml"]),
        )
        .write("app/settings.yaml", config_map("settings", "level", "low"))
        .write("app/web.yaml", deployment("web", "nginx:1.29", replicas));
}

async fn deployed(scene: &Scene, spec: Value) {
    write_app(scene, 2);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &commit).await;
}

async fn replicas(scene: &Scene, wanted: u64) -> DynamicObject {
    let what = format!("there are {wanted} replicas");
    let is_so = |object: &DynamicObject| match object.data["spec"]["replicas"] == wanted {
        true => Ok(()),
        false => Err("there are not"),
    };
    scene.until(&what, &deployment_kind(), "web", is_so).await
}

/// What a HorizontalPodAutoscaler does.
async fn scale(scene: &Scene, replicas: u64) {
    let parameters = PatchParams {
        field_manager: Some("autoscaler".to_owned()),
        ..PatchParams::default()
    };
    let scale = json!({ "spec": { "replicas": replicas } });
    let api = scene.api(&deployment_kind());
    api.patch_scale("web", &parameters, &Patch::Merge(scale))
        .await
        .unwrap();
}

/// Says by the Kustomization's annotation what is done about drift.
async fn treat_drift(scene: &Scene, value: &str) {
    let annotations = json!({ "weir.dev/drift": value });
    let patch = json!({ "metadata": { "annotations": annotations } });
    scene.merge(&kustomization_kind(), "app", patch).await;
}

#[tokio::test]
async fn a_restart_by_hand_is_left_alone() {
    let scene = Scene::start("restarted").await;
    deployed(&scene, json!({})).await;
    let before = scene.get(&deployment_kind(), "web").await;
    // What `kubectl rollout restart` sends.
    let restart = json!({ "spec": { "template": { "metadata": { "annotations": {
        RESTARTED_AT: "2026-01-01T00:00:00Z",
    } } } } });
    let parameters = PatchParams {
        field_manager: Some("kubectl-rollout".to_owned()),
        ..PatchParams::default()
    };
    let api = scene.api(&deployment_kind());
    let restarted = api
        .patch("web", &parameters, &Patch::Strategic(restart))
        .await
        .unwrap();
    assert_ne!(restarted.metadata.generation, before.metadata.generation);
    // A commit that writes the object, and a look at everything in it.
    write_app(&scene, 3);
    let commit = scene.publish("scale").await;
    scene.ready("app", &commit).await;
    let after = replicas(&scene, 3).await;
    assert_eq!(
        after.data["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT],
        "2026-01-01T00:00:00Z"
    );
    let generation = |object: &DynamicObject| object.metadata.generation.unwrap();
    assert_eq!(
        generation(&after),
        generation(&restarted) + 1,
        "written once, for the replicas"
    );
}

#[tokio::test]
async fn an_edit_is_put_right_with_two_requests() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let options = GitServerOptions::default();
    let scene = Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "two-requests",
        options,
    )
    .await;
    deployed(&scene, json!({})).await;
    let of_it = |request: &RequestLine| request.path.ends_with("/configmaps/settings");
    for (level, what) in [(json!("high"), "changed"), (Value::Null, "removed")] {
        let before = proxy.requests().len();
        let begin = Instant::now();
        let edit = json!({ "data": { "level": level } });
        scene
            .merge_as("somebody", &config_map_kind(), "settings", edit)
            .await;
        let is_back = |object: &DynamicObject| match object.data["data"]["level"] == "low" {
            true => Ok(()),
            false => Err("edited"),
        };
        scene
            .until("it is put right", &config_map_kind(), "settings", is_back)
            .await;
        eprintln!("{what}, and put right after {:?}", begin.elapsed());
        let requests = proxy.requests().split_off(before);
        let requests: Vec<RequestLine> = requests.into_iter().filter(of_it).collect();
        assert_eq!(requests.len(), 2, "{what}: {requests:#?}");
    }
}

#[tokio::test]
async fn a_fight_is_given_up_until_the_interval() {
    let scene = Scene::start("fight").await;
    deployed(&scene, json!({ "interval": "20s" })).await;
    for _ in 0..3 {
        scale(&scene, 5).await;
        replicas(&scene, 2).await;
    }
    let contested = |object: &DynamicObject| {
        let drifted = condition(object, "Drifted").ok_or("nothing is said")?;
        let message = drifted["message"].as_str().unwrap();
        match drifted["reason"] == "FieldsContested"
            && message.contains("spec.replicas is written by autoscaler")
        {
            true => Ok(()),
            false => Err("something else is said"),
        }
    };
    let said = scene
        .until("the fight is said", &kustomization_kind(), "app", contested)
        .await;
    assert_eq!(condition(&said, "Ready").unwrap()["status"], "True");
    let told = "spec.replicas is written by autoscaler again and again";
    scene.told("Warning", "app", told).await;
    // What is not fought about is put right at once.
    scene.delete(&deployment_kind(), "web").await;
    replicas(&scene, 2).await;
    scale(&scene, 5).await;
    // Not at once any more: that took well under a second three times.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        scene.get(&deployment_kind(), "web").await.data["spec"]["replicas"],
        5
    );
    // But at the interval.
    replicas(&scene, 2).await;
    // What somebody else writes is put right at once, though the fight goes on.
    scale(&scene, 5).await;
    let label = json!({ "metadata": { "labels": { "by-hand": "yes" } } });
    scene
        .merge_as("kubectl-label", &deployment_kind(), "web", label)
        .await;
    let is_gone = |object: &DynamicObject| match object.metadata.labels.as_ref() {
        Some(labels) if labels.contains_key("by-hand") => Err("labelled"),
        _ => Ok(()),
    };
    scene
        .until("the label goes", &deployment_kind(), "web", is_gone)
        .await;
    // And a commit begins anew, whatever it is about.
    scene.repository.write("README.md", "nothing of it");
    scene.publish("elsewhere").await;
    let is_over = |object: &DynamicObject| match condition(object, "Drifted") {
        Some(_) => Err("it goes on"),
        None => Ok(()),
    };
    scene
        .until("it is over", &kustomization_kind(), "app", is_over)
        .await;
    write_app(&scene, 3);
    let commit = scene.publish("another").await;
    let kustomization = scene.ready("app", &commit).await;
    assert_eq!(condition(&kustomization, "Drifted"), None);
    scale(&scene, 5).await;
    replicas(&scene, 3).await;
}

#[tokio::test]
async fn drift_that_is_reported_is_not_put_right() {
    let scene = Scene::start("report").await;
    deployed(&scene, json!({})).await;
    treat_drift(&scene, "report").await;
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;
    scale(&scene, 5).await;
    scene.delete(&config_map_kind(), "settings").await;
    let said = |texts: &'static [&'static str]| {
        move |object: &DynamicObject| {
            let drifted = condition(object, "Drifted").ok_or("nothing is said".to_owned())?;
            let message = drifted["message"].as_str().unwrap();
            match drifted["reason"] == "DriftReported"
                && texts.iter().all(|text| message.contains(text))
            {
                true => Ok(()),
                false => Err(message.to_owned()),
            }
        }
    };
    let both = said(&["spec.replicas is written by autoscaler", "settings is gone"]);
    scene
        .until("both are said", &kustomization_kind(), "app", both)
        .await;
    assert_eq!(
        scene.get(&deployment_kind(), "web").await.data["spec"]["replicas"],
        5
    );
    assert!(scene.find(&config_map_kind(), "settings").await.is_none());
    // What Git changes is applied; the rest stays.
    write_app(&scene, 3);
    let commit = scene.publish("scale").await;
    let kustomization = scene.ready("app", &commit).await;
    replicas(&scene, 3).await;
    assert_eq!(said(&["settings is gone"])(&kustomization), Ok(()));
    assert!(scene.find(&config_map_kind(), "settings").await.is_none());

    treat_drift(&scene, "correct").await;
    let is_there = |_: &DynamicObject| Ok::<(), &str>(());
    scene
        .until("it is made again", &config_map_kind(), "settings", is_there)
        .await;
    let silent = |object: &DynamicObject| match condition(object, "Drifted") {
        None => Ok(()),
        Some(drifted) => Err(drifted.to_string()),
    };
    scene
        .until("nothing is said", &kustomization_kind(), "app", silent)
        .await;
}

#[tokio::test]
async fn health_is_followed_where_drift_is_only_reported() {
    let scene = Scene::start("report-health").await;
    deployed(&scene, json!({ "wait": true, "timeout": "10m" })).await;
    treat_drift(&scene, "report").await;
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;

    // What is changed is judged by its health.
    scale(&scene, 5).await;
    let is_told = |object: &DynamicObject| {
        let drifted = condition(object, "Drifted").ok_or("nothing is told")?;
        let told = drifted["reason"] == "DriftReported";
        told.then_some(()).ok_or("something else is told")
    };
    scene
        .until("drift is told", &kustomization_kind(), "app", is_told)
        .await;
    let is_well = |object: &DynamicObject| {
        let says =
            |kind: &str| condition(object, kind).is_some_and(|said| said["status"] == "True");
        (says("Ready") && says("Healthy"))
            .then_some(())
            .ok_or("it is not")
    };
    scene
        .until("it is well", &kustomization_kind(), "app", is_well)
        .await;
    let away = json!({ "spec": { "minReadySeconds": 500 } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", away)
        .await;
    scene.failed("app", "HealthCheckFailed").await;
    let back = json!({ "spec": { "minReadySeconds": null } });
    scene
        .merge_as("somebody", &deployment_kind(), "web", back)
        .await;
    scene
        .until("it is well again", &kustomization_kind(), "app", is_well)
        .await;

    // What is gone is told long before the time for a deploy is over.
    scene.delete(&deployment_kind(), "web").await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    let web = format!("Deployment/{}/web status: 'NotFound'", scene.namespace);
    assert!(message.contains(&web), "{message}");
    let kustomization = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(
        condition(&kustomization, "Healthy").unwrap()["status"],
        "False"
    );
    assert!(scene.find(&deployment_kind(), "web").await.is_none());

    treat_drift(&scene, "correct").await;
    replicas(&scene, 2).await;
    scene
        .until("it is well at last", &kustomization_kind(), "app", is_well)
        .await;
}
