//! Which environments of a repository are those of a cluster: where a Kustomization that is there builds what the
//! repository says that it builds.

use std::collections::BTreeSet;

use super::Ground;
use super::living::{path_of, source_of};
use crate::api::kustomization::{Kustomization, KustomizationSpec};
use crate::comparison::Scope;
use crate::environments::{Environment, Kind, LeafName, facts};

/// An environment that is in the cluster, or Kustomizations that are and that no environment brings.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// How it was found.
    pub kind: Kind,
    /// The folder of its entry.
    pub path: String,
    /// Which one of the graph it is.
    pub environment: Option<usize>,
    /// The Kustomizations that it begins with. One without a namespace is applied by hand: only what it brings counts.
    pub begins: Vec<(LeafName, KustomizationSpec)>,
}

/// The places in scope. An environment that is named is planned whether or not it is there yet.
pub fn places(ground: &Ground<'_>, scope: &Scope) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (number, environment) in ground.graph.environments.iter().enumerate() {
        let begins = match environment.kind {
            Kind::Cluster => of_entry(ground, environment, is_named(ground, environment, scope)),
            Kind::Folder | Kind::Unreached => builders(ground, &environment.path),
        };
        if begins.is_empty() || !is_meant(ground, environment, scope) {
            continue;
        }
        places.push(Place {
            name: environment.name.clone(),
            kind: environment.kind,
            path: environment.path.clone(),
            environment: Some(number),
            begins,
        });
    }
    let others = match scope {
        Scope::All => others(ground, &places),
        Scope::Environment(_) => Vec::new(),
        Scope::Path(_) | Scope::Kustomization(_) => named(ground, &places, scope),
    };
    places.extend(others);
    places
}

/// Whether a Kustomization builds a folder, or one below it.
pub fn is_builder_of(object: &Kustomization, folder: &str) -> bool {
    let path = path_of(object);
    path == folder || path.starts_with(&format!("{folder}/"))
}

fn is_named(ground: &Ground<'_>, environment: &Environment, scope: &Scope) -> bool {
    matches!(scope, Scope::Environment(_)) && is_meant(ground, environment, scope)
}

fn is_meant(ground: &Ground<'_>, environment: &Environment, scope: &Scope) -> bool {
    match scope {
        Scope::Environment(name) => {
            let stages = facts(environment, &ground.graph.folders).stages;
            environment.name == *name || stages.contains(name)
        }
        Scope::All | Scope::Path(_) | Scope::Kustomization(_) => true,
    }
}

/// What the environment of a cluster's entry begins with, if it is this cluster's.
fn of_entry(
    ground: &Ground<'_>,
    environment: &Environment,
    is_named: bool,
) -> Vec<(LeafName, KustomizationSpec)> {
    let Some(entry) = environment.leaves.first() else {
        return Vec::new();
    };
    let own = (entry.name.clone(), entry.spec.clone());
    let is_there = |name: &LeafName, path: &str| {
        let found = ground.living.get(name);
        found.is_some_and(|object| path_of(object) == path)
    };
    if !entry.name.namespace.is_empty() {
        let is_here = is_there(&entry.name, &entry.path) || is_named;
        return is_here.then_some(own).into_iter().collect();
    }
    let builders = builders(ground, &entry.path);
    if !builders.is_empty() {
        return builders;
    }
    let mut leaves = environment.leaves.iter();
    let is_here = leaves.any(|leaf| is_there(&leaf.name, &leaf.path)) || is_named;
    is_here.then_some(own).into_iter().collect()
}

/// The Kustomizations that build exactly a folder, and that no other one has applied.
fn builders(ground: &Ground<'_>, folder: &str) -> Vec<(LeafName, KustomizationSpec)> {
    let living = ground.living.iter();
    let found = living.filter(|(_, object)| path_of(object) == folder);
    found
        .map(|(name, object)| (name.clone(), object.spec.clone()))
        .collect()
}

/// The Kustomizations that are named, and that no environment that is here brings.
fn named(ground: &Ground<'_>, places: &[Place], scope: &Scope) -> Vec<Place> {
    let is_meant = |(name, object): &(&LeafName, &Kustomization)| match scope {
        Scope::Kustomization(meant) => name.name == *meant || name.to_string() == *meant,
        Scope::Path(folder) => is_builder_of(object, folder),
        Scope::All | Scope::Environment(_) => false,
    };
    let is_had = |name: &LeafName| {
        let environments = places.iter().filter_map(|place| place.environment);
        let mut leaves = environments.flat_map(|at| &ground.graph.environments[at].leaves);
        let mut begins = places.iter().flat_map(|place| &place.begins);
        begins.any(|(begin, _)| begin == name) || leaves.any(|leaf| leaf.name == *name)
    };
    let found = ground.living.iter().filter(is_meant);
    let found = found.filter(|(name, _)| !is_had(name));
    found.map(|(name, object)| by_hand(name, object)).collect()
}

fn by_hand(name: &LeafName, object: &Kustomization) -> Place {
    Place {
        name: name.to_string(),
        kind: Kind::Folder,
        path: path_of(object),
        environment: None,
        begins: vec![(name.clone(), object.spec.clone())],
    }
}

/// The Kustomizations of the same source that no place has and nobody brings: made by hand.
fn others(ground: &Ground<'_>, places: &[Place]) -> Vec<Place> {
    let brought = |name: &LeafName| {
        let environments = ground.graph.environments.iter();
        let mut leaves = environments.flat_map(|it| &it.leaves);
        leaves.any(|leaf| leaf.name == *name)
    };
    let begins: BTreeSet<&LeafName> = places
        .iter()
        .flat_map(|place| place.begins.iter().map(|(name, _)| name))
        .collect();
    let sources: BTreeSet<_> = ground
        .living
        .iter()
        .filter(|(name, _)| begins.contains(name) || (begins.is_empty() && !brought(name)))
        .map(|(name, object)| source_of(name, object))
        .collect();
    // Of several repositories nobody says which one these files are.
    if sources.len() > 1 {
        return Vec::new();
    }
    let is_other = |(name, object): &(&LeafName, &Kustomization)| {
        let has_owner = crate::cluster::Owner::of_labels(
            object
                .metadata
                .labels
                .as_ref()
                .unwrap_or(&Default::default()),
        );
        !begins.contains(*name)
            && !brought(name)
            && has_owner.is_none()
            && sources.contains(&source_of(name, object))
            && matches!(ground.tree.kind(&path_of(object)), Ok(Some(_)))
    };
    let found = ground.living.iter().filter(is_other);
    found.map(|(name, object)| by_hand(name, object)).collect()
}
