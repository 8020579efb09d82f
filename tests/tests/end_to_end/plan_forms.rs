//! The plan against a cluster in every form of output, with everything in it that only a cluster tells, and texts in the
//! cluster that mean harm.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_tests::browser::Browser;
use weir_tests::forge_server::{self, ForgeServer, PullRequest, REPOSITORY, TOKEN};
use weir_tests::objects::{config_map, deployment, kustomization_file, kustomization_kind};
use weir_tests::scene::{config_map_kind, deployment_kind, workspace};
use weir_tests::{ControlPlane, Scene, Weir, golden};

use crate::plans::{reader, said, weir};

/// Texts in the cluster by which somebody tries to be markup, a mention, or the end of a block.
const HARMFUL: &str = "<script>alert(1)</script> <img src=x onerror=alert(2)> @team | \u{202e}\u{1b}[31m\n```\n</code></details>\n# plan\n~~~\n@everyone\n";

fn annotated(text: String, annotation: &str, value: &str) -> String {
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object["metadata"]["annotations"] = json!({ annotation: value });
    object.to_string()
}

fn locked(name: &str, value: &str) -> String {
    let mut object: Value = serde_json::from_str(&config_map(name, "size", value)).unwrap();
    object["immutable"] = json!(true);
    object.to_string()
}

fn write(scene: &Scene, files: &[(&str, String)], color: &str) {
    let folder = format!("apps/{}", scene.namespace);
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let mut file: Value = serde_json::from_str(&kustomization_file(&names)).unwrap();
    file["configMapGenerator"] =
        json!([{ "name": "settings", "literals": [format!("color={color}")] }]);
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string());
    for (name, text) in files {
        scene.repository.write(&format!("{folder}/{name}"), text);
    }
}

fn secret(value: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "key" }, "stringData": { "password": value },
    })
    .to_string()
}

fn sealed() -> String {
    let example = workspace().join("examples/flux-structure");
    std::fs::read_to_string(example.join("envs/prod-eu/secrets.yaml.encrypted")).unwrap()
}

/// What is there, but for what somebody does to it later.
async fn before(word: &str) -> Scene {
    const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
    let scene = Scene::start(word).await;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "claim" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let addresses = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": { "name": "old-kind" },
        "subsets": [{ "addresses": [{ "ip": "10.1.2.3" }], "ports": [{ "port": 80 }] }],
    });
    let kept = annotated(config_map("kept", "size", "one"), PRUNE, "disabled");
    write(
        &scene,
        &[
            ("web.yaml", deployment("web", "web:1", 2)),
            ("harm.yaml", config_map("harm", "text", HARMFUL)),
            ("locked.yaml", locked("locked", "one")),
            ("forced.yaml", locked("forced", "one")),
            ("key.yaml", secret("hunter2-one")),
            ("sealed.yaml", sealed()),
            ("old-kind.yaml", addresses.to_string()),
            ("left.yaml", config_map("left", "size", "one")),
            ("gone.yaml", config_map("gone", "size", "one")),
            ("kept.yaml", kept),
            ("claim.yaml", claim.to_string()),
        ],
        "red",
    );
    let commit = scene.repository.publish("first");
    let example = workspace().join("examples/flux-structure");
    let key = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sops-age" },
        "stringData": { "age.agekey": std::fs::read_to_string(example.join("age.agekey")).unwrap() },
    });
    scene.create(&serde_json::from_value(key).unwrap()).await;
    scene.source(json!({})).await;
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    let folder = format!("apps/{}", scene.namespace);
    scene
        .sync("app", &folder, json!({ "decryption": decryption }))
        .await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;
    scene
}

/// What is wanted, and what others have done meanwhile.
async fn after(scene: &Scene) {
    const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
    const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
    let addresses = json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": { "name": "old-kind" },
        "subsets": [{ "addresses": [{ "ip": "10.1.2.4" }], "ports": [{ "port": 80 }] }],
    });
    let harm = HARMFUL.replace("@team", "@all");
    let left = annotated(config_map("left", "size", "two"), RECONCILE, "disabled");
    write(
        scene,
        &[
            ("web.yaml", deployment("web", "web:2", 2)),
            ("harm.yaml", config_map("harm", "text", &harm)),
            ("locked.yaml", locked("locked", "two")),
            (
                "forced.yaml",
                annotated(locked("forced", "two"), FORCE, "enabled"),
            ),
            ("key.yaml", secret("hunter2-two")),
            ("sealed.yaml", sealed()),
            ("old-kind.yaml", addresses.to_string()),
            ("left.yaml", left),
            ("new.yaml", config_map("new", "size", "one")),
            ("refused.yaml", config_map("Refused_Name", "size", "one")),
        ],
        "blue",
    );
    let scaled = json!({ "spec": { "replicas": 5 } });
    scene
        .merge_as("autoscaler", &deployment_kind(), "web", scaled)
        .await;
    let taken = json!({ "data": { "text": format!("{HARMFUL}mine\n") } });
    scene
        .merge_as("<i>@manager</i> `|`", &config_map_kind(), "harm", taken)
        .await;
}

fn golden(file: &str, scene: &Scene, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/end_to_end/golden")
        .join(file);
    // The port is another one at each run.
    golden::same(&path, &text.replace(&scene.namespace, "shop"));
}

