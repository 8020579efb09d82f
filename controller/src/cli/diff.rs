//! `weir diff PATH|KUSTOMIZATION`: the plan that the next reconcile of one Kustomization would execute, printed.

use std::path::PathBuf;

use super::Outcome;
use super::fleet::Fleet;
use super::plan::live::{Files, LiveFlags, Site};
use super::plan::printing::Printing;
use crate::comparison::json::Sides;

const EXAMPLES: &str = "\
Examples:
  weir diff apps                  Kustomization flux-system/apps, with the files of this work tree
  weir diff envs/prod-eu          the Kustomizations of the cluster that build this folder
  weir diff apps --source ../fleet

The same as `weir plan --live`, for one target: files come from the work tree, committed or not, the API server checks
every object by a dry-run, and nothing is written. Secret values print as ***.
Exit codes: 0 nothing would change, 2 something would, 3 something would be pruned or replaced, 1 error.";

/// Print what the next reconcile would change.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A folder, or the name of a Kustomization.
    #[arg(value_name = "PATH|KUSTOMIZATION")]
    target: String,
    /// The folder that holds what the Kustomization's source holds; default the enclosing Git work tree.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    live: LiveFlags,
}

/// Plans and prints.
pub(super) async fn run(args: Args) -> Outcome {
    let fleet = Fleet::new(args.source.clone(), None, Vec::new());
    let files = Files {
        fleet: &fleet,
        target: Some(&args.target),
        from: None,
        to: None,
    };
    let site = Site::open(&args.live, &files).await?;
    let scope = site.scope(files.target, &args.live.connection.namespace)?;
    let plan = site.plan(&scope).await?;
    let sides = Sides {
        from: args.live.name(),
        to: "work tree".to_owned(),
        is_live: true,
    };
    args.printing.print(&site.compared(&plan), &sides)
}
