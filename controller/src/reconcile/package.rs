//! The task of a source whose files come as one package, an artifact of a registry or the objects of a bucket: look, pull
//! when there is news, publish; then store the artifact and say so.
//!
//! A process that has just begun takes the files of the artifact that it stored before, if nothing else is asked for since:
//! what is deployed goes on while the server cannot be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use overlay::ObjectHash;
use tokio::time::Instant;

use super::context::Context;
use super::inputs::SECRET;
use super::record::{self, RecordError, Recorded};
use super::repository_access::{Secrets, TIMEOUT};
use super::schedule::{Key, Next, Topic, Wake};
use super::source_outcome::{self, Outcome, unwritten};
use crate::api::duration;
use crate::api::git_repository::condition::{FETCH_FAILED, STORAGE_OPERATION_FAILED};
use crate::api::meta::{Artifact, FINALIZER, ORIGIN_REVISION, SourceStatus};
use crate::report::package::{self as report, Found};
use crate::report::source::Trouble;
use crate::source::storage::{self, Content, Shelf};
use crate::source::unpacked::Unpacked;
use crate::source::{Snapshot, SourceError};

/// A kind of such sources.
pub trait Package: Recorded + Send + Sync + 'static {
    /// What its artifacts lie under, in small letters.
    const SHELF: &'static str;
    /// What a task remembers of the last package besides its files.
    type Memory: Default + Send;
    /// `spec.interval`.
    fn interval(&self) -> &str;
    /// `spec.timeout`.
    fn timeout(&self) -> &str;
    /// `spec.suspend`.
    fn is_suspended(&self) -> bool;
    /// `spec.ignore`.
    fn ignore(&self) -> Option<&str>;
    /// The Secrets that it reads.
    fn secrets(&self) -> Vec<&str>;
    /// The part of the status that all such kinds have.
    fn source(status: &Self::Status) -> &SourceStatus;
    /// The same, to be written.
    fn source_mut(status: &mut Self::Status) -> &mut SourceStatus;
    /// Notes what of the spec the artifact was made with.
    fn observe(&self, status: &mut Self::Status);
    /// Whether the artifact of a status was made with what the spec says now.
    fn is_observed(&self, status: &Self::Status) -> bool;
    /// What an object of the kind shows in the context.
    fn find(context: &Context, key: &Key) -> Option<Arc<Self>>;
    /// Looks, and pulls unless the revision is the one that is known.
    fn look<'a>(
        &'a self,
        desk: Desk<'a>,
        memory: &'a mut Self::Memory,
        known: Option<&'a str>,
    ) -> impl Future<Output = Result<Looked, Trouble>> + Send + 'a;
}

/// What a look may use.
pub struct Desk<'a> {
    /// What every run may use.
    pub context: &'a Context,
    /// Which object.
    pub key: &'a Key,
    /// The Secrets that were read.
    pub secrets: &'a mut Secrets,
}

/// What a look found.
pub struct Looked {
    /// The revision.
    pub revision: String,
    /// What the conditions say of it once it is stored.
    pub message: String,
    /// What the event says.
    pub news: String,
    /// Whose signature was found good.
    pub verified: Option<String>,
    /// What was pulled; none when the revision is the one that was known.
    pub pulled: Option<Pulled>,
}

/// What was pulled.
pub struct Pulled {
    /// The name of the artifact's file.
    pub file: String,
    /// The files; none when the artifact is no archive of any.
    pub files: Option<Arc<Unpacked>>,
    /// The artifact as it came, where it is stored so.
    pub archive: Option<Vec<u8>>,
    /// What its maker says about it.
    pub metadata: BTreeMap<String, String>,
}

/// What a task remembers between its runs.
pub struct State<K: Package> {
    /// The object as the last own write was answered.
    answered: Option<K>,
    /// The Secrets that the last look used.
    secrets: Secrets,
    memory: K::Memory,
    /// When the reason came for the look that is under way.
    told: Option<Instant>,
    /// The artifact that this process stored or took over, and the generation that it was made for.
    stored: Option<(Artifact, Option<i64>)>,
    /// What was published last.
    published: Option<(String, ObjectHash)>,
}

impl<K: Package> Default for State<K> {
    fn default() -> Self {
        Self {
            answered: None,
            secrets: Secrets::default(),
            memory: K::Memory::default(),
            told: None,
            stored: None,
            published: None,
        }
    }
}

