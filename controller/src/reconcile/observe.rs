//! The watches of Weir's own resources: each object that they show has a task, and changes of its spec,
//! annotations and deletion wake it. Its status, which we write ourselves, does not.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{FutureExt, StreamExt, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use super::context::Context;
use super::dependencies::source_key;
use super::package::{self, Package};
use super::record::Recorded;
use super::schedule::{Key, Kind, Next, Schedule, Sleeper, Topic, Wake};
use super::sites::Site;
use super::{artifact_source, foreign, git_repository, kustomization, owners, receiver};
use crate::api::bucket::Bucket;
use crate::api::git_repository::GitRepository;
use crate::api::kustomization::Kustomization;
use crate::api::meta::condition::READY;
use crate::api::oci_repository::OCIRepository;
use crate::api::receiver::Receiver;
use crate::cluster::order::GroupKind;
use crate::cluster::watch::How;
use crate::cluster::{self, Turn, in_turn};
use crate::report::conditions;

/// The longest pause after a run that panicked.
const AFTER_PANIC: Duration = Duration::from_secs(300);

/// Which own resources are looked at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One namespace; all when not given.
    pub namespace: Option<String>,
    /// Label selector; all when not given.
    pub labels: Option<String>,
}

/// The kinds whose objects have all been seen once. kube's own `Store::wait_until_ready` wakes only the last of those
/// who wait for the same store.
#[derive(Default)]
pub struct Listed(watch::Sender<BTreeSet<Kind>>);

impl Listed {
    /// All objects of a kind have been seen, or none of it are looked at.
    pub fn add(&self, kind: Kind) {
        self.0.send_modify(|kinds| {
            kinds.insert(kind);
        });
    }

    /// Waits until all sources and Kustomizations have been seen.
    pub async fn both(&self) {
        self.all(&[Kind::GitRepository, Kind::Kustomization]).await;
    }

    /// Waits until all objects of some kinds have been seen.
    pub async fn all(&self, wanted: &[Kind]) {
        // The sender lives as long as whoever waits here.
        let mut listed = self.0.subscribe();
        let _ = listed
            .wait_for(|kinds| wanted.iter().all(|kind| kinds.contains(kind)))
            .await;
    }
}

/// Follows the GitRepositories.
pub async fn git_repositories(context: Arc<Context>, scope: Scope, writer: Writer<GitRepository>) {
    follow(context, scope, writer, |context, object: &GitRepository| {
        let conditions = object.status.as_ref().map(|status| &status.conditions);
        tell_of_failure(context, object, conditions);
        // Those that include it say which artifact of it they hold.
        let topic = Topic::Object(key(object));
        context.schedule.publish(&topic, &Wake::dependency());
    })
    .await;
}

/// Follows the OCIRepositories.
pub async fn oci_repositories(context: Arc<Context>, scope: Scope, writer: Writer<OCIRepository>) {
    follow(context, scope, writer, |context, object: &OCIRepository| {
        let conditions = object
            .status
            .as_ref()
            .map(|status| &status.source.conditions);
        tell_of_failure(context, object, conditions);
    })
    .await;
}

/// Follows the Buckets.
pub async fn buckets(context: Arc<Context>, scope: Scope, writer: Writer<Bucket>) {
    follow(context, scope, writer, |context, object: &Bucket| {
        let conditions = object
            .status
            .as_ref()
            .map(|status| &status.source.conditions);
        tell_of_failure(context, object, conditions);
    })
    .await;
}

/// Those that wait for a first snapshot must hear why there is none.
fn tell_of_failure<K: Recorded>(
    context: &Context,
    object: &K,
    conditions: Option<&Vec<Condition>>,
) {
    let ready = conditions.and_then(|conditions| conditions::find(conditions, READY));
    if ready.is_some_and(|ready| ready.status == "False") {
        let topic = Topic::Source(key(object));
        context.schedule.publish(&topic, &Wake::source());
    }
}

/// Follows the Kustomizations.
pub async fn kustomizations(context: Arc<Context>, scope: Scope, writer: Writer<Kustomization>) {
    follow(context, scope, writer, |context, object| {
        if let Some(source) = source_key(&object.spec, &key(object).namespace) {
            foreign::ensure(context, source.kind);
        }
        owners::seed(context, object);
        context.desired.stir();
        let topic = Topic::Object(key(object));
        context.schedule.publish(&topic, &Wake::dependency());
    })
    .await;
}

/// Follows the Receivers.
pub async fn receivers(context: Arc<Context>, scope: Scope, writer: Writer<Receiver>) {
    follow(context, scope, writer, |_, _| {}).await;
}

