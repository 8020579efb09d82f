//! `weir bootstrap` on clusters of their own: a new one, one whose repository is behind SSH, and one that Flux keeps.
//! No container runs in these control planes, where pods are ready as soon as they are placed: the Weir that reconciles
//! is a process beside, which starts as soon as the definitions are served.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::objects::{api, config_map, deployment, kind};
use weir_tests::scene::{
    PATIENCE, arguments, condition, config_map_kind, deployment_kind, documents, workspace,
};
use weir_tests::{
    ControlPlane, ControlPlaneOptions, Credentials, GitServer, GitServerOptions, Repository,
    SshKey, SshServer, SshServerOptions, Weir, eventually,
};

const NAMESPACE: &str = "flux-system";

/// A new cluster, and what runs beside it.
struct Cluster {
    weir: Option<Weir>,
    client: Client,
    control_plane: ControlPlane,
    storage: TempDir,
}

/// What a command said.
struct Said {
    is_success: bool,
    text: String,
}

impl Cluster {
    async fn start() -> Cluster {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default());
        Cluster {
            weir: None,
            client: control_plane.client(ControlPlane::ADMINISTRATOR).await,
            control_plane,
            storage: tempfile::tempdir().unwrap(),
        }
    }

    fn api(&self, resource: &kube::api::ApiResource, namespace: &str) -> Api<DynamicObject> {
        api(&self.client, namespace, resource)
    }

    fn command(&self, repository: &Repository, path: &str, more: &[&str]) -> Command {
        let mut command = Weir::command();
        command
            .current_dir(repository.path())
            .args([
                "bootstrap",
                "--path",
                path,
                "--timeout",
                "120",
                "--kubeconfig",
            ])
            .arg(self.control_plane.kubeconfig(ControlPlane::ADMINISTRATOR))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the command, and the controller when there is something for it to look after.
    async fn bootstrap(&mut self, repository: &Repository, path: &str, more: &[&str]) -> Child {
        let child = self.command(repository, path, more).spawn().unwrap();
        if self.weir.is_none() {
            let definitions = kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
            let definitions: Api<DynamicObject> = Api::all_with(self.client.clone(), &definitions);
            for name in [
                "kustomizations.kustomize.toolkit.fluxcd.io",
                "gitrepositories.source.toolkit.fluxcd.io",
            ] {
                eventually(PATIENCE, "the definitions are served", async || {
                    let found = definitions
                        .get(name)
                        .await
                        .map_err(|error| error.to_string())?;
                    let established =
                        condition(&found, "Established").is_some_and(|it| it["status"] == "True");
                    established
                        .then_some(())
                        .ok_or_else(|| found.data["status"].to_string())
                })
                .await;
            }
            let kubeconfig = self.control_plane.kubeconfig(ControlPlane::WEIR);
            self.weir = Some(Weir::start(kubeconfig, &arguments(self.storage.path())));
        }
        child
    }

    async fn applied(&self, namespace: &str, name: &str) -> DynamicObject {
        let maps = self.api(&config_map_kind(), namespace);
        eventually(
            PATIENCE,
            &format!("{namespace}/{name} is there"),
            async || maps.get(name).await,
        )
        .await
    }
}

async fn ended(child: Child) -> Said {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    Said {
        is_success: output.status.success(),
        text: String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr),
    }
}

