//! Where a measurement takes place: a control plane with an audit log, and a scene on it.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
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

    /// Creates the source, and waits until so many Kustomizations are Ready at a commit. How long that took.
    pub(crate) async fn deploy(&self, count: usize, commit: &str, source: Value) -> Duration {
        let revision = format!("main@sha1:{commit}");
        let api = self.scene.api(&kustomization_kind());
        let ready = Watching::begin(api, count, move |object| is_ready(object, &revision)).await;
        let begun = Instant::now();
        self.scene.source(source).await;
        ready.end().await.duration_since(begun)
    }

    /// What Weir has used.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.scene.weir.id().expect("Weir runs"))
    }

    /// Waits until Weir asks nothing any more. The requests since a position, and when the last of them was seen.
    pub(crate) async fn silent(&self, position: u64) -> (Vec<Call>, Instant) {
        let mut length = self.count(position);
        let mut last = Instant::now();
        while last.elapsed() < SILENCE {
            tokio::time::sleep(LOOK).await;
            let now = self.count(position);
            if now != length {
                (length, last) = (now, Instant::now());
            }
        }
        (self.calls(position), last)
    }

    /// Weir's requests since a position.
    pub(crate) fn calls(&self, position: u64) -> Vec<Call> {
        self.log.since(position, ControlPlane::WEIR)
    }

    fn count(&self, position: u64) -> usize {
        self.calls(position).len()
    }
}

/// Whether a Kustomization is Ready at a revision.
pub(crate) fn is_ready(object: &DynamicObject, revision: &str) -> bool {
    let ready = condition(object, "Ready").is_some_and(|ready| ready["status"] == "True");
    ready && object.data["status"]["lastAppliedRevision"] == revision
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
