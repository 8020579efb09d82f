//! Secrets are planted wherever one can come from, everything is done with them, and nothing shows them.

mod commands;
mod planted;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use kube::api::{Api, DynamicObject, ListParams, PostParams};
use serde_json::json;
use weir_tests::objects::{git_repository_kind, kind, kustomization_kind};
use weir_tests::scene::{PATIENCE, SOURCE, arguments, config_map_kind, install_definitions};
use weir_tests::{ControlPlane, Scene, Weir, eventually};

use planted::Planted;

/// The folders whose Kustomizations fail, and the reason.
const FAILING: [(&str, &str); 5] = [
    ("denied", "BuildFailed"),
    ("mac", "BuildFailed"),
    ("echo", "ReconciliationFailed"),
    ("policy", "ReconciliationFailed"),
    ("unset", "BuildFailed"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_secret() {
    let (scene, planted) = scene().await;
    forbid(&scene).await;
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    for folder in ["ok", "served", "denied", "mac", "echo", "policy", "unset"] {
        scene
            .sync(folder, &format!("./{folder}"), spec(folder))
            .await;
    }
    scene.ready("ok", &commit).await;
    scene.ready("served", &commit).await;
    for (folder, reason) in FAILING {
        let message = scene.failed(folder, reason).await;
        assert!(!message.is_empty());
        planted.absent(&format!("the message of {folder}"), &message);
    }
    planted.reached(&scene).await;

    drift(&scene).await;
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    commands::run_all(&scene, &planted, kubeconfig);
    prune(&scene).await;
    search(&scene, &planted).await;
}

/// A scene whose controller logs everything, with the repository in place.
async fn scene() -> (Scene, Planted) {
    let mut scene = Scene::start("canary").await;
    install_definitions(&scene.client).await;
    let planted = Planted::new(&scene.repository);
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::WEIR);
    let mut arguments = arguments(&planted.storage()).to_vec();
    arguments.push("--log-level=trace".to_owned());
    arguments.push(planted.allow());
    scene.weir = Weir::start_apart(
        &scene.namespace,
        kubeconfig,
        &arguments,
        &planted.temporary(),
    );
    scene.create(&planted.keys()).await;
    scene.create(&planted.settings()).await;
    (scene, planted)
}

fn spec(folder: &str) -> serde_json::Value {
    let mut spec = json!({
        "retryInterval": "1s",
        "decryption": { "provider": "sops", "secretRef": { "name": planted::KEYS } },
    });
    if ["ok", "unset"].contains(&folder) {
        spec["postBuild"] = json!({
            "substituteFrom": [{ "kind": "Secret", "name": planted::SETTINGS }],
        });
    }
    spec
}

/// Refuses ConfigMaps with the key `forbidden`, and repeats their value, as a webhook might.
async fn forbid(scene: &Scene) {
    let name = format!("no-{}", scene.namespace);
    let group = "admissionregistration.k8s.io";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                "operations": ["CREATE", "UPDATE"],
            }] },
            "validations": [{
                "expression": "!has(object.data) || !('forbidden' in object.data)",
                "messageExpression": "'not allowed: ' + object.data['forbidden']",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": {
                "matchLabels": { "kubernetes.io/metadata.name": scene.namespace },
            } },
        },
    });
    for (kind_name, object) in [
        ("ValidatingAdmissionPolicy", policy),
        ("ValidatingAdmissionPolicyBinding", binding),
    ] {
        let api: Api<DynamicObject> =
            Api::all_with(scene.client.clone(), &kind(group, "v1", kind_name));
        let object = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let probe: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "probe" },
        "data": { "forbidden": "probe" },
    }))
    .unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..Default::default()
    };
    eventually(PATIENCE, "the policy is in force", async || {
        match scene.api(&config_map_kind()).create(&dry_run, &probe).await {
            Err(error) if error.to_string().contains("not allowed: probe") => Ok(()),
            other => Err(format!("{:?}", other.map(|_| ()))),
        }
    })
    .await;
}

/// Changes what was applied, and waits until it is put right.
async fn drift(scene: &Scene) {
    let secret = kind("", "v1", "Secret");
    let changed = json!({ "stringData": { "password": "changed" } });
    scene.merge(&secret, "in-file", changed).await;
    scene
        .until(
            "the drift is put right",
            &secret,
            "in-file",
            |object| match object.data["data"]["password"] != "Y2hhbmdlZA==" {
                true => Ok(()),
                false => Err("it is changed"),
            },
        )
        .await;
}

/// Takes an encrypted object out of Git, and waits until it is gone.
async fn prune(scene: &Scene) {
    planted::leave_out(&scene.repository, "config.yaml");
    let commit = scene.publish("without the config").await;
    scene.ready("ok", &commit).await;
    scene.gone(&config_map_kind(), "in-config").await;
    scene.delete(&kustomization_kind(), "echo").await;
    scene.gone(&kustomization_kind(), "echo").await;
}

/// Looks at all that the controller has left.
async fn search(scene: &Scene, planted: &Planted) {
    let log = scene.weir.log();
    planted.absent("the log", &log);
    let all = ListParams::default();
    let events = scene
        .api(&kind("", "v1", "Event"))
        .list(&all)
        .await
        .unwrap();
    assert!(!events.items.is_empty(), "there are no events");
    planted.absent("events", &serde_json::to_string(&events.items).unwrap());
    for resource in [kustomization_kind(), git_repository_kind()] {
        let listed = scene.api(&resource).list(&all).await.unwrap();
        let text = serde_json::to_string(&listed.items).unwrap();
        planted.absent(&resource.kind, &text);
    }
    let addresses = addresses(&log);
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    for address in &addresses {
        for path in ["/metrics", "/healthz", "/readyz"] {
            planted.absent(path, &get(address, path));
        }
    }
    assert!(get(&addresses[1], "/metrics").contains("gotk_"));
    let artifact = scene.get(&git_repository_kind(), SOURCE).await;
    let url = artifact.data["status"]["artifact"]["url"].as_str().unwrap();
    let path = url.split_once("://").unwrap().1.split_once('/').unwrap().1;
    planted.absent_in_archive(&get_bytes(&addresses[2], &format!("/{path}")));
    planted.absent_in_folder(&planted.storage());
    planted.absent_in_folder(&planted.temporary());
    planted.absent_in_folder(Path::new("/dev/shm"));
}

/// Where the controller says that it serves: health, metrics, artifacts.
fn addresses(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("\"serving\""));
    lines
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line["address"].as_str().map(str::to_owned))
        .collect()
}

fn get(address: &str, path: &str) -> String {
    String::from_utf8_lossy(&get_bytes(address, path)).into_owned()
}

fn get_bytes(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: weir\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
    answer.split_off(body.map_or(0, |at| at + 4))
}
