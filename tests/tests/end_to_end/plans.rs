//! The plan of what is in a work tree against the cluster that has an earlier state of it.

use std::path::{Path, PathBuf};
use std::process::Output;

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kind, kustomization_file, kustomization_kind};
use weir_tests::scene::{config_map_kind, deployment_kind, workspace};
use weir_tests::{ControlPlane, Scene, Weir};

pub(crate) fn weir(folder: &Path, kubeconfig: &Path, arguments: &[&str]) -> Output {
    let mut command = Weir::command();
    command
        .current_dir(folder)
        .args(arguments)
        .arg("--kubeconfig")
        .arg(kubeconfig);
    command.output().expect("run weir")
}

/// What an administrator is told, and the exit code.
fn plan(scene: &Scene, arguments: &[&str]) -> (String, Option<i32>) {
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let all: Vec<&str> = ["plan"].iter().chain(arguments).copied().collect();
    said(&weir(scene.repository.path(), kubeconfig, &all))
}

pub(crate) fn said(output: &Output) -> (String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (all, output.status.code())
}

pub(crate) fn assert_told(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|found| found.trim() == *line),
            "{line}\n---\n{text}"
        );
    }
}

/// A kubeconfig of a user who may read these resources of all namespaces.
pub(crate) async fn reader(scene: &Scene, resources: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let name = format!("reader-{}", scene.namespace);
    let rules = json!([{
        "apiGroups": ["*"], "resources": resources, "verbs": ["get", "list"],
    }]);
    let role = kind("rbac.authorization.k8s.io", "v1", "ClusterRole");
    let binding = kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding");
    let metadata = json!({ "name": name });
    let objects = [
        (&role, json!({ "metadata": metadata, "rules": rules })),
        (
            &binding,
            json!({
                "metadata": metadata,
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name }],
            }),
        ),
    ];
    for (resource, mut object) in objects {
        object["apiVersion"] = json!(resource.api_version);
        object["kind"] = json!(resource.kind);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let api = kube::api::Api::<DynamicObject>::all_with(scene.client.clone(), resource);
        api.create(&Default::default(), &object).await.unwrap();
    }
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let mut file = kube::config::Kubeconfig::read_from(own).unwrap();
    let user = file.auth_infos[0].auth_info.as_mut().unwrap();
    user.impersonate = Some(name);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let text = serde_json::to_string(&file).unwrap();
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// An app that is deployed, and whose Kustomization is suspended.
pub(crate) async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    let folder = format!("apps/{}", scene.namespace);
    let file = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["web.yaml", "a.yaml", "b.yaml", "key.yaml"],
        "configMapGenerator": [{ "name": "settings", "literals": ["color=red"] }],
    });
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(&format!("{folder}/web.yaml"), deployment("web", "web:1", 2))
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "one"))
        .write(&format!("{folder}/b.yaml"), config_map("b", "size", "one"))
        .write(&format!("{folder}/key.yaml"), secret("hunter2-one"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", &folder, json!({})).await;
    scene.ready("app", &commit).await;
    scene
        .merge(
            &kustomization_kind(),
            "app",
            json!({ "spec": { "suspend": true } }),
        )
        .await;
    scene
}

fn secret(value: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "key" }, "stringData": { "password": value },
    })
    .to_string()
}

/// What the next commit will be.
pub(crate) fn edit(scene: &Scene) {
    let folder = format!("apps/{}", scene.namespace);
    let file = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["web.yaml", "a.yaml", "c.yaml", "key.yaml"],
        "configMapGenerator": [{ "name": "settings", "literals": ["color=blue"] }],
    });
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(&format!("{folder}/web.yaml"), deployment("web", "web:2", 2))
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "two"))
        .write(&format!("{folder}/c.yaml"), config_map("c", "size", "one"))
        .write(&format!("{folder}/key.yaml"), secret("hunter2-two"));
}

