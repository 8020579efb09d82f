//! `weir affected`: which environments and objects a change reaches, and why.

use std::fmt::Write as _;

use anstream::{eprintln, print};
use anstyle::Style;
use clap::ValueEnum;
use overlay::Tree;
use serde_json::{Value, json};

use super::cache::{self, Cache};
use super::fleet::{Fleet, unreadable};
use super::{Exit, Failure, Outcome};
use crate::comparison::show::visible;
use crate::comparison::{Affected, Cause, Count, Reach, affected, distinct};
use crate::environments::{Index, Partial, Settings, graphs, partial};

const EXAMPLES: &str = "\
Examples:
  weir affected                                 what the files on disk reach, against main
  weir affected --from main --to HEAD           what the commits of this branch reach
  weir affected --files platform/_base/x.yaml   of these, only what one file reaches
  weir affected -o json                         for scripts

Exit codes: 0 no object changes, 2 objects of one stage at most, 3 objects of several stages, 1 error.";

/// Print the blast radius of a change: environments, objects, and the way from the file to them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The revision before.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    from: String,
    /// The revision after; default the files on disk.
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Only what these of the touched files reach.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    files: Vec<String>,
    /// Do not remember, between runs, which files each environment is made of.
    #[arg(long)]
    no_cache: bool,
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
}

/// Compares and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let [before, after] = args.fleet.open_both(&args.from, args.to.as_deref())?;
    let settings = args.fleet.settings()?;
    let parts = parts(args, before.as_ref(), after.as_ref(), &settings)?;
    let is_touched = |file: &&String| parts.changed.files.contains(*file);
    for file in args.files.iter().filter(|file| !is_touched(file)) {
        eprintln!("warning: {file} is not among the touched files");
    }
    let affected = affected(&parts, &settings.marker, &args.files);
    match args.output {
        Format::Text => print!("{}", text(&affected)),
        Format::Json => print!("{:#}\n", value(&affected)),
    }
    // The process ends here: giving all this memory back would take longer than printing it.
    std::mem::forget(parts);
    let changes = affected
        .environments
        .iter()
        .any(|reach| !reach.changed.is_empty());
    Ok(match (changes, affected.stages.len()) {
        (false, _) => Exit::Success,
        (true, 0 | 1) => Exit::Changes,
        (true, _) => Exit::GraveChanges,
    })
}

/// What the change can reach, by what was remembered of the tree before; else everything, which is then remembered. With
/// variables of the user's own nothing is: their values are nobody's business.
fn parts(
    args: &Args,
    before: &dyn Tree,
    after: &dyn Tree,
    settings: &Settings,
) -> Result<Partial, Failure> {
    let is_allowed = !args.no_cache && settings.variables.is_empty();
    let cache = Cache::of_user().filter(|_| is_allowed);
    let id = before.id("").map_err(unreadable)?.map(|id| id.to_string());
    let name = id.and_then(|id| cache::name("environments", &[&id]));
    let place = cache.as_ref().zip(name.as_ref());
    let remembered = place.and_then(|(cache, name)| cache.read(name));
    let index: Option<Index> = remembered.and_then(|bytes| Index::read(&bytes));
    if let Some(index) = &index
        && let Some(parts) = partial(before, after, settings, index).map_err(unreadable)?
    {
        return Ok(parts);
    }
    let (from, after, changed) = graphs(before, after, settings).map_err(unreadable)?;
    if index.is_none()
        && let Some((cache, name)) = place
        && let Some(index) = Index::of(&from, before, &settings.marker)
        && let Some(bytes) = index.written()
    {
        cache.write(name, &bytes);
    }
    Ok(Partial::whole(from, after, changed))
}

fn text(affected: &Affected) -> String {
    let mut text = String::new();
    for reach in &affected.environments {
        environment(&mut text, reach);
    }
    if !affected.unread.is_empty() {
        text.push_str("touched, and part of no environment:\n");
        for file in &affected.unread {
            let _ = writeln!(text, "  {}", visible(file));
        }
        text.push('\n');
    }
    let reached = affected.environments.iter();
    let leaves = reached.flat_map(|it| it.changed.iter().map(|(leaf, _)| (&*it.path, leaf)));
    let objects = distinct(leaves).count();
    let changed = affected
        .environments
        .iter()
        .filter(|it| !it.changed.is_empty())
        .count();
    let all = affected.environments.len() + affected.untouched;
    let rebuilt = affected.environments.len() - changed;
    let stages: Vec<&str> = affected.stages.iter().map(String::as_str).collect();
    let _ = write!(
        text,
        "Affected: {objects} objects in {changed} of {all} environments"
    );
    if rebuilt > 0 {
        let _ = write!(text, ", {rebuilt} more are built anew and stay the same");
    }
    match stages.is_empty() {
        true => text.push('\n'),
        false => {
            let _ = writeln!(text, " · stages {}", visible(&stages.join(", ")));
        }
    }
    text
}

fn environment(text: &mut String, reach: &Reach) {
    let bold = Style::new().bold();
    let stages = match reach.stages.is_empty() {
        true => String::new(),
        false => format!("  (stage {})", visible(&reach.stages.join(", "))),
    };
    let _ = writeln!(text, "{bold}{}{bold:#}{stages}", visible(&reach.name));
    for (leaf, causes) in &reach.changed {
        let _ = writeln!(text, "  {}", visible(&leaf.name.to_string()));
        because(text, causes);
        for object in &leaf.objects {
            let id = visible(&object.id.to_string());
            let _ = writeln!(text, "    {} {id}", Count::of(&object.action).sign());
        }
        if leaf.problem.is_some() {
            let _ = writeln!(text, "    ! cannot be compared; `weir plan` says why");
        }
    }
    for (leaf, causes) in &reach.rebuilt {
        let _ = writeln!(
            text,
            "  {}: built anew, the same",
            visible(&leaf.to_string())
        );
        because(text, causes);
    }
    text.push('\n');
}

fn because(text: &mut String, causes: &[Cause]) {
    for cause in causes {
        let _ = writeln!(text, "    because of {}", visible(&cause.to_string()));
    }
}

fn value(affected: &Affected) -> Value {
    let causes = |causes: &[Cause]| -> Vec<Value> {
        let cause = |cause: &Cause| json!({"files": cause.files, "chain": cause.to_string()});
        causes.iter().map(cause).collect()
    };
    let environment = |reach: &Reach| {
        let changed = reach.changed.iter().map(|(leaf, why)| {
            let objects = leaf.objects.iter().map(crate::comparison::json::object);
            let objects: Vec<Value> = objects.collect();
            json!({"kustomization": leaf.name.to_string(), "because": causes(why), "objects": objects})
        });
        let rebuilt = reach
            .rebuilt
            .iter()
            .map(|(leaf, why)| json!({"kustomization": leaf.to_string(), "because": causes(why)}));
        json!({
            "name": reach.name,
            "path": reach.path,
            "stages": reach.stages,
            "changed": changed.collect::<Vec<_>>(),
            "rebuilt": rebuilt.collect::<Vec<_>>(),
        })
    };
    let environments: Vec<Value> = affected.environments.iter().map(environment).collect();
    json!({
        "schema": "weir.affected/v1",
        "environments": environments,
        "untouched": affected.untouched,
        "stages": affected.stages,
        "unread": affected.unread,
    })
}
