//! Updates: what a plan shows, what it refuses, what it heeds.

use super::site::{FOUR, Site, actions, calls, config_map, lines, position};
use controller::cluster::plan::Skip;
use controller::cluster::{Action, Shown, Wanted, apply};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn an_update_shows_its_leaves_and_writes_only_what_differs() {
    let mut site = Site::new("update").await;
    site.run(&(FOUR.to_owned() + &config_map("one", "a"))).await;
    let changed =
        FOUR.replace("nginx:1", "nginx:2") + &config_map("one", "a") + &config_map("two", "b");
    let plan = site.plan(&changed).await;
    let shown: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| step.action != Action::Unchanged)
        .map(|step| {
            (
                step.id.name.clone(),
                step.action.clone(),
                step.changes.len(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("two".into(), Action::Create, 0),
            ("web".into(), Action::Configure, 1)
        ]
    );
    let change = &plan
        .steps
        .iter()
        .find(|step| step.action == Action::Configure)
        .unwrap()
        .changes[0];
    assert_eq!(change.path, "spec.template.spec.containers[web].image");
    assert_eq!(change.before, Some(Shown::Value(json!("nginx:1"))));
    assert_eq!(change.after, Some(Shown::Value(json!("nginx:2"))));
    let begin = position();
    let applied = apply(&site.client, &plan).await;
    assert_eq!(applied.changes.changed().count(), 2);
    assert_eq!(calls(begin, &site.namespace).len(), 2);
}

#[tokio::test]
async fn every_dry_run_error_is_reported_and_nothing_is_written() {
    let mut site = Site::new("errors").await;
    site.run(&config_map("one", "a")).await;
    let broken = FOUR
        .replace("port: 80}]", "port: 800000}]")
        .replace("pathType: Prefix", "pathType: Wrong");
    let plan = site.plan(&(broken + &config_map("one", "b"))).await;
    let failed: BTreeSet<_> = plan
        .errors
        .iter()
        .map(|error| error.id.kind.clone())
        .collect();
    assert_eq!(
        failed,
        BTreeSet::from(["Ingress".into(), "Service".into()]),
        "{:?}",
        plan.errors
    );
    assert!(
        plan.errors[0]
            .to_string()
            .contains("dry-run failed (Invalid): "),
        "{}",
        plan.errors[0]
    );
    let applied = apply(&site.client, &plan).await;
    assert_eq!(applied.errors, plan.errors);
    let one = site.config_maps().get("one").await.unwrap();
    assert_eq!(one.data.unwrap()["key"], "a");
}

#[tokio::test]
async fn what_kubectl_has_added_goes() {
    let mut site = Site::new("kubectl").await;
    site.run(&config_map("one", "ours")).await;
    let edit = json!({"data": {"key": "theirs", "added": "theirs"}});
    let kubectl = PatchParams {
        field_manager: Some("kubectl-edit".into()),
        ..PatchParams::default()
    };
    site.config_maps()
        .patch("one", &kubectl, &Patch::Merge(&edit))
        .await
        .unwrap();
    let applied = site.run(&config_map("one", "ours")).await;
    assert_eq!(lines(&applied), ["ConfigMap/one configured"]);
    let one = site.config_maps().get("one").await.unwrap();
    assert_eq!(
        one.data.unwrap().into_iter().collect::<Vec<_>>(),
        [("key".into(), "ours".into())]
    );
    let managers: Vec<_> = one
        .metadata
        .managed_fields
        .unwrap()
        .into_iter()
        .map(|entry| entry.manager.unwrap())
        .collect();
    assert_eq!(managers, ["kustomize-controller"]);
}

#[tokio::test]
async fn an_immutable_field_is_an_error_or_with_force_a_replacement() {
    let mut site = Site::new("force").await;
    site.run(FOUR).await;
    let other = FOUR.replace("app: web", "app: other");
    let plan = site.plan(&other).await;
    assert_eq!(plan.errors.len(), 1);
    assert!(
        plan.errors[0].message.contains("field is immutable"),
        "{}",
        plan.errors[0]
    );
    let forced = Wanted {
        force: true,
        ..site.wanted(&other)
    };
    let plan = site.plan_of(forced).await;
    let replaced = plan
        .steps
        .iter()
        .find(|step| step.id.kind == "Deployment")
        .unwrap();
    assert_eq!(
        replaced.action,
        Action::Replace(vec!["spec.selector".into()])
    );
    let applied = apply(&site.client, &plan).await;
    assert!(lines(&applied).contains(&"Deployment/web created".to_owned()));
}

#[tokio::test]
async fn force_does_not_answer_other_refusals() {
    let mut site = Site::new("noforce").await;
    site.run(FOUR).await;
    let broken = FOUR.replace("replicas: 0", "replicas: -1");
    let forced = Wanted {
        force: true,
        ..site.wanted(&broken)
    };
    let plan = site.plan_of(forced).await;
    assert_eq!(plan.errors.len(), 1, "{:?}", actions(&plan));
}

#[tokio::test]
async fn settings_in_git_and_in_the_cluster_are_heeded() {
    let mut site = Site::new("settings").await;
    site.run(&(config_map("live", "a") + &config_map("present", "a")))
        .await;
    let disable =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}});
    let hand = PatchParams {
        field_manager: Some("hand".into()),
        ..PatchParams::default()
    };
    site.config_maps()
        .patch("live", &hand, &Patch::Merge(&disable))
        .await
        .unwrap();
    let annotated = |name: &str, key: &str, value: &str| {
        config_map(name, "b").replace(
            "NAMESPACE}",
            &format!("NAMESPACE, annotations: {{kustomize.toolkit.fluxcd.io/{key}: {value}}}}}"),
        )
    };
    let yaml = config_map("live", "b")
        + &annotated("present", "ssa", "IfNotPresent")
        + &annotated("absent", "ssa", "IfNotPresent")
        + &annotated("ignored", "ssa", "Ignore")
        + &annotated("disabled", "reconcile", "disabled");
    let plan = site.plan(&yaml).await;
    assert_eq!(
        actions(&plan),
        [
            &Action::Create,
            &Action::Skip(Skip::ReconcileDisabled),
            &Action::Skip(Skip::Ignored),
            &Action::Skip(Skip::ReconcileDisabled),
            &Action::Skip(Skip::Present),
        ]
    );
}

