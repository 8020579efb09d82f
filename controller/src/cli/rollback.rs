//! `weir rollback STAGE [APP…]`: a new commit that undoes promotions, and keeps what else was changed since.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anstream::eprintln;

use super::promote::git::Git;
use super::promote::trunk::Server;
use super::promote::write::{Ready, Upon, WriteFlags, write};
use super::promote::{history, refused};
use super::{Failure, Outcome};
use crate::comparison::text::{self, Detail};
use crate::environments::{Graph, Settings, facts, graph};
use crate::promotion::auto::Published;
use crate::promotion::auto::hear::remembered;
use crate::promotion::message::{one_line, trailer};
use crate::promotion::policy;
use crate::promotion::refusal;
use crate::promotion::rollback::{AppRollback, Choice, Request, Rollback, RollbackError, plan};
use crate::promotion::scope::{Stage, stage};
use crate::source::history::{History, Point};

const EXAMPLES: &str = "\
Examples:
  weir rollback prod shop                       what going back to the promotion before the last one would do
  weir rollback prod shop --reason 'checkout fails' --push
  weir rollback prod-eu shop --to 2 --commit    two promotions back; of an environment its stage is meant
  weir rollback prod shop --lift --push         let the refused version be promoted by itself again

What was changed in the target since stays. Exit codes: 0 written, 2 something would be, 1 refused, or an error.";

/// Undo promotions with a new commit.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stage, or an environment of it.
    #[arg(value_name = "ENVIRONMENT|STAGE")]
    stage: String,
    /// The apps; default all that were promoted.
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// How many promotions back; default to the last one that all environments have published to have run well.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    to: Option<u16>,
    /// Why; it is written down.
    #[arg(long, value_name = "WHY", default_value = "")]
    reason: String,
    /// Change no version: only end the hold of an earlier rollback.
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    write: WriteFlags,
}

/// Plans, prints, and writes when that is asked for.
pub(super) fn run(args: &Args) -> Outcome {
    let git = Git::at(Path::new("."));
    bring_published(&git, args.write.server())?;
    let who = |field: &str| git.run(&["config", "--get", field]).unwrap_or_default();
    let who = format!("{} <{}>", who("user.name"), who("user.email"));
    write(&args.write, &|upon| ready(upon, args, &who))
}

fn ready(upon: Upon<'_>, args: &Args, who: &str) -> Result<Ready, Failure> {
    let settings = Settings::default();
    let Upon {
        history, revision, ..
    } = upon;
    let head = history
        .point(revision)
        .map_err(|error| Failure::new(error.to_string()))?;
    let request = Request {
        stage: stage_of(&head, &args.stage, &environments(&head, &settings)?)?,
        apps: args.apps.clone(),
        steps: args.to.map(usize::from),
        published: published(upon, &head)?,
        who: who.to_owned(),
        why: one_line(&args.reason),
        lifts: args.lift,
    };
    let rollback = plan(history, revision, &request, &settings).map_err(failure)?;
    let apps: Vec<&str> = rollback.apps.iter().map(|app| app.name.as_str()).collect();
    Ok(Ready {
        told: told(&rollback, &request),
        refusal: conflicts(&rollback).or_else(|| {
            let broken = refusal::broken(&rollback.effect.comparison);
            refused(broken.as_slice())
        }),
        nothing: format!("{} is as it was: nothing to undo.", request.stage.name),
        message: message(&rollback, &request),
        tree: rollback.head.tree.clone(),
        touched: rollback.changes.keys().cloned().collect(),
        own_branch: format!("weir/rollback/{}/{}", apps.join("-"), request.stage.name),
        executables: BTreeSet::new(),
        changes: rollback.changes,
    })
}

/// All environments at a commit.
pub(super) fn environments(head: &Point, settings: &Settings) -> Result<Graph, Failure> {
    graph(&head.tree, settings).map_err(|error| Failure::new(error.to_string()))
}

/// The stage of this name, or the one that an environment of this name extends.
pub(super) fn stage_of(head: &Point, name: &str, graph: &Graph) -> Result<Stage, Failure> {
    let found = graph
        .environments
        .iter()
        .find(|environment| environment.name == name);
    let extended =
        found.and_then(|environment| facts(environment, &graph.folders).stages.first().cloned());
    stage(&head.tree, extended.as_deref().unwrap_or(name)).map_err(|error| match error.hint() {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    })
}

