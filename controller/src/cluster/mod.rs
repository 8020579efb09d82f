//! All that is asked of the API server about managed objects: identity, discovery, plan, apply, prune, inventory.
//!
//! ```text
//! Wanted + Known ──plan──▶ Plan ──apply──▶ ChangeSet ──prune──▶ ChangeSet
//!                 (Live ◀── shared metadata watches ── Changed)
//! ```

pub mod apply;
pub mod change_set;
pub mod client;
pub mod discovery;
pub mod error;
pub mod identity;
pub mod inventory;
pub mod live;
pub mod managed_fields;
pub mod order;
pub mod owner;
pub mod plan;
pub mod prune;
mod transport;
pub mod watch;

pub use apply::{Applied, apply};
pub use change_set::{ChangeSet, Done, Entry};
pub use client::{Client, Cluster, install_crypto};
pub use error::{Act, Error, ObjectError, Refusal};
pub use identity::Identity;
pub use inventory::Inventory;
pub use live::{Drift, Live, ObjectKey, Observed, Proof, Proofs};
pub use owner::Owner;
pub use plan::{Action, Change, Known, Plan, Shown, Step, Wanted, plan};
pub use prune::{Pruned, await_termination, prune};
pub use transport::Limits;
pub use watch::{Changed, How, Report, Watches};
