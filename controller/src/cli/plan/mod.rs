//! `weir plan`: what a change of the repository does to its environments, before it is merged.

pub(super) mod offline;

use anstream::print;
use clap::ValueEnum;
use serde_json::to_string_pretty;

use super::fleet::Fleet;
use super::{Exit, Failure, Outcome};
use crate::comparison::json::Sides;
use crate::comparison::text::Detail;
use crate::comparison::{Comparison, Counts, html, json, markdown, text};

const EXAMPLES: &str = "\
Examples:
  weir plan                                what the files on disk do, against main
  weir plan --from main --to HEAD          what the commits of this branch do
  weir plan prod-eu                        in one environment, or one stage
  weir plan platform/ingress-nginx         in all that is made of a folder
  weir plan flux-system/apps               in all Kustomizations of a name
  weir plan --short                        objects without their fields; --stat only counts
  weir plan -o markdown > comment.md       as a comment on a pull request
  weir plan -o html > plan.html            as one page

Needs neither a cluster nor a key: what only these know is said to be known after apply.
Exit codes: 0 nothing changes, 2 something does, 3 something is pruned or replaced, 1 error: an environment no longer
builds, or the command itself failed.";

/// Print what a change does to each environment.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An environment or a stage, a folder, or a Kustomization; default all.
    #[arg(value_name = "ENVIRONMENT|PATH|KUSTOMIZATION")]
    target: Option<String>,
    /// The revision before.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    from: String,
    /// The revision after; default the files on disk.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Objects without their fields.
    #[arg(long, conflicts_with = "stat")]
    short: bool,
    /// Counts only, one line an environment.
    #[arg(long)]
    stat: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    fleet: Fleet,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// A comment on a pull request.
    Markdown,
    /// One page that needs nothing else.
    Html,
}

/// Compares and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let (target, to) = (args.target.as_deref(), args.to.as_deref());
    let comparison = offline::compared(&args.fleet, target, &args.from, to)?;
    print!("{}", rendered(args, &comparison));
    exit(&comparison)
}

/// What the sides are called.
fn sides(args: &Args) -> Sides {
    Sides {
        from: args.from.clone(),
        to: args.to.clone().unwrap_or_else(|| "work tree".to_owned()),
    }
}

fn rendered(args: &Args, comparison: &Comparison) -> String {
    let sides = sides(args);
    let detail = match (args.short, args.stat) {
        (true, _) => Detail::Objects,
        (_, true) => Detail::Counts,
        _ => Detail::Leaves,
    };
    match args.output {
        Format::Text => text::render(comparison, detail),
        Format::Json => {
            let value = json::value(comparison, &sides);
            to_string_pretty(&value).unwrap_or_default() + "\n"
        }
        Format::Markdown => markdown::render(comparison, &sides, &markdown::Heading::default()),
        Format::Html => html::render(comparison, &sides.from, &sides.to),
    }
}

fn exit(comparison: &Comparison) -> Outcome {
    if comparison.breaks() {
        return Err(Failure::new("an environment no longer builds"));
    }
    let counts = Counts::of(comparison);
    Ok(
        match (counts.deletes(), comparison.environments.is_empty()) {
            (true, _) => Exit::GraveChanges,
            (false, true) => Exit::Success,
            (false, false) => Exit::Changes,
        },
    )
}
