//! What an end-to-end test begins with: a namespace, a repository on a server, and a Weir that looks after
//! this namespace alone.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use overlay::yaml::{Dialect, Secrets, read_documents, to_json};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_client::get;
use crate::objects::{
    api, git_repository, git_repository_kind, kind, kustomization, kustomization_kind,
};
use crate::{ControlPlane, GitServer, GitServerOptions, Repository, Weir, eventually};

/// How long a test waits for anything: far more than it takes, for machines that do much else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the GitRepository in every scene.
pub const SOURCE: &str = "fleet";

/// A namespace with its own Weir, Git server and repository.
pub struct Scene {
    /// The controller. First of all, so that it ends before what it uses.
    pub weir: Weir,
    /// The administrator's client.
    pub client: Client,
    /// The namespace of this test.
    pub namespace: String,
    /// The working repository.
    pub repository: Repository,
    /// The server that it pushes to.
    pub server: GitServer,
    storage: TempDir,
}

impl Scene {
    /// Sets the scene on the shared control plane.
    pub async fn start(word: &str) -> Scene {
        let control_plane = ControlPlane::shared();
        let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
        Scene::on(control_plane, kubeconfig, word, GitServerOptions::default()).await
    }

    /// Sets the scene on the shared control plane, with more flags for Weir.
    pub async fn with(word: &str, flags: &[&str]) -> Scene {
        let control_plane = ControlPlane::shared();
        let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
        let options = GitServerOptions::default();
        Scene::set(control_plane, kubeconfig, word, options, flags).await
    }

    /// Sets the scene with a kubeconfig for Weir and a Git server of a certain kind.
    pub async fn on(
        control_plane: &ControlPlane,
        kubeconfig: &Path,
        word: &str,
        options: GitServerOptions,
    ) -> Scene {
        Scene::set(control_plane, kubeconfig, word, options, &[]).await
    }

    /// Sets the scene with a kubeconfig for Weir, a Git server of a certain kind, and more flags.
    pub async fn set(
        control_plane: &ControlPlane,
        kubeconfig: &Path,
        word: &str,
        options: GitServerOptions,
        flags: &[&str],
    ) -> Scene {
        let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
        install_definitions(&client).await;
        let namespace = control_plane.namespace(word).await;
        let server = GitServer::start(options);
        let repository = server.create_repository(SOURCE);
        let storage = tempfile::tempdir().expect("create a folder for Weir's storage");
        let more = flags.iter().map(|flag| (*flag).to_owned());
        let arguments: Vec<String> = arguments(storage.path()).into_iter().chain(more).collect();
        let weir = Weir::start_in(&namespace, kubeconfig, &arguments);
        Scene {
            weir,
            client,
            namespace,
            repository,
            server,
            storage,
        }
    }

    /// Empties Weir's disk, which must not run.
    pub fn empty_disk(&self) {
        assert_eq!(self.weir.id(), None, "Weir runs");
        for entry in std::fs::read_dir(self.storage.path()).expect("list Weir's disk") {
            let path = entry.expect("list Weir's disk").path();
            std::fs::remove_dir_all(&path)
                .unwrap_or_else(|error| panic!("remove {}: {error}", path.display()));
        }
    }

