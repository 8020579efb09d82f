//! Variables are put into those objects alone that a change leaves other than they were: of Kustomizations whose other
//! objects nobody looks at.

use std::collections::HashMap;
use std::sync::Arc;

use overlay::vars::{Variables, substitute};
use overlay::{Object, ObjectId};

use super::generated::UNKNOWN_SUFFIX;
use super::index::Reached;
use super::spec::{is_kustomization, is_source};
use super::walk::Walked;
use super::{Built, Leaf, Outcome, parallel};

/// Gives the Kustomizations of both sides that were composed and no more the objects in which they differ; false when
/// these say more than that they change, and all must be built.
pub(super) fn put_in(rows: &[&Reached<'_>], before: &mut [Walked], after: &mut [Walked]) -> bool {
    let sides: Vec<_> = rows.iter().zip(before.iter().zip(after.iter())).collect();
    let made = parallel::each(&sides, |(reached, (before, after))| {
        let composed = reached.instead().composed;
        let is_settled = |(old, new): (&Arc<Leaf>, &Arc<Leaf>)| {
            let is_told = |leaf: &Leaf| !leaf.objects().iter().any(has_unknown_name);
            Arc::ptr_eq(old, new) || (is_told(old) && is_told(new))
        };
        let mut pairs = before.leaves.iter().zip(&after.leaves);
        if !composed.is_empty() && !pairs.all(is_settled) {
            return None;
        }
        let pairs = (0..).zip(before.leaves.iter().zip(&after.leaves));
        let pairs = pairs.filter(|(_, (old, _))| composed.contains(&old.name));
        let made = pairs.map(|(number, (old, new))| Some((number, differing(old, new)?)));
        made.collect::<Option<Vec<(usize, [Leaf; 2])>>>()
    });
    for (row, made) in made.into_iter().enumerate() {
        let Some(made) = made else {
            return false;
        };
        for (number, [old, new]) in made {
            before[row].leaves[number] = Arc::new(old);
            after[row].leaves[number] = Arc::new(new);
        }
    }
    true
}

/// Two Kustomizations with the objects in which they differ.
fn differing(before: &Leaf, after: &Leaf) -> Option<[Leaf; 2]> {
    let (old, new) = (before.built()?, after.built()?);
    let [left, right] = [old, new].map(|built| &built.composed.build.objects);
    let old = with_objects(before, old, unlike(left, right))?;
    let new = with_objects(after, new, unlike(right, left))?;
    Some([old, new])
}

/// Whether the content, and so the name, of a generated object is not known: what refers to it may change with it.
fn has_unknown_name(object: &Object) -> bool {
    object.id.name.ends_with(UNKNOWN_SUFFIX)
}

/// A Kustomization with these of its objects. Such as bring others, say where files come from, or have a name that is
/// not known or made of variables, are not alone.
fn with_objects(leaf: &Leaf, built: &Built, objects: Vec<Object>) -> Option<Leaf> {
    let names: Vec<ObjectId> = objects.iter().map(|object| object.id.clone()).collect();
    let objects = with_variables(objects, leaf.variables.as_ref())?;
    let is_alone = |(object, name): (&Object, &ObjectId)| {
        let id = &object.id;
        id == name && !is_kustomization(id) && !is_source(id) && !has_unknown_name(object)
    };
    let mut pairs = objects.iter().zip(&names);
    pairs.all(is_alone).then(|| Leaf {
        outcome: Outcome::Built(Built {
            objects,
            composed: built.composed.clone(),
            steps: 0,
        }),
        ..leaf.clone()
    })
}

/// The objects of one list that are not the same in another one.
pub(super) fn unlike(one: &[Object], other: &[Object]) -> Vec<Object> {
    let there: HashMap<&ObjectId, &Object> =
        other.iter().map(|object| (&object.id, object)).collect();
    let is_same = |object: &&Object| {
        let same = there.get(&object.id);
        same.is_some_and(|same| {
            same.node == object.node && same.origin.generator == object.origin.generator
        })
    };
    let unlike = one.iter().filter(|object| !is_same(object));
    unlike.cloned().collect()
}

/// Puts variables in within half of the budget, as all objects together took less than the other half before.
fn with_variables(objects: Vec<Object>, variables: Option<&Variables>) -> Option<Vec<Object>> {
    let Some(variables) = variables else {
        return Some(objects);
    };
    let mut variables = variables.clone();
    variables.steps /= 2;
    substitute(objects, &variables, true).ok()
}