/// Does what the wake calls for.
pub async fn reconcile<K: Package>(
    context: &Context,
    key: &Key,
    state: &mut State<K>,
    wake: Wake,
) -> Next {
    let Some(watched) = K::find(context, key) else {
        context.withdraw(key);
        context.metrics.forget(key);
        return Next::Gone;
    };
    let object = record::later(watched.as_ref(), state.answered.as_ref());
    state.told = wake.told.or_else(|| Some(Instant::now()));
    if wake.input || wake.changed {
        state.secrets.forget();
    }
    match attempt(context, key, state, object).await {
        Ok((object, next)) => {
            state.answered = Some(object);
            next
        }
        Err(error) => unwritten(key, &error),
    }
}

async fn attempt<K: Package>(
    context: &Context,
    key: &Key,
    state: &mut State<K>,
    object: K,
) -> Result<(K, Next), RecordError> {
    if object.meta().deletion_timestamp.is_some() {
        return Ok((finalize(context, key, object).await?, Next::OnEvent));
    }
    let object = record::finalizer(&context.client, object, true).await?;
    let input = |name: &str| Topic::Input(SECRET, key.namespace.clone(), name.to_owned());
    let topics: BTreeSet<Topic> = object.secrets().into_iter().map(input).collect();
    context.schedule.subscribe(key, topics);
    take_over(context, key, state, &object).await;
    if object.is_suspended() {
        if state.published.is_none() {
            context.lack(key);
        }
        let mut status = object.status().map(copy).unwrap_or_default();
        report::answer_request(&object, K::source_mut(&mut status));
        let object = record::status(&context.client, object, &status).await?;
        return Ok((object, Next::OnEvent));
    }
    let begin = Instant::now();
    let found = look(context, key, state, &object).await;
    conclude(context, key, object, &found, begin.elapsed()).await
}

