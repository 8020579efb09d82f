//! One Kustomization of very many ConfigMaps: the first deploy, an interval at rest, a restart with an empty disk.

use std::time::{Duration, Instant};

use serde_json::json;
use weir_tests::Call;

use crate::fleet;
use crate::floor::floor;
use crate::site::{Site, by_kind, shares};
use crate::table::Row;

/// The interval of the Kustomization, and so how often Flux would do everything again.
const INTERVAL: Duration = Duration::from_secs(30);

/// Measures with so many ConfigMaps.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let floor = floor((0..count).map(fleet::config_map).collect())
        .await
        .applied;
    let mut site = Site::start("large").await;
    fleet::write_config_maps(&site.scene.repository, "settings", count);
    let commit = site.scene.repository.publish("first");
    let spec = json!({ "interval": format!("{}s", INTERVAL.as_secs()), "timeout": "10m" });
    site.kustomizations([("settings".to_owned(), "./settings".to_owned(), spec)])
        .await;
    site.silent(0).await;
    let mut rows = deploy(&site, count, &commit, floor).await;
    rows.extend(rest(&site, count).await);
    rows.extend(restart(&mut site, count).await);
    rows
}

async fn deploy(site: &Site, count: usize, commit: &str, floor: Duration) -> Vec<Row> {
    let position = site.log.position();
    let deploy = site.deploy(1, commit, json!({})).await;
    let (calls, _) = site.silent(position).await;
    let floor = floor.as_secs_f64();
    let usage = site.usage();
    vec![
        Row {
            what: format!("one Kustomization of {count} ConfigMaps, first deploy"),
            peer: "146 s, 30,025 requests",
            floor: Some(floor),
            seen: deploy.took.as_secs_f64(),
            goal: 1.3 * floor,
            unit: "s",
            detail: format!(
                "{} requests: {}; {}; processor {:.1} s",
                calls.len(),
                by_kind(&calls),
                shares(&calls, &deploy),
                usage.processor.as_secs_f64()
            ),
        },
        Row {
            what: "its peak memory".to_owned(),
            peer: "249 MB",
            floor: None,
            seen: usage.peak,
            goal: 150.0,
            unit: "MiB",
            detail: String::new(),
        },
    ]
}

/// An interval in which nothing changes.
async fn rest(site: &Site, count: usize) -> Vec<Row> {
    let before = site.usage();
    let (position, begun) = (site.log.position(), Instant::now());
    tokio::time::sleep(INTERVAL + Duration::from_secs(5)).await;
    let (elapsed, after) = (begun.elapsed(), site.usage());
    let mut calls = site.calls(position);
    calls.retain(|call| call.verb != "watch");
    let share = (after.processor - before.processor).as_secs_f64() / elapsed.as_secs_f64();
    let row = |what: &str, peer, seen, goal, unit, detail| Row {
        what: format!("{count} unchanged objects, one interval: {what}"),
        peer,
        floor: None,
        seen,
        goal,
        unit,
        detail,
    };
    vec![
        row(
            "requests",
            "≈ 27 a Kustomization",
            calls.len() as f64,
            0.0,
            "requests",
            by_kind(&calls),
        ),
        row("resident", "–", after.resident, 64.0, "MiB", String::new()),
        row("processor", "–", share * 100.0, 0.5, "%", String::new()),
    ]
}

/// A kill, and a start with nothing on the disk.
async fn restart(site: &mut Site, count: usize) -> Vec<Row> {
    site.scene.weir.kill();
    site.scene.empty_disk();
    let (position, begun) = (site.log.position(), Instant::now());
    site.scene.weir.restart();
    let (calls, last) = site.silent(position).await;
    let to_objects: Vec<&Call> = calls.iter().filter(|call| writes_object(call)).collect();
    let pages = calls
        .iter()
        .filter(|call| call.verb == "list" && call.resource == "configmaps")
        .count();
    vec![
        Row {
            what: format!("restart with {count} unchanged objects and an empty disk, until silent"),
            peer: "a full reconcile",
            floor: None,
            seen: last.duration_since(begun).as_secs_f64(),
            goal: 30.0,
            unit: "s",
            detail: format!("{:.0} MiB peak", site.usage().peak),
        },
        Row {
            what: "requests of that restart".to_owned(),
            peer: "–",
            floor: None,
            seen: calls.len() as f64,
            goal: (pages + 20) as f64,
            unit: "requests",
            detail: by_kind(&calls),
        },
        Row {
            what: "writes to managed objects in that restart".to_owned(),
            peer: "–",
            floor: None,
            seen: to_objects.len() as f64,
            goal: 0.0,
            unit: "requests",
            detail: String::new(),
        },
    ]
}

fn writes_object(call: &Call) -> bool {
    let reads = ["get", "list", "watch"].contains(&call.verb.as_str());
    call.resource == "configmaps" && !reads && !call.is_dry_run()
}
