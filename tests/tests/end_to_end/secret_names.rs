//! A generator ends the name of a Secret in a hash of what it holds. No plan shows that, and none is less exact without.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use weir_tests::objects::{config_map, deployment, kind, kustomization_kind};
use weir_tests::scene::workspace;
use weir_tests::{ControlPlane, Scene, Weir};

use crate::plans::{assert_told, said, weir};

/// A Secret out of a short literal, and a Deployment that refers to it.
fn write(scene: &Scene, pin: Option<&str>, size: &str) {
    let folder = format!("apps/{}", scene.namespace);
    let mut file = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["web.yaml", "a.yaml"],
    });
    let mut web: Value = serde_json::from_str(&deployment("web", "web:1", 1)).unwrap();
    if let Some(pin) = pin {
        file["secretGenerator"] = json!([{ "name": "lock", "literals": [format!("pin={pin}")] }]);
        web["spec"]["template"]["spec"]["volumes"] =
            json!([{ "name": "lock", "secret": { "secretName": "lock" } }]);
    }
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(&format!("{folder}/web.yaml"), web.to_string())
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", size));
}

async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    write(&scene, Some("1234"), "one");
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let folder = format!("apps/{}", scene.namespace);
    scene.sync("app", &folder, json!({})).await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;
    scene
}

/// What the Secret is called in the cluster.
async fn living(scene: &Scene) -> String {
    let inventory = scene.inventory("app").await;
    let id = inventory
        .iter()
        .find(|id| id.ends_with("__Secret"))
        .unwrap();
    id.split('_').nth(1).unwrap().to_owned()
}

/// What it is called by what is wanted.
fn wanted(scene: &Scene) -> String {
    let folder = format!("apps/{}", scene.namespace);
    let output = Weir::command()
        .current_dir(scene.repository.path())
        .args(["build", &folder])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("secretName: lock-"));
    let (_, name) = line.unwrap().split_once(": ").unwrap();
    name.to_owned()
}

fn run(scene: &Scene, arguments: &[&str]) -> (String, Option<i32>) {
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    said(&weir(scene.repository.path(), own, arguments))
}

fn file(scene: &Scene) -> String {
    std::fs::read_to_string(scene.repository.path().join("plan.json")).unwrap()
}

