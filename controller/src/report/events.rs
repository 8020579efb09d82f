//! Kubernetes events with Flux's metadata: queued by those who work, written when nobody does, one at a time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::notify::{self, Poster};

/// How many events may wait; when the API server takes them more slowly, newer ones are dropped and counted.
const QUEUE: usize = 4096;

/// How long an event waits at most for the end of all runs: longer than it takes to fill a cluster with a thousand
/// Kustomizations, whose events would keep the API server from their objects.
const LATEST: Duration = Duration::from_secs(30);

/// How long no run must have been under way: between an apply and a look at health there is only a moment.
const QUIET: Duration = Duration::from_millis(200);

/// An event that comes again within this time raises the count of the first.
const SERIES: Duration = Duration::from_secs(10 * 60);

/// How many events are remembered for their series.
const REMEMBERED: usize = 4096;

/// Whether an event tells of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// All is well.
    Info,
    /// Something failed.
    Error,
}

impl Severity {
    /// The event's type as Kubernetes names it.
    fn event_type(self) -> &'static str {
        match self {
            Self::Info => "Normal",
            Self::Error => "Warning",
        }
    }
}

/// Something that happened to an object that Weir reconciles.
#[derive(Clone, Debug)]
pub struct Event {
    /// The object.
    pub object: ObjectReference,
    /// Whether it is a failure.
    pub severity: Severity,
    /// One word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// Flux's metadata keys, which become annotations of the event.
    pub metadata: BTreeMap<String, String>,
}

/// Where events are handed in.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<(Event, Timestamp)>,
    posts: Option<notify::Queue>,
    dropped: Counter,
    runs: watch::Sender<Runs>,
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
struct Runs {
    count: usize,
    /// When the last one ended.
    ended: Instant,
}

/// While this lives, events wait.
pub struct Run(watch::Sender<Runs>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.send_modify(|runs| {
            *runs = Runs {
                count: runs.count - 1,
                ended: Instant::now(),
            };
        });
    }
}

/// The other end of the queue, which writes.
pub struct Writer {
    queue: mpsc::Receiver<(Event, Timestamp)>,
    runs: watch::Receiver<Runs>,
    client: kube::Client,
    instance: String,
    series: HashMap<SeriesKey, Written>,
}

/// A digest of what makes two events the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct SeriesKey([u8; 32]);

/// An event as it was last written.
struct Written {
    name: String,
    count: i32,
    last: Timestamp,
}

/// A queue and its writer; `instance` is the name of this process in the events. What is dropped is counted.
pub fn channel(client: kube::Client, instance: String, dropped: Counter) -> (Events, Writer) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let series = HashMap::new();
    let runs = watch::Sender::new(Runs {
        count: 0,
        ended: Instant::now(),
    });
    let writer = Writer {
        queue: receiver,
        runs: runs.subscribe(),
        client,
        instance,
        series,
    };
    let events = Events {
        queue: sender,
        posts: None,
        dropped,
        runs,
    };
    (events, writer)
}

impl Events {
    /// The same, where every event is posted to an address besides.
    pub fn posting(self, address: &str, instance: &str) -> Result<(Self, Poster), reqwest::Error> {
        let (queue, poster) = notify::channel(address.to_owned(), instance.to_owned())?;
        let posts = Some(queue);
        Ok((Self { posts, ..self }, poster))
    }

    /// A run begins: its requests go first.
    pub fn begin_run(&self) -> Run {
        self.runs.send_modify(|runs| runs.count += 1);
        Run(self.runs.clone())
    }

    /// Hands in an event; never waits.
    pub fn send(&self, event: Event) {
        let now = Timestamp::now();
        if let Some(posts) = &self.posts
            && posts.try_send((event.clone(), now)).is_err()
        {
            self.drop_one("event not posted: too many wait");
        }
        if self.queue.try_send((event, now)).is_err() {
            self.drop_one("event not written: too many wait");
        }
    }

    fn drop_one(&self, why: &str) {
        self.dropped.inc();
        tracing::warn!("{why}");
    }
}

