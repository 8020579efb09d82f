//! Promotion that nobody starts: three clusters with a Weir each, one plain Git server, and versions that find their way.

use std::path::Path;

use k8s_openapi::api::core::v1::Event;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::objects::{api, git_repository, git_repository_kind, kind, kustomization};
use weir_tests::scene::{PATIENCE, arguments, config_map_kind, install_definitions};
use weir_tests::{
    ControlPlane, ControlPlaneOptions, GitServer, GitServerOptions, Repository, SshKey, SshServer,
    SshServerOptions, Weir, eventually,
};

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const CONFIG: &str = "stages/staging/shop/config.yaml";

/// A cluster that is an environment, and the Weir in it.
pub(crate) struct Cluster {
    weir: Weir,
    environment: &'static str,
    client: Client,
    _control_plane: ControlPlane,
    storage: TempDir,
}

impl Cluster {
    /// Starts it, with a repository that everybody may read and write; objects of its Kustomization for which an
    /// expression holds have failed.
    pub(crate) async fn start(
        environment: &'static str,
        url: &str,
        key: &SshKey,
        failed: Option<&str>,
    ) -> Cluster {
        let promotion = json!({"signing-key": key.private});
        Cluster::start_with(environment, url, &promotion, &json!({}), failed).await
    }

    /// Starts it, with what is in the Secrets to promote and to read with; without the first none is named to promote with.
    pub(crate) async fn start_with(
        environment: &'static str,
        url: &str,
        promotion: &Value,
        reading: &Value,
        failed: Option<&str>,
    ) -> Cluster {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default());
        let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
        install_definitions(&client).await;
        let create = async |object: &DynamicObject, name: &str, group: &str, version: &str| {
            let api = api(&client, NAMESPACE, &kind(group, version, name));
            api.create(&PostParams::default(), object).await.unwrap();
        };
        for (name, data) in [("promotion", promotion), ("reading", reading)] {
            let secret = DynamicObject::new(name, &kind("", "v1", "Secret"));
            let secret = secret.data(json!({"stringData": data}));
            create(&secret, "Secret", "", "v1").await;
        }
        let spec = json!({"interval": "1h", "secretRef": {"name": "reading"}});
        let source = git_repository("fleet", url, spec);
        create(&source, "GitRepository", "source.toolkit.fluxcd.io", "v1").await;
        let mut spec = json!({"wait": true, "targetNamespace": NAMESPACE, "timeout": "30s"});
        if let Some(failed) = failed {
            spec["healthCheckExprs"] = json!([
                {"apiVersion": "v1", "kind": "ConfigMap", "current": "true", "failed": failed}
            ]);
        }
        let path = format!("./envs/{environment}");
        let apps = kustomization("apps", "fleet", &path, spec);
        create(&apps, "Kustomization", "kustomize.toolkit.fluxcd.io", "v1").await;
        let storage = tempfile::tempdir().unwrap();
        let mut flags = arguments(storage.path()).to_vec();
        flags.extend([
            format!("--environment={environment}"),
            format!("--promotion-source={NAMESPACE}/fleet"),
            "--promotion-interval=1s".to_owned(),
        ]);
        if !promotion.is_null() {
            flags.push("--promotion-secret=promotion".to_owned());
        }
        Cluster {
            weir: Weir::start(control_plane.kubeconfig(ControlPlane::WEIR), &flags),
            environment,
            client,
            _control_plane: control_plane,
            storage,
        }
    }

    /// What the controller has logged.
    pub(crate) fn log(&self) -> String {
        self.weir.log()
    }

    /// Ends the controller and starts another one, which has nothing of what the first kept on disk.
    pub(crate) fn restart_elsewhere(&mut self) {
        self.weir.kill();
        std::fs::remove_dir_all(self.storage.path()).unwrap();
        std::fs::create_dir(self.storage.path()).unwrap();
        self.weir.restart();
    }

    /// Has its GitRepository fetch, whose interval is long.
    pub(crate) async fn fetch(&self) {
        let api = api(&self.client, NAMESPACE, &git_repository_kind());
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": "now"});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let how = PatchParams::default();
        api.patch("fleet", &how, &patch).await.unwrap();
    }

    /// The status of its GitRepository.
    pub(crate) async fn source(&self) -> Value {
        let api = api(&self.client, NAMESPACE, &git_repository_kind());
        api.get("fleet").await.unwrap().data["status"].clone()
    }

    /// Waits until a ConfigMap has a value.
    pub(crate) async fn runs(&self, name: &str, key: &str, value: &str) {
        let what = format!("{} of {name} in {} is {value}", key, self.environment);
        eventually(PATIENCE, &what, async || {
            let found = self.value(name, key).await;
            match found == json!(value) {
                true => Ok(()),
                false => Err(found.to_string()),
            }
        })
        .await;
    }

    pub(crate) async fn value(&self, name: &str, key: &str) -> Value {
        let api = api(&self.client, NAMESPACE, &config_map_kind());
        let found = api.get_opt(name).await.unwrap();
        found.map_or(Value::Null, |object| object.data["data"][key].clone())
    }

    /// What its events say of promotion.
    pub(crate) async fn events(&self) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let all = api.list(&ListParams::default()).await.unwrap();
        let about = all
            .items
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("Promotion"));
        about.filter_map(|event| event.message).collect()
    }
}