#[tokio::test]
async fn fields_that_a_built_in_kind_lacks_are_dropped_with_a_warning() {
    let mut site = Site::new("undeclared").await;
    let odd = FOUR
        .replace("replicas: 0", "replicas: 0\n  typo: 1")
        .replace("image: 'nginx:1'", "image: 'nginx:1', extra: {a: 1}");
    let applied = site.run(&odd).await;
    assert!(lines(&applied).contains(&"Deployment/web created".to_owned()));
    let plan = site.plan(&odd.replace("nginx:1", "nginx:2")).await;
    assert_eq!(plan.errors, []);
    let prefix = format!("Deployment/{}/web: unknown field ", site.namespace);
    assert_eq!(
        plan.warnings.iter().cloned().collect::<BTreeSet<_>>(),
        BTreeSet::from([
            format!("{prefix}.spec.typo is not applied"),
            format!("{prefix}.spec.template.spec.containers[name=\"web\"].extra is not applied"),
        ])
    );
    assert_eq!(
        apply(&site.client, &plan).await.changes.changed().count(),
        1
    );
}

#[tokio::test]
async fn an_object_that_does_not_fit_its_schema_is_invalid_and_not_worth_a_repeat() {
    let mut site = Site::new("misfit").await;
    site.run(&config_map("one", "a")).await;
    let plan = site.plan(&config_map("one", "1")).await;
    assert_eq!(plan.errors.len(), 1);
    assert_eq!(
        (plan.errors[0].code, plan.errors[0].transient),
        (422, false)
    );
    assert!(
        plan.errors[0]
            .message
            .contains(".data.key: expected string"),
        "{}",
        plan.errors[0]
    );
}