    /// The API of a kind in this namespace.
    pub fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        api(&self.client, &self.namespace, resource)
    }

    /// Creates an object in this namespace.
    pub async fn create(&self, object: &DynamicObject) {
        let api = self.api(&resource_of(object));
        let created = api.create(&PostParams::default(), object).await;
        created.unwrap_or_else(|error| panic!("create {:?}: {error}", object.metadata.name));
    }

    /// Creates the GitRepository, with more fields in its spec.
    pub async fn source(&self, spec: Value) {
        self.create(&git_repository(SOURCE, &self.server.url(SOURCE), spec))
            .await;
    }

    /// Creates a Kustomization of a folder into this namespace, with more fields in its spec.
    pub async fn sync(&self, name: &str, path: &str, mut spec: Value) {
        if spec.get("targetNamespace").is_none() {
            spec["targetNamespace"] = json!(self.namespace);
        }
        self.create(&kustomization(name, SOURCE, path, spec)).await;
    }

    /// Creates a Kustomization that opens what is encrypted with an age key, in a Secret of the namespace.
    pub async fn sync_encrypted(&self, name: &str, path: &str, key: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sops-age" },
            "stringData": { "age.agekey": key },
        });
        let secret = serde_json::from_value(secret).expect("it is an object");
        self.create(&secret).await;
        let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
        let spec = json!({ "decryption": decryption });
        self.sync(name, path, spec).await;
    }

    /// Commits, pushes, and has the source look at once. Returns the commit's id.
    pub async fn publish(&self, message: &str) -> String {
        let commit = self.repository.publish(message);
        self.request(&git_repository_kind(), SOURCE).await;
        commit
    }

    /// Asks for a reconcile now. Returns the token that `status.lastHandledReconcileAt` answers.
    pub async fn request(&self, resource: &ApiResource, name: &str) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let token = format!("{}", now.as_nanos());
        let annotation = json!({ "reconcile.fluxcd.io/requestedAt": token });
        self.merge(
            resource,
            name,
            json!({ "metadata": { "annotations": annotation } }),
        )
        .await;
        token
    }

    /// Changes an object as somebody with `kubectl` would.
    pub async fn merge(&self, resource: &ApiResource, name: &str, patch: Value) {
        self.merge_as("kubectl-edit", resource, name, patch).await;
    }

    /// Changes an object under the name of a field manager.
    pub async fn merge_as(&self, manager: &str, resource: &ApiResource, name: &str, patch: Value) {
        let parameters = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..Default::default()
        };
        let patched = self
            .api(resource)
            .patch(name, &parameters, &Patch::Merge(patch))
            .await;
        patched.unwrap_or_else(|error| panic!("edit {name}: {error}"));
    }

    /// Deletes an object, and waits for nothing.
    pub async fn delete(&self, resource: &ApiResource, name: &str) {
        let deleted = self.api(resource).delete(name, &Default::default()).await;
        deleted.unwrap_or_else(|error| panic!("delete {name}: {error}"));
    }

    /// An object of this namespace, if it exists.
    pub async fn find(&self, resource: &ApiResource, name: &str) -> Option<DynamicObject> {
        self.api(resource)
            .get_opt(name)
            .await
            .expect("read from the API server")
    }

    /// An object of this namespace, which must exist.
    pub async fn get(&self, resource: &ApiResource, name: &str) -> DynamicObject {
        let found = self.find(resource, name).await;
        found.unwrap_or_else(|| panic!("there is no {} {name}", resource.kind))
    }

    /// Waits until an object satisfies a condition, which says what is missing otherwise.
    pub async fn until<E: Display>(
        &self,
        what: &str,
        resource: &ApiResource,
        name: &str,
        condition: impl Fn(&DynamicObject) -> Result<(), E>,
    ) -> DynamicObject {
        eventually(PATIENCE, what, async || {
            match self.find(resource, name).await {
                None => Err(format!("there is no {} {name}", resource.kind)),
                Some(object) => match condition(&object) {
                    Ok(()) => Ok(object),
                    Err(missing) => Err(format!("{missing}; it is {}", object.data)),
                },
            }
        })
        .await
    }

    /// Waits until an object no longer exists.
    pub async fn gone(&self, resource: &ApiResource, name: &str) {
        let what = format!("{} {name} is gone", resource.kind);
        eventually(PATIENCE, &what, async || {
            match self.find(resource, name).await {
                None => Ok(()),
                Some(object) => Err(format!("{:?} {}", object.metadata, object.data)),
            }
        })
        .await;
    }

    /// Waits until a Kustomization has applied a commit and is Ready.
    pub async fn ready(&self, name: &str, commit: &str) -> DynamicObject {
        let revision = format!("main@sha1:{commit}");
        let what = format!("{name} is Ready at {revision}");
        self.until(&what, &kustomization_kind(), name, |object| {
            let applied = &object.data["status"]["lastAppliedRevision"];
            match condition(object, "Ready") {
                Some(ready) if ready["status"] == "True" && *applied == revision => Ok(()),
                _ => Err("it is not"),
            }
        })
        .await
    }

    /// Waits until a Kustomization is not Ready for a reason, and returns the message.
    pub async fn failed(&self, name: &str, reason: &str) -> String {
        let what = format!("{name} is not Ready because of {reason}");
        let is_so = |object: &DynamicObject| match condition(object, "Ready") {
            Some(ready) if ready["status"] == "False" && ready["reason"] == reason => Ok(()),
            _ => Err("it is something else"),
        };
        message(&self.until(&what, &kustomization_kind(), name, is_so).await)
    }

    /// Waits until a Kustomization is not Ready for whatever reason, and returns the message.
    pub async fn until_not_ready(&self, name: &str) -> String {
        let what = format!("{name} is not Ready");
        let is_so = |object: &DynamicObject| match condition(object, "Ready") {
            Some(ready) if ready["status"] == "False" => Ok(()),
            _ => Err("it is something else"),
        };
        message(&self.until(&what, &kustomization_kind(), name, is_so).await)
    }

    /// Waits until an event of a type, about a Kustomization, holds a text.
    pub async fn told(&self, kind_of_event: &str, kustomization: &str, text: &str) {
        let events = self.api(&kind("", "v1", "Event"));
        let what = format!("an event tells {kustomization} {text:?}");
        eventually(PATIENCE, &what, async || {
            let all = events.list(&ListParams::default()).await.unwrap();
            let is_it = |event: &&DynamicObject| {
                event.data["involvedObject"]["name"] == kustomization
                    && event.data["type"] == kind_of_event
                    && event.data["message"].as_str().unwrap().contains(text)
            };
            let found = all.items.iter().find(is_it);
            found.map(drop).ok_or("there is none")
        })
        .await;
    }

    /// Waits until Weir's metrics hold a line that begins so, and gives its value.
    pub async fn metric(&self, beginning: &str) -> f64 {
        let address = self.weir.address("metrics").await;
        let found = |text: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(beginning))?;
            line.rsplit(' ').next()?.parse().ok()
        };
        eventually(PATIENCE, beginning, async || {
            let (_, text) = get(&address, "/metrics").await?;
            found(&text).ok_or(text)
        })
        .await
    }

    /// Waits until a Kustomization has answered a request.
    pub async fn answered(&self, name: &str, token: &str) {
        let what = format!("{name} answers the request");
        self.until(&what, &kustomization_kind(), name, |object| {
            let handled = &object.data["status"]["lastHandledReconcileAt"];
            if *handled == token {
                Ok(())
            } else {
                Err(format!("handled: {handled}"))
            }
        })
        .await;
    }

    /// What a Kustomization has in its inventory.
    pub async fn inventory(&self, name: &str) -> BTreeSet<String> {
        inventory(&self.get(&kustomization_kind(), name).await)
    }
}

