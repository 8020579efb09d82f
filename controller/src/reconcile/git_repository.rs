//! The task of one GitRepository: look, fetch, publish; then store the artifact and say so.
//!
//! ```text
//! Secrets ──▶ Remote ──refresh──▶ Filtered ──publish──▶ Kustomizations start
//!                                     └──store──▶ status.artifact, conditions, event
//! ```
//! Kustomizations build from the published snapshot and never wait for what comes after it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::ResourceExt;
use overlay::ObjectHash;
use tokio::time::Instant;

use super::context::Context;
use super::include;
use super::inputs::SECRET;
use super::record::{self, RecordError};
use super::repository_access::{Secrets, TIMEOUT, remote, secret, secret_references, unsupported};
use super::schedule::{Key, Next, Topic, Wake};
use super::source_outcome::{self, Outcome, unwritten};
use crate::api::git_repository::condition::STORAGE_OPERATION_FAILED;
use crate::api::git_repository::{GitRepository, GitRepositorySpec};
use crate::api::meta::{Artifact, FINALIZER};
use crate::report::git_repository::{self as report, Found};
use crate::report::source::Trouble;
use crate::source::storage::{self, Content, Shelf};
use crate::source::submodules::with_submodules;
use crate::source::verification::Mode;
use crate::source::{
    Access, Fetched, Filtered, GitTree, Reference, Remote, RemoteUrl, Selection, Snapshot,
    SourceError, TrustedKeys, VerificationError, recall, refresh, verification,
};

/// A look that takes longer is shown in the status.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a task remembers between its runs.
#[derive(Default)]
pub struct State {
    /// The object as the last own write was answered.
    answered: Option<GitRepository>,
    /// The Secrets that the last look used.
    secrets: Secrets,
    /// When the reason came for the look that is under way.
    told: Option<Instant>,
    /// What was published last: the revision, and what its files are.
    published: Option<(String, ObjectHash)>,
    /// The artifact that this process stored or checked, and what its files are.
    stored: Option<(Artifact, ObjectHash)>,
}

/// Does what the wake calls for.
pub async fn reconcile(context: &Context, key: &Key, state: &mut State, wake: Wake) -> Next {
    let Some(watched) = context.git_repository(key) else {
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

async fn attempt(
    context: &Context,
    key: &Key,
    state: &mut State,
    object: GitRepository,
) -> Result<(GitRepository, Next), RecordError> {
    if object.metadata.deletion_timestamp.is_some() {
        return Ok((finalize(context, key, object).await?, Next::OnEvent));
    }
    let object = record::finalizer(&context.client, object, true).await?;
    context.schedule.subscribe(key, topics(&object));
    if object.spec.suspend {
        // What was fetched before is applied and kept in line all the same.
        recalled(context, key, state, &object).await;
        if state.published.is_none() {
            context.lack(key);
        }
        let mut status = object.status.clone().unwrap_or_default();
        report::answer_request(&object, &mut status);
        let object = record::status(&context.client, object, &status).await?;
        return Ok((object, Next::OnEvent));
    }
    let begin = Instant::now();
    let (object, found) = watched_look(context, key, state, object).await?;
    conclude(context, key, object, &found, begin.elapsed()).await
}

/// Lets go of all that was kept for the object, and of the object.
async fn finalize(
    context: &Context,
    key: &Key,
    object: GitRepository,
) -> Result<GitRepository, RecordError> {
    if !object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(object);
    }
    context.withdraw(key);
    context.repositories.forget(&owner(key));
    storage::remove(&context.storage, &shelf(key));
    record::finalizer(&context.client, object, false).await
}

fn topics(object: &GitRepository) -> BTreeSet<Topic> {
    let namespace = object.namespace().unwrap_or_default();
    secret_references(&object.spec)
        .map(|reference| Topic::Input(SECRET, namespace.clone(), reference.name.clone()))
        .chain(include::topics(&object.spec, &namespace))
        .collect()
}

/// Looks. A look at a new object that takes its time is shown in the status meanwhile; the status of one that was
/// looked at before stays until there is something to say.
async fn watched_look(
    context: &Context,
    key: &Key,
    state: &mut State,
    object: GitRepository,
) -> Result<(GitRepository, Found), RecordError> {
    let spec = object.clone();
    let status = object.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation);
    let look = look(context, key, state, &spec);
    if observed == object.metadata.generation {
        return Ok((object, look.await));
    }
    tokio::pin!(look);
    match tokio::time::timeout(PATIENCE, &mut look).await {
        Ok(found) => Ok((object, found)),
        Err(_) => {
            let status = report::begun(&object, "building artifact: fetching the repository");
            let object = record::status(&context.client, object, &status).await?;
            Ok((object, look.await))
        }
    }
}

