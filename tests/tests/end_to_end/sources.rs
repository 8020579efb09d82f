//! Where a commit comes from: branches, tags, versions, passwords, certificates, and what a look costs.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use weir_tests::objects::{config_map, git_repository, git_repository_kind};
use weir_tests::scene::{SOURCE, condition, config_map_kind};
use weir_tests::{
    ControlPlane, Credentials, GitServerOptions, Scene, SshKey, SshServer, SshServerOptions,
    TlsDoor,
};

/// Waits until the source has an artifact of a revision.
pub(crate) async fn fetched(scene: &Scene, revision: &str) -> DynamicObject {
    let what = format!("the source is at {revision}");
    scene
        .until(&what, &git_repository_kind(), SOURCE, |object| {
            let ready = condition(object, "Ready").ok_or("it is not Ready at all")?;
            let artifact = &object.data["status"]["artifact"]["revision"];
            if *artifact == revision && ready["status"] == "True" {
                Ok(())
            } else {
                Err("it is not")
            }
        })
        .await
}

/// Waits until fetching fails for a reason, and returns the message.
pub(crate) async fn refused(scene: &Scene, reason: &str) -> String {
    let what = format!("fetching fails because of {reason}");
    let object = scene
        .until(
            &what,
            &git_repository_kind(),
            SOURCE,
            |object| match condition(object, "FetchFailed") {
                Some(failed) if failed["status"] == "True" && failed["reason"] == reason => Ok(()),
                _ => Err("it does not"),
            },
        )
        .await;
    condition(&object, "FetchFailed").unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn start_on(word: &str, options: GitServerOptions) -> Scene {
    let control_plane = ControlPlane::shared();
    let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
    Scene::on(control_plane, kubeconfig, word, options).await
}

pub(crate) fn secret(name: &str, values: Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name },
        "stringData": values,
    }))
    .unwrap()
}

