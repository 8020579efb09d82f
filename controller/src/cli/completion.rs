//! `weir completion SHELL`: completions for a shell, on standard output.

use clap_complete::Shell;

use super::{Exit, Outcome};

/// Print completions for a shell, for example `source <(weir completion bash)`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the completions.
pub(super) fn run(args: &Args, command: &mut clap::Command) -> Outcome {
    clap_complete::generate(args.shell, command, "weir", &mut std::io::stdout());
    Ok(Exit::Success)
}
