//! Where a measurement takes place: a control plane with an audit log, and a scene on it.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};
use weir_tests::objects::{kustomization, kustomization_kind};
use weir_tests::scene::{SOURCE, condition};
use weir_tests::{
    AuditLog, Call, ControlPlane, ControlPlaneOptions, GitServerOptions, Scene, count_by,
};

use crate::process::{Usage, usage};
use crate::watching::Watching;

/// When nothing was asked for so long, a run is over.
const SILENCE: Duration = Duration::from_secs(3);
/// How often the log is looked at; it is a file, so that the server does not notice.
const LOOK: Duration = Duration::from_millis(200);

/// A control plane and a scene on it.
pub(crate) struct Site {
    /// First of all, so that it ends before the control plane.
    pub(crate) scene: Scene,
    /// Every request.
    pub(crate) log: AuditLog,
    /// The cluster itself.
    pub(crate) control_plane: ControlPlane,
}

/// A deploy, from the source's creation to the last Ready.
pub(crate) struct Deploy {
    /// When the source was created.
    pub(crate) begun: Timestamp,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Site {
    /// Starts everything; Weir has nothing to do yet.
    pub(crate) async fn start(word: &str) -> Site {
        let control_plane = ControlPlane::start(ControlPlaneOptions {
            audit: true,
            ..Default::default()
        });
        let kubeconfig = control_plane.kubeconfig(ControlPlane::WEIR);
        let scene = Scene::on(
            &control_plane,
            kubeconfig,
            word,
            GitServerOptions::default(),
        )
        .await;
        let log = control_plane.audit_log().expect("there is an audit log");
        Site {
            scene,
            log,
            control_plane,
        }
    }

    /// Creates Kustomizations, several at a time.
    pub(crate) async fn kustomizations(
        &self,
        specs: impl IntoIterator<Item = (String, String, Value)>,
    ) {
        let api = self.scene.api(&kustomization_kind());
        let namespace = &self.scene.namespace;
        let created = stream::iter(specs).map(|(name, path, mut spec)| {
            spec["targetNamespace"] = json!(namespace);
            let object = kustomization(&name, SOURCE, &path, spec);
            let api = &api;
            async move {
                let created = api.create(&PostParams::default(), &object).await;
                created.expect("create a Kustomization");
            }
        });
        created.buffer_unordered(20).collect::<()>().await;
    }

    /// Creates the source, and waits until so many Kustomizations are Ready at a commit.
    pub(crate) async fn deploy(&self, count: usize, commit: &str, source: Value) -> Deploy {
        let revision = format!("main@sha1:{commit}");
        let api = self.scene.api(&kustomization_kind());
        let ready = Watching::begin(api, count, move |object| is_ready(object, &revision)).await;
        let (begun, clock) = (Timestamp::now(), Instant::now());
        self.scene.source(source).await;
        let took = ready.end().await.duration_since(clock);
        Deploy { begun, took }
    }

    /// What Weir has used.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.scene.weir.id().expect("Weir runs"))
    }

    /// Waits until Weir asks nothing any more. The requests since a position, and when the last of them was seen.
    pub(crate) async fn silent(&self, position: u64) -> (Vec<Call>, Instant) {
        self.silent_but_for(position, |_| false).await
    }

    /// The same, where some requests may go on.
    pub(crate) async fn silent_but_for(
        &self,
        position: u64,
        may_go_on: impl Fn(&Call) -> bool,
    ) -> (Vec<Call>, Instant) {
        let mut seen = position;
        let mut last = Instant::now();
        while last.elapsed() < SILENCE {
            tokio::time::sleep(LOOK).await;
            let now = self.log.position();
            if !self.calls(seen).iter().all(&may_go_on) {
                last = Instant::now();
            }
            seen = now;
        }
        (self.calls(position), last)
    }

    /// Weir's requests since a position.
    pub(crate) fn calls(&self, position: u64) -> Vec<Call> {
        self.log.since(position, ControlPlane::WEIR)
    }
}

/// Whether a Kustomization is Ready at a revision.
pub(crate) fn is_ready(object: &DynamicObject, revision: &str) -> bool {
    let ready = condition(object, "Ready").is_some_and(|ready| ready["status"] == "True");
    ready && object.data["status"]["lastAppliedRevision"] == revision
}

/// When Weir wrote objects in a deploy, in seconds from its beginning: what lies before, between and after.
pub(crate) fn shares(calls: &[Call], deploy: &Deploy) -> String {
    let since = |at: Timestamp| at.duration_since(deploy.begun).as_secs_f64();
    let writes = calls.iter().filter(|call| {
        call.verb == "patch" && call.subresource.is_empty() && !is_own(call) && !call.is_dry_run()
    });
    let (mut first, mut last) = (f64::INFINITY, 0.0_f64);
    for call in writes {
        first = first.min(since(call.received));
        last = last.max(since(call.answered));
    }
    format!("first object written after {first:.2} s, last after {last:.2} s")
}

/// Whether a request is about Weir's own resources or its events.
fn is_own(call: &Call) -> bool {
    ["kustomizations", "gitrepositories", "events"].contains(&call.resource.as_str())
}

/// Requests by verb and resource, the most frequent first.
pub(crate) fn by_kind(calls: &[Call]) -> String {
    let counts = count_by(calls, |call| {
        let dry = if call.is_dry_run() { " (dry-run)" } else { "" };
        let slash = if call.subresource.is_empty() { "" } else { "/" };
        let resource = if call.resource.is_empty() {
            "–"
        } else {
            &call.resource
        };
        format!("{} {resource}{slash}{}{dry}", call.verb, call.subresource)
    });
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    let texts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    texts.join(", ")
}
