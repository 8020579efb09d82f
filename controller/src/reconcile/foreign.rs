//! Sources that other controllers look after: watched once something is built from their kind, read, never written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use serde::Deserialize;

use super::context::Context;
use super::observe::live;
use super::schedule::{Key, Kind, Topic, Wake};
use crate::api::git_repository::GitRepository;
use crate::api::meta::condition::READY;
use crate::api::meta::{Artifact, SourceStatus};
use crate::report::conditions;
use crate::source::artifact;

/// What is seen of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Whether its controller says that it is not ready.
    pub failed: bool,
    /// What it has to give.
    pub artifact: Option<Artifact>,
}

/// The part of a source's status that all kinds have.
#[derive(Deserialize, Default)]
struct Offer {
    #[serde(default)]
    conditions: Vec<Condition>,
    artifact: Option<Artifact>,
}

impl Sight {
    /// What Weir's own half says.
    pub fn of(object: &GitRepository) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self {
            failed: is_failed(&status.conditions),
            artifact: status.artifact,
        }
    }

    /// The same of a source whose files come as one package.
    pub fn of_source(status: Option<&SourceStatus>) -> Self {
        let status = status.cloned().unwrap_or_default();
        Self {
            failed: is_failed(&status.conditions),
            artifact: status.artifact,
        }
    }

    fn of_foreign(object: &DynamicObject) -> Self {
        let status = object.data.get("status").cloned().unwrap_or_default();
        // A status of another shape offers nothing.
        let offer: Offer = serde_json::from_value(status).unwrap_or_default();
        Self {
            failed: is_failed(&offer.conditions),
            artifact: offer.artifact,
        }
    }
}

fn is_failed(conditions: &[Condition]) -> bool {
    conditions::find(conditions, READY).is_some_and(|ready| ready.status == "False")
}

/// Which sources are somebody else's, besides those of kinds that Weir never looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// None.
    Own,
    /// Those that the own watches, which select by label, do not show.
    Unselected,
    /// All.
    Others,
}

/// The sources of others, as far as something is built from their kind.
pub struct Foreign {
    namespace: Option<String>,
    whose: Whose,
    /// Downloads artifacts.
    pub client: reqwest::Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    watched: HashSet<Kind>,
    listed: HashSet<Kind>,
    sights: HashMap<Key, Sight>,
    /// Why an artifact could not be taken.
    troubles: HashMap<Key, String>,
}

impl Foreign {
    /// The sources of one namespace, or of all.
    pub fn new(namespace: Option<String>, whose: Whose) -> reqwest::Result<Self> {
        Ok(Self {
            namespace,
            whose,
            client: artifact::client()?,
            seen: Mutex::default(),
        })
    }

    /// Whether all sources of this kind are somebody else's.
    pub fn covers(&self, kind: Kind) -> bool {
        match kind {
            Kind::GitRepository | Kind::OciRepository | Kind::Bucket => self.whose == Whose::Others,
            Kind::ExternalArtifact => true,
            Kind::Kustomization | Kind::Receiver => false,
        }
    }

    /// Whether sources of this kind may be somebody else's.
    pub fn looks_at(&self, kind: Kind) -> bool {
        match kind {
            Kind::GitRepository | Kind::OciRepository | Kind::Bucket => self.whose != Whose::Own,
            kind => self.covers(kind),
        }
    }

    /// What the watch shows of a source.
    pub fn sight(&self, key: &Key) -> Option<Sight> {
        self.lock().sights.get(key).cloned()
    }

    /// Whether all sources of a kind have been seen.
    pub fn is_listed(&self, kind: Kind) -> bool {
        self.lock().listed.contains(&kind)
    }

    /// Why a source's artifact could not be taken.
    pub fn trouble(&self, key: &Key) -> Option<String> {
        self.lock().troubles.get(key).cloned()
    }

    /// Notes why a source's artifact could not be taken; true when that is news.
    pub fn set_trouble(&self, key: &Key, trouble: Option<String>) -> bool {
        let mut seen = self.lock();
        match trouble {
            Some(text) => seen.troubles.insert(key.clone(), text.clone()) != Some(text),
            None => seen.troubles.remove(key).is_some(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sure that sources of this kind are watched, if they may be somebody else's.
pub fn ensure(context: &Arc<Context>, kind: Kind) {
    if context.foreign.looks_at(kind) && context.foreign.lock().watched.insert(kind) {
        tokio::spawn(follow(context.clone(), kind));
    }
}

fn resource(kind: Kind) -> ApiResource {
    let kind = GroupVersionKind::gvk("source.toolkit.fluxcd.io", "v1", kind.name());
    ApiResource::from_gvk(&kind)
}

async fn follow(context: Arc<Context>, kind: Kind) {
    let resource = resource(kind);
    let client = context.client.clone();
    let api: Api<DynamicObject> = match &context.foreign.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let events = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(see(&context, kind, &object));
            }
            Ok(watcher::Event::InitDone) => end_list(&context, kind, &std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => drop(see(&context, kind, &object)),
            Ok(watcher::Event::Delete(object)) => lose(&context, &key(kind, &object)),
            Err(error) => {
                // Where the definition is not installed there are no objects.
                if is_undefined(&error) {
                    end_list(&context, kind, &BTreeSet::new());
                }
                tracing::warn!(%error, kind = kind.name(), "watch");
            }
        }
    }
}

fn is_undefined(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

fn key(kind: Kind, object: &DynamicObject) -> Key {
    Key {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Takes in what an object shows. Its task starts with it, and wakes when it offers something else.
fn see(context: &Arc<Context>, kind: Kind, object: &DynamicObject) -> Key {
    let key = key(kind, object);
    let sight = Sight::of_foreign(object);
    let before = context
        .foreign
        .lock()
        .sights
        .insert(key.clone(), sight.clone());
    if !context.is_foreign(&key) {
        return key;
    }
    observe(context, &key);
    if before != Some(sight) {
        // Those that wait for a first artifact must hear why there is none.
        context
            .schedule
            .publish(&Topic::Source(key.clone()), &Wake::source());
    }
    key
}

fn lose(context: &Context, key: &Key) {
    context.foreign.lock().sights.remove(key);
    context.schedule.wake(key, Wake::changed());
}

fn end_list(context: &Context, kind: Kind, listed: &BTreeSet<Key>) {
    let gone: Vec<Key> = {
        let mut seen = context.foreign.lock();
        seen.listed.insert(kind);
        let is_gone = |key: &&Key| key.kind == kind && !listed.contains(*key);
        seen.sights.keys().filter(is_gone).cloned().collect()
    };
    gone.iter().for_each(|key| lose(context, key));
    let is_meant = |topic: &Topic| match topic {
        Topic::Source(key) => key.kind == kind && !context.is_own(key),
        _ => false,
    };
    let topics = context.schedule.topics();
    for topic in topics.iter().filter(|topic| is_meant(topic)) {
        context.schedule.publish(topic, &Wake::source());
    }
}

/// Starts the source's task, or wakes it when the source offers something else than before.
pub fn observe(context: &Arc<Context>, key: &Key) {
    let Some(sight) = context.foreign.sight(key) else {
        return;
    };
    let mut hasher = DefaultHasher::new();
    let offer = sight
        .artifact
        .map(|artifact| (artifact.digest, artifact.revision, artifact.url));
    offer.hash(&mut hasher);
    let start = |sleeper| live(context.clone(), key.clone(), sleeper);
    context.schedule.observe(key, hasher.finish(), start);
}