/// A status is what can be written and read.
fn copy<S: serde::Serialize + serde::de::DeserializeOwned + Default>(status: &S) -> S {
    let value = serde_json::to_value(status).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

/// Lets go of all that was kept for the object, and of the object.
async fn finalize<K: Package>(context: &Context, key: &Key, object: K) -> Result<K, RecordError> {
    let is_held = object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    if !is_held {
        return Ok(object);
    }
    context.withdraw(key);
    storage::remove(&context.storage, &shelf::<K>(key));
    record::finalizer(&context.client, object, false).await
}

fn shelf<K: Package>(key: &Key) -> Shelf {
    Shelf {
        kind: K::SHELF,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

/// Takes the files of the artifact that an earlier process has stored for the same spec.
async fn take_over<K: Package>(context: &Context, key: &Key, state: &mut State<K>, object: &K) {
    let Some(status) = object.status().filter(|_| state.stored.is_none()) else {
        return;
    };
    let source = K::source(status);
    let generation = object.meta().generation;
    let Some(mut artifact) = source.artifact.clone() else {
        return;
    };
    if source.observed_generation != generation || !object.is_observed(status) {
        return;
    }
    let (storage, stored) = (context.storage.clone(), artifact.clone());
    let unpacked = tokio::task::spawn_blocking(move || storage.unpack(&stored)).await;
    if let Ok(Some(files)) = unpacked {
        let name = Name::new(&artifact.revision, &artifact.metadata);
        publish(context, key, state, name, &Arc::new(files));
        artifact.url = context.storage.url(&artifact.path);
        state.stored = Some((artifact, generation));
    }
}

/// Looks within the time that the spec gives, publishes what is new, and stores it.
async fn look<K: Package>(context: &Context, key: &Key, state: &mut State<K>, object: &K) -> Found {
    let generation = object.meta().generation;
    let held = |(artifact, of): &&(Artifact, Option<i64>)| {
        *of == generation && context.storage.holds(artifact)
    };
    let stored = state
        .stored
        .as_ref()
        .filter(held)
        .map(|(artifact, _)| artifact.clone());
    let known = stored.as_ref().map(|artifact| artifact.revision.clone());
    let desk = Desk {
        context,
        key,
        secrets: &mut state.secrets,
    };
    let time = duration::parse(object.timeout()).unwrap_or(TIMEOUT);
    let looked = object.look(desk, &mut state.memory, known.as_deref());
    let looked = tokio::time::timeout(time, looked).await;
    let looked = match looked.unwrap_or_else(|_| Err(overdue())) {
        Ok(looked) => looked,
        Err(trouble) => return Found::Failed(trouble),
    };
    let artifact = match (looked.pulled, stored) {
        (None, Some(artifact)) => Ok(artifact),
        (None, None) => Err(overdue()),
        (Some(pulled), _) => {
            if let Some(files) = &pulled.files {
                let name = Name::new(&looked.revision, &pulled.metadata);
                publish(context, key, state, name, files);
            }
            store::<K>(context, key, &looked.revision, pulled).await
        }
    };
    match artifact {
        Err(trouble) => Found::Failed(trouble),
        Ok(artifact) => {
            state.stored = Some((artifact.clone(), generation));
            Found::Stored {
                artifact,
                message: looked.message,
                news: looked.news,
                verified: looked.verified,
            }
        }
    }
}

fn overdue() -> Trouble {
    trouble("OperationTimedOut", "context deadline exceeded", false)
}

/// A look that failed.
pub fn trouble(reason: &'static str, message: impl ToString, stalled: bool) -> Trouble {
    Trouble {
        condition: FETCH_FAILED,
        reason,
        message: message.to_string(),
        stalled,
    }
}

/// What was found of Secrets and the way there.
pub fn refused(error: SourceError) -> Trouble {
    trouble("AuthenticationFailed", &error, error.stalls())
}

/// What a package is called, and what it was made of.
#[derive(Clone, Copy)]
struct Name<'a> {
    revision: &'a str,
    origin: Option<&'a String>,
}

impl<'a> Name<'a> {
    fn new(revision: &'a str, metadata: &'a BTreeMap<String, String>) -> Self {
        let origin = metadata.get(ORIGIN_REVISION);
        Self { revision, origin }
    }
}

/// Tells the Kustomizations, unless they know.
fn publish<K: Package>(
    context: &Context,
    key: &Key,
    state: &mut State<K>,
    name: Name<'_>,
    files: &Arc<Unpacked>,
) {
    let new = (name.revision.to_owned(), files.content());
    if state.published.as_ref() == Some(&new) {
        return;
    }
    let snapshot = Snapshot {
        revision: name.revision.to_owned(),
        origin_revision: name.origin.cloned(),
        since: state.told.unwrap_or_else(Instant::now).into_std(),
        commit: None,
        content: files.content(),
        tree: files.clone(),
        shared: Arc::default(),
    };
    context.publish(key, snapshot);
    state.published = Some(new);
}

async fn store<K: Package>(
    context: &Context,
    key: &Key,
    revision: &str,
    pulled: Pulled,
) -> Result<Artifact, Trouble> {
    let (storage, shelf, revision) = (
        context.storage.clone(),
        shelf::<K>(key),
        revision.to_owned(),
    );
    let work = tokio::task::spawn_blocking(move || {
        let content = match (&pulled.archive, &pulled.files) {
            (Some(bytes), _) => Content::Archive(bytes),
            (None, Some(files)) => Content::Files(files),
            (None, None) => Content::Archive(&[]),
        };
        let stored = storage::store(&storage, &shelf, &revision, &pulled.file, &content);
        stored.map(|artifact| Artifact {
            metadata: pulled.metadata,
            ..artifact
        })
    });
    let failed = |reason, message| Trouble {
        condition: STORAGE_OPERATION_FAILED,
        ..trouble(reason, message, false)
    };
    match work.await {
        Ok(stored) => stored.map_err(|error| failed(error.reason, error.to_string())),
        Err(error) => Err(failed("ArchiveOperationFailed", error.to_string())),
    }
}

/// Writes the status, tells what is new, and says when to look again.
async fn conclude<K: Package>(
    context: &Context,
    key: &Key,
    object: K,
    found: &Found,
    took: Duration,
) -> Result<(K, Next), RecordError> {
    let mut status = object.status().map(copy).unwrap_or_default();
    let event = report::event(&object, K::source(&status), found);
    report::status(&object, object.ignore(), found, K::source_mut(&mut status));
    if matches!(found, Found::Stored { .. }) {
        object.observe(&mut status);
    }
    let object = record::status(&context.client, object, &status).await?;
    let outcome = Outcome {
        found: found.stored(),
        event,
        interval: object.interval(),
        took,
    };
    let next = source_outcome::conclude(context, key, outcome);
    Ok((object, next))
}
