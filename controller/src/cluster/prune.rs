//! Deletes what is no longer wanted, each object only with proof that it is ours.

use overlay::ObjectId;
use serde_json::Value;

use super::change_set::{ChangeSet, Done, Entry};
use super::client::{Client, Preconditions};
use super::error::{Act, Error, ObjectError};
use super::in_flight::in_order;
use super::live::{ObjectKey, Proofs, Uid};
use super::managed_fields::{has_managed_fields, own_entry};
use super::order::rank;
use super::owner::Owner;
use super::redact::Redactor;
use super::settings::Settings;

/// Deletions of one Kustomization in flight.
const CONCURRENCY: usize = 16;

/// How often an object that changes between look and deletion is looked at again.
const LOOKS: usize = 5;

/// What became of the objects that were to be deleted.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// `deleted` and `skipped` entries, in order. Skipped objects leave the inventory.
    pub changes: ChangeSet,
    /// Why objects were skipped.
    pub kept: Vec<(ObjectId, Kept)>,
    /// Objects whose deletion has begun, with their unique ids: what [`super::await_termination`] waits for.
    pub deleting: Vec<(ObjectId, String)>,
    /// What could not be deleted. These objects stay in the inventory.
    pub errors: Vec<ObjectError>,
}

/// Why an object of the inventory is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It says so itself.
    Asked,
    /// Its owner labels are gone or name another.
    NotOwned,
    /// Our field manager has never applied it: someone else made it, with our labels on.
    NotApplied,
    /// It is another incarnation than the one that was applied.
    Replaced,
}

/// What becomes, or would become, of an object that is no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its deletion has begun, or would: its unique id. Nothing is said of one that is gone already.
    Deleted(Option<String>),
    /// It stays.
    Kept(Kept),
}

/// What a deletion would come to, without one.
pub async fn look(client: &Client, owner: &Owner, id: &ObjectId) -> Result<Fate, Error> {
    client.discovery().learn_missing(client, &[id]).await?;
    let Some(resource) = client.discovery().get(id) else {
        return Ok(Fate::Deleted(None));
    };
    match client.get_metadata(&resource.object_path(id)).await {
        Ok(live) => Ok(match keeps(&live, owner, None) {
            Some(why) => Fate::Kept(why),
            None => Fate::Deleted(live["metadata"]["uid"].as_str().map(str::to_owned)),
        }),
        Err(error) if error.is_not_found() => Ok(Fate::Deleted(None)),
        Err(error) => Err(error),
    }
}

/// Those of the objects whose deletion would come to nothing: they are gone, no longer ours, or ask to be kept.
pub async fn spared(client: &Client, owner: &Owner, objects: &[ObjectId]) -> Vec<ObjectId> {
    let look = |id| async move { (id, look(client, owner, id).await) };
    let fates = in_order(Box::new(objects.iter().map(look)), CONCURRENCY).await;
    let spared = fates.into_iter().filter_map(|(id, fate)| match fate {
        Ok(Fate::Kept(_) | Fate::Deleted(None)) => Some(id.clone()),
        Ok(Fate::Deleted(Some(_))) | Err(_) => None,
    });
    spared.collect()
}

/// Deletes objects, given in deletion order. `proofs` holds the unique ids of those that this process applied.
pub async fn prune(
    client: &Client,
    owner: &Owner,
    objects: &[ObjectId],
    proofs: &Proofs,
) -> Pruned {
    let mut pruned = Pruned::default();
    let ids: Vec<&ObjectId> = objects.iter().collect();
    // A kind that is gone took its objects along; a server that cannot be asked proves nothing.
    if let Err(error) = client.discovery().learn_missing(client, &ids).await {
        pruned.errors = objects.iter().map(|id| object_error(id, &error)).collect();
        return pruned;
    }
    for rank in objects.chunk_by(|left, right| rank(&left.kind) == rank(&right.kind)) {
        let delete = |id| async move {
            let uid = proofs.get(&ObjectKey::from(id)).map(|proof| proof.uid);
            (id, delete(client, owner, id, uid).await)
        };
        for (id, fate) in in_order(Box::new(rank.iter().map(delete)), CONCURRENCY).await {
            pruned.note(id, fate);
        }
    }
    pruned
}

impl Pruned {
    fn note(&mut self, id: &ObjectId, fate: Result<Fate, Error>) {
        let done = match fate {
            Ok(Fate::Deleted(uid)) => {
                self.deleting.extend(uid.map(|uid| (id.clone(), uid)));
                Done::Deleted
            }
            Ok(Fate::Kept(why)) => {
                self.kept.push((id.clone(), why));
                Done::Skipped
            }
            Err(error) => return self.errors.push(object_error(id, &error)),
        };
        let entry = Entry {
            id: id.clone(),
            done,
            proof: None,
            answer: None,
        };
        self.changes.entries.push(entry);
    }
}

