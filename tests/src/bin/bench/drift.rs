//! Foreign edits: how long until the object is as Git says again, and what was asked for it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use weir_tests::Call;
use weir_tests::scene::deployment_kind;

use crate::change::median;
use crate::fleet;
use crate::site::{Site, by_kind};
use crate::table::Row;
use crate::watching::Watching;

/// How many edits the figures are of: one an application where there are a hundred, but for the first.
const EDITS: usize = 99;

const NOTE: &str = "example.org/note";
const EDITED: &str = "edited";

/// Edits one object after another, each of another application.
pub(crate) async fn measure(site: &Site, count: usize, note: &str) -> Vec<Row> {
    let position = site.log.position();
    let mut times = Vec::new();
    for number in 0..EDITS {
        times.push(edit(site, &fleet::name(1 + number), note).await);
    }
    let (calls, _) = site.silent(position).await;
    let until_right: usize = (0..EDITS)
        .map(|number| until_right(&calls, &fleet::name(1 + number)))
        .sum();
    times.sort_by(f64::total_cmp);
    let row = |what: &str, seen, goal, unit, detail| Row {
        what: format!("drift among {count}, from the edit to the object put right: {what}"),
        peer: "the interval",
        floor: None,
        seen,
        goal,
        unit,
        detail,
    };
    vec![
        row("p50", median(times.clone()), 200.0, "ms", String::new()),
        row(
            "p99",
            times[times.len() * 99 / 100],
            1000.0,
            "ms",
            format!("of {EDITS}"),
        ),
        row(
            "requests to the object",
            until_right as f64 / EDITS as f64,
            2.0,
            "requests",
            format!(
                "with health after it and events, in all: {}",
                by_kind(&calls)
            ),
        ),
    ]
}

/// The requests to one Deployment until it was written.
fn until_right(calls: &[Call], name: &str) -> usize {
    let is_its = |call: &&Call| call.resource == "deployments" && call.name == name;
    let its: Vec<&Call> = calls.iter().filter(is_its).collect();
    let is_write = |call: &&Call| call.verb == "patch" && !call.is_dry_run();
    its.iter()
        .position(is_write)
        .map_or(its.len(), |write| write + 1)
}

/// One edit; milliseconds until the note is what Git says.
async fn edit(site: &Site, name: &str, note: &str) -> f64 {
    let api = site.scene.api(&deployment_kind());
    let (wanted, edited) = (note.to_owned(), name.to_owned());
    let was_edited = AtomicBool::new(false);
    let right = Watching::begin(api.clone(), 1, move |object| {
        let annotations = object.metadata.annotations.as_ref();
        let note = annotations.and_then(|all| all.get(NOTE));
        let is_it = object.metadata.name.as_deref() == Some(&edited);
        if is_it && note.is_some_and(|note| note == EDITED) {
            was_edited.store(true, Relaxed);
        }
        is_it && was_edited.load(Relaxed) && note == Some(&wanted)
    })
    .await;
    let parameters = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    let body = json!({ "metadata": { "annotations": { NOTE: EDITED } } });
    let begun = Instant::now();
    let patched = api.patch(name, &parameters, &Patch::Merge(&body)).await;
    patched.expect("edit a Deployment");
    right.end().await.duration_since(begun).as_secs_f64() * 1000.0
}
