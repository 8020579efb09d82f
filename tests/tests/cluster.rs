//! Plan, apply and prune against a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use controller::cluster::plan::{Skip, Unchecked};
use controller::cluster::{
    Action, Applied, Client, Cluster, Done, How, Identity, Inventory, Kept, Known, Limits, Owner,
    Plan, Report, Shown, Wanted, Watches, apply, install_crypto, plan, prune,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use overlay::yaml::{Dialect, Node, Secret as Sealed, Style, Tag, Value, read_documents};
use overlay::{Object, ObjectId, Origin};
use serde_json::json;
use tokio::sync::mpsc;
use weir_tests::{Call, ControlPlane, Fault, FaultProxy, count_by, eventually};

/// One Kustomization in a namespace of its own, in the name of Weir's own account.
struct Site {
    client: Client,
    admin: kube::Client,
    namespace: String,
    owner: Owner,
    known: Known,
}

async fn cluster() -> Cluster {
    cluster_at(ControlPlane::shared().kubeconfig(ControlPlane::WEIR)).await
}

async fn cluster_at(kubeconfig: &Path) -> Cluster {
    install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let context = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &context)
        .await
        .unwrap();
    Cluster::new(config, Limits::default()).unwrap()
}

impl Site {
    async fn new(word: &str) -> Self {
        let namespace = ControlPlane::shared().namespace(word).await;
        Self {
            client: cluster().await.client(&Identity::OwnAccount).unwrap(),
            admin: ControlPlane::shared()
                .client(ControlPlane::ADMINISTRATOR)
                .await,
            owner: Owner {
                name: namespace.clone(),
                namespace: "flux-system".into(),
            },
            namespace,
            known: Known::default(),
        }
    }

    fn wanted(&self, yaml: &str) -> Wanted {
        Wanted {
            owner: self.owner.clone(),
            objects: objects(&yaml.replace("NAMESPACE", &self.namespace)),
            force: false,
            custom_stages: Vec::new(),
        }
    }

    async fn plan(&self, yaml: &str) -> Plan {
        plan(&self.client, self.wanted(yaml), &self.known)
            .await
            .unwrap()
    }

    /// Plans and applies, as a run does, and remembers what a run remembers.
    async fn run(&mut self, yaml: &str) -> Applied {
        let plan = self.plan(yaml).await;
        let applied = apply(&self.client, &plan).await;
        self.known.inventory = plan.inventory().with(&plan.prunes);
        self.known.proofs.extend(applied.changes.proofs());
        applied
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }
}

fn objects(yaml: &str) -> Vec<Object> {
    let documents = read_documents(yaml.as_bytes(), 0, Dialect::Kustomize).unwrap();
    documents.into_iter().map(object).collect()
}

fn object(node: Node) -> Object {
    let text = |path: &[&str]| node.find_str(path).unwrap_or_default().to_owned();
    let api_version = text(&["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    Object {
        id: ObjectId {
            group: group.into(),
            version: version.into(),
            kind: text(&["kind"]),
            namespace: text(&["metadata", "namespace"]),
            name: text(&["metadata", "name"]),
        },
        node,
        origin: Origin::default(),
    }
}

fn config_map(name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: NAMESPACE}}\n\
         data: {{key: {value}}}\n"
    )
}

fn lines(applied: &Applied) -> Vec<String> {
    assert_eq!(applied.errors, []);
    applied
        .changes
        .entries
        .iter()
        .map(|entry| format!("{}/{} {}", entry.id.kind, entry.id.name, entry.done))
        .collect()
}

fn actions(plan: &Plan) -> Vec<&Action> {
    plan.steps.iter().map(|step| &step.action).collect()
}

/// What Weir asked of a namespace since then, or of what carries its name.
fn calls(position: u64, namespace: &str) -> Vec<Call> {
    let log = ControlPlane::shared().audit_log().unwrap();
    let calls = log.since(position, ControlPlane::WEIR);
    calls
        .into_iter()
        .filter(|call| call.namespace == namespace || call.name.contains(namespace))
        .collect()
}