#[tokio::test]
async fn a_kustomization_is_planned_against_what_is_there() {
    let scene = deployed("plan-app").await;
    let (namespace, path) = (scene.namespace.clone(), format!("apps/{}", scene.namespace));
    let targets: [&[&str]; 2] = [&["app", "-n", &namespace], &[&path]];
    for target in targets {
        let (text, code) = plan(&scene, target);
        assert_eq!(code, Some(0), "{text}");
        assert_told(&text, &["Plan: nothing changes · 1 environment"]);
    }

    edit(&scene);
    // Somebody scales the app meanwhile.
    scene
        .merge_as(
            "scaler",
            &deployment_kind(),
            "web",
            json!({ "spec": { "replicas": 5 } }),
        )
        .await;
    let before = scene
        .get(&config_map_kind(), "a")
        .await
        .metadata
        .resource_version;
    for target in targets {
        let (text, code) = plan(&scene, target);
        assert_eq!(code, Some(3), "{text}");
        assert_told(
            &text,
            &[
                &format!("{namespace}/app"),
                &format!("~ Deployment {namespace}/web"),
                "~ spec.template.spec.containers[web].image: web:1 → web:2",
                "~ spec.replicas: 5 → 2",
                "! conflict: spec.replicas is written by scaler, and taken back",
                &format!("~ ConfigMap {namespace}/a"),
                "~ data.size: one → two",
                &format!("+ ConfigMap {namespace}/c"),
                &format!("~ Secret {namespace}/key"),
                "~ data.password: *** changed",
                "~ data.color: red → blue",
                "no longer wanted (1):",
                &format!("- ConfigMap {namespace}/b  (of {namespace}/app)"),
                &format!(
                    "warning: {namespace}/app is suspended: nothing of it happens before it is resumed"
                ),
                "Plan: 1 add, 4 change, 1 prune · 1 of 1 environment",
            ],
        );
        let settings = text
            .lines()
            .find(|line| line.contains("/settings-"))
            .unwrap();
        assert!(settings.contains("(was settings-"), "{settings}");
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVy"),
            "{text}"
        );
    }
    let after = scene
        .get(&config_map_kind(), "a")
        .await
        .metadata
        .resource_version;
    assert_eq!(after, before, "a plan writes nothing");

    let (text, _) = plan(&scene, &["app", "-n", &namespace, "-o", "json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&document["live"], &document["counts"]["prune"]),
        (&json!(true), &json!(1))
    );
    let objects = &document["environments"][0]["kustomizations"][0]["objects"];
    let web = objects
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "web")
        .unwrap();
    assert_eq!(
        web["conflicts"],
        json!([{ "path": "spec.replicas", "manager": "scaler" }])
    );
    let (page, _) = plan(&scene, &["app", "-n", &namespace, "-o", "html"]);
    assert!(
        page.contains("conflict: spec.replicas is written by scaler"),
        "{page}"
    );
    let (comment, _) = plan(&scene, &["app", "-n", &namespace, "-o", "markdown"]);
    assert!(comment.starts_with("<!-- weir plan -->"), "{comment}");
    // `diff` is the same for one target.
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let diff = weir(
        scene.repository.path(),
        kubeconfig,
        &["diff", "app", "-n", &namespace],
    );
    assert_eq!(said(&diff), plan(&scene, &["app", "-n", &namespace]));
}

#[tokio::test]
async fn what_differs_without_the_change_is_told_apart() {
    let scene = deployed("plan-both").await;
    let namespace = scene.namespace.clone();
    let folder = format!("apps/{namespace}");
    // Committed and not applied yet.
    scene
        .repository
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "two"))
        .commit("second");
    scene
        .repository
        .write(&format!("{folder}/b.yaml"), config_map("b", "size", "two"));
    let (text, code) = plan(&scene, &["app", "-n", &namespace, "--from", "HEAD"]);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("~ ConfigMap {namespace}/a  (differs without this change too)"),
            &format!("~ ConfigMap {namespace}/b"),
        ],
    );
}

#[tokio::test]
async fn what_the_api_server_refuses_is_an_error_with_its_words() {
    let scene = deployed("plan-refused").await;
    let namespace = scene.namespace.clone();
    let folder = format!("apps/{namespace}");
    let target = ["app", "-n", &*namespace];
    // A field that cannot change.
    let other = deployment("web", "web:1", 2).replace("\"app\":\"web\"", "\"app\":\"other\"");
    scene
        .repository
        .write(&format!("{folder}/web.yaml"), &other);
    let (text, code) = plan(&scene, &target);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains(&format!(
            "-/+ Deployment {namespace}/web  (spec.selector cannot change: "
        )),
        "{text}"
    );
    assert_told(&text, &["~ spec.selector.matchLabels.app: web → other"]);
    let forced = json!({ "spec": { "force": true } });
    scene.merge(&kustomization_kind(), "app", forced).await;
    let (text, code) = plan(&scene, &target);
    assert_eq!(code, Some(3), "{text}");
    assert_told(
        &text,
        &[&format!(
            "-/+ Deployment {namespace}/web  (replaced: spec.selector cannot change)"
        )],
    );

    scene
        .repository
        .write(&format!("{folder}/web.yaml"), deployment("web", "web:1", 2))
        .write(
            &format!("{folder}/a.yaml"),
            config_map("A_b", "size", "one"),
        );
    let (text, code) = plan(&scene, &target);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("! ConfigMap ") && text.contains("1 object is refused"),
        "{text}"
    );
}

