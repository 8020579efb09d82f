//! The pipeline on one screen, and when it runs: events, dependencies, retries, finalizers.

pub mod context;
pub mod dependencies;
pub mod gate;
pub mod record;
pub mod schedule;
pub mod support;
