//! What a revision is made of, and which are not taken: signatures, submodules, included repositories, and a source that
//! is not what it was.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kube::api::DynamicObject;
use serde_json::json;
use weir_tests::http_client::ask;
use weir_tests::objects::{
    config_map, git_repository, git_repository_kind, kind, kustomization_kind,
};
use weir_tests::scene::{PATIENCE, SOURCE, condition, config_map_kind};
use weir_tests::{Scene, Signer, eventually};

use crate::sources::{fetched, refused, secret};

#[tokio::test]
async fn what_was_applied_stays_whatever_becomes_of_the_repository() {
    let scene = Scene::start("fates").await;
    scene.repository.branch("release");
    scene.repository.write("a.yaml", config_map("a", "b", "1"));
    let first = scene.repository.publish("first");
    scene
        .source(json!({ "ref": { "branch": "release" } }))
        .await;
    fetched(&scene, &format!("release@sha1:{first}")).await;
    scene.sync("app", "./", json!({ "interval": "1s" })).await;
    let applied = async |value: &str| {
        scene
            .until("it is applied", &config_map_kind(), "a", |object| {
                if object.data["data"]["b"] == value {
                    Ok(())
                } else {
                    Err("it is not")
                }
            })
            .await
            .metadata
            .uid
    };
    let uid = applied("1").await;
    let stays = async |reason: &str| {
        let token = scene.request(&kustomization_kind(), "app").await;
        let message = refused(&scene, reason).await;
        scene.answered("app", &token).await;
        assert_eq!(applied("1").await, uid, "{reason}");
        let app = scene.get(&kustomization_kind(), "app").await;
        assert_eq!(
            condition(&app, "Ready").unwrap()["status"],
            "True",
            "{reason}"
        );
        message
    };

    // The branch goes, while there are others; then they go, too.
    scene
        .repository
        .git(&["push", "--quiet", "origin", "HEAD:refs/heads/other"]);
    scene
        .repository
        .git(&["push", "--quiet", "origin", "--delete", "release"]);
    scene.request(&git_repository_kind(), SOURCE).await;
    let message = stays("GitOperationFailed").await;
    assert!(
        message.ends_with("couldn't find remote ref \"refs/heads/release\""),
        "{message}"
    );
    scene
        .repository
        .git(&["push", "--quiet", "origin", "--delete", "other"]);
    scene.request(&git_repository_kind(), SOURCE).await;
    let message = stays("EmptyGitRepository").await;
    assert_eq!(message, "git repository is empty");

    // Another history under the same name is followed like any news.
    scene
        .repository
        .git(&["checkout", "--quiet", "--orphan", "anew"]);
    scene.repository.write("a.yaml", config_map("a", "b", "2"));
    let anew = scene.repository.commit("anew");
    scene.repository.git(&[
        "push",
        "--quiet",
        "--force",
        "origin",
        "HEAD:refs/heads/release",
    ]);
    scene.request(&git_repository_kind(), SOURCE).await;
    fetched(&scene, &format!("release@sha1:{anew}")).await;
    assert_eq!(applied("2").await, uid);
}

/// What a file in an artifact may be used for.
async fn mode_in(address: &str, path: &str, file: &str) -> Option<String> {
    let asked = ask(address, ("GET", &format!("/{path}")), &[], b"", "ETag").await;
    let (_, _, bytes) = asked.ok()?;
    let archive = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(archive.path(), bytes).unwrap();
    let listed = Command::new("tar")
        .arg("-tvzf")
        .arg(archive.path())
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = listed.lines().find(|line| line.ends_with(file))?;
    line.split_whitespace().next().map(str::to_owned)
}

