//! `weir history STAGE`: promotions, rollbacks and edits of a stage or environment, from Git.

use anstream::{eprintln, print};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::output::{Format, print_values};
use super::rollback::{open, stage_of};
use super::{Exit, Failure, Outcome, table};
use crate::environments::Settings;
use crate::promotion::message::TRAILER;
use crate::promotion::timeline::{Deed, End, Entry, entries};

const EXAMPLES: &str = "\
Examples:
  weir history prod                what happened to a stage, the newest first
  weir history prod-eu             to an environment and its stage
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
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Reads and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let history = open()?;
    let head = history.point(&args.rev).map_err(|error| failed(&error))?;
    let stage = stage_of(&head, &args.stage, &Settings::default())?;
    let mut folders = vec![stage.folder.clone()];
    if args.stage != stage.name && args.stage != stage.folder {
        folders.push(format!("envs/{}", args.stage));
    }
    let found = entries(&history, &head, &stage.name, &folders, args.number);
    let (entries, end) = found.map_err(|error| failed(&error))?;
    match args.output {
        Format::Table => print!(
            "{}",
            table::render(
                &["WHEN", "COMMIT", "WHAT", "APPS", "BY", "SUBJECT"],
                &rows(&entries)
            )
        ),
        Format::Name => entries
            .iter()
            .for_each(|entry| print!("{}\n", entry.point.commit.id)),
        format => print_values(entries.iter().map(value).collect(), format),
    }
    if end == End::Cut {
        eprintln!(
            "warning: this is a shallow clone; `git fetch --unshallow` brings what lies before"
        );
    }
    Ok(Exit::Success)
}

fn rows(entries: &[Entry]) -> Vec<Vec<String>> {
    let row = |entry: &Entry| {
        let (what, apps) = deed(&entry.deed);
        vec![
            when(entry.point.seconds),
            entry.point.commit.id.to_string().chars().take(12).collect(),
            what.to_owned(),
            apps.join(","),
            author(&entry.point.commit.author),
            entry.point.commit.subject.clone(),
        ]
    };
    entries.iter().map(row).collect()
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