/// Makes a Secret anew as the controller had made it: all is the same but its unique id.
async fn remake(scene: &Scene, name: &str) {
    let secrets = kind("", "v1", "Secret");
    let old = scene.get(&secrets, name).await;
    scene.delete(&secrets, name).await;
    let new = json!({
        "apiVersion": "v1", "kind": "Secret", "data": old.data["data"], "type": "Opaque",
        "metadata": { "name": name, "labels": old.metadata.labels },
    });
    let as_controller = PatchParams::apply("kustomize-controller");
    let api = scene.api(&secrets);
    api.patch(name, &as_controller, &Patch::Apply(new))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_hash_of_a_secret_is_in_no_plan_and_binds_it_all_the_same() {
    let scene = deployed("names").await;
    let namespace = scene.namespace.clone();
    let old = living(&scene).await;
    write(&scene, Some("5678"), "one");
    let commit = scene.repository.commit("another pin");
    let new = wanted(&scene);
    assert!(old != new && old.starts_with("lock-"), "{old} {new}");
    let unspoken = |text: &str| {
        for name in [&old, &new] {
            let hash = name.strip_prefix("lock-").unwrap();
            assert!(!text.contains(hash), "{hash}: {text}");
        }
    };
    for form in ["text", "json", "html", "markdown"] {
        let arguments = ["plan", "app", "-n", &*namespace, "-o", form];
        let (text, code) = run(&scene, &arguments);
        assert_eq!(code, Some(2), "{text}");
        unspoken(&text);
        assert!(text.contains("lock-***"), "{text}");
    }
    let save = ["plan", "app", "-n", &*namespace, "--save", "plan.json"];
    let (text, _) = run(&scene, &save);
    assert_told(
        &text,
        &[
            &format!("~ Secret {namespace}/lock-***  (under a new name)"),
            "~ data.pin: *** changed",
            "~ spec.template.spec.volumes[lock].secret.secretName: lock-*** changed",
            "Plan: 2 change, 1 unchanged · 1 of 1 environment",
        ],
    );
    unspoken(&file(&scene));
    let saved: Value = serde_json::from_str(&file(&scene)).unwrap();
    let objects = saved["kustomizations"][0]["objects"].as_array().unwrap();
    let secret = objects
        .iter()
        .find(|it| it["id"] == format!("Secret/{namespace}/lock-***"))
        .unwrap();
    let secrets = kind("", "v1", "Secret");
    let there = scene.get(&secrets, &old).await;
    assert_eq!(secret["uid"], json!(there.metadata.uid), "{secret}");

    // The one that goes is another one meanwhile, of the same name and content.
    remake(&scene, &old).await;
    let (text, code) = run(&scene, &["apply", "--plan", "plan.json"]);
    assert_eq!(code, Some(1), "{text}");
    unspoken(&text);
    let head = format!("{namespace}/app: change (under a new name) Secret/{namespace}/lock-*** (");
    let told = |sign: char| {
        let uid = text
            .lines()
            .find(|line| line.starts_with(&format!("{sign} {head}")));
        uid.unwrap_or_else(|| panic!("{sign} {head}\n{text}"))
    };
    assert!(told('-').contains(&*there.metadata.uid.unwrap()), "{text}");
    assert_ne!(told('-')[1..], told('+')[1..]);
    assert!(scene.find(&secrets, &new).await.is_none());

    run(&scene, &save);
    let (text, code) = run(&scene, &["apply", "--plan", "plan.json"]);
    assert_eq!(code, Some(0), "{text}");
    unspoken(&text);
    let id = format!("{namespace}/app: Secret/{namespace}/lock-***");
    assert_told(&text, &[&format!("{id} created"), &format!("{id} deleted")]);
    assert!(scene.find(&secrets, &old).await.is_none());
    let made = scene.get(&secrets, &new).await;
    assert_eq!(made.data["data"], json!({ "pin": "NTY3OA==" }));
    assert_eq!(living(&scene).await, new);

    // What a change of the branch does is told apart from what differs anyway, by names without hashes.
    write(&scene, Some("9999"), "two");
    let from = ["plan", "app", "-n", &*namespace, "--from", &commit];
    let (text, _) = run(&scene, &from);
    assert!(!text.contains("without this change"), "{text}");
}

#[tokio::test]
async fn a_secret_that_no_generator_makes_any_more_is_pruned_by_its_unique_id() {
    let scene = deployed("names-prune").await;
    let namespace = scene.namespace.clone();
    let old = living(&scene).await;
    write(&scene, None, "one");
    scene.repository.commit("no pin");
    let save = ["plan", "app", "-n", &*namespace, "--save", "plan.json"];
    let (text, code) = run(&scene, &save);
    assert_eq!(code, Some(3), "{text}");
    let prune = format!("- Secret {namespace}/lock-***  (of {namespace}/app)");
    assert_told(&text, &[&prune]);
    let hash = old.strip_prefix("lock-").unwrap();
    assert!(
        !text.contains(hash) && !file(&scene).contains(hash),
        "{text}"
    );

    remake(&scene, &old).await;
    let (text, code) = run(&scene, &["apply", "--plan", "plan.json"]);
    assert_eq!(code, Some(1), "{text}");
    let line = format!("{namespace}/app: prune Secret/{namespace}/lock-*** (");
    assert_eq!(text.matches(&line).count(), 2, "{text}");
    assert!(scene.find(&kind("", "v1", "Secret"), &old).await.is_some());

    run(&scene, &save);
    let (text, code) = run(&scene, &["apply", "--plan", "plan.json"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(scene.find(&kind("", "v1", "Secret"), &old).await.is_none());
}

/// Without its key neither what a generator makes is known nor its name: it is compared with the one before.
#[tokio::test]
async fn what_a_generator_makes_of_unknown_content_has_no_name_and_is_neither_new_nor_gone() {
    let scene = Scene::start("names-unknown").await;
    let namespace = scene.namespace.clone();
    let folder = format!("apps/{namespace}");
    let example = workspace().join("examples/flux-structure");
    let key = std::fs::read_to_string(example.join("age.agekey")).unwrap();
    let recipient = key
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "));
    let seal = |pin: &str| {
        scene.repository.write("plain", format!("PIN={pin}\n"));
        let output = Weir::command()
            .args(["secrets", "encrypt", "--age", recipient.unwrap()])
            .args(["--format", "dotenv", "plain"])
            .current_dir(scene.repository.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{:?}", said(&output));
        std::fs::remove_file(scene.repository.path().join("plain")).unwrap();
        let path = format!("{folder}/lock.env");
        scene.repository.write(&path, output.stdout);
    };
    let write = |names: &[&str]| {
        let list: Vec<Value> = names
            .iter()
            .map(|name| json!({ "name": name, "envs": ["lock.env"] }))
            .collect();
        let file = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "secretGenerator": list,
        });
        scene
            .repository
            .write(&format!("{folder}/kustomization.yaml"), file.to_string());
    };
    seal("1234");
    write(&["lock"]);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene.sync_encrypted("app", &folder, &key).await;
    scene.ready("app", &commit).await;
    let old = living(&scene).await;
    seal("5678");
    write(&["lock", "more"]);
    let blind = ["plan", "app", "-n", &*namespace, "--without-keys"];
    let (text, code) = run(&scene, &blind);
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &[
            &format!("? Secret {namespace}/lock-(unknown)  (approximate)"),
            &format!("+ Secret {namespace}/more-(unknown)  (approximate)"),
            "Plan: 1 add, 1 may change · 1 of 1 environment",
        ],
    );
    assert!(!text.contains(&old), "{text}");
    // With its key it is known, and shown as little.
    let (text, _) = run(&scene, &["plan", "app", "-n", &*namespace]);
    let renamed = format!("~ Secret {namespace}/lock-***  (under a new name)");
    assert_told(
        &text,
        &[&renamed, &format!("+ Secret {namespace}/more-***")],
    );
}
