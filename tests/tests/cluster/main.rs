//! Plan, apply and prune against a real API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod account;
mod deploy;
mod identities;
mod pruning;
mod secrets;
mod site;
mod update;
mod watching;
