//! `weir lint`: what is wrong in the files of a repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anstream::{eprintln, print};
use clap::ValueEnum;
use overlay::Tree;
use overlay::path::{inside, is_within};

use super::fleet::{Fleet, unreadable};
use super::promote::git::Git;
use super::{Exit, Failure, Outcome};
use crate::lint::fix::mended;
use crate::lint::{Finding, Level, RULES, Site, lint, print};
use crate::promotion::policy::{self, Policy};

const EXAMPLES: &str = "\
Examples:
  weir lint                          the repository around here
  weir lint envs/prod-eu             only what is wrong in a folder or a file
  weir lint --rule plaintext-secret  only what one rule finds
  weir lint --fix                    mend what can be mended without thinking, and tell the rest
  weir lint --rev HEAD -o sarif      what is committed, for a forge

Rules, switched off for paths in weir.yaml (`lint: {ignore: [{rules: [schema], paths: [\"platform/**\"]}]}`):
  does-not-build, plaintext-secret, schema, duplicate-object            errors
  unpinned-image, unreferenced-file, differs-from-siblings              warnings

Needs neither a cluster nor a key.
Exit codes: 0 nothing found, 2 warnings, 3 errors, 1 the command itself failed.";

/// Find mistakes in a repository: what does not build, plain secrets, wrong fields, what nothing is made of.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Tell only what is wrong in this folder or file, from the root of the repository.
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Only this rule; may be repeated.
    #[arg(long = "rule", value_name = "RULE", value_parser = RULES.map(|rule| rule.name))]
    rules: Vec<String>,
    /// Read this revision of the Git repository instead of the files on disk.
    #[arg(long, value_name = "REVISION")]
    rev: Option<String>,
    /// Mend what can be mended without anybody having to think: quotes, the case of fields, secrets that have a rule.
    #[arg(long, conflicts_with = "rev")]
    fix: bool,
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
    /// For forges.
    Sarif,
}

/// Looks, mends when asked to, and prints.
pub(super) fn run(args: &Args) -> Outcome {
    let (mut findings, mut environments) = look(args)?;
    if args.fix {
        mend(args, &findings)?;
        (findings, environments) = look(args)?;
    }
    match args.output {
        Format::Text => print!("{}", print::text(&findings, environments)),
        Format::Json => print!("{:#}\n", print::json(&findings)),
        Format::Sarif => print!("{:#}\n", print::sarif(&findings)),
    }
    let is_error = |finding: &Finding| finding.level == Level::Error;
    Ok(match (findings.is_empty(), findings.iter().any(is_error)) {
        (true, _) => Exit::Success,
        (false, false) => Exit::Changes,
        (false, true) => Exit::GraveChanges,
    })
}

/// The findings that are asked for, and how many environments were looked at.
fn look(args: &Args) -> Result<(Vec<Finding>, usize), Failure> {
    let tree = args.fleet.open(args.rev.as_deref())?;
    let kept = match args.rev {
        Some(_) => None,
        None => kept(&args.fleet.folder()?),
    };
    let path = inside(args.path.as_deref().unwrap_or_default());
    exists(tree.as_ref(), &path)?;
    let policy = policy(tree.as_ref())?;
    let site =
        Site::open(tree.as_ref(), &args.fleet.settings()?, kept.as_ref()).map_err(unreadable)?;
    let mut findings = lint(&site, &policy.lint).map_err(unreadable)?;
    findings.retain(|finding| {
        let is_wanted = args.rules.is_empty() || args.rules.iter().any(|rule| rule == finding.rule);
        is_wanted && is_within(&finding.place.file, &path)
    });
    Ok((findings, site.environments()))
}

fn exists(tree: &dyn Tree, path: &str) -> Result<(), Failure> {
    match tree.kind(path).map_err(unreadable)? {
        Some(_) => Ok(()),
        None => Err(Failure::with_hint(
            format!("{path}: no such file or folder in the repository"),
            "paths begin at its root",
        )),
    }
}

fn policy(tree: &dyn Tree) -> Result<Policy, Failure> {
    policy::read(tree).map_err(|error| Failure::new(error.to_string()))
}

/// The files that Git has or would take; all of them where there is no Git.
fn kept(folder: &Path) -> Option<BTreeSet<String>> {
    let list = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = Git::at(folder).run(&list).ok()?;
    let paths = listed.split('\0').filter(|path| !path.is_empty());
    Some(paths.map(str::to_owned).collect())
}

fn mend(args: &Args, findings: &[Finding]) -> Result<(), Failure> {
    let folder = args.fleet.folder()?;
    let tree = args.fleet.open(None)?;
    let mended = mended(tree.as_ref(), findings, super::secrets::now());
    let (files, count) = mended.map_err(|error| Failure::new(error.to_string()))?;
    for (path, bytes) in &files {
        let file: PathBuf = folder.join(path);
        super::secrets::replace(&file, bytes)?;
        eprintln!("mended {path}");
    }
    if count == 0 {
        eprintln!("nothing to mend");
    }
    Ok(())
}
