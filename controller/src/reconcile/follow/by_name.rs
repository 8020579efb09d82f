//! Watches by name of objects that the shared watches do not show: what `healthChecks` names and others have made.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use overlay::ObjectId;
use tokio::task::JoinSet;

use super::sight::resource;
use crate::cluster::discovery::Resource;
use crate::cluster::watch::is_refused;
use crate::cluster::{Client, ObjectKey};
use crate::reconcile::run::Run;
use crate::reconcile::schedule::{Key, Schedule, Wake};

/// Objects that may not be watched, and are looked at at the interval.
pub(super) type Unwatched = Arc<Mutex<BTreeSet<ObjectKey>>>;

/// Watches objects that carry no labels of ours.
pub(super) async fn watch(
    run: &Run<'_>,
    client: &Client,
    ids: &[ObjectId],
    unwatched: &Unwatched,
) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for id in ids {
        if let Some(resource) = resource(client, id).await {
            let watch = ByName {
                client: client.kube(),
                schedule: run.context.schedule.clone(),
                key: run.key.clone(),
                object: ObjectKey::from(id),
                unwatched: unwatched.clone(),
            };
            watches.spawn(watch.follow(resource));
        }
    }
    watches
}

/// The watch of one object.
struct ByName {
    client: kube::Client,
    schedule: Arc<Schedule>,
    /// Whose health it is of.
    key: Key,
    object: ObjectKey,
    unwatched: Unwatched,
}

impl ByName {
    /// Wakes the Kustomization for every event. What may not be watched is left to the interval.
    async fn follow(self, resource: Resource) {
        let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        let kind = ApiResource::from_gvk_with_plural(&kind, &resource.plural);
        let api: Api<PartialObjectMeta<DynamicObject>> = match resource.namespaced {
            true => Api::namespaced_with(self.client.clone(), &self.object.namespace, &kind),
            false => Api::all_with(self.client.clone(), &kind),
        };
        let config =
            watcher::Config::default().fields(&format!("metadata.name={}", self.object.name));
        let events = watcher(api, config).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Ok(_) => self.wake(),
                Err(error) if is_refused(&error) => {
                    let unwatched = self.unwatched.lock();
                    let mut unwatched = unwatched.unwrap_or_else(PoisonError::into_inner);
                    unwatched.insert(self.object);
                    return;
                }
                Err(error) => tracing::debug!(object = ?self.object, %error, "watch interrupted"),
            }
        }
    }

    fn wake(&self) {
        let wake = Wake {
            health: [self.object.clone()].into(),
            ..Wake::default()
        };
        self.schedule.wake(&self.key, wake);
    }
}
