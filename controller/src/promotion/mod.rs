//! Promotion: what one stage has becomes what the next one has, merged leaf by leaf, with its effect shown first.
//!
//! ```text
//! names ──scope──▶ apps ──base, merge──▶ [AppChange] ──effect──▶ Comparison, refusals ──▶ Promotion
//! ```
//! Everything here reads Git's objects and writes nothing; who commits and pushes is the caller's business.

pub mod auto;
pub mod base;
pub mod effect;
mod entry;
pub mod file;
pub mod files;
pub mod health;
pub mod leak;
pub mod markers;
pub mod merge;
pub mod message;
pub mod overlaid;
pub mod plan;
pub mod policy;
pub mod prepare;
pub mod record;
mod references;
pub mod refusal;
mod renames;
pub mod rollback;
pub mod route;
pub mod scope;
mod signed;
pub mod state;
pub mod timeline;
mod told_source;
pub mod trunk;

pub use plan::{Promotion, Request, plan};
