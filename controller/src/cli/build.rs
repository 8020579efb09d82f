//! `weir build PATH`: the manifests of a folder, byte for byte as `kustomize build` prints them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstream::eprintln;
use overlay::build::{LoadRestrictor, Order, Read};
use overlay::{Build, Object, Options};

use super::{Exit, Failure, Outcome};
use crate::source::work_tree;

const EXAMPLES: &str = "\
Examples:
  weir build envs/prod-eu                       print the manifests
  weir build --flux platform/monitoring/_base   as the controller builds it: input order, bare folders too
  weir build -o out/ envs/prod-eu               one file an object
  weir build --reads envs/prod-eu               what the build read, with Git's object ids";

/// Print the manifests of a folder, as `kustomize build` prints them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder to build.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Nothing outside this folder is read; default the enclosing Git work tree, else the whole file system.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Build as the controller does: input order, a bare folder gets a kustomization file.
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
    /// Write one file an object into this folder instead of printing.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print what was read instead of the manifests.
    #[arg(long)]
    reads: bool,
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
    let started = Instant::now();
    let (tree, path) = work_tree::open(&args.path, args.root.as_deref())
        .map_err(|error| Failure::new(error.to_string()))?;
    let build = overlay::build(&tree, &path, &options(args))
        .map_err(|errors| Failure::build(errors, &tree))?;
    for warning in &build.warnings {
        eprintln!("warning: {warning}");
    }
    match &args.output {
        _ if args.reads => print_reads(&build)?,
        Some(folder) => write_files(&build.objects, folder)?,
        None => print_text(&build.to_yaml())?,
    }
    if args.stats {
        print_stats(&build, started.elapsed());
    }
    Ok(Exit::Success)
}

fn options(args: &Args) -> Options<'static> {
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
        record_reads: args.reads,
        ..Options::default()
    }
}

fn print_text(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
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

/// One file an object, named as kustomize names them: `apps_v1_deployment_shop.yaml`, with the namespace in
/// front where two objects would share a name.
fn write_files(objects: &[Object], folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::io("creating", folder, &error))?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects {
        *counts.entry(file_name(object)).or_default() += 1;
    }
    for object in objects {
        let mut name = file_name(object);
        if counts[&name] > 1 {
            name = format!("{}_{name}", object.id.namespace);
        }
        let path = folder.join(name);
        let text = overlay::yaml::write_documents(&[&object.node]);
        std::fs::write(&path, text).map_err(|error| Failure::io("writing", &path, &error))?;
    }
    Ok(())
}

fn file_name(object: &Object) -> String {
    let id = &object.id;
    let parts = [&id.group, &id.version, &id.kind, &id.name];
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| part.as_str())
        .filter(|part| !part.is_empty())
        .collect();
    // A name may hold `:` and `/` (RBAC); a file name may not leave the folder.
    format!(
        "{}.yaml",
        parts
            .join("_")
            .to_lowercase()
            .replace(['/', '\\', ':'], "_")
    )
}

fn print_stats(build: &Build, took: Duration) {
    let bytes = build.to_yaml().len();
    eprintln!(
        "{} objects, {bytes} bytes, {:.1} ms",
        build.objects.len(),
        took.as_secs_f64() * 1000.0
    );
}
