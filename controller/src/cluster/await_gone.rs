//! Waits, by watch, until objects are gone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use overlay::ObjectId;

use super::client::Client;
use super::discovery::Resource;
use super::error::{Error, Refusal};
use super::owner::Owner;

/// How long a replaced object may take to go.
const DEADLINE: Duration = Duration::from_secs(60);

type Metadata = PartialObjectMeta<DynamicObject>;

/// Waits until one incarnation of an object is gone.
pub(super) async fn await_gone(
    client: &Client,
    resource: &Resource,
    id: &ObjectId,
    uid: &str,
) -> Result<(), Error> {
    let api = api(client, resource, &id.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", id.name));
    let mut left = HashMap::from([((id.namespace.clone(), id.name.clone()), uid.to_owned())]);
    let watching = until_gone(api, config, &mut left);
    match tokio::time::timeout(DEADLINE, watching).await {
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
    let mut kinds: BTreeMap<Resource, HashMap<(String, String), String>> = BTreeMap::new();
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
        until_gone(api(client, resource, ""), config, left)
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

fn api(client: &Client, resource: &Resource, namespace: &str) -> Api<Metadata> {
    let kind = resource.api_resource();
    if resource.namespaced && !namespace.is_empty() {
        Api::namespaced_with(client.kube(), namespace, &kind)
    } else {
        Api::all_with(client.kube(), &kind)
    }
}

fn failed(message: String) -> Error {
    Error::Refused(Refusal {
        message,
        ..Refusal::default()
    })
}

/// Strikes objects off as they go; what the first list does not show is gone already.
async fn until_gone(
    api: Api<Metadata>,
    config: watcher::Config,
    left: &mut HashMap<(String, String), String>,
) -> Result<(), Error> {
    let mut events = watcher(api, config).boxed();
    let mut listed = HashMap::new();
    while !left.is_empty() {
        match events
            .try_next()
            .await
            .map_err(|error| failed(error.to_string()))?
        {
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

fn incarnation(object: &Metadata) -> ((String, String), String) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let metadata = &object.metadata;
    (
        (text(&metadata.namespace), text(&metadata.name)),
        text(&metadata.uid),
    )
}
