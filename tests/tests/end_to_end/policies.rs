//! What the spec and the flags allow: deletion policies, force, other namespaces, jobs, rings.

use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::{Value, json};
use weir_tests::Scene;
use weir_tests::objects::{config_map, kind, kustomization_kind};
use weir_tests::scene::{SOURCE, condition, config_map_kind, message};

fn secret_kind() -> ApiResource {
    kind("", "v1", "Secret")
}

/// Deploys one ConfigMap, deletes the Kustomization, and says whether the ConfigMap is still there.
async fn survives(scene: &Scene, name: &str, spec: Value) -> bool {
    let folder = format!("./{name}");
    scene.sync(name, &folder, spec).await;
    scene.ready(name, &scene.repository.head()).await;
    assert!(scene.find(&config_map_kind(), name).await.is_some());
    scene.delete(&kustomization_kind(), name).await;
    scene.gone(&kustomization_kind(), name).await;
    let left = scene.find(&config_map_kind(), name).await;
    left.is_some_and(|object| object.metadata.deletion_timestamp.is_none())
}

#[tokio::test]
async fn the_deletion_policy_decides_over_prune() {
    let scene = Scene::start("deletion-policy").await;
    let table = [
        ("mirror", "MirrorPrune", true, false),
        ("mirror-not", "MirrorPrune", false, true),
        ("delete", "Delete", false, false),
        ("wait", "WaitForTermination", false, false),
        ("orphan", "Orphan", true, true),
    ];
    for (name, ..) in table {
        scene.repository.write(
            &format!("{name}/one.yaml"),
            config_map(name, "key", "value"),
        );
    }
    scene.repository.publish("first");
    scene.source(json!({})).await;
    for (name, policy, prune, expected) in table {
        let spec = json!({ "deletionPolicy": policy, "prune": prune });
        assert_eq!(
            survives(&scene, name, spec).await,
            expected,
            "{policy} {prune}"
        );
    }
}

fn sealed(value: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "sealed" },
        "immutable": true,
        "stringData": { "key": value },
    })
    .to_string()
}

#[tokio::test]
async fn an_immutable_secret_is_an_error_or_by_force_replaced() {
    let scene = Scene::start("force").await;
    scene.repository.write("app/sealed.yaml", sealed("first"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    let before = scene.get(&secret_kind(), "sealed").await;

    scene.repository.write("app/sealed.yaml", sealed("hunter2"));
    let second = scene.publish("second").await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    // The server's own text might repeat the value.
    assert!(
        said.contains("sealed") && said.contains("FieldValueForbidden"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let same = scene.get(&secret_kind(), "sealed").await;
    assert_eq!(same.metadata.uid, before.metadata.uid);

    let force = json!({ "spec": { "force": true } });
    scene.merge(&kustomization_kind(), "app", force).await;
    scene.ready("app", &second).await;
    let after = scene.get(&secret_kind(), "sealed").await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.data["data"]["key"], "aHVudGVyMg==");
}

/// A Service, a Pod and a PriorityClass, each with the value of a field that cannot change.
fn held(class: &str, address: Value, command: &str, value: u32) -> String {
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
            "spec": { "clusterIP": address, "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
        }),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "one" },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "one", "image": "nginx:1.29", "command": [command] }],
            },
        }),
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": { "name": class }, "value": value,
        }),
    ];
    objects.map(|object| object.to_string()).join("\n---\n")
}

/// The unique ids of these objects.
async fn held_uids(scene: &Scene, class: &str) -> [Option<String>; 3] {
    let service = scene.get(&kind("", "v1", "Service"), "web").await;
    let pod = scene.get(&kind("", "v1", "Pod"), "one").await;
    let classes = kind("scheduling.k8s.io", "v1", "PriorityClass");
    let classes: Api<DynamicObject> = Api::all_with(scene.client.clone(), &classes);
    let class = classes.get(class).await.unwrap();
    [service, pod, class].map(|object| object.metadata.uid)
}

