//! A value that an encrypted file gave to a ConfigMap is there for whoever may read ConfigMaps. No plan shows it, whatever
//! has become of the file.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::objects::{
    config_map, git_repository_kind, kustomization_file, kustomization_kind,
};
use weir_tests::scene::{SOURCE, config_map_kind, workspace};
use weir_tests::{ControlPlane, Scene, Weir};

use crate::plans::{assert_told, reader, said, weir};

/// What was secret, as it is in the cluster.
const OLD: [&str; 2] = ["hunter2", "aHVudGVy"];

fn key() -> String {
    std::fs::read_to_string(workspace().join("examples/flux-structure/age.agekey")).unwrap()
}

/// Writes a file whose data is encrypted for the key of the example.
fn seal(scene: &Scene, path: &str, text: &str) {
    seal_by(scene, path, "^data$", text);
}

/// The same of other fields.
fn seal_by(scene: &Scene, path: &str, fields: &str, text: &str) {
    let key = key();
    let recipient = key
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .unwrap();
    scene.repository.write("plain", text);
    // Only values: what they are about is known without the key.
    let output = Weir::command()
        .args(["secrets", "encrypt", "--age", recipient, "--format", "yaml"])
        .args(["--encrypted-regex", fields])
        .arg("plain")
        .current_dir(scene.repository.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{:?}", said(&output));
    std::fs::remove_file(scene.repository.path().join("plain")).unwrap();
    scene.repository.write(path, output.stdout);
}

/// ConfigMaps that encrypted patches give values to, a generated one among them, applied and suspended.
async fn deployed(word: &str) -> Scene {
    let scene = Scene::start(word).await;
    let folder = format!("apps/{}", scene.namespace);
    let mut file: Value = serde_json::from_str(&kustomization_file(&["a.yaml", "b.yaml"])).unwrap();
    file["patches"] = json!([{ "path": "patch.yaml" }, { "path": "settings.yaml" }]);
    file["configMapGenerator"] = json!([{ "name": "settings", "literals": ["COLOR=red"] }]);
    let patch = config_map("a", "token", "hunter2-patch");
    seal(&scene, &format!("{folder}/patch.yaml"), &patch);
    let settings = config_map("settings", "PIN", "hunter2-pin");
    seal(&scene, &format!("{folder}/settings.yaml"), &settings);
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "one"))
        .write(&format!("{folder}/b.yaml"), config_map("b", "size", "one"));
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    let key = key();
    scene.sync_encrypted("app", &folder, &key).await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;
    scene
}

/// The next commit: what was encrypted is given in the clear, or not at all.
fn in_the_clear(scene: &Scene) {
    let folder = format!("apps/{}", scene.namespace);
    let mut file: Value = serde_json::from_str(&kustomization_file(&["a.yaml", "b.yaml"])).unwrap();
    file["configMapGenerator"] =
        json!([{ "name": "settings", "literals": ["PIN=none", "COLOR=blue"] }]);
    scene
        .repository
        .write(&format!("{folder}/kustomization.yaml"), file.to_string())
        .write(
            &format!("{folder}/a.yaml"),
            config_map("a", "token", "none"),
        )
        .write(&format!("{folder}/b.yaml"), config_map("b", "size", "two"))
        .remove(&format!("{folder}/patch.yaml"))
        .remove(&format!("{folder}/settings.yaml"));
    scene.repository.commit("in the clear");
}

/// Every form of a plan, by whoever may ask for it.
fn all_forms(scene: &Scene, kubeconfig: &Path, more: &[&str]) -> String {
    let mut all = String::new();
    for form in [
        &[][..],
        &["-o", "json"],
        &["-o", "html"],
        &["-o", "markdown"],
    ] {
        let arguments = ["plan", "app", "-n", &*scene.namespace];
        let arguments = [&arguments[..], more, form].concat();
        let (text, code) = said(&weir(scene.repository.path(), kubeconfig, &arguments));
        assert_ne!(code, Some(1), "{text}");
        for part in OLD {
            assert!(
                !text.contains(part),
                "{part} with {more:?} as {form:?}: {text}"
            );
        }
        all.push_str(&text);
    }
    all
}

