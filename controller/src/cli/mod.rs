//! The command line: one file a command, one table of commands, one place that turns results into exit codes.

mod affected;
mod applied;
mod apply;
mod bootstrap;
mod build;
mod cache;
mod ci_job;
mod comment;
mod completion;
mod connection;
mod dev;
mod diff;
mod env;
mod envs;
mod events;
mod failure;
mod features;
mod flags;
mod fleet;
mod forge_flags;
mod gate_flags;
mod get;
mod history;
mod init;
mod key_services;
mod lint;
mod output;
mod plan;
mod plan_text;
mod promote;
mod promotion_flags;
mod proxies;
mod reconcile;
mod rollback;
mod run;
mod secrets;
mod sops_flags;
mod table;
mod trace;
mod version;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, Parser, Subcommand};

pub use failure::Failure;

/// How a command ended when it did not fail. Failures exit 1, and so do usage errors: 2 means "changes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well; nothing differs.
    Success,
    /// Something differs or would change.
    Changes,
    /// Something would be deleted, or more would change than one stage.
    GraveChanges,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Changes => Self::from(2),
            Exit::GraveChanges => Self::from(3),
        }
    }
}

/// What a command gives.
pub type Outcome = Result<Exit, Failure>;

/// Weir's own namespace where the environment names none.
const DEFAULT_NAMESPACE: &str = "flux-system";

const EXAMPLES: &str = "\
Examples:
  weir build envs/prod-eu                 print what an environment is made of
  weir envs                               what environments there are, and whether they build
  weir plan --from main                   what a change does to each of them
  weir lint                               mistakes in the repository
  weir diff apps -n flux-system           what the next reconcile would change
  weir dev envs/dev --apply               the same at every save, and into the developer's own cluster
  weir get kustomizations -A              what is Ready, at which revision
  weir trace Deployment/shop -n apps      where it comes from: commit, author, file and line
  weir promote staging prod shop          what one stage has into the next, its effect first
  weir reconcile apps --with-source       pull and apply now, and wait for the result
  weir run                                the controller

Exit codes: 0 success or no difference, 1 error (usage errors too), 2 differences, 3 differences that delete.";

/// Keeps a Kubernetes cluster at the level that Git says.
#[derive(Parser)]
#[command(name = "weir", version, about, after_help = EXAMPLES, max_term_width = 110)]
struct Arguments {
    /// When to print colours.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value a process")]
enum Command {
    Build(build::Args),
    Envs(envs::Args),
    Plan(plan::Args),
    Affected(affected::Args),
    Apply(apply::Args),
    Comment(comment::Args),
    Lint(lint::Args),
    Dev(dev::Args),
    Diff(diff::Args),
    Events(events::Args),
    Get(get::Args),
    Promote(promote::Args),
    Rollback(rollback::Args),
    History(history::Args),
    Reconcile(reconcile::Args),
    Secrets(secrets::Args),
    Env(env::Args),
    Init(init::Args),
    Bootstrap(bootstrap::Args),
    Trace(trace::Args),
    Version(version::Args),
    Run(run::Args),
    Completion(completion::Args),
}

/// Parses the arguments, runs the command, prints its failure, gives the exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match arguments.color {
        ColorChoice::Auto => {}
        ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
        ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
    }
    match dispatch(arguments.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Build(args) => build::run(&args),
        Command::Envs(args) => envs::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Affected(args) => affected::run(&args),
        Command::Apply(args) => asynchronously(apply::run(args)),
        Command::Comment(args) => asynchronously(comment::run(args)),
        Command::Lint(args) => lint::run(&args),
        Command::Dev(args) => asynchronously(dev::run(args)),
        Command::Diff(args) => asynchronously(diff::run(args)),
        Command::Events(args) => asynchronously(events::run(args)),
        Command::Get(args) => asynchronously(get::run(args)),
        Command::Promote(args) => promote::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::History(args) => history::run(&args),
        Command::Reconcile(args) => asynchronously(reconcile::run(args)),
        Command::Secrets(args) => secrets::run(&args),
        Command::Bootstrap(args) => asynchronously(bootstrap::run(args)),
        Command::Init(args) => init::run(&args),
        Command::Env(args) => asynchronously(env::run(args)),
        Command::Trace(args) => asynchronously(trace::run(args)),
        Command::Version(args) => version::run(&args),
        Command::Run(args) => asynchronously(run::run(args)),
        Command::Completion(args) => completion::run(&args, &mut Arguments::command()),
    }
}

/// Help and version are no failures; everything else that clap refuses exits 1, because 2 means "changes".
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice; there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs a command that talks to a cluster. The runtime starts here, so that `weir build` never pays for one.
fn asynchronously<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    crate::cluster::install_crypto();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("starting the runtime: {error}")))?
        .block_on(command)
}

/// The namespace that Weir runs in, or would.
fn own_namespace() -> String {
    setting("RUNTIME_NAMESPACE").unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
}

/// What a variable of the environment holds, if anything.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