/// Looks, publishes what is new, and stores it.
async fn look(context: &Context, key: &Key, state: &mut State, object: &GitRepository) -> Found {
    match fetch(context, key, state, object).await {
        Ok(news) => store(context, key, state, object, news).await,
        Err(trouble) => Found::Failed(trouble),
    }
}

/// A revision that was fetched, what of it is taken, and whose signatures were found good.
struct News {
    fetched: Fetched,
    tree: Arc<Filtered>,
    verified: Option<String>,
}

async fn fetch(
    context: &Context,
    key: &Key,
    state: &mut State,
    object: &GitRepository,
) -> Result<News, Trouble> {
    unsupported(&object.spec)?;
    let remote = remote(context, key, &mut state.secrets, object).await?;
    let reference = Reference::from_spec(object.spec.reference.as_ref());
    let fetched = match refresh(&context.repositories, &owner(key), &remote, &reference).await {
        Ok(fetched) => fetched,
        Err(error) => {
            recalled(context, key, state, object).await;
            return Err(error.into());
        }
    };
    let verified = verified(context, key, state, object, &fetched).await?;
    let (fetched, tree) = completed(context, key, &remote, object, fetched).await?;
    publish(context, key, state, &fetched, &tree);
    Ok(News {
        fetched,
        tree,
        verified,
    })
}

/// The revision with its submodules and what it includes, and what of it is taken.
async fn completed(
    context: &Context,
    key: &Key,
    remote: &Remote,
    object: &GitRepository,
    fetched: Fetched,
) -> Result<(Fetched, Arc<Filtered>), Trouble> {
    let mut fetched = context.waves.held(key, fetched).await?;
    if object.spec.recurse_submodules {
        fetched = with_submodules(&context.repositories, &owner(key), remote, fetched).await?;
    }
    let tree = fetched.tree.clone();
    let tree = include::included(context, key, &object.spec, tree).await?;
    let tree = filtered(tree, &object.spec).await?;
    Ok((fetched, tree))
}

/// Whose signatures the revision bears, where the spec asks for them.
async fn verified(
    context: &Context,
    key: &Key,
    state: &mut State,
    object: &GitRepository,
    fetched: &Fetched,
) -> Result<Option<String>, VerificationError> {
    let Some(verify) = &object.spec.verify else {
        return Ok(None);
    };
    let data = secret(context, key, &mut state.secrets, &verify.secret_ref.name)
        .await
        .map_err(|error| VerificationError::Keys(error.to_string()))?;
    let (mode, fetched) = (Mode::parse(&verify.mode), fetched.clone());
    let work = tokio::task::spawn_blocking(move || {
        let keys = TrustedKeys::from_secret(&data);
        verification::verify(&fetched, mode, &keys, SystemTime::now())
    });
    let message = work
        .await
        .unwrap_or_else(|error| Err(VerificationError::Keys(error.to_string())))?;
    Ok(Some(message))
}

/// After a restart, while the server cannot be asked: the last good revision, as far as the cache holds it.
async fn recalled(context: &Context, key: &Key, state: &mut State, object: &GitRepository) {
    let status = object.status.as_ref();
    let artifact = status.and_then(|status| status.artifact.as_ref());
    let (None, Some(artifact)) = (&state.published, artifact) else {
        return;
    };
    let Ok((url, _)) = RemoteUrl::parse(&object.spec.url) else {
        return;
    };
    let known = recall(
        &context.repositories,
        &owner(key),
        &url,
        plain(&artifact.revision),
    )
    .await;
    let remote = Remote {
        url,
        access: Access::default(),
        timeout: TIMEOUT,
    };
    if let Some(fetched) = known
        && verified(context, key, state, object, &fetched)
            .await
            .is_ok()
        && let Ok((fetched, tree)) = completed(context, key, &remote, object, fetched).await
    {
        publish(context, key, state, &fetched, &tree);
    }
}

/// A revision without the folders of which it had another version.
fn plain(revision: &str) -> &str {
    let id = revision.rfind("sha1:").unwrap_or(0);
    let end = revision[id..]
        .find('+')
        .map_or(revision.len(), |at| id + at);
    &revision[..end]
}

