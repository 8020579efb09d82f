//! What differs between an object that a generator names anew and the one that was there before it.

use overlay::ObjectId;
use overlay::yaml::{Secrets, to_json};

use super::approximate::merged;
use super::changes::{Mask, changes};
use super::client::Client;
use super::error::Error;
use super::once_secret::OnceSecret;
use super::plan::{Change, Step};
use super::redact::Redactor;

/// What was there under another name.
#[derive(Debug, Default)]
pub(crate) struct Predecessor {
    /// Its unique id.
    pub(crate) uid: Option<String>,
    /// The leaves in which what comes differs from it.
    pub(crate) changes: Vec<Change>,
}

/// The live object in whose place a step's object comes; nothing is known of one that is gone, or may not be read.
pub(crate) async fn predecessor(
    client: &Client,
    step: &Step,
    old: &ObjectId,
    redactor: &Redactor,
    once: &OnceSecret,
) -> Result<Predecessor, Error> {
    let Some(resource) = &step.resource else {
        return Ok(Predecessor::default());
    };
    let live = match client.get(&resource.object_path(old)).await {
        Ok(live) => live,
        Err(error) if is_out_of_sight(&error) => return Ok(Predecessor::default()),
        Err(error) => return Err(error),
    };
    let mask = Mask::new(&step.object, &live, redactor).and_once(once.of(old));
    let wanted = to_json(&step.object.node, Secrets::Revealed);
    Ok(Predecessor {
        uid: live["metadata"]["uid"].as_str().map(str::to_owned),
        changes: changes(&live, &merged(&live, &wanted, None), &mask),
    })
}

fn is_out_of_sight(error: &Error) -> bool {
    error.is_not_found() || error.refusal().is_some_and(|it| it.is_forbidden())
}