fn object_error(id: &ObjectId, error: &Error) -> ObjectError {
    let object = overlay::Object {
        id: id.clone(),
        node: overlay::yaml::Node::mapping(),
        origin: overlay::Origin::default(),
    };
    Redactor::default().object_error(&object, Act::Delete, error)
}

async fn delete(
    client: &Client,
    owner: &Owner,
    id: &ObjectId,
    known_uid: Option<Uid>,
) -> Result<Fate, Error> {
    let Some(resource) = client.discovery().get(id) else {
        return Ok(Fate::Deleted(None));
    };
    let path = resource.object_path(id);
    let mut looks = 0;
    loop {
        looks += 1;
        let result = look_and_delete(client, owner, &path, known_uid).await;
        match result {
            Err(error) if error.is_not_found() => return Ok(Fate::Deleted(None)),
            Err(error) if is_conflict(&error) && looks < LOOKS => {}
            other => return other,
        }
    }
}

fn is_conflict(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| refusal.is_conflict())
}

async fn look_and_delete(
    client: &Client,
    owner: &Owner,
    path: &str,
    known_uid: Option<Uid>,
) -> Result<Fate, Error> {
    let live = client.get_metadata(path).await?;
    let text = |key: &str| {
        live["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let preconditions = Preconditions {
        uid: text("uid"),
        resource_version: text("resourceVersion"),
    };
    if let Some(why) = keeps(&live, owner, known_uid) {
        return Ok(Fate::Kept(why));
    }
    let uid = preconditions.uid.clone();
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(Fate::Deleted(Some(uid)));
    }
    client.delete(path, &preconditions).await?;
    Ok(Fate::Deleted(Some(uid)))
}

fn uid(live: &Value) -> Option<Uid> {
    live["metadata"]["uid"].as_str().map(Uid::from)
}

/// The proof that an object is ours to delete, or what it lacks.
fn keeps(live: &Value, owner: &Owner, known_uid: Option<Uid>) -> Option<Kept> {
    let label = |key: &str| live["metadata"]["labels"][key].as_str();
    if Settings::of_json(live).keeps() {
        Some(Kept::Asked)
    } else if label(super::owner::NAME_LABEL) != Some(&owner.name)
        || label(super::owner::NAMESPACE_LABEL) != Some(&owner.namespace)
    {
        Some(Kept::NotOwned)
    } else if known_uid.is_some_and(|known| uid(live) != Some(known)) {
        Some(Kept::Replaced)
    } else if has_managed_fields(live) && own_entry(live).is_none() {
        Some(Kept::NotApplied)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::owner::{NAME_LABEL, NAMESPACE_LABEL};
    use serde_json::json;

    #[test]
    fn only_what_is_proved_ours_goes() {
        let owner = Owner {
            name: "apps".into(),
            namespace: "flux-system".into(),
        };
        let labels = json!({NAME_LABEL: "apps", NAMESPACE_LABEL: "flux-system"});
        let applied =
            json!([{"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {}}]);
        let updated =
            json!([{"manager": "kustomize-controller", "operation": "Update", "fieldsV1": {}}]);
        let asks = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
        let table = [
            (
                json!({"uid": "1", "labels": labels, "managedFields": applied}),
                None,
            ),
            (json!({"uid": "1", "labels": labels}), None),
            (
                json!({"uid": "1", "labels": labels, "managedFields": updated}),
                Some(Kept::NotApplied),
            ),
            (
                json!({"uid": "2", "labels": labels, "managedFields": applied}),
                Some(Kept::Replaced),
            ),
            (
                json!({"uid": "1", "labels": {NAME_LABEL: "apps"}, "managedFields": applied}),
                Some(Kept::NotOwned),
            ),
            (
                json!({"uid": "1", "labels": {NAME_LABEL: "apps", NAMESPACE_LABEL: "other"}, "managedFields": applied}),
                Some(Kept::NotOwned),
            ),
            (
                json!({"uid": "1", "labels": labels, "managedFields": applied, "annotations": asks}),
                Some(Kept::Asked),
            ),
        ];
        for (metadata, expected) in table {
            let live = json!({"metadata": metadata});
            assert_eq!(
                keeps(&live, &owner, Some(Uid::from("1"))),
                expected,
                "{live}"
            );
        }
    }
}
