//! The states of a Kustomization, one after the other, as whoever watches it sees them.

use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, deployment, kustomization_kind, object};
use weir_tests::scene::{condition, config_map_kind, deployment_kind};

/// Waits for Ready with a status and a reason.
async fn until_ready(scene: &Scene, status: &str, reason: &str) -> Value {
    let what = format!("Ready={status} {reason}");
    let found = scene
        .until(&what, &kustomization_kind(), "app", |object| {
            let ready = condition(object, "Ready").ok_or("it says nothing")?;
            match ready["status"] == status && ready["reason"] == reason {
                true => Ok(()),
                false => Err("it is something else"),
            }
        })
        .await;
    let mut whole = found.data;
    whole["generation"] = json!(found.metadata.generation);
    whole
}

fn is_true(object: &Value, kind: &str, reason: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let is_it = |condition: &&Value| {
        condition["type"] == kind && condition["status"] == "True" && condition["reason"] == reason
    };
    conditions.iter().any(|condition| is_it(&condition))
}

#[tokio::test]
async fn from_healthy_over_unhealthy_and_back() {
    let scene = Scene::start("states").await;
    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.29", 1));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "wait": true, "timeout": "4s", "retryInterval": "2s" });
    scene.sync("app", "./app", spec).await;
    scene.ready("app", &first).await;
    let healthy = until_ready(&scene, "True", "ReconciliationSucceeded").await;
    assert!(is_true(&healthy, "Healthy", "Succeeded"));
    assert_eq!(
        healthy["status"]["observedGeneration"],
        healthy["generation"]
    );

    // A change of the spec that is not healthy: observed is still the one before.
    let images = json!({ "spec": { "images": [{ "name": "nginx", "newTag": "broken" }] } });
    scene.merge(&kustomization_kind(), "app", images).await;
    let unhealthy = until_ready(&scene, "False", "HealthCheckFailed").await;
    assert!(
        is_true(&unhealthy, "Reconciling", "ProgressingWithRetry"),
        "{unhealthy}"
    );
    let generation = unhealthy["generation"].as_i64().unwrap();
    assert_eq!(unhealthy["status"]["observedGeneration"], generation - 1);
    let history = &unhealthy["status"]["history"];
    assert_eq!(
        history[0]["lastReconciledStatus"], "HealthCheckFailed",
        "{history}"
    );
    assert_eq!(
        history[1]["lastReconciledStatus"], "ReconciliationSucceeded",
        "{history}"
    );

    scene
        .repository
        .write("app/web.yaml", deployment("web", "nginx:1.30", 2));
    let plain = json!({ "spec": { "images": Value::Null } });
    scene.merge(&kustomization_kind(), "app", plain).await;
    let third = scene.publish("third").await;
    scene.ready("app", &third).await;
    let again = until_ready(&scene, "True", "ReconciliationSucceeded").await;
    assert_eq!(again["status"]["observedGeneration"], again["generation"]);
    assert!(again["status"]["history"].as_array().unwrap().len() <= 5);

    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    scene.gone(&deployment_kind(), "web").await;
}

#[tokio::test]
async fn a_request_without_news_touches_no_object() {
    let scene = Scene::start("no-news").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &commit).await;
    let before = scene
        .get(&config_map_kind(), "one")
        .await
        .metadata
        .resource_version;
    let token = scene.request(&kustomization_kind(), "app").await;
    scene
        .until(
            "the request is answered",
            &kustomization_kind(),
            "app",
            |object| match object.data["status"]["lastHandledReconcileAt"] == token {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
    let after = scene
        .get(&config_map_kind(), "one")
        .await
        .metadata
        .resource_version;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_config_map_that_values_come_from_is_followed_without_a_label() {
    let scene = Scene::start("followed").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "${level}"));
    let commit = scene.repository.publish("first");
    let values = |level: &str| {
        object(
            &config_map_kind(),
            "values",
            json!({ "data": { "level": level } }),
        )
    };
    // A line end at the end of a value is none of the value, as in Flux.
    scene.create(&values("low\n")).await;
    scene.source(json!({})).await;
    let from =
        json!({ "postBuild": { "substituteFrom": [{ "kind": "ConfigMap", "name": "values" }] } });
    scene.sync("app", "./app", from).await;
    scene.ready("app", &commit).await;
    let one = scene.get(&config_map_kind(), "one").await;
    assert_eq!(one.data["data"]["key"], "low");

    // The interval is an hour: only the change itself can tell.
    scene
        .merge(
            &config_map_kind(),
            "values",
            json!({ "data": { "level": "high" } }),
        )
        .await;
    scene
        .until(
            "the new value is there",
            &config_map_kind(),
            "one",
            |object| match object.data["data"]["key"] == "high" {
                true => Ok(()),
                false => Err("it is not"),
            },
        )
        .await;
}