fn init(repository: &Repository) {
    let output = Weir::command()
        .current_dir(repository.path())
        .arg("init")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_new_cluster_follows_its_folder_of_a_new_repository() {
    let mut cluster = Cluster::start().await;
    let server = GitServer::start(GitServerOptions::default());
    let repository = server.create_repository("fleet");
    init(&repository);
    let first = repository.publish("laid out");
    let url = server.url("fleet");
    let said = ended(
        cluster
            .bootstrap(&repository, "clusters/prod", &["--url", &url])
            .await,
    )
    .await;
    assert!(said.is_success, "{}", said.text);
    for want in [
        "✔ Weir runs in flux-system".to_owned(),
        format!("✔ flux-system/flux-system follows {url} at main@sha1:{first}"),
        "wrote clusters/prod/flux-system/gotk-sync.yaml".to_owned(),
    ] {
        assert!(said.text.contains(&want), "{want}: {}", said.text);
    }
    assert!(!said.text.contains("the way back"), "{}", said.text);
    let weir = cluster
        .api(&deployment_kind(), NAMESPACE)
        .get("weir")
        .await
        .unwrap();
    assert_eq!(weir.data["status"]["availableReplicas"], 1);
    let map = cluster.applied("apps", "env-config").await;
    assert_eq!(map.data["data"]["environment"], "prod");

    // From now on the repository says itself what the cluster follows, and doing it again changes nothing.
    let second = repository.publish("what the cluster follows");
    let said = ended(cluster.bootstrap(&repository, "clusters/prod", &[]).await).await;
    assert!(
        said.is_success && said.text.contains(&second),
        "{}",
        said.text
    );
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    let other = ended(
        cluster
            .bootstrap(
                &repository,
                "clusters/prod",
                &["--url", "http://elsewhere/x"],
            )
            .await,
    )
    .await;
    assert!(
        !other.is_success && other.text.contains("says that the repository is at"),
        "{}",
        other.text
    );
}

#[tokio::test]
async fn a_password_opens_the_repository_and_stays_out_of_it() {
    let mut cluster = Cluster::start().await;
    let server = GitServer::start(GitServerOptions {
        credentials: Some(Credentials {
            username: "weir".to_owned(),
            password: "open-sesame".to_owned(),
        }),
        tls: false,
    });
    let repository = server.create_repository("fleet");
    repository.write("clusters/home/settings.yaml", home_settings());
    let commit = repository.publish("first");
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "open-sesame\n").unwrap();
    let (url, password) = (server.url("fleet"), password.to_str().unwrap());
    let wrong = ["--url", &url, "--private-key-file", password];
    let refused = ended(
        cluster
            .command(&repository, "clusters/home", &wrong)
            .spawn()
            .unwrap(),
    );
    let refused = refused.await;
    let named = format!("--private-key-file opens no repository at {url}");
    assert!(
        !refused.is_success && refused.text.contains(&named),
        "{}",
        refused.text
    );

    let more = [
        "--url",
        &url,
        "--username",
        "weir",
        "--password-file",
        password,
    ];
    let said = ended(cluster.bootstrap(&repository, "clusters/home", &more).await).await;
    let follows = format!("follows {url} at main@sha1:{commit}");
    assert!(
        said.is_success && said.text.contains(&follows),
        "{}",
        said.text
    );
    assert!(!said.text.contains("sesame"), "{}", said.text);
    cluster.applied("default", "settings").await;
    let file = repository
        .path()
        .join("clusters/home/flux-system/gotk-sync.yaml");
    let file = std::fs::read_to_string(file).unwrap();
    assert!(
        file.contains("secretRef") && !file.contains("sesame"),
        "{file}"
    );

    let again = ended(cluster.bootstrap(&repository, "clusters/home", &more).await).await;
    let told = "it stays as it is, and --username is not used";
    assert!(
        again.is_success && again.text.contains(told),
        "{}",
        again.text
    );
}

