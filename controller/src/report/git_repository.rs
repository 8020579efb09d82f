//! A look at a Git repository as the status of its GitRepository and as events.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};

use super::events::{Event, Severity};
use super::source::{self, Trouble};
use crate::api::git_repository::condition::{FETCH_FAILED, SOURCE_VERIFIED};
use crate::api::git_repository::{GitRepository, GitRepositoryStatus};
use crate::api::meta::reason::SUCCEEDED;
use crate::api::meta::{Artifact, REQUESTED_AT};
use crate::source::verification::Mode;
use crate::source::{SourceError, VerificationError};

/// Prefix of the metadata of events.
const GROUP: &str = "source.toolkit.fluxcd.io";

/// The longest part of a commit's subject that an event shows.
const SUBJECT: usize = 50;

/// What a look found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The artifact of the present revision is stored.
    Stored {
        /// The artifact.
        artifact: Artifact,
        /// The first line of the commit's message.
        subject: String,
        /// Whose signatures were found good, where the spec asks for that.
        verified: Option<String>,
        /// The artifacts of what it includes.
        included: Vec<Artifact>,
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

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self {
            condition: FETCH_FAILED,
            reason: error.reason(),
            stalled: error.stalls(),
            message: error.to_string(),
        }
    }
}

impl From<VerificationError> for Trouble {
    fn from(error: VerificationError) -> Self {
        Self {
            condition: SOURCE_VERIFIED,
            reason: error.reason(),
            stalled: error.stalls(),
            message: error.to_string(),
        }
    }
}

/// The status that what was found makes of the object's present one.
pub fn status(object: &GitRepository, found: &Found) -> GitRepositoryStatus {
    let mut status = object.status.clone().unwrap_or_default();
    match found {
        Found::Stored {
            artifact,
            verified,
            included,
            ..
        } => {
            stored(object, artifact, verified.as_deref(), &mut status);
            status.included_artifacts = included.clone();
        }
        Found::Failed(trouble) => failed(object, trouble, &mut status),
    }
    answer_request(object, &mut status);
    status
}

/// The status while a fetch takes its time.
pub fn begun(object: &GitRepository, message: &str) -> GitRepositoryStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    source::begun(&mut status.conditions, generation, message);
    status
}

/// Notes that the request for a reconcile has been answered.
pub fn answer_request(object: &GitRepository, status: &mut GitRepositoryStatus) {
    if let Some(requested) = object.annotations().get(REQUESTED_AT) {
        status.last_handled_reconcile_at = Some(requested.clone());
    }
}

fn stored(
    object: &GitRepository,
    artifact: &Artifact,
    verified: Option<&str>,
    status: &mut GitRepositoryStatus,
) {
    let generation = object.metadata.generation.unwrap_or_default();
    let message = format!("stored artifact for revision '{}'", artifact.revision);
    source::stored(&mut status.conditions, generation, verified, &message);
    let mode = object.spec.verify.as_ref().filter(|_| verified.is_some());
    status.source_verification_mode =
        mode.map(|verify| Mode::parse(&verify.mode).name().to_owned());
    status.artifact = Some(artifact.clone());
    status.observed_generation = object.metadata.generation;
    status.observed_ignore = object.spec.ignore.clone();
    status.observed_recurse_submodules = object.spec.recurse_submodules;
    status.observed_include = object.spec.include.clone();
    status.observed_sparse_checkout = object.spec.sparse_checkout.clone();
}

fn failed(object: &GitRepository, trouble: &Trouble, status: &mut GitRepositoryStatus) {
    let generation = object.metadata.generation.unwrap_or_default();
    source::failed(&mut status.conditions, generation, trouble);
    if trouble.stalled {
        status.observed_generation = object.metadata.generation;
    }
}

/// What there is to tell, given the object as it was before: news only.
pub fn event(before: &GitRepository, found: &Found) -> Option<Event> {
    let old = before.status.clone().unwrap_or_default();
    match found {
        Found::Failed(trouble) => (!source::says(&old.conditions, trouble)).then(|| Event {
            object: reference(before),
            severity: Severity::Error,
            reason: trouble.reason.to_owned(),
            message: trouble.message.clone(),
            metadata: BTreeMap::new(),
        }),
        Found::Stored {
            artifact, subject, ..
        } => {
            let digest = old.artifact.as_ref().map(|artifact| &artifact.digest);
            let reason = if digest != Some(&artifact.digest) {
                "NewArtifact"
            } else if source::is_failed(&old.conditions) {
                SUCCEEDED
            } else {
                return None;
            };
            Some(Event {
                object: reference(before),
                severity: Severity::Info,
                reason: reason.to_owned(),
                message: format!("stored artifact for commit '{}'", short(subject)),
                metadata: BTreeMap::from([
                    (format!("{GROUP}/revision"), artifact.revision.clone()),
                    (format!("{GROUP}/digest"), artifact.digest.clone()),
                ]),
            })
        }
    }
}

