//! `weir promote FROM TO [APP…]`: what one stage has becomes what the next one has, with its effect shown first.

mod auto;
mod edit;
pub(super) mod git;
mod print;
mod pull_request;
mod source;
pub(super) mod trunk;
mod wishes;
pub(super) mod write;

use std::path::Path;

use anstream::eprintln;
use jiff::Timestamp;

use super::rollback::bring_published;
use super::{Failure, Outcome};
use crate::environments::Settings;
use crate::promotion::plan::PlanError;
use crate::promotion::refusal::{OVERRIDABLE, Refusal};
use crate::promotion::{Promotion, Request, message, plan};
use crate::source::history::History;

use git::Git;
use source::SourceFlags;
use wishes::WishFlags;
use write::{Ready, Upon, WriteFlags};

const EXAMPLES: &str = "\
Examples:
  weir promote staging prod                     what would be promoted, and what each environment would get
  weir promote staging prod shop                one app
  weir promote staging prod shop --commit       commit it here
  weir promote staging prod shop --push         commit it upon the server's branch and push
  weir promote staging prod shop --branch       the same on a branch of its own
  weir promote staging prod shop --pull-request  and its pull request on GitHub, GitLab, Gitea or Forgejo
  weir promote staging prod --adopt source      a first promotion: what staging has counts
  weir promote staging prod --take target shop/helm.yaml:spec.values.replicas
  weir promote staging prod --pin shop/helm.yaml:spec.values.replicas --reason 'prod is larger'
  weir promote staging prod --override leak='the name is public' --push
  weir promote --auto --dry-run                 what the controllers would promote now, and what they wait for

Secrets, settings of environments and what `weir.yaml` names never travel; what only the target changed stays.
Exit codes: 0 nothing to promote, or written; 2 something would be promoted; 1 refused, or an error.";

/// Promote what one stage has into the next, with its effect shown first.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stage that is promoted, by name or folder.
    #[arg(required_unless_present = "auto")]
    from: Option<String>,
    /// The stage that it is promoted into.
    #[arg(required_unless_present = "auto")]
    to: Option<String>,
    /// The apps; default all.
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    #[command(flatten)]
    wishes: WishFlags,
    /// Promote in spite of a refusal; the reason is written down. May be repeated.
    #[arg(long = "override", value_name = "REFUSAL=REASON")]
    overrides: Vec<String>,
    /// Say of every edge in `weir.yaml` what its controller would promote now, and what it waits for.
    #[arg(long, requires = "dry_run", conflicts_with_all = ["from", "into"])]
    auto: bool,
    /// With `--auto`: promote nothing. The controllers do, not this command.
    #[arg(long, requires = "auto")]
    dry_run: bool,
    /// Write conflicts with markers into the work tree, and commit nothing.
    #[arg(long, group = "into")]
    edit: bool,
    #[command(flatten)]
    source: SourceFlags,
    #[command(flatten)]
    write: WriteFlags,
}

/// Plans, prints, and writes when that is asked for.
pub(super) fn run(args: &Args) -> Outcome {
    if args.auto {
        return auto::explain(&args.write);
    }
    let request = request(args)?;
    if request.reported.is_none() {
        bring_published(&Git::at(Path::new(".")), args.write.server())?;
    }
    match args.edit {
        true => edit::edit(&args.write, &request),
        false => write::write(&args.write, &|upon| ready(upon, &request)),
    }
}

fn request(args: &Args) -> Result<Request, Failure> {
    let overrides = args.overrides.iter().map(|text| wishes::overridden(text));
    Ok(Request {
        from: args.from.clone().unwrap_or_default(),
        to: args.to.clone().unwrap_or_default(),
        apps: args.apps.clone(),
        wishes: args.wishes.wishes()?,
        overrides: overrides.collect::<Result<_, _>>()?,
        reported: args.source.reported()?,
        ..Request::default()
    })
}

fn ready(upon: Upon<'_>, request: &Request) -> Result<Ready, Failure> {
    let promotion = planned(upon, request)?;
    for unsigned in &promotion.unsigned {
        eprintln!("warning: {unsigned}; a controller would not promote it");
    }
    Ok(Ready {
        told: print::render(&promotion),
        refusal: refused(&promotion.refusals),
        nothing: format!("{} has it all: already there.", promotion.scope.to.name),
        message: message::promotion(&promotion),
        tree: promotion.head.tree.clone(),
        touched: touched(&promotion),
        own_branch: own_branch(&promotion, request),
        executables: promotion.executables,
        changes: promotion.changes,
    })
}

/// The files of both sides, and all that is written.
fn touched(promotion: &Promotion) -> Vec<String> {
    let files = promotion.apps.iter().flat_map(|app| &app.files);
    let both = files.flat_map(|file| [file.source.clone(), file.target.clone()]);
    both.chain(promotion.changes.keys().cloned()).collect()
}

/// `weir/promote/<app>/<from>-<to>`, the same for every run of the same promotion.
fn own_branch(promotion: &Promotion, request: &Request) -> String {
    let scope = &promotion.scope;
    let apps = match request.apps.as_slice() {
        [] => "all".to_owned(),
        apps => apps.join("-"),
    };
    format!("weir/promote/{apps}/{}-{}", scope.from.name, scope.to.name)
}

pub(super) fn refused(refusals: &[Refusal]) -> Option<Failure> {
    let first = refusals.first()?;
    let lines: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("refused ({}): {}", refusal.name, refusal.message))
        .collect();
    let hint = first.hint.clone().or_else(|| {
        let name = first.name;
        OVERRIDABLE
            .contains(&name)
            .then(|| format!("`--override {name}=REASON` promotes all the same"))
    });
    let message = lines.join("\n");
    Some(match hint {
        Some(hint) => Failure::with_hint(message, hint),
        None => Failure::new(message),
    })
}

pub(super) fn history(folder: &Path) -> Result<History, Failure> {
    History::discover(folder).map_err(|error| {
        Failure::with_hint(
            error.to_string(),
            "promotions are made in a clone of the repository",
        )
    })
}

fn planned(upon: Upon<'_>, request: &Request) -> Result<Promotion, Failure> {
    let settings = Settings::default();
    let request = Request {
        trunk: upon.trunk.map(str::to_owned),
        ..request.clone()
    };
    let now = Timestamp::now();
    plan(upon.history, upon.revision, &request, &settings, now).map_err(of_plan)
}

fn of_plan(error: PlanError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    }
}