#[tokio::test]
async fn a_key_that_is_there_already_opens_the_repository() {
    let mut cluster = Cluster::start().await;
    let key = SshKey::generate("ed25519", "");
    let server = SshServer::start(&key, &SshServerOptions::default());
    let repository = server.create_repository("fleet");
    repository.write("clusters/home/settings.yaml", home_settings());
    let commit = repository.publish("first");
    let folder = tempfile::tempdir().unwrap();
    let (known, private) = (folder.path().join("known_hosts"), folder.path().join("key"));
    std::fs::write(&known, server.known_hosts("ed25519")).unwrap();
    std::fs::write(&private, &key.private).unwrap();
    let url = server.url("fleet");
    let known = ["--known-hosts", known.to_str().unwrap()];
    let more = [
        "--url",
        &url,
        "--private-key-file",
        private.to_str().unwrap(),
        known[0],
        known[1],
    ];
    let said = ended(cluster.bootstrap(&repository, "clusters/home", &more).await).await;
    let follows = format!("follows {url} at main@sha1:{commit}");
    assert!(
        said.is_success && said.text.contains(&follows),
        "{}",
        said.text
    );
    assert!(
        !said.text.contains("let this deploy key in"),
        "{}",
        said.text
    );
    cluster.applied("default", "settings").await;
}

#[tokio::test]
async fn a_deploy_key_is_made_shown_in_its_public_half_and_waited_for() {
    let mut cluster = Cluster::start().await;
    let server = SshServer::start(
        &SshKey::generate("ed25519", ""),
        &SshServerOptions::default(),
    );
    let repository = server.create_repository("fleet");
    repository.write("clusters/home/settings.yaml", home_settings());
    let commit = repository.publish("first");
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    std::fs::write(&known, "elsewhere ssh-ed25519 AAAA\n").unwrap();
    let url = server.url("fleet");
    let more = ["--url", &url, "--known-hosts", known.to_str().unwrap()];
    let refused = ended(cluster.bootstrap(&repository, "clusters/home", &more).await).await;
    assert!(
        !refused.is_success && refused.text.contains("knows no key of the server"),
        "{}",
        refused.text
    );

    std::fs::write(
        &known,
        format!(
            "elsewhere ssh-ed25519 AAAA\n{}\n",
            server.known_hosts("ed25519")
        ),
    )
    .unwrap();
    let mut child = cluster.bootstrap(&repository, "clusters/home", &more).await;
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut seen = Vec::new();
    let public = loop {
        let line = lines.next().expect("the public half is shown");
        if line.trim().starts_with("ssh-ed25519 ") {
            break line.trim().to_owned();
        }
        seen.push(line);
    };
    server.admit(&public);
    seen.extend(lines);
    let mut complaints = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaints)
        .unwrap();
    let text = seen.join("\n") + &complaints;
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(
        text.contains(&format!("follows {url} at main@sha1:{commit}")),
        "{text}"
    );
    cluster.applied("default", "settings").await;

    let secret = cluster
        .api(&kind("", "v1", "Secret"), NAMESPACE)
        .get(NAMESPACE)
        .await
        .unwrap();
    let entries = secret.data["data"].as_object().unwrap();
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    assert_eq!(names, ["identity", "identity.pub", "known_hosts"]);
    assert!(!text.contains("PRIVATE KEY"), "{text}");
}

fn home_settings() -> String {
    let mut map: Value = serde_json::from_str(&config_map("settings", "level", "low")).unwrap();
    map["metadata"]["namespace"] = json!("default");
    map.to_string()
}

/// A manifest as Flux writes its own parts.
fn part(text: &str) -> Value {
    let mut part: Value = serde_json::from_str(text).unwrap();
    part["metadata"]["namespace"] = json!(NAMESPACE);
    part["metadata"]["labels"] = json!({ "app.kubernetes.io/part-of": "flux" });
    part
}

async fn apply(api: &Api<DynamicObject>, object: &Value) -> DynamicObject {
    let parameters = PatchParams::apply("kustomize-controller").force();
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .unwrap()
}

