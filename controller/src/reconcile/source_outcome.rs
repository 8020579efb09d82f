//! The end of a look at a source of any kind: what is logged, told and counted, and when to look again.

use std::time::Duration;

use super::context::Context;
use super::record::RecordError;
use super::schedule::{Key, Next};
use crate::api::duration;
use crate::api::meta::Artifact;
use crate::report::events::Event;
use crate::report::metrics::RunResult;
use crate::report::source::Trouble;

/// How often a source is looked at whose interval cannot be read.
const INTERVAL: Duration = Duration::from_secs(60);

/// The longest pause after failures.
pub(super) const RETRY: Duration = Duration::from_secs(15 * 60);

/// A look whose status is written.
pub(super) struct Outcome<'a> {
    /// What is stored, or why nothing is.
    pub(super) found: Result<&'a Artifact, &'a Trouble>,
    /// What is new.
    pub(super) event: Option<Event>,
    /// The source's interval.
    pub(super) interval: &'a str,
    /// How long it took.
    pub(super) took: Duration,
}

/// Tells of a look, and says when the next is due.
pub(super) fn conclude(context: &Context, key: &Key, outcome: Outcome<'_>) -> Next {
    log(key, &outcome);
    if let Some(event) = outcome.event {
        context.events.send(event);
    }
    let interval = duration::parse(outcome.interval).unwrap_or(INTERVAL);
    let (result, next) = match outcome.found {
        Ok(_) => (RunResult::Success, Next::After(interval)),
        Err(trouble) if trouble.stalled => (RunResult::Error, Next::OnEvent),
        Err(_) => (RunResult::Error, Next::Backoff(RETRY)),
    };
    context.metrics.run(key, outcome.took, result);
    next
}

fn log(key: &Key, outcome: &Outcome<'_>) {
    let (name, namespace, kind) = (&key.name, &key.namespace, key.kind.name());
    let took = outcome.took;
    match outcome.found {
        Ok(artifact) => tracing::info!(
            controllerKind = kind,
            name,
            namespace,
            revision = artifact.revision,
            ?took,
            "source is up to date"
        ),
        Err(trouble) => tracing::error!(
            controllerKind = kind,
            name,
            namespace,
            reason = trouble.reason,
            error = trouble.message,
            ?took,
            "source failed"
        ),
    }
}

/// What to do when a status could not be written: nothing for an object that is gone, else another try.
pub(super) fn unwritten(key: &Key, error: &RecordError) -> Next {
    if error.is_gone() {
        return Next::OnEvent;
    }
    tracing::error!(%error, name = key.name, namespace = key.namespace, "status not written");
    Next::Backoff(RETRY)
}
