//! `weir promote`, `weir rollback` and `weir history` as a program, on real Git repositories and real Git servers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod automatic;
mod deciding;
mod effects;
mod fleet;
mod health;
mod merging;
mod overriding;
mod past;
mod staying;
mod trunk;
mod undoing;
mod writing;
