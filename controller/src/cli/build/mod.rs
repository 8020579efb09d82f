//! `weir build PATH`: the manifests of a folder, byte for byte as `kustomize build` prints them.

mod decryption;
mod files;
mod kustomization;
mod why;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anstream::eprintln;
use overlay::build::{LoadRestrictor, Opener, Order, Read};
use overlay::{Build, Options, Tree};

use decryption::{Decryption, Keys};

use super::fleet::Fleet;
use super::{Exit, Failure, Outcome};
use crate::source::linkless::Linkless;
use crate::source::{revision, work_tree};

const EXAMPLES: &str = "\
Examples:
  weir build envs/prod-eu                       print the manifests
  weir build --flux platform/monitoring/_base   as the controller builds it: input order, bare folders too
  weir build -o out/ envs/prod-eu               one file an object
  weir build --reads envs/prod-eu               what the build read, with Git's object ids
  weir build --rev v1.4.0 envs/prod-eu          of a tag, a branch or a commit, without checking it out
  weir build --git-dir fleet.git --rev main envs/prod-eu
  weir build --why Deployment/shop envs/prod-eu which file and line set each field, and what asked for it
  weir build --why Deployment/shop:spec.replicas envs/prod-eu
  weir build --key age.agekey envs/prod-eu      encrypted files opened, their values as ***
  weir build --kustomization clusters/prod/eu/apps.yaml#apps
                                                what the controller would make of a Flux Kustomization";

