//! `weir apply --plan FILE`: a plan that was saved is carried out, if it is still what would happen.

use std::path::PathBuf;

use anstream::println;

use super::fleet::Fleet;
use super::plan::live::{Files, LiveFlags, Site, stopped};
use super::plan::saving::{commit, read};
use super::{Exit, Failure, Outcome};
use crate::environments::SecretNames;
use crate::live::{
    Header, Live, Saved, cluster_id, differences, execute, is_whole, saved, secret_names, to_come,
    unready,
};

const EXAMPLES: &str = "\
Examples:
  weir plan --context prod-eu prod-eu --save plan.json
  weir apply --context prod-eu --plan plan.json

Before the first write everything is planned again; when a single line differs, nothing is written. Objects are written
as the controller writes them: with the same field manager, labels and inventory, in the name of the service account that
the Kustomization names. Each Kustomization that changes must be suspended meanwhile.
Exit codes: 0 carried out, or nothing to do; 1 refused, or an error.";

/// How many lines of a difference are told.
const TOLD: usize = 50;

/// Carry out a plan that was saved.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file that `weir plan --save` wrote.
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    fleet: Fleet,
    #[command(flatten)]
    live: LiveFlags,
}

/// Plans again, compares, and writes.
pub(super) async fn run(mut args: Args) -> Outcome {
    let planned = read(&args.plan)?;
    args.live.without_keys = planned.without_keys;
    args.live
        .connection
        .namespace
        .clone_from(&planned.namespace);
    let files = Files {
        fleet: &args.fleet,
        target: planned.target.as_deref(),
        from: None,
        to: Some(&planned.commit),
    };
    let mut site = Site::open(&args.live, &files).await?;
    site.is_acting = true;
    let scope = site.scope(files.target, &planned.namespace)?;
    let live = site.plan(&scope).await?;
    refuse_other(&site, &args, &planned, &live).await?;
    refuse_unready(&site, &live)?;
    carry_out(&site, &live, &planned.commit).await
}

/// Refuses when what would happen now is not what was planned.
async fn refuse_other(
    site: &Site,
    args: &Args,
    planned: &Saved,
    live: &Live,
) -> Result<(), Failure> {
    let (commit, tree) = commit(args.fleet.repository(), &planned.commit)?;
    let header = Header {
        commit,
        tree,
        target: planned.target.clone(),
        namespace: planned.namespace.clone(),
        without_keys: planned.without_keys,
        cluster: cluster_id(&site.client).await.map_err(stopped)?,
    };
    let now = saved(&site.ground(), live, header);
    let lines = differences(planned, &now);
    let is_whole = site.compared(live).environments.iter().all(is_whole);
    if lines.is_empty() && is_whole {
        return Ok(());
    }
    let mut told: Vec<&str> = lines.iter().take(TOLD).map(String::as_str).collect();
    if lines.len() > TOLD {
        told.push("…");
    }
    Err(Failure::with_hint(
        format!(
            "nothing was written: what would happen now is not what was planned\n{}",
            told.join("\n")
        ),
        "plan again, and look at it again",
    ))
}

/// Refuses where a controller would put right what is applied here.
fn refuse_unready(site: &Site, live: &Live) -> Result<(), Failure> {
    let problems = unready(&site.ground(), live);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::with_hint(
            format!("nothing was written: {}", problems.join(", ")),
            "a controller would bring what its source has instead: suspend them, and let them go on once the source \
             has this commit",
        )),
    }
}

async fn carry_out(site: &Site, live: &Live, commit: &str) -> Outcome {
    let ground = site.ground();
    let (all, failed) = execute(&ground, live, commit).await;
    let mut names = SecretNames::default();
    for place in &live.places {
        names.extend(secret_names(&ground, place));
    }
    for carried in &all {
        for entry in carried.changes.changed() {
            println!("{}: {}", carried.name, names.shown(&entry.to_string()));
        }
    }
    for name in to_come(&ground, live) {
        println!("{name}: left to the controller, as it is new");
    }
    if let Some(failure) = failed {
        return Err(stopped(failure));
    }
    if all.is_empty() {
        println!("nothing to do");
    }
    Ok(Exit::Success)
}