#[tokio::test]
async fn what_cannot_change_is_replaced_by_force_whatever_the_words() {
    let scene = Scene::start("held").await;
    let class = scene.namespace.clone();
    let write = |text: String| scene.repository.write("app/held.yaml", text);
    write(held(&class, Value::Null, "first", 1));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", json!({})).await;
    scene.ready("app", &first).await;
    let before = held_uids(&scene, &class).await;

    write(held(&class, json!("None"), "second", 2));
    let second = scene.publish("second").await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    for name in ["Service/", "Pod/", "PriorityClass/"] {
        assert!(said.contains(name), "{said}");
    }
    assert_eq!(held_uids(&scene, &class).await, before);

    let force = json!({ "spec": { "force": true } });
    scene.merge(&kustomization_kind(), "app", force).await;
    scene.ready("app", &second).await;
    let after = held_uids(&scene, &class).await;
    let mut pairs = before.iter().zip(&after);
    assert!(pairs.all(|(before, after)| before != after), "{after:?}");
    let service = scene.get(&kind("", "v1", "Service"), "web").await;
    assert_eq!(service.data["spec"]["clusterIP"], "None");

    // What is wrong in itself would be gone for good.
    write(held(&class, json!("10.0.0.300"), "second", 2));
    scene.publish("third").await;
    let wrong = |object: &DynamicObject| match message(object).contains("10.0.0.300") {
        true => Ok(()),
        false => Err("it does not say so"),
    };
    scene
        .until("it is refused", &kustomization_kind(), "app", wrong)
        .await;
    assert_eq!(held_uids(&scene, &class).await, after);
}

#[tokio::test]
async fn sources_of_other_namespaces_may_be_forbidden() {
    let scene = Scene::with("cross", &["--no-cross-namespace-refs=true"]).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    let elsewhere = json!({ "kind": "GitRepository", "name": SOURCE, "namespace": "kube-system" });
    scene
        .sync("app", "./app", json!({ "sourceRef": elsewhere }))
        .await;
    let said = scene.failed("app", "AccessDenied").await;
    let expected = format!(
        "can't access 'GitRepository/kube-system/{SOURCE}', cross-namespace references have been blocked"
    );
    assert!(said.contains(&expected), "{said}");
    let object = scene.get(&kustomization_kind(), "app").await;
    assert_eq!(condition(&object, "Stalled").unwrap()["status"], "True");

    scene.source(json!({})).await;
    let own = json!({ "spec": { "sourceRef": { "kind": "GitRepository", "name": SOURCE, "namespace": Value::Null } } });
    scene.merge(&kustomization_kind(), "app", own).await;
    scene.ready("app", &commit).await;
}

#[tokio::test]
async fn a_ring_is_reported_on_its_members_and_stops_nobody_else() {
    let scene = Scene::start("ring").await;
    for name in ["one", "two", "outside", "beside"] {
        scene.repository.write(
            &format!("{name}/{name}.yaml"),
            config_map(name, "key", "value"),
        );
    }
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let needs = |name: &str| json!({ "dependsOn": [{ "name": name }] });
    scene.sync("one", "./one", needs("two")).await;
    scene.sync("two", "./two", needs("one")).await;
    scene.sync("outside", "./outside", needs("one")).await;
    scene.sync("beside", "./beside", json!({})).await;
    scene.ready("beside", &commit).await;
    let ring = "the dependencies form a ring";
    scene
        .until(
            ring,
            &kustomization_kind(),
            "one",
            |object| match message(object).contains(ring) {
                true => Ok(()),
                false => Err("it does not say so"),
            },
        )
        .await;
    let said = scene.failed("outside", "DependencyNotReady").await;
    assert!(!said.contains("form a ring"), "{said}");

    scene
        .repository
        .write("beside/beside.yaml", config_map("beside", "key", "new"));
    let next = scene.publish("next").await;
    scene.ready("beside", &next).await;

    let open = json!({ "spec": { "dependsOn": Value::Null } });
    scene.merge(&kustomization_kind(), "two", open).await;
    scene.ready("one", &next).await;
    scene.ready("outside", &next).await;
}

