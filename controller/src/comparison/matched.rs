//! Which environment of one graph is which of the other, and what lies beside it on the same cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Presence;
use crate::environments::{Environment, Graph, Leaf, LeafName, folder_in};

/// An environment on both sides.
pub(super) struct Both<'a> {
    pub(super) old: Option<&'a Environment>,
    pub(super) new: Option<&'a Environment>,
    /// Its Kustomizations before. Of an environment that is new on a cluster, those that it has in common with what was
    /// there.
    pub(super) before: Vec<Arc<Leaf>>,
    /// Its Kustomizations after, likewise.
    pub(super) after: Vec<Arc<Leaf>>,
    /// The other Kustomizations of the cluster after.
    pub(super) beside: Vec<Arc<Leaf>>,
    /// Whether the cluster's entry is there after, to prune what goes.
    pub(super) is_there: bool,
}

impl Both<'_> {
    /// Whether the environment comes, stays, or goes.
    pub(super) fn presence(&self) -> Presence {
        match (self.old, self.new) {
            (None, _) => Presence::Added,
            (_, None) => Presence::Removed,
            _ => Presence::Kept,
        }
    }
}

/// The Kustomizations of each entry, by its path.
type Clusters<'a> = BTreeMap<&'a str, Vec<&'a Arc<Leaf>>>;

fn clusters(graph: &Graph) -> Clusters<'_> {
    let mut clusters = Clusters::new();
    let mut seen = BTreeSet::new();
    for environment in &graph.environments {
        let known = clusters.entry(&environment.path).or_default();
        for leaf in &environment.leaves {
            if seen.insert((&environment.path, &leaf.name)) {
                known.push(leaf);
            }
        }
    }
    clusters
}

/// The environments of both graphs, with what lies beside them.
pub(super) fn matched<'a>(before: &'a Graph, after: &'a Graph) -> Vec<Both<'a>> {
    let (earlier, later) = (clusters(before), clusters(after));
    let both = |(old, new): (Option<&'a Environment>, Option<&'a Environment>)| {
        let (own, path) = match new.or(old) {
            Some(environment) => (&*environment.leaves, environment.path.as_str()),
            None => (&[][..], ""),
        };
        let own: BTreeSet<&LeafName> = own.iter().map(|leaf| &leaf.name).collect();
        let is_own = |leaf: &&Arc<Leaf>| own.contains(&leaf.name);
        let leaves = |side: Option<&Environment>, clusters: &Clusters<'_>| match side {
            Some(environment) => environment.leaves.clone(),
            None => {
                let all = clusters.get(path).into_iter().flatten().copied();
                all.filter(is_own).cloned().collect()
            }
        };
        let after = leaves(new, &later);
        let all = later.get(path).into_iter().flatten().copied();
        let beside = all.filter(|leaf| !is_own(leaf));
        Both {
            old,
            new,
            before: leaves(old, &earlier),
            beside: beside.cloned().collect(),
            after,
            is_there: later.contains_key(path),
        }
    };
    paired(before, after).into_iter().map(both).collect()
}

/// The environments of both graphs, paired by path and name; where the name is new, as others have come or gone, by the
/// folder in it, else by the path alone.
fn paired<'a>(
    before: &'a Graph,
    after: &'a Graph,
) -> Vec<(Option<&'a Environment>, Option<&'a Environment>)> {
    let mut old: BTreeMap<(&str, &str), &Environment> = before
        .environments
        .iter()
        .map(|it| ((&*it.path, &*it.name), it))
        .collect();
    let mut pairs = Vec::new();
    let mut unmatched = Vec::new();
    for new in &after.environments {
        match old.remove(&(&*new.path, &*new.name)) {
            Some(same) => pairs.push((Some(same), Some(new))),
            None => unmatched.push(new),
        }
    }
    for is_by_folder in [true, false] {
        unmatched.retain(|new| {
            let fits = |(path, name): &&(&str, &str)| {
                *path == new.path && (!is_by_folder || folder_in(name) == folder_in(&new.name))
            };
            let renamed = old.keys().find(fits).copied();
            let same = renamed.and_then(|key| old.remove(&key));
            pairs.extend(same.map(|same| (Some(same), Some(*new))));
            same.is_none()
        });
    }
    pairs.extend(unmatched.into_iter().map(|new| (None, Some(new))));
    pairs.extend(old.into_values().map(|gone| (Some(gone), None)));
    pairs
}
