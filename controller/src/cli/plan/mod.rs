//! `weir plan`: what a change of the repository does to its environments, or to a cluster, before it is merged.

pub(super) mod live;
pub(super) mod offline;
pub(super) mod printing;
pub(super) mod saving;

use std::path::PathBuf;

use super::fleet::Fleet;
use super::{Failure, Outcome, asynchronously};
use crate::comparison::json::Sides;
use live::{Files, LiveFlags, Site};
use printing::Printing;

const EXAMPLES: &str = "\
Examples:
  weir plan                                what the files on disk do, against main
  weir plan --from main --to HEAD          what the commits of this branch do
  weir plan prod-eu                        in one environment, or one stage
  weir plan platform/ingress-nginx         in all that is made of a folder
  weir plan flux-system/apps               in all Kustomizations of a name
  weir plan --context prod-eu              what the files on disk would do to a cluster: every object is dry-run there
  weir plan --context prod-eu --from main  the same, and what differs there without this change is told apart
  weir plan --context prod-eu --save plan.json   for `weir apply --plan plan.json`: this and nothing else
  weir plan --short                        objects without their fields; --stat only counts
  weir plan -o markdown > comment.md       as a comment on a pull request
  weir plan -o html > plan.html            as one page

Without a cluster it needs no key either: what only these know is said to be known after apply.
Exit codes: 0 nothing changes, 2 something does, 3 something is pruned or replaced, 1 error: an environment no longer
builds, the API server refuses an object, or the command itself failed.";

/// Where the earlier side is, unless something else is said.
const MAIN: &str = "main";

/// What is saved, unless something else is said.
const HEAD: &str = "HEAD";

/// Print what a change does to each environment.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// An environment or a stage, a folder, or a Kustomization; default all.
    #[arg(value_name = "ENVIRONMENT|PATH|KUSTOMIZATION")]
    target: Option<String>,
    /// The revision before; default `main`, and with a cluster none: then what is there counts.
    #[arg(long, value_name = "REVISION")]
    from: Option<String>,
    /// The revision after; default the files on disk, and with `--save` the last commit.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Write the plan of a commit against a cluster to a file, for `weir apply --plan`.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    fleet: Fleet,
    #[command(flatten)]
    live: LiveFlags,
}

/// Compares and prints.
pub(super) fn run(args: &Args) -> Outcome {
    if args.live.is_asked() {
        return asynchronously(against_cluster(args));
    }
    if args.save.is_some() {
        return Err(Failure::with_hint(
            "only a plan against a cluster is saved",
            "name the cluster with --context",
        ));
    }
    let from = args.from.as_deref().unwrap_or(MAIN);
    let (target, to) = (args.target.as_deref(), args.to.as_deref());
    let comparison = offline::compared(&args.fleet, target, from, to)?;
    args.printing.print(&comparison, &sides(args, from, false))
}

async fn against_cluster(args: &Args) -> Outcome {
    // What is on disk has no name by which it could be found again.
    let to = match (&args.to, &args.save) {
        (None, Some(_)) => Some(HEAD),
        (to, _) => to.as_deref(),
    };
    let files = Files {
        fleet: &args.fleet,
        target: args.target.as_deref(),
        from: args.from.as_deref(),
        to,
    };
    let site = Site::open(&args.live, &files).await?;
    let scope = site.scope(files.target, &args.live.connection.namespace)?;
    let plan = site.plan(&scope).await?;
    let mut sides = sides(args, &args.live.name(), true);
    sides.to = to.map_or(sides.to, str::to_owned);
    let comparison = site.compared(&plan);
    let outcome = args.printing.print(&comparison, &sides);
    if let (Some(file), Some(to), Ok(_)) = (&args.save, to, &outcome) {
        saving::save(
            file,
            &site,
            &plan,
            &comparison,
            saving::header(&site, args, to).await?,
        )?;
    }
    outcome
}

/// What the sides are called.
fn sides(args: &Args, from: &str, is_live: bool) -> Sides {
    Sides {
        from: from.to_owned(),
        to: args.to.clone().unwrap_or_else(|| "work tree".to_owned()),
        is_live,
    }
}
