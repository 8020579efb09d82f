//! Environments in which a change does the very same: those that have the same Kustomization, and of what that is made
//! nothing but the values of variables differs, of which the objects that change hold none.

use std::collections::BTreeMap;

use overlay::Object;
use overlay::vars::has_expression;

use super::apart::unlike;
use super::facts::stages_of;
use super::index::{Index, Part, Reached};
use super::partial::Called;
use super::{Environment, Leaf};

/// An environment in which the very same happens as in another one.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Its name and path.
    pub called: Called,
    /// Those of the one that was built.
    pub of: Called,
    /// The stages that it extends.
    pub stages: Vec<String>,
}

/// Entries that may be alike, one at least.
pub(super) struct Group<'r, 'i> {
    pub(super) first: &'r Reached<'i>,
    pub(super) others: Vec<&'r Reached<'i>>,
}

/// Entries of whose Kustomizations the same ones are touched, together.
pub(super) fn groups<'r, 'i>(reached: &'r [Reached<'i>]) -> Vec<Group<'r, 'i>> {
    let mut groups: Vec<Group<'r, 'i>> = Vec::new();
    let mut known: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for one in reached {
        let alike = alike(one);
        match alike.as_ref().and_then(|alike| known.get(alike)) {
            Some(group) => groups[*group].others.push(one),
            None => {
                if let Some(alike) = alike {
                    known.insert(alike, groups.len());
                }
                groups.push(Group {
                    first: one,
                    others: Vec::new(),
                });
            }
        }
    }
    groups
}

/// What is touched, by the numbers that twins have in common; nothing where more than that counts: other environments
/// of the cluster, values that may not be shown, or Kustomizations that the touched ones bring.
fn alike(reached: &Reached<'_>) -> Option<Vec<u32>> {
    let Reached { row, touched, .. } = reached;
    let brings = |part: &Part| part.parent.is_some_and(|parent| touched.contains(&parent));
    let counts = |part: &Part| part.holds_secrets || brings(part);
    if reached.is_unknown || row.environments.len() != 1 || row.parts.iter().any(counts) {
        return None;
    }
    touched.iter().map(|part| row.parts[*part].twins).collect()
}

/// Whether what changes in the first one changes in the others too: no variable has a part in it.
pub(super) fn are_alike(
    group: &Group<'_, '_>,
    before: &[Environment],
    after: &[Environment],
) -> bool {
    let touched = |environments| leaves(group.first, environments);
    let mut pairs = touched(before).into_iter().zip(touched(after));
    !group.others.is_empty() && pairs.all(|(old, new)| is_without_variables(old, new))
}

/// The others, as twins of the first.
pub(super) fn twins(index: &Index, group: &Group<'_, '_>, after: &[Environment]) -> Vec<Twin> {
    let leaves = leaves(group.first, after);
    let built = leaves.iter().filter_map(|leaf| leaf.built());
    let touched: Vec<String> = built
        .flat_map(|built| stages_of(&built.composed.reads))
        .collect();
    let twin = |other: &&Reached<'_>| {
        let parts = other.row.parts.iter().enumerate();
        let untouched = parts.filter(|(number, _)| !other.touched.contains(number));
        let mut stages = index.stages(untouched.map(|(_, part)| part));
        stages.extend(touched.iter().cloned());
        Some(Twin {
            called: called(other)?,
            of: called(group.first)?,
            stages,
        })
    };
    group.others.iter().filter_map(twin).collect()
}

fn called(reached: &Reached<'_>) -> Option<Called> {
    let named = reached.row.environments.first()?;
    Some((named.name.clone(), reached.row.path.clone()))
}

/// The touched Kustomizations of an entry, as they were built.
fn leaves<'e>(reached: &Reached<'_>, environments: &'e [Environment]) -> Vec<&'e Leaf> {
    let row = reached.row;
    let its = environments
        .iter()
        .filter(|it| it.path == row.path && it.kind == row.kind);
    let leaves: Vec<&Leaf> = its.flat_map(|it| &it.leaves).map(|leaf| &**leaf).collect();
    let names = reached.touched.iter().map(|part| &row.parts[*part].name);
    names
        .filter_map(|name| leaves.iter().find(|leaf| leaf.name == *name).copied())
        .collect()
}

/// Whether the objects that differ hold no expression of a variable, before variables are put in.
fn is_without_variables(before: &Leaf, after: &Leaf) -> bool {
    let (Some(old), Some(new)) = (before.built(), after.built()) else {
        return false;
    };
    let [old, new] = [old, new].map(|built| &built.composed.build.objects);
    let holds_none = |one: &[Object], other: &[Object]| {
        let differ = unlike(one, other);
        differ.iter().all(|object| !has_expression(&object.node))
    };
    before.spec.post_build.is_none() || (holds_none(old, new) && holds_none(new, old))
}
