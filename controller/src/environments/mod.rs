//! The graph of environments: what each cluster of a repository gets, found as the cluster itself finds it.
//!
//! ```text
//! tree ──folders──▶ entries ──walk──▶ [Leaf] ──name──▶ [Environment]
//!                       └─ every Kustomization in the output of one is built in turn, with its final spec
//! ```
//! Nothing here needs a key or a cluster: what cannot be had is a token (see [`overlay::unknown`]) that goes through the
//! build, and two tokens of the same identity are the same value. Building is pure, in parallel, and takes over from an
//! earlier graph what a change of files does not touch.

mod alone;
mod apart;
mod changed;
mod door;
mod entries;
mod facts;
mod folders;
mod generated;
mod index;
mod leaf;
mod name;
pub(crate) mod parallel;
mod partial;
mod plain;
mod secret_names;
mod siblings;
mod spec;
#[cfg(test)]
mod tests;
mod twins;
mod values;
mod variables;
mod versions;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use overlay::build::Reads;
use overlay::unknown::Marker;
use overlay::vars::Variables;
use overlay::{Build, Object, Place, Shared, Tree, TreeError};
use serde::{Deserialize, Serialize};

use crate::api::kustomization::KustomizationSpec;
use walk::Instead;

pub use alone::{alone, readable, spelled_out, without_keys};
pub use changed::{Changed, changed};
pub use door::{is_stand_in, take_unread_patches, unread_patches};
pub use facts::{Facts, facts, stages};
pub use folders::{Folder, Folders};
pub use generated::{UNKNOWN_SUFFIX, is_of_stem, rename_all, stem};
pub use index::Index;
pub use leaf::Composer;
pub use name::folder_in;
pub use partial::{Called, Partial, partial};
pub use secret_names::{SecretNames, may_be_same, secret_stem};
pub use spec::{is_kustomization, spec_of};
pub use twins::Twin;
pub(crate) use values::secrets_in;
pub use values::{Entry, data_of, holds_token, token_in};
pub use variables::{Lent, secret_variables, variables, with_secrets};
pub use versions::versions;

/// Bytes of files that the builds of one tree share.
const SHARED: usize = 64 << 20;

/// How a graph is built.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the tokens of unknown values begin with. Graphs that are compared are built with the same.
    pub marker: Marker,
    /// Variables that fill in for those that the repository does not render (`--vars`).
    pub variables: BTreeMap<String, String>,
}

impl Default for Settings {
    /// No variables, and a marker that nobody can guess.
    fn default() -> Self {
        let drawn = || u128::from(RandomState::new().hash_one(0));
        Self {
            marker: Marker::new(drawn() << 64 | drawn()),
            variables: BTreeMap::new(),
        }
    }
}

/// All environments of a tree.
pub struct Graph {
    /// The environments, by name.
    pub environments: Vec<Environment>,
    /// The folders that hold kustomization files, and what includes what.
    pub folders: Folders,
    /// What the user should know of the graph as a whole.
    pub warnings: Vec<String>,
    /// What was built, for a graph of a later tree to take over.
    composer: Composer,
}

/// How an environment was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A cluster's entry leads to it.
    Cluster,
    /// The repository has no clusters; the folder is built as it lies.
    Folder,
    /// No cluster's entry leads to this folder; it is built as it lies.
    Unreached,
}

/// One environment: a cluster's entry with all below it, or a folder.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The folder under `envs/` that it reaches (`prod-eu`), else its own path, or both (`clusters/eu:shop`) where
    /// several folders of its entry are reached by others too. No two have the same.
    pub name: String,
    /// How it was found.
    pub kind: Kind,
    /// The folder of the cluster's entry, or the folder itself.
    pub path: String,
    /// The Kustomizations, those that bring others before these. What several environments of one cluster have in
    /// common is the same value in each.
    pub leaves: Vec<Arc<Leaf>>,
}

/// Namespace and name of a Kustomization; for a folder that is built as it lies no namespace, and its path.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeafName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One Kustomization, or a folder that is built as it lies, and what came of it.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Who it is.
    pub name: LeafName,
    /// The folder that it builds.
    pub path: String,
    /// Its final spec, as it stands in the output of what brings it.
    pub spec: KustomizationSpec,
    /// Where it was written.
    pub place: Option<Place>,
    /// Who brings it; none for the entry itself.
    pub parent: Option<LeafName>,
    /// What is put in for its variables; none when nothing is.
    pub variables: Option<Variables>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a Kustomization.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It builds.
    Built(Built),
    /// Its files lie in another repository: this one.
    External(String),
    /// It does not build.
    Failed(String),
}

/// The objects of a Kustomization.
#[derive(Clone, Debug)]
pub struct Built {
    /// The objects in build order, variables put in.
    pub objects: Vec<Object>,
    /// What they were made of.
    pub composed: Arc<Composed>,
    /// The steps of putting variables in.
    pub steps: usize,
}

/// What the composer made of a folder and a spec, before variables are put in.
#[derive(Debug)]
pub struct Composed {
    /// The objects, and what was noticed; its reads lie beside it.
    pub build: Build,
    /// All that was looked at.
    pub reads: Reads,
    /// The encrypted files among it.
    pub encrypted: Vec<String>,
}

