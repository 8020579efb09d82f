//! `weir envs`: the environments of a repository, found as their clusters find them.

mod list;
mod matrix;
mod promotions;

use anstream::{eprintln, print};
use clap::ValueEnum;

use super::fleet::{Fleet, unreadable};
use super::output::print_values;
use super::{Exit, Failure, Outcome, output, table};
use crate::environments::{self, Graph};

const EXAMPLES: &str = "\
Examples:
  weir envs                              what there is, and whether it builds
  weir envs --rev v1.4.0                 at a tag, a branch or a commit
  weir envs --matrix                     which version of which app is where
  weir envs --matrix --against staging   and where that differs from an environment or a stage
  weir envs -o json                      for scripts

Exit codes: 0 all build, 1 an environment does not build, or an error.";

/// Show the environments of a repository: stage, cluster, what each extends, and whether it builds.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Read this revision of the Git repository instead of the files on disk.
    #[arg(long, value_name = "REVISION")]
    rev: Option<String>,
    /// Show apps and the versions of their images and charts, one column an environment.
    #[arg(long)]
    matrix: bool,
    /// Mark what is other than in this environment or stage.
    #[arg(long, value_name = "ENVIRONMENT|STAGE", requires = "matrix")]
    against: Option<String>,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    fleet: Fleet,
}

/// What `-o` takes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// One JSON document.
    Json,
    /// YAML documents.
    Yaml,
}

/// Builds and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let tree = args.fleet.open(args.rev.as_deref())?;
    let settings = args.fleet.settings()?;
    let graph = environments::graph(tree.as_ref(), &settings).map_err(unreadable)?;
    for warning in &graph.warnings {
        eprintln!("warning: {warning}");
    }
    if graph.environments.is_empty() {
        return Err(Failure::with_hint(
            "no environment was found",
            "`--root` names the folder that the paths of Kustomizations begin at",
        ));
    }
    match args.matrix {
        true => print_matrix(args, &graph, &settings)?,
        false => print_list(args, &graph),
    }
    let fails = |environment: &environments::Environment| environment.fails();
    match graph.environments.iter().filter(|it| fails(it)).count() {
        0 => Ok(Exit::Success),
        1 => Err(Failure::new("1 environment does not build")),
        count => Err(Failure::new(format!("{count} environments do not build"))),
    }
}

fn print_list(args: &Args, graph: &Graph) {
    let rows = list::rows(graph);
    match args.output {
        Format::Table => {
            print!("{}", list::table(&rows));
        }
        format => print_values(rows.iter().map(list::Row::value).collect(), format.into()),
    }
}

fn print_matrix(
    args: &Args,
    graph: &Graph,
    settings: &environments::Settings,
) -> Result<(), Failure> {
    let matrix = matrix::matrix(graph, &settings.marker, args.against.as_deref())?;
    let states = promotions::at(args.rev.as_deref().unwrap_or("HEAD"), graph)?;
    match args.output {
        Format::Table => {
            let (header, rows) = matrix.cells();
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            print!("{}", table::render(&header, &rows));
            print!("{}", promotions::text(&states));
        }
        format => {
            let values = matrix
                .values()
                .into_iter()
                .chain(promotions::values(&states));
            print_values(values.collect(), format.into());
        }
    }
    Ok(())
}

impl From<Format> for output::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
        }
    }
}
