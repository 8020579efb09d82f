//! The cluster as the demo's people see it: apply, look, wait, edit.

use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use weir_tests::objects::{git_repository_kind, kind, kustomization_kind};

/// How long the demo waits for anything.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// What went wrong, for the reader of the demo.
pub(crate) type Told<T = ()> = Result<T, String>;

/// The cluster, as its administrator.
pub(crate) struct Cluster {
    client: Client,
}

impl Cluster {
    /// Brings what a bootstrap brings: the custom resources, the namespace, the key.
    pub(crate) async fn prepare(client: Client) -> Self {
        let cluster = Self { client };
        let deploy = root().join("deploy");
        for file in files(&deploy.join("crds")) {
            if !file.ends_with("kustomization.yaml") {
                cluster
                    .apply_file(&file)
                    .await
                    .expect("install the custom resources");
            }
        }
        cluster.established(&kustomization_kind()).await;
        cluster.established(&git_repository_kind()).await;
        cluster
            .apply_file(&deploy.join("namespace.yaml"))
            .await
            .expect("create flux-system");
        let key = std::fs::read_to_string(root().join("examples/flux-structure/age.agekey"));
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "sops-age", "namespace": "flux-system" },
            "stringData": { "age.agekey": key.expect("read the key of the example") },
        });
        cluster
            .apply(secret)
            .await
            .expect("store the key of the example");
        cluster
    }

    async fn established(&self, kind: &ApiResource) {
        let begun = Instant::now();
        while self.list(kind).await.is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the API server does not serve {}",
                kind.kind
            );
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn list(&self, kind: &ApiResource) -> kube::Result<Vec<DynamicObject>> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        Ok(api.list(&ListParams::default()).await?.items)
    }

    /// Applies every document of a file, as an administrator.
    pub(crate) async fn apply_file(&self, path: &Path) -> Told {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let documents =
            overlay::yaml::read_documents(&bytes, 0, overlay::yaml::Dialect::Kubernetes)
                .map_err(|error| error.to_string())?;
        for document in documents {
            self.apply(overlay::yaml::to_json(
                &document,
                overlay::yaml::Secrets::Masked,
            ))
            .await?;
        }
        Ok(())
    }

    /// Applies one object, as an administrator.
    pub(crate) async fn apply(&self, object: Value) -> Told {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (group, version) = text("/apiVersion")
            .split_once('/')
            .unwrap_or(("", text("/apiVersion")));
        let resource = kind(group, version, text("/kind"));
        let api = self.api(&resource, text("/metadata/namespace"));
        let params = PatchParams::apply("demo").force();
        api.patch(text("/metadata/name"), &params, &Patch::Apply(&object))
            .await
            .map(|_| ())
            .map_err(|error| format!("apply {}: {error}", text("/metadata/name")))
    }

    /// Someone's `kubectl edit`.
    pub(crate) async fn edit(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Told {
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..Default::default()
        };
        self.api(resource, namespace)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .map(|_| ())
            .map_err(|error| format!("edit {name}: {error}"))
    }

    /// What a webhook or `weir reconcile` does after a push.
    pub(crate) async fn request_fetch(&self) -> Told {
        let now = Instant::now();
        let token = format!("demo-{now:?}");
        let patch =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
        self.edit(&git_repository_kind(), "flux-system", "flux-system", patch)
            .await
    }

    /// Waits until an object satisfies a test; the time since `since`.
    pub(crate) async fn until(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        since: Instant,
        test: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Told<Duration> {
        let api = self.api(resource, namespace);
        let mut last = None;
        while since.elapsed() < PATIENCE {
            last = api
                .get_opt(name)
                .await
                .map_err(|error| format!("get {name}: {error}"))?;
            if test(last.as_ref()) {
                return Ok(since.elapsed());
            }
            tokio::time::sleep(INTERVAL).await;
        }
        let seen = last.map_or_else(|| "nothing".to_owned(), |object| object.data.to_string());
        Err(format!(
            "{} {name} is not as expected after {PATIENCE:?}; it is {seen}",
            resource.kind
        ))
    }

    /// Waits until every Kustomization that is there is Ready, and at least `least` are; their names.
    pub(crate) async fn all_ready(&self, least: usize) -> Told<Vec<String>> {
        let begun = Instant::now();
        let mut waiting = String::new();
        while begun.elapsed() < PATIENCE {
            let all = self
                .list(&kustomization_kind())
                .await
                .map_err(|error| error.to_string())?;
            let (ready, not): (Vec<_>, Vec<_>) = all.iter().partition(|object| is_ready(object));
            if not.is_empty() && ready.len() >= least {
                return Ok(ready.iter().map(|object| object.name_any()).collect());
            }
            waiting = not
                .iter()
                .map(|object| format!("{}: {}; ", object.name_any(), message(object)))
                .collect();
            tokio::time::sleep(INTERVAL).await;
        }
        Err(format!("not ready after {PATIENCE:?}: {waiting}"))
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        if namespace.is_empty() {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, resource)
        }
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("list a folder").path())
        .collect()
}

fn ready(object: &DynamicObject) -> Option<&Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
}

/// Whether the object's Ready condition is True.
pub(crate) fn is_ready(object: &DynamicObject) -> bool {
    ready(object).is_some_and(|condition| condition["status"] == "True")
}

/// What the Ready condition says.
pub(crate) fn message(object: &DynamicObject) -> String {
    ready(object)
        .and_then(|condition| condition["message"].as_str())
        .unwrap_or("waiting")
        .to_owned()
}