/// The same lines, whoever asks, but for what says that nobody tried.
#[tokio::test]
async fn an_account_that_may_only_read_is_told_nearly_the_same() {
    let scene = deployed("plan-reader").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    scene
        .merge_as(
            "scaler",
            &deployment_kind(),
            "web",
            json!({ "spec": { "replicas": 5 } }),
        )
        .await;
    let readable = [
        "configmaps",
        "secrets",
        "deployments",
        "kustomizations",
        "namespaces",
    ];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let output = weir(
        scene.repository.path(),
        &kubeconfig,
        &["plan", "app", "-n", &namespace],
    );
    let (text, code) = said(&output);
    let (full, _) = plan(&scene, &["app", "-n", &namespace]);
    assert_eq!(code, Some(3), "{text}");
    let exact = text
        .replace("; approximate)", ")")
        .replace("  (approximate)", "");
    let exact: Vec<&str> = exact
        .lines()
        .filter(|line| !line.contains("approximate"))
        .collect();
    assert_eq!(exact, full.lines().collect::<Vec<_>>(), "{text}");
    assert!(
        text.contains(&format!("~ Deployment {namespace}/web  (approximate)")),
        "{text}"
    );
    assert!(
        text.contains("warning: approximate where it says so"),
        "{text}"
    );
}

/// Whose field is whose can be wiped off an object: what the server publishes still says how its lists are merged.
#[tokio::test]
async fn an_account_that_may_only_read_is_told_how_lists_are_merged() {
    let scene = deployed("plan-lists").await;
    let namespace = scene.namespace.clone();
    let web = deployment_kind();
    let side = json!([{ "name": "side", "image": "side:1" }, { "name": "web", "image": "web:1" }]);
    let wiped = json!({
        "metadata": { "managedFields": [{}] },
        "spec": { "template": { "spec": { "containers": side } } },
    });
    scene.merge_as("somebody", &web, "web", wiped).await;
    scene
        .merge(
            &web,
            "web",
            json!({ "metadata": { "managedFields": [{}] } }),
        )
        .await;
    edit(&scene);
    let readable = [
        "configmaps",
        "secrets",
        "deployments",
        "kustomizations",
        "namespaces",
    ];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let arguments = ["plan", "app", "-n", &namespace];
    let (text, code) = said(&weir(scene.repository.path(), &kubeconfig, &arguments));
    let (full, _) = plan(&scene, &["app", "-n", &namespace]);
    assert_eq!(code, Some(3), "{text}");
    let containers = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("containers"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(containers(&text), containers(&full), "{text}\n{full}");
    assert!(
        text.contains("containers[web].image: web:1 → web:2") && !text.contains("side"),
        "{text}"
    );
}

#[tokio::test]
async fn what_may_not_even_be_read_may_change() {
    let scene = deployed("plan-blind").await;
    let namespace = scene.namespace.clone();
    let readable = ["configmaps", "deployments", "kustomizations", "namespaces"];
    let (_folder, kubeconfig) = reader(&scene, &readable).await;
    let output = weir(
        scene.repository.path(),
        &kubeconfig,
        &["plan", "app", "-n", &namespace],
    );
    let (text, code) = said(&output);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("? Secret {namespace}/key  (approximate)"),
            "Plan: 1 may change, 4 unchanged · 1 of 1 environment",
        ],
    );
}

fn in_namespace(namespace: &str, text: String) -> String {
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object["metadata"]["namespace"] = json!(namespace);
    object.to_string()
}

