//! Environments as commands see them: repositories of each shape, what a change does to them, and every form of output.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod affected;
mod building;
mod creating;
mod differing;
mod example;
mod forms;
mod golden;
mod keeping;
mod laying_out;
mod leaving;
mod likeness;
mod linting;
mod moves;
mod offline;
mod said;
mod secrets_linted;
mod shapes;
mod sharing;
mod warm;
