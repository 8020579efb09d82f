//! A plan that was looked at is carried out later: that one, or none.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::objects::{
    config_map, deployment, git_repository_kind, kind, kustomization_file, kustomization_kind,
};
use weir_tests::scene::{SOURCE, config_map_kind, deployment_kind, workspace};
use weir_tests::{ControlPlane, Scene};

use crate::plans::{assert_told, deployed, edit, fleet, said, weir};

/// Runs a command as an administrator in the working repository.
fn run(scene: &Scene, arguments: &[&str]) -> (String, Option<i32>) {
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    said(&weir(scene.repository.path(), kubeconfig, arguments))
}

fn save(scene: &Scene, target: &str) -> Option<i32> {
    let arguments = [
        "plan",
        target,
        "-n",
        &scene.namespace,
        "--save",
        "plan.json",
    ];
    let (text, code) = run(scene, &arguments);
    assert_ne!(code, Some(1), "{text}");
    code
}

fn apply(scene: &Scene) -> (String, Option<i32>) {
    run(scene, &["apply", "--plan", "plan.json"])
}

async fn version(scene: &Scene, name: &str) -> Option<String> {
    let object = scene.find(&config_map_kind(), name).await;
    object.and_then(|object| object.metadata.resource_version)
}

async fn scale(scene: &Scene, replicas: u32) {
    let patch = json!({ "spec": { "replicas": replicas } });
    scene
        .merge_as("scaler", &deployment_kind(), "web", patch)
        .await;
}

#[tokio::test]
async fn what_was_planned_is_carried_out_and_the_controller_finds_nothing_to_do() {
    let scene = deployed("saved").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    let commit = scene.repository.commit("second");
    scale(&scene, 5).await;
    assert_eq!(save(&scene, "app"), Some(3));
    let text = std::fs::read_to_string(scene.repository.path().join("plan.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&file["schema"], &file["commit"]),
        (&json!("weir.saved-plan/v1"), &json!(commit))
    );
    let app = &file["kustomizations"][0];
    assert!(
        app["reads"][format!("apps/{namespace}/a.yaml")]
            .as_str()
            .unwrap()
            .starts_with("blob ")
    );
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVy"),
        "{text}"
    );

    // Somebody else acts meanwhile: the plan is another one, and nothing of it happens.
    scale(&scene, 7).await;
    let before = version(&scene, "a").await;
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(1), "{text}");
    let head = format!("{namespace}/app: change apps/Deployment/{namespace}/web: ");
    assert_told(
        &text,
        &[
            &format!("- {head}~ spec.replicas: 5 → 2"),
            &format!("+ {head}~ spec.replicas: 7 → 2"),
        ],
    );
    assert_eq!(version(&scene, "a").await, before);
    assert_eq!(version(&scene, "c").await, None);

    scale(&scene, 5).await;
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    assert_told(
        &text,
        &[
            &format!("{namespace}/app: ConfigMap/{namespace}/a configured"),
            &format!("{namespace}/app: ConfigMap/{namespace}/c created"),
            &format!("{namespace}/app: Deployment/{namespace}/web configured"),
            &format!("{namespace}/app: ConfigMap/{namespace}/b deleted"),
        ],
    );
    assert_eq!(version(&scene, "b").await, None);
    let web = scene.get(&deployment_kind(), "web").await;
    assert_eq!(web.data["spec"]["replicas"], 2);
    assert_eq!(
        web.data["spec"]["template"]["spec"]["containers"][0]["image"],
        "web:2"
    );
    let app = scene.get(&kustomization_kind(), "app").await;
    let revision = format!("main@sha1:{commit}");
    assert_eq!(app.data["status"]["lastAppliedRevision"], revision);
    let inventory = scene.inventory("app").await;
    assert!(
        inventory.contains(&format!("{namespace}_c__ConfigMap")),
        "{inventory:?}"
    );
    assert!(
        !inventory.contains(&format!("{namespace}_b__ConfigMap")),
        "{inventory:?}"
    );
    assert_eq!(inventory.len(), 5, "{inventory:?}");
    // It is done: the same plan is no plan any more.
    assert_eq!(apply(&scene).1, Some(1));

    // The controller goes on with the same commit, and touches nothing.
    let versions = [version(&scene, "a").await, version(&scene, "c").await];
    scene.repository.push();
    scene.request(&git_repository_kind(), SOURCE).await;
    let has_it =
        |source: &DynamicObject| match source.data["status"]["artifact"]["revision"] == revision {
            true => Ok(()),
            false => Err("it has an older one"),
        };
    scene
        .until(
            "the source has the commit",
            &git_repository_kind(),
            SOURCE,
            has_it,
        )
        .await;
    let resumed = json!({ "spec": { "suspend": null } });
    scene.merge(&kustomization_kind(), "app", resumed).await;
    let token = scene.request(&kustomization_kind(), "app").await;
    scene.answered("app", &token).await;
    scene.ready("app", &commit).await;
    assert_eq!(
        [version(&scene, "a").await, version(&scene, "c").await],
        versions
    );
    assert_eq!(scene.inventory("app").await, inventory);
}

