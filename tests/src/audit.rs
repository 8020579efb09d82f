//! Who called what: the API server's audit log, read back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// The audit log of a control plane.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// One request to the API server.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose token it carried.
    pub user: String,
    /// Whom it was made for, if somebody else.
    pub impersonated: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The plural name; empty for a path that is no resource.
    pub resource: String,
    /// `status`, `scale` and so on; empty for the object itself.
    pub subresource: String,
    /// Empty for what is not in a namespace.
    pub namespace: String,
    /// Empty for lists, watches and creates with a generated name.
    pub name: String,
    /// Path and query.
    pub uri: String,
    /// The status of the answer.
    pub status: u16,
    /// When the API server received it.
    pub received: Timestamp,
    /// When it was answered; for a watch, when it began.
    pub answered: Timestamp,
}

impl Call {
    /// Whether the request changed nothing because it asked not to.
    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=All")
    }
}

/// Counts calls by what a closure says of each.
pub fn count_by<'a, K: Ord>(
    calls: impl IntoIterator<Item = &'a Call>,
    key: impl Fn(&Call) -> K,
) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(key(call)).or_insert(0) += 1;
    }
    counts
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        AuditLog { path }
    }

    /// Where the log ends now; give it to [`AuditLog::since`] later.
    pub fn position(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    /// The calls of a user that were logged after a position. A request is logged just after it
    /// was answered, a watch when it begins.
    pub fn since(&self, position: u64, user: &str) -> Vec<Call> {
        let mut file = File::open(&self.path).expect("open the audit log");
        let mut content = Vec::new();
        file.seek(SeekFrom::Start(position))
            .and_then(|_| file.read_to_end(&mut content))
            .expect("read the audit log");
        content
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Event>(line).ok())
            .filter(|event| event.user.username == user && event.counts())
            .map(Call::from)
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    object_ref: ObjectReference,
    #[serde(default)]
    response_status: ResponseStatus,
}

impl Event {
    /// A watch is logged when it begins and again when it ends.
    fn counts(&self) -> bool {
        (self.stage == "ResponseStarted") == (self.verb == "watch")
    }
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectReference {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Event> for Call {
    fn from(event: Event) -> Self {
        Call {
            user: event.user.username,
            impersonated: event.impersonated_user.map(|user| user.username),
            verb: event.verb,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            uri: event.request_uri,
            status: event.response_status.code,
            received: event.request_received_timestamp,
            answered: event.stage_timestamp,
        }
    }
}