/// Where its artifacts lie.
fn shelf(key: &Key) -> Shelf {
    Shelf {
        kind: "gitrepository",
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

/// Caches are kept apart by who they are for.
fn owner(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}

async fn filtered(tree: GitTree, spec: &GitRepositorySpec) -> Result<Arc<Filtered>, SourceError> {
    let selection = Selection {
        ignore: spec.ignore.clone(),
        folders: spec.sparse_checkout.clone(),
    };
    let work = tokio::task::spawn_blocking(move || Filtered::new(tree, &selection).map(Arc::new));
    work.await
        .unwrap_or_else(|error| Err(SourceError::cache("reading .sourceignore", error)))
}

/// Tells the Kustomizations, unless they know.
fn publish(
    context: &Context,
    key: &Key,
    state: &mut State,
    fetched: &Fetched,
    tree: &Arc<Filtered>,
) {
    let new = (fetched.revision.clone(), tree.content());
    // A tree that was damaged is replaced by one that is whole, under the same name.
    if state.published.as_ref() == Some(&new) && fetched.known {
        return;
    }
    let snapshot = Snapshot {
        revision: fetched.revision.clone(),
        origin_revision: None,
        since: state.told.unwrap_or_else(Instant::now).into_std(),
        commit: Some(fetched.commit.clone()),
        content: tree.content(),
        tree: tree.clone(),
        shared: Arc::default(),
    };
    context.publish(key, snapshot);
    state.published = Some(new);
}

/// Stores the artifact, unless it is there.
async fn store(
    context: &Context,
    key: &Key,
    state: &mut State,
    object: &GitRepository,
    news: News,
) -> Found {
    let News {
        fetched,
        tree,
        verified,
    } = news;
    let content = tree.content();
    let found = |artifact| Found::Stored {
        artifact,
        subject: fetched.commit.subject.clone(),
        verified,
        included: include::artifacts(context, key, &object.spec),
    };
    if let Some(artifact) = present(context, state, object, &fetched, content).await {
        return found(artifact);
    }
    let (storage, key) = (context.storage.clone(), key.clone());
    let (revision, commit) = (fetched.revision.clone(), fetched.commit.id.to_string());
    let work = tokio::task::spawn_blocking(move || {
        let content = Content::Commit(&tree);
        storage::store(&storage, &shelf(&key), &revision, &commit, &content)
    });
    let failed = |reason, message| {
        Found::Failed(Trouble {
            condition: STORAGE_OPERATION_FAILED,
            reason,
            message,
            stalled: false,
        })
    };
    match work.await {
        Ok(Ok(artifact)) => {
            state.stored = Some((artifact.clone(), content));
            found(artifact)
        }
        Ok(Err(error)) => failed(error.reason, error.to_string()),
        Err(error) => failed("ArchiveOperationFailed", error.to_string()),
    }
}

/// The artifact, if it holds these files under this revision. One that an earlier process stored is checked once.
async fn present(
    context: &Context,
    state: &mut State,
    object: &GitRepository,
    fetched: &Fetched,
    content: ObjectHash,
) -> Option<Artifact> {
    if let Some((artifact, of)) = &state.stored {
        let same = *of == content
            && artifact.revision == fetched.revision
            && context.storage.holds(artifact);
        return same.then(|| artifact.clone());
    }
    let status = object.status.as_ref()?;
    let mut artifact = status.artifact.clone()?;
    let spec = &object.spec;
    // What is included may have changed since, under the same revision.
    let taken_alike = status.observed_ignore == spec.ignore
        && status.observed_sparse_checkout == spec.sparse_checkout
        && status.observed_recurse_submodules == spec.recurse_submodules
        && status.observed_include.is_empty()
        && spec.include.is_empty();
    if artifact.revision != fetched.revision || !taken_alike {
        return None;
    }
    let (storage, stored) = (context.storage.clone(), artifact.clone());
    let whole = tokio::task::spawn_blocking(move || storage.verify(&stored)).await;
    if !whole.unwrap_or(false) {
        return None;
    }
    artifact.url = context.storage.url(&artifact.path);
    state.stored = Some((artifact.clone(), content));
    Some(artifact)
}

/// Writes the status, tells what is new, and says when to look again.
async fn conclude(
    context: &Context,
    key: &Key,
    object: GitRepository,
    found: &Found,
    took: Duration,
) -> Result<(GitRepository, Next), RecordError> {
    let status = report::status(&object, found);
    let event = report::event(&object, found);
    let object = record::status(&context.client, object, &status).await?;
    let outcome = Outcome {
        found: found.stored(),
        event,
        interval: &object.spec.interval,
        took,
    };
    let next = source_outcome::conclude(context, key, outcome);
    Ok((object, next))
}