async fn follow<K>(
    context: Arc<Context>,
    scope: Scope,
    writer: Writer<K>,
    seen: impl Fn(&Arc<Context>, &K),
) where
    K: Recorded + Send + Sync + 'static,
{
    let api: Api<K> = match &scope.namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let config = match &scope.labels {
        Some(labels) => watcher::Config::default().labels(labels),
        None => watcher::Config::default(),
    };
    let events = watcher(api, config)
        .modify(|object| object.managed_fields_mut().clear())
        .default_backoff()
        .reflect(writer);
    pin_mut!(events);
    // Told only when the list is complete: until then the store that the tasks read does not show it, and a
    // task that finds nothing there ends.
    let mut listed: BTreeMap<Key, K> = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(key(&object), object);
            }
            Ok(watcher::Event::InitDone) => {
                wake_unlisted(&context, K::KIND, &listed);
                listed.values().for_each(|object| seen(&context, object));
                context.listed.add(K::KIND);
                std::mem::take(&mut listed)
                    .values()
                    .for_each(|object| observe(&context, object));
            }
            Ok(watcher::Event::Apply(object)) => {
                seen(&context, &object);
                observe(&context, &object);
            }
            Ok(watcher::Event::Delete(object)) => {
                context.schedule.wake(&key(&object), Wake::changed());
            }
            Err(error) => complain(K::KIND, &error),
        }
    }
}

fn complain(kind: Kind, error: &watcher::Error) {
    let kind = kind.name();
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404 => {
            tracing::error!(kind, "the definition is not installed: apply deploy/crds");
        }
        error => tracing::warn!(%error, kind, "watch"),
    }
}

