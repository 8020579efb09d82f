//! `weir bootstrap`: Weir into a cluster, and the folder of the repository that the cluster is to follow.
//!
//! ```text
//! deploy/ (in this binary) ──apply──▶ cluster ◀── deploy key, GitRepository, Kustomization ── the repository
//!                                        └──▶ first reconcile Ready
//! ```

mod apply;
mod deploy_key;
mod flux;
mod parts;
mod progress;
mod sync;

use std::path::PathBuf;
use std::time::Duration;

use anstream::{eprintln, println};
use overlay::path::inside;

use super::connection::Connection;
use super::fleet::Fleet;
use super::promote::git::Git;
use super::{Exit, Failure, Outcome};
use deploy_key::KeyFlags;
use sync::Sync;

const EXAMPLES: &str = "\
Examples:
  weir bootstrap --path clusters/prod/eu --context prod-eu      Weir, and the folder that this cluster follows
  weir bootstrap --path clusters/home --url ssh://git@github.com/acme/fleet.git
                                                                of a repository that says nothing of it yet
  weir bootstrap --path clusters/home --private-key-file ~/.ssh/fleet   with a deploy key that is there already

Where Flux runs, Weir takes over: Flux's kustomize-controller and source-controller are scaled to nothing, and no workload
is touched. May be run again at any time. Exit codes: 0 the first reconcile is Ready, 1 error.";

/// Install Weir in a cluster, let it follow a folder, and wait until the first reconcile is Ready.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the cluster, from the root of the repository.
    #[arg(long, value_name = "PATH")]
    path: String,
    /// Where the cluster fetches the repository; default as the repository says, else the remote `origin`.
    #[arg(long)]
    url: Option<String>,
    /// The branch; default as the repository says, else the present one.
    #[arg(long)]
    branch: Option<String>,
    #[command(flatten)]
    key: KeyFlags,
    /// The image of Weir, with a tag or a digest.
    #[arg(long)]
    image: Option<String>,
    /// How many seconds to wait for each step.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
    /// Where the repository lies; default the enclosing Git work tree.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Installs, connects, and waits.
pub(super) async fn run(args: Args) -> Outcome {
    let fleet = Fleet::new(args.root.clone(), None, Vec::new());
    let folder = fleet.folder()?;
    let tree = fleet.open(None)?;
    let path = inside(&args.path);
    let namespace = &args.connection.namespace;
    let wanted = sync::Wanted {
        path: &path,
        url: args.url.as_deref(),
        branch: args.branch.as_deref(),
        namespace,
        is_locked: args.key.is_given(),
    };
    let sync = sync::of(tree.as_ref(), &folder, &wanted)?;
    args.key.check(&sync)?;
    let parts = parts::parts(namespace, args.image.as_deref())?;
    let timeout = Duration::from_secs(args.timeout);
    let client = args.connection.client().await?;

    let flux = flux::found(&client, namespace).await?;
    if let Some(flux) = &flux {
        let names = flux.names().join(" and ");
        println!("► Flux runs in {namespace}: Weir takes over from {names}");
    }
    apply::definitions(&client, &parts, timeout).await?;
    deploy_key::ensure(&client, &sync, &args.key).await?;
    if let Some(flux) = &flux {
        flux.stop(&client, timeout).await?;
    }
    let outcome = install(&client, namespace, &parts, &sync, timeout).await;
    if let Some(flux) = &flux {
        println!("{}", flux.way_back());
    }
    outcome?;
    write(&folder, &sync)?;
    Ok(Exit::Success)
}

/// Weir itself, what the cluster follows, and the first reconcile.
async fn install(
    client: &kube::Client,
    namespace: &str,
    parts: &[serde_json::Value],
    sync: &Sync,
    timeout: Duration,
) -> Result<(), Failure> {
    apply::rest(client, parts).await?;
    progress::installed(client, namespace, timeout).await?;
    apply::sync(client, sync).await?;
    let revision = progress::fetched(client, sync, timeout).await?;
    progress::reconciled(client, sync, &revision, timeout).await?;
    println!("✔ {} follows {} at {revision}", sync.name(), sync.url());
    Ok(())
}

/// Writes what the cluster follows into the repository, where it does not say so yet.
fn write(folder: &std::path::Path, sync: &Sync) -> Result<(), Failure> {
    if sync.files.is_empty() {
        return Ok(());
    }
    Git::at(folder).write(&sync.files)?;
    for path in sync.files.keys() {
        eprintln!("wrote {path}: commit it, so that the repository says what the cluster follows");
    }
    Ok(())
}