#[tokio::test]
async fn the_status_describes_the_artifact() {
    let scene = Scene::start("artifact").await;
    let commit = scene
        .repository
        .write("a.yaml", config_map("a", "b", "c"))
        .publish("first");
    scene.source(json!({})).await;
    let source = fetched(&scene, &format!("main@sha1:{commit}")).await;
    let artifact = &source.data["status"]["artifact"];
    let path = format!("gitrepository/{}/{SOURCE}/{commit}.tar.gz", scene.namespace);
    assert_eq!(artifact["path"], path);
    assert!(artifact["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(artifact["size"].as_u64().unwrap() > 0);
    let ready = condition(&source, "Ready").unwrap();
    assert_eq!(
        ready["message"],
        format!("stored artifact for revision 'main@sha1:{commit}'")
    );
}

#[tokio::test]
async fn tags_versions_and_commits_are_found() {
    let scene = Scene::start("references").await;
    let repository = &scene.repository;
    let first = repository.write("file", "1").publish("first");
    repository.tag("v1.2.0");
    let second = repository.write("file", "2").commit("second");
    repository.tag("v1.10.0");
    let third = repository.write("file", "3").commit("third");
    repository.tag("v2.0.0");
    repository.push();
    repository.branch("feature/x");
    let fourth = repository.write("file", "4").publish("fourth");

    scene.source(json!({ "ref": { "tag": "v1.2.0" } })).await;
    fetched(&scene, &format!("v1.2.0@sha1:{first}")).await;
    for (reference, revision) in [
        (json!({ "semver": "1.x" }), format!("v1.10.0@sha1:{second}")),
        (
            json!({ "branch": "main", "commit": third }),
            format!("main@sha1:{third}"),
        ),
        (
            json!({ "branch": "feature/x" }),
            format!("feature/x@sha1:{fourth}"),
        ),
        (
            json!({ "name": "refs/heads/main" }),
            format!("refs/heads/main@sha1:{third}"),
        ),
    ] {
        // A merge patch leaves what it does not name: each reference stands alone.
        let nothing =
            json!({ "tag": null, "semver": null, "branch": null, "commit": null, "name": null });
        let mut patch = nothing;
        for (name, value) in reference.as_object().unwrap() {
            patch[name] = value.clone();
        }
        scene
            .merge(
                &git_repository_kind(),
                SOURCE,
                json!({ "spec": { "ref": patch } }),
            )
            .await;
        fetched(&scene, &revision).await;
    }
}

#[tokio::test]
async fn a_branch_that_is_not_there_is_reported() {
    let scene = Scene::start("no-branch").await;
    scene.repository.write("file", "1").publish("first");
    scene.source(json!({ "ref": { "branch": "absent" } })).await;
    let message = refused(&scene, "GitOperationFailed").await;
    assert!(message.contains("absent"), "{message}");
}

#[tokio::test]
async fn a_password_opens_the_repository() {
    let credentials = Credentials {
        username: "ada".into(),
        password: "s3cret-pass".into(),
    };
    let options = GitServerOptions {
        credentials: Some(credentials),
        tls: false,
    };
    let scene = start_on("password", options).await;
    let commit = scene
        .repository
        .write("a.yaml", config_map("a", "b", "c"))
        .publish("first");
    scene
        .create(&secret(
            "wrong",
            json!({ "username": "ada", "password": "wrong-pass" }),
        ))
        .await;
    scene
        .source(json!({ "secretRef": { "name": "wrong" } }))
        .await;
    let message = refused(&scene, "GitOperationFailed").await;
    assert!(!message.contains("wrong-pass"), "{message}");

    scene
        .create(&secret(
            "right",
            json!({ "username": "ada", "password": "s3cret-pass" }),
        ))
        .await;
    let change = json!({ "spec": { "secretRef": { "name": "right" } } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    scene.sync("app", "./", json!({})).await;
    scene.ready("app", &commit).await;
    scene.get(&config_map_kind(), "a").await;
    assert!(!scene.weir.log().contains("s3cret-pass"));
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let scene = start_on(
        "authority",
        GitServerOptions {
            credentials: None,
            tls: true,
        },
    )
    .await;
    let commit = scene.repository.write("file", "1").publish("first");
    scene.source(json!({})).await;
    refused(&scene, "GitOperationFailed").await;
    let certificate = std::fs::read_to_string(scene.server.certificate().unwrap()).unwrap();
    scene
        .create(&secret("authority", json!({ "ca.crt": certificate })))
        .await;
    let change = json!({ "spec": { "secretRef": { "name": "authority" } } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
}

#[tokio::test]
async fn a_token_opens_the_repository() {
    let scene = Scene::start("token").await;
    let commit = scene.repository.write("file", "1").publish("first");
    scene.server.admit_bearer("s3cret-token");
    scene
        .create(&secret("token", json!({ "bearerToken": "wrong-token" })))
        .await;
    let spec = json!({ "secretRef": { "name": "token" } });
    scene.source(spec).await;
    let message = refused(&scene, "GitOperationFailed").await;
    assert!(message.ends_with("authentication required"), "{message}");
    // The token wins over a user and a password, and counts as soon as it is there.
    let data = json!({ "bearerToken": "s3cret-token\n", "username": "ada", "password": "no" });
    let secrets = weir_tests::objects::kind("", "v1", "Secret");
    let right = json!({ "stringData": data });
    scene.merge(&secrets, "token", right).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    let log = scene.weir.log();
    assert!(!log.contains("s3cret-token") && !log.contains("wrong-token"));
}

#[tokio::test]
async fn a_certificate_opens_the_repository() {
    let scene = Scene::start("certificate").await;
    let commit = scene.repository.write("file", "1").publish("first");
    let door = TlsDoor::before(&scene.server.address());
    let authority = json!({ "ca.crt": door.authority });
    scene.create(&secret("door", authority)).await;
    let url = format!("https://{}/{SOURCE}.git", door.address());
    let spec = json!({ "secretRef": { "name": "door" } });
    scene.create(&git_repository(SOURCE, &url, spec)).await;
    refused(&scene, "GitOperationFailed").await;
    let (certificate, key) = &door.certificate;
    let both = json!({ "stringData": { "tls.crt": certificate, "tls.key": key } });
    let secrets = weir_tests::objects::kind("", "v1", "Secret");
    scene.merge(&secrets, "door", both).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
}

#[tokio::test]
async fn a_key_opens_a_repository_over_ssh() {
    let scene = Scene::start("ssh").await;
    let key = SshKey::generate("ed25519", "open sesame");
    let server = SshServer::start(&key, &SshServerOptions::default());
    let commit = server
        .create_repository("fleet")
        .write("a.yaml", config_map("a", "b", "c"))
        .publish("first");
    let spec = json!({ "secretRef": { "name": "key" } });
    let source = git_repository(SOURCE, &server.url("fleet"), spec);
    scene.create(&source).await;
    refused(&scene, "AuthenticationFailed").await;

    let identity = json!({ "identity": key.private, "password": "open sesame" });
    scene.create(&secret("key", identity)).await;
    let secrets = weir_tests::objects::kind("", "v1", "Secret");
    let what = "the missing known_hosts are reported";
    scene
        .until(what, &git_repository_kind(), SOURCE, |object| {
            let failed = condition(object, "FetchFailed").ok_or("it has not failed")?;
            let message = failed["message"].as_str().unwrap_or_default();
            let wanted = "invalid 'ssh' auth option: 'known_hosts' is required";
            if message.ends_with(wanted) {
                Ok(())
            } else {
                Err("it is something else")
            }
        })
        .await;

    let stranger = SshServer::start(&key, &SshServerOptions::default());
    let wrong = json!({ "stringData": { "known_hosts": stranger.known_hosts("ed25519") } });
    scene.merge(&secrets, "key", wrong).await;
    let message = refused(&scene, "GitOperationFailed").await;
    assert!(message.contains("knownhosts: key is unknown"), "{message}");

    let right = json!({ "stringData": { "known_hosts": server.known_hosts("ecdsa") } });
    scene.merge(&secrets, "key", right).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    scene.sync("app", "./", json!({})).await;
    scene.ready("app", &commit).await;
    scene.get(&config_map_kind(), "a").await;
    assert!(!scene.weir.log().contains("open sesame"));
}

#[tokio::test]
async fn an_app_of_github_opens_the_repository() {
    use weir_tests::github::{APP, GitHub, INSTALLATION, PRIVATE_KEY, TOKEN};
    let options = GitServerOptions {
        credentials: Some(Credentials {
            username: "x-access-token".into(),
            password: TOKEN.into(),
        }),
        tls: false,
    };
    let scene = start_on("app", options).await;
    let commit = scene.repository.write("file", "1").publish("first");
    scene.source(json!({ "provider": "github" })).await;
    let message = refused(&scene, "InvalidProviderConfiguration").await;
    let expected =
        "secretRef with github app data must be specified when provider is set to github";
    assert_eq!(message, expected);

    let github = GitHub::start("2100-01-01T00:00:00Z");
    let data = json!({
        "githubAppID": APP,
        "githubAppInstallationID": INSTALLATION,
        "githubAppPrivateKey": PRIVATE_KEY,
        "githubAppBaseURL": github.url(),
    });
    scene.create(&secret("app", data)).await;
    let change = json!({ "spec": { "provider": null, "secretRef": { "name": "app" } } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    scene
        .until(
            "the provider is missing",
            &git_repository_kind(),
            SOURCE,
            |object| {
                let failed = condition(object, "FetchFailed").ok_or("it has not failed")?;
                let message = failed["message"].as_str().unwrap_or_default();
                let wanted = "has github app data but provider is not set to github";
                if message.ends_with(wanted) {
                    Ok(())
                } else {
                    Err("it is something else")
                }
            },
        )
        .await;
    let change = json!({ "spec": { "provider": "github" } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    assert!(!scene.weir.log().contains(TOKEN));

    let change = json!({ "spec": { "provider": "azure" } });
    scene.merge(&git_repository_kind(), SOURCE, change).await;
    let message = refused(&scene, "FeatureGateDisabled").await;
    assert_eq!(message, "spec.provider: azure is not supported");
}

#[tokio::test]
async fn a_known_commit_is_not_fetched_again() {
    let scene = Scene::start("known").await;
    let commit = scene.repository.write("file", "1").publish("first");
    scene.source(json!({})).await;
    fetched(&scene, &format!("main@sha1:{commit}")).await;
    let before = scene.server.requests().len();
    let token = scene.request(&git_repository_kind(), SOURCE).await;
    scene
        .until(
            "the request is answered",
            &git_repository_kind(),
            SOURCE,
            |object| {
                let handled = &object.data["status"]["lastHandledReconcileAt"];
                if *handled == token {
                    Ok(())
                } else {
                    Err(format!("handled: {handled}"))
                }
            },
        )
        .await;
    let asked = scene.server.requests().split_off(before);
    // The refs are listed, in protocol 2 by a request of their own; nothing else is asked.
    assert!((1..=2).contains(&asked.len()), "{asked:?}");
}

#[tokio::test]
async fn a_suspended_source_stands_still() {
    let scene = Scene::start("still").await;
    let first = scene.repository.write("file", "1").publish("first");
    scene.source(json!({ "interval": "1s" })).await;
    fetched(&scene, &format!("main@sha1:{first}")).await;
    scene
        .merge(
            &git_repository_kind(),
            SOURCE,
            json!({ "spec": { "suspend": true } }),
        )
        .await;
    let second = scene.repository.write("file", "2").publish("second");
    let pause = std::time::Duration::from_secs(3);
    tokio::time::sleep(pause).await;
    let source = scene.get(&git_repository_kind(), SOURCE).await;
    assert_eq!(
        source.data["status"]["artifact"]["revision"],
        format!("main@sha1:{first}")
    );
    scene
        .merge(
            &git_repository_kind(),
            SOURCE,
            json!({ "spec": { "suspend": false } }),
        )
        .await;
    fetched(&scene, &format!("main@sha1:{second}")).await;
}