/// What `flux bootstrap` leaves in a cluster and in its repository, and a workload that Flux has applied.
async fn with_flux(cluster: &Cluster, repository: &Repository, url: &str) -> DynamicObject {
    let namespaces: Api<DynamicObject> =
        Api::all_with(cluster.client.clone(), &kind("", "v1", "Namespace"));
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { "app.kubernetes.io/part-of": "flux" } },
    });
    apply(&namespaces, &namespace).await;
    let deployments = cluster.api(&deployment_kind(), NAMESPACE);
    let parts = [
        "kustomize-controller",
        "source-controller",
        "helm-controller",
    ]
    .map(|name| part(&deployment(name, "flux:1", 1)));
    for part in &parts {
        apply(&deployments, part).await;
    }
    let mut workload: Value = serde_json::from_str(&deployment("web", "nginx:1.29", 2)).unwrap();
    workload["metadata"]["namespace"] = json!("default");
    repository.write("clusters/home/web.yaml", workload.to_string());
    workload["metadata"]["labels"] = json!({
        "kustomize.toolkit.fluxcd.io/name": NAMESPACE,
        "kustomize.toolkit.fluxcd.io/namespace": NAMESPACE,
    });
    let web = apply(&cluster.api(&deployment_kind(), "default"), &workload).await;
    let mut components: Vec<String> = parts.iter().map(Value::to_string).collect();
    for mut definition in documents(&workspace().join("deploy/crds")) {
        definition["metadata"]["labels"] = json!({ "app.kubernetes.io/part-of": "flux" });
        components.push(definition.to_string());
    }
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": { "name": NAMESPACE, "namespace": NAMESPACE },
        "spec": { "interval": "1m", "url": url, "ref": { "branch": "main" } },
    });
    let kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": { "name": NAMESPACE, "namespace": NAMESPACE },
        "spec": {
            "interval": "10m",
            "path": "./clusters/home",
            "prune": true,
            "sourceRef": { "kind": "GitRepository", "name": NAMESPACE },
        },
    });
    repository
        .write(
            "clusters/home/flux-system/gotk-components.yaml",
            components.join("\n---\n"),
        )
        .write(
            "clusters/home/flux-system/gotk-sync.yaml",
            format!("{source}\n---\n{kustomization}\n"),
        )
        .write(
            "clusters/home/flux-system/kustomization.yaml",
            "resources: [gotk-components.yaml, gotk-sync.yaml]\n",
        );
    web
}

#[tokio::test]
async fn a_cluster_of_flux_is_taken_over_without_touching_a_workload() {
    let mut cluster = Cluster::start().await;
    let server = GitServer::start(GitServerOptions::default());
    let repository = server.create_repository("fleet");
    let before = with_flux(&cluster, &repository, &server.url("fleet")).await;
    let commit = repository.publish("as Flux left it");
    let said = ended(cluster.bootstrap(&repository, "clusters/home", &[]).await).await;
    assert!(said.is_success, "{}", said.text);
    for want in [
        "► Flux runs in flux-system: Weir takes over from kustomize-controller and source-controller",
        "✔ stopped Flux's kustomize-controller",
        &format!("at main@sha1:{commit}"),
        "the way back, which touches no workload either:",
        "kubectl -n flux-system scale deployment kustomize-controller source-controller --replicas=1",
    ] {
        assert!(said.text.contains(want), "{want}: {}", said.text);
    }
    let web = cluster
        .api(&deployment_kind(), "default")
        .get("web")
        .await
        .unwrap();
    assert_eq!(web.metadata.uid, before.metadata.uid);
    assert_eq!(web.metadata.generation, before.metadata.generation);
    let deployments = cluster.api(&deployment_kind(), NAMESPACE);
    for (name, replicas) in [
        ("kustomize-controller", 0),
        ("source-controller", 0),
        ("helm-controller", 1),
        ("weir", 1),
    ] {
        let found = deployments.get(name).await.unwrap();
        assert_eq!(found.data["spec"]["replicas"], replicas, "{name}");
    }
    let namespace: Api<DynamicObject> =
        Api::all_with(cluster.client.clone(), &kind("", "v1", "Namespace"));
    let labels = namespace
        .get(NAMESPACE)
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["app.kubernetes.io/part-of"], "flux");
    assert!(Path::new(&repository.path().join("clusters/home/flux-system")).exists());
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
}
