//! Other clusters: one Weir, several control planes, each with its own objects and its own troubles.

use std::time::Instant;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_tests::objects::{api, config_map, deployment, kind, kustomization_kind, object};
use weir_tests::scene::{PATIENCE, condition, config_map_kind, deployment_kind};
use weir_tests::{ControlPlane, ControlPlaneOptions, Scene, eventually};

/// Another cluster, with the scene's namespace in it.
pub(crate) struct Elsewhere {
    control_plane: ControlPlane,
    client: Client,
    namespace: String,
}

impl Elsewhere {
    pub(crate) async fn start(scene: &Scene) -> Elsewhere {
        let options = ControlPlaneOptions {
            audit: true,
            ..ControlPlaneOptions::default()
        };
        let control_plane = ControlPlane::start(options);
        let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
        let namespaces: Api<DynamicObject> =
            Api::all_with(client.clone(), &kind("", "v1", "Namespace"));
        let namespace = DynamicObject::new(&scene.namespace, &kind("", "v1", "Namespace"));
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        Elsewhere {
            control_plane,
            client,
            namespace: scene.namespace.clone(),
        }
    }

    /// Its kubeconfig, with everything inside it, as people put it into a Secret.
    pub(crate) fn kubeconfig(&self) -> String {
        kubeconfig_of(&self.control_plane, self.control_plane.server())
    }

    pub(crate) async fn find(&self, name: &str) -> Option<DynamicObject> {
        let api = api(&self.client, &self.namespace, &config_map_kind());
        api.get_opt(name).await.unwrap()
    }

    async fn until_gone(&self, name: &str) {
        eventually(PATIENCE, "it is gone there", async || {
            match self.find(name).await {
                None => Ok(()),
                Some(_) => Err("it is there"),
            }
        })
        .await;
    }

    async fn until_value(&self, name: &str, value: &str) {
        eventually(PATIENCE, "it has the value there", async || {
            let found = self
                .find(name)
                .await
                .map(|object| object.data["data"]["key"].clone());
            match found == Some(json!(value)) {
                true => Ok(()),
                false => Err(format!("{found:?}")),
            }
        })
        .await;
    }
}

fn kubeconfig(server: &str, authority: &[u8], token: &str) -> String {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "there",
        "contexts": [{ "name": "there", "context": { "cluster": "there", "user": "me" } }],
        "clusters": [{ "name": "there", "cluster": { "server": server, "certificate-authority-data": authority } }],
        "users": [{ "name": "me", "user": { "token": token } }],
    })
    .to_string()
}

/// A kubeconfig of a control plane, with everything inside it, under one of its addresses.
pub(crate) fn kubeconfig_of(control_plane: &ControlPlane, server: &str) -> String {
    let authority = std::fs::read(control_plane.certificate_authority()).unwrap();
    kubeconfig(server, &authority, control_plane.token(ControlPlane::WEIR))
}

pub(crate) async fn write_secret(scene: &Scene, name: &str, key: &str, text: &str) {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name },
        "stringData": { key: text },
    });
    let parameters = PatchParams::apply("test").force();
    let secrets = scene.api(&kind("", "v1", "Secret"));
    secrets
        .patch(name, &parameters, &Patch::Apply(&secret))
        .await
        .unwrap();
}

pub(crate) fn there(secret: &str) -> Value {
    json!({ "kubeConfig": { "secretRef": { "name": secret } }, "retryInterval": "1h" })
}

#[tokio::test]
async fn a_missing_kubeconfig_is_waited_for_and_the_objects_live_there() {
    let scene = Scene::start("remote").await;
    let elsewhere = Elsewhere::start(&scene).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"))
        .write("app/two.yaml", config_map("two", "key", "value"));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", "./app", there("elsewhere")).await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    let expected = format!(
        "kubeconfig Secret '{}/elsewhere': not found",
        scene.namespace
    );
    assert_eq!(said, expected);

    // The Secret itself is the event: nobody waits for the retry interval of an hour.
    write_secret(&scene, "elsewhere", "value", &elsewhere.kubeconfig()).await;
    scene.ready("app", &first).await;
    assert!(elsewhere.find("one").await.is_some());
    assert!(
        scene.find(&config_map_kind(), "one").await.is_none(),
        "nothing comes into our own cluster"
    );

    // Drift there is put right, by a watch there.
    let edit = json!({ "data": { "key": "edited" } });
    let parameters = PatchParams {
        field_manager: Some("kubectl-edit".into()),
        ..PatchParams::default()
    };
    api(&elsewhere.client, &scene.namespace, &config_map_kind())
        .patch("one", &parameters, &Patch::Merge(edit))
        .await
        .unwrap();
    elsewhere.until_value("one", "value").await;

    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "new"))
        .remove("app/two.yaml");
    let second = scene.publish("second").await;
    scene.ready("app", &second).await;
    elsewhere.until_value("one", "new").await;
    elsewhere.until_gone("two").await;

    scene.delete(&kustomization_kind(), "app").await;
    scene.gone(&kustomization_kind(), "app").await;
    elsewhere.until_gone("one").await;
}

