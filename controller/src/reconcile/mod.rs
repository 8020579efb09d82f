//! The pipeline on one screen, and when it runs: events, dependencies, retries, finalizers.

pub mod schedule;
