//! A look at a source whose files come as one package, an artifact of a registry or the objects of a bucket, as the status
//! of its object and as events.

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};

use super::events::{Event, Severity};
use super::source::{self, Trouble};
use crate::api::meta::reason::SUCCEEDED;
use crate::api::meta::{Artifact, REQUESTED_AT, SourceStatus};

/// Prefix of the metadata of events.
const GROUP: &str = "source.toolkit.fluxcd.io";

/// What a look found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The artifact of the present revision is stored.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// What the conditions say.
        message: String,
        /// What the event says.
        news: String,
        /// Whose signature was found good, where the spec asks for one.
        verified: Option<String>,
    },
    /// Something failed.
    Failed(Trouble),
}

impl Found {
    /// What is stored, or why nothing is.
    pub fn stored(&self) -> Result<&Artifact, &Trouble> {
        match self {
            Self::Stored { artifact, .. } => Ok(artifact),
            Self::Failed(trouble) => Err(trouble),
        }
    }
}

/// What the status becomes; what is observed of the spec besides is the caller's to say.
pub fn status(
    object: &impl Resource,
    ignore: Option<&str>,
    found: &Found,
    status: &mut SourceStatus,
) {
    let generation = object.meta().generation;
    let number = generation.unwrap_or_default();
    match found {
        Found::Stored {
            artifact,
            message,
            verified,
            ..
        } => {
            source::stored(&mut status.conditions, number, verified.as_deref(), message);
            status.url = Some(artifact.url.clone());
            status.artifact = Some(artifact.clone());
            status.observed_generation = generation;
            status.observed_ignore = ignore.map(str::to_owned);
        }
        Found::Failed(trouble) => {
            source::failed(&mut status.conditions, number, trouble);
            if trouble.stalled {
                status.observed_generation = generation;
            }
        }
    }
    answer_request(object, status);
}

/// Notes that the request for a reconcile has been answered.
pub fn answer_request(object: &impl Resource, status: &mut SourceStatus) {
    if let Some(requested) = object.annotations().get(REQUESTED_AT) {
        status.last_handled_reconcile_at = Some(requested.clone());
    }
}

/// What there is to tell, given the status as it was before: news only.
pub fn event<K: Resource<DynamicType = ()>>(
    object: &K,
    before: &SourceStatus,
    found: &Found,
) -> Option<Event> {
    let reference = k8s_openapi::api::core::v1::ObjectReference {
        // Events find their object by all of these.
        resource_version: object.resource_version(),
        ..object.object_ref(&())
    };
    match found {
        Found::Failed(trouble) => (!source::says(&before.conditions, trouble)).then(|| Event {
            object: reference,
            severity: Severity::Error,
            reason: trouble.reason.to_owned(),
            message: trouble.message.clone(),
            metadata: BTreeMap::new(),
        }),
        Found::Stored { artifact, news, .. } => {
            let digest = before.artifact.as_ref().map(|artifact| &artifact.digest);
            let reason = match digest != Some(&artifact.digest) {
                true => "NewArtifact",
                false if source::is_failed(&before.conditions) => SUCCEEDED,
                false => return None,
            };
            Some(Event {
                object: reference,
                severity: Severity::Info,
                reason: reason.to_owned(),
                message: news.clone(),
                metadata: BTreeMap::from([
                    (format!("{GROUP}/revision"), artifact.revision.clone()),
                    (format!("{GROUP}/digest"), artifact.digest.clone()),
                ]),
            })
        }
    }
}