/// Makes an object anew as the controller had made it: all is the same but its unique id.
async fn remake(scene: &Scene, name: &str) {
    let old = scene.get(&config_map_kind(), name).await;
    scene.delete(&config_map_kind(), name).await;
    let new = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": old.data["data"],
        "metadata": { "name": name, "labels": old.metadata.labels },
    });
    let as_controller = PatchParams::apply("kustomize-controller");
    let api = scene.api(&config_map_kind());
    api.patch(name, &as_controller, &Patch::Apply(new))
        .await
        .unwrap();
}

fn tamper(scene: &Scene, field: &str) {
    let path = scene.repository.path().join("plan.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    file[field] = json!("another");
    std::fs::write(&path, file.to_string()).unwrap();
}

#[tokio::test]
async fn each_thing_that_a_plan_is_bound_to_refuses_it_and_names_its_lines() {
    let scene = deployed("saved-bound").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    scene.repository.commit("second");
    let own = |text: &str| format!("{namespace}/app: {text}");
    let id = |name: &str| format!("ConfigMap/{namespace}/{name}");
    for (what, expected) in [
        // A unique id, of what changes and of what is pruned.
        ("remake a", vec![own(&format!("change {} (", id("a")))]),
        ("remake b", vec![own(&format!("prune {} (", id("b")))]),
        // An action.
        (
            "make c",
            vec![
                own(&format!("create {} (not there)", id("c"))),
                own(&format!("change {} (", id("c"))),
            ],
        ),
        ("delete b", vec![own(&format!("prune {} (", id("b")))]),
        // A leaf of ours, and whose it is now.
        (
            "scale",
            vec![own(&format!(
                "change apps/Deployment/{namespace}/web: conflict: spec.replicas is written by scaler"
            ))],
        ),
        ("tree", vec!["the tree was another, and is ".to_owned()]),
        (
            "cluster",
            vec!["it was made for another cluster".to_owned()],
        ),
    ] {
        save(&scene, "app");
        match what.split_once(' ').unwrap_or((what, "")) {
            ("remake", name) => remake(&scene, name).await,
            ("make", name) => {
                let text = config_map(name, "size", "other");
                scene.create(&serde_json::from_str(&text).unwrap()).await;
            }
            ("delete", name) => scene.delete(&config_map_kind(), name).await,
            ("scale", _) => scale(&scene, 5).await,
            (field, _) => tamper(&scene, field),
        }
        let versions = [version(&scene, "a").await, version(&scene, "c").await];
        let (text, code) = apply(&scene);
        assert_eq!(code, Some(1), "{what}: {text}");
        let told: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("error: ") && !line.starts_with("hint: "))
            .collect();
        for line in &expected {
            assert!(
                told.iter().any(|it| it.contains(line.as_str())),
                "{what}: {line}\n{text}"
            );
        }
        // What stays as it was planned is not told.
        assert!(
            !told
                .iter()
                .any(|line| line.contains("settings-") || line.contains("Secret/")),
            "{what}: {text}"
        );
        assert_eq!(
            [version(&scene, "a").await, version(&scene, "c").await],
            versions,
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_others_write_to_their_own_fields_refuses_no_plan() {
    let scene = deployed("saved-others").await;
    edit(&scene);
    scene.repository.commit("second");
    save(&scene, "app");
    let note =
        json!({ "metadata": { "annotations": { "note": "seen" } }, "data": { "theirs": "yes" } });
    scene
        .merge_as("somebody", &config_map_kind(), "a", note)
        .await;
    let status = json!({ "status": { "observedGeneration": 7, "replicas": 2 } });
    let api = scene.api(&deployment_kind());
    api.patch_status("web", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    let a = scene.get(&config_map_kind(), "a").await;
    assert_eq!(a.data["data"], json!({ "size": "two", "theirs": "yes" }));
}

#[tokio::test]
async fn a_plan_is_bound_to_ciphertexts_and_holds_nothing_of_what_is_in_them() {
    let scene = Scene::start("saved-sealed").await;
    let namespace = scene.namespace.clone();
    let example = workspace().join("examples/flux-structure");
    let sealed = std::fs::read(example.join("envs/prod-eu/secrets.yaml.encrypted")).unwrap();
    let folder = format!("apps/{namespace}");
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["sealed.yaml", "a.yaml"]),
        )
        .write(&format!("{folder}/sealed.yaml"), sealed)
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "one"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let key = std::fs::read_to_string(example.join("age.agekey")).unwrap();
    scene.sync_encrypted("app", &folder, &key).await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;
    scene
        .repository
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "two"))
        .commit("second");
    // Somebody has another password there, which is put right.
    let password = json!({ "stringData": { "DATABASE_PASSWORD": "hunter2-other" } });
    let secrets = kind("", "v1", "Secret");
    let sealed = scene.get(&secrets, "shop-secrets").await;
    scene
        .merge_as("somebody", &secrets, "shop-secrets", password)
        .await;
    save(&scene, "app");
    let text = std::fs::read_to_string(scene.repository.path().join("plan.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let path = format!("{folder}/sealed.yaml");
    let id = file["encrypted"][&path].as_str().unwrap();
    assert_eq!(
        file["kustomizations"][0]["reads"][&path],
        format!("blob {id}")
    );
    assert!(
        text.contains("data.DATABASE_PASSWORD: *** changed"),
        "{text}"
    );
    for value in sealed.data["data"].as_object().unwrap().values() {
        assert!(!text.contains(value.as_str().unwrap()), "{text}");
    }
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVy"),
        "{text}"
    );
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    let after = scene.get(&secrets, "shop-secrets").await;
    assert_eq!(after.data["data"], sealed.data["data"]);
}

#[tokio::test]
async fn what_is_to_be_replaced_is_replaced() {
    let scene = deployed("saved-replaced").await;
    let namespace = scene.namespace.clone();
    let other = deployment("web", "web:1", 2).replace("\"app\":\"web\"", "\"app\":\"other\"");
    scene
        .repository
        .write(&format!("apps/{namespace}/web.yaml"), other)
        .commit("second");
    let forced = json!({ "spec": { "force": true } });
    scene.merge(&kustomization_kind(), "app", forced).await;
    let before = scene.get(&deployment_kind(), "web").await;
    assert_eq!(save(&scene, "app"), Some(3));
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    let after = scene.get(&deployment_kind(), "web").await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert_eq!(
        after.data["spec"]["selector"]["matchLabels"],
        json!({ "app": "other" })
    );
}

#[tokio::test]
async fn a_kustomization_that_a_controller_looks_after_is_not_touched() {
    let scene = deployed("saved-active").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    scene.repository.commit("second");
    save(&scene, "app");
    let resumed = json!({ "spec": { "suspend": null } });
    scene.merge(&kustomization_kind(), "app", resumed).await;
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(1), "{text}");
    let told = format!("nothing was written: {namespace}/app is not suspended");
    assert!(text.contains(&told), "{text}");
    assert_eq!(version(&scene, "c").await, None);
}