/// A cluster whose entry brings a Kustomization with a variable that only the cluster knows.
pub(crate) async fn fleet(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    let namespace = &scene.namespace;
    let base = in_namespace(namespace, config_map("base", "x", "one"));
    let own = format!("clusters/{namespace}");
    let child = |path: &str| {
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "apps", "namespace": namespace },
            "spec": {
                "interval": "1h", "path": path, "prune": true, "targetNamespace": namespace,
                "sourceRef": { "kind": "GitRepository", "name": "fleet" },
                "postBuild": { "substituteFrom": [{ "kind": "ConfigMap", "name": "cluster" }] },
            },
        })
    };
    scene
        .repository
        .write(
            &format!("{own}/kustomization.yaml"),
            kustomization_file(&["apps.yaml", "base.yaml"]),
        )
        .write(
            &format!("{own}/apps.yaml"),
            child(&format!("envs/{namespace}")).to_string(),
        )
        .write(&format!("{own}/base.yaml"), base)
        .write(
            &format!("envs/{namespace}/kustomization.yaml"),
            kustomization_file(&["site.yaml"]),
        )
        .write(
            &format!("envs/{namespace}/site.yaml"),
            config_map("site", "domain", "${domain}"),
        );
    let commit = scene.repository.publish("first");
    let values = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "cluster" }, "data": { "domain": "one.example.org" },
    });
    scene.create(&serde_json::from_value(values).unwrap()).await;
    scene.source(json!({})).await;
    scene
        .sync("root", &own, json!({ "targetNamespace": null }))
        .await;
    scene.ready("root", &commit).await;
    scene.ready("apps", &commit).await;
    scene
}

#[tokio::test]
async fn an_environment_is_planned_with_all_that_it_brings() {
    let scene = fleet("plan-fleet").await;
    let namespace = scene.namespace.clone();
    let (text, code) = plan(&scene, &[&namespace]);
    assert_eq!(code, Some(0), "{text}");

    let site = format!("envs/{namespace}/site.yaml");
    scene
        .repository
        .write(&site, config_map("site", "domain", "www.${domain}"));
    let (text, code) = plan(&scene, &[&namespace]);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("{namespace}/apps"),
            "~ data.domain: one.example.org → www.one.example.org",
        ],
    );
    // What the caller says stands above what the cluster has.
    scene
        .repository
        .write("more.yaml", "domain: two.example.org\n");
    let (text, _) = plan(
        &scene,
        &[&format!("envs/{namespace}"), "--vars", "more.yaml"],
    );
    assert_told(
        &text,
        &["~ data.domain: one.example.org → www.two.example.org"],
    );

    // What brings it no longer does: its objects go with it.
    let own = format!("clusters/{namespace}");
    scene.repository.write(
        &format!("{own}/kustomization.yaml"),
        kustomization_file(&["base.yaml"]),
    );
    let (text, code) = plan(&scene, &["root", "-n", &namespace]);
    assert_eq!(code, Some(3), "{text}");
    assert_told(
        &text,
        &[
            &format!("- Kustomization {namespace}/apps  (of {namespace}/root)"),
            &format!("- ConfigMap {namespace}/site  (of {namespace}/apps)"),
        ],
    );
    // An object that another one takes over is no prune.
    scene
        .repository
        .write(
            &format!("{own}/kustomization.yaml"),
            kustomization_file(&["base.yaml", "site.yaml"]),
        )
        .write(
            &format!("{own}/site.yaml"),
            in_namespace(&namespace, config_map("site", "domain", "one.example.org")),
        );
    let (text, _) = plan(&scene, &["root", "-n", &namespace]);
    let moved = format!("~ ConfigMap {namespace}/site  (moves here from {namespace}/apps)");
    assert_told(&text, &[&moved, &format!("no longer wanted ({}):", 1)]);
}

#[tokio::test]
async fn kinds_and_namespaces_that_the_same_change_brings_are_not_asked_for() {
    let scene = fleet("plan-first").await;
    let namespace = scene.namespace.clone();
    let folder = format!("envs/{namespace}");
    let group = format!("{namespace}.example.org");
    let thing = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": { "name": "thing" }, "spec": { "a": 1 },
    });
    let there = in_namespace(&format!("{namespace}-new"), config_map("there", "x", "one"));
    let new = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": format!("{namespace}-new") } });
    scene
        .repository
        .write(
            &format!("clusters/{namespace}/kustomization.yaml"),
            kustomization_file(&[
                "apps.yaml",
                "base.yaml",
                "new.yaml",
                "kind.yaml",
                "there.yaml",
            ]),
        )
        .write(&format!("clusters/{namespace}/new.yaml"), new.to_string())
        .write(&format!("clusters/{namespace}/there.yaml"), there)
        .write(
            &format!("clusters/{namespace}/kind.yaml"),
            weir_tests::objects::definition(&group, "Thing"),
        )
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["site.yaml", "thing.yaml"]),
        )
        .write(&format!("{folder}/thing.yaml"), thing.to_string());
    let (text, code) = plan(&scene, &[&namespace]);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("+ Thing {namespace}/thing"),
            &format!("+ Namespace {namespace}-new"),
            &format!("+ ConfigMap {namespace}-new/there"),
            "Plan: 4 add, 3 unchanged · 1 of 1 environment",
        ],
    );
}

