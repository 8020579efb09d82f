//! `weir history STAGE`: promotions, rollbacks, edits, decisions and health of a stage or environment, from Git; and what
//! was applied, where a cluster is given.

use std::path::{Path, PathBuf};

use anstream::{eprintln, print};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::applied::{Applied, applied};
use super::connection::Connection;
use super::output::{Format, print_values};
use super::promote::git::Git;
use super::promote::trunk::Server;
use super::rollback::{bring, environments, open, stage_of};
use super::{Exit, Failure, Outcome, table};
use crate::environments::{Folders, Settings};
use crate::promotion::auto::chronicle::{Line, lines};
use crate::promotion::auto::hear::remembered;
use crate::promotion::message::TRAILER;
use crate::promotion::timeline::{Deed, End, Entry, entries};

const EXAMPLES: &str = "\
Examples:
  weir history prod                what happened to a stage, the newest first
  weir history prod-eu             to an environment and its stage
  weir history prod --fetch        with what controllers decided and environments say now
  weir history prod-eu --context prod-eu   with what that cluster has applied, and what failed
  weir history prod -n 100 -o json

Exit codes: 0 success, 1 error.";

/// Show promotions, rollbacks and edits of a stage or environment.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stage or environment.
    #[arg(value_name = "ENVIRONMENT|STAGE")]
    stage: String,
    /// How many commits.
    #[arg(long, short, value_name = "NUMBER", default_value_t = 20)]
    number: usize,
    /// The branch, tag or commit to begin at.
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    rev: String,
    /// Bring what environments have published from this server first: decisions, and how they run.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "origin")]
    fetch: Option<String>,
    /// Ask the cluster of this kubeconfig context what it has applied.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig file of that cluster.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Reads and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    if let Some(remote) = &args.fetch {
        bring(&Git::at(Path::new(".")), remote);
    }
    let history = open()?;
    let head = history.point(&args.rev).map_err(|error| failed(&error))?;
    let graph = environments(&head, &Settings::default())?;
    let stage = stage_of(&head, &args.stage, &graph)?;
    let mut folders = vec![stage.folder.clone()];
    let environment = Some(args.stage.as_str());
    let environment = environment.filter(|name| *name != stage.name && *name != stage.folder);
    folders.extend(environment.map(|name| format!("envs/{name}")));
    let found = entries(&history, &head, &stage.name, &folders, args.number);
    let (entries, end) = found.map_err(|error| failed(&error))?;
    let server = Server {
        remote: args.fetch.as_deref().unwrap_or("origin"),
        default_branch: None,
    };
    let published = remembered(&history, &server.policy(&history, &head)?);
    let told = lines(&published, &stage, environment);
    let applied = in_cluster(args, &graph.folders, &folders)?;
    match args.output {
        Format::Table => print!(
            "{}",
            table::render(
                &["WHEN", "COMMIT", "WHAT", "APPS", "BY", "SUBJECT"],
                &rows(&entries, &told, &applied, args.number)
            )
        ),
        Format::Name => entries
            .iter()
            .for_each(|entry| print!("{}\n", entry.point.commit.id)),
        format => {
            let told = told.iter().map(told_value);
            let applied = applied.iter().map(Applied::value);
            let all = entries.iter().map(value).chain(told).chain(applied);
            print_values(all.collect(), format);
        }
    }
    if end == End::Cut {
        eprintln!(
            "warning: this is a shallow clone; `git fetch --unshallow` brings what lies before"
        );
    }
    Ok(Exit::Success)
}

/// What the cluster has applied; nothing when none is given.
fn in_cluster(args: &Args, known: &Folders, wanted: &[String]) -> Result<Vec<Applied>, Failure> {
    if args.context.is_none() && args.kubeconfig.is_none() {
        return Ok(Vec::new());
    }
    let connection = Connection {
        context: args.context.clone(),
        kubeconfig: args.kubeconfig.clone(),
        ..Connection::default()
    };
    applied(&connection, known, wanted)
}

/// Commits, what environments said and what a cluster has applied, the newest first.
fn rows(entries: &[Entry], told: &[Line], applied: &[Applied], most: usize) -> Vec<Vec<String>> {
    let entries = entries
        .iter()
        .map(|entry| (entry.point.seconds, row(entry)));
    let told = told
        .iter()
        .map(|line| (line.at.as_second(), told_row(line)));
    let applied = applied
        .iter()
        .map(|applied| (applied.at().as_second(), applied_row(applied)));
    let mut rows: Vec<(i64, Vec<String>)> = entries.chain(told).chain(applied).collect();
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    rows.into_iter().map(|(_, row)| row).take(most).collect()
}

fn row(entry: &Entry) -> Vec<String> {
    let (what, apps) = deed(&entry.deed);
    vec![
        when(entry.point.seconds),
        entry.point.commit.id.to_string().chars().take(12).collect(),
        what.to_owned(),
        apps.join(","),
        author(&entry.point.commit.author),
        entry.point.commit.subject.clone(),
    ]
}

fn told_row(line: &Line) -> Vec<String> {
    vec![
        when(line.at.as_second()),
        String::new(),
        line.what.word().to_owned(),
        String::new(),
        line.environment.clone(),
        line.text.clone(),
    ]
}

fn applied_row(applied: &Applied) -> Vec<String> {
    vec![
        when(applied.at().as_second()),
        applied.commit().chars().take(12).collect(),
        applied.word().to_owned(),
        String::new(),
        applied.kustomization.clone(),
        applied.text(),
    ]
}

fn told_value(line: &Line) -> Value {
    json!({
        "time": line.at.to_string(),
        "what": line.what.word(),
        "environment": line.environment,
        "text": line.text,
    })
}

fn deed(deed: &Deed) -> (&'static str, &[String]) {
    match deed {
        Deed::Promotion(apps) => ("promotion", apps),
        Deed::Rollback(apps) => ("rollback", apps),
        Deed::Edit => ("edit", &[]),
    }
}

fn when(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// The name without the mail address.
fn author(author: &str) -> String {
    author.split(" <").next().unwrap_or(author).to_owned()
}

fn value(entry: &Entry) -> Value {
    let (what, apps) = deed(&entry.deed);
    let said = entry
        .point
        .message
        .lines()
        .filter_map(|line| line.strip_prefix(TRAILER)?.strip_prefix(": "));
    json!({
        "commit": entry.point.commit.id.to_string(),
        "time": Timestamp::from_second(entry.point.seconds).unwrap_or_default().to_string(),
        "what": what,
        "apps": apps,
        "author": entry.point.commit.author,
        "subject": entry.point.commit.subject,
        "promotions": said.collect::<Vec<_>>(),
    })
}
