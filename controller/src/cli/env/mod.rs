//! `weir env`: make environments.

mod create;
mod key;
mod recipient;

pub(super) use recipient::check;

use super::Outcome;

/// Make environments; `weir envs` lists them.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Create(create::Args),
}

/// Runs the subcommand.
pub(super) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::Create(args) => create::run(&args).await,
    }
}
