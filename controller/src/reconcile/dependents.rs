//! Kustomizations that other processes look after and that wait for ones of this process. They see nothing but the
//! status, so what others may be told later is written for them at once.
//!
//! Only where processes share the work there are any. They are seen by one watch that keeps nothing but who depends on
//! whom, so that a commit costs no list.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, pin_mut};
use kube::ResourceExt;
use kube::api::{Api, ApiResource};
use kube::core::{NotUsed, Object};
use kube::runtime::{WatchStreamExt, watcher};
use serde::Deserialize;

use super::context::Context;
use super::dependencies::named;
use super::schedule::{Key, Wake};
use crate::api::kustomization::{DependencyReference, Kustomization};
use crate::cluster::watch::is_refused;

/// Who depends on whom, whoever looks after them.
#[derive(Default)]
pub struct Dependents(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// What each depends on; those that depend on nothing are left out.
    dependencies: HashMap<Key, Vec<Key>>,
    /// The same the other way round.
    dependents: HashMap<Key, BTreeSet<Key>>,
}

/// The part of a spec that says what is waited for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    #[serde(default)]
    depends_on: Vec<DependencyReference>,
}

impl Dependents {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Notes what one depends on now; gives back what it did not depend on before.
    fn note(&mut self, dependent: &Key, dependencies: Vec<Key>) -> Vec<Key> {
        let known = self.dependencies.get(dependent).map(Vec::as_slice);
        if known.unwrap_or_default() == dependencies {
            return Vec::new();
        }
        let before = self.dependencies.remove(dependent).unwrap_or_default();
        for dependency in &before {
            if let Entry::Occupied(mut dependents) = self.dependents.entry(dependency.clone()) {
                dependents.get_mut().remove(dependent);
                if dependents.get().is_empty() {
                    dependents.remove();
                }
            }
        }
        for dependency in &dependencies {
            let dependents = self.dependents.entry(dependency.clone());
            dependents.or_default().insert(dependent.clone());
        }
        let is_new = |dependency: &&Key| !before.contains(dependency);
        let new = dependencies.iter().filter(is_new).cloned().collect();
        if !dependencies.is_empty() {
            self.dependencies.insert(dependent.clone(), dependencies);
        }
        new
    }
}

/// Whether a Kustomization that another process looks after waits for this one.
pub fn are_elsewhere(context: &Context, key: &Key) -> bool {
    let seen = context.dependents.lock();
    let mut dependents = seen.dependents.get(key).into_iter().flatten();
    dependents.any(|dependent| context.kustomization(dependent).is_none())
}

/// Follows all Kustomizations that may depend on ones of this process, for as long as that is allowed.
pub async fn follow(context: Arc<Context>) {
    context.listed.both().await;
    let settings = &context.settings;
    let own = settings.namespace.as_deref();
    if own.is_none() || !settings.no_cross_namespace_references {
        watch(&context, None).await;
    }
    // An account of one namespace on purpose sees those that are there.
    if own.is_some() {
        watch(&context, own).await;
    }
    tracing::warn!(
        "Kustomizations of other processes may not be watched: they hear later of what changes nothing"
    );
}

/// Ends when the watch is refused.
async fn watch(context: &Context, namespace: Option<&str>) {
    let resource = ApiResource::erase::<Kustomization>(&());
    let client = context.client.clone();
    let api: Api<Object<Waiting, NotUsed>> = match namespace {
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
                listed.insert(see(context, &object));
            }
            Ok(watcher::Event::InitDone) => keep(context, &std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => drop(see(context, &object)),
            Ok(watcher::Event::Delete(object)) => {
                context.dependents.lock().note(&key(&object), Vec::new());
            }
            Err(error) if is_refused(&error) => return,
            Err(error) => tracing::debug!(%error, "watch of dependents"),
        }
    }
}

fn key(object: &Object<Waiting, NotUsed>) -> Key {
    Key::kustomization(object.namespace().unwrap_or_default(), object.name_any())
}

/// Takes in what one waits for. Those that it has not waited for before look whether they have something to tell.
fn see(context: &Context, object: &Object<Waiting, NotUsed>) -> Key {
    let key = key(object);
    let dependencies = named(&object.spec.depends_on, &key.namespace);
    let new = context.dependents.lock().note(&key, dependencies);
    if context.kustomization(&key).is_none() {
        new.iter()
            .for_each(|dependency| context.schedule.wake(dependency, Wake::default()));
    }
    key
}

/// Forgets those that went while nobody looked.
fn keep(context: &Context, listed: &BTreeSet<Key>) {
    let mut seen = context.dependents.lock();
    let is_gone = |key: &&Key| !listed.contains(*key);
    let gone: Vec<Key> = seen.dependencies.keys().filter(is_gone).cloned().collect();
    for key in gone {
        seen.note(&key, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_kept() {
        let key = |name: &str| Key::kustomization("ns", name);
        let keys = |names: &[&str]| names.iter().map(|name| key(name)).collect::<Vec<_>>();
        let mut seen = Seen::default();
        assert_eq!(seen.note(&key("app"), keys(&["a", "b"])), keys(&["a", "b"]));
        assert_eq!(seen.note(&key("web"), keys(&["b"])), keys(&["b"]));
        assert_eq!(seen.note(&key("app"), keys(&["b", "c"])), keys(&["c"]));
        assert_eq!(seen.dependents.get(&key("a")), None);
        let of_b = seen.dependents.get(&key("b")).cloned();
        assert_eq!(of_b, Some(keys(&["app", "web"]).into_iter().collect()));
        seen.note(&key("app"), Vec::new());
        seen.note(&key("web"), Vec::new());
        assert!(seen.dependents.is_empty() && seen.dependencies.is_empty());
    }
}
