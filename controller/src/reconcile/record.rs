//! Writing Weir's own resources: the status, the finalizer, both tied to what was read.

use kube::api::{Api, Patch, PatchParams, PostParams, Request};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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

/// Writes the status; no request when it is there already.
/// When the object has changed meanwhile it is read again: nobody else writes the status.
///
/// It is written whole: of a merge patch the API server makes the same in more than twice the time (it writes the
/// object as JSON, merges, and reads the outcome), which counts where a thousand statuses follow each other.
pub async fn status<K: Recorded>(
    client: &kube::Client,
    mut object: K,
    status: &K::Status,
) -> Result<K, RecordError> {
    let new = serde_json::to_value(status)?;
    for attempt in 1.. {
        if serde_json::to_value(object.status())? == new {
            break;
        }
        match replace_status(client, &object, &new).await {
            Ok(written) => return Ok(lean(written)),
            Err(error) if is_code(&error, 409) && attempt < ATTEMPTS => {
                let api: Api<K> = own(client, &object);
                object = api.get(&object.name_any()).await.map_err(request)?;
            }
            Err(error) => return Err(request(error)),
        }
    }
    Ok(object)
}

/// Sends a status with no more of its object than what names it: the API server takes the rest as it is.
async fn replace_status<K: Recorded>(
    client: &kube::Client,
    object: &K,
    status: &Value,
) -> Result<K, kube::Error> {
    let (name, namespace) = (object.name_any(), object.namespace());
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {
            "name": name,
            "namespace": namespace,
            "resourceVersion": object.resource_version(),
            "uid": object.uid(),
        },
        "status": status,
    });
    let body = serde_json::to_vec(&body).map_err(kube::Error::SerdeError)?;
    let parameters = PostParams {
        field_manager: Some(status_manager(K::KIND).to_owned()),
        ..PostParams::default()
    };
    let url = K::url_path(&(), namespace.as_deref());
    let request = Request::new(url)
        .replace_subresource("status", &name, &parameters, body)
        .map_err(kube::Error::BuildRequest)?;
    client.request(request).await
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