#[tokio::test]
async fn what_an_encrypted_file_gave_is_not_shown_once_it_is_given_in_the_clear() {
    let scene = deployed("once").await;
    let namespace = scene.namespace.clone();
    in_the_clear(&scene);
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let (_folder, reading) = reader(&scene, &["*"]).await;
    for (kubeconfig, more) in [
        (own, &[][..]),
        (own, &["--from", "HEAD~1"]),
        (own, &["--without-keys"]),
        (&*reading, &[]),
    ] {
        let text = all_forms(&scene, kubeconfig, more);
        assert_told(
            &text,
            &[
                "~ data.token: *** changed",
                "~ data.PIN: *** changed",
                // What was plain then is shown.
                "~ data.size: one → two",
            ],
        );
        // The name that the content gave is no more than the content.
        let settings = scene.inventory("app").await;
        let settings = settings
            .iter()
            .find(|id| id.contains("_settings-"))
            .unwrap();
        let name = settings.split('_').nth(1).unwrap();
        assert!(!text.contains(name), "{name}: {text}");
        assert!(text.contains("(was settings-***"), "{text}");
    }

    let arguments = ["plan", "app", "-n", &*namespace, "--save", "plan.json"];
    let (text, code) = said(&weir(scene.repository.path(), own, &arguments));
    assert_eq!(code, Some(2), "{text}");
    let saved = std::fs::read_to_string(scene.repository.path().join("plan.json")).unwrap();
    for part in OLD {
        assert!(!saved.contains(part), "{saved}");
    }
    assert!(saved.contains("~ data.token: *** changed"), "{saved}");
}

/// It is gone from what is wanted, with the object that held it, or with the Kustomization.
#[tokio::test]
async fn what_an_encrypted_file_gave_is_not_shown_where_it_goes_or_moves() {
    let scene = deployed("once-gone").await;
    let folder = format!("apps/{}", scene.namespace);
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    // Another Kustomization, without any decryption, takes the ConfigMap over.
    let other = format!("other/{}", scene.namespace);
    scene
        .repository
        .write(
            &format!("{other}/kustomization.yaml"),
            kustomization_file(&["a.yaml"]),
        )
        .write(&format!("{other}/a.yaml"), config_map("c", "size", "one"));
    let commit = scene.repository.publish("another one");
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.sync("other", &other, json!({})).await;
    scene.ready("other", &commit).await;
    scene
        .repository
        .write(&format!("{other}/a.yaml"), config_map("a", "token", "none"));
    let arguments = ["plan", "other", "-n", &*scene.namespace];
    let (text, _) = said(&weir(scene.repository.path(), own, &arguments));
    assert_told(&text, &["~ data.token: *** changed"]);
    assert!(!text.contains(OLD[0]), "{text}");

    // Nothing of it is wanted any more.
    scene
        .repository
        .write(
            &format!("{folder}/kustomization.yaml"),
            kustomization_file(&["a.yaml", "b.yaml"]),
        )
        .write(&format!("{folder}/a.yaml"), config_map("a", "size", "one"));
    let text = all_forms(&scene, own, &[]);
    assert_told(&text, &["- data.token: ***"]);
    assert!(
        text.contains("- ConfigMap ") && text.contains("/settings-***"),
        "{text}"
    );
}

/// A clone without the commit that is applied cannot tell what of it was secret.
#[tokio::test]
async fn where_nobody_can_tell_what_was_secret_nothing_of_what_is_there_is_shown() {
    let scene = deployed("once-untold").await;
    in_the_clear(&scene);
    let shallow = tempfile::tempdir().unwrap();
    let clone = shallow.path().join("clone");
    let from = format!("file://{}", scene.repository.path().display());
    let path = clone.to_str().unwrap();
    scene
        .repository
        .git(&["clone", "--quiet", "--depth=1", &from, path]);
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let arguments = ["plan", "app", "-n", &*scene.namespace];
    let (text, code) = said(&weir(&clone, own, &arguments));
    assert_eq!(code, Some(2), "{text}");
    assert_told(
        &text,
        &["~ data.token: *** changed", "~ data.size: *** changed"],
    );
    let commit = scene.repository.git(&["rev-parse", "HEAD~1"]);
    let warning = format!(
        "warning: {}/app: main@sha1:{}, which it has applied, is not in this clone: what is there is not shown, as \
         secrets may be in it",
        scene.namespace,
        commit.trim()
    );
    assert_told(&text, &[&warning]);
    for part in OLD {
        assert!(!text.contains(part), "{text}");
    }
}

