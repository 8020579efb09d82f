//! `weir version`: what is running.

use anstream::println;

use super::{Exit, Outcome};

/// Print the version of this program.
#[derive(clap::Args)]
pub(super) struct Args {}

/// Prints the version.
pub(super) fn run(_: &Args) -> Outcome {
    println!("weir {}", env!("CARGO_PKG_VERSION"));
    Ok(Exit::Success)
}