fn plan(scene: &Scene, kubeconfig: &Path, more: &[&str], code: i32) -> String {
    let arguments = ["plan", "app", "-n", &scene.namespace, "--without-keys"];
    let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
    let output = weir(scene.repository.path(), kubeconfig, &arguments);
    assert_eq!(output.status.code(), Some(code), "{:?}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn page_in(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("plan.html");
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn every_form_of_a_plan_against_a_cluster_is_as_it_was() {
    let scene = before("plan-forms").await;
    after(&scene).await;
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    for (file, arguments) in [
        ("plan.txt", &[][..]),
        ("short.txt", &["--short"]),
        ("stat.txt", &["--stat"]),
        ("plan.json", &["-o", "json"]),
        ("plan.md", &["-o", "markdown"]),
        ("plan.html", &["-o", "html"]),
    ] {
        let text = plan(&scene, own, arguments, 1);
        for secret in ["hunter2", "aHVudGVy", "ENC[", "unknown0", "\u{1b}"] {
            assert!(!text.contains(secret), "{secret} in {file}");
        }
        golden(file, &scene, &text);
    }
    let (_folder, kubeconfig) = reader(&scene, &["*"]).await;
    // What only the API server knows to refuse is not refused then.
    let text = plan(&scene, &kubeconfig, &[], 3);
    golden("approximate.txt", &scene, &text);
}

/// On a pull request, from a job that may ask the cluster; for one from a fork neither is asked for.
#[tokio::test]
async fn the_plan_against_a_cluster_is_a_comment_but_not_for_a_fork() {
    let scene = before("plan-comment").await;
    scene.repository.branch("change");
    after(&scene).await;
    let commit = scene.repository.commit("second");
    let forge = ForgeServer::start(forge_server::Kind::GitHub);
    forge.state().requests.push(PullRequest {
        source: "change".to_owned(),
        target: "main".to_owned(),
        commit,
        repository: REPOSITORY.to_owned(),
        ..PullRequest::default()
    });
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let run = || {
        let mut command = Weir::command();
        let target = format!("apps/{}", scene.namespace);
        command
            .current_dir(scene.repository.path())
            .args(["comment", &target, "--without-keys"])
            .args([
                "--forge=github",
                "--forge-repository=acme/fleet",
                "--pull-request=1",
            ])
            .arg(format!("--forge-api={}", forge.api()))
            .env("WEIR_FORGE_TOKEN", TOKEN)
            .arg("--kubeconfig")
            .arg(own);
        command.output().unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{:?}", said(&output));
    let comment = forge.state().comments[0].2.clone();
    for told in [
        "<!-- weir plan -->\n### Plan: <code>cluster</code> → <code>change</code>\n",
        "conflict: spec.replicas is written by autoscaler",
        "(known after apply: encrypted in ",
        "guarded: waits for a confirmation",
    ] {
        assert!(comment.contains(told), "{told}: {comment}");
    }
    assert!(!comment.contains("hunter2"), "{comment}");

    forge.state().requests[0].repository = "mallory/fleet".to_owned();
    let output = run();
    let comment = forge.state().comments[0].2.clone();
    let note = "From a fork: told without keys and without a cluster.";
    assert!(
        comment.contains(note) && !comment.contains("autoscaler"),
        "{:?} {comment}",
        said(&output)
    );
}

/// In a real browser: nothing but the page's own script runs, and that searches and folds.
#[tokio::test]
async fn the_page_of_a_plan_is_searched_and_folded_and_runs_nothing_else() {
    let scene = before("plan-browser").await;
    after(&scene).await;
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let folder = tempfile::tempdir().unwrap();
    let page = page_in(folder.path(), &plan(&scene, own, &["-o", "html"], 1));
    let mut browser = Browser::open(&page, "");
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);

    const SHOWN: &str =
        "[...document.querySelectorAll('.object')].filter((it) => it.checkVisibility()).length";
    const FOUND: &str = "document.getElementById('found').textContent";
    let objects = browser.evaluate(SHOWN).as_u64().unwrap();
    assert!(objects > 10, "{objects}");
    for (words, shown) in [
        ("autoscaler", 1),
        ("WEB:2", 1),
        ("size two", 2),
        ("guarded", 1),
        (&*scene.namespace, objects),
        ("no-such-thing", 0),
    ] {
        let typed = format!(
            "{{ const field = document.getElementById('search'); field.value = '{words}'; \
             field.dispatchEvent(new Event('input')); }}"
        );
        browser.evaluate(&typed);
        assert_eq!(browser.evaluate(SHOWN), shown, "{words}");
        assert_eq!(browser.evaluate(FOUND), format!("{shown} of {objects}"));
    }
    let address = browser.evaluate("location.hash");
    assert_eq!(address, "#search=no-such-thing");

    const LEAVES: &str =
        "[...document.querySelectorAll('li')].filter((it) => it.checkVisibility()).length";
    let mut linked = Browser::open(&page, "#search=size+two");
    assert_eq!(
        (linked.evaluate(SHOWN), linked.evaluate(LEAVES)),
        (json!(2), json!(3))
    );
    for (button, open) in [("close", 0), ("open", 3)] {
        linked.evaluate(&format!("document.getElementById('{button}').click()"));
        assert_eq!(linked.evaluate(LEAVES), open, "{button}");
    }
}