#[tokio::test]
async fn what_is_encrypted_is_opened_with_the_key_of_the_cluster_or_not_known() {
    let scene = Scene::start("plan-keys").await;
    let namespace = scene.namespace.clone();
    let example = workspace().join("examples/flux-structure");
    let sealed = std::fs::read(example.join("envs/prod-eu/secrets.yaml.encrypted")).unwrap();
    let folder = format!("apps/{namespace}");
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["sealed.yaml"]),
        )
        .write(&format!("{folder}/sealed.yaml"), sealed);
    let commit = scene.repository.publish("first");
    let key = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sops-age" },
        "stringData": { "age.agekey": std::fs::read_to_string(example.join("age.agekey")).unwrap() },
    });
    scene.create(&serde_json::from_value(key).unwrap()).await;
    scene.source(json!({})).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    scene
        .sync("app", &folder, json!({ "decryption": decryption }))
        .await;
    scene.ready("app", &commit).await;

    let (text, code) = plan(&scene, &["app", "-n", &namespace]);
    assert_eq!(code, Some(0), "{text}");
    let (text, code) = plan(&scene, &["app", "-n", &namespace, "--without-keys"]);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[&format!("? Secret {namespace}/shop-secrets  (approximate)")],
    );
    let line = text
        .lines()
        .find(|line| line.contains("data.DATABASE_PASSWORD"))
        .unwrap();
    assert!(
        line.contains("*** may change (known after apply: encrypted in "),
        "{line}"
    );

    // A file of which not even the kinds can be read: what was in the other one may be in it.
    let whole = "apiVersion: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\nkind: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\n\
                 metadata:\n  name: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\nsops:\n  mac: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]\n  \
                 lastmodified: '2026-01-01T00:00:00Z'\n  version: 3.9.0\n";
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["whole.yaml"]),
        )
        .write(&format!("{folder}/whole.yaml"), whole);
    let (text, code) = plan(&scene, &["app", "-n", &namespace, "--without-keys"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&format!(
            "only its key says which objects {folder}/whole.yaml holds"
        )),
        "{text}"
    );
    // Such a plan is not carried out: what is in there would be nobody's.
    scene.repository.commit("closed");
    let target = [
        "app",
        "-n",
        &*namespace,
        "--without-keys",
        "--save",
        "plan.json",
    ];
    let (text, code) = plan(&scene, &target);
    assert!(
        code == Some(1) && text.contains("the plan is not saved"),
        "{text}"
    );
}

/// A patch that is encrypted as a whole: with the key it is what it sets, without it everything that it is about may
/// change, whether or not anything else does.
#[tokio::test]
async fn what_an_encrypted_patch_is_about_may_change() {
    let scene = Scene::start("plan-patch").await;
    let namespace = scene.namespace.clone();
    let folder = format!("apps/{namespace}");
    let example = workspace().join("examples/flux-structure");
    let key = std::fs::read_to_string(example.join("age.agekey")).unwrap();
    let seal = |value: &str| {
        scene
            .repository
            .write("plain", config_map("a", "token", value));
        let recipient = key
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "))
            .unwrap();
        let mut command = Weir::command();
        let arguments = [
            "secrets", "encrypt", "--age", recipient, "--format", "yaml", "plain",
        ];
        let output = command
            .args(arguments)
            .current_dir(scene.repository.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{:?}", said(&output));
        std::fs::remove_file(scene.repository.path().join("plain")).unwrap();
        let path = format!("{folder}/patch.yaml");
        scene.repository.write(&path, output.stdout);
    };
    let mut file: Value = serde_json::from_str(&kustomization_file(&["a.yaml", "b.yaml"])).unwrap();
    file["patches"] = json!([{ "path": "patch.yaml", "target": { "name": "a" } }]);
    seal("hunter2-one");
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "one"))
        .write(&format!("{folder}/b.yaml"), config_map("b", "size", "one"));
    let commit = scene.repository.publish("first");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sops-age" }, "stringData": { "age.agekey": key },
    });
    scene.create(&serde_json::from_value(secret).unwrap()).await;
    scene.source(json!({})).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    scene
        .sync("app", &folder, json!({ "decryption": decryption }))
        .await;
    scene.ready("app", &commit).await;

    let target = ["app", "-n", &*namespace];
    let blind = ["app", "-n", &*namespace, "--without-keys"];
    assert_eq!(plan(&scene, &target).1, Some(0));
    let object = format!("? ConfigMap {namespace}/a  (approximate)");
    let reason = format!("(known after apply: encrypted in {folder}/patch.yaml)");
    let (text, code) = plan(&scene, &blind);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &object,
            "Plan: 1 may change, 1 unchanged · 1 of 1 environment",
        ],
    );
    assert!(
        text.contains(&format!("may change: {reason}")) && !text.contains("hunter2"),
        "{text}"
    );
    // What it set is not taken for something that goes for certain.
    assert!(!text.contains("- data.token"), "{text}");

    seal("hunter2-two");
    let (text, code) = plan(&scene, &target);
    assert_eq!(code, Some(2), "{text}");
    assert_told(&text, &["~ data.token: *** changed"]);
    for name in ["a", "b"] {
        let path = format!("{folder}/{name}.yaml");
        scene
            .repository
            .write(&path, config_map(name, "size", "two"));
    }
    let (text, code) = plan(&scene, &blind);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &object,
            &format!("? data.size: *** may change {reason}"),
            &format!("~ ConfigMap {namespace}/b"),
        ],
    );
}