#[tokio::test]
async fn an_account_is_acted_as_on_the_other_cluster() {
    let scene = Scene::start("remote-account").await;
    let elsewhere = Elsewhere::start(&scene).await;
    let position = elsewhere.control_plane.audit_log().unwrap().position();
    write_secret(&scene, "elsewhere", "kubeconfig", &elsewhere.kubeconfig()).await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    scene.repository.publish("first");
    scene.source(json!({})).await;
    let mut spec = there("elsewhere");
    spec["kubeConfig"]["secretRef"]["key"] = json!("kubeconfig");
    spec["serviceAccountName"] = json!("deployer");
    scene.sync("app", "./app", spec).await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    let account = format!("system:serviceaccount:{}:deployer", scene.namespace);
    assert!(said.contains(&account) && said.contains("cannot"), "{said}");
    let calls = elsewhere
        .control_plane
        .audit_log()
        .unwrap()
        .since(position, ControlPlane::WEIR);
    let writes = calls.iter().filter(|call| {
        call.resource == "configmaps" && call.verb != "watch" && call.verb != "list"
    });
    let identities: Vec<_> = writes.map(|call| call.impersonated.clone()).collect();
    assert!(!identities.is_empty());
    assert!(
        identities
            .iter()
            .all(|identity| identity.as_deref() == Some(account.as_str())),
        "{identities:?}"
    );
}

#[tokio::test]
async fn a_kubeconfig_may_not_reach_out_of_itself() {
    let scene = Scene::start("remote-refused").await;
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    scene.repository.publish("first");
    scene.source(json!({})).await;
    let plain = kubeconfig("https://127.0.0.1:1", b"", "hunter2");
    let runs = plain.replace(
        "\"token\":\"hunter2\"",
        "\"exec\":{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"command\":\"touch\"}",
    );
    assert_ne!(runs, plain);
    write_secret(&scene, "elsewhere", "value", &runs).await;
    scene.sync("app", "./app", there("elsewhere")).await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    assert_eq!(
        said,
        "the kubeconfig is not used: exec is not allowed in it"
    );
    assert!(!scene.weir.log().contains("hunter2"));
}

#[tokio::test]
async fn a_cluster_that_is_away_disturbs_no_other() {
    let scene = Scene::start("hub").await;
    let near = Elsewhere::start(&scene).await;
    write_secret(&scene, "near", "value", &near.kubeconfig()).await;
    // Nobody answers there.
    let gone = kubeconfig(
        "https://127.0.0.1:1",
        &std::fs::read(near.control_plane.certificate_authority()).unwrap(),
        "token",
    );
    write_secret(&scene, "far", "value", &gone).await;
    scene
        .repository
        .write("near/one.yaml", config_map("one", "key", "value"))
        .write("far/one.yaml", config_map("one", "key", "value"))
        .write("own/one.yaml", config_map("one", "key", "value"))
        .write("near/web.yaml", deployment("web", "nginx:1.29", 1));
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("far", "./far", there("far")).await;
    let said = scene.failed("far", "ReconciliationFailed").await;
    assert!(
        said.contains("cannot reach the API server") || said.contains("cannot learn"),
        "{said}"
    );

    let begin = Instant::now();
    let mut spec = there("near");
    spec["wait"] = json!(true);
    scene.sync("near", "./near", spec).await;
    scene.sync("own", "./own", json!({})).await;
    let near_object = scene.ready("near", &first).await;
    scene.ready("own", &first).await;
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    assert_eq!(
        condition(&near_object, "Healthy").unwrap()["status"],
        "True"
    );
    let web = api(&near.client, &scene.namespace, &deployment_kind())
        .get("web")
        .await
        .unwrap();
    assert_eq!(web.data["status"]["availableReplicas"], 1);
    // The same name in two clusters is two objects: each has its own keeper.
    assert!(
        near.find("one").await.is_some() && scene.find(&config_map_kind(), "one").await.is_some()
    );
}

