//! `weir diff PATH|KUSTOMIZATION`: the plan that the next reconcile would execute, printed.

use std::path::{Path, PathBuf};

use anstream::{eprint, print};
use kube::{Api, ResourceExt};
use overlay::Tree;

use super::connection::Connection;
use super::sops_flags::SopsFlags;
use super::{Exit, Failure, Outcome, own_namespace, plan_text};
use crate::api::kustomization::Kustomization;
use crate::cluster::{self, Cluster, Identity, Known, Owner, Plan, Wanted};
use crate::reconcile::asking::settle;
use crate::reconcile::{inputs, render, run, support};
use crate::report::failure::Failure as Stopped;
use crate::source::work_tree;

const EXAMPLES: &str = "\
Examples:
  weir diff apps                  Kustomization flux-system/apps, with the files of this work tree
  weir diff envs/prod-eu          the Kustomization of the cluster that builds this folder
  weir diff apps --source ../fleet

Files come from the work tree, committed or not. The API server checks every object by a dry-run; nothing is
written. Secret values print as ***. Exit codes: 0 nothing would change, 2 something would, 1 error.";

/// Print what the next reconcile would change.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A folder, or the name of a Kustomization.
    #[arg(value_name = "PATH|KUSTOMIZATION")]
    target: String,
    /// The folder that holds what the Kustomization's source holds; default the enclosing Git work tree.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    #[command(flatten)]
    sops: SopsFlags,
    #[command(flatten)]
    connection: Connection,
}

/// Plans and prints.
pub(super) async fn run(args: Args) -> Outcome {
    let config = args.connection.config().await?;
    let cluster = Cluster::new(config, cluster::Limits::default()).map_err(refused)?;
    let client = cluster.client(&Identity::Caller).map_err(refused)?;
    let (tree, kustomization) = find(&client.kube(), &args).await?;
    let plan = plan(&client, kustomization, tree, &args.sops).await?;
    print!("{}", plan_text::render(&plan));
    match (plan.errors.is_empty(), plan.has_changes()) {
        (false, _) => Err(Failure::new(format!(
            "{} objects were refused",
            plan.errors.len()
        ))),
        (true, true) => Ok(Exit::Changes),
        (true, false) => Ok(Exit::Success),
    }
}

/// The files, and the Kustomization whose plan is wanted.
async fn find(
    client: &kube::Client,
    args: &Args,
) -> Result<(impl Tree + 'static, Kustomization), Failure> {
    let folder = Path::new(&args.target);
    let open = |folder: &Path| {
        work_tree::open(folder, args.source.as_deref())
            .map_err(|error| Failure::new(error.to_string()))
    };
    if folder.is_dir() {
        let (tree, path) = open(folder)?;
        let kustomization = builder_of(client, &path).await?;
        return Ok((tree, kustomization));
    }
    let (tree, _) = open(args.source.as_deref().unwrap_or(Path::new(".")))?;
    let api = Api::<Kustomization>::namespaced(client.clone(), &args.connection.namespace);
    let kustomization = api.get(&args.target).await.map_err(|error| {
        Failure::with_hint(
            format!(
                "{}: no folder of that name, and no Kustomization: {error}",
                args.target
            ),
            "`weir get kustomizations -A` lists what there is",
        )
    })?;
    Ok((tree, kustomization))
}

/// The Kustomization of the cluster that builds a folder.
async fn builder_of(client: &kube::Client, path: &str) -> Result<Kustomization, Failure> {
    let all = Api::<Kustomization>::all(client.clone())
        .list(&kube::api::ListParams::default())
        .await
        .map_err(|error| Failure::new(format!("listing Kustomizations: {error}")))?;
    let builds = |kustomization: &Kustomization| render::folder(&kustomization.spec) == path;
    let mut found: Vec<Kustomization> = all.items.into_iter().filter(builds).collect();
    match (found.pop(), found.is_empty()) {
        (Some(kustomization), true) => Ok(kustomization),
        (None, _) => Err(Failure::with_hint(
            format!("no Kustomization of this cluster builds {path}"),
            "`weir build --flux PATH` prints the objects without a cluster",
        )),
        (Some(one), false) => {
            let names: Vec<String> = found.iter().chain([&one]).map(full_name).collect();
            Err(Failure::with_hint(
                format!("several Kustomizations build {path}: {}", names.join(", ")),
                "name one of them instead of the folder",
            ))
        }
    }
}

fn full_name(kustomization: &Kustomization) -> String {
    format!(
        "{}/{}",
        kustomization.namespace().unwrap_or_default(),
        kustomization.name_any()
    )
}

async fn plan(
    client: &cluster::Client,
    kustomization: Kustomization,
    tree: impl Tree + 'static,
    sops: &SopsFlags,
) -> Result<Plan, Failure> {
    let namespace = kustomization.namespace().unwrap_or_default();
    let owner = Owner {
        name: kustomization.name_any().into(),
        namespace: namespace.as_str().into(),
    };
    let spec = kustomization.spec.clone();
    let decrypting = sops.decrypting(&own_namespace(), true)?;
    let kube = client.kube();
    let reader = inputs::Reader {
        client: &kube,
        watches: None,
    };
    let inputs = inputs::gather(reader, &namespace, &spec, &decrypting)
        .await
        .map_err(stopped)?;
    let build = |inputs| std::future::ready(Ok(render::attempt(&spec, &tree, None, inputs)));
    let rendered = settle(inputs, build).await.map_err(stopped)?;
    for warning in &rendered.warnings {
        eprint!("warning: {warning}\n");
    }
    let known = Known {
        inventory: run::applied(&kustomization).map_err(stopped)?,
        check_all: true,
        ..Known::default()
    };
    let wanted = Wanted {
        owner,
        objects: rendered.objects,
        force: spec.force,
        custom_stages: Vec::new(),
        ignore: support::ignore_rules(&spec).map_err(stopped)?,
    };
    let mut plan = cluster::plan(client, wanted, &known)
        .await
        .map_err(refused)?;
    if !spec.prune {
        plan.prunes.clear();
    }
    Ok(plan)
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

fn stopped(failure: Stopped) -> Failure {
    Failure::new(failure.message)
}