#[tokio::test]
async fn other_repositories_are_included() {
    let scene = Scene::start("included").await;
    let shared = scene.server.create_repository("shared");
    shared.write("base/a.yaml", config_map("a", "b", "1"));
    shared
        .write("base/.sourceignore", "secret.yaml\n")
        .write("base/secret.yaml", "x: [");
    let files = "resources: [common/a.yaml]\n";
    let commit = scene
        .repository
        .write("apps/kustomization.yaml", files)
        .publish("first");
    let include = json!([{ "repository": { "name": "shared" }, "fromPath": "base", "toPath": "apps/common" }]);
    scene.source(json!({ "include": include })).await;
    let unavailable = async |reason: &str| {
        let what = format!("the include is not there because of {reason}");
        scene
            .until(&what, &git_repository_kind(), SOURCE, |object| {
                let failed = condition(object, "IncludeUnavailable").ok_or("it is")?;
                let ready = condition(object, "Ready").ok_or("it is not Ready at all")?;
                let so = failed["status"] == "True"
                    && failed["reason"] == reason
                    && ready["reason"] == reason;
                if so {
                    Ok(())
                } else {
                    Err("it is for another reason")
                }
            })
            .await
    };
    unavailable("NotFound").await;
    let other = git_repository("shared", &scene.server.url("shared"), json!({}));
    scene.create(&other).await;
    unavailable("NoArtifact").await;
    shared.publish("first");
    scene.request(&git_repository_kind(), "shared").await;
    let source = fetched(&scene, &format!("main@sha1:{commit}")).await;
    assert!(condition(&source, "IncludeUnavailable").is_none());
    scene.sync("app", "./apps", json!({})).await;
    scene.ready("app", &commit).await;
    assert_eq!(
        scene.get(&config_map_kind(), "a").await.data["data"]["b"],
        "1"
    );

    // A program stays one, and the status names what is in it.
    let program = shared.path().join("base/run.sh");
    shared.write("base/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    shared.publish("a program");
    scene.request(&git_repository_kind(), "shared").await;
    let address = scene.weir.address("artifacts").await;
    let held = async || {
        let theirs = scene.get(&git_repository_kind(), "shared").await;
        let ours = scene.get(&git_repository_kind(), SOURCE).await;
        let included = &ours.data["status"]["includedArtifacts"][0];
        let path = ours.data["status"]["artifact"]["path"]
            .as_str()
            .unwrap_or_default();
        let mode = mode_in(&address, path, "apps/common/run.sh").await;
        let same = included["digest"] == theirs.data["status"]["artifact"]["digest"];
        match (same, mode.as_deref()) {
            (true, Some("-rwx------")) => Ok(()),
            (same, mode) => Err(format!("{same} {mode:?}")),
        }
    };
    eventually(PATIENCE, "the program is included, and told of", held).await;

    // What is included changes, and with it what is applied, at the same commit.
    shared
        .write("base/a.yaml", config_map("a", "b", "2"))
        .publish("second");
    scene.request(&git_repository_kind(), "shared").await;
    scene
        .until("the change is applied", &config_map_kind(), "a", |object| {
            if object.data["data"]["b"] == "2" {
                Ok(())
            } else {
                Err("it is not")
            }
        })
        .await;

    // Two that include each other would grow without an end.
    let back = json!({ "spec": { "include": [{ "repository": { "name": SOURCE } }] } });
    scene.merge(&git_repository_kind(), "shared", back).await;
    scene
        .until(
            "the ring is refused",
            &git_repository_kind(),
            "shared",
            |object| {
                let failed = condition(object, "IncludeUnavailable").ok_or("it is not")?;
                let message = failed["message"].as_str().unwrap_or_default();
                if message.ends_with("includes this repository") {
                    Ok(())
                } else {
                    Err("it is not")
                }
            },
        )
        .await;
}

#[tokio::test]
async fn submodules_are_applied() {
    let scene = Scene::start("submodules").await;
    let base = scene.server.create_repository("base");
    let pinned = base
        .write("a.yaml", config_map("a", "b", "1"))
        .publish("first");
    let entry = format!("160000,{pinned},apps");
    let modules = "[submodule \"apps\"]\n\tpath = apps\n\turl = ../base.git\n";
    scene.repository.write(".gitmodules", modules);
    std::fs::create_dir(scene.repository.path().join("apps")).unwrap();
    scene
        .repository
        .git(&["update-index", "--add", "--cacheinfo", &entry]);
    let commit = scene.repository.publish("first");
    scene.source(json!({ "recurseSubmodules": true })).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    scene.sync("app", "./apps", json!({})).await;
    scene.ready("app", &commit).await;
    assert_eq!(
        scene.get(&config_map_kind(), "a").await.data["data"]["b"],
        "1"
    );
}

#[tokio::test]
async fn whoever_is_trusted_from_now_on_counts_at_once() {
    // The interval is an hour: only the change of the Secret can tell.
    let scene = Scene::start("trusted").await;
    let (ada, eve) = (Signer::open_pgp("ed25519"), Signer::open_pgp("ed25519"));
    let keys = json!({ "team.asc": eve.public });
    scene.create(&secret("keys", keys)).await;
    scene
        .repository
        .write("a.yaml", config_map("a", "b", "signed"));
    let signed = ada.commit(&scene.repository, "signed");
    scene.repository.push();
    scene
        .source(json!({ "verify": { "mode": "HEAD", "secretRef": { "name": "keys" } } }))
        .await;
    let is_refused = |object: &DynamicObject| match condition(object, "SourceVerified") {
        Some(verified) if verified["status"] == "False" => Ok(()),
        _ => Err("it is not"),
    };
    scene
        .until("it is refused", &git_repository_kind(), SOURCE, is_refused)
        .await;
    let keys = json!({ "stringData": { "team.asc": ada.public } });
    scene.merge(&kind("", "v1", "Secret"), "keys", keys).await;
    fetched(&scene, &format!("main@sha1:{signed}")).await;
}

#[tokio::test]
async fn only_what_is_signed_by_somebody_trusted_is_applied() {
    let scene = Scene::start("verified").await;
    let signer = Signer::open_pgp("ed25519");
    let keys = json!({ "ada.asc": signer.public });
    scene.create(&secret("keys", keys)).await;
    scene
        .repository
        .write("a.yaml", config_map("a", "b", "signed"));
    let signed = signer.commit(&scene.repository, "signed");
    scene.repository.push();
    scene
        .source(json!({ "verify": { "mode": "head", "secretRef": { "name": "keys" } } }))
        .await;
    let source = fetched(&scene, &format!("main@sha1:{signed}")).await;
    let verified = condition(&source, "SourceVerified").unwrap();
    assert_eq!(verified["status"], "True");
    let message = format!(
        "verified signature of\n\t- commit '{signed}' with key '{}'",
        signer.name
    );
    assert_eq!(verified["message"], message);
    assert_eq!(source.data["status"]["sourceVerificationMode"], "HEAD");
    scene.sync("app", "./", json!({})).await;
    scene.ready("app", &signed).await;

    let unsigned = scene
        .repository
        .write("a.yaml", config_map("a", "b", "unsigned"));
    unsigned.publish("unsigned");
    let token = scene.request(&git_repository_kind(), SOURCE).await;
    let what = "the unsigned commit is refused";
    let source = scene
        .until(what, &git_repository_kind(), SOURCE, |object| {
            let verified = condition(object, "SourceVerified").ok_or("it is not checked")?;
            let handled = object.data["status"]["lastHandledReconcileAt"] == token;
            let refused =
                verified["status"] == "False" && verified["reason"] == "InvalidCommitSignature";
            if handled && refused {
                Ok(())
            } else {
                Err("it is not")
            }
        })
        .await;
    let ready = condition(&source, "Ready").unwrap();
    assert_eq!(ready["reason"], "InvalidCommitSignature");
    assert_eq!(
        source.data["status"]["artifact"]["revision"],
        format!("main@sha1:{signed}")
    );

    scene
        .repository
        .write("a.yaml", config_map("a", "b", "again"));
    let again = signer.commit(&scene.repository, "signed again");
    scene.repository.push();
    scene.request(&git_repository_kind(), SOURCE).await;
    scene.ready("app", &again).await;
    let applied = scene.get(&config_map_kind(), "a").await;
    assert_eq!(applied.data["data"]["b"], "again");

    // Without a tag there is nothing whose signature could be checked: only another spec can help.
    let change = json!({ "spec": { "verify": { "mode": "Tag" } } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    scene
        .until(
            "the mode does not fit",
            &git_repository_kind(),
            SOURCE,
            |object| match condition(object, "Stalled") {
                Some(stalled) if stalled["reason"] == "InvalidVerificationMode" => Ok(()),
                _ => Err("it is not stalled"),
            },
        )
        .await;
}