/// Three environments of two stages.
struct Fleet {
    staging: Cluster,
    europe: Cluster,
    america: Cluster,
    work: Repository,
    _server: GitServer,
}

async fn fleet() -> Fleet {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    let names = ["staging", "prod-eu", "prod-us"];
    let keys = names.map(|_| SshKey::generate("ed25519", ""));
    fill(&work, names, &keys);
    work.publish("version 1");
    let url = server.url("fleet");
    let (staging, europe, america) = tokio::join!(
        Cluster::start("staging", &url, &keys[0], None),
        // Version 3 is one that Europe does not bear.
        Cluster::start(
            "prod-eu",
            &url,
            &keys[1],
            Some("has(data.version) && data.version == 'v3'")
        ),
        Cluster::start("prod-us", &url, &keys[2], None),
    );
    Fleet {
        staging,
        europe,
        america,
        work,
        _server: server,
    }
}

pub(crate) fn fill(work: &Repository, names: [&str; 3], keys: &[SshKey; 3]) {
    for stage in ["staging", "prod"] {
        let below = |path: &str| format!("stages/{stage}/{path}");
        work.write(&below("kustomization.yaml"), "resources: [shop]\n")
            .write(
                &below("shop/kustomization.yaml"),
                "resources: [config.yaml]\n",
            )
            .write(&below("shop/config.yaml"), config("v1"));
    }
    for (name, stage) in names.into_iter().zip(["staging", "prod", "prod"]) {
        let file = format!("resources: [../../stages/{stage}, env-config.yaml]\n");
        work.write(&format!("envs/{name}/kustomization.yaml"), file)
            .write(&format!("envs/{name}/env-config.yaml"), region(name));
    }
    let key = |at: usize| json!({"key": keys[at].public});
    let policy = json!({
        "environments": {"staging": key(0), "prod-eu": key(1), "prod-us": key(2)},
        "edges": [{"from": "staging", "to": "prod", "apps": ["shop"], "driver": "staging"}],
        "stages": {"prod": {"waves": [
            {"environments": ["prod-eu"], "soak": "2s"}, {"environments": ["prod-us"]}
        ]}},
        "publish": {"interval": "20s", "atMostEvery": "1s"},
    });
    work.write("weir.yaml", policy.to_string());
    work.git(&["config", "user.name", "Ada"]);
    work.git(&["config", "user.email", "ada@example.org"]);
}

pub(crate) fn config(version: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  version: {version}\n"
    )
}

pub(crate) fn region(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: env-config\ndata:\n  region: {name}\n"
    )
}

