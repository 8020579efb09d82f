//! Watches by name of objects that the shared watches do not show: what `healthChecks` names and others have made.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use overlay::ObjectId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::sight::resource;
use crate::cluster::discovery::Resource;
use crate::cluster::watch::is_refused;
use crate::cluster::{Client, ObjectKey};
use crate::reconcile::run::{Run, Times};
use crate::reconcile::schedule::{Key, Schedule, Wake};

/// Objects that may not be watched, and are looked at at the interval.
pub(super) type Unwatched = Arc<Mutex<BTreeSet<ObjectKey>>>;

/// How often a kind that is not served is asked for while its objects are waited for, as with Flux.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// Watches objects that carry no labels of ours.
pub(super) fn watch(
    run: &Run<'_>,
    client: &Client,
    ids: &[ObjectId],
    unwatched: &Unwatched,
) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    for id in ids {
        let watch = ByName {
            client: client.clone(),
            schedule: run.context.schedule.clone(),
            key: run.key.clone(),
            id: id.clone(),
            times: Times::of(&run.object.spec),
            unwatched: unwatched.clone(),
        };
        watches.spawn(watch.follow());
    }
    watches
}

/// The watch of one object.
struct ByName {
    client: Client,
    schedule: Arc<Schedule>,
    /// Whose health it is of.
    key: Key,
    id: ObjectId,
    times: Times,
    unwatched: Unwatched,
}

impl ByName {
    /// Wakes the Kustomization for every event. What may not be watched is left to the interval.
    async fn follow(self) {
        let resource = self.served().await;
        let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        let kind = ApiResource::from_gvk_with_plural(&kind, &resource.plural);
        let client = self.client.kube();
        let api: Api<PartialObjectMeta<DynamicObject>> = match resource.namespaced {
            true => Api::namespaced_with(client, &self.id.namespace, &kind),
            false => Api::all_with(client, &kind),
        };
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.id.name));
        let events = watcher(api, config).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                Ok(_) => self.wake(),
                Err(error) if is_refused(&error) => {
                    let unwatched = self.unwatched.lock();
                    let mut unwatched = unwatched.unwrap_or_else(PoisonError::into_inner);
                    unwatched.insert(ObjectKey::from(&self.id));
                    return;
                }
                Err(error) => tracing::debug!(object = %self.id, %error, "watch interrupted"),
            }
        }
    }

    /// Waits until the kind is served: its definition may come after those who wait for its objects. When their time
    /// is over it is asked for at the interval.
    async fn served(&self) -> Resource {
        let begun = Instant::now();
        loop {
            if let Some(resource) = resource(&self.client, &self.id).await {
                return resource;
            }
            let is_awaited = begun.elapsed() < self.times.timeout;
            let seldom = self.times.interval.max(ASKED_AGAIN);
            sleep(if is_awaited { ASKED_AGAIN } else { seldom }).await;
        }
    }

    fn wake(&self) {
        let wake = Wake {
            health: [ObjectKey::from(&self.id)].into(),
            ..Wake::default()
        };
        self.schedule.wake(&self.key, wake);
    }
}
