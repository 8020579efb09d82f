//! CEL in a spec: rules for the health of kinds of one's own, and when a dependency counts as ready.

use kube::api::{ApiResource, Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, definition, kind, kustomization_file, kustomization_kind};
use weir_tests::scene::{condition, config_map_kind, message};

/// A kind whose health only an expression can tell, in a group of the test's own.
fn gauge(group: &str) -> ApiResource {
    kind(group, "v1", "Gauge")
}

fn write_gauge(scene: &Scene, group: &str) {
    let object = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "Gauge",
        "metadata": { "name": "level" },
        "spec": { "wanted": 3 },
    });
    scene
        .repository
        .write(
            "app/kustomization.yaml",
            kustomization_file(&["definition.yaml", "gauge.yaml"]),
        )
        .write("app/definition.yaml", definition(group, "Gauge"))
        .write("app/gauge.yaml", object.to_string());
}

async fn set_status(scene: &Scene, group: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    let parameters = PatchParams {
        field_manager: Some("gauge-controller".into()),
        ..PatchParams::default()
    };
    let patched = scene
        .api(&gauge(group))
        .patch_status("level", &parameters, &patch)
        .await;
    patched.unwrap();
}

#[tokio::test]
async fn rules_for_a_kind_of_one_s_own_decide_its_health() {
    let scene = Scene::start("rules").await;
    let group = format!("{}.example.org", scene.namespace);
    write_gauge(&scene, &group);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({
        "wait": true,
        "timeout": "5m",
        // As in Flux the version does not count.
        "healthCheckExprs": [{
            "apiVersion": format!("{group}/v1beta7"),
            "kind": "Gauge",
            "current": "status.level == spec.wanted",
            "failed": "has(status.broken) && status.broken",
        }],
    });
    scene.sync("app", "./app", spec).await;
    let in_progress = "it waits for the level";
    scene
        .until(in_progress, &kustomization_kind(), "app", |object| {
            let reconciling = condition(object, "Reconciling").ok_or("it is not Reconciling")?;
            let ready = condition(object, "Ready").ok_or("it says nothing of Ready")?;
            let checks = reconciling["message"].as_str().unwrap_or_default();
            match checks.starts_with("Running health checks") && ready["status"] == "Unknown" {
                true => Ok(()),
                false => Err("it is something else"),
            }
        })
        .await;
    set_status(&scene, &group, json!({ "level": 3 })).await;
    scene.ready("app", &commit).await;

    // Health is followed after Ready, and back.
    set_status(&scene, &group, json!({ "broken": true })).await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    assert!(message.contains("Gauge"), "{message}");
    assert!(message.contains("healthCheckExprs: failed"), "{message}");
    set_status(&scene, &group, json!({ "broken": false })).await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn a_rule_for_a_group_covers_its_kinds() {
    let scene = Scene::start("group-rule").await;
    let group = format!("{}.example.org", scene.namespace);
    write_gauge(&scene, &group);
    scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({
        "wait": true,
        "timeout": "2s",
        "retryInterval": "1s",
        "healthCheckExprs": [{ "apiVersion": format!("{group}/v1"), "current": "spec.wanted == 4" }],
    });
    scene.sync("app", "./app", spec).await;
    let message = scene.failed("app", "HealthCheckFailed").await;
    assert!(message.contains("Gauge"), "{message}");
    assert!(!message.contains("CustomResourceDefinition"), "{message}");
}

#[tokio::test]
async fn an_expression_that_is_none_is_a_terminal_error() {
    let scene = Scene::start("no-expression").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let expressions =
        json!([{ "apiVersion": "example.org/v1", "current": "status.\n  foo = 'bar'" }]);
    let spec = json!({ "wait": true, "healthCheckExprs": expressions });
    scene.sync("app", "./app", spec).await;
    let message = scene.failed("app", "InvalidCELExpression").await;
    let expected = "Reconciliation failed terminally due to configuration error: \
        spec.healthCheckExprs[0].current, line 2, column 7: ";
    assert!(message.starts_with(expected), "{message}");
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(condition(&object, "Stalled").unwrap()["status"], "True");
    assert_eq!(object.data["status"]["observedGeneration"], 1);
    assert!(scene.find(&config_map_kind(), "one").await.is_none());

    let mended = json!({ "spec": { "healthCheckExprs": Value::Null } });
    scene.merge(&kustomization_kind(), "app", mended).await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn an_expression_says_when_a_dependency_is_ready() {
    let scene = Scene::start("ready-expr").await;
    scene
        .repository
        .write("first/first.yaml", config_map("first", "a", "b"))
        .write("second/second.yaml", config_map("second", "a", "b"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("first", "./first", json!({})).await;
    scene.ready("first", &commit).await;
    let expression = "has(dep.metadata.labels) && dep.metadata.labels['stage'] == self.metadata.name \
        && dep.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')";
    let spec = json!({ "dependsOn": [{ "name": "first", "readyExpr": expression }] });
    scene.sync("second", "./second", spec).await;
    let message = scene.failed("second", "DependencyNotReady").await;
    let namespace = &scene.namespace;
    let expected = format!("dependency '{namespace}/first' is not ready according to readyExpr");
    assert_eq!(message, expected);
    assert!(scene.find(&config_map_kind(), "second").await.is_none());

    // A label changes no generation: the expression is asked again at every change of the dependency.
    let labelled = json!({ "metadata": { "labels": { "stage": "second" } } });
    scene.merge(&kustomization_kind(), "first", labelled).await;
    scene.ready("second", &commit).await;

    let invalid =
        json!({ "spec": { "dependsOn": [{ "name": "first", "readyExpr": "other.status" }] } });
    scene.merge(&kustomization_kind(), "second", invalid).await;
    let said = scene.failed("second", "InvalidCELExpression").await;
    assert!(
        said.contains("spec.dependsOn[0].readyExpr: undeclared reference to 'other'"),
        "{said}"
    );

    // Deleting does not wait for any dependency.
    scene.delete(&kustomization_kind(), "second").await;
    scene.gone(&kustomization_kind(), "second").await;
    scene.gone(&config_map_kind(), "second").await;
    let first = scene.get(&kustomization_kind(), "first").await;
    assert!(
        self::message(&first).starts_with("Applied revision"),
        "{first:?}"
    );
}
