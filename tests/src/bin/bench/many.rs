//! Many small Kustomizations: the first deploy, then one commit, then one reconcile on demand.

use std::time::Duration;

use serde_json::{Value, json};
use weir_tests::objects::kustomization_kind;

use crate::budget::budget;
use crate::change::{Change, commits, is_lazy, median};
use crate::drift;
use crate::fleet;
use crate::floor::floor;
use crate::site::{Site, by_kind, shares};
use crate::table::Row;

const VERSION: &str = "1.0.0";
/// How many commits the median is of.
const COMMITS: usize = 21;

/// The figures of Flux at this size: seconds and requests of a first deploy, requests of a commit.
struct Peer {
    deploy: &'static str,
    memory: &'static str,
    commit: &'static str,
    requests: &'static str,
}

/// Measures with so many Kustomizations.
pub(crate) async fn measure(count: usize) -> Vec<Row> {
    let applications = || (0..count).map(|number| fleet::application(number, VERSION, "first"));
    let floor = floor(applications().flatten().collect()).await;
    let budget = budget(applications().collect()).await.as_secs_f64();
    let (floor, settled) = (floor.applied.as_secs_f64(), floor.settled.as_secs_f64());
    let site = Site::start("fleet").await;
    let repository = &site.scene.repository;
    (0..count).for_each(|number| fleet::write_application(repository, number, "first"));
    let commit = repository.publish("first");
    site.kustomizations((0..count).map(specification)).await;
    site.silent(0).await;

    let position = site.log.position();
    let deploy = site.deploy(count, &commit, json!({})).await;
    let (calls, _) = site.silent(position).await;
    let after_deploy = site.usage();
    let peer = peer(count);
    let goal = if count <= 100 {
        f64::max(2.0, 1.3 * floor)
    } else {
        1.3 * floor
    };
    let requests = calls.len();
    let mut rows = vec![Row {
        what: format!("{count} Kustomizations, first deploy"),
        peer: peer.deploy,
        floor: Some(floor),
        seen: deploy.took.as_secs_f64(),
        goal,
        unit: "s",
        detail: format!(
            "the floor's Deployments are there after {settled:.2} s; a client that only writes the budget takes \
             {budget:.2} s; {requests} requests: {}; {}; processor {:.1} s",
            by_kind(&calls),
            shares(&calls, &deploy),
            after_deploy.processor.as_secs_f64()
        ),
    }];
    rows.extend(one_commit(&site, count, &peer).await);
    rows.push(on_demand(&site).await);
    rows.extend(drift::measure(&site, count, "first").await);
    rows.push(Row {
        what: format!("peak memory, {count}"),
        peer: peer.memory,
        floor: None,
        seen: site.usage().peak,
        goal: 80.0,
        unit: "MiB",
        detail: format!("{:.0} MiB resident at the end", site.usage().resident),
    });
    rows
}

fn peer(count: usize) -> Peer {
    match count {
        100 => Peer {
            deploy: "14.9 s, 3,301 requests",
            memory: "–",
            commit: "12–20 s",
            requests: "2,705",
        },
        1_000 => Peer {
            deploy: "1,161 s, 33,030 requests",
            memory: "187 + 121 MB",
            commit: "353 s",
            requests: "–",
        },
        _ => Peer {
            deploy: "–",
            memory: "–",
            commit: "–",
            requests: "–",
        },
    }
}

fn specification(number: usize) -> (String, String, Value) {
    let name = fleet::name(number);
    let path = format!("./apps/{name}");
    let spec = json!({ "wait": true, "postBuild": { "substitute": { "version": VERSION } } });
    (name, path, spec)
}

async fn one_commit(site: &Site, count: usize, peer: &Peer) -> [Row; 2] {
    let changed = |note: &str| {
        fleet::write_application(&site.scene.repository, 0, note);
    };
    let seen = commits(site, COMMITS, changed).await;
    let milliseconds = |time: fn(&Change) -> Duration| -> Vec<f64> {
        let times = seen.iter().map(time);
        times.map(|time| time.as_secs_f64() * 1000.0).collect()
    };
    let times = milliseconds(|change| change.applied);
    let watched = median(milliseconds(|change| change.watched));
    let requests: Vec<f64> = seen
        .iter()
        .map(|change| change.calls.len() as f64)
        .collect();
    let slowest = times.iter().copied().fold(0.0, f64::max);
    [
        Row {
            what: format!(
                "commit of one file among {count}, from annotation to the object applied, p50"
            ),
            peer: peer.commit,
            floor: None,
            seen: median(times),
            goal: 100.0,
            unit: "ms",
            detail: format!(
                "of {COMMITS}, as the API server's log has it; slowest {slowest:.0} ms; {watched:.0} ms as who asks and \
                 watches sees it"
            ),
        },
        Row {
            what: format!("requests for that commit among {count}"),
            peer: peer.requests,
            floor: Some(1.0),
            seen: median(requests),
            goal: 10.0,
            unit: "requests",
            detail: format!(
                "{}; written lazily of the others: {}",
                by_kind(&seen[seen.len() - 1].calls),
                seen.iter().map(|change| change.lazy).sum::<usize>(),
            ),
        },
    ]
}

/// One unchanged Kustomization is asked to reconcile.
async fn on_demand(site: &Site) -> Row {
    let position = site.log.position();
    let asked = fleet::name(1);
    let token = site.scene.request(&kustomization_kind(), &asked).await;
    site.scene
        .until(
            "the request is handled",
            &kustomization_kind(),
            &asked,
            |object| match object.data["status"]["lastHandledReconcileAt"] == *token {
                true => Ok(()),
                false => Err("not yet"),
            },
        )
        .await;
    let (mut calls, _) = site.silent(position).await;
    calls.retain(|call| !is_lazy(call, &asked));
    Row {
        what: "one unchanged Kustomization reconciled by annotation".to_owned(),
        peer: "27 requests",
        floor: Some(0.0),
        seen: calls.len() as f64,
        goal: 3.0,
        unit: "requests",
        detail: by_kind(&calls),
    }
}
