//! The watches of ConfigMaps and Secrets that builds take values from: metadata only, one a kind and namespace in
//! use, closed with their last user; and what was read under them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::context::Context;
use super::inputs::{Data, SECRET, fetch};
use super::schedule::{Schedule, Topic, Wake};

/// How long a run waits for the first sight of a watch; without it a change in between could go unseen.
const FIRST_SIGHT: Duration = Duration::from_secs(10);

/// How long a Secret is kept for others who want it too. A ConfigMap is kept for as long as it is watched; secrets are
/// not to lie about in memory.
const MOMENT: Duration = Duration::from_secs(30);

/// The watches of ConfigMaps and Secrets, by kind and namespace; each says when it has seen all.
#[derive(Default)]
pub struct InputWatches {
    open: Mutex<HashMap<(&'static str, String), Open>>,
    /// What was read, by kind, namespace and name.
    read: Arc<Mutex<HashMap<Name, Slot>>>,
}

type Name = (String, String, String);

/// Those who want the same at the same time wait for one of them to read it.
type Slot = Arc<tokio::sync::Mutex<Option<(String, Arc<Data>)>>>;

/// A watch that is open.
struct Open {
    task: AbortHandle,
    sight: watch::Receiver<Sight>,
    versions: Versions,
}

/// What a watch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// Nothing yet.
    Awaited,
    /// All that is there, and every change.
    Whole,
    /// It is interrupted, or refused.
    Lost,
}

/// The resource versions that a watch has seen, by name.
type Versions = Arc<Mutex<HashMap<String, String>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InputWatches {
    /// The values of a ConfigMap or Secret, read once for all who want it while it does not change.
    pub async fn data(
        &self,
        client: &kube::Client,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> kube::Result<Option<Arc<Data>>> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let slot = lock(&self.read).entry(key.clone()).or_default().clone();
        let mut read = slot.lock().await;
        if let Some((version, data)) = read.as_ref()
            && self.version(kind, namespace, name).as_ref() == Some(version)
        {
            return Ok(Some(data.clone()));
        }
        let fresh = fetch(client, kind, namespace, name).await?;
        *read = fresh.map(|(version, data)| (version.resource_version, Arc::new(data)));
        let data = read.as_ref().map(|(_, data)| data.clone());
        if kind == SECRET || data.is_none() {
            let all = self.read.clone();
            tokio::spawn(async move {
                tokio::time::sleep(MOMENT).await;
                lock(&all).remove(&key);
            });
        }
        Ok(data)
    }

    /// How many watches are open.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// How many ConfigMaps and Secrets are kept.
    pub fn kept(&self) -> usize {
        lock(&self.read).len()
    }

    /// The resource version that the watch shows; none when it does not show all.
    fn version(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        let open = lock(&self.open);
        let mut places = open.iter();
        let (_, open) = places.find(|(place, _)| place.0 == kind && place.1 == namespace)?;
        let is_whole = *open.sight.borrow() == Sight::Whole;
        let version = lock(&open.versions).get(name).cloned();
        version.filter(|_| is_whole)
    }

    /// Makes sure that the kind is watched in the namespace, and waits until all was seen once, or cannot be.
    pub async fn ensure(&self, context: &Context, kind: &'static str, namespace: &str) {
        let (schedule, client) = (&context.schedule, &context.client);
        let mut sight = self.start(schedule, client, kind, namespace);
        let begun = sight.wait_for(|sight| *sight != Sight::Awaited);
        let begun = tokio::time::timeout(FIRST_SIGHT, begun).await;
        if !matches!(begun, Ok(Ok(sight)) if *sight == Sight::Whole) {
            tracing::warn!(
                kind,
                namespace,
                "the watch of inputs is not in place: changes are seen at the interval"
            );
        }
    }

    fn start(
        &self,
        schedule: &Arc<Schedule>,
        client: &kube::Client,
        kind: &'static str,
        namespace: &str,
    ) -> watch::Receiver<Sight> {
        let mut started = lock(&self.open);
        let key = (kind, namespace.to_owned());
        if let Some(open) = started.get(&key) {
            return open.sight.clone();
        }
        let (sender, sight) = watch::channel(Sight::Awaited);
        let (versions, client) = (Versions::default(), client.clone());
        let watched = Watched {
            kind,
            namespace: namespace.to_owned(),
            schedule: schedule.clone(),
            sight: sender,
            versions: versions.clone(),
            seen: false,
        };
        let task = match kind {
            SECRET => tokio::spawn(watched.follow::<Secret>(client)),
            _ => tokio::spawn(watched.follow::<ConfigMap>(client)),
        };
        let open = Open {
            task: task.abort_handle(),
            sight: sight.clone(),
            versions,
        };
        started.insert(key, open);
        sight
    }

    /// Closes the watches of kinds and namespaces that nobody reads from any more.
    pub fn close_unused(&self, schedule: &Schedule) {
        let used: BTreeSet<_> = schedule.topics().into_iter().filter_map(place).collect();
        let mut started = lock(&self.open);
        started.retain(|key, open| {
            let keep = used.contains(key);
            if !keep {
                open.task.abort();
            }
            keep
        });
        let is_watched = |(kind, namespace, _): &Name| {
            let mut places = started.keys();
            places.any(|place| place.0 == kind && place.1 == *namespace)
        };
        lock(&self.read).retain(|name, _| is_watched(name));
    }

    /// Whether changes of all the inputs of a spec are seen by a watch.
    pub fn cover(&self, topics: &BTreeSet<Topic>) -> bool {
        let started = lock(&self.open);
        let covered = |topic: &Topic| match topic {
            Topic::Input(kind, namespace, _) => started
                .get(&(*kind, namespace.clone()))
                .is_some_and(|open| *open.sight.borrow() == Sight::Whole),
            Topic::Source(_) | Topic::Ready(_) | Topic::Object(_) => true,
        };
        topics.iter().all(covered)
    }
}

