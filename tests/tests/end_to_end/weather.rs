//! Bad weather on the road to the API server, while commits come and somebody edits: everything is delayed, cut,
//! refused, broken off or sent twice by chance. When it clears, the cluster is what Git says and nothing was lost.
//!
//! `WEATHER=600` lets it last ten minutes, as `make weather` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use tokio::time::{Instant, interval};
use weir_tests::objects::{config_map, kustomization_file, object};
use weir_tests::scene::config_map_kind;
use weir_tests::{
    ControlPlane, Fault, FaultProxy, GitServerOptions, RequestLine, Scene, eventually,
};

/// How long it lasts when nothing else is said: enough for each kind of fault to come several times.
const USUAL: Duration = Duration::from_secs(20);
/// Between two commits.
const PACE: Duration = Duration::from_millis(500);
/// How long it may take until all is well again.
const CLEARING: Duration = Duration::from_secs(120);
/// ConfigMaps that every commit has.
const STABLE: usize = 8;
/// ConfigMaps that come and go.
const PASSING: usize = 5;

/// Throws the same numbers in every run.
#[derive(Clone)]
struct Dice(Arc<AtomicU64>);

impl Dice {
    fn new() -> Dice {
        Dice(Arc::new(AtomicU64::new(0x9e37_79b9_7f4a_7c15)))
    }

    /// True so many times in a thousand. The generator is xorshift64.
    fn throw(&self, per_mille: u64) -> bool {
        let step = |mut state: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^ (state << 17)
        };
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                Some(step(state))
            });
        step(before.unwrap()) % 1000 < per_mille
    }
}

fn is_watch(request: &RequestLine) -> bool {
    request.query.contains("watch=true")
}

fn is_any(_: &RequestLine) -> bool {
    true
}

/// How often in a thousand, to which requests, and what.
type Chance = (u64, fn(&RequestLine) -> bool, Fault);

/// What may happen.
fn weather() -> Vec<Chance> {
    let refusals = [
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let mut faults: Vec<Chance> = vec![
        (300, is_watch, Fault::Break(Duration::from_millis(700))),
        (30, is_any, Fault::Cut),
        (60, is_any, Fault::Delay(Duration::from_millis(400))),
        (40, RequestLine::is_write, Fault::Twice),
    ];
    faults.extend(refusals.map(|status| {
        (
            15,
            is_any as fn(&RequestLine) -> bool,
            Fault::Answer(status),
        )
    }));
    faults
}

/// What a commit holds: value by name.
fn content(number: usize) -> BTreeMap<String, String> {
    let stable = (0..STABLE).map(|index| {
        // Each commit changes one of them.
        let changed = number.saturating_sub(index) / STABLE;
        (format!("stable-{index}"), changed.to_string())
    });
    let passing = (0..PASSING).filter(|index| (number + index) % PASSING < 2);
    stable
        .chain(passing.map(|index| (format!("passing-{index}"), "here".to_owned())))
        .collect()
}

fn write(scene: &Scene, content: &BTreeMap<String, String>) {
    let files: Vec<String> = content.keys().map(|name| format!("{name}.yaml")).collect();
    let listed: Vec<&str> = files.iter().map(String::as_str).collect();
    scene
        .repository
        .write("app/kustomization.yaml", kustomization_file(&listed));
    for (name, value) in content {
        scene
            .repository
            .write(&format!("app/{name}.yaml"), config_map(name, "key", value));
    }
}

/// The ConfigMaps that carry our label.
async fn owned(scene: &Scene) -> Vec<DynamicObject> {
    let labels = ListParams::default().labels("kustomize.toolkit.fluxcd.io/name=app");
    scene
        .api(&config_map_kind())
        .list(&labels)
        .await
        .unwrap()
        .items
}

async fn values(scene: &Scene) -> BTreeMap<String, String> {
    let value = |object: DynamicObject| {
        let value = object.data["data"]["key"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        (object.metadata.name.unwrap(), value)
    };
    owned(scene).await.into_iter().map(value).collect()
}

async fn stable_identities(scene: &Scene) -> BTreeMap<String, String> {
    let identities = owned(scene)
        .await
        .into_iter()
        .map(|object| (object.metadata.name.unwrap(), object.metadata.uid.unwrap()));
    identities
        .filter(|(name, _)| name.starts_with("stable-"))
        .collect()
}

fn lasting() -> Duration {
    let seconds = std::env::var("WEATHER")
        .ok()
        .and_then(|text| text.parse().ok());
    seconds.map_or(USUAL, Duration::from_secs)
}

#[tokio::test]
async fn after_bad_weather_the_cluster_is_what_git_says_and_nothing_was_lost() {
    let proxy = FaultProxy::start(ControlPlane::shared(), ControlPlane::WEIR);
    let options = GitServerOptions::default();
    let scene = Scene::on(
        ControlPlane::shared(),
        &proxy.kubeconfig(),
        "weather",
        options,
    )
    .await;
    let foreign = object(
        &config_map_kind(),
        "foreign",
        json!({ "data": { "key": "mine" } }),
    );
    scene.create(&foreign).await;
    let foreign = scene.get(&config_map_kind(), "foreign").await;
    write(&scene, &content(0));
    let commit = scene.repository.publish("first");
    scene.source(json!({ "interval": "5s" })).await;
    scene
        .sync(
            "app",
            "./app",
            json!({ "interval": "5s", "retryInterval": "1s" }),
        )
        .await;
    scene.ready("app", &commit).await;
    let identities = stable_identities(&scene).await;

    let dice = Dice::new();
    for (per_mille, concerns, fault) in weather() {
        let dice = dice.clone();
        proxy.inject(
            fault,
            move |request| concerns(request) && dice.throw(per_mille),
            0..usize::MAX,
        );
    }
    let end = Instant::now() + lasting();
    let mut pace = interval(PACE);
    let mut number = 0;
    while Instant::now() < end {
        pace.tick().await;
        number += 1;
        write(&scene, &content(number));
        scene.publish("next").await;
        let edited = format!("stable-{}", number % STABLE);
        let edit = json!({ "data": { "key": "edited" } });
        scene.merge(&config_map_kind(), &edited, edit).await;
    }
    proxy.clear();
    number += 1;
    write(&scene, &content(number));
    let last = scene.publish("last").await;

    scene.ready("app", &last).await;
    let wanted = content(number);
    let what = "the cluster is what Git says";
    eventually(CLEARING, what, async || match values(&scene).await {
        seen if seen == wanted => Ok(()),
        seen => Err(format!("{seen:?} instead of {wanted:?}")),
    })
    .await;
    assert_eq!(
        stable_identities(&scene).await,
        identities,
        "an object of Git was deleted"
    );
    let after = scene.get(&config_map_kind(), "foreign").await;
    assert_eq!(
        after.metadata.resource_version,
        foreign.metadata.resource_version
    );
    let inventory: BTreeSet<String> = scene.inventory("app").await;
    let expected = wanted
        .keys()
        .map(|name| format!("{}_{name}__ConfigMap", scene.namespace));
    assert_eq!(inventory, expected.collect());
    eprintln!(
        "weather: {number} commits, {} requests",
        proxy.requests().len()
    );
}
