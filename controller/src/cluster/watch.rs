//! The shared watches: metadata only, objects with owner labels only, one watch a kind in use.
//!
//! They speak for Weir's own account and not for a Kustomization's: one of the two named exceptions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ecow::EcoString;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::client::Client;
use super::discovery::Resource;
use super::live::{Live, ObjectKey, Observed, Uid};
use super::managed_fields::{
    TakenOver, has_managed_fields, is_reported, own_entry, own_fields, taken_over_digest,
};
use super::owner::{NAME_LABEL, Owner};
use super::settings::Settings;

/// How long a watch that may not be opened waits before it asks again.
const FORBIDDEN_DELAY: Duration = Duration::from_secs(60);

/// How long what the first list has shown of managed fields is kept for those who start with this process.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Something happened to an object with owner labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The object.
    pub key: ObjectKey,
    /// Whom its labels name, or named before it went.
    pub owner: Owner,
    /// What happened.
    pub how: How,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was written, but nothing that proofs look at changed: its status, or other managers' fields. Of
    /// interest to health only.
    Touched,
    /// Something that proofs look at changed (its asking to be left alone is such a thing), or it was not seen
    /// before: compare it with its proof.
    Altered,
    /// It was deleted or lost its labels.
    Gone,
}

/// What the watches report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// An object changed.
    Changed(Changed),
    /// All objects of the kind have been seen once; what is not in [`Live`] does not carry owner labels.
    Complete(Resource),
    /// The account may not watch the kind: its objects are to be checked at the interval.
    Unwatchable(Resource, String),
}

/// The shared watches of one cluster.
pub struct Watches {
    live: Live,
    client: Client,
    reports: mpsc::Sender<Report>,
    wanted: Mutex<Wanted>,
}

/// Which kinds which owner has objects of, and the watches that are open for them.
#[derive(Default)]
struct Wanted {
    by_owner: HashMap<Owner, BTreeSet<Resource>>,
    open: BTreeMap<Resource, Open>,
}

impl Wanted {
    /// Whether all of these are watched, in whatever version.
    fn shows(&self, resources: &BTreeSet<Resource>) -> bool {
        let is_open = |wanted: &Resource| {
            let same = |open: &Resource| open.group == wanted.group && open.kind == wanted.kind;
            self.open.keys().any(same)
        };
        resources.iter().all(is_open)
    }
}

/// A watch that is open.
struct Open {
    task: AbortHandle,
    /// Whether all objects have been seen once, or never will be.
    settled: tokio::sync::watch::Receiver<bool>,
}

impl Watches {
    /// No watch yet; `client` speaks for Weir's own account. Reports come out of the receiver.
    pub fn new(client: Client) -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(1024);
        let watches = Self {
            live: Live::default(),
            client,
            reports,
            wanted: Mutex::default(),
        };
        (watches, receiver)
    }

    /// What the watches show.
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// How many watches are open.
    pub fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// Says which kinds an owner has objects of; opens watches that are new and closes those that nobody needs.
    /// An empty set for an owner that is gone.
    pub fn want(&self, owner: &Owner, resources: BTreeSet<Resource>) {
        let mut wanted = self.lock();
        let before = match resources.is_empty() {
            true => wanted.by_owner.remove(owner),
            false => wanted.by_owner.insert(owner.clone(), resources.clone()),
        };
        // Among a thousand owners of the same kinds only the first and the last change what is needed.
        if wanted.shows(&resources) && before.is_none_or(|before| before.is_subset(&resources)) {
            return;
        }
        let needed = needed(&wanted);
        wanted.open.retain(|resource, watch| {
            let keep = needed.contains(resource);
            if !keep {
                watch.task.abort();
                self.live.forget(&resource.group, &resource.kind);
            }
            keep
        });
        for resource in needed {
            let opened = || self.open(&resource);
            wanted.open.entry(resource.clone()).or_insert_with(opened);
        }
    }

    /// Waits until all objects of these kinds have been seen once, or their watch is refused; at most for a time.
    pub async fn settled(&self, resources: &BTreeSet<Resource>, patience: Duration) {
        let waits: Vec<_> = {
            let wanted = self.lock();
            let is_asked = |open: &Resource| {
                let same = |asked: &Resource| asked.group == open.group && asked.kind == open.kind;
                resources.iter().any(same)
            };
            let open = wanted
                .open
                .iter()
                .filter(|(resource, _)| is_asked(resource));
            open.map(|(_, open)| open.settled.clone()).collect()
        };
        let waits = waits.into_iter().map(|mut settled| async move {
            // An error means that the watch has ended.
            let _ = settled.wait_for(|settled| *settled).await;
        });
        let _ = tokio::time::timeout(patience, futures::future::join_all(waits)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, resource: &Resource) -> Open {
        let (sender, settled) = tokio::sync::watch::channel(false);
        let watch = Watch {
            settled: sender,
            resource: resource.clone(),
            live: self.live.clone(),
            reports: self.reports.clone(),
            managers: self.client.taken_over(),
            listed: HashSet::new(),
        };
        let task = tokio::spawn(watch.run(self.client.kube())).abort_handle();
        Open { task, settled }
    }
}

/// One resource a group and kind, whatever versions the owners use: every version shows the same objects. What is
/// open stays.
fn needed(wanted: &Wanted) -> BTreeSet<Resource> {
    let mut kinds: BTreeMap<(&str, &str), &Resource> = BTreeMap::new();
    for resource in wanted.by_owner.values().flatten() {
        let kind = kinds
            .entry((&resource.group, &resource.kind))
            .or_insert(resource);
        let better = (wanted.open.contains_key(resource), resource)
            > (wanted.open.contains_key(*kind), *kind);
        if better {
            *kind = resource;
        }
    }
    kinds.into_values().cloned().collect()
}

