//! Each cluster of the example repository comes up, in a control plane of its own.

use std::path::Path;

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::objects::{api, kind, kustomization_kind};
use weir_tests::scene::{
    PATIENCE, arguments, condition, documents_of, install_definitions, message, workspace,
};
use weir_tests::{
    ControlPlane, ControlPlaneOptions, GitServer, GitServerOptions, Repository, Weir, eventually,
};

/// Stands in the example for the address of the Git server.
const PLACEHOLDER: &str = "http://git.example.com";

/// Puts the example and the tenant's repository on a server.
fn publish(server: &GitServer) -> Repository {
    let examples = workspace().join("examples");
    let tenant = server.create_repository("team-a");
    tenant
        .copy(&examples.join("tenant-repository"), "")
        .publish("The tenant's application");
    let fleet = server.create_repository("fleet");
    fleet.copy(&examples.join("flux-structure"), "");
    let url = server.url("fleet");
    let address = url.trim_end_matches("/fleet.git");
    let files = fleet.git(&["grep", "--untracked", "--files-with-matches", PLACEHOLDER]);
    for path in files.lines() {
        let text = std::fs::read_to_string(fleet.path().join(path)).unwrap();
        fleet.write(path, text.replace(PLACEHOLDER, address));
    }
    fleet.publish("The fleet");
    fleet
}

/// What `weir build` prints for a folder of the repository.
fn build(repository: &Repository, folder: &str) -> Vec<Value> {
    let output = Weir::command()
        .args(["build", folder])
        .current_dir(repository.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    documents_of(Path::new(folder), &output.stdout)
}

/// Does what a bootstrap does: namespace, key, and the objects that say what to follow.
async fn bootstrap(client: &kube::Client, repository: &Repository, cluster: &str) {
    let key = std::fs::read_to_string(workspace().join("examples/flux-structure/age.agekey"));
    let mut objects = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "flux-system" } }),
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "sops-age", "namespace": "flux-system" },
            "stringData": { "age.agekey": key.unwrap() },
        }),
    ];
    objects.extend(build(
        repository,
        &format!("clusters/{cluster}/flux-system"),
    ));
    for object in objects {
        let version = object["apiVersion"].as_str().unwrap();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = kind(group, version, object["kind"].as_str().unwrap());
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => api(client, namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("bootstrap").force();
        api.patch(name, &parameters, &Patch::Apply(&object))
            .await
            .unwrap();
    }
}

/// Brings a cluster of the example up, and waits until all its Kustomizations are Ready.
async fn comes_up(cluster: &str, kustomizations: usize) {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default());
    let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
    install_definitions(&client).await;
    let server = GitServer::start(GitServerOptions::default());
    let repository = publish(&server);
    let storage = tempfile::tempdir().unwrap();
    let _weir = Weir::start(
        control_plane.kubeconfig(ControlPlane::WEIR),
        &arguments(storage.path()),
    );
    bootstrap(&client, &repository, cluster).await;
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &kustomization_kind());
    eventually(PATIENCE * 2, "all Kustomizations are Ready", async || {
        let all = all
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?
            .items;
        let waiting: Vec<String> = all
            .iter()
            .filter(|object| {
                condition(object, "Ready").is_none_or(|ready| ready["status"] != "True")
            })
            .map(|object| format!("{:?}: {}", object.metadata.name, message(object)))
            .collect();
        match waiting.is_empty() && all.len() >= kustomizations {
            true => Ok(()),
            false => Err(format!("{} in all, waiting for {waiting:#?}", all.len())),
        }
    })
    .await;
    let shop: DynamicObject = api(&client, "apps", &kind("apps", "v1", "Deployment"))
        .get("shop")
        .await
        .unwrap();
    assert_eq!(
        shop.data["status"]["availableReplicas"],
        shop.data["spec"]["replicas"]
    );
}

#[tokio::test]
async fn staging_comes_up() {
    comes_up("staging", 6).await;
}

#[tokio::test]
async fn prod_eu_comes_up() {
    comes_up("prod/eu", 8).await;
}

#[tokio::test]
async fn prod_us_comes_up() {
    comes_up("prod/us", 8).await;
}
