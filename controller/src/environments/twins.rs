//! Environments in which a change does the very same: their Kustomizations are made of the same files, or of files of the
//! same content in folders of their own, and what changes holds no variable.

use std::collections::{BTreeMap, BTreeSet};

use overlay::path::is_within;
use overlay::vars::{has_expression, is_disabled};
use overlay::{Object, ObjectId};

use super::apart::unlike;
use super::facts::{stage_of, stages_of};
use super::index::{Index, Part, Reached};
use super::partial::Called;
use super::plain::{differs_plainly, is_plainly_named};
use super::{Changed, Environment, Leaf};

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

/// What entries have in common that may be alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Degree {
    /// All but what files of their own say of the same objects.
    Siblings,
    /// The content of all files.
    Twins,
}

/// Entries that may be alike, one at least.
pub(super) struct Group<'r, 'i> {
    pub(super) first: &'r Reached<'i>,
    pub(super) others: Vec<&'r Reached<'i>>,
    /// For each touched Kustomization what they have in common.
    pub(super) alike: Option<Alike<'i>>,
}

/// For each touched Kustomization what its like have in common, and its folder where that is touched.
type Alike<'i> = Vec<(Like, Option<&'i str>)>;

/// The number that those have who are alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Like {
    Sibling(u32),
    Twin(u32),
}

/// Entries of whose Kustomizations the same ones are touched, together.
pub(super) fn groups<'r, 'i>(
    reached: &[&'r Reached<'i>],
    changed: &Changed,
    degree: Degree,
) -> Vec<Group<'r, 'i>> {
    let mut groups: Vec<Group<'r, 'i>> = Vec::new();
    let mut known: BTreeMap<Alike<'i>, usize> = BTreeMap::new();
    for one in reached {
        let alike = alike(one, changed, degree);
        match alike.as_ref().and_then(|alike| known.get(alike)) {
            Some(group) => groups[*group].others.push(one),
            None => {
                if let Some(alike) = &alike {
                    known.insert(alike.clone(), groups.len());
                }
                groups.push(Group {
                    first: one,
                    others: Vec::new(),
                    alike,
                });
            }
        }
    }
    groups
}

/// Nothing where more counts than what is touched: other environments of the cluster, values that may not be shown, or
/// Kustomizations that the touched ones bring.
fn alike<'i>(reached: &Reached<'i>, changed: &Changed, degree: Degree) -> Option<Alike<'i>> {
    let Reached { row, touched, .. } = reached;
    let brings = |part: &Part| part.parent.is_some_and(|parent| touched.contains(&parent));
    let counts = |part: &Part| part.holds_secrets || brings(part);
    if reached.is_unknown || row.environments.len() != 1 || row.parts.iter().any(counts) {
        return None;
    }
    let alike = |part: &'i Part| {
        let within = changed.paths.range(format!("{}/", part.path)..).next();
        let is_touched = changed.paths.contains(&part.path)
            || within.is_some_and(|path| is_within(path, &part.path));
        let siblings = part
            .siblings
            .filter(|_| degree == Degree::Siblings && !is_touched);
        let like = siblings.map_or(Like::Twin(part.twins?), Like::Sibling);
        Some((like, is_touched.then_some(part.path.as_str())))
    };
    touched
        .iter()
        .map(|part| alike(&row.parts[*part]))
        .collect()
}

/// Whether what changes in the first one changes in the others too, with the same words.
pub(super) fn are_alike(
    group: &Group<'_, '_>,
    before: &[Environment],
    after: &[Environment],
) -> bool {
    let touched = |environments| leaves(group.first, environments);
    let is_alike = |(old, new): (&Leaf, &Leaf)| {
        let is_there = |other: &&Reached<'_>| {
            let mut touched = other.touched.iter().map(|part| &other.row.parts[*part]);
            touched.any(|part| part.name == old.name && part.path == old.path)
        };
        let lies_elsewhere = !group.others.iter().all(is_there);
        changes_alike(old, new, lies_elsewhere)
    };
    let mut pairs = touched(before).into_iter().zip(touched(after));
    !group.others.is_empty() && pairs.all(is_alike)
}

/// The others, as twins of the first.
pub(super) fn twins(index: &Index, group: &Group<'_, '_>, after: &[Environment]) -> Vec<Twin> {
    let leaves = leaves(group.first, after);
    // A folder of its own may lie in a stage of its own.
    let of_others = |leaf: &&Leaf| {
        let reads = leaf.built().map(|built| &built.composed.reads);
        let stages = reads.into_iter().flat_map(stages_of);
        let own = stage_of(&leaf.path);
        let others = stages.filter(|stage| own != Some(stage.as_str()));
        others.collect::<Vec<_>>()
    };
    let touched: Vec<String> = leaves.iter().flat_map(of_others).collect();
    let twin = |other: &&Reached<'_>| {
        let parts = other.row.parts.iter().enumerate();
        let untouched = parts.filter(|(number, _)| !other.touched.contains(number));
        let mut stages = index.stages(untouched.map(|(_, part)| part));
        let folders = other
            .touched
            .iter()
            .map(|part| &other.row.parts[*part].path);
        stages.extend(folders.filter_map(|path| stage_of(path)).map(str::to_owned));
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
pub(super) fn leaves<'e>(reached: &Reached<'_>, environments: &'e [Environment]) -> Vec<&'e Leaf> {
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

/// Whether two sides of a Kustomization differ in what is the same for all twins: in no value of a variable, and where
/// the others' folders lie elsewhere in no object that is written in the folder.
fn changes_alike(before: &Leaf, after: &Leaf, lies_elsewhere: bool) -> bool {
    let (Some(old), Some(new)) = (before.built(), after.built()) else {
        return false;
    };
    let [old, new] = [old, new].map(|built| &built.composed.build.objects);
    let (was, is) = (unlike(old, new), unlike(new, old));
    let is_own = |object: &Object| is_within(&object.origin.place.file, &before.path);
    if lies_elsewhere && was.iter().chain(&is).any(is_own) {
        return false;
    }
    let now: BTreeMap<&ObjectId, &Object> = is.iter().map(|object| (&object.id, object)).collect();
    let changed: BTreeSet<&ObjectId> = was.iter().map(|object| &object.id).collect();
    let stays_plain = |object: &Object| match now.get(&object.id) {
        Some(new) => {
            is_plainly_named(&object.id)
                && is_disabled(&object.node) == is_disabled(&new.node)
                && differs_plainly(&object.node, &new.node)
        }
        None => !has_expression(&object.node),
    };
    let mut added = is.iter().filter(|object| !changed.contains(&object.id));
    before.spec.post_build.is_none()
        || (was.iter().all(stays_plain) && added.all(|object| !has_expression(&object.node)))
}
