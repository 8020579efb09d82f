//! Weir keeps a Kubernetes cluster at the level that Git says.
//!
//! ```text
//! source ──Snapshot──▶ overlay (opener: sops) ──[Object]──▶ vars ──▶ cluster::plan ──Plan──▶ apply ──▶ prune
//!                                                                                   health ──▶ report
//! ```
//! `reconcile` is the only room that names all stages; `cli` cuts the same road shorter. `source`, `cluster`
//! and `health` do not know each other; `report` and `web` only read.

pub mod api;
mod claim;
pub mod cli;
pub mod cluster;
pub mod comparison;
pub mod environments;
pub mod expression;
pub mod forge;
pub mod health;
pub mod layout;
pub mod lint;
pub mod live;
pub mod new_environment;
pub mod promotion;
pub mod reconcile;
pub mod report;
mod signature_v4;
pub mod source;
pub mod unwrap;
pub mod web;