/// The ids in a Kustomization's inventory.
pub fn inventory(kustomization: &DynamicObject) -> BTreeSet<String> {
    let entries = kustomization.data["status"]["inventory"]["entries"].as_array();
    let ids = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// One condition of an object.
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// What the condition Ready of an object says.
pub fn message(object: &DynamicObject) -> String {
    let ready = condition(object, "Ready").and_then(|ready| ready["message"].as_str());
    ready.unwrap_or_default().to_owned()
}

/// A ConfigMap's API resource.
pub fn config_map_kind() -> ApiResource {
    kind("", "v1", "ConfigMap")
}

/// A Deployment's API resource.
pub fn deployment_kind() -> ApiResource {
    kind("apps", "v1", "Deployment")
}

fn resource_of(object: &DynamicObject) -> ApiResource {
    let types = object.types.as_ref().expect("an object says what it is");
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    kind(group, version, &types.kind)
}

/// Arguments that keep a Weir out of the way of others: its own storage, and ports that are free.
pub fn arguments(storage: &Path) -> [String; 4] {
    [
        format!("--storage-path={}", storage.display()),
        "--storage-addr=127.0.0.1:0".to_owned(),
        "--metrics-addr=127.0.0.1:0".to_owned(),
        "--health-addr=127.0.0.1:0".to_owned(),
    ]
}

/// The repository of Weir itself, where its definitions and examples lie.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Installs Weir's custom resources as an administrator would, and waits until they are served. They are
/// the same for all tests, so that doing it again changes nothing.
pub async fn install_definitions(client: &Client) {
    for definition in documents(&workspace().join("deploy/crds")) {
        install(client, &definition).await;
    }
}

/// Installs the definition of a kind, and waits until it is served.
pub async fn install(client: &Client, definition: &Value) {
    let definitions: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    );
    let name = definition["metadata"]["name"].as_str();
    let name = name.expect("a definition has a name");
    let parameters = PatchParams::apply("harness").force();
    let applied = definitions
        .patch(name, &parameters, &Patch::Apply(definition))
        .await;
    applied.unwrap_or_else(|error| panic!("install {name}: {error}"));
    eventually(PATIENCE, &format!("{name} is served"), async || {
        let object = definitions
            .get(name)
            .await
            .map_err(|error| error.to_string())?;
        match condition(&object, "Established") {
            Some(established) if established["status"] == "True" => Ok(()),
            _ => Err(object.data["status"].to_string()),
        }
    })
    .await;
}

/// The objects in the files of a folder, but for its kustomization.
pub fn documents(folder: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("list {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files
        .map(|file| file.expect("list a folder").path())
        .collect();
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| name != "kustomization.yaml")
    });
    paths.sort();
    let read = |path: &PathBuf| documents_of(path, &std::fs::read(path).expect("read a file"));
    paths.iter().flat_map(read).collect()
}

/// The objects in a text. The path is for the message when it cannot be read.
pub fn documents_of(path: &Path, text: &[u8]) -> Vec<Value> {
    let documents = read_documents(text, 0, Dialect::Kubernetes)
        .unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    documents
        .iter()
        .map(|node| to_json(node, Secrets::Masked))
        .collect()
}
