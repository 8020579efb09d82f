//! What differs between an object that a generator names anew and the one that was there before it.

use overlay::yaml::{Secrets, to_json};

use super::approximate::merged;
use super::changes::{Mask, changes};
use super::client::Client;
use super::error::Error;
use super::plan::{Change, Step};
use super::redact::Redactor;

/// The leaves in which a step's object differs from the live one of another name; none when that is gone, or may not be
/// read.
pub(crate) async fn changes_since(
    client: &Client,
    step: &Step,
    name: &str,
    redactor: &Redactor,
) -> Result<Vec<Change>, Error> {
    let Some(resource) = &step.resource else {
        return Ok(Vec::new());
    };
    let mut id = step.id.clone();
    id.name = name.to_owned();
    let live = match client.get(&resource.object_path(&id)).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) if error.refusal().is_some_and(|it| it.is_forbidden()) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mask = Mask::new(&step.object, &live, redactor);
    let wanted = to_json(&step.object.node, Secrets::Revealed);
    Ok(changes(&live, &merged(&live, &wanted, None), &mask))
}