/// One Weir, three control planes: its own, and two more of which one stands still for a while with all its
/// connections open.
#[tokio::test]
async fn a_hub_serves_two_clusters_while_a_third_stands_still() {
    let scene = Scene::start("hub-of-three").await;
    let near = Elsewhere::start(&scene).await;
    let far = Elsewhere::start(&scene).await;
    write_secret(&scene, "near", "value", &near.kubeconfig()).await;
    write_secret(&scene, "far", "value", &far.kubeconfig()).await;
    let write = |value: &str| {
        for folder in ["near", "far", "own"] {
            let one = config_map("one", "key", value);
            scene.repository.write(&format!("{folder}/one.yaml"), one);
        }
    };
    write("first");
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("near", "./near", there("near")).await;
    scene.sync("far", "./far", there("far")).await;
    scene.sync("own", "./own", json!({})).await;
    for name in ["near", "far", "own"] {
        scene.ready(name, &first).await;
    }

    // One write each.
    for server in [
        ControlPlane::shared().address(),
        near.control_plane.address(),
        far.control_plane.address(),
    ] {
        let sent = format!("weir_requests_total{{cluster=\"{server}\",verb=\"patch\"}}");
        assert!(scene.metric(&sent).await >= 1.0, "{server}");
    }

    far.control_plane.freeze();
    write("second");
    let begin = Instant::now();
    let second = scene.publish("second").await;
    scene.ready("near", &second).await;
    scene.ready("own", &second).await;
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    near.until_value("one", "second").await;
    // Drift is put right as ever where somebody answers.
    let edit = json!({ "data": { "key": "edited" } });
    api(&near.client, &scene.namespace, &config_map_kind())
        .patch("one", &PatchParams::default(), &Patch::Merge(edit))
        .await
        .unwrap();
    near.until_value("one", "second").await;

    far.control_plane.thaw();
    scene.ready("far", &second).await;
    far.until_value("one", "second").await;
}

#[tokio::test]
async fn a_token_is_asked_for_where_a_config_map_says_so() {
    let scene = Scene::start("remote-token").await;
    let control_plane = ControlPlane::shared();
    scene
        .repository
        .write("app/one.yaml", config_map("one", "key", "value"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let account = kind("", "v1", "ServiceAccount");
    scene.create(&object(&account, "edge", json!({}))).await;
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }]);
    let role = object(
        &kind("rbac.authorization.k8s.io", "v1", "Role"),
        "edge",
        json!({ "rules": rules }),
    );
    scene.create(&role).await;
    let binding = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "edge" },
        "subjects": [{ "kind": "ServiceAccount", "name": "edge", "namespace": scene.namespace }],
    });
    let binding = object(
        &kind("rbac.authorization.k8s.io", "v1", "RoleBinding"),
        "edge",
        binding,
    );
    scene.create(&binding).await;
    let reference =
        json!({ "kubeConfig": { "configMapRef": { "name": "there" } }, "retryInterval": "1h" });
    scene.sync("app", "./app", reference).await;
    let said = scene.failed("app", "ReconciliationFailed").await;
    assert!(said.contains("/there': not found"), "{said}");

    let authority = std::fs::read_to_string(control_plane.certificate_authority()).unwrap();
    let there = json!({ "data": {
        "provider": "generic",
        "address": control_plane.server(),
        "ca.crt": authority,
        "serviceAccountName": "edge",
        "audiences": "https://kubernetes.default.svc",
    } });
    let position = control_plane.audit_log().unwrap().position();
    scene
        .create(&object(&config_map_kind(), "there", there))
        .await;
    scene.ready("app", &commit).await;
    let user = format!("system:serviceaccount:{}:edge", scene.namespace);
    let calls = control_plane.audit_log().unwrap().since(position, &user);
    let writes = calls
        .iter()
        .filter(|call| call.verb == "patch" && call.name == "one");
    assert_eq!(writes.count(), 1);
}

#[tokio::test]
async fn a_cluster_is_known_by_what_it_is_and_not_by_the_way_to_it() {
    let scene = Scene::start("two-ways").await;
    let control_plane = ControlPlane::shared();
    // Our own cluster, under an address that Weir does not use for it.
    let (_, port) = control_plane.address().rsplit_once(':').unwrap();
    let by_name = format!("https://localhost:{port}");
    assert_ne!(by_name, control_plane.server());
    write_secret(
        &scene,
        "own",
        "value",
        &kubeconfig_of(control_plane, &by_name),
    )
    .await;
    for (folder, name) in [("a", "x"), ("a", "y"), ("b", "z")] {
        let text = config_map(name, "key", "value");
        scene
            .repository
            .write(&format!("{folder}/{name}.yaml"), text);
    }
    let first = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("a", "./a", json!({})).await;
    scene.sync("b", "./b", there("own")).await;
    scene.ready("a", &first).await;
    scene.ready("b", &first).await;
    let before = scene.get(&config_map_kind(), "x").await.metadata.uid;

    let moved = config_map("x", "key", "value");
    scene
        .repository
        .remove("a/x.yaml")
        .write("b/x.yaml", moved.clone());
    let second = scene.publish("move x").await;
    scene.ready("a", &second).await;
    scene.ready("b", &second).await;
    let after = scene.get(&config_map_kind(), "x").await.metadata;
    assert_eq!(after.uid, before, "it was handed over");
    assert_eq!(
        after.labels.unwrap()["kustomize.toolkit.fluxcd.io/name"],
        "b"
    );

    scene
        .repository
        .write("a/x.yaml", config_map("x", "key", "other"));
    scene.publish("both want x").await;
    let said = scene.failed("a", "ReconciliationFailed").await;
    assert!(said.contains("stays with it"), "{said}");
    scene.told("Warning", "b", "stays with it").await;
}