impl Writer {
    /// Writes events until the process stops, and then those that wait.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                event = self.queue.recv() => match event {
                    Some((event, at)) => {
                        tokio::select! {
                            () = self.turn(at) => {}
                            _ = stopping.wait_for(|stopping| *stopping) => {}
                        }
                        self.write(&event, at).await;
                    }
                    None => return,
                },
                _ = stopping.changed() => self.queue.close(),
            }
        }
    }

    /// Waits until no run is under way, or the event is old enough.
    async fn turn(&self, at: Timestamp) {
        let age = Timestamp::now().duration_since(at).unsigned_abs();
        let _ = tokio::time::timeout(LATEST.saturating_sub(age), quiet(self.runs.clone())).await;
    }

    async fn write(&mut self, event: &Event, at: Timestamp) {
        let key = SeriesKey::of(event);
        let result = match self.series.get_mut(&key) {
            Some(written) if at.duration_since(written.last).unsigned_abs() < SERIES => {
                written.count += 1;
                written.last = at;
                repeat(&self.client, event, written).await
            }
            _ => self.create(event, key, at).await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, reason = event.reason, "event not written");
        }
    }

    async fn create(&mut self, event: &Event, key: SeriesKey, now: Timestamp) -> kube::Result<()> {
        let body = first(event, &self.instance, now);
        let name = body.metadata.name.clone().unwrap_or_default();
        api(&self.client, event)
            .create(&PostParams::default(), &body)
            .await?;
        if self.series.len() >= REMEMBERED {
            self.series
                .retain(|_, written| now.duration_since(written.last).unsigned_abs() < SERIES / 2);
        }
        self.series.insert(
            key,
            Written {
                name,
                count: 1,
                last: now,
            },
        );
        Ok(())
    }
}

/// Waits until no run has been under way for a while.
async fn quiet(mut runs: watch::Receiver<Runs>) {
    loop {
        let ended = match runs.wait_for(|runs| runs.count == 0).await {
            Ok(runs) => runs.ended,
            Err(_) => return,
        };
        let rest = QUIET.saturating_sub(ended.elapsed());
        if rest.is_zero() {
            return;
        }
        let _ = tokio::time::timeout(rest, runs.changed()).await;
    }
}

impl SeriesKey {
    fn of(event: &Event) -> Self {
        let Event {
            object,
            severity,
            reason,
            message,
            metadata,
        } = event;
        let parts = (&object.uid, severity, reason, message, metadata);
        Self(Sha256::digest(format!("{parts:?}")).into())
    }
}

fn api(client: &kube::Client, event: &Event) -> Api<CoreEvent> {
    Api::namespaced(
        client.clone(),
        event.object.namespace.as_deref().unwrap_or("default"),
    )
}

async fn repeat(client: &kube::Client, event: &Event, written: &Written) -> kube::Result<()> {
    let body = json!({ "count": written.count, "lastTimestamp": Time(written.last) });
    api(client, event)
        .patch(&written.name, &PatchParams::default(), &Patch::Merge(body))
        .await
        .map(drop)
}

/// The event as it is first written.
fn first(event: &Event, instance: &str, now: Timestamp) -> CoreEvent {
    let object = event.object.name.as_deref().unwrap_or("object");
    let controller = controller(event.object.kind.as_deref());
    CoreEvent {
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", now.as_nanosecond())),
            namespace: event.object.namespace.clone(),
            annotations: (!event.metadata.is_empty()).then(|| event.metadata.clone()),
            ..ObjectMeta::default()
        },
        involved_object: event.object.clone(),
        type_: Some(event.severity.event_type().to_owned()),
        reason: Some(event.reason.clone()),
        message: Some(event.message.clone()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource {
            component: Some(controller.to_owned()),
            host: None,
        }),
        reporting_component: Some(controller.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..CoreEvent::default()
    }
}

/// The name under which users of Flux look for the events of a kind.
pub(super) fn controller(kind: Option<&str>) -> &'static str {
    match kind {
        Some("Kustomization") => "kustomize-controller",
        _ => "source-controller",
    }
}