impl Fleet {
    /// Pulls what controllers have pushed, commits and pushes.
    fn publish(&self, path: &str, text: String, message: &str) {
        // A controller may push in between.
        for _ in 0..20 {
            self.pull();
            self.work.write(path, &text);
            self.work.commit(message);
            if self.push() {
                return;
            }
            self.work.reset("HEAD^");
        }
        panic!("outrun twenty times");
    }

    fn pull(&self) {
        self.work
            .git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    }

    fn push(&self) -> bool {
        let pushed = std::process::Command::new("git")
            .args(["push", "--quiet", "origin", "HEAD:main"])
            .current_dir(self.work.path())
            .output()
            .unwrap();
        pushed.status.success()
    }

    /// Waits until an environment has published a sentence, and gives it.
    async fn says(&self, environment: &str, about: &str, part: &str) -> String {
        says(&self.work, environment, about, part).await
    }
}

/// What an environment has published; null before it has.
pub(crate) fn state(work: &Repository, environment: &str) -> Value {
    let name = format!("refs/weir/state/{environment}");
    let all = "+refs/weir/state/*:refs/weir/state/*";
    work.git(&["fetch", "--quiet", "origin", all]);
    if work.git(&["for-each-ref", &name]).is_empty() {
        return Value::Null;
    }
    let text = work.git(&["show", &format!("{name}:state.json")]);
    serde_json::from_str(&text).unwrap()
}

/// Waits until an environment has published a sentence, and gives it.
pub(crate) async fn says(work: &Repository, environment: &str, about: &str, part: &str) -> String {
    let what = format!("{environment} says {part:?} of {about}");
    eventually(PATIENCE, &what, async || {
        let state = state(work, environment);
        let told = state["decisions"].as_array().cloned().unwrap_or_default();
        let mut sentences = told
            .iter()
            .filter(|told| told["about"] == about)
            .filter_map(|told| told["sentence"].as_str());
        let found = sentences.find(|sentence| sentence.contains(part));
        found.map(str::to_owned).ok_or_else(|| state.to_string())
    })
    .await
}

