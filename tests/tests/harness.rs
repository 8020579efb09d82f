//! What the other tests stand on does what it says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::process::Command;
use std::time::Duration;

use hyper::StatusCode;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use weir_tests::objects;
use weir_tests::{
    ControlPlane, ControlPlaneOptions, Credentials, Fault, FaultProxy, GitServer, GitServerOptions,
    RequestLine, count_by, eventually,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn parse<K: DeserializeOwned>(text: &str) -> K {
    serde_json::from_str(text).unwrap()
}

fn deployment(name: &str, image: &str, replicas: u32) -> Deployment {
    parse(&objects::deployment(name, image, replicas))
}

fn config_map(name: &str) -> ConfigMap {
    parse(&objects::config_map(name, "key", "value"))
}

async fn administrator(word: &str) -> (Client, String) {
    let control_plane = ControlPlane::shared();
    let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
    (client, control_plane.namespace(word).await)
}

#[tokio::test]
async fn a_deployment_becomes_available() {
    let (client, namespace) = administrator("available").await;
    let deployments: Api<Deployment> = Api::namespaced(client, &namespace);
    let wanted = deployment("web", "nginx:1.29", 3);
    deployments
        .create(&PostParams::default(), &wanted)
        .await
        .unwrap();
    eventually(PATIENCE, "three replicas are available", async || {
        let status = deployments
            .get("web")
            .await
            .unwrap()
            .status
            .unwrap_or_default();
        match status.available_replicas {
            Some(3) => Ok(()),
            _ => Err(format!("{status:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn an_image_tagged_broken_crashes_again_and_again() {
    let (client, namespace) = administrator("broken").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    let wanted = deployment("web", "nginx:broken", 1);
    deployments
        .create(&PostParams::default(), &wanted)
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    eventually(PATIENCE, "a pod in CrashLoopBackOff", async || {
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        let text = serde_json::to_string(&pods).unwrap();
        if text.contains("CrashLoopBackOff") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_a_deleted_object_goes_with_it() {
    let (client, namespace) = administrator("garbage").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let wanted = deployment("web", "nginx:1.29", 1);
    deployments
        .create(&PostParams::default(), &wanted)
        .await
        .unwrap();
    let count = async || pods.list(&ListParams::default()).await.unwrap().items.len();
    eventually(PATIENCE, "a pod", async || match count().await {
        1 => Ok(()),
        number => Err(format!("{number} pods")),
    })
    .await;
    deployments
        .delete("web", &DeleteParams::background())
        .await
        .unwrap();
    eventually(PATIENCE, "no pod", async || match count().await {
        0 => Ok(()),
        number => Err(format!("{number} pods")),
    })
    .await;
}

#[tokio::test]
async fn control_planes_run_beside_each_other() {
    let first = ControlPlane::shared();
    let second = ControlPlane::start(ControlPlaneOptions::default());
    assert_ne!(first.server(), second.server());
    let namespace = second.namespace("beside").await;
    let client = first.client(ControlPlane::ADMINISTRATOR).await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client);
    assert!(namespaces.get_opt(&namespace).await.unwrap().is_none());
}

#[tokio::test]
async fn the_audit_log_counts_calls() {
    let control_plane = ControlPlane::start(ControlPlaneOptions {
        audit: true,
        users: vec!["counted:system:masters".to_owned()],
    });
    let namespace = control_plane.namespace("audit").await;
    let log = control_plane.audit_log().unwrap();
    let start = log.position();
    let client = control_plane.client("counted").await;
    let config_maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    config_maps
        .create(&PostParams::default(), &config_map("one"))
        .await
        .unwrap();
    config_maps
        .create(&PostParams::default(), &config_map("two"))
        .await
        .unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    config_maps
        .create(&dry_run, &config_map("three"))
        .await
        .unwrap();
    config_maps.get("one").await.unwrap();
    eventually(PATIENCE, "four calls are logged", async || {
        let calls = log.since(start, "counted");
        let counts = count_by(&calls, |call| {
            format!("{} {} {}", call.verb, call.resource, call.is_dry_run())
        });
        let wanted = [
            ("create configmaps false".to_owned(), 2),
            ("create configmaps true".to_owned(), 1),
            ("get configmaps false".to_owned(), 1),
        ];
        if counts == wanted.into() {
            Ok(())
        } else {
            Err(format!("{counts:?}"))
        }
    })
    .await;
}

fn clone(url: &str, certificate: Option<&std::path::Path>) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("git");
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
        .env_remove("GIT_SSL_CAINFO")
        .envs(certificate.map(|path| ("GIT_SSL_CAINFO", path)));
    command
        .args(["clone", "--quiet", "--depth=1", url])
        .arg(folder.path().join("clone"));
    let output = command.output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let files = folder.path().join("clone").read_dir().unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    Ok(names)
}

#[test]
fn git_is_cloned_and_pushed_with_a_password() {
    let credentials = Credentials {
        username: "ada".into(),
        password: "s3cret".into(),
    };
    let server = GitServer::start(GitServerOptions {
        credentials: Some(credentials),
        tls: false,
    });
    let repository = server.create_repository("fleet");
    repository
        .write("app/config.yaml", "a: 1\n")
        .write("README.md", "fleet\n");
    let first = repository.publish("first");
    assert_eq!(first, repository.head());

    let url = server.url("fleet");
    let refusal = clone(&url, None).unwrap_err();
    assert!(refusal.contains("could not read Username"), "{refusal}");
    let wrong = clone(&url.replacen("://", "://ada:wrong@", 1), None).unwrap_err();
    assert!(wrong.contains("Authentication failed"), "{wrong}");
    let files = clone(&url.replacen("://", "://ada:s3cret@", 1), None).unwrap();
    assert_eq!(files, [".git", "README.md", "app"]);
    assert!(
        server
            .requests()
            .iter()
            .any(|line| line.contains("service=git-upload-pack"))
    );
}

#[test]
fn git_is_served_over_tls() {
    let server = GitServer::start(GitServerOptions {
        credentials: None,
        tls: true,
    });
    server
        .create_repository("fleet")
        .write("file", "content")
        .publish("first");
    let url = server.url("fleet");
    assert!(url.starts_with("https://"));
    clone(&url, None).unwrap_err();
    assert_eq!(clone(&url, server.certificate()).unwrap(), [".git", "file"]);
}

#[test]
fn branches_tags_and_forced_pushes_reach_the_server() {
    let server = GitServer::start(GitServerOptions::default());
    let repository = server.create_repository("fleet");
    let first = repository.write("file", "1").publish("first");
    repository.tag("v1.0.0");
    repository.branch("next");
    let next = repository.write("file", "2").publish("next");
    repository.switch("main");
    repository.write("file", "3").publish("a mistake");
    repository.reset(&first);
    let mended = repository.write("file", "4").commit("mended");
    repository.force_push();
    let listed = repository.git(&["ls-remote", "origin"]);
    for line in [
        format!("{mended}\trefs/heads/main"),
        format!("{next}\trefs/heads/next"),
        format!("{first}\trefs/tags/v1.0.0^{{}}"),
    ] {
        assert!(listed.contains(&line), "{line} is not in\n{listed}");
    }
}

/// A client through a proxy that keeps no connection and does not try again by itself.
async fn through(proxy: &FaultProxy, namespace: &str) -> Api<ConfigMap> {
    let kubeconfig = kube::config::Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.default_retry = false;
    Api::namespaced(Client::try_from(config).unwrap(), namespace)
}

#[tokio::test]
async fn the_proxy_passes_everything_on() {
    let (_, namespace) = administrator("proxy").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let config_maps = through(&proxy, &namespace).await;
    config_maps
        .create(&PostParams::default(), &config_map("one"))
        .await
        .unwrap();
    assert_eq!(
        config_maps.get("one").await.unwrap().data.unwrap()["key"],
        "value"
    );
    let writes = proxy
        .requests()
        .into_iter()
        .filter(RequestLine::is_write)
        .count();
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn the_proxy_passes_a_watch_on_as_it_comes() {
    use futures::TryStreamExt;
    use kube::api::{WatchEvent, WatchParams};

    let (client, namespace) = administrator("watch").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let config_maps = through(&proxy, &namespace).await;
    let parameters = WatchParams::default()
        .fields("metadata.name=one")
        .disable_bookmarks();
    let mut events = Box::pin(config_maps.watch(&parameters, "0").await.unwrap());
    let directly: Api<ConfigMap> = Api::namespaced(client, &namespace);
    directly
        .create(&PostParams::default(), &config_map("one"))
        .await
        .unwrap();
    let event = tokio::time::timeout(PATIENCE, events.try_next())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(event, Some(WatchEvent::Added(_))), "{event:?}");
}

#[tokio::test]
async fn the_proxy_holds_the_nth_write() {
    let (client, namespace) = administrator("held").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let config_maps = through(&proxy, &namespace).await;
    let directly: Api<ConfigMap> = Api::namespaced(client, &namespace);
    for forward in [true, false] {
        let names = [format!("first-{forward}"), format!("second-{forward}")];
        let arrival = proxy.hold(RequestLine::is_write, 1);
        let writer = tokio::spawn({
            let (config_maps, names) = (config_maps.clone(), names.clone());
            async move {
                for name in names {
                    let patch = Patch::Apply(config_map(&name));
                    let parameters = PatchParams::apply("harness");
                    config_maps.patch(&name, &parameters, &patch).await.unwrap();
                }
            }
        });
        let held = arrival.await.unwrap();
        assert!(held.request.path.ends_with(&names[1]), "{:?}", held.request);
        // The sender dies while its request stands in the proxy.
        writer.abort();
        assert!(writer.await.unwrap_err().is_cancelled());
        match forward {
            true => assert_eq!(held.forward().await, Some(StatusCode::CREATED)),
            false => held.discard(),
        }
        assert!(directly.get_opt(&names[0]).await.unwrap().is_some());
        assert_eq!(
            directly.get_opt(&names[1]).await.unwrap().is_some(),
            forward
        );
    }
}

#[tokio::test]
async fn the_proxy_breaks_what_it_is_told_to() {
    let (_, namespace) = administrator("faults").await;
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let config_maps = through(&proxy, &namespace).await;
    proxy.inject(
        Fault::Answer(StatusCode::TOO_MANY_REQUESTS),
        RequestLine::is_write,
        0..1,
    );
    proxy.inject(Fault::Cut, RequestLine::is_write, 1..2);
    let create = async || {
        config_maps
            .create(&PostParams::default(), &config_map("one"))
            .await
    };
    match create().await.unwrap_err() {
        kube::Error::Api(status) => assert_eq!(status.code, 429),
        other => panic!("{other}"),
    }
    assert!(!matches!(create().await.unwrap_err(), kube::Error::Api(_)));
    create().await.unwrap();
    let pause = Duration::from_millis(200);
    proxy.inject(Fault::Delay(pause), |line| line.method == "GET", 0..1);
    let start = std::time::Instant::now();
    config_maps.get("one").await.unwrap();
    assert!(start.elapsed() >= pause);
}