impl std::fmt::Display for LeafName {
    /// `namespace/name`, or the path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{}", self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

impl Environment {
    /// Whether a Kustomization of it does not build.
    pub fn fails(&self) -> bool {
        let failed = |leaf: &Arc<Leaf>| matches!(leaf.outcome, Outcome::Failed(_));
        self.leaves.iter().any(failed)
    }
}

impl Graph {
    /// One environment by itself, called as another one is: for comparing the two.
    pub fn only(&self, environment: &Environment, name: &str, path: &str) -> Self {
        let environment = Environment {
            name: name.to_owned(),
            path: path.to_owned(),
            ..environment.clone()
        };
        Self {
            environments: vec![environment],
            folders: self.folders.clone(),
            warnings: Vec::new(),
            composer: Composer::default(),
        }
    }
}

impl Leaf {
    /// What was built, when it builds.
    pub fn built(&self) -> Option<&Built> {
        match &self.outcome {
            Outcome::Built(built) => Some(built),
            Outcome::External(_) | Outcome::Failed(_) => None,
        }
    }

    /// Whether it builds a folder, or one below it, or was made of a file there.
    pub fn touches(&self, folder: &str) -> bool {
        let is_inside = |path: &str| folders::is_below(folder, path) || path == folder;
        let prefix = format!("{folder}/");
        is_inside(&self.path) || self.built().is_some_and(|built| {
            let reads = &built.composed.reads.paths;
            let from = reads.range(prefix.clone()..);
            let mut found = from.take_while(|(path, _)| path.starts_with(&prefix));
            found.any(|(_, read)| *read != overlay::build::Read::Absent)
                || matches!(reads.get(folder), Some(read) if *read != overlay::build::Read::Absent)
        })
    }

    /// The objects; none when it does not build or lies elsewhere.
    pub fn objects(&self) -> &[Object] {
        self.built().map_or(&[], |built| &built.objects)
    }
}

/// What all builds of one tree have at hand.
struct Site<'a> {
    tree: &'a dyn Tree,
    shared: Shared,
    settings: &'a Settings,
    composer: Composer,
    earlier: Option<Earlier<'a>>,
}

/// What was built of an earlier tree, and what has changed since.
struct Earlier<'a> {
    /// The Kustomizations by the path of their entry.
    leaves: HashMap<&'a str, Vec<&'a Arc<Leaf>>>,
    changed: &'a Changed,
}

impl<'a> Earlier<'a> {
    fn new(environments: &'a [Environment], changed: &'a Changed) -> Self {
        let mut leaves: HashMap<&str, Vec<&Arc<Leaf>>> = HashMap::new();
        for environment in environments {
            let known = leaves.entry(&environment.path).or_default();
            known.extend(&environment.leaves);
        }
        Self { leaves, changed }
    }
}

/// Builds every environment of a tree.
pub fn graph(tree: &dyn Tree, settings: &Settings) -> Result<Graph, TreeError> {
    build(tree, settings, None).map(|(graph, _)| graph)
}

/// Builds every environment of a tree, and gives the files that the marks of all objects mean, by number from 1.
pub fn graph_and_files(
    tree: &dyn Tree,
    settings: &Settings,
) -> Result<(Graph, Vec<Arc<str>>), TreeError> {
    let (graph, shared) = build(tree, settings, None)?;
    Ok((graph, shared.file_names()))
}

/// Builds every environment of a tree, and takes over from a graph of an earlier tree what the change between the two
/// does not touch: such leaves are the same values. Both graphs have the same settings.
pub fn graph_after(
    tree: &dyn Tree,
    settings: &Settings,
    earlier: &Graph,
    changed: &Changed,
) -> Result<Graph, TreeError> {
    build(tree, settings, Some((earlier, changed))).map(|(graph, _)| graph)
}

/// The graphs of two trees, and the paths in which these differ.
pub fn graphs(
    from: &dyn Tree,
    to: &dyn Tree,
    settings: &Settings,
) -> Result<(Graph, Graph, Changed), TreeError> {
    let changed = changed(from, to)?;
    let before = graph(from, settings)?;
    let after = graph_after(to, settings, &before, &changed)?;
    Ok((before, after, changed))
}

fn build(
    tree: &dyn Tree,
    settings: &Settings,
    earlier: Option<(&Graph, &Changed)>,
) -> Result<(Graph, Shared), TreeError> {
    let folders = folders::folders(
        tree,
        earlier.map(|(graph, changed)| (&graph.folders, changed)),
    )?;
    let composer = match earlier {
        Some((graph, changed)) => graph.composer.untouched(changed),
        None => Composer::default(),
    };
    let site = Site {
        tree,
        shared: Shared::new(SHARED),
        settings,
        composer,
        earlier: earlier.map(|(graph, changed)| Earlier::new(&graph.environments, changed)),
    };
    let entries = entries::entries(&site, &folders);
    let walked = parallel::each(&entries, |entry| {
        walk::walk(&site, entry, &Instead::default())
    });
    let (entries, walked) = entries::without_brought(entries, walked, &folders);
    let named = name::environments(&site, &folders, &entries, walked);
    let graph = Graph {
        environments: named.environments,
        warnings: named.warnings,
        folders,
        composer: site.composer,
    };
    Ok((graph, site.shared))
}
