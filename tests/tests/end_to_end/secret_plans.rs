//! Plans of what is secret: with keys and without, and what may not be shown of what is there.

use serde_json::{Value, json};
use weir_tests::objects::{config_map, kind, kustomization_file, kustomization_kind};
use weir_tests::scene::workspace;
use weir_tests::{ControlPlane, Scene, Weir};

use crate::plans::{assert_told, plan, reader, said, weir};

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
    scene.source(json!({})).await;
    let key = std::fs::read_to_string(example.join("age.agekey")).unwrap();
    scene.sync_encrypted("app", &folder, &key).await;
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
    scene.source(json!({})).await;
    scene.sync_encrypted("app", &folder, &key).await;
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
