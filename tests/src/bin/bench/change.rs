//! One commit after another: how long until the changed object is applied, and what was asked for it.

use std::time::{Duration, Instant};

use weir_tests::Call;
use weir_tests::objects::git_repository_kind;
use weir_tests::scene::{SOURCE, deployment_kind};

use crate::fleet;
use crate::site::Site;
use crate::watching::Watching;

/// What a commit took.
pub(crate) struct Change {
    /// From the annotation on the source to the object in the cluster.
    pub(crate) applied: Duration,
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
    let applied = arrived.end().await.duration_since(begun);
    let first = fleet::name(0);
    let (calls, _) = site
        .silent_but_for(position, |call| is_lazy(call, &first))
        .await;
    let (calls, lazy): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| !is_lazy(call, &first));
    Change {
        applied,
        calls,
        lazy: lazy.len(),
    }
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
