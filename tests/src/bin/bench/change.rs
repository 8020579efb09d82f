//! One commit after another: how long until the changed object is applied, and what was asked for it.

use std::time::{Duration, Instant};

use weir_tests::objects::git_repository_kind;
use weir_tests::scene::{SOURCE, deployment_kind};
use weir_tests::{Call, ControlPlane};

use crate::fleet;
use crate::site::Site;
use crate::watching::Watching;

/// What a commit took.
pub(crate) struct Change {
    /// From the annotation on the source to the object in the cluster, as the API server's log has it.
    pub(crate) applied: Duration,
    /// The same as who asks and watches sees it, with the way there and back.
    pub(crate) watched: Duration,
    /// What Weir asked for it.
    pub(crate) calls: Vec<Call>,
    /// How many statuses and events of unchanged Kustomizations were written meanwhile.
    pub(crate) lazy: usize,
}

/// Commits changes of the first application, one at a time, each after the last has come to rest but for what is
/// written lazily of the others.
pub(crate) async fn commits(site: &Site, count: usize, change: impl Fn(&str)) -> Vec<Change> {
    let mut seen = Vec::new();
    for number in 0..count {
        let note = format!("change {number}");
        change(&note);
        site.scene.repository.publish(&note);
        seen.push(bring(site, &note).await);
    }
    seen
}

/// Has the source look, and waits until the first application's note has arrived.
async fn bring(site: &Site, note: &str) -> Change {
    let wanted = note.to_owned();
    let arrived = Watching::begin(site.scene.api(&deployment_kind()), 1, move |object| {
        let annotations = object.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get("example.org/note")) == Some(&wanted)
    })
    .await;
    let position = site.log.position();
    let begun = Instant::now();
    site.scene.request(&git_repository_kind(), SOURCE).await;
    let watched = arrived.end().await.duration_since(begun);
    let first = fleet::name(0);
    let (calls, _) = site
        .silent_but_for(position, |call| is_lazy(call, &first))
        .await;
    let (calls, lazy): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| !is_lazy(call, &first));
    Change {
        applied: from_annotation_to_apply(site, position, &calls),
        watched,
        calls,
        lazy: lazy.len(),
    }
}

/// From when the annotation came to when the last object was applied.
fn from_annotation_to_apply(site: &Site, position: u64, calls: &[Call]) -> Duration {
    let asked = site.log.since(position, ControlPlane::ADMINISTRATOR);
    let mut asked = asked
        .iter()
        .filter(|call| call.resource == "gitrepositories");
    let is_apply =
        |call: &&Call| call.verb == "patch" && call.resource == "deployments" && !call.is_dry_run();
    let applied = calls
        .iter()
        .filter(is_apply)
        .map(|call| call.answered)
        .max();
    let (asked, applied) = (asked.next().map(|call| call.received), applied);
    let (asked, applied) = asked.zip(applied).expect("both are in the log");
    Duration::try_from(applied.duration_since(asked)).expect("one follows the other")
}

/// Whether a request says of another Kustomization that nothing has changed: its status, or its event.
pub(crate) fn is_lazy(call: &Call, changed: &str) -> bool {
    let is_said = call.subresource == "status" || call.resource == "events";
    // An event is called after its object.
    let of = call.name.split('.').next().unwrap_or_default();
    is_said && of.starts_with(fleet::PREFIX) && of != changed
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
