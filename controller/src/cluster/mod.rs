//! All that is asked of the API server about managed objects: identity, discovery, plan, apply, prune, inventory.
//!
//! ```text
//! Wanted + Known ──plan──▶ Plan ──apply──▶ ChangeSet ──prune──▶ ChangeSet
//!                 (Live ◀── shared metadata watches ── Changed)
//! ```
//! Every request is sent by a [`Client`], which carries an [`Identity`]. Requests for a Kustomization's objects carry
//! its own, with two exceptions: the shared watches (and the question which cluster they watch), and reading the ConfigMaps and Secrets that it refers to.

pub mod apply;
mod approximate;
mod await_gone;
pub mod change_set;
pub(crate) mod changes;
mod check;
mod clean_up;
pub mod client;
mod cluster_id;
mod connect;
pub mod difference;
pub mod discovery;
pub mod error;
pub mod fence;
mod held_fields;
pub mod identity;
pub mod ignore;
mod in_flight;
mod in_force;
pub mod inventory;
pub mod kubeconfig;
mod left_alone;
mod limit;
pub mod live;
pub mod managed_fields;
mod may_apply;
mod normalise;
mod once_secret;
pub mod order;
pub mod owner;
pub mod plan;
mod planning;
mod predecessor;
pub mod prune;
mod published;
pub(crate) mod redact;
mod replaced;
mod settings;
mod token;
pub mod traffic;
mod transport;
mod undeclared;
pub mod watch;

pub use apply::{Applied, apply};
pub use await_gone::await_termination;
pub use change_set::{ChangeSet, Done, Entry};
pub use client::{Client, Cluster, install_crypto};
pub use cluster_id::cluster_id;
pub use error::{Act, Error, ObjectError, Refusal};
pub use fence::Fence;
pub use identity::Identity;
pub use ignore::{IgnoreRule, Pointer};
pub use inventory::Inventory;
pub use limit::{Turn, in_turn, when_nobody_else_asks};
pub use live::{Drift, Live, ObjectKey, Observed, Proof, Proofs};
pub use managed_fields::{Digest, Rival};
pub use once_secret::OnceSecret;
pub use owner::Owner;
pub use plan::{
    Action, Beside, Change, Known, Plan, Recorded, Shown, Skip, Step, Unchecked, Wanted,
};
pub use planning::{learn, plan};
pub(crate) use predecessor::predecessor;
pub use prune::{Fate, Kept, Pruned, look, prune};
pub(crate) use settings::kept_by_itself;
pub use token::issue_token;
pub use traffic::Traffic;
pub use transport::Limits;
pub use watch::{Changed, How, Report, Watches};