/// What came out of a Secret is one wherever it stands: in other kinds, in what is there, in what the server says.
#[tokio::test]
async fn values_of_secrets_are_masked_wherever_they_turn_up() {
    let scene = Scene::start("plan-masked").await;
    let namespace = scene.namespace.clone();
    let folder = format!("apps/{namespace}");
    let site = |rest: &str| config_map("site", "url", &format!("https://me:${{word}}@{rest}"));
    let door = |address: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "door", "annotations": { "note": "${word}" } },
            "spec": { "clusterIP": address, "ports": [{ "port": 80 }] },
        })
        .to_string()
    };
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["site.yaml", "door.yaml"]),
        )
        .write(&format!("{folder}/site.yaml"), site("one.example.org"))
        .write(&format!("{folder}/door.yaml"), door("None"));
    let commit = scene.repository.publish("first");
    let word = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "words" }, "stringData": { "word": value },
        })
    };
    scene
        .create(&serde_json::from_value(word("hunter2-one")).unwrap())
        .await;
    scene.source(json!({})).await;
    let from = json!({ "substituteFrom": [{ "kind": "Secret", "name": "words" }] });
    scene
        .sync("app", &folder, json!({ "postBuild": from }))
        .await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;

    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let (_folder, reading) = reader(&scene, &["*"]).await;
    let target = ["plan", "app", "-n", &*namespace];
    let unspoken = |text: &str| {
        for part in ["hunter2", "aHVudGVy"] {
            assert!(!text.contains(part), "{text}");
        }
    };
    scene
        .repository
        .write(&format!("{folder}/site.yaml"), site("two.example.org"));
    for kubeconfig in [own, &*reading] {
        let (text, code) = said(&weir(scene.repository.path(), kubeconfig, &target));
        assert_eq!(code, Some(2), "{text}");
        assert_told(&text, &["~ data.url: *** changed"]);
        unspoken(&text);
    }
    // Where it is wanted no more, what is there still holds it.
    let site_of = |url: &str| config_map("site", "url", url);
    scene.repository.write(
        &format!("{folder}/site.yaml"),
        site_of("https://example.org"),
    );
    for kubeconfig in [own, &*reading] {
        let (text, _) = said(&weir(scene.repository.path(), kubeconfig, &target));
        assert_told(&text, &["~ data.url: *** changed"]);
        unspoken(&text);
    }
    scene
        .repository
        .write(&format!("{folder}/site.yaml"), site("two.example.org"));
    // The one before is none that anybody knows any more.
    let words = kind("", "v1", "Secret");
    scene.merge(&words, "words", word("hunter2-two")).await;
    // The server repeats what it refuses.
    scene
        .repository
        .write(&format!("{folder}/door.yaml"), door("${word}"));
    for output in ["text", "json", "html", "markdown"] {
        let arguments = [&target[..], &["-o", output]].concat();
        for kubeconfig in [own, &*reading] {
            let (text, _) = said(&weir(scene.repository.path(), kubeconfig, &arguments));
            assert!(text.contains("door"), "{text}");
            unspoken(&text);
        }
    }
}
