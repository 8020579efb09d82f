//! A comparison as the user wants to see it, and how the command ends because of it.

use anstream::print;
use clap::ValueEnum;
use serde_json::to_string_pretty;

use crate::cli::{Exit, Failure, Outcome};
use crate::comparison::json::Sides;
use crate::comparison::markdown::Heading;
use crate::comparison::text::Detail;
use crate::comparison::{
    Comparison, Count, Counts, EnvironmentChange, Presence, html, json, markdown, text,
};

/// Flags of every command that prints a plan.
#[derive(clap::Args)]
pub(in crate::cli) struct Printing {
    /// Objects without their fields.
    #[arg(long, conflicts_with = "stat")]
    short: bool,
    /// Counts only, one line an environment.
    #[arg(long)]
    stat: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
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

impl Printing {
    /// Prints, and gives the exit code.
    pub(in crate::cli) fn print(&self, comparison: &Comparison, sides: &Sides) -> Outcome {
        print!("{}", self.rendered(comparison, sides));
        exit(comparison)
    }

    fn rendered(&self, comparison: &Comparison, sides: &Sides) -> String {
        let detail = match (self.short, self.stat) {
            (true, _) => Detail::Objects,
            (_, true) => Detail::Counts,
            _ => Detail::Leaves,
        };
        match self.output {
            Format::Text => text::render(comparison, detail),
            Format::Json => {
                let value = json::value(comparison, sides);
                to_string_pretty(&value).unwrap_or_default() + "\n"
            }
            Format::Markdown => markdown::render(comparison, sides, &Heading::default()),
            Format::Html => html::render(comparison, &sides.from, &sides.to),
        }
    }
}

/// 0 nothing changes, 2 something does, 3 something is pruned or replaced; an error where what was meant cannot be.
pub(in crate::cli) fn exit(comparison: &Comparison) -> Outcome {
    let counts = Counts::of(comparison);
    if comparison.breaks() {
        return Err(Failure::new("an environment no longer builds"));
    }
    match counts.get(Count::Refuse) {
        0 => {}
        1 => return Err(Failure::new("1 object is refused")),
        number => return Err(Failure::new(format!("{number} objects are refused"))),
    }
    let is_told = |environment: &EnvironmentChange| {
        let mut leaves = environment.leaves.iter();
        environment.presence != Presence::Kept || leaves.any(|leaf| leaf.problem.is_some())
    };
    let changes = counts.any() || comparison.environments.iter().any(is_told);
    Ok(match (counts.deletes(), changes) {
        (true, _) => Exit::GraveChanges,
        (false, false) => Exit::Success,
        (false, true) => Exit::Changes,
    })
}
