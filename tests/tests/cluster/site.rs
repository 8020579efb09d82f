//! One Kustomization in a namespace of its own, and how to look at what Weir did.

use controller::cluster::{
    Action, Applied, Client, Cluster, Identity, Known, Limits, Owner, Plan, Wanted, apply,
    install_crypto, plan,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{Object, ObjectId, Origin};
use std::path::Path;
use weir_tests::{Call, ControlPlane};

/// One Kustomization in a namespace of its own, in the name of Weir's own account.
pub(crate) struct Site {
    pub client: Client,
    pub admin: kube::Client,
    pub namespace: String,
    pub owner: Owner,
    pub known: Known,
}

impl Site {
    pub(crate) async fn new(word: &str) -> Self {
        let namespace = ControlPlane::shared().namespace(word).await;
        Self {
            client: cluster().await.client(&Identity::OwnAccount).unwrap(),
            admin: ControlPlane::shared()
                .client(ControlPlane::ADMINISTRATOR)
                .await,
            owner: Owner {
                name: namespace.as_str().into(),
                namespace: "flux-system".into(),
            },
            namespace,
            known: Known::default(),
        }
    }

    pub(crate) fn wanted(&self, yaml: &str) -> Wanted {
        Wanted {
            owner: self.owner.clone(),
            objects: objects(&yaml.replace("NAMESPACE", &self.namespace)),
            force: false,
            custom_stages: Vec::new(),
            ignore: Vec::new(),
        }
    }

    pub(crate) async fn plan(&self, yaml: &str) -> Plan {
        self.plan_of(self.wanted(yaml)).await
    }

    pub(crate) async fn plan_of(&self, wanted: Wanted) -> Plan {
        plan(&self.client, wanted, &self.known).await.unwrap()
    }

    /// Plans and applies, as a run does, and remembers what a run remembers.
    pub(crate) async fn run(&mut self, yaml: &str) -> Applied {
        let plan = self.plan(yaml).await;
        let applied = apply(&self.client, &plan).await;
        self.known.inventory = plan.inventory().with(&plan.prunes);
        self.known.proofs.extend(applied.changes.proofs());
        applied
    }

    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }
}

pub(crate) async fn cluster() -> Cluster {
    cluster_at(ControlPlane::shared().kubeconfig(ControlPlane::WEIR)).await
}

pub(crate) async fn cluster_at(kubeconfig: &Path) -> Cluster {
    install_crypto();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let context = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &context)
        .await
        .unwrap();
    Cluster::new(config, Limits::default()).unwrap()
}

pub(crate) fn objects(yaml: &str) -> Vec<Object> {
    let documents = read_documents(yaml.as_bytes(), 0, Dialect::Kustomize).unwrap();
    documents.into_iter().map(object).collect()
}

pub(crate) fn object(node: Node) -> Object {
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

pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: NAMESPACE}}\n\
         data: {{key: {value}}}\n"
    )
}

pub(crate) fn lines(applied: &Applied) -> Vec<String> {
    assert_eq!(applied.errors, []);
    applied
        .changes
        .entries
        .iter()
        .map(|entry| format!("{}/{} {}", entry.id.kind, entry.id.name, entry.done))
        .collect()
}

pub(crate) fn actions(plan: &Plan) -> Vec<&Action> {
    plan.steps.iter().map(|step| &step.action).collect()
}

/// What Weir asked of a namespace since then, or of what carries its name.
pub(crate) fn calls(position: u64, namespace: &str) -> Vec<Call> {
    let log = ControlPlane::shared().audit_log().unwrap();
    let calls = log.since(position, ControlPlane::WEIR);
    calls
        .into_iter()
        .filter(|call| call.namespace == namespace || call.name.contains(namespace))
        .collect()
}

pub(crate) fn position() -> u64 {
    ControlPlane::shared().audit_log().unwrap().position()
}

pub(crate) const FOUR: &str = "
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
