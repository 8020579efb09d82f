//! Before anything is deleted for a new snapshot, every Kustomization of its source has said what it wants of it:
//! so that an object that moves from one to another is handed over, not deleted and made again.

use std::time::Duration;

use kube::ResourceExt;

use super::context::Context;
use super::dependencies::source_key;
use super::desired::Brought;
use super::schedule::Key;
use crate::api::kustomization::Kustomization;

/// How long others are waited for. They render one after another, and some apply thousands of objects first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until every other Kustomization of the source that is not suspended has been rendered at this snapshot
/// or verified unchanged, those included that others are about to apply. Gives back who was waited for in vain.
pub async fn all_rendered(
    context: &Context,
    key: &Key,
    source: &Key,
    number: u64,
) -> Result<(), Key> {
    let all = context.kustomizations.state();
    let keys = all
        .iter()
        .filter(|object| counts(object, source))
        .map(|object| key_of(object));
    for other in keys.filter(|other| other != key) {
        let is_rendered = || !awaited(context, &other, source, number, 0);
        until(context, is_rendered)
            .await
            .map_err(|()| other.clone())?;
    }
    for (parent, child) in context.desired.brings() {
        if child == *key || !is_of(context, &parent, source) {
            continue;
        }
        let is_rendered = || is_brought(context, key, &parent, &child, source, number);
        until(context, is_rendered)
            .await
            .map_err(|()| child.clone())?;
    }
    Ok(())
}

/// Waits until one Kustomization has been rendered at this snapshot, or does not count any more.
pub async fn rendered(context: &Context, other: &Key, source: &Key, number: u64) {
    // In vain or not: what it last wanted is what is known.
    let _ = until(context, || !awaited(context, other, source, number, 0)).await;
}

/// Waits for a state of the books, or for the end of patience or process.
async fn until(context: &Context, holds: impl Fn() -> bool) -> Result<(), ()> {
    let mut moves = context.desired.moves();
    let waiting = async {
        // The books outlive all who wait.
        while !holds() && moves.changed().await.is_ok() {}
    };
    tokio::select! {
        () = waiting => Ok(()),
        () = tokio::time::sleep(PATIENCE) => Err(()),
        () = context.schedule.stopped() => Err(()),
    }
}

fn key_of(object: &Kustomization) -> Key {
    Key::kustomization(object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether a Kustomization takes part: it is of the source, and neither suspended nor on its way out.
fn counts(object: &Kustomization, source: &Key) -> bool {
    let namespace = object.namespace().unwrap_or_default();
    object.spec.suspend != Some(true)
        && object.metadata.deletion_timestamp.is_none()
        && source_key(&object.spec, &namespace).as_ref() == Some(source)
}

fn is_of(context: &Context, key: &Key, source: &Key) -> bool {
    let object = context.kustomization(key);
    object.is_some_and(|object| counts(&object, source))
}

fn awaited(context: &Context, other: &Key, source: &Key, number: u64, generation: i64) -> bool {
    is_of(context, other, source) && !context.desired.is_rendered(other, number, generation)
}

/// Whether a Kustomization that another one applies has been rendered as it is applied now.
fn is_brought(
    context: &Context,
    key: &Key,
    parent: &Key,
    child: &Key,
    source: &Key,
    number: u64,
) -> bool {
    match context.desired.bringing(parent, child, number) {
        Brought::Left => true,
        // A run does not wait for its own end.
        Brought::Pending => parent == key,
        Brought::Applied(generation) => match context.kustomization(child) {
            None => false,
            Some(object) if object.metadata.generation < Some(generation) => false,
            Some(_) => !awaited(context, child, source, number, generation),
        },
    }
}
