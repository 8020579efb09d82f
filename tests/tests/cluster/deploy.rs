//! First deploys: requests, conflicts, definitions, weather.

use super::site::{FOUR, Site, actions, calls, cluster_at, config_map, lines, position};
use controller::cluster::plan::Unchecked;
use controller::cluster::{Action, Done, Identity, Report, Watches, apply};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use weir_tests::{Call, ControlPlane, Fault, FaultProxy, RequestLine, count_by};

#[tokio::test]
async fn a_first_deploy_is_one_request_an_object_and_a_proven_rerun_is_none() {
    let mut site = Site::new("first").await;
    let begin = position();
    let applied = site.run(FOUR).await;
    assert_eq!(
        lines(&applied),
        [
            "ServiceAccount/web created",
            "Service/web created",
            "Deployment/web created",
            "Ingress/web created"
        ]
    );
    let counts = count_by(&calls(begin, &site.namespace), |call| call.verb.clone());
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("patch".to_owned(), 4)]
    );

    // The proofs are compared with what a watch shows.
    let (watches, mut reports) = Watches::new(site.client.clone());
    let plan = site.plan(FOUR).await;
    watches.want(
        &site.owner,
        plan.steps
            .iter()
            .filter_map(|step| step.resource.clone())
            .collect(),
    );
    let mut complete = BTreeSet::new();
    while complete.len() < 4 {
        if let Report::Complete(resource) = reports.recv().await.unwrap() {
            complete.insert(resource);
        }
    }
    site.known.live = watches.live();
    let begin = position();
    let plan = site.plan(FOUR).await;
    assert!(!plan.has_changes(), "{:?}", actions(&plan));
    let applied = apply(&site.client, &plan).await;
    assert!(
        applied
            .changes
            .entries
            .iter()
            .all(|entry| entry.done == Done::Unchanged)
    );
    assert_eq!(calls(begin, &site.namespace).len(), 0);
}

#[tokio::test]
async fn without_a_watch_an_unchanged_object_is_one_dry_run() {
    let mut site = Site::new("dry").await;
    site.run(FOUR).await;
    // The server dates by the second, and an apply of the last seconds cannot be told from the dry-run.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begin = position();
    let plan = site.plan(FOUR).await;
    assert!(!plan.has_changes(), "{:?}", actions(&plan));
    let calls = calls(begin, &site.namespace);
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(Call::is_dry_run));
}

#[tokio::test]
async fn an_object_of_someone_else_is_met_by_a_conflict_and_then_checked_and_taken() {
    let mut site = Site::new("meet").await;
    let existing: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "one"}, "data": {"key": "theirs", "other": "theirs"}}))
    .unwrap();
    site.config_maps()
        .create(&PostParams::default(), &existing)
        .await
        .unwrap();
    let plan = site.plan(&config_map("one", "ours")).await;
    assert_eq!(
        actions(&plan),
        [&Action::CreateUnchecked(Unchecked::FirstDeploy)]
    );
    let applied = site.run(&config_map("one", "ours")).await;
    assert_eq!(lines(&applied), ["ConfigMap/one configured"]);
    let data = site.config_maps().get("one").await.unwrap().data.unwrap();
    assert_eq!((&*data["key"], &*data["other"]), ("ours", "theirs"));
}

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NAMESPACE.example.org}
spec:
  group: NAMESPACE.example.org
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE-new}
---
apiVersion: NAMESPACE.example.org/v1
kind: Thing
metadata: {name: thing, namespace: NAMESPACE-new}
spec: {size: 1}
";

#[tokio::test]
async fn a_definition_its_namespace_and_its_object_come_in_one_set() {
    let mut site = Site::new("definition").await;
    // Not a first deploy: the strict way.
    site.run(&config_map("one", "a")).await;
    let yaml = config_map("one", "a") + "---" + DEFINITION;
    let plan = site.plan(&yaml).await;
    assert_eq!(plan.errors, []);
    let thing = plan
        .steps
        .iter()
        .find(|step| step.id.kind == "Thing")
        .unwrap();
    assert!(
        matches!(thing.action, Action::CreateUnchecked(_)),
        "{:?}",
        thing.action
    );
    let applied = site.run(&yaml).await;
    assert!(
        lines(&applied).contains(&"Thing/thing created".to_owned()),
        "{applied:?}"
    );
    let again = site.run(&yaml).await;
    assert_eq!(again.changes.changed().count(), 0, "{again:?}");
}

#[tokio::test]
async fn a_broken_object_of_a_pending_kind_is_found_once_its_definition_is_in_force() {
    let mut site = Site::new("pending").await;
    site.run(&config_map("one", "a")).await;
    let yaml = config_map("one", "b") + "---" + &DEFINITION.replace("size: 1", "size: much");
    let plan = site.plan(&yaml).await;
    assert_eq!(plan.errors, []);
    let applied = apply(&site.client, &plan).await;
    let failed: Vec<_> = applied
        .errors
        .iter()
        .map(|error| error.id.kind.as_str())
        .collect();
    assert_eq!(failed, ["Thing"]);
    // What was done before is told, and what belongs to the failed stage was not begun.
    let done: Vec<_> = applied
        .changes
        .entries
        .iter()
        .map(|entry| entry.id.kind.as_str())
        .collect();
    assert_eq!(done, ["CustomResourceDefinition", "Namespace"]);
    let one = site.config_maps().get("one").await.unwrap();
    assert_eq!(one.data.unwrap()["key"], "a");
}

#[tokio::test]
async fn weather_is_ridden_out() {
    let mut site = Site::new("weather").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    site.client = cluster_at(&proxy.kubeconfig())
        .await
        .client(&Identity::OwnAccount)
        .unwrap();
    let is_patch = |line: &RequestLine| line.method == "PATCH";
    proxy.inject(
        Fault::Answer(hyper::StatusCode::TOO_MANY_REQUESTS),
        is_patch,
        0..1,
    );
    proxy.inject(
        Fault::Answer(hyper::StatusCode::SERVICE_UNAVAILABLE),
        is_patch,
        1..2,
    );
    proxy.inject(Fault::Cut, is_patch, 2..3);
    let applied = site.run(&config_map("one", "a")).await;
    assert_eq!(lines(&applied), ["ConfigMap/one created"]);
    assert_eq!(
        proxy
            .requests()
            .iter()
            .filter(|line| is_patch(line))
            .count(),
        4
    );
}
