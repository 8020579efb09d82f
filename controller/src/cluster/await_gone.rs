//! Waits until objects are gone: by watch, and by looking at each where the account may not list or watch.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use overlay::ObjectId;

use super::client::Client;
use super::discovery::Resource;
use super::error::{Error, Refusal};
use super::in_flight::in_order;
use super::owner::Owner;
use super::transport::innermost;

/// How long a replaced object may take to go.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long it takes until each object is looked at again, as in Flux.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks in flight.
const CONCURRENCY: usize = 8;

type Metadata = PartialObjectMeta<DynamicObject>;

/// Namespaces and names of objects of one kind, with the unique ids of the incarnations that are to go.
type Left = HashMap<(String, String), String>;

/// Waits until one incarnation of an object is gone.
pub(super) async fn await_gone(
    client: &Client,
    resource: &Resource,
    id: &ObjectId,
    uid: &str,
) -> Result<(), Error> {
    let config = watcher::Config::default().fields(&format!("metadata.name={}", id.name));
    let mut left = Left::from([((id.namespace.clone(), id.name.clone()), uid.to_owned())]);
    let waiting = until_gone(client, resource, config, &mut left);
    match tokio::time::timeout(DEADLINE, waiting).await {
        Ok(result) => result,
        Err(_) => Err(failed(format!(
            "the object to be replaced is still there after {DEADLINE:?}"
        ))),
    }
}

/// Waits until none of these objects of this owner is left, or the time is over; gives back those that are left.
/// `objects` come with the unique id of the incarnation that was deleted.
pub async fn await_termination(
    client: &Client,
    owner: &Owner,
    objects: &[(ObjectId, String)],
    timeout: Duration,
) -> Result<Vec<ObjectId>, Error> {
    let mut kinds: BTreeMap<Resource, Left> = BTreeMap::new();
    for (id, uid) in objects {
        if let Some(resource) = client.discovery().get(id) {
            let place = (id.namespace.clone(), id.name.clone());
            kinds
                .entry(resource)
                .or_default()
                .insert(place, uid.clone());
        }
    }
    let waits = kinds.iter_mut().map(|(resource, left)| {
        let config = watcher::Config::default().labels(&owner.selector());
        until_gone(client, resource, config, left)
    });
    let result = tokio::time::timeout(timeout, futures::future::try_join_all(waits)).await;
    if let Ok(Err(error)) = result {
        return Err(error);
    }
    let is_left = |id: &ObjectId| {
        let left = client
            .discovery()
            .get(id)
            .and_then(|resource| kinds.get(&resource));
        left.is_some_and(|left| left.contains_key(&(id.namespace.clone(), id.name.clone())))
    };
    Ok(objects
        .iter()
        .map(|(id, _)| id)
        .filter(|id| is_left(id))
        .cloned()
        .collect())
}

/// Where to watch: accounts of tenants may see no more than their namespace.
fn api(client: &Client, resource: &Resource, left: &Left) -> Api<Metadata> {
    let kind = resource.api_resource();
    let mut namespaces = left.keys().map(|(namespace, _)| namespace);
    let first = namespaces.next().filter(|_| resource.namespaced);
    match first {
        Some(only) if namespaces.all(|namespace| namespace == only) => {
            Api::namespaced_with(client.kube(), only, &kind)
        }
        _ => Api::all_with(client.kube(), &kind),
    }
}

fn failed(message: String) -> Error {
    Error::Refused(Refusal {
        message,
        ..Refusal::default()
    })
}

/// Strikes objects off as they go. Whoever may delete objects need not be allowed to list or watch them.
async fn until_gone(
    client: &Client,
    resource: &Resource,
    config: watcher::Config,
    left: &mut Left,
) -> Result<(), Error> {
    let api = api(client, resource, left);
    let Err(error) = until_seen_gone(api, config, left).await else {
        return Ok(());
    };
    let error = innermost(&error);
    tracing::debug!(kind = %resource.kind, error, "not watched: looked at one by one");
    while !left.is_empty() {
        look(client, resource, left).await?;
        if !left.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// The same by watch; what the first list does not show is gone already.
async fn until_seen_gone(
    api: Api<Metadata>,
    config: watcher::Config,
    left: &mut Left,
) -> Result<(), watcher::Error> {
    let mut events = watcher(api, config).boxed();
    let mut listed = HashMap::new();
    while !left.is_empty() {
        match events.try_next().await? {
            Some(Event::Init) => listed.clear(),
            Some(Event::InitApply(object)) => {
                let (place, uid) = incarnation(&object);
                listed.insert(place, uid);
            }
            Some(Event::InitDone) => left.retain(|place, uid| listed.get(place) == Some(uid)),
            Some(Event::Apply(object)) => {
                let (place, uid) = incarnation(&object);
                left.retain(|other, gone| *other != place || *gone == uid);
            }
            Some(Event::Delete(object)) => {
                left.remove(&incarnation(&object).0);
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Looks at each object once and strikes off what is gone.
async fn look(client: &Client, resource: &Resource, left: &mut Left) -> Result<(), Error> {
    let looks = left
        .iter()
        .map(|(place, uid)| gone(client, resource, place, uid));
    for gone in in_order(Box::new(looks), CONCURRENCY).await {
        if let Some(place) = gone? {
            left.remove(&place);
        }
    }
    Ok(())
}

/// The place of an object whose incarnation is gone. What cannot be seen for the moment may be there.
async fn gone(
    client: &Client,
    resource: &Resource,
    place: &(String, String),
    uid: &str,
) -> Result<Option<(String, String)>, Error> {
    let (namespace, name) = place.clone();
    let id = ObjectId {
        namespace,
        name,
        ..ObjectId::default()
    };
    let is_there = match client.get_metadata(&resource.object_path(&id)).await {
        Ok(live) => live["metadata"]["uid"].as_str() == Some(uid),
        Err(error) if error.is_not_found() => false,
        Err(error) if error.is_transient() => true,
        Err(error) => return Err(error),
    };
    Ok((!is_there).then(|| place.clone()))
}

fn incarnation(object: &Metadata) -> ((String, String), String) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let metadata = &object.metadata;
    (
        (text(&metadata.namespace), text(&metadata.name)),
        text(&metadata.uid),
    )
}