/// A variable that an encrypted patch gives to a Kustomization is one of its secrets, now and later.
#[tokio::test]
async fn a_secret_variable_of_a_kustomization_is_one_in_what_that_makes() {
    let scene = Scene::start("once-inline").await;
    let namespace = scene.namespace.clone();
    let (root, child) = (format!("clusters/{namespace}"), format!("envs/{namespace}"));
    let decryption = json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    let apps = |substitute: Value| {
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": { "name": "apps", "namespace": namespace },
            "spec": {
                "interval": "1h", "path": child, "prune": true, "targetNamespace": namespace,
                "sourceRef": { "kind": "GitRepository", "name": SOURCE },
                "postBuild": { "substitute": substitute },
            },
        })
    };
    let mut file: Value = serde_json::from_str(&kustomization_file(&["apps.yaml"])).unwrap();
    file["patches"] = json!([{ "path": "patch.yaml" }]);
    let mut patch = apps(json!({ "word": "pw-1" }));
    patch["spec"] = json!({ "postBuild": { "substitute": { "word": "pw-1" } } });
    seal_by(
        &scene,
        &format!("{root}/patch.yaml"),
        "^word$",
        &patch.to_string(),
    );
    scene
        .repository
        .write(&format!("{root}/kustomization.yaml"), file.to_string())
        .write(
            &format!("{root}/apps.yaml"),
            apps(json!({ "size": "one" })).to_string(),
        )
        .write(
            &format!("{child}/kustomization.yaml"),
            kustomization_file(&["site.yaml"]),
        )
        .write(
            &format!("{child}/site.yaml"),
            config_map("site", "url", "https://me:${word}@one.example.org/${size}"),
        );
    let commit = scene.repository.publish("first");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "sops-age" }, "stringData": { "age.agekey": key() },
    });
    scene.create(&serde_json::from_value(secret).unwrap()).await;
    scene.source(json!({})).await;
    let spec = json!({ "decryption": decryption, "targetNamespace": null });
    scene.sync("root", &root, spec).await;
    scene.ready("root", &commit).await;
    scene.ready("apps", &commit).await;
    let site = scene.get(&config_map_kind(), "site").await;
    assert_eq!(
        site.data["data"]["url"],
        "https://me:pw-1@one.example.org/one"
    );

    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let plan = || {
        let (text, code) = said(&weir(scene.repository.path(), own, &["plan", &namespace]));
        assert!(!text.contains("pw-1"), "{text}");
        (text, code)
    };
    let (text, code) = plan();
    assert_eq!(code, Some(0), "{text}");
    // Another text around it; then none of it is secret any more.
    let site = |text: &str| {
        let text = config_map("site", "url", text);
        scene.repository.write(&format!("{child}/site.yaml"), text);
    };
    site("https://me:${word}@two.example.org/${size}");
    assert_told(&plan().0, &["~ data.url: *** changed"]);
    site("https://two.example.org/");
    assert_told(&plan().0, &["~ data.url: *** changed"]);
    scene
        .repository
        .write(
            &format!("{root}/kustomization.yaml"),
            kustomization_file(&["apps.yaml"]),
        )
        .write(
            &format!("{root}/apps.yaml"),
            apps(json!({ "size": "two", "word": "me" })).to_string(),
        );
    assert_told(
        &plan().0,
        &[
            "~ spec.postBuild.substitute.size: one → two",
            "~ spec.postBuild.substitute.word: *** changed",
            "~ data.url: *** changed",
        ],
    );
}