pub(crate) fn weir(folder: &Path, arguments: &[&str]) -> String {
    let output = Weir::command()
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_SSL_CAINFO")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_from_staging_to_europe_to_america_and_a_bad_one_stops() {
    let mut fleet = fleet().await;
    for cluster in [&fleet.staging, &fleet.europe, &fleet.america] {
        cluster.runs("shop", "version", "v1").await;
    }
    let edge = "staging → prod: shop";
    fleet.says("staging", edge, "already there").await;
    fleet.says("prod-us", "prod", "has the newest").await;

    fleet.publish(CONFIG, config("v2"), "version 2");
    fleet.america.runs("shop", "version", "v2").await;
    assert_eq!(fleet.europe.value("shop", "version").await, "v2");
    fleet.says("staging", edge, "promoted in").await;
    fleet.says("prod-us", "prod", "waits: prod-eu").await;
    fleet
        .says("prod-us", "prod", "the wave before runs it well")
        .await;
    let told = fleet.staging.events().await;
    let promoted = |told: &String| told.starts_with(&format!("{edge}: promoted in"));
    assert!(told.iter().any(promoted), "{told:?}");
    fleet.pull();
    let message = fleet.work.git(&["log", "-1", "--format=%an%n%B"]);
    assert!(
        message.starts_with("Weir of staging\nPromote shop from staging to prod"),
        "{message}"
    );
    assert!(
        message.contains("Weir-Promotion: app=shop") && message.contains("Weir-Driven-By: staging"),
        "{message}"
    );

    fleet.publish(CONFIG, config("v3"), "version 3");
    fleet.europe.runs("shop", "version", "v3").await;
    let stays = fleet
        .says("prod-us", "prod", "prod-eu is not healthy: default/apps")
        .await;
    assert!(stays.starts_with("stays at "), "{stays}");
    // What is not of the stage goes its way meanwhile.
    fleet.publish(
        "envs/prod-us/env-config.yaml",
        region("us-west"),
        "another region",
    );
    fleet.america.runs("env-config", "region", "us-west").await;
    assert_eq!(fleet.america.value("shop", "version").await, "v2");
    let revision = fleet.america.source().await["artifact"]["revision"].clone();
    assert!(revision.to_string().contains("+stages/prod@"), "{revision}");
    // A new process knows what was released.
    fleet.america.weir.restart();
    fleet.publish(
        "envs/prod-us/env-config.yaml",
        region("us-east"),
        "back again",
    );
    fleet.america.runs("env-config", "region", "us-east").await;
    assert_eq!(fleet.america.value("shop", "version").await, "v2");

    fleet.pull();
    let rolled = weir(
        fleet.work.path(),
        &[
            "rollback",
            "prod",
            "shop",
            "--reason",
            "it fails in Europe",
            "--push",
        ],
    );
    assert!(rolled.contains("Pushed"), "{rolled}");
    fleet.europe.runs("shop", "version", "v2").await;
    let held = fleet.says("staging", edge, "stopped: held: Ada").await;
    assert!(held.contains("(it fails in Europe)"), "{held}");

    fleet.publish(CONFIG, config("v4"), "the fix");
    fleet.staging.runs("shop", "version", "v4").await;
    let explained = weir(fleet.work.path(), &["promote", "--auto", "--dry-run"]);
    assert!(explained.contains("stopped: held: Ada"), "{explained}");
    assert_eq!(fleet.europe.value("shop", "version").await, "v2");
    fleet.pull();
    let lifted = weir(
        fleet.work.path(),
        &["rollback", "prod", "shop", "--lift", "--push"],
    );
    assert!(lifted.contains("Pushed"), "{lifted}");
    fleet.america.runs("shop", "version", "v4").await;
    assert_eq!(fleet.europe.value("shop", "version").await, "v4");
}

