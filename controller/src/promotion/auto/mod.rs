//! Promotion that nobody starts: what environments say of themselves, and what follows from it.
//!
//! ```text
//! refs/weir/state/* ──hear──▶ Heard ┐
//! tree, weir.yaml ──pending──▶ Pending ┴─decide, with the clock──▶ Decision
//! ```
//! Everything here is a function of what was read; who promotes and pushes is the caller's business.

pub mod chronicle;
pub mod decide;
pub mod hear;
pub mod pending;
pub mod published;
pub mod running;
pub mod waves;

pub use decide::{Decision, Verdict, decide};
pub use hear::{Heard, hear};
pub use pending::{Pending, pending};
pub use published::Published;
