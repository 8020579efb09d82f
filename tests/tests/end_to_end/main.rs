//! Weir as its users have it: a commit is pushed, and objects come, change and go in a real API server.
//!
//! One program, so that all tests share one control plane; one file a theme, one namespace a test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod canaries;
mod deploy;
mod drift;
mod editing;
mod endings;
mod examples;
mod failures;
mod fights;
mod key_services;
mod kill;
mod outages;
mod owners;
mod prune;
mod quiet;
mod restart;
mod secrets;
mod sources;
mod variables;
mod wait;
mod weather;