/// The kind and namespace that an input is watched in.
fn place(topic: Topic) -> Option<(&'static str, String)> {
    match topic {
        Topic::Input(kind, namespace, _) => Some((kind, namespace)),
        Topic::Source(_) | Topic::Ready(_) | Topic::Object(_) => None,
    }
}

/// One watch, and the resource versions that it has seen, by name.
struct Watched {
    kind: &'static str,
    namespace: String,
    schedule: Arc<Schedule>,
    sight: watch::Sender<Sight>,
    versions: Versions,
    /// Whether all have been seen once: until then nobody has read anything.
    seen: bool,
}

impl Watched {
    async fn follow<K>(mut self, client: kube::Client)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(client, &self.namespace);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = HashMap::new(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.extend(version(&object.metadata));
                }
                Ok(watcher::Event::InitDone) => self.replace(std::mem::take(&mut listed)),
                Ok(watcher::Event::Apply(object)) => {
                    if let Some((name, version)) = version(&object.metadata) {
                        lock(&self.versions).insert(name.clone(), version);
                        self.tell(&name);
                    }
                }
                Ok(watcher::Event::Delete(object)) => {
                    lock(&self.versions).remove(&object.name_any());
                    self.tell(&object.name_any());
                }
                Err(error) => {
                    self.sight.send_replace(Sight::Lost);
                    tracing::debug!(%error, kind = self.kind, namespace = self.namespace, "watch of inputs");
                }
            }
        }
    }

    /// Tells of all that differs from what was known before, unless this is the first sight.
    fn replace(&mut self, listed: HashMap<String, String>) {
        let before = std::mem::replace(&mut *lock(&self.versions), listed.clone());
        if self.seen {
            let names: BTreeSet<&String> = before.keys().chain(listed.keys()).collect();
            for name in names {
                if before.get(name) != listed.get(name) {
                    self.tell(name);
                }
            }
        }
        self.seen = true;
        self.sight.send_replace(Sight::Whole);
    }

    fn tell(&self, name: &str) {
        let topic = Topic::Input(self.kind, self.namespace.clone(), name.to_owned());
        self.schedule.publish(&topic, &Wake::input());
    }
}

fn version(metadata: &ObjectMeta) -> Option<(String, String)> {
    Some((metadata.name.clone()?, metadata.resource_version.clone()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::inputs::CONFIG_MAP;
    use crate::reconcile::schedule::{Key, Pace};

    #[tokio::test]
    async fn a_watch_ends_with_its_last_user() {
        crate::cluster::install_crypto();
        let nowhere = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        let client = kube::Client::try_from(nowhere).expect("a client");
        let (watches, schedule) = (
            InputWatches::default(),
            Arc::new(Schedule::new(Pace::default())),
        );
        let input = |kind, name: &str| Topic::Input(kind, "ns".to_owned(), name.to_owned());
        let (one, two) = (
            Key::kustomization("ns", "one"),
            Key::kustomization("ns", "two"),
        );
        schedule.subscribe(&one, [input(SECRET, "a"), input(CONFIG_MAP, "b")].into());
        schedule.subscribe(&two, [input(CONFIG_MAP, "c")].into());
        watches.start(&schedule, &client, SECRET, "ns");
        watches.start(&schedule, &client, CONFIG_MAP, "ns");
        let open = || {
            lock(&watches.open)
                .keys()
                .map(|key| key.0)
                .collect::<BTreeSet<_>>()
        };
        assert!(schedule.subscribe(&one, BTreeSet::new()));
        watches.close_unused(&schedule);
        assert_eq!(open(), [CONFIG_MAP].into());
        assert!(schedule.subscribe(&two, BTreeSet::new()));
        watches.close_unused(&schedule);
        assert_eq!(open(), BTreeSet::new());
    }
}
