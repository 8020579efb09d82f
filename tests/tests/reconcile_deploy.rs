//! From a commit to running objects: what is asked of the API server, how soon, and what an idle minute costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and measurements are for people to read"
)]

use std::time::{Duration, Instant};

use controller::api::definitions::crds;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_tests::objects::{
    self, git_repository, git_repository_kind, kustomization, kustomization_kind,
};
use weir_tests::{
    ControlPlane, ControlPlaneOptions, GitServer, GitServerOptions, Repository, Weir, count_by,
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A control plane, a forge, a repository in it, a Weir, and a namespace.
struct World {
    control_plane: ControlPlane,
    _forge: GitServer,
    repository: Repository,
    url: String,
    weir: Weir,
    client: Client,
    namespace: String,
}

impl World {
    async fn start(files: &[(&str, String)]) -> World {
        Self::start_with(files, &[]).await
    }

    async fn start_with(files: &[(&str, String)], flags: &[&str]) -> World {
        let control_plane = ControlPlane::start(ControlPlaneOptions {
            audit: true,
            ..ControlPlaneOptions::default()
        });
        let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
        install(&client).await;
        let namespace = control_plane.namespace("deploy").await;
        let forge = GitServer::start(GitServerOptions::default());
        let repository = forge.create_repository("fleet");
        for (path, content) in files {
            repository.write(path, content);
        }
        repository.publish("first");
        let url = forge.url("fleet");
        let weir = weir(&control_plane, flags);
        World {
            control_plane,
            _forge: forge,
            repository,
            url,
            weir,
            client,
            namespace,
        }
    }

    fn api(&self, kind: &kube::api::ApiResource) -> Api<DynamicObject> {
        objects::api(&self.client, &self.namespace, kind)
    }

    async fn create(&self, object: DynamicObject) {
        let kind = match object.types.as_ref().unwrap().kind.as_str() {
            "GitRepository" => git_repository_kind(),
            _ => kustomization_kind(),
        };
        self.api(&kind)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn source(&self) {
        self.create(git_repository("fleet", &self.url, json!({})))
            .await;
    }

    async fn kustomization(&self, name: &str, path: &str, spec: Value) {
        let mut all = json!({ "targetNamespace": self.namespace });
        all.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        self.create(kustomization(name, "fleet", path, all)).await;
    }

    /// Waits for a condition of a Kustomization and gives back the object.
    async fn condition(&self, name: &str, type_: &str, status: &str, says: &str) -> DynamicObject {
        let api = self.api(&kustomization_kind());
        let what = format!("{name} is {type_}={status} {says:?}");
        eventually(PATIENCE, &what, async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let conditions = object.data["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let is_it = |condition: &Value| {
                let text = format!("{} {}", condition["reason"], condition["message"]);
                condition["type"] == type_ && condition["status"] == status && text.contains(says)
            };
            if conditions.iter().any(is_it) {
                Ok(object)
            } else {
                Err(object.data["status"].to_string())
            }
        })
        .await
    }

    async fn applied(&self, name: &str, revision: &str) -> DynamicObject {
        self.condition(name, "Ready", "True", revision).await
    }

    async fn request(&self, kind: &kube::api::ApiResource, name: &str, at: &str) {
        let patch =
            json!({ "metadata": { "annotations": { "reconcile.fluxcd.io/requestedAt": at } } });
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn value(&self, name: &str) -> Option<String> {
        let map = self.config_maps().get_opt(name).await.unwrap()?;
        map.data?.get("key").cloned()
    }

    async fn has_value(&self, name: &str, expected: Option<&str>) {
        eventually(PATIENCE, &format!("{name} is {expected:?}"), async || {
            let value = self.value(name).await;
            if value.as_deref() == expected {
                Ok(())
            } else {
                Err(format!("{value:?}"))
            }
        })
        .await;
    }
}

/// One more Weir on a control plane.
fn weir(control_plane: &ControlPlane, flags: &[&str]) -> Weir {
    let storage = tempfile::tempdir().unwrap().keep();
    let storage = format!("--storage-path={}", storage.display());
    let mut all = vec![
        "--metrics-addr=127.0.0.1:0",
        "--health-addr=127.0.0.1:0",
        "--storage-addr=127.0.0.1:0",
        &storage,
    ];
    all.extend(flags);
    Weir::start(control_plane.kubeconfig(ControlPlane::WEIR), &all)
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in crds() {
        api.create(&PostParams::default(), &definition)
            .await
            .unwrap();
    }
    for definition in crds() {
        let name = definition.metadata.name.clone().unwrap();
        eventually(PATIENCE, "the definitions are established", async || {
            let status = api.get(&name).await.unwrap().status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let established = |condition: &_| {
                let condition: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionCondition = condition;
                condition.type_ == "Established" && condition.status == "True"
            };
            if conditions.iter().any(established) { Ok(()) } else { Err(name.clone()) }
        })
        .await;
    }
}

fn map(name: &str, value: &str) -> String {
    objects::config_map(name, "key", value)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_commit_to_objects_and_into_silence() {
    let files = [
        ("apps/one.json.yaml", map("one", "1")),
        ("apps/two.json.yaml", map("two", "2")),
        (
            "apps/web.json.yaml",
            objects::deployment("web", "nginx:1.29", 1),
        ),
    ];
    let world = World::start(&files).await;
    let audit = world.control_plane.audit_log().unwrap();
    let begin = Instant::now();
    let position = audit.position();
    world.source().await;
    world
        .kustomization("apps", "./apps", json!({ "wait": true }))
        .await;
    let revision = format!("main@sha1:{}", world.repository.head());
    let object = world.applied("apps", &revision).await;
    eprintln!("first deploy: {:?}", begin.elapsed());
    assert_eq!(
        object.data["status"]["lastAppliedRevision"],
        json!(revision)
    );
    assert_eq!(
        object.data["status"]["inventory"]["entries"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(world.value("one").await.as_deref(), Some("1"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls = audit.since(position, ControlPlane::WEIR);
    let counts = count_by(&calls, |call| {
        (
            call.verb.clone(),
            call.resource.clone(),
            call.subresource.clone(),
        )
    });
    eprintln!("requests of the first deploy: {counts:#?}");

    let position = audit.position();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let calls = audit.since(position, ControlPlane::WEIR);
    let loud: Vec<_> = calls.iter().filter(|call| call.verb != "watch").collect();
    eprintln!("requests of an idle minute: {}", calls.len());
    assert!(loud.is_empty(), "{loud:#?}");

    // A commit that changes one file.
    world
        .repository
        .write("apps/one.json.yaml", map("one", "changed"));
    let head = world.repository.publish("change");
    let position = audit.position();
    let begin = Instant::now();
    world.request(&git_repository_kind(), "fleet", "now").await;
    world.has_value("one", Some("changed")).await;
    eprintln!("from annotation to object: {:?}", begin.elapsed());
    world.applied("apps", &head).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = audit.since(position, ControlPlane::WEIR);
    let counts = count_by(&calls, |call| {
        (
            call.verb.clone(),
            call.resource.clone(),
            call.subresource.clone(),
        )
    });
    eprintln!("requests of a commit of one file: {counts:#?}");

    // A commit that changes nothing here.
    world.repository.write("README.md", "hello");
    let head = world.repository.publish("elsewhere");
    let position = audit.position();
    world.request(&git_repository_kind(), "fleet", "then").await;
    world.applied("apps", &head).await;
    let calls = audit.since(position, ControlPlane::WEIR);
    let touched: Vec<_> = calls
        .iter()
        .filter(|call| {
            !matches!(
                call.resource.as_str(),
                "kustomizations" | "gitrepositories" | "events"
            )
        })
        .collect();
    assert!(touched.is_empty(), "{touched:#?}");
    eprintln!("resident: {} KiB", resident(world.weir.id().unwrap()));
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_kustomization() {
    let files = [
        ("apps/one.json.yaml", map("one", "${greeting}")),
        ("apps/two.json.yaml", map("two", "2")),
        ("later/later.json.yaml", map("later", "1")),
    ];
    let mut world = World::start(&files).await;
    world.source().await;

    // Variables, and what happens when they come late.
    let variables =
        json!({ "postBuild": { "substituteFrom": [{ "kind": "Secret", "name": "vars" }] } });
    world.kustomization("apps", "./apps", variables).await;
    world
        .kustomization(
            "later",
            "./later",
            json!({ "dependsOn": [{ "name": "apps" }] }),
        )
        .await;
    world
        .condition(
            "apps",
            "Ready",
            "False",
            "substitute from 'Secret/vars' error: not found",
        )
        .await;
    world
        .condition("later", "Ready", "False", "DependencyNotReady")
        .await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": { "name": "vars" }, "stringData": { "greeting": "hello" },
    }))
    .unwrap();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    world.applied("apps", "main@sha1:").await;
    world.applied("later", "main@sha1:").await;
    assert_eq!(world.value("one").await.as_deref(), Some("hello"));

    // An input that changes.
    let patch = json!({ "stringData": { "greeting": "good day" } });
    secrets
        .patch("vars", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    world.has_value("one", Some("good day")).await;

    // Somebody's edit, and somebody's deletion.
    let patch = json!({ "data": { "key": "edited" } });
    let kubectl = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    world
        .config_maps()
        .patch("two", &kubectl, &Patch::Merge(patch))
        .await
        .unwrap();
    world.has_value("two", Some("2")).await;
    world
        .config_maps()
        .delete("two", &DeleteParams::default())
        .await
        .unwrap();
    world.has_value("two", Some("2")).await;

    // A file removed is pruned; a broken file prunes nothing.
    world.repository.remove("apps/two.json.yaml");
    world.repository.write("later/later.json.yaml", "kind: [");
    let head = world.repository.publish("remove and break");
    world.request(&git_repository_kind(), "fleet", "1").await;
    world.applied("apps", &head).await;
    world.has_value("two", None).await;
    world
        .condition("later", "Ready", "False", "BuildFailed")
        .await;
    world.has_value("later", Some("1")).await;

    // An empty folder prunes nothing either, until someone says so.
    world.repository.write("later/later.json.yaml", "# nothing");
    world.repository.publish("empty");
    world.request(&git_repository_kind(), "fleet", "2").await;
    let object = world
        .condition("later", "Ready", "False", "PruneFailed")
        .await;
    world.has_value("later", Some("1")).await;
    let text = object.data["status"]["conditions"].to_string();
    let confirmation = text.split("weir.dev/confirm-prune=").nth(1).unwrap()[..12].to_owned();
    let patch =
        json!({ "metadata": { "annotations": { "weir.dev/confirm-prune": confirmation } } });
    let api = world.api(&kustomization_kind());
    api.patch("later", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    world.has_value("later", None).await;

    // Suspended: a request is answered, nothing else.
    let suspend = json!({ "spec": { "suspend": true } });
    api.patch("apps", &PatchParams::default(), &Patch::Merge(suspend))
        .await
        .unwrap();
    world
        .repository
        .write("apps/one.json.yaml", map("one", "unseen"));
    world.repository.publish("while suspended");
    world.request(&git_repository_kind(), "fleet", "3").await;
    world.request(&kustomization_kind(), "apps", "asked").await;
    eventually(PATIENCE, "the request is answered", async || {
        let object = api.get("apps").await.unwrap();
        let answered = object.data["status"]["lastHandledReconcileAt"].clone();
        if answered == "asked" {
            Ok(())
        } else {
            Err(answered.to_string())
        }
    })
    .await;
    assert_eq!(world.value("one").await.as_deref(), Some("good day"));
    let resume = json!({ "spec": { "suspend": false } });
    api.patch("apps", &PatchParams::default(), &Patch::Merge(resume))
        .await
        .unwrap();
    world.has_value("one", Some("unseen")).await;

    // The end takes the objects along.
    api.delete("apps", &DeleteParams::default()).await.unwrap();
    world.has_value("one", None).await;
    eventually(PATIENCE, "the Kustomization is gone", async || {
        match api.get_opt("apps").await.unwrap() {
            None => Ok(()),
            Some(object) => Err(object.data["status"].to_string()),
        }
    })
    .await;
    assert!(world.weir.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_followed() {
    let files = [(
        "web/web.json.yaml",
        objects::deployment("web", "nginx:broken", 1),
    )];
    let world = World::start(&files).await;
    world.source().await;
    world
        .kustomization("web", "./web", json!({ "wait": true, "timeout": "1m" }))
        .await;
    world
        .condition("web", "Healthy", "Unknown", "Running health checks")
        .await;
    world.repository.write(
        "web/web.json.yaml",
        objects::deployment("web", "nginx:1.29", 1),
    );
    let head = world.repository.publish("mend");
    world.request(&git_repository_kind(), "fleet", "1").await;
    world.applied("web", &head).await;
    world
        .condition("web", "Healthy", "True", "Health check passed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_takes_over_from_a_dead_leader() {
    let elected = ["--enable-leader-election"];
    let files = [("apps/one.json.yaml", map("one", "1"))];
    let mut world = World::start_with(&files, &elected).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let namespace: Namespace =
        serde_json::from_value(json!({ "metadata": { "name": "flux-system" } })).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    world.source().await;
    world.kustomization("apps", "./apps", json!({})).await;
    world.applied("apps", "main@sha1:").await;
    let mut heir = weir(&world.control_plane, &elected);
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "flux-system");
    let holder = async || {
        let lease = leases
            .get("kustomize-controller-leader-election")
            .await
            .unwrap();
        lease.spec.unwrap().holder_identity.unwrap()
    };
    let first = holder().await;
    assert!(!first.is_empty());

    world.weir.kill();
    let begin = Instant::now();
    world
        .repository
        .write("apps/one.json.yaml", map("one", "changed"));
    world.repository.publish("change");
    world.has_value("one", Some("changed")).await;
    eprintln!(
        "from the leader's death to the change: {:?}",
        begin.elapsed()
    );
    assert_ne!(holder().await, first);
    assert!(begin.elapsed() < Duration::from_secs(20));

    // A clean stop gives the lease back.
    assert!(heir.terminate().success());
    assert_eq!(holder().await, "");
}