impl Drop for Watches {
    fn drop(&mut self) {
        let wanted = self.lock();
        wanted.open.values().for_each(|open| open.task.abort());
    }
}

type Metadata = PartialObjectMeta<DynamicObject>;

/// One kind's watch.
struct Watch {
    resource: Resource,
    live: Live,
    reports: mpsc::Sender<Report>,
    managers: Arc<[TakenOver]>,
    /// What the list that is being read has shown so far.
    listed: HashSet<ObjectKey>,
    settled: tokio::sync::watch::Sender<bool>,
}

impl Watch {
    async fn run(mut self, kube: kube::Client) {
        let api: Api<Metadata> = Api::all_with(kube, &self.resource.api_resource());
        let config = watcher::Config::default().labels(NAME_LABEL);
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut forget = tokio::time::Instant::now() + REMEMBERED;
        loop {
            match tokio::time::timeout_at(forget, events.try_next()).await {
                Ok(Ok(Some(event))) => self.handle(event).await,
                Ok(Ok(None)) => return,
                Ok(Err(error)) => self.failed(&error).await,
                Err(_) => {
                    self.live
                        .drop_fields(&self.resource.group, &self.resource.kind);
                    forget += Duration::from_secs(u32::MAX.into());
                }
            }
        }
    }

    /// The watcher tries again by itself; what a person must know is that it may never succeed.
    async fn failed(&self, error: &watcher::Error) {
        let text = super::transport::innermost(error);
        if is_refused(error) {
            self.settled.send_replace(true);
            self.report(Report::Unwatchable(self.resource.clone(), text))
                .await;
            tokio::time::sleep(FORBIDDEN_DELAY).await;
        } else {
            tracing::debug!(kind = %self.resource.kind, error = %text, "watch interrupted");
        }
    }

    async fn handle(&mut self, event: Event<Metadata>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(self.key(&object));
                if !*self.settled.borrow() {
                    self.remember(&object);
                }
                self.seen(object).await;
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                for key in self
                    .live
                    .missing(&self.resource.group, &self.resource.kind, &listed)
                {
                    self.gone(key).await;
                }
                self.settled.send_replace(true);
                self.report(Report::Complete(self.resource.clone())).await;
            }
            Event::Apply(object) => self.seen(object).await,
            Event::Delete(object) => self.gone(self.key(&object)).await,
        }
    }

    fn remember(&self, object: &Metadata) {
        if let Some(fields) = own_fields(&managed_fields(object)) {
            self.live.remember(self.key(object), fields);
        }
    }

    fn key(&self, object: &Metadata) -> ObjectKey {
        ObjectKey {
            group: self.resource.group.as_str().into(),
            kind: self.resource.kind.as_str().into(),
            namespace: short(&object.metadata.namespace),
            name: short(&object.metadata.name),
        }
    }

    async fn seen(&self, object: Metadata) {
        let key = self.key(&object);
        let observed = observed(&object, &self.managers);
        let before = self.live.see(key.clone(), observed.clone());
        let how = match &before {
            Some(before) if before.resource_version == observed.resource_version => return,
            Some(before) if before.agrees(&observed) => How::Touched,
            _ => How::Altered,
        };
        if before.is_some() && how == How::Altered {
            self.live.recall(&key);
        }
        // An object that changes hands concerns the one it leaves as well.
        let left = before
            .and_then(|before| before.owner)
            .filter(|left| Some(left) != observed.owner.as_ref());
        for owner in observed.owner.into_iter().chain(left) {
            self.report(Report::Changed(Changed {
                key: key.clone(),
                owner,
                how,
            }))
            .await;
        }
    }

    async fn gone(&self, key: ObjectKey) {
        let owner = self.live.lose(&key).and_then(|observed| observed.owner);
        if let Some(owner) = owner {
            self.report(Report::Changed(Changed {
                key,
                owner,
                how: How::Gone,
            }))
            .await;
        }
    }

    async fn report(&self, report: Report) {
        // Nobody listens any more when the process is about to end.
        let _ = self.reports.send(report).await;
    }
}

/// Whether the account may not watch. A kind that is not found is on its way, or on its way out: no refusal.
pub fn is_refused(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        _ => return false,
    };
    matches!(status, 401 | 403 | 405)
}

fn managed_fields(object: &Metadata) -> Value {
    let fields = object.metadata.managed_fields.as_ref();
    let fields = fields.map(serde_json::to_value).and_then(Result::ok);
    serde_json::json!({"metadata": {"managedFields": fields}})
}

fn short(text: &Option<String>) -> EcoString {
    text.as_deref().unwrap_or_default().into()
}

fn observed(object: &Metadata, managers: &[TakenOver]) -> Observed {
    let metadata = &object.metadata;
    let value = managed_fields(object);
    Observed {
        uid: Uid::from(metadata.uid.as_deref().unwrap_or_default()),
        resource_version: short(&metadata.resource_version),
        owner: metadata.labels.as_ref().and_then(Owner::of_labels),
        own: own_entry(&value),
        taken_over: taken_over_digest(&value, managers),
        has_managed_fields: has_managed_fields(&value),
        deleting: metadata.deletion_timestamp.is_some(),
        reported: is_reported(&value),
        left_alone: Settings::of_metadata(metadata).left_alone(),
    }
}