#[tokio::test]
async fn a_dependency_must_be_ready_at_the_same_revision() {
    let scene = Scene::start("same-revision").await;
    scene
        .repository
        .write("first/first.yaml", config_map("first", "key", "one"))
        .write("second/second.yaml", config_map("second", "key", "one"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("first", "./first", json!({ "retryInterval": "1s" }))
        .await;
    scene
        .sync(
            "second",
            "./second",
            json!({ "dependsOn": [{ "name": "first" }] }),
        )
        .await;
    scene.ready("second", &commit).await;

    // What the first one fails at, the second one does not begin.
    scene
        .repository
        .write("first/first.yaml", "{")
        .write("second/second.yaml", config_map("second", "key", "two"));
    scene.publish("broken").await;
    scene.failed("first", "BuildFailed").await;
    scene.failed("second", "DependencyNotReady").await;
    let second = scene.get(&config_map_kind(), "second").await;
    assert_eq!(second.data["data"]["key"], "one");

    scene
        .repository
        .write("first/first.yaml", config_map("first", "key", "two"));
    let mended = scene.publish("mended").await;
    scene.ready("second", &mended).await;
    let second = scene.get(&config_map_kind(), "second").await;
    assert_eq!(second.data["data"]["key"], "two");
}

/// The text of a Job that fails after a second.
pub(crate) fn failing_job() -> String {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": "work" },
        "spec": {
            "activeDeadlineSeconds": 1,
            "template": { "spec": {
                "restartPolicy": "Never",
                // No node takes it.
                "nodeSelector": { "none": "such" },
                "containers": [{ "name": "work", "image": "nginx:1.29" }],
            } },
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_failed_job_ends_the_wait_early() {
    let scene = Scene::start("failed-job").await;
    scene.repository.write("app/job.yaml", failing_job());
    scene.repository.publish("first");
    scene.source(json!({})).await;
    let spec = json!({ "wait": true, "timeout": "10m", "retryInterval": "10m" });
    scene.sync("app", "./app", spec).await;
    let said = scene.failed("app", "HealthCheckFailed").await;
    assert!(
        said.contains("failed early due to stalled resources: [Job/"),
        "{said}"
    );
}

/// A Job that ends as soon as it is seen: it needs no pod at all.
fn job(name: &str, ttl: Option<u32>) -> String {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name },
        "spec": {
            "ttlSecondsAfterFinished": ttl,
            "completions": 0,
            "template": { "spec": {
                "restartPolicy": "Never",
                "containers": [{ "name": "work", "image": "nginx:1.29" }],
            } },
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_job_that_expires_is_not_run_again_before_the_interval() {
    let scene = Scene::start("expired-job").await;
    let jobs = kind("batch", "v1", "Job");
    scene
        .repository
        .write("app/job.yaml", job("work", Some(0)))
        .write("clock/job.yaml", job("clock", None));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("clock", "./clock", json!({})).await;
    scene.ready("clock", &commit).await;
    scene
        .sync("app", "./app", json!({ "wait": true, "timeout": "50s" }))
        .await;
    scene.ready("app", &commit).await;
    scene.gone(&jobs, "work").await;
    // The same watch shows another Job that goes, and that comes back: by then the first one would have, too.
    let before = scene.get(&jobs, "clock").await.metadata.uid;
    scene.delete(&jobs, "clock").await;
    scene
        .until(
            "the other one is made again",
            &jobs,
            "clock",
            |object| match object.metadata.uid != before {
                true => Ok(()),
                false => Err("it is the same"),
            },
        )
        .await;
    assert!(scene.find(&jobs, "work").await.is_none());
}
