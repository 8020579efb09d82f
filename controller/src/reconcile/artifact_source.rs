//! The task of a source that another controller looks after: what it offers is downloaded and published.

use std::sync::Arc;
use std::time::Duration;

use overlay::{ObjectHash, Shared, Tree};
use tokio::time::Instant;

use super::context::Context;
use super::schedule::{Key, Next, Topic, Wake};
use crate::api::meta::{Artifact, ORIGIN_REVISION};
use crate::source::Snapshot;
use crate::source::artifact::{ArtifactError, download};

/// The longest time between two tries.
const RETRY: Duration = Duration::from_secs(30);

/// What a task remembers between its runs: what it published last.
#[derive(Default)]
pub struct State(Option<Taken>);

struct Taken {
    artifact: Artifact,
    content: ObjectHash,
    tree: Arc<dyn Tree>,
    shared: Arc<Shared>,
}

/// Publishes what the source offers, unless that is known.
pub async fn reconcile(context: &Context, key: &Key, state: &mut State, wake: Wake) -> Next {
    // One that is ours by now goes on with a task of its own.
    let sight = context.foreign.sight(key);
    let Some(sight) = sight.filter(|_| context.is_foreign(key)) else {
        context.foreign.set_trouble(key, None);
        context.withdraw(key);
        return Next::Gone;
    };
    let Some(artifact) = sight.artifact else {
        return Next::OnEvent;
    };
    match take(context, state, artifact).await {
        Ok(false) => Next::OnEvent,
        Ok(true) => {
            context.foreign.set_trouble(key, None);
            if let Some(taken) = &state.0 {
                let told = wake.told.unwrap_or_else(Instant::now);
                context.publish(key, snapshot(taken, told));
            }
            Next::OnEvent
        }
        Err(error) => {
            let (name, namespace, kind) = (&key.name, &key.namespace, key.kind.name());
            tracing::warn!(controllerKind = kind, name, namespace, %error, "artifact not taken");
            if context.foreign.set_trouble(key, Some(error.to_string())) {
                let topic = Topic::Source(key.clone());
                context.schedule.publish(&topic, &Wake::source());
            }
            Next::Backoff(RETRY)
        }
    }
}

/// Downloads what is not there yet; false when it is what was published last.
async fn take(
    context: &Context,
    state: &mut State,
    artifact: Artifact,
) -> Result<bool, ArtifactError> {
    let known = state
        .0
        .as_mut()
        .filter(|taken| taken.artifact.digest == artifact.digest);
    if let Some(taken) = known {
        let renamed = taken.artifact.revision != artifact.revision;
        taken.artifact = artifact;
        return Ok(renamed);
    }
    let unpacked = download(&context.foreign.client, &artifact).await?;
    state.0 = Some(Taken {
        artifact,
        content: unpacked.content(),
        tree: Arc::new(unpacked),
        shared: Arc::default(),
    });
    Ok(true)
}

fn snapshot(taken: &Taken, told: Instant) -> Snapshot {
    Snapshot {
        revision: taken.artifact.revision.clone(),
        origin_revision: taken.artifact.metadata.get(ORIGIN_REVISION).cloned(),
        commit: None,
        since: told.into_std(),
        content: taken.content,
        tree: taken.tree.clone(),
        shared: taken.shared.clone(),
    }
}
