//! The files of a repository against a cluster that is there.

use overlay::Tree;
use overlay::path::inside;

use super::offline;
use crate::cli::connection::Connection;
use crate::cli::fleet::{Fleet, unreadable};
use crate::cli::sops_flags::SopsFlags;
use crate::cli::{Failure, own_namespace};
use crate::cluster::{Client, Cluster, Identity, Limits};
use crate::comparison::{Comparison, Scope, compare};
use crate::environments::{self, Graph, LeafName, Settings};
use crate::live::{AtCommit, Ground, Live, Living, comparison, is_builder_of, living, plan};
use crate::reconcile::keys::Decrypting;
use crate::report::failure::Failure as Stopped;

/// Whether a cluster is asked, and how.
#[derive(clap::Args)]
pub(in crate::cli) struct LiveFlags {
    /// Against the cluster of the current context; `--context` and `--kubeconfig` say so too.
    #[arg(long)]
    pub(in crate::cli) live: bool,
    /// Read no keys: what is encrypted is not known.
    #[arg(long)]
    pub(in crate::cli) without_keys: bool,
    #[command(flatten)]
    pub(in crate::cli) connection: Connection,
    #[command(flatten)]
    pub(in crate::cli) sops: SopsFlags,
}

/// The files that are meant.
pub(in crate::cli) struct Files<'a> {
    pub(in crate::cli) fleet: &'a Fleet,
    pub(in crate::cli) target: Option<&'a str>,
    /// What differs besides the change since then is told apart.
    pub(in crate::cli) from: Option<&'a str>,
    /// Without it, the files on disk.
    pub(in crate::cli) to: Option<&'a str>,
}

/// All that a plan is made with.
pub(in crate::cli) struct Site {
    pub(in crate::cli) tree: Box<dyn Tree>,
    pub(in crate::cli) settings: Settings,
    pub(in crate::cli) graph: Graph,
    pub(in crate::cli) living: Living,
    pub(in crate::cli) cluster: Cluster,
    pub(in crate::cli) client: Client,
    /// Whether each Kustomization's own account speaks for it.
    pub(in crate::cli) is_acting: bool,
    pub(in crate::cli) decrypting: Option<Decrypting>,
    at_commit: Box<AtCommit>,
    changed: Option<Comparison>,
}

impl LiveFlags {
    /// Whether a cluster is to be asked.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        self.live || self.connection.context.is_some() || self.connection.kubeconfig.is_some()
    }

    /// What the cluster is called.
    pub(in crate::cli) fn name(&self) -> String {
        let context = self.connection.context.as_ref();
        context.map_or("cluster".to_owned(), |context| format!("cluster {context}"))
    }
}

impl Site {
    /// Reads the files and what is in the cluster.
    pub(in crate::cli) async fn open(
        flags: &LiveFlags,
        files: &Files<'_>,
    ) -> Result<Self, Failure> {
        let (tree, settings) = (files.fleet.open(files.to)?, files.fleet.settings()?);
        let (graph, changed) = graph(tree.as_ref(), &settings, files)?;
        let fleet = files.fleet.clone();
        let config = flags.connection.config().await?;
        let cluster = Cluster::new(config, Limits::default()).map_err(failure)?;
        let client = cluster.client(&Identity::Caller).map_err(failure)?;
        let living = living(&client.kube(), &flags.connection.namespace).await;
        let decrypting = match flags.without_keys {
            true => None,
            false => Some(flags.sops.decrypting(&own_namespace(), true)?),
        };
        Ok(Self {
            living: living.map_err(stopped)?,
            tree,
            settings,
            graph,
            cluster,
            client,
            is_acting: false,
            decrypting,
            at_commit: Box::new(move |commit| fleet.open(Some(commit)).ok()),
            changed,
        })
    }

    /// What a plan is made with.
    pub(in crate::cli) fn ground(&self) -> Ground<'_> {
        Ground {
            at_commit: &*self.at_commit,
            tree: self.tree.as_ref(),
            settings: &self.settings,
            graph: &self.graph,
            living: &self.living,
            client: &self.client,
            decrypting: self.decrypting.as_ref(),
            acting: self.is_acting.then_some(&self.cluster),
        }
    }

    /// Plans what is meant.
    pub(in crate::cli) async fn plan(&self, scope: &Scope) -> Result<Live, Failure> {
        let live = plan(&self.ground(), scope).await.map_err(stopped)?;
        match live.places.is_empty() {
            false => Ok(live),
            true => Err(Failure::with_hint(
                "no Kustomization of this cluster builds what these files hold",
                "name an environment to plan its first deploy; `weir envs` lists them",
            )),
        }
    }

    /// The plan in the words of a comparison.
    pub(in crate::cli) fn compared(&self, live: &Live) -> Comparison {
        comparison(&self.ground(), live, self.changed.as_ref())
    }

    /// What a target means: as without a cluster, else a Kustomization that is there.
    pub(in crate::cli) fn scope(
        &self,
        target: Option<&str>,
        namespace: &str,
    ) -> Result<Scope, Failure> {
        let Some(target) = target else {
            return Ok(Scope::All);
        };
        let name = LeafName {
            namespace: namespace.to_owned(),
            name: target.to_owned(),
        };
        if self.living.contains_key(&name) {
            return Ok(Scope::Kustomization(name.to_string()));
        }
        match offline::scope(Some(target), &[&self.graph]) {
            Ok(scope) => Ok(scope),
            Err(failure) => {
                let path = inside(target);
                let mut all = self.living.iter();
                let is_folder = all.clone().any(|(_, object)| is_builder_of(object, &path));
                let is_name = all.any(|(it, _)| it.to_string() == target);
                match (is_folder, is_name) {
                    (true, _) => Ok(Scope::Path(path)),
                    (_, true) => Ok(Scope::Kustomization(target.to_owned())),
                    _ => Err(failure),
                }
            }
        }
    }
}

/// What the files make without a cluster, and what changes since a revision.
fn graph(
    tree: &dyn Tree,
    settings: &Settings,
    files: &Files<'_>,
) -> Result<(Graph, Option<Comparison>), Failure> {
    let Some(from) = files.from else {
        let graph = environments::graph(tree, settings).map_err(unreadable)?;
        return Ok((graph, None));
    };
    let earlier = files.fleet.open(Some(from))?;
    let graphs = environments::graphs(earlier.as_ref(), tree, settings);
    let (before, after, _) = graphs.map_err(unreadable)?;
    let changed = compare(&before, &after, &settings.marker, &Scope::All);
    Ok((after, Some(changed)))
}

pub(in crate::cli) fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

pub(in crate::cli) fn stopped(failure: Stopped) -> Failure {
    Failure::new(failure.message)
}