async fn promoted_version_2(work: &Repository) {
    eventually(PATIENCE, "version 2 is promoted", async || {
        work.git(&["fetch", "--quiet", "origin", "main"]);
        let text = work.git(&["show", "FETCH_HEAD:stages/prod/shop/config.yaml"]);
        match text.contains("version: v2") {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_branches_only_is_published_to_and_a_bad_edge_stops_no_other() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    let names = ["staging", "prod-eu", "prod-us"];
    let keys = names.map(|_| SshKey::generate("ed25519", ""));
    fill(&work, names, &keys);
    let mut policy: Value =
        serde_json::from_slice(&std::fs::read(work.path().join("weir.yaml")).unwrap()).unwrap();
    let lost = json!({"from": "staging", "to": "canary", "driver": "staging"});
    policy["edges"].as_array_mut().unwrap().insert(0, lost);
    work.write("weir.yaml", policy.to_string());
    work.publish("version 1");
    let hook = "#!/bin/sh\ncase $1 in refs/weir/*) exit 1;; esac\n";
    server.hook("fleet", "update", hook);
    let staging = Cluster::start("staging", &server.url("fleet"), &keys[0], None).await;
    staging.runs("shop", "version", "v1").await;
    work.write(CONFIG, config("v2"));
    work.publish("version 2");
    promoted_version_2(&work).await;
    let refs = work.git(&["ls-remote", "origin"]);
    assert!(refs.contains("refs/heads/weir/state/staging"), "{refs}");
    assert!(!refs.contains("refs/weir/"), "{refs}");
    let explained = weir(work.path(), &["promote", "--auto", "--dry-run"]);
    assert!(
        explained.contains("stopped: there is no stage or environment `canary`"),
        "{explained}"
    );
    let told = staging.events().await;
    let stopped = |told: &String| told.contains("canary: all apps: stopped: there is no stage");
    assert!(told.iter().any(stopped), "{told:?}");
}

/// Lets somebody else push first, at the moment in which a controller pushes to the branch: what they pushed lies on a
/// branch of its own until then.
const HASTE: &str = "#!/bin/sh\n\
    if [ $1 = refs/heads/main ] && git log -1 --format=%an $3 | grep -q ^Weir && git rev-parse -q --verify hasty; then\n  \
    git update-ref refs/heads/main refs/heads/hasty && git update-ref -d refs/heads/hasty\nfi\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_is_outrun_is_made_anew_upon_what_is_there() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    let names = ["staging", "prod-eu", "prod-us"];
    let keys = names.map(|_| SshKey::generate("ed25519", ""));
    fill(&work, names, &keys);
    work.publish("version 1");
    server.hook("fleet", "update", HASTE);
    let staging = Cluster::start("staging", &server.url("fleet"), &keys[0], None).await;
    staging.runs("shop", "version", "v1").await;
    work.write(CONFIG, config("v2"));
    work.commit("version 2");
    work.branch("hasty");
    work.write("envs/prod-us/env-config.yaml", region("us-west"));
    let hasty = work.commit("another region");
    work.git(&["push", "--quiet", "origin", "hasty", "hasty^:main"]);
    promoted_version_2(&work).await;
    assert_eq!(work.git(&["rev-parse", "FETCH_HEAD^"]), hasty);
    let own = work.git(&["show", "FETCH_HEAD:envs/prod-us/env-config.yaml"]);
    assert!(own.contains("us-west"), "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_a_key_that_may_only_read_promotes_nothing_and_one_that_may_write_does() {
    let writer = SshKey::generate("ed25519", "open sesame");
    let reader = SshKey::generate("ed25519", "");
    let server = SshServer::start(&writer, &SshServerOptions::default());
    server.admit_to_read(&reader.public);
    let work = server.create_repository("fleet");
    let names = ["staging", "prod-eu", "prod-us"];
    let keys = names.map(|_| SshKey::generate("ed25519", ""));
    fill(&work, names, &keys);
    work.publish("version 1");
    let known_hosts = server.known_hosts("ed25519");
    let reading = json!({"identity": reader.private, "known_hosts": known_hosts});
    let mut promotion = reading.clone();
    promotion["signing-key"] = json!(keys[0].private);
    let url = server.url("fleet");
    let staging = Cluster::start_with("staging", &url, &promotion, &reading, None).await;
    staging.runs("shop", "version", "v1").await;
    eventually(PATIENCE, "it says what the key lacks", async || {
        let told = staging.events().await;
        let lacks = |told: &String| {
            told.starts_with("automatic promotion is off: unable to push to 'ssh://")
                && told.contains("marked as read only")
                && told.contains("give it write access")
        };
        match told.iter().any(lacks) {
            true => Ok(()),
            false => Err(told.join("\n")),
        }
    })
    .await;
    work.write(CONFIG, config("v2"));
    work.publish("version 2");
    staging.runs("shop", "version", "v2").await;
    let refs = work.git(&["ls-remote", "origin"]);
    assert!(!refs.contains("refs/weir/"), "{refs}");

    let secrets = api(&staging.client, NAMESPACE, &kind("", "v1", "Secret"));
    let key = json!({"identity": writer.private, "password": "open sesame"});
    let patch = Patch::Merge(json!({"stringData": key}));
    let how = PatchParams::default();
    secrets.patch("promotion", &how, &patch).await.unwrap();
    promoted_version_2(&work).await;
    let message = work.git(&["log", "-1", "--format=%an%n%B", "FETCH_HEAD"]);
    assert!(
        message.starts_with("Weir of staging\nPromote shop from staging to prod")
            && message.contains("Weir-Driven-By: staging"),
        "{message}"
    );
    // A promotion is pushed before what the environment says of it.
    eventually(PATIENCE, "its state is published", async || {
        let refs = work.git(&["ls-remote", "origin"]);
        match refs.contains("refs/weir/state/staging") {
            true => Ok(()),
            false => Err(refs),
        }
    })
    .await;
}