fn short(subject: &str) -> String {
    match subject.char_indices().nth(SUBJECT) {
        Some((end, _)) => format!("{}...", &subject[..end]),
        None => subject.to_owned(),
    }
}

/// What events of it are about.
pub fn reference(object: &GitRepository) -> ObjectReference {
    ObjectReference {
        // Events find their object by all of these.
        resource_version: object.resource_version(),
        ..object.object_ref(&())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::git_repository::GitRepositorySpec;
    use crate::report::conditions::now;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn object() -> GitRepository {
        let mut object = GitRepository::new("apps", GitRepositorySpec::default());
        object.metadata.generation = Some(2);
        object
            .annotations_mut()
            .insert(REQUESTED_AT.to_owned(), "now".to_owned());
        object
    }

    fn artifact(digest: &str) -> Artifact {
        Artifact {
            path: "gitrepository/ns/apps/abc.tar.gz".into(),
            url: "http://host/gitrepository/ns/apps/abc.tar.gz".into(),
            revision: "main@sha1:abc".into(),
            digest: digest.into(),
            last_update_time: Time(now()),
            size: Some(1),
            metadata: BTreeMap::new(),
        }
    }

    fn success(digest: &str) -> Found {
        Found::Stored {
            artifact: artifact(digest),
            subject: "s".repeat(60),
            verified: None,
            included: Vec::new(),
        }
    }

    fn failure(stalled: bool) -> Found {
        Found::Failed(Trouble {
            condition: FETCH_FAILED,
            reason: "GitOperationFailed",
            message: "no".into(),
            stalled,
        })
    }

    fn summary(status: &GitRepositoryStatus) -> Vec<String> {
        status
            .conditions
            .iter()
            .map(|condition| {
                format!(
                    "{}={} {}",
                    condition.type_, condition.status, condition.reason
                )
            })
            .collect()
    }

    #[test]
    fn success_failure_and_recovery() {
        let mut object = object();
        let status_1 = status(&object, &success("sha256:1"));
        assert_eq!(
            summary(&status_1),
            ["Ready=True Succeeded", "ArtifactInStorage=True Succeeded"]
        );
        assert_eq!(status_1.observed_generation, Some(2));
        assert_eq!(status_1.last_handled_reconcile_at.as_deref(), Some("now"));
        assert_eq!(
            event(&object, &success("sha256:1")).expect("valid").reason,
            "NewArtifact"
        );

        object.status = Some(status_1);
        assert!(
            event(&object, &success("sha256:1")).is_none(),
            "nothing new"
        );
        let status_2 = status(&object, &failure(false));
        assert_eq!(
            summary(&status_2),
            [
                "Ready=False GitOperationFailed",
                "ArtifactInStorage=True Succeeded",
                "FetchFailed=True GitOperationFailed",
                "Reconciling=True ProgressingWithRetry",
            ]
        );
        assert!(status_2.artifact.is_some(), "the last good revision stays");
        assert_eq!(
            event(&object, &failure(false)).expect("valid").severity,
            Severity::Error
        );

        object.status = Some(status_2);
        assert!(
            event(&object, &failure(false)).is_none(),
            "the same failure again"
        );
        assert_eq!(
            event(&object, &success("sha256:1")).expect("valid").reason,
            SUCCEEDED
        );
        assert_eq!(summary(&status(&object, &success("sha256:1"))).len(), 2);
    }

    #[test]
    fn a_stalled_object_has_observed_its_generation() {
        let status = status(&object(), &failure(true));
        assert_eq!(
            summary(&status),
            [
                "FetchFailed=True GitOperationFailed",
                "Ready=False GitOperationFailed",
                "Stalled=True GitOperationFailed"
            ]
        );
        assert_eq!(status.observed_generation, Some(2));
    }

    #[test]
    fn events_show_the_beginning_of_the_subject() {
        let event = event(&object(), &success("sha256:1")).expect("valid");
        assert_eq!(
            event.message,
            format!("stored artifact for commit '{}...'", "s".repeat(50))
        );
        assert_eq!(
            event.metadata["source.toolkit.fluxcd.io/revision"],
            "main@sha1:abc"
        );
    }
}