#[tokio::test]
async fn the_account_of_the_kustomization_writes_and_not_the_caller() {
    let scene = deployed("saved-account").await;
    let namespace = scene.namespace.clone();
    edit(&scene);
    scene.repository.commit("second");
    let account = json!({ "spec": { "serviceAccountName": "deployer" } });
    scene.merge(&kustomization_kind(), "app", account).await;
    save(&scene, "app");
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(1), "{text}");
    let user = format!("system:serviceaccount:{namespace}:deployer");
    assert!(text.contains(&user) && text.contains("refuse"), "{text}");
    assert_eq!(version(&scene, "c").await, None);

    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "deployer" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "deployer", "namespace": namespace }],
    });
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "deployer" } });
    for object in [account, binding] {
        scene.create(&serde_json::from_value(object).unwrap()).await;
    }
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    assert!(version(&scene, "c").await.is_some());
}

#[tokio::test]
async fn what_variables_came_from_is_part_of_the_plan() {
    let mut scene = fleet("saved-variables").await;
    let namespace = scene.namespace.clone();
    // No run that is under way puts right what is suspended by hand.
    scene.weir.terminate();
    let site = format!("envs/{namespace}/site.yaml");
    scene
        .repository
        .write(&site, config_map("site", "domain", "www.${domain}"))
        .commit("second");
    for name in ["root", "apps"] {
        let suspended = json!({ "spec": { "suspend": true } });
        scene.merge(&kustomization_kind(), name, suspended).await;
    }
    assert_eq!(save(&scene, &format!("envs/{namespace}")), Some(2));
    let text = std::fs::read_to_string(scene.repository.path().join("plan.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let tree = scene.repository.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(file["tree"], tree.trim());
    let source = scene.get(&kind("", "v1", "ConfigMap"), "cluster").await;
    assert_eq!(
        file["sources"],
        json!([{
            "kind": "ConfigMap", "namespace": namespace, "name": "cluster",
            "uid": source.metadata.uid, "resourceVersion": source.metadata.resource_version,
        }])
    );
    // The value stays the same, and nobody can tell that of a secret.
    let touched = json!({ "metadata": { "labels": { "touched": "yes" } } });
    scene
        .merge(&kind("", "v1", "ConfigMap"), "cluster", touched)
        .await;
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(1), "{text}");
    let changed = format!("variables of ConfigMap {namespace}/cluster: ");
    assert_eq!(text.matches(&changed).count(), 2, "{text}");

    save(&scene, &format!("envs/{namespace}"));
    let (text, code) = apply(&scene);
    assert_eq!(code, Some(0), "{text}");
    let site = scene.get(&config_map_kind(), "site").await;
    assert_eq!(site.data["data"]["domain"], "www.one.example.org");
}

#[tokio::test]
async fn only_what_was_tried_in_a_cluster_is_saved() {
    let scene = deployed("saved-not").await;
    let namespace = scene.namespace.clone();
    let refused = |arguments: &[&str], told: &str| {
        let (text, code) = run(&scene, arguments);
        assert!(code == Some(1) && text.contains(told), "{text}");
        assert!(
            !scene.repository.path().join("plan.json").exists(),
            "{text}"
        );
    };
    edit(&scene);
    scene.repository.commit("second");
    let a = format!("apps/{namespace}/a.yaml");
    scene
        .repository
        .write(&a, config_map("A_b", "size", "one"))
        .commit("wrong");
    let target = ["plan", "app", "-n", &*namespace, "--save", "plan.json"];
    refused(&target, "1 object is refused");
    scene.repository.write("plan.json", "{}");
    let (text, code) = apply(&scene);
    assert!(
        code == Some(1) && text.contains("this is no saved plan"),
        "{text}"
    );
}