fn position() -> u64 {
    ControlPlane::shared().audit_log().unwrap().position()
}

const FOUR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NAMESPACE}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'nginx:1', ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NAMESPACE}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: NAMESPACE}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NAMESPACE}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
";

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
    let (watches, mut reports) = controller::cluster::Watches::new(site.client.clone());
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
        if let controller::cluster::Report::Complete(resource) = reports.recv().await.unwrap() {
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
    let plan = controller::cluster::plan(&site.client, forced, &site.known)
        .await
        .unwrap();
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
    let plan = controller::cluster::plan(&site.client, forced, &site.known)
        .await
        .unwrap();
    assert_eq!(plan.errors.len(), 1, "{:?}", actions(&plan));
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
    let broken = yaml.replace("size: 1", "size: much")
        + "---"
        + &DEFINITION
            .replace("things.", "others.")
            .replace("Thing", "Other")
            .replace("things", "others")
            .replace("size: 1", "size: wrong");
    let plan = site
        .plan(&broken.replace("kind: Namespace\n", "kind: Namespace\n"))
        .await;
    // The pending kind's error can only come after its definition; the served kind's comes before any write.
    assert!(
        plan.errors.iter().any(|error| error.id.kind == "Thing"),
        "{:?}",
        plan.errors
    );
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
async fn only_what_is_proved_ours_is_pruned() {
    let mut site = Site::new("prune").await;
    let names = ["plain", "asked", "relabelled", "replaced", "gone"];
    let all: String = names.iter().map(|name| config_map(name, "a")).collect();
    site.run(&all).await;
    let maps = site.config_maps();
    let hand = PatchParams {
        field_manager: Some("hand".into()),
        ..PatchParams::default()
    };
    let asks =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    maps.patch("asked", &hand, &Patch::Merge(&asks))
        .await
        .unwrap();
    let other = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}});
    maps.patch("relabelled", &hand, &Patch::Merge(&other))
        .await
        .unwrap();
    let mut again = maps.get("replaced").await.unwrap();
    maps.delete("replaced", &Default::default()).await.unwrap();
    again.metadata.resource_version = None;
    again.metadata.uid = None;
    maps.create(&PostParams::default(), &again).await.unwrap();
    maps.delete("gone", &Default::default()).await.unwrap();

    let plan = site.plan(&config_map("other", "a")).await;
    assert_eq!(plan.prunes.len(), 5);
    let pruned = prune(&site.client, &site.owner, &plan.prunes, &site.known.proofs).await;
    assert_eq!(pruned.errors, []);
    let kept: Vec<_> = pruned
        .kept
        .iter()
        .map(|(id, why)| (id.name.as_str(), *why))
        .collect();
    assert_eq!(
        kept,
        [
            ("replaced", Kept::Replaced),
            ("relabelled", Kept::NotOwned),
            ("asked", Kept::Asked)
        ]
    );
    let left: Vec<_> = maps
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert_eq!(
        left,
        ["asked", "kube-root-ca.crt", "relabelled", "replaced"]
    );
}

#[tokio::test]
async fn a_kind_that_is_gone_is_pruned() {
    let site = Site::new("nokind").await;
    let id = ObjectId {
        group: "gone.example.org".into(),
        version: "v1".into(),
        kind: "Gone".into(),
        namespace: site.namespace.clone(),
        name: "one".into(),
    };
    let pruned = prune(&site.client, &site.owner, &[id], &site.known.proofs).await;
    assert_eq!(pruned.errors, []);
    assert_eq!(pruned.changes.entries[0].done, Done::Deleted);
}