fn failure(error: RollbackError) -> Failure {
    match error.hint() {
        Some(hint) => Failure::with_hint(error.to_string(), hint),
        None => Failure::new(error.to_string()),
    }
}

fn conflicts(rollback: &Rollback) -> Option<Failure> {
    let places: Vec<String> = rollback
        .apps
        .iter()
        .flat_map(|app| &app.conflicts)
        .map(|(path, finding)| format!("{path}:{}", finding.path))
        .collect();
    (!places.is_empty()).then(|| {
        Failure::with_hint(
            format!(
                "changed since by somebody, so it cannot be undone: {}",
                places.join(", ")
            ),
            "change it by hand first, to what it shall be, and roll back then",
        )
    })
}

fn told(rollback: &Rollback, request: &Request) -> String {
    let mut out = String::new();
    for app in &rollback.apps {
        let _ = writeln!(out, "{}", app_line(app, &request.stage.name));
    }
    for (path, bytes) in rollback
        .changes
        .iter()
        .filter(|(path, _)| !path.starts_with('.'))
    {
        let _ = writeln!(
            out,
            "  {path}{}",
            if bytes.is_none() { "  deleted" } else { "" }
        );
    }
    if !request.lifts {
        let effect = text::render(&rollback.effect.comparison, Detail::Leaves);
        let _ = write!(out, "\nWhat environments get:\n\n{effect}");
    }
    out
}

fn app_line(app: &AppRollback, stage: &str) -> String {
    let restored = short(&app.restored.point.commit.id.to_string());
    match &app.refused {
        Some(refused) => format!(
            "{} in {stage}: undoes the promotion in {}, back to that in {restored}.{}",
            app.name,
            short(&refused.point.commit.id.to_string()),
            because(app.choice),
        ),
        None => format!("{} in {stage}: no longer held", app.name),
    }
}

fn because(choice: Choice) -> &'static str {
    match choice {
        Choice::Said => "",
        Choice::Proven => " It is the last one that all environments have run well.",
        Choice::Unknown => " No health is known here, so the one before is taken for good.",
        Choice::Unproven => {
            " Of none before it all environments say that it ran well, so the one before is taken."
        }
    }
}

fn message(rollback: &Rollback, request: &Request) -> String {
    let apps: Vec<&str> = rollback.apps.iter().map(|app| app.name.as_str()).collect();
    let act = if request.lifts {
        "Lift the hold of"
    } else {
        "Roll back"
    };
    let mut text = format!("{act} {} in {}\n\n", apps.join(", "), request.stage.name);
    if !request.why.is_empty() {
        let _ = writeln!(text, "{}\n", request.why);
    }
    for app in &rollback.apps {
        text.push_str(&trailer(&app.name, &app.restored.record));
        if let Some(refused) = &app.refused {
            let _ = writeln!(
                text,
                "Weir-Rollback: app={} refused={}",
                app.name, refused.record.commit
            );
        }
    }
    text
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// What environments published, as far as this clone has it; their keys are those of the default branch.
fn published(upon: Upon<'_>, head: &Point) -> Result<Vec<Published>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let tip = upon.trunk.map(|revision| upon.history.point(revision));
    let tip = tip.transpose().map_err(|error| failed(&error))?;
    let tree = &tip.as_ref().unwrap_or(head).tree;
    let policy = policy::read(tree).map_err(|error| failed(&error))?;
    Ok(remembered(upon.history, &policy))
}

/// Brings what environments published, where `weir.yaml` names any that do.
pub(super) fn bring_published(git: &Git, server: Server<'_>) -> Result<(), Failure> {
    let history = open()?;
    let head = history.point("HEAD");
    let head = head.map_err(|error| Failure::new(error.to_string()))?;
    if !server.policy(&history, &head)?.environments.is_empty() {
        bring(git, server.remote);
    }
    Ok(())
}

/// Brings what environments published, where the server can be asked; else what is known here counts.
pub(super) fn bring(git: &Git, remote: &str) {
    if let Err(Failure::Message { message, .. }) = git.fetch_states(remote) {
        let first = message.lines().nth(1).unwrap_or(&message);
        eprintln!("warning: what environments published could not be fetched: {first}");
    }
}

/// The repository that a command about the past reads.
pub(super) fn open() -> Result<History, Failure> {
    history(Path::new("."))
}
