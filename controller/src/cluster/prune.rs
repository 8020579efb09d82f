//! Deletes what is no longer wanted, each object only with proof that it is ours.

use std::time::Duration;

use overlay::ObjectId;

use super::change_set::ChangeSet;
use super::client::Client;
use super::error::{Error, ObjectError};
use super::live::Proofs;
use super::owner::Owner;

/// What became of the objects that were to be deleted.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// `deleted` and `skipped` entries, in order. Skipped objects leave the inventory.
    pub changes: ChangeSet,
    /// What could not be deleted. These objects stay in the inventory.
    pub errors: Vec<ObjectError>,
}

/// Deletes objects, given in deletion order. `proofs` holds the unique ids of those that this process applied.
pub async fn prune(
    client: &Client,
    owner: &Owner,
    objects: &[ObjectId],
    proofs: &Proofs,
) -> Pruned {
    let _ = (client, owner, objects, proofs);
    Pruned::default()
}

/// Waits until none of these objects of this owner is left, or the time is over; gives back those that are left.
pub async fn await_termination(
    client: &Client,
    owner: &Owner,
    objects: &[ObjectId],
    timeout: Duration,
) -> Result<Vec<ObjectId>, Error> {
    let _ = (client, owner, timeout);
    Ok(objects.to_vec())
}