#[tokio::test]
async fn every_request_carries_the_service_account() {
    let mut site = Site::new("account").await;
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "deployer"}})).unwrap();
    Api::namespaced(site.admin.clone(), &site.namespace)
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let identity = Identity::ServiceAccount {
        namespace: site.namespace.clone(),
        name: "deployer".into(),
    };
    site.client = cluster().await.client(&identity).unwrap();
    let applied = site.run(&config_map("one", "a")).await;
    assert_eq!(applied.errors.len(), 1);
    assert!(
        applied.errors[0]
            .to_string()
            .contains("apply failed (Forbidden): "),
        "{}",
        applied.errors[0]
    );

    let role: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": site.namespace}]})).unwrap();
    let bindings: Api<DynamicObject> = Api::namespaced_with(
        site.admin.clone(),
        &site.namespace,
        &weir_tests::objects::kind("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    );
    bindings
        .create(&PostParams::default(), &role)
        .await
        .unwrap();
    // The authorizer learns of the binding a moment later.
    eventually(
        Duration::from_secs(30),
        "the account may apply",
        async || {
            let plan = site.plan(&config_map("one", "a")).await;
            match apply(&site.client, &plan).await.errors.pop() {
                Some(error) => Err(error),
                None => Ok(()),
            }
        },
    )
    .await;
    let begin = position();
    site.known = Known::default();
    site.run(&config_map("one", "a")).await;
    site.run(&config_map("one", "b")).await;
    let inventory = Inventory::default().with(&site.known.inventory.objects);
    prune(
        &site.client,
        &site.owner,
        &inventory.objects,
        &site.known.proofs,
    )
    .await;
    let user = format!("system:serviceaccount:{}:deployer", site.namespace);
    let calls = calls(begin, &site.namespace);
    assert!(calls.iter().any(|call| call.verb == "delete"), "{calls:?}");
    assert!(
        calls
            .iter()
            .all(|call| call.impersonated.as_deref() == Some(&user)),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_secret_is_applied_in_the_clear_and_shown_nowhere() {
    let mut site = Site::new("secret").await;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NAMESPACE}\nstringData: {password: PLAIN}\n";
    site.run(&yaml.replace("PLAIN", "old-password")).await;
    let mut wanted = site.wanted(yaml);
    let data = wanted.objects[0]
        .node
        .get_mut("stringData")
        .unwrap()
        .as_mapping_mut()
        .unwrap();
    data.insert(
        "password",
        Value::Secret(Sealed::new("hunter22-new".into(), Tag::Str, Style::Plain)).into(),
    );
    let plan = controller::cluster::plan(&site.client, wanted, &site.known)
        .await
        .unwrap();
    assert_eq!(plan.steps[0].changes[0].path, "data.password");
    let applied = apply(&site.client, &plan).await;
    let text = format!("{plan:?}{applied:?}");
    for secret in [
        "hunter22-new",
        "aHVudGVyMjItbmV3",
        "old-password",
        "b2xkLXBhc3N3b3Jk",
    ] {
        assert!(!text.contains(secret), "{secret} is shown");
    }
    let secrets: Api<Secret> = Api::namespaced(site.admin.clone(), &site.namespace);
    let live = secrets.get("s").await.unwrap();
    assert_eq!(live.data.unwrap()["password"].0, b"hunter22-new");
}

#[tokio::test]
async fn a_refused_secret_is_reported_without_its_value() {
    let mut site = Site::new("refused").await;
    let yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NAMESPACE}\ntype: kubernetes.io/tls\n\
                stringData: {tls.crt: hunter22, tls.key: hunter22}\nimmutable: true\n";
    site.run(&yaml.replace("immutable: true", "")).await;
    let broken = yaml.replace("kubernetes.io/tls", "Opaque");
    let plan = site.plan(&broken).await;
    assert_eq!(plan.errors.len(), 1);
    let text = format!("{plan:?}{}", plan.errors[0]);
    assert!(
        !text.contains("hunter22") && plan.errors[0].message.contains("type"),
        "{text}"
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

/// The next report about a site's Service; all its other objects may be touched, by their controllers.
async fn next_change(reports: &mut mpsc::Receiver<Report>, owner: &Owner) -> How {
    let next = async {
        loop {
            match reports.recv().await.unwrap() {
                Report::Changed(changed) if changed.owner != *owner => {}
                Report::Changed(changed) if changed.key.kind == "Service" => return changed.how,
                Report::Changed(changed) => assert_eq!(changed.how, How::Touched, "{changed:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), next)
        .await
        .expect("a report")
}

#[tokio::test]
async fn the_watches_tell_what_concerns_proofs_from_what_does_not() {
    let mut site = Site::new("watch").await;
    site.run(FOUR).await;
    let (watches, mut reports) = Watches::new(site.client.clone());
    site.known.live = watches.live();
    let plan = site.plan(FOUR).await;
    let resources = plan.steps.iter().filter_map(|step| step.resource.clone());
    watches.want(&site.owner, resources.collect());
    assert_eq!(watches.count(), 4);
    let mut complete = 0;
    while complete < 4 {
        complete += usize::from(matches!(reports.recv().await.unwrap(), Report::Complete(_)));
    }
    let drift = |site: &Site| {
        let drifted =
            controller::cluster::live::drifted(&site.owner, &site.known.proofs, &site.known.live);
        drifted.into_values().collect::<Vec<_>>()
    };
    assert_eq!(drift(&site), []);

    let hand = PatchParams {
        field_manager: Some("hand".into()),
        ..PatchParams::default()
    };
    let services: Api<k8s_openapi::api::core::v1::Service> =
        Api::namespaced(site.admin.clone(), &site.namespace);
    let foreign = json!({"metadata": {"annotations": {"note": "theirs"}}});
    services
        .patch("web", &hand, &Patch::Merge(&foreign))
        .await
        .unwrap();
    assert_eq!(next_change(&mut reports, &site.owner).await, How::Touched);
    assert_eq!(drift(&site), []);

    let taken = json!({"spec": {"selector": {"app": "theirs"}}});
    services
        .patch("web", &hand, &Patch::Merge(&taken))
        .await
        .unwrap();
    let since = Instant::now();
    assert_eq!(next_change(&mut reports, &site.owner).await, How::Altered);
    eprintln!("a foreign edit was seen after {:?}", since.elapsed());
    assert_eq!(drift(&site), [controller::cluster::Drift::FieldsTaken]);
    assert_eq!(
        lines(&site.run(FOUR).await)
            .iter()
            .filter(|line| line.ends_with("configured"))
            .count(),
        1
    );

    services.delete("web", &Default::default()).await.unwrap();
    while next_change(&mut reports, &site.owner).await != How::Gone {}
    assert_eq!(drift(&site), [controller::cluster::Drift::Missing]);

    watches.want(&site.owner, BTreeSet::new());
    assert_eq!(watches.count(), 0);
    assert!(site.known.live.is_empty());
}

#[tokio::test]
async fn a_kind_that_may_not_be_watched_is_reported() {
    let site = Site::new("unwatchable").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let client = cluster_at(&proxy.kubeconfig())
        .await
        .client(&Identity::OwnAccount)
        .unwrap();
    let plan = site.plan(&config_map("one", "a")).await;
    let resource = plan.steps[0].resource.clone().unwrap();
    let forbidden = Fault::Answer(hyper::StatusCode::FORBIDDEN);
    proxy.inject(forbidden, |line| line.path == "/api/v1/configmaps", 0..1);
    let (watches, mut reports) = Watches::new(client);
    watches.want(&site.owner, BTreeSet::from([resource.clone()]));
    let report = tokio::time::timeout(Duration::from_secs(30), reports.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&report, Report::Unwatchable(kind, _) if *kind == resource),
        "{report:?}"
    );
}

#[tokio::test]
async fn weather_is_ridden_out() {
    let mut site = Site::new("weather").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    site.client = cluster_at(&proxy.kubeconfig())
        .await
        .client(&Identity::OwnAccount)
        .unwrap();
    let is_patch = |line: &weir_tests::RequestLine| line.method == "PATCH";
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
