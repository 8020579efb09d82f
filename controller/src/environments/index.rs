//! What may be remembered of a tree's graph from one run to the next: which folders there are, and what each entry was
//! made of. Paths and names, no content of any file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::folders::{Folder, Folders};
use super::{Changed, Environment, Graph, Kind, Outcome};

/// A graph's folders and entries.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub(super) folders: Folders,
    /// All paths that builds looked at, sorted.
    paths: Vec<String>,
    pub(super) entries: Vec<Row>,
    /// How many environments there are.
    pub(super) environments: usize,
}

/// What several environments of one entry are made of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) path: String,
    /// It is a Kustomization that a file holds, and no mere folder.
    pub(super) is_written: bool,
    /// A part of it does not build: nobody knows what that looked at.
    fails: bool,
    /// Numbers of paths, sorted.
    reads: Vec<u32>,
}

impl Index {
    /// What may be remembered of a graph; nothing of one whose environments' names depend on one another.
    pub fn of(graph: &Graph) -> Option<Self> {
        let mut entries: BTreeMap<(Kind, &str), Vec<&Environment>> = BTreeMap::new();
        for environment in &graph.environments {
            let key = (environment.kind, environment.path.as_str());
            entries.entry(key).or_default().push(environment);
        }
        let read = |environments: &[&Environment]| -> BTreeSet<String> {
            let leaves = environments
                .iter()
                .flat_map(|environment| &environment.leaves);
            let built = leaves.filter_map(|leaf| leaf.built());
            built
                .flat_map(|built| built.composed.reads.paths.keys().cloned())
                .collect()
        };
        let reads: Vec<BTreeSet<String>> = entries.values().map(|it| read(it)).collect();
        let paths: BTreeSet<&String> = reads.iter().flatten().collect();
        let paths: Vec<String> = paths.into_iter().cloned().collect();
        let number = |path: &String| {
            let found = paths.binary_search(path).ok()?;
            u32::try_from(found).ok()
        };
        let rows = entries
            .iter()
            .zip(&reads)
            .map(|(((kind, path), environments), reads)| Row {
                kind: *kind,
                path: (*path).to_owned(),
                is_written: environments.iter().any(|it| is_written(it)),
                fails: environments.iter().any(|it| it.fails()),
                reads: reads.iter().filter_map(number).collect(),
            });
        let rows = rows.collect();
        let is_named_alone = graph.environments.iter().all(is_named_by_itself);
        is_named_alone.then(|| Self {
            folders: graph.folders.clone(),
            entries: rows,
            environments: graph.environments.len(),
            paths,
        })
    }

    /// The entries that are made of what has changed, and those of which nobody knows.
    pub(super) fn touched(&self, changed: &Changed) -> Vec<&Row> {
        let number = |path: &String| {
            let found = self.paths.binary_search(path).ok()?;
            u32::try_from(found).ok()
        };
        let changed: Vec<u32> = changed.paths.iter().filter_map(number).collect();
        let is_touched = |row: &&Row| {
            row.fails
                || changed
                    .iter()
                    .any(|path| row.reads.binary_search(path).is_ok())
        };
        self.entries.iter().filter(is_touched).collect()
    }

    /// The folder that a kustomization file belongs to.
    pub(super) fn folder_of(&self, file: &str) -> Option<&Folder> {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.folders
            .by_path
            .get(folder)
            .filter(|known| known.file == file)
    }
}

/// An entry that a file holds has a name; one that is a folder has a path alone.
fn is_written(environment: &Environment) -> bool {
    let entry = environment.leaves.iter().find(|leaf| leaf.parent.is_none());
    entry.is_some_and(|entry| !entry.name.namespace.is_empty())
}

/// An environment that lies under `envs/` and is called after its cluster's path shares that folder with another one.
fn is_named_by_itself(environment: &Environment) -> bool {
    let reaches = |path: &str| path.starts_with("envs/");
    let builds = environment
        .leaves
        .iter()
        .any(|leaf| reaches(&leaf.path) && matches!(leaf.outcome, Outcome::Built(_)));
    environment.kind != Kind::Cluster || environment.name != environment.path || !builds
}