/// Print the manifests of a folder, as `kustomize build` prints them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder to build.
    #[arg(default_value = ".", conflicts_with = "kustomization")]
    path: PathBuf,
    /// Build a Flux Kustomization instead of a folder, as the controller would without its keys: its patches and
    /// components, and variables from what its environment renders.
    #[arg(long, value_name = "FILE#NAME", conflicts_with_all = ["flux", "reorder", "load_restrictor", "enable_managedby_label", "output", "why", "reads", "key_files", "stats"])]
    kustomization: Option<String>,
    /// The environment whose Kustomization is meant, where several have one that differs.
    #[arg(long, value_name = "NAME", requires = "kustomization")]
    environment: Option<String>,
    /// Variables that the repository does not hold: a YAML file of names and values; may be repeated.
    #[arg(long = "vars", value_name = "FILE", requires = "kustomization")]
    variables: Vec<PathBuf>,
    /// Nothing outside this folder is read; default the enclosing Git work tree, else the whole file system.
    #[arg(long, value_name = "DIR", conflicts_with = "rev")]
    root: Option<PathBuf>,
    /// Read this revision of the Git repository (`main`, `v1.4.0`, `HEAD~2`, a commit's id) instead of the files on disk.
    #[arg(long, value_name = "REVISION")]
    rev: Option<String>,
    /// The repository of the revision, bare or not; the folder is then relative to its root. Default the one around the
    /// folder.
    #[arg(long, value_name = "DIR", requires = "rev")]
    git_dir: Option<PathBuf>,
    /// Build as the controller does: input order, no symbolic links, a bare folder gets a kustomization file.
    #[arg(long)]
    flux: bool,
    /// The order of the output.
    #[arg(long, value_enum, default_value_t = Reorder::Legacy)]
    reorder: Reorder,
    /// Which files a kustomization may name.
    #[arg(long, value_enum, default_value_t = Restrictor::RootOnly)]
    load_restrictor: Restrictor,
    /// Add the label `app.kubernetes.io/managed-by`.
    #[arg(long)]
    enable_managedby_label: bool,
    /// Write one file an object into this folder instead of printing; with `--why`: table, json or yaml.
    #[arg(long, short, value_name = "DIR|FORMAT")]
    output: Option<PathBuf>,
    /// Print where the fields of an object got their values, instead of the manifests: KIND/NAME, KIND/NAMESPACE/NAME or
    /// KIND.GROUP/NAME, and behind a colon the path of a field.
    #[arg(long, value_name = "KIND/NAME[:FIELD]", conflicts_with = "reads")]
    why: Option<String>,
    /// The namespace of the object that `--why` asks for.
    #[arg(long, short, requires = "why")]
    namespace: Option<String>,
    /// Print what was read instead of the manifests.
    #[arg(long)]
    reads: bool,
    #[command(flatten)]
    decryption: Decryption,
    /// Print counts and the time taken to standard error.
    #[arg(long)]
    stats: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Reorder {
    /// Namespaces and definitions first, as `kustomize build` prints by default.
    Legacy,
    /// The order of the input.
    None,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Restrictor {
    /// Files at or below the folder of the kustomization.
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Any file of the tree.
    #[value(name = "LoadRestrictionsNone")]
    None,
}

/// Builds and prints.
pub(super) fn run(args: &Args) -> Outcome {
    if let Some(wanted) = &args.kustomization {
        let fleet = Fleet::new(
            args.root.clone(),
            args.git_dir.clone(),
            args.variables.clone(),
        );
        let environment = args.environment.as_deref();
        kustomization::print(&fleet, args.rev.as_deref(), wanted, environment)?;
        return Ok(Exit::Success);
    }
    let started = Instant::now();
    let (tree, path) = open(args)?;
    let keys = args.decryption.keys()?;
    let opener = keys.as_ref().map(Keys::opener);
    let mut options = options(args);
    options.opener = opener.as_ref().map(|opener| opener as &dyn Opener);
    let mut build = overlay::build(tree.as_ref(), &path, &options)
        .map_err(|errors| Failure::build(errors, tree.as_ref()))?;
    if let Some(opener) = &opener {
        decryption::open_values(opener, &mut build)?;
    }
    for warning in &build.warnings {
        eprintln!("warning: {warning}");
    }
    print(args, &build)?;
    if args.stats {
        print_stats(&build, started.elapsed());
    }
    if opener.is_none() {
        // The process ends here: to give the memory back node by node would take as long as to print it. What was
        // opened is wiped first.
        std::mem::forget(build);
    }
    Ok(Exit::Success)
}

/// Prints, or writes, what was asked for.
fn print(args: &Args, build: &Build) -> Result<(), Failure> {
    if args.reads {
        return print_reads(build);
    }
    if let Some(wanted) = &args.why {
        let format = args
            .output
            .as_deref()
            .map(|format| format.to_string_lossy());
        return why::print(build, wanted, args.namespace.as_deref(), format.as_deref());
    }
    match &args.output {
        Some(folder) => files::write(&build.objects, folder),
        None if args.decryption.reveal => print_text(&decryption::revealed(build)),
        None => written(build.write_yaml(&mut std::io::stdout().lock())),
    }
}

/// The files as the build is to see them, and the folder's path among them.
fn open(args: &Args) -> Result<(Box<dyn Tree>, String), Failure> {
    let (tree, path) = found(args)?;
    Ok(match args.flux {
        true => (Box::new(Linkless(tree)), path),
        false => (tree, path),
    })
}

fn found(args: &Args) -> Result<(Box<dyn Tree>, String), Failure> {
    match &args.rev {
        Some(rev) => {
            let opened = revision::open(&args.path, rev, args.git_dir.as_deref());
            let (tree, path) = opened.map_err(|error| match error.hint() {
                Some(hint) => Failure::with_hint(error.to_string(), hint),
                None => Failure::new(error.to_string()),
            })?;
            Ok((Box::new(tree), path))
        }
        None => {
            let (tree, path) = work_tree::open(&args.path, args.root.as_deref())
                .map_err(|error| Failure::new(error.to_string()))?;
            Ok((Box::new(tree), path))
        }
    }
}

fn options<'a>(args: &Args) -> Options<'a> {
    Options {
        flux: args.flux,
        order: if args.reorder == Reorder::None {
            Order::Fifo
        } else {
            Order::Default
        },
        load_restrictor: match args.load_restrictor {
            Restrictor::RootOnly => LoadRestrictor::RootOnly,
            Restrictor::None => LoadRestrictor::None,
        },
        managed_by_label: args.enable_managedby_label,
        // Links that are missed are told from what was looked for.
        record_reads: args.reads || args.flux,
        record_history: args.why.is_some(),
        ..Options::default()
    }
}

fn print_text(text: &str) -> Result<(), Failure> {
    written(std::io::stdout().lock().write_all(text.as_bytes()))
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(format!("writing the manifests: {error}"))),
        Ok(()) => Ok(()),
    }
}

fn print_reads(build: &Build) -> Result<(), Failure> {
    let mut text = String::new();
    for (path, read) in &build.reads.paths {
        let (kind, id) = match read {
            Read::File(id) => ("file", id.to_string()),
            Read::Folder(id) => ("folder", id.to_string()),
            Read::Link(id) => ("link", id.to_string()),
            Read::Absent => ("absent", "-".repeat(40)),
        };
        text.push_str(&format!("{id} {kind:6} {path}\n"));
    }
    text.push_str(&format!("options {}\n", build.reads.options));
    print_text(&text)
}

fn print_stats(build: &Build, took: Duration) {
    let bytes = build.to_yaml().len();
    eprintln!(
        "{} objects, {bytes} bytes, {:.1} ms",
        build.objects.len(),
        took.as_secs_f64() * 1000.0
    );
}
