//! The plan of what is in a work tree against the cluster that has an earlier state of it.

use std::path::{Path, PathBuf};
use std::process::Output;

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kind, kustomization_file, kustomization_kind};
use weir_tests::scene::{PATIENCE, config_map_kind, deployment_kind};
use weir_tests::{
    Call, ControlPlane, ControlPlaneOptions, GitServerOptions, Scene, Weir, count_by, eventually,
};

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
pub(crate) fn plan(scene: &Scene, arguments: &[&str]) -> (String, Option<i32>) {
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

/// Every object is dry-run by one request, whatever becomes of it, and nothing is written.
#[tokio::test]
async fn an_object_costs_one_dry_run() {
    let options = ControlPlaneOptions {
        audit: true,
        ..ControlPlaneOptions::default()
    };
    let control_plane = ControlPlane::start(options);
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR).to_owned();
    let options = GitServerOptions::default();
    let scene = Scene::on(&control_plane, &kubeconfig, "plan-cost", options).await;
    let folder = format!("apps/{}", scene.namespace);
    let names: Vec<String> = (0..40).map(|number| format!("map-{number}")).collect();
    let write = |changed: usize| {
        let files: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let list = kustomization_file(&files);
        scene
            .repository
            .write(&format!("{folder}/kustomization.yaml"), list);
        for (number, name) in names.iter().enumerate() {
            let size = if number < changed { "two" } else { "one" };
            let text = config_map(name, "size", size);
            scene
                .repository
                .write(&format!("{folder}/{name}.yaml"), text);
        }
    };
    write(0);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync("app", &folder, json!({})).await;
    scene.ready("app", &commit).await;
    write(10);
    let log = control_plane.audit_log().unwrap();
    let position = log.position();
    let administrator = control_plane.kubeconfig(ControlPlane::ADMINISTRATOR);
    let arguments = ["plan", "app", "-n", &*scene.namespace];
    let (text, code) = said(&weir(scene.repository.path(), administrator, &arguments));
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &["Plan: 10 change, 30 unchanged · 1 of 1 environment"],
    );
    let is_map = |call: &Call| call.resource == "configmaps" && call.name.starts_with("map-");
    let calls = eventually(PATIENCE, "all is logged", async || {
        let calls = log.since(position, ControlPlane::ADMINISTRATOR);
        match calls.iter().filter(|call| is_map(call)).count() {
            50.. => Ok(calls),
            found => Err(found),
        }
    })
    .await;
    let writes = ["create", "update", "patch", "delete"];
    let written = |call: &&Call| writes.contains(&&*call.verb) && !call.is_dry_run();
    assert_eq!(calls.iter().filter(written).count(), 0, "{calls:#?}");
    let tried = count_by(calls.iter().filter(|it| is_map(it)), |call| {
        (call.verb.clone(), call.name.clone())
    });
    let patched = tried.keys().filter(|(verb, _)| verb == "patch").count();
    assert_eq!(patched, 40, "{tried:#?}");
    // What changes, or was written a moment ago, is read once besides, to say in what.
    assert!(tried.values().all(|count| *count == 1), "{tried:#?}");
}
