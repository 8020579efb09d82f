//! What a promotion does to environments, known before anything is written.

use std::collections::BTreeSet;

use overlay::path::is_within;
use overlay::{Tree, TreeError};

use super::overlaid::{Changes, Overlaid};
use super::scope::Scope;
use crate::comparison::{self, Comparison};
use crate::environments::{Changed, Environment, Graph, Settings, changed, graph_after};

/// The environments before and after, and what differs.
pub struct Effect {
    /// The graph with the changes.
    pub after: Graph,
    /// What the changes do.
    pub comparison: Comparison,
}

/// Renders every environment with the changes, and compares.
pub fn effect(
    tree: &dyn Tree,
    before: &Graph,
    changes: &Changes,
    settings: &Settings,
) -> Result<Effect, TreeError> {
    let overlaid = Overlaid::new(tree, changes);
    let changed: Changed = changed(tree, &overlaid)?;
    let after = graph_after(&overlaid, settings, before, &changed)?;
    let scope = comparison::Scope::All;
    let comparison = comparison::compare(before, &after, &settings.marker, &scope);
    Ok(Effect { after, comparison })
}

/// The environments that a folder reaches, by name.
pub fn reached(graph: &Graph, folders: &[String]) -> BTreeSet<String> {
    let reaches = |environment: &&Environment| {
        folders
            .iter()
            .any(|folder| reads_below(environment, folder))
    };
    let found = graph.environments.iter().filter(reaches);
    found.map(|environment| environment.name.clone()).collect()
}

fn reads_below(environment: &Environment, folder: &str) -> bool {
    let built = environment.leaves.iter().filter_map(|leaf| leaf.built());
    built.into_iter().any(|built| {
        let mut paths = built.composed.reads.paths.keys();
        paths.any(|path| is_within(path, folder))
    })
}

/// The folders of a scope on one side.
pub fn folders(scope: &Scope, is_source: bool) -> Vec<String> {
    let stage = if is_source { &scope.from } else { &scope.to };
    if !stage.is_per_app {
        return vec![stage.folder.clone()];
    }
    let side = usize::from(!is_source);
    let apps = scope.apps.iter().filter_map(|app| app.folders.as_ref());
    apps.map(|folders| folders[side].clone()).collect()
}
