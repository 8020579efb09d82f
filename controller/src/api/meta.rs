//! What the custom resources share: references, artifacts, and the names of annotations, conditions and reasons.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for a reconcile now; answered by `status.lastHandledReconcileAt`.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Keeps an object until its controller has cleaned up behind it.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// Condition types that all kinds have.
pub mod condition {
    /// The summary of all others.
    pub const READY: &str = "Ready";
    /// Work is under way, or will be tried again.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing will get better before the spec changes.
    pub const STALLED: &str = "Stalled";
}

/// Condition reasons that both kinds have.
pub mod reason {
    /// All went well.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Work is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// The last try failed, another follows.
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
}

/// An object of the same namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name.
    pub name: String,
}

/// What a source produced: an archive that others can download.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Path of the file below the root of the storage.
    pub path: String,
    /// Where the archive can be downloaded.
    pub url: String,
    /// The revision as its origin names it, for example `main@sha1:…`.
    pub revision: String,
    /// Digest of the file, `<algorithm>:<checksum>`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,
    /// When the artifact last changed.
    pub last_update_time: Time,
    /// Number of bytes in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// What the origin says about it, for example OCI annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The annotation in which the maker of an OCI artifact names the revision that it was made of.
pub const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// What was last seen of a source whose files come as one package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The generation that the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the last artifact can be downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The last artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// `spec.ignore` of the last artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The last request to reconcile (`reconcile.fluxcd.io/requestedAt`) that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// The provider of sources that name none.
pub(super) fn generic() -> String {
    "generic".to_owned()
}

/// The timeout of sources that name none.
pub(super) fn minute() -> String {
    "60s".to_owned()
}