fn key<K: Recorded>(object: &K) -> Key {
    Key {
        kind: K::KIND,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Objects that went while the watch was broken.
fn wake_unlisted<K>(context: &Context, kind: Kind, listed: &BTreeMap<Key, K>) {
    for key in context.schedule.keys() {
        if key.kind == kind && !listed.contains_key(&key) {
            context.schedule.wake(&key, Wake::changed());
        }
    }
}

fn observe<K: Recorded>(context: &Arc<Context>, object: &K) {
    let key = key(object);
    let start = |sleeper| live(context.clone(), key.clone(), sleeper);
    context.schedule.observe(&key, fingerprint(object), start);
}

/// What of an object wakes its task when it changes.
fn fingerprint<K: Resource>(object: &K) -> u64 {
    let metadata = object.meta();
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    metadata.generation.hash(&mut hasher);
    metadata.annotations.hash(&mut hasher);
    metadata.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

/// The life of one object's task.
pub async fn live(context: Arc<Context>, key: Key, mut sleeper: Sleeper) {
    // Before all is seen once, "not found" would be said of objects that are there.
    context.listed.both().await;
    let mut state = State::of(&context, &key);
    let mut next = Next::OnEvent;
    let mut kept = None;
    while let Some(wake) = sleeper.sleep(next).await {
        let _under_way = (context.metrics.begin(key.kind), context.events.begin_run());
        let turn = kept.unwrap_or_else(Turn::begin);
        // A run is 18 KB large. Boxed, it is neither held by a task that sleeps nor copied by what wraps it.
        let run = Box::pin(state.run(&context, &key, wake));
        next = in_turn(turn, guarded(&key, run)).await;
        // What was begun is finished before more is begun, and it is not finished without a verdict.
        kept = state.awaits_verdict().then_some(turn);
    }
    if context.schedule.is_stopping() {
        Box::pin(state.finish(&context, &key)).await;
    }
    end(&context, &key);
}

/// What a task remembers, by kind.
enum State {
    GitRepository(Box<git_repository::State>),
    OciRepository(Box<package::State<OCIRepository>>),
    Bucket(Box<package::State<Bucket>>),
    Foreign(artifact_source::State),
    Kustomization(Box<kustomization::State>),
    Receiver,
}

impl State {
    fn of(context: &Context, key: &Key) -> Self {
        match key.kind {
            Kind::Kustomization => Self::Kustomization(Box::default()),
            Kind::Receiver => Self::Receiver,
            _ if context.is_foreign(key) => Self::Foreign(Default::default()),
            Kind::OciRepository => Self::OciRepository(Box::default()),
            Kind::Bucket => Self::Bucket(Box::default()),
            _ => Self::GitRepository(Box::default()),
        }
    }

    async fn finish(&mut self, context: &Context, key: &Key) {
        match self {
            Self::GitRepository(_) | Self::OciRepository(_) | Self::Bucket(_) => {}
            Self::Foreign(_) | Self::Receiver => {}
            Self::Kustomization(state) => kustomization::finish(context, key, state).await,
        }
    }

    /// Whether all is applied, and how that went is to be said in a moment.
    fn awaits_verdict(&self) -> bool {
        matches!(self, Self::Kustomization(state) if state.awaits_verdict())
    }

    async fn run(&mut self, context: &Context, key: &Key, wake: Wake) -> Next {
        match self {
            Self::GitRepository(state) => {
                git_repository::reconcile(context, key, state, wake).await
            }
            Self::OciRepository(state) => package::reconcile(context, key, state, wake).await,
            Self::Bucket(state) => package::reconcile(context, key, state, wake).await,
            Self::Receiver => receiver::reconcile(context, key).await,
            Self::Foreign(state) => artifact_source::reconcile(context, key, state, wake).await,
            Self::Kustomization(state) => kustomization::reconcile(context, key, state, wake).await,
        }
    }
}

/// A panic is a bug, but it must not silence an object for ever.
async fn guarded(key: &Key, run: impl Future<Output = Next>) -> Next {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(next) => next,
        Err(_) => {
            tracing::error!(object = %key, "the run panicked; it is tried again");
            Next::Backoff(AFTER_PANIC)
        }
    }
}

/// Drops a task whose object is gone; an object that came back in the meantime gets a new one.
fn end(context: &Arc<Context>, key: &Key) {
    context.schedule.forget(key);
    if context.schedule.is_stopping() {
        return;
    }
    match key.kind {
        _ if context.is_foreign(key) => foreign::observe(context, key),
        Kind::Kustomization => {
            if let Some(object) = context.kustomization(key) {
                observe(context, object.as_ref());
            }
        }
        Kind::Receiver => {
            if let Some(object) = context.receiver(key) {
                observe(context, object.as_ref());
            }
        }
        Kind::OciRepository => {
            if let Some(object) = OCIRepository::find(context, key) {
                observe(context, object.as_ref());
            }
        }
        Kind::Bucket => {
            if let Some(object) = Bucket::find(context, key) {
                observe(context, object.as_ref());
            }
        }
        _ => {
            if let Some(object) = context.git_repository(key) {
                observe(context, object.as_ref());
            }
        }
    }
}

/// Hands what the shared watches see to the tasks that it concerns.
pub async fn managed_objects(
    schedule: Arc<Schedule>,
    site: Weak<Site>,
    mut reports: tokio::sync::mpsc::Receiver<cluster::watch::Report>,
) {
    while let Some(report) = reports.recv().await {
        match report {
            cluster::watch::Report::Changed(changed) => {
                let key = Key::kustomization(changed.owner.namespace, changed.owner.name);
                let objects = BTreeSet::from([changed.key]);
                let wake = match changed.how {
                    How::Touched => Wake {
                        health: objects,
                        ..Wake::default()
                    },
                    How::Altered | How::Gone => Wake {
                        altered: objects,
                        ..Wake::default()
                    },
                };
                schedule.wake(&key, wake);
            }
            cluster::watch::Report::Complete(resource) => {
                let kind = GroupKind {
                    group: resource.group,
                    kind: resource.kind,
                };
                if let Some(site) = site.upgrade() {
                    site.allow_watch(&kind);
                }
                let wake = Wake {
                    shown: [kind].into(),
                    ..Wake::default()
                };
                let keys = schedule.keys().into_iter();
                keys.filter(|key| key.kind == Kind::Kustomization)
                    .for_each(|key| schedule.wake(&key, wake.clone()));
            }
            cluster::watch::Report::Unwatchable(resource, reason) => {
                let kind = GroupKind {
                    group: resource.group,
                    kind: resource.kind,
                };
                tracing::warn!(
                    kind = kind.kind,
                    reason,
                    "may not be watched: checked at the interval"
                );
                if let Some(site) = site.upgrade() {
                    site.forbid_watch(kind);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_hear_that_both_kinds_are_listed() {
        let listed = Arc::new(Listed::default());
        let waiting = |listed: Arc<Listed>| tokio::spawn(async move { listed.both().await });
        let waits: Vec<_> = (0..3).map(|_| waiting(listed.clone())).collect();
        tokio::task::yield_now().await;
        listed.add(Kind::Kustomization);
        listed.add(Kind::GitRepository);
        for wait in waits {
            let heard = tokio::time::timeout(Duration::from_secs(5), wait).await;
            assert!(heard.is_ok(), "not heard");
        }
    }
}
