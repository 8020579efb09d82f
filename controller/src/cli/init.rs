//! `weir init`: lay out a repository, or add what an old one lacks.

use std::path::Path;

use anstream::{eprintln, print, println};
use overlay::Tree;

use super::fleet::{Fleet, unreadable};
use super::promote::git::Git;
use super::{Exit, Failure, Outcome};
use crate::comparison::show::visible;
use crate::environments::{self, Graph, Settings};
use crate::layout::{Wish, missing};
use crate::promotion::overlaid::{Changes, Overlaid};

const EXAMPLES: &str = "\
Examples:
  weir init                                      a new repository: stages, environments and clusters staging and prod
  weir init --env prod-eu=prod --env prod-us=prod --env staging
                                                 with these environments; behind `=` the stage
  weir init --recipient age1…                    and a rule by which secrets are encrypted
  weir init --dry-run                            what would be written, and nothing else

In a repository that has environments already, each that no cluster brings gets a folder under clusters/.
Files that are there stay as they are. Nothing is committed.";

/// Lay out a new repository, or add what is missing to an old one.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An environment, and the stage that it extends (default: of its own name); may be repeated.
    #[arg(long = "env", value_name = "ENVIRONMENT[=STAGE]", value_parser = wish)]
    environments: Vec<Wish>,
    /// The age recipient that secrets are encrypted for.
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    fleet: Fleet,
}

fn wish(text: &str) -> Result<Wish, String> {
    let (environment, stage) = text.split_once('=').unwrap_or((text, text));
    let is_name = |name: &str| {
        let is_part = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(is_part)
    };
    match is_name(environment) && is_name(stage) {
        true => Ok(Wish {
            environment: environment.to_owned(),
            stage: stage.to_owned(),
        }),
        false => Err("names are letters, digits, `-`, `_` and `.`".to_owned()),
    }
}

/// Looks at what is there, and writes what is not.
pub(super) fn run(args: &Args) -> Outcome {
    if let Some(recipient) = &args.recipient {
        super::env::check(recipient)?;
    }
    let folder = args.fleet.folder()?;
    let tree = args.fleet.open(None)?;
    let settings = args.fleet.settings()?;
    let graph = environments::graph(tree.as_ref(), &settings).map_err(unreadable)?;
    let wishes = match args.environments.is_empty() && graph.environments.is_empty() {
        true => ["staging", "prod"]
            .map(wish)
            .into_iter()
            .filter_map(Result::ok)
            .collect(),
        false => args.environments.clone(),
    };
    let recipient = args.recipient.as_deref();
    let changes = missing(tree.as_ref(), &graph, &wishes, recipient).map_err(unreadable)?;
    if changes.is_empty() {
        println!("Nothing is missing.");
        return Ok(Exit::Success);
    }
    let after = built(tree.as_ref(), &changes, &graph, &settings)?;
    if !args.dry_run {
        write(&folder, &changes)?;
    }
    print!("{}", told(args, &changes, &after));
    Ok(Exit::Success)
}

/// The graph as it will be; what builds now builds then.
fn built(
    tree: &dyn Tree,
    changes: &Changes,
    before: &Graph,
    settings: &Settings,
) -> Result<Graph, Failure> {
    let overlaid = Overlaid::new(tree, changes);
    let after = environments::graph(&overlaid, settings).map_err(unreadable)?;
    let count = |graph: &Graph| graph.environments.iter().filter(|it| it.fails()).count();
    let broken = after.environments.iter().find(|it| it.fails());
    match broken.filter(|_| count(&after) > count(before)) {
        Some(broken) => {
            let failures = environments::facts(broken, &after.folders).failures;
            let why = failures
                .first()
                .map(|(_, why)| why.clone())
                .unwrap_or_default();
            Err(Failure::new(format!(
                "{} would not build, and nothing was written: {why}",
                broken.name
            )))
        }
        None => Ok(after),
    }
}

fn write(folder: &Path, changes: &Changes) -> Result<(), Failure> {
    Git::at(folder).write(changes)?;
    if !folder.join(".git").exists() && Git::at(folder).run(&["rev-parse", "--git-dir"]).is_err() {
        eprintln!(
            "warning: {} is no Git repository yet: `git init`",
            folder.display()
        );
    }
    Ok(())
}

fn told(args: &Args, changes: &Changes, after: &Graph) -> String {
    let verb = if args.dry_run {
        "would be written"
    } else {
        "written"
    };
    let files: String = changes
        .keys()
        .map(|path| format!("  {}\n", visible(path)))
        .collect();
    let names: Vec<&str> = after
        .environments
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let mut text = format!(
        "{verb}:\n{files}\nenvironments: {}\n",
        visible(&names.join(", "))
    );
    if !args.dry_run {
        text.push_str("\nthen: weir lint, commit, push, and for each cluster: weir bootstrap --path clusters/NAME\n");
    }
    text
}
