//! Writing Weir's own resources: the status as what differs, the finalizer, both tied to what was read.

use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::schedule::Kind;
use crate::api::bucket::{Bucket, BucketStatus};
use crate::api::git_repository::{GitRepository, GitRepositoryStatus};
use crate::api::kustomization::{Kustomization, KustomizationStatus};
use crate::api::meta::FINALIZER;
use crate::api::oci_repository::{OCIRepository, OCIRepositoryStatus};
use crate::api::receiver::{Receiver, ReceiverStatus};

/// How often a write is tried when others write the same object.
const ATTEMPTS: usize = 5;

/// An own resource that has a status.
pub trait Recorded:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
{
    /// What is reported of it.
    type Status: Serialize + DeserializeOwned + Default + Send + Sync;
    /// The kind.
    const KIND: Kind;
    /// Its status.
    fn status(&self) -> Option<&Self::Status>;
}

impl Recorded for GitRepository {
    type Status = GitRepositoryStatus;
    const KIND: Kind = Kind::GitRepository;

    fn status(&self) -> Option<&GitRepositoryStatus> {
        self.status.as_ref()
    }
}

impl Recorded for Kustomization {
    type Status = KustomizationStatus;
    const KIND: Kind = Kind::Kustomization;

    fn status(&self) -> Option<&KustomizationStatus> {
        self.status.as_ref()
    }
}

impl Recorded for OCIRepository {
    type Status = OCIRepositoryStatus;
    const KIND: Kind = Kind::OciRepository;

    fn status(&self) -> Option<&OCIRepositoryStatus> {
        self.status.as_ref()
    }
}

impl Recorded for Bucket {
    type Status = BucketStatus;
    const KIND: Kind = Kind::Bucket;

    fn status(&self) -> Option<&BucketStatus> {
        self.status.as_ref()
    }
}

impl Recorded for Receiver {
    type Status = ReceiverStatus;
    const KIND: Kind = Kind::Receiver;

    fn status(&self) -> Option<&ReceiverStatus> {
        self.status.as_ref()
    }
}

/// Why a write was not done.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The API server refused, or was not reached.
    #[error("writing the status of an own resource: {0}")]
    Request(#[source] Box<kube::Error>),
    /// The status could not be put in JSON.
    #[error("writing the status as JSON: {0}")]
    Serialize(#[from] serde_json::Error),
}

impl RecordError {
    /// The object is not there any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Request(error) if is_code(error, 404))
    }
}

fn is_code(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// The manager of an own resource's status, as Flux names it: its fields change hands without a conflict.
fn status_manager(kind: Kind) -> &'static str {
    match kind {
        Kind::Kustomization => "gotk-kustomize-controller",
        Kind::Receiver => "gotk-notification-controller",
        _ => "source-controller",
    }
}

/// The later of two sights of an object: the watch may lag behind the answers to our own writes.
pub fn later<K: Recorded>(watched: &K, answered: Option<&K>) -> K {
    // Resource versions are decimal numbers that grow (Kubernetes 1.35 says so; etcd has always done so).
    let version = |object: &K| {
        object
            .resource_version()
            .and_then(|version| version.parse::<u128>().ok())
    };
    match answered {
        Some(answered)
            if answered.uid() == watched.uid() && version(answered) > version(watched) =>
        {
            answered.clone()
        }
        _ => watched.clone(),
    }
}

/// Writes what differs between the object's status and the new one; no request when nothing does.
/// When the object has changed meanwhile it is read again: nobody else writes the status.
pub async fn status<K: Recorded>(
    client: &kube::Client,
    mut object: K,
    status: &K::Status,
) -> Result<K, RecordError> {
    let new = serde_json::to_value(status)?;
    let api: Api<K> = own(client, &object);
    let parameters = PatchParams {
        field_manager: Some(status_manager(K::KIND).into()),
        ..PatchParams::default()
    };
    for attempt in 1.. {
        let old = serde_json::to_value(object.status())?;
        let Some(difference) = merge_patch(&old, &new) else {
            break;
        };
        let body = json!({
            "metadata": { "resourceVersion": object.resource_version(), "uid": object.uid() },
            "status": difference,
        });
        match api
            .patch_status(&object.name_any(), &parameters, &Patch::Merge(body))
            .await
        {
            Ok(written) => return Ok(lean(written)),
            Err(error) if is_code(&error, 409) && attempt < ATTEMPTS => {
                object = api.get(&object.name_any()).await.map_err(request)?;
            }
            Err(error) => return Err(request(error)),
        }
    }
    Ok(object)
}

/// Adds or removes the finalizer; no request when it is as wanted.
pub async fn finalizer<K: Recorded>(
    client: &kube::Client,
    mut object: K,
    wanted: bool,
) -> Result<K, RecordError> {
    let api: Api<K> = own(client, &object);
    for attempt in 1.. {
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if wanted {
            finalizers.push(FINALIZER.to_owned());
        }
        if finalizers.len() == object.finalizers().len() {
            break;
        }
        let body = json!({ "metadata": {
            "resourceVersion": object.resource_version(), "uid": object.uid(), "finalizers": finalizers,
        }});
        match api
            .patch(
                &object.name_any(),
                &PatchParams::default(),
                &Patch::Merge(body),
            )
            .await
        {
            Ok(written) => return Ok(lean(written)),
            Err(error) if is_code(&error, 409) && attempt < ATTEMPTS => {
                object = api.get(&object.name_any()).await.map_err(request)?;
            }
            Err(error) => return Err(request(error)),
        }
    }
    Ok(object)
}

/// An answer is kept until the watch shows it, and nobody asks who wrote what in it.
fn lean<K: Recorded>(mut object: K) -> K {
    object.managed_fields_mut().clear();
    object
}

fn own<K: Recorded>(client: &kube::Client, object: &K) -> Api<K> {
    Api::namespaced(
        client.clone(),
        object.namespace().as_deref().unwrap_or("default"),
    )
}

pub(super) fn request(error: kube::Error) -> RecordError {
    RecordError::Request(Box::new(error))
}

/// The merge patch that makes `old` into `new`; `None` when they are the same. Lists are replaced whole.
fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let gone = old
        .keys()
        .filter(|key| !new.contains_key(*key))
        .map(|key| (key.clone(), Value::Null));
    let mut patch: Map<String, Value> = gone.collect();
    for (key, value) in new {
        let difference = match old.get(key) {
            Some(old) => merge_patch(old, value),
            None => Some(value.clone()),
        };
        if let Some(difference) = difference {
            patch.insert(key.clone(), difference);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_holds_what_differs() {
        let old = json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": [1, 2], "f": 0 });
        let new = json!({ "a": 1, "b": { "c": 1, "d": 3 }, "e": [1] });
        let expected = json!({ "b": { "d": 3 }, "e": [1], "f": null });
        assert_eq!(merge_patch(&old, &new), Some(expected));
        assert_eq!(merge_patch(&old, &old), None);
        assert_eq!(
            merge_patch(&Value::Null, &json!({ "a": 1 })),
            Some(json!({ "a": 1 }))
        );
    }
}
