//! The blast radius of a change: which environments and objects it reaches, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::unknown::Marker;

use super::why::{Cause, causes};
use super::{Comparison, EnvironmentChange, LeafChange, Scope, compare};
use crate::environments::{Called, Changed, Environment, Graph, LeafName, Partial, Twin, stages};

/// What a change reaches.
#[derive(Clone, Debug, Default)]
pub struct Affected {
    /// The environments with objects that change or with Kustomizations that are built anew, by name.
    pub environments: Vec<Reach>,
    /// How many others there are.
    pub untouched: usize,
    /// The stages in which objects change.
    pub stages: BTreeSet<String>,
    /// The touched files that no environment is made of.
    pub unread: Vec<String>,
}

/// What a change does in one environment.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Its name.
    pub name: String,
    /// The folder of its cluster's entry, or its own.
    pub path: String,
    /// The stages that it extends.
    pub stages: Vec<String>,
    /// The Kustomizations with objects that change, or that cannot be compared.
    pub changed: Vec<(LeafChange, Vec<Cause>)>,
    /// Those that are built anew and give the same objects.
    pub rebuilt: Vec<(LeafName, Vec<Cause>)>,
}

/// Finds what a change reaches; with files given, only what these reach.
pub fn affected(parts: &Partial, marker: &Marker, files: &[String]) -> Affected {
    let Partial {
        before,
        after,
        changed,
        ..
    } = parts;
    let Comparison { environments, .. } = compare(before, after, marker, &Scope::All);
    let mut changes: BTreeMap<Called, EnvironmentChange> = environments
        .into_iter()
        .map(|change| ((change.name.clone(), change.path.clone()), change))
        .collect();
    let old = by_name(before);
    let new = by_name(after);
    let all: BTreeSet<&Called> = old.keys().chain(new.keys()).collect();
    let mut reached: BTreeMap<Called, Reach> = BTreeMap::new();
    for called in all {
        let sides = [old.get(called).copied(), new.get(called).copied()];
        let change = changes.remove(called);
        let stages = stages_of(called, sides, parts);
        let reach = reach(called, stages, sides, change, changed, files);
        reached.insert(called.clone(), reach);
    }
    let twins = parts.twins.iter().filter_map(|twin| {
        let reach = like(twin, reached.get(&twin.of)?);
        Some((twin.called.clone(), reach))
    });
    let twins: Vec<(Called, Reach)> = twins.collect();
    reached.extend(twins);
    let mut result = Affected {
        unread: unread(before, after, changed),
        untouched: parts.untouched,
        ..Affected::default()
    };
    for reach in reached.into_values() {
        if reach.changed.is_empty() && reach.rebuilt.is_empty() {
            result.untouched += 1;
            continue;
        }
        if !reach.changed.is_empty() {
            result.stages.extend(reach.stages.iter().cloned());
        }
        result.environments.push(reach);
    }
    result
}

fn by_name(graph: &Graph) -> BTreeMap<Called, &Environment> {
    let environments = graph.environments.iter();
    environments
        .map(|it| ((it.name.clone(), it.path.clone()), it))
        .collect()
}

/// The stages of an environment, those of what was left out of it too.
fn stages_of(called: &Called, sides: [Option<&Environment>; 2], parts: &Partial) -> Vec<String> {
    let mut all = stages(sides);
    all.extend(parts.stages.get(called).into_iter().flatten().cloned());
    all.into_iter().collect()
}

/// What happens in one environment, in its twin.
fn like(twin: &Twin, reach: &Reach) -> Reach {
    let (name, path) = twin.called.clone();
    let stages: BTreeSet<String> = twin.stages.iter().cloned().collect();
    Reach {
        name,
        path,
        stages: stages.into_iter().collect(),
        ..reach.clone()
    }
}

fn reach(
    (name, path): &Called,
    stages: Vec<String>,
    [old, new]: [Option<&Environment>; 2],
    change: Option<EnvironmentChange>,
    changed: &Changed,
    files: &[String],
) -> Reach {
    let why = |leaf: &LeafName| causes(old, new, leaf, changed);
    let is_asked_for = |causes: &[Cause]| {
        let mut touched = causes.iter().flat_map(|cause| &cause.files);
        files.is_empty() || touched.any(|file| files.contains(file))
    };
    let leaves = change.map(|change| change.leaves).unwrap_or_default();
    let with_causes = leaves.into_iter().map(|leaf| {
        let causes = why(&leaf.name);
        (leaf, causes)
    });
    let told: Vec<_> = with_causes
        .filter(|(_, causes)| is_asked_for(causes))
        .collect();
    let anew = rebuilt(old, new).into_iter();
    let rebuilt = anew
        .filter(|name| !told.iter().any(|(leaf, _)| leaf.name == *name))
        .map(|name| (name.clone(), why(&name)))
        .filter(|(_, causes)| !causes.is_empty() && is_asked_for(causes));
    Reach {
        name: name.clone(),
        path: path.clone(),
        stages,
        rebuilt: rebuilt.collect(),
        changed: told,
    }
}

/// The Kustomizations of the later side that are not the values of the earlier.
fn rebuilt(old: Option<&Environment>, new: Option<&Environment>) -> Vec<LeafName> {
    let before: Vec<_> = old.into_iter().flat_map(|it| &it.leaves).collect();
    let leaves = new.into_iter().flat_map(|it| &it.leaves);
    let is_new = |leaf: &&Arc<_>| !before.iter().any(|other| Arc::ptr_eq(other, leaf));
    leaves
        .filter(is_new)
        .filter(|leaf| leaf.built().is_some())
        .map(|leaf| leaf.name.clone())
        .collect()
}

/// The touched files that no build of either side looked at.
fn unread(before: &Graph, after: &Graph, changed: &Changed) -> Vec<String> {
    let leaves = [before, after]
        .into_iter()
        .flat_map(|graph| &graph.environments);
    let leaves = leaves.flat_map(|environment| &environment.leaves);
    let mut left: BTreeSet<&String> = changed.files.iter().collect();
    let mut seen = BTreeSet::new();
    for built in leaves.filter_map(|leaf| leaf.built()) {
        if seen.insert(Arc::as_ptr(&built.composed)) {
            left.retain(|file| !built.composed.reads.paths.contains_key(*file));
        }
    }
    left.into_iter().cloned().collect()
}
